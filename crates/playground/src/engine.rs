//! Trains a setup's network on a device, and tells how it does.
//!
//! Whatever the slices in which training is asked for, the losses are recorded, rates changed and weights edited after the same steps: a setup's address is enough to see
//! the same again, to the last bit on the same device.

mod device;
mod events;
mod probe;
mod record;
mod steps;
mod view;

use noyau_tensor::{Array, Error, Result};
use noyau_train::{Device, Session, weights_to_bytes_async};

use crate::cloud::Cloud;
use crate::network::Network;
use crate::setup::Running;
use crate::{Data, Setup};

use device::{chosen, goes_on, is_lost};
use probe::Probe;
use record::Records;
pub use record::{Record, Trail};
use steps::Steps;
use view::View;
pub use view::{Figures, Matrix};

/// A training.
pub struct Engine {
    /// What was chosen. Rates are those at first; [`Engine::rate`] has the present one.
    setup: Setup,
    device: Device,
    cloud: Cloud,
    network: Network,
    session: Session,
    steps: Steps,
    view: View,
    /// Compiled when somebody asks for a slope or a surface.
    probe: Option<Probe>,
    /// Steps done.
    step: u64,
    /// Steps that are to be done before the visitor's own begin: an address asked for them, or a device was lost.
    target: u64,
    /// How many of the setup's edits and changes are done.
    edited: usize,
    changed: usize,
    records: Records,
    stopped: bool,
    notice: Option<String>,
    faults: Vec<String>,
}

impl Engine {
    /// A training at its first step, of what an address holds (after its `#`): [`Engine::run`] up to [`Engine::target`] brings it where the address wants it. `device` is
    /// `auto`, `cpu` or `gpu`; where there is no GPU the CPU does it, and [`Engine::take_notice`] says so.
    pub async fn open(address: &str, device: &str) -> Result<Engine> {
        let (setup, faults) = Setup::from_address(address);
        let (device, notice) = chosen(device).await?;
        let mut engine = match Engine::new(setup.clone(), device, notice).await {
            Err(error) if is_lost(&error) => Engine::new(setup, Device::cpu(), Some(goes_on(&error))).await?,
            other => other?,
        };
        engine.faults.splice(0..0, faults);
        Ok(engine)
    }

    /// A training of a setup on a device. Fails when the device cannot do it.
    pub async fn new(mut setup: Setup, device: Device, notice: Option<String>) -> Result<Engine> {
        let cloud = Cloud::new(&setup)?;
        let network = Network::new(&setup, &cloud);
        let faults = keep_possible(&mut setup, &network);
        let session = Session::with_seed(device.clone(), setup.seed);
        let params = network.params();
        // First, so that weights do not depend on what is compiled when.
        session.begin_async(&params.iter().collect::<Vec<_>>()).await?;
        let steps = Steps::new(&session, &setup, &cloud, &network).await?;
        let records = Records::new(&session, &setup, &cloud, &network, steps.per_epoch()).await?;
        let view = View::new(&setup, &cloud, records.ring())?;
        let target = setup.steps;
        let mut engine = Engine {
            setup,
            device,
            cloud,
            network,
            session,
            steps,
            view,
            probe: None,
            step: 0,
            target,
            edited: 0,
            changed: 0,
            records,
            stopped: false,
            notice,
            faults,
        };
        engine.steps.begin(&engine.session, 0).await?;
        engine.records.take(&engine.session, 0).await?;
        engine.apply_due().await?;
        Ok(engine)
    }

    /// Trains for so many steps. False when it ended early because the test loss came below what the setup wants to stop at: that is looked at after each epoch, and
    /// not before [`Engine::target`].
    ///
    /// A GPU that is lost on the way is no error: the CPU begins again, the target is where the training was, and [`Engine::take_notice`] says so.
    pub async fn run(&mut self, steps: u64) -> Result<bool> {
        match self.advance(steps).await {
            Err(error) => self.recover(error).await.map(|()| true),
            other => other,
        }
    }

    async fn advance(&mut self, steps: u64) -> Result<bool> {
        let end = self.step.saturating_add(steps).min(u64::from(u32::MAX));
        self.stopped = false;
        while self.step < end {
            let next = end.min(self.records.next()).min(self.steps.next_order(self.step)).min(self.next_due());
            self.view.forget();
            self.steps.run(next - self.step).await?;
            self.step = next;
            if next == self.records.next() {
                self.records.take(&self.session, next).await?;
                if let Some(limit) = self.setup.stop_below
                    && next > self.target
                    && self.records.last(&self.session).await?.is_some_and(|record| f64::from(record.test) < limit)
                {
                    self.stopped = true;
                }
            }
            self.steps.begin_if_due(&self.session, next).await?;
            self.apply_due().await?;
            if self.stopped {
                return Ok(false);
            }
        }
        if self.device.is_cpu() {
            self.records.read(&self.session).await?;
        }
        Ok(true)
    }

    /// Begins with a setup at step 0, with the rates as they are now. Where that fails, all is as before.
    async fn begin_anew(&mut self, mut setup: Setup) -> Result<()> {
        setup.rate = self.rate();
        setup.penalty_rate = self.penalty_rate();
        setup.edits.clear();
        setup.changes.clear();
        setup.steps = 0;
        let engine = match Engine::new(setup.clone(), self.device.clone(), None).await {
            Err(error) if is_lost(&error) => Engine::new(setup, Device::cpu(), Some(goes_on(&error))).await?,
            other => other?,
        };
        *self = Engine { notice: engine.notice.or(self.notice.take()), ..engine };
        Ok(())
    }

    /// The same seed again, at step 0.
    pub async fn reset(&mut self) -> Result<()> {
        self.begin_anew(self.setup.clone()).await
    }

    /// With another seed: other points, weights and orders.
    pub async fn regenerate(&mut self, seed: u32) -> Result<()> {
        self.begin_anew(Setup { seed: seed.into(), ..self.setup.clone() }).await
    }

    /// Learns from points of one's own.
    pub async fn set_own(&mut self, own: crate::cloud::Own) -> Result<()> {
        self.begin_anew(Setup { data: Data::Own, own, ..self.setup.clone() }).await
    }

    /// Begins again on another device: `auto`, `cpu` or `gpu`.
    pub async fn use_device(&mut self, device: &str) -> Result<()> {
        let (device, notice) = chosen(device).await?;
        let before = std::mem::replace(&mut self.device, device);
        let begun = self.begin_anew(self.setup.clone()).await;
        match begun {
            Ok(()) => self.notice = notice.or(self.notice.take()),
            Err(_) => self.device = before,
        }
        begun
    }

    /// After an error of the device, goes on on the CPU; any other error is given back.
    async fn recover(&mut self, error: Error) -> Result<()> {
        if !is_lost(&error) || self.device.is_cpu() {
            return Err(error);
        }
        let setup = Setup { steps: self.step.max(self.target), ..self.setup.clone() };
        *self = Engine::new(setup, Device::cpu(), Some(goes_on(&error))).await?;
        Ok(())
    }

    /// The losses and shares of the present state.
    pub async fn figures(&mut self) -> Result<Figures> {
        loop {
            let seen = self.view.figures(&self.session, &self.network).await;
            if let Some(figures) = self.seen(seen).await? {
                return Ok(figures);
            }
        }
    }

    /// What each neuron gives on a grid of the plane, see [`crate::network::grid`]: the features first, then layer by layer, outputs last.
    pub async fn maps(&mut self, size: usize) -> Result<Vec<f32>> {
        if !(1..=Engine::MOST_MAP).contains(&size) {
            return Err(Error::argument("maps", format!("{size} is no size from 1 to {}", Engine::MOST_MAP)));
        }
        loop {
            let seen = self.view.maps(&self.session, &self.network, size).await;
            if let Some(maps) = self.seen(seen).await? {
                return Ok(maps);
            }
        }
    }

    /// Points of a side of [`Engine::maps`].
    pub const MOST_MAP: usize = 256;

    /// All weights and biases.
    pub async fn weights(&mut self) -> Result<Vec<Matrix>> {
        loop {
            let seen = self.view.weights(&self.session, &self.network).await;
            if let Some(weights) = self.seen(seen).await? {
                return Ok(weights);
            }
        }
    }

    /// What a look gave, and the records that came with it; nothing where the device was lost, so that another one has to be looked at.
    async fn seen<T>(&mut self, look: Result<T>) -> Result<Option<T>> {
        match look {
            Ok(seen) => {
                if let Some(ring) = self.view.records() {
                    self.records.take_in(ring);
                }
                Ok(Some(seen))
            }
            Err(error) => self.recover(error).await.map(|()| None),
        }
    }

    /// A file of the weights and biases, as noyau and PyTorch read it, for the model of [`Engine::code`].
    pub async fn safetensors(&mut self) -> Result<Vec<u8>> {
        weights_to_bytes_async(&self.session, &self.network).await
    }

    /// What is made small at places `[a, b]` along two directions in the space of all weights and biases, and its slopes by each of them at the present place.
    pub(crate) async fn probed(&mut self, directions: [&[f32]; 2], places: &[[f32; 2]]) -> Result<(Vec<f32>, Vec<f32>)> {
        let probe = match &mut self.probe {
            Some(probe) => probe,
            None => {
                let rate = self.steps.penalty_rate();
                self.probe.insert(Probe::new(&self.session, &self.setup, &self.cloud, &self.network, rate).await?)
            }
        };
        probe.set_directions(&self.session, directions).await?;
        Ok((probe.losses(places).await?, probe.gradient().await?))
    }

    /// The record of losses, oldest first. On a GPU it goes up to the last [`Engine::figures`].
    pub fn curve(&self) -> &[Record] {
        self.records.known()
    }

    /// Weights on the way, oldest first.
    pub async fn trail(&mut self) -> Result<Trail> {
        self.records.trail(&self.session).await
    }

    /// What an address holds after its `#` for the present state.
    pub fn address(&self) -> String {
        let mut setup = Setup { steps: self.step, ..self.setup.clone() };
        setup.edits.truncate(self.edited);
        setup.changes.truncate(self.changed);
        setup.address()
    }

    fn present(&self, what: Running, first: f64) -> f64 {
        self.setup.changes[..self.changed].iter().rev().find(|c| c.what == what).map_or(first, |c| c.value)
    }

    /// The learning rate now.
    pub fn rate(&self) -> f64 {
        self.present(Running::Rate, self.setup.rate)
    }

    /// The penalty's rate now.
    pub fn penalty_rate(&self) -> f64 {
        self.present(Running::PenaltyRate, self.setup.penalty_rate)
    }

    /// What was chosen.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The points.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where the network's values live.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What a training step does on the device, a line for each launch.
    pub fn launches(&self) -> String {
        self.steps.launches()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.steps.per_epoch()
    }

    /// Epochs done, in parts too.
    pub fn epoch(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch() as f64
    }

    /// Steps to be done before the visitor's own.
    pub fn target(&self) -> u64 {
        self.target
    }

    /// Whether the last [`Engine::run`] came below the loss to stop at.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// What in the address made no sense, a line each.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// What happened to the device, once.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

/// Drops edits of weights that the network does not have; what they were.
fn keep_possible(setup: &mut Setup, network: &Network) -> Vec<String> {
    let params = network.params();
    let mut faults = Vec::new();
    setup.edits.retain(|edit| {
        let fits = params.get(edit.parameter).is_some_and(|param| edit.index < param.numel());
        if !fits {
            faults.push(format!("edits: the network has no value {} of parameter {}", edit.index, edit.parameter));
        }
        fits
    });
    faults
}

/// An array of f32 of a shape.
pub(crate) fn array(shape: impl Into<noyau_tensor::Shape>, values: &[f32]) -> Result<Array> {
    Array::new(shape, values)
}

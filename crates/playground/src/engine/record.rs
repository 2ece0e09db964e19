//! What is kept of a training: losses, and weights on the way, after steps that depend on nothing but their number.

use noyau_nn::{Mode, Module};
use noyau_tensor::{Array, DType, Param, Result, Tensor, concat, stack};
use noyau_train::{CompiledStep, Session, Spec, Step};

use super::view::Everything;
use crate::Setup;
use crate::cloud::Cloud;
use crate::network::Network;

/// The losses after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// The mean over the points trained on, without the penalty.
    pub train: f32,
    /// The mean over the others.
    pub test: f32,
}

/// Weights on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    /// After how many steps.
    pub steps: Vec<u64>,
    /// All parameters one after the other, flat, for each of them.
    pub weights: Vec<Vec<f32>>,
}

/// The records so far. They are made each epoch at first; when there are many, every second is dropped and they are made half as often.
pub(super) struct Records {
    losses: CompiledStep,
    /// The losses of the last records, `[RING, 2]`: a look at the state brings them along.
    ring: Param,
    /// How many records were made.
    count: u64,
    keep: CompiledStep,
    trail: Param,
    per_epoch: u64,
    /// Epochs from record to record.
    stride: u64,
    known: Vec<Record>,
    /// Steps whose losses are on the device still.
    unread: Vec<u64>,
    next: u64,
    /// As above, for the weights: steps, and which row of the trail has them.
    rows: Vec<(u64, usize)>,
    trail_stride: u64,
}

impl Records {
    /// Records of losses: at most so many, at least half of it.
    const MOST: usize = 1024;
    /// Records that the device keeps before they have to be read; a power of two.
    const RING: usize = 256;
    /// Records of weights.
    const ROWS: usize = 64;

    pub async fn new(session: &Session, setup: &Setup, cloud: &Cloud, network: &Network, per_epoch: u64) -> Result<Records> {
        let everything = Everything::of(setup, cloud)?;
        let ring = Param::from_array("records", Array::new([Records::RING, 2], &[0.0f32; 2 * Records::RING])?);
        let counter = Param::from_array("records.count", Array::scalar(0u32));
        let losses = session
            .compile_async([], |[]| {
                let [train, test] = everything.losses(network);
                let row = counter.logical_and(Records::RING as u32 - 1);
                let here = Tensor::iota([Records::RING, 2], 0).to(DType::U32).eq(&row);
                let pair = stack(&[&train, &test], 0).reshape([1, 2]).expand([Records::RING, 2]);
                Step::default().updates([(ring.clone(), here.where_(pair, &ring)), (counter.clone(), &counter + 1u32)])
            })
            .await?;
        let params = network.params();
        let flat: Vec<Tensor> = params.iter().map(|p| p.reshape([p.numel()])).collect();
        let all = concat(&flat.iter().collect::<Vec<_>>(), 0);
        let width = all.numel();
        let trail = Param::from_array("trail", Array::new([Records::ROWS, width], &vec![0.0f32; Records::ROWS * width])?);
        let keep = session
            .compile_async([Spec::u32([])], |[row]| {
                let here = Tensor::iota([Records::ROWS, width], 0).to(DType::U32).eq(&row);
                let next = here.where_(all.reshape([1, width]).expand([Records::ROWS, width]), &trail);
                Step::default().updates([(trail.clone(), next)])
            })
            .await?;
        Ok(Records {
            losses,
            ring,
            count: 0,
            keep,
            trail,
            per_epoch,
            stride: 1,
            known: Vec::new(),
            unread: Vec::new(),
            next: 0,
            rows: Vec::new(),
            trail_stride: 1,
        })
    }

    /// The step after which the next record is to be made.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Makes the record of a step.
    pub async fn take(&mut self, session: &Session, step: u64) -> Result<()> {
        let many = self.known.len() + self.unread.len() >= Records::MOST;
        if many || self.unread.len() == Records::RING {
            self.read(session).await?;
        }
        if many {
            self.stride *= 2;
            let period = self.stride * self.per_epoch;
            self.known.retain(|record| record.step.is_multiple_of(period));
        }
        let period = self.stride * self.per_epoch;
        if step.is_multiple_of(period) {
            self.losses.launch_async().await?;
            self.unread.push(step);
            self.count += 1;
        }
        self.next = (step / period + 1) * period;
        self.take_weights(step).await
    }

    async fn take_weights(&mut self, step: u64) -> Result<()> {
        if self.rows.len() >= Records::ROWS {
            self.trail_stride *= 2;
            let period = self.trail_stride * self.per_epoch;
            self.rows.retain(|(step, _)| step.is_multiple_of(period));
        }
        if !step.is_multiple_of(self.trail_stride * self.per_epoch) {
            return Ok(());
        }
        let Some(row) = (0..Records::ROWS).find(|row| self.rows.iter().all(|(_, taken)| taken != row)) else { return Ok(()) };
        self.keep.write(0, &Array::scalar(row as u32))?;
        self.keep.launch_async().await?;
        self.rows.push((step, row));
        Ok(())
    }

    /// Brings the losses that are on the device still.
    pub async fn read(&mut self, session: &Session) -> Result<()> {
        if !self.unread.is_empty() {
            let ring: Vec<f32> = session.get_async(&self.ring).await?.to_vec()?;
            self.take_in(&ring);
        }
        Ok(())
    }

    /// Takes the losses that are on the device still from the ring's values as they are now.
    pub fn take_in(&mut self, ring: &[f32]) {
        let first = self.count - self.unread.len() as u64;
        for (i, step) in (first..).zip(self.unread.drain(..)) {
            let row = (i % Records::RING as u64) as usize;
            if let Some(&[train, test]) = ring.get(2 * row..2 * row + 2) {
                self.known.push(Record { step, train, test });
            }
        }
    }

    /// The state that holds the losses of the last records.
    pub fn ring(&self) -> &Param {
        &self.ring
    }

    pub fn known(&self) -> &[Record] {
        &self.known
    }

    /// The newest record.
    pub async fn last(&mut self, session: &Session) -> Result<Option<Record>> {
        self.read(session).await?;
        Ok(self.known.last().copied())
    }

    pub async fn trail(&self, session: &Session) -> Result<Trail> {
        let all: Vec<f32> = session.get_async(&self.trail).await?.to_vec()?;
        let width = all.len() / Records::ROWS;
        let weights = self.rows.iter().map(|&(_, row)| all[row * width..][..width].to_vec()).collect();
        Ok(Trail { steps: self.rows.iter().map(|&(step, _)| step).collect(), weights })
    }
}

/// What the network gives for features in evaluation.
pub(super) fn evaluated(network: &Network, x: &Tensor) -> Tensor {
    network.forward(x, &Mode::eval())
}

//! The training step, and what it reads.

use noyau_data::{Dataset, Loader};
use noyau_nn::{Adam, Mode, Module, Optimizer, Sgd};
use noyau_tensor::{Array, Param, Result, Tensor};
use noyau_train::{CompiledStep, Resident, Session, Step};

use super::array;
use crate::cloud::Cloud;
use crate::network::{self, Network};
use crate::setup::Running;
use crate::{Penalty, Rule, Setup};

/// The compiled step, with its data in their order on the device.
pub(super) struct Steps {
    step: CompiledStep,
    resident: Resident,
    rate: Param,
    penalty_rate: Param,
    per_epoch: u64,
    /// Epochs whose order the device has at a time.
    epochs: u64,
}

impl Steps {
    /// Samples in an order that the device has: so many that it rarely needs another.
    const ORDER: usize = 1 << 14;

    pub async fn new(session: &Session, setup: &Setup, cloud: &Cloud, network: &Network) -> Result<Steps> {
        let (x, y) = of_points(setup, cloud, 0..cloud.train)?;
        let data = Dataset::new(&x, &y)?;
        let batch = setup.batch.min(cloud.train);
        let loader = Loader::new(&data, batch)?.shuffle(setup.seed).drop_last()?;
        let epochs = (Steps::ORDER / loader.samples()).max(1);
        let resident = Resident::new(&loader, epochs);
        let penalty_rate = Param::scalar("penalty_rate", setup.penalty_rate as f32);
        let optimizer: Box<dyn Optimizer> = match setup.rule {
            Rule::Sgd => Box::new(Sgd::new(1.0)),
            Rule::Momentum => Box::new(Sgd::new(1.0).momentum(0.9)),
            Rule::Nesterov => Box::new(Sgd::new(1.0).momentum(0.9).nesterov(true)),
            Rule::Adam => Box::new(Adam::new(1.0)),
        };
        // A state: changing it compiles nothing.
        let rate = optimizer.settings().rate_factor();
        let (x, y) = resident.batch(batch);
        let outputs = network.forward(&x, &Mode::train());
        let loss = objective_of(network.weights(), setup.penalty, &penalty_rate, network.losses(&outputs, &y).mean());
        let updates = [optimizer.update(&loss, network), resident.updates()].concat();
        let step = session.compile_async([], |[]| Step::default().updates(updates)).await?;
        let mut steps = Steps { step, resident, rate, penalty_rate, per_epoch: loader.len() as u64, epochs: epochs as u64 };
        steps.set_rate(session, Running::Rate, setup.rate).await?;
        Ok(steps)
    }

    pub fn per_epoch(&self) -> u64 {
        self.per_epoch
    }

    /// The step before which the device needs its next order.
    pub fn next_order(&self, step: u64) -> u64 {
        let period = self.per_epoch * self.epochs;
        (step / period + 1) * period
    }

    /// Brings the order and the place in it that belong to a step.
    pub async fn begin(&mut self, session: &Session, step: u64) -> Result<()> {
        let period = self.per_epoch * self.epochs;
        self.resident.begin_async(session, step / period * self.epochs, (step % period) as usize).await
    }

    /// As [`Steps::begin`], where the device has come to the end of its order.
    pub async fn begin_if_due(&mut self, session: &Session, step: u64) -> Result<()> {
        if step.is_multiple_of(self.per_epoch * self.epochs) { self.begin(session, step).await } else { Ok(()) }
    }

    pub fn launches(&self) -> String {
        self.step.describe()
    }

    /// The state that holds how much the penalty weighs.
    pub fn penalty_rate(&self) -> &Param {
        &self.penalty_rate
    }

    pub async fn run(&mut self, steps: u64) -> Result<()> {
        self.step.launch_many_async(steps as usize).await
    }

    pub async fn set_rate(&mut self, session: &Session, what: Running, value: f64) -> Result<()> {
        let param = match what {
            Running::Rate => &self.rate,
            Running::PenaltyRate => &self.penalty_rate,
        };
        session.set_async(param, &Array::scalar(value as f32)).await
    }
}

/// What is made small: the mean loss, and the penalty on weights. Of the squares it is half, as in TensorFlow Playground.
pub(super) fn objective_of<'a>(weights: impl Iterator<Item = &'a Param>, penalty: Penalty, rate: &Tensor, loss: Tensor) -> Tensor {
    let cost = match penalty {
        Penalty::None => None,
        Penalty::L1 => weights.map(|w| w.abs().sum()).reduce(|a, b| a + b),
        Penalty::L2 => weights.map(|w| w.square().sum() * 0.5).reduce(|a, b| a + b),
    };
    cost.map_or(loss.clone(), |cost| loss + cost * rate)
}

/// The features and targets of some of a cloud's points.
pub(crate) fn of_points(setup: &Setup, cloud: &Cloud, range: std::ops::Range<usize>) -> Result<(Array, Array)> {
    let points = &cloud.points[range];
    let x = network::features(&setup.features, network::coordinates(points));
    let y: Vec<f32> = points.iter().flat_map(|point| cloud.targets(point)).collect();
    Ok((array([points.len(), setup.features.len()], &x)?, array([points.len(), cloud.outputs()], &y)?))
}

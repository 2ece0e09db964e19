//! A learning rate by trying all of them.

use noyau::prelude::*;

use crate::options::{Rule, Training};

/// A short training of copies of the weights, while the learning rate rises.
pub fn run(trainer: &mut Trainer, data: &Dataset, training: &Training) -> anyhow::Result<LrCurve> {
    // Steps of Adam are as long as the rate says, whatever the gradient: it wants lower ones.
    let (least, most) = match training.optimizer {
        Rule::Sgd => (1e-4, 10.0),
        Rule::Adam | Rule::Adamw => (1e-6, 1.0),
    };
    let finder = LrFinder::new(least, most).batch_size(training.batch_size);
    Ok(finder.run(trainer, data, |rate| training.optimizer_at(rate))?)
}

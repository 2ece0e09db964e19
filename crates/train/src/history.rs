//! What a training leaves behind in numbers.

use serde::Serialize;

/// One epoch's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's training samples, each seen with the weights of its time.
    pub train_loss: f64,
    /// Share of those that were classified right, 0 to 1; none for regression.
    pub train_accuracy: Option<f64>,
    /// Mean loss over the validation set after the epoch.
    pub test_loss: Option<f64>,
    /// Share of the validation set that is classified right, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// How long the epoch's training took, in seconds, without validation and (in the first epoch) without the very first step.
    pub seconds: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// How long the training's very first step took, compiling included, in milliseconds.
    pub first_step_ms: f64,
}

/// A training's figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// One record an epoch.
    pub epochs: Vec<EpochRecord>,
    /// Kernel launches of one training step.
    pub launches_per_step: usize,
    /// GPU objects made after the first steps had run: 0 when nothing is made any more.
    pub gpu_objects_after_warmup: u64,
}

impl History {
    /// The last epoch's record.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }
}

/// How a model does on a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share classified right, 0 to 1; none for regression.
    pub accuracy: Option<f64>,
    /// `confusion[actual][predicted]`: how many samples; empty for regression.
    pub confusion: Vec<Vec<u64>>,
}

/// Where a training stands, reported while an epoch runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Counted from 1.
    pub epoch: usize,
    /// Of so many epochs.
    pub epochs: usize,
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Mean loss in this epoch so far.
    pub loss: f64,
    /// Share classified right in this epoch so far; none for regression.
    pub accuracy: Option<f64>,
    /// Training samples a second in this epoch so far.
    pub samples_per_second: f64,
}

//! What a training leaves behind in numbers.

use std::path::PathBuf;

use noyau_tensor::{Error, Result};
use serde::{Deserialize, Serialize};

/// One epoch's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The learning rate of the epoch's last update.
    #[serde(deserialize_with = "or_nan")]
    pub learning_rate: f64,
    /// How long the epoch's training took, in seconds, without validation and checkpoints and (in the first epoch) without the very first step.
    pub seconds: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// How long the training's very first step took, compiling included, in milliseconds; in a training that was resumed, the first step since.
    pub first_step_ms: f64,
}

/// A number that JSON has no word for is written as null.
fn or_nan<'de, D: serde::Deserializer<'de>>(text: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(text)?.unwrap_or(f64::NAN))
}

impl EpochRecord {
    /// The names of the figures that [`EpochRecord::metric`] knows.
    pub const METRICS: [&str; 8] =
        ["train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate", "seconds", "samples_per_second", "first_step_ms"];

    /// A figure by its name; `None` where there is none of the kind in this training, or no such name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        match name {
            "train_loss" => Some(self.train_loss),
            "train_accuracy" => self.train_accuracy,
            "test_loss" => self.test_loss,
            "test_accuracy" => self.test_accuracy,
            "learning_rate" => Some(self.learning_rate),
            "seconds" => Some(self.seconds),
            "samples_per_second" => Some(self.samples_per_second),
            "first_step_ms" => Some(self.first_step_ms),
            _ => None,
        }
    }

    /// Whether a figure is better when it is higher.
    pub(crate) fn rises(name: &str) -> bool {
        name.ends_with("accuracy") || name == "samples_per_second"
    }

    /// Fails where a training has no figure of a name; `who` asks for it.
    pub(crate) fn check(who: &str, name: &str, tests: bool, classes: bool) -> Result<()> {
        let refuse = |message: String| Err(Error::argument(who, message));
        if !EpochRecord::METRICS.contains(&name) {
            return refuse(format!("there is no figure `{name}`; there are {}", EpochRecord::METRICS.join(", ")));
        }
        if name.starts_with("test_") && !tests {
            return refuse(format!("`{name}` needs a validation set: add Fit::validate or Fit::validation_split"));
        }
        if name.ends_with("_accuracy") && !classes {
            return refuse(format!("`{name}` needs classes, and the targets are real numbers: use a loss"));
        }
        Ok(())
    }
}

/// Why a training ended before its last epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stopped {
    /// Its [`StopFlag`](crate::StopFlag) was raised. It can be resumed.
    ByFlag,
    /// A callback asked for it, for this reason. Resumed, it stays where it is.
    ByCallback(String),
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stopped::ByFlag => f.write_str("the program asked for it"),
            Stopped::ByCallback(reason) => f.write_str(reason),
        }
    }
}

/// Where a training that was resumed began.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Resumed {
    /// The checkpoint.
    pub file: PathBuf,
    /// Steps that it had done, over all epochs.
    pub step: u64,
    /// Epochs that it had done.
    pub epoch: usize,
    /// Batches of the next epoch that it had done.
    pub batch: usize,
    /// Newer checkpoints that were damaged, and how.
    pub passed_over: Vec<String>,
}

/// A training's figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// One record an epoch.
    pub epochs: Vec<EpochRecord>,
    /// Steps done, over all epochs and all runs of the training.
    pub steps: u64,
    /// Kernel launches of one training step.
    pub launches_per_step: usize,
    /// Why it ended before its last epoch, if it did.
    pub stopped: Option<Stopped>,
    /// Where it began, if it was resumed; the epochs before are among [`History::epochs`].
    pub resumed: Option<Resumed>,
    /// The last checkpoint written.
    pub checkpoint: Option<PathBuf>,
    /// GPU objects made after the first steps had run: 0 when nothing is made any more.
    pub gpu_objects_after_warmup: u64,
}

impl History {
    /// The last epoch's record.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }
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

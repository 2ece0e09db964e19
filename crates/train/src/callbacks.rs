//! What happens after each epoch besides training: stopping early, lowering the learning rate, writing logs.
//!
//! A [`Callback`] sees each epoch's figures and may ask for something by its [`Control`]; what it remembers goes into checkpoints, so that a training that is
//! resumed goes on as if nothing had happened.

// Logs are files.
#[cfg(not(target_arch = "wasm32"))]
mod csv_log;
mod early_stopping;
#[cfg(not(target_arch = "wasm32"))]
mod json_lines;
#[cfg(not(target_arch = "wasm32"))]
mod log_file;
mod plateau;
#[cfg(not(target_arch = "wasm32"))]
mod tensorboard;

use noyau_tensor::{Error, Result};

use crate::history::{EpochRecord, History};

#[cfg(not(target_arch = "wasm32"))]
pub use csv_log::CsvLog;
pub use early_stopping::EarlyStopping;
#[cfg(not(target_arch = "wasm32"))]
pub use json_lines::JsonLines;
pub use plateau::{ReduceLrOnPlateau, Threshold};
#[cfg(not(target_arch = "wasm32"))]
pub use tensorboard::TensorBoard;

/// What is known before a training's first step.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// Epochs that it is to have in all.
    pub epochs: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// The figures so far, of a training that was resumed: see [`History::resumed`].
    pub history: &'a History,
}

/// Something that is called after each epoch: see [`Fit::callback`](crate::Fit::callback). Callbacks are called in the order in which they were added; one
/// that fails ends the training with its error.
pub trait Callback {
    /// What it is called in messages and, with its state, in checkpoints.
    fn name(&self) -> &str;

    /// The figures that it needs, by their names in [`EpochRecord`]: one that this training has not is an error before its first step.
    fn metrics(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it may change the learning rate, which takes a state that steps are compiled with.
    fn changes_rate(&self) -> bool {
        false
    }

    /// Before the first step, and after [`Callback::restore`] in a training that is resumed.
    fn on_begin(&mut self, _beginning: &Beginning<'_>) -> Result<()> {
        Ok(())
    }

    /// After each epoch, before its checkpoint.
    fn on_epoch(&mut self, record: &EpochRecord, control: &mut Control) -> Result<()>;

    /// When the training ends, after its last checkpoint.
    fn on_end(&mut self, _history: &History, _control: &mut Control) -> Result<()> {
        Ok(())
    }

    /// What it remembers, as text of its own.
    fn state(&self) -> String {
        String::new()
    }

    /// Takes up what [`Callback::state`] gave.
    fn restore(&mut self, _state: &str) -> Result<()> {
        Ok(())
    }
}

impl<C: Callback + ?Sized> Callback for &mut C {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn metrics(&self) -> Vec<String> {
        (**self).metrics()
    }
    fn changes_rate(&self) -> bool {
        (**self).changes_rate()
    }
    fn on_begin(&mut self, beginning: &Beginning<'_>) -> Result<()> {
        (**self).on_begin(beginning)
    }
    fn on_epoch(&mut self, record: &EpochRecord, control: &mut Control) -> Result<()> {
        (**self).on_epoch(record, control)
    }
    fn on_end(&mut self, history: &History, control: &mut Control) -> Result<()> {
        (**self).on_end(history, control)
    }
    fn state(&self) -> String {
        (**self).state()
    }
    fn restore(&mut self, state: &str) -> Result<()> {
        (**self).restore(state)
    }
}

/// What a callback may ask for.
#[derive(Clone, Debug)]
pub struct Control {
    rate: f64,
    pub(crate) scale: f64,
    pub(crate) stop: Option<String>,
    pub(crate) keep: bool,
    pub(crate) put_back: bool,
}

impl Control {
    pub(crate) fn new(rate: f64) -> Control {
        Control { rate, scale: 1.0, stop: None, keep: false, put_back: false }
    }

    /// Ends the training after this epoch, for a reason.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.stop = Some(reason.into());
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f64 {
        self.rate * self.scale
    }

    /// Multiplies the learning rate from the next step on, whatever its schedule. The callback must say that it
    /// [changes the rate](Callback::changes_rate).
    pub fn scale_learning_rate(&mut self, factor: f64) {
        self.scale *= factor;
    }

    /// Keeps a copy of the model's weights and buffers as they are now, in memory and in checkpoints, in place of the one that this callback kept before.
    pub fn keep_weights(&mut self) {
        self.keep = true;
    }

    /// Puts back the weights that this callback kept, if it kept any.
    pub fn restore_weights(&mut self) {
        self.put_back = true;
    }
}

/// What a callback remembers, as JSON.
fn to_text(state: &impl serde::Serialize) -> String {
    serde_json::to_string(state).unwrap_or_default()
}

fn from_text<T: serde::de::DeserializeOwned>(who: &str, state: &str) -> Result<T> {
    serde_json::from_str(state)
        .map_err(|e| Error::argument(who, format!("what the checkpoint remembers of it is damaged: {e}; use an earlier one")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Resumed;

    /// An epoch with a test loss, and an accuracy of 1 - loss.
    pub(crate) fn record(epoch: usize, loss: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            train_loss: loss / 2.0,
            train_accuracy: Some(0.5),
            test_loss: Some(loss),
            test_accuracy: Some(1.0 - loss),
            learning_rate: 0.1,
            seconds: 1.5,
            samples_per_second: 100.0,
            first_step_ms: 3.25,
        }
    }

    pub(crate) fn begin(callback: &mut dyn Callback) -> Result<()> {
        callback.on_begin(&Beginning { epochs: 10, steps: 5, history: &History::default() })
    }

    /// Begins a training that is resumed after these epochs.
    pub(crate) fn begin_after(callback: &mut dyn Callback, epochs: &[EpochRecord]) -> Result<()> {
        let history = History { epochs: epochs.to_vec(), resumed: Some(Resumed::default()), ..History::default() };
        callback.on_begin(&Beginning { epochs: 10, steps: 5, history: &history })
    }

    #[test]
    fn figures_that_there_are_not_are_named() {
        let fault = |name, tests, classes| EpochRecord::check("EarlyStopping", name, tests, classes).unwrap_err().to_string();
        assert!(fault("val_loss", true, true).contains("`val_loss`; there are train_loss, train_accuracy, test_loss"));
        assert!(fault("test_loss", false, true).contains("Fit::validate"));
        assert!(fault("train_accuracy", true, false).contains("real numbers"));
        let record = record(1, 0.25);
        for name in EpochRecord::METRICS {
            EpochRecord::check("x", name, true, true).unwrap();
            assert!(record.metric(name).is_some(), "{name}");
        }
    }
}

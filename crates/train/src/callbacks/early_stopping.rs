//! Stopping when a figure gets no better.

use noyau_tensor::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Beginning, Callback, Control, from_text, to_text};
use crate::history::{EpochRecord, History, Stopped};

/// Ends a training when a figure has not become better for some epochs.
///
/// Better is lower for losses and higher for accuracies, by more than `min_delta`; a figure that is not a number is never better. The first epoch's is the
/// first best.
///
/// ```
/// # use noyau_train::{EarlyStopping, Fit};
/// let fit = Fit::epochs(100).callback(EarlyStopping::new("test_loss").patience(5).restore_best(true));
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    metric: String,
    patience: usize,
    min_delta: f64,
    restore_best: bool,
    memory: Memory,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
    epoch: usize,
    waited: usize,
}

impl EarlyStopping {
    /// By a figure of [`EpochRecord`], after 5 epochs in which it got no better.
    pub fn new(metric: impl Into<String>) -> EarlyStopping {
        EarlyStopping { metric: metric.into(), patience: 5, min_delta: 0.0, restore_best: false, memory: Memory::default() }
    }

    /// After how many epochs in a row that are no better it stops; at least 1.
    pub fn patience(mut self, epochs: usize) -> EarlyStopping {
        self.patience = epochs;
        self
    }

    /// By how much a figure must differ from the best to be better; not negative.
    pub fn min_delta(mut self, delta: f64) -> EarlyStopping {
        self.min_delta = delta;
        self
    }

    /// Whether the model gets the weights of the best epoch when the training ends, be it early or not. A training that is stopped by its flag keeps the
    /// last ones: it may be resumed.
    pub fn restore_best(mut self, restore: bool) -> EarlyStopping {
        self.restore_best = restore;
        self
    }

    /// The epoch with the best figure, and that figure.
    pub fn best(&self) -> Option<(usize, f64)> {
        self.memory.best.map(|best| (self.memory.epoch, best))
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        "EarlyStopping"
    }

    fn metrics(&self) -> Vec<String> {
        vec![self.metric.clone()]
    }

    fn on_begin(&mut self, beginning: &Beginning<'_>) -> Result<()> {
        if self.patience == 0 {
            return Err(Error::argument("EarlyStopping: patience", "0 epochs; at least 1 is needed"));
        }
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return Err(Error::argument("EarlyStopping: min_delta", format!("{} is not a number that is at least 0", self.min_delta)));
        }
        if beginning.history.resumed.is_none() {
            self.memory = Memory::default();
        }
        Ok(())
    }

    fn on_epoch(&mut self, record: &EpochRecord, control: &mut Control) -> Result<()> {
        let value = record.metric(&self.metric).unwrap_or(f64::NAN);
        let better = match self.memory.best {
            None => !value.is_nan(),
            Some(best) if EpochRecord::rises(&self.metric) => value > best + self.min_delta,
            Some(best) => value < best - self.min_delta,
        };
        if better {
            self.memory = Memory { best: Some(value), epoch: record.epoch, waited: 0 };
            if self.restore_best {
                control.keep_weights();
            }
            return Ok(());
        }
        self.memory.waited += 1;
        if self.memory.waited >= self.patience {
            let best = self
                .memory
                .best
                .map_or("it never was a number".into(), |best| format!("the best was {best} in epoch {}", self.memory.epoch));
            control.stop(format!("{} has not become better for {} epochs: {best}", self.metric, self.memory.waited));
        }
        Ok(())
    }

    fn on_end(&mut self, history: &History, control: &mut Control) -> Result<()> {
        if self.restore_best && history.stopped != Some(Stopped::ByFlag) {
            control.restore_weights();
        }
        Ok(())
    }

    fn state(&self) -> String {
        to_text(&self.memory)
    }

    fn restore(&mut self, state: &str) -> Result<()> {
        self.memory = from_text("EarlyStopping", state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callbacks::tests::{begin, record};

    /// The epoch in which it stops, of losses by epoch.
    fn stops(mut early: EarlyStopping, losses: &[f64]) -> Option<usize> {
        begin(&mut early).unwrap();
        for (i, &loss) in losses.iter().enumerate() {
            let mut control = Control::new(0.1);
            // What is remembered is enough to go on.
            let state = early.state();
            early.memory = Memory { best: Some(-1e9), epoch: 99, waited: 99 };
            early.restore(&state).unwrap();
            early.on_epoch(&record(i + 1, loss), &mut control).unwrap();
            if control.stop.is_some() {
                return Some(i + 1);
            }
        }
        None
    }

    #[test]
    fn it_waits_as_long_as_it_was_told() {
        let early = EarlyStopping::new("test_loss").patience(2);
        assert_eq!(stops(early.clone(), &[1.0, 0.9, 0.95, 0.8, 0.8, 0.85]), Some(6));
        assert_eq!(stops(early.clone(), &[1.0, 0.9, 0.8, 0.7]), None);
        assert_eq!(stops(early.clone().patience(1), &[1.0, 1.0]), Some(2));
        assert_eq!(stops(early.clone().min_delta(0.2), &[1.0, 0.9, 0.75, 0.7, 0.6]), Some(5));
        assert_eq!(stops(early.clone(), &[f64::NAN, f64::NAN, 1.0]), Some(2));
        assert_eq!(stops(early.clone(), &[1.0, f64::NAN, 0.5, f64::INFINITY, 0.5]), Some(5));
        // The accuracy of these records is 1 - loss: higher is better.
        assert_eq!(stops(EarlyStopping::new("test_accuracy").patience(2), &[0.5, 0.4, 0.45, 0.4]), Some(4));
    }

    #[test]
    fn options_out_of_range() {
        for (early, part) in [
            (EarlyStopping::new("test_loss").patience(0), "patience: 0 epochs"),
            (EarlyStopping::new("test_loss").min_delta(-1.0), "min_delta: -1"),
            (EarlyStopping::new("test_loss").min_delta(f64::NAN), "min_delta: NaN"),
        ] {
            let fault = begin(&mut { early }).unwrap_err().to_string();
            assert!(fault.contains(part), "{fault}");
        }
        assert!(EarlyStopping::new("x").restore("{").unwrap_err().to_string().contains("damaged"));
    }
}

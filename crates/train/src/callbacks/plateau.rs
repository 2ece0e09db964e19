//! Lowering the learning rate when a figure gets no better.

use noyau_tensor::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Beginning, Callback, Control, from_text, to_text};
use crate::history::EpochRecord;

/// How much better a figure must be than the best to count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// By this share of the best.
    Relative(f64),
    /// By this much.
    Absolute(f64),
}

/// Multiplies the learning rate by a factor when a figure has not become better for more than so many epochs: PyTorch's `ReduceLROnPlateau`, with its
/// defaults (factor 0.1, patience 10, relative threshold 1e-4, no cooldown, no least rate). On top of the optimizer's schedule, if it has one.
///
/// ```
/// # use noyau_train::{Fit, ReduceLrOnPlateau};
/// let fit = Fit::epochs(100).callback(ReduceLrOnPlateau::new("test_loss").factor(0.5).patience(3));
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLrOnPlateau {
    metric: String,
    factor: f64,
    patience: usize,
    threshold: Threshold,
    cooldown: usize,
    min_rate: f64,
    memory: Memory,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
    bad: usize,
    cooldown: usize,
}

/// A change of the rate by less than this is none, as in PyTorch.
const LEAST_CHANGE: f64 = 1e-8;

impl ReduceLrOnPlateau {
    /// By a figure of [`EpochRecord`].
    pub fn new(metric: impl Into<String>) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau {
            metric: metric.into(),
            factor: 0.1,
            patience: 10,
            threshold: Threshold::Relative(1e-4),
            cooldown: 0,
            min_rate: 0.0,
            memory: Memory::default(),
        }
    }

    /// What the rate is multiplied by, `0 < factor < 1`.
    pub fn factor(mut self, factor: f64) -> ReduceLrOnPlateau {
        self.factor = factor;
        self
    }

    /// How many epochs in a row may be no better: the one after them lowers the rate.
    pub fn patience(mut self, epochs: usize) -> ReduceLrOnPlateau {
        self.patience = epochs;
        self
    }

    /// How much better than the best a figure must be; not negative.
    pub fn threshold(mut self, threshold: Threshold) -> ReduceLrOnPlateau {
        self.threshold = threshold;
        self
    }

    /// Epochs after a change of the rate that do not count.
    pub fn cooldown(mut self, epochs: usize) -> ReduceLrOnPlateau {
        self.cooldown = epochs;
        self
    }

    /// What the rate does not fall below; not negative.
    pub fn min_lr(mut self, rate: f64) -> ReduceLrOnPlateau {
        self.min_rate = rate;
        self
    }

    fn is_better(&self, value: f64, best: f64) -> bool {
        match (self.threshold, EpochRecord::rises(&self.metric)) {
            (Threshold::Relative(share), false) => value < best * (1.0 - share),
            (Threshold::Relative(share), true) => value > best * (1.0 + share),
            (Threshold::Absolute(delta), false) => value < best - delta,
            (Threshold::Absolute(delta), true) => value > best + delta,
        }
    }
}

impl Callback for ReduceLrOnPlateau {
    fn name(&self) -> &str {
        "ReduceLrOnPlateau"
    }

    fn metrics(&self) -> Vec<String> {
        vec![self.metric.clone()]
    }

    fn changes_rate(&self) -> bool {
        true
    }

    fn on_begin(&mut self, beginning: &Beginning<'_>) -> Result<()> {
        let refuse = |option: &str, value: f64, rule: &str| {
            Err(Error::argument(format!("ReduceLrOnPlateau: {option}"), format!("{value} is not a number {rule}")))
        };
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return refuse("factor", self.factor, "between 0 and 1");
        }
        let (Threshold::Relative(threshold) | Threshold::Absolute(threshold)) = self.threshold;
        if !(threshold >= 0.0 && threshold.is_finite()) {
            return refuse("threshold", threshold, "that is at least 0");
        }
        if !(self.min_rate >= 0.0 && self.min_rate.is_finite()) {
            return refuse("min_lr", self.min_rate, "that is at least 0");
        }
        if beginning.history.resumed.is_none() {
            self.memory = Memory::default();
        }
        Ok(())
    }

    fn on_epoch(&mut self, record: &EpochRecord, control: &mut Control) -> Result<()> {
        let value = record.metric(&self.metric).unwrap_or(f64::NAN);
        let better = self.memory.best.map_or(!value.is_nan(), |best| self.is_better(value, best));
        if better {
            self.memory.best = Some(value);
            self.memory.bad = 0;
        } else {
            self.memory.bad += 1;
        }
        if self.memory.cooldown > 0 {
            self.memory.cooldown -= 1;
            self.memory.bad = 0;
        }
        if self.memory.bad > self.patience {
            let rate = control.learning_rate();
            let next = (rate * self.factor).max(self.min_rate);
            if rate - next > LEAST_CHANGE {
                control.scale_learning_rate(next / rate);
            }
            self.memory.cooldown = self.cooldown;
            self.memory.bad = 0;
        }
        Ok(())
    }

    fn state(&self) -> String {
        to_text(&self.memory)
    }

    fn restore(&mut self, state: &str) -> Result<()> {
        self.memory = from_text("ReduceLrOnPlateau", state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callbacks::tests::{begin, record};

    const LOSSES: [f64; 16] = [1.0, 0.8, 0.8, 0.7999, 0.81, 0.79, 0.9, 0.9, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7];

    fn rates(mut plateau: ReduceLrOnPlateau, values: &[f64]) -> Vec<f64> {
        begin(&mut plateau).unwrap();
        let mut rate = 0.1;
        values
            .iter()
            .enumerate()
            .map(|(i, &value)| {
                let mut control = Control::new(rate);
                let state = plateau.state();
                plateau.memory = Memory { best: Some(-1e9), bad: 99, cooldown: 99 };
                plateau.restore(&state).unwrap();
                plateau.on_epoch(&record(i + 1, value), &mut control).unwrap();
                rate = control.learning_rate();
                rate
            })
            .collect()
    }

    #[track_caller]
    fn close(found: &[f64], wanted: &[f64]) {
        let alike = found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-12);
        assert!(alike, "{found:?}, PyTorch has {wanted:?}");
    }

    // p = torch.nn.Parameter(torch.zeros(1)); o = torch.optim.SGD([p], lr=0.1); s = torch.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
    // for loss in LOSSES: s.step(loss); print(o.param_groups[0]["lr"])
    #[test]
    fn rates_are_pytorchs() {
        let plateau = ReduceLrOnPlateau::new("test_loss").factor(0.5).patience(1);
        close(
            &rates(plateau.clone(), &LOSSES),
            &[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.00625, 0.00625],
        );
        close(
            &rates(plateau.clone().cooldown(2), &LOSSES),
            &[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.0125],
        );
        close(
            &rates(plateau.clone().min_lr(0.03), &LOSSES),
            &[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03],
        );
        close(
            &rates(plateau.clone().threshold(Threshold::Absolute(0.05)), &LOSSES),
            &[0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.0125, 0.00625, 0.00625, 0.003125, 0.003125, 0.0015625, 0.0015625],
        );
        // The accuracy of these records is 1 - loss.
        let rising = ReduceLrOnPlateau { metric: "test_accuracy".into(), ..plateau.clone() };
        close(
            &rates(rising.threshold(Threshold::Relative(0.1)), &LOSSES),
            &[0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.0125, 0.00625, 0.00625, 0.003125, 0.003125, 0.0015625, 0.0015625],
        );
    }

    #[test]
    fn options_out_of_range() {
        let plateau = ReduceLrOnPlateau::new("test_loss");
        for (plateau, part) in [
            (plateau.clone().factor(1.0), "factor: 1 is not a number between 0 and 1"),
            (plateau.clone().factor(f64::NAN), "factor: NaN"),
            (plateau.clone().threshold(Threshold::Absolute(-1.0)), "threshold: -1"),
            (plateau.clone().min_lr(f64::INFINITY), "min_lr: inf"),
        ] {
            let fault = begin(&mut { plateau }).unwrap_err().to_string();
            assert!(fault.contains(part), "{fault}");
        }
    }
}

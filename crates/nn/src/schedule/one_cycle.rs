//! The one-cycle schedule.

use noyau_tensor::{DType, Error, Result, Tensor};

use super::{at_least_one, half_wave, host, word};
use crate::fault::{number, positive};

/// A rate that rises to a maximum and falls to almost nothing, both along half a cosine wave: PyTorch's `OneCycleLR` in its default form, of the
/// learning rate alone (PyTorch cycles the momentum too). After the last step the rate stays, where PyTorch raises an error.
///
/// Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    maximum: f64,
    steps: usize,
    rise: f64,
    div_factor: f64,
    final_div_factor: f64,
}

impl OneCycle {
    /// A cycle of `steps` updates with PyTorch's options.
    pub fn new(maximum: f64, steps: usize) -> OneCycle {
        OneCycle { maximum, steps, rise: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }

    /// The share of the updates, in `0..=1`, in which the rate rises; 0.3 by default.
    pub fn pct_start(mut self, share: f64) -> OneCycle {
        self.rise = share;
        self
    }

    /// The maximum over the first rate; 25 by default.
    pub fn div_factor(mut self, factor: f64) -> OneCycle {
        self.div_factor = factor;
        self
    }

    /// The first rate over the last; 10,000 by default.
    pub fn final_div_factor(mut self, factor: f64) -> OneCycle {
        self.final_div_factor = factor;
        self
    }

    pub(super) fn validate(&self) -> Result<()> {
        positive("learning rate", self.maximum)?;
        at_least_one("steps", self.steps)?;
        if !(0.0..=1.0).contains(&self.rise) {
            return Err(Error::argument("learning rate: pct_start", format!("{} does not lie in 0..=1", self.rise)));
        }
        positive("learning rate: div_factor", self.div_factor)?;
        positive("learning rate: final_div_factor", self.final_div_factor)
    }

    /// The first and the last rate.
    fn ends(&self) -> (f64, f64) {
        let first = self.maximum / self.div_factor;
        (first, first / self.final_div_factor)
    }

    /// The places (not whole numbers in general) of the maximum and of the last update. A maximum at or before 0: no rise.
    fn places(&self) -> (f64, f64) {
        (self.rise * self.steps as f64 - 1.0, self.steps as f64 - 1.0)
    }

    pub(super) fn rate(&self, step: u64) -> f64 {
        let (first, last) = self.ends();
        let (top, end) = self.places();
        let step = step as f64;
        if top > 0.0 && step <= top {
            return host::half_wave(first, self.maximum, step / top);
        }
        let share = if end > top { ((step - top) / (end - top)).min(1.0) } else { 1.0 };
        host::half_wave(self.maximum, last, share)
    }

    #[track_caller]
    pub(super) fn expression(&self, step: &Tensor) -> Tensor {
        let (first, last) = self.ends();
        let (top, end) = self.places();
        let place = step.minimum(word(self.steps)).to(DType::F32);
        let fall = if end > top { ((&place - number(top)) * number(1.0 / (end - top))).minimum(1.0) } else { number(1.0) };
        let falling = half_wave(self.maximum, last, &fall);
        if top <= 0.0 {
            return falling;
        }
        let rising = half_wave(first, self.maximum, &(&place * number(1.0 / top)).minimum(1.0));
        // The counter is whole, so it passes the maximum after the whole part of its place.
        step.le(top.floor() as u32).where_(rising, falling)
    }
}

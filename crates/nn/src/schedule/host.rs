//! Schedules on the host.

use std::f64::consts::PI;

use super::{Kind, Schedule};

impl Schedule {
    /// The rate after `step` updates, computed on the host; NaN when the schedule is not valid. What [`Schedule::at`] gives, but for rounding.
    pub fn value(&self, step: u64) -> f64 {
        if self.validate().is_ok() { self.rate(step) } else { f64::NAN }
    }

    fn rate(&self, step: u64) -> f64 {
        match &self.0 {
            Kind::Constant(rate) => *rate,
            Kind::Step { initial, every, factor } => initial * factor.powf((step / *every as u64) as f64),
            Kind::Exponential { initial, factor } => initial * factor.powf(step as f64),
            Kind::Linear { from, to, steps } => from + (to - from) * share(step, *steps),
            Kind::Cosine { initial, minimum, steps } => half_wave(*initial, *minimum, share(step, *steps)),
            Kind::OneCycle(cycle) => cycle.rate(step),
            Kind::WarmUp { steps, then } => match step.checked_sub(*steps as u64) {
                None => then.rate(0) * (step + 1) as f64 / *steps as f64,
                Some(since) => then.rate(since),
            },
            Kind::Then { first, after, next } => match step.checked_sub(*after as u64) {
                None => first.rate(step),
                Some(since) => next.rate(since),
            },
        }
    }
}

fn share(step: u64, steps: usize) -> f64 {
    (step as f64 / steps as f64).min(1.0)
}

pub(super) fn half_wave(start: f64, end: f64, share: f64) -> f64 {
    end + (start - end) / 2.0 * (1.0 + (PI * share).cos())
}

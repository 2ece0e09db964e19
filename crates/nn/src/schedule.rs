//! Learning rates that change while training, as expressions of the number of updates done.

mod host;
mod one_cycle;

pub use one_cycle::OneCycle;

use noyau_tensor::{DType, Error, Result, Tensor};

use crate::fault::{fail, not_negative, number, positive};

/// A learning rate as a function of the number of updates (batches, not epochs) done before: 0 for the first.
///
/// On a device it is an expression of the optimizer's counter, so a changing rate costs no compilation; [`Schedule::value`] gives the same on the host.
/// A plain number is a constant schedule: `Sgd::new(0.1)`, `Sgd::new(Schedule::cosine(0.1, 0.0, 5_000).warm_up(100))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Constant(f64),
    Step { initial: f64, every: usize, factor: f64 },
    Exponential { initial: f64, factor: f64 },
    Linear { from: f64, to: f64, steps: usize },
    Cosine { initial: f64, minimum: f64, steps: usize },
    OneCycle(OneCycle),
    WarmUp { steps: usize, then: Box<Schedule> },
    Then { first: Box<Schedule>, after: usize, next: Box<Schedule> },
}

impl From<f64> for Schedule {
    fn from(rate: f64) -> Schedule {
        Schedule::constant(rate)
    }
}

impl From<f32> for Schedule {
    fn from(rate: f32) -> Schedule {
        Schedule::constant(rate.into())
    }
}

impl From<OneCycle> for Schedule {
    fn from(cycle: OneCycle) -> Schedule {
        Schedule(Kind::OneCycle(cycle))
    }
}

impl Schedule {
    /// Always the same.
    pub fn constant(rate: f64) -> Schedule {
        Schedule(Kind::Constant(rate))
    }

    /// Multiplied by `factor` after every `every` updates: PyTorch's `StepLR`.
    pub fn step(initial: f64, every: usize, factor: f64) -> Schedule {
        Schedule(Kind::Step { initial, every, factor })
    }

    /// Multiplied by `factor` after each update: PyTorch's `ExponentialLR`.
    pub fn exponential(initial: f64, factor: f64) -> Schedule {
        Schedule(Kind::Exponential { initial, factor })
    }

    /// In a straight line from one value to another within `steps` updates, then constant: PyTorch's `LinearLR`.
    pub fn linear(from: f64, to: f64, steps: usize) -> Schedule {
        Schedule(Kind::Linear { from, to, steps })
    }

    /// Half a cosine wave from `initial` down to `minimum` within `steps` updates, then constant (where PyTorch's `CosineAnnealingLR` rises again).
    ///
    /// Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    pub fn cosine(initial: f64, minimum: f64, steps: usize) -> Schedule {
        Schedule(Kind::Cosine { initial, minimum, steps })
    }

    /// Up to `maximum` and down to almost nothing within `steps` updates: PyTorch's `OneCycleLR` with its defaults; [`OneCycle`] has the options.
    pub fn one_cycle(maximum: f64, steps: usize) -> Schedule {
        OneCycle::new(maximum, steps).into()
    }

    /// One rate until an update, another from there on, and so on: `Schedule::piecewise(0.1, &[(1000, 0.01), (2000, 0.001)])`. The places count from
    /// the beginning and ascend.
    pub fn piecewise(initial: f64, changes: &[(usize, f64)]) -> Schedule {
        let (schedule, _) = changes.iter().fold((Schedule::constant(initial), 0), |(before, _), &(at, rate)| (before.then(at, rate), at));
        schedule
    }

    /// This schedule with `steps` updates before it in which the rate rises in a straight line to its first value: update `i` has `(i + 1) / steps` of it.
    pub fn warm_up(self, steps: usize) -> Schedule {
        Schedule(Kind::WarmUp { steps, then: Box::new(self) })
    }

    /// This schedule for `after` updates, then another, which counts from there: PyTorch's `SequentialLR`.
    pub fn then(self, after: usize, next: impl Into<Schedule>) -> Schedule {
        Schedule(Kind::Then { first: Box::new(self), after, next: Box::new(next.into()) })
    }

    /// Whether the rate never changes, so that no counter is needed.
    pub fn is_constant(&self) -> bool {
        matches!(self.0, Kind::Constant(_))
    }

    /// Whether all numbers make sense: rates positive (those that a schedule falls to may be 0), counts at least 1.
    pub fn validate(&self) -> Result<()> {
        const RATE: &str = "learning rate";
        const FACTOR: &str = "learning rate: factor";
        match &self.0 {
            Kind::Constant(rate) => positive(RATE, *rate),
            Kind::Step { initial, every, factor } => {
                positive(RATE, *initial)?;
                at_least_one("updates between changes", *every)?;
                positive(FACTOR, *factor)
            }
            Kind::Exponential { initial, factor } => {
                positive(RATE, *initial)?;
                positive(FACTOR, *factor)
            }
            Kind::Linear { from, to, steps } => {
                not_negative(RATE, *from)?;
                not_negative(RATE, *to)?;
                at_least_one("steps", *steps)
            }
            Kind::Cosine { initial, minimum, steps } => {
                positive(RATE, *initial)?;
                not_negative("learning rate: minimum", *minimum)?;
                at_least_one("steps", *steps)
            }
            Kind::OneCycle(cycle) => cycle.validate(),
            Kind::WarmUp { steps, then } => {
                at_least_one("warm-up steps", *steps)?;
                then.validate()
            }
            Kind::Then { first, next, .. } => {
                first.validate()?;
                next.validate()
            }
        }
    }

    /// The rate as an expression of `step`, the number of updates done before (u32, a scalar); f32, a scalar.
    #[track_caller]
    pub fn at(&self, step: &Tensor) -> Tensor {
        if step.error().is_some() {
            return step.clone();
        }
        if step.dtype() != DType::U32 || step.rank() != 0 {
            return fail("Schedule::at", format!("the number of updates is {}{}, not a scalar of u32", step.dtype(), step.shape()));
        }
        if let Err(error) = self.validate() {
            return Tensor::invalid(error);
        }
        self.expression(step)
    }

    #[track_caller]
    fn expression(&self, step: &Tensor) -> Tensor {
        match &self.0 {
            Kind::Constant(rate) => number(*rate),
            Kind::Step { initial, every, factor } => power(*initial, *factor, &(step / word(*every)).to(DType::F32)),
            Kind::Exponential { initial, factor } => power(*initial, *factor, &step.to(DType::F32)),
            Kind::Linear { from, to, steps } => number(*from) + share(step, *steps) * number(to - from),
            Kind::Cosine { initial, minimum, steps } => half_wave(*initial, *minimum, &share(step, *steps)),
            Kind::OneCycle(cycle) => cycle.expression(step),
            Kind::WarmUp { steps, then } => {
                let rise =
                    then.expression(&step.zeros_like()) * ((step.minimum(word(*steps)).to(DType::F32) + 1.0) * number(1.0 / *steps as f64));
                step.lt(word(*steps)).where_(rise, then.expression(&since(step, *steps)))
            }
            Kind::Then { first, after, next } => {
                step.lt(word(*after)).where_(first.expression(step), next.expression(&since(step, *after)))
            }
        }
    }
}

fn at_least_one(what: &str, count: usize) -> Result<()> {
    if count > 0 { Ok(()) } else { Err(Error::argument(format!("learning rate: {what}"), "0 is too few; at least 1 is needed")) }
}

/// A count as the counter's type; more updates than it can count never come.
fn word(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The updates since update `start`, 0 before it.
#[track_caller]
fn since(step: &Tensor, start: usize) -> Tensor {
    step.maximum(word(start)) - word(start)
}

/// How much of `steps` updates is done, in `0..=1`.
#[track_caller]
fn share(step: &Tensor, steps: usize) -> Tensor {
    step.minimum(word(steps)).to(DType::F32) * number(1.0 / steps as f64)
}

/// `initial * factor^exponent`.
#[track_caller]
fn power(initial: f64, factor: f64, exponent: &Tensor) -> Tensor {
    (exponent * number(factor.ln())).exp() * number(initial)
}

/// From `start` (at share 0) to `end` (at share 1) along half a cosine wave.
#[track_caller]
fn half_wave(start: f64, end: f64, share: &Tensor) -> Tensor {
    ((share * number(std::f64::consts::PI)).cos() + 1.0) * number((start - end) / 2.0) + number(end)
}

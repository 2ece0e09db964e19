//! AdaGrad.

use noyau_tensor::{Result, Tensor};

use super::sgd::with_decay;
use super::{Optimizer, Settings, Update};
use crate::Schedule;
use crate::fault::{not_negative, number, positive};

/// The gradient over the root of the sum of all its squares so far: `s = s + g^2`, `p - rate * g / (sqrt(s) + eps)`. Rare features learn fast.
///
/// The formulas and defaults are PyTorch's: eps 1e-10, sums begin at 0. Source: Duchi et al., "Adaptive subgradient methods for online learning
/// and stochastic optimization", JMLR 12 (2011).
#[derive(Debug)]
pub struct AdaGrad {
    pub(super) settings: Settings,
    initial: f64,
    eps: f64,
    weight_decay: f64,
}

impl AdaGrad {
    /// At a learning rate (0.01 is usual), a number or a schedule.
    pub fn new(rate: impl Into<Schedule>) -> AdaGrad {
        AdaGrad { settings: Settings::new(rate), initial: 0.0, eps: 1e-10, weight_decay: 0.0 }
    }

    /// What the sums of squares begin with; at least 0.
    pub fn initial_accumulator_value(mut self, initial: f64) -> AdaGrad {
        self.initial = initial;
        self
    }

    /// What is added to the divisor, against division by 0; positive.
    pub fn eps(mut self, eps: f64) -> AdaGrad {
        self.eps = eps;
        self
    }

    /// Adds `decay * p` to the gradient, after clipping.
    pub fn weight_decay(mut self, decay: f64) -> AdaGrad {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for AdaGrad {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn validate(&self) -> Result<()> {
        self.settings.validate()?;
        not_negative("initial_accumulator_value", self.initial)?;
        positive("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)
    }

    #[track_caller]
    fn rule(&self, p: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        let g = with_decay(p, gradient, self.weight_decay);
        let sum = update.moment("sum", self.initial);
        let next = sum.tensor() + g.square();
        update.set(&sum, next.clone());
        p - g / (next.sqrt() + number(self.eps)) * update.rate()
    }
}

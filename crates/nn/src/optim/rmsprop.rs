//! RMSprop.

use noyau_tensor::{Result, Tensor};

use super::sgd::with_decay;
use super::{Optimizer, Settings, Update};
use crate::Schedule;
use crate::fault::{decay, not_negative, number, positive};

/// The gradient over the root of a running mean of its square: `v = alpha v + (1 - alpha) g^2`, `p - rate * g / (sqrt(v) + eps)`.
///
/// The formulas and defaults are PyTorch's: alpha 0.99, eps 1e-8, no momentum, not centered.
/// Source: Hinton, "Neural networks for machine learning", lecture 6e, 2012.
#[derive(Debug)]
pub struct RmsProp {
    pub(super) settings: Settings,
    alpha: f64,
    eps: f64,
    momentum: f64,
    centered: bool,
    weight_decay: f64,
}

impl RmsProp {
    /// At a learning rate (0.01 is usual), a number or a schedule.
    pub fn new(rate: impl Into<Schedule>) -> RmsProp {
        RmsProp { settings: Settings::new(rate), alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }

    /// How much of the running mean of the square is kept at each update, `0 <= alpha < 1`.
    pub fn alpha(mut self, alpha: f64) -> RmsProp {
        self.alpha = alpha;
        self
    }

    /// What is added to the divisor, against division by 0; positive.
    pub fn eps(mut self, eps: f64) -> RmsProp {
        self.eps = eps;
        self
    }

    /// How much of the last update's direction is kept, `0 <= momentum < 1`.
    pub fn momentum(mut self, momentum: f64) -> RmsProp {
        self.momentum = momentum;
        self
    }

    /// Divides by the root of the variance, the mean square less the square of a running mean of the gradient.
    pub fn centered(mut self, centered: bool) -> RmsProp {
        self.centered = centered;
        self
    }

    /// Adds `decay * p` to the gradient, after clipping.
    pub fn weight_decay(mut self, decay: f64) -> RmsProp {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for RmsProp {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn validate(&self) -> Result<()> {
        self.settings.validate()?;
        decay("alpha", self.alpha)?;
        positive("eps", self.eps)?;
        decay("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)
    }

    #[track_caller]
    fn rule(&self, p: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        let g = with_decay(p, gradient, self.weight_decay);
        let square = update.moment("square_avg", 0.0);
        let mut v = &square * number(self.alpha) + g.square() * number(1.0 - self.alpha);
        update.set(&square, v.clone());
        if self.centered {
            let mean = update.moment("grad_avg", 0.0);
            let m = mean.tensor() + (&g - &mean) * number(1.0 - self.alpha);
            update.set(&mean, m.clone());
            // A variance near 0 may be rounded to below it.
            v = (v - m.square()).maximum(0.0);
        }
        let direction = g / (v.sqrt() + number(self.eps));
        if self.momentum == 0.0 {
            return p - direction * update.rate();
        }
        let buffer = update.moment("momentum", 0.0);
        let next = &buffer * number(self.momentum) + direction;
        update.set(&buffer, next.clone());
        p - next * update.rate()
    }
}

//! Stochastic gradient descent.

use noyau_tensor::{Error, Result, Tensor};

use super::{Optimizer, Settings, Update};
use crate::Schedule;
use crate::fault::{decay, not_negative, number};

/// Stochastic gradient descent: `p - rate * g`, optionally with momentum.
///
/// With weight decay, `g` is the gradient plus `decay * p`. With momentum, a buffer `b = momentum * b + g` takes the place of `g`; with Nesterov's,
/// `g + momentum * b` does. The formulas are PyTorch's. Source of the momentum's form: Sutskever et al., "On the importance of initialization and
/// momentum in deep learning", ICML 2013.
#[derive(Debug)]
pub struct Sgd {
    pub(super) settings: Settings,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
}

impl Sgd {
    /// Plain descent at a learning rate, a number or a schedule.
    pub fn new(rate: impl Into<Schedule>) -> Sgd {
        Sgd { settings: Settings::new(rate), momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// How much of the last update's buffer is kept, `0 <= momentum < 1`.
    pub fn momentum(mut self, momentum: f64) -> Sgd {
        self.momentum = momentum;
        self
    }

    /// Nesterov's momentum, which looks one update ahead; needs a momentum above 0.
    pub fn nesterov(mut self, nesterov: bool) -> Sgd {
        self.nesterov = nesterov;
        self
    }

    /// Adds `decay * p` to the gradient (an L2 penalty of `decay / 2 * p^2`), after clipping.
    pub fn weight_decay(mut self, decay: f64) -> Sgd {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for Sgd {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn validate(&self) -> Result<()> {
        self.settings.validate()?;
        decay("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::argument("nesterov", "Nesterov's momentum needs a momentum above 0; set one with .momentum(0.9)"));
        }
        Ok(())
    }

    #[track_caller]
    fn rule(&self, p: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        let g = with_decay(p, gradient, self.weight_decay);
        let direction = if self.momentum == 0.0 {
            g
        } else {
            let buffer = update.moment("momentum", 0.0);
            let next = &buffer * number(self.momentum) + &g;
            update.set(&buffer, next.clone());
            if self.nesterov { g + next * number(self.momentum) } else { next }
        };
        p - direction * update.rate()
    }
}

/// The gradient of the loss plus `decay / 2 * p^2`.
#[track_caller]
pub(super) fn with_decay(p: &Tensor, gradient: &Tensor, decay: f64) -> Tensor {
    if decay == 0.0 { gradient.clone() } else { gradient + p * number(decay) }
}

//! Adam and AdamW.

use noyau_tensor::{Result, Tensor};

use super::sgd::with_decay;
use super::{Optimizer, Settings, Update};
use crate::Schedule;
use crate::fault::{decay, not_negative, number, positive};

/// The rule that Adam and AdamW share.
#[derive(Clone, Copy, Debug)]
struct Moments {
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Moments {
    /// PyTorch's defaults.
    const DEFAULT: Moments = Moments { beta1: 0.9, beta2: 0.999, eps: 1e-8 };

    fn validate(&self) -> Result<()> {
        decay("betas: the first", self.beta1)?;
        decay("betas: the second", self.beta2)?;
        positive("eps", self.eps)
    }

    /// `p - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`.
    #[track_caller]
    fn rule(&self, p: &Tensor, g: &Tensor, update: &mut Update) -> Tensor {
        let (first, second) = (update.moment("exp_avg", 0.0), update.moment("exp_avg_sq", 0.0));
        let m = first.tensor() + (g - &first) * number(1.0 - self.beta1);
        let v = &second * number(self.beta2) + g.square() * number(1.0 - self.beta2);
        update.set(&first, m.clone());
        update.set(&second, v.clone());
        let count = update.count();
        let step = update.rate() / unbiased(self.beta1, &count);
        let deviation = v.sqrt() * unbiased(self.beta2, &count).rsqrt() + number(self.eps);
        p - m / deviation * step
    }
}

/// `1 - beta^count`, without loss of digits where that is small.
#[track_caller]
fn unbiased(beta: f64, count: &Tensor) -> Tensor {
    if beta == 0.0 { number(1.0) } else { -(count * number(beta.ln())).expm1() }
}

/// Adam: steps of about the learning rate, whatever the gradient's scale, by running means of the gradient and of its square.
///
/// `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, and with `t` counting updates from 1
/// `p - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`. Defaults are PyTorch's: betas 0.9 and 0.999, eps 1e-8, no weight decay.
///
/// Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
#[derive(Debug)]
pub struct Adam {
    pub(super) settings: Settings,
    moments: Moments,
    weight_decay: f64,
}

impl Adam {
    /// At a learning rate (0.001 is usual), a number or a schedule.
    pub fn new(rate: impl Into<Schedule>) -> Adam {
        Adam { settings: Settings::new(rate), moments: Moments::DEFAULT, weight_decay: 0.0 }
    }

    /// How much of the running mean of the gradient and of its square is kept at each update, both `0 <= beta < 1`.
    pub fn betas(mut self, first: f64, second: f64) -> Adam {
        (self.moments.beta1, self.moments.beta2) = (first, second);
        self
    }

    /// What is added to the divisor, against division by 0; positive.
    pub fn eps(mut self, eps: f64) -> Adam {
        self.moments.eps = eps;
        self
    }

    /// Adds `decay * p` to the gradient, after clipping; [`AdamW`]'s decay is usually better.
    pub fn weight_decay(mut self, decay: f64) -> Adam {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for Adam {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn validate(&self) -> Result<()> {
        self.settings.validate()?;
        self.moments.validate()?;
        not_negative("weight_decay", self.weight_decay)
    }

    #[track_caller]
    fn rule(&self, p: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        self.moments.rule(p, &with_decay(p, gradient, self.weight_decay), update)
    }
}

/// [`Adam`] with weight decay apart from the gradient: `p` is first multiplied by `1 - rate * decay`. Defaults are PyTorch's, the decay 0.01.
///
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
#[derive(Debug)]
pub struct AdamW {
    pub(super) settings: Settings,
    moments: Moments,
    weight_decay: f64,
}

impl AdamW {
    /// At a learning rate (0.001 is usual), a number or a schedule.
    pub fn new(rate: impl Into<Schedule>) -> AdamW {
        AdamW { settings: Settings::new(rate), moments: Moments::DEFAULT, weight_decay: 0.01 }
    }

    /// How much of the running mean of the gradient and of its square is kept at each update, both `0 <= beta < 1`.
    pub fn betas(mut self, first: f64, second: f64) -> AdamW {
        (self.moments.beta1, self.moments.beta2) = (first, second);
        self
    }

    /// What is added to the divisor, against division by 0; positive.
    pub fn eps(mut self, eps: f64) -> AdamW {
        self.moments.eps = eps;
        self
    }

    /// The share of itself, times the learning rate, that each parameter loses at each update.
    pub fn weight_decay(mut self, decay: f64) -> AdamW {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for AdamW {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn validate(&self) -> Result<()> {
        self.settings.validate()?;
        self.moments.validate()?;
        not_negative("weight_decay", self.weight_decay)
    }

    #[track_caller]
    fn rule(&self, p: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        let smaller = if self.weight_decay == 0.0 { p.clone() } else { p * (1.0 - update.rate() * number(self.weight_decay)) };
        self.moments.rule(&smaller, gradient, update)
    }
}

//! Dropout.

use noyau_tensor::{Error, Tensor};

use super::check_float;
use crate::fault::number;
use crate::{Mode, Module};

/// In training, each element becomes 0 with probability `p` (the field) and is divided by `1 - p` otherwise, so that its mean stays; in evaluation nothing happens.
///
/// Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014), in the inverted form of
/// PyTorch. A `p` outside of `0..=1` is an error that `forward` gives in both modes.
#[derive(Clone, Copy, Debug)]
pub struct Dropout(pub f64);

impl Module for Dropout {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        dropout(x, self.0, mode)
    }
}

/// [`Dropout`] as a function.
#[track_caller]
pub fn dropout(x: &Tensor, p: f64, mode: &Mode) -> Tensor {
    if let Err(error) = check_float("Dropout", x) {
        return error;
    }
    if !(0.0..=1.0).contains(&p) {
        return Tensor::invalid(Error::argument("Dropout", format!("the probability {p} does not lie in 0..=1")));
    }
    if !mode.is_training() || p == 0.0 {
        return x.clone();
    }
    // With p = 1 nothing is kept, whatever the scale.
    let scale = if p == 1.0 { 0.0 } else { 1.0 / (1.0 - p) };
    Tensor::bernoulli(x.shape(), (1.0 - p) as f32).where_(x * number(scale), 0.0)
}

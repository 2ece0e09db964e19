//! Losses on real numbers.

use noyau_tensor::{Error, Tensor};

use super::Loss;
use crate::fault::{number, positive, same_shape};
use crate::mixed::wide;

/// The mean absolute error, in the unit of the target. Both of one shape, f32.
#[track_caller]
pub fn l1_loss(prediction: &Tensor, target: &Tensor) -> Tensor {
    let (prediction, target) = (&wide(prediction), &wide(target));
    match same_shape("l1_loss", prediction, target) {
        Ok(()) => (prediction - target).abs().mean(),
        Err(error) => error,
    }
}

/// The mean squared error, in the square of the target's unit. Both of one shape, f32.
#[track_caller]
pub fn mse_loss(prediction: &Tensor, target: &Tensor) -> Tensor {
    let (prediction, target) = (&wide(prediction), &wide(target));
    match same_shape("mse_loss", prediction, target) {
        Ok(()) => (prediction - target).square().mean(),
        Err(error) => error,
    }
}

/// The mean of `d^2 / 2` where the distance `d` is at most `delta`, else of `delta * (|d| - delta / 2)`: squares without their sensitivity to outliers.
/// Both of one shape, f32; `delta`, in the target's unit, is positive.
///
/// Source: Huber, "Robust estimation of a location parameter", 1964.
#[track_caller]
pub fn huber_loss(prediction: &Tensor, target: &Tensor, delta: f64) -> Tensor {
    let (prediction, target) = (&wide(prediction), &wide(target));
    if let Err(error) = same_shape("huber_loss", prediction, target) {
        return error;
    }
    if let Err(Error::Argument { message, .. }) = positive("delta", delta) {
        return crate::fault::fail("huber_loss", format!("delta: {message}"));
    }
    let d = prediction - target;
    let distance = d.abs();
    let far = (&distance - number(delta / 2.0)) * number(delta);
    distance.le(number(delta)).where_(d.square() * 0.5, far).mean()
}

/// [`huber_loss`] with its delta, as a [`Loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HuberLoss(pub f64);

impl Loss for HuberLoss {
    #[track_caller]
    fn loss(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        huber_loss(prediction, target, self.0)
    }
}

impl Default for HuberLoss {
    /// PyTorch's delta, 1.
    fn default() -> Self {
        HuberLoss(1.0)
    }
}

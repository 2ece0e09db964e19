//! Losses: one number, to be made small, of predictions and targets; and penalties on the parameters themselves.
//!
//! All are means over the batch (of everything that is not the class axis). For another weighting write the expression: a loss is a few tensor
//! operations.

mod classification;
mod cross_entropy;
mod penalty;
mod regression;
mod weights;

pub use classification::{bce_with_logits, hinge_loss, nll_loss};
pub use cross_entropy::{CrossEntropy, cross_entropy};
pub(crate) use cross_entropy::{class_rows, pick};
pub use penalty::{l1_penalty, l2_penalty};
pub use regression::{HuberLoss, huber_loss, l1_loss, mse_loss};
pub use weights::class_weights;

use noyau_tensor::Tensor;

/// What makes one number of predictions and targets. Functions and closures of two tensors are losses.
pub trait Loss: Send + Sync {
    /// The loss, a scalar of f32.
    #[track_caller]
    fn loss(&self, prediction: &Tensor, target: &Tensor) -> Tensor;
}

impl<F: Fn(&Tensor, &Tensor) -> Tensor + Send + Sync> Loss for F {
    #[track_caller]
    fn loss(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        self(prediction, target)
    }
}

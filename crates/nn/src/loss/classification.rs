//! Losses on classes, but for [`cross_entropy`](super::cross_entropy).

use noyau_tensor::Tensor;

use super::cross_entropy::{class_rows, pick};
use crate::activation::log1p_exp_neg_abs;
use crate::fault::same_shape;
use crate::mixed::wide;

/// The binary cross entropy of probabilities `sigmoid(logits)` against targets in `0..=1`, in nats. Both of one shape, f32.
///
/// `-t log(p) - (1 - t) log(1 - p)`, written by the logits so that it is finite and keeps its digits at both ends:
/// `x (1 - t) + log1p(e^-x)` for `x > 0` and `-x t + log1p(e^x)` otherwise. Its gradient is `sigmoid(x) - t` over the number of elements.
#[track_caller]
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Tensor {
    let (logits, targets) = (&wide(logits), &wide(targets));
    if let Err(error) = same_shape("bce_with_logits", logits, targets) {
        return error;
    }
    let positive = logits.gt(0.0);
    let slope = positive.where_(1.0 - targets, -targets);
    (logits * slope + log1p_exp_neg_abs(logits, &positive)).mean()
}

/// The negative log-likelihood: the mean of `-log_probabilities[target]`, in nats, for targets that are class indices (u32 or i32).
///
/// Log-probabilities `[batch, classes]` or `[batch, classes, d1, ...]`, targets `[batch]` or `[batch, d1, ...]`; or `[classes]` and a scalar. A
/// target that names no class makes the loss infinite. [`cross_entropy`](super::cross_entropy) does this and the `log_softmax` before it in one.
#[track_caller]
pub fn nll_loss(log_probabilities: &Tensor, targets: &Tensor) -> Tensor {
    let log_probabilities = &wide(log_probabilities);
    match class_rows("nll_loss", log_probabilities, targets) {
        Ok(rows) => (-(pick(&rows, log_probabilities) + rows.known_log())).mean(),
        Err(error) => error,
    }
}

/// The hinge loss of support vector machines: the mean of `max(0, 1 - t * score)` for targets `t` of -1 or 1. Both of one shape, f32.
///
/// Source: Cortes and Vapnik, "Support-vector networks", 1995.
#[track_caller]
pub fn hinge_loss(scores: &Tensor, targets: &Tensor) -> Tensor {
    let (scores, targets) = (&wide(scores), &wide(targets));
    match same_shape("hinge_loss", scores, targets) {
        Ok(()) => (1.0 - targets * scores).relu().mean(),
        Err(error) => error,
    }
}

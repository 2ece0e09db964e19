//! How far predictions of numbers are off.

use noyau_tensor::Tensor;

use crate::fault::{fail, same_shape};
use crate::loss::l1_loss;
use crate::mixed::wide;

/// The mean absolute error, in the unit of the target. Both of one shape.
#[track_caller]
pub fn mae(prediction: &Tensor, target: &Tensor) -> Tensor {
    l1_loss(prediction, target)
}

/// The root of the mean squared error, in the unit of the target. Both `[batch]` or `[batch, outputs..]`; the mean of the outputs' roots: scikit-learn's
/// `root_mean_squared_error`.
#[track_caller]
pub fn rmse(prediction: &Tensor, target: &Tensor) -> Tensor {
    let (prediction, target) = (&wide(prediction), &wide(target));
    match samples("rmse", prediction, target) {
        Ok(()) => (prediction - target).square().mean_axes(&[0]).sqrt().mean(),
        Err(error) => error,
    }
}

/// The coefficient of determination, the share of the target's variance that the prediction explains: 1 where it is exact, 0 for one that is always
/// the mean, below 0 for worse. Both `[batch]` or `[batch, outputs..]`; the mean over the outputs.
///
/// `1 - sum((y - p)^2) / sum((y - mean(y))^2)`; for an output that is the same in all samples 1 where the prediction is exact, else 0: scikit-learn's
/// `r2_score` with its defaults.
#[track_caller]
pub fn r2_score(prediction: &Tensor, target: &Tensor) -> Tensor {
    let (prediction, target) = (&wide(prediction), &wide(target));
    if let Err(error) = samples("r2_score", prediction, target) {
        return error;
    }
    let residual = (target - prediction).square().sum_axes(&[0]);
    let total = (target - target.mean_keep(&[0])).square().sum_axes(&[0]);
    let constant = residual.eq(0.0).where_(residual.ones_like(), 0.0);
    // 0 over 0 must not come up where the other branch is taken.
    let divisor = total.eq(0.0).where_(1.0, &total);
    total.eq(0.0).where_(constant, 1.0 - residual / divisor).mean()
}

/// Whether both are of one shape that has an axis of samples.
#[track_caller]
fn samples(op: &str, prediction: &Tensor, target: &Tensor) -> Result<(), Tensor> {
    same_shape(op, prediction, target)?;
    if target.rank() == 0 {
        return Err(fail(op, "the target is a scalar; there must be an axis of samples"));
    }
    Ok(())
}

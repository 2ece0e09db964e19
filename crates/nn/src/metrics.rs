//! Numbers for people to read: no gradient flows through them.
//!
//! Functions of tensors count within a batch, as part of a step; [`ConfusionMatrix`] and [`ClassScores`] say what can be said of a whole data set.

mod matrix;
mod ranks;
mod regression;
mod scores;

pub use matrix::{Confusion, ConfusionMatrix};
pub use ranks::{target_ranks, top_k_accuracy, top_k_correct};
pub use regression::{mae, r2_score, rmse};
pub use scores::{ClassScores, Score};

use noyau_tensor::{DType, Tensor};

use crate::fault::{fail, same_shape};
use crate::loss::class_rows;

/// How many rows of logits `[batch, classes]` (or `[batch, classes, d1, ...]`) have their largest element at the target's class, as f32, which is
/// exact up to 2^24 rows. Targets are class indices, u32 or i32, of the logits' shape without axis 1.
#[track_caller]
pub fn correct(logits: &Tensor, targets: &Tensor) -> Tensor {
    match class_rows("correct", logits, targets) {
        Ok(rows) => logits.argmax(rows.axis()).eq(targets.to(DType::U32)).to(DType::F32).sum(),
        Err(error) => error,
    }
}

/// [`correct`] as a share of the rows, in `0..=1`.
#[track_caller]
pub fn accuracy(logits: &Tensor, targets: &Tensor) -> Tensor {
    correct(logits, targets) / targets.numel() as f32
}

/// How many logits are positive where the target (f32) is above a half, or not where it is not, as f32. Both of one shape.
#[track_caller]
pub fn binary_correct(logits: &Tensor, targets: &Tensor) -> Tensor {
    match same_shape("binary_correct", logits, targets) {
        Ok(()) => logits.gt(0.0).eq(targets.gt(0.5)).to(DType::F32).sum(),
        Err(error) => error,
    }
}

/// How often each class (row) was taken for each class (column), `[classes, classes]`, f32; logits are `[batch, classes]`, targets (u32 or i32) `[batch]`.
#[track_caller]
pub fn confusion(logits: &Tensor, targets: &Tensor) -> Tensor {
    if let Err(error) = class_rows("confusion", logits, targets) {
        return error;
    }
    let [_, classes] = logits.shape()[..] else {
        return fail("confusion", format!("the logits {} are not [batch, classes]", logits.shape()));
    };
    targets.one_hot(classes).t().matmul(&logits.argmax(1).one_hot(classes))
}

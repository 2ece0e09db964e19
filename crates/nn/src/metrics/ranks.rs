//! How many classes a model likes better than the right one.

use noyau_tensor::{DType, Tensor};

use crate::fault::fail;
use crate::loss::{class_rows, pick};
use crate::mixed::wide;

/// For each row of logits `[batch, classes]` (or `[batch, classes, d1, ...]`) how many classes are ahead of the target's: 0 where it is classified right; u32, of
/// the targets' shape.
///
/// Of equal logits the first class is ahead, as in [`correct`](super::correct). A logit that is NaN is ahead of all others, and so everything is ahead of a
/// target whose logit is NaN, or that names no class.
#[track_caller]
pub fn target_ranks(logits: &Tensor, targets: &Tensor) -> Tensor {
    let logits = &wide(logits);
    let rows = match class_rows("target_ranks", logits, targets) {
        Ok(rows) => rows,
        Err(error) => return error,
    };
    let axis = rows.axis();
    let own = pick(&rows, logits).unsqueeze(axis);
    let before = Tensor::iota(logits.shape(), axis).lt(targets.to(DType::U32).unsqueeze(axis));
    // By what is not behind, so that NaN is ahead.
    let behind = before.where_(logits.lt(&own), logits.le(&own));
    let ahead = behind.logical_not().to(DType::U32).sum_axes(&[axis]);
    let classes = u32::try_from(rows.classes()).unwrap_or(u32::MAX);
    rows.known().where_(ahead, classes)
}

/// How many rows have the target's class among their `k` largest logits, as f32, which is exact up to 2^24 rows: see [`target_ranks`]. Where there
/// are fewer than `k` classes, all rows with a target that names one have. `k` is at least 1.
#[track_caller]
pub fn top_k_correct(logits: &Tensor, targets: &Tensor, k: usize) -> Tensor {
    let ranks = target_ranks(logits, targets);
    if ranks.error().is_some() {
        return ranks;
    }
    if k == 0 {
        return fail("top_k_correct", "k is 0; the largest logit alone is k = 1");
    }
    let classes = logits.shape()[usize::from(logits.rank() > 1)];
    ranks.lt(u32::try_from(k.min(classes)).unwrap_or(u32::MAX)).to(DType::F32).sum()
}

/// [`top_k_correct`] as a share of the rows, in `0..=1`.
#[track_caller]
pub fn top_k_accuracy(logits: &Tensor, targets: &Tensor, k: usize) -> Tensor {
    top_k_correct(logits, targets, k) / targets.numel() as f32
}

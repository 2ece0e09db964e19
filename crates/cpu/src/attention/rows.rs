//! What becomes of a row of scores: exponentials, forward; backward weights, and the gradients by the scores.

use crate::math;
use crate::simd::versions;

/// Numbers that loops work on side by side.
const LANES: usize = 16;

/// What `versions!` makes functions for; there is only one.
pub(crate) trait Only {}
pub(super) struct Here;
impl Only for Here {}

versions!(soften<O: Only>, soften_row, (row: *mut f32, len: usize, state: *mut f32));
versions!(slopes<O: Only>, slope_row, (scores: *mut f32, toward: *mut f32, len: usize, numbers: [f32; 3]));

/// A row of scores becomes exponentials below the greatest so far. `state`: that, the sum of the exponentials, and by how much what was before is scaled.
///
/// # Safety
/// There are `len` scores and three numbers of state, apart from each other, that nobody else uses.
#[inline(always)]
unsafe fn soften_row<O: Only, const FMA: bool>(row: *mut f32, len: usize, state: *mut f32) {
    // SAFETY: the caller has so many scores, and three numbers of state.
    let (row, state) = unsafe { (std::slice::from_raw_parts_mut(row, len), std::slice::from_raw_parts_mut(state, 3)) };
    let before = state[0];
    let mut tops = [before; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in chunks.by_ref() {
        for (top, &x) in tops.iter_mut().zip(chunk) {
            *top = if x > *top { x } else { *top };
        }
    }
    let mut most = before;
    for &x in tops.iter().chain(chunks.remainder()) {
        most = if x > most { x } else { most };
    }
    if most == f32::NEG_INFINITY {
        // Nothing open yet, unless a score is no number.
        row.iter_mut().for_each(|x| *x = if x.is_nan() { *x } else { 0.0 });
        state[1] += row.iter().sum::<f32>();
        state[2] = 1.0;
        return;
    }
    let weight = |x: f32| if x == f32::NEG_INFINITY { 0.0 } else { math::exp::<FMA>(x - most) };
    let mut sums = [0.0f32; LANES];
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in chunks.by_ref() {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = weight(*x);
            *sum += *x;
        }
    }
    let mut sum = sums.iter().sum::<f32>();
    for x in chunks.into_remainder() {
        *x = weight(*x);
        sum += *x;
    }
    let scale = if before == most { 1.0 } else { math::exp::<FMA>(before - most) };
    state.copy_from_slice(&[most, state[1] * scale + sum, scale]);
}

/// A row of scores becomes weights, and of gradients by weights the gradients by scores times the scale. `numbers`: the logarithm of the row's sum, the sum of
/// result times gradient, the scale.
///
/// # Safety
/// There are `len` numbers of both, apart from each other, that nobody else uses.
#[inline(always)]
unsafe fn slope_row<O: Only, const FMA: bool>(scores: *mut f32, toward: *mut f32, len: usize, [sum, delta, scale]: [f32; 3]) {
    // SAFETY: the caller has so many of each.
    let (scores, toward) = unsafe { (std::slice::from_raw_parts_mut(scores, len), std::slice::from_raw_parts_mut(toward, len)) };
    for (score, toward) in scores.iter_mut().zip(toward) {
        let weight = if *score == f32::NEG_INFINITY { 0.0 } else { math::exp::<FMA>(*score - sum) };
        *score = weight;
        *toward = weight * (*toward - delta) * scale;
    }
}

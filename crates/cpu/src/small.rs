//! Matrix products too small for the packing and blocking of large ones.

use crate::matmul::Steps;
use crate::simd::versions;

/// One small product.
pub(crate) struct Work {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: (*const f32, Steps),
    pub(crate) b: (*const f32, Steps),
    pub(crate) to: (*mut f32, Steps),
    /// [`room`] words.
    pub(crate) pack: *mut f32,
}

/// Computes a product. Unsafe: the matrices must be there.
pub(crate) type Run = unsafe fn(&Work);

/// Elements of a vector.
const LANES: usize = 16;
/// Rows computed side by side.
const ROWS: usize = 6;

/// The words that a product of this size packs.
pub(crate) fn room(m: usize, n: usize, k: usize) -> usize {
    k * m.max(n).next_multiple_of(LANES)
}

/// The function for an instruction set.
pub(crate) fn pick(level: crate::simd::Level) -> Run {
    pick_small::<Small>(level)
}

/// The only one of its kind, to fit [`versions!`].
pub(crate) trait Kernel {}
pub(crate) struct Small;
impl Kernel for Small {}

versions!(pick_small<K: Kernel>, small, (work: &Work));

#[inline(always)]
unsafe fn small<K: Kernel, const FMA: bool>(work: &Work) {
    let padded = |n: usize| n.next_multiple_of(LANES);
    // Vectors run along the longer side: the product's transpose is the product of the transposes.
    let swap = work.m * padded(work.n) > work.n * padded(work.m);
    let (m, n, a, b, to) = if swap {
        let ((a, a_steps), (b, b_steps), (to, to_steps)) = (work.a, work.b, work.to);
        (work.n, work.m, (b, b_steps.transposed()), (a, a_steps.transposed()), (to, to_steps.transposed()))
    } else {
        (work.m, work.n, work.a, work.b, work.to)
    };
    let k = work.k;
    // Rows of the right matrix as whole vectors.
    let (right, step) = if b.1.column == 1 && n % LANES == 0 {
        (b.0, b.1.row)
    } else {
        let width = padded(n);
        for l in 0..k {
            // SAFETY: the room was promised.
            let row = unsafe { std::slice::from_raw_parts_mut(work.pack.add(l * width), width) };
            let (row, rest) = row.split_at_mut(n);
            rest.fill(0.0);
            for (j, x) in row.iter_mut().enumerate() {
                // SAFETY: inside of the right matrix.
                *x = unsafe { *b.0.offset(l as isize * b.1.row + j as isize * b.1.column) };
            }
        }
        (work.pack.cast_const(), width as isize)
    };
    let mut j = 0;
    while j < n {
        let count = LANES.min(n - j);
        let mut i = 0;
        while i + ROWS <= m {
            // SAFETY: the rows and columns are inside of the matrices.
            unsafe { rows::<ROWS, FMA>(i, j, k, count, a, (right, step), to) };
            i += ROWS;
        }
        while i < m {
            // SAFETY: as above.
            unsafe { rows::<1, FMA>(i, j, k, count, a, (right, step), to) };
            i += 1;
        }
        j += LANES;
    }
}

/// `R` rows of `count` elements of the result.
///
/// # Safety
/// Row `i + R - 1` and column `j + count - 1` are inside of the matrices, and the right one has whole vectors.
#[inline(always)]
unsafe fn rows<const R: usize, const FMA: bool>(i: usize, j: usize, k: usize, count: usize, a: (*const f32, Steps), right: (*const f32, isize), to: (*mut f32, Steps)) {
    let mut sums = [[0f32; LANES]; R];
    for l in 0..k {
        // SAFETY: the right matrix has a whole vector at each row.
        let b: &[f32; LANES] = unsafe { &*right.0.offset(l as isize * right.1).add(j).cast() };
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: inside of the left matrix.
            let x = unsafe { *a.0.offset((i + r) as isize * a.1.row + l as isize * a.1.column) };
            for c in 0..LANES {
                sum[c] = if FMA { x.mul_add(b[c], sum[c]) } else { x * b[c] + sum[c] };
            }
        }
    }
    for (r, sum) in sums.iter().enumerate() {
        let row = to.0.wrapping_offset((i + r) as isize * to.1.row + j as isize * to.1.column);
        // SAFETY: inside of the result.
        unsafe {
            if to.1.column == 1 && count == LANES {
                *row.cast() = *sum;
            } else {
                for (c, &x) in sum[..count].iter().enumerate() {
                    *row.offset(c as isize * to.1.column) = x;
                }
            }
        }
    }
}

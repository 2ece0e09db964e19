//! Matrix products too small for the packing and blocking of large ones.

use crate::matmul::Steps;
use crate::simd::Level;

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

/// Columns computed together, whatever the instruction set.
pub(crate) const LANES: usize = 16;

/// The words that a product of this size packs.
pub(crate) fn room(m: usize, n: usize, k: usize) -> usize {
    k * m.max(n).next_multiple_of(LANES)
}

/// The function for an instruction set.
pub(crate) fn pick(level: Level) -> Run {
    match level {
        Level::Base => small::<[f32; LANES]>,
        #[cfg(target_arch = "x86_64")]
        Level::V3 => v3,
        #[cfg(target_arch = "x86_64")]
        Level::V4 => v4,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn v3(work: &Work) {
    // SAFETY: the caller's promise.
    unsafe { small::<[std::arch::x86_64::__m256; 2]>(work) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn v4(work: &Work) {
    // SAFETY: the caller's promise.
    unsafe { small::<std::arch::x86_64::__m512>(work) }
}

/// [`LANES`] floats in registers.
///
/// Written with intrinsics, since sums in arrays do not stay in registers. Only to be used in functions that enable the instructions.
pub(crate) trait Lanes: Copy {
    /// Whether there are registers for the sums of six rows.
    const SIX: bool = true;
    fn zero() -> Self;
    /// `self + x * b`, `b` read from memory.
    ///
    /// # Safety
    /// There are as many floats at `b`.
    unsafe fn add_product(self, x: f32, b: *const f32) -> Self;
    fn to_array(self) -> [f32; LANES];
    /// Writes all of it.
    ///
    /// # Safety
    /// There is room for as many floats at `to`.
    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.to_array()) };
    }
}

impl Lanes for [f32; LANES] {
    // Four floats at a time in 16 registers, as SSE2 and wasm's engines have, are two rows.
    const SIX: bool = cfg!(target_arch = "aarch64");
    #[inline(always)]
    fn zero() -> Self {
        [0.0; LANES]
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    #[inline(always)]
    unsafe fn add_product(mut self, x: f32, b: *const f32) -> Self {
        for (i, sum) in self.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *sum += x * unsafe { *b.add(i) };
        }
        self
    }
    // Vectors by name: loops over the array become vectors too, but go through memory at each step.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline(always)]
    unsafe fn add_product(self, x: f32, b: *const f32) -> Self {
        use std::arch::wasm32::{f32x4_add, f32x4_mul, f32x4_splat, v128, v128_load};
        let x = f32x4_splat(x);
        // SAFETY: both are 16 floats.
        let mut sums: [v128; LANES / 4] = unsafe { std::mem::transmute(self) };
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *sum = f32x4_add(*sum, f32x4_mul(x, unsafe { v128_load(b.add(4 * i).cast()) }));
        }
        // SAFETY: both are 16 floats.
        unsafe { std::mem::transmute(sums) }
    }
    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
    };

    use super::{LANES, Lanes};

    impl Lanes for [__m256; 2] {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the instructions are enabled where this is used.
            unsafe { [_mm256_set1_ps(0.0); 2] }
        }
        #[inline(always)]
        unsafe fn add_product(self, x: f32, b: *const f32) -> Self {
            // SAFETY: the caller's promise; the instructions are enabled where this is used.
            unsafe {
                let x = _mm256_set1_ps(x);
                [_mm256_fmadd_ps(x, _mm256_loadu_ps(b), self[0]), _mm256_fmadd_ps(x, _mm256_loadu_ps(b.add(8)), self[1])]
            }
        }
        #[inline(always)]
        fn to_array(self) -> [f32; LANES] {
            // SAFETY: both are 16 floats.
            unsafe { std::mem::transmute(self) }
        }
    }

    impl Lanes for __m512 {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the instructions are enabled where this is used.
            unsafe { _mm512_set1_ps(0.0) }
        }
        #[inline(always)]
        unsafe fn add_product(self, x: f32, b: *const f32) -> Self {
            // SAFETY: the caller's promise; the instructions are enabled where this is used.
            unsafe { _mm512_fmadd_ps(_mm512_set1_ps(x), _mm512_loadu_ps(b), self) }
        }
        #[inline(always)]
        fn to_array(self) -> [f32; LANES] {
            // SAFETY: both are 16 floats.
            unsafe { std::mem::transmute(self) }
        }
    }
}

#[inline(always)]
unsafe fn small<V: Lanes>(work: &Work) {
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
        // SAFETY: the rows and columns are inside of the matrices.
        unsafe {
            while V::SIX && i + 6 <= m {
                rows::<V, 6>(i, j, k, count, a, (right, step), to);
                i += 6;
            }
            while i + 2 <= m {
                rows::<V, 2>(i, j, k, count, a, (right, step), to);
                i += 2;
            }
            if i < m {
                rows::<V, 1>(i, j, k, count, a, (right, step), to);
            }
        }
        j += LANES;
    }
}

/// `R` rows of `count` elements of the result.
///
/// # Safety
/// Row `i + R - 1` and column `j + count - 1` are inside of the matrices, and the right one has whole vectors.
#[inline(always)]
unsafe fn rows<V: Lanes, const R: usize>(
    i: usize,
    j: usize,
    k: usize,
    count: usize,
    a: (*const f32, Steps),
    right: (*const f32, isize),
    to: (*mut f32, Steps),
) {
    let mut sums = [V::zero(); R];
    for l in 0..k {
        let b = right.0.wrapping_offset(l as isize * right.1).wrapping_add(j);
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: inside of the left matrix, and the right one has a whole vector at each row.
            *sum = unsafe { sum.add_product(*a.0.offset((i + r) as isize * a.1.row + l as isize * a.1.column), b) };
        }
    }
    for (r, sum) in sums.iter().enumerate() {
        let row = to.0.wrapping_offset((i + r) as isize * to.1.row + j as isize * to.1.column);
        let sum = sum.to_array();
        // SAFETY: inside of the result.
        unsafe {
            match (to.1.column, count) {
                (1, LANES) => row.cast::<[f32; LANES]>().write_unaligned(sum),
                (1, 8) => row.cast::<[f32; 8]>().write_unaligned([sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7]]),
                (step, _) => sum[..count].iter().enumerate().for_each(|(c, &x)| *row.offset(c as isize * step) = x),
            }
        }
    }
}

//! What reductions do: numbers combined in a fixed order that depends on their count only.
//!
//! Sums of floats (and of products and squares): 32 partial sums over at most 1,024 elements (or 32 lines), and f64 above that; so the
//! error stays near that of pairwise summation.

use crate::simd::fetch;

/// A reduction of one element type.
pub(crate) trait Fold {
    type T: Copy;
    /// What partial results are collected in; at most two words.
    type Wide: Copy;
    const IDENTITY: Self::T;
    fn combine(a: Self::T, b: Self::T) -> Self::T;
    fn widen(a: Self::T) -> Self::Wide;
    fn collect(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn narrow(a: Self::Wide) -> Self::T;
}

macro_rules! fold {
    ($($name:ident: $t:ty as $wide:ty, $identity:expr, |$a:ident, $b:ident| $combine:expr, $collect:expr;)*) => {$(
        pub(crate) struct $name;
        impl Fold for $name {
            type T = $t;
            type Wide = $wide;
            const IDENTITY: $t = $identity;
            #[inline(always)]
            fn combine($a: $t, $b: $t) -> $t {
                $combine
            }
            #[inline(always)]
            fn widen(a: $t) -> $wide {
                a as $wide
            }
            #[inline(always)]
            fn collect($a: $wide, $b: $wide) -> $wide {
                $collect
            }
            #[inline(always)]
            fn narrow(a: $wide) -> $t {
                a as $t
            }
        }
    )*};
}

fold! {
    SumF: f32 as f64, 0.0, |a, b| a + b, a + b;
    ProdF: f32 as f64, 1.0, |a, b| a * b, a * b;
    MaxF: f32 as f32, f32::NEG_INFINITY, |a, b| if a > b || a.is_nan() { a } else { b }, Self::combine(a, b);
    MinF: f32 as f32, f32::INFINITY, |a, b| if a < b || a.is_nan() { a } else { b }, Self::combine(a, b);
    SumW: u32 as u32, 0, |a, b| a.wrapping_add(b), Self::combine(a, b);
    ProdW: u32 as u32, 1, |a, b| a.wrapping_mul(b), Self::combine(a, b);
    MaxI: i32 as i32, i32::MIN, |a, b| a.max(b), Self::combine(a, b);
    MinI: i32 as i32, i32::MAX, |a, b| a.min(b), Self::combine(a, b);
    MaxU: u32 as u32, 0, |a, b| a.max(b), Self::combine(a, b);
    MinU: u32 as u32, u32::MAX, |a, b| a.min(b), Self::combine(a, b);
    AllB: u32 as u32, 1, |a, b| a & b, Self::combine(a, b);
}

const LANES: usize = 32;
const BLOCK: usize = 1024;

/// How many elements ahead of a sum memory is asked for: processors' own fetching ends at pages, and keeps too few lines on their way.
const AHEAD: usize = 4096;

/// All elements of a slice combined; where it is `FAR`, with what follows it fetched meanwhile.
#[inline(always)]
pub(crate) fn fold_slice<F: Fold, const FAR: bool>(x: &[F::T]) -> F::Wide {
    if x.len() < LANES {
        return F::widen(x.iter().fold(F::IDENTITY, |a, &b| F::combine(a, b)));
    }
    let mut total = F::widen(F::IDENTITY);
    for block in x.chunks(BLOCK) {
        let mut lanes = [F::IDENTITY; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for x in whole {
            if FAR {
                let next = x.as_ptr().wrapping_add(AHEAD).cast();
                fetch::<true>(next);
                fetch::<true>(next.wrapping_add(LANES / 2));
            }
            for i in 0..LANES {
                lanes[i] = F::combine(lanes[i], x[i]);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane = F::combine(*lane, x);
        }
        total = F::collect(total, F::widen(together::<F>(lanes)));
    }
    total
}

/// Partial results combined, one half with the other.
#[inline(always)]
fn together<F: Fold>(mut lanes: [F::T; LANES]) -> F::T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = F::combine(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of products, rounded as if these were written down before [`fold_slice`].
#[inline(always)]
pub(crate) fn fold_products(x: &[f32], y: &[f32]) -> f64 {
    if x.len() < LANES {
        return x.iter().zip(y).fold(0.0, |sum: f32, (x, y)| sum + x * y).into();
    }
    let mut total = 0.0;
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        let mut lanes = [0.0f32; LANES];
        let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in x.iter().zip(y) {
            // Apart from the sums, or neither becomes vectors.
            let mut products = *x;
            for i in 0..LANES {
                products[i] *= y[i];
            }
            for i in 0..LANES {
                lanes[i] += products[i];
            }
        }
        for ((lane, x), y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
            *lane += x * y;
        }
        total += f64::from(together::<SumF>(lanes));
    }
    total
}

/// The sum of squares of differences from `y`, rounded as if differences and squares were written down before [`fold_slice`].
#[inline(always)]
pub(crate) fn fold_squares(x: &[f32], y: f32) -> f64 {
    if x.len() < LANES {
        return x.iter().fold(0.0, |sum: f32, x| sum + (x - y) * (x - y)).into();
    }
    let mut total = 0.0;
    for x in x.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let (x, rest) = x.as_chunks::<LANES>();
        for x in x {
            let mut squares = *x;
            for square in &mut squares {
                let difference = *square - y;
                *square = difference * difference;
            }
            for i in 0..LANES {
                lanes[i] += squares[i];
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += (x - y) * (x - y);
        }
        total += f64::from(together::<SumF>(lanes));
    }
    total
}

/// Columns of lines combined, a group of neighbours at a time, and given to `put`.
///
/// # Safety
/// `x` is the first of `lines` lines of `cols` elements, `step` apart.
#[inline(always)]
pub(crate) unsafe fn fold_lines<F: Fold>(x: *const F::T, step: isize, lines: usize, cols: usize, mut put: impl FnMut(usize, F::Wide)) {
    let mut c = 0;
    while c + LANES <= cols {
        let mut total = [F::widen(F::IDENTITY); LANES];
        let mut l = 0;
        while l < lines {
            let mut lanes = [F::IDENTITY; LANES];
            let end = (l + LANES).min(lines);
            while l < end {
                // SAFETY: the line has all of the group's columns.
                let row: &[F::T; LANES] = unsafe { &*x.offset(l as isize * step).add(c).cast() };
                for i in 0..LANES {
                    lanes[i] = F::combine(lanes[i], row[i]);
                }
                l += 1;
            }
            for i in 0..LANES {
                total[i] = F::collect(total[i], F::widen(lanes[i]));
            }
        }
        for (i, &total) in total.iter().enumerate() {
            put(c + i, total);
        }
        c += LANES;
    }
    if c < cols {
        let n = cols - c;
        let mut total = [F::widen(F::IDENTITY); LANES];
        let mut l = 0;
        while l < lines {
            let mut lanes = [F::IDENTITY; LANES];
            let end = (l + LANES).min(lines);
            while l < end {
                // SAFETY: the line has the remaining columns.
                let row = unsafe { std::slice::from_raw_parts(x.offset(l as isize * step).add(c), n) };
                for (lane, &x) in lanes.iter_mut().zip(row) {
                    *lane = F::combine(*lane, x);
                }
                l += 1;
            }
            for i in 0..n {
                total[i] = F::collect(total[i], F::widen(lanes[i]));
            }
        }
        for (i, &total) in total[..n].iter().enumerate() {
            put(c + i, total);
        }
    }
}

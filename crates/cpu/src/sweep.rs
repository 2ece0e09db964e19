//! The loops of products that slide over an image, for each instruction set: tiles of results that stay in registers for the whole sum.

use crate::simd::Level;
use crate::small::{LANES, Lanes};

/// Rows of results over neighbouring positions: sums over taps.
pub(crate) struct OverTaps<'a> {
    pub(crate) taps: &'a [isize],
    /// To which taps add; a vector can be read at each of them.
    pub(crate) from: *const f32,
    /// Vectors of positions.
    pub(crate) vectors: usize,
    /// Groups of rows, see [`height`].
    pub(crate) weights: *const f32,
    pub(crate) m: usize,
    /// Rows of whole vectors.
    pub(crate) to: *mut f32,
}

/// Rows of results over the left matrix's rows: sums over positions, added to what is there.
pub(crate) struct OverPositions<'a> {
    pub(crate) taps: &'a [isize],
    pub(crate) from: *const f32,
    /// Where runs of positions begin, and how long they are.
    pub(crate) lines: &'a [isize],
    pub(crate) run: usize,
    /// Each position's column of the left matrix, `width` elements: whole vectors.
    pub(crate) turned: *const f32,
    pub(crate) width: usize,
    /// A row of `width` elements a tap.
    pub(crate) sums: *mut f32,
}

/// How many of the remaining rows are computed together, where at most `tall` can be.
pub(crate) fn height(rest: usize, tall: usize) -> usize {
    match rest {
        _ if rest >= tall => tall,
        5.. => tall,
        3.. if tall > 4 => 4,
        2.. if tall > 2 => 2,
        _ => 1,
    }
}

/// The functions of one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct TapSweep {
    /// Rows of a tile.
    pub(crate) tall: usize,
    pub(crate) run: unsafe fn(&OverTaps),
    /// Rows become columns.
    pub(crate) turn: unsafe fn(&Turn),
}

#[derive(Clone, Copy)]
pub(crate) struct PositionSweep {
    pub(crate) run: unsafe fn(&OverPositions),
    /// Rows become columns.
    pub(crate) turn: unsafe fn(&Turn),
}

impl TapSweep {
    pub(crate) fn pick(level: Level) -> TapSweep {
        match level {
            Level::Base => TapSweep { tall: 2, run: over_taps::<[f32; LANES], 2, 1>, turn: turn_base },
            #[cfg(target_arch = "x86_64")]
            Level::V3 => TapSweep { tall: 6, run: x86::taps_v3, turn: x86::turn_v3 },
            #[cfg(target_arch = "x86_64")]
            Level::V4 => TapSweep { tall: 8, run: x86::taps_v4, turn: x86::turn_v3 },
        }
    }
}

impl PositionSweep {
    pub(crate) fn pick(level: Level) -> PositionSweep {
        match level {
            Level::Base => PositionSweep { run: over_positions::<[f32; LANES], 2, 1>, turn: turn_base },
            #[cfg(target_arch = "x86_64")]
            Level::V3 => PositionSweep { run: x86::positions_v3, turn: x86::turn_v3 },
            #[cfg(target_arch = "x86_64")]
            Level::V4 => PositionSweep { run: x86::positions_v4, turn: x86::turn_v3 },
        }
    }
}

unsafe fn turn_base(work: &Turn) {
    // SAFETY: the caller's promise.
    unsafe { turn(work, |from, rows, to, step| square(from, rows, to, step)) }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use std::arch::x86_64::*;

    use super::{OverPositions, OverTaps, SIDE, Turn, over_positions, over_taps, turn};

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn taps_v3(work: &OverTaps) {
        // SAFETY: the caller's promise.
        unsafe { over_taps::<[__m256; 2], 6, 1>(work) }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn taps_v4(work: &OverTaps) {
        // SAFETY: the caller's promise.
        unsafe { over_taps::<__m512, 8, 3>(work) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn positions_v3(work: &OverPositions) {
        // SAFETY: the caller's promise.
        unsafe { over_positions::<[__m256; 2], 6, 1>(work) }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn positions_v4(work: &OverPositions) {
        // SAFETY: the caller's promise.
        unsafe { over_positions::<__m512, 9, 2>(work) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn turn_v3(work: &Turn) {
        // SAFETY: the caller's promise; the instructions are enabled.
        unsafe { turn(work, |from, rows, to, step| square(from, rows, to, step)) }
    }

    /// In three rounds: pairs of words, pairs of these, and the halves of vectors change places.
    ///
    /// # Safety
    /// The rows' places have `SIDE` elements each, and there is room for `SIDE` columns.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(crate) unsafe fn square(from: *const f32, rows: &[isize; SIDE], to: *mut f32, step: usize) {
        // SAFETY: the caller's promise.
        let r = rows.map(|row| unsafe { _mm256_loadu_ps(from.offset(row)) });
        let (a, b) = (_mm256_unpacklo_ps(r[0], r[1]), _mm256_unpackhi_ps(r[0], r[1]));
        let (c, d) = (_mm256_unpacklo_ps(r[2], r[3]), _mm256_unpackhi_ps(r[2], r[3]));
        let (e, f) = (_mm256_unpacklo_ps(r[4], r[5]), _mm256_unpackhi_ps(r[4], r[5]));
        let (g, h) = (_mm256_unpacklo_ps(r[6], r[7]), _mm256_unpackhi_ps(r[6], r[7]));
        // Columns 0 to 3 of rows 0 to 3, with columns 4 to 7 in the upper halves; then the same of rows 4 to 7.
        let top = [
            _mm256_shuffle_ps::<0x44>(a, c),
            _mm256_shuffle_ps::<0xEE>(a, c),
            _mm256_shuffle_ps::<0x44>(b, d),
            _mm256_shuffle_ps::<0xEE>(b, d),
        ];
        let bottom = [
            _mm256_shuffle_ps::<0x44>(e, g),
            _mm256_shuffle_ps::<0xEE>(e, g),
            _mm256_shuffle_ps::<0x44>(f, h),
            _mm256_shuffle_ps::<0xEE>(f, h),
        ];
        for x in 0..4 {
            // SAFETY: the caller's promise.
            unsafe {
                _mm256_storeu_ps(to.add(x * step), _mm256_permute2f128_ps::<0x20>(top[x], bottom[x]));
                _mm256_storeu_ps(to.add((x + 4) * step), _mm256_permute2f128_ps::<0x31>(top[x], bottom[x]));
            }
        }
    }
}

/// `TALL` rows by `WIDE` vectors at a time.
///
/// # Safety
/// There is memory at all taps of all vectors, the weights are groups of rows made for `TALL`, and there is room for all rows.
#[inline(always)]
unsafe fn over_taps<V: Lanes, const TALL: usize, const WIDE: usize>(work: &OverTaps) {
    let mut j = 0;
    while j < work.vectors {
        // Tiles of about the same width: a narrow one does not fill the registers.
        let rest = work.vectors - j;
        let wide = rest.div_ceil(rest.div_ceil(WIDE));
        let (mut i, mut weights) = (0, work.weights);
        while i < work.m {
            let tall = height(work.m - i, TALL);
            // SAFETY: the caller's promise.
            unsafe {
                match tall {
                    4 if TALL > 4 => tap_rows::<V, 4, WIDE>(work, wide, i, j, weights),
                    2 if TALL > 2 => tap_rows::<V, 2, WIDE>(work, wide, i, j, weights),
                    1 => tap_rows::<V, 1, WIDE>(work, wide, i, j, weights),
                    _ => tap_rows::<V, TALL, WIDE>(work, wide, i, j, weights),
                }
            }
            weights = weights.wrapping_add(tall * work.taps.len());
            i += tall;
        }
        j += wide;
    }
}

/// # Safety
/// As for [`over_taps`].
#[inline(always)]
unsafe fn tap_rows<V: Lanes, const R: usize, const WIDE: usize>(work: &OverTaps, wide: usize, i: usize, j: usize, weights: *const f32) {
    // SAFETY: the caller's promise.
    unsafe {
        match wide {
            3 if WIDE >= 3 => tap_tile::<V, R, 3>(work, i, j, weights),
            2 if WIDE >= 2 => tap_tile::<V, R, 2>(work, i, j, weights),
            _ => tap_tile::<V, R, 1>(work, i, j, weights),
        }
    }
}

/// # Safety
/// As for [`over_taps`].
#[inline(always)]
unsafe fn tap_tile<V: Lanes, const R: usize, const N: usize>(work: &OverTaps, i: usize, j: usize, weights: *const f32) {
    let from = work.from.wrapping_add(j * LANES);
    debug_assert!(j + N <= work.vectors);
    let mut sums = [[V::zero(); N]; R];
    let mut weights = weights;
    for &tap in work.taps {
        let from = from.wrapping_offset(tap);
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the group has `R` weights a tap.
            let weight = unsafe { *weights.add(r) };
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: there is memory for the vector.
                *sum = unsafe { sum.add_product(weight, from.add(v * LANES)) };
            }
        }
        weights = weights.wrapping_add(R);
    }
    let rows = work.m - i;
    let width = work.vectors * LANES;
    for (r, sums) in sums.iter().enumerate() {
        // A condition instead of a shorter loop, which would keep the sums in memory.
        if r < rows {
            for (v, sum) in sums.iter().enumerate() {
                // SAFETY: the row has whole vectors.
                unsafe { sum.write(work.to.add((i + r) * width + (j + v) * LANES)) };
            }
        }
    }
}

/// `TALL` taps by `WIDE` vectors of rows at a time.
///
/// # Safety
/// There is a word at all taps of all positions, and all rows of `turned` and `sums` are whole.
#[inline(always)]
unsafe fn over_positions<V: Lanes, const TALL: usize, const WIDE: usize>(work: &OverPositions) {
    let vectors = work.width / LANES;
    let mut j = 0;
    while j < vectors {
        let rest = vectors - j;
        let wide = rest.div_ceil(rest.div_ceil(WIDE));
        let mut i = 0;
        while i < work.taps.len() {
            let rest = work.taps.len() - i;
            // SAFETY: the caller's promise.
            i += unsafe {
                match rest {
                    1 => position_rows::<V, 1, WIDE>(work, wide, i, j),
                    2..=3 if TALL > 3 => position_rows::<V, 3, WIDE>(work, wide, i, j),
                    4..=6 if TALL > 6 => position_rows::<V, 6, WIDE>(work, wide, i, j),
                    _ => position_rows::<V, TALL, WIDE>(work, wide, i, j),
                }
            };
        }
        j += wide;
    }
}

/// # Safety
/// As for [`over_positions`].
#[inline(always)]
unsafe fn position_rows<V: Lanes, const R: usize, const WIDE: usize>(work: &OverPositions, wide: usize, i: usize, j: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        match wide {
            2 if WIDE >= 2 => position_tile::<V, R, 2>(work, i, j),
            _ => position_tile::<V, R, 1>(work, i, j),
        }
    }
    R
}

/// # Safety
/// As for [`over_positions`].
#[inline(always)]
unsafe fn position_tile<V: Lanes, const R: usize, const N: usize>(work: &OverPositions, i: usize, j: usize) {
    debug_assert!((j + N) * LANES <= work.width && i < work.taps.len());
    // Where there are fewer taps, the last one is computed several times.
    let mut taps = [0; R];
    for (r, tap) in taps.iter_mut().enumerate() {
        *tap = work.taps[(i + r).min(work.taps.len() - 1)];
    }
    let mut sums = [[V::zero(); N]; R];
    let mut column = work.turned.wrapping_add(j * LANES);
    for &line in work.lines {
        let from = taps.map(|tap| work.from.wrapping_offset(line + tap));
        for x in 0..work.run {
            for (sums, from) in sums.iter_mut().zip(&from) {
                // SAFETY: there is a word.
                let word = unsafe { *from.add(x) };
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: columns are whole vectors.
                    *sum = unsafe { sum.add_product(word, column.add(v * LANES)) };
                }
            }
            column = column.wrapping_add(work.width);
        }
    }
    let count = work.taps.len() - i;
    for (r, sums) in sums.iter().enumerate() {
        if r < count {
            for (v, sum) in sums.iter().enumerate() {
                let to = work.sums.wrapping_add((i + r) * work.width + (j + v) * LANES);
                // SAFETY: there is a row of whole vectors for each tap.
                unsafe { sum.add_product(1.0, to).write(to) };
            }
        }
    }
}

/// Columns of a matrix that are to lie side by side.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    /// The first column's element of a row that begins at place 0.
    pub(crate) from: *const f32,
    /// The rows' places.
    pub(crate) rows: &'a [isize],
    /// The columns' places; neighbours where there are none.
    pub(crate) columns: Option<&'a [isize]>,
    pub(crate) count: usize,
    /// `width` words a column, as many as there are rows or more.
    pub(crate) to: *mut f32,
    pub(crate) width: usize,
}

/// The side of the squares that neighbouring columns are turned in.
pub(crate) const SIDE: usize = 8;

/// # Safety
/// The rows' places have `SIDE` elements each, and there is room for `SIDE` columns.
#[inline(always)]
pub(crate) unsafe fn square(from: *const f32, rows: &[isize; SIDE], to: *mut f32, step: usize) {
    for (y, row) in rows.iter().enumerate() {
        for x in 0..SIDE {
            // SAFETY: the caller's promise.
            unsafe { *to.add(x * step + y) = *from.offset(row + x as isize) };
        }
    }
}

/// # Safety
/// The places are the matrix's, and there is room for all columns. `square` turns `SIDE` rows of `SIDE` elements: from, the rows' places, to, the step from
/// column to column.
#[inline(always)]
unsafe fn turn(work: &Turn, square: impl Fn(*const f32, &[isize; SIDE], *mut f32, usize)) {
    debug_assert!(work.rows.len() <= work.width && work.columns.is_none_or(|columns| work.count <= columns.len()));
    let mut c = 0;
    while c < work.count {
        let whole = work.columns.is_none() && c + SIDE <= work.count;
        let count = if whole { SIDE } else { 1 };
        let column = work.columns.map_or(c as isize, |columns| columns[c]);
        let (from, to) = (work.from.wrapping_offset(column), work.to.wrapping_add(c * work.width));
        let (squares, rest) = work.rows.as_chunks::<SIDE>();
        if whole {
            for (i, rows) in squares.iter().enumerate() {
                // The columns are neighbours, as a square asks.
                square(from, rows, to.wrapping_add(i * SIDE), work.width);
            }
        }
        let (rows, first) = if whole { (rest, work.rows.len() - rest.len()) } else { (work.rows, 0) };
        for (i, row) in rows.iter().enumerate() {
            for x in 0..count {
                // SAFETY: the caller's promise.
                unsafe { *to.add(x * work.width + first + i) = *from.offset(row + x as isize) };
            }
        }
        c += count;
    }
}

//! Products of a matrix and windows that slide over an image ([`Windows`]), by vectors that are read where the image lies.
//!
//! Which direction vectors run in depends on what is summed:
//!
//! - Over the taps (a convolution, or the gradient of its input): neighbouring positions are neighbours in memory, and one tap of a row of positions is
//!   a vector from wherever the tap looks. Where a row of the image ends, what is between the last position and the next row's first is computed
//!   too and thrown away.
//! - Over the positions (the gradient of a kernel): vectors run over the other matrix's rows, which are turned into columns for that, and each tap of
//!   a position is one word, multiplied by all of them.
//!
//! Sums go in the order of taps or positions, whatever the number of threads.

use std::ops::Range;

use noyau_compile::plan::{self, Digit, Matrix};

use crate::matmul::{Piece, Steps};
use crate::pack::copy;
use crate::simd::Level;
use crate::small::LANES;
use crate::sweep::{OverPositions, OverTaps, PositionSweep, TapSweep, Turn, height};
use crate::windows::Windows;

/// Multiplications that are worth a piece of their own.
const PIECE: usize = 1 << 21;
/// Elements of a piece's result.
const PIECE_RESULT: usize = 1 << 16;
/// Elements of the turned matrix that are held at a time, beside the block: they stay in a core's second cache.
const TURNED: usize = 1 << 15;
/// Pieces that are enough for any machine's threads.
const PIECES: usize = 32;
/// Computed and thrown away, at most: so many times what is kept.
const WASTE: usize = 2;

/// Over what is summed.
enum Sum {
    Taps {
        /// The left matrix's places: each row, each tap.
        rows: Vec<isize>,
        taps: Vec<isize>,
        sweep: TapSweep,
    },
    Positions {
        /// The left matrix's places: each row, each image, each value of the first position's digit, each position after that.
        rows: Vec<isize>,
        images: Vec<isize>,
        first: Vec<isize>,
        inner: Vec<isize>,
        /// Where each image of the windows is.
        windows: Vec<isize>,
        sweep: PositionSweep,
    },
}

/// A product of this kind.
pub(crate) struct Sliding {
    m: usize,
    windows: Windows,
    /// Where each matrix of the batch is, on both sides.
    batch: [Vec<isize>; 2],
    sum: Sum,
    /// How many values of the first position's digit are worked on together.
    part: usize,
    /// Where each run of neighbouring positions begins, for as many values of the first digit as a part has.
    lines: Vec<isize>,
    /// What follows the block in scratch memory begins here; and where that ends.
    rest: usize,
    room: usize,
}

/// What is in scratch memory from one matrix to the next.
#[derive(Default)]
pub(crate) struct Ready {
    weights: Option<isize>,
    cleared: Option<usize>,
}

/// A place of an operand's element by its flat coordinate.
fn place(digits: &[Digit], flat: usize) -> isize {
    let mut rest = flat;
    let mut place = 0;
    for digit in digits.iter().rev() {
        place += (rest % digit.size) as isize * digit.stride;
        rest /= digit.size;
    }
    place
}

fn places(digits: &[Digit]) -> Vec<isize> {
    (0..digits.iter().map(|d| d.size).product()).map(|i| place(digits, i)).collect()
}

/// Where each matrix of a batch begins.
fn from(matrix: &Matrix) -> Vec<isize> {
    places(&matrix.batch).iter().map(|place| matrix.offset + place).collect()
}

/// Whether a coordinate's place is that of its part of `inner` and that of the rest.
fn separable(digits: &[Digit], inner: usize) -> bool {
    let mut inner = inner;
    for digit in digits.iter().rev() {
        if inner == 1 {
            return true;
        }
        match (inner.is_multiple_of(digit.size), digit.size.is_multiple_of(inner)) {
            (true, _) => inner /= digit.size,
            (_, divides) => return divides,
        }
    }
    inner == 1
}

/// The places at which runs of neighbours begin, `part` values of the first digit.
fn lines(windows: &Windows, part: usize) -> Vec<isize> {
    let [first, middle @ .., _] = &windows.positions[..] else { return vec![0] };
    let outer = std::iter::once((part, first.1)).chain(middle.iter().copied());
    outer.fold(vec![0], |all, (size, step)| all.iter().flat_map(|&base| (0..size).map(move |i| base + i as isize * step)).collect())
}

/// Whether all positions are neighbours.
fn neighbours(first: &[isize], inner: &[isize]) -> bool {
    first.windows(2).all(|pair| pair[1] - pair[0] == inner.len() as isize) && inner.windows(2).all(|pair| pair[1] - pair[0] == 1)
}

fn product(digits: &[Digit]) -> usize {
    digits.iter().map(|d| d.size).product()
}

impl Sliding {
    /// The product by windows on its right, and its pieces; `None` where that is not what it is, or does not pay.
    pub(crate) fn new(matmul: &plan::Matmul, level: Level) -> Option<(Sliding, Vec<Piece>)> {
        let (a, b) = (&matmul.a, &matmul.b);
        if b.strides().is_some() || !a.bounds.is_empty() || matmul.m == 0 || matmul.n == 0 || matmul.k == 0 {
            return None;
        }
        let run = |digits: &[Digit]| digits.last().filter(|d| d.stride == 1).map_or(0, |d| d.size);
        let count: usize = matmul.batch.iter().product();
        if run(&b.columns) >= run(&b.rows) {
            Sliding::over_taps(matmul, a, b, count, level)
        } else {
            Sliding::over_positions(matmul, a, b, count, level)
        }
    }

    fn over_taps(matmul: &plan::Matmul, a: &Matrix, b: &Matrix, count: usize, level: Level) -> Option<(Sliding, Vec<Piece>)> {
        let (m, n, k) = (matmul.m, matmul.n, matmul.k);
        let all = b.columns.first()?.size;
        let inner = n / all.max(1);
        // Several images a piece, so that the left matrix is not brought together for each; or a part of one.
        let work = (m * n * k).max(1);
        let parts = (m * n).div_ceil(PIECE_RESULT).max(if count < PIECES / 2 { work / (2 * PIECE) } else { 1 }).clamp(1, all);
        let part = all.div_ceil(parts);
        let together = if part < all {
            1
        } else {
            let enough = (PIECE / work).max(2048 / n).min(count.div_ceil(PIECES / 4)).max(count.div_ceil(PIECES));
            enough.min((2 * PIECE_RESULT / (m * n)).max(1)).max(1)
        };
        let windows = Windows::new(b, &b.rows, &b.columns, &[&b.batch], part)?;
        let span = windows.span(part);
        if span > WASTE * part * inner && span > LANES {
            return None;
        }
        let rest = windows.room();
        let sweep = TapSweep::pick(level);
        // The left matrix, then rows of whole vectors; these are also what may be read beyond the block.
        let room = rest + (m + sweep.tall) * k + (m + 1) * span.next_multiple_of(LANES);
        let sum = Sum::Taps { rows: places(&a.rows), taps: places(&a.columns), sweep };
        let lines = lines(&windows, part);
        let whole = |batch: Range<usize>, cols| Piece { batch, rows: 0..m, cols };
        let mut pieces = Vec::new();
        for t in (0..count).step_by(together) {
            for start in (0..all).step_by(part) {
                pieces.push(whole(t..(t + together).min(count), start * inner..(start + part).min(all) * inner));
            }
        }
        Some((Sliding { m, windows, batch: [from(a), places(&b.batch)], sum, part, lines, rest, room }, pieces))
    }

    fn over_positions(matmul: &plan::Matmul, a: &Matrix, b: &Matrix, count: usize, level: Level) -> Option<(Sliding, Vec<Piece>)> {
        let (m, n, k) = (matmul.m, matmul.n, matmul.k);
        // Digits outside of all bounds are images.
        let images = b.rows.iter().position(|d| d.steps.iter().any(|&s| s != 0)).unwrap_or(0);
        let (images, positions) = b.rows.split_at(images);
        let all = positions.first()?.size;
        let inner = product(positions) / all;
        let width = m.next_multiple_of(LANES);
        let part = (TURNED / (inner * width).max(1)).clamp(1, all);
        let windows = Windows::new(b, &b.columns, positions, &[&b.batch, images], part)?;
        if !separable(&a.columns, inner) || !separable(&a.columns, inner * all) {
            return None;
        }
        let along = |count: usize, step: usize| (0..count).map(|i| place(&a.columns, i * step)).collect::<Vec<_>>();
        let (images_of_a, first, inner_of_a) = (along(product(images), inner * all), along(all, inner), along(inner, 1));
        let rest = windows.room();
        let room = rest + part * inner * width + n * width + LANES;
        let sum = Sum::Positions {
            rows: places(&a.rows),
            images: images_of_a,
            first,
            inner: inner_of_a,
            windows: places(images),
            sweep: PositionSweep::pick(level),
        };
        let lines = lines(&windows, part);
        // The sum is not cut; where there are few matrices, their columns are.
        let channels = windows.channels();
        let parts = (m * n * k / PIECE).min((PIECES / 2).div_ceil(count.max(1))).clamp(1, channels);
        let taps = n / channels;
        let step = channels.div_ceil(parts);
        let pieces = (0..count).flat_map(|t| (0..channels).step_by(step).map(move |c| (t, c))).map(|(t, c)| Piece {
            batch: t..t + 1,
            rows: 0..m,
            cols: c * taps..(c + step).min(channels) * taps,
        });
        let pieces = pieces.collect();
        Some((Sliding { m, windows, batch: [from(a), places(&b.batch)], sum, part, lines, rest, room }, pieces))
    }

    /// Matrices on the left and on the right.
    pub(crate) fn batches(&self) -> [usize; 2] {
        [self.batch[0].len(), self.batch[1].len()]
    }

    /// The scratch words that a piece needs.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Computes columns of matrix `t`, those of a piece.
    ///
    /// # Safety
    /// `a` and `b` are buffers that the matrices stay inside of, and memory can be read for a vector beyond (see [`crate::memory::Words`]); `to` is the
    /// result's place for the first column, with room for all rows and columns; `scratch` has [`Sliding::room`] words, and `ready` tells what the last
    /// matrix of the same piece left there. Nobody writes what is read or uses what is written.
    pub(crate) unsafe fn run(
        &self,
        (a, b): (*const f32, *const f32),
        t: usize,
        cols: &Range<usize>,
        to: (*mut f32, Steps),
        scratch: *mut f32,
        ready: &mut Ready,
    ) {
        debug_assert!(cols.end <= self.windows.taps.len() || matches!(self.sum, Sum::Taps { .. }));
        let (a, b) = (a.wrapping_offset(self.batch[0][t]), b.wrapping_offset(self.batch[1][t]));
        match &self.sum {
            Sum::Taps { rows, taps, sweep } => {
                let inner = self.windows.inner();
                let (start, count) = (cols.start / inner, cols.len() / inner);
                let weights = scratch.wrapping_add(self.rest);
                let results = weights.wrapping_add((self.m + sweep.tall) * taps.len());
                // SAFETY: the caller's promise; the scratch memory was counted in `over_taps`.
                unsafe {
                    if ready.weights.replace(self.batch[0][t]) != Some(self.batch[0][t]) {
                        bring(a, rows, taps, sweep, weights);
                    }
                    if ready.cleared.replace(start) != Some(start) {
                        self.windows.clear(scratch);
                    }
                    let from = self.windows.place(b, start, count, 0..self.windows.channels(), scratch);
                    let vectors = self.windows.span(count).div_ceil(LANES);
                    (sweep.run)(&OverTaps { taps: &self.windows.taps, from, vectors, weights, m: self.m, to: results });
                    self.gather(results, vectors * LANES, count, to);
                }
            }
            Sum::Positions { rows, images, first, inner, windows, sweep } => {
                let width = self.m.next_multiple_of(LANES);
                let turned = scratch.wrapping_add(self.rest);
                let sums = turned.wrapping_add(self.part * inner.len() * width);
                let taps = &self.windows.taps[cols.clone()];
                let each = self.windows.taps.len() / self.windows.channels();
                let channels = cols.start / each..cols.end / each;
                // SAFETY: the caller's promise; the scratch memory was counted in `over_positions`.
                unsafe {
                    // Rows that there are not stay 0.
                    std::ptr::write_bytes(turned, 0, self.part * inner.len() * width);
                    std::ptr::write_bytes(sums, 0, taps.len() * width);
                    for (&image, &window) in images.iter().zip(windows) {
                        for start in (0..first.len()).step_by(self.part) {
                            let count = self.part.min(first.len() - start);
                            if ready.cleared.replace(start) != Some(start) {
                                self.windows.clear(scratch);
                            }
                            let from = self.windows.place(b.wrapping_offset(window), start, count, channels.clone(), scratch);
                            let work =
                                Turn { from: a.wrapping_offset(image + first[start]), rows, columns: None, count: 0, to: turned, width };
                            if neighbours(first, inner) {
                                (sweep.turn)(&Turn { count: count * inner.len(), ..work });
                            } else {
                                for i in 0..count {
                                    let from = a.wrapping_offset(image + first[start + i]);
                                    let to = turned.wrapping_add(i * inner.len() * width);
                                    (sweep.turn)(&Turn { from, columns: Some(inner), count: inner.len(), to, ..work });
                                }
                            }
                            let (lines, run) = self.runs(count);
                            (sweep.run)(&OverPositions { taps, from, lines, run, turned, width, sums });
                        }
                    }
                    for j in 0..taps.len() {
                        for i in 0..self.m {
                            *to.0.wrapping_offset(i as isize * to.1.row + j as isize * to.1.column) = *sums.add(j * width + i);
                        }
                    }
                }
            }
        }
    }

    /// Where runs of neighbouring positions begin, for `count` values of the first digit; and how long they are.
    fn runs(&self, count: usize) -> (&[isize], usize) {
        match &self.windows.positions[..] {
            [_, .., last] => (&self.lines[..count * self.windows.inner() / last.0.max(1)], last.0),
            _ => (&self.lines, count),
        }
    }

    /// Copies the results of positions from rows of whole vectors to where they belong.
    ///
    /// # Safety
    /// `from` has `m` rows of `width` elements, `to` room for the results of `count` values of the first digit.
    unsafe fn gather(&self, from: *const f32, width: usize, count: usize, to: (*mut f32, Steps)) {
        let (lines, run) = self.runs(count);
        for i in 0..self.m {
            let row = to.0.wrapping_offset(i as isize * to.1.row);
            for (j, &line) in lines.iter().enumerate() {
                let (from, to_line) =
                    (from.wrapping_offset((i * width) as isize + line), row.wrapping_offset((j * run) as isize * to.1.column));
                // SAFETY: the caller's promise.
                unsafe {
                    if to.1.column == 1 {
                        copy(to_line, from, run, 1);
                    } else {
                        for x in 0..run {
                            *to_line.wrapping_offset(x as isize * to.1.column) = *from.add(x);
                        }
                    }
                }
            }
        }
    }
}

/// Brings the left matrix together: groups of rows as tall as the kernel's tiles, each tap's elements side by side, zeros where there is no row.
///
/// # Safety
/// The places are the matrix's, `to` has room for all groups.
unsafe fn bring(a: *const f32, rows: &[isize], taps: &[isize], sweep: &TapSweep, to: *mut f32) {
    let side_by_side = taps.windows(2).all(|pair| pair[1] - pair[0] == 1);
    let (from, columns) = if side_by_side { (a.wrapping_offset(taps.first().copied().unwrap_or(0)), None) } else { (a, Some(taps)) };
    let (mut i, mut to) = (0, to);
    while i < rows.len() {
        let height = height(rows.len() - i, sweep.tall);
        let group = &rows[i..rows.len().min(i + height)];
        // SAFETY: the caller's promise.
        unsafe {
            if group.len() < height {
                std::ptr::write_bytes(to, 0, height * taps.len());
            }
            (sweep.turn)(&Turn { from, rows: group, columns, count: taps.len(), to, width: height });
        }
        to = to.wrapping_add(height * taps.len());
        i += height;
    }
}

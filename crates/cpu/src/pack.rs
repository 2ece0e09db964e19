//! A part of a matrix product's operand, laid side by side: what a convolution reads through windows, or what lies in memory in another order than rows
//! or columns of one stride.
//!
//! One direction of the operand is taken in runs (the innermost digit of that direction, whose elements are a fixed stride apart), the other position by
//! position. For each of both, places and the bounds' coordinates are sums of two tables, so that a run costs a few additions and a copy.

use std::ops::Range;

use noyau_compile::plan::{Digit, Matrix};
use noyau_tensor::{Error, Result};

use crate::matmul::Steps;

/// Bounds that an operand has at most.
const BOUNDS: usize = Matrix::MAX_BOUNDS;

/// A place and the bounds' coordinates, or what is added to them.
#[derive(Clone, Copy, Default)]
struct Place {
    offset: isize,
    at: [isize; BOUNDS],
}

/// An operand that is packed piece by piece.
pub(crate) struct Packer {
    /// Whether runs go along the summed axis (else along the product's rows or columns).
    along_sum: bool,
    batch: Vec<Place>,
    /// The start of each run.
    runs: Vec<Place>,
    /// The elements of a run.
    run: usize,
    stride: isize,
    steps: [isize; BOUNDS],
    /// Each position of the other direction.
    positions: Vec<Place>,
    sizes: Vec<isize>,
}

/// The sums of all values of some digits, the innermost fastest.
fn places(digits: &[Digit]) -> Vec<Place> {
    digits.iter().fold(vec![Place::default()], |all, digit| {
        let step = |base: &Place, i: usize| {
            let mut place = *base;
            place.offset += i as isize * digit.stride;
            place.at.iter_mut().zip(&digit.steps).for_each(|(at, s)| *at += i as isize * s);
            place
        };
        all.iter().flat_map(|base| (0..digit.size).map(|i| step(base, i)).collect::<Vec<_>>()).collect()
    })
}

impl Packer {
    /// `x`: the product's rows or columns, as the operand has them; `l`: the summed axis. Fails when a place may be outside of a buffer of `limit` elements.
    pub(crate) fn new(matrix: &Matrix, x: &[Digit], l: &[Digit], limit: usize) -> Result<Packer> {
        inside(matrix, limit)?;
        if matrix.bounds.len() > BOUNDS {
            return Err(Error::Internal(format!("{matrix} has more than {BOUNDS} bounds")));
        }
        // Runs of neighbours if there are any, long ones rather than short ones.
        let worth = |digits: &[Digit]| digits.last().map_or((false, 0), |d| (d.stride == 1, d.size));
        let along_sum = worth(l) >= worth(x);
        let (run, other) = if along_sum { (l, x) } else { (x, l) };
        let (last, outer) = match run {
            [outer @ .., last] => (last.clone(), outer),
            [] => (Digit { size: 1, stride: 0, steps: Vec::new() }, run),
        };
        let mut batch = places(&matrix.batch);
        for place in &mut batch {
            place.offset += matrix.offset;
            place.at.iter_mut().zip(&matrix.bounds).for_each(|(at, bound)| *at += bound.start);
        }
        let mut steps = [0; BOUNDS];
        steps.iter_mut().zip(&last.steps).for_each(|(to, from)| *to = *from);
        let sizes = matrix.bounds.iter().map(|bound| bound.size as isize).collect();
        Ok(Packer { along_sum, batch, runs: places(outer), run: last.size, stride: last.stride, steps, positions: places(other), sizes })
    }

    /// How many matrices there are.
    pub(crate) fn batches(&self) -> usize {
        self.batch.len()
    }

    /// The steps of a packed part (`x` by `l`).
    pub(crate) fn steps(&self, x: usize, l: usize) -> (isize, isize) {
        if self.along_sum { (l as isize, 1) } else { (1, x as isize) }
    }

    /// Lays the elements of `x` by `l` of matrix `t` side by side.
    ///
    /// # Safety
    /// `from` is the buffer that the packer was made for, `to` has room for all elements, and nobody writes the one or uses the other.
    pub(crate) unsafe fn pack(&self, from: *const f32, t: usize, x: Range<usize>, l: Range<usize>, to: *mut f32) {
        let (along, across) = if self.along_sum { (l, x) } else { (x, l) };
        let width = along.len();
        for (line, position) in across.enumerate() {
            let mut base = self.batch[t];
            let position = &self.positions[position];
            base.offset += position.offset;
            base.at.iter_mut().zip(&position.at).for_each(|(at, p)| *at += p);
            let mut done = 0;
            while done < width {
                let (number, first) = ((along.start + done) / self.run, (along.start + done) % self.run);
                let count = (self.run - first).min(width - done);
                let run = &self.runs[number];
                // The elements of the run that are inside of all bounds.
                let (mut low, mut high) = (first as isize, (first + count) as isize);
                for (b, &size) in self.sizes.iter().enumerate() {
                    let at = base.at[b] + run.at[b];
                    match self.steps[b] {
                        1 => (low, high) = (low.max(-at), high.min(size - at)),
                        0 if (0..size).contains(&at) => {}
                        0 => high = low,
                        step if step > 0 => {
                            low = low.max((-at).div_euclid(step) + isize::from((-at).rem_euclid(step) != 0));
                            high = high.min((size - 1 - at).div_euclid(step) + 1);
                        }
                        step => {
                            low = low.max((at - size + 1).div_euclid(-step) + isize::from((at - size + 1).rem_euclid(-step) != 0));
                            high = high.min(at.div_euclid(-step) + 1);
                        }
                    }
                }
                let low = (low as usize).clamp(first, first + count);
                let high = high.clamp(low as isize, (first + count) as isize) as usize;
                // SAFETY: the run's elements `low..high` are inside of all bounds, and so inside of the buffer; the caller gives the room at `to`.
                unsafe {
                    let to = to.add(line * width + done);
                    fill(to, low - first);
                    let source = from.wrapping_offset(base.offset + run.offset + low as isize * self.stride);
                    copy(to.add(low - first), source, high - low, self.stride);
                    fill(to.add(high - first), first + count - high);
                }
                done += count;
            }
        }
    }
}

/// # Safety
/// There is room for `count` elements.
#[inline(always)]
unsafe fn fill(to: *mut f32, count: usize) {
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe { *to.add(i) = 0.0 };
    }
}

/// # Safety
/// There are `count` elements, `stride` apart, and room for them.
#[inline(always)]
pub(crate) unsafe fn copy(to: *mut f32, from: *const f32, count: usize, stride: isize) {
    if stride != 1 {
        for i in 0..count {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = *from.offset(i as isize * stride) };
        }
        return;
    }
    // Runs are short (a row of an image): blocks of eight cost less than a call.
    let mut i = 0;
    while i + 8 <= count {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).cast::<[f32; 8]>().write_unaligned(from.add(i).cast::<[f32; 8]>().read_unaligned()) };
        i += 8;
    }
    while i < count {
        // SAFETY: the caller's promise.
        unsafe { *to.add(i) = *from.add(i) };
        i += 1;
    }
}

/// Fails when a matrix's place may be outside of a buffer of `limit` elements.
pub(crate) fn inside(matrix: &Matrix, limit: usize) -> Result<()> {
    match matrix.reach() {
        Some((least, most)) if least < 0 || most >= limit as i128 => {
            Err(Error::Internal(format!("{matrix} reaches {least}..={most} of a buffer of {limit}")))
        }
        _ => Ok(()),
    }
}

/// Fails when a matrix is not one of `rows` by `columns`; a direction without digits is the same everywhere, however long it is.
pub(crate) fn of_size(matrix: &Matrix, rows: usize, columns: usize) -> Result<()> {
    let has = |digits: &[Digit], size: usize| {
        let all = digits.iter().try_fold(1usize, |all, digit| all.checked_mul(digit.size));
        digits.is_empty() || all == Some(size)
    };
    if has(&matrix.rows, rows) && has(&matrix.columns, columns) {
        return Ok(());
    }
    Err(Error::Internal(format!("{matrix} is not a matrix of {rows} by {columns}")))
}

/// An operand: where it is, or how it is brought together.
pub(crate) enum Operand {
    /// Each matrix of the batch begins at a place of its own.
    Direct {
        offsets: Vec<usize>,
        steps: Steps,
    },
    Packed(Box<Packer>),
}

impl Operand {
    /// `left`: whether rows are the product's (else columns). `limit`: the buffer's elements.
    pub(crate) fn new(matrix: &Matrix, left: bool, limit: usize) -> Result<Operand> {
        let Some(strides) = matrix.strides() else {
            let (x, l) = if left { (&matrix.rows, &matrix.columns) } else { (&matrix.columns, &matrix.rows) };
            return Ok(Operand::Packed(Box::new(Packer::new(matrix, x, l, limit)?)));
        };
        if let Some((_, most)) = matrix.reach()
            && most >= limit as i128
        {
            return Err(Error::Internal(format!("a matrix reaches {most} of a buffer of {limit}")));
        }
        let offsets = places(&matrix.batch).iter().map(|p| strides.offset + p.offset as usize).collect();
        Ok(Operand::Direct { offsets, steps: Steps { row: strides.row as isize, column: strides.column as isize } })
    }

    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Operand::Packed(_))
    }

    /// How many matrices there are.
    pub(crate) fn batches(&self) -> usize {
        match self {
            Operand::Direct { offsets, .. } => offsets.len(),
            Operand::Packed(packer) => packer.batches(),
        }
    }
}

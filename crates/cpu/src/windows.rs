//! Where the windows of a convolution are: an operand that slides over an image, without its windows ever being laid out.
//!
//! An element of such an operand is found by a *tap* (which element of the kernel, of which channel) and a *position* (where the kernel stands); each
//! adds to the place, and nothing else does. So one table of the taps' places and one of the positions' are enough, as long as there is memory
//! everywhere: where an image has a border of zeros, it is copied into a block that has one.

use noyau_compile::plan::{Digit, Matrix};

use crate::pack::copy;

/// Bounds (or free digits) of an operand that is read through a block.
const AXES: usize = 12;
/// Words of a block at most.
const ROOM: usize = 1 << 22;

/// One axis of a block, or of the source where there is no block.
#[derive(Clone, Debug)]
struct Axis {
    /// How many coordinates the block has, and what one adds to the place in it.
    extent: usize,
    stride: isize,
    /// The coordinate at the block's beginning; those of `0..size` are in the source.
    low: isize,
    size: isize,
    /// Where coordinate 0 is in the source, and what one adds.
    zero: isize,
    from: isize,
}

/// An operand as taps and positions.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    /// What each tap adds to a position's place.
    pub(crate) taps: Vec<isize>,
    /// The positions' digits: how many values, what one adds to the place; the last adds 1.
    pub(crate) positions: Vec<(usize, isize)>,
    /// The source's first element.
    offset: isize,
    /// How the block is filled; none where the source itself is read.
    block: Option<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    /// The axis along which parts of a block can be had, and what a step of the first position's digit is along it.
    first: Axis,
    step: usize,
    /// The axis of neighbours; none where it is `first`.
    last: Option<Axis>,
    /// Along all other axes, where there is something in the source: the place in the block, the place in the source. Outermost first.
    lines: Vec<(usize, isize)>,
    /// The outermost digit of the taps has an axis of its own: its size, and what one adds to the place.
    channels: Option<(usize, usize)>,
    room: usize,
    /// Values of the first position's digit that there is room for.
    part: usize,
}

/// The bound that a digit moves in; `None` when it moves in several or otherwise than in the image.
fn bound(matrix: &Matrix, digit: &Digit) -> Option<Option<usize>> {
    let mut moving = digit.steps.iter().enumerate().filter(|(_, step)| **step != 0);
    match (moving.next(), moving.next()) {
        (None, _) => Some(None),
        (Some((b, step)), None) if digit.stride == step * matrix.bounds[b].stride => Some(Some(b)),
        _ => None,
    }
}

/// The sums of all values of some digits, each with what one value adds; the innermost fastest.
fn sums(digits: &[(usize, isize)], start: isize) -> Vec<isize> {
    digits
        .iter()
        .fold(vec![start], |all, &(size, step)| all.iter().flat_map(|&base| (0..size).map(move |i| base + i as isize * step)).collect())
}

impl Windows {
    /// Takes an operand apart; `apart` are the digits that are neither taps nor positions. `None` when positions have no neighbours side by side, or an
    /// element's place is more than a sum.
    ///
    /// `part`: how many values of the first position's digit are wanted at a time.
    pub(crate) fn new(matrix: &Matrix, taps: &[Digit], positions: &[Digit], apart: &[&[Digit]], part: usize) -> Option<Windows> {
        if positions.is_empty() || apart.iter().any(|digits| digits.iter().any(|d| d.steps.iter().any(|&s| s != 0))) {
            return None;
        }
        if matrix.bounds.is_empty() {
            let positions: Vec<(usize, isize)> = positions.iter().map(|d| (d.size, d.stride)).collect();
            let taps: Vec<(usize, isize)> = taps.iter().map(|d| (d.size, d.stride)).collect();
            return nested(&positions).then(|| Windows { taps: sums(&taps, 0), positions, offset: matrix.offset, block: None });
        }
        // Axes outermost first: each digit without a bound is one, then come the bounds in the positions' order.
        let mut axes: Vec<Axis> = Vec::new();
        let free = |d: &Digit| Axis { extent: d.size, stride: 0, low: 0, size: d.size as isize, zero: 0, from: d.stride };
        let mut of_bound: Vec<Option<usize>> = vec![None; matrix.bounds.len()];
        let mut of_tap: Vec<Option<usize>> = Vec::new();
        for tap in taps {
            of_tap.push(if bound(matrix, tap)?.is_none() {
                axes.push(free(tap));
                Some(axes.len() - 1)
            } else {
                None
            });
        }
        let position_bounds = positions.iter().map(|d| bound(matrix, d)).collect::<Option<Vec<_>>>()?;
        let mut order: Vec<Option<usize>> = (0..matrix.bounds.len()).filter(|b| !position_bounds.contains(&Some(*b))).map(Some).collect();
        let others = order.len();
        order.extend(&position_bounds);
        let mut of_position = Vec::new();
        let part = part.clamp(1, positions[0].size.max(1));
        let values = |i: usize| if i == 0 { part } else { positions[i].size };
        for (i, b) in order.iter().enumerate() {
            let axis = match b {
                None => Axis { extent: values(i - others), ..free(&positions[i - others]) },
                Some(b) => {
                    let bound = &matrix.bounds[*b];
                    if of_bound[*b].replace(axes.len()).is_some() {
                        return None;
                    }
                    let of_taps = taps.iter().map(|d| (d.steps[*b], d.size));
                    let of_positions = positions.iter().enumerate().map(|(i, d)| (d.steps[*b], values(i)));
                    let all: Vec<isize> = of_taps.chain(of_positions).map(|(step, size)| step * (size as isize - 1)).collect();
                    let low = bound.start + all.iter().map(|s| *s.min(&0)).sum::<isize>();
                    let extent = all.iter().map(|s| s.unsigned_abs()).sum::<usize>() + 1;
                    let zero = -bound.start * bound.stride;
                    Axis { extent, stride: 0, low, size: bound.size as isize, zero, from: bound.stride }
                }
            };
            if i >= others {
                of_position.push(axes.len());
            }
            axes.push(axis);
        }
        if axes.len() > AXES {
            return None;
        }
        let mut room = 1usize;
        for axis in axes.iter_mut().rev() {
            axis.stride = room as isize;
            room = room.checked_mul(axis.extent).filter(|&room| room <= ROOM)?;
        }
        // Where the kernel stands at the first position and its first tap is, for each bound.
        let start: isize =
            of_bound.iter().zip(&matrix.bounds).filter_map(|(a, b)| a.map(|a| (b.start - axes[a].low) * axes[a].stride)).sum();
        let along = |digit: &Digit| digit.steps.iter().zip(&of_bound).filter_map(|(s, a)| a.map(|a| s * axes[a].stride)).sum::<isize>();
        let tap_steps: Vec<(usize, isize)> =
            taps.iter().zip(&of_tap).map(|(d, a)| (d.size, a.map_or_else(|| along(d), |a| axes[a].stride))).collect();
        let step = |i: usize| position_bounds[i].map_or(1, |b| positions[i].steps[b]);
        let position_steps: Vec<(usize, isize)> =
            positions.iter().enumerate().map(|(i, d)| (d.size, step(i) * axes[of_position[i]].stride)).collect();
        if !nested(&position_steps) {
            return None;
        }
        let (&first, &last) = (of_position.first()?, of_position.last()?);
        // Everything but these two axes.
        let mut lines = vec![(0usize, 0isize)];
        for (_, axis) in axes.iter().enumerate().filter(|(i, _)| *i != first && *i != last) {
            let inside = (0..axis.extent).filter(|&at| (0..axis.size).contains(&(axis.low + at as isize)));
            let found: Vec<(usize, isize)> =
                inside.map(|at| (at * axis.stride as usize, axis.zero + (axis.low + at as isize) * axis.from)).collect();
            lines = lines.iter().flat_map(|&(to, from)| found.iter().map(move |&(t, f)| (to + t, from + f))).collect();
        }
        let channels = (of_tap.first() == Some(&Some(0)) && first != 0).then(|| (axes[0].extent, axes[0].stride as usize));
        let block = Block {
            step: usize::try_from(step(0)).ok()?,
            last: (last != first).then(|| axes[last].clone()),
            first: axes[first].clone(),
            lines,
            channels,
            room,
            part,
        };
        Some(Windows { taps: sums(&tap_steps, start), positions: position_steps, offset: matrix.offset, block: Some(block) })
    }

    /// The places from a part's first position to its last, both included; the part is of the first position's digit.
    pub(crate) fn span(&self, part: usize) -> usize {
        let rest: isize = self.positions[1..].iter().map(|&(size, step)| (size as isize - 1) * step).sum();
        ((part as isize - 1) * self.positions[0].1 + rest) as usize + 1
    }

    /// Positions for one value of the first digit.
    pub(crate) fn inner(&self) -> usize {
        self.positions[1..].iter().map(|p| p.0).product()
    }

    /// The words of a block; 0 where the source is read.
    pub(crate) fn room(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.room)
    }

    /// The channels that parts can be made of: taps of one follow each other, and one needs nothing of the others.
    pub(crate) fn channels(&self) -> usize {
        self.block.as_ref().and_then(|block| block.channels).map_or(1, |(count, _)| count)
    }

    /// Makes a block that has never been filled, or for another part, zeros everywhere.
    ///
    /// # Safety
    /// `block` has [`Windows::room`] words that nobody else uses.
    pub(crate) unsafe fn clear(&self, block: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::write_bytes(block, 0, self.room()) };
    }

    /// Brings together what the positions of a part (`start..start + count` of the first digit) and the taps of some channels look at. Gives the place
    /// to which taps and positions (counted from the part's first) add.
    ///
    /// # Safety
    /// `source` is the matrix's element in question of a buffer that the matrix stays inside of, moved by the digits that are apart. `block` has
    /// [`Windows::room`] words, cleared since they were used for anything but this part.
    pub(crate) unsafe fn place(
        &self,
        source: *const f32,
        start: usize,
        count: usize,
        channels: std::ops::Range<usize>,
        block: *mut f32,
    ) -> *const f32 {
        let source = source.wrapping_offset(self.offset);
        let Some(to) = &self.block else { return source.wrapping_offset(start as isize * self.positions[0].1) };
        let low = to.first.low + (start * to.step) as isize;
        // Of the first axis' coordinates, what the part needs and the source has.
        let extent = to.first.extent - (to.part - count) * to.step;
        let inside = |axis: &Axis, low: isize, extent: usize| {
            let begin = low.clamp(0, axis.size);
            (begin, (low + extent as isize).clamp(begin, axis.size))
        };
        let (top, bottom) = inside(&to.first, low, extent);
        let (lines, skipped) = match to.channels {
            Some((count, stride)) => {
                let each = to.lines.len() / count.max(1);
                (&to.lines[channels.start * each..channels.end * each], channels.start * stride)
            }
            None => (&to.lines[..], 0),
        };
        let from = |axis: &Axis, at: isize| axis.zero + at * axis.from;
        let block_of = |place: usize| block.wrapping_add(place).wrapping_sub(skipped);
        match &to.last {
            Some(last) => {
                let (left, right) = inside(last, last.low, last.extent);
                for &(place, line) in lines {
                    for at in top..bottom {
                        let target = block_of(place + (at - low) as usize * to.first.stride as usize + (left - last.low) as usize);
                        let source = source.wrapping_offset(line + from(&to.first, at) + from(last, left));
                        // SAFETY: the coordinates are inside of all bounds, and so in the buffer; the block has all extents.
                        unsafe { copy(target, source, (right - left) as usize, last.from) };
                    }
                }
            }
            None => {
                for &(place, line) in lines {
                    let target = block_of(place + (top - low) as usize);
                    let source = source.wrapping_offset(line + from(&to.first, top));
                    // SAFETY: as above.
                    unsafe { copy(target, source, (bottom - top) as usize, to.first.from) };
                }
            }
        }
        // With channels left out, the others' taps count from the first of these.
        block.cast_const().wrapping_sub(skipped)
    }
}

/// Whether positions follow each other in memory in their order, the last digit's side by side.
fn nested(digits: &[(usize, isize)]) -> bool {
    let mut reach = 0;
    for (i, &(size, step)) in digits.iter().rev().enumerate() {
        if step <= reach || (i == 0 && step != 1) || size == 0 {
            return false;
        }
        reach += (size as isize - 1) * step;
    }
    true
}

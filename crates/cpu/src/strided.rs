//! Products of matrices that are read by strides, or brought together piece by piece: what is laid out in panels, when, and by whom.
//!
//! A large product is cut along its longer side. The other side's operand is laid out once, for all pieces ([`Strided::lay`]); each piece
//! lays out its own part of the first, and multiplies. Small matrices of a batch are a piece each, or several of them are.

use std::ops::Range;

use noyau_compile::plan;
use noyau_tensor::Result;

use crate::matmul::{Piece, Steps};
use crate::pack::Operand;
use crate::panels::{Block, Kernels, Lay};
use crate::simd::Level;
use crate::small;

/// Products of at most so many multiplications skip the machinery for large ones.
const SMALL: usize = 1 << 14;
/// Multiplications that are worth a piece of their own.
const PIECE: usize = 1 << 21;
/// Elements of a piece's result, roughly.
const PIECE_RESULT: usize = 1 << 17;
/// Pieces that are enough for any machine's threads.
const PIECES: usize = 64;
/// Rows or columns of a piece's own part, at most: what is laid out of it stays in a core's second cache.
const SLICE: usize = 192;
/// Words of shared panels from which on pieces are as large as they may be: each reads all of them, and more than this is not in a core's share of the third cache the next time. (2048 x 2048 by
/// 2048 x 2048 on two cores: 290 GFLOP/s in slices of 42 rows, 370 in slices of 182.)
const FAR: usize = 1 << 21;
/// Rows and columns of a piece that lays out both operands, at most.
const WHOLE: usize = 512;
/// The sum's steps that are done at a time: the panel that a tile reads again and again stays in the first cache.
const DEPTH: usize = 256;
/// Words that are laid out for all pieces, at most.
const SHARED: usize = if cfg!(test) { 1 << 14 } else { 1 << 24 };
/// Words that are laid out at a time.
const LAID: usize = 1 << 15;

/// An operand, as the left or right one of the product that is computed.
struct Side {
    operand: Operand,
    /// Whether it is the product's left matrix (else its right one).
    first: bool,
    /// Rows of a left operand, columns of a right one.
    size: usize,
}

/// A part of the operand that is laid out for all pieces.
pub(crate) struct Part {
    matrix: usize,
    /// Which of the panels, and which steps of the sum.
    panels: Range<usize>,
    sum: Range<usize>,
}

/// How a product of this kind is computed.
pub(crate) struct Strided {
    kernels: Kernels,
    sides: [Side; 2],
    k: usize,
    /// Whether the transposed product is computed, because the result's columns do not lie side by side.
    turned: bool,
    /// How much of the sum is done at a time.
    depth: usize,
    /// The side that is laid out once, where its panels begin and how long they are.
    shared: Option<(usize, Vec<(usize, usize)>)>,
    /// What that takes.
    pub(crate) parts: Vec<Part>,
    /// The words that a piece needs for the panels of each side, and to bring a part together before.
    rooms: [usize; 3],
    small: Option<small::Run>,
}

/// Elements in memory: the first, the step from row to row (of a right operand, from column to column), and along the sum.
type View = (*const f32, isize, isize);

impl Side {
    /// The elements of some rows (columns) and steps of the sum of matrix `t`: where they are, or in `room` where they are brought
    /// together.
    ///
    /// # Safety
    /// `base` is the operand's buffer, `room` has a word for each element where the operand is packed.
    unsafe fn view(&self, base: *const f32, t: usize, x: &Range<usize>, sum: &Range<usize>, room: *mut f32) -> View {
        match &self.operand {
            Operand::Direct { offsets, steps } => {
                let (across, along) = self.steps(*steps);
                (base.wrapping_offset(offsets[t] as isize + x.start as isize * across + sum.start as isize * along), across, along)
            }
            Operand::Packed(packer) => {
                // SAFETY: the caller's promise.
                unsafe { packer.pack(base, t, x.clone(), sum.clone(), room) };
                let (across, along) = packer.steps(x.len(), sum.len());
                (room.cast_const(), across, along)
            }
        }
    }

    fn steps(&self, steps: Steps) -> (isize, isize) {
        if self.first { (steps.row, steps.column) } else { (steps.column, steps.row) }
    }
}

/// `0..size` cut into ranges of `step`.
fn cut(size: usize, step: usize) -> Vec<Range<usize>> {
    (0..size).step_by(step.max(1)).map(|start| start..(start + step).min(size)).collect()
}

impl Strided {
    /// `limits`: the elements of both buffers. `steps`: how the result lies, where it is not scratch memory.
    pub(crate) fn new(matmul: &plan::Matmul, limits: (usize, usize), steps: Option<Steps>, level: Level) -> Result<(Strided, Vec<Piece>)> {
        let (m, n, k) = (matmul.m, matmul.n, matmul.k);
        let kernels = Kernels::pick(level);
        let turned = steps.is_some_and(|steps| steps.column != 1 && n > 1);
        let a = Side { operand: Operand::new(&matmul.a, true, limits.0)?, first: true, size: m };
        let b = Side { operand: Operand::new(&matmul.b, false, limits.1)?, first: false, size: n };
        let sides = if turned { [b, a] } else { [a, b] };
        let batch: usize = matmul.batch.iter().product();
        let depth = k.div_ceil(k.div_ceil(DEPTH).max(1)).next_multiple_of(8).clamp(1, k.max(1));
        let small = (m * n * k <= SMALL).then(|| small::pick(level));
        let mut strided = Strided { kernels, sides, k, turned, depth, shared: None, parts: Vec::new(), rooms: [0; 3], small };
        let pieces = strided.cut(batch, m, n);
        strided.rooms = strided.rooms(&pieces);
        Ok((strided, pieces))
    }

    /// Cuts the product into pieces, and the side that they share into parts.
    fn cut(&mut self, batch: usize, m: usize, n: usize) -> Vec<Piece> {
        let work = m * n * self.k;
        if self.small.is_some() || (work <= PIECE && m * n <= PIECE_RESULT && m.max(n) <= WHOLE) {
            let together = (PIECE / work.max(1)).min(PIECE_RESULT / (m * n).max(1)).max(1);
            let together = batch.div_ceil(batch.div_ceil(together).max(1));
            return cut(batch, together).into_iter().map(|batch| Piece { batch, rows: 0..m, cols: 0..n }).collect();
        }
        // The longer side is cut.
        let long = usize::from(self.sides[1].size > self.sides[0].size);
        let (long_size, short) = (self.sides[long].size, 1 - long);
        let short_size = self.sides[short].size;
        let words = self.kernels.words(short == 0, short_size);
        let grain = if long == 0 { self.kernels.tall } else { self.kernels.wide };
        let (slices, others) = if words.saturating_mul(self.k).saturating_mul(batch) <= SHARED {
            let cuts: Vec<(usize, usize)> = self.kernels.panels(short == 0, short_size).collect();
            let each = (LAID / (words / cuts.len().max(1) * self.depth).max(1)).max(1);
            for matrix in 0..batch {
                for sum in cut(self.k, self.depth) {
                    self.parts.extend(cut(cuts.len(), each).into_iter().map(|panels| Part { matrix, panels, sum: sum.clone() }));
                }
            }
            // Slices so high that the shared panels, which each of them reads from end to end, are not read more often than caches like.
            let pieces = (work / PIECE).clamp(1, PIECES);
            let most = SLICE / grain * grain;
            let least = if words.saturating_mul(self.k) > FAR { most } else { 2 * grain };
            let step = long_size.div_ceil(pieces).next_multiple_of(grain).clamp(least, most);
            let others = (short_size * step).div_ceil(PIECE_RESULT).min(cuts.len()).max(1);
            let others = cut(cuts.len(), cuts.len().div_ceil(others).max(1));
            let others = others.iter().map(|panels| cuts[panels.start].0..cuts[panels.end - 1].0 + cuts[panels.end - 1].1).collect();
            self.shared = Some((short, cuts));
            (cut(long_size, step), others)
        } else {
            (cut(long_size, WHOLE / grain * grain), cut(short_size, WHOLE))
        };
        let mut pieces = Vec::with_capacity(batch * slices.len() * others.len());
        for t in 0..batch {
            for slice in &slices {
                for other in &others {
                    let (rows, cols) = if (long == 0) != self.turned { (slice, other) } else { (other, slice) };
                    pieces.push(Piece { batch: t..t + 1, rows: rows.clone(), cols: cols.clone() });
                }
            }
        }
        pieces
    }

    fn rooms(&self, pieces: &[Piece]) -> [usize; 3] {
        let most = |side: usize| pieces.iter().map(|p| if self.sides[side].first { p.rows.len() } else { p.cols.len() }).max().unwrap_or(0);
        let packed = |side: usize| self.sides[side].operand.is_packed();
        if self.small.is_some() {
            let [left, right] = [0, 1].map(|side| if packed(side) { most(side) * self.k } else { 0 });
            let room = small::room(self.sides[0].size, self.sides[1].size, self.k);
            return [left, right, room].map(|words| words.next_multiple_of(16));
        }
        let shared = self.shared.as_ref().map(|(side, _)| *side);
        let [left, right] =
            [0, 1].map(|side| if shared == Some(side) { 0 } else { self.kernels.words(side == 0, most(side)) * self.depth });
        let laid = self.parts.iter().map(|p| self.laid(p).len()).max().unwrap_or(0);
        let gathered = [0, 1].map(|side| match (packed(side), shared == Some(side)) {
            (false, _) => 0,
            (true, true) => laid * self.depth,
            (true, false) => most(side) * self.depth,
        });
        [left, right, gathered[0].max(gathered[1])].map(|words| words.next_multiple_of(16))
    }

    /// Matrices on the left and on the right.
    pub(crate) fn batches(&self) -> [usize; 2] {
        [self.sides[0].operand.batches(), self.sides[1].operand.batches()]
    }

    /// The words that a piece needs, or a part.
    pub(crate) fn room(&self) -> usize {
        self.rooms.iter().sum()
    }

    /// The words that all pieces share.
    pub(crate) fn shared(&self) -> usize {
        self.shared.as_ref().map_or(0, |&(side, _)| self.block(side) * self.k * self.sides[side].operand.batches())
    }

    /// The words of the shared side for one step of the sum.
    fn block(&self, side: usize) -> usize {
        self.kernels.words(side == 0, self.sides[side].size)
    }

    /// The rows or columns of a part.
    fn laid(&self, part: &Part) -> Range<usize> {
        let Some((_, cuts)) = &self.shared else { return 0..0 };
        let last = cuts[part.panels.end - 1];
        cuts[part.panels.start].0..last.0 + last.1
    }

    fn base(side: &Side, buffers: (*const f32, *const f32)) -> *const f32 {
        if side.first { buffers.0 } else { buffers.1 }
    }

    /// Lays out a part of what all pieces share.
    ///
    /// # Safety
    /// The buffers are those of the product, `shared` has [`Strided::shared`] words and `room` as many as [`Strided::room`] tells; nobody
    /// writes what is read or uses what is written.
    pub(crate) unsafe fn lay(&self, buffers: (*const f32, *const f32), part: &Part, room: *mut f32, shared: *mut f32) {
        let Some((number, cuts)) = &self.shared else { return };
        let side = &self.sides[*number];
        let x = self.laid(part);
        let gathered = room.wrapping_add(self.rooms[0] + self.rooms[1]);
        // SAFETY: the caller's promise.
        let view = unsafe { side.view(Strided::base(side, buffers), part.matrix, &x, &part.sum, gathered) };
        let width = if *number == 0 { self.kernels.padded } else { self.kernels.wide };
        let block = shared.wrapping_add(self.block(*number) * (part.matrix * self.k + part.sum.start));
        let to = block.wrapping_add(part.panels.start * width * part.sum.len());
        let panels = cuts[part.panels.clone()].iter().map(|&(start, count)| (start - x.start, count));
        // SAFETY: the caller's promise.
        unsafe { self.panels(view, panels, part.sum.len(), width, to) };
    }

    /// # Safety
    /// The elements are there, and room for the panels at `to`.
    unsafe fn panels(
        &self,
        (from, across, along): View,
        panels: impl Iterator<Item = (usize, usize)>,
        k: usize,
        width: usize,
        to: *mut f32,
    ) {
        for (i, (start, count)) in panels.enumerate() {
            let from = from.wrapping_offset(start as isize * across);
            // SAFETY: the caller's promise.
            unsafe { (self.kernels.lay)(&Lay { from, across, along, count, k, to: to.wrapping_add(i * width * k), width }) };
        }
    }

    /// One part of one matrix of the batch.
    ///
    /// # Safety
    /// The matrices lie inside of their buffers, all parts have been laid out in `shared`, nobody writes what is read or uses what is
    /// written; `room` has the words that [`Strided::room`] tells.
    pub(crate) unsafe fn multiply(
        &self,
        buffers: (*const f32, *const f32),
        t: usize,
        (rows, cols): (&Range<usize>, &Range<usize>),
        (to, steps): (*mut f32, Steps),
        room: *mut f32,
        shared: *const f32,
    ) {
        let ranges = if self.turned { [cols, rows] } else { [rows, cols] };
        let steps = if self.turned { steps.transposed() } else { steps };
        let (m, n) = (ranges[0].len(), ranges[1].len());
        let second = room.wrapping_add(self.rooms[0]);
        let rest = second.wrapping_add(self.rooms[1]);
        if let Some(small) = self.small {
            let whole = 0..self.k;
            // SAFETY: the caller's promise.
            unsafe {
                let [a, b] = [(0, room), (1, second)].map(|(number, room)| {
                    let side = &self.sides[number];
                    side.view(Strided::base(side, buffers), t, ranges[number], &whole, room)
                });
                let (a, b) = ((a.0, Steps { row: a.1, column: a.2 }), (b.0, Steps { row: b.2, column: b.1 }));
                small(&small::Work { m, n, k: self.k, a, b, to: (to, steps), pack: rest });
            }
            return;
        }
        for start in (0..self.k.max(1)).step_by(self.depth) {
            let sum = start..(start + self.depth).min(self.k);
            let k = sum.len();
            let mut rows = m.div_ceil(self.kernels.tall);
            let mut block = |number: usize, own: *mut f32| -> (*const f32, usize, usize) {
                let width = if number == 0 { self.kernels.padded } else { self.kernels.wide };
                if let Some((_, cuts)) = self.shared.as_ref().filter(|(side, _)| *side == number) {
                    let block = shared.wrapping_add(self.block(number) * (t * self.k + sum.start));
                    let first = cuts.partition_point(|cut| cut.0 < ranges[number].start);
                    if number == 0 {
                        rows = cuts.partition_point(|cut| cut.0 < ranges[number].end) - first;
                    }
                    return (block.wrapping_add(first * width * k), width, width * k);
                }
                let side = &self.sides[number];
                // SAFETY: the caller's promise.
                let view = unsafe { side.view(Strided::base(side, buffers), t, ranges[number], &sum, rest) };
                if number == 1 && m <= self.kernels.tall && view.1 == 1 && view.2 >= 0 {
                    // Read once only: where it is.
                    return (view.0, view.2 as usize, self.kernels.wide);
                }
                let panels = self.kernels.panels(number == 0, ranges[number].len());
                // SAFETY: as above.
                unsafe { self.panels(view, panels, k, width, own) };
                (own.cast_const(), width, width * k)
            };
            let (left, ..) = block(0, room);
            let (right, right_step, right_panel) = block(1, second);
            // SAFETY: the caller's promise.
            unsafe {
                let block = Block { m, n, k, panels: rows, left, right, right_step, right_panel, to, row: steps.row, more: start > 0 };
                (self.kernels.multiply)(&block);
            }
        }
    }
}

//! Attention in blocks that stay in cache: the weights of some queries and keys at a time, forgotten when they have done their work.
//!
//! Forward, each row keeps its greatest score so far and the sum of the exponentials below it, and what was added up is scaled when a greater one comes; backward, the
//! weights are made anew from the logarithm of that sum. What each block adds, and in which order, depends on shapes only: a result has the same bits
//! whichever others are wanted beside it, and whichever thread does it.
//!
//! Source: Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning", 2023; the running maximum: Milakov and Gimelshein,
//! "Online normalizer calculation for softmax", 2018.

mod rows;

use std::ops::Range;

use noyau_compile::plan::{self, AttentionWork, BufferId, Matrix};
use noyau_tensor::{Attention, Error, Result};

use crate::matmul::Steps;
use crate::pack::of_size;
use crate::panels::{Block, Kernels, Lay};
use crate::simd::Level;

use rows::{Here, slopes, soften};

/// Queries and keys of a block.
const ROWS: usize = 64;
const COLUMNS: usize = 256;
/// Queries of a piece forward: so many share the keys and values that are laid out for their products.
const QUERIES: usize = 4 * ROWS;
/// From so many matrices on, one thread does all of a matrix' gradients and makes the weights once; with fewer, queries' and keys' gradients are pieces of their
/// own.
const TOGETHER: usize = 8;
/// Multiplications that are worth a piece of their own.
const PIECE: usize = 1 << 20;

/// Some matrices of the batch, and what of them.
pub(crate) struct Piece {
    batch: Range<usize>,
    queries: Range<usize>,
    keys: Range<usize>,
    /// Whether the queries' results (forward, or their gradients) and the keys' and values' gradients are made.
    makes: [bool; 2],
}

/// An operand: its first word, where each matrix of the batch begins, and its steps.
struct Operand {
    base: *const f32,
    offsets: Vec<usize>,
    steps: Steps,
}

impl Operand {
    fn new(matrix: &Matrix, (base, len): (*mut u32, usize), [batch, rows, columns]: [usize; 3]) -> Result<Operand> {
        of_size(matrix, rows, columns)?;
        let strides = matrix.strides().ok_or_else(|| Error::Internal(format!("attention reads {matrix}, which is not strided")))?;
        if matrix.reach().is_some_and(|(least, most)| least < 0 || most >= len as i128) {
            return Err(Error::Internal(format!("{matrix} leaves its buffer of {len} elements")));
        }
        let step = |all: Vec<usize>, digit: &plan::Digit| {
            all.iter().flat_map(|&base| (0..digit.size).map(move |i| base + i * digit.stride as usize)).collect()
        };
        let mut offsets: Vec<usize> = matrix.batch.iter().fold(vec![strides.offset], step);
        if offsets.len() == 1 {
            offsets.resize(batch, strides.offset);
        }
        if offsets.len() != batch {
            return Err(Error::Internal("attention with a matrix of another batch".into()));
        }
        Ok(Operand { base: base.cast_const().cast(), offsets, steps: Steps { row: strides.row as isize, column: strides.column as isize } })
    }

    fn at(&self, z: usize, row: usize, column: usize) -> *const f32 {
        let steps = self.steps;
        self.base.wrapping_add(self.offsets[z]).wrapping_offset(row as isize * steps.row + column as isize * steps.column)
    }
}

/// The results that are wanted, and backward what they are made of.
enum Work {
    Forward { out: Option<*mut f32>, lse: Option<*mut f32> },
    Backward { g: Operand, lse: *const f32, delta: *const f32, dq: Option<*mut f32>, dk: Option<*mut f32>, dv: Option<*mut f32> },
}

/// Prepared attention.
pub(crate) struct Attend {
    batch: usize,
    n: usize,
    m: usize,
    d: usize,
    e: usize,
    causal: bool,
    scale: f32,
    q: Operand,
    k: Operand,
    v: Operand,
    masks: Vec<Operand>,
    work: Work,
    kernels: Kernels,
    soften: unsafe fn(*mut f32, usize, *mut f32),
    slopes: unsafe fn(*mut f32, *mut f32, usize, [f32; 3]),
    pub(crate) pieces: Vec<Piece>,
}

impl Attend {
    /// `place` gives the first word and the length of a buffer.
    pub(crate) fn new(a: &plan::Attention, place: &dyn Fn(BufferId) -> Result<(*mut u32, usize)>, level: Level) -> Result<Attend> {
        let operand = |matrix: &Matrix, rows: usize, columns: usize| Operand::new(matrix, place(matrix.buffer)?, [a.batch, rows, columns]);
        let plain = |id: BufferId, len: usize| -> Result<*mut f32> {
            let (base, has) = place(id)?;
            if has != a.batch * len {
                return Err(Error::Internal(format!("attention needs {} x {len} elements where there are {has}", a.batch)));
            }
            Ok(base.cast())
        };
        let result = |id: &Option<BufferId>, len: usize| id.map(|id| plain(id, len)).transpose();
        let work = match &a.work {
            AttentionWork::Forward { out, lse } => Work::Forward { out: result(out, a.n * a.e)?, lse: result(lse, a.n)? },
            AttentionWork::Backward { g, lse, delta, dq, dk, dv } => Work::Backward {
                g: operand(g, a.n, a.e)?,
                lse: plain(*lse, a.n)?,
                delta: plain(*delta, a.n)?,
                dq: result(dq, a.n * a.d)?,
                dk: result(dk, a.m * a.d)?,
                dv: result(dv, a.m * a.e)?,
            },
        };
        let wanted = match &work {
            Work::Forward { .. } => [true, false],
            Work::Backward { dq, dk, dv, .. } => [dq.is_some(), dk.is_some() || dv.is_some()],
        };
        Ok(Attend {
            batch: a.batch,
            n: a.n,
            m: a.m,
            d: a.d,
            e: a.e,
            causal: a.causal,
            scale: a.scale,
            q: operand(&a.q, a.n, a.d)?,
            k: operand(&a.k, a.m, a.d)?,
            v: operand(&a.v, a.m, a.e)?,
            masks: a.masks.iter().map(|mask| operand(mask, a.n, a.m)).collect::<Result<_>>()?,
            work,
            kernels: Kernels::pick(level),
            soften: soften::<Here>(level),
            slopes: slopes::<Here>(level),
            pieces: pieces(a, wanted),
        })
    }

    /// The words of each of a piece's rooms: scores, panels.
    fn rooms(&self) -> Vec<usize> {
        let (rows, columns) = (ROWS.min(self.n), COLUMNS.min(self.m));
        let (d, e) = (self.d, self.e);
        let left = |m: usize, k: usize| self.kernels.words(true, m) * k;
        let right = |n: usize, k: usize| self.kernels.words(false, n) * k;
        let block = rows * columns;
        let all = match self.work {
            Work::Forward { .. } => {
                let blocks = self.n.min(QUERIES).div_ceil(ROWS);
                vec![block, left(rows, columns), right(columns, d), right(e, columns), 3 * self.n.min(QUERIES), left(rows, d) * blocks]
            }
            Work::Backward { .. } => {
                let across = left(rows, columns).max(left(columns, rows));
                let of_rows = [left(rows, d), left(rows, e), right(d, rows), right(e, rows)];
                [block, block, across, right(columns, d), right(columns, e), right(d, columns)].into_iter().chain(of_rows).collect()
            }
        };
        all.into_iter().map(|words| words.next_multiple_of(16)).collect()
    }

    /// The words that a piece works with.
    pub(crate) fn room(&self) -> usize {
        // A vector more, which may be read behind the last element.
        self.rooms().iter().sum::<usize>() + 16
    }

    /// Nanoseconds for all of it, roughly.
    pub(crate) fn cost(&self) -> f64 {
        let times = match &self.work {
            Work::Forward { .. } => 1.0,
            Work::Backward { .. } => 2.5,
        };
        let part = if self.causal { 0.5 } else { 1.0 };
        self.batch as f64 * self.n as f64 * self.m as f64 * part * times * ((self.d + self.e) as f64 / 50.0 + 0.5)
    }

    /// Does one piece.
    ///
    /// # Safety
    /// The buffers are alive, nobody writes what is read or uses what the piece writes. `space` has [`Attend::room`] words.
    pub(crate) unsafe fn run(&self, piece: &Piece, space: *mut f32) {
        for z in piece.batch.clone() {
            // SAFETY: the caller's promise.
            unsafe {
                match &self.work {
                    Work::Forward { out, lse } => self.forward(z, &piece.queries, (*out, *lse), space),
                    Work::Backward { .. } => self.backward(z, piece, space),
                }
            }
        }
    }

    /// The keys of a block that any of its queries may look at.
    fn reach(&self, rows: &Range<usize>, columns: Range<usize>) -> Range<usize> {
        let end = if self.causal { columns.end.min(rows.end) } else { columns.end };
        columns.start..end.max(columns.start)
    }

    /// Lays out a matrix of `count` rows (of a right operand, columns), of which `steps` says how far they lie apart, and the elements of the sum.
    ///
    /// # Safety
    /// The elements are there, and where rows are neighbours so is a vector after each; `to` has the words of so many panels.
    unsafe fn lay(&self, left: bool, (from, steps): (*const f32, [isize; 2]), [count, k]: [usize; 2], to: *mut f32) {
        let width = if left { self.kernels.padded } else { self.kernels.wide };
        let [across, along] = steps;
        for (i, (start, count)) in self.kernels.panels(left, count).enumerate() {
            let from = from.wrapping_offset(start as isize * across);
            // SAFETY: the caller has the elements, and the room.
            unsafe { (self.kernels.lay)(&Lay { from, across, along, count, k, to: to.wrapping_add(i * width * k), width }) };
        }
    }

    /// The product of panels, sizes `[m, n, k]`, to rows of `row` elements. The right one's were laid out for sums of `laid`, of which the first are used.
    ///
    /// # Safety
    /// The panels were laid out for at least these sizes, and `to` has `m` rows of `n` elements that nobody else uses.
    unsafe fn multiply(&self, [m, n, k]: [usize; 3], [left, right]: [*mut f32; 2], laid: usize, (to, row): (*mut f32, usize), more: bool) {
        let Kernels { tall, wide, .. } = self.kernels;
        let (left, right) = (left.cast_const(), right.cast_const());
        let (panels, row) = (m.div_ceil(tall), row as isize);
        let block = Block { m, n, k, panels, left, right, right_step: wide, right_panel: wide * laid, to, row, more };
        // SAFETY: the caller has laid out the panels, and has the room.
        unsafe { (self.kernels.multiply)(&block) };
    }

    /// Lays out the queries `rows`, scaled.
    ///
    /// # Safety
    /// The rows are the matrix', `to` has the words of their panels.
    unsafe fn lay_queries(&self, z: usize, rows: &Range<usize>, to: *mut f32) {
        let Steps { row, column } = self.q.steps;
        // SAFETY: the caller has the room for the panels.
        unsafe {
            self.lay(true, (self.q.at(z, rows.start, 0), [row, column]), [rows.len(), self.d], to);
            // Words that no row has are left from whatever was there before, and a float like any other.
            let words = self.kernels.words(true, rows.len()) * self.d;
            std::slice::from_raw_parts_mut(to, words).iter_mut().for_each(|x| *x *= self.scale);
        }
    }

    /// The scores of a block, row by row, minus infinity where a key is closed; from panels of queries and keys.
    ///
    /// # Safety
    /// Rows and columns are the matrix', the panels are laid out, `to` has a word for each score.
    unsafe fn scores(&self, z: usize, rows: &Range<usize>, columns: &Range<usize>, panels: [*mut f32; 2], to: *mut f32) {
        let width = columns.len();
        // SAFETY: operands were found inside of their buffers, `to` holds a block.
        unsafe {
            self.multiply([rows.len(), width, self.d], panels, self.d, (to, width), false);
            for (r, i) in rows.clone().enumerate() {
                let row = to.add(r * width);
                for mask in &self.masks {
                    let (from, step) = (mask.at(z, i, columns.start), mask.steps.column);
                    for c in 0..width {
                        let added = *from.offset(c as isize * step);
                        *row.add(c) = if added <= Attention::CLOSED { f32::NEG_INFINITY } else { *row.add(c) + added };
                    }
                }
                if self.causal {
                    for c in (i + 1).saturating_sub(columns.start).min(width)..width {
                        *row.add(c) = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }

    /// The results of some queries of matrix `z`.
    ///
    /// # Safety
    /// As for [`Attend::run`].
    unsafe fn forward(&self, z: usize, queries: &Range<usize>, (out, lse): (Option<*mut f32>, Option<*mut f32>), space: *mut f32) {
        let (n, m, d, e) = (self.n, self.m, self.d, self.e);
        let [block, weights, keys, values, states, scaled] = rooms(&self.rooms(), space);
        let each = self.kernels.words(true, ROWS.min(n)) * d;
        for first in queries.clone().step_by(QUERIES) {
            let all = first..(first + QUERIES).min(queries.end);
            let blocks = || all.clone().step_by(ROWS).map(|start| start..(start + ROWS).min(all.end)).enumerate();
            // SAFETY: the rows are inside of the results, the rooms are as long as they have to be.
            unsafe {
                // For each row the greatest score so far, the sum of exponentials below it, and by what the last block scaled what was before.
                for r in 0..all.len() {
                    std::slice::from_raw_parts_mut(states.add(3 * r), 3).copy_from_slice(&[f32::NEG_INFINITY, 0.0, 1.0]);
                }
                if let Some(out) = out {
                    std::slice::from_raw_parts_mut(out.add((z * n + all.start) * e), all.len() * e).fill(0.0);
                }
                blocks().for_each(|(b, rows)| self.lay_queries(z, &rows, scaled.add(b * each)));
                for start in (0..m).step_by(COLUMNS) {
                    let reached = self.reach(&all, start..(start + COLUMNS).min(m));
                    if reached.is_empty() {
                        break;
                    }
                    let Steps { row, column } = self.k.steps;
                    self.lay(false, (self.k.at(z, start, 0), [row, column]), [reached.len(), d], keys);
                    let Steps { row, column } = self.v.steps;
                    self.lay(false, (self.v.at(z, start, 0), [column, row]), [e, reached.len()], values);
                    for (b, rows) in blocks() {
                        let columns = self.reach(&rows, reached.clone());
                        let width = columns.len();
                        if width == 0 {
                            continue;
                        }
                        self.scores(z, &rows, &columns, [scaled.add(b * each), keys], block);
                        let to = out.map(|out| out.add((z * n + rows.start) * e));
                        for r in 0..rows.len() {
                            let state = states.add(3 * (rows.start - all.start + r));
                            (self.soften)(block.add(r * width), width, state);
                            let scale = *state.add(2);
                            if let Some(to) = to.filter(|_| scale != 1.0) {
                                std::slice::from_raw_parts_mut(to.add(r * e), e).iter_mut().for_each(|x| *x *= scale);
                            }
                        }
                        if let Some(to) = to {
                            self.lay(true, (block, [width as isize, 1]), [rows.len(), width], weights);
                            self.multiply([rows.len(), e, width], [weights, values], reached.len(), (to, e), true);
                        }
                    }
                }
                for (r, i) in all.clone().enumerate() {
                    let (most, sum) = (*states.add(3 * r), *states.add(3 * r + 1));
                    let open = most != f32::NEG_INFINITY;
                    if let Some(out) = out {
                        let scale = if open {
                            1.0 / sum
                        } else if sum.is_nan() {
                            sum
                        } else {
                            0.0
                        };
                        std::slice::from_raw_parts_mut(out.add((z * n + i) * e), e).iter_mut().for_each(|x| *x *= scale);
                    }
                    if let Some(lse) = lse {
                        *lse.add(z * n + i) = if open { most + sum.ln() } else { 0.0 };
                    }
                }
            }
        }
    }

    /// The gradients that a piece makes of matrix `z`: no other piece writes these rows.
    ///
    /// # Safety
    /// As for [`Attend::run`].
    unsafe fn backward(&self, z: usize, piece: &Piece, space: *mut f32) {
        let Work::Backward { g, lse, delta, dq, dk, dv } = &self.work else { return };
        let (n, m, d, e) = (self.n, self.m, self.d, self.e);
        let [block, second, across, of_k, of_v, keys, of_q, of_g, queries, gradients] = rooms(&self.rooms(), space);
        let dq = dq.filter(|_| piece.makes[0]).map(|dq| dq.wrapping_add(z * n * d));
        let dk = dk.filter(|_| piece.makes[1]).map(|dk| dk.wrapping_add(z * m * d));
        let dv = dv.filter(|_| piece.makes[1]).map(|dv| dv.wrapping_add(z * m * e));
        let clear = |to: Option<*mut f32>, rows: &Range<usize>, width: usize| {
            if let Some(to) = to {
                // SAFETY: rows of a result.
                unsafe { std::slice::from_raw_parts_mut(to.add(rows.start * width), rows.len() * width) }.fill(0.0);
            }
        };
        clear(dq, &piece.queries, d);
        clear(dk, &piece.keys, d);
        clear(dv, &piece.keys, e);
        let slopes = dq.is_some() || dk.is_some();
        let steps = |steps: Steps| [steps.row, steps.column];
        let turned = |steps: Steps| [steps.column, steps.row];
        for start in piece.keys.clone().step_by(COLUMNS) {
            let all = start..(start + COLUMNS).min(piece.keys.end);
            let (k, v) = (self.k.at(z, start, 0), self.v.at(z, start, 0));
            // SAFETY: operands and results were found inside of their buffers, the rooms are as long as they have to be.
            unsafe {
                self.lay(false, (k, steps(self.k.steps)), [all.len(), d], of_k);
                if slopes {
                    self.lay(false, (v, steps(self.v.steps)), [all.len(), e], of_v);
                }
                if dq.is_some() {
                    self.lay(false, (k, turned(self.k.steps)), [d, all.len()], keys);
                }
                for start in piece.queries.clone().step_by(ROWS) {
                    let rows = start..(start + ROWS).min(piece.queries.end);
                    let columns = self.reach(&rows, all.clone());
                    let (height, width) = (rows.len(), columns.len());
                    if width == 0 {
                        continue;
                    }
                    let (q, gradient) = (self.q.at(z, rows.start, 0), g.at(z, rows.start, 0));
                    self.lay_queries(z, &rows, of_q);
                    self.scores(z, &rows, &columns, [of_q, of_k], block);
                    if slopes {
                        self.lay(true, (gradient, steps(g.steps)), [height, e], of_g);
                        self.multiply([height, width, e], [of_g, of_v], e, (second, width), false);
                    }
                    for (r, i) in rows.clone().enumerate() {
                        let numbers = [*lse.add(z * n + i), *delta.add(z * n + i), self.scale];
                        (self.slopes)(block.add(r * width), second.add(r * width), width, numbers);
                    }
                    if let Some(dq) = dq {
                        self.lay(true, (second, [width as isize, 1]), [height, width], across);
                        self.multiply([height, d, width], [across, keys], all.len(), (dq.add(rows.start * d), d), true);
                    }
                    if let Some(dk) = dk {
                        self.lay(false, (q, turned(self.q.steps)), [d, height], queries);
                        self.lay(true, (second, [1, width as isize]), [width, height], across);
                        self.multiply([width, d, height], [across, queries], height, (dk.add(columns.start * d), d), true);
                    }
                    if let Some(dv) = dv {
                        self.lay(false, (gradient, turned(g.steps)), [e, height], gradients);
                        self.lay(true, (block, [1, width as isize]), [width, height], across);
                        self.multiply([width, e, height], [across, gradients], height, (dv.add(columns.start * e), e), true);
                    }
                }
            }
        }
    }
}

/// Where each room begins.
fn rooms<const N: usize>(words: &[usize], space: *mut f32) -> [*mut f32; N] {
    debug_assert_eq!(words.len(), N);
    let mut next = space;
    std::array::from_fn(|i| {
        let here = next;
        next = next.wrapping_add(words.get(i).copied().unwrap_or(0));
        here
    })
}

/// Cuts attention into pieces.
fn pieces(a: &plan::Attention, wanted: [bool; 2]) -> Vec<Piece> {
    let backward = matches!(a.work, AttentionWork::Backward { .. });
    let work = (a.n * a.m * (a.d + a.e)).max(1);
    let whole = |batch: Range<usize>| Piece { batch, queries: 0..a.n, keys: 0..a.m, makes: wanted };
    if work <= PIECE || (backward && a.batch >= TOGETHER) {
        let together = (PIECE / work).max(1);
        return (0..a.batch).step_by(together).map(|start| whole(start..(start + together).min(a.batch))).collect();
    }
    let blocks = |size: usize, step: usize| (0..size).step_by(step).map(move |start| start..(start + step).min(size));
    let mut all = Vec::new();
    for z in 0..a.batch {
        if wanted[0] {
            all.extend(blocks(a.n, if backward { ROWS } else { QUERIES }).map(|queries| Piece {
                queries,
                makes: [true, false],
                ..whole(z..z + 1)
            }));
        }
        if wanted[1] {
            all.extend(blocks(a.m, COLUMNS).map(|keys| Piece { keys, makes: [false, true], ..whole(z..z + 1) }));
        }
    }
    all
}

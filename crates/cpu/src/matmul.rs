//! Matrix products: pieces of the result that stay in cache, each followed by the body while it is there.
//!
//! How a product is cut into pieces depends on its shape only, so the sums do too.

use std::ops::Range;

use noyau_compile::plan::{self, Instr};
use noyau_tensor::{Error, Result};

use crate::simd::Level;
use crate::small;
use crate::tile::{Program, Request, Scratch, lower};

/// Products of at most so many multiplications skip the machinery for large ones.
const SMALL: usize = 1 << 14;
/// Multiplications that are worth a piece of their own.
const PIECE: usize = 1 << 21;
/// Elements of a piece's result.
const PIECE_RESULT: usize = 1 << 16;

/// A matrix of a batch: where it begins, and its steps.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) row: isize,
    pub(crate) column: isize,
}

impl Steps {
    pub(crate) fn transposed(self) -> Steps {
        Steps { row: self.column, column: self.row }
    }
}

/// A part of the product: some matrices of the batch, or some rows and columns of one.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    batch: Range<usize>,
    rows: Range<usize>,
    cols: Range<usize>,
}

enum Out {
    /// Straight to a buffer: its first word, the place of each matrix of the batch.
    Buffer { base: *mut u32, offsets: Vec<usize>, steps: Steps },
    /// To scratch memory, where the body finds it, `width` elements a row.
    Body { program: Box<Program>, operands: Vec<*mut u32>, width: usize },
}

/// A prepared matrix product.
pub(crate) struct Product {
    m: usize,
    n: usize,
    k: usize,
    a: *const f32,
    b: *const f32,
    /// The place of each matrix of the batch.
    a_offsets: Vec<usize>,
    b_offsets: Vec<usize>,
    a_steps: Steps,
    b_steps: Steps,
    small: Option<small::Run>,
    out: Out,
    pub(crate) pieces: Vec<Piece>,
}

/// The places of all matrices of a batch.
fn offsets(batch: &[usize], offset: usize, strides: &[usize]) -> Vec<usize> {
    let mut all = vec![offset];
    for (&size, &stride) in batch.iter().zip(strides) {
        all = all.iter().flat_map(|&base| (0..size).map(move |i| base + i * stride)).collect();
    }
    all
}

/// The places of the product where the body only stores it, and rows or columns lie side by side there.
fn direct(matmul: &plan::Matmul) -> Option<(Vec<usize>, Steps)> {
    let [store] = &matmul.body.stores[..] else { return None };
    let view = store.index.single()?;
    if matmul.body.values.get(store.value.0)?.instr != Instr::Product || !view.is_unmasked() {
        return None;
    }
    let strides = view.strides.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<Vec<_>>>()?;
    let (batch, [row, column]) = strides.split_at_checked(matmul.batch.len())? else { return None };
    let side_by_side = *row == 1 || *column == 1 || matmul.m <= 1 || matmul.n <= 1;
    let offset = usize::try_from(view.offset).ok()?;
    side_by_side.then(|| (offsets(&matmul.batch, offset, batch), Steps { row: *row as isize, column: *column as isize }))
}

/// Cuts a product into pieces.
fn pieces(batch: usize, m: usize, n: usize, k: usize) -> Vec<Piece> {
    let work = m * n * k;
    let whole = |batch: Range<usize>| Piece { batch, rows: 0..m, cols: 0..n };
    let cut = |size: usize, parts: usize, grain: usize| -> Vec<Range<usize>> {
        let step = size.div_ceil(parts.max(1)).next_multiple_of(grain);
        (0..size).step_by(step.max(1)).map(|start| start..(start + step).min(size)).collect()
    };
    if work <= PIECE && m * n <= PIECE_RESULT {
        let together = (PIECE / work.max(1)).min(PIECE_RESULT / (m * n).max(1)).max(1);
        return cut(batch, batch.div_ceil(together), 1).into_iter().map(whole).collect();
    }
    let parts = (work / PIECE).max(m * n / PIECE_RESULT).max(1);
    (0..batch)
        .flat_map(|t| {
            let piece = move |rows: Range<usize>, cols: Range<usize>| Piece { batch: t..t + 1, rows, cols };
            if m >= n {
                cut(m, parts.min(m / 64), 16).into_iter().map(|rows| piece(rows, 0..n)).collect::<Vec<_>>()
            } else {
                cut(n, parts.min(n / 64), 16).into_iter().map(|cols| piece(0..m, cols)).collect::<Vec<_>>()
            }
        })
        .collect()
}

impl Product {
    /// `operands` and `limits`: the body's buffers and their lengths; `a`, `b`: the matrices'.
    pub(crate) fn new(
        matmul: &plan::Matmul,
        operands: Vec<*mut u32>,
        limits: &[usize],
        a: (*mut u32, usize),
        b: (*mut u32, usize),
        level: Level,
    ) -> Result<Product> {
        let (m, n, k) = (matmul.m, matmul.n, matmul.k);
        let place = |matrix: &plan::Matrix, rows: usize, columns: usize, limit: usize| -> Result<(Vec<usize>, Steps)> {
            if matrix.batch_strides.len() != matmul.batch.len() {
                return Err(Error::Internal("a matrix of another batch".into()));
            }
            let sizes = matmul.batch.iter().copied().chain([rows, columns]);
            let strides = matrix.batch_strides.iter().copied().chain([matrix.row_stride, matrix.column_stride]);
            let last = sizes.clone().zip(strides).map(|(size, stride)| size.saturating_sub(1) as u128 * stride as u128).sum::<u128>()
                + matrix.offset as u128;
            if sizes.clone().all(|size| size > 0) && last >= limit as u128 {
                return Err(Error::Internal(format!("a matrix reaches {last} of a buffer of {limit}")));
            }
            let steps = Steps { row: matrix.row_stride as isize, column: matrix.column_stride as isize };
            Ok((offsets(&matmul.batch, matrix.offset, &matrix.batch_strides), steps))
        };
        let (a_offsets, a_steps) = place(&matmul.a, m, k, a.1)?;
        let (b_offsets, b_steps) = place(&matmul.b, k, n, b.1)?;
        let pieces = pieces(a_offsets.len(), m, n, k);
        let width = pieces.iter().map(|p| p.cols.len()).max().unwrap_or(n);
        let request = Request { body: &matmul.body, limits, outer: &matmul.space(), inner: &[], product: Some(width), level };
        // Prepared even where it will not run: that checks the stores.
        let program = Box::new(lower(&request)?);
        let out = match (direct(matmul), &operands[..]) {
            (Some((offsets, steps)), &[base]) => Out::Buffer { base, offsets, steps },
            _ => Out::Body { program, operands, width },
        };
        let small = (m * n * k <= SMALL).then(|| small::pick(level));
        Ok(Product { m, n, k, a: a.0.cast(), b: b.0.cast(), a_offsets, b_offsets, a_steps, b_steps, small, out, pieces })
    }

    /// The scratch words and values that the body needs, and the words that a piece of the product needs.
    pub(crate) fn needs(&self) -> (usize, usize, usize) {
        let packed = if self.small.is_some() { small::room(self.m, self.n, self.k) } else { 0 };
        match &self.out {
            Out::Buffer { .. } => (0, 0, packed),
            Out::Body { program, width, .. } => {
                let rows = self.pieces.iter().map(|p| p.batch.len() * p.rows.len()).max().unwrap_or(0);
                (program.scratch, program.places, packed + rows * width)
            }
        }
    }

    /// Nanoseconds for all of it, roughly.
    pub(crate) fn cost(&self) -> f64 {
        let work = self.a_offsets.len() as f64 * self.m as f64 * self.n as f64 * self.k as f64;
        let body = match &self.out {
            Out::Buffer { .. } => 0.0,
            Out::Body { program, .. } => program.cost,
        };
        work / 50.0 + body
    }

    /// Computes one piece.
    ///
    /// # Safety
    /// The buffers that the product was made for are alive, nobody else writes what it reads or uses what the piece writes. `scratch` and `space` have the
    /// room that [`Product::needs`] tells.
    pub(crate) unsafe fn run(&self, piece: &Piece, scratch: &mut Scratch, space: *mut f32) {
        let (rows, cols) = (piece.rows.clone(), piece.cols.clone());
        // What is packed comes last.
        let (pack, width) = match &self.out {
            Out::Buffer { .. } => (space, 0),
            Out::Body { width, .. } => (space.wrapping_add(piece.batch.len() * rows.len() * width), *width),
        };
        for t in piece.batch.clone() {
            let (to, steps) = match &self.out {
                Out::Buffer { base, offsets, steps } => {
                    let first = offsets[t] as isize + rows.start as isize * steps.row + cols.start as isize * steps.column;
                    (base.cast::<f32>().wrapping_offset(first), *steps)
                }
                Out::Body { .. } => {
                    (space.wrapping_add((t - piece.batch.start) * rows.len() * width), Steps { row: width as isize, column: 1 })
                }
            };
            let a = self.a.wrapping_offset(self.a_offsets[t] as isize + rows.start as isize * self.a_steps.row);
            let b = self.b.wrapping_offset(self.b_offsets[t] as isize + cols.start as isize * self.b_steps.column);
            // SAFETY: the matrices were found inside of their buffers, the result inside of its own or of the scratch memory.
            unsafe { self.multiply(rows.len(), cols.len(), (a, self.a_steps), (b, self.b_steps), (to, steps), pack) };
        }
        if let Out::Body { program, operands, .. } = &self.out {
            let line = piece.batch.start * self.m + rows.start;
            let lines = line..line + (piece.batch.len() - 1) * self.m + rows.len();
            let origin = space.cast::<u32>().wrapping_sub(line * width + cols.start);
            // SAFETY: as the caller promises; a piece of several matrices is of all their rows, so that its lines follow each other.
            unsafe {
                if program.lines == 1 {
                    program.run(operands, origin, scratch, 0..1, lines.start * self.n + cols.start..(lines.end - 1) * self.n + cols.end);
                } else {
                    program.run(operands, origin, scratch, lines, cols);
                }
            }
        }
    }

    /// # Safety
    /// The matrices lie inside of their buffers, nobody writes what is read or uses what is written; `pack` has the room for a small product.
    unsafe fn multiply(&self, m: usize, n: usize, a: (*const f32, Steps), b: (*const f32, Steps), to: (*mut f32, Steps), pack: *mut f32) {
        let k = self.k;
        if let Some(small) = self.small {
            // SAFETY: the caller's promise.
            return unsafe { small(&small::Work { m, n, k, a, b, to, pack }) };
        }
        // SAFETY: the caller's promise.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                to.0,
                to.1.column,
                to.1.row,
                false,
                a.0,
                a.1.column,
                a.1.row,
                b.0,
                b.1.column,
                b.1.row,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

//! Matrix products: pieces of the result that stay in cache, each followed by the body while it is there.
//!
//! How a product is cut into pieces depends on its shape only, so the sums do too.

use std::ops::Range;

use noyau_compile::plan::{self, Instr};
use noyau_tensor::{Error, Result};

use crate::pack::{inside, of_size};
use crate::simd::Level;
use crate::sliding::{Ready, Sliding};
use crate::strided::{Part, Strided};
use crate::tile::{Program, Request, Scratch, lower};

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
    pub(crate) batch: Range<usize>,
    pub(crate) rows: Range<usize>,
    pub(crate) cols: Range<usize>,
}

enum Out {
    /// Straight to a buffer: its first word, the place of each matrix of the batch.
    Buffer { base: *mut u32, offsets: Vec<usize>, steps: Steps },
    /// To scratch memory, where the body finds it, `width` elements a row.
    Body { program: Box<Program>, operands: Vec<*mut u32>, width: usize },
}

/// How a product is computed.
enum By {
    /// Panels of both matrices.
    Strides(Box<Strided>),
    /// Windows that are read where the image lies.
    Sliding(Box<Sliding>),
}

/// A prepared matrix product.
pub(crate) struct Product {
    m: usize,
    n: usize,
    k: usize,
    buffers: (*const f32, *const f32),
    batches: usize,
    by: By,
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
        let batch: usize = matmul.batch.iter().product();
        // All places that loops come to are those of these sizes.
        of_size(&matmul.a, m, k)?;
        of_size(&matmul.b, k, n)?;
        let direct = direct(matmul).filter(|_| operands.len() == 1);
        let (by, pieces) = match Sliding::new(matmul, level) {
            Some((sliding, pieces)) => {
                inside(&matmul.a, a.1)?;
                inside(&matmul.b, b.1)?;
                (By::Sliding(Box::new(sliding)), pieces)
            }
            None => {
                let (strided, pieces) = Strided::new(matmul, (a.1, b.1), direct.as_ref().map(|(_, steps)| *steps), level)?;
                (By::Strides(Box::new(strided)), pieces)
            }
        };
        let batches = match &by {
            By::Strides(by) => by.batches(),
            By::Sliding(by) => by.batches(),
        };
        if batches != [batch; 2] {
            return Err(Error::Internal("a matrix of another batch".into()));
        }
        let width = pieces.iter().map(|p| p.cols.len()).max().unwrap_or(n);
        let request = Request { body: &matmul.body, limits, outer: &matmul.space(), inner: &[], product: Some(width), level };
        // Prepared even where it will not run: that checks the stores.
        let program = Box::new(lower(&request)?);
        let out = match (direct, &operands[..]) {
            (Some((offsets, steps)), &[base]) => Out::Buffer { base, offsets, steps },
            _ => Out::Body { program, operands, width },
        };
        Ok(Product { m, n, k, buffers: (a.0.cast_const().cast(), b.0.cast_const().cast()), batches: batch, by, out, pieces })
    }

    /// The scratch words and values that the body needs, and the words that a piece of the product needs.
    pub(crate) fn needs(&self) -> (usize, usize, usize) {
        let packed = match &self.by {
            By::Strides(by) => by.room(),
            By::Sliding(by) => by.room(),
        };
        match &self.out {
            Out::Buffer { .. } => (0, 0, packed),
            Out::Body { program, width, .. } => {
                let rows = self.pieces.iter().map(|p| p.batch.len() * p.rows.len()).max().unwrap_or(0);
                (program.scratch, program.places, packed + (rows * width).next_multiple_of(16))
            }
        }
    }

    /// The words that all pieces share.
    pub(crate) fn shared(&self) -> usize {
        match &self.by {
            By::Strides(by) => by.shared(),
            By::Sliding(_) => 0,
        }
    }

    /// What has to be done before the pieces.
    pub(crate) fn parts(&self) -> &[Part] {
        match &self.by {
            By::Strides(by) => &by.parts,
            By::Sliding(_) => &[],
        }
    }

    /// Does one of the parts.
    ///
    /// # Safety
    /// As for [`Product::run`]; nobody uses what is written in `shared`.
    pub(crate) unsafe fn lay(&self, part: &Part, space: *mut f32, shared: *mut f32) {
        if let By::Strides(by) = &self.by {
            // SAFETY: the caller's promise.
            unsafe { by.lay(self.buffers, part, space, shared) };
        }
    }

    /// Nanoseconds for all of it, roughly.
    pub(crate) fn cost(&self) -> f64 {
        let work = self.batches as f64 * self.m as f64 * self.n as f64 * self.k as f64;
        let body = match &self.out {
            Out::Buffer { .. } => 0.0,
            Out::Body { program, .. } => program.cost,
        };
        work / 50.0 + body
    }

    /// Computes one piece, after all parts.
    ///
    /// # Safety
    /// The buffers that the product was made for are alive, nobody else writes what it reads or uses what the piece writes. `scratch` and `space` have the
    /// room that [`Product::needs`] tells, `shared` what [`Product::shared`] tells.
    pub(crate) unsafe fn run(&self, piece: &Piece, scratch: &mut Scratch, space: *mut f32, shared: *const f32) {
        let (rows, cols) = (piece.rows.clone(), piece.cols.clone());
        // What is packed comes last.
        let (pack, width) = match &self.out {
            Out::Buffer { .. } => (space, 0),
            Out::Body { width, .. } => (space.wrapping_add((piece.batch.len() * rows.len() * width).next_multiple_of(16)), *width),
        };
        let mut ready = Ready::default();
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
            // SAFETY: the matrices were found inside of their buffers, the result inside of its own or of the scratch memory.
            unsafe {
                match &self.by {
                    By::Strides(by) => by.multiply(self.buffers, t, (&rows, &cols), (to, steps), pack, shared),
                    By::Sliding(by) => by.run(self.buffers, t, &cols, (to, steps), pack, &mut ready),
                }
            };
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
}

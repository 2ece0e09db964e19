//! Matrix products: pieces of the result that stay in cache, each followed by the body while it is there.
//!
//! How a product is cut into pieces depends on its shape only, so the sums do too.

use std::ops::Range;

use noyau_compile::plan::{self, Instr};
use noyau_tensor::{Error, Result};

use crate::pack::{Operand, inside};
use crate::simd::Level;
use crate::sliding::{Ready, Sliding};
use crate::small;
use crate::tile::{Program, Request, Scratch, lower};

/// Products of at most so many multiplications skip the machinery for large ones.
const SMALL: usize = 1 << 14;
/// Multiplications that are worth a piece of their own.
const PIECE: usize = 1 << 21;
/// Elements of a piece's result.
const PIECE_RESULT: usize = 1 << 16;
/// Elements of an operand that are packed at a time: they stay in a core's second cache.
const PACKED: usize = 1 << 16;

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
    /// Matrices of two strides; what is not is packed.
    Strides(Box<Strided>),
    /// Windows that are read where the image lies.
    Sliding(Box<Sliding>),
}

struct Strided {
    a: Operand,
    b: Operand,
    /// How much of the sum is done at a time.
    depth: usize,
    /// The words in which a part of each operand is packed.
    rooms: [usize; 2],
    small: Option<small::Run>,
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

/// Cuts a product into pieces; `packed` says which of the operands are packed.
fn pieces(batch: usize, m: usize, n: usize, k: usize, packed: [bool; 2]) -> Vec<Piece> {
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
    // An operand that is packed is cut, so that no part of it is packed twice.
    let by_rows = if packed[0] != packed[1] { packed[0] } else { m >= n };
    let packing = if packed == [false, false] { 0 } else { k * if by_rows { m } else { n } / PACKED };
    let parts = (work / PIECE).max(m * n / PIECE_RESULT).max(packing).max(1);
    (0..batch)
        .flat_map(|t| {
            let piece = move |rows: Range<usize>, cols: Range<usize>| Piece { batch: t..t + 1, rows, cols };
            if by_rows {
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
        let batch: usize = matmul.batch.iter().product();
        let (by, pieces) = match Sliding::new(matmul, level) {
            Some((sliding, pieces)) => {
                inside(&matmul.a, a.1)?;
                inside(&matmul.b, b.1)?;
                (By::Sliding(Box::new(sliding)), pieces)
            }
            None => {
                let (strided, pieces) = Strided::new(matmul, (a.1, b.1), level)?;
                (By::Strides(Box::new(strided)), pieces)
            }
        };
        let batches = match &by {
            By::Strides(by) => [by.a.batches(), by.b.batches()],
            By::Sliding(by) => by.batches(),
        };
        if batches != [batch; 2] {
            return Err(Error::Internal("a matrix of another batch".into()));
        }
        let width = pieces.iter().map(|p| p.cols.len()).max().unwrap_or(n);
        let request = Request { body: &matmul.body, limits, outer: &matmul.space(), inner: &[], product: Some(width), level };
        // Prepared even where it will not run: that checks the stores.
        let program = Box::new(lower(&request)?);
        let out = match (direct(matmul), &operands[..]) {
            (Some((offsets, steps)), &[base]) => Out::Buffer { base, offsets, steps },
            _ => Out::Body { program, operands, width },
        };
        Ok(Product { m, n, k, buffers: (a.0.cast_const().cast(), b.0.cast_const().cast()), batches: batch, by, out, pieces })
    }

    /// The scratch words and values that the body needs, and the words that a piece of the product needs.
    pub(crate) fn needs(&self) -> (usize, usize, usize) {
        let packed = match &self.by {
            By::Strides(by) => by.rooms[0] + by.rooms[1] + by.small.map_or(0, |_| small::room(self.m, self.n, self.k)),
            By::Sliding(by) => by.room(),
        };
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
        let work = self.batches as f64 * self.m as f64 * self.n as f64 * self.k as f64;
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
                    By::Strides(by) => by.multiply(self, t, (&rows, &cols), (to, steps), pack),
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

impl Strided {
    /// `limits`: the elements of both buffers.
    fn new(matmul: &plan::Matmul, limits: (usize, usize), level: Level) -> Result<(Strided, Vec<Piece>)> {
        let (m, n, k) = (matmul.m, matmul.n, matmul.k);
        let a = Operand::new(&matmul.a, true, limits.0)?;
        let b = Operand::new(&matmul.b, false, limits.1)?;
        let packed = [a.is_packed(), b.is_packed()];
        let pieces = pieces(matmul.batch.iter().product(), m, n, k, packed);
        let most = |f: &dyn Fn(&Piece) -> usize| pieces.iter().map(f).max().unwrap_or(0);
        let widths = [(packed[0], most(&|p| p.rows.len())), (packed[1], most(&|p| p.cols.len()))].map(|(p, size)| if p { size } else { 0 });
        let depth = if packed == [false, false] { k } else { (PACKED / widths[0].max(widths[1]).max(1)).max(64).min(k) }.max(1);
        let rooms = widths.map(|width| width * depth);
        let small = (m * n * k <= SMALL).then(|| small::pick(level));
        Ok((Strided { a, b, depth, rooms, small }, pieces))
    }

    /// One part of one matrix of the batch.
    ///
    /// # Safety
    /// The matrices lie inside of their buffers, nobody writes what is read or uses what is written; `pack` has the room that [`Product::needs`] tells.
    unsafe fn multiply(
        &self,
        product: &Product,
        t: usize,
        (rows, cols): (&Range<usize>, &Range<usize>),
        to: (*mut f32, Steps),
        pack: *mut f32,
    ) {
        let (m, n) = (rows.len(), cols.len());
        let right = pack.wrapping_add(self.rooms[0]);
        let rest = right.wrapping_add(self.rooms[1]);
        let whole = product.k;
        for start in (0..whole.max(1)).step_by(self.depth) {
            let sum = start..(start + self.depth).min(whole);
            let k = sum.len();
            let a = match (product.buffers.0, &self.a) {
                (base, Operand::Direct { offsets, steps }) => {
                    let first = offsets[t] as isize + rows.start as isize * steps.row + sum.start as isize * steps.column;
                    (base.wrapping_offset(first), *steps)
                }
                (base, Operand::Packed(packer)) => {
                    // SAFETY: the caller's promise.
                    unsafe { packer.pack(base, t, rows.clone(), sum.clone(), pack) };
                    let (row, column) = packer.steps(m, k);
                    (pack.cast_const(), Steps { row, column })
                }
            };
            let b = match (product.buffers.1, &self.b) {
                (base, Operand::Direct { offsets, steps }) => {
                    let first = offsets[t] as isize + sum.start as isize * steps.row + cols.start as isize * steps.column;
                    (base.wrapping_offset(first), *steps)
                }
                (base, Operand::Packed(packer)) => {
                    // SAFETY: the caller's promise.
                    unsafe { packer.pack(base, t, cols.clone(), sum.clone(), right) };
                    let (column, row) = packer.steps(n, k);
                    (right.cast_const(), Steps { row, column })
                }
            };
            if let Some(small) = self.small.filter(|_| k == whole) {
                // SAFETY: the caller's promise.
                unsafe { small(&small::Work { m, n, k, a, b, to, pack: rest }) };
                continue;
            }
            let more = start > 0;
            // SAFETY: the caller's promise.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    to.0,
                    to.1.column,
                    to.1.row,
                    more,
                    a.0,
                    a.1.column,
                    a.1.row,
                    b.0,
                    b.1.column,
                    b.1.row,
                    if more { 1.0 } else { 0.0 },
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    }
}

//! A kernel done again on the host, coordinate by coordinate, with room for rounding: what its stores may hold, against what they do hold.
//!
//! How far a device may be off follows from what the kernel does, number by number (see `interval`, and `sums`).

use std::ops::Range;

use noyau_compile::plan::{Body, BufferId, Instr, Kernel, KernelKind, Level, Loop, Matmul, Matrix, Plan, Scatter, ValueId};
use noyau_compile::{Index, scalar};
use noyau_tensor::{DType, Error, Result};

use super::attention;
use super::interval::{self, Interval, TINY};
use super::sums::{Sum, Total, grid_of};

/// Values worked out by one thread before a second one is worth starting.
const ALONE: usize = 100_000;
/// The most places that one uncertain index may name before its value counts as unknown.
const PLACES: f64 = 64.0;

/// What a kernel stored that it should not have.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// Where.
    pub buffer: BufferId,
    /// The first element at fault, row-major.
    pub place: usize,
    /// What is there.
    pub word: u32,
    /// What may be.
    pub allowed: Interval,
    /// How many elements are at fault, in all that the kernel stores.
    pub count: usize,
    /// Of so many.
    pub of: usize,
}

/// Compares what a kernel left in the buffers that it writes (`after`) with what it has to make of the buffers that it reads (`before`); both by buffer.
pub(super) fn compare(plan: &Plan, kernel: &Kernel, before: &[&[u32]], after: &[&[u32]]) -> Result<Option<Difference>> {
    let parts = match &kernel.kind {
        KernelKind::Loop(l) => {
            let rows: usize = l.outer.iter().product();
            let length: usize = l.inner.iter().product();
            let evaluator = Evaluator::new(plan, &l.body, l.space(), l.outer.len(), before, after);
            in_parallel(rows, (length.max(1)).saturating_mul(l.body.values.len()), |part| evaluator.rows(l, part))
        }
        KernelKind::Matmul(m) => {
            let evaluator = Evaluator::new(plan, &m.body, m.space(), m.batch.len() + 2, before, after);
            let product = Product { m, a: before[m.a.buffer.0], b: before[m.b.buffer.0] };
            in_parallel(m.batch.iter().product::<usize>() * m.m, m.n.saturating_mul(m.k + 4 * m.body.values.len()), |part| {
                evaluator.products(m, &product, part)
            })
        }
        KernelKind::Scatter(s) => vec![scatter(s, before, after)],
        KernelKind::Attention(a) => attention::compare(a, before, after),
    };
    let mut found = Found::default();
    for part in parts {
        found.add(part?);
    }
    Ok(found.first.map(|first| Difference { count: found.count, of: found.of, ..first }))
}

fn internal(message: &str) -> Error {
    Error::Internal(message.into())
}

/// Does `work` for all items, in several parts at a time where that pays.
fn in_parallel<R: Send>(items: usize, each: usize, work: impl Fn(Range<usize>) -> R + Sync) -> Vec<R> {
    let threads = if cfg!(target_arch = "wasm32") || items.saturating_mul(each) < ALONE {
        1
    } else {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    };
    let step = items.div_ceil(threads).max(1);
    let parts: Vec<Range<usize>> = (0..items).step_by(step).map(|start| start..(start + step).min(items)).collect();
    if parts.len() <= 1 {
        return parts.into_iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// What a part of the work found.
#[derive(Default)]
pub(super) struct Found {
    count: usize,
    of: usize,
    first: Option<Difference>,
}

impl Found {
    pub(super) fn check(&mut self, buffer: BufferId, place: usize, allowed: Interval, dtype: DType, after: &[&[u32]]) -> Result<()> {
        let &word = after[buffer.0].get(place).ok_or_else(|| internal("a store leaves its buffer"))?;
        self.of += 1;
        if !allowed.allows(word, dtype) {
            self.count += 1;
            self.first.get_or_insert(Difference { buffer, place, word, allowed, count: 0, of: 0 });
        }
        Ok(())
    }

    fn add(&mut self, other: Found) {
        self.count += other.count;
        self.of += other.of;
        if self.first.is_none() {
            self.first = other.first;
        }
    }
}

/// The next coordinate of a space in row-major order; back to the first after the last.
fn advance(coordinate: &mut [usize], space: &[usize]) {
    for (c, size) in coordinate.iter_mut().zip(space).rev() {
        *c += 1;
        if *c < *size {
            return;
        }
        *c = 0;
    }
}

/// The coordinate of a row-major place.
fn unravel(mut place: usize, space: &[usize], coordinate: &mut [usize]) {
    for (c, size) in coordinate.iter_mut().zip(space).rev() {
        *c = place % size;
        place /= size;
    }
}

fn place(index: &Index, coordinate: &[usize]) -> Option<usize> {
    match index.single() {
        Some(view) => view.place(coordinate).and_then(|place| usize::try_from(place).ok()),
        None => index.place(coordinate),
    }
}

/// A kernel's body with the memory that it works on.
struct Evaluator<'a> {
    plan: &'a Plan,
    body: &'a Body,
    space: Vec<usize>,
    outer: usize,
    before: &'a [&'a [u32]],
    after: &'a [&'a [u32]],
    /// For each reduction the inner values that it needs, and last those that inner stores need.
    inner: Vec<Vec<usize>>,
    stores: Vec<usize>,
}

/// Where one thread stands.
struct Desk {
    coordinate: Vec<usize>,
    values: Vec<Interval>,
    product: Interval,
    found: Found,
}

impl<'a> Evaluator<'a> {
    fn new(plan: &'a Plan, body: &'a Body, space: Vec<usize>, outer: usize, before: &'a [&'a [u32]], after: &'a [&'a [u32]]) -> Self {
        let needed = |roots: &[ValueId]| {
            let mut needed = vec![false; body.values.len()];
            roots.iter().for_each(|v| needed[v.0] = true);
            let inner = |i: usize| body.values[i].level == Level::Inner;
            for i in (0..needed.len()).rev() {
                if needed[i] && inner(i) {
                    body.values[i].instr.operands().iter().for_each(|v| needed[v.0] = true);
                }
            }
            (0..needed.len()).filter(|&i| needed[i] && inner(i)).collect::<Vec<_>>()
        };
        let of_value = |value: &noyau_compile::plan::Value| match value.instr {
            Instr::Reduce(_, of) => needed(&[of]),
            _ => Vec::new(),
        };
        let stores: Vec<usize> = (0..body.stores.len()).filter(|&s| body.values[body.stores[s].value.0].level == Level::Inner).collect();
        let stored: Vec<ValueId> = stores.iter().map(|&s| body.stores[s].value).collect();
        let mut inner: Vec<Vec<usize>> = body.values.iter().map(of_value).collect();
        inner.push(needed(&stored));
        Evaluator { plan, body, space, outer, before, after, inner, stores }
    }

    fn desk(&self) -> Desk {
        let values = vec![Interval::ANY; self.body.values.len()];
        Desk { coordinate: vec![0; self.space.len()], values, product: Interval::ANY, found: Found::default() }
    }

    /// The rows of a loop.
    fn rows(&self, l: &Loop, part: Range<usize>) -> Result<Found> {
        let mut desk = self.desk();
        let length: usize = l.inner.iter().product();
        for row in part {
            unravel(row, &l.outer, &mut desk.coordinate[..self.outer]);
            self.outer_values(&mut desk, length)?;
            self.outer_stores(&mut desk)?;
            if self.stores.is_empty() {
                continue;
            }
            for _ in 0..length {
                for &i in self.inner.last().into_iter().flatten() {
                    desk.values[i] = self.value(&desk, i)?;
                }
                for &s in &self.stores {
                    self.store(&mut desk, s)?;
                }
                advance(&mut desk.coordinate[self.outer..], &l.inner);
            }
        }
        Ok(desk.found)
    }

    /// The rows of a product, of all its batches.
    fn products(&self, m: &Matmul, product: &Product, part: Range<usize>) -> Result<Found> {
        let mut desk = self.desk();
        let rows: Vec<usize> = m.batch.iter().copied().chain([m.m]).collect();
        let (mut row, mut right) = (vec![Interval::ANY; m.n], Right::default());
        for number in part {
            unravel(number, &rows, &mut desk.coordinate[..rows.len()]);
            product.row(number / m.m, number % m.m, &mut right, &mut row)?;
            for (column, &value) in row.iter().enumerate() {
                desk.coordinate[rows.len()] = column;
                desk.product = value;
                self.outer_values(&mut desk, 0)?;
                self.outer_stores(&mut desk)?;
            }
        }
        Ok(desk.found)
    }

    fn outer_values(&self, desk: &mut Desk, length: usize) -> Result<()> {
        for (i, value) in self.body.values.iter().enumerate() {
            if value.level == Level::Inner {
                continue;
            }
            desk.values[i] = match value.instr {
                Instr::Reduce(op, of) => {
                    let mut total = Total::new(op, value.dtype);
                    for _ in 0..length {
                        for &needed in &self.inner[i] {
                            desk.values[needed] = self.value(desk, needed)?;
                        }
                        total.add(desk.values[of.0]);
                        advance(&mut desk.coordinate[self.outer..], &self.space[self.outer..]);
                    }
                    total.result()
                }
                _ => self.value(desk, i)?,
            };
        }
        Ok(())
    }

    fn outer_stores(&self, desk: &mut Desk) -> Result<()> {
        let inner = |s: &usize| self.stores.contains(s);
        (0..self.body.stores.len()).filter(|s| !inner(s)).try_for_each(|s| self.store(desk, s))
    }

    fn store(&self, desk: &mut Desk, store: usize) -> Result<()> {
        let store = &self.body.stores[store];
        let place = place(&store.index, &desk.coordinate).ok_or_else(|| internal("a store is masked"))?;
        let dtype = self.body.values[store.value.0].dtype;
        desk.found.check(self.body.operands[store.operand], place, desk.values[store.value.0], dtype, self.after)
    }

    fn load(&self, operand: usize, place: usize) -> Result<Interval> {
        let buffer = self.body.operands[operand];
        let &word = self.before[buffer.0].get(place).ok_or_else(|| internal("a load leaves its buffer"))?;
        Ok(Interval::of_word(word, self.plan.buffers[buffer.0].dtype))
    }

    fn value(&self, desk: &Desk, i: usize) -> Result<Interval> {
        let value = &self.body.values[i];
        let x = |id: ValueId| desk.values[id.0];
        let of = |id: ValueId| self.body.values[id.0].dtype;
        let zero = Interval::point(0.0);
        Ok(match &value.instr {
            Instr::Const(constant) => Interval::of_word(constant.to_word(), value.dtype),
            Instr::Load { operand, index } => match place(index, &desk.coordinate) {
                Some(place) => self.load(*operand, place)?,
                None => zero,
            },
            Instr::Gather { operand, index, at, stride, len } => {
                let Some(start) = place(index, &desk.coordinate) else { return Ok(zero) };
                let Interval { low, high } = x(*at);
                if x(*at).is_any() || high - low > PLACES {
                    return Ok(Interval::ANY);
                }
                let mut result = None;
                for at in low as usize..=high as usize {
                    let value = if at < *len { self.load(*operand, start + at * stride)? } else { zero };
                    let either = Interval { low: 0.0, high: 1.0 };
                    result = Some(result.map_or(value, |known| interval::choose(either, known, value)));
                }
                result.unwrap_or(zero)
            }
            Instr::Place(index) => Interval::point(place(index, &desk.coordinate).unwrap_or(0) as f64),
            Instr::Valid(index) => Interval::point(f64::from(u8::from(place(index, &desk.coordinate).is_some()))),
            Instr::Unary(op, a) => interval::unary(*op, of(*a), x(*a)),
            Instr::Binary(op, a, b) => interval::binary(*op, of(*a), x(*a), x(*b)),
            Instr::Where(condition, a, b) => interval::choose(x(*condition), x(*a), x(*b)),
            Instr::Cast(a) => interval::cast(x(*a), of(*a), value.dtype),
            Instr::Philox { stream, index, step, seed } => match (x(*index).exact(), x(*step).exact(), x(*seed).exact()) {
                (Some(index), Some(step), Some(seed)) => {
                    Interval::point(scalar::philox(index as u32, step as u32, *stream, seed as u32).into())
                }
                _ => Interval::ANY,
            },
            Instr::Reduce(..) => return Err(internal("a reduction at an inner level")),
            Instr::Product => desk.product,
        })
    }
}

/// A product's operands.
struct Product<'a> {
    m: &'a Matmul,
    a: &'a [u32],
    b: &'a [u32],
}

/// The right operand of one batch, laid out for rows of results.
#[derive(Default)]
struct Right {
    /// The batch that it is of.
    batch: Option<usize>,
    /// Row-major.
    values: Vec<f32>,
    /// For each column the power of two that all its elements are multiples of, and the sum of their magnitudes.
    columns: Vec<(i32, f64)>,
}

fn element(words: &[u32], place: usize) -> Result<f32> {
    words.get(place).map(|&word| f32::from_bits(word)).ok_or_else(|| internal("a matrix leaves its buffer"))
}

fn of_matrix(matrix: &Matrix, words: &[u32], batch: usize, row: usize, column: usize) -> Result<f32> {
    matrix.place(batch, row, column).map_or(Ok(0.0), |place| element(words, place))
}

impl Product<'_> {
    fn right(&self, batch: usize, right: &mut Right) -> Result<()> {
        let m = self.m;
        right.values.clear();
        right.columns.clear();
        right.columns.resize(m.n, (i32::MAX, 0.0));
        for l in 0..m.k {
            for (j, (grid, magnitude)) in right.columns.iter_mut().enumerate() {
                let x = of_matrix(&m.b, self.b, batch, l, j)?;
                *grid = (*grid).min(grid_of(x));
                *magnitude += f64::from(x.abs());
                right.values.push(x);
            }
        }
        right.batch = Some(batch);
        Ok(())
    }

    /// One row of results.
    fn row(&self, batch: usize, row: usize, right: &mut Right, result: &mut [Interval]) -> Result<()> {
        let m = self.m;
        if right.batch != Some(batch) {
            self.right(batch, right)?;
        }
        let (mut sums, mut magnitudes) = (vec![0.0f64; m.n], vec![0.0f64; m.n]);
        let (mut grid, mut of_row) = (i32::MAX, 0.0);
        for l in 0..m.k {
            let left = of_matrix(&m.a, self.a, batch, row, l)?;
            grid = grid.min(grid_of(left));
            let left = f64::from(left);
            of_row += left.abs();
            let right = &right.values[l * m.n..][..m.n];
            for ((sum, magnitude), &right) in sums.iter_mut().zip(&mut magnitudes).zip(right) {
                let term = left * f64::from(right);
                *sum += term;
                *magnitude += term.abs();
            }
        }
        for (j, result) in result.iter_mut().enumerate() {
            let (of_column, column) = right.columns[j];
            let grid = (grid >= -126 && of_column >= -126).then(|| grid.saturating_add(of_column));
            // One more rounding than a sum: that of each product. Factors that are all but 0 may be taken for it.
            let (sum, magnitude, slack) = (sums[j], magnitudes[j], TINY * (of_row + column));
            *result = Sum { low: sum, high: sum, magnitude, terms: m.k + 1, grid, slack }.result();
        }
        Ok(())
    }
}

/// All of a scatter: sums at places that are data.
fn scatter(s: &Scatter, before: &[&[u32]], after: &[&[u32]]) -> Result<Found> {
    let mut sums = vec![Sum::NOTHING; s.before * s.size * s.after];
    let (source, index) = (before[s.source.0], before[s.index.0]);
    for outer in 0..s.before {
        for place in 0..s.count * s.after {
            let from = outer * s.count * s.after + place;
            let &to = index.get(from).ok_or_else(|| internal("an index leaves its buffer"))?;
            if (to as usize) < s.size {
                let sum = &mut sums[(outer * s.size + to as usize) * s.after + place % s.after];
                sum.add(Interval::of_word(element(source, from)?.to_bits(), DType::F32));
            }
        }
    }
    let mut found = Found::default();
    for (place, sum) in sums.into_iter().enumerate() {
        found.check(s.target, place, sum.result(), DType::F32, after)?;
    }
    Ok(found)
}

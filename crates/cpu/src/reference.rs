//! The reference: a plan's kernels evaluated coordinate by coordinate, straight from the definition of the body.
//!
//! Each instruction is computed in f64 and rounded to what its type stores, sums are kept in f64 until the row ends. Slow; the executor and, in a
//! validating mode, a GPU's kernels are compared with it.

use noyau_compile::plan::{Attention, AttentionWork, Body, BufferId, Instr, Kernel, KernelKind, Level, Loop, Matmul, Plan, Scatter};
use noyau_compile::{Index, plan::Matrix};
use noyau_tensor::{DType, Error, Result};

use crate::oracle::coordinates;
use crate::plain::Plain;
use crate::scalar;

/// Runs one kernel of a plan. `memory[id.0]` holds the words of buffer `id`, each buffer apart from all others (no shared slots).
pub fn run_kernel(plan: &Plan, kernel: &Kernel, memory: &mut [Vec<u32>]) -> Result<()> {
    match &kernel.kind {
        KernelKind::Loop(l) => run_loop(plan, l, memory),
        KernelKind::Matmul(m) => run_matmul(plan, m, memory),
        KernelKind::Scatter(s) => run_scatter(s, memory),
        KernelKind::Attention(a) => run_attention(a, memory),
    }
}

/// Words of zeros for every buffer of a plan, constants filled in.
pub fn allocate(plan: &Plan) -> Vec<Vec<u32>> {
    let words = |buffer: &noyau_compile::plan::Buffer| match &buffer.kind {
        noyau_compile::plan::BufferKind::Constant(array) => array.words().to_vec(),
        _ => vec![0; buffer.len()],
    };
    plan.buffers.iter().map(words).collect()
}

fn internal(message: impl Into<String>) -> Error {
    Error::Internal(message.into())
}

fn run_loop(plan: &Plan, l: &Loop, memory: &mut [Vec<u32>]) -> Result<()> {
    let mut stores = Stores::default();
    for outer in coordinates(&l.outer) {
        let mut row = Row { values: vec![0.0; l.body.values.len()], plan, body: &l.body, product: 0.0 };
        let origin: Vec<usize> = outer.iter().copied().chain(l.inner.iter().map(|_| 0)).collect();
        // Outer values in order; a reduction evaluates the inner values that it needs at each inner coordinate.
        for i in 0..l.body.values.len() {
            let value = &l.body.values[i];
            if value.level == Level::Inner {
                continue;
            }
            row.values[i] = match value.instr {
                Instr::Reduce(op, of) => {
                    let mut total = op.identity(value.dtype).to_f64();
                    for inner in coordinates(&l.inner) {
                        let c: Vec<usize> = outer.iter().copied().chain(inner).collect();
                        row.inner(&c, of.0, memory)?;
                        let combine = match (value.dtype, op.combine()) {
                            (DType::Bool, noyau_tensor::BinaryOp::Add) => noyau_tensor::BinaryOp::Max,
                            (_, combine) => combine,
                        };
                        total = scalar::binary(combine, value.dtype, total, row.values[of.0]);
                    }
                    round(total, value.dtype)
                }
                _ => row.instr(&origin, i, memory)?,
            };
        }
        for store in &l.body.stores {
            let inner: &[usize] = if l.body.values[store.value.0].level == Level::Inner { &l.inner } else { &[] };
            for inner_c in coordinates(inner) {
                let mut c = origin.clone();
                c[outer.len()..].iter_mut().zip(inner_c).for_each(|(to, from)| *to = from);
                if !inner.is_empty() {
                    row.inner(&c, store.value.0, memory)?;
                }
                stores.add(&l.body, store.operand, &store.index, &c, row.word(store.value.0))?;
            }
        }
        stores.write(memory)?;
    }
    Ok(())
}

fn run_matmul(plan: &Plan, m: &Matmul, memory: &mut [Vec<u32>]) -> Result<()> {
    let space = m.space();
    let mut stores = Stores::default();
    for c in coordinates(&space) {
        let (batch, [i, j]) = c.split_at(m.batch.len()) else { return Err(internal("matmul's space")) };
        let z = batch.iter().zip(&m.batch).fold(0, |z, (c, size)| z * size + c);
        let at = |matrix: &Matrix, row: usize, column: usize| -> Result<f64> {
            let Some(place) = matrix.place(z, row, column) else { return Ok(0.0) };
            let word = memory[matrix.buffer.0].get(place).ok_or_else(|| internal("a matrix leaves its buffer"))?;
            Ok(f64::from(f32::from_bits(*word)))
        };
        let mut product = 0.0;
        for l in 0..m.k {
            product += at(&m.a, *i, l)? * at(&m.b, l, *j)?;
        }
        let mut row = Row { values: vec![0.0; m.body.values.len()], plan, body: &m.body, product: round(product, DType::F32) };
        for v in 0..m.body.values.len() {
            row.values[v] = row.instr(&c, v, memory)?;
        }
        for store in &m.body.stores {
            stores.add(&m.body, store.operand, &store.index, &c, row.word(store.value.0))?;
        }
        stores.write(memory)?;
    }
    Ok(())
}

fn run_scatter(s: &Scatter, memory: &mut [Vec<u32>]) -> Result<()> {
    let mut target = vec![0f32; s.before * s.size * s.after];
    for c in coordinates(&[s.before, s.count, s.after]) {
        let place = (c[0] * s.count + c[1]) * s.after + c[2];
        let to = memory[s.index.0][place] as usize;
        if to < s.size {
            target[(c[0] * s.size + to) * s.after + c[2]] += f32::from_bits(memory[s.source.0][place]);
        }
    }
    memory[s.target.0] = target.into_iter().map(f32::to_bits).collect();
    Ok(())
}

fn run_attention(a: &Attention, memory: &mut [Vec<u32>]) -> Result<()> {
    let Attention { n, m, d, e, .. } = *a;
    // Before anything is written: every place is inside of its buffer.
    for matrix in a.matrices() {
        if matrix.reach().is_some_and(|(least, most)| least < 0 || most >= memory[matrix.buffer.0].len() as i128) {
            return Err(internal("attention leaves its buffer"));
        }
    }
    let mut results: Vec<(BufferId, Vec<f64>)> = Vec::new();
    let mut add = |to: Option<BufferId>, values: Vec<f64>| {
        let Some(to) = to else { return };
        match results.iter_mut().find(|(id, _)| *id == to) {
            Some((_, all)) => all.extend(values),
            None => results.push((to, values)),
        }
    };
    for z in 0..a.batch {
        let word = |buffer: BufferId, place: usize| f64::from(f32::from_bits(memory[buffer.0][place]));
        let at = |matrix: &Matrix, i: usize, j: usize| matrix.place(z, i, j).map_or(0.0, |place| word(matrix.buffer, place));
        let masks: Vec<_> = a.masks.iter().map(|mask| move |i, j| at(mask, i, j)).collect();
        let (q, k, v) = (|i, l| at(&a.q, i, l), |j, l| at(&a.k, j, l), |j, l| at(&a.v, j, l));
        let plain = Plain {
            sizes: [n, m, d, e],
            causal: a.causal,
            scale: a.scale.into(),
            q: &q,
            k: &k,
            v: &v,
            masks: masks.iter().map(|mask| mask as crate::plain::At).collect(),
        };
        match &a.work {
            AttentionWork::Forward { out, lse } => {
                let (means, sums) = plain.forward();
                add(*out, means);
                add(*lse, sums);
            }
            AttentionWork::Backward { g, lse, delta, dq, dk, dv } => {
                let found = plain.backward(&|i, l| at(g, i, l), &|i| word(*lse, z * n + i), &|i| word(*delta, z * n + i));
                add(*dq, found.dq);
                add(*dk, found.dk);
                add(*dv, found.dv);
            }
        }
    }
    for (id, values) in results {
        memory[id.0] = values.into_iter().map(|x| (x as f32).to_bits()).collect();
    }
    Ok(())
}

/// What a row writes, kept back until all of the row's values are known.
#[derive(Default)]
struct Stores(Vec<(BufferId, usize, u32)>);

impl Stores {
    fn add(&mut self, body: &Body, operand: usize, index: &Index, c: &[usize], word: u32) -> Result<()> {
        let place = index.place(c).ok_or_else(|| internal("a store is masked"))?;
        self.0.push((body.operands[operand], place, word));
        Ok(())
    }

    fn write(&mut self, memory: &mut [Vec<u32>]) -> Result<()> {
        for (buffer, place, word) in self.0.drain(..) {
            *memory[buffer.0].get_mut(place).ok_or_else(|| internal("a store leaves its buffer"))? = word;
        }
        Ok(())
    }
}

/// The values of one row, as far as they are known.
struct Row<'a> {
    values: Vec<f64>,
    plan: &'a Plan,
    body: &'a Body,
    product: f64,
}

impl Row<'_> {
    /// Evaluates all inner values up to `last` at a coordinate.
    fn inner(&mut self, c: &[usize], last: usize, memory: &[Vec<u32>]) -> Result<()> {
        for i in 0..=last {
            if self.body.values[i].level == Level::Inner {
                self.values[i] = self.instr(c, i, memory)?;
            }
        }
        Ok(())
    }

    fn word(&self, value: usize) -> u32 {
        scalar::to_word(self.values[value], self.body.values[value].dtype)
    }

    fn load(&self, operand: usize, place: usize, memory: &[Vec<u32>]) -> Result<f64> {
        let buffer = self.body.operands[operand];
        let word = memory[buffer.0].get(place).ok_or_else(|| internal("a load leaves its buffer"))?;
        Ok(scalar::from_word(*word, self.plan.buffers[buffer.0].dtype))
    }

    fn instr(&self, c: &[usize], i: usize, memory: &[Vec<u32>]) -> Result<f64> {
        let value = &self.body.values[i];
        let x = |id: noyau_compile::plan::ValueId| self.values[id.0];
        let of = |id: noyau_compile::plan::ValueId| self.body.values[id.0].dtype;
        let result = match &value.instr {
            Instr::Const(constant) => constant.to_f64(),
            Instr::Load { operand, index } => match index.place(c) {
                Some(place) => self.load(*operand, place, memory)?,
                None => 0.0,
            },
            Instr::Gather { operand, index, at, stride, len } => match index.place(c) {
                Some(place) if (x(*at) as usize) < *len => self.load(*operand, place + x(*at) as usize * stride, memory)?,
                _ => 0.0,
            },
            Instr::Place(index) => index.place(c).unwrap_or(0) as f64,
            Instr::Valid(index) => f64::from(u8::from(index.place(c).is_some())),
            Instr::Unary(op, a) => scalar::unary(*op, of(*a), x(*a)),
            Instr::Binary(op, a, b) => scalar::binary(*op, of(*a), x(*a), x(*b)),
            Instr::Where(condition, a, b) => x(if x(*condition) != 0.0 { *a } else { *b }),
            Instr::Cast(a) => scalar::cast(x(*a), of(*a), value.dtype),
            Instr::Philox { stream, index, step, seed } => {
                scalar::philox(x(*index) as u32, x(*step) as u32, *stream, x(*seed) as u32).into()
            }
            Instr::Reduce(..) => return Err(internal("a reduction at an inner level")),
            Instr::Product => self.product,
        };
        Ok(round(result, value.dtype))
    }
}

/// What is left of `x` when it is stored.
fn round(x: f64, dtype: DType) -> f64 {
    scalar::from_word(scalar::to_word(x, dtype), dtype)
}

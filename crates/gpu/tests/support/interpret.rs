//! Plans done plainly, in f64: one loop after the other, nothing shared with the code that is tested but the plan and its indices.

use noyau_compile::plan::{Attention, AttentionWork, Body, BufferId, BufferKind, Instr, KernelKind, Level, Matrix};
use noyau_compile::{Index, Plan};
use noyau_tensor::{Array, BinaryOp, DType, ReduceOp, Scalar, UnaryOp};

/// All buffers' values after one run.
pub fn run(plan: &Plan, inputs: &[Array]) -> Vec<Vec<f64>> {
    let mut buffers: Vec<Vec<f64>> = plan
        .buffers
        .iter()
        .map(|b| match &b.kind {
            BufferKind::Input(i) => inputs[*i].to_f64(),
            BufferKind::State(state) => state.initial_value(0).expect("has a value").to_f64(),
            BufferKind::Constant(value) => value.to_f64(),
            BufferKind::Slot(_) => vec![f64::NAN; b.len()],
        })
        .collect();
    for kernel in &plan.kernels {
        match &kernel.kind {
            KernelKind::Loop(l) => {
                let space = l.space();
                let before = buffers.clone();
                for outer in coordinates(&l.outer) {
                    row(&l.body, &space, &outer, &l.inner, &before, &mut buffers);
                }
            }
            KernelKind::Matmul(m) => {
                let before = buffers.clone();
                for c in coordinates(&m.space()) {
                    let (batch, ij) = c.split_at(m.batch.len());
                    let z = batch.iter().zip(&m.batch).fold(0, |z, (c, size)| z * size + c);
                    let at = |x: &Matrix, i: usize, j: usize| x.place(z, i, j).map_or(0.0, |place| before[x.buffer.0][place]);
                    let product: f64 = (0..m.k).map(|l| at(&m.a, ij[0], l) * at(&m.b, l, ij[1])).sum();
                    let mut values = vec![0.0; m.body.values.len()];
                    for i in 0..values.len() {
                        values[i] = value(&m.body, i, &c, &values, &before, product);
                    }
                    store(&m.body, Level::Outer, &c, &values, &mut buffers);
                }
            }
            KernelKind::Scatter(s) => {
                let mut target = vec![0.0; s.before * s.size * s.after];
                for b in 0..s.before {
                    for l in 0..s.count {
                        for x in 0..s.after {
                            let from = (b * s.count + l) * s.after + x;
                            let at = buffers[s.index.0][from] as usize;
                            if at < s.size {
                                target[(b * s.size + at) * s.after + x] += buffers[s.source.0][from];
                            }
                        }
                    }
                }
                buffers[s.target.0] = target;
            }
            KernelKind::Attention(a) => attend(a, &mut buffers),
        }
    }
    buffers
}

fn coordinates(shape: &[usize]) -> Vec<Vec<usize>> {
    let count: usize = shape.iter().product();
    let digits = |mut n: usize| {
        let mut c = vec![0; shape.len()];
        for (digit, &size) in c.iter_mut().zip(shape).rev() {
            *digit = n % size;
            n /= size;
        }
        c
    };
    (0..count).map(digits).collect()
}

/// One row: inner values kept for all coordinates, in the body's order.
fn row(body: &Body, space: &[usize], outer: &[usize], inner: &[usize], before: &[Vec<f64>], buffers: &mut [Vec<f64>]) {
    let all: Vec<Vec<usize>> = coordinates(inner).into_iter().map(|i| outer.iter().copied().chain(i).collect()).collect();
    let anywhere: Vec<usize> = outer.iter().copied().chain(inner.iter().map(|_| 0)).collect();
    assert_eq!(space.len(), anywhere.len());
    let n = body.values.len();
    let mut values: Vec<Vec<f64>> = vec![vec![0.0; n]; all.len().max(1)];
    for i in 0..n {
        let v = &body.values[i];
        let made: Vec<f64> = match (&v.instr, v.level) {
            (Instr::Reduce(op, a), _) => {
                let parts = all.iter().enumerate().map(|(c, _)| values[c][a.0]);
                let start = op.identity(v.dtype).to_f64();
                let total = parts.fold(start, |x, y| match op {
                    ReduceOp::Sum => x + y,
                    ReduceOp::Prod => x * y,
                    ReduceOp::Max => x.max(y),
                    ReduceOp::Min => x.min(y),
                });
                vec![total; values.len()]
            }
            (_, Level::Outer) => vec![value(body, i, &anywhere, &values[0], before, f64::NAN); values.len()],
            (_, Level::Inner) => all.iter().enumerate().map(|(c, at)| value(body, i, at, &values[c], before, f64::NAN)).collect(),
        };
        for (c, x) in made.into_iter().enumerate() {
            values[c][i] = x;
        }
    }
    for (c, at) in all.iter().enumerate() {
        store(body, Level::Inner, at, &values[c], buffers);
    }
    store(body, Level::Outer, &anywhere, &values[0], buffers);
}

fn store(body: &Body, level: Level, at: &[usize], values: &[f64], buffers: &mut [Vec<f64>]) {
    for s in body.stores.iter().filter(|s| body.values[s.value.0].level == level) {
        buffers[body.operands[s.operand].0][s.index.place(at).expect("stores are unmasked")] = values[s.value.0];
    }
}

fn value(body: &Body, i: usize, at: &[usize], values: &[f64], buffers: &[Vec<f64>], product: f64) -> f64 {
    let v = &body.values[i];
    let place = |index: &Index| index.place(at);
    let dtype = |x: noyau_compile::plan::ValueId| body.values[x.0].dtype;
    match &v.instr {
        Instr::Const(scalar) => match scalar {
            Scalar::Float(x) | Scalar::F16(x) | Scalar::BF16(x) => f64::from(*x as f32),
            other => other.to_f64(),
        },
        Instr::Load { operand, index } => place(index).map_or(0.0, |p| buffers[body.operands[*operand].0][p]),
        Instr::Gather { operand, index, at, stride, len } => match place(index) {
            Some(p) if values[at.0] < *len as f64 => buffers[body.operands[*operand].0][p + values[at.0] as usize * stride],
            _ => 0.0,
        },
        Instr::Place(index) => place(index).unwrap_or(0) as f64,
        Instr::Valid(index) => f64::from(u8::from(place(index).is_some())),
        Instr::Unary(op, a) => unary(*op, dtype(*a), values[a.0]),
        Instr::Binary(op, a, b) => binary(*op, dtype(*a), values[a.0], values[b.0]),
        Instr::Where(c, a, b) => values[if values[c.0] != 0.0 { a.0 } else { b.0 }],
        Instr::Cast(a) => cast(values[a.0], dtype(*a), v.dtype),
        Instr::Philox { stream, index, step, seed } => {
            philox([values[index.0] as u32, values[step.0] as u32, *stream, 0], values[seed.0] as u32).into()
        }
        Instr::Reduce(..) => unreachable!("rows do those"),
        Instr::Product => product,
    }
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}

fn wrapped(x: i64, dtype: DType) -> f64 {
    match dtype {
        DType::I32 => f64::from(x as i32),
        _ => f64::from(x as u32),
    }
}

pub fn unary(op: UnaryOp, dtype: DType, x: f64) -> f64 {
    let n = x as i64;
    match op {
        UnaryOp::Neg if dtype.is_int() => wrapped(-n, dtype),
        UnaryOp::Neg => -x,
        UnaryOp::Abs if dtype.is_int() => wrapped(n.abs(), dtype),
        UnaryOp::Abs => x.abs(),
        UnaryOp::Sign => truth(x > 0.0) - truth(x < 0.0),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Recip => 1.0 / x,
        UnaryOp::Exp => x.exp(),
        UnaryOp::Expm1 => x.exp_m1(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log1p => x.ln_1p(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Relu => x.max(0.0),
        UnaryOp::Not if dtype == DType::Bool => truth(x == 0.0),
        UnaryOp::Not => wrapped(!n, dtype),
    }
}

pub fn binary(op: BinaryOp, dtype: DType, a: f64, b: f64) -> f64 {
    let int = dtype.is_int();
    let (m, n) = (a as i64, b as i64);
    let whole = |x: i64| wrapped(x, dtype);
    match op {
        BinaryOp::Add if int => whole(m + n),
        BinaryOp::Add => a + b,
        BinaryOp::Sub if int => whole(m - n),
        BinaryOp::Sub => a - b,
        BinaryOp::Mul if int => whole(m.wrapping_mul(n)),
        BinaryOp::Mul => a * b,
        BinaryOp::Div if int => whole(m.checked_div(n).unwrap_or(0)),
        BinaryOp::Div => a / b,
        BinaryOp::Rem if int => whole(m.checked_rem(n).unwrap_or(0)),
        BinaryOp::Rem => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::Lt => truth(a < b),
        BinaryOp::Le => truth(a <= b),
        BinaryOp::Eq => truth(a == b),
        BinaryOp::Ne => truth(a != b),
        BinaryOp::And => whole(m & n),
        BinaryOp::Or => whole(m | n),
        BinaryOp::Xor => whole(m ^ n),
        BinaryOp::Shl => whole(m << (n & 31)),
        BinaryOp::Shr => whole(m >> (n & 31)),
    }
}

pub fn cast(x: f64, from: DType, to: DType) -> f64 {
    match (from, to) {
        (_, DType::F32 | DType::F16 | DType::BF16) => to.round(x),
        (_, DType::Bool) => truth(x != 0.0),
        (DType::F32 | DType::F16 | DType::BF16, DType::I32) => f64::from(x as i32),
        (DType::F32 | DType::F16 | DType::BF16, DType::U32) => f64::from(x as u32),
        (DType::I32 | DType::U32 | DType::Bool, DType::I32 | DType::U32) => wrapped(x as i64, to),
    }
}

/// The series around 0, and the continued fraction of the complement beyond.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..120 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut fraction = a;
        for n in (1..200).rev() {
            fraction = a + f64::from(n) / 2.0 / fraction;
        }
        1.0 - (-a * a).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

/// Philox 4x32-10, first word.
pub fn philox(mut c: [u32; 4], seed: u32) -> u32 {
    let mut key = [seed, 0];
    for _ in 0..10 {
        let (a, b) = (u64::from(c[0]) * 0xD251_1F53, u64::from(c[2]) * 0xCD9E_8D57);
        c = [(b >> 32) as u32 ^ c[1] ^ key[0], b as u32, (a >> 32) as u32 ^ c[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    c[0]
}

/// Attention with the weights in memory, and its gradients by the chain rule.
fn attend(a: &Attention, buffers: &mut [Vec<f64>]) {
    let before = buffers.to_vec();
    let Attention { n, m, d, e, .. } = *a;
    for z in 0..a.batch {
        let at = |x: &Matrix, i: usize, j: usize| x.place(z, i, j).map_or(0.0, |place| before[x.buffer.0][place]);
        let score = |i: usize, j: usize| (0..d).map(|l| at(&a.q, i, l) * at(&a.k, j, l)).sum::<f64>() * f64::from(a.scale);
        let added = |i: usize, j: usize| a.masks.iter().map(|mask| at(mask, i, j)).sum::<f64>();
        let open = |i: usize, j: usize| !(a.causal && j > i) && a.masks.iter().all(|mask| at(mask, i, j) > -1e30);
        let scores: Vec<Vec<Option<f64>>> =
            (0..n).map(|i| (0..m).map(|j| open(i, j).then(|| score(i, j) + added(i, j))).collect()).collect();
        match &a.work {
            AttentionWork::Forward { out, lse } => {
                for (i, row) in scores.iter().enumerate() {
                    let most = row.iter().flatten().fold(f64::NEG_INFINITY, |most, s| most.max(*s));
                    let sum: f64 = row.iter().flatten().map(|s| (s - most).exp()).sum();
                    if let Some(out) = out {
                        for l in 0..e {
                            let mean: f64 = (0..m).map(|j| row[j].map_or(0.0, |s| (s - most).exp() / sum) * at(&a.v, j, l)).sum();
                            buffers[out.0][(z * n + i) * e + l] = mean;
                        }
                    }
                    if let Some(lse) = lse {
                        buffers[lse.0][z * n + i] = if sum > 0.0 { most + sum.ln() } else { 0.0 };
                    }
                }
            }
            AttentionWork::Backward { g, lse, delta, dq, dk, dv } => {
                let rows = |id: BufferId, i: usize| before[id.0][z * n + i];
                let weight = |i: usize, j: usize| scores[i][j].map_or(0.0, |s| (s - rows(*lse, i)).exp());
                let slope = |i: usize, j: usize| {
                    let toward: f64 = (0..e).map(|l| at(g, i, l) * at(&a.v, j, l)).sum();
                    weight(i, j) * (toward - rows(*delta, i)) * f64::from(a.scale)
                };
                let mut fill = |id: &Option<BufferId>, rows: usize, width: usize, f: &dyn Fn(usize, usize) -> f64| {
                    let Some(id) = id else { return };
                    for (i, l) in (0..rows).flat_map(|i| (0..width).map(move |l| (i, l))) {
                        buffers[id.0][(z * rows + i) * width + l] = f(i, l);
                    }
                };
                fill(dq, n, d, &|i, l| (0..m).map(|j| slope(i, j) * at(&a.k, j, l)).sum());
                fill(dk, m, d, &|j, l| (0..n).map(|i| slope(i, j) * at(&a.q, i, l)).sum());
                fill(dv, m, e, &|j, l| (0..n).map(|i| weight(i, j) * at(g, i, l)).sum());
            }
        }
    }
}

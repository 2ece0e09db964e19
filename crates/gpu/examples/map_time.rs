//! Times maps and reductions: `cargo run --release -p noyau-gpu --example map_time [adapter] [way..]`. A way is `rule` or a name as
//! `NOYAU_ROWS` takes it; the environment variable CASES chooses cases by a part of their names.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use noyau_compile::plan::{Instr, Level};
use noyau_compile::{Index, Plan};
use noyau_gpu::{Gpu, Rows, Tuning};
use noyau_tensor::{Array, BinaryOp, DType, ReduceOp, Scalar, UnaryOp};
use pollster::block_on;
use support::{BodyBuilder, Builder, load, noise_array, of_rows, state, view};

const F: DType = DType::F32;

/// Makes a plan.
type Case = fn() -> Plan;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let index = arguments.next().map_or(Ok(0), |a| a.parse())?;
    let gpu = block_on(Gpu::open(index))?;
    println!("{}", gpu.info());
    let mut ways: Vec<Option<Rows>> = Vec::new();
    for name in arguments {
        ways.push(if name == "rule" { None } else { Some(name.parse()?) });
    }
    if ways.is_empty() {
        ways.push(None);
    }
    let wanted = std::env::var("CASES").unwrap_or_default();
    // Name, plan, bytes read and written once.
    let cases: [(&str, Case, usize); 15] = [
        ("sgd with momentum, 401408", || momentum(401_408), 401_408 * 20),
        ("relu of [128, 512]", || relu(65_536), 65_536 * 8),
        ("relu of 2^24", || relu(1 << 24), 8 << 24),
        ("gelu of 2^24", || gelu(1 << 24), 8 << 24),
        ("bias and scale of [4096, 1024]", || affine(4096, 1024), 8 << 22),
        ("sum of columns of [128, 512]", || columns(128, 512), 4 << 16),
        ("sum of columns of [8192, 10]", || columns(8192, 10), 4 * 81_920),
        ("sum of columns of [4096, 1024]", || columns(4096, 1024), 4 << 22),
        ("softmax of [128, 10]", || softmax(128, 10), 8 * 1280),
        ("softmax of [512, 512]", || softmax(512, 512), 8 << 18),
        ("softmax of [4096, 4096]", || softmax(4096, 4096), 8 << 24),
        ("layer norm of [4096, 1024]", || layer_norm(4096, 1024), 8 << 22),
        ("sum of [1, 8192]", || columns(8192, 1), 4 << 13),
        ("scatter of [2048, 64] to [2000, 64]", || scatter(2048, 2000, 64), 4 * (2 * 2048 + 2000) * 64),
        ("sum of rows of [2048, 8192]", || sums(2048, 8192), 4 << 24),
    ];
    for (name, plan, bytes) in cases {
        if name.contains(&wanted) {
            for rows in &ways {
                report(&gpu, name, &plan(), bytes, *rows)?;
            }
        }
    }
    Ok(())
}

fn report(gpu: &Gpu, name: &str, plan: &Plan, bytes: usize, rows: Option<Rows>) -> Result<(), Box<dyn std::error::Error>> {
    let mut executable = load(gpu, plan, &Tuning { merge: Some(false), rows, ..Tuning::default() })?.executable;
    let start = Instant::now();
    executable.run()?;
    block_on(gpu.wait())?;
    let mut runs = ((0.05 / start.elapsed().as_secs_f64()) as u32).max(1);
    let mut windows = Vec::new();
    // The median of five windows of at least 50 ms each.
    while windows.len() < 5 {
        let start = Instant::now();
        for _ in 0..runs {
            executable.run()?;
        }
        block_on(gpu.wait())?;
        let seconds = start.elapsed().as_secs_f64();
        if seconds > 0.05 {
            windows.push(seconds / f64::from(runs));
        } else {
            runs *= 2;
        }
    }
    windows.sort_by(f64::total_cmp);
    let rate = bytes as f64 / windows[2] / 1e9;
    println!("{name:32} {:9.1} us {rate:7.2} GB/s  {}", windows[2] * 1e6, executable.describe().trim());
    Ok(())
}

fn momentum(n: usize) -> Plan {
    let mut builder = Builder::default();
    let [w, m] = ["w", "m"].map(|name| builder.state(&state(name, noise_array(&[n], 1))));
    let g = builder.input(&[n], F);
    let mut body = BodyBuilder::default();
    let at = || Index::identity(&[n]);
    let [x, v, d] = [w, m, g].map(|b| body.load(b, at(), F, Level::Outer));
    let mu = body.constant(Scalar::Float(0.9));
    let rate = body.constant(Scalar::Float(0.01));
    let kept = body.push(Instr::Binary(BinaryOp::Mul, v, mu), F, Level::Outer);
    let moment = body.push(Instr::Binary(BinaryOp::Add, kept, d), F, Level::Outer);
    let step = body.push(Instr::Binary(BinaryOp::Mul, moment, rate), F, Level::Outer);
    let new = body.push(Instr::Binary(BinaryOp::Sub, x, step), F, Level::Outer);
    body.store(new, w, at());
    body.store(moment, m, at());
    builder.looped("momentum", &[n], &[], body.body);
    builder.finish()
}

fn relu(n: usize) -> Plan {
    let mut builder = Builder::default();
    let (x, y) = (builder.input(&[n], F), builder.slot(&[n], F));
    let mut body = BodyBuilder::default();
    let v = body.load(x, Index::identity(&[n]), F, Level::Outer);
    let r = body.push(Instr::Unary(UnaryOp::Relu, v), F, Level::Outer);
    body.store(r, y, Index::identity(&[n]));
    builder.looped("relu", &[n], &[], body.body);
    builder.finish()
}

fn columns(rows: usize, columns: usize) -> Plan {
    let mut builder = Builder::default();
    let (x, y) = (builder.input(&[rows, columns], F), builder.slot(&[columns], F));
    let mut body = BodyBuilder::default();
    let v = body.load(x, view(&[columns, rows], &[1, columns as isize], 0, &[]), F, Level::Inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, v), F, Level::Outer);
    body.store(sum, y, of_rows(&[columns], &[rows]));
    builder.looped("sum", &[columns], &[rows], body.body);
    builder.finish()
}

fn softmax(rows: usize, length: usize) -> Plan {
    let mut builder = Builder::default();
    let shape = [rows, length];
    let (x, y) = (builder.input(&shape, F), builder.slot(&shape, F));
    let mut body = BodyBuilder::default();
    let v = body.load(x, Index::identity(&shape), F, Level::Inner);
    let max = body.push(Instr::Reduce(ReduceOp::Max, v), F, Level::Outer);
    let shifted = body.push(Instr::Binary(BinaryOp::Sub, v, max), F, Level::Inner);
    let e = body.push(Instr::Unary(UnaryOp::Exp, shifted), F, Level::Inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, e), F, Level::Outer);
    let p = body.push(Instr::Binary(BinaryOp::Div, e, sum), F, Level::Inner);
    body.store(p, y, Index::identity(&shape));
    builder.looped("softmax", &[rows], &[length], body.body);
    builder.finish()
}

fn gelu(n: usize) -> Plan {
    let mut builder = Builder::default();
    let (x, y) = (builder.input(&[n], F), builder.slot(&[n], F));
    let mut body = BodyBuilder::default();
    let x = body.load(x, Index::identity(&[n]), F, Level::Outer);
    let [a, b, half, one, root] = [1.5, 0.5, 0.5, 1.0, 0.5f64.sqrt()].map(|v| body.constant(Scalar::Float(v)));
    let mut binary = |op, a, b| body.push(Instr::Binary(op, a, b), F, Level::Outer);
    let x = binary(BinaryOp::Mul, x, a);
    let x = binary(BinaryOp::Add, x, b);
    let scaled = binary(BinaryOp::Mul, x, root);
    let erf = body.push(Instr::Unary(UnaryOp::Erf, scaled), F, Level::Outer);
    let mut binary = |op, a, b| body.push(Instr::Binary(op, a, b), F, Level::Outer);
    let gate = binary(BinaryOp::Add, erf, one);
    let part = binary(BinaryOp::Mul, x, half);
    let result = binary(BinaryOp::Mul, part, gate);
    body.store(result, y, Index::identity(&[n]));
    builder.looped("gelu", &[n], &[], body.body);
    builder.finish()
}

/// A bias a column and a factor a row.
fn affine(rows: usize, length: usize) -> Plan {
    let mut builder = Builder::default();
    let shape = [rows, length];
    let (x, y) = (builder.input(&shape, F), builder.slot(&shape, F));
    let (bias, scale) = (builder.input(&[length], F), builder.input(&[rows], F));
    let mut body = BodyBuilder::default();
    let v = body.load(x, Index::identity(&shape), F, Level::Outer);
    let b = body.load(bias, view(&shape, &[0, 1], 0, &[]), F, Level::Outer);
    let s = body.load(scale, view(&shape, &[1, 0], 0, &[]), F, Level::Outer);
    let scaled = body.push(Instr::Binary(BinaryOp::Mul, v, s), F, Level::Outer);
    let sum = body.push(Instr::Binary(BinaryOp::Add, scaled, b), F, Level::Outer);
    body.store(sum, y, Index::identity(&shape));
    builder.looped("affine", &shape, &[], body.body);
    builder.finish()
}

fn sums(rows: usize, length: usize) -> Plan {
    let mut builder = Builder::default();
    let (x, y) = (builder.input(&[rows, length], F), builder.slot(&[rows], F));
    let mut body = BodyBuilder::default();
    let v = body.load(x, Index::identity(&[rows, length]), F, Level::Inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, v), F, Level::Outer);
    body.store(sum, y, of_rows(&[rows], &[length]));
    builder.looped("sum", &[rows], &[length], body.body);
    builder.finish()
}

/// With mean and variance one after the other, a scale and a shift.
fn layer_norm(rows: usize, length: usize) -> Plan {
    let mut builder = Builder::default();
    let shape = [rows, length];
    let (x, y) = (builder.input(&shape, F), builder.slot(&shape, F));
    let (scale, shift) = (builder.input(&[length], F), builder.input(&[length], F));
    let mut body = BodyBuilder::default();
    let (inner, outer) = (Level::Inner, Level::Outer);
    let v = body.load(x, Index::identity(&shape), F, inner);
    let part = body.constant(Scalar::Float(1.0 / length as f64));
    let epsilon = body.constant(Scalar::Float(1e-5));
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, v), F, outer);
    let mean = body.push(Instr::Binary(BinaryOp::Mul, sum, part), F, outer);
    let centred = body.push(Instr::Binary(BinaryOp::Sub, v, mean), F, inner);
    let square = body.push(Instr::Binary(BinaryOp::Mul, centred, centred), F, inner);
    let squares = body.push(Instr::Reduce(ReduceOp::Sum, square), F, outer);
    let variance = body.push(Instr::Binary(BinaryOp::Mul, squares, part), F, outer);
    let safe = body.push(Instr::Binary(BinaryOp::Add, variance, epsilon), F, outer);
    let factor = body.push(Instr::Unary(UnaryOp::Rsqrt, safe), F, outer);
    let a = body.load(scale, view(&shape, &[0, 1], 0, &[]), F, inner);
    let b = body.load(shift, view(&shape, &[0, 1], 0, &[]), F, inner);
    let normed = body.push(Instr::Binary(BinaryOp::Mul, centred, factor), F, inner);
    let scaled = body.push(Instr::Binary(BinaryOp::Mul, normed, a), F, inner);
    let result = body.push(Instr::Binary(BinaryOp::Add, scaled, b), F, inner);
    body.store(result, y, Index::identity(&shape));
    builder.looped("layer norm", &[rows], &[length], body.body);
    builder.finish()
}

/// The gradient of an embedding.
fn scatter(count: usize, size: usize, after: usize) -> Plan {
    let mut builder = Builder::default();
    let source = builder.input(&[count, after], F);
    let index: Vec<u32> = (0..count * after).map(|i| ((i / after * 7919) % size) as u32).collect();
    let index = builder.constant(Array::new([count, after], &index).expect("as many as the shape has"));
    let target = builder.slot(&[size, after], F);
    builder.scatter(source, index, target, [1, count, size, after]);
    builder.finish()
}

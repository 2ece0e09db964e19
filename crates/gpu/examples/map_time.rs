//! Times maps and reductions: `cargo run --release -p noyau-gpu --example map_time [adapter]`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use noyau_compile::plan::{Instr, Level};
use noyau_compile::{Index, Plan};
use noyau_gpu::{Gpu, Tuning};
use noyau_tensor::{BinaryOp, DType, ReduceOp, Scalar, UnaryOp};
use pollster::block_on;
use support::{BodyBuilder, Builder, load, noise_array, of_rows, state, view};

const F: DType = DType::F32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let index = std::env::args().nth(1).map_or(Ok(0), |a| a.parse())?;
    let gpu = block_on(Gpu::open(index))?;
    println!("{}", gpu.info());
    report(&gpu, "sgd with momentum, 401408", &momentum(401_408))?;
    report(&gpu, "relu of [128, 512]", &relu(65_536))?;
    report(&gpu, "sum of columns of [128, 512]", &columns(128, 512))?;
    report(&gpu, "sum of columns of [8192, 10]", &columns(8192, 10))?;
    report(&gpu, "softmax of [128, 10]", &softmax(128, 10))?;
    report(&gpu, "softmax of [512, 512]", &softmax(512, 512))?;
    report(&gpu, "sum of [1, 8192]", &columns(8192, 1))?;
    Ok(())
}

fn report(gpu: &Gpu, name: &str, plan: &Plan) -> Result<(), Box<dyn std::error::Error>> {
    let mut executable = load(gpu, plan, &Tuning { merge: Some(false), ..Tuning::default() })?.executable;
    executable.run()?;
    block_on(gpu.wait())?;
    let mut runs = 1;
    let seconds = loop {
        let start = Instant::now();
        for _ in 0..runs {
            executable.run()?;
        }
        block_on(gpu.wait())?;
        let seconds = start.elapsed().as_secs_f64();
        if seconds > 0.2 {
            break seconds / f64::from(runs);
        }
        runs *= 2;
    };
    println!("{name:30} {:9.1} us  {}", seconds * 1e6, executable.describe().trim());
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

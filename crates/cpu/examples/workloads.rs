//! The single operations of the workloads (W1, W5, W6) on the CPU: `cargo run --release -p noyau-cpu --example workloads [-- part of a
//! name]`.
//!
//! W1 is a product of N x N matrices, in GFLOP/s (2 N^3 operations); W5 `gelu(1.5 x + 0.5)` and the sum of 2^24 floats, W6 the softmax of
//! 4096 x 4096 and the layer norm with scale and shift of 4096 x 1024, in GB/s of what is read and written once. The products of W2's
//! step (the MNIST MLP) at batch 128 and 1024 stand beside. Medians and bests of seven windows.

use std::sync::Arc;
use std::time::Instant;

use noyau_compile::{Graph, Options, compile};
use noyau_cpu::Cpu;
use noyau_tensor::{Array, DType, Result, Shape, Tensor};

/// Times `f` of inputs of the given shapes; `amount` is what one run does, in units of 1e9.
fn time(name: &str, shapes: &[&[usize]], amount: f64, unit: &str, f: impl Fn(&[Tensor]) -> Tensor) -> Result<()> {
    if std::env::args().nth(1).is_some_and(|only| !name.contains(&only)) {
        return Ok(());
    }
    let cpu = Cpu::new();
    let inputs: Vec<(Shape, DType)> = shapes.iter().map(|&s| (Shape::from(s), DType::F32)).collect();
    let tensors: Vec<Tensor> = inputs.iter().enumerate().map(|(i, (s, d))| Tensor::input(i, s, *d)).collect();
    let plan = Arc::new(compile(&Graph::trace(&inputs, &[&f(&tensors)], &[])?, Options::new(cpu.limits()))?);
    let mut executable = cpu.load(plan, &mut |state| cpu.create(&state.initial_value(0)?))?;
    for (i, (shape, _)) in inputs.iter().enumerate() {
        let values: Vec<f32> = (0..shape.numel()).map(|i| (i as f32 * 0.618_034).fract() * 4.0 - 2.0).collect();
        executable.write(i, &Array::new(shape, &values)?)?;
    }
    for _ in 0..3 {
        executable.run()?;
    }
    let start = Instant::now();
    executable.run()?;
    let runs = (0.1 / start.elapsed().as_secs_f64()).clamp(1.0, 1e5) as usize;
    let mut windows = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..runs {
            executable.run()?;
        }
        windows.push(start.elapsed().as_secs_f64() / runs as f64);
    }
    windows.sort_by(f64::total_cmp);
    let (median, best) = (windows[3], windows[0]);
    println!(
        "{name:24} {:9.3} ms  median {:8.2} best {:8.2} {unit}, {} kernels",
        median * 1e3,
        amount / median / 1e9,
        amount / best / 1e9,
        executable.launches()
    );
    Ok(())
}

fn main() -> Result<()> {
    for n in [256, 512, 1024, 2048] {
        time(&format!("w1-matmul-{n}"), &[&[n, n], &[n, n]], 2.0 * (n as f64).powi(3), "GFLOP/s", |x| x[0].matmul(&x[1]))?;
    }
    let long = 1 << 24;
    time("w5-gelu", &[&[long]], 8.0 * long as f64, "GB/s", |x| {
        let x = &x[0] * 1.5 + 0.5;
        &x * 0.5 * ((&x * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0)
    })?;
    time("w5-sum", &[&[long]], 4.0 * long as f64, "GB/s", |x| x[0].sum())?;
    time("w6-softmax", &[&[4096, 4096]], 8.0 * 4096.0 * 4096.0, "GB/s", |x| x[0].softmax(-1))?;
    time("w6-layernorm", &[&[4096, 1024], &[1024], &[1024]], 8.0 * 4096.0 * 1024.0, "GB/s", |x| {
        let centred = &x[0] - x[0].mean_keep(&[-1]);
        centred * (x[0].var(&[-1], 0).unsqueeze(-1) + 1e-5).rsqrt() * &x[1] + &x[2]
    })?;
    for batch in [128, 1024] {
        for (i, o) in [(784, 512), (512, 256), (256, 10)] {
            let amount = 2.0 * batch as f64 * i as f64 * o as f64;
            let (x, w, g): (&[usize], &[usize], &[usize]) = (&[batch, i], &[i, o], &[batch, o]);
            time(&format!("b{batch} x{i} forward"), &[x, w], amount, "GFLOP/s", |t| t[0].matmul(&t[1]))?;
            time(&format!("b{batch} x{i} weights"), &[x, g], amount, "GFLOP/s", |t| t[0].t().matmul(&t[1]))?;
            time(&format!("b{batch} x{i} inputs"), &[g, w], amount, "GFLOP/s", |t| t[0].matmul(&t[1].t()))?;
        }
    }
    Ok(())
}

//! The time of single expressions on the CPU: `cargo run --release -p noyau-cpu --example kernel_time [-- part of a name]`.

use std::sync::Arc;
use std::time::Instant;

use noyau_compile::{Graph, Options, compile};
use noyau_cpu::Cpu;
use noyau_tensor::{Array, DType, Result, Shape, Tensor};

fn time(name: &str, shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Tensor) -> Result<()> {
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
    executable.run()?;
    let start = Instant::now();
    executable.run()?;
    let runs = (0.02 / start.elapsed().as_secs_f64()).clamp(1.0, 1e5) as usize;
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..runs {
            executable.run()?;
        }
        best = best.min(start.elapsed().as_secs_f64() / runs as f64);
    }
    let elements: usize = inputs.iter().map(|(s, _)| s.numel()).sum();
    println!("{best:12.3e} s {:8.3} ns an element {:3} kernels  {name}", best * 1e9 / elements as f64, executable.launches());
    Ok(())
}

fn main() -> Result<()> {
    let flat: &[usize] = &[32_768];
    time("add constant", &[flat], |x| &x[0] + 1.5)?;
    time("add two", &[flat, flat], |x| &x[0] + &x[1])?;
    time("exp", &[flat], |x| x[0].exp())?;
    time("expm1", &[flat], |x| x[0].expm1())?;
    time("log", &[flat], |x| x[0].log())?;
    time("log1p", &[flat], |x| x[0].log1p())?;
    time("tanh", &[flat], |x| x[0].tanh())?;
    time("erf", &[flat], |x| x[0].erf())?;
    time("sin", &[flat], |x| x[0].sin())?;
    time("pow", &[flat], |x| x[0].pow(2.5))?;
    time("rsqrt", &[flat], |x| x[0].rsqrt())?;
    time("gelu", &[flat], |x| (&x[0] * ((&x[0] * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0)) * 0.5)?;
    time("add, 8 million", &[&[1 << 22], &[1 << 22]], |x| &x[0] + &x[1])?;
    time("sum, 32 thousand", &[flat], |x| x[0].sum())?;
    time("sum, 4 million", &[&[1 << 22]], |x| x[0].sum())?;
    time("max of rows of 1,000", &[&[64, 1000]], |x| x[0].max(&[-1]))?;
    time("sum of columns", &[&[512, 512]], |x| x[0].sum_axes(&[0]))?;
    time("softmax, rows of 10", &[&[128, 10]], |x| x[0].softmax(-1))?;
    time("softmax, rows of 1,000", &[&[128, 1000]], |x| x[0].softmax(-1))?;
    time("softmax, rows of 30,000", &[&[16, 30_000]], |x| x[0].softmax(-1))?;
    time("softmax of columns", &[&[512, 256]], |x| x[0].softmax(0))?;
    time("layer norm", &[&[256, 512]], |x| (&x[0] - x[0].mean_keep(&[-1])) * (x[0].var(&[-1], 0).unsqueeze(-1) + 1e-5).rsqrt())?;
    time("batch norm", &[&[32, 16, 14, 14]], |x| {
        (&x[0] - x[0].mean_keep(&[0, 2, 3])) * (x[0].square().mean_keep(&[0, 2, 3]) + 1e-5).rsqrt()
    })?;
    time("bias and relu", &[&[128, 512], &[512]], |x| (&x[0] + &x[1]).relu())?;
    time("bias and relu, narrow", &[&[4096, 10], &[10]], |x| (&x[0] + &x[1]).relu())?;
    time("transpose", &[&[512, 512]], |x| x[0].t() + 1.0)?;
    time("permute", &[&[32, 16, 14, 14]], |x| x[0].permute(&[0, 2, 3, 1]) + 1.0)?;
    time("pad", &[&[32, 16, 14, 14]], |x| x[0].pad(&[(0, 0), (0, 0), (1, 1), (1, 1)], 0.0) + 1.0)?;
    time("pad, then reshape", &[&[32, 16, 14, 14]], |x| x[0].pad(&[(0, 0), (0, 0), (1, 1), (1, 1)], 0.0).reshape([64, 2048]) + 1.0)?;
    time("one hot", &[&[512]], |x| x[0].to(DType::U32).one_hot(1000))?;
    time("dropout", &[flat], |x| &x[0] * Tensor::bernoulli([32_768], 0.5).to(DType::F32))?;
    for n in [16, 24, 32, 48, 64, 96, 128, 256, 512, 1024] {
        time(&format!("matmul {n}: {:.0} MFLOP", 2e-6 * (n as f64).powi(3)), &[&[n, n], &[n, n]], |x| x[0].matmul(&x[1]))?;
    }
    time("batched matmul 64 x 32x32x32", &[&[64, 32, 32], &[64, 32, 32]], |x| x[0].matmul(&x[1]))
}

//! The time of kernels that memory bounds: `cargo run --release -p noyau-cpu --example row_time [-- plan]`.

use std::sync::Arc;
use std::time::Instant;

use noyau_compile::{Graph, Options, compile};
use noyau_cpu::Cpu;
use noyau_tensor::{Array, DType, Result, Shape, Tensor};

fn time(name: &str, shapes: &[&[usize]], bytes: f64, f: impl Fn(&[Tensor]) -> Tensor) -> Result<()> {
    let cpu = Cpu::new();
    let inputs: Vec<(Shape, DType)> = shapes.iter().map(|&s| (Shape::from(s), DType::F32)).collect();
    let tensors: Vec<Tensor> = inputs.iter().enumerate().map(|(i, (s, d))| Tensor::input(i, s, *d)).collect();
    let plan = Arc::new(compile(&Graph::trace(&inputs, &[&f(&tensors)], &[])?, Options::new(cpu.limits()))?);
    if std::env::args().nth(1).is_some_and(|arg| arg == "plan") {
        println!("{plan}");
    }
    let mut executable = cpu.load(plan, &mut |state| cpu.create(&state.initial_value(0)?))?;
    for (i, (shape, _)) in inputs.iter().enumerate() {
        let values: Vec<f32> = (0..shape.numel()).map(|i| (i as f32 * 0.618_034).fract() * 4.0 - 2.0).collect();
        executable.write(i, &Array::new(shape, &values)?)?;
    }
    executable.run()?;
    let mut times = Vec::new();
    let all = Instant::now();
    while all.elapsed().as_secs_f64() < 2.0 {
        let start = Instant::now();
        executable.run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let at = |part: f64| bytes / times[(times.len() as f64 * part) as usize] * 1e-9;
    println!("{name}: best {:.1}, tenth {:.1}, median {:.1} GB/s of {} runs", at(0.0), at(0.1), at(0.5), times.len());
    Ok(())
}

fn main() -> Result<()> {
    let (rows, cols) = (4096usize, 1024usize);
    let all = (rows * cols * 8) as f64;
    for _ in 0..2 {
        time("sum of 2^24", &[&[1 << 24]], (1u64 << 26) as f64, |x| x[0].sum())?;
        time("softmax of 4096 x 4096", &[&[4096, 4096]], 4.0 * all, |x| x[0].softmax(-1))?;
        time("layer norm of 4096 x 1024", &[&[rows, cols], &[cols], &[cols]], all, |x| {
            let centred = &x[0] - x[0].mean_keep(&[-1]);
            let variance = centred.square().mean_keep(&[-1]);
            centred * ((variance + 1e-5).rsqrt() * &x[1]) + &x[2]
        })?;
    }
    Ok(())
}

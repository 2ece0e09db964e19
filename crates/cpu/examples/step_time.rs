//! The time of training steps on the CPU, whole and kernel by kernel: `cargo run --release -p noyau-cpu --example step_time [-- kernels]`.

use std::sync::Arc;
use std::time::Instant;

use noyau_compile::{Graph, Options, compile};
use noyau_cpu::{Cpu, Executable, Memory};
use noyau_tensor::{Array, DType, Init, Param, Result, Shape, State, Tensor, grad};

fn param(name: &str, shape: [usize; 2], seed: u32) -> Param {
    let n = shape[0] * shape[1];
    let scale = (1.0 / shape[0] as f32).sqrt();
    let values: Vec<f32> = (0..n).map(|i| ((i as f32 + 1.0) * 0.618_034 * seed as f32).fract() * 2.0 * scale - scale).collect();
    let shape: &[usize] = if shape[0] == 1 { &shape[1..] } else { &shape };
    Param::from_array(name, Array::new(shape, &values).unwrap_or_else(|_| Array::scalar(0f32)))
}

fn zeros(name: &str, like: &Param) -> Param {
    Param::new(name, like.shape(), Init::Full(noyau_tensor::Scalar::Float(0.0)))
}

struct Step {
    inputs: Vec<(Shape, DType)>,
    loss: Tensor,
    updates: Vec<(Arc<State>, Tensor)>,
}

/// 2-8-8-1 with tanh, mean squared error, plain SGD, batch 32.
fn tiny() -> Step {
    let x = Tensor::input(0, [32, 2], DType::F32);
    let y = Tensor::input(1, [32, 1], DType::F32);
    let weights = [param("w1", [2, 8], 3), param("w2", [8, 8], 5), param("w3", [8, 1], 7)];
    let biases = [param("b1", [1, 8], 2), param("b2", [1, 8], 2), param("b3", [1, 1], 2)];
    let h = (x.matmul(&weights[0]) + biases[0].tensor()).tanh();
    let h = (h.matmul(&weights[1]) + biases[1].tensor()).tanh();
    let out = h.matmul(&weights[2]) + biases[2].tensor();
    let loss = (out - &y).square().mean();
    let params: Vec<&Param> = weights.iter().chain(&biases).collect();
    let gradients = grad(&loss, &params.iter().map(|p| p.tensor()).collect::<Vec<_>>());
    let updates = params.iter().zip(gradients).map(|(p, g)| (Arc::clone(p.state()), p.tensor() - g * 0.05)).collect();
    Step { inputs: vec![(Shape::from([32, 2]), DType::F32), (Shape::from([32, 1]), DType::F32)], loss, updates }
}

/// 784-512-256-10 with ReLU, cross-entropy, SGD with momentum.
fn mnist(batch: usize) -> Step {
    let x = Tensor::input(0, [batch, 784], DType::F32);
    let y = Tensor::input(1, [batch], DType::U32);
    let weights = [param("w1", [784, 512], 3), param("w2", [512, 256], 5), param("w3", [256, 10], 7)];
    let biases = [param("b1", [1, 512], 2), param("b2", [1, 256], 2), param("b3", [1, 10], 2)];
    let h = (x.matmul(&weights[0]) + biases[0].tensor()).relu();
    let h = (h.matmul(&weights[1]) + biases[1].tensor()).relu();
    let logits = h.matmul(&weights[2]) + biases[2].tensor();
    let shifted = &logits - &logits.max_keep(&[-1]).detach();
    let chosen = (&shifted * &y.one_hot(10)).sum_axes(&[-1]);
    let loss = (shifted.exp().sum_axes(&[-1]).log() - chosen).mean();
    let params: Vec<&Param> = weights.iter().chain(&biases).collect();
    let gradients = grad(&loss, &params.iter().map(|p| p.tensor()).collect::<Vec<_>>());
    let mut updates = Vec::new();
    for (p, g) in params.iter().zip(gradients) {
        let velocity = zeros(&format!("{}.v", p.name()), p);
        let next = velocity.tensor() * 0.9 + g;
        updates.push((Arc::clone(p.state()), p.tensor() - &next * 0.1));
        updates.push((Arc::clone(velocity.state()), next));
    }
    Step { inputs: vec![(Shape::from([batch, 784]), DType::F32), (Shape::from([batch]), DType::U32)], loss, updates }
}

fn load(step: &Step) -> Result<Executable> {
    let cpu = Cpu::new();
    let graph = Graph::trace(&step.inputs, &[&step.loss], &step.updates)?;
    let plan = Arc::new(compile(&graph, Options::new(cpu.limits()))?);
    let mut memories: Vec<(u64, Memory)> = Vec::new();
    let mut executable = cpu.load(plan, &mut |state| {
        if let Some((_, memory)) = memories.iter().find(|(id, _)| *id == state.id()) {
            return Ok(memory.clone());
        }
        let memory = cpu.create(&state.initial_value(0)?)?;
        memories.push((state.id(), memory.clone()));
        Ok(memory)
    })?;
    for (i, (shape, dtype)) in step.inputs.iter().enumerate() {
        let words = (0..shape.numel()).map(|i| if *dtype == DType::F32 { ((i % 97) as f32 / 97.0).to_bits() } else { (i % 10) as u32 });
        executable.write(i, &Array::from_words(shape, *dtype, words.collect())?)?;
    }
    Ok(executable)
}

fn time(name: &str, step: &Step, runs: usize, kernels: bool) -> Result<()> {
    let mut executable = load(step)?;
    executable.run()?;
    let first = executable.read(0)?.item();
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..runs {
            executable.run()?;
        }
        best = best.min(start.elapsed().as_secs_f64() / runs as f64);
    }
    println!("{name}: {} kernels, {:.2} us a step, loss {first} -> {}", executable.launches(), best * 1e6, executable.read(0)?.item());
    if kernels {
        for i in 0..executable.launches() {
            let start = Instant::now();
            for _ in 0..runs {
                executable.run_kernel(i)?;
            }
            println!("{:10.2} us  {}", start.elapsed().as_secs_f64() / runs as f64 * 1e6, executable.plan().kernels[i].name);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let kernels = std::env::args().any(|a| a == "kernels");
    if std::env::args().any(|a| a == "plan") {
        print!("{}", load(&tiny())?.plan());
        print!("{}", load(&mnist(128))?.plan());
    }
    time("tiny", &tiny(), 20_000, kernels)?;
    time("mnist, batch 128", &mnist(128), 100, kernels)?;
    time("mnist, batch 1024", &mnist(1024), 10, kernels)
}

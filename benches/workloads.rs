//! Training steps, timed by criterion: `cargo bench`, or `cargo bench -- w4` for some. On the CPU, and on the GPU that `NOYAU_DEVICE`
//! names.
//!
//! W2 is the MNIST MLP 784-512-256-10 (SGD 0.05, momentum 0.9); W3 the MNIST CNN of two convolutions (3x3x16 and 3x3x32, same size, each
//! with ReLU and max-pooling by 2) and two linear layers (1568-128-10), trained like W2; W4 the MLP 2-8-8-1 (tanh, squared loss, SGD 0.03,
//! batch 32).

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use noyau::prelude::*;

/// The CPU, and what `NOYAU_DEVICE` names.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu()];
    match Device::auto() {
        Ok(device) if !device.is_cpu() => devices.push(device),
        Ok(_) => {}
        Err(error) => eprintln!("{error}"),
    }
    devices
}

/// A training step on one batch that stays on the device.
fn step(
    device: &Device,
    model: Sequential,
    optimizer: Sgd,
    x: Array,
    y: Array,
    loss: fn(&Tensor, &Tensor) -> Tensor,
) -> noyau::Result<CompiledStep> {
    let session = Session::new(device.clone());
    let arguments = [Spec::new(x.shape(), x.dtype()), Spec::new(y.shape(), y.dtype())];
    let mut step = session.compile(arguments, |[x, y]| {
        let loss = loss(&model.forward(&x, &Mode::train()), &y);
        let updates = optimizer.step(&loss, &model.parameters());
        Step::returns(&loss).updates(updates)
    })?;
    step.write(0, &x)?;
    step.write(1, &y)?;
    step.launch()?;
    Ok(step)
}

fn mnist_step(device: &Device, batch: usize) -> noyau::Result<CompiledStep> {
    let model = Sequential::new().then(Linear::new(784, 512)).then(Relu).then(Linear::new(512, 256)).then(Relu).then(Linear::new(256, 10));
    let (x, y) = images(batch, &[batch, 784])?;
    step(device, model, Sgd::new(0.05).momentum(0.9), x, y, cross_entropy)
}

fn convolutional_step(device: &Device, batch: usize) -> noyau::Result<CompiledStep> {
    let convolution = |inputs, outputs| Conv2d::new(inputs, outputs, 3).padding(Padding::Same);
    let model = Sequential::new()
        .then(convolution(1, 16))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(convolution(16, 32))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .then(Linear::new(1568, 128))
        .then(Relu)
        .then(Linear::new(128, 10));
    let (x, y) = images(batch, &[batch, 1, 28, 28])?;
    step(device, model, Sgd::new(0.05).momentum(0.9), x, y, cross_entropy)
}

/// Pixels and labels without meaning.
fn images(batch: usize, shape: &[usize]) -> noyau::Result<(Array, Array)> {
    let x: Vec<f32> = (0..batch * 784).map(|i| ((i * 7919) % 256) as f32 / 255.0).collect();
    let y: Vec<u32> = (0..batch).map(|i| (i % 10) as u32).collect();
    Ok((Array::new(shape, &x)?, Array::new([batch], &y)?))
}

fn tiny_step(device: &Device) -> noyau::Result<CompiledStep> {
    let model = Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 8)).then(Tanh).then(Linear::new(8, 1));
    let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
    let y: Vec<f32> = x.chunks(2).map(|p| (p[0] * p[1]).signum()).collect();
    step(device, model, Sgd::new(0.03), Array::new([32, 2], &x)?, Array::new([32, 1], &y)?, mse_loss)
}

fn training(criterion: &mut Criterion) {
    for device in devices() {
        let mut group = criterion.benchmark_group(device.name());
        group.sample_size(20);
        for batch in [128, 1024] {
            let mut step = mnist_step(&device, batch).expect("W2 compiles");
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new("w2", batch), |b| {
                b.iter(|| {
                    step.launch().expect("W2 runs");
                    step.read(0).expect("its loss reads")
                })
            });
        }
        let mut step = convolutional_step(&device, 128).expect("W3 compiles");
        group.throughput(Throughput::Elements(128));
        group.bench_function(BenchmarkId::new("w3", 128), |b| {
            b.iter(|| {
                step.launch().expect("W3 runs");
                step.read(0).expect("its loss reads")
            })
        });
        let mut step = tiny_step(&device).expect("W4 compiles");
        group.throughput(Throughput::Elements(1));
        group.bench_function("w4-steps", |b| b.iter(|| step.launch().expect("W4 runs")));
        group.bench_function("w4-steps-loss-read", |b| {
            b.iter(|| {
                step.launch().expect("W4 runs");
                step.read(0).expect("its loss reads")
            })
        });
        group.finish();
    }
}

criterion_group!(benches, training);
criterion_main!(benches);

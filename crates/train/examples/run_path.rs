//! What running costs besides computing: steps a second one by one and many at a time, and the host's time a step, for W4 (2-8-8-1, tanh,
//! batch 32) and W2 (784-512-256-10, batch 128): `cargo run --release -p noyau-train --example run_path [cpu|gpu|gpu:N] [seconds]`.

use std::time::Instant;

use noyau_nn::{Linear, Mode, Module, Optimizer, Relu, Sequential, Sgd, Tanh, cross_entropy, mse_loss};
use noyau_tensor::{Array, Result, Tensor};
use noyau_train::{CompiledStep, Device, Session, Spec, Step};

fn step(
    device: &Device,
    model: Sequential,
    optimizer: Sgd,
    x: Array,
    y: Array,
    loss: fn(&Tensor, &Tensor) -> Tensor,
) -> Result<CompiledStep> {
    let session = Session::new(device.clone());
    let start = Instant::now();
    let mut step = session.compile([Spec::new(x.shape(), x.dtype()), Spec::new(y.shape(), y.dtype())], |[x, y]| {
        let loss = loss(&model.forward(&x, &Mode::train()), &y);
        Step::returns(&loss).updates(optimizer.step(&loss, &model.parameters()))
    })?;
    step.write(0, &x)?;
    step.write(1, &y)?;
    step.launch()?;
    device.wait()?;
    println!("  first step {:.1} ms, {} launches a step\n{}", start.elapsed().as_secs_f64() * 1e3, step.launches(), step.describe());
    Ok(step)
}

/// Steps a second: the best of some windows, and the median.
fn rate(seconds: f64, mut run: impl FnMut(usize) -> Result<()>) -> Result<(f64, f64)> {
    let mut count = 1;
    let mut rates = Vec::new();
    let whole = Instant::now();
    while rates.len() < 5 || whole.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        run(count)?;
        let time = start.elapsed().as_secs_f64();
        if time < seconds / 12.0 {
            count *= 2;
        } else {
            rates.push(count as f64 / time);
        }
    }
    rates.sort_by(f64::total_cmp);
    Ok((rates[rates.len() / 2], rates[rates.len() - 1]))
}

/// The process's time on all cores so far, in seconds: what a step takes of it says more than a rate on a machine that others use. Linux
/// only; else 0.
fn busy() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The least and the median of what handing over one run costs the host, in microseconds.
fn handing(step: &mut CompiledStep, runs: usize) -> Result<(f64, f64)> {
    let mut times = Vec::new();
    for _ in 0..100 {
        let before = step.host_cost().seconds;
        step.launch_many(runs)?;
        times.push((step.host_cost().seconds - before) * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[0], times[50]))
}

fn measure(name: &str, device: &Device, mut step: CompiledStep, seconds: f64) -> Result<()> {
    type Run = fn(&mut CompiledStep, usize) -> Result<()>;
    let ways: [(&str, Run); 4] = [
        ("one by one", |step, count| (0..count).try_for_each(|_| step.launch())),
        ("one by one, loss read", |step, count| (0..count).try_for_each(|_| step.launch().and_then(|()| step.read(0).map(drop)))),
        ("many at a time", |step, count| step.launch_many(count)),
        ("many, losses read", |step, count| {
            (0..count).step_by(1024).try_for_each(|i| step.launch_many((count - i).min(1024)).and_then(|()| step.history(0).map(drop)))
        }),
    ];
    for (way, run) in ways {
        // What earlier ways left is not this one's.
        if step.history(0).is_err() {
            step.history(0)?;
        }
        let (before, mut steps) = (busy(), 0);
        let (median, best) = rate(seconds, |count| {
            steps += count;
            run(&mut step, count).and_then(|()| device.wait())
        })?;
        println!(
            "  {name}, {way}: {median:.0} steps/s (best {best:.0}), {:.1} us of all cores a step",
            (busy() - before) * 1e6 / steps as f64
        );
    }
    if !device.is_cpu() {
        for runs in [1, 16] {
            let before = step.host_cost();
            let (least, median) = handing(&mut step, runs)?;
            let after = step.host_cost();
            let calls = 100.0;
            let [dispatches, submissions] =
                [after.dispatches - before.dispatches, after.submissions - before.submissions].map(|n| n as f64 / calls);
            println!(
                "  {name}, host: {runs} runs are {dispatches} dispatches in {submissions} submissions: {least:.1} us at least, \
                 {median:.1} in the median, {:.2} a dispatch",
                least / dispatches
            );
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let device = Device::choose(std::env::args().nth(1).unwrap_or_else(|| "cpu".into()).parse()?)?;
    let seconds: f64 = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(3.0);
    println!("{device:?}");
    let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
    let y: Vec<f32> = x.chunks(2).map(|p| (p[0] * p[1]).signum()).collect();
    let tiny = Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 8)).then(Tanh).then(Linear::new(8, 1));
    let tiny = step(&device, tiny, Sgd::new(0.03), Array::new([32, 2], &x)?, Array::new([32, 1], &y)?, mse_loss)?;
    measure("w4", &device, tiny, seconds)?;
    let x: Vec<f32> = (0..128 * 784).map(|i| ((i * 7919) % 256) as f32 / 255.0).collect();
    let y: Vec<u32> = (0..128).map(|i| (i % 10) as u32).collect();
    let mlp = Sequential::new().then(Linear::new(784, 512)).then(Relu).then(Linear::new(512, 256)).then(Relu).then(Linear::new(256, 10));
    let mlp = step(&device, mlp, Sgd::new(0.05).momentum(0.9), Array::new([128, 784], &x)?, Array::new([128], &y)?, cross_entropy)?;
    measure("w2", &device, mlp, seconds)
}

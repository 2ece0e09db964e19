//! What running costs besides computing: steps a second one by one and many at a time, and the host's time a step, for W4 (2-8-8-1, tanh, batch 32) and W2
//! (784-512-256-10, batch 128): `cargo run --release -p noyau-train --example run_path [cpu|gpu|gpu:N] [seconds]`.

use std::time::Instant;

use noyau_nn::{Linear, Mode, Module, Optimizer, Relu, Sequential, Sgd, Tanh, cross_entropy, mse_loss};
use noyau_tensor::{Array, Result, Tensor};
use noyau_train::{CompiledStep, Device, Session, Spec, Step};

fn step(device: &Device, model: Sequential, optimizer: Sgd, x: Array, y: Array, loss: fn(&Tensor, &Tensor) -> Tensor) -> Result<CompiledStep> {
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
        let before = step.host_cost();
        let (median, best) = rate(seconds, |count| run(&mut step, count).and_then(|()| device.wait()))?;
        let after = step.host_cost();
        let seconds = after.seconds - before.seconds;
        let (dispatches, submissions) = (after.dispatches - before.dispatches, after.submissions - before.submissions);
        println!(
            "  {name}, {way}: {median:.0} steps/s (best {best:.0}); host {:.2} us a dispatch, {:.1} us a submission of {:.1} dispatches",
            seconds * 1e6 / dispatches.max(1) as f64,
            seconds * 1e6 / submissions.max(1) as f64,
            dispatches as f64 / submissions.max(1) as f64
        );
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

//! The workloads W1, W2, W5 and W6 on candle's CPU backend.
//!
//!     cargo run --release -- [--quick] [NAME]..

#[path = "../../rust/measure.rs"]
mod measure;

use std::time::Instant;

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{LayerNorm, Linear, Module, VarBuilder, VarMap, linear, loss::cross_entropy, ops::softmax_last_dim};
use measure::{Batches, Mnist, Outcome, Peer, noise, peak_memory};

struct Training {
    layers: [Linear; 3],
    parameters: Vec<Var>,
    moments: Vec<Tensor>,
    batches: Batches,
    loss: f32,
}

impl Training {
    fn new(batch: usize, samples: usize) -> Outcome<Training> {
        let map = VarMap::new();
        let builder = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let layer = |i: usize, o: usize, name: &str| linear(i, o, builder.pp(name));
        let layers = [layer(784, 512, "a")?, layer(512, 256, "b")?, layer(256, 10, "c")?];
        let parameters = map.all_vars();
        let moments = parameters.iter().map(|p| p.zeros_like()).collect::<Result<_, _>>()?;
        Ok(Training { layers, parameters, moments, batches: Batches::new(samples, batch), loss: f32::NAN })
    }

    fn steps(&mut self, count: usize, data: &Mnist) -> Outcome<()> {
        for i in 0..count {
            let (images, labels) = self.batches.gather(data);
            let batch = labels.len();
            let (x, y) = (Tensor::from_vec(images, (batch, 784), &Device::Cpu)?, Tensor::from_vec(labels, batch, &Device::Cpu)?);
            let h = self.layers[0].forward(&x)?.relu()?;
            let h = self.layers[1].forward(&h)?.relu()?;
            let loss = cross_entropy(&self.layers[2].forward(&h)?, &y)?;
            let gradients = loss.backward()?;
            // candle's SGD has no momentum: PyTorch's rule.
            for (parameter, moment) in self.parameters.iter().zip(&mut self.moments) {
                let gradient = gradients.get(parameter.as_tensor()).ok_or("a parameter without a gradient")?;
                *moment = ((&*moment * 0.9)? + gradient)?.detach();
                parameter.set(&(parameter.as_tensor() - (&*moment * 0.05)?)?.detach())?;
            }
            if i + 1 == count {
                self.loss = loss.to_scalar()?;
            }
        }
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let peer = Peer::from_args("candle 0.11.1")?;
    if peer.device != "cpu" {
        return Err(format!("--device {}: there is cpu", peer.device).into());
    }
    let cpu = &Device::Cpu;
    let matrix = |rows: usize, columns: usize| Tensor::from_vec(noise(rows * columns), (rows, columns), cpu);
    for n in [256, 512, 1024, 2048] {
        let (a, b) = (matrix(n, n)?, matrix(n, n)?);
        peer.rate(&format!("w1-matmul-{n}"), "GFLOP/s", 2e-9 * (n as f64).powi(3), |count| {
            Ok((0..count).try_for_each(|_| a.matmul(&b).map(drop))?)
        })?;
    }
    if peer.trains() {
        let data = Mnist::read()?;
        let samples = data.labels.len();
        if peer.wants("w2-b128-first-step") {
            let start = Instant::now();
            Training::new(128, samples)?.steps(1, &data)?;
            peer.line("w2-b128-first-step", "ms", vec![start.elapsed().as_secs_f64() * 1e3]);
        }
        for batch in [128, 1024] {
            let name = format!("w2-b{batch}-rate");
            let mut run = Training::new(batch, samples)?;
            peer.rate(&name, "samples/s", batch as f64, |count| run.steps(count, &data))?;
            if peer.wants(&name) && !(run.loss < 2.4) {
                return Err(format!("{name}: the loss is {}", run.loss).into());
            }
        }
        if peer.wants("w2-peak-memory") {
            Training::new(128, samples)?.steps(600, &data)?;
            peer.line("w2-peak-memory", "MiB", vec![peak_memory().ok_or("no /proc/self/status")?]);
        }
    }
    let n = 1 << 24;
    if peer.wants("w5-gelu") {
        let x = Tensor::from_vec(noise(n), n, cpu)?;
        peer.rate("w5-gelu", "GB/s", 8e-9 * n as f64, |count| Ok((0..count).try_for_each(|_| x.affine(1.5, 0.5)?.gelu_erf().map(drop))?))?;
    }
    if peer.wants("w5-sum") {
        let x = Tensor::ones(n, DType::F32, cpu)?;
        let sum: f32 = x.sum_all()?.to_scalar()?;
        if sum != n as f32 {
            eprintln!("w5-sum: the sum of {n} ones is {sum}: timed all the same, as the sum of f32 one by one");
        }
        peer.rate("w5-sum", "GB/s", 4e-9 * n as f64, |count| Ok((0..count).try_for_each(|_| x.sum(D::Minus1).map(drop))?))?;
    }
    if peer.wants("w6-softmax") {
        let x = matrix(4096, 4096)?;
        peer.rate("w6-softmax", "GB/s", 8e-9 * 4096.0 * 4096.0, |count| Ok((0..count).try_for_each(|_| softmax_last_dim(&x).map(drop))?))?;
    }
    if peer.wants("w6-layernorm") {
        let x = matrix(4096, 1024)?;
        let norm = LayerNorm::new(Tensor::ones(1024, DType::F32, cpu)?, Tensor::zeros(1024, DType::F32, cpu)?, 1e-5);
        peer.rate("w6-layernorm", "GB/s", 8e-9 * 4096.0 * 1024.0, |count| Ok((0..count).try_for_each(|_| norm.forward(&x).map(drop))?))?;
    }
    Ok(())
}

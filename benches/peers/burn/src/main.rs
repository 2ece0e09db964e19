//! The workloads W1 to W6 on burn: its CPU backend flex (with AVX-512 where the processor has it), or its wgpu backend on Vulkan.
//!
//!     cargo run --release -- [--device cpu|vulkan] [--quick] [NAME]..

#[path = "../../rust/measure.rs"]
mod measure;

use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::{Device, DeviceKind, Int, Tensor, TensorData};
use measure::{Batches, Mnist, Outcome, Peer, noise, peak_memory, tiny};

#[derive(Module, Debug)]
struct Mlp {
    layers: [Linear; 3],
}

impl Mlp {
    fn new(sizes: [usize; 4], device: &Device) -> Mlp {
        Mlp { layers: [0, 1, 2].map(|i| LinearConfig::new(sizes[i], sizes[i + 1]).init(device)) }
    }

    fn forward(&self, x: Tensor<2>, activation: fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let x = activation(self.layers[0].forward(x));
        let x = activation(self.layers[1].forward(x));
        self.layers[2].forward(x)
    }
}

#[derive(Module, Debug)]
struct Cnn {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    out: Linear,
}

impl Cnn {
    fn new(device: &Device) -> Cnn {
        let convolution = |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Cnn {
            first: convolution([1, 16]),
            second: convolution([16, 32]),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: LinearConfig::new(1568, 128).init(device),
            out: LinearConfig::new(128, 10).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [batch, _] = x.dims();
        let x = self.pool.forward(relu(self.first.forward(x.reshape([batch, 1, 28, 28]))));
        let x = self.pool.forward(relu(self.second.forward(x)));
        self.out.forward(relu(self.hidden.forward(x.reshape([batch, 1568]))))
    }
}

/// A network in training on MNIST.
struct Training<M: Module> {
    model: Option<M>,
    forward: fn(&M, Tensor<2>) -> Tensor<2>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    batches: Batches,
    device: Device,
    last: Option<Tensor<1>>,
}

impl<M: Module> Training<M> {
    fn new(model: M, forward: fn(&M, Tensor<2>) -> Tensor<2>, batch: usize, samples: usize, device: &Device) -> Training<M> {
        // PyTorch's momentum: the gradient is added whole.
        let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
        Training {
            model: Some(model),
            forward,
            optimizer: SgdConfig::new().with_momentum(Some(momentum)).init(),
            loss: CrossEntropyLossConfig::new().init(device),
            batches: Batches::new(samples, batch),
            device: device.clone(),
            last: None,
        }
    }

    fn steps(&mut self, count: usize, data: &Mnist) -> Outcome<()> {
        for _ in 0..count {
            let (images, labels) = self.batches.gather(data);
            let batch = labels.len();
            let x = Tensor::<2>::from_data(TensorData::new(images, [batch, 784]), &self.device);
            let labels: Vec<i32> = labels.into_iter().map(|l| l as i32).collect();
            let y = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), &self.device);
            let model = self.model.take().ok_or("no model")?;
            let loss = self.loss.forward((self.forward)(&model, x), y);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            self.model = Some(self.optimizer.step(0.05, model, gradients));
            self.last = Some(loss);
        }
        self.device.sync().map_err(|e| format!("{e:?}"))?;
        Ok(())
    }

    fn loss(&self) -> f32 {
        self.last.clone().map_or(f32::NAN, |loss| loss.into_scalar())
    }
}

fn main() -> Outcome<()> {
    let peer = Peer::from_args("burn 0.22.1")?;
    let device = match peer.device.as_str() {
        "cpu" => Device::flex(),
        "vulkan" => Device::vulkan(DeviceKind::DefaultDevice),
        other => return Err(format!("--device {other}: there are cpu and vulkan").into()),
    };
    let sync = || device.sync().map_err(|e| format!("{e:?}"));
    let matrix = |rows: usize, columns: usize| Tensor::<2>::from_data(TensorData::new(noise(rows * columns), [rows, columns]), &device);

    for n in [256, 512, 1024, 2048] {
        let name = format!("w1-matmul-{n}");
        if peer.wants(&name) {
            let (a, b) = (matrix(n, n), matrix(n, n));
            peer.rate(&name, "GFLOP/s", 2e-9 * (n as f64).powi(3), |count| {
                for _ in 0..count {
                    drop(a.clone().matmul(b.clone()));
                }
                Ok(sync()?)
            })?;
        }
    }

    let training = device.clone().autodiff();
    if peer.trains() {
        let data = Mnist::read()?;
        let mlp: fn(&Mlp, Tensor<2>) -> Tensor<2> = |model, x| model.forward(x, relu);
        let new = |batch| Training::new(Mlp::new([784, 512, 256, 10], &training), mlp, batch, data.labels.len(), &training);
        // First of all: nothing has been compiled yet in this process.
        if peer.wants("w2-b128-first-step") {
            let start = Instant::now();
            let mut first = new(128);
            first.steps(1, &data)?;
            peer.line("w2-b128-first-step", "ms", vec![start.elapsed().as_secs_f64() * 1e3]);
        } else if peer.wants("w3-b128-first-step") {
            let start = Instant::now();
            let mut first = Training::new(Cnn::new(&training), Cnn::forward, 128, data.labels.len(), &training);
            first.steps(1, &data)?;
            peer.line("w3-b128-first-step", "ms", vec![start.elapsed().as_secs_f64() * 1e3]);
        }
        for batch in [128, 1024] {
            let name = format!("w2-b{batch}-rate");
            if peer.wants(&name) {
                let mut run = new(batch);
                peer.rate(&name, "samples/s", batch as f64, |count| run.steps(count, &data))?;
                if !(run.loss() < 2.4) {
                    return Err(format!("{name}: the loss is {}", run.loss()).into());
                }
            }
        }
        if peer.wants("w2-peak-memory") {
            new(128).steps(if peer.device == "cpu" { 600 } else { 100 }, &data)?;
            peer.line("w2-peak-memory", "MiB", vec![peak_memory().ok_or("no /proc/self/status")?]);
        }
        if peer.wants("w3-b128-rate") {
            let mut run = Training::new(Cnn::new(&training), Cnn::forward, 128, data.labels.len(), &training);
            peer.rate("w3-b128-rate", "samples/s", 128.0, |count| run.steps(count, &data))?;
        }
    }

    for (name, read) in [("w4-steps", false), ("w4-steps-loss-read", true)] {
        if peer.wants(name) {
            let (x, y) = tiny();
            let x = Tensor::<2>::from_data(TensorData::new(x, [32, 2]), &training);
            let y = Tensor::<2>::from_data(TensorData::new(y, [32, 1]), &training);
            let mut model = Some(Mlp::new([2, 8, 8, 1], &training));
            let mut optimizer = SgdConfig::new().init();
            peer.rate(name, "steps/s", 1.0, |count| {
                for _ in 0..count {
                    let now = model.take().ok_or("no model")?;
                    let loss = (now.forward(x.clone(), |x| x.tanh()) - y.clone()).square().mean();
                    let gradients = GradientsParams::from_grads(loss.backward(), &now);
                    model = Some(optimizer.step(0.03, now, gradients));
                    if read {
                        let _: f32 = loss.into_scalar();
                    }
                }
                Ok(training.sync().map_err(|e| format!("{e:?}"))?)
            })?;
        }
    }

    let n = 1 << 24;
    if peer.wants("w5-gelu") {
        let x = Tensor::<1>::from_data(TensorData::new(noise(n), [n]), &device);
        peer.rate("w5-gelu", "GB/s", 8e-9 * n as f64, |count| {
            for _ in 0..count {
                // Dropped unread it would not be computed where operations are fused.
                let y = gelu(x.clone().mul_scalar(1.5).add_scalar(0.5));
                sync()?;
                drop(y);
            }
            Ok(())
        })?;
    }
    if peer.wants("w5-sum") {
        let x = Tensor::<1>::from_data(TensorData::new(vec![1f32; n], [n]), &device);
        let sum: f32 = x.clone().sum().into_scalar();
        if sum == n as f32 {
            peer.rate("w5-sum", "GB/s", 4e-9 * n as f64, |count| {
                for _ in 0..count {
                    let y = x.clone().sum();
                    sync()?;
                    drop(y);
                }
                Ok(())
            })?;
        } else {
            eprintln!("w5-sum: the sum of {n} ones is {sum}: not timed");
        }
    }
    if peer.wants("w6-softmax") {
        let x = matrix(4096, 4096);
        peer.rate("w6-softmax", "GB/s", 8e-9 * 4096.0 * 4096.0, |count| {
            for _ in 0..count {
                let y = softmax(x.clone(), 1);
                sync()?;
                drop(y);
            }
            Ok(())
        })?;
    }
    if peer.wants("w6-layernorm") {
        let (x, norm) = (matrix(4096, 1024), LayerNormConfig::new(1024).init(&device));
        peer.rate("w6-layernorm", "GB/s", 8e-9 * 4096.0 * 1024.0, |count| {
            for _ in 0..count {
                let y = norm.forward(x.clone());
                sync()?;
                drop(y);
            }
            Ok(())
        })?;
    }
    Ok(())
}

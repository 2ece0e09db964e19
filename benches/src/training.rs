//! Training steps, written as a user would write them for speed: compiled once, with their data on the device.

use noyau::data::Packing;
use noyau::prelude::*;

use crate::cost::{self, Cost};

/// The networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// 784-512-256-10, ReLU: W2.
    Mlp,
    /// Two convolutions of 3 x 3 with ReLU and max-pooling by 2, two linear layers: W3.
    Cnn,
}

impl Network {
    fn model(self) -> Sequential {
        match self {
            Network::Mlp => {
                Sequential::new().then(Linear::new(784, 512)).then(Relu).then(Linear::new(512, 256)).then(Relu).then(Linear::new(256, 10))
            }
            Network::Cnn => {
                let convolution = |inputs, outputs| Conv2d::new(inputs, outputs, 3).padding(Padding::Same);
                Sequential::new()
                    .then(convolution(1, 16))
                    .then(Relu)
                    .then(MaxPool2d::new(2))
                    .then(convolution(16, 32))
                    .then(Relu)
                    .then(MaxPool2d::new(2))
                    .then(Flatten)
                    .then(Linear::new(1568, 128))
                    .then(Relu)
                    .then(Linear::new(128, 10))
            }
        }
    }

    /// A sample as the model takes it, behind the batch.
    fn sample(self) -> &'static [usize] {
        match self {
            Network::Mlp => &[784],
            Network::Cnn => &[1, 28, 28],
        }
    }
}

/// A network in training on MNIST: SGD at a rate of 0.05 with momentum 0.9, samples in a new order each epoch.
pub struct Training {
    /// Its step.
    pub step: CompiledStep,
    /// The work of a step.
    pub cost: Cost,
    /// Samples a step.
    pub batch: usize,
    session: Session,
    feed: Feed,
}

/// How batches reach the step.
enum Feed {
    /// As arrays that a thread of the loader gathers: for the CPU.
    Sent { loader: Loader, epoch: u64, batches: noyau::data::Batches },
    /// By index from a copy on the device, in an order that is sent once an epoch: a step has no arguments.
    Resident { loader: Loader, epoch: u64, order: Param, cursor: Param, left: usize },
}

impl Training {
    /// Compiles the step and puts the data where it is read from. The first run is up to the caller.
    pub fn new(device: &Device, network: Network, batch: usize, data: &Dataset) -> Result<Training> {
        let session = Session::new(device.clone());
        let model = network.model();
        let parameters = model.parameters();
        // First of all states, so that they begin with the same values however the data comes.
        session.begin(&parameters.iter().map(|(_, p)| p).collect::<Vec<_>>())?;
        let optimizer = Sgd::new(0.05).momentum(0.9);
        let shape: Vec<usize> = [&[batch], network.sample()].concat();
        let trained = |x: &Tensor, y: &Tensor| {
            let loss = cross_entropy(&model.forward(&x.reshape(&shape[..]), &Mode::train()), y);
            Step::returns(&loss).updates(optimizer.step(&loss, &parameters))
        };
        let loader = Loader::new(data, batch)?.shuffle(0).drop_last()?;
        let (step, feed) = if device.is_cpu() {
            let sample: Vec<usize> = [&[batch], &data.sample_shape()[..]].concat();
            let step = session.compile([Spec::f32(&sample[..]), Spec::u32([batch])], |[x, y]| trained(&x, &y))?;
            let batches = loader.epoch(0);
            (step, Feed::Sent { loader, epoch: 0, batches })
        } else {
            let packed = data.packed();
            let order = Param::from_array("data.order", Array::new([loader.samples()], &loader.order(0))?);
            let cursor = Param::from_array("data.cursor", Array::scalar(0u32));
            let features = Param::from_array("data.features", packed.features);
            let targets = Param::from_array("data.targets", packed.targets);
            let step = session.compile([], |[]| {
                let index = order.index_select(0, &(cursor.tensor() + Tensor::iota([batch], 0)));
                let rows = features.index_select(0, &index);
                let x = match packed.packing {
                    Packing::Words => rows,
                    Packing::Bytes { mul, add } => bytes(&rows, data.sample_shape().numel()) * mul + add,
                };
                trained(&x, &targets.index_select(0, &index)).updates([(cursor.clone(), cursor.tensor() + batch as u32)])
            })?;
            let left = loader.len();
            (step, Feed::Resident { loader, epoch: 0, order, cursor, left })
        };
        let cost = cost::of_plan(step.plan(), &device.limits());
        Ok(Training { step, cost, batch, session, feed })
    }

    /// So many steps; waits for the last.
    pub fn run(&mut self, count: usize) -> Result<()> {
        self.launch(count)?;
        self.session.device().wait()
    }

    /// So many steps, without waiting for them.
    pub fn launch(&mut self, count: usize) -> Result<()> {
        match &mut self.feed {
            Feed::Sent { loader, epoch, batches } => {
                for _ in 0..count {
                    let batch = match batches.next() {
                        Some(batch) => batch,
                        None => {
                            *epoch += 1;
                            *batches = loader.epoch(*epoch);
                            let Some(batch) = batches.next() else { return Ok(()) };
                            batch
                        }
                    };
                    self.step.launch_with(&[&batch.x, &batch.y])?;
                    batches.recycle(batch);
                }
            }
            Feed::Resident { loader, epoch, order, cursor, left } => {
                let mut todo = count;
                while todo > 0 {
                    if *left == 0 {
                        *epoch += 1;
                        *left = loader.len();
                        self.session.set(order, &Array::new([loader.samples()], &loader.order(*epoch))?)?;
                        self.session.set(cursor, &Array::scalar(0u32))?;
                    }
                    let now = todo.min(*left);
                    (todo, *left) = (todo - now, *left - now);
                    // The first run of all is a step by itself: many take more to prepare.
                    if count == 1 { self.step.launch()? } else { self.step.launch_many(now)? }
                }
            }
        }
        Ok(())
    }

    /// The last step's loss.
    pub fn loss(&self) -> Result<f32> {
        self.step.read(0)?.try_item()
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// Rows of words, four bytes each with the first in the lowest bits, as rows of `width` f32 from 0 to 255.
fn bytes(rows: &Tensor, width: usize) -> Tensor {
    let words = rows.shape()[1];
    let bytes = rows.unsqueeze(-1).shr(&(Tensor::arange(4) * 8)).logical_and(255u32).to(DType::F32);
    bytes.reshape([rows.shape()[0], words * 4]).slice(1, ..width)
}

/// The MLP 2-8-8-1 (tanh, squared loss, SGD at a rate of 0.03) on one batch of 32 that stays on the device: W4.
pub struct Tiny {
    /// Its step.
    pub step: CompiledStep,
    /// The work of a step.
    pub cost: Cost,
    session: Session,
}

impl Tiny {
    /// Compiles the step and sends its batch.
    pub fn new(device: &Device) -> Result<Tiny> {
        let session = Session::new(device.clone());
        let model = Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 8)).then(Tanh).then(Linear::new(8, 1));
        let optimizer = Sgd::new(0.03);
        let mut step = session.compile([Spec::f32([32, 2]), Spec::f32([32, 1])], |[x, y]| {
            let loss = mse_loss(&model.forward(&x, &Mode::train()), &y);
            let updates = optimizer.step(&loss, &model.parameters());
            Step::returns(&loss).updates(updates)
        })?;
        let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
        let y: Vec<f32> = x.chunks(2).map(|p| (p[0] * p[1]).signum()).collect();
        step.write(0, &Array::new([32, 2], &x)?)?;
        step.write(1, &Array::new([32, 1], &y)?)?;
        let cost = cost::of_plan(step.plan(), &device.limits());
        Ok(Tiny { step, cost, session })
    }

    /// So many steps; waits for the last.
    pub fn run(&mut self, count: usize) -> Result<()> {
        self.launch(count)?;
        self.session.device().wait()
    }

    /// So many steps, without waiting for them.
    pub fn launch(&mut self, count: usize) -> Result<()> {
        self.step.launch_many(count)
    }

    /// So many steps, each loss read before the next.
    pub fn run_reading(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.step.launch()?;
            self.loss()?;
        }
        Ok(())
    }

    /// The last step's loss.
    pub fn loss(&self) -> Result<f32> {
        self.step.read(0)?.try_item()
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Dataset {
        let pixels: Vec<u8> = (0..300 * 784).map(|i| (i * 31 % 251) as u8).collect();
        let labels = Array::new([300], &(0..300u32).map(|i| i % 10).collect::<Vec<_>>()).unwrap();
        Dataset::from_bytes([28, 28], pixels, &labels).unwrap()
    }

    #[test]
    fn a_step_learns_and_goes_on_over_epochs() {
        let mut training = Training::new(&Device::cpu(), Network::Mlp, 128, &points()).unwrap();
        training.run(1).unwrap();
        let first = training.loss().unwrap();
        assert!((first - 10f32.ln()).abs() < 0.5, "{first}");
        // Two batches an epoch.
        training.run(7).unwrap();
        assert!(training.loss().unwrap() < first);
        // Three products a layer, but for the gradient by the images; and some arithmetic an element of the weights.
        let products = 2.0 * 128.0 * (2.0 * 784.0 * 512.0 + 3.0 * (512.0 * 256.0 + 256.0 * 10.0));
        assert!((1.0..1.03).contains(&(training.cost.flops / products)), "{:?}", training.cost);
    }

    #[test]
    fn batches_gathered_on_a_gpu_are_the_cpus() {
        let losses = |device: &Device, network| {
            let mut training = Training::new(device, network, 100, &points()).unwrap();
            (0..4).map(|_| training.run(1).and_then(|()| training.loss()).unwrap()).collect::<Vec<f32>>()
        };
        for info in Device::list() {
            let device = Device::gpu(info.index).unwrap();
            let (ours, cpus) = (losses(&device, Network::Mlp), losses(&Device::cpu(), Network::Mlp));
            assert!(ours.iter().zip(&cpus).all(|(a, b)| (a - b).abs() < 1e-3), "{info}: {ours:?}, {cpus:?}");
        }
    }

    #[test]
    fn the_tiny_network_learns() {
        let mut tiny = Tiny::new(&Device::cpu()).unwrap();
        tiny.run(1).unwrap();
        let first = tiny.loss().unwrap();
        tiny.run_reading(500).unwrap();
        assert!(tiny.loss().unwrap() < first * 0.9);
    }
}

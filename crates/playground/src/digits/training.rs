//! Training on digits, a little at a time.

use std::rc::Rc;

use noyau_data::Rng;
use noyau_nn::{Adam, Mode, Optimizer, cross_entropy, metrics};
use noyau_tensor::{Array, DType, Error, Param, Result, Tensor, concat};
use noyau_train::{CompiledStep, Device, Session, Spec, Step};

use super::network::Network;
use super::{CLASSES, Images, Kind, PIXELS, Reading, Stage};

const RATE: f64 = 0.005;

/// How good the network was after so many steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// The mean of the losses of the steps since the record before; NaN at step 0.
    pub train_loss: f64,
    /// How many of their images were read right, 0 to 1; NaN at step 0.
    pub train_accuracy: f64,
    /// The loss on all images to test on.
    pub test_loss: f64,
    /// How many of them are read right, 0 to 1.
    pub test_accuracy: f64,
}

/// A network that learns to read, on a device.
///
/// Work is counted in units, a step of the training or a part of a test: the caller does as many at a time as it has time for. When a test is due depends on
/// the number of steps alone, so that the same seed gives the same records however the work is cut.
pub struct Digits {
    images: Rc<Images>,
    kind: Kind,
    seed: u64,
    session: Session,
    network: Network,
    training: CompiledStep,
    testing: CompiledStep,
    reading: CompiledStep,
    /// The epoch's images in their order, and the number of its next batch.
    order: Param,
    cursor: Param,
    /// What the last test took each image for, chunk by chunk; the classes that are right are the images' labels.
    taken: Param,
    predictions: Vec<u8>,
    records: Vec<Record>,
    step: u64,
    /// How many chunks of the test that is under way are done.
    tested: Option<usize>,
}

impl Digits {
    /// A network with weights drawn from a seed, before its first step. Fails when the device cannot hold it.
    pub async fn open_async(images: Rc<Images>, kind: Kind, seed: u64, device: Device) -> Result<Digits> {
        let session = Session::with_seed(device, seed);
        let network = Network::new(kind);
        let (train, test) = (&images.train, &images.test);
        let (batch, chunk) = (kind.batch(), kind.chunk());
        let (batches, chunks) = (train.len() / batch, test.len() / chunk);
        if batches == 0 || chunks == 0 {
            let message =
                format!("{} images to train on and {} to test on: at least {batch} and {chunk} are needed", train.len(), test.len());
            return Err(Error::argument("images", message));
        }
        let stored = |name: &str, half: &super::Half| -> Result<(Param, Param)> {
            let words: Vec<u32> = half.labels.iter().map(|&label| label.into()).collect();
            Ok((
                Param::from_array(format!("{name}.pixels"), Array::new([half.len(), PIXELS], &half.values())?),
                Param::from_array(format!("{name}.labels"), Array::new([half.len()], &words)?),
            ))
        };
        let (pixels, labels) = stored("train", train)?;
        let order = Param::from_array("order", Array::new([batches * batch], &vec![0u32; batches * batch])?);
        let cursor = Param::from_array("cursor", Array::scalar(0u32));
        // The weights come first, so that they hang on nothing but the seed.
        let parameters = network.parameters();
        session.begin_async(&parameters.iter().map(|(_, param)| param).collect::<Vec<_>>()).await?;
        let optimizer = Adam::new(RATE);
        let training = session
            .compile_async([], |[]| {
                let places = cursor.tensor() * batch as u32 + Tensor::arange(batch).to(DType::U32);
                let index = order.index_select(0, &places);
                let (x, y) = (pixels.index_select(0, &index), labels.index_select(0, &index));
                let (scores, _) = network.forward(&x, &Mode::train());
                let loss = cross_entropy(&scores, &y);
                Step::returns(&loss)
                    .and_returns(&metrics::correct(&scores, &y))
                    .updates(optimizer.step(&loss, &parameters))
                    .updates([(cursor.clone(), &cursor + 1u32)])
            })
            .await?;

        let (pixels, labels) = stored("test", test)?;
        let place = Param::from_array("chunk", Array::scalar(0u32));
        let taken = Param::from_array("taken", Array::new([chunks, chunk], &vec![0u32; chunks * chunk])?);
        let testing = session
            .compile_async([], |[]| {
                let places = place.tensor() * chunk as u32 + Tensor::arange(chunk).to(DType::U32);
                let (x, y) = (pixels.index_select(0, &places), labels.index_select(0, &places));
                let (scores, _) = network.forward(&x, &Mode::eval());
                let here = Tensor::arange(chunks).to(DType::U32).eq(place.tensor()).reshape([chunks, 1]);
                let next = here.where_(scores.argmax(1).to(DType::U32).reshape([1, chunk]), taken.tensor());
                let after = &place + 1u32;
                let again = after.eq(chunks as u32).where_(after.zeros_like(), &after);
                Step::returns(&cross_entropy(&scores, &y)).updates([(taken.clone(), next), (place.clone(), again)])
            })
            .await?;
        let reading = session
            .compile_async([Spec::f32([1, PIXELS])], |[x]| {
                let (scores, hidden) = network.forward(&x, &Mode::eval());
                let flat: Vec<Tensor> = std::iter::once(scores.softmax(1)).chain(hidden).map(|t| t.flatten(0, -1)).collect();
                // One result, so that it is read at once.
                Step::returns(&concat(&flat.iter().collect::<Vec<_>>(), 0))
            })
            .await?;
        let mut digits = Digits {
            kind,
            seed,
            session,
            network,
            training,
            testing,
            reading,
            order,
            cursor,
            taken,
            predictions: Vec::new(),
            records: Vec::new(),
            step: 0,
            tested: Some(0),
            images,
        };
        digits.begin_epoch().await?;
        Ok(digits)
    }

    /// The same network on the same device, begun again with the weights of a seed.
    pub async fn restart_async(&mut self, seed: u64) -> Result<()> {
        *self = Digits::open_async(Rc::clone(&self.images), self.kind, seed, self.session.device().clone()).await?;
        Ok(())
    }

    /// The device.
    pub fn device(&self) -> &Device {
        self.session.device()
    }

    /// The images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The seed that the weights came from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Which network it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The network in words: sizes, layer by layer.
    pub fn words(&self) -> String {
        self.network.words()
    }

    /// Weights and biases in all.
    pub fn weights(&self) -> usize {
        self.network.parameters().iter().map(|(_, param)| param.shape().numel()).sum()
    }

    /// Images a step.
    pub fn batch(&self) -> usize {
        self.kind.batch()
    }

    /// Steps an epoch: whole batches only, other images are left out each time.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.images.train.len() / self.batch()) as u64
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// How good it was on the way, in order of steps: the first is before the first step, once it is there.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What the last test took the images to test on for, in their order; none before the first. The last few images may be missing.
    pub fn predictions(&self) -> &[u8] {
        &self.predictions
    }

    /// Does so many units of work.
    pub async fn advance_async(&mut self, units: usize) -> Result<()> {
        let mut left = units;
        while left > 0 {
            left -= match self.tested {
                Some(done) => self.test(done, left).await?,
                None => self.train(left).await?,
            };
        }
        Ok(())
    }

    async fn train(&mut self, most: usize) -> Result<usize> {
        let epoch = self.steps_per_epoch();
        let to_record = next_record(self.step) - self.step;
        let to_epoch = epoch - self.step % epoch;
        // A history holds so many.
        let count = most.min(to_record.min(to_epoch) as usize).min(CompiledStep::HISTORY);
        self.training.launch_many_async(count).await?;
        self.step += count as u64;
        if count as u64 == to_epoch {
            self.begin_epoch().await?;
        }
        if count as u64 == to_record {
            self.tested = Some(0);
        }
        Ok(count)
    }

    async fn begin_epoch(&mut self) -> Result<()> {
        let mut order: Vec<u32> = (0..self.images.train.len() as u32).collect();
        Rng::stream(self.seed, self.step / self.steps_per_epoch()).shuffle(&mut order);
        order.truncate(self.order.shape().numel());
        self.session.set_async(&self.order, &Array::new([order.len()], &order)?).await?;
        self.session.set_async(&self.cursor, &Array::scalar(0u32)).await
    }

    async fn test(&mut self, done: usize, most: usize) -> Result<usize> {
        let chunks = self.images.test.len() / self.kind.chunk();
        let count = most.min(chunks - done);
        self.testing.launch_many_async(count).await?;
        self.tested = Some(done + count);
        if done + count < chunks {
            return Ok(count);
        }
        self.tested = None;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let test_loss = mean(self.testing.history_async(0).await?.to_f64());
        // Before the first step there is no history.
        let (train_loss, right) = match self.step {
            0 => (f64::NAN, f64::NAN),
            _ => (mean(self.training.history_async(0).await?.to_f64()), mean(self.training.history_async(1).await?.to_f64())),
        };
        self.predictions = self.session.get_async(&self.taken).await?.to_vec::<u32>()?.iter().map(|&class| class as u8).collect();
        let right_ones = self.predictions.iter().zip(&self.images.test.labels).filter(|(a, b)| a == b).count();
        self.records.push(Record {
            step: self.step,
            train_loss,
            train_accuracy: right / self.batch() as f64,
            test_loss,
            test_accuracy: right_ones as f64 / self.predictions.len() as f64,
        });
        Ok(count)
    }

    /// What the hidden layers give: the parts of [`Reading::activations`].
    pub fn stages(&self) -> Vec<Stage> {
        self.network.stages()
    }

    /// What the network as it is now makes of an image: 784 values from 0 to 1, row by row. Fails when there are others.
    pub async fn read_async(&mut self, pixels: &[f32]) -> Result<Reading> {
        if pixels.len() != PIXELS || pixels.iter().any(|v| !v.is_finite()) {
            let message = format!(
                "{} values, of which {} are finite; an image has {PIXELS}",
                pixels.len(),
                pixels.iter().filter(|v| v.is_finite()).count()
            );
            return Err(Error::argument("pixels", message));
        }
        self.reading.launch_with_async(&[&Array::new([1, PIXELS], pixels)?]).await?;
        let mut probabilities = self.reading.read_async(0).await?.to_vec::<f32>()?;
        let activations = probabilities.split_off(CLASSES);
        Ok(Reading { probabilities, activations })
    }

    /// The shape of the first layer's filters.
    pub fn filter_shape(&self) -> Stage {
        self.network.filters().1
    }

    /// The first layer's weights, filter by filter.
    pub async fn filters_async(&self) -> Result<Vec<f32>> {
        self.session.get_async(&self.network.filters().0).await?.to_vec()
    }

    /// How much each hidden neuron speaks for each class, class by class, where there is but one hidden layer of neurons; else nothing.
    pub async fn votes_async(&self) -> Result<Vec<f32>> {
        match self.network.votes() {
            Some(weight) => self.session.get_async(&weight).await?.to_vec(),
            None => Ok(Vec::new()),
        }
    }
}

/// The first step count above `step` at which there is a test: often at first, when much happens, then less and less.
fn next_record(step: u64) -> u64 {
    let every = match step {
        0..200 => 20,
        200..1000 => 50,
        1000..10_000 => 200,
        _ => 1000,
    };
    (step / every + 1) * every
}

#[cfg(test)]
mod tests;

//! Figures of a data set: sums over samples that stay on the device, and the steps that make them.

use std::collections::HashMap;

use noyau_data::{Dataset, Loader};
use noyau_nn::Mode;
use noyau_nn::metrics::target_ranks;
use noyau_tensor::{Array, DType, Error, Init, Param, Result, Scalar, Shape, State, Tensor};

use crate::described::Step;
use crate::evaluation::{Evaluation, RegressionScores};
use crate::feed::{Feed, Parcel};
use crate::session::Session;
use crate::step::CompiledStep;
use crate::trainer::Trainer;

/// Sums over samples, kept on the device and read now and then.
pub(crate) struct Sums {
    pub loss: Param,
    pub correct: Param,
    details: Details,
}

/// What is summed up besides: all that an evaluation tells, and nothing while training.
#[derive(Default)]
struct Details {
    /// `[actual, predicted]`, u32, which counts up to 2^32 where an f32 ends at 2^24.
    confusion: Option<Param>,
    /// How many samples have so many classes ahead of their own, u32.
    ranks: Option<Param>,
    /// The absolute and the squared errors, of the shape of one target each.
    errors: Option<[Param; 2]>,
}

impl Sums {
    /// Of loss and right answers only.
    pub fn new() -> Sums {
        Sums { loss: Param::scalar("sums.loss", 0.0), correct: Param::scalar("sums.correct", 0.0), details: Details::default() }
    }

    /// Of all that there is to know of predictions of so many classes, or of real numbers of a shape a sample.
    fn detailed(classes: Option<usize>, numbers: Option<&Shape>) -> Sums {
        let counts = |name: &str, shape: &[usize]| Param::from_state(State::new(name, shape, DType::U32, Init::Full(Scalar::Uint(0))));
        let errors = |name: &str, shape: &Shape| Param::new(name, shape, Init::Full(Scalar::Float(0.0)));
        let details = Details {
            confusion: classes.filter(|&c| c <= Evaluation::MOST_CLASSES).map(|c| counts("sums.confusion", &[c, c])),
            ranks: classes.map(|c| counts("sums.ranks", &[c])),
            errors: numbers.map(|shape| ["sums.absolute", "sums.squared"].map(|name| errors(name, shape))),
        };
        Sums { details, ..Sums::new() }
    }

    pub async fn clear(&self, session: &Session) -> Result<()> {
        let Details { confusion, ranks, errors } = &self.details;
        for param in [&self.loss, &self.correct].into_iter().chain(confusion).chain(ranks).chain(errors.iter().flatten()) {
            let zeros = Array::from_words(param.shape(), param.dtype(), vec![0; param.shape().numel()])?;
            session.set_async(param, &zeros).await?;
        }
        Ok(())
    }

    /// The sums after one more batch.
    pub fn updates(&self, loss: &Tensor, output: &Tensor, y: &Tensor, classes: Option<usize>) -> Vec<(Param, Tensor)> {
        let batch = y.shape().first().copied().unwrap_or(0);
        let mut updates = vec![(self.loss.clone(), &self.loss + loss * batch as f32)];
        let mut add = |param: &Param, more: Tensor| updates.push((param.clone(), param.tensor() + more));
        if let Some(classes) = classes {
            let predicted = output.argmax(-1);
            add(&self.correct, predicted.eq(y.to(DType::U32)).to(DType::F32).sum());
            if let Some(confusion) = &self.details.confusion {
                // A batch's counts are small enough for f32.
                add(confusion, y.one_hot(classes).t().matmul(&predicted.one_hot(classes)).to(DType::U32));
            }
            if let Some(ranks) = &self.details.ranks {
                add(ranks, target_ranks(output, y).one_hot(classes).sum_axes(&[0]).to(DType::U32));
            }
        }
        if let Some([absolute, squared]) = &self.details.errors {
            let error = output.to(DType::F32) - y;
            add(absolute, error.abs().sum_axes(&[0]));
            add(squared, error.square().sum_axes(&[0]));
        }
        updates
    }
}

/// The steps that evaluate a model on one data set.
pub(crate) struct Evaluator {
    feed: Feed,
    sums: Sums,
    steps: HashMap<usize, CompiledStep>,
    classes: Option<usize>,
}

/// Samples of a batch, and values of its samples: a thousand images of MNIST, 27 of ImageNet.
const SAMPLES: usize = 1000;
const VALUES: usize = 1 << 22;

impl Evaluator {
    pub async fn new(trainer: &Trainer, session: &Session, data: &Dataset) -> Result<Evaluator> {
        let classes = trainer.check(data)?;
        let most = (VALUES / data.sample_shape().numel().max(1)).clamp(1, SAMPLES);
        let loader = Loader::new(data, data.len().clamp(1, most))?;
        // A set that is read once an epoch is sent along: keeping it on the device would cost memory for little.
        let feed = Feed::new(loader, false);
        let numbers = classes.is_none() && data.target_dtype().is_float() && is_prediction(trainer, &feed);
        let sums = Sums::detailed(classes, numbers.then(|| data.target_shape()));
        let mut steps = HashMap::new();
        for size in feed.batch_sizes() {
            let (arguments, x, y) = feed.arguments(size);
            let out = trainer.output(&x, &Mode::eval());
            let loss = trainer.loss_of(&out, &y);
            let step = Step::default().updates(sums.updates(&loss, &out, &y, classes)).reading(trainer.optimizer.averaged());
            steps.insert(size, session.load(&arguments, step).await?);
        }
        Ok(Evaluator { feed, sums, steps, classes })
    }

    pub async fn run(&mut self, session: &Session) -> Result<Evaluation> {
        self.sums.clear(session).await?;
        let mut targets = Spread::default();
        let mut batches = self.feed.epoch(session, 0, 0).await?;
        while let Some(parcel) = batches.take(1) {
            let Some(step) = self.steps.get_mut(&parcel.len()) else { return Err(Error::Internal("no step for this batch size".into())) };
            parcel.launch(step).await?;
            if let (Some(_), Parcel::Arrays(batch)) = (&self.sums.details.errors, &parcel) {
                targets.add(&batch.y);
            }
            batches.recycle(parcel);
        }
        let samples = self.feed.loader.samples();
        let sum = async |param: &Param| -> Result<Vec<f64>> { Ok(session.get_async(param).await?.to_f64()) };
        let mean = async |param: &Param| -> Result<f64> { Ok(sum(param).await?.iter().sum::<f64>() / samples as f64) };
        let mut found = Evaluation { samples: samples as u64, loss: mean(&self.sums.loss).await?, ..Evaluation::default() };
        if let Some(classes) = self.classes {
            found.accuracy = Some(mean(&self.sums.correct).await?);
            if let Some(param) = &self.sums.details.confusion {
                found.confusion = sum(param).await?.chunks(classes).map(|row| row.iter().map(|&n| n as u64).collect()).collect();
            }
            if let Some(param) = &self.sums.details.ranks {
                found.ranks = sum(param).await?.iter().map(|&n| n as u64).collect();
            }
        }
        if let Some([absolute, squared]) = &self.sums.details.errors {
            found.regression = targets.scores(&sum(absolute).await?, &sum(squared).await?);
        }
        Ok(found)
    }
}

/// Whether the model's output for a batch has the targets' shape.
fn is_prediction(trainer: &Trainer, feed: &Feed) -> bool {
    let (_, x, y) = feed.arguments(1);
    let out = trainer.output(&x, &Mode::eval());
    out.error().is_none() && out.shape() == y.shape() && out.dtype().is_float()
}

/// Mean and variance of the targets, each output for itself: on the host, in f64, where they are.
///
/// Source: Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 1962.
#[derive(Default)]
struct Spread {
    samples: f64,
    means: Vec<f64>,
    /// The sums of squared distances from the mean.
    squares: Vec<f64>,
}

impl Spread {
    fn add(&mut self, targets: &Array) {
        let values = targets.to_f64();
        let width = targets.len() / targets.shape().first().copied().unwrap_or(1).max(1);
        self.means.resize(width, 0.0);
        self.squares.resize(width, 0.0);
        for row in values.chunks(width.max(1)) {
            self.samples += 1.0;
            for ((value, mean), squares) in row.iter().zip(&mut self.means).zip(&mut self.squares) {
                let before = value - *mean;
                *mean += before / self.samples;
                *squares += before * (value - *mean);
            }
        }
    }

    /// What predictions with these sums of absolute and squared errors make of such targets.
    fn scores(&self, absolute: &[f64], squared: &[f64]) -> Option<RegressionScores> {
        let outputs = self.squares.len() as f64;
        let explained = |(&squared, &total): (&f64, &f64)| match total == 0.0 {
            true if squared == 0.0 => 1.0,
            true => 0.0,
            false => 1.0 - squared / total,
        };
        (outputs > 0.0 && self.samples > 0.0).then(|| RegressionScores {
            mae: absolute.iter().sum::<f64>() / self.samples / outputs,
            rmse: squared.iter().map(|&sum| (sum / self.samples).sqrt()).sum::<f64>() / outputs,
            r2: squared.iter().zip(&self.squares).map(explained).sum::<f64>() / outputs,
        })
    }
}

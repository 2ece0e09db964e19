//! Finding a learning rate by trying all of them.

mod picture;

use noyau_data::{Dataset, Loader};
use noyau_nn::{Mode, Optimizer, Schedule};
use noyau_tensor::{Error, Result};

use crate::described::Step;
use crate::feed::Feed;
use crate::session::Session;
use crate::trainer::Trainer;

/// A learning-rate range test: a short training whose rate rises from tiny to huge, to see where the loss falls fastest and where it explodes.
///
/// Sources: Smith, "Cyclical learning rates for training neural networks", WACV 2017, for the test; fastai's `lr_find` for the rising exponential,
/// the smoothing (0.98) and the end at four times the best loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrFinder {
    least: f64,
    most: f64,
    steps: usize,
    batch_size: usize,
}

/// What an [`LrFinder`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct LrCurve {
    /// The learning rate of each step.
    pub rates: Vec<f64>,
    /// The loss of each step's batch, before its update.
    pub losses: Vec<f64>,
    /// The losses' running mean, without the pull of its beginning.
    pub smoothed: Vec<f64>,
    /// The rate at which the smoothed loss falls fastest: a rate to train with. None where it never falls.
    pub steepest: Option<f64>,
    /// A tenth of the rate at which the smoothed loss is least: a rate to train with, or the highest of a one-cycle schedule.
    pub minimum_tenth: f64,
}

impl LrCurve {
    /// A rate to train with: where the loss falls fastest, or a tenth of where it is least if it never falls.
    pub fn suggestion(&self) -> f64 {
        self.steepest.unwrap_or(self.minimum_tenth)
    }
}

impl LrFinder {
    /// Rates from `least` to `most`, 100 steps of 64 samples.
    pub fn new(least: f64, most: f64) -> LrFinder {
        LrFinder { least, most, steps: 100, batch_size: 64 }
    }

    /// So many steps at most, at least 10.
    pub fn steps(mut self, steps: usize) -> LrFinder {
        self.steps = steps;
        self
    }

    /// Samples a step.
    pub fn batch_size(mut self, batch_size: usize) -> LrFinder {
        self.batch_size = batch_size;
        self
    }

    fn validate(&self) -> Result<()> {
        if !(self.least > 0.0 && self.most > self.least && self.most.is_finite()) {
            let message = format!("{} to {} is no range of rates: the first must be positive, the second larger", self.least, self.most);
            return Err(Error::argument("LrFinder", message));
        }
        if self.steps < 10 {
            return Err(Error::argument("LrFinder: steps", format!("{} are too few for a curve; at least 10 are needed", self.steps)));
        }
        Ok(())
    }

    /// Runs the test with the trainer's model and loss, in f32, and an optimizer made for the rising rate:
    /// `finder.run_async(&mut trainer, &train, |rate| Box::new(Adam::new(rate)))`.
    ///
    /// It trains copies: the trainer's weights and optimizer are as before. Ends early where the loss is more than four times its least, or not finite.
    pub async fn run_async(
        &self,
        trainer: &mut Trainer,
        data: &Dataset,
        optimizer: impl FnOnce(Schedule) -> Box<dyn Optimizer>,
    ) -> Result<LrCurve> {
        self.validate()?;
        trainer.check(data)?;
        let factor = (self.most / self.least).powf(1.0 / (self.steps - 1) as f64);
        let schedule = Schedule::exponential(self.least, factor);
        let optimizer = optimizer(schedule.clone());
        optimizer.validate()?;
        let session = copies(trainer).await?;
        let size = self.batch_size.min(data.len());
        let feed = Feed::new(Loader::new(data, size)?.shuffle(trainer.seed), false);
        let (arguments, x, y) = feed.arguments(size);
        let mode = Mode::train();
        let loss = trainer.loss_of(&trainer.output(&x, &mode), &y);
        let updates = [optimizer.update(&loss, &*trainer.model), mode.take_updates()].concat();
        let mut step = session.load(&arguments, Step::returns(&loss).updates(updates)).await?;

        let mut curve = Curve::default();
        let mut epoch = 0;
        let mut batches = feed.epoch(&session, epoch, 0).await?;
        while curve.losses.len() < self.steps && !curve.exploded {
            let parcel = match batches.take(1) {
                Some(parcel) if parcel.len() == size => parcel,
                // The last batch may be smaller: it is left out.
                _ => {
                    epoch += 1;
                    batches = feed.epoch(&session, epoch, 0).await?;
                    continue;
                }
            };
            parcel.launch(&mut step).await?;
            let loss = f64::from(step.read_async(0).await?.try_item()?);
            curve.push(schedule.value(curve.losses.len() as u64), loss);
            batches.recycle(parcel);
        }
        curve.finish()
    }

    /// [`LrFinder::run_async`], waiting for it.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&self, trainer: &mut Trainer, data: &Dataset, optimizer: impl FnOnce(Schedule) -> Box<dyn Optimizer>) -> Result<LrCurve> {
        pollster::block_on(self.run_async(trainer, data, optimizer))
    }
}

/// A session of its own with the trainer's weights and buffers as they are.
async fn copies(trainer: &mut Trainer) -> Result<Session> {
    let from = trainer.session_async().await?;
    let session = Session::with_seed(from.device().clone(), trainer.seed);
    let states = trainer.model_states().into_iter().map(|(_, param)| (param.clone(), param));
    session.set_all(&from.values(states).await?).await?;
    Ok(session)
}

/// The curve so far.
#[derive(Default)]
struct Curve {
    rates: Vec<f64>,
    losses: Vec<f64>,
    smoothed: Vec<f64>,
    mean: f64,
    best: f64,
    exploded: bool,
}

impl Curve {
    const KEEP: f64 = 0.98;

    fn push(&mut self, rate: f64, loss: f64) {
        if !loss.is_finite() {
            self.exploded = true;
            return;
        }
        self.rates.push(rate);
        self.losses.push(loss);
        self.mean = Curve::KEEP * self.mean + (1.0 - Curve::KEEP) * loss;
        let smooth = self.mean / (1.0 - Curve::KEEP.powi(self.losses.len() as i32));
        self.smoothed.push(smooth);
        self.best = if self.losses.len() == 1 { smooth } else { self.best.min(smooth) };
        self.exploded = smooth > 4.0 * self.best && self.best > 0.0;
    }

    fn finish(self) -> Result<LrCurve> {
        let Some(least) = (0..self.smoothed.len()).min_by(|&a, &b| self.smoothed[a].total_cmp(&self.smoothed[b])) else {
            return Err(Error::argument("LrFinder", "the loss of the first batch is not finite: look at the data and the weights"));
        };
        // The rates are evenly spaced by their logarithm, so differences are slopes. What comes after the least loss is no descent.
        let slope = |i: usize| self.smoothed[i + 1] - self.smoothed[i - 1];
        let steepest = (1..least).min_by(|&a, &b| slope(a).total_cmp(&slope(b))).filter(|&i| slope(i) < 0.0).map(|i| self.rates[i]);
        let minimum_tenth = self.rates[least] / 10.0;
        Ok(LrCurve { rates: self.rates, losses: self.losses, smoothed: self.smoothed, steepest, minimum_tenth })
    }
}

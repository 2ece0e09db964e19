//! One training: the loop over epochs and batches.

use noyau_data::{Dataset, Loader};
use noyau_gpu::Clock;
use noyau_tensor::{Error, Param, Result};

use crate::diagnose::{self, Snapshot};
use crate::evaluate::{Evaluator, Sums};
use crate::feed::{Batches, Feed, Parcel};
use crate::fit::Fit;
use crate::history::{EpochRecord, Evaluation, History, Progress};
use crate::pace::Pace;
use crate::session::Session;
use crate::step::CompiledStep;
use crate::trainer::Trainer;

/// A training while it runs.
pub(crate) struct Run<'r, 'f> {
    trainer: &'r mut Trainer,
    session: Session,
    fit: Fit<'f>,
    feed: Feed,
    classes: Option<usize>,
    sums: Sums,
    /// The compiled steps, by the size of their batch.
    steps: Vec<(usize, CompiledStep)>,
    evaluator: Option<Evaluator>,
    history: History,
    pace: Pace,
    first_step_ms: f64,
    /// Whether all has been made that the training needs, and how many GPU objects there were then.
    warm: Option<u64>,
    /// Epochs that are done.
    epoch: usize,
    /// Steps of the running epoch that are done.
    number: usize,
    watch: Watch,
}

/// The running epoch's clock.
struct Watch {
    clock: Clock,
    /// When the figures were last looked at.
    reported: f64,
    /// Samples of before the clock began.
    untimed: usize,
}

impl Watch {
    /// Begins after so many samples.
    fn start(untimed: usize) -> Watch {
        Watch { clock: Clock::start(), reported: 0.0, untimed }
    }

    fn seconds(&self) -> f64 {
        self.clock.seconds()
    }

    /// Samples a second, when so many are done.
    fn rate(&self, samples: usize, seconds: f64) -> f64 {
        (samples - self.untimed) as f64 / seconds.max(1e-9)
    }
}

impl<'r, 'f> Run<'r, 'f> {
    /// Checks all that can be checked before anything is compiled, then makes the first step.
    pub async fn new(trainer: &'r mut Trainer, data: &Dataset, fit: Fit<'f>) -> Result<Run<'r, 'f>> {
        trainer.optimizer.validate()?;
        let session = trainer.session_async().await?;
        let classes = trainer.check(data)?;
        if let Some(validate) = fit.validate {
            trainer.check(validate)?;
        }
        let loader = Loader::new(data, fit.batch_size)?.shuffle(trainer.seed);
        let feed = Feed::new(loader, fit.resident.unwrap_or_else(|| trainer.fits_on_device(data)));
        let mut run = Run {
            trainer,
            session,
            fit,
            feed,
            classes,
            sums: Sums::new(None),
            steps: Vec::new(),
            evaluator: None,
            history: History::default(),
            pace: Pace::default(),
            first_step_ms: 0.0,
            warm: None,
            epoch: 0,
            number: 0,
            watch: Watch::start(0),
        };
        run.prepare().await?;
        Ok(run)
    }

    /// The first step is timed with all that it takes; everything else that the training will need is made after it has run.
    async fn prepare(&mut self) -> Result<()> {
        let clock = Clock::start();
        self.sums.clear(&self.session).await?;
        let size = self.feed.batch_sizes()[0];
        self.compile(size).await?;
        self.first_step_ms = clock.seconds() * 1e3;
        self.history.launches_per_step = self.steps[0].1.launches();
        Ok(())
    }

    async fn compile(&mut self, size: usize) -> Result<()> {
        if self.steps.iter().all(|(known, _)| *known != size) {
            let step = self.trainer.training_step(&self.session, &self.feed, size, &self.sums, self.classes).await?;
            self.steps.push((size, step));
        }
        Ok(())
    }

    /// Trains to the end.
    pub async fn finish(mut self) -> Result<History> {
        while self.epoch < self.fit.epochs {
            self.run_epoch().await?;
        }
        self.history.gpu_objects_after_warmup = self.warm.map_or(0, |objects| self.session.device().objects_created() - objects);
        Ok(self.history)
    }

    async fn run_epoch(&mut self) -> Result<()> {
        self.sums.clear(&self.session).await?;
        self.number = 0;
        let mut batches = self.feed.epoch(&self.session, self.epoch as u64, 0).await?;
        let snapshot = Snapshot::take(&self.session).await?;
        self.watch = Watch::start(0);
        self.pace.begin(0);
        while let Some(parcel) = self.next(&mut batches) {
            self.launch(&parcel).await?;
            batches.recycle(parcel);
            if self.warm.is_none() {
                self.warm_up().await?;
            }
            self.look(&snapshot).await?;
        }
        self.close_epoch().await
    }

    fn next(&self, batches: &mut Batches) -> Option<Parcel> {
        batches.take(if self.warm.is_some() { self.pace.window() } else { 1 })
    }

    async fn launch(&mut self, parcel: &Parcel) -> Result<()> {
        let size = parcel.len();
        let Some((_, step)) = self.steps.iter_mut().find(|(known, _)| *known == size) else {
            return Err(Error::Internal(format!("no step was compiled for a batch of {size}")));
        };
        parcel.launch(step).await?;
        self.number += parcel.count();
        Ok(())
    }

    /// After the very first step: makes what else the training will need, so that nothing is made later.
    async fn warm_up(&mut self) -> Result<()> {
        self.session.device().wait_async().await?;
        self.first_step_ms += self.watch.seconds() * 1e3;
        for size in self.feed.batch_sizes() {
            self.compile(size).await?;
        }
        if let Some(validate) = self.fit.validate {
            let mut evaluator = Evaluator::new(self.trainer, &self.session, validate).await?;
            evaluator.run(&self.session).await?;
            self.evaluator = Some(evaluator);
        }
        self.value(&self.sums.loss).await?;
        self.warm = Some(self.session.device().objects_created());
        // Rates are of the training in its stride: what the first step took is a figure of its own.
        self.watch = Watch::start(self.samples());
        self.pace.begin(self.number);
        Ok(())
    }

    /// Samples of the running epoch that have been trained on.
    fn samples(&self) -> usize {
        (self.number * self.feed.loader.batch_size()).min(self.feed.loader.samples())
    }

    /// A scalar on the device: waits for it.
    async fn value(&self, param: &Param) -> Result<f64> {
        Ok(f64::from(self.session.get_async(param).await?.try_item()?))
    }

    /// Now and then, looks at the loss and reports it.
    async fn look(&mut self, snapshot: &Snapshot) -> Result<()> {
        let (number, steps) = (self.number, self.feed.loader.len());
        if self.watch.seconds() - self.watch.reported <= 0.1 && number != steps && !self.pace.is_due(number) {
            return Ok(());
        }
        let samples = self.samples() as f64;
        let loss = self.value(&self.sums.loss).await? / samples;
        let seconds = self.watch.seconds();
        self.watch.reported = seconds;
        self.pace.measure(number, seconds);
        if !loss.is_finite() {
            let parts = |size| self.trainer.training_parts(&self.feed, size, &self.sums, self.classes);
            return Err(diagnose::explain(&self.session, &self.feed, snapshot, self.epoch + 1, parts).await);
        }
        if self.fit.on_progress.is_some() {
            let correct = self.value(&self.sums.correct).await?;
            let progress = Progress {
                epoch: self.epoch + 1,
                epochs: self.fit.epochs,
                step: number,
                steps,
                loss,
                accuracy: self.classes.map(|_| correct / samples),
                samples_per_second: self.watch.rate(self.samples(), seconds),
            };
            if let Some(report) = &mut self.fit.on_progress {
                report(&progress);
            }
        }
        Ok(())
    }

    async fn close_epoch(&mut self) -> Result<()> {
        let seconds = self.watch.seconds();
        let loss = self.value(&self.sums.loss).await?;
        let correct = self.value(&self.sums.correct).await?;
        let tested = match &mut self.evaluator {
            Some(evaluator) => Some(evaluator.run(&self.session).await?),
            None => None,
        };
        let record = self.record(loss, correct, tested, seconds);
        self.epoch += 1;
        if let Some(report) = &mut self.fit.on_epoch {
            report(&record);
        }
        self.history.epochs.push(record);
        Ok(())
    }

    fn record(&self, loss: f64, correct: f64, tested: Option<Evaluation>, seconds: f64) -> EpochRecord {
        let samples = self.samples();
        EpochRecord {
            epoch: self.epoch + 1,
            train_loss: loss / samples as f64,
            train_accuracy: self.classes.map(|_| correct / samples as f64),
            test_loss: tested.as_ref().map(|t| t.loss),
            test_accuracy: tested.as_ref().and_then(|t| t.accuracy),
            seconds,
            samples_per_second: self.watch.rate(samples, seconds),
            first_step_ms: self.first_step_ms,
        }
    }
}

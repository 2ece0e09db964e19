//! One training: the loop over epochs and batches.

use noyau_data::{Dataset, Loader};
use noyau_gpu::Clock;
use noyau_tensor::{Array, Error, Param, Result};

use crate::checkpoint::{Checkpoint, Setup};
use crate::diagnose::{self, Snapshot};
use crate::evaluate::{Evaluator, Sums};
use crate::evaluation::Evaluation;
use crate::feed::{Batches, Feed, Parcel};
use crate::fit::Fit;
use crate::history::{EpochRecord, History, Progress, Stopped};
use crate::pace::Pace;
use crate::session::Session;
use crate::step::CompiledStep;
use crate::trainer::Trainer;

/// A training while it runs.
pub(crate) struct Run<'r, 'f> {
    pub trainer: &'r mut Trainer,
    pub session: Session,
    pub fit: Fit<'f>,
    pub feed: Feed,
    validation: Option<Dataset>,
    pub classes: Option<usize>,
    pub sums: Sums,
    /// The compiled steps, by the size of their batch.
    steps: Vec<(usize, CompiledStep)>,
    evaluator: Option<Evaluator>,
    pub history: History,
    pace: Pace,
    first_step_ms: f64,
    /// Whether all has been made that the training needs, and how many GPU objects there were then.
    warm: Option<u64>,
    /// Epochs that are done.
    pub epoch: usize,
    /// Steps of the running epoch that are done.
    pub number: usize,
    pub watch: Watch,
    /// What a checkpoint must have in common with this training; only where there may be one.
    pub setup: Option<Setup>,
    /// The figure of the best checkpoint.
    pub best: Option<f64>,
    /// Since the last checkpoint.
    pub saved: Clock,
    /// The weights that each callback keeps.
    pub kept: Vec<Vec<(String, Array)>>,
}

/// The running epoch's clock.
pub(crate) struct Watch {
    clock: Clock,
    /// What the clock has run before, or for other things than training.
    correction: f64,
    /// When the figures were last looked at.
    reported: f64,
    /// The samples and seconds of a part of the epoch that was timed in another run.
    before: (usize, f64),
    /// Samples of the epoch whose time is not known.
    untimed: usize,
}

impl Watch {
    fn start() -> Watch {
        Watch::at(0, 0, 0.0)
    }

    /// Begins now, after so many samples of the epoch, whatever the time since the last start.
    fn again(&self, samples: usize) -> Watch {
        let timed = self.before.0;
        Watch::at(samples, timed, self.before.1)
    }

    /// Goes on at so many samples of the epoch, of which some took so many seconds.
    pub fn at(samples: usize, timed: usize, seconds: f64) -> Watch {
        let untimed = samples.saturating_sub(timed);
        Watch { clock: Clock::start(), before: (timed, seconds), correction: seconds, reported: seconds, untimed }
    }

    pub fn seconds(&self) -> f64 {
        self.clock.seconds() + self.correction
    }

    /// Takes back the time since some moment.
    pub fn without(&mut self, since: f64) {
        self.correction -= self.seconds() - since;
    }

    /// Of so many samples of the epoch, those whose time it knows.
    pub fn timed(&self, samples: usize) -> usize {
        samples.saturating_sub(self.untimed)
    }

    /// Samples a second, when so many are done.
    fn rate(&self, samples: usize, seconds: f64) -> f64 {
        self.timed(samples) as f64 / seconds.max(1e-9)
    }
}

impl<'r, 'f> Run<'r, 'f> {
    /// Checks all that can be checked before anything is compiled, then makes the first step and takes up a checkpoint.
    pub async fn new(trainer: &'r mut Trainer, data: &Dataset, fit: Fit<'f>) -> Result<Run<'r, 'f>> {
        trainer.optimizer.validate()?;
        fit.check()?;
        let session = trainer.session_async().await?;
        let split = match fit.split {
            Some(share) => Some(split(data, share, trainer.seed)?),
            None => None,
        };
        let (data, validation) = match &split {
            Some((training, validation)) => (training, Some(validation)),
            None => (data, fit.validate),
        };
        let classes = trainer.check(data)?;
        if let Some(validation) = validation {
            trainer.check(validation)?;
        }
        let loader = Loader::new(data, fit.batch_size)?.shuffle(trainer.seed);
        let feed = Feed::new(loader, fit.resident.unwrap_or_else(|| trainer.fits_on_device(data)));
        let callbacks = fit.callbacks.len();
        let mut run = Run {
            trainer,
            session,
            fit,
            feed,
            validation: validation.cloned(),
            classes,
            sums: Sums::new(),
            steps: Vec::new(),
            evaluator: None,
            history: History::default(),
            pace: Pace::default(),
            first_step_ms: 0.0,
            warm: None,
            epoch: 0,
            number: 0,
            watch: Watch::start(),
            setup: None,
            best: None,
            saved: Clock::start(),
            kept: vec![Vec::new(); callbacks],
        };
        run.check_metrics(run.validation.is_some())?;
        let checkpoint = run.find_checkpoint()?;
        run.prepare(checkpoint.as_ref()).await?;
        Ok(run)
    }

    /// The first step is timed with all that it takes; everything else that the training will need is made after it has run.
    async fn prepare(&mut self, checkpoint: Option<&Checkpoint>) -> Result<()> {
        if self.fit.callbacks.iter().any(|callback| callback.changes_rate()) {
            self.trainer.optimizer.settings().rate_factor();
        }
        let clock = Clock::start();
        self.sums.clear(&self.session).await?;
        // A training that was interrupted before an epoch's last batch begins with that.
        let place = checkpoint.map_or(0, |found| found.batch() * self.feed.loader.batch_size());
        let size = self.feed.loader.batch_size().min(self.feed.loader.samples() - place);
        self.compile(size).await?;
        if let Some(checkpoint) = checkpoint {
            self.restore(checkpoint).await?;
        }
        self.first_step_ms = clock.seconds() * 1e3;
        self.history.launches_per_step = self.steps[0].1.launches();
        self.begin()
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
        self.saved = Clock::start();
        while self.epoch < self.fit.epochs && self.history.stopped.is_none() {
            self.run_epoch().await?;
        }
        self.history.steps = self.step();
        if self.history.stopped.is_some() || self.epoch > 0 {
            self.save_last().await?;
        }
        self.history.gpu_objects_after_warmup = self.warm.map_or(0, |objects| self.session.device().objects_created() - objects);
        self.end().await?;
        Ok(self.history)
    }

    /// Runs an epoch from the step that is its next, to its end or until it is to stop.
    async fn run_epoch(&mut self) -> Result<()> {
        let first = self.number;
        if first == 0 {
            self.sums.clear(&self.session).await?;
            self.watch = Watch::start();
        }
        let mut batches = self.feed.epoch(&self.session, self.epoch as u64, first).await?;
        let snapshot = Snapshot::take(&self.session).await?;
        self.watch = self.watch.again(self.samples());
        self.pace.begin(first, self.watch.seconds());
        while let Some(parcel) = self.next(&mut batches) {
            self.launch(&parcel).await?;
            batches.recycle(parcel);
            if self.warm.is_none() {
                self.warm_up().await?;
            }
            self.look(&snapshot, first).await?;
            if self.number < self.feed.loader.len() {
                if self.fit.stop.is_raised() {
                    self.history.stopped = Some(Stopped::ByFlag);
                    return Ok(());
                }
                self.save_if_due().await?;
            }
        }
        self.close_epoch().await
    }

    fn next(&self, batches: &mut Batches) -> Option<Parcel> {
        let most = if self.warm.is_some() { self.pace.window() } else { 1 };
        let due = self.fit.checkpoints.as_ref().and_then(|checkpoints| checkpoints.steps_until_due(self.step()));
        batches.take(due.map_or(most, |due| most.min(due as usize)))
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
        self.first_step_ms += self.watch.clock.seconds() * 1e3;
        for size in self.feed.batch_sizes() {
            self.compile(size).await?;
        }
        if let Some(validate) = &self.validation {
            let mut evaluator = Evaluator::new(self.trainer, &self.session, validate).await?;
            evaluator.run(&self.session).await?;
            self.evaluator = Some(evaluator);
        }
        self.value(&self.sums.loss).await?;
        self.warm = Some(self.session.device().objects_created());
        // Rates are of the training in its stride: what the first step took is a figure of its own.
        self.watch = self.watch.again(self.samples());
        self.pace.begin(self.number, self.watch.seconds());
        Ok(())
    }

    /// Samples of the running epoch that have been trained on.
    pub fn samples(&self) -> usize {
        (self.number * self.feed.loader.batch_size()).min(self.feed.loader.samples())
    }

    /// A scalar on the device: waits for it.
    pub async fn value(&self, param: &Param) -> Result<f64> {
        Ok(f64::from(self.session.get_async(param).await?.try_item()?))
    }

    /// Now and then, looks at the loss and reports it.
    async fn look(&mut self, snapshot: &Snapshot, first: usize) -> Result<()> {
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
            return Err(diagnose::explain(&self.session, &self.feed, snapshot, (self.epoch + 1, first), parts).await);
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
        let rate = self.trainer.learning_rate(&self.session).await?;
        let record = self.record(loss, correct, tested, seconds, rate);
        self.epoch += 1;
        self.number = 0;
        self.watch = Watch::start();
        if let Some(report) = &mut self.fit.on_epoch {
            report(&record);
        }
        self.history.epochs.push(record);
        self.after_epoch(rate).await
    }

    /// Steps done, over all epochs.
    pub fn step(&self) -> u64 {
        self.epoch as u64 * self.feed.loader.len() as u64 + self.number as u64
    }

    fn record(&self, loss: f64, correct: f64, tested: Option<Evaluation>, seconds: f64, rate: f64) -> EpochRecord {
        let samples = self.samples();
        EpochRecord {
            epoch: self.epoch + 1,
            train_loss: loss / samples as f64,
            train_accuracy: self.classes.map(|_| correct / samples as f64),
            test_loss: tested.as_ref().map(|t| t.loss),
            test_accuracy: tested.as_ref().and_then(|t| t.accuracy),
            learning_rate: rate,
            seconds,
            samples_per_second: self.watch.rate(samples, seconds),
            first_step_ms: self.first_step_ms,
        }
    }
}

/// A data set dealt out into one to train on and one, of about this share, to validate on.
fn split(data: &Dataset, share: f64, seed: u64) -> Result<(Dataset, Dataset)> {
    let (validation, training) = data.split(share, seed).map_err(|error| match error {
        Error::Argument { message, .. } => Error::argument("Fit::validation_split", message),
        other => other,
    })?;
    Ok((training, validation))
}

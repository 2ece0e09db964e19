//! How long and on what to train.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use noyau_data::Dataset;
use noyau_tensor::{Error, Result};

use crate::callbacks::{Beginning, Callback};
use crate::checkpoint::Checkpoints;
use crate::history::{EpochRecord, Progress};

/// Something to call with figures.
pub(crate) type Report<'a, T> = Box<dyn FnMut(&T) + 'a>;

/// Something to call before the first step.
type Begin<'a> = Box<dyn FnMut(&Beginning<'_>) + 'a>;

/// Ends a training from elsewhere: another thread, a signal's handler. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// One that is not raised.
    pub fn new() -> StopFlag {
        StopFlag::default()
    }

    /// Asks the training to end after the step that runs, or after the few that are under way on the device.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long and on what to train.
pub struct Fit<'a> {
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) validate: Option<&'a Dataset>,
    pub(crate) split: Option<f64>,
    pub(crate) resident: Option<bool>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) resume: bool,
    pub(crate) resume_from: Option<PathBuf>,
    pub(crate) stop: StopFlag,
    pub(crate) callbacks: Vec<Box<dyn Callback + 'a>>,
    pub(crate) on_begin: Option<Begin<'a>>,
    pub(crate) on_progress: Option<Report<'a, Progress>>,
    pub(crate) on_epoch: Option<Report<'a, EpochRecord>>,
}

impl<'a> Fit<'a> {
    /// So many passes over the training set, in batches of 32.
    pub fn epochs(epochs: usize) -> Fit<'a> {
        Fit {
            epochs,
            batch_size: 32,
            validate: None,
            split: None,
            resident: None,
            checkpoints: None,
            resume: false,
            resume_from: None,
            stop: StopFlag::new(),
            callbacks: Vec::new(),
            on_begin: None,
            on_progress: None,
            on_epoch: None,
        }
    }

    /// Samples a step; the last step of an epoch takes what is left.
    pub fn batch_size(mut self, batch_size: usize) -> Fit<'a> {
        self.batch_size = batch_size;
        self
    }

    /// A set on which the model is evaluated after each epoch.
    pub fn validate(mut self, data: &'a Dataset) -> Fit<'a> {
        self.validate = Some(data);
        self
    }

    /// Keeps a share of the training set, `0 < fraction < 1`, out of training and evaluates on it after each epoch; the trainer's seed deals the samples out.
    pub fn validation_split(mut self, fraction: f64) -> Fit<'a> {
        self.split = Some(fraction);
        self
    }

    /// Writes checkpoints while it trains, from which [`Fit::resume`] goes on.
    pub fn checkpoint(mut self, checkpoints: Checkpoints) -> Fit<'a> {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Goes on from the newest checkpoint in the folder of [`Fit::checkpoint`] that can be read; begins anew where there is none. On the same device the
    /// weights are, to the last bit, those of a training that was never interrupted.
    ///
    /// The model, optimizer, loss and data must be those of the checkpoint's training. A checkpoint of another model or optimizer, seed, batch size,
    /// precision, training set or [configuration](Checkpoints::configuration) is an error that says what differs; more epochs are none. A loss and an
    /// optimizer's numbers are not known to a checkpoint unless the configuration has them.
    pub fn resume(mut self, resume: bool) -> Fit<'a> {
        self.resume = resume;
        self
    }

    /// Goes on from one checkpoint, as [`Fit::resume`] does from the newest.
    pub fn resume_from(mut self, file: impl Into<PathBuf>) -> Fit<'a> {
        self.resume_from = Some(file.into());
        self
    }

    /// Ends the training, with a checkpoint if they are written, once this flag is raised.
    pub fn stop(mut self, flag: &StopFlag) -> Fit<'a> {
        self.stop = flag.clone();
        self
    }

    /// Has something happen after each epoch: [`EarlyStopping`](crate::EarlyStopping), [`ReduceLrOnPlateau`](crate::ReduceLrOnPlateau) and others. One that is
    /// lent (`&mut`) can be asked afterwards.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Fit<'a> {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Called before the first step.
    pub fn on_begin(mut self, report: impl FnMut(&Beginning<'_>) + 'a) -> Fit<'a> {
        self.on_begin = Some(Box::new(report));
        self
    }

    /// Whether the options go together.
    pub(crate) fn check(&self) -> Result<()> {
        if self.validate.is_some() && self.split.is_some() {
            return Err(Error::argument(
                "Fit::validation_split",
                "there is a validation set already, by Fit::validate: use one of the two",
            ));
        }
        if self.resume && self.resume_from.is_some() {
            return Err(Error::argument("Fit::resume", "either the newest checkpoint (resume) or a given one (resume_from), not both"));
        }
        match &self.checkpoints {
            None if self.resume => Err(Error::argument("Fit::resume", "there is no folder to resume from: add Fit::checkpoint")),
            Some(checkpoints) => checkpoints.validate(),
            None => Ok(()),
        }
    }

    /// Whether the training set is kept on the device and batches are gathered there by index. By default it is on a GPU, if it fits.
    pub fn resident(mut self, resident: bool) -> Fit<'a> {
        self.resident = Some(resident);
        self
    }

    /// Called some times a second while an epoch runs.
    pub fn on_progress(mut self, report: impl FnMut(&Progress) + 'a) -> Fit<'a> {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Called after each epoch.
    pub fn on_epoch(mut self, report: impl FnMut(&EpochRecord) + 'a) -> Fit<'a> {
        self.on_epoch = Some(Box::new(report));
        self
    }
}

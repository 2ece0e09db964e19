//! How long and on what to train.

use noyau_data::Dataset;

use crate::history::{EpochRecord, Progress};

/// Something to call with figures.
pub(crate) type Report<'a, T> = Box<dyn FnMut(&T) + 'a>;

/// How long and on what to train.
pub struct Fit<'a> {
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) validate: Option<&'a Dataset>,
    pub(crate) resident: Option<bool>,
    pub(crate) on_progress: Option<Report<'a, Progress>>,
    pub(crate) on_epoch: Option<Report<'a, EpochRecord>>,
}

impl<'a> Fit<'a> {
    /// So many passes over the training set, in batches of 32.
    pub fn epochs(epochs: usize) -> Fit<'a> {
        Fit { epochs, batch_size: 32, validate: None, resident: None, on_progress: None, on_epoch: None }
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

//! Training in few words: a model, a loss and an optimizer, fitted to a data set.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use noyau_data::{Dataset, Loader};
use noyau_gpu::Clock;
use noyau_nn::{Loss, LossScaler, Mode, Module, Optimizer, Sgd, cross_entropy};
use noyau_tensor::{Array, DType, Error, Param, Result, Tensor};

use crate::checkpoint;
use crate::device::Device;
use crate::diagnose::{self, Snapshot};
use crate::feed::Feed;
use crate::history::{EpochRecord, Evaluation, History, Progress};
use crate::session::{Session, Spec, Step};
use crate::step::CompiledStep;

/// A model with what it takes to train it on a device.
pub struct Trainer {
    device: Device,
    seed: u64,
    session: Option<Session>,
    model: Box<dyn Module>,
    loss: Box<dyn Loss>,
    optimizer: Box<dyn Optimizer>,
    precision: DType,
    scaler: LossScaler,
    /// Optimizer states from a file, until the optimizer has states to give them to.
    pending: BTreeMap<String, Array>,
    predictors: HashMap<Vec<usize>, CompiledStep>,
}

/// Something to call with figures.
type Report<'a, T> = Box<dyn FnMut(&T) + 'a>;

/// How long and on what to train.
pub struct Fit<'a> {
    epochs: usize,
    batch_size: usize,
    validate: Option<&'a Dataset>,
    resident: Option<bool>,
    on_progress: Option<Report<'a, Progress>>,
    on_epoch: Option<Report<'a, EpochRecord>>,
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

/// How many steps go to the device at once.
#[derive(Default)]
struct Pace {
    steps_per_second: Option<f64>,
    /// The step of the epoch, and the epoch's time, when the device was last waited for.
    last: (usize, f64),
}

impl Pace {
    /// Steps for so long at once, in seconds: there is something to report some times a second, and little to wait for.
    const WINDOW: f64 = 0.05;
    /// Steps after which the device is waited for to see how quick it is.
    const FIRST: usize = 4;

    /// The epoch's clock begins at a step.
    fn begin(&mut self, number: usize) {
        self.last = (number, 0.0);
    }

    /// At most so many steps next.
    fn window(&self) -> usize {
        self.steps_per_second.map_or(1, |rate| (rate * Pace::WINDOW) as usize).max(1)
    }

    fn is_due(&self, number: usize) -> bool {
        self.steps_per_second.is_none() && number >= self.last.0 + Pace::FIRST
    }

    /// The device has done all steps up to a number.
    fn measure(&mut self, number: usize, seconds: f64) {
        let (steps, time) = (number - self.last.0, seconds - self.last.1);
        if steps > 0 && time > 0.0 {
            self.steps_per_second = Some(steps as f64 / time);
        }
        self.last = (number, seconds);
    }
}

/// Sums over samples, kept on the device and read now and then.
struct Sums {
    loss: Param,
    correct: Param,
    confusion: Option<Param>,
}

impl Sums {
    fn new(classes: Option<usize>) -> Sums {
        let confusion = classes.map(|c| Param::from_array("sums.confusion", Array::full([c, c], noyau_tensor::Scalar::Float(0.0))));
        Sums { loss: Param::scalar("sums.loss", 0.0), correct: Param::scalar("sums.correct", 0.0), confusion }
    }

    async fn clear(&self, session: &Session) -> Result<()> {
        for param in [&self.loss, &self.correct].into_iter().chain(&self.confusion) {
            session.set_async(param, &Array::full(param.shape(), noyau_tensor::Scalar::Float(0.0))).await?;
        }
        Ok(())
    }

    /// The sums after one more batch.
    fn updates(&self, loss: &Tensor, logits: &Tensor, y: &Tensor, classes: Option<usize>) -> Vec<(Param, Tensor)> {
        let batch = y.shape().first().copied().unwrap_or(0);
        let mut updates = vec![(self.loss.clone(), &self.loss + loss * batch as f32)];
        if classes.is_some() {
            let predicted = logits.argmax(-1);
            let correct = predicted.eq(y.to(DType::U32)).to(DType::F32).sum();
            updates.push((self.correct.clone(), &self.correct + correct));
            if let (Some(confusion), Some(classes)) = (&self.confusion, classes) {
                let counts = y.one_hot(classes).t().matmul(&predicted.one_hot(classes));
                updates.push((confusion.clone(), confusion + counts));
            }
        }
        updates
    }
}

impl Trainer {
    /// A trainer with cross-entropy loss and plain SGD at a rate of 0.1, seed 0.
    pub fn new(device: Device, model: impl Module + 'static) -> Trainer {
        Trainer {
            device,
            seed: 0,
            session: None,
            model: Box::new(model),
            loss: Box::new(cross_entropy),
            optimizer: Box::new(Sgd::new(0.1)),
            precision: DType::F32,
            scaler: LossScaler::new(),
            pending: BTreeMap::new(),
            predictors: HashMap::new(),
        }
    }

    /// What to minimise: a function of the model's output and the targets that gives a scalar, the mean over the batch, or another
    /// [`Loss`].
    pub fn loss(mut self, loss: impl Loss + 'static) -> Trainer {
        self.loss = Box::new(loss);
        self
    }

    /// How to minimise it.
    pub fn optimizer(mut self, optimizer: impl Optimizer + 'static) -> Trainer {
        self.optimizer = Box::new(optimizer);
        self
    }

    /// Training in mixed precision: products of operands of `F16` or `BF16`, weights and what adds up in f32 (see [`Mode::precision`]).
    /// With `F16` the loss is scaled (see [`LossScaler`]). Evaluation and prediction stay in f32, which is the default.
    pub fn precision(mut self, dtype: DType) -> Trainer {
        self.precision = dtype;
        self
    }

    /// Scales the loss of training with `F16` by a scaler with options.
    pub fn loss_scaler(mut self, scaler: LossScaler) -> Trainer {
        self.scaler = scaler;
        self
    }

    /// Where initial weights, the order of samples and all random numbers come from. To be called before anything runs.
    pub fn seed(mut self, seed: u64) -> Trainer {
        self.seed = seed;
        self
    }

    /// The model.
    pub fn model(&self) -> &dyn Module {
        &*self.model
    }

    /// The number of trainable values.
    pub fn parameters(&self) -> usize {
        self.model.parameters().iter().map(|(_, p)| p.numel()).sum()
    }

    /// The session that holds the weights.
    pub async fn session_async(&mut self) -> Result<Session> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let session = Session::with_seed(self.device.clone(), self.seed);
        let parameters = self.model.parameters();
        // In the model's order, so that initial values do not depend on what is compiled first.
        session.begin_async(&parameters.iter().map(|(_, p)| p).collect::<Vec<_>>()).await?;
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Trains. Fails before the first step when arguments, data and model do not fit; stops with an error that names the first operation at
    /// fault when the loss becomes NaN or infinite.
    pub async fn fit_async(&mut self, data: &Dataset, mut fit: Fit<'_>) -> Result<History> {
        self.optimizer.validate()?;
        let session = self.session_async().await?;
        let classes = self.check(data)?;
        if let Some(validate) = fit.validate {
            self.check(validate)?;
        }
        let loader = Loader::new(data, fit.batch_size)?.shuffle(self.seed);
        let feed = Feed::new(loader, fit.resident.unwrap_or_else(|| self.fits_on_device(data)));
        let sums = Sums::new(None);
        let mut history = History::default();
        let mut steps: HashMap<usize, CompiledStep> = HashMap::new();
        let sizes = feed.batch_sizes();

        // The first step is timed with all that it takes, then everything else that the training will need is made.
        let clock = Clock::start();
        sums.clear(&session).await?;
        let mut step = self.training_step(&session, &feed, sizes[0], &sums, classes).await?;
        let mut first_step_ms = clock.seconds() * 1e3;
        history.launches_per_step = step.launches();
        let mut warm = false;
        let mut objects = 0;
        let mut evaluator = None;
        let mut pace = Pace::default();

        for epoch in 1..=fit.epochs {
            sums.clear(&session).await?;
            let mut batches = feed.epoch(&session, epoch as u64 - 1).await?;
            let snapshot = Snapshot::take(&session).await?;
            let mut clock = Clock::start();
            let mut reported = 0.0;
            let (mut samples, mut untimed) = (0, 0);
            let steps_per_epoch = feed.loader.len();
            let mut number = 0;
            pace.begin(0);
            while let Some(parcel) = batches.take(if warm { pace.window() } else { 1 }) {
                number += parcel.count();
                let size = parcel.len();
                if size == sizes[0] {
                    parcel.launch(&mut step).await?;
                } else {
                    let Some(step) = steps.get_mut(&size) else {
                        return Err(Error::Internal(format!("no step was compiled for a batch of {size}")));
                    };
                    parcel.launch(step).await?;
                }
                samples += size * parcel.count();
                batches.recycle(parcel);
                if !warm {
                    session.device().wait_async().await?;
                    first_step_ms += clock.seconds() * 1e3;
                    for &size in &sizes[1..] {
                        steps.insert(size, self.training_step(&session, &feed, size, &sums, classes).await?);
                    }
                    if let Some(validate) = fit.validate {
                        let mut made = self.evaluator(&session, validate).await?;
                        made.run(&session).await?;
                        evaluator = Some(made);
                    }
                    session.get_async(&sums.loss).await?;
                    objects = session.device().objects_created();
                    warm = true;
                    // Rates are of the training in its stride: what the first step took is a figure of its own.
                    clock = Clock::start();
                    untimed = samples;
                    pace.begin(number);
                }
                let seconds = clock.seconds();
                if seconds - reported > 0.1 || number == steps_per_epoch || pace.is_due(number) {
                    // This waits for the device.
                    let loss = f64::from(session.get_async(&sums.loss).await?.try_item()?) / samples as f64;
                    let seconds = clock.seconds();
                    reported = seconds;
                    pace.measure(number, seconds);
                    if !loss.is_finite() {
                        return Err(diagnose::explain(&session, &feed, &snapshot, epoch, |size| {
                            self.training_parts(&feed, size, &sums, classes)
                        })
                        .await);
                    }
                    if let Some(report) = &mut fit.on_progress {
                        let correct = f64::from(session.get_async(&sums.correct).await?.try_item()?);
                        report(&Progress {
                            epoch,
                            epochs: fit.epochs,
                            step: number,
                            steps: steps_per_epoch,
                            loss,
                            accuracy: classes.map(|_| correct / samples as f64),
                            samples_per_second: (samples - untimed) as f64 / seconds.max(1e-9),
                        });
                    }
                }
            }
            let seconds = clock.seconds();
            let loss = f64::from(session.get_async(&sums.loss).await?.try_item()?);
            let correct = f64::from(session.get_async(&sums.correct).await?.try_item()?);
            let tested = match &mut evaluator {
                Some(evaluator) => Some(evaluator.run(&session).await?),
                None => None,
            };
            let record = EpochRecord {
                epoch,
                train_loss: loss / samples as f64,
                train_accuracy: classes.map(|_| correct / samples as f64),
                test_loss: tested.as_ref().map(|t| t.loss),
                test_accuracy: tested.as_ref().and_then(|t| t.accuracy),
                seconds,
                samples_per_second: (samples - untimed) as f64 / seconds.max(1e-9),
                first_step_ms,
            };
            if let Some(report) = &mut fit.on_epoch {
                report(&record);
            }
            history.epochs.push(record);
        }
        history.gpu_objects_after_warmup = if warm { session.device().objects_created() - objects } else { 0 };
        Ok(history)
    }

    /// Loss, accuracy and confusion matrix on a data set.
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Evaluation> {
        let session = self.session_async().await?;
        self.check(data)?;
        let mut evaluator = self.evaluator(&session, data).await?;
        evaluator.run(&session).await
    }

    /// The model's output for a batch of samples.
    pub async fn predict_async(&mut self, x: &Array) -> Result<Array> {
        let session = self.session_async().await?;
        let key = x.shape().to_vec();
        if !self.predictors.contains_key(&key) {
            let model = &*self.model;
            let step =
                session.compile_async([Spec::new(x.shape(), x.dtype())], |[x]| Step::returns(&model.forward(&x, &Mode::eval()))).await?;
            self.predictors.insert(key.clone(), step);
        }
        match self.predictors.get_mut(&key) {
            Some(step) => Ok(step.run_async(&[x]).await?.swap_remove(0)),
            None => Err(Error::Internal("a predictor vanished".into())),
        }
    }

    /// Writes weights and optimizer state to a safetensors file, in one piece or not at all.
    pub async fn save_async(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let session = self.session_async().await?;
        checkpoint::save(&session, &self.named_states(), path.as_ref()).await
    }

    /// Reads weights, and optimizer state where the file has it. Fails when the file is damaged, or lacks a weight or has it in another
    /// shape; nothing is changed then.
    pub async fn load_async(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let session = self.session_async().await?;
        self.pending = checkpoint::load(&session, &self.model_states(), path.as_ref()).await?;
        Ok(())
    }

    fn model_states(&self) -> Vec<(String, Param)> {
        let mut states = self.model.parameters();
        states.extend(self.model.buffers());
        states
    }

    fn named_states(&self) -> Vec<(String, Param)> {
        let mut states = self.model_states();
        states.extend(self.training_states());
        states
    }

    /// What training keeps besides the model.
    fn training_states(&self) -> Vec<(String, Param)> {
        let scaler = if self.precision == DType::F16 { self.scaler.states() } else { Vec::new() };
        [self.optimizer.states(), scaler].concat()
    }

    /// Whether the data set, packed, takes at most half of what one buffer of a GPU may.
    fn fits_on_device(&self, data: &Dataset) -> bool {
        let bytes = data.len().saturating_mul(data.sample_shape().numel().div_ceil(4)).saturating_mul(4);
        !self.device.is_cpu() && bytes <= self.device.limits().max_buffer_bytes / 2
    }

    /// The number of classes, if the data has classes. Fails when the model's output for one sample does not fit them.
    fn check(&self, data: &Dataset) -> Result<Option<usize>> {
        let shape: Vec<usize> = std::iter::once(1).chain(data.sample_shape().iter().copied()).collect();
        let out = self.model.forward(&Tensor::input(0, shape, data.dtype()), &Mode::eval());
        if let Some(error) = out.error() {
            return Err(error.clone());
        }
        let Some(classes) = data.classes() else { return Ok(None) };
        match out.shape()[..] {
            [1, outputs] if outputs >= classes => Ok(Some(outputs)),
            _ => Err(Error::argument(
                "model",
                format!("its output for one sample is {}, but the data has {classes} classes: it must be [1, {classes}]", out.shape()),
            )),
        }
    }

    /// What one training step returns and updates: the loss first.
    fn training_parts(&self, feed: &Feed, batch: usize, sums: &Sums, classes: Option<usize>) -> (Vec<Spec>, Step) {
        let (arguments, x, y) = feed.arguments(batch);
        let mode = Mode::train().precision(self.precision);
        let out = self.model.forward(&x, &mode);
        let loss = self.loss.loss(&out, &y);
        let mut updates = if self.precision == DType::F16 {
            self.scaler.step(&loss, &*self.optimizer, &*self.model, &mode)
        } else {
            self.optimizer.update(&loss, &*self.model)
        };
        updates.extend(mode.take_updates());
        updates.extend(sums.updates(&loss, &out, &y, classes));
        updates.extend(feed.updates());
        (arguments, Step::returns(&loss).updates(updates))
    }

    async fn training_step(
        &mut self,
        session: &Session,
        feed: &Feed,
        batch: usize,
        sums: &Sums,
        classes: Option<usize>,
    ) -> Result<CompiledStep> {
        let (arguments, step) = self.training_parts(feed, batch, sums, classes);
        let step = session.load(&arguments, step).await?;
        for (name, param) in self.training_states() {
            if let Some(value) = self.pending.remove(&name) {
                session.set_async(&param, &value).await?;
            }
        }
        Ok(step)
    }

    async fn evaluator(&self, session: &Session, data: &Dataset) -> Result<Evaluator> {
        let classes = self.check(data)?;
        let loader = Loader::new(data, data.len().clamp(1, 1000))?;
        // A set that is read once an epoch is sent along: keeping it on the device would cost memory for little.
        let feed = Feed::new(loader, false);
        let sums = Sums::new(classes);
        let mut steps = HashMap::new();
        for size in feed.batch_sizes() {
            let (arguments, x, y) = feed.arguments(size);
            let out = self.model.forward(&x, &Mode::eval());
            let loss = self.loss.loss(&out, &y);
            let step = Step::default().updates(sums.updates(&loss, &out, &y, classes));
            steps.insert(size, session.load(&arguments, step).await?);
        }
        Ok(Evaluator { feed, sums, steps, classes })
    }
}

/// The steps that evaluate a model on one data set.
struct Evaluator {
    feed: Feed,
    sums: Sums,
    steps: HashMap<usize, CompiledStep>,
    classes: Option<usize>,
}

impl Evaluator {
    async fn run(&mut self, session: &Session) -> Result<Evaluation> {
        self.sums.clear(session).await?;
        let mut batches = self.feed.epoch(session, 0).await?;
        while let Some(parcel) = batches.take(1) {
            let Some(step) = self.steps.get_mut(&parcel.len()) else { return Err(Error::Internal("no step for this batch size".into())) };
            parcel.launch(step).await?;
            batches.recycle(parcel);
        }
        let samples = self.feed.loader.samples() as f64;
        let loss = f64::from(session.get_async(&self.sums.loss).await?.try_item()?) / samples;
        let correct = f64::from(session.get_async(&self.sums.correct).await?.try_item()?) / samples;
        let confusion = match (&self.sums.confusion, self.classes) {
            (Some(param), Some(classes)) => {
                let counts = session.get_async(param).await?.to_f64();
                counts.chunks(classes).map(|row| row.iter().map(|&n| n.round() as u64).collect()).collect()
            }
            _ => Vec::new(),
        };
        Ok(Evaluation { loss, accuracy: self.classes.map(|_| correct), confusion })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Trainer {
    /// [`Trainer::session_async`], waiting for it.
    pub fn session(&mut self) -> Result<Session> {
        pollster::block_on(self.session_async())
    }

    /// [`Trainer::fit_async`], waiting for it.
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        pollster::block_on(self.fit_async(data, fit))
    }

    /// [`Trainer::evaluate_async`], waiting for it.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        pollster::block_on(self.evaluate_async(data))
    }

    /// [`Trainer::predict_async`], waiting for it.
    pub fn predict(&mut self, x: &Array) -> Result<Array> {
        pollster::block_on(self.predict_async(x))
    }

    /// [`Trainer::save_async`], waiting for it.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        pollster::block_on(self.save_async(path))
    }

    /// [`Trainer::load_async`], waiting for it.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        pollster::block_on(self.load_async(path))
    }
}

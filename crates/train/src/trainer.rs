//! Training in few words: a model, a loss and an optimizer, fitted to a data set.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::Location as CallerLocation;
use std::path::Path;

use noyau_data::Dataset;
use noyau_nn::{Loss, LossScaler, Mode, Module, Optimizer, Sgd, cross_entropy, on_behalf};
use noyau_tensor::{Array, DType, Error, Location, Param, Result, Tensor};

use crate::checkpoint;
use crate::described::{Spec, Step};
use crate::device::Device;
use crate::evaluate::{Evaluator, Sums};
use crate::evaluation::Evaluation;
use crate::feed::Feed;
use crate::fit::Fit;
use crate::history::History;
use crate::run::Run;
use crate::session::Session;
use crate::step::CompiledStep;

/// A model with what it takes to train it on a device.
pub struct Trainer {
    device: Device,
    pub(crate) seed: u64,
    session: Option<Session>,
    pub(crate) model: Box<dyn Module>,
    pub(crate) loss: Box<dyn Loss>,
    pub(crate) optimizer: Box<dyn Optimizer>,
    pub(crate) precision: DType,
    scaler: LossScaler,
    /// Optimizer states from a file, until the optimizer has states to give them to.
    pending: BTreeMap<String, Array>,
    predictors: HashMap<Vec<usize>, CompiledStep>,
    lines: Lines,
}

/// Where the program handed them over: what a mistake in one of noyau's own is reported at.
struct Lines {
    model: Location,
    loss: Location,
    optimizer: Location,
}

impl Trainer {
    /// A trainer with cross-entropy loss and plain SGD at a rate of 0.1, seed 0.
    #[track_caller]
    pub fn new(device: Device, model: impl Module + 'static) -> Trainer {
        let here = CallerLocation::caller();
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
            lines: Lines { model: here, loss: here, optimizer: here },
        }
    }

    /// What to minimise: a function of the model's output and the targets that gives a scalar, the mean over the batch, or another
    /// [`Loss`].
    #[track_caller]
    pub fn loss(mut self, loss: impl Loss + 'static) -> Trainer {
        self.loss = Box::new(loss);
        self.lines.loss = CallerLocation::caller();
        self
    }

    /// How to minimise it.
    #[track_caller]
    pub fn optimizer(mut self, optimizer: impl Optimizer + 'static) -> Trainer {
        self.optimizer = Box::new(optimizer);
        self.lines.optimizer = CallerLocation::caller();
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

    /// Goes on another device, in a new session: the same model, loss, optimizer and seed, and none of the states, which are on the device that is
    /// left. They come from a file, by [`Fit::resume`] or [`Trainer::load`]; without one, training begins anew. What a program calls after
    /// [`Error::DeviceLost`].
    pub fn move_to(&mut self, device: Device) {
        self.device = device;
        self.session = None;
        self.pending.clear();
        self.predictors.clear();
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
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
    pub async fn fit_async(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        // Averages of weights may come up with the training's first step: predictors read them then.
        self.predictors.clear();
        Run::new(self, data, fit).await?.finish().await
    }

    /// Loss, accuracy and confusion matrix on a data set.
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Evaluation> {
        let session = self.session_async().await?;
        self.check(data)?;
        let mut evaluator = Evaluator::new(self, &session, data).await?;
        evaluator.run(&session).await
    }

    /// The model's output for a batch of samples.
    pub async fn predict_async(&mut self, x: &Array) -> Result<Array> {
        let session = self.session_async().await?;
        let key = x.shape().to_vec();
        if !self.predictors.contains_key(&key) {
            let averages = self.optimizer.averaged();
            let trace = |[x]: [Tensor; 1]| Step::returns(&self.output(&x, &Mode::eval())).reading(averages);
            let step = session.compile_async([Spec::new(x.shape(), x.dtype())], trace).await?;
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
        // Averages that are there already are of other weights.
        let known = self.training_states();
        for (parameter, average) in self.optimizer.averaged() {
            let name = known.iter().find(|(_, param)| param.state().id() == average.state().id()).map(|(name, _)| name);
            let saved = name.and_then(|name| self.pending.get(name)).filter(|value| value.shape() == average.shape()).cloned();
            let value = match saved {
                Some(value) => value,
                None => session.get_async(&parameter).await?,
            };
            session.set_async(&average, &value).await?;
        }
        Ok(())
    }

    /// Writes a file of weights in which each parameter has the value of its average. Fails where the optimizer keeps none: see
    /// [`Ema`](noyau_nn::Ema).
    pub async fn save_averaged_async(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let averages = self.optimizer.averaged();
        if averages.is_empty() {
            let message = "the optimizer keeps no averages (or has not made a step yet); put it into Ema::new and train";
            return Err(Error::argument("save_averaged", message));
        }
        let session = self.session_async().await?;
        let states: Vec<(String, Param)> = self
            .model_states()
            .into_iter()
            .map(|(path, param)| {
                let average = averages.iter().find(|(parameter, _)| parameter.state().id() == param.state().id());
                (path, average.map_or(param, |(_, average)| average.clone()))
            })
            .collect();
        checkpoint::save(&session, &states, path.as_ref()).await
    }

    /// What the model makes of `x`.
    pub(crate) fn output(&self, x: &Tensor, mode: &Mode) -> Tensor {
        on_behalf(self.lines.model, file!(), self.model.forward(x, mode))
    }

    /// The loss of the model's output.
    pub(crate) fn loss_of(&self, output: &Tensor, y: &Tensor) -> Tensor {
        on_behalf(self.lines.loss, file!(), self.loss.loss(output, y))
    }

    pub(crate) fn model_states(&self) -> Vec<(String, Param)> {
        let mut states = self.model.parameters();
        states.extend(self.model.buffers());
        states
    }

    /// What evaluation reads: the model, and the averages that an optimizer keeps of it.
    pub(crate) fn evaluated_states(&self) -> Vec<(String, Param)> {
        let averages: HashSet<u64> = self.optimizer.averaged().iter().map(|(_, average)| average.state().id()).collect();
        let mut states = self.model_states();
        states.extend(self.training_states().into_iter().filter(|(_, param)| averages.contains(&param.state().id())));
        states
    }

    pub(crate) fn named_states(&self) -> Vec<(String, Param)> {
        let mut states = self.model_states();
        states.extend(self.training_states());
        states
    }

    /// What training keeps besides the model.
    pub(crate) fn training_states(&self) -> Vec<(String, Param)> {
        let scaler = if self.precision == DType::F16 { self.scaler.states() } else { Vec::new() };
        [self.optimizer.states(), scaler].concat()
    }

    /// The learning rate of the last update.
    pub(crate) async fn learning_rate(&self, session: &Session) -> Result<f64> {
        let settings = self.optimizer.settings();
        let schedule = settings.learning_rate();
        let mut done = 0;
        if !schedule.is_constant()
            && let Some((_, counter)) = self.optimizer.states().iter().find(|(name, _)| name == "optimizer.step")
        {
            done = session.get_async(counter).await?.words().first().copied().unwrap_or(0);
        }
        let factor = match settings.known_rate_factor() {
            Some(factor) => f64::from(session.get_async(&factor).await?.try_item()?),
            None => 1.0,
        };
        Ok(schedule.value(u64::from(done).saturating_sub(1)) * factor)
    }

    /// Whether the data set, packed, takes at most half of what one buffer of a GPU may.
    pub(crate) fn fits_on_device(&self, data: &Dataset) -> bool {
        let bytes = data.len().saturating_mul(data.sample_shape().numel().div_ceil(4)).saturating_mul(4);
        !self.device.is_cpu() && bytes <= self.device.limits().max_buffer_bytes / 2
    }

    /// The number of classes, if the data has classes. Fails when the model's output for one sample does not fit them.
    pub(crate) fn check(&self, data: &Dataset) -> Result<Option<usize>> {
        let shape: Vec<usize> = std::iter::once(1).chain(data.sample_shape().iter().copied()).collect();
        let out = self.output(&Tensor::input(0, shape, data.dtype()), &Mode::eval());
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
    pub(crate) fn training_parts(&self, feed: &Feed, batch: usize, sums: &Sums, classes: Option<usize>) -> (Vec<Spec>, Step) {
        let (arguments, x, y) = feed.arguments(batch);
        let mode = Mode::train().precision(self.precision);
        let out = self.output(&x, &mode);
        let loss = self.loss_of(&out, &y);
        let updates = if self.precision == DType::F16 {
            self.scaler.step(&loss, &*self.optimizer, &*self.model, &mode)
        } else {
            self.optimizer.update(&loss, &*self.model)
        };
        let named = |(param, next)| (param, on_behalf(self.lines.optimizer, file!(), next));
        let mut updates: Vec<(Param, Tensor)> = updates.into_iter().map(named).collect();
        updates.extend(mode.take_updates());
        updates.extend(sums.updates(&loss, &out, &y, classes));
        updates.extend(feed.updates());
        (arguments, Step::returns(&loss).updates(updates))
    }

    pub(crate) async fn training_step(
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

    /// [`Trainer::save_averaged_async`], waiting for it.
    pub fn save_averaged(&mut self, path: impl AsRef<Path>) -> Result<()> {
        pollster::block_on(self.save_averaged_async(path))
    }

    /// [`Trainer::load_async`], waiting for it.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        pollster::block_on(self.load_async(path))
    }
}

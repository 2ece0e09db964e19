//! What all optimizers share: clipping, the learning rate, and the states that they keep.

use std::collections::{HashMap, HashSet};
use std::panic::Location as CallerLocation;
use std::sync::{Mutex, PoisonError};

use noyau_tensor::{DType, Error, Init, Param, Result, Scalar, Shape, State, Tensor, gradients};

use crate::Schedule;
use crate::fault::{number, positive};

/// The learning rate, gradient clipping, and the states (moments, the counter of updates) that an optimizer has made so far.
#[derive(Debug)]
pub struct Settings {
    rate: Schedule,
    clip_norm: Option<f64>,
    clip_value: Option<f64>,
    memory: Mutex<Memory>,
}

/// The states, made once and found again.
#[derive(Debug, Default)]
struct Memory {
    counter: Option<Param>,
    rate_factor: Option<Param>,
    /// Positions in `states` by the parameter's state and the kind of moment.
    moments: HashMap<(u64, &'static str), usize>,
    states: Vec<(String, Param)>,
}

impl Settings {
    /// A learning rate, which may be a plain number, and no clipping.
    pub fn new(rate: impl Into<Schedule>) -> Settings {
        Settings { rate: rate.into(), clip_norm: None, clip_value: None, memory: Mutex::default() }
    }

    /// Scales all gradients together where their norm is above `limit`.
    pub fn clip_norm(mut self, limit: f64) -> Settings {
        self.clip_norm = Some(limit);
        self
    }

    /// Limits each element of the gradients to `-limit..=limit`, before [`Settings::clip_norm`].
    pub fn clip_value(mut self, limit: f64) -> Settings {
        self.clip_value = Some(limit);
        self
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> &Schedule {
        &self.rate
    }

    /// Whether the learning rate and the limits make sense.
    pub fn validate(&self) -> Result<()> {
        self.rate.validate()?;
        self.clip_norm.map_or(Ok(()), |limit| positive("clip_norm", limit))?;
        self.clip_value.map_or(Ok(()), |limit| positive("clip_value", limit))
    }

    /// The states made so far, in the order in which they were made, with their names.
    pub fn states(&self) -> Vec<(String, Param)> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).states.clone()
    }

    /// A state, `optimizer.rate_factor`, an f32 scalar that begins with 1 and multiplies the learning rate from the next step that is compiled on: what changes
    /// the rate while a training runs sets it, and nothing is compiled again. It exists only once it was asked for here.
    #[track_caller]
    pub fn rate_factor(&self) -> Param {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(factor) = &memory.rate_factor {
            return factor.clone();
        }
        let factor = Param::scalar("optimizer.rate_factor", 1.0);
        memory.rate_factor = Some(factor.clone());
        memory.states.push((factor.name().into(), factor.clone()));
        factor
    }

    /// The state of [`Settings::rate_factor`], if there is one.
    pub fn known_rate_factor(&self) -> Option<Param> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).rate_factor.clone()
    }

    /// The counter of updates done, u32, which is made here if need be.
    #[track_caller]
    fn counter(&self) -> Param {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = &memory.counter {
            return counter.clone();
        }
        let name = "optimizer.step";
        let counter = Param::from_state(State::new(name, Shape::scalar(), DType::U32, Init::Full(Scalar::Uint(0))));
        memory.counter = Some(counter.clone());
        memory.states.push((name.into(), counter.clone()));
        counter
    }

    /// A parameter's moment of some kind, which is made here if need be.
    #[track_caller]
    fn moment(&self, path: &str, parameter: &Param, kind: &'static str, initial: f64) -> Param {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (parameter.state().id(), kind);
        if let Some((_, moment)) = memory.moments.get(&key).and_then(|&position| memory.states.get(position)) {
            return moment.clone();
        }
        let name = format!("optimizer.{kind}.{path}");
        let moment = Param::new(&*name, parameter.shape(), Init::Full(Scalar::Float(initial)));
        let position = memory.states.len();
        memory.moments.insert(key, position);
        memory.states.push((name, moment.clone()));
        moment
    }

    /// The gradients after clipping.
    #[track_caller]
    fn clipped(&self, mut gradients: Vec<Tensor>) -> Vec<Tensor> {
        if let Some(limit) = self.clip_value {
            gradients = gradients.iter().map(|g| g.clamp(-limit as f32, limit as f32)).collect();
        }
        if let Some(limit) = self.clip_norm {
            let squares = gradients.iter().map(|g| g.square().sum()).reduce(|a, b| a + b);
            if let Some(squares) = squares {
                // The small number is PyTorch's, against division by 0.
                let factor = (number(limit) / (squares.sqrt() + number(1e-6))).minimum(1.0);
                gradients = gradients.iter().map(|g| g * &factor).collect();
            }
        }
        gradients
    }
}

/// One parameter's update: what a rule may ask for and what it sets.
#[derive(Debug)]
pub struct Update<'a> {
    settings: &'a Settings,
    path: &'a str,
    parameter: &'a Param,
    rate: &'a Tensor,
    counted: bool,
    changes: Vec<(Param, Tensor)>,
}

impl Update<'_> {
    /// The parameter's path in the model: `0.weight`.
    pub fn path(&self) -> &str {
        self.path
    }

    /// The learning rate, an f32 scalar.
    pub fn rate(&self) -> Tensor {
        self.rate.clone()
    }

    /// The number of this update, from 1, an f32 scalar. An optimizer that asks for it has a counter among its states.
    #[track_caller]
    pub fn count(&mut self) -> Tensor {
        self.counted = true;
        self.settings.counter().to(DType::F32) + 1.0
    }

    /// A value that the optimizer keeps for this parameter, of its shape, which begins with `initial` everywhere. It is saved as `optimizer.<kind>.<path>`.
    #[track_caller]
    pub fn moment(&mut self, kind: &'static str, initial: f64) -> Param {
        self.settings.moment(self.path, self.parameter, kind, initial)
    }

    /// Sets a moment's next value.
    pub fn set(&mut self, moment: &Param, next: Tensor) {
        self.changes.push((moment.clone(), next));
    }
}

/// [`Optimizer::apply`](super::Optimizer::apply), for any rule; `gradients` are of the parameters, in their order.
#[track_caller]
pub(super) fn apply(
    settings: &Settings,
    valid: Result<()>,
    gradients: Result<Vec<Tensor>>,
    parameters: &[(String, Param)],
    rule: &mut dyn FnMut(&Tensor, &Tensor, &mut Update) -> Tensor,
) -> Vec<(Param, Tensor)> {
    let given = parameters.len();
    let mut seen = HashSet::new();
    let first: Vec<usize> = (0..given).filter(|&i| seen.insert(parameters[i].1.state().id())).collect();
    let parameters: Vec<&(String, Param)> = first.iter().map(|&i| &parameters[i]).collect();
    let refused = |error: Error| match &parameters[..] {
        // No parameter can carry the error: a state made for it does.
        [] => vec![(Param::scalar("optimizer", 0.0), Tensor::invalid(error))],
        _ => parameters.iter().map(|(_, p)| (p.clone(), Tensor::invalid(error.clone()))).collect(),
    };
    if let Err(error) = valid {
        return refused(error);
    }
    if parameters.is_empty() {
        return refused(Error::argument("optimizer", "there are no parameters to update; give it those of a model that has some"));
    }
    let found = match gradients {
        Ok(found) if found.len() == given => settings.clipped(first.iter().map(|&i| found[i].clone()).collect()),
        Ok(found) => return refused(Error::argument("optimizer", format!("{} gradients for {given} parameters", found.len()))),
        Err(error) => return refused(error),
    };
    let mut counted = !settings.rate.is_constant();
    let rate = if counted { settings.rate.at(&settings.counter()) } else { settings.rate.at(&Tensor::from(0u32)) };
    let rate = match settings.known_rate_factor() {
        Some(factor) => &rate * &factor,
        None => rate,
    };
    let mut updates = Vec::new();
    for ((path, parameter), gradient) in parameters.iter().zip(&found) {
        let mut update = Update { settings, path, parameter, rate: &rate, counted: false, changes: Vec::new() };
        let next = rule(parameter, gradient, &mut update);
        counted |= update.counted;
        updates.push((parameter.clone(), next));
        updates.append(&mut update.changes);
    }
    if counted {
        let counter = settings.counter();
        let next = &counter + 1;
        updates.push((counter, next));
    }
    updates
}

/// The gradient of each parameter; an error that names the first one that none reaches.
#[track_caller]
pub(crate) fn parameter_gradients(loss: &Tensor, parameters: &[(String, Param)]) -> Result<Vec<Tensor>> {
    let location = CallerLocation::caller();
    let tensors: Vec<&Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
    gradients(loss, &tensors)?
        .into_iter()
        .zip(parameters)
        .map(|(gradient, (path, _))| {
            gradient.ok_or_else(|| {
                let message = format!(
                    "no gradient flows from the loss to the parameter `{path}`: it takes no part in the loss, or only through operations without a derivative (comparisons, argmax, integers, detach); leave it out of the parameters to keep it as it is"
                );
                Error::Gradient { message, location }
            })
        })
        .collect()
}

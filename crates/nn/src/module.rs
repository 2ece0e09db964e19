//! What a model is: something with parameters that makes a tensor of a tensor.

use std::sync::{Arc, Mutex, PoisonError};

use noyau_tensor::{DType, Error, Param, Shape, Tensor};

/// A layer or a model: plain data, with parameters, that makes a tensor of a tensor.
///
/// Functions and closures from `&Tensor` to `Tensor` are modules without parameters, so `model.then(Tensor::relu)` reads as it should.
///
/// ```
/// # use noyau_nn::{Linear, Mode, Module, named};
/// # use noyau_tensor::{Param, Tensor};
/// struct Net { fc1: Linear, fc2: Linear }
///
/// impl Module for Net {
///     fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
///         self.fc2.forward(&self.fc1.forward(x, mode).relu(), mode)
///     }
///     fn parameters(&self) -> Vec<(String, Param)> {
///         [named("fc1", &self.fc1), named("fc2", &self.fc2)].concat()
///     }
/// }
/// ```
pub trait Module: Send + Sync {
    /// The result for `x`. Input that the module cannot take gives a tensor that carries the error.
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor;

    /// The values that training changes, each with its path in the module: `0.weight`, `fc1.bias`.
    fn parameters(&self) -> Vec<(String, Param)> {
        Vec::new()
    }

    /// The values that are saved with the parameters but that no gradient changes, each with its path: running statistics.
    fn buffers(&self) -> Vec<(String, Param)> {
        Vec::new()
    }
}

impl<F: Fn(&Tensor) -> Tensor + Send + Sync> Module for F {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        self(x)
    }
}

macro_rules! forwarding {
    ($($pointer:ty),*) => {$(
        impl Module for $pointer {
            #[track_caller]
            fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
                (**self).forward(x, mode)
            }
            fn parameters(&self) -> Vec<(String, Param)> {
                (**self).parameters()
            }
            fn buffers(&self) -> Vec<(String, Param)> {
                (**self).buffers()
            }
        }
    )*};
}
forwarding!(Box<dyn Module>, Arc<dyn Module>);

/// The parameters of a part of a model, their paths prefixed with the part's name: `weight` becomes `fc1.weight`.
pub fn named(name: &str, part: &dyn Module) -> Vec<(String, Param)> {
    prefixed(name, part.parameters())
}

/// The buffers of a part of a model, their paths prefixed with the part's name.
pub fn named_buffers(name: &str, part: &dyn Module) -> Vec<(String, Param)> {
    prefixed(name, part.buffers())
}

fn prefixed(name: &str, values: Vec<(String, Param)>) -> Vec<(String, Param)> {
    values.into_iter().map(|(path, param)| (format!("{name}.{path}"), param)).collect()
}

/// Whether a model is being trained, and what its layers want to remember of the run.
///
/// Dropout and batch normalisation do different things in the two modes. It is an argument, not a switch in the model, so that a program can
/// trace both from one model.
#[derive(Debug)]
pub struct Mode {
    training: bool,
    precision: DType,
    updates: Mutex<Vec<(Param, Tensor)>>,
    recorder: Option<Mutex<Recorder>>,
}

/// Which layers have run.
#[derive(Debug, Default)]
struct Recorder {
    /// The names of the layers that are running, outermost first.
    running: Vec<String>,
    layers: Vec<(String, &'static str, Shape)>,
}

impl Mode {
    /// For training.
    pub fn train() -> Mode {
        Mode { training: true, precision: DType::F32, updates: Mutex::default(), recorder: None }
    }

    /// For evaluation: the same input gives the same result.
    pub fn eval() -> Mode {
        Mode { training: false, precision: DType::F32, updates: Mutex::default(), recorder: None }
    }

    /// With products (linear layers, convolutions, attention, recurrent layers) of operands of a type: `F16` or `BF16` for mixed precision, `F32` for none.
    /// Parameters stay f32 and are converted where they are used; normalisation, softmax and losses convert back and work in f32. PyTorch's
    /// `autocast`. Training with `F16` wants a [`LossScaler`](crate::LossScaler).
    ///
    /// Source: Micikevicius et al., "Mixed precision training", ICLR 2018.
    pub fn precision(mut self, dtype: DType) -> Mode {
        self.precision = dtype;
        self
    }

    /// Noting each layer that runs within [`Mode::layer`], as those of [`Sequential`](crate::Sequential)s do: for summaries.
    pub fn recording(mut self) -> Mode {
        self.recorder = Some(Mutex::default());
        self
    }

    /// Runs a part of a model; a mode that is recording notes its path, its kind and the shape of its result. A model that is not a
    /// [`Sequential`](crate::Sequential) may name its parts so: `mode.layer("fc1", "Linear", || self.fc1.forward(x, mode))`.
    pub fn layer(&self, name: impl ToString, kind: &'static str, run: impl FnOnce() -> Tensor) -> Tensor {
        let Some(recorder) = &self.recorder else { return run() };
        recorder.lock().unwrap_or_else(PoisonError::into_inner).running.push(name.to_string());
        let result = run();
        let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let path = recorder.running.join(".");
        recorder.running.pop();
        recorder.layers.push((path, kind, result.shape().clone()));
        result
    }

    /// The layers noted so far, which are forgotten here: path, kind and the result's shape, in the order in which they ended.
    pub fn take_layers(&self) -> Vec<(String, &'static str, Shape)> {
        let recorder = self.recorder.as_ref().map(|recorder| recorder.lock().unwrap_or_else(PoisonError::into_inner));
        recorder.map_or_else(Vec::new, |mut recorder| std::mem::take(&mut recorder.layers))
    }

    /// An operand of a product, as the type in which products are computed.
    #[track_caller]
    pub fn cast(&self, x: &Tensor) -> Tensor {
        if !self.precision.is_float() {
            let message = format!("{} is no float type: products are computed in F32, F16 or BF16", self.precision);
            return Tensor::invalid(Error::argument("Mode::precision", message));
        }
        if self.precision.is_half() && x.dtype().is_float() { x.to(self.precision) } else { x.clone() }
    }

    /// Whether the model is being trained.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Notes the next value of a state, such as a running mean, for the step to write. A later note for the same state replaces the earlier one.
    pub fn update(&self, param: &Param, next: Tensor) {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        match updates.iter_mut().find(|(other, _)| other.state().id() == param.state().id()) {
            Some((_, value)) => *value = next,
            None => updates.push((param.clone(), next)),
        }
    }

    /// A state's value with the update noted so far, if any: what a layer that is applied twice in one forward pass must build on.
    pub fn value(&self, param: &Param) -> Tensor {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = updates.iter().find(|(other, _)| other.state().id() == param.state().id());
        noted.map_or_else(|| param.tensor().clone(), |(_, value)| value.clone())
    }

    /// The updates noted so far, which are forgotten here. Add them to the step's.
    pub fn take_updates(&self) -> Vec<(Param, Tensor)> {
        std::mem::take(&mut *self.updates.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

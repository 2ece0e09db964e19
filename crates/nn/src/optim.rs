//! Optimizers: the parameters' next values as expressions of the loss.
//!
//! An [`Optimizer`] is a rule for one parameter; what all share (the gradients, clipping, the learning rate, the moments and the counter of updates, which are
//! states like parameters) is in [`Settings`] and [`Update`]. An optimizer of your own is a struct with `Settings` and a `rule`.
//!
//! [`Accumulate`] and [`Ema`] are wrappers: optimizers around any other, and around each other.

mod accumulate;
mod adagrad;
mod adam;
mod ema;
mod kept;
mod rmsprop;
mod settings;
mod sgd;

pub use accumulate::Accumulate;
pub use adagrad::AdaGrad;
pub use adam::{Adam, AdamW};
pub use ema::Ema;
pub use rmsprop::RmsProp;
pub(crate) use settings::parameter_gradients;
pub use settings::{Settings, Update};
pub use sgd::Sgd;

use std::sync::Arc;

use noyau_tensor::{Param, Result, Tensor};

use crate::Module;

/// What makes a loss smaller: a rule that gives a parameter's next value from its gradient.
pub trait Optimizer: Send + Sync {
    /// The learning rate, clipping, and the states made so far.
    fn settings(&self) -> &Settings;

    /// A parameter's next value. `gradient` has been clipped; moments and the counter come from `update`.
    #[track_caller]
    fn rule(&self, parameter: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor;

    /// Whether all options make sense: an [`Error::Argument`](noyau_tensor::Error) such as `learning rate: NaN is not a positive number`. Those of
    /// [`Optimizer::settings`] must be asked too.
    fn validate(&self) -> Result<()> {
        self.settings().validate()
    }

    /// The next values of parameters, moments and the counter, by the gradient of `loss` (a scalar).
    ///
    /// Each state has one moment whatever number of times this is called, so that several steps compiled from one optimizer go on from one another. A
    /// parameter that is listed twice is updated once. Mistakes (options out of range, no parameters, a parameter that no gradient reaches) are carried
    /// by the values and reported when the step is compiled.
    #[track_caller]
    fn step(&self, loss: &Tensor, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
        // Without parameters the mistake is theirs, whatever the loss.
        let found = if parameters.is_empty() { Ok(Vec::new()) } else { settings::parameter_gradients(loss, parameters) };
        self.apply(found, parameters)
    }

    /// As [`Optimizer::step`], by gradients of one's own, one for each parameter: added up over batches, say, or changed on the way. An error in their place is
    /// carried by the values.
    #[track_caller]
    fn apply(&self, gradients: Result<Vec<Tensor>>, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
        settings::apply(self.settings(), self.validate(), gradients, parameters, &mut |parameter, gradient, update| {
            self.rule(parameter, gradient, update)
        })
    }

    /// [`Optimizer::step`] for all parameters of a model.
    #[track_caller]
    fn update(&self, loss: &Tensor, model: &dyn Module) -> Vec<(Param, Tensor)> {
        self.step(loss, &model.parameters())
    }

    /// The moments and the counter with the names under which they are saved, such as `optimizer.exp_avg.0.weight` and `optimizer.step`. There are none
    /// before the first [`Optimizer::step`].
    fn states(&self) -> Vec<(String, Param)> {
        self.settings().states()
    }

    /// Whether this step's batch changes the parameters, a bool scalar; `None` where each batch does. [`Accumulate`] tells its wrappers so.
    #[track_caller]
    fn applies(&self) -> Option<Tensor> {
        None
    }

    /// Each parameter with the state that holds its average, for evaluation with averaged weights: see [`Ema`]. Empty where none are kept, and before the
    /// first [`Optimizer::step`].
    fn averaged(&self) -> Vec<(Param, Param)> {
        Vec::new()
    }
}

macro_rules! forwarding {
    ($($pointer:ident),*) => {$(
        impl<O: Optimizer + ?Sized> Optimizer for $pointer<O> {
            fn settings(&self) -> &Settings {
                (**self).settings()
            }
            #[track_caller]
            fn rule(&self, parameter: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
                (**self).rule(parameter, gradient, update)
            }
            fn validate(&self) -> Result<()> {
                (**self).validate()
            }
            #[track_caller]
            fn step(&self, loss: &Tensor, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
                (**self).step(loss, parameters)
            }
            #[track_caller]
            fn apply(&self, gradients: Result<Vec<Tensor>>, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
                (**self).apply(gradients, parameters)
            }
            fn states(&self) -> Vec<(String, Param)> {
                (**self).states()
            }
            #[track_caller]
            fn applies(&self) -> Option<Tensor> {
                (**self).applies()
            }
            fn averaged(&self) -> Vec<(Param, Param)> {
                (**self).averaged()
            }
        }
    )*};
}
forwarding!(Box, Arc);

/// The options of [`Settings`] as methods of an optimizer.
macro_rules! clipping_options {
    ($($optimizer:ty),*) => {$(
        impl $optimizer {
            /// Scales all gradients together where their norm is above `limit`, so that it becomes `limit`: PyTorch's `clip_grad_norm_`.
            pub fn clip_norm(mut self, limit: f64) -> Self {
                self.settings = self.settings.clip_norm(limit);
                self
            }

            /// Limits each element of the gradients to `-limit..=limit`, before [`Self::clip_norm`]: PyTorch's `clip_grad_value_`.
            pub fn clip_value(mut self, limit: f64) -> Self {
                self.settings = self.settings.clip_value(limit);
                self
            }
        }
    )*};
}
clipping_options!(Sgd, Adam, AdamW, RmsProp, AdaGrad);

//! Mixed precision: which type things are computed in, and how gradients are kept within the range of f16.

use noyau_tensor::{DType, Error, Init, Param, Result, Scalar, Shape, State, Tensor};

use crate::fault::{number, positive};
use crate::optim::parameter_gradients;
use crate::{Mode, Module, Optimizer};

/// A half as f32; others as they are.
#[track_caller]
pub(crate) fn wide(x: &Tensor) -> Tensor {
    if x.dtype().is_half() { x.to(DType::F32) } else { x.clone() }
}

/// Scales a loss so that its gradients, which f16 would round to 0, stay within its range, and finds the scale while training: dynamic loss scaling.
///
/// The gradients of `loss * scale` are divided by the scale again, in f32. If any of them is not finite, the step changes nothing but the scale, which is
/// halved; after 2000 good steps in a row it is doubled. It begins with 2^16 and stays between 1 and 2^24. The choice is made on the device, in the
/// step itself. BF16 has the range of f32 and needs none of this.
///
/// Source: Micikevicius et al., "Mixed precision training", ICLR 2018; the numbers are those of PyTorch's `GradScaler`.
#[derive(Clone, Debug)]
pub struct LossScaler {
    scale: Param,
    good: Param,
    interval: u32,
    problem: Option<Error>,
}

/// The bounds of the scale: below 1 it is not the scale that makes gradients overflow, and a loss without gradients shall not raise it to infinity.
const LEAST: f32 = 1.0;
const MOST: f32 = (1 << 24) as f32;

impl Default for LossScaler {
    fn default() -> Self {
        LossScaler::new()
    }
}

impl LossScaler {
    /// A scale of 2^16 that is doubled after 2000 good steps.
    #[track_caller]
    pub fn new() -> LossScaler {
        let count = State::new("scaler.good_steps", Shape::scalar(), DType::U32, Init::Full(Scalar::Uint(0)));
        LossScaler { scale: Param::scalar("scaler.scale", 65536.0), good: Param::from_state(count), interval: 2000, problem: None }
    }

    /// Beginning with another scale: a power of two, so that scaling rounds nothing.
    #[track_caller]
    pub fn initial(mut self, scale: f32) -> LossScaler {
        if let Err(error) = positive("LossScaler: scale", scale.into()) {
            self.problem = Some(error);
        }
        self.scale = Param::scalar("scaler.scale", scale);
        self
    }

    /// Doubling the scale after so many good steps in a row.
    pub fn growth_interval(mut self, steps: u32) -> LossScaler {
        if steps == 0 {
            self.problem = Some(Error::argument("LossScaler: growth interval", "0 steps; at least 1 is needed"));
        }
        self.interval = steps;
        self
    }

    /// The scale, an f32 scalar.
    pub fn scale(&self) -> &Param {
        &self.scale
    }

    /// The scale and the counter of good steps, with the names under which they are saved.
    pub fn states(&self) -> Vec<(String, Param)> {
        [&self.scale, &self.good].map(|param| (param.name().to_string(), param.clone())).into()
    }

    /// All that a training step changes: the parameters and the optimizer's states by the scaled loss, what layers noted in `mode` (which is taken
    /// from it), the scale. Where a gradient is not finite, everything but the scale keeps its value.
    #[track_caller]
    pub fn step(&self, loss: &Tensor, optimizer: &dyn Optimizer, model: &dyn Module, mode: &Mode) -> Vec<(Param, Tensor)> {
        let parameters = model.parameters();
        let found = match (&self.problem, parameters.is_empty()) {
            (Some(error), _) => Err(error.clone()),
            (None, true) => Ok(Vec::new()),
            (None, false) => self.gradients(loss, &parameters),
        };
        let fine = found.as_ref().ok().and_then(|found| all_finite(found));
        let mut updates = optimizer.apply(found, &parameters);
        updates.extend(mode.take_updates());
        let Some(fine) = fine else { return updates };
        let kept = |(param, next): (Param, Tensor)| {
            let next = if next.error().is_some() { next } else { fine.where_(next, &param) };
            (param, next)
        };
        let mut updates: Vec<(Param, Tensor)> = updates.into_iter().map(kept).collect();
        let count = &self.good + 1;
        let grown = count.ge(self.interval);
        let larger = grown.where_(&self.scale * 2.0, self.scale.tensor()).minimum(MOST);
        updates.push((self.scale.clone(), fine.where_(larger, (&self.scale * 0.5).maximum(LEAST))));
        updates.push((self.good.clone(), fine.logical_and(grown.logical_not()).where_(&count, self.good.zeros_like())));
        updates
    }

    /// The gradients of the scaled loss, divided by the scale.
    #[track_caller]
    fn gradients(&self, loss: &Tensor, parameters: &[(String, Param)]) -> Result<Vec<Tensor>> {
        let found = parameter_gradients(&(loss * &self.scale), parameters)?;
        let inverse = number(1.0) / &self.scale;
        Ok(found.iter().map(|gradient| gradient * &inverse).collect())
    }
}

/// Whether all elements are finite, a bool scalar; `None` of nothing.
#[track_caller]
fn all_finite(tensors: &[Tensor]) -> Option<Tensor> {
    let faults = |t: &Tensor| {
        if t.rank() == 0 { t.isfinite().logical_not().to(DType::U32) } else { t.isfinite().logical_not().to(DType::U32).sum() }
    };
    tensors.iter().map(faults).reduce(|a, b| a.logical_or(b)).map(|faults| faults.eq(0u32))
}

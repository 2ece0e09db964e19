//! Running means of the weights.

use std::collections::HashSet;

use noyau_tensor::{DType, Param, Result, Tensor};

use super::kept::Kept;
use super::{Optimizer, Settings, Update};
use crate::fault::{decay, number, positive};

/// Another optimizer, with an exponential moving average of the parameters beside them: smoother weights, which often do better than the last ones.
///
/// After update `t` (counted from 0) a parameter's average is `a + (1 - d) (p - a)`; the first update copies the parameter. `d` is the decay, or with
/// a warm-up the lesser of it and `1 - (1 + t)^-power`. The averages are states, `ema.<path>`, that change nothing in training; a trainer evaluates
/// and predicts with them. Buffers such as running statistics are not averaged: evaluation takes them as they are.
///
/// Around [`Accumulate`](super::Accumulate), and within it, the averages follow updates, not batches.
///
/// Sources: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992, for the idea; the formula is that of PyTorch's
/// `AveragedModel` with `get_ema_multi_avg_fn`, the warm-up that of timm's `ModelEmaV3` (there `use_warmup`, gamma 1).
///
/// ```
/// # use noyau_nn::{Adam, Ema};
/// let optimizer = Ema::new(Adam::new(1e-3), 0.999).warm_up(2.0 / 3.0);
/// ```
#[derive(Debug)]
pub struct Ema<O> {
    inner: O,
    decay: f64,
    power: Option<f64>,
    kept: Kept,
}

impl<O: Optimizer> Ema<O> {
    /// An optimizer whose parameters are averaged with a decay `0 <= decay < 1`: 0.999 averages over about the last thousand updates.
    pub fn new(optimizer: O, decay: f64) -> Ema<O> {
        Ema { inner: optimizer, decay, power: None, kept: Kept::default() }
    }

    /// Lets the decay rise from 0 as `1 - (1 + t)^-power`, so that a short training does not average its beginning: 2/3 reaches 0.999 after
    /// 31,600 updates, 1 after 1,000. Positive.
    pub fn warm_up(mut self, power: f64) -> Ema<O> {
        self.power = Some(power);
        self
    }

    /// How much of the parameter goes into its average at the update that follows `count` others, an f32 scalar.
    #[track_caller]
    fn weight(&self, count: &Tensor) -> Tensor {
        let least = number(1.0 - self.decay);
        match self.power {
            // The power is 1 at the first update.
            Some(power) => (count.to(DType::F32).log1p() * number(-power)).exp().maximum(least),
            None => count.eq(0u32).where_(1.0, least),
        }
    }
}

impl<O: Optimizer> Optimizer for Ema<O> {
    fn settings(&self) -> &Settings {
        self.inner.settings()
    }

    #[track_caller]
    fn rule(&self, parameter: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        self.inner.rule(parameter, gradient, update)
    }

    fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        decay("Ema: decay", self.decay)?;
        self.power.map_or(Ok(()), |power| positive("Ema: warm-up power", power))
    }

    #[track_caller]
    fn apply(&self, gradients: Result<Vec<Tensor>>, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
        let gradients = self.validate().and(gradients);
        let sound = gradients.is_ok();
        let mut updates = self.inner.apply(gradients, parameters);
        // A mistake is carried by the parameters' next values.
        if !sound || updates.iter().any(|(_, next)| next.error().is_some()) {
            return updates;
        }
        let applies = self.inner.applies();
        let kept = |(state, next): (Param, Tensor)| match &applies {
            Some(applies) => super::accumulate::only_if(applies, state, next),
            None => (state, next),
        };
        let count = self.kept.counter("ema.updates");
        let weight = self.weight(&count);
        let mut seen = HashSet::new();
        let mut averages = Vec::new();
        for (path, parameter) in parameters.iter().filter(|(_, p)| seen.insert(p.state().id())) {
            let Some((_, next)) = updates.iter().find(|(p, _)| p.state().id() == parameter.state().id()) else { continue };
            let average = self.kept.of("ema", path, parameter);
            let moved = average.tensor() + (next - &average) * &weight;
            averages.push(kept((average, moved)));
        }
        updates.extend(averages);
        let counted = &count + 1;
        updates.push(kept((count, counted)));
        updates
    }

    fn states(&self) -> Vec<(String, Param)> {
        [self.inner.states(), self.kept.states()].concat()
    }

    #[track_caller]
    fn applies(&self) -> Option<Tensor> {
        self.inner.applies()
    }

    fn averaged(&self) -> Vec<(Param, Param)> {
        self.kept.pairs()
    }
}

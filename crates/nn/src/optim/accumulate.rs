//! Gradients added up over several batches.

use std::collections::HashSet;

use noyau_tensor::{Error, Param, Result, Tensor};

use super::kept::Kept;
use super::{Optimizer, Settings, Update};
use crate::fault::number;

/// Another optimizer, by the mean of the gradients of several batches: a batch that is larger than memory.
///
/// Each step adds its gradients to sums, which are states; every `batches`th step applies the optimizer to their mean and begins anew. In between,
/// parameters, moments and the counter of updates keep their values, so that a schedule counts updates, and clipping acts on the mean. With
/// batches of equal size and a loss that is a mean over the batch, the result is that of one batch of all of them.
///
/// The choice is made on the device, in the step itself: the sums and the choice ride on the kernels that make the gradients, at the cost of one
/// more value a parameter in memory. What layers note of a batch, such as running means, is kept batch by batch. An epoch that ends in the midst leaves
/// its sums to the next one.
///
/// ```
/// # use noyau_nn::{Accumulate, AdamW};
/// let optimizer = Accumulate::new(AdamW::new(1e-3).clip_norm(1.0), 4);
/// ```
#[derive(Debug)]
pub struct Accumulate<O> {
    inner: O,
    batches: usize,
    kept: Kept,
}

impl<O: Optimizer> Accumulate<O> {
    /// An optimizer that is applied once every so many batches, at least 1.
    pub fn new(optimizer: O, batches: usize) -> Accumulate<O> {
        Accumulate { inner: optimizer, batches, kept: Kept::default() }
    }

    /// The batches seen since the last update, u32.
    #[track_caller]
    fn seen(&self) -> Param {
        self.kept.counter("accumulate.batches")
    }

    /// Whether this batch is the last one of its kind.
    #[track_caller]
    fn is_last(&self) -> Tensor {
        self.seen().ge(u32::try_from(self.batches - 1).unwrap_or(u32::MAX))
    }
}

impl<O: Optimizer> Optimizer for Accumulate<O> {
    fn settings(&self) -> &Settings {
        self.inner.settings()
    }

    #[track_caller]
    fn rule(&self, parameter: &Tensor, gradient: &Tensor, update: &mut Update) -> Tensor {
        self.inner.rule(parameter, gradient, update)
    }

    fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        if self.batches == 0 {
            return Err(Error::argument("Accumulate: batches", "0 is too few; at least 1 is needed"));
        }
        if u32::try_from(self.batches).is_err() {
            return Err(Error::argument("Accumulate: batches", format!("{} are more than a u32 counts", self.batches)));
        }
        Ok(())
    }

    #[track_caller]
    fn apply(&self, gradients: Result<Vec<Tensor>>, parameters: &[(String, Param)]) -> Vec<(Param, Tensor)> {
        let gradients = self.validate().and(gradients);
        let found = match gradients {
            Ok(found) if self.batches > 1 && found.len() == parameters.len() && !found.is_empty() => found,
            // Nothing to add up, or a mistake, of which the optimizer tells.
            other => return self.inner.apply(other, parameters),
        };
        let last = self.is_last();
        let mut sums = Vec::new();
        let mut means = Vec::with_capacity(found.len());
        let mut seen = HashSet::new();
        for ((path, parameter), gradient) in parameters.iter().zip(&found) {
            let sum = self.kept.of("accumulate", path, parameter);
            let total = &sum + gradient;
            means.push(&total * number(1.0 / self.batches as f64));
            if seen.insert(parameter.state().id()) {
                sums.push((sum.clone(), last.where_(sum.zeros_like(), &total)));
            }
        }
        let mut updates: Vec<(Param, Tensor)> =
            self.inner.apply(Ok(means), parameters).into_iter().map(|(state, next)| only_if(&last, state, next)).collect();
        updates.append(&mut sums);
        let count = self.seen();
        let next = last.where_(count.zeros_like(), &count + 1);
        updates.push((count, next));
        updates
    }

    fn states(&self) -> Vec<(String, Param)> {
        [self.inner.states(), self.kept.states()].concat()
    }

    #[track_caller]
    fn applies(&self) -> Option<Tensor> {
        if self.batches < 2 {
            return self.inner.applies();
        }
        Some(self.inner.applies().map_or_else(|| self.is_last(), |inner| self.is_last().logical_and(inner)))
    }

    fn averaged(&self) -> Vec<(Param, Param)> {
        self.inner.averaged()
    }
}

/// A state's next value where a condition (a bool scalar) holds, else its value; a value that carries an error stays one.
#[track_caller]
pub(super) fn only_if(condition: &Tensor, state: Param, next: Tensor) -> (Param, Tensor) {
    let next = if next.error().is_some() { next } else { condition.where_(next, &state) };
    (state, next)
}

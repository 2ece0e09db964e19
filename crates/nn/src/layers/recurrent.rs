//! Recurrent layers: a state that goes from time step to time step.
//!
//! Sequences are `[batch, time, features]`: PyTorch's `batch_first=True`. The inputs of all time steps are projected by one product; what depends on the
//! step before is written out for each step, so a step's graph grows with the length of its sequences.

mod cells;
mod layers;

pub use layers::{Gru, Lstm, Rnn};

use noyau_tensor::{DType, Error, Param, Result, Tensor, concat};

use super::dropout::dropout;
use super::{check_float, parameter};
use crate::fault::fail;
use crate::mixed::wide;
use crate::{Mode, init};
use cells::Cell;

/// The weights with which one layer reads in one direction.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    /// `[gates * hidden, features]`.
    weight_ih: Param,
    /// `[gates * hidden, hidden]`.
    weight_hh: Param,
    /// `bias_ih` and `bias_hh`, each `[gates * hidden]`.
    biases: Option<[Param; 2]>,
}

/// What the recurrent layers share.
#[derive(Clone, Debug)]
pub(super) struct Recurrent {
    name: &'static str,
    cell: Cell,
    inputs: usize,
    hidden: usize,
    layers: usize,
    bidirectional: bool,
    bias: bool,
    dropout: f64,
    /// Layer by layer, forward before reverse.
    directions: Vec<Direction>,
    problem: Option<Error>,
}

/// A layer's result: the values of the last layer at each time step, and the final states by layer and direction.
type Run = (Tensor, Vec<Tensor>);

impl Recurrent {
    #[track_caller]
    fn new(name: &'static str, cell: Cell, inputs: usize, hidden: usize) -> Recurrent {
        let mut made = Recurrent {
            name,
            cell,
            inputs,
            hidden,
            layers: 1,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            directions: Vec::new(),
            problem: None,
        };
        made.make();
        made
    }

    /// Makes the parameters anew.
    #[track_caller]
    fn make(&mut self) {
        self.directions.clear();
        self.problem = None;
        if self.layers == 0 || self.hidden == 0 {
            let message = format!("{} layers of {} hidden features; at least 1 of each is needed", self.layers, self.hidden);
            self.problem = Some(Error::argument(self.name, message));
            return;
        }
        for layer in 0..self.layers {
            for reverse in 0..self.ways() {
                match self.direction(layer, reverse == 1) {
                    Ok(direction) => self.directions.push(direction),
                    Err(error) => {
                        self.problem = Some(error);
                        return;
                    }
                }
            }
        }
    }

    /// The number of directions.
    fn ways(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    #[track_caller]
    fn direction(&self, layer: usize, reverse: bool) -> Result<Direction> {
        let bound = 1.0 / (self.hidden as f64).sqrt();
        let rows = self.hidden.saturating_mul(self.cell.gates());
        let features = if layer == 0 { self.inputs } else { self.hidden.saturating_mul(self.ways()) };
        let suffix = suffix(layer, reverse);
        let name = |what: &str| format!("{what}_{suffix}");
        let uniform = || init::uniform(-bound, bound);
        let weight_ih = parameter(self.name, &name("weight_ih"), [rows, features], uniform())?;
        let weight_hh = parameter(self.name, &name("weight_hh"), [rows, self.hidden], uniform())?;
        let biases = if self.bias {
            let ih = parameter(self.name, &name("bias_ih"), [rows], uniform())?;
            Some([ih, parameter(self.name, &name("bias_hh"), [rows], uniform())?])
        } else {
            None
        };
        Ok(Direction { weight_ih, weight_hh, biases })
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        let mut all = Vec::new();
        for (i, direction) in self.directions.iter().enumerate() {
            let suffix = suffix(i / self.ways(), i % self.ways() == 1);
            let Direction { weight_ih, weight_hh, biases } = direction;
            all.push((format!("weight_ih_{suffix}"), weight_ih.clone()));
            all.push((format!("weight_hh_{suffix}"), weight_hh.clone()));
            if let Some([ih, hh]) = biases {
                all.push((format!("bias_ih_{suffix}"), ih.clone()));
                all.push((format!("bias_hh_{suffix}"), hh.clone()));
            }
        }
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, &mut Param)> {
        let names: Vec<String> = self.parameters().into_iter().map(|(name, _)| name).collect();
        let mut all = Vec::new();
        for Direction { weight_ih, weight_hh, biases } in &mut self.directions {
            all.extend([weight_ih, weight_hh]);
            all.extend(biases.iter_mut().flatten());
        }
        names.into_iter().zip(all).collect()
    }

    /// Whether the layer can run on `x` from these states.
    #[track_caller]
    fn check(&self, x: &Tensor, states: &[&Tensor]) -> Result<(), Tensor> {
        if let Some(error) = &self.problem {
            return Err(Tensor::invalid(error.clone()));
        }
        check_float(self.name, x)?;
        let [batch, time, features] = x.shape()[..] else {
            return Err(fail(self.name, format!("the input {} is not [batch, time, features]", x.shape())));
        };
        if features != self.inputs {
            let message = format!("the layer takes {} features; the input {} has {features} on its last axis", self.inputs, x.shape());
            return Err(fail(self.name, message));
        }
        if time == 0 {
            return Err(fail(self.name, format!("the input {} has no time steps", x.shape())));
        }
        if let Some(param) = self.misfit() {
            let message = format!("`{}` has been replaced by one of shape {}", param.name(), param.shape());
            return Err(fail(self.name, message));
        }
        let wanted = [self.directions.len(), batch, self.hidden];
        for state in states {
            if state.error().is_some() {
                return Err((*state).clone());
            }
            if state.shape()[..] != wanted || state.dtype() != DType::F32 {
                let message = format!(
                    "an initial state is {}{}, not f32{wanted:?} [layers * directions, batch, hidden]",
                    state.dtype(),
                    state.shape()
                );
                return Err(fail(self.name, message));
            }
        }
        Ok(())
    }

    /// A parameter that has been replaced by one of another shape.
    fn misfit(&self) -> Option<&Param> {
        let rows = self.hidden * self.cell.gates();
        for (i, Direction { weight_ih, weight_hh, biases }) in self.directions.iter().enumerate() {
            let features = if i < self.ways() { self.inputs } else { self.hidden * self.ways() };
            if weight_ih.shape()[..] != [rows, features] {
                return Some(weight_ih);
            }
            if weight_hh.shape()[..] != [rows, self.hidden] {
                return Some(weight_hh);
            }
            if let Some(bad) = biases.iter().flatten().find(|bias| bias.shape()[..] != [rows]) {
                return Some(bad);
            }
        }
        None
    }

    /// The values of all time steps `[batch, time, hidden * directions]` and the final states, each `[layers * directions, batch, hidden]`. No initial
    /// states are zeros.
    #[track_caller]
    fn run(&self, x: &Tensor, initial: &[&Tensor], mode: &Mode) -> Run {
        if let Err(error) = self.check(x, initial) {
            return (error.clone(), vec![error; self.cell.states()]);
        }
        let batch = x.shape()[0];
        let mut x = x.clone();
        let mut finals: Vec<Vec<Tensor>> = vec![Vec::new(); self.cell.states()];
        for layer in 0..self.layers {
            if layer > 0 {
                x = dropout(&x, self.dropout, mode);
                if x.error().is_some() {
                    return (x.clone(), vec![x; self.cell.states()]);
                }
            }
            let mut sides = Vec::with_capacity(self.ways());
            for reverse in 0..self.ways() {
                let place = layer * self.ways() + reverse;
                let mut states = Vec::new();
                for i in 0..self.cell.states() {
                    states.push(match initial.get(i) {
                        Some(initial) => initial.select(0, place),
                        None => Tensor::zeros([batch, self.hidden]),
                    });
                }
                sides.push(self.scan(&x, &self.directions[place], states, reverse == 1, &mut finals, mode));
            }
            x = match &sides[..] {
                [forward] => forward.clone(),
                sides => concat(&sides.iter().collect::<Vec<_>>(), -1),
            };
            if x.error().is_some() {
                return (x.clone(), vec![x; self.cell.states()]);
            }
        }
        let mut stacked = Vec::new();
        for states in finals {
            stacked.push(joined(&states, 0));
        }
        (x, stacked)
    }

    /// One layer in one direction: the values of all time steps; the final states are added to `finals`.
    #[track_caller]
    fn scan(
        &self,
        x: &Tensor,
        weights: &Direction,
        mut states: Vec<Tensor>,
        reverse: bool,
        finals: &mut [Vec<Tensor>],
        mode: &Mode,
    ) -> Tensor {
        let time = x.shape()[1];
        // Products in the mode's type; what goes from step to step adds up over time, in f32.
        let mut projected = wide(&mode.cast(x).matmul(&mode.cast(&weights.weight_ih).t()));
        let mut recurrent_bias = None;
        if let Some([ih, hh]) = &weights.biases {
            if self.cell.adds_biases() {
                projected = projected + (ih + hh);
            } else {
                projected = projected + ih;
                recurrent_bias = Some(hh);
            }
        }
        let weight = mode.cast(&weights.weight_hh).t();
        let mut values = Vec::with_capacity(time);
        for step in 0..time {
            let at = if reverse { time - 1 - step } else { step };
            let input = projected.select(1, at);
            let mut product = wide(&mode.cast(&states[0]).matmul(&weight));
            if let Some(bias) = recurrent_bias {
                product = product + bias;
            }
            states = self.cell.next(&input, &product, &states, self.hidden);
            if let Some(bad) = states.iter().find(|state| state.error().is_some()) {
                return bad.clone();
            }
            values.push(states[0].clone());
        }
        if reverse {
            values.reverse();
        }
        for (all, state) in finals.iter_mut().zip(states) {
            all.push(state);
        }
        joined(&values, 1)
    }
}

/// How PyTorch ends a parameter's name: `l0`, `l1_reverse`.
fn suffix(layer: usize, reverse: bool) -> String {
    format!("l{layer}{}", if reverse { "_reverse" } else { "" })
}

/// Tensors of one shape side by side along a new axis.
#[track_caller]
fn joined(tensors: &[Tensor], axis: isize) -> Tensor {
    noyau_tensor::stack(&tensors.iter().collect::<Vec<_>>(), axis)
}

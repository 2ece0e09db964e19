//! The recurrent layers as people use them.

use noyau_tensor::{Error, Init, Param, Tensor};

use super::Recurrent;
use super::cells::Cell;
use crate::{Mode, Module};

/// The simple recurrent layer: `h = tanh(W_ih x + b_ih + W_hh h + b_hh)` at each time step, `[batch, time, features] -> [batch, time, hidden * directions]`.
///
/// Batch first, unlike PyTorch's default. Names (`weight_ih_l0`, `bias_hh_l1_reverse`), shapes and initialisation (uniform in `[-1/sqrt(hidden),
/// 1/sqrt(hidden)]`) are those of PyTorch's `RNN`.
///
/// Source: Elman, "Finding structure in time", 1990.
#[derive(Clone, Debug)]
pub struct Rnn(Recurrent);

/// Long short-term memory: `[batch, time, features] -> [batch, time, hidden * directions]`, batch first, unlike PyTorch's default.
///
/// Names, shapes, initialisation and the order of the gates (input, forget, cell, output) are those of PyTorch's `LSTM`.
///
/// Source: Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers et al., "Learning to forget", 2000.
#[derive(Clone, Debug)]
pub struct Lstm(Recurrent);

/// The gated recurrent unit: `[batch, time, features] -> [batch, time, hidden * directions]`, batch first, unlike PyTorch's default.
///
/// Names, shapes, initialisation and the order of the gates (reset, update, new) are those of PyTorch's `GRU`; as there, the reset gate scales the
/// product with the recurrent weights, not the state before it.
///
/// Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.
#[derive(Clone, Debug)]
pub struct Gru(Recurrent);

macro_rules! common {
    ($($layer:ident($cell:expr, $name:literal);)*) => {$(
        impl $layer {
            /// One layer that takes `inputs` features and keeps `hidden`.
            #[track_caller]
            pub fn new(inputs: usize, hidden: usize) -> $layer {
                $layer(Recurrent::new($name, $cell, inputs, hidden))
            }

            /// With so many layers, each of which reads what the one before gives. Parameters are made anew.
            #[track_caller]
            pub fn num_layers(mut self, layers: usize) -> $layer {
                self.0.layers = layers;
                self.0.make();
                self
            }

            /// With a second set of weights in each layer that reads from the end; its values come after the others on the last axis. Parameters are
            /// made anew.
            #[track_caller]
            pub fn bidirectional(mut self) -> $layer {
                self.0.bidirectional = true;
                self.0.make();
                self
            }

            /// Without biases. Parameters are made anew.
            #[track_caller]
            pub fn without_bias(mut self) -> $layer {
                self.0.bias = false;
                self.0.make();
                self
            }

            /// With another initialisation of the parameters whose names begin with `name`: `.init("weight_hh", init::orthogonal(1.0))`. Later options
            /// that make parameters anew undo it.
            #[track_caller]
            pub fn init(mut self, name: &str, init: Init) -> $layer {
                let mut found = false;
                for (path, param) in self.0.parameters_mut() {
                    if path.starts_with(name) {
                        *param = Param::new(path, param.shape(), init.clone());
                        found = true;
                    }
                }
                if !found && self.0.problem.is_none() {
                    self.0.problem = Some(Error::argument($name, format!("no parameter's name begins with `{name}`")));
                }
                self
            }

            /// The parameters with their names, to be replaced: by one that another layer has, say.
            pub fn parameters_mut(&mut self) -> Vec<(String, &mut Param)> {
                self.0.parameters_mut()
            }

            /// With dropout of what each layer but the last gives.
            pub fn dropout(mut self, p: f64) -> $layer {
                self.0.dropout = p;
                self
            }
        }

        impl Module for $layer {
            /// The values at each time step, from states of zeros.
            #[track_caller]
            fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
                self.0.run(x, &[], mode).0
            }

            fn parameters(&self) -> Vec<(String, Param)> {
                self.0.parameters()
            }
        }
    )*};
}
common! {
    Rnn(Cell::Tanh, "Rnn");
    Lstm(Cell::Lstm, "Lstm");
    Gru(Cell::Gru, "Gru");
}

impl Rnn {
    /// With `max(.., 0)` in place of the tanh: PyTorch's `nonlinearity='relu'`.
    pub fn relu(mut self) -> Rnn {
        self.0.cell = Cell::Relu;
        self
    }

    /// The values at each time step, and the final state of each layer and direction, `[layers * directions, batch, hidden]`, which is also the shape of
    /// the initial state. Without one it is zeros.
    #[track_caller]
    pub fn run(&self, x: &Tensor, hidden: Option<&Tensor>, mode: &Mode) -> (Tensor, Tensor) {
        one(self.0.run(x, hidden.as_slice(), mode))
    }
}

impl Gru {
    /// The values at each time step, and the final state of each layer and direction, `[layers * directions, batch, hidden]`, which is also the shape of
    /// the initial state. Without one it is zeros.
    #[track_caller]
    pub fn run(&self, x: &Tensor, hidden: Option<&Tensor>, mode: &Mode) -> (Tensor, Tensor) {
        one(self.0.run(x, hidden.as_slice(), mode))
    }
}

impl Lstm {
    /// The values at each time step, and the final states of each layer and direction: what it says (hidden) and what it keeps (cell), each
    /// `[layers * directions, batch, hidden]`, which are also the shapes of the initial states. Without them they are zeros.
    #[track_caller]
    pub fn run(&self, x: &Tensor, states: Option<(&Tensor, &Tensor)>, mode: &Mode) -> (Tensor, (Tensor, Tensor)) {
        let (values, finals) = match states {
            Some((hidden, cell)) => self.0.run(x, &[hidden, cell], mode),
            None => self.0.run(x, &[], mode),
        };
        match &finals[..] {
            [hidden, cell] => (values, (hidden.clone(), cell.clone())),
            _ => (values.clone(), (values.clone(), values)),
        }
    }
}

/// The only final state.
fn one((values, finals): super::Run) -> (Tensor, Tensor) {
    let state = finals.into_iter().next().unwrap_or_else(|| values.clone());
    (values, state)
}

//! One time step of each kind of recurrent layer. Gates are in PyTorch's order.

use noyau_tensor::Tensor;

/// What makes the next state of the last and an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// `tanh(input + product)`.
    Tanh,
    /// `max(input + product, 0)`.
    Relu,
    /// Input, forget, cell and output gates.
    Lstm,
    /// Reset, update and new gates.
    Gru,
}

impl Cell {
    /// How many times `hidden` rows the weights have.
    pub(super) fn gates(self) -> usize {
        match self {
            Cell::Tanh | Cell::Relu => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }

    /// How many tensors go from step to step; the first is the result.
    pub(super) fn states(self) -> usize {
        match self {
            Cell::Tanh | Cell::Relu | Cell::Gru => 1,
            Cell::Lstm => 2,
        }
    }

    /// Whether the two biases are only ever used as their sum.
    pub(super) fn adds_biases(self) -> bool {
        match self {
            Cell::Tanh | Cell::Relu | Cell::Lstm => true,
            // The reset gate scales one and not the other.
            Cell::Gru => false,
        }
    }

    /// The next states: `input` is the projected input, `product` the last state's product with the recurrent weights, both `[batch, gates * hidden]`.
    #[track_caller]
    pub(super) fn next(self, input: &Tensor, product: &Tensor, states: &[Tensor], hidden: usize) -> Vec<Tensor> {
        match self {
            Cell::Tanh => vec![(input + product).tanh()],
            Cell::Relu => vec![(input + product).relu()],
            Cell::Lstm => {
                let all = input + product;
                let (write, keep) = (gate(&all, 0, hidden).sigmoid(), gate(&all, 1, hidden).sigmoid());
                let (new, read) = (gate(&all, 2, hidden).tanh(), gate(&all, 3, hidden).sigmoid());
                let cell = keep * &states[1] + write * new;
                vec![read * cell.tanh(), cell]
            }
            Cell::Gru => {
                let reset = (gate(input, 0, hidden) + gate(product, 0, hidden)).sigmoid();
                let update = (gate(input, 1, hidden) + gate(product, 1, hidden)).sigmoid();
                let new = (gate(input, 2, hidden) + reset * gate(product, 2, hidden)).tanh();
                // (1 - update) * new + update * state, with one product less.
                vec![&new + update * (&states[0] - &new)]
            }
        }
    }
}

/// The columns of one gate.
#[track_caller]
fn gate(all: &Tensor, index: usize, hidden: usize) -> Tensor {
    all.slice(-1, index * hidden..(index + 1) * hidden)
}

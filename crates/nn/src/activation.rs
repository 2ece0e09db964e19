//! Activations: functions of tensors, and the modules that apply them.

mod modules;

pub use modules::{Elu, Gelu, GeluTanh, LeakyRelu, LogSoftmax, Relu, Sigmoid, Sign, Silu, Softmax, Softplus, Step, Tanh};

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

use noyau_tensor::{DType, Tensor};

use crate::fault::number;

/// 1 where `x >= 0`, else 0, f32: the neuron that fires at a threshold. It has no derivative: no gradient flows through it.
///
/// Source: McCulloch and Pitts, "A logical calculus of the ideas immanent in nervous activity", 1943.
#[track_caller]
pub fn step(x: &Tensor) -> Tensor {
    x.ge(0.0).to(DType::F32)
}

/// -1 for negative elements, 1 for positive ones, 0 for 0. Its gradient is 0 everywhere.
#[track_caller]
pub fn sign(x: &Tensor) -> Tensor {
    x.sign()
}

/// The logistic function `1 / (1 + e^-x)`.
#[track_caller]
pub fn sigmoid(x: &Tensor) -> Tensor {
    x.sigmoid()
}

/// The hyperbolic tangent.
#[track_caller]
pub fn tanh(x: &Tensor) -> Tensor {
    x.tanh()
}

/// `max(x, 0)`; its gradient at 0 is 0.
#[track_caller]
pub fn relu(x: &Tensor) -> Tensor {
    x.relu()
}

/// `x` where it is positive, else `slope * x`; its gradient at 0 is `slope`, as in PyTorch.
#[track_caller]
pub fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    x.gt(0.0).where_(x, x * number(slope))
}

/// `x` where it is positive, else `alpha * (e^x - 1)`.
///
/// Source: Clevert et al., "Fast and accurate deep network learning by exponential linear units", ICLR 2016.
#[track_caller]
pub fn elu(x: &Tensor, alpha: f64) -> Tensor {
    let positive = x.gt(0.0);
    // What the exponential sees is limited to where it is wanted: elsewhere it would overflow, and infinity times 0 in its gradient is NaN.
    let exponential = positive.where_(0.0, x).expm1() * number(alpha);
    positive.where_(x, exponential)
}

/// `x * P(X <= x)` for a standard normal `X`: `x / 2 * (1 + erf(x / sqrt(2)))`.
///
/// Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016. PyTorch's default form.
#[track_caller]
pub fn gelu(x: &Tensor) -> Tensor {
    x * 0.5 * ((x * number(FRAC_1_SQRT_2)).erf() + 1.0)
}

/// [`gelu`] approximated as `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: PyTorch's `approximate='tanh'`, GPT-2's form.
#[track_caller]
pub fn gelu_tanh(x: &Tensor) -> Tensor {
    let inner = (x + x.square() * x * number(0.044715)) * number(FRAC_2_PI.sqrt());
    x * 0.5 * (inner.tanh() + 1.0)
}

/// `x * sigmoid(x)`, also called swish.
///
/// Source: Elfwing et al., "Sigmoid-weighted linear units for neural network function approximation", 2017.
#[track_caller]
pub fn silu(x: &Tensor) -> Tensor {
    x * x.sigmoid()
}

/// `log(1 + e^x)`, a smooth ReLU, written so that neither end overflows or loses digits: `max(x, 0) + log1p(e^-|x|)`.
#[track_caller]
pub fn softplus(x: &Tensor) -> Tensor {
    let positive = x.gt(0.0);
    positive.where_(x, 0.0) + log1p_exp_neg_abs(x, &positive)
}

/// `log1p(e^-|x|)`, where `positive` is `x > 0`. The choice, unlike `abs`, has the right derivative at 0 too, of every order.
#[track_caller]
pub(crate) fn log1p_exp_neg_abs(x: &Tensor, positive: &Tensor) -> Tensor {
    positive.where_(-x, x).exp().log1p()
}

/// `e^x / sum(e^x)` along an axis (negative counts from the end): positive numbers whose sum is 1.
#[track_caller]
pub fn softmax(x: &Tensor, axis: isize) -> Tensor {
    x.softmax(axis)
}

/// The logarithm of [`softmax`], accurate where that underflows.
#[track_caller]
pub fn log_softmax(x: &Tensor, axis: isize) -> Tensor {
    x.log_softmax(axis)
}

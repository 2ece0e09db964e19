//! The activations as modules, for [`Sequential`](crate::Sequential).

use noyau_tensor::Tensor;

use super::{elu, gelu, gelu_tanh, leaky_relu, log_softmax, relu, sigmoid, sign, silu, softmax, softplus, step, tanh};
use crate::mixed::wide;
use crate::{Mode, Module};

/// A function of several operations computed in f32 and rounded once, where its argument is a half.
#[track_caller]
fn in_f32(x: &Tensor, function: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let y = function(&wide(x));
    if x.dtype().is_half() { y.to(x.dtype()) } else { y }
}

macro_rules! modules {
    ($($(#[$doc:meta])* $name:ident => $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name;

        impl Module for $name {
            #[track_caller]
            fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
                in_f32(x, $function)
            }
        }
    )*};
}

modules! {
    /// [`step`] as a module.
    Step => step;
    /// [`sign`] as a module.
    Sign => sign;
    /// [`sigmoid`] as a module.
    Sigmoid => sigmoid;
    /// [`tanh`] as a module.
    Tanh => tanh;
    /// [`relu`] as a module.
    Relu => relu;
    /// [`gelu`] as a module.
    Gelu => gelu;
    /// [`gelu_tanh`] as a module.
    GeluTanh => gelu_tanh;
    /// [`silu`] as a module.
    Silu => silu;
    /// [`softplus`] as a module.
    Softplus => softplus;
}

macro_rules! modules_of_one_number {
    ($($(#[$doc:meta])* $name:ident($number:ty) => $function:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name(pub $number);

        impl Module for $name {
            #[track_caller]
            fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
                in_f32(x, |x| $function(x, self.0))
            }
        }
    )*};
}

modules_of_one_number! {
    /// [`leaky_relu`] with the slope of its negative side as a module; by default 0.01.
    LeakyRelu(f64) => leaky_relu;
    /// [`elu`] with its alpha as a module; by default 1.
    Elu(f64) => elu;
    /// [`softmax`] along an axis (negative counts from the end) as a module; by default the last.
    Softmax(isize) => softmax;
    /// [`log_softmax`] along an axis (negative counts from the end) as a module; by default the last.
    LogSoftmax(isize) => log_softmax;
}

impl Default for LeakyRelu {
    fn default() -> Self {
        LeakyRelu(0.01)
    }
}

impl Default for Elu {
    fn default() -> Self {
        Elu(1.0)
    }
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax(-1)
    }
}

impl Default for LogSoftmax {
    fn default() -> Self {
        LogSoftmax(-1)
    }
}

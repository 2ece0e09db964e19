//! Modules with parameters, and those that only change shapes.

mod attention;
mod convolution;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod padding;
mod pooling;
mod recurrent;
mod residual;
mod resize;
mod sequential;
mod transformer;

pub use attention::{
    AttentionMask, LearnedEncoding, MultiHeadAttention, SinusoidalEncoding, rotary, scaled_dot_product_attention, sinusoidal_encoding,
};
pub use convolution::{Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, PaddingMode};
pub use dropout::{Dropout, dropout};
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, InstanceNorm, LayerNorm, RmsNorm};
pub use padding::{
    CircularPad1d, CircularPad2d, ReflectionPad1d, ReflectionPad2d, ReplicationPad1d, ReplicationPad2d, ZeroPad1d, ZeroPad2d,
};
pub use pooling::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d, AvgPool2d, GlobalAvgPool, GlobalMaxPool,
    MaxPool1d, MaxPool2d,
};
pub use recurrent::{Gru, Lstm, Rnn};
pub use residual::Residual;
pub use resize::Upsample;
pub use sequential::Sequential;
pub use transformer::{TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer};

use noyau_tensor::{Error, Init, Param, Result, Shape, Tensor};

use crate::fault::fail;
use crate::{Mode, Module};

/// `[batch, d1, d2, ...]` to `[batch, d1 * d2 * ...]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Module for Flatten {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        if x.error().is_none() && x.rank() < 2 {
            return fail("Flatten", format!("the input {} has no axes after the batch axis", x.shape()));
        }
        x.flatten(1, -1)
    }
}

/// One axis (negative counts from the end) made several, of these sizes: `Unflatten::new(1, [3, 28, 28])` undoes [`Flatten`]. PyTorch's `Unflatten`.
#[derive(Clone, Debug, PartialEq)]
pub struct Unflatten {
    axis: isize,
    sizes: Shape,
}

impl Unflatten {
    /// For the axis and what becomes of it.
    pub fn new(axis: isize, sizes: impl Into<Shape>) -> Unflatten {
        Unflatten { axis, sizes: sizes.into() }
    }
}

impl Module for Unflatten {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        x.unflatten(self.axis, &self.sizes)
    }
}

/// A parameter, or the reason why there can be none of this shape: it has more elements than can be addressed.
#[track_caller]
fn parameter(layer: &str, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Param> {
    let shape = shape.into();
    match shape.checked_numel() {
        Some(_) => Ok(Param::new(name, shape, init)),
        None => Err(Error::argument(layer, format!("a {name} of shape {shape} has more elements than can be addressed"))),
    }
}

/// Stands for a parameter that cannot be, in a layer that carries the reason.
#[track_caller]
fn no_parameter(name: &str) -> Param {
    Param::new(name, [0], crate::init::zeros())
}

/// A tensor that carries the error when `x` carries one or is of no float type.
#[track_caller]
fn check_float(layer: &str, x: &Tensor) -> Result<(), Tensor> {
    match x.error() {
        Some(_) => Err(x.clone()),
        None if x.dtype().is_float() => Ok(()),
        None => Err(fail(layer, format!("the input is {}{}, not f32; convert it with .to(DType::F32)", x.dtype(), x.shape()))),
    }
}

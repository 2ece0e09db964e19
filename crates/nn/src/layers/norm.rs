//! Normalisation: features shifted and scaled to mean 0 and variance 1, over the batch, the features, groups of channels or single maps.
//!
//! The variance is that of the centred values, in two passes: `E[x^2] - E[x]^2` would lose its digits wherever the mean is large beside the deviation.

mod batch;
mod group;
mod layer;

pub use batch::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d};
pub use group::{GroupNorm, InstanceNorm};
pub use layer::{LayerNorm, RmsNorm};

use noyau_tensor::{Error, Param, Result, Tensor};

use super::{check_float, parameter};
use crate::fault::{not_negative, number};
use crate::init;

/// The weight (ones) and the bias (zeros) of a layer.
#[track_caller]
fn affine(layer: &str, shape: &[usize]) -> Result<(Option<Param>, Option<Param>)> {
    let weight = parameter(layer, "weight", shape, init::ones())?;
    let bias = parameter(layer, "bias", shape, init::zeros())?;
    Ok((Some(weight), Some(bias)))
}

/// What every `forward` here asks first: the layer makes sense, the input is f32, `eps` is a number that can be added to a variance.
#[track_caller]
fn check(layer: &str, problem: Option<&Error>, eps: f64, x: &Tensor) -> Result<(), Tensor> {
    if let Some(error) = problem {
        return Err(Tensor::invalid(error.clone()));
    }
    if let Err(error) = not_negative(&format!("{layer}: eps"), eps) {
        return Err(Tensor::invalid(error));
    }
    check_float(layer, x)
}

/// `x` less its mean over `axes`, and the variance over them (of the whole population), with the axes kept at size 1.
#[track_caller]
fn centred(x: &Tensor, axes: &[isize]) -> (Tensor, Tensor, Tensor) {
    let mean = x.mean_keep(axes);
    let centred = x - &mean;
    let variance = centred.square().mean_keep(axes);
    (centred, mean, variance)
}

/// `values / sqrt(variance + eps) * weight + bias`, weight and bias reshaped to `shape`, which broadcasts against the values.
#[track_caller]
fn scaled(values: &Tensor, variance: &Tensor, eps: f64, weight: Option<&Param>, bias: Option<&Param>, shape: &[usize]) -> Tensor {
    let scale = (variance + number(eps)).rsqrt();
    let mut result = match weight {
        Some(weight) => values * (scale * weight.reshape(shape)),
        None => values * scale,
    };
    if let Some(bias) = bias {
        result = result + bias.reshape(shape);
    }
    result
}

/// The name and value of each parameter that is there.
fn present(parameters: &[(&str, &Option<Param>)]) -> Vec<(String, Param)> {
    let mut found = Vec::new();
    for (name, param) in parameters {
        found.extend(param.as_ref().map(|param| (name.to_string(), param.clone())));
    }
    found
}

/// A vector of one number a channel, as it broadcasts against `[batch, channels, d1, d2, ..]` of this rank.
fn by_channel(channels: usize, rank: usize) -> Vec<usize> {
    let mut shape = vec![1; rank];
    shape[1] = channels;
    shape
}

/// Why `x` is not `[batch, channels, ..]` with so many channels and at least `least` axes.
fn channels_fault(x: &Tensor, channels: usize, least: usize) -> Option<String> {
    let layout = if least > 2 { "[batch, channels, d1, ..]" } else { "[batch, channels, ..]" };
    if x.rank() < least {
        return Some(format!("the input {} has {} axes; at least {least} are needed, {layout}", x.shape(), x.rank()));
    }
    let found = x.shape()[1];
    (found != channels).then(|| format!("the layer takes {channels} channels; the input {} has {found} on axis 1", x.shape()))
}

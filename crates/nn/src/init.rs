//! How parameters begin.
//!
//! Each function gives a [`noyau_tensor::Init`]. A random one draws from a generator of its own that uses nothing but exactly rounded arithmetic, so a
//! seed gives the same bits on every platform. The fans follow PyTorch's convention for weights `[out, in, d1, d2, ...]`: the inputs (outputs) that
//! one output (input) is connected to, `in * d1 * d2 * ...` and `out * d1 * d2 * ...`.

mod orthogonal;
mod random;

use std::sync::Arc;

use noyau_tensor::{Error, Init, Result, Scalar, Shape};

use crate::fault::{finite, not_negative};
use random::Random;

/// Which of a weight's two numbers of connections a scale is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fan {
    /// The inputs of an output: keeps the variance of values on the way forward.
    #[default]
    In,
    /// The outputs of an input: keeps the variance of gradients on the way back.
    Out,
}

/// 0 everywhere.
pub fn zeros() -> Init {
    constant(0.0)
}

/// 1 everywhere.
pub fn ones() -> Init {
    constant(1.0)
}

/// One value everywhere.
pub fn constant(value: f64) -> Init {
    Init::Full(Scalar::Float(value))
}

/// Uniform in `[low, high)`. An error when the session starts unless both are finite and `low <= high`.
pub fn uniform(low: f64, high: f64) -> Init {
    random(move |shape, random| {
        finite("init::uniform", low)?;
        finite("init::uniform", high)?;
        if low > high {
            return Err(Error::argument("init::uniform", format!("the lower bound {low} is above the upper bound {high}; swap them")));
        }
        Ok(uniform_values(shape, random, low, high))
    })
}

/// Normal with this mean and standard deviation. An error when the session starts unless both are finite and the deviation is at least 0.
pub fn normal(mean: f64, deviation: f64) -> Init {
    random(move |shape, random| {
        finite("init::normal: mean", mean)?;
        not_negative("init::normal: standard deviation", deviation)?;
        Ok(normal_values(shape, random, mean, deviation))
    })
}

/// Uniform in `[-b, b)` with `b = gain * sqrt(6 / (fan_in + fan_out))`; gain 1 suits linear and sigmoid units, 5/3 tanh.
///
/// Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
pub fn xavier_uniform(gain: f64) -> Init {
    random(move |shape, random| {
        let bound = xavier_deviation("init::xavier_uniform", shape, gain)? * 3f64.sqrt();
        Ok(uniform_values(shape, random, -bound, bound))
    })
}

/// Normal with mean 0 and standard deviation `gain * sqrt(2 / (fan_in + fan_out))`: [`xavier_uniform`]'s sister.
pub fn xavier_normal(gain: f64) -> Init {
    random(move |shape, random| {
        let deviation = xavier_deviation("init::xavier_normal", shape, gain)?;
        Ok(normal_values(shape, random, 0.0, deviation))
    })
}

/// Uniform in `[-b, b)` with `b = sqrt(6 / ((1 + slope^2) fan))`, for layers followed by a leaky ReLU with this slope on its negative side; 0 for ReLU.
///
/// Source: He et al., "Delving deep into rectifiers", ICCV 2015. PyTorch's default for linear layers is `kaiming_uniform(sqrt(5), Fan::In)`.
pub fn kaiming_uniform(slope: f64, fan: Fan) -> Init {
    random(move |shape, random| {
        let bound = kaiming_deviation("init::kaiming_uniform", shape, slope, fan)? * 3f64.sqrt();
        Ok(uniform_values(shape, random, -bound, bound))
    })
}

/// Normal with mean 0 and standard deviation `sqrt(2 / ((1 + slope^2) fan))`: [`kaiming_uniform`]'s sister.
pub fn kaiming_normal(slope: f64, fan: Fan) -> Init {
    random(move |shape, random| {
        let deviation = kaiming_deviation("init::kaiming_normal", shape, slope, fan)?;
        Ok(normal_values(shape, random, 0.0, deviation))
    })
}

/// A random orthogonal matrix times `gain`: `[out, in * d1 * d2 * ...]` has orthonormal rows or, where it has more rows than columns, columns. Takes
/// time with the product of the larger and the square of the smaller of the two sizes.
///
/// Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014.
pub fn orthogonal(gain: f64) -> Init {
    random(move |shape, random| {
        finite("init::orthogonal: gain", gain)?;
        let (_, _) = fans("init::orthogonal", shape)?;
        let rows = shape.first().copied().unwrap_or(0);
        let columns = shape.numel().checked_div(rows).unwrap_or(0);
        Ok(orthogonal::matrix(rows, columns, random).into_iter().map(|v| (gain * v) as f32).collect())
    })
}

fn random(draw: impl Fn(&Shape, &mut Random) -> Result<Vec<f32>> + Send + Sync + 'static) -> Init {
    Init::Random(Arc::new(move |shape, seed| draw(shape, &mut Random::new(seed))))
}

fn uniform_values(shape: &Shape, random: &mut Random, low: f64, high: f64) -> Vec<f32> {
    (0..shape.numel()).map(|_| below((low + random.unit() * (high - low)) as f32, low, high)).collect()
}

/// `value`, but where rounding has taken it to the upper bound, which does not belong to the range, the lower one.
fn below(value: f32, low: f64, high: f64) -> f32 {
    if f64::from(value) >= high { low as f32 } else { value }
}

fn normal_values(shape: &Shape, random: &mut Random, mean: f64, deviation: f64) -> Vec<f32> {
    (0..shape.numel()).map(|_| (mean + deviation * random.normal()) as f32).collect()
}

/// The fans of a weight `[out, in, d1, ...]`; an error for shapes of less than two axes, which have none.
fn fans(what: &str, shape: &Shape) -> Result<(f64, f64)> {
    let [outputs, inputs, window @ ..] = &shape[..] else {
        return Err(Error::argument(
            what,
            format!("a parameter of shape {shape} has no inputs and outputs; at least two axes are needed, [out, in, ..]"),
        ));
    };
    let window = window.iter().map(|&d| d as f64).product::<f64>();
    Ok((*inputs as f64 * window, *outputs as f64 * window))
}

fn xavier_deviation(what: &str, shape: &Shape, gain: f64) -> Result<f64> {
    finite(what, gain)?;
    let (fan_in, fan_out) = fans(what, shape)?;
    // A weight without connections has no values either.
    Ok(gain.abs() * (2.0 / (fan_in + fan_out).max(1.0)).sqrt())
}

fn kaiming_deviation(what: &str, shape: &Shape, slope: f64, fan: Fan) -> Result<f64> {
    finite(what, slope)?;
    let (fan_in, fan_out) = fans(what, shape)?;
    let connections = match fan {
        Fan::In => fan_in,
        Fan::Out => fan_out,
    };
    Ok((2.0 / ((1.0 + slope * slope) * connections.max(1.0))).sqrt())
}

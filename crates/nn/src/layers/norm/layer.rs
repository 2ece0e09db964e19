//! Normalisation of each example by itself, over its last axes.

use noyau_tensor::{Error, Param, Shape, Tensor};

use super::super::parameter;
use super::{affine, centred, check, present, scaled};
use crate::fault::{fail, number};
use crate::mixed::wide;
use crate::{Mode, Module, init};

/// The last axes, of the given sizes, shifted and scaled to mean 0 and variance 1, then `* weight + bias`: `[.., normalised..] -> [.., normalised..]`.
///
/// Source: Ba, Kiros and Hinton, "Layer normalization", 2016. PyTorch's `LayerNorm`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Of the normalised axes' shape, ones to begin with.
    pub weight: Option<Param>,
    /// Of the normalised axes' shape, zeros to begin with.
    pub bias: Option<Param>,
    shape: Shape,
    eps: f64,
    problem: Option<Error>,
}

impl LayerNorm {
    /// A layer over the last axes, which have these sizes: `LayerNorm::new([512])`. eps is 1e-5.
    #[track_caller]
    pub fn new(normalized_shape: impl Into<Shape>) -> LayerNorm {
        let shape = normalized_shape.into();
        let problem = no_axes("LayerNorm", &shape);
        let (weight, bias, problem) = match affine("LayerNorm", &shape) {
            Ok((weight, bias)) => (weight, bias, problem),
            Err(error) => (None, None, Some(error)),
        };
        LayerNorm { weight, bias, shape, eps: 1e-5, problem }
    }

    /// With another number added to the variance before its root is taken.
    pub fn eps(mut self, eps: f64) -> LayerNorm {
        self.eps = eps;
        self
    }

    /// Without weight and bias: PyTorch's `elementwise_affine=False`.
    pub fn without_affine(mut self) -> LayerNorm {
        (self.weight, self.bias) = (None, None);
        self
    }

    /// Without a bias.
    pub fn without_bias(mut self) -> LayerNorm {
        self.bias = None;
        self
    }
}

impl Module for LayerNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        let x = &wide(x);
        if let Err(error) = check("LayerNorm", self.problem.as_ref(), self.eps, x) {
            return error;
        }
        let axes = match last_axes(x, &self.shape) {
            Ok(axes) => axes,
            Err(message) => return fail("LayerNorm", message),
        };
        let (centred, _, variance) = centred(x, &axes);
        scaled(&centred, &variance, self.eps, self.weight.as_ref(), self.bias.as_ref(), &self.shape)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        present(&[("weight", &self.weight), ("bias", &self.bias)])
    }
}

/// The last axes, of the given sizes, divided by their root mean square, then `* weight`: [`LayerNorm`] without the shift.
///
/// Source: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019. PyTorch's `RMSNorm`, whose default eps, 2^-23, this has too.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    /// Of the normalised axes' shape, ones to begin with.
    pub weight: Option<Param>,
    shape: Shape,
    eps: f64,
    problem: Option<Error>,
}

impl RmsNorm {
    /// A layer over the last axes, which have these sizes.
    #[track_caller]
    pub fn new(normalized_shape: impl Into<Shape>) -> RmsNorm {
        let shape = normalized_shape.into();
        let problem = no_axes("RmsNorm", &shape);
        let (weight, problem) = match parameter("RmsNorm", "weight", &shape, init::ones()) {
            Ok(weight) => (Some(weight), problem),
            Err(error) => (None, Some(error)),
        };
        RmsNorm { weight, shape, eps: f32::EPSILON.into(), problem }
    }

    /// With another number added to the mean square before its root is taken.
    pub fn eps(mut self, eps: f64) -> RmsNorm {
        self.eps = eps;
        self
    }

    /// Without a weight: PyTorch's `elementwise_affine=False`.
    pub fn without_affine(mut self) -> RmsNorm {
        self.weight = None;
        self
    }
}

impl Module for RmsNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        let x = &wide(x);
        if let Err(error) = check("RmsNorm", self.problem.as_ref(), self.eps, x) {
            return error;
        }
        let axes = match last_axes(x, &self.shape) {
            Ok(axes) => axes,
            Err(message) => return fail("RmsNorm", message),
        };
        let normalised = x * (x.square().mean_keep(&axes) + number(self.eps)).rsqrt();
        match &self.weight {
            Some(weight) => normalised * weight,
            None => normalised,
        }
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        present(&[("weight", &self.weight)])
    }
}

/// Why nothing can be normalised over axes of this shape.
fn no_axes(layer: &str, shape: &Shape) -> Option<Error> {
    (shape.rank() == 0 || shape.contains(&0)).then(|| {
        Error::argument(layer, format!("the normalised shape {shape} has no axes or no elements; give the sizes of the last axes"))
    })
}

/// The axes of `x` whose sizes are `shape`: its last ones.
fn last_axes(x: &Tensor, shape: &Shape) -> Result<Vec<isize>, String> {
    if x.shape().ends_with(shape) {
        Ok((1..=shape.rank() as isize).rev().map(|axis| -axis).collect())
    } else {
        Err(format!("the layer normalises the last axes, of shape {shape}; the input {} does not end with it", x.shape()))
    }
}

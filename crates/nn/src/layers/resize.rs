//! Other sizes of the same picture.

use noyau_tensor::{PerAxis, Tensor};

use super::check_float;
use crate::fault::fail;
use crate::{Mode, Module};

/// Each spatial axis of `[batch, channels, d1, ..]` resized: every element repeated (the default, any number of axes), or linearly between neighbours
/// (one or two axes). PyTorch's `Upsample` with modes `nearest`, `linear` and `bilinear`.
#[derive(Clone, Debug, PartialEq)]
pub struct Upsample {
    target: Target,
    linear: bool,
    align_corners: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Target {
    Times(PerAxis),
    Size(PerAxis),
}

impl Upsample {
    /// To so many times the size (one whole number, or one for each axis): PyTorch's `scale_factor`.
    pub fn new(scale: impl Into<PerAxis>) -> Upsample {
        Upsample { target: Target::Times(scale.into()), linear: false, align_corners: false }
    }

    /// To this size (one number, or one for each axis), which may be smaller too.
    pub fn to_size(size: impl Into<PerAxis>) -> Upsample {
        Upsample { target: Target::Size(size.into()), linear: false, align_corners: false }
    }

    /// Linearly between neighbours: PyTorch's mode `linear` for one axis, `bilinear` for two.
    pub fn linear(mut self) -> Upsample {
        self.linear = true;
        self
    }

    /// Linearly, with the centres of the outermost elements where they were, instead of their edges.
    pub fn align_corners(mut self) -> Upsample {
        (self.linear, self.align_corners) = (true, true);
        self
    }
}

impl Module for Upsample {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        if let Err(error) = check_float("Upsample", x) {
            return error;
        }
        if x.rank() < 3 {
            return fail("Upsample", format!("the input {} is not [batch, channels, d1, ..]", x.shape()));
        }
        let rank = x.rank() - 2;
        let resolved = match &self.target {
            Target::Times(times) => times
                .resolve(rank, "scale")
                .map(|each| x.shape()[2..].iter().zip(each).map(|(&n, times)| n.saturating_mul(times)).collect()),
            Target::Size(size) => size.resolve(rank, "size"),
        };
        let sizes: Vec<usize> = match resolved {
            Ok(sizes) => sizes,
            Err(message) => return fail("Upsample", message),
        };
        match (self.linear, &sizes[..]) {
            (false, _) => x.upsample_nearest(&sizes),
            (true, &[size]) => x.upsample_linear(size, self.align_corners),
            (true, &[height, width]) => x.upsample_bilinear([height, width], self.align_corners),
            (true, _) => fail("Upsample", format!("the input {} has {rank} spatial axes; linear resizing is there for 1 and 2", x.shape())),
        }
    }
}

//! Normalisation of each example by itself, over groups of channels or single channels.

use noyau_tensor::{Error, Param, Tensor};

use super::{affine, by_channel, centred, channels_fault, check, present, scaled};
use crate::fault::fail;
use crate::mixed::wide;
use crate::{Mode, Module};

/// The channels (axis 1) of each example in groups of neighbours, each group shifted and scaled to mean 0 and variance 1 over its channels and all later
/// axes, then `* weight + bias` by channel: `[batch, channels, ..]`.
///
/// Source: Wu and He, "Group normalization", ECCV 2018. PyTorch's `GroupNorm`.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// `[channels]`, ones to begin with.
    pub weight: Option<Param>,
    /// `[channels]`, zeros to begin with.
    pub bias: Option<Param>,
    groups: usize,
    channels: usize,
    eps: f64,
    problem: Option<Error>,
}

impl GroupNorm {
    /// A layer of so many groups for so many channels, which they must divide. eps is 1e-5.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> GroupNorm {
        let divides = groups > 0 && channels.is_multiple_of(groups);
        let problem = (!divides).then(|| {
            Error::argument("GroupNorm", format!("{channels} channels do not divide into {groups} groups; take a number that divides them"))
        });
        let (weight, bias, problem) = match affine("GroupNorm", &[channels]) {
            Ok((weight, bias)) => (weight, bias, problem),
            Err(error) => (None, None, Some(error)),
        };
        GroupNorm { weight, bias, groups, channels, eps: 1e-5, problem }
    }

    /// With another number added to the variance before its root is taken.
    pub fn eps(mut self, eps: f64) -> GroupNorm {
        self.eps = eps;
        self
    }

    /// Without weight and bias: PyTorch's `affine=False`.
    pub fn without_affine(mut self) -> GroupNorm {
        (self.weight, self.bias) = (None, None);
        self
    }
}

impl Module for GroupNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        let x = &wide(x);
        if let Err(error) = check("GroupNorm", self.problem.as_ref(), self.eps, x) {
            return error;
        }
        if let Some(message) = channels_fault(x, self.channels, 2) {
            return fail("GroupNorm", message);
        }
        let (batch, after) = (x.shape()[0], x.shape()[2..].iter().product::<usize>());
        let by_group = [batch, self.groups, self.channels / self.groups, after];
        let (centred, _, variance) = centred(&x.reshape(by_group), &[2, 3]);
        let shape = [self.groups, self.channels / self.groups, 1];
        scaled(&centred, &variance, self.eps, self.weight.as_ref(), self.bias.as_ref(), &shape).reshape(x.shape())
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        present(&[("weight", &self.weight), ("bias", &self.bias)])
    }
}

/// Each channel of each example shifted and scaled to mean 0 and variance 1 over all later axes: `[batch, channels, d1, ..]`. In training and in
/// evaluation alike; there are no running averages.
///
/// Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016. PyTorch's `InstanceNorm1d`, `2d` and `3d` without `track_running_stats`; as
/// there, weight and bias are optional and absent by default. A single value a channel is an error: it would always become 0.
#[derive(Clone, Debug)]
pub struct InstanceNorm {
    /// `[channels]`, ones to begin with.
    pub weight: Option<Param>,
    /// `[channels]`, zeros to begin with.
    pub bias: Option<Param>,
    channels: usize,
    eps: f64,
    problem: Option<Error>,
}

impl InstanceNorm {
    /// A layer for so many channels. eps is 1e-5.
    pub fn new(channels: usize) -> InstanceNorm {
        InstanceNorm { weight: None, bias: None, channels, eps: 1e-5, problem: None }
    }

    /// With a weight and a bias by channel: PyTorch's `affine=True`.
    #[track_caller]
    pub fn affine(mut self) -> InstanceNorm {
        match affine("InstanceNorm", &[self.channels]) {
            Ok((weight, bias)) => (self.weight, self.bias) = (weight, bias),
            Err(error) => self.problem = Some(error),
        }
        self
    }

    /// With another number added to the variance before its root is taken.
    pub fn eps(mut self, eps: f64) -> InstanceNorm {
        self.eps = eps;
        self
    }
}

impl Module for InstanceNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        let x = &wide(x);
        if let Err(error) = check("InstanceNorm", self.problem.as_ref(), self.eps, x) {
            return error;
        }
        if let Some(message) = channels_fault(x, self.channels, 3) {
            return fail("InstanceNorm", message);
        }
        let values: usize = x.shape()[2..].iter().product();
        if values < 2 {
            let message = format!("the input {} has {values} values a channel; at least 2 are needed, which have a variance", x.shape());
            return fail("InstanceNorm", message);
        }
        let axes: Vec<isize> = (2..x.rank() as isize).collect();
        let (centred, _, variance) = centred(x, &axes);
        let shape = by_channel(self.channels, x.rank());
        scaled(&centred, &variance, self.eps, self.weight.as_ref(), self.bias.as_ref(), &shape)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        present(&[("weight", &self.weight), ("bias", &self.bias)])
    }
}

//! Batch normalisation.

use noyau_tensor::{Error, Param, Result, Tensor};

use super::super::parameter;
use super::{affine, by_channel, centred, channels_fault, check, present, scaled};
use crate::fault::{fail, number};
use crate::mixed::wide;
use crate::{Mode, Module, init};

/// Each channel (axis 1) shifted and scaled to mean 0 and variance 1 over all other axes, then `* weight + bias`: `[batch, channels, ..]` of any rank
/// from 2.
///
/// In training the mean and the variance are those of the batch, and running averages of both are updated in the step: `running = (1 - momentum) *
/// running + momentum * batch`, with the batch's variance divided by `n - 1`, as in PyTorch. In evaluation the running averages are used instead. A
/// training batch with a single value a channel has no variance and is an error.
///
/// Source: Ioffe and Szegedy, "Batch normalization", ICML 2015. PyTorch's `BatchNorm1d`, `2d` and `3d`; its `num_batches_tracked` is here only when the
/// averages are [cumulative](BatchNorm::cumulative), since nothing else reads it.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// `[channels]`, ones to begin with.
    pub weight: Option<Param>,
    /// `[channels]`, zeros to begin with.
    pub bias: Option<Param>,
    /// `[channels]`, zeros to begin with; a buffer.
    pub running_mean: Option<Param>,
    /// `[channels]`, ones to begin with; a buffer.
    pub running_var: Option<Param>,
    /// The number of training batches so far, a scalar of f32; a buffer, only where the averages are cumulative.
    pub num_batches_tracked: Option<Param>,
    channels: usize,
    momentum: f64,
    eps: f64,
    problem: Option<Error>,
}

/// [`BatchNorm`] under PyTorch's name for `[batch, channels]` and `[batch, channels, length]`.
pub type BatchNorm1d = BatchNorm;
/// [`BatchNorm`] under PyTorch's name for `[batch, channels, height, width]`.
pub type BatchNorm2d = BatchNorm;
/// [`BatchNorm`] under PyTorch's name for `[batch, channels, depth, height, width]`.
pub type BatchNorm3d = BatchNorm;

impl BatchNorm {
    /// A layer for `channels` channels, with eps 1e-5 and momentum 0.1.
    #[track_caller]
    pub fn new(channels: usize) -> BatchNorm {
        let mut layer = BatchNorm {
            weight: None,
            bias: None,
            running_mean: None,
            running_var: None,
            num_batches_tracked: None,
            channels,
            momentum: 0.1,
            eps: 1e-5,
            problem: None,
        };
        match BatchNorm::made(channels) {
            Ok([weight, bias, mean, variance]) => {
                (layer.weight, layer.bias, layer.running_mean, layer.running_var) = (weight, bias, mean, variance);
            }
            Err(error) => layer.problem = Some(error),
        }
        layer
    }

    #[track_caller]
    fn made(channels: usize) -> Result<[Option<Param>; 4]> {
        let (weight, bias) = affine("BatchNorm", &[channels])?;
        let mean = parameter("BatchNorm", "running_mean", [channels], init::zeros())?;
        let variance = parameter("BatchNorm", "running_var", [channels], init::ones())?;
        Ok([weight, bias, Some(mean), Some(variance)])
    }

    /// With another share of the batch in the running averages, in `0..=1`.
    pub fn momentum(mut self, momentum: f64) -> BatchNorm {
        self.momentum = momentum;
        self
    }

    /// With another number added to the variance before its root is taken.
    pub fn eps(mut self, eps: f64) -> BatchNorm {
        self.eps = eps;
        self
    }

    /// Without weight and bias: PyTorch's `affine=False`.
    pub fn without_affine(mut self) -> BatchNorm {
        (self.weight, self.bias) = (None, None);
        self
    }

    /// Without running averages: the batch's own mean and variance are used in evaluation too. PyTorch's `track_running_stats=False`.
    pub fn without_running_stats(mut self) -> BatchNorm {
        (self.running_mean, self.running_var, self.num_batches_tracked) = (None, None, None);
        self
    }

    /// With plain averages of all training batches instead of moving ones: PyTorch's `momentum=None`. They are counted in a buffer.
    #[track_caller]
    pub fn cumulative(mut self) -> BatchNorm {
        self.num_batches_tracked = Some(Param::scalar("num_batches_tracked", 0.0));
        self
    }

    /// Notes the next running averages.
    #[track_caller]
    fn update(&self, mode: &Mode, mean: &Tensor, variance: &Tensor, count: usize) {
        let share = match &self.num_batches_tracked {
            Some(tracked) => {
                let next = mode.value(tracked) + 1.0;
                mode.update(tracked, next.clone());
                1.0 / next
            }
            None => number(self.momentum),
        };
        // The running variance is an estimate for data that the layer has not seen.
        let unbiased = variance * number(count as f64 / (count as f64 - 1.0));
        for (running, batch) in [(&self.running_mean, mean), (&self.running_var, &unbiased)] {
            if let Some(running) = running {
                let before = mode.value(running);
                let batch = batch.detach().reshape([self.channels]);
                mode.update(running, &before * (1.0 - &share) + batch * &share);
            }
        }
    }
}

impl Module for BatchNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let x = &wide(x);
        if let Err(error) = check("BatchNorm", self.problem.as_ref(), self.eps, x) {
            return error;
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Tensor::invalid(Error::argument("BatchNorm: momentum", format!("{} does not lie in 0..=1", self.momentum)));
        }
        if let Some(message) = channels_fault(x, self.channels, 2) {
            return fail("BatchNorm", message);
        }
        let shape = by_channel(self.channels, x.rank());
        if let (false, Some(mean), Some(variance)) = (mode.is_training(), &self.running_mean, &self.running_var) {
            let centred = x - mean.reshape(&shape[..]);
            return scaled(&centred, &variance.reshape(&shape[..]), self.eps, self.weight.as_ref(), self.bias.as_ref(), &shape);
        }
        let count = x.numel().checked_div(self.channels).unwrap_or(0);
        if mode.is_training() && count < 2 && self.channels > 0 {
            let message = format!("the input {} has {count} values a channel; training needs at least 2, which have a variance", x.shape());
            return fail("BatchNorm", message);
        }
        let axes: Vec<isize> = (0..x.rank() as isize).filter(|&axis| axis != 1).collect();
        let (centred, mean, variance) = centred(x, &axes);
        if mode.is_training() {
            self.update(mode, &mean, &variance, count);
        }
        scaled(&centred, &variance, self.eps, self.weight.as_ref(), self.bias.as_ref(), &shape)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        present(&[("weight", &self.weight), ("bias", &self.bias)])
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        present(&[
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_var),
            ("num_batches_tracked", &self.num_batches_tracked),
        ])
    }
}

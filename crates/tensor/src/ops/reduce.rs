//! Sums and their kin over axes. `axes: &[]` means all axes; axes count from the end when negative and are removed from the result.

use std::panic::Location as CallerLocation;

use super::{axes_of, axis_of};
use crate::{DType, Op, ReduceOp, Scalar, Shape, Tensor};

impl Tensor {
    #[track_caller]
    fn reduce(&self, op: ReduceOp, axes: &[isize]) -> Tensor {
        let location = CallerLocation::caller();
        let all: Vec<isize> = (0..self.rank() as isize).collect();
        let rule = axes_of(if axes.is_empty() { &all } else { axes }, self.shape());
        let axes = match rule {
            Ok(axes) => axes,
            Err(message) if self.error().is_none() => return Tensor::fail(op.name(), message, location),
            Err(_) => return self.clone(),
        };
        if self.error().is_some() || axes.is_empty() {
            return self.clone();
        }
        if self.dtype() == DType::Bool {
            return Tensor::fail(op.name(), "not defined for bool; convert with .to(DType) first", location);
        }
        if matches!(op, ReduceOp::Max | ReduceOp::Min) && axes.iter().any(|&a| self.shape()[a] == 0) {
            return Tensor::fail(
                op.name(),
                format!("no element to choose from: an axis of {axes:?} of {} is empty; reduce axes that have elements", self.shape()),
                location,
            );
        }
        let shape: Shape = (0..self.rank()).filter(|i| !axes.contains(i)).map(|i| self.shape()[i]).collect();
        Tensor::apply(Op::Reduce(op, axes), vec![self.clone()], Ok((shape, self.dtype())), location)
    }

    /// This tensor, which has had `axes` of `shape` removed, with them back as axes of size 1, so that it broadcasts against the original.
    #[track_caller]
    pub(crate) fn keep_axes(&self, axes: &[isize], shape: &Shape) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let removed = axes_of(axes, shape).unwrap_or_default();
        self.reshape(shape.iter().enumerate().map(|(i, &d)| if axes.is_empty() || removed.contains(&i) { 1 } else { d }).collect::<Shape>())
    }

    /// The sum over all axes, a scalar.
    #[track_caller]
    pub fn sum(&self) -> Tensor {
        self.sum_axes(&[])
    }

    /// The sum over axes.
    #[track_caller]
    pub fn sum_axes(&self, axes: &[isize]) -> Tensor {
        self.reduce(ReduceOp::Sum, axes)
    }

    /// The sum over axes, which stay with size 1.
    #[track_caller]
    pub fn sum_keep(&self, axes: &[isize]) -> Tensor {
        self.sum_axes(axes).keep_axes(axes, self.shape())
    }

    /// The mean over all axes, a scalar. Floats only; of no elements it is NaN.
    #[track_caller]
    pub fn mean(&self) -> Tensor {
        self.mean_axes(&[])
    }

    /// The mean over axes.
    #[track_caller]
    pub fn mean_axes(&self, axes: &[isize]) -> Tensor {
        if self.error().is_none() && !self.dtype().is_float() {
            return Tensor::fail(
                "mean",
                format!("not defined for {}; convert with .to(DType::F32)", self.dtype()),
                CallerLocation::caller(),
            );
        }
        let sum = self.sum_axes(axes);
        let count = self.numel() as f64 / sum.numel().max(1) as f64;
        let inverse = if count == 0.0 { f64::NAN } else { 1.0 / count };
        sum.full_like(inverse) * sum
    }

    /// The mean over axes, which stay with size 1.
    #[track_caller]
    pub fn mean_keep(&self, axes: &[isize]) -> Tensor {
        self.mean_axes(axes).keep_axes(axes, self.shape())
    }

    /// The variance over axes: squared distances from the mean, divided by their number less `correction` (1: Bessel's, PyTorch's default; 0: of the whole population).
    #[track_caller]
    pub fn var(&self, axes: &[isize], correction: usize) -> Tensor {
        let sum = (self - self.mean_keep(axes)).square().sum_axes(axes);
        let count = self.numel() as f64 / sum.numel().max(1) as f64;
        let inverse = if count <= correction as f64 { f64::NAN } else { 1.0 / (count - correction as f64) };
        sum.full_like(inverse) * sum
    }

    /// The product over axes.
    #[track_caller]
    pub fn prod(&self, axes: &[isize]) -> Tensor {
        self.reduce(ReduceOp::Prod, axes)
    }

    /// The largest element over axes; elements that tie share the gradient.
    #[track_caller]
    pub fn max(&self, axes: &[isize]) -> Tensor {
        self.reduce(ReduceOp::Max, axes)
    }

    /// The largest element over axes, which stay with size 1.
    #[track_caller]
    pub fn max_keep(&self, axes: &[isize]) -> Tensor {
        self.max(axes).keep_axes(axes, self.shape())
    }

    /// The smallest element over axes; elements that tie share the gradient.
    #[track_caller]
    pub fn min(&self, axes: &[isize]) -> Tensor {
        self.reduce(ReduceOp::Min, axes)
    }

    /// The smallest element over axes, which stay with size 1.
    #[track_caller]
    pub fn min_keep(&self, axes: &[isize]) -> Tensor {
        self.min(axes).keep_axes(axes, self.shape())
    }

    /// The place of the largest element along an axis, the first one if several are, u32.
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor {
        self.place_of(axis, Tensor::max_keep)
    }

    /// The place of the smallest element along an axis, the first one if several are, u32.
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor {
        self.place_of(axis, Tensor::min_keep)
    }

    #[track_caller]
    fn place_of(&self, axis: isize, extreme: fn(&Tensor, &[isize]) -> Tensor) -> Tensor {
        let found = match axis_of(axis, self.shape()) {
            Ok(index) => index,
            Err(message) if self.error().is_none() => return Tensor::fail("argmax", message, CallerLocation::caller()),
            Err(_) => return self.clone(),
        };
        let value = extreme(&self.detach(), &[axis]);
        let last = (self.shape()[found] as f64 - 1.0).max(0.0);
        let places = Tensor::iota(self.shape(), axis);
        let nowhere = Tensor::full(self.shape(), Scalar::new(last, DType::U32));
        self.detach().eq(value).where_(&places, nowhere).min(&[axis])
    }

    /// `log(sum(exp(x)))` over axes, which stay with size 1, without overflow: the largest element is taken out first.
    #[track_caller]
    pub fn logsumexp_keep(&self, axes: &[isize]) -> Tensor {
        // The result does not depend on the shift, so no gradient needs to flow through it.
        let shift = self.detach().max_keep(axes);
        (self - &shift).exp().sum_keep(axes).log() + shift
    }

    /// `exp(x) / sum(exp(x))` along an axis.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Tensor {
        let shift = self.detach().max_keep(&[axis]);
        let exp = (self - shift).exp();
        &exp / exp.sum_keep(&[axis])
    }

    /// The logarithm of [`Tensor::softmax`], accurate where that underflows.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Tensor {
        let shifted = self - self.detach().max_keep(&[axis]);
        let log_sum = shifted.exp().sum_keep(&[axis]).log();
        shifted - log_sum
    }
}

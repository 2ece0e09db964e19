//! Lengths and distances, spread, and questions about all elements.

use std::panic::Location as CallerLocation;

use crate::{DType, Tensor};

/// Lengths.
impl Tensor {
    /// The Euclidean length of all elements, a scalar: the root of the sum of their squares. Its gradient at 0 is 0.
    #[track_caller]
    pub fn norm(&self) -> Tensor {
        self.vector_norm(2.0, &[])
    }

    /// The `p`-norm over axes (none named: over all; negative counts from the end), `(sum |x|^p)^(1/p)`: PyTorch's `linalg.vector_norm`.
    /// `p` infinite is the largest magnitude, minus infinite the smallest, 0 the number of elements that are not 0. Where the norm is 0 its
    /// gradient is 0, as in PyTorch. The powers are those of the elements as they are: an element beyond 1.8e19 overflows when squared.
    #[track_caller]
    pub fn vector_norm(&self, p: f64, axes: &[isize]) -> Tensor {
        let location = CallerLocation::caller();
        if let Some(mistake) = self.not_float("vector_norm") {
            return mistake;
        }
        if p.is_nan() {
            return Tensor::fail("vector_norm", "p is NaN", location);
        }
        if p == 2.0 {
            self.square().sum_axes(axes).sqrt_or_zero()
        } else if p == 1.0 {
            self.abs().sum_axes(axes)
        } else if p == f64::INFINITY {
            self.abs().max(axes)
        } else if p == f64::NEG_INFINITY {
            self.abs().min(axes)
        } else if p == 0.0 {
            self.ne(0.0).to(DType::F32).sum_axes(axes)
        } else {
            let zero = self.eq(0.0);
            // Below 1 the power has no slope at 0, above 1 it is 0 there: 0 as its gradient is right or as good as any.
            let powers = zero.where_(1.0, self).abs().pow(self.number(p));
            let nothing = if p > 0.0 { 0.0 } else { f32::INFINITY };
            let sum = zero.where_(nothing, powers).sum_axes(axes);
            let flat = sum.eq(0.0).logical_or(sum.isinf());
            // What a sum of 0 or infinity becomes depends on the sign of p, and has no slope.
            flat.where_(sum.detach().pow(self.number(1.0 / p)), flat.where_(1.0, &sum).pow(self.number(1.0 / p)))
        }
    }

    /// [`Tensor::vector_norm`] over axes that stay with size 1.
    #[track_caller]
    pub fn vector_norm_keep(&self, p: f64, axes: &[isize]) -> Tensor {
        self.vector_norm(p, axes).keep_axes(axes, self.shape())
    }

    /// The elements divided by their `p`-norm along an axis (negative counts from the end), or by `eps` where that is larger: PyTorch's
    /// `functional.normalize`, whose defaults are `p` 2 and `eps` 1e-12.
    #[track_caller]
    pub fn normalize(&self, p: f64, axis: isize, eps: f32) -> Tensor {
        self / self.vector_norm_keep(p, &[axis]).clamp_min(eps)
    }

    /// The cosine of the angle between vectors along an axis (negative counts from the end), which is removed; norms below `eps` (PyTorch:
    /// 1e-8) count as that. Shapes broadcast.
    #[track_caller]
    pub fn cosine_similarity(&self, other: &Tensor, axis: isize, eps: f32) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        let Some(shape) = self.shape().broadcast(other.shape()) else {
            let message = format!("shapes {} and {} do not broadcast", self.shape(), other.shape());
            return Tensor::fail("cosine_similarity", message, location);
        };
        // An axis from the front is meant in the shape that both broadcast to.
        let (a, b) = (self.expand(&shape), other.expand(shape));
        (a.normalize(2.0, axis, eps) * b.normalize(2.0, axis, eps)).sum_axes(&[axis])
    }

    /// The `p`-norm of `self - other + eps` along the last axis, which is removed: PyTorch's `pairwise_distance`, whose defaults are `p` 2
    /// and `eps` 1e-6. Shapes broadcast.
    #[track_caller]
    pub fn pairwise_distance(&self, other: &Tensor, p: f64, eps: f32) -> Tensor {
        (self - other + eps).vector_norm(p, &[-1])
    }

    /// The distance of every row to every row: `[batch.., m, k]` and `[batch.., n, k]` give the `p`-norms `[batch.., m, n]`; batch axes
    /// broadcast. The differences are taken one by one, which is exact where the squares' difference (`a^2 - 2ab + b^2`) loses digits: `m n
    /// k` operations in one kernel. The gradient at distance 0 is 0.
    #[track_caller]
    pub fn cdist(&self, other: &Tensor, p: f64) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        let (a, b) = (self.shape(), other.shape());
        if self.rank() < 2 || other.rank() < 2 || a[a.rank() - 1] != b[b.rank() - 1] {
            return Tensor::fail("cdist", format!("{a} and {b}: needs rows of one length, [.., m, k] and [.., n, k]"), location);
        }
        (self.unsqueeze(-2) - other.unsqueeze(-3)).vector_norm(p, &[-1])
    }
}

/// Spread.
impl Tensor {
    /// The standard deviation over axes: the root of [`Tensor::var`], with gradient 0 where it is 0.
    #[track_caller]
    pub fn std(&self, axes: &[isize], correction: usize) -> Tensor {
        self.var(axes, correction).sqrt_or_zero()
    }

    /// [`Tensor::var`] and the mean, over axes.
    #[track_caller]
    pub fn var_mean(&self, axes: &[isize], correction: usize) -> (Tensor, Tensor) {
        (self.var(axes, correction), self.mean_axes(axes))
    }

    /// [`Tensor::std`] and the mean, over axes.
    #[track_caller]
    pub fn std_mean(&self, axes: &[isize], correction: usize) -> (Tensor, Tensor) {
        (self.std(axes, correction), self.mean_axes(axes))
    }

    /// The smallest and the largest element over axes.
    #[track_caller]
    pub fn aminmax(&self, axes: &[isize]) -> (Tensor, Tensor) {
        (self.min(axes), self.max(axes))
    }

    /// `log(sum(exp(x)))` over axes, without overflow: the largest element is taken out first. Of minus infinities alone it is minus
    /// infinity, with an infinity among the elements infinity. An error where there is no element.
    #[track_caller]
    pub fn logsumexp(&self, axes: &[isize]) -> Tensor {
        match self.not_float("logsumexp") {
            Some(mistake) => mistake,
            None => {
                // The result does not depend on the shift; a finite one keeps infinities apart.
                let shift = self.detach().max(axes).clamp(f32::MIN, f32::MAX);
                (self - shift.keep_axes(axes, self.shape())).exp().sum_axes(axes).log() + shift
            }
        }
    }

    /// The sum over axes of what is not NaN; no gradient flows to a NaN.
    #[track_caller]
    pub fn nansum(&self, axes: &[isize]) -> Tensor {
        match self.not_float("nansum") {
            Some(mistake) => mistake,
            None => self.isnan().where_(0.0, self).sum_axes(axes),
        }
    }

    /// The mean over axes of what is not NaN; NaN where nothing is.
    #[track_caller]
    pub fn nanmean(&self, axes: &[isize]) -> Tensor {
        match self.not_float("nanmean") {
            Some(mistake) => mistake,
            None => {
                let nan = self.isnan();
                nan.where_(0.0, self).sum_axes(axes) / nan.logical_not().to(DType::F32).sum_axes(axes)
            }
        }
    }
}

/// Questions about all elements.
impl Tensor {
    /// The number of elements that are not 0 (bools: that are true) over axes, u32.
    #[track_caller]
    pub fn count_nonzero(&self, axes: &[isize]) -> Tensor {
        self.to(DType::Bool).to(DType::U32).sum_axes(axes)
    }

    /// Whether every element over axes is true, or other than 0, a bool; true of no elements.
    #[track_caller]
    pub fn all(&self, axes: &[isize]) -> Tensor {
        self.to(DType::Bool).logical_not().to(DType::U32).sum_axes(axes).eq(0u32)
    }

    /// Whether some element over axes is true, or other than 0, a bool; false of no elements.
    #[track_caller]
    pub fn any(&self, axes: &[isize]) -> Tensor {
        self.count_nonzero(axes).ne(0u32)
    }

    /// Whether two tensors of one shape have the same elements, a bool scalar; NaN equals nothing.
    #[track_caller]
    pub fn equal(&self, other: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        if self.error().is_none() && other.error().is_none() && self.shape() != other.shape() {
            return Tensor::fail("equal", format!("shapes {} and {} differ", self.shape(), other.shape()), location);
        }
        self.eq(other).all(&[])
    }

    /// Whether each element is among `values` (any shape), a bool. Every pair is compared.
    #[track_caller]
    pub fn isin(&self, values: &Tensor) -> Tensor {
        self.unsqueeze(-1).eq(values.reshape([values.numel()])).any(&[-1])
    }

    /// How often each of 0..`bins` occurs among the elements (u32 or i32, any shape), u32 `[bins]`; others are not counted. Every pair is
    /// compared.
    #[track_caller]
    pub fn bincount(&self, bins: usize) -> Tensor {
        let location = CallerLocation::caller();
        if self.error().is_none() && !self.dtype().is_int() {
            return Tensor::fail("bincount", format!("needs integers, not {}", self.dtype()), location);
        }
        let bin = Tensor::iota([bins, 1], 0).to(self.dtype());
        bin.eq(self.reshape([self.numel()])).to(DType::U32).sum_axes(&[-1])
    }
}

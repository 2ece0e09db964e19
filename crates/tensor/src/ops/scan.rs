//! Running sums, products, extremes: each element combined with those before it along an axis.
//!
//! There is no scan kernel. An axis is cut into chunks; within one, an element's prefix is a reduction over the chunk with what comes later
//! masked out, so that a chunk of `c` elements costs `c` operations an element, in one kernel; the chunks' totals are scanned the same way
//! and combined with each chunk. An axis of a million takes five levels. (The scheme of Blelloch, "Prefix sums and their applications",
//! 1990, with a wider tree.)

use std::panic::Location as CallerLocation;

use crate::{DType, ReduceOp, Scalar, Shape, Tensor};

/// The elements of a chunk.
const CHUNK: usize = 16;

impl Tensor {
    /// The sums of each element and those before it along an axis (negative counts from the end). Integers wrap. Of `n` elements `c = 16`
    /// are added in a row, then the sums of chunks, so the rounding error is at most `c log_c(n) 2^-24` of the sum of magnitudes: for a
    /// million elements 80 roundings, where adding one after the other makes a million.
    #[track_caller]
    pub fn cumsum(&self, axis: isize) -> Tensor {
        self.cumulative("cumsum", axis, ReduceOp::Sum)
    }

    /// The products of each element and those before it along an axis (negative counts from the end). Integers wrap. Value and gradient are
    /// right for zeros and negative elements.
    #[track_caller]
    pub fn cumprod(&self, axis: isize) -> Tensor {
        self.cumulative("cumprod", axis, ReduceOp::Prod)
    }

    /// The largest of each element and those before it along an axis (negative counts from the end), and its place, u32: of equals the
    /// last. From a NaN on the result is NaN. The gradient goes to the place.
    #[track_caller]
    pub fn cummax(&self, axis: isize) -> (Tensor, Tensor) {
        self.cumulative_extreme("cummax", axis, ReduceOp::Max)
    }

    /// The smallest of each element and those before it along an axis (negative counts from the end), and its place, u32: of equals the
    /// last. From a NaN on the result is NaN. The gradient goes to the place.
    #[track_caller]
    pub fn cummin(&self, axis: isize) -> (Tensor, Tensor) {
        self.cumulative_extreme("cummin", axis, ReduceOp::Min)
    }

    /// `log(cumsum(exp(x)))` along an axis (negative counts from the end) without overflow: the running maximum is taken out first.
    #[track_caller]
    pub fn logcumsumexp(&self, axis: isize) -> Tensor {
        if let Some(mistake) = self.not_float("logcumsumexp") {
            return mistake;
        }
        match self.scannable("logcumsumexp", axis) {
            Ok((x, index)) => x.scan_logsumexp().movedim(-1, index),
            Err(result) => result,
        }
    }

    /// The axis to scan as the last one, and its place; or the tensor to return at once: a mistake, or nothing to scan.
    #[track_caller]
    fn scannable(&self, op: &str, axis: isize) -> Result<(Tensor, isize), Tensor> {
        let location = CallerLocation::caller();
        let index = self.axis(op, axis)? as isize;
        if self.dtype() == DType::Bool {
            return Err(Tensor::fail(op, "not defined for bool; convert with .to(DType) first", location));
        }
        if self.numel() == 0 { Err(self.clone()) } else { Ok((self.movedim(index, -1), index)) }
    }

    #[track_caller]
    fn cumulative(&self, op: &str, axis: isize, which: ReduceOp) -> Tensor {
        match self.scannable(op, axis) {
            Ok((x, index)) => x.scan(which).movedim(-1, index),
            Err(result) => result,
        }
    }

    #[track_caller]
    fn cumulative_extreme(&self, op: &str, axis: isize, which: ReduceOp) -> (Tensor, Tensor) {
        let (x, index) = match self.detach().scannable(op, axis) {
            Ok(found) => found,
            Err(result) if result.error().is_some() => return (result.clone(), result),
            Err(_) => return (self.clone(), Tensor::full(self.shape(), Scalar::Uint(0))),
        };
        // Where a new extreme is found; the last such place so far is that of the running extreme.
        let found = x.eq(x.scan(which)).logical_or(x.isnan());
        let places = found.where_(Tensor::iota(x.shape(), -1), Tensor::full(x.shape(), Scalar::Uint(0)));
        let places = places.scan(ReduceOp::Max).movedim(-1, index);
        (self.gather(index, &places), places)
    }

    /// The scan of the last axis, which is not empty, by a reduction.
    #[track_caller]
    fn scan(&self, op: ReduceOp) -> Tensor {
        let n = self.shape()[self.rank() - 1];
        if n <= CHUNK {
            return self.scan_chunk(op);
        }
        let inner = self.in_chunks(if op == ReduceOp::Prod { 1.0 } else { 0.0 }).scan_chunk(op);
        let before = inner.select(-1, CHUNK - 1);
        let chunks = before.shape()[before.rank() - 1];
        let before = before.slice(-1, ..chunks - 1).scan(op);
        let combined = match op {
            ReduceOp::Sum => inner + before.after(0.0).unsqueeze(-1),
            ReduceOp::Prod => inner * before.after(1.0).unsqueeze(-1),
            // The first element is in every prefix, so it may stand for what comes before the first chunk.
            ReduceOp::Max => inner.maximum(before.after_first(self).unsqueeze(-1)),
            ReduceOp::Min => inner.minimum(before.after_first(self).unsqueeze(-1)),
        };
        combined.flatten(-2, -1).slice(-1, ..n)
    }

    /// The scan of the last axis in one reduction of its square.
    #[track_caller]
    fn scan_chunk(&self, op: ReduceOp) -> Tensor {
        let n = self.shape()[self.rank() - 1];
        let mask = Tensor::iota([n, n], 1).le(Tensor::iota([n, n], 0));
        let elements = self.unsqueeze(-2);
        match op {
            ReduceOp::Sum => mask.where_(elements, self.number(0.0)).sum_axes(&[-1]),
            ReduceOp::Prod => mask.where_(elements, self.number(1.0)).prod(&[-1]),
            // What is masked out is replaced by an element that takes part anyway: no infinity is needed.
            ReduceOp::Max => mask.where_(elements, self.unsqueeze(-1)).max(&[-1]),
            ReduceOp::Min => mask.where_(elements, self.unsqueeze(-1)).min(&[-1]),
        }
    }

    #[track_caller]
    fn scan_logsumexp(&self) -> Tensor {
        let n = self.shape()[self.rank() - 1];
        if n <= CHUNK {
            let mask = Tensor::iota([n, n], 1).le(Tensor::iota([n, n], 0));
            // The result does not depend on the shift; a finite one keeps infinities apart.
            let shift = self.detach().scan_chunk(ReduceOp::Max).clamp(f32::MIN, f32::MAX);
            // Masked before and after: an exponential that overflows where it is not wanted would put NaN into the gradient.
            let above = mask.where_(self.unsqueeze(-2) - shift.unsqueeze(-1), 0.0).exp();
            return mask.where_(above, 0.0).sum_axes(&[-1]).log() + shift;
        }
        let inner = self.in_chunks(0.0).scan_logsumexp();
        let before = inner.select(-1, CHUNK - 1);
        let chunks = before.shape()[before.rank() - 1];
        let before = before.slice(-1, ..chunks - 1).scan_logsumexp().after(0.0).unsqueeze(-1);
        let first = Tensor::iota([chunks, 1], 0).eq(0);
        first.where_(&inner, inner.logaddexp(before)).flatten(-2, -1).slice(-1, ..n)
    }

    /// The last axis as chunks, the last of them filled up with `value`.
    #[track_caller]
    fn in_chunks(&self, value: f32) -> Tensor {
        let n = self.shape()[self.rank() - 1];
        let chunks = n.div_ceil(CHUNK);
        let mut widths = vec![(0, 0); self.rank()];
        widths[self.rank() - 1].1 = chunks * CHUNK - n;
        self.pad(&widths, value).unflatten(-1, &[chunks, CHUNK])
    }

    /// The last axis with `value` before it.
    #[track_caller]
    fn after(&self, value: f32) -> Tensor {
        let mut widths = vec![(0, 0); self.rank()];
        widths[self.rank() - 1].0 = 1;
        self.pad(&widths, value)
    }

    /// The last axis with the first element of that of `other` before it.
    #[track_caller]
    fn after_first(&self, other: &Tensor) -> Tensor {
        let padded = self.after(0.0);
        let shape: Shape = [padded.shape()[padded.rank() - 1]].into();
        Tensor::iota(shape, 0).eq(0).where_(other.slice(-1, ..1), padded)
    }
}

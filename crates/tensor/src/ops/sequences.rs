//! Evenly spaced numbers, and random ones of other distributions.

use std::panic::Location as CallerLocation;

use crate::{DType, Scalar, Shape, Tensor};

impl Tensor {
    /// `count` numbers from `start` to `end`, both included, at equal distances, f32.
    #[track_caller]
    pub fn linspace(start: f64, end: f64, count: usize) -> Tensor {
        let location = CallerLocation::caller();
        if !(start.is_finite() && end.is_finite()) {
            return Tensor::fail("linspace", format!("from {start} to {end}: both must be finite"), location);
        }
        let place = Tensor::iota([count], 0);
        let step = if count > 1 { (end - start) / (count - 1) as f64 } else { 0.0 };
        // Each half from its own end, so that both ends are exact.
        let rising = place.to(DType::F32);
        let up = &rising * rising.number(step) + rising.number(start);
        let falling = (Tensor::iota([count], 0).flip(&[0])).to(DType::F32);
        let down = rising.number(end) - &falling * rising.number(step);
        place.lt(count.div_ceil(2) as u32).where_(up, down)
    }

    /// `base` to the powers [`Tensor::linspace`] gives, f32.
    #[track_caller]
    pub fn logspace(start: f64, end: f64, count: usize, base: f64) -> Tensor {
        let location = CallerLocation::caller();
        if !(base > 0.0 && base.is_finite()) {
            return Tensor::fail("logspace", format!("base {base}: must be positive and finite"), location);
        }
        let powers = Tensor::linspace(start, end, count);
        powers.full_like(base).pow(&powers)
    }

    /// `start`, `start + step`, ... as far as it is below `end` (above, for a negative step), f32: PyTorch's `arange` with three numbers.
    /// [`Tensor::arange`] has one.
    #[track_caller]
    pub fn arange_step(start: f64, end: f64, step: f64) -> Tensor {
        let location = CallerLocation::caller();
        let count = ((end - start) / step).ceil();
        if !(step != 0.0 && step.is_finite() && count.is_finite()) {
            return Tensor::fail("arange_step", format!("from {start} to {end} by {step}: must be finite, the step not 0"), location);
        }
        let places = Tensor::arange(count.max(0.0) as usize).to(DType::F32);
        &places * places.number(step) + places.number(start)
    }

    /// [`Tensor::rand`] of this tensor's shape.
    #[track_caller]
    pub fn rand_like(&self) -> Tensor {
        if self.error().is_some() { self.clone() } else { Tensor::rand(self.shape()) }
    }

    /// [`Tensor::randn`] of this tensor's shape.
    #[track_caller]
    pub fn randn_like(&self) -> Tensor {
        if self.error().is_some() { self.clone() } else { Tensor::randn(self.shape()) }
    }

    /// Normal with the given mean and standard deviation, f32.
    #[track_caller]
    pub fn normal(shape: impl Into<Shape>, mean: f32, std: f32) -> Tensor {
        Tensor::randn(shape) * std + mean
    }

    /// Whole numbers in `low..high`, i32, each as likely as another but for one part in `2^32 / (high - low)`. An error when there is none.
    #[track_caller]
    pub fn randint(shape: impl Into<Shape>, low: i32, high: i32) -> Tensor {
        let location = CallerLocation::caller();
        if low >= high {
            return Tensor::fail(
                "randint",
                format!("there is no whole number in {low}..{high}; the end must be above the start"),
                location,
            );
        }
        let bits = Tensor::random_bits(shape);
        let below = &bits % Tensor::full(Shape::scalar(), Scalar::Uint(high.wrapping_sub(low) as u32));
        below.to(DType::I32) + low
    }

    /// Exponential with the given rate, f32.
    #[track_caller]
    pub fn exponential(shape: impl Into<Shape>, rate: f32) -> Tensor {
        let location = CallerLocation::caller();
        if !(rate > 0.0 && rate.is_finite()) {
            return Tensor::fail("exponential", format!("rate {rate}: must be positive and finite"), location);
        }
        // 1 - u lies in (0, 1], so the logarithm is finite.
        (-Tensor::rand(shape)).log1p() * (-1.0 / rate)
    }

    /// For each row of the last axis, logits of classes, a class drawn with its softmax' probability, u32: PyTorch's
    /// `Categorical(logits).sample()`, or `multinomial` of one sample. The largest of the logits with Gumbel noise (Gumbel, "Statistical
    /// theory of extreme values", 1954); no gradient flows.
    #[track_caller]
    pub fn categorical(&self) -> Tensor {
        let location = CallerLocation::caller();
        match self.not_float("categorical") {
            Some(mistake) => mistake,
            None if self.rank() == 0 => Tensor::fail("categorical", "a scalar has no classes", location),
            None => {
                // -log(u) with u in (0, 1): the half keeps it above 0.
                let uniform = Tensor::rand(self.shape()) + 0.5f32.powi(25);
                (self - (-uniform.log()).log()).argmax(-1)
            }
        }
    }
}

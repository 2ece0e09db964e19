//! Random tensors: counter-based, so that they are the same on every device and need not be stored.

use std::f32::consts::TAU;
use std::panic::Location as CallerLocation;

use crate::tensor::unique_id;
use crate::{BinaryOp, DType, Location, Op, Scalar, Shape, Tensor, rng_seed, rng_step};

impl Tensor {
    /// 32 random bits an element, u32. Each call is a draw of its own; within a run of a step, uses of the same tensor see the same values,
    /// and each run sees new ones.
    #[track_caller]
    pub fn random_bits(shape: impl Into<Shape>) -> Tensor {
        Tensor::draw(shape.into(), CallerLocation::caller())
    }

    fn draw(shape: Shape, location: Location) -> Tensor {
        let Some(n) = shape.checked_numel().filter(|&n| u32::try_from(n).is_ok()) else {
            return Tensor::fail("random", format!("{shape} has more elements than one draw can number (2^32)"), location);
        };
        let index = Tensor::apply(Op::Iota(0), Vec::new(), Ok(([n].into(), DType::U32)), location).reshape(&shape);
        let inputs = vec![index, rng_step().broadcast_at(&shape, location), rng_seed().broadcast_at(&shape, location)];
        Tensor::apply(Op::Philox(unique_id()), inputs, Ok((shape, DType::U32)), location)
    }

    /// Uniform in `[0, 1)`, multiples of 2^-24, f32.
    #[track_caller]
    pub fn rand(shape: impl Into<Shape>) -> Tensor {
        let location = CallerLocation::caller();
        let bits = Tensor::draw(shape.into(), location);
        let eight = bits.full_like(8.0);
        let high = bits.binary(BinaryOp::Shr, &eight, location).to(DType::F32);
        let unit = high.full_like(1.0 / f64::from(1u32 << 24));
        high.binary(BinaryOp::Mul, &unit, location)
    }

    /// Uniform in `[low, high)`, f32.
    #[track_caller]
    pub fn uniform(shape: impl Into<Shape>, low: f32, high: f32) -> Tensor {
        Tensor::rand(shape) * (high - low) + low
    }

    /// Normal with mean 0 and standard deviation 1, f32, by the Box-Muller transform of two uniform draws.
    #[track_caller]
    pub fn randn(shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = ((1.0 - Tensor::rand(&shape)).log() * -2.0).sqrt();
        radius * (Tensor::rand(&shape) * TAU).cos()
    }

    /// True with probability `p`, independently, a bool. An error unless `0 <= p <= 1`.
    #[track_caller]
    pub fn bernoulli(shape: impl Into<Shape>, p: f32) -> Tensor {
        let location = CallerLocation::caller();
        if !(0.0..=1.0).contains(&p) {
            return Tensor::fail("bernoulli", format!("the probability {p} does not lie in 0..=1"), location);
        }
        let draw = Tensor::rand(shape);
        let limit = Tensor::full(draw.shape(), Scalar::Float(p.into()));
        draw.binary(BinaryOp::Lt, &limit, location)
    }
}

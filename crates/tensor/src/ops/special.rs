//! Functions of one or two elements that are composed from the primitives: trigonometric and hyperbolic functions and their inverses,
//! logarithms and powers to other bases, the complementary error function.
//!
//! Each is written so that f32 keeps its digits at both ends of the range; where that takes an approximation, its error is stated. Odd
//! functions take the magnitude by a choice, not by `abs`, whose gradient at 0 is 0: so theirs is right there too.

use std::f64::consts::{FRAC_PI_2, LN_2, LOG2_E, LOG10_E, PI};
use std::panic::Location as CallerLocation;

use super::Operand;
use crate::{Location, Scalar, Shape, Tensor};

/// `atan(sqrt(z)) / sqrt(z)` for `z` in 0..=1, constant term first: interpolated at the 11 Chebyshev nodes, relative error below 4.5e-10.
const ATAN: [f64; 11] = [
    0.999_999_999_553_537_6,
    -0.333_333_224_889_115_9,
    0.199_995_581_003_639_8,
    -0.142_785_760_248_079_84,
    0.110_507_712_758_496_81,
    -0.087_850_432_823_628_45,
    0.066_852_815_178_774_24,
    -0.043_928_410_733_267_46,
    0.021_912_945_865_448_392,
    -0.007_030_669_470_424_213,
    0.001_057_607_438_057_242,
];

/// `exp(x^2) erfc(x) / t` with `t = 2 / (2 + x)` for `x` in 0.5..=10.5, by powers of `(t - 0.48) / 0.32`, constant term first: interpolated
/// at the 10 Chebyshev nodes, relative error below 4.1e-9. (The variable is that of Press et al., "Numerical Recipes", 3rd edition 2007,
/// section 6.2.2.)
const ERFCX: [f64; 10] = [
    0.497_270_524_696_274_54,
    0.212_794_643_665_311_17,
    0.056_298_789_797_400_59,
    0.005_213_574_466_499_982,
    -0.001_689_106_434_672_224_3,
    -0.000_386_059_465_749_697_6,
    0.000_095_465_351_218_368_63,
    0.000_023_091_078_668_386_91,
    -0.000_007_022_896_539_684_323,
    -0.000_000_971_301_004_493_258_5,
];

impl Tensor {
    /// The error for a function of floats alone.
    #[track_caller]
    pub(crate) fn not_float(&self, op: &str) -> Option<Tensor> {
        self.not_float_at(op, CallerLocation::caller())
    }

    pub(crate) fn not_float_at(&self, op: &str, location: Location) -> Option<Tensor> {
        if self.error().is_some() {
            return Some(self.clone());
        }
        let message = format!("not defined for {}; convert with .to(DType::F32)", self.dtype());
        (!self.dtype().is_float()).then(|| Tensor::fail(op, message, location))
    }

    /// A number beside this tensor, of its type, unrounded in the oracle.
    #[track_caller]
    pub(crate) fn number(&self, value: f64) -> Tensor {
        Tensor::full(Shape::scalar(), Scalar::new(value, self.dtype()))
    }

    /// The polynomial with these coefficients, constant term first, by Horner's rule.
    #[track_caller]
    fn polynomial(&self, coefficients: &[f64]) -> Tensor {
        let mut sum: Option<Tensor> = None;
        for &c in coefficients.iter().rev() {
            sum = Some(match sum {
                None => self.number(c),
                Some(sum) => sum * self + self.number(c),
            });
        }
        sum.unwrap_or_else(|| self.zeros_like())
    }

    /// The tangent, of radians.
    #[track_caller]
    pub fn tan(&self) -> Tensor {
        match self.not_float("tan") {
            Some(mistake) => mistake,
            None => self.sin() / self.cos(),
        }
    }

    /// The arc tangent, in -pi/2..=pi/2: a polynomial for the smaller of `|x|` and `1 / |x|`, error below 3e-7 of the result.
    #[track_caller]
    pub fn atan(&self) -> Tensor {
        match self.not_float("atan") {
            Some(mistake) => mistake,
            None => {
                let negative = self.lt(0.0);
                let magnitude = negative.where_(-self, self);
                let steep = magnitude.gt(1.0);
                // The reciprocal sees what is above 1 alone: that of 0 would put infinity times 0 into the gradient.
                let small = steep.where_(steep.where_(&magnitude, 1.0).reciprocal(), &magnitude);
                let angle = &small * small.square().polynomial(&ATAN);
                let angle = steep.where_(self.number(FRAC_PI_2) - &angle, &angle);
                negative.where_(-&angle, &angle)
            }
        }
    }

    /// The angle of the point (`other`, `self`) seen from the origin, in -pi..=pi: PyTorch's `atan2(y, x)` as `y.atan2(x)`. Shapes
    /// broadcast. Zeros count as positive whatever their sign, so the angle of (-1, -0) is pi; of two infinities it is NaN. At the origin
    /// the angle and its gradient are 0.
    #[track_caller]
    pub fn atan2(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let x = other.beside(self, location);
        if let Some(mistake) = self.not_float("atan2").or_else(|| x.not_float_at("atan2", location)) {
            return mistake;
        }
        let (below, behind) = (self.lt(0.0), x.lt(0.0));
        let (height, width) = (below.where_(-self, self), behind.where_(-&x, &x));
        let steep = height.gt(&width);
        let longer = steep.where_(&height, &width);
        let ratio = steep.where_(&width, &height) / longer.eq(0.0).where_(1.0, &longer);
        let angle = &ratio * ratio.square().polynomial(&ATAN);
        let angle = steep.where_(self.number(FRAC_PI_2) - &angle, &angle);
        let angle = behind.where_(self.number(PI) - &angle, &angle);
        below.where_(-&angle, &angle)
    }

    /// The arc sine, in -pi/2..=pi/2; NaN outside of -1..=1.
    #[track_caller]
    pub fn asin(&self) -> Tensor {
        match self.not_float("asin") {
            Some(mistake) => mistake,
            // The factors of 1 - x^2 keep the digits that the square would lose near 1.
            None => self.atan2(((1.0 - self) * (1.0 + self)).sqrt()),
        }
    }

    /// The arc cosine, in 0..=pi; NaN outside of -1..=1.
    #[track_caller]
    pub fn acos(&self) -> Tensor {
        match self.not_float("acos") {
            Some(mistake) => mistake,
            None => (1.0 - self).sqrt().atan2((1.0 + self).sqrt()) * 2.0,
        }
    }

    /// The hyperbolic sine; infinite from 88.72 on, where `e^x` is (the true value leaves f32 at 89.42).
    #[track_caller]
    pub fn sinh(&self) -> Tensor {
        match self.not_float("sinh") {
            Some(mistake) => mistake,
            // Both terms have one sign, so nothing cancels.
            None => (self.expm1() - (-self).expm1()) * 0.5,
        }
    }

    /// The hyperbolic cosine; infinite from 88.72 on, where `e^x` is (the true value leaves f32 at 89.42).
    #[track_caller]
    pub fn cosh(&self) -> Tensor {
        match self.not_float("cosh") {
            Some(mistake) => mistake,
            None => (self.exp() + (-self).exp()) * 0.5,
        }
    }

    /// The inverse of [`Tensor::sinh`].
    #[track_caller]
    pub fn asinh(&self) -> Tensor {
        match self.not_float("asinh") {
            Some(mistake) => mistake,
            None => {
                let negative = self.lt(0.0);
                let magnitude = negative.where_(-self, self);
                // Beyond 1e9 the square could overflow, and log(2x) is right to the last digit.
                let large = magnitude.gt(1e9);
                let near = large.where_(1.0, &magnitude);
                let square = near.square();
                let near = (&near + &square / ((&square + 1.0).sqrt() + 1.0)).log1p();
                let far = large.where_(&magnitude, 1.0).log() + self.number(LN_2);
                let result = large.where_(far, near);
                negative.where_(-&result, &result)
            }
        }
    }

    /// The inverse of [`Tensor::cosh`] for `x >= 1`; NaN below.
    #[track_caller]
    pub fn acosh(&self) -> Tensor {
        match self.not_float("acosh") {
            Some(mistake) => mistake,
            None => {
                let large = self.gt(1e9);
                let above = large.where_(1.0, self - 1.0);
                let near = (&above + above.sqrt() * (&above + 2.0).sqrt()).log1p();
                let far = large.where_(self, 1.0).log() + self.number(LN_2);
                large.where_(far, near)
            }
        }
    }

    /// The inverse of [`Tensor::tanh`], for `|x| <= 1`; NaN outside.
    #[track_caller]
    pub fn atanh(&self) -> Tensor {
        match self.not_float("atanh") {
            Some(mistake) => mistake,
            None => {
                let negative = self.lt(0.0);
                let magnitude = negative.where_(-self, self);
                let result = (&magnitude * 2.0 / (1.0 - &magnitude)).log1p() * 0.5;
                negative.where_(-&result, &result)
            }
        }
    }

    /// `2^x`.
    #[track_caller]
    pub fn exp2(&self) -> Tensor {
        match self.not_float("exp2") {
            Some(mistake) => mistake,
            None => self.full_like(2.0).pow(self),
        }
    }

    /// The logarithm to base 2: that to base e times a constant, so that of a power of two may be off by a unit in the last place.
    #[track_caller]
    pub fn log2(&self) -> Tensor {
        match self.not_float("log2") {
            Some(mistake) => mistake,
            None => self.log() * self.number(LOG2_E),
        }
    }

    /// The logarithm to base 10: that to base e times a constant.
    #[track_caller]
    pub fn log10(&self) -> Tensor {
        match self.not_float("log10") {
            Some(mistake) => mistake,
            None => self.log() * self.number(LOG10_E),
        }
    }

    /// `log(e^a + e^b)` without overflow. Shapes broadcast.
    #[track_caller]
    pub fn logaddexp(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let other = other.beside(self, location);
        if let Some(mistake) = self.not_float("logaddexp").or_else(|| other.not_float_at("logaddexp", location)) {
            return mistake;
        }
        // Equal infinities differ by 0 here, not by NaN.
        let apart = self.eq(&other).where_(0.0, self - &other);
        self.maximum(&other) + (-apart.abs()).exp().log1p()
    }

    /// `x log(y)`, 0 where `x` is 0 whatever `y` is; there the gradient by `x` is `log(y)` where that is finite, else 0. Shapes broadcast.
    #[track_caller]
    pub fn xlogy(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let other = other.beside(self, location);
        if let Some(mistake) = self.not_float("xlogy").or_else(|| other.not_float_at("xlogy", location)) {
            return mistake;
        }
        // Where `y` has a logarithm, 0 times it is 0, and its slope is the logarithm.
        let sound = other.gt(0.0).logical_and(other.lt(f32::INFINITY));
        let nothing = self.eq(0.0).logical_and(sound.logical_not());
        nothing.where_(self * 0.0, self * nothing.where_(1.0, other).log())
    }

    /// `log(x / (1 - x))`, the inverse of [`Tensor::sigmoid`].
    #[track_caller]
    pub fn logit(&self) -> Tensor {
        match self.not_float("logit") {
            Some(mistake) => mistake,
            None => self.log() - (-self).log1p(),
        }
    }

    /// `sin(pi x) / (pi x)`, 1 at 0.
    #[track_caller]
    pub fn sinc(&self) -> Tensor {
        match self.not_float("sinc") {
            Some(mistake) => mistake,
            None => {
                let scaled = self * self.number(PI);
                let zero = scaled.eq(0.0);
                let safe = zero.where_(1.0, &scaled);
                zero.where_(1.0, safe.sin() / &safe)
            }
        }
    }

    /// `1 - erf(x)` without the cancellation: error below 1e-6 of the result as far as f32 has all its digits (`x` up to 9.2).
    #[track_caller]
    pub fn erfc(&self) -> Tensor {
        match self.not_float("erfc") {
            Some(mistake) => mistake,
            None => {
                let tail = self.gt(0.5);
                // e^(-x^2) doubles the rounding error of x^2 a hundred times over, so x is split: the square of the first part is exact.
                let x = tail.where_(self, 1.0).minimum(10.5);
                let coarse = ((x.detach() * 32.0).round() * (1.0 / 32.0)).detach();
                let bell = (-coarse.square()).exp() * (-((&x - &coarse) * (&x + &coarse))).exp();
                let t = 2.0 / (&x + 2.0);
                let scaled = ((&t - 0.48) * (1.0 / 0.32)).polynomial(&ERFCX);
                tail.where_(bell * t * scaled, 1.0 - self.erf())
            }
        }
    }

    /// Degrees of radians.
    #[track_caller]
    pub fn rad2deg(&self) -> Tensor {
        match self.not_float("rad2deg") {
            Some(mistake) => mistake,
            None => self * self.number(180.0 / PI),
        }
    }

    /// Radians of degrees.
    #[track_caller]
    pub fn deg2rad(&self) -> Tensor {
        match self.not_float("deg2rad") {
            Some(mistake) => mistake,
            None => self * self.number(PI / 180.0),
        }
    }

    /// `sqrt(x^2 + y^2)` without overflow on the way; its gradient at (0, 0) is 0. Shapes broadcast.
    #[track_caller]
    pub fn hypot(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let other = other.beside(self, location);
        if let Some(mistake) = self.not_float("hypot").or_else(|| other.not_float_at("hypot", location)) {
            return mistake;
        }
        // The result does not depend on the scale, so no gradient needs to flow through it.
        let scale = self.abs().maximum(other.abs()).clamp(f32::MIN_POSITIVE, f32::MAX).detach();
        ((self / &scale).square() + (other / &scale).square()).sqrt_or_zero() * scale
    }

    /// The square root, with gradient 0 at 0 instead of infinity: that of a length.
    #[track_caller]
    pub(crate) fn sqrt_or_zero(&self) -> Tensor {
        let zero = self.eq(0.0);
        zero.where_(0.0, zero.where_(1.0, self).sqrt())
    }
}

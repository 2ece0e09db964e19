//! Arithmetic by name that is composed from the operators: division and remainder toward minus infinity, parts of a number, mixtures, and
//! the questions whether a number is one.

use std::panic::Location as CallerLocation;

use super::Operand;
use crate::{BinaryOp, DType, Location, Scalar, Tensor};

/// The classes of a float, as the u32 that [`Tensor::kind`] gives.
const NAN: u32 = 0;
const INFINITE: u32 = u32::MAX;

/// Division and remainders.
impl Tensor {
    /// Both as tensors, and the error if they cannot stand beside each other in `op`.
    fn pair(&self, op: &str, other: impl Operand, location: Location) -> Result<Tensor, Tensor> {
        let other = other.beside(self, location);
        for t in [self, &other] {
            if t.error().is_some() {
                return Err(t.clone());
            }
        }
        if self.dtype() != other.dtype() {
            let message = format!("the operands' types {} and {} differ; convert one with .to(DType)", self.dtype(), other.dtype());
            return Err(Tensor::fail(op, message, location));
        }
        if self.dtype() == DType::Bool {
            return Err(Tensor::fail(op, "not defined for bool", location));
        }
        Ok(other)
    }

    /// The remainder with the divisor's sign, as Python's `%` and PyTorch's `remainder`; the operator `%` is C's `fmod`, with the
    /// dividend's sign. Of integers by 0 it is 0. Shapes broadcast.
    #[track_caller]
    pub fn remainder(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let other = match self.pair("remainder", other, location) {
            Ok(other) => other,
            Err(mistake) => return mistake,
        };
        let rest = self.binary(BinaryOp::Rem, &other, location);
        if self.dtype() == DType::U32 {
            return rest;
        }
        let zero = self.number(0.0);
        let astray = rest.ne(&zero).logical_and(rest.lt(&zero).logical_xor(other.lt(&zero)));
        astray.where_(&rest + &other, rest)
    }

    /// The remainder with the dividend's sign: the operator `%` by PyTorch's name.
    #[track_caller]
    pub fn fmod(&self, other: impl Operand) -> Tensor {
        self % other
    }

    /// The quotient rounded down, as Python's `//`: of floats a whole number (infinite or NaN where the quotient is), of integers by 0 it
    /// is 0. Its gradient is 0. Shapes broadcast.
    #[track_caller]
    pub fn floor_divide(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let other = match self.pair("floor_divide", other, location) {
            Ok(other) => other,
            Err(mistake) => return mistake,
        };
        let quotient = self.binary(BinaryOp::Div, &other, location);
        if self.dtype() == DType::U32 {
            return quotient;
        }
        let zero = self.number(0.0);
        let rest = self.binary(BinaryOp::Rem, &other, location);
        let astray = rest.ne(&zero).logical_and(rest.lt(&zero).logical_xor(other.lt(&zero)));
        if self.dtype().is_float() {
            // The quotient may be rounded up to a whole number that it does not reach; the dividend less the remainder is a multiple.
            let whole = ((self - rest) / &other).round();
            let down = astray.where_(&whole - 1.0, whole);
            return other.eq(0.0).where_(quotient.detach(), down);
        }
        astray.where_(&quotient - self.number(1.0), quotient)
    }
}

/// Parts of a number.
impl Tensor {
    /// The whole number next toward 0.
    #[track_caller]
    pub fn trunc(&self) -> Tensor {
        match self.not_float("trunc") {
            Some(mistake) => mistake,
            None => self.lt(0.0).where_(self.ceil(), self.floor()),
        }
    }

    /// What [`Tensor::trunc`] takes away, with the element's sign.
    #[track_caller]
    pub fn frac(&self) -> Tensor {
        match self.not_float("frac") {
            Some(mistake) => mistake,
            None => self - self.trunc(),
        }
    }

    /// To a number of decimals (negative: to tens, hundreds, ...), halves to the even one.
    #[track_caller]
    pub fn round_decimals(&self, decimals: i32) -> Tensor {
        let location = CallerLocation::caller();
        if !(-38..=38).contains(&decimals) {
            return Tensor::fail("round_decimals", format!("{decimals} decimals: f32 has powers of ten from -38 to 38"), location);
        }
        match self.not_float("round_decimals") {
            Some(mistake) => mistake,
            // Powers of ten up to 10 are exact in f32, their reciprocals are not.
            None if decimals >= 0 => (self * self.number(10f64.powi(decimals))).round() / self.number(10f64.powi(decimals)),
            None => (self / self.number(10f64.powi(-decimals))).round() * self.number(10f64.powi(-decimals)),
        }
    }

    /// 0 for negative elements, 1 for positive ones, `value` at 0, f32: PyTorch's `heaviside`. It has no gradient.
    #[track_caller]
    pub fn heaviside(&self, value: f32) -> Tensor {
        match self.not_float("heaviside") {
            Some(mistake) => mistake,
            None => self.eq(0.0).where_(value, self.gt(0.0).to(DType::F32)),
        }
    }
}

/// Mixtures.
impl Tensor {
    /// `self + weight * (end - self)`: this tensor at weight 0, `end` at 1. Shapes broadcast.
    #[track_caller]
    pub fn lerp(&self, end: &Tensor, weight: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let weight = weight.beside(self, location);
        self + weight * (end - self)
    }

    /// `self + value * a * b`. Shapes broadcast.
    #[track_caller]
    pub fn addcmul(&self, a: &Tensor, b: &Tensor, value: f32) -> Tensor {
        self + a * b * value
    }

    /// `self + value * a / b`. Shapes broadcast.
    #[track_caller]
    pub fn addcdiv(&self, a: &Tensor, b: &Tensor, value: f32) -> Tensor {
        self + a / b * value
    }

    /// Elements not below `low`; the gradient is 0 where the bound holds.
    #[track_caller]
    pub fn clamp_min(&self, low: impl Operand) -> Tensor {
        let low = low.beside(self, CallerLocation::caller());
        self.lt(&low).where_(low, self)
    }

    /// Elements not above `high`; the gradient is 0 where the bound holds.
    #[track_caller]
    pub fn clamp_max(&self, high: impl Operand) -> Tensor {
        let high = high.beside(self, CallerLocation::caller());
        self.gt(&high).where_(high, self)
    }
}

/// Whether a number is one. A GPU's compiler may take comparisons with NaN for settled, so these go by the conversion to integers, which
/// looks at the bits.
impl Tensor {
    /// A u32 for each element: [`NAN`], [`INFINITE`], or another for a finite one.
    #[track_caller]
    fn kind(&self) -> Tensor {
        // The largest f32 becomes less than 2^29, so only an infinity saturates; a NaN becomes 0.
        (self.detach().to(DType::F32).abs() * 2.0f32.powi(-100) + 1.0).to(DType::U32)
    }

    /// Whether the element is NaN, a bool; false for integers and bools.
    #[track_caller]
    pub fn isnan(&self) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        if !self.dtype().is_float() {
            return Tensor::full(self.shape(), Scalar::Bool(false));
        }
        self.kind().eq(NAN)
    }

    /// Whether the element is infinite, a bool; false for integers and bools.
    #[track_caller]
    pub fn isinf(&self) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        if !self.dtype().is_float() {
            return Tensor::full(self.shape(), Scalar::Bool(false));
        }
        self.kind().eq(INFINITE)
    }

    /// Whether the element is neither NaN nor infinite, a bool; true for integers and bools.
    #[track_caller]
    pub fn isfinite(&self) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        if !self.dtype().is_float() {
            return Tensor::full(self.shape(), Scalar::Bool(true));
        }
        let kind = self.kind();
        kind.ne(NAN).logical_and(kind.ne(INFINITE))
    }

    /// NaN replaced by `nan`, infinities by the largest and the least finite number; the gradient is 0 where an element was replaced.
    /// PyTorch's defaults are those of `x.nan_to_num(0.0)`.
    #[track_caller]
    pub fn nan_to_num(&self, nan: f32) -> Tensor {
        match self.not_float("nan_to_num") {
            Some(mistake) => mistake,
            None => {
                let kind = self.kind();
                let bound = self.gt(0.0).where_(self.number(f64::from(f32::MAX)), self.number(f64::from(f32::MIN)));
                kind.eq(NAN).where_(nan, kind.eq(INFINITE).where_(bound, self))
            }
        }
    }

    /// Whether `|self - other| <= atol + rtol * |other|`, a bool; PyTorch's defaults are `rtol` 1e-5 and `atol` 1e-8. Equal infinities are
    /// close, NaN is close to nothing. Shapes broadcast.
    #[track_caller]
    pub fn isclose(&self, other: impl Operand, rtol: f32, atol: f32) -> Tensor {
        let location = CallerLocation::caller();
        let other = other.beside(self, location);
        if let Some(mistake) = self.not_float("isclose").or_else(|| other.not_float_at("isclose", location)) {
            return mistake;
        }
        let within = (self - &other).abs().le(other.abs() * rtol + atol);
        self.eq(&other).logical_or(within.logical_and(other.isfinite()))
    }
}

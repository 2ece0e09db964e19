//! Numbers with room for rounding: everything that a device may make of an expression.
//!
//! An interval holds what real arithmetic gives, and all that f32 arithmetic may give instead: each operation widens it to the f32 on either side, or by the
//! accuracy that WGSL asks of a function (WGSL, "Accuracy of Concrete Floating Point Expressions") and noyau's own helpers have. Since the exact value is always
//! inside, so is what multiply-add in one rounding, or any other order, makes of it. Where a comparison is a matter of rounding, both answers are inside; an
//! index that hangs on it may be either. What WGSL leaves open (NaN, infinities, numbers too small to be normal) is left open here.
//! Integers, random numbers and what is only moved stay points: they have to be exact.
//!
//! Source of the method: Moore, "Interval Analysis", 1966.

mod functions;

use noyau_compile::scalar;
use noyau_tensor::DType;

pub(super) use functions::{binary, cast, unary};

/// One unit in the last place, relative to the number: its upper bound.
pub(super) const ULP: f64 = 1.0 / (1u64 << 23) as f64;
/// The least normal f32; smaller numbers may be taken for 0.
pub(super) const TINY: f64 = f32::MIN_POSITIVE as f64;

/// All numbers from `low` to `high`; [`Interval::ANY`] where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub low: f64,
    pub high: f64,
}

/// False, true, or either.
const EITHER: Interval = Interval { low: 0.0, high: 1.0 };

impl Interval {
    /// Any bits at all: what NaN makes, and everything that depends on it.
    pub const ANY: Interval = Interval { low: f64::NAN, high: f64::NAN };

    /// One number.
    pub fn point(x: f64) -> Interval {
        Interval { low: x, high: x }
    }

    /// What a stored word may be read as.
    pub fn of_word(word: u32, dtype: DType) -> Interval {
        let x = scalar::from_word(word, dtype);
        if dtype.is_float() { Interval::point(x).or_zero() } else { Interval::point(x) }
    }

    pub fn is_any(self) -> bool {
        self.low.is_nan() || self.high.is_nan()
    }

    fn is_point(self) -> bool {
        self.low == self.high
    }

    /// The number, if there is only one.
    pub fn exact(self) -> Option<f64> {
        self.is_point().then_some(self.low)
    }

    fn hull(self, other: Interval) -> Interval {
        if self.is_any() || other.is_any() {
            return Interval::ANY;
        }
        Interval { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// With 0 if there is a number in it so small that it may be taken for 0.
    fn or_zero(self) -> Interval {
        let small = self.low < TINY && self.high > -TINY;
        if small { Interval { low: self.low.min(0.0), high: self.high.max(0.0) } } else { self }
    }

    /// The f32 numbers around it: what rounding, in whichever direction, may make of it.
    pub fn rounded(self) -> Interval {
        if self.is_any() {
            return Interval::ANY;
        }
        let down = |x: f64| {
            let near = x as f32;
            f64::from(if f64::from(near) > x { near.next_down() } else { near })
        };
        Interval { low: down(self.low), high: -down(-self.high) }.or_zero()
    }

    /// Wider by an absolute amount on both sides.
    pub fn widened(self, by: f64) -> Interval {
        Interval { low: self.low - by, high: self.high + by }.rounded()
    }

    /// Wider by so many units in the last place.
    fn ulps(self, n: f64) -> Interval {
        if self.is_any() {
            return Interval::ANY;
        }
        let by = |x: f64| if x.is_finite() { x.abs() * n * ULP } else { 0.0 };
        Interval { low: self.low - by(self.low), high: self.high + by(self.high) }.rounded()
    }

    /// The greatest magnitude in it.
    pub fn magnitude(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// Whether a device may store these bits for it.
    pub fn allows(self, word: u32, dtype: DType) -> bool {
        if self.is_any() {
            return true;
        }
        let x = scalar::from_word(word, dtype);
        let most = dtype.max_finite();
        match dtype {
            // Beyond the largest number WGSL promises nothing, not even an infinity.
            DType::F32 | DType::F16 | DType::BF16 if self.high >= most || self.low <= -most => {
                x.is_nan() || (x >= self.low.min(most) && x <= self.high.max(-most)) || (x.is_infinite() && self.magnitude() >= most)
            }
            DType::F32 | DType::F16 | DType::BF16 => x >= self.low && x <= self.high,
            // The number must be one that the type holds, in the one way of writing it.
            DType::Bool => word <= 1 && x >= self.low && x <= self.high,
            DType::I32 | DType::U32 => x >= self.low && x <= self.high,
        }
    }

    /// A function that only rises: what becomes of both ends.
    fn rising(self, f: impl Fn(f64) -> f64) -> Interval {
        Interval { low: f(self.low), high: f(self.high) }
    }

    /// A function's values at both ends, in whichever order.
    fn monotone(self, f: impl Fn(f64) -> f64) -> Interval {
        Interval::point(f(self.low)).hull(Interval::point(f(self.high)))
    }

    /// A function of two values that is greatest and least at the ends.
    fn corners(self, other: Interval, f: impl Fn(f64, f64) -> f64) -> Interval {
        let mut result = Interval::point(f(self.low, other.low));
        for (a, b) in [(self.low, other.high), (self.high, other.low), (self.high, other.high)] {
            if self.is_point() && other.is_point() {
                break;
            }
            result = result.hull(Interval::point(f(a, b)));
        }
        result
    }
}

/// `condition ? a : b`.
pub(super) fn choose(condition: Interval, a: Interval, b: Interval) -> Interval {
    match condition.exact() {
        Some(0.0) => b,
        Some(_) => a,
        None => a.hull(b),
    }
}

#[cfg(test)]
mod tests {
    use noyau_tensor::{BinaryOp, UnaryOp};

    use super::functions::compare;
    use super::*;

    const F: DType = DType::F32;

    fn of(x: f32) -> Interval {
        Interval::point(x.into())
    }

    #[test]
    fn f32_arithmetic_is_inside_and_its_neighbours_beyond_are_not() {
        let (a, b) = (of(0.1), of(0.7));
        for (op, near) in [(BinaryOp::Add, 0.1f32 + 0.7), (BinaryOp::Sub, 0.1 - 0.7), (BinaryOp::Mul, 0.1 * 0.7)] {
            let found = binary(op, F, a, b);
            assert!(found.allows(near.to_bits(), F), "{op:?}: {found:?}");
            let far = [near.next_up().next_up(), near.next_down().next_down()];
            assert!(far.iter().all(|x| !found.allows(x.to_bits(), F)), "{op:?}: {found:?}");
        }
        // What f32 holds is exact, as WGSL has it.
        assert_eq!(binary(BinaryOp::Add, F, of(1.5), of(2.25)).exact(), Some(3.75));
        assert!(!binary(BinaryOp::Add, F, of(3.0), of(4.0)).allows(7.0f32.next_up().to_bits(), F));
    }

    #[test]
    fn every_function_holds_its_own_values() {
        let all =
            [-9000.5f32, -87.3, -3.0, -0.8, -0.3, -1e-3, -1e-30, 0.0, 1e-39, 1e-20, 0.2, 0.41, 0.625, 1.0, 1.5, 4.0, 60.0, 88.0, 1e30];
        let ops = [
            UnaryOp::Neg,
            UnaryOp::Abs,
            UnaryOp::Sign,
            UnaryOp::Floor,
            UnaryOp::Ceil,
            UnaryOp::Round,
            UnaryOp::Sqrt,
            UnaryOp::Rsqrt,
            UnaryOp::Recip,
            UnaryOp::Exp,
            UnaryOp::Expm1,
            UnaryOp::Log,
            UnaryOp::Log1p,
            UnaryOp::Sin,
            UnaryOp::Cos,
            UnaryOp::Tanh,
            UnaryOp::Erf,
            UnaryOp::Relu,
        ];
        for op in ops {
            for x in all {
                let exact = scalar::unary(op, F, x.into());
                let found = unary(op, F, of(x));
                assert!(found.allows((exact as f32).to_bits(), F), "{op:?} of {x}: {exact} is not in {found:?}");
                // Wider arguments, wider results.
                let around = Interval { low: f64::from(x) - 1e-3, high: f64::from(x) + 1e-3 };
                assert!(unary(op, F, around).allows((exact as f32).to_bits(), F), "{op:?} around {x}");
                // A mistake of a thousandth is outside, where the function is defined and normal.
                if exact.is_finite() && exact.abs() > TINY && exact.abs() < 1e30 && !found.is_any() {
                    let wrong = (exact * 1.001 + exact.signum() * 1e-6) as f32;
                    assert!(!found.allows(wrong.to_bits(), F), "{op:?} of {x}: {wrong} is in {found:?}");
                }
            }
        }
    }

    #[test]
    fn what_hangs_on_rounding_may_be_either() {
        let sum = binary(BinaryOp::Add, F, of(0.1), of(0.2));
        assert_eq!(compare(BinaryOp::Lt, sum, of(0.1 + 0.2)), EITHER);
        assert_eq!(compare(BinaryOp::Lt, sum, of(0.4)).exact(), Some(1.0));
        assert_eq!(choose(EITHER, of(1.0), of(5.0)), Interval { low: 1.0, high: 5.0 });
        // Ten times a tenth, rounded down to a whole number, is 0 or 1.
        let nearly = binary(BinaryOp::Mul, F, Interval { low: 0.0999, high: 0.1001 }, of(10.0));
        assert_eq!(cast(nearly, F, DType::U32), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn integers_are_exact_and_nan_is_anything() {
        let n = binary(BinaryOp::Add, DType::I32, Interval::point(2e9), Interval::point(2e9));
        assert_eq!(n.exact(), Some(f64::from(2_000_000_000i32.wrapping_mul(2))));
        assert!(!Interval::point(7.0).allows(8, DType::U32) && !Interval::point(1.0).allows(2, DType::Bool));
        let nan = unary(UnaryOp::Log, F, of(-1.0));
        assert!(nan.is_any() && nan.allows(7.0f32.to_bits(), F) && binary(BinaryOp::Max, F, nan, of(1.0)).is_any());
        // But NaN where there is a number is a mistake.
        assert!(!of(1.0).allows(f32::NAN.to_bits(), F) && !of(1.0).allows(f32::INFINITY.to_bits(), F));
        let huge = binary(BinaryOp::Mul, F, of(3e38), of(3e38));
        assert!(huge.allows(f32::INFINITY.to_bits(), F) && !huge.allows(1.0f32.to_bits(), F), "{huge:?}");
    }
}

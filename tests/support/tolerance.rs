//! How far a device's f32 may be from the oracle's f64: stated once, by what kind of computation it is.
//!
//! A bound is `relative * |expected| + absolute * scale`, where the scale is the largest magnitude in the expected tensor: sums that cancel
//! err in proportion to their terms, not to what is left. WGSL's bounds are those of <https://www.w3.org/TR/WGSL/#floating-point-accuracy>;
//! an ULP is two units of rounding.

use noyau::Array;
use noyau::cpu::Values;

use crate::cases::Class;

/// The unit of rounding of f32: half the distance of 1 to the next number.
const UNIT: f64 = 1.0 / (1u64 << 24) as f64;

/// The units of rounding of halves.
const F16_UNIT: f64 = 1.0 / (1u64 << 11) as f64;
const BF16_UNIT: f64 = 1.0 / (1u64 << 8) as f64;

/// Numbers smaller than this have fewer digits, and devices may make them 0.
const SUBNORMAL: f64 = f32::MIN_POSITIVE as f64;

/// The longest sum that an invocation makes one term at a time; longer ones are trees of these.
const LONGEST_CHAIN: usize = 1 << 13;

/// How far from the expected value a value may be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// In proportion to the expected value.
    pub relative: f64,
    /// In proportion to the largest expected magnitude of the tensor.
    pub absolute: f64,
}

impl Tolerance {
    /// Not at all.
    pub const EXACT: Tolerance = Tolerance { relative: 0.0, absolute: 0.0 };

    /// The bound for a case's values.
    pub fn of_values(class: Class) -> Tolerance {
        let units = |relative: f64, absolute: f64| Tolerance { relative: relative * UNIT, absolute: absolute * UNIT };
        match class {
            Class::Exact => units(0.0, 0.0),
            // Up to four roundings, some of them of terms that then cancel.
            Class::Rounded => units(4.0, 4.0),
            // WGSL: division 2.5 ULP; sqrt is 1 / inverseSqrt, 2 + 2.5 ULP; then a few roundings as above.
            Class::Quotient => units(9.0 + 4.0, 2.0),
            // WGSL: exp 3 + 2 |x| ULP, with |x| <= 4.
            Class::Exponential => units(2.0 * 11.0, 2.0),
            // WGSL: log 3 ULP, and 2^-21 between 0.5 and 2; the results here reach 1.4 and more.
            Class::Logarithm => units(6.0, 8.0),
            // Polynomials of degree 10 or so, evaluated in f32 after a reduction: noyau's own, far better than WGSL's functions of the name.
            Class::Polynomial => units(8.0, 8.0),
            // exp2(y log2(x)): log2 within 2^-21, times y up to 2.5, and exp2 3 + 2 * 6 ULP.
            Class::Power => units(30.0 + 8.0 * 2.5, 4.0),
            // Rounding errors of k additions in a row add up like a random walk, sqrt(k) on average; twice that, and the products' own.
            Class::Sum(k) => units(4.0, 4.0 + 2.0 * (k.min(LONGEST_CHAIN) as f64).sqrt()),
            // A product's error is that of every factor's multiplication, whatever the order.
            Class::Product(k) => units(4.0 + 2.0 * (k as f64).sqrt(), 0.0),
            // An exponential or logarithm of the worst kind above, and a division, a root and sums of what comes of it.
            Class::Chain => units(32.0, 16.0),
            // A rounding to 11 or 8 bits is off by half a unit of the number that is rounded, of up to the tensor's scale; the oracle does not round.
            Class::F16(n) => Tolerance { relative: n as f64 * F16_UNIT, absolute: n as f64 * F16_UNIT },
            Class::BF16(n) => Tolerance { relative: n as f64 * BF16_UNIT, absolute: n as f64 * BF16_UNIT },
        }
    }

    /// The bound for a case's gradients: the derivative is made of as many functions again, multiplied with what comes from above and summed
    /// over broadcast axes, so four times the values' bound; and a gradient of moves is a sum.
    pub fn of_gradients(class: Class) -> Tolerance {
        let class = if class == Class::Exact { Class::Rounded } else { class };
        let Tolerance { relative, absolute } = Tolerance::of_values(class);
        Tolerance { relative: 4.0 * relative, absolute: 4.0 * absolute }
    }

    /// The first element that is too far off, in words; `None` when all are close enough. Integers and booleans must be equal.
    pub fn fault(self, expected: &Values, got: &Array) -> Option<String> {
        let scale = expected.data.iter().filter(|x| x.is_finite()).fold(0.0f64, |scale, x| scale.max(x.abs()));
        self.fault_at_scale(scale, expected, got)
    }

    /// As [`Tolerance::fault`], with the scale of the terms that were added up given.
    pub fn fault_at_scale(self, scale: f64, expected: &Values, got: &Array) -> Option<String> {
        if got.shape() != &expected.shape || got.dtype() != expected.dtype {
            return Some(format!("is {}{}, not {}{}", got.dtype(), got.shape(), expected.dtype, expected.shape));
        }
        let exact = !expected.dtype.is_float();
        let mut worst: Option<(f64, String)> = None;
        for (i, (&want, found)) in expected.data.iter().zip(got.to_f64()).enumerate() {
            // What the type makes of the oracle's value: a value between two floats is not to be had.
            let rounded = if exact { want } else { expected.dtype.round(want) };
            if rounded == found || (rounded.is_nan() && found.is_nan()) {
                continue;
            }
            let bound = if exact { 0.0 } else { self.relative * want.abs() + self.absolute * scale + SUBNORMAL };
            let off = (found - want).abs();
            // Written so that a NaN on one side is too far off.
            if off <= bound && rounded.is_finite() {
                continue;
            }
            let ratio = off / bound;
            let ratio = if ratio.is_nan() { f64::INFINITY } else { ratio };
            if worst.as_ref().is_none_or(|(w, _)| ratio > *w) {
                worst = Some((
                    ratio,
                    format!("element {i} of {} is {found:e}, not {want:e}: off by {off:.1e}, allowed {bound:.1e}", expected.shape),
                ));
            }
        }
        worst.map(|(_, words)| words)
    }
}

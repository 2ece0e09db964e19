//! What functions and operators make of intervals, as exactly as WGSL asks of them.

use noyau_compile::scalar;
use noyau_tensor::{BinaryOp, DType, UnaryOp};

use super::{EITHER, Interval, ULP};

/// A function of one value of type `dtype`.
pub(in crate::watch) fn unary(op: UnaryOp, dtype: DType, x: Interval) -> Interval {
    if !dtype.is_float() {
        return match x.exact() {
            Some(x) => Interval::point(scalar::unary(op, dtype, x)),
            None if dtype == DType::Bool => EITHER,
            None => Interval::ANY,
        };
    }
    if x.is_any() {
        return Interval::ANY;
    }
    let f = |x: f64| scalar::unary(op, dtype, x);
    // Outside of where a function is defined it gives what it likes.
    let defined = match op {
        UnaryOp::Sqrt => x.low >= 0.0,
        UnaryOp::Rsqrt | UnaryOp::Log => x.low > 0.0,
        UnaryOp::Log1p => x.low > -1.0,
        UnaryOp::Recip => x.low > 0.0 || x.high < 0.0,
        _ => true,
    };
    if !defined {
        return Interval::ANY;
    }
    match op {
        UnaryOp::Neg => Interval { low: -x.high, high: -x.low },
        UnaryOp::Abs if x.low < 0.0 && x.high > 0.0 => Interval { low: 0.0, high: x.magnitude() },
        UnaryOp::Abs => x.monotone(f),
        UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Relu => x.rising(f),
        // 1 / inverseSqrt, of which 2 units are asked, and a division.
        UnaryOp::Sqrt => x.rising(f).ulps(5.0),
        UnaryOp::Rsqrt | UnaryOp::Recip => x.monotone(f).ulps(3.0),
        UnaryOp::Exp => x.rising(f).ulps(4.0 + 2.0 * x.magnitude().min(128.0)),
        // e^x - 1 loses a factor of three where its series ends.
        UnaryOp::Expm1 => x.rising(f).ulps(12.0 + 3.0 * x.magnitude().min(128.0)),
        UnaryOp::Log => near_one(x.rising(f), x),
        // A series near 0; elsewhere 1 + x is rounded first.
        UnaryOp::Log1p if x.low > -0.28 && x.high < 0.4 => x.rising(f).ulps(8.0),
        UnaryOp::Log1p => {
            let least = 1.0 + x.low;
            let sum = Interval { low: least, high: 1.0 + x.high };
            near_one(x.rising(f), sum).widened((ULP * sum.high / least).min(f64::MAX)).ulps(8.0)
        }
        UnaryOp::Tanh => x.rising(f).ulps(12.0),
        UnaryOp::Erf => x.rising(f).ulps(16.0),
        // The reduction to an eighth of a turn is exact to some 2^-22 for a thousand turns, and means nothing for a million.
        UnaryOp::Sin | UnaryOp::Cos if x.magnitude() > 8192.0 => Interval::ANY,
        UnaryOp::Sin | UnaryOp::Cos => {
            let absolute = if op == UnaryOp::Sin && x.magnitude() < 0.7 { 0.0 } else { 4.0 * ULP };
            let middle = (x.low + x.high) / 2.0;
            Interval::point(f(middle)).ulps(8.0).widened((x.high - x.low) / 2.0 + absolute)
        }
        UnaryOp::Not => Interval::ANY,
    }
}

/// A logarithm's result: to 3 units, but between a half and two only to 2^-21 at all.
fn near_one(result: Interval, x: Interval) -> Interval {
    let near = x.low < 2.1 && x.high > 0.45;
    result.ulps(4.0).widened(if near { 4.0 * ULP } else { 0.0 })
}

/// A function of two values of type `dtype`.
pub(in crate::watch) fn binary(op: BinaryOp, dtype: DType, a: Interval, b: Interval) -> Interval {
    if op.is_comparison() {
        return compare(op, a, b);
    }
    let f = |a: f64, b: f64| scalar::binary(op, dtype, a, b);
    if !dtype.is_float() {
        return match (a.exact(), b.exact()) {
            (Some(a), Some(b)) => Interval::point(f(a, b)),
            _ if dtype == DType::Bool => between_bools(op, a, b),
            _ => between_integers(op, dtype, a, b),
        };
    }
    if a.is_any() || b.is_any() {
        return Interval::ANY;
    }
    let crosses_zero = b.low <= 0.0 && b.high >= 0.0;
    let result = match op {
        BinaryOp::Add => Interval { low: a.low + b.low, high: a.high + b.high }.rounded(),
        BinaryOp::Sub => Interval { low: a.low - b.high, high: a.high - b.low }.rounded(),
        BinaryOp::Mul => a.corners(b, f).rounded(),
        BinaryOp::Div if crosses_zero => Interval::ANY,
        BinaryOp::Div => a.corners(b, f).ulps(3.0),
        BinaryOp::Rem if crosses_zero => Interval::ANY,
        BinaryOp::Rem => remainder(a, b),
        BinaryOp::Min => Interval { low: a.low.min(b.low), high: a.high.min(b.high) },
        BinaryOp::Max => Interval { low: a.low.max(b.low), high: a.high.max(b.high) },
        BinaryOp::Pow => power(a, b),
        _ => Interval::ANY,
    };
    // Of infinities, 0 times one and the like.
    if result.is_any() { Interval::ANY } else { result }
}

pub(super) fn compare(op: BinaryOp, a: Interval, b: Interval) -> Interval {
    if a.is_any() || b.is_any() {
        return EITHER;
    }
    let answer = |always: bool, never: bool| match (always, never) {
        (true, _) => Interval::point(1.0),
        (_, true) => Interval::point(0.0),
        _ => EITHER,
    };
    let same = a.is_point() && b.is_point() && a.low == b.low;
    let apart = a.high < b.low || b.high < a.low;
    match op {
        BinaryOp::Lt => answer(a.high < b.low, a.low >= b.high),
        BinaryOp::Le => answer(a.high <= b.low, a.low > b.high),
        BinaryOp::Eq => answer(same, apart),
        _ => answer(apart, same),
    }
}

fn between_bools(op: BinaryOp, a: Interval, b: Interval) -> Interval {
    let known = |x: Interval, value: f64| x.exact() == Some(value);
    match op {
        BinaryOp::And | BinaryOp::Min | BinaryOp::Mul if known(a, 0.0) || known(b, 0.0) => Interval::point(0.0),
        BinaryOp::Or | BinaryOp::Max if known(a, 1.0) || known(b, 1.0) => Interval::point(1.0),
        _ => EITHER,
    }
}

fn between_integers(op: BinaryOp, dtype: DType, a: Interval, b: Interval) -> Interval {
    if a.is_any() || b.is_any() {
        return Interval::ANY;
    }
    let exact = match op {
        BinaryOp::Add => Interval { low: a.low + b.low, high: a.high + b.high },
        BinaryOp::Sub => Interval { low: a.low - b.high, high: a.high - b.low },
        BinaryOp::Mul => a.corners(b, |a, b| a * b),
        BinaryOp::Min => Interval { low: a.low.min(b.low), high: a.high.min(b.high) },
        BinaryOp::Max => Interval { low: a.low.max(b.low), high: a.high.max(b.high) },
        _ => return Interval::ANY,
    };
    let (least, most) = if dtype == DType::I32 { (f64::from(i32::MIN), f64::from(i32::MAX)) } else { (0.0, f64::from(u32::MAX)) };
    // What wraps round has its ends anywhere.
    if exact.low < least || exact.high > most { Interval::ANY } else { exact }
}

/// `a - b * trunc(a / b)`, where the quotient is one whole number for certain.
fn remainder(a: Interval, b: Interval) -> Interval {
    let quotient = a.corners(b, |a, b| a / b).rising(f64::trunc);
    match (quotient.exact(), a.exact(), b.exact()) {
        (_, Some(a), Some(b)) => Interval::point(a % b).or_zero(),
        (Some(q), _, _) if a.low > 0.0 || a.high < 0.0 => {
            let product = b.corners(Interval::point(q), |b, q| b * q);
            Interval { low: a.low - product.high, high: a.high - product.low }.rounded()
        }
        _ => Interval { low: if a.low < 0.0 { -b.magnitude() } else { 0.0 }, high: if a.high > 0.0 { b.magnitude() } else { 0.0 } },
    }
}

fn power(a: Interval, b: Interval) -> Interval {
    let f = |x: f64, y: f64| x.powf(y);
    let whole = b.exact().filter(|y| y.fract() == 0.0);
    let defined = a.low > 0.0 || (whole.is_some() && (a.low > 0.0 || a.high < 0.0 || b.low >= 0.0)) || (a.low >= 0.0 && b.low > 0.0);
    if !defined {
        return Interval::ANY;
    }
    let mut result = a.corners(b, f);
    if a.low < 0.0 && a.high > 0.0 && whole.is_some() {
        result = result.hull(Interval::point(f(0.0, b.low)));
    }
    // exp2(y log2 x): y times the logarithm's error, and that of exp2 for such an exponent; small whole powers are products.
    let logarithm = [a.low, a.high].iter().map(|x| x.abs()).filter(|x| *x > 0.0).map(|x| x.log2().abs()).fold(0.0, f64::max);
    let exponent = (b.magnitude() * logarithm).min(256.0);
    result.ulps(16.0 + 8.0 * exponent + 4.0 * b.magnitude().min(1e6))
}

/// Conversion to another type.
pub(in crate::watch) fn cast(x: Interval, from: DType, to: DType) -> Interval {
    if x.is_any() {
        return if to == DType::Bool { EITHER } else { Interval::ANY };
    }
    match (from, to) {
        (DType::F32 | DType::F16 | DType::BF16, DType::F32) | (DType::F16, DType::F16) | (DType::BF16, DType::BF16) => x,
        // To nearest, by noyau's own bits: what is exact before is exact after.
        (_, DType::F16 | DType::BF16) => Interval { low: to.round(x.low), high: to.round(x.high) }.or_zero(),
        // Beyond 24 bits either neighbour will do.
        (_, DType::F32) => x.rounded(),
        (_, DType::Bool) => compare(BinaryOp::Ne, x, Interval::point(0.0)),
        (DType::F32 | DType::F16 | DType::BF16, _) => x.rising(|x| scalar::cast(x, from, to)),
        _ => match x.exact() {
            Some(x) => Interval::point(scalar::cast(x, from, to)),
            None if x.low >= 0.0 && x.high <= f64::from(i32::MAX) => x,
            None => Interval::ANY,
        },
    }
}

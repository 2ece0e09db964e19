//! Primitives on single values, for constant folding. Floats are folded in f64 and rounded once, when a kernel is written.

use noyau_tensor::{BinaryOp, DType, Scalar, UnaryOp};

/// `op(x)`, or `None` where folding is left to the device.
pub(crate) fn unary_scalar(op: UnaryOp, x: Scalar) -> Option<Scalar> {
    match x {
        Scalar::Float(x) => float_unary(op, x).map(Scalar::Float),
        Scalar::Int(x) => Some(Scalar::Int(match op {
            UnaryOp::Neg => x.wrapping_neg(),
            UnaryOp::Abs => x.wrapping_abs(),
            UnaryOp::Sign => x.signum(),
            UnaryOp::Relu => x.max(0),
            UnaryOp::Not => !x,
            _ => return None,
        })),
        Scalar::Uint(x) => (op == UnaryOp::Not).then_some(Scalar::Uint(!x)),
        Scalar::Bool(x) => (op == UnaryOp::Not).then_some(Scalar::Bool(!x)),
    }
}

fn float_unary(op: UnaryOp, x: f64) -> Option<f64> {
    Some(match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Sign if x > 0.0 => 1.0,
        UnaryOp::Sign if x < 0.0 => -1.0,
        UnaryOp::Sign => x,
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => x.sqrt().recip(),
        UnaryOp::Recip => x.recip(),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Expm1 => x.exp_m1(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log1p => x.ln_1p(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Relu => {
            if x.is_nan() {
                x
            } else {
                x.max(0.0)
            }
        }
        UnaryOp::Erf | UnaryOp::Not => return None,
    })
}

/// `op(a, b)`, or `None` where folding is left to the device.
pub(crate) fn binary_scalar(op: BinaryOp, a: Scalar, b: Scalar) -> Option<Scalar> {
    let compared = |order: Option<std::cmp::Ordering>| {
        use std::cmp::Ordering::{Equal, Greater, Less};
        Some(Scalar::Bool(match op {
            BinaryOp::Lt => order == Some(Less),
            BinaryOp::Le => matches!(order, Some(Less | Equal)),
            BinaryOp::Eq => order == Some(Equal),
            BinaryOp::Ne => matches!(order, None | Some(Less | Greater)),
            _ => return None,
        }))
    };
    match (a, b) {
        (Scalar::Float(x), Scalar::Float(y)) => {
            let value = match op {
                BinaryOp::Add => x + y,
                BinaryOp::Sub => x - y,
                BinaryOp::Mul => x * y,
                BinaryOp::Div => x / y,
                BinaryOp::Rem => x % y,
                BinaryOp::Pow => x.powf(y),
                BinaryOp::Min | BinaryOp::Max if x.is_nan() || y.is_nan() => f64::NAN,
                BinaryOp::Min => x.min(y),
                BinaryOp::Max => x.max(y),
                _ => return compared(x.partial_cmp(&y)),
            };
            Some(Scalar::Float(value))
        }
        (Scalar::Int(x), Scalar::Int(y)) => {
            let value = match op {
                BinaryOp::Add => x.wrapping_add(y),
                BinaryOp::Sub => x.wrapping_sub(y),
                BinaryOp::Mul => x.wrapping_mul(y),
                BinaryOp::Min => x.min(y),
                BinaryOp::Max => x.max(y),
                _ => return compared(Some(x.cmp(&y))),
            };
            Some(Scalar::Int(value))
        }
        (Scalar::Uint(x), Scalar::Uint(y)) => {
            let value = match op {
                BinaryOp::Add => x.wrapping_add(y),
                BinaryOp::Sub => x.wrapping_sub(y),
                BinaryOp::Mul => x.wrapping_mul(y),
                BinaryOp::Min => x.min(y),
                BinaryOp::Max => x.max(y),
                BinaryOp::Shl if y < 32 => x << y,
                BinaryOp::Shr if y < 32 => x >> y,
                _ => return compared(Some(x.cmp(&y))),
            };
            Some(Scalar::Uint(value))
        }
        (Scalar::Bool(x), Scalar::Bool(y)) => Some(Scalar::Bool(match op {
            BinaryOp::And => x && y,
            BinaryOp::Or => x || y,
            BinaryOp::Xor | BinaryOp::Ne => x != y,
            BinaryOp::Eq => x == y,
            _ => return None,
        })),
        _ => None,
    }
}

/// `x` converted: floats to integers round toward zero and saturate, a NaN becomes 0; between integers the word stays.
pub(crate) fn cast_scalar(x: Scalar, dtype: DType) -> Scalar {
    match (x, dtype) {
        (Scalar::Int(_) | Scalar::Uint(_), DType::I32) => Scalar::Int(x.to_word() as i32),
        (Scalar::Int(_) | Scalar::Uint(_), DType::U32) => Scalar::Uint(x.to_word()),
        _ => Scalar::new(x.to_f64(), dtype),
    }
}

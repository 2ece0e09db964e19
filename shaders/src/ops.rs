//! Every elementwise op as a WGSL expression of its operands' expressions.

use noyau_tensor::{BinaryOp, DType, ReduceOp, Scalar, UnaryOp};

/// The type of a value inside of a kernel: a half is the f32 of the same value.
pub(crate) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => "f32",
        DType::I32 => "i32",
        DType::U32 => "u32",
        DType::Bool => "bool",
    }
}

/// A constant, exact to the bit.
pub(crate) fn literal(value: Scalar) -> String {
    match value {
        Scalar::Float(_) | Scalar::F16(_) | Scalar::BF16(_) => {
            let v = f32::from_bits(value.to_word());
            if !v.is_finite() {
                format!("noyau_f32(0x{:08x}u)", v.to_bits())
            } else if v.is_subnormal() || (v == 0.0 && v.is_sign_negative()) {
                format!("bitcast<f32>(0x{:08x}u)", v.to_bits())
            } else if v.abs() == f32::MAX {
                // Its shortest decimal is a little more than it, which browsers refuse.
                format!("{:?}f", f64::from(v))
            } else {
                format!("{v:?}f")
            }
        }
        // The least i32 has no literal.
        Scalar::Int(i32::MIN) => "(-2147483647i - 1i)".into(),
        Scalar::Int(v) => format!("{v}i"),
        Scalar::Uint(v) => format!("{v}u"),
        Scalar::Bool(v) => v.to_string(),
    }
}

/// The value that a reduction starts from; finite, for WGSL may assume that there are no infinities.
pub(crate) fn identity(op: ReduceOp, dtype: DType) -> String {
    match op.identity(dtype) {
        Scalar::Float(v) | Scalar::F16(v) | Scalar::BF16(v) if v.is_infinite() => literal(Scalar::Float(f64::from(f32::MAX).copysign(v))),
        other => literal(other),
    }
}

/// Two partial results of a reduction as one.
pub(crate) fn combine(op: ReduceOp, dtype: DType, a: &str, b: &str) -> String {
    match (op, dtype) {
        (ReduceOp::Sum | ReduceOp::Max, DType::Bool) => format!("({a} | {b})"),
        (ReduceOp::Prod | ReduceOp::Min, DType::Bool) => format!("({a} & {b})"),
        (_, DType::F32 | DType::F16 | DType::BF16 | DType::I32 | DType::U32) => binary(op.combine(), dtype, a, b),
    }
}

/// A function of one value; `dtype` is the operand's.
pub(crate) fn unary(op: UnaryOp, dtype: DType, a: &str) -> String {
    match op {
        UnaryOp::Neg => format!("(-{a})"),
        UnaryOp::Abs => format!("abs({a})"),
        UnaryOp::Sign => format!("sign({a})"),
        UnaryOp::Floor => format!("floor({a})"),
        UnaryOp::Ceil => format!("ceil({a})"),
        // WGSL's round takes halves to the even neighbour.
        UnaryOp::Round => format!("round({a})"),
        UnaryOp::Sqrt => format!("sqrt({a})"),
        UnaryOp::Rsqrt => format!("inverseSqrt({a})"),
        UnaryOp::Recip => format!("(1f / {a})"),
        UnaryOp::Exp => format!("exp({a})"),
        UnaryOp::Expm1 => format!("noyau_expm1({a})"),
        UnaryOp::Log => format!("noyau_log({a})"),
        UnaryOp::Log1p => format!("noyau_log1p({a})"),
        UnaryOp::Sin => format!("noyau_sin({a})"),
        UnaryOp::Cos => format!("noyau_cos({a})"),
        UnaryOp::Tanh => format!("noyau_tanh({a})"),
        UnaryOp::Erf => format!("noyau_erf({a})"),
        UnaryOp::Relu => format!("max({a}, {})", literal(Scalar::new(0.0, dtype))),
        UnaryOp::Not if dtype == DType::Bool => format!("(!{a})"),
        UnaryOp::Not => format!("(~{a})"),
    }
}

/// A function of two values; `dtype` is the operands'.
pub(crate) fn binary(op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
    let logical = dtype == DType::Bool;
    match op {
        BinaryOp::Add => format!("({a} + {b})"),
        BinaryOp::Sub => format!("({a} - {b})"),
        BinaryOp::Mul => format!("({a} * {b})"),
        BinaryOp::Div if dtype.is_int() => format!("noyau_div_{dtype}({a}, {b})"),
        BinaryOp::Div => format!("({a} / {b})"),
        BinaryOp::Rem if dtype.is_int() => format!("noyau_rem_{dtype}({a}, {b})"),
        BinaryOp::Rem => format!("noyau_fmod({a}, {b})"),
        BinaryOp::Pow => format!("noyau_pow({a}, {b})"),
        BinaryOp::Min => format!("min({a}, {b})"),
        BinaryOp::Max => format!("max({a}, {b})"),
        BinaryOp::Lt => format!("({a} < {b})"),
        BinaryOp::Le => format!("({a} <= {b})"),
        BinaryOp::Eq => format!("({a} == {b})"),
        BinaryOp::Ne => format!("({a} != {b})"),
        BinaryOp::And => format!("({a} & {b})"),
        BinaryOp::Or => format!("({a} | {b})"),
        BinaryOp::Xor if logical => format!("({a} != {b})"),
        BinaryOp::Xor => format!("({a} ^ {b})"),
        BinaryOp::Shl => format!("({a} << (bitcast<u32>({b}) & 31u))"),
        BinaryOp::Shr => format!("({a} >> (bitcast<u32>({b}) & 31u))"),
    }
}

/// A conversion: floats to integers toward zero and saturated, to halves to the nearest, integers by their bits, anything but 0 is true.
pub(crate) fn cast(from: DType, to: DType, a: &str) -> String {
    match (from, to) {
        (DType::I32, DType::I32) | (DType::U32, DType::U32) | (DType::Bool, DType::Bool) => a.into(),
        (DType::F32 | DType::F16 | DType::BF16, DType::F32) | (DType::F16, DType::F16) | (DType::BF16, DType::BF16) => a.into(),
        (DType::F32 | DType::BF16, DType::F16) => format!("noyau_f16({a})"),
        (DType::F32 | DType::F16, DType::BF16) => format!("noyau_bf16({a})"),
        (DType::F32 | DType::F16 | DType::BF16, DType::I32) => format!("noyau_f32_to_i32({a})"),
        (DType::F32 | DType::F16 | DType::BF16, DType::U32) => format!("noyau_f32_to_u32({a})"),
        (DType::F32 | DType::F16 | DType::BF16, DType::Bool) => format!("({a} != 0f)"),
        (DType::I32, DType::Bool) => format!("({a} != 0i)"),
        (DType::U32, DType::Bool) => format!("({a} != 0u)"),
        (DType::I32 | DType::U32 | DType::Bool, DType::F32) => format!("f32({a})"),
        (DType::I32 | DType::U32 | DType::Bool, DType::F16) => format!("noyau_f16(f32({a}))"),
        (DType::I32 | DType::U32 | DType::Bool, DType::BF16) => format!("noyau_bf16(f32({a}))"),
        (DType::U32 | DType::Bool, DType::I32) => format!("i32({a})"),
        (DType::I32 | DType::Bool, DType::U32) => format!("u32({a})"),
    }
}

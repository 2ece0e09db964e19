//! Every elementwise function as a type, so that each gets loops of its own; and the choice by op and element type.

use noyau_tensor::{BinaryOp, DType, Error, Result, UnaryOp};

use super::step::{Run, pick_binary, pick_unary};
use crate::math;
use crate::simd::Level;

/// A function of one word.
pub(crate) trait Unary {
    type A: Copy + Default;
    type R: Copy + Default;
    /// Worth more than copying a tail aside.
    const HEAVY: bool = false;
    /// Whether some arguments need [`Unary::slow`].
    const HAS_SPECIAL: bool = false;
    fn eval<const FMA: bool>(a: Self::A) -> Self::R;
    fn special(_: Self::A) -> bool {
        false
    }
    fn slow(a: Self::A) -> Self::R {
        Self::eval::<false>(a)
    }
}

/// A function of two words.
pub(crate) trait Binary {
    type A: Copy;
    type R: Copy;
    /// Whether some arguments need [`Binary::slow`].
    const HAS_SPECIAL: bool = false;
    fn eval<const FMA: bool>(a: Self::A, b: Self::A) -> Self::R;
    /// Asked of either operand.
    fn special(_: Self::A) -> bool {
        false
    }
    fn slow(a: Self::A, b: Self::A) -> Self::R {
        Self::eval::<false>(a, b)
    }
}

macro_rules! unary {
    ($($name:ident: $a:ty => $r:ty, |$x:ident| $body:expr;)*) => {$(
        struct $name;
        impl Unary for $name {
            type A = $a;
            type R = $r;
            #[inline(always)]
            fn eval<const FMA: bool>($x: $a) -> $r {
                $body
            }
        }
    )*};
}

macro_rules! heavy {
    ($($name:ident => $function:ident;)*) => {$(
        struct $name;
        impl Unary for $name {
            type A = f32;
            type R = f32;
            const HEAVY: bool = true;
            #[inline(always)]
            fn eval<const FMA: bool>(x: f32) -> f32 {
                math::$function::<FMA>(x)
            }
        }
    )*};
}

macro_rules! binary {
    ($($name:ident: $a:ty => $r:ty, |$x:ident, $y:ident| $body:expr;)*) => {$(
        struct $name;
        impl Binary for $name {
            type A = $a;
            type R = $r;
            #[inline(always)]
            fn eval<const FMA: bool>($x: $a, $y: $a) -> $r {
                $body
            }
        }
    )*};
}

unary! {
    NegF: f32 => f32, |x| -x;
    NegI: i32 => i32, |x| x.wrapping_neg();
    AbsF: f32 => f32, |x| x.abs();
    AbsI: i32 => i32, |x| x.wrapping_abs();
    SignF: f32 => f32, |x| (if x > 0.0 { 1.0 } else { 0.0 }) - (if x < 0.0 { 1.0 } else { 0.0 });
    SignI: i32 => i32, |x| i32::from(x > 0) - i32::from(x < 0);
    Floor: f32 => f32, |x| x.floor();
    Ceil: f32 => f32, |x| x.ceil();
    Round: f32 => f32, |x| x.round_ties_even();
    Sqrt: f32 => f32, |x| x.sqrt();
    Rsqrt: f32 => f32, |x| math::rsqrt(x);
    Recip: f32 => f32, |x| 1.0 / x;
    ReluF: f32 => f32, |x| if x <= 0.0 { 0.0 } else { x };
    ReluI: i32 => i32, |x| x.max(0);
    NotWord: u32 => u32, |x| !x;
    NotBool: u32 => u32, |x| x ^ 1;
    FloatToInt: f32 => i32, |x| math::to_i32(x);
    FloatToUint: f32 => u32, |x| math::to_u32(x);
    FloatToBool: f32 => u32, |x| u32::from(x != 0.0);
    IntToFloat: i32 => f32, |x| x as f32;
    UintToFloat: u32 => f32, |x| x as f32;
    WordToBool: u32 => u32, |x| u32::from(x != 0);
    ToF16: f32 => f32, |x| math::to_f16(x);
    ToBf16: f32 => f32, |x| math::to_bf16(x);
    IntToF16: i32 => f32, |x| math::to_f16(x as f32);
    IntToBf16: i32 => f32, |x| math::to_bf16(x as f32);
    UintToF16: u32 => f32, |x| math::to_f16(x as f32);
    UintToBf16: u32 => f32, |x| math::to_bf16(x as f32);
}

heavy! {
    Exp => exp;
    Expm1 => expm1;
    Log => log;
    Log1p => log1p;
    Tanh => tanh;
    Erf => erf;
}

macro_rules! circular {
    ($($name:ident => $function:ident;)*) => {$(
        struct $name;
        impl Unary for $name {
            type A = f32;
            type R = f32;
            const HEAVY: bool = true;
            const HAS_SPECIAL: bool = true;
            #[inline(always)]
            fn eval<const FMA: bool>(x: f32) -> f32 {
                math::$function::<FMA>(x)
            }
            #[inline(always)]
            fn special(x: f32) -> bool {
                math::sin_special(x)
            }
            #[inline(never)]
            fn slow(x: f32) -> f32 {
                x.$function()
            }
        }
    )*};
}

circular! {
    Sin => sin;
    Cos => cos;
}

binary! {
    AddF: f32 => f32, |a, b| a + b;
    AddW: u32 => u32, |a, b| a.wrapping_add(b);
    SubF: f32 => f32, |a, b| a - b;
    SubW: u32 => u32, |a, b| a.wrapping_sub(b);
    MulF: f32 => f32, |a, b| a * b;
    MulW: u32 => u32, |a, b| a.wrapping_mul(b);
    DivF: f32 => f32, |a, b| a / b;
    DivI: i32 => i32, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) };
    DivU: u32 => u32, |a, b| a.checked_div(b).unwrap_or(0);
    RemF: f32 => f32, |a, b| a % b;
    RemI: i32 => i32, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) };
    RemU: u32 => u32, |a, b| a.checked_rem(b).unwrap_or(0);
    MinF: f32 => f32, |a, b| if a < b || a.is_nan() { a } else { b };
    MinI: i32 => i32, |a, b| a.min(b);
    MinU: u32 => u32, |a, b| a.min(b);
    MaxF: f32 => f32, |a, b| if a > b || a.is_nan() { a } else { b };
    MaxI: i32 => i32, |a, b| a.max(b);
    MaxU: u32 => u32, |a, b| a.max(b);
    LtF: f32 => u32, |a, b| u32::from(a < b);
    LtI: i32 => u32, |a, b| u32::from(a < b);
    LtU: u32 => u32, |a, b| u32::from(a < b);
    LeF: f32 => u32, |a, b| u32::from(a <= b);
    LeI: i32 => u32, |a, b| u32::from(a <= b);
    LeU: u32 => u32, |a, b| u32::from(a <= b);
    EqF: f32 => u32, |a, b| u32::from(a == b);
    EqW: u32 => u32, |a, b| u32::from(a == b);
    NeF: f32 => u32, |a, b| u32::from(a != b);
    NeW: u32 => u32, |a, b| u32::from(a != b);
    And: u32 => u32, |a, b| a & b;
    Or: u32 => u32, |a, b| a | b;
    Xor: u32 => u32, |a, b| a ^ b;
    Shl: u32 => u32, |a, b| a.wrapping_shl(b);
    ShrI: i32 => i32, |a, b| a.wrapping_shr(b as u32);
    ShrU: u32 => u32, |a, b| a.wrapping_shr(b);
}

struct Pow;
impl Binary for Pow {
    type A = f32;
    type R = f32;
    const HAS_SPECIAL: bool = true;
    #[inline(always)]
    fn eval<const FMA: bool>(x: f32, y: f32) -> f32 {
        math::pow::<FMA>(x, y)
    }
    #[inline(always)]
    fn special(x_or_y: f32) -> bool {
        math::pow_special(x_or_y)
    }
    #[inline(never)]
    fn slow(x: f32, y: f32) -> f32 {
        x.powf(y)
    }
}

/// The loops of a unary op.
pub(crate) fn unary_run(op: UnaryOp, dtype: DType, level: Level) -> Result<Run> {
    if !op.accepts(dtype) {
        return Err(Error::Internal(format!("{} of {dtype}", op.name())));
    }
    let float = dtype.is_float();
    Ok(match op {
        UnaryOp::Neg if float => pick_unary::<NegF>(level),
        UnaryOp::Neg => pick_unary::<NegI>(level),
        UnaryOp::Abs if float => pick_unary::<AbsF>(level),
        UnaryOp::Abs => pick_unary::<AbsI>(level),
        UnaryOp::Sign if float => pick_unary::<SignF>(level),
        UnaryOp::Sign => pick_unary::<SignI>(level),
        UnaryOp::Relu if float => pick_unary::<ReluF>(level),
        UnaryOp::Relu => pick_unary::<ReluI>(level),
        UnaryOp::Floor => pick_unary::<Floor>(level),
        UnaryOp::Ceil => pick_unary::<Ceil>(level),
        UnaryOp::Round => pick_unary::<Round>(level),
        UnaryOp::Sqrt => pick_unary::<Sqrt>(level),
        UnaryOp::Rsqrt => pick_unary::<Rsqrt>(level),
        UnaryOp::Recip => pick_unary::<Recip>(level),
        UnaryOp::Exp => pick_unary::<Exp>(level),
        UnaryOp::Expm1 => pick_unary::<Expm1>(level),
        UnaryOp::Log => pick_unary::<Log>(level),
        UnaryOp::Log1p => pick_unary::<Log1p>(level),
        UnaryOp::Sin => pick_unary::<Sin>(level),
        UnaryOp::Cos => pick_unary::<Cos>(level),
        UnaryOp::Tanh => pick_unary::<Tanh>(level),
        UnaryOp::Erf => pick_unary::<Erf>(level),
        UnaryOp::Not if dtype == DType::Bool => pick_unary::<NotBool>(level),
        UnaryOp::Not => pick_unary::<NotWord>(level),
    })
}

/// The loops of a conversion; `None` when the words stay as they are: a half is kept as the f32 of the same value.
pub(crate) fn cast_run(from: DType, to: DType, level: Level) -> Option<Run> {
    match (from, to) {
        (DType::Bool, DType::I32 | DType::U32 | DType::Bool) => None,
        (DType::I32 | DType::U32, DType::I32 | DType::U32) => None,
        (DType::F32 | DType::F16 | DType::BF16, DType::F32) | (DType::F16, DType::F16) | (DType::BF16, DType::BF16) => None,
        (DType::F32 | DType::BF16, DType::F16) => Some(pick_unary::<ToF16>(level)),
        (DType::F32 | DType::F16, DType::BF16) => Some(pick_unary::<ToBf16>(level)),
        (DType::F32 | DType::F16 | DType::BF16, DType::I32) => Some(pick_unary::<FloatToInt>(level)),
        (DType::F32 | DType::F16 | DType::BF16, DType::U32) => Some(pick_unary::<FloatToUint>(level)),
        (DType::F32 | DType::F16 | DType::BF16, DType::Bool) => Some(pick_unary::<FloatToBool>(level)),
        (DType::I32, DType::F32) => Some(pick_unary::<IntToFloat>(level)),
        (DType::U32 | DType::Bool, DType::F32) => Some(pick_unary::<UintToFloat>(level)),
        (DType::I32, DType::F16) => Some(pick_unary::<IntToF16>(level)),
        (DType::I32, DType::BF16) => Some(pick_unary::<IntToBf16>(level)),
        (DType::U32 | DType::Bool, DType::F16) => Some(pick_unary::<UintToF16>(level)),
        (DType::U32 | DType::Bool, DType::BF16) => Some(pick_unary::<UintToBf16>(level)),
        (DType::I32 | DType::U32, DType::Bool) => Some(pick_unary::<WordToBool>(level)),
    }
}

/// The loops of a binary op.
pub(crate) fn binary_run(op: BinaryOp, dtype: DType, level: Level) -> Result<Run> {
    if !op.accepts(dtype) {
        return Err(Error::Internal(format!("{} of {dtype}", op.name())));
    }
    let float = dtype.is_float();
    let signed = dtype == DType::I32;
    Ok(match op {
        BinaryOp::Add if float => pick_binary::<AddF>(level),
        BinaryOp::Add => pick_binary::<AddW>(level),
        BinaryOp::Sub if float => pick_binary::<SubF>(level),
        BinaryOp::Sub => pick_binary::<SubW>(level),
        BinaryOp::Mul if float => pick_binary::<MulF>(level),
        BinaryOp::Mul => pick_binary::<MulW>(level),
        BinaryOp::Div if float => pick_binary::<DivF>(level),
        BinaryOp::Div if signed => pick_binary::<DivI>(level),
        BinaryOp::Div => pick_binary::<DivU>(level),
        BinaryOp::Rem if float => pick_binary::<RemF>(level),
        BinaryOp::Rem if signed => pick_binary::<RemI>(level),
        BinaryOp::Rem => pick_binary::<RemU>(level),
        BinaryOp::Pow => pick_binary::<Pow>(level),
        BinaryOp::Min if float => pick_binary::<MinF>(level),
        BinaryOp::Min if signed => pick_binary::<MinI>(level),
        BinaryOp::Min => pick_binary::<MinU>(level),
        BinaryOp::Max if float => pick_binary::<MaxF>(level),
        BinaryOp::Max if signed => pick_binary::<MaxI>(level),
        BinaryOp::Max => pick_binary::<MaxU>(level),
        BinaryOp::Lt if float => pick_binary::<LtF>(level),
        BinaryOp::Lt if signed => pick_binary::<LtI>(level),
        BinaryOp::Lt => pick_binary::<LtU>(level),
        BinaryOp::Le if float => pick_binary::<LeF>(level),
        BinaryOp::Le if signed => pick_binary::<LeI>(level),
        BinaryOp::Le => pick_binary::<LeU>(level),
        BinaryOp::Eq if float => pick_binary::<EqF>(level),
        BinaryOp::Eq => pick_binary::<EqW>(level),
        BinaryOp::Ne if float => pick_binary::<NeF>(level),
        BinaryOp::Ne => pick_binary::<NeW>(level),
        BinaryOp::And => pick_binary::<And>(level),
        BinaryOp::Or => pick_binary::<Or>(level),
        BinaryOp::Xor => pick_binary::<Xor>(level),
        BinaryOp::Shl => pick_binary::<Shl>(level),
        BinaryOp::Shr if signed => pick_binary::<ShrI>(level),
        BinaryOp::Shr => pick_binary::<ShrU>(level),
    })
}

/// What one element costs, in nanoseconds, roughly.
pub(crate) fn unary_cost(op: UnaryOp) -> f64 {
    match op {
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Relu | UnaryOp::Not => {
            0.02
        }
        UnaryOp::Sqrt | UnaryOp::Rsqrt | UnaryOp::Recip => 0.1,
        UnaryOp::Exp | UnaryOp::Expm1 | UnaryOp::Log | UnaryOp::Log1p | UnaryOp::Tanh | UnaryOp::Erf => 0.25,
        UnaryOp::Sin | UnaryOp::Cos => 0.4,
    }
}

/// What one element costs, in nanoseconds, roughly.
pub(crate) fn binary_cost(op: BinaryOp, dtype: DType) -> f64 {
    match op {
        BinaryOp::Div if dtype.is_float() => 0.1,
        BinaryOp::Div => 2.0,
        BinaryOp::Rem => 5.0,
        BinaryOp::Pow => 2.0,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max => 0.02,
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Eq | BinaryOp::Ne => 0.02,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr => 0.02,
    }
}

//! Every elementwise op for one element, in f64: the definition by which constants are folded, and that the oracle and the tests use.
//!
//! Integers and booleans are exact in f64 and come back exact. Floats are not rounded, neither to f32 nor to a half.

use noyau_tensor::{BinaryOp, DType, UnaryOp};

/// A function of one element of type `dtype`.
pub fn unary(op: UnaryOp, dtype: DType, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => wrap(-x, dtype),
        UnaryOp::Abs => wrap(x.abs(), dtype),
        UnaryOp::Sign => f64::from(i8::from(x > 0.0) - i8::from(x < 0.0)),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Recip => 1.0 / x,
        UnaryOp::Exp => x.exp(),
        UnaryOp::Expm1 => x.exp_m1(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log1p => x.ln_1p(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tanh => x.tanh(),
        // A port of FreeBSD's s_erf.c (Sun's fdlibm), below 1 ulp.
        UnaryOp::Erf => libm::erf(x),
        UnaryOp::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        UnaryOp::Not => match dtype {
            DType::Bool => truth(x == 0.0),
            DType::I32 => f64::from(!(x as i32)),
            DType::U32 => f64::from(!(x as u32)),
            DType::F32 | DType::F16 | DType::BF16 => f64::NAN,
        },
    }
}

/// A function of two elements of type `dtype`.
pub fn binary(op: BinaryOp, dtype: DType, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => wrap(a + b, dtype),
        BinaryOp::Sub => wrap(a - b, dtype),
        // The product of two 32-bit integers does not fit f64's 53 bits.
        BinaryOp::Mul => match dtype {
            DType::F32 | DType::F16 | DType::BF16 => a * b,
            DType::I32 => f64::from((a as i32).wrapping_mul(b as i32)),
            DType::U32 | DType::Bool => f64::from((a as u32).wrapping_mul(b as u32)),
        },
        BinaryOp::Div => match dtype {
            DType::F32 | DType::F16 | DType::BF16 => a / b,
            DType::I32 | DType::U32 | DType::Bool if b == 0.0 => 0.0,
            DType::I32 => f64::from((a as i32).wrapping_div(b as i32)),
            DType::U32 | DType::Bool => f64::from(a as u32 / b as u32),
        },
        BinaryOp::Rem => match dtype {
            DType::F32 | DType::F16 | DType::BF16 => a % b,
            DType::I32 | DType::U32 | DType::Bool if b == 0.0 => 0.0,
            DType::I32 => f64::from((a as i32).wrapping_rem(b as i32)),
            DType::U32 | DType::Bool => f64::from(a as u32 % b as u32),
        },
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Min => {
            if a < b || a.is_nan() {
                a
            } else {
                b
            }
        }
        BinaryOp::Max => {
            if a > b || a.is_nan() {
                a
            } else {
                b
            }
        }
        BinaryOp::Lt => truth(a < b),
        BinaryOp::Le => truth(a <= b),
        BinaryOp::Eq => truth(a == b),
        BinaryOp::Ne => truth(a != b),
        BinaryOp::And => bits(dtype, a, b, |a, b| a & b),
        BinaryOp::Or => bits(dtype, a, b, |a, b| a | b),
        BinaryOp::Xor => bits(dtype, a, b, |a, b| a ^ b),
        BinaryOp::Shl => match dtype {
            DType::I32 => f64::from((a as i32).wrapping_shl(to_word(b, dtype))),
            DType::U32 | DType::F32 | DType::F16 | DType::BF16 | DType::Bool => f64::from((a as u32).wrapping_shl(b as u32)),
        },
        BinaryOp::Shr => match dtype {
            DType::I32 => f64::from((a as i32).wrapping_shr(to_word(b, dtype))),
            DType::U32 | DType::F32 | DType::F16 | DType::BF16 | DType::Bool => f64::from((a as u32).wrapping_shr(b as u32)),
        },
    }
}

/// Conversion between element types: floats to integers round toward zero and saturate, integers wrap, anything but 0 is true.
pub fn cast(x: f64, from: DType, to: DType) -> f64 {
    match (from, to) {
        (_, DType::F32 | DType::F16 | DType::BF16) => x,
        (_, DType::Bool) => truth(x != 0.0),
        (DType::F32 | DType::F16 | DType::BF16, DType::I32) => f64::from(x as i32),
        (DType::F32 | DType::F16 | DType::BF16, DType::U32) => f64::from(x as u32),
        (DType::I32 | DType::U32 | DType::Bool, DType::I32) => f64::from(x as i64 as i32),
        (DType::I32 | DType::U32 | DType::Bool, DType::U32) => f64::from(x as i64 as u32),
    }
}

/// The word that stores `x` as an element of type `dtype`; floats are rounded to the type.
pub fn to_word(x: f64, dtype: DType) -> u32 {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => (dtype.round(x) as f32).to_bits(),
        DType::I32 => x as i32 as u32,
        DType::U32 => x as u32,
        DType::Bool => u32::from(x != 0.0),
    }
}

/// The value of a stored word.
pub fn from_word(word: u32, dtype: DType) -> f64 {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => f32::from_bits(word).into(),
        DType::I32 => (word as i32).into(),
        DType::U32 => word.into(),
        DType::Bool => truth(word != 0),
    }
}

/// The first word of the Philox 4x32-10 block with counter `(index, step, stream, 0)` and key `(seed, 0)`.
#[inline(always)]
pub fn philox(index: u32, step: u32, stream: u32, seed: u32) -> u32 {
    philox_block([index, step, stream, 0], [seed, 0])[0]
}

/// Philox 4x32 with ten rounds. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#[inline(always)]
pub fn philox_block(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    // One key a round, and no loop, so that loops over this vectorise.
    let keys =
        |round: u32| [key[0].wrapping_add(0x9E37_79B9u32.wrapping_mul(round)), key[1].wrapping_add(0xBB67_AE85u32.wrapping_mul(round))];
    let first = philox_five(counter, [keys(0), keys(1), keys(2), keys(3), keys(4)]);
    philox_five(first, [keys(5), keys(6), keys(7), keys(8), keys(9)])
}

#[inline(always)]
fn philox_five(c: [u32; 4], keys: [[u32; 2]; 5]) -> [u32; 4] {
    let c = philox_round(c, keys[0]);
    let c = philox_round(c, keys[1]);
    let c = philox_round(c, keys[2]);
    let c = philox_round(c, keys[3]);
    philox_round(c, keys[4])
}

#[inline(always)]
fn philox_round(c: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let a = u64::from(c[0]) * 0xD251_1F53;
    let b = u64::from(c[2]) * 0xCD9E_8D57;
    [(b >> 32) as u32 ^ c[1] ^ key[0], b as u32, (a >> 32) as u32 ^ c[3] ^ key[1], a as u32]
}

fn truth(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

/// An exact integer result brought back to 32 bits.
fn wrap(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => x,
        DType::I32 => f64::from(x as i64 as i32),
        DType::U32 | DType::Bool => f64::from(x as i64 as u32),
    }
}

fn bits(dtype: DType, a: f64, b: f64, f: impl Fn(u32, u32) -> u32) -> f64 {
    from_word(f(to_word(a, dtype), to_word(b, dtype)), dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_matches_random123() {
        // Known answers of Random123's kat_vectors for philox4x32 10.
        assert_eq!(philox_block([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox_block([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let counter = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        assert_eq!(philox_block(counter, [0xa4093822, 0x299f31d0]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }

    #[test]
    fn erf_is_accurate() {
        // Values of the integral to 17 digits.
        let known = [
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (-3.0, -0.999_977_909_503_001_4),
        ];
        for (x, y) in known {
            assert!((unary(UnaryOp::Erf, DType::F32, x) - y).abs() < 2e-16, "erf({x})");
        }
        assert_eq!(unary(UnaryOp::Erf, DType::F32, f64::INFINITY), 1.0);
    }

    #[test]
    fn integers_wrap_and_never_trap() {
        let (min, max) = (f64::from(i32::MIN), f64::from(i32::MAX));
        assert_eq!(binary(BinaryOp::Add, DType::I32, max, 1.0), min);
        assert_eq!(binary(BinaryOp::Div, DType::I32, min, -1.0), min);
        assert_eq!(binary(BinaryOp::Rem, DType::I32, min, -1.0), 0.0);
        assert_eq!(binary(BinaryOp::Div, DType::I32, -7.0, 2.0), -3.0);
        assert_eq!(binary(BinaryOp::Rem, DType::I32, -7.0, 2.0), -1.0);
        assert_eq!(binary(BinaryOp::Div, DType::U32, 5.0, 0.0), 0.0);
        assert_eq!(binary(BinaryOp::Rem, DType::I32, 5.0, 0.0), 0.0);
        assert_eq!(binary(BinaryOp::Sub, DType::U32, 0.0, 1.0), f64::from(u32::MAX));
        assert_eq!(binary(BinaryOp::Mul, DType::U32, 4294967295.0, 4294967295.0), 1.0);
        assert_eq!(binary(BinaryOp::Shl, DType::U32, 1.0, 33.0), 2.0);
        assert_eq!(binary(BinaryOp::Shr, DType::I32, -8.0, 1.0), -4.0);
        assert_eq!(unary(UnaryOp::Neg, DType::I32, min), min);
        assert_eq!(unary(UnaryOp::Not, DType::U32, 0.0), f64::from(u32::MAX));
        assert_eq!(cast(-1.0, DType::I32, DType::U32), f64::from(u32::MAX));
        assert_eq!(cast(-1.5, DType::F32, DType::U32), 0.0);
        assert_eq!(cast(f64::NAN, DType::F32, DType::I32), 0.0);
        assert_eq!(cast(f64::NAN, DType::F32, DType::Bool), 1.0);
    }
}

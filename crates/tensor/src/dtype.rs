//! Element types, and single values of them.

use std::fmt;

use half::{bf16, f16};

/// The element type of a tensor.
///
/// On the host and on the CPU every element is one 32-bit word: a `Bool` is the word 0 or 1, an `F16` or `BF16` the bits of the f32 of the same value.
/// GPUs that compute with f16 keep large `F16` tensors in two bytes an element; everywhere else a half takes four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit IEEE 754 floating point.
    F32,
    /// 16-bit IEEE 754 floating point: 11 bits of precision, up to 65504. Each operation is computed in f32 and its result rounded (to nearest, ties to
    /// even; beyond the range to infinity); sums and products add up in f32 and round once.
    F16,
    /// The upper half of an f32: its range with 8 bits of precision. Computed with as `F16` is.
    BF16,
    /// 32-bit signed integer, arithmetic wraps.
    I32,
    /// 32-bit unsigned integer, arithmetic wraps.
    U32,
    /// Truth value.
    Bool,
}

impl DType {
    /// Bytes that one element takes in memory (at most: see [`DType`] for halves).
    pub fn size(self) -> usize {
        4
    }

    /// Whether values are real numbers, so that gradients flow through them.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16 | DType::BF16)
    }

    /// Whether it is a float of 16 bits.
    pub fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::BF16)
    }

    /// The number nearest to `value` that the type holds, for float types (ties to even, beyond the range infinite); `value` itself for others. A half's
    /// is rounded once, straight from f64.
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::F32 => f64::from(value as f32),
            DType::F16 => rounded(value, 11, -24, f16::MAX.to_f64()),
            DType::BF16 => rounded(value, 8, -133, bf16::MAX.to_f64()),
            DType::I32 | DType::U32 | DType::Bool => value,
        }
    }

    /// The largest finite number of a float type; infinity for others.
    pub fn max_finite(self) -> f64 {
        match self {
            DType::F32 => f32::MAX.into(),
            DType::F16 => f16::MAX.to_f64(),
            DType::BF16 => bf16::MAX.to_f64(),
            DType::I32 | DType::U32 | DType::Bool => f64::INFINITY,
        }
    }

    /// Whether values are whole numbers (booleans are not).
    pub fn is_int(self) -> bool {
        matches!(self, DType::I32 | DType::U32)
    }
}

/// `value` to so many bits, but to no smaller unit than two to the power of `least`. (The conversion from f64 in `half` looks at the upper 32 bits only, and takes
/// for a tie what is almost one.)
fn rounded(value: f64, bits: i32, least: i32, most: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let unit = 2f64.powi((exponent - (bits - 1)).max(least));
    let result = (value / unit).round_ties_even() * unit;
    if result.abs() > most { f64::INFINITY.copysign(value) } else { result }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I32 => "i32",
            DType::U32 => "u32",
            DType::Bool => "bool",
        })
    }
}

/// One value with its type. Numbers of type f32 are kept in f64, so that the oracle sees constants unrounded; halves are rounded by [`Scalar::new`].
///
/// Equality and hashing go by bits: `0.0` and `-0.0` differ, a NaN equals itself.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// An `F32`.
    Float(f64),
    /// An `F16`.
    F16(f64),
    /// A `BF16`.
    BF16(f64),
    /// An `I32`.
    Int(i32),
    /// A `U32`.
    Uint(u32),
    /// A `Bool`.
    Bool(bool),
}

impl Scalar {
    /// The number `value` as an element of type `dtype`: rounded to nearest for halves, toward zero and saturated for integers, `value != 0` for booleans.
    pub fn new(value: f64, dtype: DType) -> Scalar {
        match dtype {
            DType::F32 => Scalar::Float(value),
            DType::F16 => Scalar::F16(dtype.round(value)),
            DType::BF16 => Scalar::BF16(dtype.round(value)),
            DType::I32 => Scalar::Int(value as i32),
            DType::U32 => Scalar::Uint(value as u32),
            DType::Bool => Scalar::Bool(value != 0.0),
        }
    }

    /// The element type.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::Float(_) => DType::F32,
            Scalar::F16(_) => DType::F16,
            Scalar::BF16(_) => DType::BF16,
            Scalar::Int(_) => DType::I32,
            Scalar::Uint(_) => DType::U32,
            Scalar::Bool(_) => DType::Bool,
        }
    }

    /// The value as a real number (exact for every type); `true` is 1.
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Float(v) | Scalar::F16(v) | Scalar::BF16(v) => v,
            Scalar::Int(v) => v.into(),
            Scalar::Uint(v) => v.into(),
            Scalar::Bool(v) => u8::from(v).into(),
        }
    }

    /// The 32-bit word that stores the value on a device.
    pub fn to_word(self) -> u32 {
        match self {
            Scalar::Float(v) => (v as f32).to_bits(),
            Scalar::F16(v) | Scalar::BF16(v) => (self.dtype().round(v) as f32).to_bits(),
            Scalar::Int(v) => v as u32,
            Scalar::Uint(v) => v,
            Scalar::Bool(v) => v.into(),
        }
    }

    fn key(self) -> (DType, u64) {
        let bits = match self {
            Scalar::Float(v) | Scalar::F16(v) | Scalar::BF16(v) => v.to_bits(),
            other => other.to_word().into(),
        };
        (self.dtype(), bits)
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Float(v) | Scalar::F16(v) | Scalar::BF16(v) => write!(f, "{v:?}"),
            Scalar::Int(v) => write!(f, "{v}"),
            Scalar::Uint(v) => write!(f, "{v}u"),
            Scalar::Bool(v) => write!(f, "{v}"),
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
    impl Sealed for i32 {}
    impl Sealed for u32 {}
    impl Sealed for bool {}
}

/// A Rust type that can be an element of a tensor: `f32`, [`f16`], [`bf16`], `i32`, `u32`, `bool`.
pub trait Element: Copy + sealed::Sealed + 'static {
    /// The type's [`DType`].
    const DTYPE: DType;
    /// The word that stores the value.
    fn to_word(self) -> u32;
    /// The value that a word stores.
    fn from_word(word: u32) -> Self;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
    fn to_word(self) -> u32 {
        self.to_bits()
    }
    fn from_word(word: u32) -> Self {
        f32::from_bits(word)
    }
}

impl Element for f16 {
    const DTYPE: DType = DType::F16;
    fn to_word(self) -> u32 {
        self.to_f32().to_bits()
    }
    fn from_word(word: u32) -> Self {
        f16::from_f32(f32::from_bits(word))
    }
}

impl Element for bf16 {
    const DTYPE: DType = DType::BF16;
    fn to_word(self) -> u32 {
        self.to_f32().to_bits()
    }
    fn from_word(word: u32) -> Self {
        bf16::from_f32(f32::from_bits(word))
    }
}

impl Element for i32 {
    const DTYPE: DType = DType::I32;
    fn to_word(self) -> u32 {
        self as u32
    }
    fn from_word(word: u32) -> Self {
        word as i32
    }
}

impl Element for u32 {
    const DTYPE: DType = DType::U32;
    fn to_word(self) -> u32 {
        self
    }
    fn from_word(word: u32) -> Self {
        word
    }
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn to_word(self) -> u32 {
        self.into()
    }
    fn from_word(word: u32) -> Self {
        word != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every half is itself; the middle of two goes to the even one, and what is a bit off the middle to the nearer one.
    #[test]
    fn halves_round_to_nearest_even() {
        let of = |dtype: DType, bits: u16| if dtype == DType::F16 { f16::from_bits(bits).to_f64() } else { bf16::from_bits(bits).to_f64() };
        for dtype in [DType::F16, DType::BF16] {
            for bits in 0..0x7fffu16 {
                let (low, high) = (of(dtype, bits), of(dtype, bits + 1));
                if !high.is_finite() {
                    continue;
                }
                let even = if bits % 2 == 0 { low } else { high };
                let middle = (low + high) / 2.0;
                for sign in [1.0, -1.0] {
                    let round = |x: f64| dtype.round(sign * x).to_bits();
                    assert_eq!(round(low), (sign * low).to_bits(), "{dtype} {bits:#06x}");
                    assert_eq!(round(middle), (sign * even).to_bits(), "{dtype} {bits:#06x}");
                    assert_eq!(round(middle.next_down()), (sign * low).to_bits(), "{dtype} {bits:#06x}");
                    assert_eq!(round(middle.next_up()), (sign * high).to_bits(), "{dtype} {bits:#06x}");
                }
            }
            // Half a unit beyond the largest.
            let most = dtype.max_finite();
            let beyond = if dtype == DType::F16 { 65520.0 } else { most + (of(DType::BF16, 0x7f7f) - of(DType::BF16, 0x7f7e)) / 2.0 };
            assert_eq!((dtype.round(beyond.next_down()), dtype.round(-beyond)), (most, f64::NEG_INFINITY));
            assert!(dtype.round(f64::NAN).is_nan() && dtype.round(f64::INFINITY) == f64::INFINITY);
            assert_eq!((dtype.round(1e-320), dtype.round(-1e-320).is_sign_negative()), (0.0, true));
        }
    }
}

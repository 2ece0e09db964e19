//! Element types as files store them, and their way into an array's words.

use std::io::{self, Read, Write};
use std::path::Path;

use noyau_tensor::{Array, DType, Element, Error, Result, Shape, bf16, f16};

/// Bytes converted at a time; a multiple of every element size.
const CHUNK: usize = 1 << 16;

/// An element type of a file, always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    F16,
    BF16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

/// The element of a chunk that cannot be converted, and why.
struct Refused {
    index: usize,
    why: String,
}

impl Stored {
    /// Bytes that one element takes in the file.
    pub(crate) fn size(self) -> usize {
        match self {
            Stored::I8 | Stored::U8 | Stored::Bool => 1,
            Stored::F16 | Stored::BF16 | Stored::I16 | Stored::U16 => 2,
            Stored::F32 | Stored::I32 | Stored::U32 => 4,
            Stored::F64 | Stored::I64 | Stored::U64 => 8,
        }
    }

    /// The type that elements get in memory: the rule is in the crate's documentation.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Stored::F16 => DType::F16,
            Stored::BF16 => DType::BF16,
            Stored::F32 | Stored::F64 => DType::F32,
            Stored::I8 | Stored::I16 | Stored::I32 | Stored::I64 => DType::I32,
            Stored::U8 | Stored::U16 | Stored::U32 | Stored::U64 => DType::U32,
            Stored::Bool => DType::Bool,
        }
    }

    /// The type in which elements of `dtype` are written.
    pub(crate) fn of(dtype: DType) -> Stored {
        match dtype {
            DType::F32 => Stored::F32,
            DType::F16 => Stored::F16,
            DType::BF16 => Stored::BF16,
            DType::I32 => Stored::I32,
            DType::U32 => Stored::U32,
            DType::Bool => Stored::Bool,
        }
    }

    /// Appends the elements in `bytes` (a whole number of them) to `words`.
    fn decode(self, bytes: &[u8], words: &mut Vec<u32>) -> Result<(), Refused> {
        match self {
            Stored::F32 | Stored::I32 | Stored::U32 => words.extend(elements(bytes).map(u32::from_le_bytes)),
            Stored::F16 => words.extend(elements(bytes).map(|b| f16::from_le_bytes(b).to_word())),
            Stored::BF16 => words.extend(elements(bytes).map(|b| bf16::from_le_bytes(b).to_word())),
            Stored::I8 => words.extend(bytes.iter().map(|&b| i32::from(b as i8) as u32)),
            Stored::I16 => words.extend(elements(bytes).map(|b| i32::from(i16::from_le_bytes(b)) as u32)),
            Stored::U8 => words.extend(bytes.iter().map(|&b| u32::from(b))),
            Stored::U16 => words.extend(elements(bytes).map(|b| u32::from(u16::from_le_bytes(b)))),
            Stored::F64 => return fallible(bytes, words, |b| narrow(f64::from_le_bytes(b))),
            Stored::I64 => {
                return fallible(bytes, words, |b| {
                    let v = i64::from_le_bytes(b);
                    i32::try_from(v)
                        .map(|v| v as u32)
                        .map_err(|_| format!("{v} does not fit in 32 bits; store smaller numbers or real ones"))
                });
            }
            Stored::U64 => {
                return fallible(bytes, words, |b| {
                    let v = u64::from_le_bytes(b);
                    u32::try_from(v).map_err(|_| format!("{v} does not fit in 32 bits; store smaller numbers or real ones"))
                });
            }
            Stored::Bool => {
                return fallible(bytes, words, |[b]: [u8; 1]| match b {
                    0 | 1 => Ok(b.into()),
                    _ => Err(format!("a truth value is stored as 0 or 1, not {b}")),
                });
            }
        }
        Ok(())
    }
}

fn elements<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).map(|chunk| {
        let mut element = [0; N];
        element.copy_from_slice(chunk);
        element
    })
}

fn fallible<const N: usize>(bytes: &[u8], words: &mut Vec<u32>, convert: impl Fn([u8; N]) -> Result<u32, String>) -> Result<(), Refused> {
    for (index, element) in elements(bytes).enumerate() {
        words.push(convert(element).map_err(|why| Refused { index, why })?);
    }
    Ok(())
}

fn narrow(value: f64) -> Result<u32, String> {
    let narrowed = value as f32;
    if narrowed.is_infinite() && value.is_finite() {
        return Err(format!("{value:e} is too large for f32"));
    }
    Ok(narrowed.to_bits())
}

/// The number of elements, or `None` where it does not fit, even were the axes of size 0 not there: nothing that later multiplies
/// some of the sizes may overflow.
pub(crate) fn count(shape: &Shape) -> Option<usize> {
    let others: Shape = shape.iter().map(|&size| size.max(1)).collect();
    others.checked_numel().map(|n| if shape.contains(&0) { 0 } else { n })
}

/// Reads the elements of one tensor. The caller has checked that the input holds as many as `shape` needs.
///
/// `offset` is where they start in the file and `what` names them, both for messages.
pub(crate) fn read_array(name: &Path, reader: &mut dyn Read, stored: Stored, shape: Shape, what: &str, offset: u64) -> Result<Array> {
    let too_large = || Error::data(name, format!("{what}: shape {shape} is too large for this machine's memory"));
    let numel = count(&shape).ok_or_else(too_large)?;
    let bytes = numel.checked_mul(stored.size()).ok_or_else(too_large)?;
    let mut words = Vec::new();
    words.try_reserve_exact(numel).map_err(|_| too_large())?;
    let mut chunk = vec![0; bytes.min(CHUNK)];
    let mut done = 0;
    while done < bytes {
        let part = (bytes - done).min(CHUNK);
        let part = &mut chunk[..part];
        reader.read_exact(part).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::data(
                name,
                format!(
                    "{what}: the file ends before offset {}, where the values end; it has been cut short: save or fetch it again",
                    offset + bytes as u64
                ),
            ),
            _ => Error::io(name, "read", &e),
        })?;
        let first = done / stored.size();
        stored.decode(part, &mut words).map_err(|refused| {
            let index = first + refused.index;
            let at = offset + (index * stored.size()) as u64;
            Error::data(name, format!("{what}: element {index} (offset {at}): {}", refused.why))
        })?;
        done += part.len();
    }
    Array::from_words(shape, stored.dtype(), words)
}

/// Writes an array's elements as [`Stored::of`] its type.
pub(crate) fn write_array(array: &Array, writer: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK);
    for words in array.words().chunks(CHUNK / 4) {
        bytes.clear();
        match array.dtype() {
            DType::Bool => bytes.extend(words.iter().map(|&w| u8::from(w != 0))),
            DType::F16 => bytes.extend(words.iter().flat_map(|&w| f16::from_word(w).to_le_bytes())),
            DType::BF16 => bytes.extend(words.iter().flat_map(|&w| bf16::from_word(w).to_le_bytes())),
            DType::F32 | DType::I32 | DType::U32 => bytes.extend(words.iter().flat_map(|w| w.to_le_bytes())),
        }
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// Writes an array's elements, rounded toward zero, as integers of 64 bits.
pub(crate) fn write_longs(array: &Array, writer: &mut dyn Write) -> io::Result<()> {
    array.to_f64().into_iter().try_for_each(|value| writer.write_all(&(value as i64).to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(stored: Stored, bytes: &[u8]) -> Result<Array> {
        let shape = Shape::from([bytes.len() / stored.size()]);
        read_array(Path::new("f"), &mut &bytes[..], stored, shape, "t", 100)
    }

    #[test]
    fn halves_convert_exactly() {
        for (half, value) in [
            (0x0000, 0.0f32),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f32.powi(-24)),
            (0x83ff, -1023.0 * 2f32.powi(-24)),
            (0x0400, 2f32.powi(-14)),
            (0x7c00, f32::INFINITY),
            (0x3555, 0.333_251_95),
        ] {
            let bytes = u16::to_le_bytes(half);
            let found = decode(Stored::F16, &bytes).unwrap();
            assert_eq!((found.dtype(), found.to_f64()), (DType::F16, vec![f64::from(value)]), "{half:#06x}");
            let mut written = Vec::new();
            write_array(&found, &mut written).unwrap();
            assert_eq!(written, bytes);
        }
        assert!(decode(Stored::F16, &[0x00, 0x7e]).unwrap().item().is_nan());
        assert!(decode(Stored::F16, &[0x00, 0x80]).unwrap().item().is_sign_negative());
        assert_eq!(decode(Stored::BF16, &[0x80, 0x3f, 0x20, 0xc0]).unwrap().to_f64(), [1.0, -2.5]);
    }

    #[test]
    fn integers_convert_exactly_or_name_the_element() {
        assert_eq!(decode(Stored::I8, &[255, 128]).unwrap().to_f64(), [-1.0, -128.0]);
        assert_eq!(decode(Stored::U8, &[255]).unwrap().to_f64(), [255.0]);
        assert_eq!(decode(Stored::I16, &(-2i16).to_le_bytes()).unwrap().to_f64(), [-2.0]);
        assert_eq!(decode(Stored::U16, &65535u16.to_le_bytes()).unwrap().to_f64(), [65535.0]);
        let both: Vec<u8> = [i64::from(i32::MIN), i64::from(i32::MAX) + 1].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(Stored::I64, &both[..8]).unwrap().to_f64(), [f64::from(i32::MIN)]);
        let message = decode(Stored::I64, &both).unwrap_err().to_string();
        assert!(message.contains("element 1 (offset 108): 2147483648 does not fit"), "{message}");
        assert!(decode(Stored::U64, &(1u64 << 32).to_le_bytes()).is_err());
        assert!(decode(Stored::Bool, &[0, 1, 2]).unwrap_err().to_string().contains("element 2"));
    }

    #[test]
    fn doubles_round_but_do_not_overflow() {
        assert_eq!(decode(Stored::F64, &0.1f64.to_le_bytes()).unwrap().item(), 0.1);
        assert_eq!(decode(Stored::F64, &f64::INFINITY.to_le_bytes()).unwrap().item(), f32::INFINITY);
        assert!(decode(Stored::F64, &1e39f64.to_le_bytes()).is_err());
    }

    #[test]
    fn elements_past_the_first_chunk_are_right() {
        let values: Vec<i64> = (0..20_000).collect();
        let mut bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(Stored::I64, &bytes).unwrap().to_vec::<i32>().unwrap()[19_999], 19_999);
        bytes[8 * 10_000 + 7] = 0x40;
        assert!(decode(Stored::I64, &bytes).unwrap_err().to_string().contains("element 10000"));
    }
}

//! Stored tensors: ONNX keeps values in one of five lists, or as raw little-endian bytes, or in a file beside the model.

use noyau_tensor::{Array, DType, Scalar, bf16, f16};

use super::value::{Data, Known, dtype, is_float};
use crate::proto::TensorProto;
use crate::proto::tensor_proto::{DataLocation, DataType};

/// The element type by its number.
pub(crate) fn kind(number: i32) -> Result<DataType, String> {
    match DataType::try_from(number) {
        Ok(DataType::Undefined) => Err("has no element type".into()),
        Ok(kind) => Ok(kind),
        Err(_) => Err(format!("has the unknown element type {number}")),
    }
}

/// The sizes and the number of elements.
pub(crate) fn sizes(tensor: &TensorProto) -> Result<(Vec<usize>, usize), String> {
    let size = |&d: &i64| usize::try_from(d).map_err(|_| format!("has the size {d} in its shape {:?}; sizes are 0 or more", tensor.dims));
    let shape = tensor.dims.iter().map(size).collect::<Result<Vec<usize>, String>>()?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= isize::MAX as usize / 8);
    let count = count.ok_or_else(|| format!("has the shape {shape:?}, whose elements cannot be counted"))?;
    Ok((shape, count))
}

/// How many bytes an element takes in raw data.
fn width(kind: DataType) -> Result<usize, String> {
    Ok(match kind {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        other => return Err(format!("has elements of type {}, which are not supported", other.as_str_name())),
    })
}

/// The values that a tensor stores. Nothing is allocated that the file does not hold.
pub(crate) fn known(tensor: &TensorProto) -> Result<Known, String> {
    let kind = kind(tensor.data_type)?;
    let (shape, count) = sizes(tensor)?;
    let width = width(kind)?;
    if tensor.data_location == DataLocation::External as i32 {
        return Err("keeps its values in another file: open the model by its path, with that file beside it".into());
    }
    let held = |have: usize, place: &str| {
        if have == count {
            return Ok(());
        }
        Err(format!(
            "has the shape {shape:?}, {count} elements of {}, but {place} holds {have}: it is damaged, export it again",
            kind.as_str_name()
        ))
    };
    let raw = &tensor.raw_data;
    let data = if !raw.is_empty() || (count == 0 && no_lists(tensor)) {
        if count.checked_mul(width) != Some(raw.len()) {
            let (name, have) = (kind.as_str_name(), raw.len());
            return Err(format!(
                "has the shape {shape:?}, {count} elements of {name} of {width} bytes, but its raw data has {have} bytes: it is damaged, export it again"
            ));
        }
        raw_values(kind, raw)?
    } else {
        match kind {
            DataType::Float => {
                held(tensor.float_data.len(), "float_data")?;
                Data::Floats(tensor.float_data.iter().map(|&v| v.into()).collect())
            }
            DataType::Double => {
                held(tensor.double_data.len(), "double_data")?;
                Data::Floats(tensor.double_data.clone())
            }
            DataType::Int64 => {
                held(tensor.int64_data.len(), "int64_data")?;
                Data::Ints(tensor.int64_data.clone())
            }
            DataType::Uint32 | DataType::Uint64 => {
                held(tensor.uint64_data.len(), "uint64_data")?;
                Data::Ints(tensor.uint64_data.iter().map(|&v| unsigned(v)).collect::<Result<_, _>>()?)
            }
            DataType::Float16 | DataType::Bfloat16 => {
                held(tensor.int32_data.len(), "int32_data")?;
                Data::Floats(tensor.int32_data.iter().map(|&v| half(kind, v as u16)).collect())
            }
            _ => {
                held(tensor.int32_data.len(), "int32_data")?;
                Data::Ints(tensor.int32_data.iter().map(|&v| v.into()).collect())
            }
        }
    };
    Ok(Known { kind, shape, data })
}

fn no_lists(t: &TensorProto) -> bool {
    t.float_data.is_empty() && t.int32_data.is_empty() && t.int64_data.is_empty() && t.double_data.is_empty() && t.uint64_data.is_empty()
}

fn half(kind: DataType, bits: u16) -> f64 {
    if kind == DataType::Float16 { f16::from_bits(bits).to_f64() } else { bf16::from_bits(bits).to_f64() }
}

fn unsigned(value: u64) -> Result<i64, String> {
    i64::try_from(value).map_err(|_| format!("holds the value {value}; unsigned values up to {} are supported", i64::MAX))
}

fn raw_values(kind: DataType, raw: &[u8]) -> Result<Data, String> {
    fn each<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    Ok(match kind {
        DataType::Float => Data::Floats(each(raw, |b| f32::from_le_bytes(b).into())),
        DataType::Double => Data::Floats(each(raw, f64::from_le_bytes)),
        DataType::Float16 | DataType::Bfloat16 => Data::Floats(each(raw, |b| half(kind, u16::from_le_bytes(b)))),
        DataType::Int8 => Data::Ints(each(raw, |b| i8::from_le_bytes(b).into())),
        DataType::Uint8 => Data::Ints(each(raw, |b: [u8; 1]| b[0].into())),
        DataType::Bool => Data::Ints(each(raw, |b: [u8; 1]| (b[0] != 0).into())),
        DataType::Int16 => Data::Ints(each(raw, |b| i16::from_le_bytes(b).into())),
        DataType::Uint16 => Data::Ints(each(raw, |b| u16::from_le_bytes(b).into())),
        DataType::Int32 => Data::Ints(each(raw, |b| i32::from_le_bytes(b).into())),
        DataType::Uint32 => Data::Ints(each(raw, |b| u32::from_le_bytes(b).into())),
        DataType::Int64 => Data::Ints(each(raw, i64::from_le_bytes)),
        DataType::Uint64 => Data::Ints(each(raw, |b| unsigned(u64::from_le_bytes(b))).into_iter().collect::<Result<_, _>>()?),
        other => return Err(format!("has elements of type {}, which are not supported", other.as_str_name())),
    })
}

/// A tensor of a float type as an array, without going through f64 where the file has f32.
pub(crate) fn floats(tensor: &TensorProto) -> Result<Array, String> {
    let stored = kind(tensor.data_type)?;
    let plain = tensor.data_location != DataLocation::External as i32 && stored == DataType::Float;
    let (shape, count) = sizes(tensor)?;
    if plain && count.checked_mul(4) == Some(tensor.raw_data.len()) {
        let words = tensor.raw_data.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        return Array::from_words(shape, DType::F32, words).map_err(|e| e.to_string());
    }
    let known = known(tensor)?;
    let Data::Floats(values) = &known.data else { return Err(format!("holds {}, not floats", stored.as_str_name())) };
    let dtype = dtype(stored)?;
    if let Some(value) = values.iter().find(|v| v.is_finite() && v.abs() > f64::from(f32::MAX)) {
        return Err(format!("holds the value {value:e}, which is beyond f32, in which noyau computes"));
    }
    let words = values.iter().map(|&v| Scalar::new(v, dtype).to_word()).collect();
    Array::from_words(shape, dtype, words).map_err(|e| e.to_string())
}

/// Whether a stored tensor has a float type.
pub(crate) fn holds_floats(tensor: &TensorProto) -> bool {
    kind(tensor.data_type).is_ok_and(is_float)
}

/// Whether all finite values are ones that f32 has room for.
pub(crate) fn fits_f32(known: &Known) -> bool {
    match &known.data {
        Data::Floats(all) => all.iter().all(|v| !v.is_finite() || v.abs() <= f64::from(f32::MAX)),
        Data::Ints(_) => true,
    }
}

//! Values of a graph while it is walked: tensors, which are expressions, and what is known already.

use std::sync::Arc;

use noyau_tensor::{Array, DType, Op, Scalar, Tensor};

use crate::proto::tensor_proto::DataType;

/// The most elements that a known value has; what is larger is left to the device.
pub(crate) const KNOWN: usize = 1 << 20;

/// What a node reads and makes.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Known while the graph is walked.
    Known(Arc<Known>),
    /// An expression.
    Tensor(Tensor),
    /// A sequence of values.
    List(Arc<Vec<Value>>),
    /// An optional value that is not there.
    Nothing,
}

/// Numbers that are known while the graph is walked, exact whatever their type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub kind: DataType,
    pub shape: Vec<usize>,
    pub data: Data,
}

/// The elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// Of integer types and booleans.
    Ints(Vec<i64>),
    /// Of float types.
    Floats(Vec<f64>),
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Data::Ints(all) => all.len(),
            Data::Floats(all) => all.len(),
        }
    }
}

impl Known {
    /// A list of int64.
    pub fn ints(values: Vec<i64>) -> Known {
        Known { kind: DataType::Int64, shape: vec![values.len()], data: Data::Ints(values) }
    }

    /// One int64.
    pub fn int(value: i64) -> Known {
        Known { kind: DataType::Int64, shape: Vec::new(), data: Data::Ints(vec![value]) }
    }

    /// The elements as real numbers.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::Ints(all) => all.iter().map(|&v| v as f64).collect(),
            Data::Floats(all) => all.clone(),
        }
    }

    /// The values as a constant tensor; fails where one does not fit into noyau's 32 bits.
    pub fn tensor(&self) -> Result<Tensor, String> {
        let dtype = dtype(self.kind)?;
        let words = match &self.data {
            Data::Ints(all) => all.iter().map(|&v| word(v, dtype)).collect::<Result<Vec<u32>, String>>()?,
            Data::Floats(all) => {
                if let Some(value) = all.iter().find(|v| v.is_finite() && v.abs() > f64::from(f32::MAX)) {
                    return Err(format!(
                        "holds the value {value:e}, which is beyond f32, in which noyau computes; Model::run_f64 takes it as it is"
                    ));
                }
                all.iter().map(|&v| Scalar::new(v, dtype).to_word()).collect()
            }
        };
        let first = words.first().copied();
        // One value everywhere folds in the compiler.
        if let (Some(first), true) = (first, words.iter().all(|w| Some(*w) == first)) {
            let value = match dtype {
                DType::F32 => Scalar::Float(f32::from_bits(first).into()),
                DType::F16 => Scalar::F16(f32::from_bits(first).into()),
                DType::BF16 => Scalar::BF16(f32::from_bits(first).into()),
                DType::I32 => Scalar::Int(first as i32),
                DType::U32 => Scalar::Uint(first),
                DType::Bool => Scalar::Bool(first != 0),
            };
            return Ok(Tensor::full(self.shape.clone(), value));
        }
        let array = Array::from_words(self.shape.clone(), dtype, words).map_err(|e| e.to_string())?;
        Ok(Tensor::from_array(array))
    }
}

/// An integer as the word of an element.
fn word(value: i64, dtype: DType) -> Result<u32, String> {
    let unfit = || format!("the value {value} does not fit into {dtype}, which noyau holds integers of this type in");
    match dtype {
        DType::Bool => Ok((value != 0).into()),
        DType::U32 => u32::try_from(value).map_err(|_| unfit()),
        _ => i32::try_from(value).map(|v| v as u32).map_err(|_| unfit()),
    }
}

impl DataType {
    /// The type in which noyau holds elements of this ONNX type, if it does.
    pub fn dtype(self) -> Option<DType> {
        match self {
            DataType::Float | DataType::Double => Some(DType::F32),
            DataType::Float16 => Some(DType::F16),
            DataType::Bfloat16 => Some(DType::BF16),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Uint8 | DataType::Uint16 => Some(DType::I32),
            DataType::Uint32 | DataType::Uint64 => Some(DType::U32),
            DataType::Bool => Some(DType::Bool),
            _ => None,
        }
    }
}

/// [`DataType::dtype`], or what is wrong.
pub(crate) fn dtype(kind: DataType) -> Result<DType, String> {
    kind.dtype().ok_or_else(|| format!("elements of type {} are not supported", kind.as_str_name()))
}

/// The ONNX type that a tensor of noyau is taken for where nothing else is known.
pub(crate) fn kind_of(dtype: DType) -> DataType {
    match dtype {
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::BF16 => DataType::Bfloat16,
        DType::I32 => DataType::Int64,
        DType::U32 => DataType::Uint32,
        DType::Bool => DataType::Bool,
    }
}

/// The least and greatest value of an integer type.
pub(crate) fn bounds(kind: DataType) -> Option<(i64, i64)> {
    Some(match kind {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Uint8 => (0, u8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Uint16 => (0, u16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Uint32 => (0, u32::MAX.into()),
        DataType::Int64 => (i64::MIN, i64::MAX),
        DataType::Uint64 => (0, i64::MAX),
        DataType::Bool => (0, 1),
        _ => return None,
    })
}

/// Whether elements are real numbers.
pub(crate) fn is_float(kind: DataType) -> bool {
    matches!(kind, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
}

/// The number that an element of a float type holds when it is given `value`.
pub(crate) fn rounded(value: f64, kind: DataType) -> f64 {
    match kind {
        DataType::Float => f64::from(value as f32),
        DataType::Float16 => DType::F16.round(value),
        DataType::Bfloat16 => DType::BF16.round(value),
        _ => value,
    }
}

impl Value {
    /// The value as an expression.
    pub fn tensor(&self) -> Result<Tensor, String> {
        match self {
            Value::Known(known) => known.tensor(),
            Value::Tensor(tensor) => Ok(tensor.clone()),
            Value::List(all) => Err(format!("is a sequence of {} values, not a tensor", all.len())),
            Value::Nothing => Err("is empty".into()),
        }
    }

    /// The values, where they are known: constants are too.
    pub fn known(&self) -> Option<Arc<Known>> {
        match self {
            Value::Known(known) => Some(Arc::clone(known)),
            Value::Tensor(tensor) => known_constant(tensor).map(Arc::new),
            Value::List(_) | Value::Nothing => None,
        }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> Option<Vec<usize>> {
        match self {
            Value::Known(known) => Some(known.shape.clone()),
            Value::Tensor(tensor) => Some(tensor.shape().to_vec()),
            Value::List(_) | Value::Nothing => None,
        }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Value {
        Value::Tensor(tensor)
    }
}

impl From<Known> for Value {
    fn from(known: Known) -> Value {
        Value::Known(Arc::new(known))
    }
}

/// What a tensor of constants holds.
fn known_constant(tensor: &Tensor) -> Option<Known> {
    let words: Vec<u32> = match tensor.op() {
        Op::Data(array) if array.len() <= KNOWN => array.words().to_vec(),
        Op::Full(value) if tensor.numel() <= KNOWN => vec![value.to_word(); tensor.numel()],
        _ => return None,
    };
    let data = match tensor.dtype() {
        DType::F32 | DType::F16 | DType::BF16 => Data::Floats(words.into_iter().map(|w| f32::from_bits(w).into()).collect()),
        DType::I32 => Data::Ints(words.into_iter().map(|w| (w as i32).into()).collect()),
        DType::U32 => Data::Ints(words.into_iter().map(i64::from).collect()),
        DType::Bool => Data::Ints(words.into_iter().map(|w| (w != 0).into()).collect()),
    };
    Some(Known { kind: kind_of(tensor.dtype()), shape: tensor.shape().to_vec(), data })
}

//! A tensor's values in f64.

use noyau_tensor::{Array, DType, Result, Scalar, Shape};

use crate::scalar;

/// A tensor's values as real numbers, row-major; integers and booleans are exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The sizes of the axes.
    pub shape: Shape,
    /// The element type that the numbers stand for.
    pub dtype: DType,
    /// The numbers; as many as the shape holds.
    pub data: Vec<f64>,
}

impl Values {
    /// The same value everywhere.
    pub fn full(shape: &Shape, value: Scalar) -> Values {
        Values { shape: shape.clone(), dtype: value.dtype(), data: vec![value.to_f64(); shape.numel()] }
    }

    /// The values as a device stores them: floats rounded to f32.
    pub fn to_array(&self) -> Result<Array> {
        Array::from_words(&self.shape, self.dtype, self.data.iter().map(|&x| scalar::to_word(x, self.dtype)).collect())
    }
}

impl From<&Array> for Values {
    fn from(array: &Array) -> Values {
        Values { shape: array.shape().clone(), dtype: array.dtype(), data: array.to_f64() }
    }
}

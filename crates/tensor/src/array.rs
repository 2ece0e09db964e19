//! Values in the host's memory.

use crate::{DType, Element, Error, Result, Scalar, Shape};

/// A tensor's values in the host's memory, row-major: what goes into a step and what comes out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Shape,
    dtype: DType,
    words: Vec<u32>,
}

impl Array {
    /// Values in row-major order. Fails when there are not as many values as the shape holds.
    pub fn new<T: Element>(shape: impl Into<Shape>, values: &[T]) -> Result<Array> {
        Array::from_words(shape, T::DTYPE, values.iter().map(|v| v.to_word()).collect())
    }

    /// Words as the host stores them (see [`DType`]); those of a half are rounded to it. Fails when there are not as many as the shape holds.
    pub fn from_words(shape: impl Into<Shape>, dtype: DType, mut words: Vec<u32>) -> Result<Array> {
        let shape = shape.into();
        if shape.checked_numel() != Some(words.len()) {
            return Err(Error::argument(
                "Array",
                format!(
                    "a shape of {shape} needs {} values, got {}",
                    shape.iter().map(|d| d.to_string()).collect::<Vec<_>>().join(" x "),
                    words.len()
                ),
            ));
        }
        if dtype.is_half() {
            let round = |word: u32| Scalar::new(f32::from_bits(word).into(), dtype).to_word();
            words.iter_mut().for_each(|word| *word = round(*word));
        }
        Ok(Array { shape, dtype, words })
    }

    /// The values as another type, by the rules of [`Tensor::to`](crate::Tensor::to).
    pub fn to(&self, dtype: DType) -> Array {
        if dtype == self.dtype {
            return self.clone();
        }
        let words = self.words.iter().map(|&word| Scalar::new(self.value(word), dtype).to_word()).collect();
        Array { shape: self.shape.clone(), dtype, words }
    }

    /// One value, shape `[]`.
    pub fn scalar<T: Element>(value: T) -> Array {
        Array { shape: Shape::scalar(), dtype: T::DTYPE, words: vec![value.to_word()] }
    }

    /// The same value everywhere.
    pub fn full(shape: impl Into<Shape>, value: Scalar) -> Array {
        let shape = shape.into();
        Array { words: vec![value.to_word(); shape.numel()], shape, dtype: value.dtype() }
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The stored words, row-major.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The stored words, to be overwritten in place, a half's by the bits of f32 numbers that it holds.
    pub fn words_mut(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// The values as `T`. Fails when the array holds another type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if self.dtype != T::DTYPE {
            return Err(Error::argument(
                "Array::to_vec",
                format!("the array holds {}, not {}; convert it with .to(DType)", self.dtype, T::DTYPE),
            ));
        }
        Ok(self.words.iter().map(|&w| T::from_word(w)).collect())
    }

    /// The only value, as a real number; NaN when there is not exactly one (see [`Array::try_item`]).
    pub fn item(&self) -> f32 {
        self.try_item().unwrap_or(f32::NAN)
    }

    /// The only value, as a real number. Fails when there is not exactly one.
    pub fn try_item(&self) -> Result<f32> {
        match self.words[..] {
            [word] => Ok(self.value(word) as f32),
            _ => Err(Error::argument(
                "Array::item",
                format!("an array of shape {} has {} values, not one; read them with .to_vec()", self.shape, self.len()),
            )),
        }
    }

    /// All values as real numbers, whatever the type.
    pub fn to_f64(&self) -> Vec<f64> {
        self.words.iter().map(|&w| self.value(w)).collect()
    }

    fn value(&self, word: u32) -> f64 {
        match self.dtype {
            DType::F32 | DType::F16 | DType::BF16 => f32::from_bits(word).into(),
            DType::I32 => (word as i32).into(),
            DType::U32 => word.into(),
            DType::Bool => u8::from(word != 0).into(),
        }
    }
}

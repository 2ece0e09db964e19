//! Samples and their targets in memory.

use std::fmt;
use std::sync::Arc;

use noyau_tensor::{Array, DType, Error, Result, Scalar, Shape};

mod batch;
mod check;
mod choose;
mod classes;

pub use batch::Batch;
use check::{finite, rows_of};

/// Samples and their targets, in memory.
///
/// Features are bytes (images: scaled to `0..=1` only when a batch is made, so that MNIST takes 47 MB and not 188), reals, or whole
/// numbers (tokens). Targets are classes (`U32`) or reals (`F32`), of any shape per sample.
///
/// A clone, a [`subset`](Dataset::subset) and a [`split`](Dataset::split) share the values with the original.
#[derive(Clone)]
pub struct Dataset {
    store: Arc<Store>,
    /// Which samples of the store these are; all of them if there is no list.
    rows: Option<Arc<[u32]>>,
    scale: Scale,
    /// Classes are `0..classes`; none for real targets.
    classes: Option<u32>,
}

/// The values, which never change once they are checked.
struct Store {
    len: u32,
    features: Features,
    sample_shape: Shape,
    targets: Vec<u32>,
    target_dtype: DType,
    target_shape: Shape,
}

/// The values of all samples, row-major.
pub(crate) enum Features {
    /// One byte each.
    Bytes(Vec<u8>),
    /// `F32` or `U32` words.
    Words(DType, Vec<u32>),
}

/// What a stored real number or byte becomes in a batch: `value * mul + add`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub mul: f32,
    pub add: f32,
}

impl Scale {
    pub(crate) const IDENTITY: Scale = Scale { mul: 1.0, add: 0.0 };
    const BYTES: Scale = Scale { mul: 1.0 / 255.0, add: 0.0 };

    pub(crate) fn apply(self, value: f32) -> f32 {
        value * self.mul + self.add
    }
}

impl Dataset {
    /// Takes samples and their targets from two arrays whose first axis counts the samples.
    ///
    /// `features` is `[n, sample shape..]` of `F32` or `U32`. `targets` is `[n, target shape..]`: `F32` for real targets, `U32`, `I32` or
    /// `Bool` for classes, whose number is taken to be the highest one + 1 (see [`Dataset::with_classes`]).
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there are no samples, the counts differ, a type is none of these, a real number is not finite, or a class
    /// is negative.
    pub fn new(features: &Array, targets: &Array) -> Result<Dataset> {
        const WHAT: &str = "Dataset::new";
        let (len, sample_shape) = rows_of(WHAT, "features", features.shape())?;
        if !matches!(features.dtype(), DType::F32 | DType::U32) {
            let message = format!("features are f32 (or u32 for tokens), not {}: convert them first", features.dtype());
            return Err(Error::argument(WHAT, message));
        }
        finite(WHAT, "features", features, sample_shape.numel())?;
        let features = Features::Words(features.dtype(), features.words().to_vec());
        Dataset::build(WHAT, len, features, sample_shape, Scale::IDENTITY, targets)
    }

    /// Takes samples of bytes, such as pixels; a batch holds `byte / 255` as `F32`.
    ///
    /// `bytes` are the samples one after the other, each row-major of shape `sample_shape`. `targets` as for [`Dataset::new`].
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there are no samples, or there are not as many bytes as the targets and `sample_shape` ask for; and as
    /// for [`Dataset::new`].
    pub fn from_bytes(sample_shape: impl Into<Shape>, bytes: Vec<u8>, targets: &Array) -> Result<Dataset> {
        const WHAT: &str = "Dataset::from_bytes";
        let sample_shape = sample_shape.into();
        let (len, _) = rows_of(WHAT, "targets", targets.shape())?;
        let needed = sample_shape.checked_numel().and_then(|n| n.checked_mul(len as usize));
        if needed != Some(bytes.len()) {
            let message =
                format!("{len} targets need {len} samples of shape {sample_shape}, one byte a value, but there are {} bytes", bytes.len());
            return Err(Error::argument(WHAT, message));
        }
        Dataset::build(WHAT, len, Features::Bytes(bytes), sample_shape, Scale::BYTES, targets)
    }

    fn build(what: &str, len: u32, features: Features, sample_shape: Shape, scale: Scale, targets: &Array) -> Result<Dataset> {
        if sample_shape.checked_numel() == Some(0) {
            return Err(Error::argument(what, format!("samples of shape {sample_shape} hold no values")));
        }
        let (targets_len, target_shape) = rows_of(what, "targets", targets.shape())?;
        if targets_len != len {
            return Err(Error::argument(what, format!("{len} samples, but {targets_len} targets: every sample needs one")));
        }
        let per_sample = target_shape.numel();
        finite(what, "targets", targets, per_sample)?;
        if targets.dtype() == DType::I32
            && let Some(i) = targets.words().iter().position(|&w| (w as i32) < 0)
        {
            let message = format!("targets: class {} of sample {} is negative", targets.words()[i] as i32, i / per_sample);
            return Err(Error::argument(what, message));
        }
        // Non-negative I32 and Bool are stored as the same words as U32.
        let target_dtype = if targets.dtype().is_float() { DType::F32 } else { DType::U32 };
        let highest = targets.words().iter().copied().max().unwrap_or(0);
        let classes = match target_dtype {
            DType::F32 => None,
            _ => Some(highest.checked_add(1).ok_or_else(|| Error::argument(what, format!("targets: class {highest} is out of range")))?),
        };
        let store = Store { len, features, sample_shape, targets: targets.words().to_vec(), target_dtype, target_shape };
        Ok(Dataset { store: Arc::new(store), rows: None, scale, classes })
    }

    /// The same samples as members of `0..classes`, for when the highest classes do not occur here.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a sample's class is not in `0..classes` (it names the sample), or the targets are real numbers.
    pub fn with_classes(mut self, classes: usize) -> Result<Dataset> {
        const WHAT: &str = "Dataset::with_classes";
        if self.classes.is_none() {
            return Err(Error::argument(WHAT, "the targets are real numbers, not classes"));
        }
        let limit = u32::try_from(classes).unwrap_or(u32::MAX);
        for i in 0..self.len() {
            if let Some(&label) = self.target_words(i).iter().find(|&&label| label >= limit) {
                let message =
                    format!("sample {i} is of class {label}, but there are {classes} classes, 0 to {}", classes.saturating_sub(1));
                return Err(Error::argument(WHAT, if classes == 0 { "there must be at least one class".into() } else { message }));
            }
        }
        self.classes = Some(limit);
        Ok(self)
    }

    /// The same samples, as batches that hold `(x - mean) / std`, where `x` is what they hold now (for bytes: 0 to 1).
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `mean` is not finite, `std` is not a positive number, or the samples are whole numbers.
    pub fn normalized(mut self, mean: f32, std: f32) -> Result<Dataset> {
        const WHAT: &str = "Dataset::normalized";
        let scale = Scale { mul: self.scale.mul / std, add: (self.scale.add - mean) / std };
        if std <= 0.0 || !std.is_finite() || !scale.mul.is_finite() || !scale.add.is_finite() {
            let message = format!("mean {mean} and standard deviation {std}: both must be finite, the second more than 0");
            return Err(Error::argument(WHAT, message));
        }
        if self.dtype() != DType::F32 {
            return Err(Error::argument(WHAT, "the samples are whole numbers (tokens), which have no scale"));
        }
        self.scale = scale;
        Ok(self)
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.store.len as usize, |rows| rows.len())
    }

    /// Whether there are no samples; never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> &Shape {
        &self.store.sample_shape
    }

    /// The element type of the samples of a batch: `F32`, or `U32` for whole numbers.
    pub fn dtype(&self) -> DType {
        match self.store.features {
            Features::Bytes(_) => DType::F32,
            Features::Words(dtype, _) => dtype,
        }
    }

    /// The shape of one target; `[]` for one class or one number a sample.
    pub fn target_shape(&self) -> &Shape {
        &self.store.target_shape
    }

    /// The element type of the targets: `U32` for classes, `F32` for real numbers.
    pub fn target_dtype(&self) -> DType {
        self.store.target_dtype
    }

    /// The number of classes; `None` when the targets are real numbers.
    pub fn classes(&self) -> Option<usize> {
        self.classes.map(|n| n as usize)
    }

    pub(crate) fn features(&self) -> &Features {
        &self.store.features
    }

    pub(crate) fn scale(&self) -> Scale {
        self.scale
    }

    /// The same samples and targets with other features of the same shape.
    pub(crate) fn with_words(&self, words: Vec<u32>) -> Result<Dataset> {
        let features = Array::from_words(prefixed(self.len(), self.sample_shape()), DType::F32, words)?;
        let targets = self.all_targets();
        let mut made = Dataset::new(&features, &targets)?;
        made.classes = self.classes;
        Ok(made)
    }

    /// Where sample `i` is in the store.
    pub(crate) fn row(&self, i: usize) -> u32 {
        self.rows.as_ref().map_or(i as u32, |rows| rows[i])
    }

    pub(crate) fn target_words(&self, i: usize) -> &[u32] {
        let width = self.target_shape().numel();
        &self.store.targets[self.row(i) as usize * width..][..width]
    }

    /// The targets of all samples, `[n, target shape..]`.
    pub(crate) fn all_targets(&self) -> Array {
        let mut targets = zeros(prefixed(self.len(), self.target_shape()), self.target_dtype());
        for (i, out) in targets.words_mut().chunks_exact_mut(self.target_shape().numel()).enumerate() {
            out.copy_from_slice(self.target_words(i));
        }
        targets
    }

    fn no_sample(&self, what: &str, index: usize) -> Error {
        Error::argument(what, format!("there is no sample {index}, only 0 to {}", self.len().saturating_sub(1)))
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.store.features {
            Features::Bytes(_) => "bytes".to_string(),
            Features::Words(dtype, _) => dtype.to_string(),
        };
        f.debug_struct("Dataset")
            .field("len", &self.len())
            .field("features", &format_args!("{kind} {}", self.sample_shape()))
            .field("targets", &format_args!("{} {}", self.target_dtype(), self.target_shape()))
            .field("classes", &self.classes)
            .finish()
    }
}

/// `[len, shape..]`.
pub(crate) fn prefixed(len: usize, shape: &Shape) -> Shape {
    std::iter::once(len).chain(shape.iter().copied()).collect()
}

pub(crate) fn zeros(shape: Shape, dtype: DType) -> Array {
    Array::full(shape, Scalar::new(0.0, dtype))
}

#[cfg(test)]
mod tests;

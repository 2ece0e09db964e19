//! Samples and their targets in memory.

use std::fmt;
use std::sync::Arc;

use noyau_tensor::{Array, DType, Error, Result, Scalar, Shape};

use crate::Rng;

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

/// A batch: what one training step takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The samples, `[batch, sample shape..]`: `F32`, or `U32` where the data set holds whole numbers.
    pub x: Array,
    /// The targets, `[batch, target shape..]`: `U32` classes or `F32` values.
    pub y: Array,
}

impl Batch {
    /// The number of samples.
    pub fn len(&self) -> usize {
        self.x.shape().first().copied().unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// Some of the samples, in the order given; one may come twice. For example `data.subset(0..1000)`.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is no such sample, or none is chosen.
    pub fn subset(&self, indices: impl IntoIterator<Item = usize>) -> Result<Dataset> {
        const WHAT: &str = "Dataset::subset";
        let rows = indices
            .into_iter()
            .map(|i| if i < self.len() { Ok(self.row(i)) } else { Err(self.no_sample(WHAT, i)) })
            .collect::<Result<Vec<u32>>>()?;
        if rows.is_empty() {
            return Err(Error::argument(WHAT, "no sample is chosen"));
        }
        if u32::try_from(rows.len()).is_err() {
            return Err(Error::argument(WHAT, format!("{} samples are more than a data set holds", rows.len())));
        }
        Ok(Dataset { rows: Some(rows.into()), ..self.clone() })
    }

    /// Deals the samples out at random: about `fraction` of them (rounded) to the first data set, the others to the second. The same seed
    /// deals the same way.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when either part would be empty or `fraction` is not between 0 and 1.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Dataset, Dataset)> {
        const WHAT: &str = "Dataset::split";
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::argument(WHAT, format!("the fraction {fraction} is not between 0 and 1")));
        }
        let first = (self.len() as f64 * fraction).round() as usize;
        if first == 0 || first >= self.len() {
            return Err(Error::argument(WHAT, format!("a fraction of {fraction} of {} samples leaves one part empty", self.len())));
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        Rng::new(seed).shuffle(&mut order);
        Ok((self.subset(order[..first].iter().copied())?, self.subset(order[first..].iter().copied())?))
    }

    /// One sample, of shape [`sample_shape`](Dataset::sample_shape), and its target, of shape [`target_shape`](Dataset::target_shape).
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is no such sample.
    pub fn get(&self, index: usize) -> Result<(Array, Array)> {
        let i = u32::try_from(index).ok().filter(|_| index < self.len()).ok_or_else(|| self.no_sample("Dataset::get", index))?;
        let mut x = zeros(self.sample_shape().clone(), self.dtype());
        let mut y = zeros(self.target_shape().clone(), self.target_dtype());
        self.fill(&[i], x.words_mut(), y.words_mut());
        Ok((x, y))
    }

    /// The batch of these samples, in this order.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is no such sample.
    pub fn batch(&self, indices: &[u32]) -> Result<Batch> {
        if let Some(&i) = indices.iter().find(|&&i| i as usize >= self.len()) {
            return Err(self.no_sample("Dataset::batch", i as usize));
        }
        let mut batch = self.empty_batch(indices.len());
        self.fill(indices, batch.x.words_mut(), batch.y.words_mut());
        Ok(batch)
    }

    /// Arrays to [`fill`](Dataset::fill) with `len` samples.
    pub(crate) fn empty_batch(&self, len: usize) -> Batch {
        Batch {
            x: zeros(prefixed(len, self.sample_shape()), self.dtype()),
            y: zeros(prefixed(len, self.target_shape()), self.target_dtype()),
        }
    }

    /// Writes these samples, which exist, to the words of a batch.
    pub(crate) fn fill(&self, indices: &[u32], x: &mut [u32], y: &mut [u32]) {
        let scale = self.scale;
        let rows = || indices.iter().map(|&i| self.row(i as usize) as usize);
        let width = self.sample_shape().numel();
        match &self.store.features {
            Features::Bytes(bytes) => {
                for (out, row) in x.chunks_exact_mut(width).zip(rows()) {
                    // A plain loop over two slices of one length: the compiler makes vector instructions of it.
                    for (word, &byte) in out.iter_mut().zip(&bytes[row * width..][..width]) {
                        *word = scale.apply(byte.into()).to_bits();
                    }
                }
            }
            Features::Words(_, words) => {
                for (out, row) in x.chunks_exact_mut(width).zip(rows()) {
                    out.copy_from_slice(&words[row * width..][..width]);
                }
                if scale != Scale::IDENTITY {
                    x.iter_mut().for_each(|word| *word = scale.apply(f32::from_bits(*word)).to_bits());
                }
            }
        }
        let width = self.target_shape().numel();
        for (out, row) in y.chunks_exact_mut(width).zip(rows()) {
            out.copy_from_slice(&self.store.targets[row * width..][..width]);
        }
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

/// The number of samples, and the shape of one.
fn rows_of(what: &str, name: &str, shape: &Shape) -> Result<(u32, Shape)> {
    match shape[..] {
        [] => Err(Error::argument(what, format!("{name} of shape [] have no axis that counts the samples"))),
        [0, ..] => Err(Error::argument(what, format!("{name} of shape {shape} hold no samples"))),
        [len, ref rest @ ..] => match (u32::try_from(len), Shape::from(rest)) {
            (_, rest) if matches!(rest.checked_numel(), None | Some(0)) => {
                Err(Error::argument(what, format!("{name} of shape {shape} hold no values")))
            }
            (Ok(len), rest) => Ok((len, rest)),
            (Err(_), _) => Err(Error::argument(what, format!("{name}: {len} samples are more than a data set holds ({})", u32::MAX))),
        },
    }
}

fn finite(what: &str, name: &str, array: &Array, per_sample: usize) -> Result<()> {
    if array.dtype() != DType::F32 {
        return Ok(());
    }
    match array.words().iter().position(|&w| !f32::from_bits(w).is_finite()) {
        None => Ok(()),
        Some(i) => {
            let (value, sample, place) = (f32::from_bits(array.words()[i]), i / per_sample, i % per_sample);
            Err(Error::argument(
                what,
                format!("{name}: value {place} of sample {sample} is {value}; only finite numbers can be learned from"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reals(shape: impl Into<Shape>, values: &[f32]) -> Array {
        Array::new(shape, values).unwrap()
    }

    fn labels(values: &[u32]) -> Array {
        Array::new([values.len()], values).unwrap()
    }

    fn refused(features: &Array, targets: &Array) -> String {
        let error = Dataset::new(features, targets).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        error.to_string()
    }

    #[test]
    fn reals_come_back_as_they_were() {
        let data = Dataset::new(&reals([3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), &labels(&[0, 4, 1])).unwrap();
        assert_eq!((data.len(), data.classes(), data.sample_shape().to_vec()), (3, Some(5), vec![2]));
        let batch = data.batch(&[2, 0, 2]).unwrap();
        assert_eq!(batch.x, reals([3, 2], &[5.0, 6.0, 1.0, 2.0, 5.0, 6.0]));
        assert_eq!(batch.y, labels(&[1, 0, 1]));
        assert_eq!(data.get(1).unwrap(), (reals([2], &[3.0, 4.0]), Array::scalar(4u32)));
        assert_eq!(batch.len(), 3);
    }

    #[test]
    fn bytes_are_scaled() {
        let data = Dataset::from_bytes([1, 2], vec![0, 255, 51, 102], &labels(&[0, 1])).unwrap();
        let x = data.batch(&[0, 1]).unwrap().x;
        assert_eq!((x.shape().to_vec(), x.dtype()), (vec![2, 1, 2], DType::F32));
        assert!(x.to_f64().iter().zip([0.0, 1.0, 0.2, 0.4]).all(|(a, b)| (a - b).abs() < 1e-7), "{x:?}");
        let normalized = data.normalized(0.5, 0.25).unwrap();
        let x = normalized.get(0).unwrap().0.to_vec::<f32>().unwrap();
        assert!((x[0] + 2.0).abs() < 1e-6 && (x[1] - 2.0).abs() < 1e-6, "{x:?}");
        assert!(normalized.clone().normalized(0.0, 0.0).is_err());
        assert!(normalized.normalized(f32::NAN, 1.0).is_err());
    }

    #[test]
    fn every_byte_is_within_an_ulp_of_its_quotient() {
        for byte in 0..=255u8 {
            let (got, exact) = (Scale::BYTES.apply(byte.into()), f32::from(byte) / 255.0);
            assert!(got.to_bits().abs_diff(exact.to_bits()) <= 1 && (0.0..=1.0).contains(&got), "{byte}: {got} {exact}");
        }
    }

    #[test]
    fn tokens_and_shaped_targets() {
        let tokens = Array::new([2, 3], &[5u32, 6, 7, 8, 9, u32::MAX]).unwrap();
        let next = Array::new([2, 3], &[6u32, 7, 8, 9, 3, 4]).unwrap();
        let data = Dataset::new(&tokens, &next).unwrap();
        let batch = data.batch(&[1]).unwrap();
        assert_eq!(batch.x, Array::new([1, 3], &[8u32, 9, u32::MAX]).unwrap());
        assert_eq!(batch.y, Array::new([1, 3], &[9u32, 3, 4]).unwrap());
        assert!(data.normalized(0.0, 1.0).is_err());
    }

    #[test]
    fn real_targets_have_no_classes() {
        let data = Dataset::new(&reals([2], &[1.0, 2.0]), &reals([2, 1], &[0.5, -0.5])).unwrap();
        assert_eq!((data.classes(), data.sample_shape().rank(), data.target_dtype()), (None, 0, DType::F32));
        assert_eq!(data.batch(&[1]).unwrap().y, reals([1, 1], &[-0.5]));
        assert!(data.with_classes(2).is_err());
    }

    #[test]
    fn signed_and_boolean_classes() {
        let x = reals([2, 1], &[1.0, 2.0]);
        assert_eq!(Dataset::new(&x, &Array::new([2], &[0i32, 3]).unwrap()).unwrap().classes(), Some(4));
        let data = Dataset::new(&x, &Array::new([2], &[false, true]).unwrap()).unwrap();
        assert_eq!(data.batch(&[0, 1]).unwrap().y, labels(&[0, 1]));
        assert!(refused(&x, &Array::new([2], &[0i32, -3]).unwrap()).contains("class -3 of sample 1"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = reals([2, 2], &[1.0; 4]);
        assert!(refused(&x, &labels(&[0, 1, 2])).contains("2 samples, but 3 targets"));
        assert!(refused(&reals([0, 2], &[]), &labels(&[])).contains("no samples"));
        assert!(refused(&reals([], &[1.0]), &labels(&[0])).contains("no axis"));
        assert!(refused(&reals([2, 0], &[]), &labels(&[0, 1])).contains("no values"));
        assert!(refused(&reals([2, 2], &[1.0, 1.0, 1.0, f32::NAN]), &labels(&[0, 1])).contains("value 1 of sample 1 is NaN"));
        assert!(refused(&x, &reals([2, 0], &[])).contains("targets of shape [2, 0] hold no values"));
        assert!(refused(&reals([2, 1 << 40, 1 << 40, 0], &[]), &labels(&[0, 1])).contains("no values"));
        assert!(refused(&x, &reals([2], &[0.0, f32::INFINITY])).contains("value 0 of sample 1 is inf"));
        assert!(refused(&Array::new([2], &[1i32, 2]).unwrap(), &labels(&[0, 1])).contains("not i32"));
        assert!(refused(&x, &labels(&[0, u32::MAX])).contains("out of range"));
        assert!(Dataset::from_bytes([2], vec![0; 5], &labels(&[0, 1])).unwrap_err().to_string().contains("5 bytes"));
        assert!(Dataset::from_bytes([usize::MAX, 2], vec![0; 5], &labels(&[0, 1])).is_err());
        let data = Dataset::new(&x, &labels(&[0, 2])).unwrap();
        assert!(data.clone().with_classes(2).unwrap_err().to_string().contains("sample 1 is of class 2"));
        assert!(data.clone().with_classes(0).is_err());
        assert_eq!(data.clone().with_classes(10).unwrap().classes(), Some(10));
        assert!(data.get(2).unwrap_err().to_string().contains("no sample 2, only 0 to 1"));
        assert!(data.batch(&[0, 2]).is_err());
        assert!(data.subset([2]).is_err() && data.subset([]).is_err());
    }

    #[test]
    fn subsets_of_subsets() {
        let data = Dataset::new(&reals([4], &[0.0, 1.0, 2.0, 3.0]), &labels(&[0, 1, 2, 3])).unwrap();
        let some = data.subset([3, 1, 2]).unwrap().subset(1..3).unwrap();
        assert_eq!(some.batch(&[0, 1]).unwrap().y, labels(&[1, 2]));
        assert_eq!((some.len(), some.classes()), (2, Some(4)));
        // Only the samples that are there count.
        assert_eq!(some.with_classes(3).unwrap().classes(), Some(3));
    }

    #[test]
    fn a_split_deals_every_sample_once() {
        let n = 101;
        let data = Dataset::new(&reals([n], &vec![0.0; n]), &labels(&(0..n as u32).collect::<Vec<_>>())).unwrap();
        let all = |d: &Dataset| (0..d.len()).map(|i| d.get(i).unwrap().1.item() as u32).collect::<Vec<_>>();
        let (train, test) = data.split(0.8, 7).unwrap();
        assert_eq!((train.len(), test.len()), (81, 20));
        let mut both = [all(&train), all(&test)].concat();
        assert_ne!(both[..5], [0, 1, 2, 3, 4]);
        both.sort_unstable();
        assert_eq!(both, (0..n as u32).collect::<Vec<_>>());
        assert_eq!(all(&data.split(0.8, 7).unwrap().0), all(&train));
        assert_ne!(all(&data.split(0.8, 8).unwrap().0), all(&train));
        for fraction in [0.0, 1.0, -0.5, f64::NAN, 0.001, 0.999] {
            assert!(data.split(fraction, 0).is_err(), "{fraction}");
        }
    }
}

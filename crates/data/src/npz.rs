//! Data sets in NumPy's archives of arrays.

use std::path::Path;

use noyau_formats::npz::Npz;
use noyau_tensor::{Array, DType, Error, Result, Shape};

use crate::dataset::prefixed;
use crate::skipped::Bad;
use crate::{Dataset, Skipped};

/// How to read a data set from an NPZ file, as `numpy.savez` and `numpy.savez_compressed` write them: which array holds the samples, and which the
/// targets.
///
/// ```text
/// let train = Dataset::from_npz("mnist.npz", "x_train", "y_train")?;
/// let (train, skipped) = Dataset::npz("x_train", "y_train").classes(10).skip_bad(true).open("mnist.npz")?;
/// ```
///
/// The first axis of both counts the samples. Samples of bytes (`uint8`) are taken for pixels: a batch holds 0 to 1. Real numbers and truth values
/// become `F32`, other integers are tokens (`U32`) and must not be negative. Targets that are integers or truth values are classes, an axis of one behind
/// the first one dropped (`[n, 1]` is `[n]`); real targets are kept as they are.
#[derive(Clone, Debug)]
pub struct NpzOptions {
    features: String,
    targets: String,
    classes: Option<usize>,
    skip_bad: bool,
}

impl Dataset {
    /// Reads samples and targets from two arrays of an NPZ file: [`Dataset::npz`] without options.
    ///
    /// # Errors
    ///
    /// As [`NpzOptions::open`].
    pub fn from_npz(path: impl AsRef<Path>, features: &str, targets: &str) -> Result<Dataset> {
        Ok(Dataset::npz(features, targets).open(path)?.0)
    }

    /// To be read from the arrays of these names.
    pub fn npz(features: &str, targets: &str) -> NpzOptions {
        NpzOptions { features: features.into(), targets: targets.into(), classes: None, skip_bad: false }
    }
}

impl NpzOptions {
    /// Classes are `0..classes`, whether all of them occur or not; a record of any other is bad. Without it, the highest one + 1 is their number.
    pub fn classes(mut self, classes: usize) -> NpzOptions {
        self.classes = Some(classes);
        self
    }

    /// Passes over bad records (a number that is not finite, a class out of range, a token that is negative), counting them, where without it the
    /// first one is an error. A file of nothing but bad records is an error still; and so are a damaged archive and arrays that do not go
    /// together, for which no single record is to blame.
    pub fn skip_bad(mut self, skip: bool) -> NpzOptions {
        self.skip_bad = skip;
        self
    }

    /// Reads a file: the data set, and what was passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read. [`Error::Data`] when it is damaged, an array is not in it (the message lists those that are) or of
    /// another number of samples, there are none, or a record is bad: the message names it. [`Error::Argument`] when the targets are real
    /// numbers but classes were promised.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<(Dataset, Skipped)> {
        self.read(path.as_ref(), &Npz::open(path.as_ref())?)
    }

    /// The same from memory; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] and [`Error::Argument`] as for [`NpzOptions::open`].
    pub fn parse(&self, name: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Result<(Dataset, Skipped)> {
        self.read(name.as_ref(), &Npz::from_bytes(name.as_ref(), bytes)?)
    }

    fn read(&self, path: &Path, npz: &Npz) -> Result<(Dataset, Skipped)> {
        let fault = |message: String| Error::data(path, message);
        let pixels = npz.bytes(&self.features)?;
        let features = match pixels {
            Some((shape, bytes)) => Samples { shape, values: Values::Bytes(bytes) },
            None => match npz.array(&self.features)? {
                truths if truths.dtype() == DType::Bool => Samples::of(truths.to(DType::F32)),
                array => Samples::of(array),
            },
        };
        let targets = Samples::of(npz.array(&self.targets)?);
        let (n, per_sample) = features.rows().map_err(|message| fault(format!("{:?} {message}", self.features)))?;
        let (others, per_target) = targets.rows().map_err(|message| fault(format!("{:?} {message}", self.targets)))?;
        if n != others {
            let (x, y) = (&self.features, &self.targets);
            return Err(fault(format!("{x:?} holds {n} samples, but {y:?} {others} targets: every sample needs one")));
        }
        if targets.is_real() && self.classes.is_some() {
            let message =
                format!("{:?} holds real numbers, not classes: save whole numbers, such as targets.astype(\"int64\")", self.targets);
            return Err(Error::argument("NpzOptions::classes", message));
        }
        let mut bad = Bad::new(self.skip_bad);
        let mut good = Vec::new();
        for i in 0..n {
            let looked = features.check(&self.features, i, per_sample, None);
            match looked.and_then(|()| targets.check(&self.targets, i, per_target, Some(self.classes.unwrap_or(u32::MAX as usize)))) {
                Ok(()) => good.push(i),
                Err(message) => bad.meet(fault(message))?,
            }
        }
        let skipped = bad.finish(good.len(), "records", |message| Error::data(path, message))?;
        let (features, targets) = (features.only(&good, n, per_sample), targets.only(&good, n, per_target));
        let target_shape = match targets.shape[..] {
            [n, 1] if !targets.is_real() => Shape::from([n]),
            _ => targets.shape.clone(),
        };
        let targets = targets.array(target_shape)?;
        let dataset = match features.values {
            Values::Bytes(bytes) => Dataset::from_bytes(Shape::from(&features.shape[1..]), bytes, &targets)?,
            Values::Words(..) => {
                let shape = features.shape.clone();
                Dataset::new(&features.array(shape)?, &targets)?
            }
        };
        Ok((if let Some(classes) = self.classes { dataset.with_classes(classes)? } else { dataset }, skipped))
    }
}

/// An array whose first axis counts.
struct Samples {
    shape: Shape,
    values: Values,
}

enum Values {
    Bytes(Vec<u8>),
    Words(DType, Vec<u32>),
}

impl Samples {
    fn of(array: Array) -> Samples {
        let array = match array.dtype() {
            DType::F16 | DType::BF16 => array.to(DType::F32),
            _ => array,
        };
        Samples { shape: array.shape().clone(), values: Values::Words(array.dtype(), array.words().to_vec()) }
    }

    fn is_real(&self) -> bool {
        matches!(self.values, Values::Words(DType::F32, _))
    }

    /// How many there are, and how many values each has.
    fn rows(&self) -> Result<(usize, usize), String> {
        let shape = &self.shape;
        match shape[..] {
            [] => Err("is a single value: an array whose first axis counts the samples was expected".into()),
            _ if shape.contains(&0) => Err(format!("of shape {shape} holds nothing to learn from")),
            [n, ..] => Ok((n, shape.numel() / n)),
        }
    }

    /// What is wrong with a record. As targets, integers are classes below `classes`.
    fn check(&self, name: &str, i: usize, per: usize, classes: Option<usize>) -> Result<(), String> {
        let Values::Words(dtype, words) = &self.values else { return Ok(()) };
        for (place, &word) in words[i * per..(i + 1) * per].iter().enumerate() {
            let at = if per == 1 { String::new() } else { format!("value {place} of ") };
            match (dtype, classes) {
                (DType::F32, _) if f32::from_bits(word).is_finite() => {}
                (DType::F32, _) => {
                    let value = f32::from_bits(word);
                    return Err(format!("{at}record {i} of {name:?} is {value}; only finite numbers can be learned from"));
                }
                (DType::I32, None) if (word as i32) < 0 => {
                    let value = word as i32;
                    return Err(format!(
                        "{at}record {i} of {name:?} is {value}: integers are tokens, from 0 on; save other numbers as real ones, such as x.astype(\"float32\")"
                    ));
                }
                (DType::I32, Some(_)) if (word as i32) < 0 => {
                    return Err(format!("{at}record {i} of {name:?} is class {}, but classes are counted from 0", word as i32));
                }
                (_, Some(classes)) if word as usize >= classes => {
                    return Err(format!("{at}record {i} of {name:?} is class {word}, but there are {classes} classes, from 0 on"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Some of the records.
    fn only(mut self, rows: &[usize], n: usize, per: usize) -> Samples {
        if rows.len() < n {
            match &mut self.values {
                Values::Bytes(bytes) => keep(bytes, rows, per),
                Values::Words(_, words) => keep(words, rows, per),
            }
            self.shape = prefixed(rows.len(), &Shape::from(&self.shape[1..]));
        }
        self
    }

    fn array(self, shape: Shape) -> Result<Array> {
        match self.values {
            Values::Bytes(bytes) => Array::from_words(shape, DType::U32, bytes.into_iter().map(u32::from).collect()),
            Values::Words(DType::I32, words) => Array::from_words(shape, DType::U32, words),
            Values::Words(dtype, words) => Array::from_words(shape, dtype, words),
        }
    }
}

/// The rows that are wanted, moved to the front.
fn keep<T: Copy>(values: &mut Vec<T>, rows: &[usize], per: usize) {
    for (to, &from) in rows.iter().enumerate() {
        values.copy_within(from * per..(from + 1) * per, to * per);
    }
    values.truncate(rows.len() * per);
}

#[cfg(test)]
mod tests;

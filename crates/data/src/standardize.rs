//! Bringing every feature to the same scale.

use noyau_tensor::{DType, Error, Result};

use crate::Dataset;

/// The mean and standard deviation of every feature of a data set, to bring it and others like it to mean 0 and deviation 1.
///
/// Tables need it: where one column counts in thousands and another in fractions, gradient descent follows the first alone. Measure on the
/// samples to train on, apply to those to test on as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardize {
    /// The mean of every feature, row-major in the sample shape.
    pub mean: Vec<f32>,
    /// The standard deviation of every feature; 1 for a feature that never changes.
    pub std: Vec<f32>,
}

impl Standardize {
    /// Measures a data set.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when the samples are whole numbers (tokens).
    pub fn measure(data: &Dataset) -> Result<Standardize> {
        real(data)?;
        let width = data.sample_shape().numel();
        // Two passes in f64: the usual one-pass formula loses everything where the mean is large.
        let mut mean = vec![0f64; width];
        each(data, |row| mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x)));
        mean.iter_mut().for_each(|m| *m /= data.len() as f64);
        let mut variance = vec![0f64; width];
        each(data, |row| {
            for ((v, &x), m) in variance.iter_mut().zip(row).zip(&mean) {
                *v += (f64::from(x) - m).powi(2);
            }
        });
        let std = variance.iter().zip(&mean).map(|(v, m)| {
            let std = (v / data.len() as f64).sqrt();
            // A spread below the rounding of the values is none.
            if std <= m.abs() * f64::from(f32::EPSILON) { 1.0 } else { std as f32 }
        });
        Ok(Standardize { std: std.map(|s| if s.is_normal() { s } else { 1.0 }).collect(), mean: mean.iter().map(|&m| m as f32).collect() })
    }

    /// The same samples with every feature `x` replaced by `(x - mean) / std`; a copy, in `F32`.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when the samples have another number of features, or one becomes infinite.
    pub fn apply(&self, data: &Dataset) -> Result<Dataset> {
        real(data)?;
        let width = data.sample_shape().numel();
        if self.mean.len() != width || self.std.len() != width {
            let message = format!("measured on samples of {} features, applied to samples of {width}", self.mean.len());
            return Err(Error::argument("Standardize::apply", message));
        }
        let mut words = Vec::with_capacity(data.len() * width);
        each(data, |row| words.extend(row.iter().zip(&self.mean).zip(&self.std).map(|((x, m), s)| ((x - m) / s).to_bits())));
        data.with_words(words)
    }
}

fn real(data: &Dataset) -> Result<()> {
    match data.dtype() {
        DType::F32 => Ok(()),
        _ => Err(Error::argument("Standardize", "the samples are whole numbers (tokens), which have no scale")),
    }
}

fn each(data: &Dataset, mut see: impl FnMut(&[f32])) {
    let width = data.sample_shape().numel();
    let mut words = vec![0; width];
    let mut row = vec![0f32; width];
    for i in 0..data.len() as u32 {
        data.fill(&[i], &mut words, &mut []);
        row.iter_mut().zip(&words).for_each(|(x, &w)| *x = f32::from_bits(w));
        see(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use noyau_tensor::Array;

    fn data(values: &[f32]) -> Dataset {
        let n = values.len() / 2;
        Dataset::new(&Array::new([n, 2], values).unwrap(), &Array::new([n], &vec![1u32; n]).unwrap()).unwrap().with_classes(4).unwrap()
    }

    #[test]
    fn measures_and_applies() {
        let train = data(&[1000.0, 5.0, 3000.0, 5.0]);
        let measured = Standardize::measure(&train).unwrap();
        assert_eq!((&measured.mean[..], &measured.std[..]), (&[2000.0, 5.0][..], &[1000.0, 1.0][..]));
        let applied = measured.apply(&train.subset([1, 0]).unwrap()).unwrap();
        assert_eq!(applied.packed().features.to_f64(), [1.0, 0.0, -1.0, 0.0]);
        assert_eq!((applied.classes(), applied.get(0).unwrap().1.item()), (Some(4), 1.0));
    }

    #[test]
    fn constant_and_huge_features_stay_finite() {
        let measured = Standardize::measure(&data(&[f32::MAX, 0.1, f32::MAX, 0.1, f32::MAX, 0.1])).unwrap();
        assert_eq!(measured.std, [1.0, 1.0]);
        let same = measured.apply(&data(&[f32::MAX, 0.1])).unwrap();
        assert_eq!(same.packed().features.to_f64(), [0.0, 0.0]);
    }

    #[test]
    fn other_samples_are_refused() {
        let measured = Standardize::measure(&data(&[1.0, 2.0, 3.0, 4.0])).unwrap();
        let narrow = Dataset::new(&Array::new([2], &[1f32, 2.0]).unwrap(), &Array::new([2], &[0u32, 1]).unwrap()).unwrap();
        assert!(measured.apply(&narrow).is_err());
        let tokens = Dataset::new(&Array::new([2], &[1u32, 2]).unwrap(), &Array::new([2], &[0u32, 1]).unwrap()).unwrap();
        assert!(Standardize::measure(&tokens).is_err());
    }
}

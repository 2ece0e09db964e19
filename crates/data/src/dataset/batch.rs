//! Samples as the arrays that a training step takes.

use noyau_tensor::{Array, Result};

use super::{Features, Scale, prefixed, zeros};
use crate::Dataset;

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
}

//! A data set as arrays to keep on the device.

use noyau_tensor::{Array, DType};

use crate::Dataset;
use crate::dataset::{Features, zeros};

/// How [`Packed::features`] store the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packing {
    /// Four bytes a word, the first in the lowest 8 bits: value `i` of a sample of `d` values is `word[i / 4] >> (8 * (i % 4)) & 255`, and
    /// stands for `byte * mul + add`. Each sample starts a new word; what is left of its last word is 0.
    Bytes {
        /// The factor.
        mul: f32,
        /// The summand.
        add: f32,
    },
    /// One value a word, final.
    Words,
}

/// All samples and targets of a [`Dataset`], to be uploaded once and gathered by index on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// For `n` samples of `d` values: `U32 [n, ceil(d / 4)]` for [`Packing::Bytes`], `[n, d]` of the data set's type for
    /// [`Packing::Words`].
    pub features: Array,
    /// `[n, target shape..]`, `U32` classes or `F32` values.
    pub targets: Array,
    /// How to read the features.
    pub packing: Packing,
}

impl Dataset {
    /// The samples and targets in the order of this data set, as arrays to keep on the device: bytes stay bytes.
    pub fn packed(&self) -> Packed {
        let n = self.len();
        let width = self.sample_shape().numel();
        let scale = self.scale();
        let (features, packing) = match self.features() {
            Features::Bytes(bytes) => {
                let words = width.div_ceil(4);
                let mut packed = zeros([n, words].into(), DType::U32);
                for (i, out) in packed.words_mut().chunks_exact_mut(words).enumerate() {
                    let sample = &bytes[self.row(i) as usize * width..][..width];
                    for (word, four) in out.iter_mut().zip(sample.chunks(4)) {
                        let mut padded = [0; 4];
                        padded[..four.len()].copy_from_slice(four);
                        *word = u32::from_le_bytes(padded);
                    }
                }
                (packed, Packing::Bytes { mul: scale.mul, add: scale.add })
            }
            Features::Words(dtype, _) => {
                let mut all = zeros([n, width].into(), *dtype);
                for (i, out) in (0u32..).zip(all.words_mut().chunks_exact_mut(width)) {
                    self.fill(&[i], out, &mut []);
                }
                (all, Packing::Words)
            }
        };
        Packed { features, targets: self.all_targets(), packing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_by_fours_and_padded_per_sample() {
        let labels = Array::new([2], &[1u32, 0]).unwrap();
        let data = Dataset::from_bytes([5], vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 255], &labels).unwrap();
        let packed = data.packed();
        assert_eq!(packed.features, Array::new([2, 2], &[0x0403_0201u32, 0x05, 0x0908_0706, 0xff]).unwrap());
        assert_eq!(packed.targets, labels);
        let Packing::Bytes { mul, add } = packed.packing else { panic!("{packed:?}") };
        let batch = data.batch(&[0, 1]).unwrap().x.to_vec::<f32>().unwrap();
        for (i, &value) in batch.iter().enumerate() {
            let word = packed.features.words()[i / 5 * 2 + i % 5 / 4];
            let byte = word >> (8 * (i % 5 % 4)) & 255;
            assert_eq!(byte as f32 * mul + add, value);
        }
    }

    #[test]
    fn a_subset_packs_only_its_samples_and_its_scale() {
        let x = Array::new([3, 1, 2], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let data = Dataset::new(&x, &Array::new([3], &[0.1f32, 0.2, 0.3]).unwrap()).unwrap();
        let packed = data.subset([2, 0]).unwrap().normalized(1.0, 2.0).unwrap().packed();
        assert_eq!(packed.features, Array::new([2, 2], &[2f32, 2.5, 0.0, 0.5]).unwrap());
        assert_eq!(packed.targets, Array::new([2], &[0.3f32, 0.1]).unwrap());
        assert_eq!(packed.packing, Packing::Words);
    }
}

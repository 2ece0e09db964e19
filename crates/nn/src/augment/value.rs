//! Pixels changed at random.

use noyau_tensor::{Result, Tensor};

use super::{area_and_ratio, image, range, share};
use crate::fault::{fail, finite, not_negative, number};
use crate::mixed::wide;
use crate::{Mode, Module};

/// In training, each image of `[batch, channels, height, width]` has with probability `p` a rectangle of `value` put over a part of it, by
/// draws of its own; in evaluation nothing happens. torchvision's `RandomErasing`.
///
/// The rectangle has a share of the area from a range, and a ratio of height to width whose logarithm is uniform. One that would be higher or
/// wider than the image is as high or wide as it; torchvision draws again.
///
/// Source: Zhong et al., "Random erasing data augmentation", AAAI 2020.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomErasing {
    p: f64,
    scale: [f64; 2],
    ratio: [f64; 2],
    value: f64,
}

impl RandomErasing {
    /// With this probability; areas from 0.02 to 0.33, ratios from 0.3 to 3.3, and zeros.
    pub fn new(p: f64) -> RandomErasing {
        RandomErasing { p, scale: [0.02, 0.33], ratio: [0.3, 3.3], value: 0.0 }
    }

    /// Shares of the area, above 0 and up to 1.
    pub fn scale(mut self, least: f64, most: f64) -> RandomErasing {
        self.scale = [least, most];
        self
    }

    /// Ratios of height to width, above 0.
    pub fn ratio(mut self, least: f64, most: f64) -> RandomErasing {
        self.ratio = [least, most];
        self
    }

    /// What the rectangle is filled with.
    pub fn value(mut self, value: f64) -> RandomErasing {
        self.value = value;
        self
    }

    fn validate(&self) -> Result<()> {
        share("RandomErasing: p", self.p)?;
        range("RandomErasing: scale", self.scale)?;
        share("RandomErasing: scale", self.scale[1])?;
        range("RandomErasing: ratio", self.ratio)?;
        finite("RandomErasing: value", self.value)
    }
}

impl Module for RandomErasing {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let &[batch, _, height, width] = match image("RandomErasing", x) {
            Ok(shape) => shape,
            Err(error) => return error,
        };
        if let Err(error) = self.validate() {
            return Tensor::invalid(error);
        }
        if !mode.is_training() || self.p == 0.0 || x.numel() == 0 {
            return x.clone();
        }
        let one = [batch, 1, 1, 1];
        let [area, ratio] = area_and_ratio(&one, self.scale, self.ratio);
        let area = area * number(height as f64 * width as f64);
        let rounded = |side: Tensor, size: usize| (side + 0.5).floor().minimum(number(size as f64));
        let (tall, broad) = (rounded((&area * &ratio).sqrt(), height), rounded((&area / &ratio).sqrt(), width));
        let inside = |axis: usize, size: usize, side: &Tensor| {
            let start = (Tensor::rand(one) * (number(size as f64 + 1.0) - side)).floor();
            let mut frame = [1; 4];
            frame[axis] = size;
            let place = Tensor::iota(frame, axis as isize).to(noyau_tensor::DType::F32) - start;
            // 1 from the start on, for as long as the side: both are whole numbers.
            place.ge(0.0).where_(place.lt(side).where_(1.0, 0.0), 0.0)
        };
        let chosen = Tensor::bernoulli(one, self.p as f32).where_(1.0, 0.0);
        let erased = inside(2, height, &tall) * inside(3, width, &broad) * chosen;
        let value = x.full_like(self.value);
        erased.gt(0.5).where_(&value, x)
    }
}

/// In training, each image of `[batch, channels, height, width]` (f32, from 0 to 1) is made brighter or darker and of more or less contrast, by
/// factors of its own; in evaluation nothing happens. torchvision's `ColorJitter` with its first two arguments.
///
/// Brightness multiplies all pixels by a factor from `1 - brightness..1 + brightness`; contrast multiplies their difference from the
/// image's mean (of its grey tones, for three channels) by one from `1 - contrast..1 + contrast`; no factor is below 0, and what leaves
/// `0..1` is put back to its ends. Images are normalised behind this, not before. Brightness always comes first; torchvision draws the
/// order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorJitter {
    brightness: f64,
    contrast: f64,
}

impl ColorJitter {
    /// By up to so much of brightness and of contrast.
    pub fn new(brightness: f64, contrast: f64) -> ColorJitter {
        ColorJitter { brightness, contrast }
    }
}

impl Module for ColorJitter {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let &[batch, channels, ..] = match image("ColorJitter", x) {
            Ok(shape) => shape,
            Err(error) => return error,
        };
        for (what, by) in [("ColorJitter: brightness", self.brightness), ("ColorJitter: contrast", self.contrast)] {
            if let Err(error) = not_negative(what, by) {
                return Tensor::invalid(error);
            }
        }
        if self.contrast > 0.0 && channels != 1 && channels != 3 {
            let message =
                format!("contrast is a matter of grey tones, which images {} of {channels} channels (not 1 or 3) have none of", x.shape());
            return fail("ColorJitter", message);
        }
        if !mode.is_training() || x.numel() == 0 {
            return x.clone();
        }
        let factor = |by: f64| {
            let least = (1.0 - by).max(0.0);
            Tensor::rand([batch, 1, 1, 1]) * number(1.0 + by - least) + number(least)
        };
        let mut x = wide(x);
        if self.brightness > 0.0 {
            x = (&x * factor(self.brightness)).clamp(0.0, 1.0);
        }
        if self.contrast > 0.0 {
            let grey = if channels == 3 {
                // The weights of ITU-R BT.601.
                x.slice(1, 0..1) * number(0.2989) + x.slice(1, 1..2) * number(0.587) + x.slice(1, 2..3) * number(0.114)
            } else {
                x.clone()
            };
            let mean = grey.mean_keep(&[1, 2, 3]);
            x = (&mean + (&x - &mean) * factor(self.contrast)).clamp(0.0, 1.0);
        }
        x
    }
}

/// In training, a normally distributed number of its own is added to each value of images `[batch, channels, height, width]` (f32); in
/// evaluation nothing happens. torchvision's `GaussianNoise`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNoise {
    mean: f64,
    sigma: f64,
    clip: bool,
}

impl GaussianNoise {
    /// Of this mean and standard deviation (torchvision: 0 and 0.1); what leaves `0..1` is put back to its ends.
    pub fn new(mean: f64, sigma: f64) -> GaussianNoise {
        GaussianNoise { mean, sigma, clip: true }
    }

    /// Whether what leaves `0..1` is put back to its ends.
    pub fn clip(mut self, clip: bool) -> GaussianNoise {
        self.clip = clip;
        self
    }
}

impl Module for GaussianNoise {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        if let Err(error) = image("GaussianNoise", x) {
            return error;
        }
        if let Err(error) = finite("GaussianNoise: mean", self.mean).and(not_negative("GaussianNoise: sigma", self.sigma)) {
            return Tensor::invalid(error);
        }
        if !mode.is_training() || x.numel() == 0 {
            return x.clone();
        }
        let noisy = wide(x) + (Tensor::randn(x.shape()) * number(self.sigma) + number(self.mean));
        if self.clip { noisy.clamp(0.0, 1.0) } else { noisy }
    }
}

//! Images mirrored and cropped at random.

use noyau_tensor::{DType, Error, Result, Tensor, concat, stack};

use super::{affine_grid, grid_sample, image, range, share};
use crate::fault::{fail, finite, number};
use crate::{Mode, Module};

/// In training, each image of `[batch, channels, height, width]` is mirrored left to right with this probability, by a draw of its own; in
/// evaluation nothing happens. torchvision's `RandomHorizontalFlip`, which takes 0.5 unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomHorizontalFlip(pub f64);

/// In training, each image of `[batch, channels, height, width]` is turned upside down (mirrored) with this probability, by a draw of its
/// own; in evaluation nothing happens. torchvision's `RandomVerticalFlip`, which takes 0.5 unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomVerticalFlip(pub f64);

impl Module for RandomHorizontalFlip {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        flipped("RandomHorizontalFlip", x, mode, self.0, -1)
    }
}

impl Module for RandomVerticalFlip {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        flipped("RandomVerticalFlip", x, mode, self.0, -2)
    }
}

#[track_caller]
fn flipped(op: &str, x: &Tensor, mode: &Mode, p: f64, axis: isize) -> Tensor {
    let batch = match image(op, x) {
        Ok(shape) => shape[0],
        Err(error) => return error,
    };
    if let Err(error) = share(&format!("{op}: p"), p) {
        return Tensor::invalid(error);
    }
    if !mode.is_training() || p == 0.0 || x.numel() == 0 {
        return x.clone();
    }
    Tensor::bernoulli([batch, 1, 1, 1], p as f32).where_(x.flip(&[axis]), x)
}

/// In training, a window of `[height, width]` pixels of each image `[batch, channels, height, width]`, every place equally likely, by a draw
/// of its own. torchvision's `RandomCrop`.
///
/// In evaluation the window in the middle, without padding: where images have the window's size already, they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomCrop {
    size: [usize; 2],
    padding: usize,
    fill: f64,
}

impl RandomCrop {
    /// Windows of `[height, width]`.
    pub fn new(size: [usize; 2]) -> RandomCrop {
        RandomCrop { size, padding: 0, fill: 0.0 }
    }

    /// So many pixels are added on each side first, in training: windows of the images' own size then shift them.
    pub fn padding(mut self, padding: usize) -> RandomCrop {
        self.padding = padding;
        self
    }

    /// The value of added pixels: 0 unless told otherwise.
    pub fn fill(mut self, fill: f64) -> RandomCrop {
        self.fill = fill;
        self
    }
}

impl Module for RandomCrop {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let &[batch, channels, height, width] = match image("RandomCrop", x) {
            Ok(shape) => shape,
            Err(error) => return error,
        };
        if let Err(error) = finite("RandomCrop: fill", self.fill) {
            return Tensor::invalid(error);
        }
        let [rows, columns] = self.size;
        let padding = if mode.is_training() { self.padding } else { 0 };
        let padded = [height, width].map(|size| padding.checked_mul(2).and_then(|both| size.checked_add(both)));
        let fits = |padded: Option<usize>, size: usize| padded.filter(|&padded| (1..=padded).contains(&size));
        let (Some(tall), Some(wide)) = (fits(padded[0], rows), fits(padded[1], columns)) else {
            let message = format!("no window of {rows} x {columns} in images {} with {padding} pixels added on each side", x.shape());
            return fail("RandomCrop", message);
        };
        if !mode.is_training() {
            let (top, left) = ((height - rows) / 2, (width - columns) / 2);
            let same = [rows, columns] == [height, width];
            return if same { x.clone() } else { x.slice(2, top..top + rows).slice(3, left..left + columns) };
        }
        if x.numel() == 0 {
            return Tensor::zeros([batch, channels, rows, columns]).to(x.dtype());
        }
        if [tall, wide] == self.size {
            return x.pad(&[(0, 0), (0, 0), (padding, padding), (padding, padding)], self.fill as f32);
        }
        let Some(pixels) = tall.checked_mul(wide).filter(|&pixels| u32::try_from(pixels).is_ok()) else {
            return fail("RandomCrop", format!("images of {tall} x {wide} have more pixels than can be numbered"));
        };
        let ways = |padded: usize, size: usize| (padded - size + 1) as u32;
        let top = Tensor::random_bits([batch, 1, 1, 1]) % ways(tall, rows);
        let left = Tensor::random_bits([batch, 1, 1, 1]) % ways(wide, columns);
        // The place of each of the window's pixels in the padded image, as one number.
        let down = (Tensor::iota([1, 1, rows, 1], 2) + top) * wide as u32;
        let places = down + (Tensor::iota([1, 1, 1, columns], 3) + left);
        let places = places.reshape([batch, 1, rows * columns]).expand([batch, channels, rows * columns]);
        let framed = x.pad(&[(0, 0), (0, 0), (padding, padding), (padding, padding)], self.fill as f32);
        framed.reshape([batch, channels, pixels]).gather(2, &places).reshape([batch, channels, rows, columns])
    }
}

/// In training, a part of each image `[batch, channels, height, width]` (f32) by a draw of its own, resized to `[height, width]`; in
/// evaluation the whole image, resized. torchvision's `RandomResizedCrop`, with bilinear sampling and without its smoothing of images that
/// are made smaller.
///
/// The part has a share of the area from `least..most`, and a ratio of width to height whose logarithm is uniform; what would be wider or
/// higher than the image is as wide or high as it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomResizedCrop {
    size: [usize; 2],
    scale: [f64; 2],
    ratio: [f64; 2],
}

impl RandomResizedCrop {
    /// Resized to `[height, width]`; areas from 0.08 to 1, ratios from 3/4 to 4/3.
    pub fn new(size: [usize; 2]) -> RandomResizedCrop {
        RandomResizedCrop { size, scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }
    }

    /// Shares of the area, above 0 and up to 1.
    pub fn scale(mut self, least: f64, most: f64) -> RandomResizedCrop {
        self.scale = [least, most];
        self
    }

    /// Ratios of width to height, above 0.
    pub fn ratio(mut self, least: f64, most: f64) -> RandomResizedCrop {
        self.ratio = [least, most];
        self
    }

    fn validate(&self) -> Result<()> {
        range("RandomResizedCrop: scale", self.scale)?;
        range("RandomResizedCrop: ratio", self.ratio)?;
        share("RandomResizedCrop: scale", self.scale[1])?;
        if self.size.contains(&0) {
            return Err(Error::argument("RandomResizedCrop: size", format!("{} x {} has no pixels", self.size[0], self.size[1])));
        }
        Ok(())
    }
}

impl Module for RandomResizedCrop {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let &[batch, channels, height, width] = match image("RandomResizedCrop", x) {
            Ok(shape) => shape,
            Err(error) => return error,
        };
        if let Err(error) = self.validate() {
            return Tensor::invalid(error);
        }
        let [rows, columns] = self.size;
        if x.numel() == 0 {
            return Tensor::zeros([batch, channels, rows, columns]);
        }
        if !mode.is_training() {
            return if [rows, columns] == [height, width] { x.clone() } else { x.upsample_bilinear([rows, columns], false) };
        }
        // Width and height of the part as shares of the image's.
        let [area, ratio] = super::area_and_ratio(&[batch, 1], self.scale, self.ratio);
        let shape = height as f64 / width as f64;
        let across = (&area * &ratio * number(shape)).sqrt().minimum(1.0);
        let down = (&area / &ratio * number(1.0 / shape)).sqrt().minimum(1.0);
        let place = |share: &Tensor| (Tensor::rand([batch, 1]) * 2.0 - 1.0) * (1.0 - share);
        let none = Tensor::zeros([batch, 1]);
        let maps = concat(&[&across, &none, &place(&across), &none, &down, &place(&down)], 1).reshape([batch, 2, 3]);
        let grid = affine_grid(&maps, [batch, channels, rows, columns], false);
        // Beyond the centres of the outermost pixels an image goes on as it ends.
        let within = |axis: usize, size: usize| {
            let end = (1.0 - 1.0 / size as f64) as f32;
            grid.select(-1, axis).clamp(-end, end)
        };
        grid_sample(&x.to(DType::F32), &stack(&[&within(0, width), &within(1, height)], -1), false)
    }
}

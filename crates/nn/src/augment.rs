//! Images moved and changed at random while a model is being trained, and the sampling at fractional places that this takes.
//!
//! All of it is part of the step, so that it runs where the model runs: numbers are drawn anew at each step from the session's seed, and no
//! image passes through the host.

use std::f64::consts::PI;

use noyau_tensor::{DType, Error, Result, Shape, Tensor, concat};

use crate::fault::{fail, finite, not_negative, number, positive};
use crate::mixed::wide;
use crate::{Mode, Module};

mod place;
mod value;

pub use place::{RandomCrop, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip};
pub use value::{ColorJitter, GaussianNoise, RandomErasing};

/// In training, each image of `[batch, channels, height, width]` (f32) is turned, scaled and shifted by amounts of its own, zeros coming in
/// from outside; in evaluation nothing happens. torchvision's `RandomAffine` with bilinear sampling, of batches.
///
/// An image is turned about its centre by an angle from `-degrees..degrees`, scaled by a factor from `least..most` and then shifted by up
/// to `horizontal` of its width and `vertical` of its height to either side, all uniform. The numbers are drawn on the device, other ones
/// at each step, the same ones for the same seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomAffine {
    degrees: f64,
    translate: [f64; 2],
    scale: [f64; 2],
}

impl RandomAffine {
    /// Turned by up to so many degrees to either side, neither shifted nor scaled.
    pub fn new(degrees: f64) -> RandomAffine {
        RandomAffine { degrees, translate: [0.0; 2], scale: [1.0; 2] }
    }

    /// Shifted by up to these shares `0..=1` of the width and of the height.
    pub fn translate(mut self, horizontal: f64, vertical: f64) -> RandomAffine {
        self.translate = [horizontal, vertical];
        self
    }

    /// Scaled by a factor from `least` to `most`, both positive.
    pub fn scale(mut self, least: f64, most: f64) -> RandomAffine {
        self.scale = [least, most];
        self
    }

    fn validate(&self) -> Result<()> {
        not_negative("RandomAffine: degrees", self.degrees)?;
        for share in self.translate {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::argument("RandomAffine: translate", format!("{share} does not lie in 0..=1")));
            }
        }
        let [least, most] = self.scale;
        positive("RandomAffine: scale", least)?;
        finite("RandomAffine: scale", most)?;
        if least > most {
            return Err(Error::argument("RandomAffine: scale", format!("{least} to {most} is no range")));
        }
        Ok(())
    }

    /// For each of so many images the map from places in the result to places in the image, `[batch, 2, 3]` as [`affine_grid`] takes it.
    #[track_caller]
    fn maps(&self, batch: usize, height: usize, width: usize) -> Tensor {
        let draw = |low: f64, high: f64| Tensor::rand([batch, 1]) * number(high - low) + number(low);
        let turn = self.degrees * PI / 180.0;
        let angle = draw(-turn, turn);
        // The map goes backwards, from the result to the image: it undoes the shift, the scale and the turn.
        let shrink = draw(self.scale[0], self.scale[1]).reciprocal();
        let [right, down] = self.translate.map(|share| draw(-2.0 * share, 2.0 * share));
        let (along, across) = (angle.cos() * &shrink, angle.sin() * &shrink);
        // Coordinates run from -1 to 1 along both axes; a turn of an oblong image turns its pixels, not these.
        let ratio = height as f64 / width.max(1) as f64;
        let (across_x, across_y) = (&across * number(ratio), &across * number(1.0 / ratio));
        let shift_x = -(&along * &right + &across_x * &down);
        let shift_y = &across_y * &right - &along * &down;
        concat(&[&along, &across_x, &shift_x, &-across_y, &along, &shift_y], 1).reshape([batch, 2, 3])
    }
}

impl Module for RandomAffine {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let &[batch, channels, height, width] = match image("RandomAffine", x) {
            Ok(shape) => shape,
            Err(error) => return error,
        };
        if let Err(error) = self.validate() {
            return Tensor::invalid(error);
        }
        let still = self.degrees == 0.0 && self.translate == [0.0; 2] && self.scale == [1.0; 2];
        if !mode.is_training() || still || x.numel() == 0 {
            return x.clone();
        }
        let maps = self.maps(batch, height, width);
        grid_sample(x, &affine_grid(&maps, [batch, channels, height, width], false), false)
    }
}

/// The places that a map `[batch, 2, 3]` (f32) gives for each pixel of images `[batch, channels, height, width]`:
/// `[batch, height, width, 2]`, first across, then down, as [`grid_sample`] takes them. PyTorch's `affine_grid`.
///
/// Coordinates are -1 at the left and upper end of an image and 1 at the right and lower end. The ends are the edges of the outermost
/// pixels, or their centres if `align_corners`. Row 0 of a map times `[across, down, 1]` is the place across, row 1 the place down.
#[track_caller]
pub fn affine_grid(maps: &Tensor, size: [usize; 4], align_corners: bool) -> Tensor {
    if maps.error().is_some() {
        return maps.clone();
    }
    let [batch, _, height, width] = size;
    if maps.shape()[..] != [batch, 2, 3] || maps.dtype() != DType::F32 {
        return fail("affine_grid", format!("the maps are {}{}, not f32[{batch}, 2, 3]", maps.dtype(), maps.shape()));
    }
    let frame = Shape::from([1, height, width]);
    let Some(pixels) = frame.checked_numel() else {
        return fail("affine_grid", format!("images of {height} x {width} have more pixels than can be addressed"));
    };
    // A matrix whose columns are the pixels: across, down and 1.
    let across = coordinates(&frame, 2, align_corners);
    let down = coordinates(&frame, 1, align_corners);
    let places = concat(&[&across, &down, &Tensor::ones(&frame)], 0);
    maps.matmul(&places.reshape([3, pixels])).reshape([batch, 2, height, width]).permute(&[0, 2, 3, 1])
}

/// Where the centre of each pixel lies along an axis, from -1 to 1.
#[track_caller]
fn coordinates(frame: &Shape, axis: usize, align_corners: bool) -> Tensor {
    let pixel = Tensor::iota(frame, axis as isize).to(DType::F32);
    let size = frame[axis] as f64;
    if !align_corners {
        (pixel * 2.0 + 1.0) * number(1.0 / size) - 1.0
    } else if size > 1.0 {
        pixel * number(2.0 / (size - 1.0)) - 1.0
    } else {
        // The only pixel is in the middle.
        Tensor::zeros(frame)
    }
}

/// Images `[batch, channels, height, width]` at the places of a grid `[batch, rows, columns, 2]`, both f32:
/// `[batch, channels, rows, columns]`. PyTorch's `grid_sample` with its defaults, bilinear between pixels and 0 outside of the image.
/// Halves are sampled in f32, which the result is.
///
/// A grid's last axis is first across, then down, from -1 to 1; [`affine_grid`] says of what, and makes such grids. The gradient reaches
/// images and grid.
///
/// Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015.
#[track_caller]
pub fn grid_sample(x: &Tensor, grid: &Tensor, align_corners: bool) -> Tensor {
    let &[batch, channels, height, width] = match image("grid_sample", x) {
        Ok(shape) => shape,
        Err(error) => return error,
    };
    if grid.error().is_some() {
        return grid.clone();
    }
    let &[places, rows, columns, 2] = &grid.shape()[..] else {
        return fail("grid_sample", format!("the grid {} is not [batch, rows, columns, 2]", grid.shape()));
    };
    if places != batch || !grid.dtype().is_float() {
        let message = format!("a grid of {}{} for images {}: needs f32[{batch}, rows, columns, 2]", grid.dtype(), grid.shape(), x.shape());
        return fail("grid_sample", message);
    }
    // Halves have too few digits for places.
    let (x, grid) = (&wide(x), &wide(grid));
    // A frame of zeros, so that every place at or beyond the edges lies between two pixels as those inside do.
    let (framed_height, framed_width) = (height + 2, width + 2);
    let framed = x.pad(&[(0, 0), (0, 0), (1, 1), (1, 1)], 0.0).reshape([batch, channels, framed_height * framed_width]);
    let (left, right) = between(&grid.select(-1, 0), width, align_corners);
    let (upper, lower) = between(&grid.select(-1, 1), height, align_corners);
    let corner = &upper.pixel * framed_width as u32 + &left.pixel;
    let flat = |t: &Tensor, depth: usize| t.reshape([batch, 1, rows * columns]).expand([batch, depth, rows * columns]);
    let at = |offset: usize| framed.gather(2, &flat(&(&corner + offset as u32), channels));
    let weight = |w: &Tensor| flat(w, 1);
    let above = at(0) * weight(&left.weight) + at(1) * weight(&right);
    let below = at(framed_width) * weight(&left.weight) + at(framed_width + 1) * weight(&right);
    (above * weight(&upper.weight) + below * weight(&lower)).reshape([batch, channels, rows, columns])
}

/// The nearer to 0 of the two pixels between which a place lies.
struct Lower {
    /// Counted in an image with a frame, u32.
    pixel: Tensor,
    /// How much of it the result has.
    weight: Tensor,
}

/// The pixels of an axis of so many between which places lie, and the weight of the farther one.
#[track_caller]
fn between(places: &Tensor, size: usize, align_corners: bool) -> (Lower, Tensor) {
    let size = size as f64;
    let half = if align_corners { (size - 1.0) / 2.0 } else { size / 2.0 };
    // In pixels of the image; a step into the frame there is nothing but zeros.
    let at = (places * number(half) + number((size - 1.0) / 2.0)).clamp(-1.0, size as f32);
    let pixel = at.detach().floor().clamp(-1.0, size as f32 - 1.0);
    let farther = at - &pixel;
    (Lower { pixel: (pixel + 1.0).to(DType::U32), weight: 1.0 - &farther }, farther)
}

/// The sizes of a batch of images; the tensor that carries the mistake for what is none.
#[track_caller]
fn image<'a>(op: &str, x: &'a Tensor) -> Result<&'a [usize; 4], Tensor> {
    if x.error().is_some() {
        return Err(x.clone());
    }
    match <&[usize; 4]>::try_from(&x.shape()[..]) {
        Ok(shape) if x.dtype().is_float() => Ok(shape),
        _ => Err(fail(op, format!("the images {}{} are not f32[batch, channels, height, width]", x.dtype(), x.shape()))),
    }
}

/// Whether a number is a share, from 0 to 1.
fn share(what: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(Error::argument(what, format!("{value} does not lie in 0..=1"))) }
}

/// Whether two numbers are a range of positive numbers.
fn range(what: &str, [least, most]: [f64; 2]) -> Result<()> {
    positive(what, least)?;
    finite(what, most)?;
    if least > most { Err(Error::argument(what, format!("{least} to {most} is no range"))) } else { Ok(()) }
}

/// Draws a share of the area, uniform in its range, and a ratio, whose logarithm is uniform in its own.
#[track_caller]
fn area_and_ratio(shape: &[usize], scale: [f64; 2], ratio: [f64; 2]) -> [Tensor; 2] {
    let draw = |[low, high]: [f64; 2]| Tensor::rand(shape) * number(high - low) + number(low);
    [draw(scale), draw(ratio.map(f64::ln)).exp()]
}

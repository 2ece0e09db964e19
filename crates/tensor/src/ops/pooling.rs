//! Pooling: the largest or the mean element of windows over one or two spatial axes.
//!
//! Windows are views, so pooling is a reduction like any other. Where windows neither overlap nor leave gaps they are a reshape.

use std::panic::Location as CallerLocation;

use super::convolution::PerAxis;
use crate::{Location, Shape, Tensor};

/// What pooling takes; PyTorch's names and defaults. A size alone, or one for each axis, is a `PoolOptions` too: `x.max_pool2d(2)`.
///
/// ```
/// use noyau_tensor::PoolOptions;
/// let options = PoolOptions::new(3).stride(2).padding(1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    kernel: PerAxis,
    stride: Option<PerAxis>,
    padding: PerAxis,
    dilation: PerAxis,
    ceil_mode: bool,
    count_include_pad: bool,
}

impl PoolOptions {
    /// Windows of this size, side by side.
    pub fn new(kernel: impl Into<PerAxis>) -> PoolOptions {
        PoolOptions {
            kernel: kernel.into(),
            stride: None,
            padding: PerAxis::All(0),
            dilation: PerAxis::All(1),
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    /// How far one window lies from the next; by default its size.
    pub fn stride(mut self, stride: impl Into<PerAxis>) -> PoolOptions {
        self.stride = Some(stride.into());
        self
    }

    /// So many elements on both sides of each spatial axis that are never the largest, and count as 0 in means. At most half a window.
    pub fn padding(mut self, padding: impl Into<PerAxis>) -> PoolOptions {
        self.padding = padding.into();
        self
    }

    /// How far the elements of a window lie apart. Maxima only.
    pub fn dilation(mut self, dilation: impl Into<PerAxis>) -> PoolOptions {
        self.dilation = dilation.into();
        self
    }

    /// Whether a last window that begins inside of the input, or of the padding before it, but ends outside counts too.
    pub fn ceil_mode(mut self, yes: bool) -> PoolOptions {
        self.ceil_mode = yes;
        self
    }

    /// Whether means count the padding; by default they do. What lies beyond the padding, in `ceil_mode`, never counts.
    pub fn count_include_pad(mut self, yes: bool) -> PoolOptions {
        self.count_include_pad = yes;
        self
    }
}

impl From<usize> for PoolOptions {
    fn from(kernel: usize) -> PoolOptions {
        PoolOptions::new(kernel)
    }
}

impl<const N: usize> From<[usize; N]> for PoolOptions {
    fn from(kernel: [usize; N]) -> PoolOptions {
        PoolOptions::new(kernel)
    }
}

impl From<&PoolOptions> for PoolOptions {
    fn from(options: &PoolOptions) -> PoolOptions {
        options.clone()
    }
}

/// The windows over one axis.
#[derive(Clone, Copy, Debug)]
struct Windows {
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    count: usize,
}

impl Windows {
    /// The places from a window's first to its last element, plus one.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Where the last window ends, counted from the beginning of the padding.
    fn end(&self) -> usize {
        (self.count - 1) * self.stride + self.reach()
    }

    /// Whether the windows lie side by side.
    fn side_by_side(&self) -> bool {
        self.stride == self.kernel && self.dilation == 1
    }

    /// How many elements each window has that count.
    fn counts(&self, with_padding: bool) -> Vec<f32> {
        let (low, high) = if with_padding { (0, self.size + 2 * self.padding) } else { (self.padding, self.padding + self.size) };
        let counted = |i: usize| {
            let start = i * self.stride;
            (start + self.kernel).min(high).saturating_sub(start.max(low)) as f32
        };
        (0..self.count).map(counted).collect()
    }
}

/// What stands for an element that is not there: smaller than any, yet finite, since a GPU may assume that infinity does not occur.
const NOTHING: f32 = f32::MIN;

impl Tensor {
    /// The largest element of each window, `[n, channels, length] -> [n, channels, out]`, f32, with
    /// `out = (length + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1`. Elements that tie share the gradient evenly, as in [`Tensor::max`].
    #[track_caller]
    pub fn max_pool1d(&self, options: impl Into<PoolOptions>) -> Tensor {
        self.max_pool("max_pool1d", 1, &options.into(), CallerLocation::caller())
    }

    /// [`max_pool1d`](Tensor::max_pool1d) over two axes: `[n, channels, height, width]`.
    #[track_caller]
    pub fn max_pool2d(&self, options: impl Into<PoolOptions>) -> Tensor {
        self.max_pool("max_pool2d", 2, &options.into(), CallerLocation::caller())
    }

    /// The mean of each window, `[n, channels, length] -> [n, channels, out]`, f32, with `out = (length + 2 * padding - kernel) / stride + 1`.
    #[track_caller]
    pub fn avg_pool1d(&self, options: impl Into<PoolOptions>) -> Tensor {
        self.avg_pool("avg_pool1d", 1, &options.into(), CallerLocation::caller())
    }

    /// [`avg_pool1d`](Tensor::avg_pool1d) over two axes: `[n, channels, height, width]`.
    #[track_caller]
    pub fn avg_pool2d(&self, options: impl Into<PoolOptions>) -> Tensor {
        self.avg_pool("avg_pool2d", 2, &options.into(), CallerLocation::caller())
    }

    /// The means of as many windows as `size` says, `[n, channels, length] -> [n, channels, size]`, f32: window `i` goes from `floor(i * length / size)` to
    /// `ceil((i + 1) * length / size)`, as in PyTorch.
    #[track_caller]
    pub fn adaptive_avg_pool1d(&self, size: impl Into<PerAxis>) -> Tensor {
        self.adaptive("adaptive_avg_pool1d", 1, &size.into(), false, CallerLocation::caller())
    }

    /// [`adaptive_avg_pool1d`](Tensor::adaptive_avg_pool1d) over two axes: `[n, channels, height, width]`.
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, size: impl Into<PerAxis>) -> Tensor {
        self.adaptive("adaptive_avg_pool2d", 2, &size.into(), false, CallerLocation::caller())
    }

    /// The largest elements of as many windows as `size` says: those of [`adaptive_avg_pool1d`](Tensor::adaptive_avg_pool1d). Elements that tie share the
    /// gradient; where windows differ in size, first along the last axis.
    #[track_caller]
    pub fn adaptive_max_pool1d(&self, size: impl Into<PerAxis>) -> Tensor {
        self.adaptive("adaptive_max_pool1d", 1, &size.into(), true, CallerLocation::caller())
    }

    /// [`adaptive_max_pool1d`](Tensor::adaptive_max_pool1d) over two axes: `[n, channels, height, width]`.
    #[track_caller]
    pub fn adaptive_max_pool2d(&self, size: impl Into<PerAxis>) -> Tensor {
        self.adaptive("adaptive_max_pool2d", 2, &size.into(), true, CallerLocation::caller())
    }

    #[track_caller]
    fn max_pool(&self, op: &str, rank: usize, options: &PoolOptions, location: Location) -> Tensor {
        match self.pool_windows(op, rank, options, location) {
            Ok(windows) => {
                let (windowed, axes) = self.windowed(&windows, NOTHING);
                windowed.max(&axes)
            }
            Err(error) => error,
        }
    }

    #[track_caller]
    fn avg_pool(&self, op: &str, rank: usize, options: &PoolOptions, location: Location) -> Tensor {
        let windows = match self.pool_windows(op, rank, options, location) {
            Ok(windows) => windows,
            Err(error) => return error,
        };
        if let Some(dilated) = windows.iter().find(|w| w.dilation != 1) {
            return Tensor::fail(op, format!("dilation {}: means are of windows without gaps", dilated.dilation), location);
        }
        let (windowed, axes) = self.windowed(&windows, 0.0);
        let sum = windowed.sum_axes(&axes);
        let counts: Vec<Vec<f32>> = windows.iter().map(|w| w.counts(options.count_include_pad)).collect();
        // All alike: a mean like any other.
        if counts.iter().all(|axis| axis.iter().all(|&n| n == axis[0])) {
            let count: f32 = counts.iter().map(|axis| axis[0]).product();
            return sum.full_like(1.0 / f64::from(count)) * sum;
        }
        let mut divided = sum;
        for (i, axis) in counts.iter().enumerate() {
            let mut shape = vec![1; rank];
            shape[i] = axis.len();
            divided = divided / Tensor::new(axis, shape);
        }
        divided
    }

    /// The windows over each spatial axis, or the tensor that carries what is wrong.
    fn pool_windows(&self, op: &str, rank: usize, options: &PoolOptions, location: Location) -> Result<Vec<Windows>, Tensor> {
        self.check_pooled(op, rank, location)?;
        let spatial = &self.shape()[2..];
        let resolved = || -> Result<Vec<Windows>, String> {
            let kernel = options.kernel.resolve(rank, "kernel")?;
            let stride = options.stride.as_ref().unwrap_or(&options.kernel).resolve(rank, "stride")?;
            let padding = options.padding.resolve(rank, "padding")?;
            let dilation = options.dilation.resolve(rank, "dilation")?;
            (0..rank).map(|i| windows(spatial[i], kernel[i], stride[i], padding[i], dilation[i], options.ceil_mode)).collect()
        };
        resolved().map_err(|message| Tensor::fail(op, format!("the input {}: {message}", self.shape()), location))
    }

    fn check_pooled(&self, op: &str, rank: usize, location: Location) -> Result<(), Tensor> {
        if self.error().is_some() {
            return Err(self.clone());
        }
        if !self.dtype().is_float() {
            return Err(Tensor::fail(op, format!("needs f32, got {}; convert with .to(DType::F32)", self.dtype()), location));
        }
        if self.rank() != rank + 2 {
            let axes = if rank == 1 { "[n, channels, length]" } else { "[n, channels, height, width]" };
            return Err(Tensor::fail(
                op,
                format!("the input {} has rank {}, not {} {axes}", self.shape(), self.rank(), rank + 2),
                location,
            ));
        }
        Ok(())
    }

    /// The elements with the windows as axes of their own, and which these are.
    #[track_caller]
    fn windowed(&self, windows: &[Windows], padding: f32) -> (Tensor, Vec<isize>) {
        let mut widths = vec![(0, 0); 2];
        widths.extend(windows.iter().map(|w| (w.padding, w.end().saturating_sub(w.padding + w.size))));
        let mut x = self.pad(&widths, padding);
        if windows.iter().all(Windows::side_by_side) {
            let mut shape = self.shape()[..2].to_vec();
            for (i, w) in windows.iter().enumerate() {
                x = x.slice(i as isize + 2, ..w.end());
                shape.extend([w.count, w.kernel]);
            }
            let axes = (0..windows.len() as isize).map(|i| 2 * i + 3).collect();
            return (x.reshape(shape), axes);
        }
        for (i, w) in windows.iter().enumerate() {
            x = x.unfold_dilated(i as isize + 2, w.kernel, w.stride, w.dilation);
        }
        (x, (1..=windows.len() as isize).map(|i| -i).collect())
    }

    #[track_caller]
    fn adaptive(&self, op: &str, rank: usize, size: &PerAxis, largest: bool, location: Location) -> Tensor {
        if let Err(error) = self.check_pooled(op, rank, location) {
            return error;
        }
        let sizes = match size.resolve(rank, "size") {
            Ok(sizes) => sizes,
            Err(message) => return Tensor::fail(op, message, location),
        };
        let spatial = &self.shape()[2..];
        if sizes.contains(&0) || spatial.contains(&0) {
            let message = format!("{sizes:?} windows of the input {}: there must be at least one, and something in it", self.shape());
            return Tensor::fail(op, message, location);
        }
        if spatial.iter().zip(&sizes).all(|(n, size)| n.is_multiple_of(*size)) {
            let options = PoolOptions::new(spatial.iter().zip(&sizes).map(|(n, size)| n / size).collect::<Vec<_>>());
            return if largest { self.max_pool(op, rank, &options, location) } else { self.avg_pool(op, rank, &options, location) };
        }
        // Both the largest and the mean of a rectangle are those of its rows' results.
        let mut x = self.clone();
        for (i, &size) in sizes.iter().enumerate().rev() {
            x = x.adaptive_axis(i as isize + 2, size, largest);
        }
        x
    }

    /// Adaptive pooling over one axis: each window is a row of the whole axis in which all other elements are left out.
    #[track_caller]
    fn adaptive_axis(&self, axis: isize, size: usize, largest: bool) -> Tensor {
        let x = self.transpose(axis, -1);
        let length = x.shape()[x.rank() - 1];
        // In u64, since u32 is enough for a device's places but not for this product.
        let start = |i: usize| (i as u64 * length as u64 / size as u64) as u32;
        let end = |i: usize| ((i as u64 + 1) * length as u64).div_ceil(size as u64) as u32;
        let (starts, ends): (Vec<u32>, Vec<u32>) = (0..size).map(|i| (start(i), end(i))).unzip();
        let place = Tensor::iota([size, length], 1);
        let inside = place.ge(Tensor::new(&starts, [size, 1])).logical_and(place.lt(Tensor::new(&ends, [size, 1])));
        let rows = x.unsqueeze(-2);
        let pooled = if largest {
            inside.where_(rows, NOTHING).max(&[-1])
        } else {
            let counts: Vec<f32> = starts.iter().zip(&ends).map(|(start, end)| (end - start) as f32).collect();
            inside.where_(rows, 0.0).sum_axes(&[-1]) / Tensor::new(&counts, Shape::from([size]))
        };
        pooled.transpose(axis, -1)
    }
}

/// The windows over an axis of `size` elements, or why there are none.
fn windows(size: usize, kernel: usize, stride: usize, padding: usize, dilation: usize, ceil: bool) -> Result<Windows, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(format!("kernel {kernel}, stride {stride}, dilation {dilation}: none of these may be 0"));
    }
    let reach = (kernel - 1).checked_mul(dilation).and_then(|n| n.checked_add(1)).unwrap_or(usize::MAX);
    if padding > reach / 2 {
        return Err(format!("padding {padding} is more than half a window of {reach}: there would be windows of nothing else"));
    }
    let padded = size.saturating_add(2 * padding);
    if padded < reach || size == 0 {
        return Err(format!("a window of {reach} does not fit into an axis of {size}, padded to {padded}"));
    }
    let free = padded - reach;
    let mut count = if ceil { free.div_ceil(stride) } else { free / stride } + 1;
    // A window that would begin in the padding after the input is none.
    if ceil && (count - 1) * stride >= size + padding {
        count -= 1;
    }
    Ok(Windows { size, kernel, stride, padding, dilation, count })
}

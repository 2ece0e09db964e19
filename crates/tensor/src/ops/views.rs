//! Methods that move elements without computing anything.

use std::ops::{Bound, RangeBounds};
use std::panic::Location as CallerLocation;

use super::{axes_of, axis_of};
use crate::{Location, Op, Scalar, Shape, Tensor, Window};

impl Tensor {
    fn view(&self, op: Op, rule: Result<Shape, String>, location: Location) -> Tensor {
        let same = rule.as_ref().is_ok_and(|shape| shape == self.shape());
        // A reshape or an expansion to the shape that the tensor has, padding by nothing and the like are the tensor itself.
        let nothing = match &op {
            Op::Reshape | Op::Expand => same,
            Op::Permute(axes) => axes.iter().enumerate().all(|(i, &axis)| i == axis),
            Op::Slice(ranges) => same && ranges.iter().all(|&(start, step)| start == 0 && step == 1),
            Op::Flip(axes) => axes.is_empty(),
            Op::Pad(..) => same,
            _ => false,
        };
        if nothing && rule.is_ok() && self.error().is_none() {
            return self.clone();
        }
        let dtype = self.dtype();
        Tensor::apply(op, vec![self.clone()], rule.map(|shape| (shape, dtype)), location)
    }

    /// The same elements in row-major order under another shape.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let rule = match shape.checked_numel() {
            Some(n) if n == self.numel() => Ok(shape),
            _ => Err(format!(
                "{} of {} elements cannot become {shape}: the sizes must multiply to {}",
                self.shape(),
                self.numel(),
                self.numel()
            )),
        };
        self.view(Op::Reshape, rule, CallerLocation::caller())
    }

    /// Axes `start..=end` made one (negative counts from the end).
    #[track_caller]
    pub fn flatten(&self, start: isize, end: isize) -> Tensor {
        let location = CallerLocation::caller();
        match (axis_of(start, self.shape()), axis_of(end, self.shape())) {
            (Ok(a), Ok(b)) if a <= b => {
                let sizes = self.shape();
                let merged = sizes[a..=b].iter().product();
                self.reshape(sizes[..a].iter().copied().chain([merged]).chain(sizes[b + 1..].iter().copied()).collect::<Shape>())
            }
            (Err(message), _) | (_, Err(message)) => self.view(Op::Reshape, Err(message), location),
            _ => self.view(Op::Reshape, Err(format!("flatten from axis {start} to {end}: the first comes after the last")), location),
        }
    }

    /// Axis `i` of the result is axis `axes[i]` of this tensor (negative counts from the end).
    #[track_caller]
    pub fn permute(&self, axes: &[isize]) -> Tensor {
        let location = CallerLocation::caller();
        let rule = axes_of(axes, self.shape()).and_then(|sorted| {
            if sorted.len() == self.rank() { Ok(()) } else { Err(format!("{axes:?} names {} axes of {}", sorted.len(), self.shape())) }
        });
        let order: Vec<usize> = axes.iter().filter_map(|&a| axis_of(a, self.shape()).ok()).collect();
        let shape = rule.map(|()| order.iter().map(|&a| self.shape()[a]).collect());
        self.view(Op::Permute(order), shape, location)
    }

    /// Two axes exchanged (negative counts from the end).
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        let location = CallerLocation::caller();
        match (axis_of(a, self.shape()), axis_of(b, self.shape())) {
            (Ok(a), Ok(b)) => {
                let mut order: Vec<isize> = (0..self.rank() as isize).collect();
                order.swap(a, b);
                self.permute(&order)
            }
            (Err(message), _) | (_, Err(message)) => self.view(Op::Permute(Vec::new()), Err(message), location),
        }
    }

    /// The last two axes exchanged: a matrix transposed. An error below rank 2.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        self.transpose(-2, -1)
    }

    /// A new axis of size 1 at the place that `axis` will have in the result (negative counts from the end).
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Tensor {
        let rank = self.rank() as isize + 1;
        let place = if axis < 0 { axis + rank } else { axis };
        if !(0..rank).contains(&place) {
            return self.view(Op::Reshape, Err(format!("no place {axis} for a new axis in {}", self.shape())), CallerLocation::caller());
        }
        let mut sizes = self.shape().to_vec();
        sizes.insert(place as usize, 1);
        self.reshape(sizes)
    }

    /// An axis of size 1 removed (negative counts from the end).
    #[track_caller]
    pub fn squeeze(&self, axis: isize) -> Tensor {
        let location = CallerLocation::caller();
        let rule = axis_of(axis, self.shape()).and_then(|axis| match self.shape()[axis] {
            1 => Ok(axis),
            size => Err(format!("axis {axis} of {} has size {size}, not 1", self.shape())),
        });
        match rule {
            Ok(axis) => {
                let mut sizes = self.shape().to_vec();
                sizes.remove(axis);
                self.reshape(sizes)
            }
            Err(message) => self.view(Op::Reshape, Err(message), location),
        }
    }

    /// Repeated to a shape that this one broadcasts to.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let location = CallerLocation::caller();
        if self.shape().broadcast(&shape).as_ref() != Some(&shape) {
            return self.view(
                Op::Expand,
                Err(format!("{} cannot be expanded to {shape}: only sizes of 1 can, aligned at the end", self.shape())),
                location,
            );
        }
        self.broadcast_at(&shape, location)
    }

    /// `expand` to a shape that is known to fit.
    pub(crate) fn broadcast_at(&self, shape: &Shape, location: Location) -> Tensor {
        if self.shape() == shape {
            return self.clone();
        }
        let aligned: Shape = std::iter::repeat_n(1, shape.rank() - self.rank()).chain(self.shape().iter().copied()).collect();
        self.view(Op::Reshape, Ok(aligned), location).view(Op::Expand, Ok(shape.clone()), location)
    }

    /// The elements of an axis (negative counts from the end) in a range: `x.slice(0, 2..5)`, `x.slice(-1, ..10)`.
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl RangeBounds<usize>) -> Tensor {
        self.slice_step(axis, range, 1)
    }

    /// Every `step`-th element of an axis in a range; a negative step reads the range from its end backwards.
    #[track_caller]
    pub fn slice_step(&self, axis: isize, range: impl RangeBounds<usize>, step: isize) -> Tensor {
        let location = CallerLocation::caller();
        let axis = match axis_of(axis, self.shape()) {
            Ok(axis) => axis,
            Err(message) => return self.view(Op::Slice(Vec::new()), Err(message), location),
        };
        let size = self.shape()[axis];
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => size,
        };
        if start > end || end > size || step == 0 {
            let message = format!(
                "{start}..{end} by {step} does not lie in axis {axis} of {}: slice within 0..{size} by a step that is not 0",
                self.shape()
            );
            return self.view(Op::Slice(Vec::new()), Err(message), location);
        }
        let count = (end - start).div_ceil(step.unsigned_abs());
        // Backwards from the last element is forwards from the first element that such a walk reaches, reversed.
        let first = if step < 0 && count > 0 { end - 1 - (count - 1) * step.unsigned_abs() } else { start };
        let ranges = (0..self.rank()).map(|i| if i == axis { (first, step.unsigned_abs()) } else { (0, 1) }).collect();
        let shape = self.shape().iter().enumerate().map(|(i, &d)| if i == axis { count } else { d }).collect();
        let forward = self.view(Op::Slice(ranges), Ok(shape), location);
        if step < 0 { forward.flip(&[axis as isize]) } else { forward }
    }

    /// One element of an axis, which is removed: `x.select(0, 3)` is the fourth row.
    #[track_caller]
    pub fn select(&self, axis: isize, index: usize) -> Tensor {
        self.slice(axis, index..=index).squeeze(axis)
    }

    /// Pieces of `size` elements along an axis, the last one possibly smaller. One erroneous tensor when `size` is 0 or there is no such axis.
    #[track_caller]
    pub fn split(&self, size: usize, axis: isize) -> Vec<Tensor> {
        let location = CallerLocation::caller();
        match axis_of(axis, self.shape()) {
            Ok(index) if size > 0 => {
                let total = self.shape()[index];
                (0..total).step_by(size).map(|start| self.slice(axis, start..(start + size).min(total))).collect()
            }
            Ok(_) => vec![Tensor::fail("split", "pieces of size 0", location)],
            Err(message) => vec![Tensor::fail("split", message, location)],
        }
    }

    /// The axes reversed (negative counts from the end).
    #[track_caller]
    pub fn flip(&self, axes: &[isize]) -> Tensor {
        let location = CallerLocation::caller();
        match axes_of(axes, self.shape()) {
            Ok(axes) => self.view(Op::Flip(axes), Ok(self.shape().clone()), location),
            Err(message) => self.view(Op::Flip(Vec::new()), Err(message), location),
        }
    }

    /// For each axis so many elements of the given value added before and after.
    #[track_caller]
    pub fn pad(&self, widths: &[(usize, usize)], value: f32) -> Tensor {
        let rule = if widths.len() == self.rank() {
            Ok(self.shape().iter().zip(widths).map(|(&d, &(before, after))| d.saturating_add(before).saturating_add(after)).collect())
        } else {
            Err(format!("{} pairs of widths for {} of rank {}", widths.len(), self.shape(), self.rank()))
        };
        self.view(Op::Pad(widths.to_vec(), Scalar::new(value.into(), self.dtype())), rule, CallerLocation::caller())
    }

    /// The windows of `size` elements along an axis (negative counts from the end), `step` apart, the window as a new last axis: PyTorch's `Tensor.unfold`.
    /// `[.., n, ..]` becomes `[.., (n - size) / step + 1, .., size]`. No element is copied.
    #[track_caller]
    pub fn unfold(&self, axis: isize, size: usize, step: usize) -> Tensor {
        self.unfold_dilated(axis, size, step, 1)
    }

    /// [`unfold`](Tensor::unfold) with windows whose elements lie `dilation` apart.
    #[track_caller]
    pub fn unfold_dilated(&self, axis: isize, size: usize, step: usize, dilation: usize) -> Tensor {
        let location = CallerLocation::caller();
        let axis = match axis_of(axis, self.shape()) {
            Ok(axis) => axis,
            Err(message) => return Tensor::fail("unfold", message, location),
        };
        let window = Window { axis, size, step, dilation };
        let have = self.shape()[axis];
        let rule = if size == 0 || step == 0 || dilation == 0 {
            Err(format!("windows of {size} elements, {step} apart, dilation {dilation}: none of these may be 0"))
        } else if window.count(have) == 0 {
            Err(format!("a window of {size} elements with dilation {dilation} does not fit into axis {axis} of {}", self.shape()))
        } else {
            let mut sizes = self.shape().to_vec();
            sizes[axis] = window.count(have);
            sizes.push(size);
            Ok(sizes.into())
        };
        self.view(Op::Unfold(window), rule, location)
    }

    /// Each element of an axis followed by `step - 1` zeros, less those after the last.
    pub fn spread(&self, axis: usize, step: usize) -> Tensor {
        let count = self.shape().get(axis).copied().unwrap_or(0);
        if step <= 1 || count == 0 {
            return self.clone();
        }
        let wide = self.unsqueeze(axis as isize + 1);
        let widths: Vec<_> = (0..wide.rank()).map(|i| if i == axis + 1 { (0, step - 1) } else { (0, 0) }).collect();
        wide.pad(&widths, 0.0).flatten(axis as isize, axis as isize + 1).slice(axis as isize, ..(count - 1) * step + 1)
    }
}

//! Padding with the tensor's own elements: joined slices, views all of them.

use std::panic::Location as CallerLocation;

use crate::{Location, Tensor, concat};

impl Tensor {
    /// For each axis so many elements added before and after: those inside, mirrored at the first and the last element, which are not
    /// repeated. PyTorch's mode `reflect`, with a pair of widths for every axis as in [`Tensor::pad`]. Each width is less than the axis.
    #[track_caller]
    pub fn pad_reflect(&self, widths: &[(usize, usize)]) -> Tensor {
        let location = CallerLocation::caller();
        if let Some(mistake) = self.pad_mistake("pad_reflect", widths, location, |width, size| width == 0 || width < size) {
            return mistake;
        }
        let mut result = self.clone();
        for (i, &(before, after)) in widths.iter().enumerate() {
            let (axis, size) = (i as isize, self.shape()[i]);
            let mut parts = Vec::with_capacity(3);
            if before > 0 {
                parts.push(result.slice(axis, 1..before + 1).flip(&[axis]));
            }
            parts.push(result.clone());
            if after > 0 {
                parts.push(result.slice(axis, size - 1 - after..size - 1).flip(&[axis]));
            }
            result = concat(&parts.iter().collect::<Vec<_>>(), axis);
        }
        result
    }

    /// For each axis so many copies of the first element added before and of the last after. PyTorch's mode `replicate`, with a pair of
    /// widths for every axis as in [`Tensor::pad`].
    #[track_caller]
    pub fn pad_replicate(&self, widths: &[(usize, usize)]) -> Tensor {
        let location = CallerLocation::caller();
        if let Some(mistake) = self.pad_mistake("pad_replicate", widths, location, |width, size| width == 0 || size > 0) {
            return mistake;
        }
        let mut result = self.clone();
        for (i, &(before, after)) in widths.iter().enumerate() {
            let (axis, size) = (i as isize, self.shape()[i]);
            let mut sizes = result.shape().to_vec();
            let mut parts = Vec::with_capacity(3);
            if before > 0 {
                sizes[i] = before;
                parts.push(result.slice(axis, ..1).expand(&sizes[..]));
            }
            parts.push(result.clone());
            if after > 0 {
                sizes[i] = after;
                parts.push(result.slice(axis, size - 1..).expand(&sizes[..]));
            }
            result = concat(&parts.iter().collect::<Vec<_>>(), axis);
        }
        result
    }

    /// For each axis so many elements added before and after, as if the tensor began anew where it ends. PyTorch's mode `circular`, with a
    /// pair of widths for every axis as in [`Tensor::pad`]. Each width is at most the axis. It is a view.
    #[track_caller]
    pub fn pad_circular(&self, widths: &[(usize, usize)]) -> Tensor {
        let location = CallerLocation::caller();
        if let Some(mistake) = self.pad_mistake("pad_circular", widths, location, |width, size| width <= size) {
            return mistake;
        }
        let mut result = self.clone();
        for (i, &(before, after)) in widths.iter().enumerate() {
            if before + after > 0 {
                let size = self.shape()[i];
                let mut counts = vec![1; self.rank()];
                counts[i] = 1 + usize::from(before > 0) + usize::from(after > 0);
                let start = if before > 0 { size - before } else { 0 };
                result = result.repeat(&counts).slice(i as isize, start..start + before + size + after);
            }
        }
        result
    }

    /// The error for widths that are not one pair an axis, or that the mode does not allow.
    fn pad_mistake(&self, op: &str, widths: &[(usize, usize)], location: Location, fits: fn(usize, usize) -> bool) -> Option<Tensor> {
        if self.error().is_some() {
            return Some(self.clone());
        }
        if widths.len() != self.rank() {
            let message = format!("{} pairs of widths for {} of rank {}", widths.len(), self.shape(), self.rank());
            return Some(Tensor::fail(op, message, location));
        }
        let (axis, (before, after)) = widths.iter().copied().enumerate().find(|&(i, (before, after))| {
            let size = self.shape()[i];
            !(fits(before, size) && fits(after, size))
        })?;
        let message = format!("{before} elements before and {after} after are more than axis {axis} of {} can give", self.shape());
        Some(Tensor::fail(op, message, location))
    }
}

//! Elements repeated, shifted, turned and taken apart: compositions of views, which move nothing.

use std::panic::Location as CallerLocation;

use super::axis_of;
use crate::{Location, Shape, Tensor, concat};

/// Repetition and shifting.
impl Tensor {
    /// The tensor `counts[i]` times over along each axis; more counts than axes make new axes in front. PyTorch's `repeat`.
    #[track_caller]
    pub fn repeat(&self, counts: &[usize]) -> Tensor {
        let location = CallerLocation::caller();
        if self.error().is_some() {
            return self.clone();
        }
        if counts.len() < self.rank() {
            return Tensor::fail("repeat", format!("{} counts for {} of rank {}", counts.len(), self.shape(), self.rank()), location);
        }
        let new = counts.len() - self.rank();
        let sizes: Vec<usize> = std::iter::repeat_n(1, new).chain(self.shape().iter().copied()).collect();
        // Each axis behind an axis of its count, then the two as one.
        let pairs: Shape = sizes.iter().flat_map(|&d| [1, d]).collect();
        let wide: Shape = sizes.iter().zip(counts).flat_map(|(&d, &n)| [n, d]).collect();
        let total: Shape = sizes.iter().zip(counts).map(|(&d, &n)| d.saturating_mul(n)).collect();
        if total.checked_numel().is_none() {
            return Tensor::fail("repeat", format!("the result's shape {total} has more elements than can be addressed"), location);
        }
        self.reshape(pairs).expand(wide).reshape(total)
    }

    /// [`Tensor::repeat`], where axes without a count stay as they are: PyTorch's `tile`.
    #[track_caller]
    pub fn tile(&self, counts: &[usize]) -> Tensor {
        let missing = self.rank().saturating_sub(counts.len());
        self.repeat(&std::iter::repeat_n(1, missing).chain(counts.iter().copied()).collect::<Vec<_>>())
    }

    /// Each element of an axis (negative counts from the end) `count` times in a row.
    #[track_caller]
    pub fn repeat_interleave(&self, count: usize, axis: isize) -> Tensor {
        let axis = match self.axis("repeat_interleave", axis) {
            Ok(axis) => axis,
            Err(mistake) => return mistake,
        };
        let mut wide = self.shape().to_vec();
        wide.insert(axis + 1, count);
        let mut total = self.shape().to_vec();
        total[axis] = total[axis].saturating_mul(count);
        self.unsqueeze(axis as isize + 1).expand(wide).reshape(total)
    }

    /// The elements of an axis (negative counts from the end) moved on by `shift`, those that leave at one end entering at the other.
    #[track_caller]
    pub fn roll(&self, shift: isize, axis: isize) -> Tensor {
        let index = match self.axis("roll", axis) {
            Ok(axis) => axis,
            Err(mistake) => return mistake,
        };
        let size = self.shape()[index];
        if size == 0 {
            return self.clone();
        }
        let start = (-shift).rem_euclid(size as isize) as usize;
        if start == 0 {
            return self.clone();
        }
        // Out of the axis twice over: one view, where two pieces joined would be a choice for each element.
        let mut counts = vec![1; self.rank()];
        counts[index] = 2;
        self.repeat(&counts).slice(axis, start..start + size)
    }

    /// The axis as a number, or the tensor that carries the mistake of `op`.
    #[track_caller]
    pub(crate) fn axis(&self, op: &str, axis: isize) -> Result<usize, Tensor> {
        let location = CallerLocation::caller();
        if self.error().is_some() {
            return Err(self.clone());
        }
        axis_of(axis, self.shape()).map_err(|message| Tensor::fail(op, message, location))
    }
}

/// Taking apart.
impl Tensor {
    /// Pieces of the given sizes along an axis (negative counts from the end): PyTorch's `split` with a list. One erroneous tensor when
    /// they do not add up to the axis.
    #[track_caller]
    pub fn split_sizes(&self, sizes: &[usize], axis: isize) -> Vec<Tensor> {
        let location = CallerLocation::caller();
        let index = match self.axis("split_sizes", axis) {
            Ok(index) => index,
            Err(mistake) => return vec![mistake],
        };
        let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
        if total != Some(self.shape()[index]) {
            let message = format!("sizes {sizes:?} do not add up to axis {index} of {}", self.shape());
            return vec![Tensor::fail("split_sizes", message, location)];
        }
        let mut start = 0;
        let mut pieces = Vec::with_capacity(sizes.len());
        for &size in sizes {
            pieces.push(self.slice(axis, start..start + size));
            start += size;
        }
        pieces
    }

    /// At most `count` pieces along an axis (negative counts from the end), of equal size but for the last one: as in PyTorch, fewer where
    /// the size does not allow so many. One erroneous tensor when `count` is 0 or there is no such axis.
    #[track_caller]
    pub fn chunk(&self, count: usize, axis: isize) -> Vec<Tensor> {
        let location = CallerLocation::caller();
        match self.axis("chunk", axis) {
            Err(mistake) => vec![mistake],
            Ok(_) if count == 0 => vec![Tensor::fail("chunk", "0 pieces", location)],
            Ok(index) => self.split(self.shape()[index].div_ceil(count).max(1), axis),
        }
    }

    /// The slices of an axis (negative counts from the end), which is removed. One erroneous tensor when there is no such axis.
    #[track_caller]
    pub fn unbind(&self, axis: isize) -> Vec<Tensor> {
        match self.axis("unbind", axis) {
            Err(mistake) => vec![mistake],
            Ok(index) => {
                let mut slices = Vec::with_capacity(self.shape()[index]);
                for i in 0..self.shape()[index] {
                    slices.push(self.select(axis, i));
                }
                slices
            }
        }
    }
}

/// Axes moved and shaped.
impl Tensor {
    /// An axis moved to the place `to`, the others in their order (negative counts from the end).
    #[track_caller]
    pub fn movedim(&self, from: isize, to: isize) -> Tensor {
        let (from, to) = match (self.axis("movedim", from), self.axis("movedim", to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(mistake), _) | (_, Err(mistake)) => return mistake,
        };
        let mut order: Vec<isize> = (0..self.rank() as isize).collect();
        let axis = order.remove(from);
        order.insert(to, axis);
        self.permute(&order)
    }

    /// Two axes exchanged: [`Tensor::transpose`] by NumPy's name.
    #[track_caller]
    pub fn swapaxes(&self, a: isize, b: isize) -> Tensor {
        self.transpose(a, b)
    }

    /// An axis (negative counts from the end) as several, whose sizes multiply to its own: the inverse of [`Tensor::flatten`].
    #[track_caller]
    pub fn unflatten(&self, axis: isize, sizes: &[usize]) -> Tensor {
        let location = CallerLocation::caller();
        let axis = match self.axis("unflatten", axis) {
            Ok(axis) => axis,
            Err(mistake) => return mistake,
        };
        if Shape::from(sizes).checked_numel() != Some(self.shape()[axis]) {
            return Tensor::fail("unflatten", format!("axis {axis} of {} cannot become {sizes:?}", self.shape()), location);
        }
        let mut shape = self.shape().to_vec();
        shape.splice(axis..=axis, sizes.iter().copied());
        self.reshape(shape)
    }

    /// Repeated to the shape of `other`.
    #[track_caller]
    pub fn expand_as(&self, other: &Tensor) -> Tensor {
        if other.error().is_some() { other.clone() } else { self.expand(other.shape()) }
    }

    /// The same elements in row-major order under the shape of `other`.
    #[track_caller]
    pub fn reshape_as(&self, other: &Tensor) -> Tensor {
        if other.error().is_some() { other.clone() } else { self.reshape(other.shape()) }
    }

    /// Turned by `turns` quarters in the plane of two axes, from the first towards the second (negative counts from the end).
    #[track_caller]
    pub fn rot90(&self, turns: isize, axes: [isize; 2]) -> Tensor {
        let location = CallerLocation::caller();
        let [a, b] = axes;
        match (self.axis("rot90", a), self.axis("rot90", b)) {
            (Err(mistake), _) | (_, Err(mistake)) => mistake,
            (Ok(i), Ok(j)) if i == j => {
                Tensor::fail("rot90", format!("axis {i} is named twice in {axes:?}; name each axis once"), location)
            }
            _ => match turns.rem_euclid(4) {
                1 => self.flip(&[b]).transpose(a, b),
                2 => self.flip(&[a, b]),
                3 => self.transpose(a, b).flip(&[b]),
                _ => self.clone(),
            },
        }
    }

    /// The differences of neighbours along an axis (negative counts from the end), which becomes one shorter.
    #[track_caller]
    pub fn diff(&self, axis: isize) -> Tensor {
        let index = match self.axis("diff", axis) {
            Ok(index) => index,
            Err(mistake) => return mistake,
        };
        let size = self.shape()[index];
        self.slice(axis, size.min(1)..) - self.slice(axis, ..size.saturating_sub(1))
    }
}

/// For each of several rank 1 tensors its elements along an axis of its own, expanded over the axes of the others: PyTorch's `meshgrid`
/// with `indexing='ij'`. One erroneous tensor when an operand has another rank.
#[track_caller]
pub fn meshgrid(axes: &[&Tensor]) -> Vec<Tensor> {
    let location: Location = CallerLocation::caller();
    if let Some(bad) = axes.iter().find(|t| t.error().is_some()) {
        return vec![(*bad).clone()];
    }
    if let Some(bad) = axes.iter().find(|t| t.rank() != 1) {
        return vec![Tensor::fail("meshgrid", format!("needs tensors of rank 1, got {}", bad.shape()), location)];
    }
    let shape: Shape = axes.iter().map(|t| t.numel()).collect();
    let mut grids = Vec::with_capacity(axes.len());
    for (i, axis) in axes.iter().enumerate() {
        let aligned: Shape = (0..axes.len()).map(|j| if i == j { shape[i] } else { 1 }).collect();
        grids.push(axis.reshape(aligned).expand(&shape));
    }
    grids
}

/// The tensors above one another: joined along the first axis, those of rank 1 as rows.
#[track_caller]
pub fn vstack(tensors: &[&Tensor]) -> Tensor {
    let mut rows: Vec<Tensor> = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        rows.push(match tensor.rank() {
            0 if tensor.error().is_none() => tensor.reshape([1, 1]),
            1 => tensor.unsqueeze(0),
            _ => (*tensor).clone(),
        });
    }
    concat(&rows.iter().collect::<Vec<_>>(), 0)
}

/// The tensors beside one another: joined along the second axis, those of rank 1 along their only one.
#[track_caller]
pub fn hstack(tensors: &[&Tensor]) -> Tensor {
    let mut parts: Vec<Tensor> = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        parts.push(if tensor.rank() == 0 && tensor.error().is_none() { tensor.reshape([1]) } else { (*tensor).clone() });
    }
    let axis = if parts.first().is_some_and(|t| t.rank() == 1) { 0 } else { 1 };
    concat(&parts.iter().collect::<Vec<_>>(), axis)
}

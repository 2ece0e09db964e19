//! Writing at places that are data, and reading by PyTorch's other names.

use std::panic::Location as CallerLocation;

use super::Operand;
use crate::{DType, Location, Shape, Tensor};

impl Tensor {
    /// [`Tensor::gather`], where the axes other than the named one (negative counts from the end) broadcast: PyTorch's `take_along_dim`.
    #[track_caller]
    pub fn take_along_dim(&self, index: &Tensor, axis: isize) -> Tensor {
        let location = CallerLocation::caller();
        let place = match self.axis("take_along_dim", axis) {
            Ok(place) => place,
            Err(mistake) => return mistake,
        };
        if index.error().is_some() {
            return index.clone();
        }
        let without = |t: &Tensor| -> Shape { t.shape().iter().enumerate().map(|(i, &d)| if i == place { 1 } else { d }).collect() };
        let common = if index.rank() == self.rank() { without(self).broadcast(&without(index)) } else { None };
        let Some(common) = common else {
            let message = format!("an index of {} for {}: but for axis {place} they do not broadcast", index.shape(), self.shape());
            return Tensor::fail("take_along_dim", message, location);
        };
        let with = |size: usize| -> Shape { common.iter().enumerate().map(|(i, &d)| if i == place { size } else { d }).collect() };
        self.expand(with(self.shape()[place])).gather(axis, &index.expand(with(index.shape()[place])))
    }

    /// The elements that `index` (u32 or i32, any shape) names, counted through the tensor in row-major order. A place outside reads 0.
    #[track_caller]
    pub fn take(&self, index: &Tensor) -> Tensor {
        if self.error().is_some() || index.error().is_some() {
            return if self.error().is_some() { self.clone() } else { index.clone() };
        }
        self.reshape([self.numel()]).gather(0, &index.reshape([index.numel()])).reshape(index.shape())
    }

    /// This tensor with the elements at the places along an axis (negative counts from the end) that `index` names replaced by those of
    /// `source`: PyTorch's `scatter`. `source` (of this tensor's type) and `index` (u32 or i32) have one shape, this tensor's but for the
    /// axis. Of several for one place the last counts; a place outside of the axis is passed over. Each place looks through the index: `n
    /// m` comparisons for an axis of `n` and `m` places, which is best for few of them (a column of a cache). Where whole slices are
    /// written, [`Tensor::index_copy`] compares once a slice.
    #[track_caller]
    pub fn scatter(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        let place = match self.writable("scatter", axis, index, source, location) {
            Ok(place) => place,
            Err(mistake) => return mistake,
        };
        let fits = index.shape() == source.shape()
            && index.rank() == self.rank()
            && (0..self.rank()).all(|i| i == place || index.shape()[i] == self.shape()[i]);
        if !fits {
            let (s, i) = (source.shape(), index.shape());
            let message = format!("source {s} and index {i} must be of one shape, that of {} but for axis {place}", self.shape());
            return Tensor::fail("scatter", message, location);
        }
        if index.numel() == 0 || self.numel() == 0 {
            return self.clone();
        }
        let last = index.movedim(axis, -1).last_writer(self.shape()[place]).movedim(-1, place as isize);
        // A place that nobody writes is numbered from 0 on the others' count: one less wraps and lies outside.
        last.ne(0u32).where_(source.gather(axis, &(&last - 1)), self)
    }

    /// This tensor with the slices of an axis (negative counts from the end) that a rank 1 `index` names replaced by those of `source`,
    /// which has this tensor's shape but for the axis. Of several for one place the last counts; a place outside of the axis is passed
    /// over.
    #[track_caller]
    pub fn index_copy(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        let place = match self.slices("index_copy", axis, index, source, location) {
            Ok(place) => place,
            Err(mistake) => return mistake,
        };
        if index.numel() == 0 || self.numel() == 0 {
            return self.clone();
        }
        let last = index.last_writer(self.shape()[place]);
        let aligned: Shape = (0..self.rank()).map(|i| if i == place { self.shape()[place] } else { 1 }).collect();
        last.ne(0u32).reshape(aligned).where_(source.index_select(axis, &(&last - 1)), self)
    }

    /// This tensor with `alpha` times the slices of `source` added to the slices of an axis (negative counts from the end) that a rank 1
    /// `index` names. `source` has this tensor's shape but for the axis. A place outside of the axis is passed over. f32.
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Tensor, source: &Tensor, alpha: f32) -> Tensor {
        let location = CallerLocation::caller();
        let place = match self.slices("index_add", axis, index, source, location) {
            Ok(place) => place,
            Err(mistake) => return mistake,
        };
        let aligned: Shape = (0..self.rank()).map(|i| if i == place { index.numel() } else { 1 }).collect();
        let index = index.reshape(aligned).expand(source.shape());
        let source = if alpha == 1.0 { source.clone() } else { source * alpha };
        self.scatter_add(axis, &index, &source)
    }

    /// This tensor with `value` in the slices of an axis (negative counts from the end) that a rank 1 `index` names. A place outside of the
    /// axis is passed over.
    #[track_caller]
    pub fn index_fill(&self, axis: isize, index: &Tensor, value: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let value = value.beside(self, location);
        let place = match self.slices("index_fill", axis, index, self, location) {
            Ok(place) => place,
            Err(mistake) => return mistake,
        };
        if index.numel() == 0 || self.numel() == 0 {
            return self.clone();
        }
        let aligned: Shape = (0..self.rank()).map(|i| if i == place { self.shape()[place] } else { 1 }).collect();
        index.last_writer(self.shape()[place]).ne(0u32).reshape(aligned).where_(value, self)
    }

    /// For each of `n` places the number of the last element of the last axis that names it, counted from 1; 0 where none does.
    #[track_caller]
    fn last_writer(&self, n: usize) -> Tensor {
        let index = self.to(DType::U32).unsqueeze(-2);
        let place = Tensor::iota([n, 1], 0);
        let number = Tensor::iota(index.shape(), -1) + 1;
        index.eq(place).where_(number, self.to(DType::U32).number(0.0)).max(&[-1])
    }

    /// The axis, if `index` and `source` may write to it.
    fn writable(&self, op: &str, axis: isize, index: &Tensor, source: &Tensor, location: Location) -> Result<usize, Tensor> {
        for t in [self, index, source] {
            if t.error().is_some() {
                return Err(t.clone());
            }
        }
        let place = super::axis_of(axis, self.shape()).map_err(|message| Tensor::fail(op, message, location))?;
        if !index.dtype().is_int() {
            return Err(Tensor::fail(
                op,
                format!("the index is of type {}, not an integer; convert it with .to(DType::I32)", index.dtype()),
                location,
            ));
        }
        if source.dtype() != self.dtype() {
            return Err(Tensor::fail(op, format!("a source of {} for a tensor of {}", source.dtype(), self.dtype()), location));
        }
        Ok(place)
    }

    /// The axis, if `index` names a slice of it for each slice of `source`.
    fn slices(&self, op: &str, axis: isize, index: &Tensor, source: &Tensor, location: Location) -> Result<usize, Tensor> {
        let place = self.writable(op, axis, index, source, location)?;
        if index.rank() != 1 {
            return Err(Tensor::fail(op, format!("the index has rank {}, not 1", index.rank()), location));
        }
        let same = source.rank() == self.rank() && (0..self.rank()).all(|i| i == place || source.shape()[i] == self.shape()[i]);
        let fits = same && (std::ptr::eq(self, source) || source.shape()[place] == index.numel());
        if !fits {
            let message = format!(
                "{} indices and a source of {}: needs {} with {} on axis {place}",
                index.numel(),
                source.shape(),
                self.shape(),
                index.numel()
            );
            return Err(Tensor::fail(op, message, location));
        }
        Ok(place)
    }
}

//! Reading and writing at places that are themselves data.

use std::panic::Location as CallerLocation;

use super::axis_of;
use crate::{DType, Location, Op, Shape, Tensor};

impl Tensor {
    /// The index as u32, and the axis as a number; or the tensor that carries the mistake.
    fn index_operand(&self, op: &str, axis: isize, index: &Tensor, location: Location) -> Result<(usize, Tensor), Tensor> {
        for t in [self, index] {
            if t.error().is_some() {
                return Err(t.clone());
            }
        }
        let axis = axis_of(axis, self.shape()).map_err(|message| Tensor::fail(op, message, location))?;
        if !index.dtype().is_int() {
            return Err(Tensor::fail(
                op,
                format!("the index is of type {}, not an integer; convert it with .to(DType::I32)", index.dtype()),
                location,
            ));
        }
        // A negative i32 becomes a u32 that lies outside of every axis.
        let index = if index.dtype() == DType::I32 {
            Tensor::apply(Op::Cast(DType::U32), vec![index.clone()], Ok((index.shape().clone(), DType::U32)), location)
        } else {
            index.clone()
        };
        Ok((axis, index))
    }

    /// `result[.., i, ..] = self[.., index[.., i, ..], ..]` along an axis (negative counts from the end): PyTorch's `gather`. The index (u32 or i32) has this
    /// tensor's shape but for the axis. A place outside of the axis reads 0: nothing can be raised from inside a step.
    #[track_caller]
    pub fn gather(&self, axis: isize, index: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        let (axis, index) = match self.index_operand("gather", axis, index, location) {
            Ok(found) => found,
            Err(error) => return error,
        };
        let fits = index.rank() == self.rank() && (0..self.rank()).all(|i| i == axis || index.shape()[i] == self.shape()[i]);
        let rule = if fits {
            Ok((index.shape().clone(), self.dtype()))
        } else {
            Err(format!("an index of {} for {}: only axis {axis} may differ", index.shape(), self.shape()))
        };
        Tensor::apply(Op::Gather(axis), vec![self.clone(), index], rule, location)
    }

    /// The slices of an axis (negative counts from the end) that a rank 1 index names, in its order: PyTorch's `index_select`. A place outside of the axis reads 0.
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        let (axis, index) = match self.index_operand("index_select", axis, index, location) {
            Ok(found) => found,
            Err(error) => return error,
        };
        if index.rank() != 1 {
            return Tensor::fail("index_select", format!("the index has rank {}, not 1", index.rank()), location);
        }
        let mut sizes = self.shape().to_vec();
        sizes[axis] = index.numel();
        let aligned: Shape = (0..self.rank()).map(|i| if i == axis { index.numel() } else { 1 }).collect();
        let index = index.reshape(aligned).broadcast_at(&sizes.clone().into(), location);
        Tensor::apply(Op::Gather(axis), vec![self.clone(), index], Ok((sizes.into(), self.dtype())), location)
    }

    /// This tensor with each element of `source` added at the place along an axis (negative counts from the end) that `index` names: PyTorch's `scatter_add`.
    /// `source` and `index` (u32 or i32) have one shape, this tensor's but for the axis. A place outside of the axis is passed over. f32 only.
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: &Tensor, source: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        let (axis, index) = match self.index_operand("scatter_add", axis, index, location) {
            Ok(found) => found,
            Err(error) => return error,
        };
        if source.error().is_some() {
            return source.clone();
        }
        let fits = index.shape() == source.shape()
            && index.rank() == self.rank()
            && (0..self.rank()).all(|i| i == axis || index.shape()[i] == self.shape()[i]);
        let rule = if !fits {
            Err(format!(
                "source {} and index {} must be of one shape, that of {} but for axis {axis}",
                source.shape(),
                index.shape(),
                self.shape()
            ))
        } else if !self.dtype().is_float() || source.dtype() != self.dtype() {
            Err(format!("needs two of f32, or of one half, got {} and {}", self.dtype(), source.dtype()))
        } else {
            Ok((self.shape().clone(), self.dtype()))
        };
        self + Tensor::apply(Op::ScatterAdd(axis), vec![source.clone(), index], rule, location)
    }

    /// Zeros of size `size` along `axis`, to which `self` is added at the places that `index` (checked, u32) names.
    pub(crate) fn scatter_zeros(&self, axis: usize, index: &Tensor, size: usize, location: Location) -> Tensor {
        let shape = self.shape().iter().enumerate().map(|(i, &d)| if i == axis { size } else { d }).collect();
        Tensor::apply(Op::ScatterAdd(axis), vec![self.clone(), index.clone()], Ok((shape, self.dtype())), location)
    }
}

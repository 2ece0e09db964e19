//! Tensors from numbers, and several joined into one.

use std::panic::Location as CallerLocation;

use super::{Operand, axis_of};
use crate::{DType, Op, Scalar, Shape, Tensor};

impl Tensor {
    /// One value everywhere.
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: Scalar) -> Tensor {
        Tensor::apply(Op::Full(value), Vec::new(), Ok((shape.into(), value.dtype())), CallerLocation::caller())
    }

    /// Zeros, f32.
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Tensor {
        Tensor::full(shape, Scalar::Float(0.0))
    }

    /// Ones, f32.
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Tensor {
        Tensor::full(shape, Scalar::Float(1.0))
    }

    /// Zeros of this tensor's shape and type.
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        self.full_like(0.0)
    }

    /// Ones of this tensor's shape and type.
    #[track_caller]
    pub fn ones_like(&self) -> Tensor {
        self.full_like(1.0)
    }

    /// One value everywhere, in this tensor's shape and type.
    #[track_caller]
    pub fn full_like(&self, value: f64) -> Tensor {
        let rule = Ok((self.shape().clone(), self.dtype()));
        match self.error() {
            Some(_) => self.clone(),
            None => Tensor::apply(Op::Full(Scalar::new(value, self.dtype())), Vec::new(), rule, CallerLocation::caller()),
        }
    }

    /// The coordinate of each element along an axis (negative counts from the end), u32.
    #[track_caller]
    pub fn iota(shape: impl Into<Shape>, axis: isize) -> Tensor {
        let shape = shape.into();
        let location = CallerLocation::caller();
        match axis_of(axis, &shape) {
            Ok(axis) => Tensor::apply(Op::Iota(axis), Vec::new(), Ok((shape, DType::U32)), location),
            Err(message) => Tensor::fail("iota", message, location),
        }
    }

    /// `0, 1, ..., n - 1`, u32.
    #[track_caller]
    pub fn arange(n: usize) -> Tensor {
        Tensor::iota([n], 0)
    }

    /// A new last axis of size `classes` that is 1.0 at the place that the element (u32 or i32) names and 0.0 elsewhere; all 0.0 when there is no such place.
    #[track_caller]
    pub fn one_hot(&self, classes: usize) -> Tensor {
        let location = CallerLocation::caller();
        if self.error().is_none() && !self.dtype().is_int() {
            return Tensor::fail("one_hot", format!("class indices must be integers, not {}", self.dtype()), location);
        }
        let places = Tensor::arange(classes).to(self.dtype());
        self.unsqueeze(-1).binary(crate::BinaryOp::Eq, &places, location).to(DType::F32)
    }
}

/// The tensors one after the other along an axis (negative counts from the end); other axes and the types must be equal.
#[track_caller]
pub fn concat(tensors: &[&Tensor], axis: isize) -> Tensor {
    let location = CallerLocation::caller();
    let Some(first) = tensors.first() else {
        return Tensor::fail("concat", "needs at least one tensor", location);
    };
    if let Some(bad) = tensors.iter().find(|t| t.error().is_some()) {
        return (*bad).clone();
    }
    let axis = match axis_of(axis, first.shape()) {
        Ok(axis) => axis,
        Err(message) => return Tensor::fail("concat", message, location),
    };
    for other in &tensors[1..] {
        let fits = other.dtype() == first.dtype()
            && other.rank() == first.rank()
            && (0..first.rank()).all(|i| i == axis || first.shape()[i] == other.shape()[i]);
        if !fits {
            let message =
                format!("{}{} and {}{} differ in more than axis {axis}", first.dtype(), first.shape(), other.dtype(), other.shape());
            return Tensor::fail("concat", message, location);
        }
    }
    let total: usize = tensors.iter().map(|t| t.shape()[axis]).sum();
    let mut shape = first.shape().to_vec();
    shape[axis] = total;
    let place = Tensor::iota(shape.clone(), axis as isize);
    // Each tensor padded to the whole, and the places tell which one is read: exact for every value, and one fused map.
    let mut result: Option<Tensor> = None;
    let mut start = 0;
    for tensor in tensors {
        let size = tensor.shape()[axis];
        let widths: Vec<_> = (0..shape.len()).map(|i| if i == axis { (start, total - start - size) } else { (0, 0) }).collect();
        let padded = tensor.pad(&widths, 0.0);
        result = Some(match result {
            None => padded,
            Some(before) => place.lt(Operand::beside(start as u32, &place, location)).where_(before, padded),
        });
        start += size;
    }
    result.unwrap_or_else(|| (*first).clone())
}

/// Tensors of one shape and type side by side along a new axis (negative counts from the end of the result's axes).
#[track_caller]
pub fn stack(tensors: &[&Tensor], axis: isize) -> Tensor {
    // No closure: the line to blame is that of the caller.
    let mut unsqueezed: Vec<Tensor> = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        unsqueezed.push(tensor.unsqueeze(axis));
    }
    concat(&unsqueezed.iter().collect::<Vec<_>>(), axis)
}

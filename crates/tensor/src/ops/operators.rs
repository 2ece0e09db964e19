//! `+ - * / %` and unary minus, between tensors, references, parameters and numbers.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::panic::Location as CallerLocation;

use crate::{BinaryOp, Location, Op, Param, Scalar, Shape, Tensor, UnaryOp};

/// What can stand beside a tensor in an expression: another tensor, a parameter, or a number (which takes the tensor's type).
pub trait Operand {
    /// The operand as a tensor beside `other`.
    fn beside(self, other: &Tensor, location: Location) -> Tensor;
}

impl Operand for Tensor {
    fn beside(self, _: &Tensor, _: Location) -> Tensor {
        self
    }
}

impl Operand for &Tensor {
    fn beside(self, _: &Tensor, _: Location) -> Tensor {
        self.clone()
    }
}

impl Operand for &Param {
    fn beside(self, _: &Tensor, _: Location) -> Tensor {
        self.tensor().clone()
    }
}

macro_rules! number_operands {
    ($($number:ty),*) => {$(
        impl Operand for $number {
            fn beside(self, other: &Tensor, location: Location) -> Tensor {
                let value = Scalar::new(self.into(), other.dtype());
                // A half takes the nearest number that it has; but a number beyond its range would be an infinity that nobody wrote.
                let near = other.dtype().is_half() && value.to_f64().is_finite() == f64::from(self).is_finite();
                if value.to_f64() != f64::from(self) && !f64::from(self).is_nan() && !near {
                    return Tensor::fail("number", format!("{self} beside a tensor of {} is not of that type; convert the tensor with .to(DType)", other.dtype()), location);
                }
                Tensor::apply(Op::Full(value), Vec::new(), Ok((Shape::scalar(), value.dtype())), location)
            }
        }
    )*};
}
number_operands!(f32, i32, u32);

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr) => {
        operator!(@tensor_left $trait, $method, $op, Tensor);
        operator!(@tensor_left $trait, $method, $op, &Tensor);
        operator!(@tensor_left $trait, $method, $op, &Param);
        operator!(@number_left $trait, $method, $op, f32);
        operator!(@number_left $trait, $method, $op, i32);
    };
    (@tensor_left $trait:ident, $method:ident, $op:expr, $left:ty) => {
        impl<R: Operand> $trait<R> for $left {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, right: R) -> Tensor {
                let location = CallerLocation::caller();
                let right = right.beside(&self, location);
                self.binary($op, &right, location)
            }
        }
    };
    (@number_left $trait:ident, $method:ident, $op:expr, $number:ty) => {
        operator!(@pair $trait, $method, $op, $number, Tensor);
        operator!(@pair $trait, $method, $op, $number, &Tensor);
        operator!(@pair $trait, $method, $op, $number, &Param);
    };
    (@pair $trait:ident, $method:ident, $op:expr, $number:ty, $right:ty) => {
        impl $trait<$right> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, right: $right) -> Tensor {
                let location = CallerLocation::caller();
                self.beside(&right, location).binary($op, &right, location)
            }
        }
    };
}
operator!(Add, add, BinaryOp::Add);
operator!(Sub, sub, BinaryOp::Sub);
operator!(Mul, mul, BinaryOp::Mul);
operator!(Div, div, BinaryOp::Div);
operator!(Rem, rem, BinaryOp::Rem);

macro_rules! negation {
    ($($operand:ty),*) => {$(
        impl Neg for $operand {
            type Output = Tensor;
            #[track_caller]
            fn neg(self) -> Tensor {
                self.unary(UnaryOp::Neg, CallerLocation::caller())
            }
        }
    )*};
}
negation!(Tensor, &Tensor, &Param);

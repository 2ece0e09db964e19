//! Lazy tensor expressions and their gradients.
//!
//! In the order in which data flows: [`DType`] and [`Shape`] describe values, [`Array`] holds them on the host, [`State`] and [`Param`]
//! name those that a session keeps, [`Tensor`] writes down what to compute with them as a graph of [`Op`]s (`ops/`: the methods by
//! theme), and [`grad`] writes down the gradient as more of the same. Nothing here computes or knows a device.

#![forbid(unsafe_code)]

mod array;
mod dtype;
mod error;
mod grad;
mod op;
mod ops;
mod shape;
mod state;
mod tensor;

pub use array::Array;
pub use dtype::{DType, Element, Scalar};
pub use error::{At, Error, Location, Result};
pub use grad::{grad, gradients};
pub use op::{Attention, AttentionPart, BinaryOp, Conv, Op, ReduceOp, UnaryOp, Window};
pub use ops::Operand;
pub use ops::arrange::{hstack, meshgrid, vstack};
pub use ops::convolution::{ConvOptions, Padding, PerAxis};
pub use ops::create::{concat, stack};
pub use ops::einsum::einsum;
pub use ops::pooling::PoolOptions;
pub use shape::Shape;
pub use state::{Init, Initializer, Param, State, rng_seed, rng_step};
pub use tensor::{Node, Tensor};

pub use half::{bf16, f16};

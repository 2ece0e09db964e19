//! Files that hold tensors.
//!
//! In the order in which data flows on the way in: [`safetensors`] and [`npy`] read a header and check it against the size of the file
//! before anything is allocated, `stored` turns the elements of the file into the words of an
//! [`Array`](noyau_tensor::Array). On the way out [`write_atomically`] makes a file appear whole or not at all. [`torch`] says how PyTorch's layers and noyau's
//! keep their values, and writes files that PyTorch loads.
//!
//! Both formats can also be read from and written to bytes in memory, for programs that have no files (the browser).
//!
//! # Element types
//!
//! An `Array` knows six element types, files know more. One rule holds for both formats: real numbers become `F32` unless they are `F16` or `BF16` and
//! stay so, signed integers become `I32`, unsigned integers `U32`, truth values `Bool`. (NPY has no `BF16`: it is written as `F32`.) Every conversion but one is exact: a 64-bit integer that does not fit in 32 bits
//! is an error that names the tensor and the element, and an `F64` is rounded to the nearest `F32` (an error when that overflows).

#![forbid(unsafe_code)]

mod atomic;
pub mod npy;
pub mod npz;
pub mod safetensors;
mod stored;
pub mod torch;

pub use atomic::write_atomically;

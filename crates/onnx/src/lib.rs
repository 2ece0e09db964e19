//! ONNX: models of other libraries as noyau's, and noyau's as files that others run.
//!
//! [`Model`] reads a file and is a [`Module`](noyau_nn::Module): its float weights are parameters, so a model that comes from elsewhere can be trained further.
//! `export` (a feature, on by default) goes the other way. `docs/ONNX.md` has the operations, what is not supported and why, and how many of ONNX's own cases pass.

#![forbid(unsafe_code)]

#[cfg(feature = "export")]
pub mod export;
mod import;
pub mod proto;

pub use import::{Dim, Model, NEWEST_OPSET, Port, limits, supported};
pub use noyau_cpu::Values;
/// By which the messages of [`proto`] are read and written.
pub use prost::Message;
pub use proto::tensor_proto::DataType;

//! ONNX: models of other libraries as noyau's, and noyau's as files that others run.

#![forbid(unsafe_code)]

pub mod export;
pub mod proto;

//! ONNX: models of other libraries as noyau's, and noyau's as files that others run.

pub mod export;
pub mod proto;

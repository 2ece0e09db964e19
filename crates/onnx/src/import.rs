//! Models from ONNX files.
//!
//! In the order of the flow: [`load`](mod@load) checks the file and says everything that is not supported at once; [`tensors`] reads the stored values ([`external`]: those that lie
//! beside the file); [`model`] is what the user holds; [`run`] walks the nodes and calls, by name, the functions of [`ops`], which make noyau's tensors of their [`call`]; what is known
//! while that happens, shapes above all, is computed at once and exactly by [`fold`]. No op is a primitive of its own.

mod call;
mod external;
mod fold;
mod load;
mod model;
mod ops;
mod run;
mod tensors;
mod value;

pub use load::NEWEST_OPSET;
pub use model::{Dim, Model, Port};
pub use ops::{limits, supported};

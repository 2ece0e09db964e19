//! From a graph of tensors to a plan of kernels, on no device.
//!
//! In the order in which data flows: [`Graph::trace`] writes tensors down as an arena; [`attend`] writes out attention that no kernel does; `halves` writes
//! arithmetic of 16-bit floats as arithmetic of f32; [`convolve`] writes convolutions as matrix products over windows; [`simplify`] folds, merges and drops nodes;
//! [`split_reductions`] bounds how long a reduction loops; [`materialize`] writes out the copies that views cannot do without; [`fuse`] groups
//! what runs as one kernel; `lower` writes each group's body; `schedule` orders them; `memory` gives buffers their slots; the result is a
//! [`Plan`]. [`scalar`] says what every elementwise op is for one element, in f64: constants are folded by it and oracles check by it. Each stage is a pure function whose result prints. Device limits come in as data ([`Limits`]).

#![forbid(unsafe_code)]

mod attend;
mod compile;
mod convolve;
mod display;
mod fuse;
mod graph;
mod halves;
mod lower;
mod materialize;
mod memory;
mod operand;
pub mod plan;
pub mod scalar;
mod schedule;
mod simplify;
mod split;
mod view;

pub use attend::{MAX_HEAD, attend};
pub use compile::{Options, compile, prepare};
pub use convolve::convolve;
pub use fuse::{FuseOptions, Fusion, Group, GroupKind, fuse};
pub use graph::{Graph, Node, NodeId};
pub use materialize::materialize;
pub use plan::{Limits, Plan};
pub use simplify::simplify;
pub use split::split_reductions;
pub use view::{Index, View};

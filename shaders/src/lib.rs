//! WGSL for a plan's kernels.
//!
//! In the order in which data flows: a [`Layout`] says how a launch reaches its buffers; [`rows()`], [`matmul()`] and [`scatter()`] print a kernel's work
//! as [`Phase`]s, functions over items or groups of items; [`beside()`] and [`in_turn()`] make a [`Module`] of them, a text with its grid;
//! [`in_turn()`] one that does them again and again, and [`record()`] keeps what each time gives. Which variant a kernel gets, and which kernels share a launch, is decided by the GPU room.
//!
//! Functions that WGSL lacks, or has with too little accuracy, are kept as files in `wgsl/`.

#![forbid(unsafe_code)]

mod access;
mod attention;
mod body;
mod four;
mod helpers;
mod matmul;
mod module;
mod ops;
mod phase;
mod place;
mod record;
mod rows;
mod scatter;
#[cfg(test)]
mod tests;
mod text;

pub use access::{Binding, Form, Layout};
pub use attention::{Heads, attention, vec4_operands};
pub use matmul::{Means, Scratch, Tile, Variant, matmul};
pub use module::{MERGED_GROUP, Module, beside, in_turn, turns};
pub use phase::{Phase, Shared, Work};
pub use record::{Control, record};
pub use rows::{Rows, rows};
pub use scatter::scatter;

//! The CPU room: the f64 oracle of graphs, and the executor of plans.
//!
//! In the order in which data flows: [`oracle`] evaluates a whole graph by the planner's [`scalar`] definitions, unfused, and
//! [`reference`] a plan's kernel, coordinate by coordinate. The executor ([`Cpu`], [`Executable`]) is the fast way: `tile` runs elementwise bodies a
//! cache-sized tile at a time with the functions of `math`, `matmul` multiplies matrices (`strided` in `panels`, or in `small` loops), `sliding`
//! those that read an image through `windows` (with the loops of `sweep`), `scatter` adds at places that
//! are data, `attention` goes over scores block by block; `simd` picks the instruction set, `memory` is what they work on, `exec` ties them to a plan,
//! `crew` are the threads that run it, and `many` runs it many times.

mod attention;
mod crew;
mod exec;
mod many;
mod math;
mod matmul;
mod memory;
pub mod oracle;
mod pack;
mod panels;
mod plain;
pub mod reference;
mod scatter;
mod simd;
mod sliding;
mod small;
mod strided;
mod sweep;
#[cfg(test)]
mod tests;
mod tile;
mod values;
mod windows;

pub use exec::{Cpu, Executable};
pub use memory::Memory;
pub use noyau_compile::scalar;
pub use oracle::{OracleRun, evaluate, evaluate_with};
pub use values::Values;

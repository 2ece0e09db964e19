//! The only room that names wgpu.
//!
//! In the order in which data flows: [`adapters`] lists what there is; [`Gpu::open`] makes a device of one; [`Gpu::create`] puts a state's value into
//! its memory; [`Gpu::load`] lowers a plan to launches (`lower` places buffers and merges kernels, `choose` picks variants), compiles their pipelines
//! (`pipelines`) and binds everything once, as an [`Executable`]; [`Executable::run`] encodes one pass and submits it; [`Executable::read`] is the only point that waits.
//!
//! Nothing here makes a GPU object in steady state; [`Gpu::objects_created`] counts them.

mod adapter;
mod choose;
mod context;
mod executable;
mod lower;
mod memory;
mod pipelines;
mod wait;

pub use adapter::{AdapterInfo, AdapterLimits, DeviceKind, adapters};
pub use choose::Tuning;
pub use context::Gpu;
pub use executable::Executable;
pub use memory::Memory;
pub use noyau_shaders::{Rows, Variant};

//! The only room that names wgpu.
//!
//! In the order in which data flows: [`adapters`] lists what there is; [`Gpu::open`] makes a device of one; [`Gpu::create`] puts a state's value into
//! its memory; [`Gpu::load`] lowers a plan to launches (`lower` places buffers and merges kernels, `choose` picks variants), compiles their pipelines
//! (`pipelines`, kept between runs of a program by `cache`) and binds everything once, as an [`Executable`]; [`Executable::run`] encodes one pass and submits it; [`Executable::read`] is the only point that waits.
//! [`Executable::run_many`] does many runs at a time (`many`). `fault` keeps what goes wrong outside of any call, and `wait` waits, never without end. `timing` runs a step in parts, or with the device's clock beside it.
//!
//! Nothing here makes a GPU object in steady state; [`Gpu::objects_created`] counts them.

mod adapter;
#[cfg(target_arch = "wasm32")]
mod browser;
mod cache;
mod choose;
mod clock;
mod context;
mod executable;
mod fault;
mod halves;
mod lower;
mod many;
mod memory;
mod pipelines;
mod timing;
mod tune;
mod wait;

pub use adapter::{AdapterInfo, AdapterLimits, DeviceKind, adapters};
pub use choose::Tuning;
pub use clock::Clock;
pub use context::Gpu;
pub use executable::{Executable, HostCost, Stage};
#[doc(hidden)]
pub use fault::{Fault, Point};
pub use memory::{ALIGNMENT, Memory, STATE_ARENA_BYTES};
pub use noyau_shaders::{Rows, Tile, Variant};
pub use timing::TimedRun;
pub use tune::{Measure, Measured};

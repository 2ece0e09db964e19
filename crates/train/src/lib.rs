//! Sessions and trainers: where models meet devices.
//!
//! In the order in which data flows: [`Device`] is where steps run; [`Session`] holds the states that live there and compiles steps for it; `feed` brings a data
//! set's batches to a step; [`Trainer`] fits a model to them and keeps [`History`]; `checkpoint` keeps states in files; `memory_use` says what a plan takes; `diagnose` finds out why a loss became NaN;
//! `watch` looks at what a run does: checks it kernel by kernel, or traces it.

mod checkpoint;
mod device;
mod diagnose;
mod feed;
mod history;
mod memory_use;
mod session;
mod step;
mod trainer;
mod watch;

pub use device::{Device, DeviceChoice};
pub use history::{EpochRecord, Evaluation, History, Progress};
pub use noyau_gpu::{AdapterInfo, DeviceKind, HostCost, Measure};
pub use memory_use::MemoryUse;
pub use session::{Session, Spec, Step};
pub use step::{CompiledStep, Timing};
pub use trainer::{Fit, Trainer};

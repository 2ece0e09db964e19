//! Sessions and trainers: where models meet devices.
//!
//! In the order in which data flows:
//!
//! - [`Device`] is where steps run;
//! - [`Session`] holds the states that live there and compiles the steps that programs describe by [`Spec`] and [`Step`];
//! - `feed` brings a data set's batches to a step;
//! - [`Trainer`] fits a model to them as [`Fit`] says, by the loop in `run`, and keeps [`History`]; `callbacks` are what happens after each epoch;
//! - `evaluate` makes an [`Evaluation`] of a data set; [`LrFinder`] looks for a learning rate and draws what it saw;
//! - `checkpoint` keeps states in files, from which a training goes on; `weights` takes models' values from files of any origin;
//! - `memory_use` says what a plan takes; `diagnose` finds out why a loss became NaN; `watch` looks at what a run does: checks it kernel by kernel, or
//!   traces it.

#![forbid(unsafe_code)]

mod callbacks;
mod checkpoint;
mod described;
mod device;
mod diagnose;
mod evaluate;
mod evaluation;
mod feed;
mod finder;
mod fit;
mod history;
mod memory_use;
mod pace;
mod run;
mod run_saving;
mod session;
mod step;
mod summary;
mod trainer;
mod watch;
mod weights;

pub use callbacks::{Beginning, Callback, Control, EarlyStopping, ReduceLrOnPlateau, Threshold};
#[cfg(not(target_arch = "wasm32"))]
pub use callbacks::{CsvLog, JsonLines, TensorBoard};
pub use checkpoint::{Checkpoint, Checkpoints};
pub use described::{Spec, Step};
pub use device::{Device, DeviceChoice};
pub use evaluation::{Evaluation, RegressionScores};
pub use feed::Resident;
pub use finder::{LrCurve, LrFinder};
pub use fit::{Fit, StopFlag};
pub use history::{EpochRecord, History, Progress, Resumed, Stopped};
pub use memory_use::MemoryUse;
pub use noyau_gpu::{AdapterInfo, DeviceKind, HostCost, Measure};
#[doc(hidden)]
pub use noyau_gpu::{Fault, Point};
pub use session::Session;
pub use step::{CompiledStep, Timing};
pub use summary::{Layer, Summary, summary, summary_of};
pub use trainer::Trainer;
pub use weights::{LoadReport, Mismatch, Weights, save_weights_async, weights_to_bytes_async};
#[cfg(not(target_arch = "wasm32"))]
pub use weights::{load_weights, save_weights};

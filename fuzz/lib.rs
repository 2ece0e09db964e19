//! What the fuzz targets run: the same functions as `tests/regressions.rs` and `crates/playground/tests/regressions.rs`.

#[cfg(feature = "training")]
#[path = "../tests/regressions/checkpoint.rs"]
pub mod checkpoint;
#[path = "../tests/regressions/memory.rs"]
pub mod memory;
#[cfg(feature = "onnx")]
#[path = "../tests/regressions/onnx.rs"]
pub mod onnx;
#[path = "../tests/regressions/parsers.rs"]
pub mod parsers;
#[cfg(feature = "training")]
pub mod playground;

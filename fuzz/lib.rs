//! What the fuzz targets run: the same functions as `tests/regressions.rs` and `crates/playground/tests/regressions.rs`.

#[path = "../tests/regressions/memory.rs"]
pub mod memory;
#[path = "../tests/regressions/parsers.rs"]
pub mod parsers;
pub mod playground;

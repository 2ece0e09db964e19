//! Which variant of its code a kernel gets: a few rules about shapes and the kind of device, and what a caller set by hand.

mod matmul;
mod rows;

use noyau_shaders::{Rows, Variant};

use crate::AdapterInfo;

/// Choices made by hand; what is `None` is left to the rules.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// The variant of every matrix product.
    pub matmul: Option<Variant>,
    /// How the rows of every reduction are shared out.
    pub rows: Option<Rows>,
    /// Whether small kernels share a launch.
    pub merge: Option<bool>,
}

/// What the rules go by.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub name: String,
    /// Shaders run on a CPU: few wide cores, loads dear, launches cheap.
    pub software: bool,
    pub subgroup: Option<u32>,
    pub max_bindings: usize,
}

impl Target {
    pub fn of(info: &AdapterInfo) -> Target {
        Target { name: info.to_string(), software: info.software, subgroup: info.subgroup, max_bindings: info.limits.max_bindings }
    }

    /// The workgroup's size for kernels whose items stand alone.
    pub fn item_group(&self, items: u64) -> u32 {
        // Small enough to occupy a device that runs several workgroups at a time.
        if items >= 1 << 16 { 256 } else { 64 }
    }

    /// How many loop turns an invocation may spend on a kernel for it to share a launch.
    pub fn merged_turns(&self) -> u64 {
        if self.software { 96 } else { 40 }
    }

    /// How many kernels share a launch at most. Software drivers take more than twice as long to compile a shader with twice as many barriers: an LSTM of 8 time
    /// steps (53 kernels) took lavapipe over a minute as one launch, 15 s in launches of 12.
    pub fn merged_kernels(&self) -> usize {
        if self.software { 16 } else { 64 }
    }
}

//! Which variant of its code a kernel gets: a few rules about shapes and the kind of device, and what a caller set by hand.

mod matmul;
mod rows;

use noyau_compile::plan::Attention;
use noyau_shaders::{Heads, Rows, Variant};
use noyau_tensor::{Error, Result};

use crate::tune::Measured;
use crate::{AdapterInfo, DeviceKind};

pub(crate) use matmul::is_halves;

/// Choices made by hand; what is `None` is left to the rules.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// The variant of every matrix product that can be computed so; the others are left to the rules.
    pub matmul: Option<Variant>,
    /// How the rows of every reduction are shared out.
    pub rows: Option<Rows>,
    /// How attention is shared out.
    pub attention: Option<Heads>,
    /// Whether small kernels share a launch.
    pub merge: Option<bool>,
    /// What was measured on this device: see [`Gpu::set_tuning`](crate::Gpu::set_tuning).
    pub measured: Option<Measured>,
}

impl Tuning {
    /// What the environment asks for: `NOYAU_MATMUL`, the name of a [`Variant`], and `NOYAU_ROWS`, that of a way of [`Rows`].
    pub(crate) fn of_environment(target: &Target) -> Result<Tuning> {
        Ok(Tuning {
            matmul: setting("NOYAU_MATMUL", || target.variants())?,
            rows: setting("NOYAU_ROWS", || target.ways())?,
            ..Tuning::default()
        })
    }
}

/// The way of computing that an environment variable asks for by name. A name that does not exist is an error that lists those that the device has.
fn setting<T: std::str::FromStr + std::fmt::Display>(variable: &str, names: impl Fn() -> Vec<T>) -> Result<Option<T>> {
    match std::env::var(variable) {
        Ok(name) if !name.is_empty() => named(variable, &name, names).map(Some),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn named<T: std::str::FromStr + std::fmt::Display>(variable: &str, name: &str, names: impl Fn() -> Vec<T>) -> Result<T> {
    name.parse().map_err(|_| {
        let names: Vec<String> = names().iter().map(T::to_string).collect();
        Error::argument(
            variable,
            format!("there is no way of computing by the name of {name:?}; among those there are: {}", names.join(", ")),
        )
    })
}

/// What the rules go by.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub name: String,
    /// Shaders run on a CPU: few wide cores, loads dear, launches cheap.
    pub software: bool,
    pub subgroup: Option<u32>,
    pub max_bindings: usize,
    pub kind: DeviceKind,
    /// The sizes of the matrices of f16 that it multiplies by itself, with f32 sums.
    pub coop: Vec<u32>,
    /// Whether it reads these from arrays of single numbers only.
    pub singles: bool,
    /// Bytes of workgroup memory.
    pub max_shared: u32,
    /// The most invocations of a workgroup.
    pub max_group: u32,
    /// The most bytes of a buffer that a kernel binds.
    pub max_bytes: u64,
}

impl Target {
    pub fn of(info: &AdapterInfo) -> Target {
        let limits = &info.limits;
        Target {
            name: info.to_string(),
            software: info.software,
            subgroup: info.subgroup,
            max_bindings: limits.max_bindings,
            kind: info.device_type,
            coop: info.matrices.clone(),
            singles: info.backend == "metal",
            max_shared: limits.max_shared_bytes,
            max_group: limits.max_group,
            max_bytes: limits.max_buffer_bytes.min(limits.max_binding_bytes),
        }
    }

    /// How attention is shared out: on hardware through workgroup memory, with so many invocations a row that what each holds fits in registers.
    pub fn attention(&self, a: &Attention) -> Heads {
        let features = a.d.max(a.e);
        if self.software && features <= 16 {
            return Heads::Rows { rows: 4 };
        }
        // Software drivers take seconds to compile more vectors an invocation than four.
        let held = if self.software { 16 } else { 32 };
        let lanes = features.div_ceil(held).next_power_of_two() as u32;
        Heads::Tiles { lanes, tile: if features <= 64 { 16 } else { 8 }, group: 64 }
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

//! Devices by name, and which of them is best.

use std::fmt;
use std::str::FromStr;

use noyau_gpu::AdapterInfo;
use noyau_tensor::{Error, Result};

/// A device by name, as a program's option or `NOYAU_DEVICE` gives it: `auto`, `cpu`, `gpu`, `gpu:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The best GPU that is no software, or the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The best GPU, a software one if there is no other.
    Gpu,
    /// The GPU with this index in [`Device::list`].
    GpuIndex(usize),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<DeviceChoice> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "gpu" => Ok(DeviceChoice::Gpu),
            _ => text.strip_prefix("gpu:").and_then(|n| n.parse().ok()).map(DeviceChoice::GpuIndex).ok_or_else(|| Error::Device {
                device: text.into(),
                message: "no such device; write auto, cpu, gpu or gpu:N (the example `devices` lists the numbers)".into(),
            }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Gpu => f.write_str("gpu"),
            DeviceChoice::GpuIndex(i) => write!(f, "gpu:{i}"),
        }
    }
}

/// Adapters, best first: hardware before software, discrete before integrated, otherwise as listed.
pub(super) fn ranked(adapters: &[AdapterInfo]) -> Vec<&AdapterInfo> {
    use noyau_gpu::DeviceKind;
    let mut ranked: Vec<&AdapterInfo> = adapters.iter().collect();
    ranked.sort_by_key(|a| {
        let kind = match a.device_type {
            DeviceKind::Discrete => 0,
            DeviceKind::Integrated => 1,
            DeviceKind::Virtual => 2,
            DeviceKind::Other => 3,
            DeviceKind::Software => 4,
        };
        (a.software, kind, a.index)
    });
    ranked
}

pub(super) fn missing(choice: &DeviceChoice, adapters: &[AdapterInfo]) -> Error {
    let names: Vec<String> = adapters.iter().map(|a| format!("gpu:{} {} ({})", a.index, a.name, a.backend)).collect();
    let there = if names.is_empty() {
        "no driver shows a GPU; use --device cpu".to_string()
    } else {
        format!("there are: {}; or use cpu", names.join(", "))
    };
    Error::Device { device: choice.to_string(), message: format!("not found; {there}") }
}

//! Where to measure.

use anyhow::{Context, bail};
use noyau::prelude::*;
use noyau::train::AdapterInfo;

/// A device with the name that figures have.
#[derive(Clone, Debug)]
pub struct Target {
    /// `cpu` or `gpu:N`.
    pub label: String,
    /// It.
    pub device: Device,
    /// A GPU's adapter.
    pub adapter: Option<AdapterInfo>,
}

impl Target {
    /// The CPU.
    pub fn cpu() -> Target {
        Target { label: "cpu".into(), device: Device::cpu(), adapter: None }
    }

    fn gpu(adapter: AdapterInfo) -> anyhow::Result<Target> {
        let device = Device::gpu(adapter.index)?;
        Ok(Target { label: format!("gpu:{}", adapter.index), device, adapter: Some(adapter) })
    }

    /// The device and its driver in words.
    pub fn describe(&self) -> String {
        match &self.adapter {
            None => format!("{}: {}", self.label, processor()),
            Some(adapter) => format!("{}: {adapter}, {}", self.label, adapter.driver),
        }
    }

    /// Whether tensors of f16 take two bytes an element here.
    pub fn has_halves(&self) -> bool {
        self.device.limits().half_words
    }

    /// Whether it is a GPU that is no software.
    pub fn is_hardware_gpu(&self) -> bool {
        self.adapter.as_ref().is_some_and(|adapter| !adapter.software)
    }
}

/// The devices that were asked for, each once; by default the CPU and every GPU that is no software, or that `NOYAU_DEVICE` names, or all of them if
/// `NOYAU_BENCH_ALL` is set. Fails when one is not there.
pub fn targets(choices: &[DeviceChoice]) -> anyhow::Result<Vec<Target>> {
    // Drivers are asked only where someone wants a GPU: some of them have things to say on stderr.
    let only_cpu = !choices.is_empty() && choices.iter().all(|choice| *choice == DeviceChoice::Cpu);
    let adapters = if only_cpu { Vec::new() } else { Device::list() };
    let mut found: Vec<Target> = Vec::new();
    let mut add = |target: Target| {
        if found.iter().all(|t| t.label != target.label) {
            found.push(target);
        }
    };
    if choices.is_empty() {
        let named = match std::env::var("NOYAU_DEVICE") {
            Ok(name) if !name.is_empty() => Some(name.parse::<DeviceChoice>().context("NOYAU_DEVICE")?),
            _ => None,
        };
        let all = std::env::var("NOYAU_BENCH_ALL").is_ok_and(|v| !v.is_empty() && v != "0");
        add(Target::cpu());
        for adapter in &adapters {
            if all || !adapter.software || named == Some(DeviceChoice::GpuIndex(adapter.index)) {
                add(Target::gpu(adapter.clone())?);
            }
        }
        if named == Some(DeviceChoice::Gpu) {
            add(Target::gpu(best(&adapters)?)?);
        }
    }
    for choice in choices {
        add(match choice {
            DeviceChoice::Cpu => Target::cpu(),
            DeviceChoice::Auto if Device::auto()?.is_cpu() => Target::cpu(),
            DeviceChoice::Auto | DeviceChoice::Gpu => Target::gpu(best(&adapters)?)?,
            DeviceChoice::GpuIndex(index) => match adapters.iter().find(|a| a.index == *index) {
                Some(adapter) => Target::gpu(adapter.clone())?,
                None => bail!("--device {choice}: there is no such GPU; {}", there(&adapters)),
            },
        });
    }
    Ok(found)
}

/// The list begins with the fastest kind.
fn best(adapters: &[AdapterInfo]) -> anyhow::Result<AdapterInfo> {
    adapters.first().cloned().with_context(|| format!("--device gpu: {}", there(adapters)))
}

fn there(adapters: &[AdapterInfo]) -> String {
    if adapters.is_empty() {
        return "no driver shows a GPU; use --device cpu".into();
    }
    let names: Vec<String> = adapters.iter().map(|a| format!("gpu:{} {a}", a.index)).collect();
    format!("there are {}", names.join(", "))
}

/// The processor's name and threads.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.trim().strip_prefix(':')).unwrap_or("CPU").trim().to_string();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{name}, {threads} threads, {}", crate::ceiling::instructions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_is_not_there_is_an_error_that_says_what_is() {
        let message = format!("{:#}", targets(&[DeviceChoice::GpuIndex(99)]).unwrap_err());
        assert!(message.starts_with("--device gpu:99: there is no such GPU; "), "{message}");
    }

    #[test]
    fn a_device_that_is_named_twice_is_measured_once() {
        let found = targets(&[DeviceChoice::Cpu, DeviceChoice::Cpu]).unwrap();
        assert_eq!(found.iter().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["cpu"]);
        assert!(found[0].describe().contains("threads"));
    }

    #[test]
    fn without_gpus_the_message_names_the_cpu() {
        assert!(format!("{:#}", best(&[]).unwrap_err()).contains("use --device cpu"));
    }
}

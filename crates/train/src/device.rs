//! Where steps run.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use noyau_compile::plan::BufferId;
use noyau_compile::{Limits, Plan};
use noyau_cpu::Cpu;
use noyau_gpu::{AdapterInfo, Clock, Gpu, HostCost, Measure, Stage, TimedRun};
use noyau_tensor::{Array, Error, Result, State};

/// A CPU or a GPU that steps run on. Clones are the same device.
#[derive(Clone)]
pub struct Device(Kind);

#[derive(Clone)]
enum Kind {
    Cpu(Cpu),
    Gpu(Gpu),
}

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

impl Device {
    /// The CPU.
    pub fn cpu() -> Device {
        Device(Kind::Cpu(Cpu::new()))
    }

    /// The best device: what the environment variable `NOYAU_DEVICE` says (`cpu`, `gpu`, `gpu:N`), else a discrete GPU, else an integrated or virtual one, else
    /// the CPU. A software adapter is never picked by itself, because the CPU executor is quicker. Fails only when `NOYAU_DEVICE` names what is not there.
    pub async fn auto_async() -> Result<Device> {
        match std::env::var("NOYAU_DEVICE") {
            Ok(name) if !name.is_empty() && name != "auto" => {
                let choice: DeviceChoice = name.parse()?;
                Device::choose_async(choice).await
            }
            _ => {
                let adapters = noyau_gpu::adapters().await;
                for adapter in ranked(&adapters).into_iter().filter(|a| !a.software) {
                    // A driver that lists an adapter may still refuse to open it; the next best will do.
                    // What the user asks for by a name that does not exist is not the driver's fault.
                    match Gpu::open(adapter.index).await {
                        Ok(gpu) => return Ok(Device(Kind::Gpu(gpu))),
                        Err(error @ Error::Argument { .. }) => return Err(error),
                        Err(_) => {}
                    }
                }
                Ok(Device::cpu())
            }
        }
    }

    /// The device of a choice. Fails when it is not there, and says what is.
    pub async fn choose_async(choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Auto => Box::pin(Device::auto_async()).await,
            DeviceChoice::Cpu => Ok(Device::cpu()),
            DeviceChoice::Gpu => {
                let adapters = noyau_gpu::adapters().await;
                match ranked(&adapters).first() {
                    Some(best) => Ok(Device(Kind::Gpu(Gpu::open(best.index).await?))),
                    None => Err(missing(&choice, &adapters)),
                }
            }
            DeviceChoice::GpuIndex(index) => {
                let adapters = noyau_gpu::adapters().await;
                match adapters.iter().find(|a| a.index == index) {
                    Some(found) => Ok(Device(Kind::Gpu(Gpu::open(found.index).await?))),
                    None => Err(missing(&choice, &adapters)),
                }
            }
        }
    }

    /// All GPUs that drivers show, software ones included.
    pub async fn list_async() -> Vec<AdapterInfo> {
        noyau_gpu::adapters().await
    }

    /// `cpu` or `gpu`.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Cpu(_) => "cpu",
            Kind::Gpu(_) => "gpu",
        }
    }

    /// The GPU's name and its driver's interface, or the CPU's number of threads.
    pub fn adapter(&self) -> String {
        match &self.0 {
            Kind::Cpu(_) => format!("CPU, {} threads", std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
            Kind::Gpu(gpu) => format!("{} ({})", gpu.info().name, gpu.info().backend),
        }
    }

    /// Has a GPU's variants of matrix products measured when steps are compiled from now on, each distinct product once, or no longer; see [`Measure`]. Without it, and
    /// without `NOYAU_TUNE=1` in the environment, nothing is measured. The CPU has nothing to measure.
    pub fn set_tuning(&self, measure: Measure) {
        if let Kind::Gpu(gpu) = &self.0 {
            gpu.set_tuning(measure);
        }
    }

    /// What tuning has found and done since it was asked for, in lines to print.
    pub fn tuning_report(&self) -> Vec<String> {
        match &self.0 {
            Kind::Cpu(_) => Vec::new(),
            Kind::Gpu(gpu) => gpu.tuning_report(),
        }
    }

    /// Whether it is the CPU.
    pub fn is_cpu(&self) -> bool {
        matches!(self.0, Kind::Cpu(_))
    }

    /// GPU objects (buffers, pipelines, bind groups, ...) made so far on this device; 0 on the CPU. A training in its stride makes none.
    pub fn objects_created(&self) -> u64 {
        match &self.0 {
            Kind::Cpu(_) => 0,
            Kind::Gpu(gpu) => gpu.objects_created(),
        }
    }

    /// What the planner has to know.
    pub fn limits(&self) -> Limits {
        match &self.0 {
            Kind::Cpu(cpu) => cpu.limits(),
            Kind::Gpu(gpu) => gpu.limits(),
        }
    }

    /// Waits until everything submitted is done.
    pub async fn wait_async(&self) -> Result<()> {
        match &self.0 {
            Kind::Cpu(_) => Ok(()),
            Kind::Gpu(gpu) => gpu.wait().await,
        }
    }

    pub(crate) async fn create(&self, value: &Array) -> Result<Memory> {
        match &self.0 {
            Kind::Cpu(cpu) => cpu.create(value).map(Memory::Cpu),
            Kind::Gpu(gpu) => gpu.create(value).await.map(Memory::Gpu),
        }
    }

    pub(crate) async fn read(&self, memory: &Memory) -> Result<Array> {
        match (&self.0, memory) {
            (Kind::Cpu(cpu), Memory::Cpu(memory)) => cpu.read(memory),
            (Kind::Gpu(gpu), Memory::Gpu(memory)) => gpu.read(memory).await,
            _ => Err(elsewhere()),
        }
    }

    pub(crate) fn write(&self, memory: &Memory, value: &Array) -> Result<()> {
        match (&self.0, memory) {
            (Kind::Cpu(cpu), Memory::Cpu(memory)) => cpu.write(memory, value),
            (Kind::Gpu(gpu), Memory::Gpu(memory)) => gpu.write(memory, value),
            _ => Err(elsewhere()),
        }
    }

    pub(crate) async fn load(&self, plan: Arc<Plan>, states: &mut dyn FnMut(&Arc<State>) -> Result<Memory>) -> Result<Executable> {
        match &self.0 {
            Kind::Cpu(cpu) => {
                let mut states = |state: &Arc<State>| match states(state)? {
                    Memory::Cpu(memory) => Ok(memory),
                    Memory::Gpu(_) => Err(elsewhere()),
                };
                cpu.load(plan, &mut states).map(|executable| Executable::Cpu(Box::new(executable)))
            }
            Kind::Gpu(gpu) => {
                let mut states = |state: &Arc<State>| match states(state)? {
                    Memory::Gpu(memory) => Ok(memory),
                    Memory::Cpu(_) => Err(elsewhere()),
                };
                gpu.load(plan, &mut states).await.map(|executable| Executable::Gpu(Box::new(executable)))
            }
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Device {
    /// [`Device::auto_async`], waiting for it.
    pub fn auto() -> Result<Device> {
        pollster::block_on(Device::auto_async())
    }

    /// The GPU with this index in [`Device::list`]. Fails when it is not there.
    pub fn gpu(index: usize) -> Result<Device> {
        Device::choose(DeviceChoice::GpuIndex(index))
    }

    /// [`Device::choose_async`], waiting for it.
    pub fn choose(choice: DeviceChoice) -> Result<Device> {
        pollster::block_on(Device::choose_async(choice))
    }

    /// [`Device::list_async`], waiting for it.
    pub fn list() -> Vec<AdapterInfo> {
        pollster::block_on(Device::list_async())
    }

    /// [`Device::wait_async`], waiting for it.
    pub fn wait(&self) -> Result<()> {
        pollster::block_on(self.wait_async())
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({}, {})", self.name(), self.adapter())
    }
}

/// Adapters, best first: hardware before software, discrete before integrated, otherwise as listed.
fn ranked(adapters: &[AdapterInfo]) -> Vec<&AdapterInfo> {
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

fn missing(choice: &DeviceChoice, adapters: &[AdapterInfo]) -> Error {
    let names: Vec<String> = adapters.iter().map(|a| format!("gpu:{} {} ({})", a.index, a.name, a.backend)).collect();
    let there = if names.is_empty() {
        "no driver shows a GPU; use --device cpu".to_string()
    } else {
        format!("there are: {}; or use cpu", names.join(", "))
    };
    Error::Device { device: choice.to_string(), message: format!("not found; {there}") }
}

fn elsewhere() -> Error {
    Error::Internal("a state lives on another device".into())
}

/// A state's storage on a device.
#[derive(Clone)]
pub(crate) enum Memory {
    Cpu(noyau_cpu::Memory),
    Gpu(noyau_gpu::Memory),
}

/// A plan loaded on a device.
pub(crate) enum Executable {
    Cpu(Box<noyau_cpu::Executable>),
    Gpu(Box<noyau_gpu::Executable>),
}

impl Executable {
    pub fn write(&mut self, input: usize, value: &Array) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.write(input, value),
            Executable::Gpu(e) => e.write(input, value),
        }
    }

    pub fn run(&mut self) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.run(),
            Executable::Gpu(e) => e.run(),
        }
    }

    /// Whether [`Executable::run_many`] can begin at once.
    pub fn is_prepared(&self) -> bool {
        match self {
            Executable::Cpu(_) => true,
            Executable::Gpu(e) => e.is_prepared(),
        }
    }

    pub async fn prepare_many(&mut self) -> Result<()> {
        match self {
            Executable::Cpu(_) => Ok(()),
            Executable::Gpu(e) => e.prepare_many().await,
        }
    }

    pub fn run_many(&mut self, runs: usize) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.run_many(runs),
            Executable::Gpu(e) => e.run_many(runs),
        }
    }

    pub fn run_unkept(&mut self, runs: usize) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.run_unkept(runs),
            Executable::Gpu(e) => e.run_unkept(runs),
        }
    }

    /// Keeps the scalars of a run that was not one of many.
    pub async fn keep(&mut self) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.keep(),
            Executable::Gpu(e) => e.keep().await,
        }
    }

    pub async fn history(&mut self, output: usize) -> Result<Array> {
        match self {
            Executable::Cpu(e) => e.history(output),
            Executable::Gpu(e) => e.history(output).await,
        }
    }

    /// What handing runs to a GPU has cost the host; nothing on the CPU, which does them itself.
    pub fn host_cost(&self) -> HostCost {
        match self {
            Executable::Cpu(_) => HostCost::default(),
            Executable::Gpu(e) => e.host_cost(),
        }
    }

    /// Each launch in words.
    pub fn describe(&self) -> String {
        match self {
            Executable::Cpu(e) => {
                let kernels = e.plan().kernels.iter().enumerate();
                kernels.map(|(i, kernel)| format!("{i}: {}\n", kernel.name)).collect()
            }
            Executable::Gpu(e) => e.describe(),
        }
    }

    pub async fn read(&self, output: usize) -> Result<Array> {
        match self {
            Executable::Cpu(e) => e.read(output),
            Executable::Gpu(e) => e.read(output).await,
        }
    }

    pub fn launches(&self) -> usize {
        match self {
            Executable::Cpu(e) => e.launches(),
            Executable::Gpu(e) => e.launches(),
        }
    }

    /// The plan's kernels that a launch does, in order.
    pub fn kernels_of(&self, launch: usize) -> Vec<usize> {
        match self {
            Executable::Cpu(_) => vec![launch],
            Executable::Gpu(e) => e.kernels_of(launch).to_vec(),
        }
    }

    /// How a launch does its kernels.
    pub fn name_of(&self, launch: usize) -> String {
        match self {
            Executable::Cpu(_) => "on the CPU".into(),
            Executable::Gpu(e) => e.name_of(launch),
        }
    }

    /// Runs a part of the step.
    pub fn run_launches(&mut self, launches: Range<usize>) -> Result<()> {
        match self {
            Executable::Cpu(e) => launches.into_iter().try_for_each(|kernel| e.run_kernel(kernel)),
            Executable::Gpu(e) => e.run_launches(launches),
        }
    }

    /// What is in a buffer of the plan now.
    pub async fn read_buffer(&self, id: BufferId) -> Result<Array> {
        match self {
            Executable::Cpu(e) => e.read_buffer(id),
            Executable::Gpu(e) => e.read_buffer(id).await,
        }
    }

    /// What loading the plan took, where that is more than moments.
    pub fn stages(&self) -> &[Stage] {
        match self {
            Executable::Cpu(_) => &[],
            Executable::Gpu(e) => e.stages(),
        }
    }

    /// Runs the step and says how long each launch took.
    pub async fn run_timed(&mut self) -> Result<TimedRun> {
        match self {
            Executable::Cpu(e) => {
                let clock = Clock::start();
                let nanoseconds = || (clock.seconds() * 1e9) as u64;
                let mut launches = Vec::with_capacity(e.launches());
                for kernel in 0..e.launches() {
                    let start = nanoseconds();
                    e.run_kernel(kernel)?;
                    launches.push(start..nanoseconds());
                }
                Ok(TimedRun { submit_seconds: 0.0, wait_seconds: clock.seconds(), read_seconds: 0.0, launches: Some(launches) })
            }
            Executable::Gpu(e) => e.run_timed().await,
        }
    }
}

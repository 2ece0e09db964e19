//! Where steps run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use noyau_compile::{Limits, Plan};
use noyau_cpu::Cpu;
use noyau_gpu::{AdapterInfo, DeviceKind, Fault, Gpu, Measure, Point};
use noyau_tensor::{Array, Error, Result, State};

mod choice;
mod executable;
mod room;

use choice::{missing, ranked};

pub use choice::DeviceChoice;
pub(crate) use executable::Executable;
pub(crate) use room::{ADVICE, Room};

/// A CPU or a GPU that steps run on. Clones are the same device.
#[derive(Clone)]
pub struct Device(Kind);

#[derive(Clone)]
enum Kind {
    Cpu(Cpu),
    Gpu(Gpu),
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

    /// Has a GPU's variants of matrix products measured when steps are compiled from now on, each distinct product once, or no longer; see [`Measure`]. Without
    /// it, and without `NOYAU_TUNE=1` in the environment, nothing is measured. The CPU has nothing to measure.
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

    /// What it can give, as far as its driver and the system tell.
    pub(crate) fn room(&self) -> Room {
        match &self.0 {
            Kind::Cpu(_) => Room { whole: None, free: room::free_memory() },
            Kind::Gpu(gpu) => {
                let whole = gpu.info().limits.memory_bytes;
                // A GPU without memory of its own takes the machine's.
                let shares = matches!(gpu.info().device_type, DeviceKind::Integrated | DeviceKind::Software);
                Room { whole, free: if shares { room::free_memory() } else { None } }
            }
        }
    }

    /// Bytes of memory that steps on this device can take, as far as its driver and the system tell: what is free for the CPU and for GPUs that share its
    /// memory, all of a GPU's own memory otherwise. The system tells on Linux, GPUs' drivers where they are Vulkan's.
    pub fn memory(&self) -> Option<u64> {
        let room = self.room();
        [room.whole, room.free].into_iter().flatten().min()
    }

    /// How long a wait for a GPU may take before it fails with [`Error::Timeout`]: 10 minutes, or the seconds that the environment variable `NOYAU_TIMEOUT`
    /// says, unless set. The CPU is never waited for.
    pub fn set_timeout(&self, timeout: Duration) {
        if let Kind::Gpu(gpu) = &self.0 {
            gpu.set_timeout(timeout);
        }
    }

    /// Has something go wrong on a GPU, for tests: at a point, after it has been passed so many times.
    #[doc(hidden)]
    pub fn inject(&self, fault: Fault, at: Point, after: u64) {
        if let Kind::Gpu(gpu) = &self.0 {
            gpu.inject(fault, at, after);
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

fn elsewhere() -> Error {
    Error::Internal("a state lives on another device".into())
}

/// A state's storage on a device.
#[derive(Clone)]
pub(crate) enum Memory {
    Cpu(noyau_cpu::Memory),
    Gpu(noyau_gpu::Memory),
}

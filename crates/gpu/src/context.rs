//! A device with its queue, its faults and its counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use noyau_compile::{Limits, Plan};
use noyau_tensor::{Array, DType, Error, Result, State};

use crate::Executable;
use crate::adapter::{AdapterInfo, adapter};
use crate::cache::Cache;
use crate::choose::{Target, Tuning};
use crate::fault::{Faults, Point, of_wgpu};
use crate::halves;
use crate::memory::{ARENA_BYTES, Memory, States, Storage};
use crate::pipelines::Pipelines;
use crate::timing::Stamps;
use crate::tune::Tuner;
use crate::wait::{ready, signal};

/// An open device: clones share it.
#[derive(Clone)]
pub struct Gpu(pub(crate) Arc<Device>);

/// What the clones share.
pub(crate) struct Device {
    pub info: AdapterInfo,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub pipelines: Pipelines,
    /// Compiled kernels kept between runs of the program.
    pub cache: Option<Cache>,
    pub states: States,
    pub checked: AtomicBool,
    /// Whether kernels may use f16.
    pub f16: bool,
    pub stamps: Stamps,
    pub tuner: Tuner,
    objects: AtomicU64,
    /// Buffers through which values come back, while nobody uses them.
    staging: Mutex<Vec<Storage>>,
    pub faults: Arc<Faults>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({})", self.0.info)
    }
}

/// A lock whose holder panicked still holds plain data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// Opens the adapter at `index` of [`adapters`](crate::adapters).
    pub async fn open(index: usize) -> Result<Gpu> {
        let (adapter, info) = adapter(index).await?;
        // What is not used is not asked for.
        let subgroups = if info.subgroup.is_some() { wgpu::Features::SUBGROUP } else { wgpu::Features::empty() };
        let stamps = Stamps::of(adapter.features());
        let halves = adapter.features() & wgpu::Features::SHADER_F16;
        let kept = adapter.features() & wgpu::Features::PIPELINE_CACHE;
        let matrices = if info.matrices.is_empty() { wgpu::Features::empty() } else { wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX };
        let features = subgroups | stamps.features() | halves | kept | matrices;
        let experimental = if matrices.is_empty() {
            wgpu::ExperimentalFeatures::disabled()
        } else {
            // SAFETY: what may go wrong with such a feature is wgpu's handling of code that it does not expect. Cooperative matrices occur in one template
            // only (shaders/src/matmul/coop.rs): loaded and stored from arrays in workgroup memory whose size the template computes, in uniform control flow.
            unsafe { wgpu::ExperimentalFeatures::enabled() }
        };
        let tuning = Tuning::of_environment(&Target::of(&info))?;
        let faults = Arc::new(Faults::new(info.to_string())?);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("noyau"),
            required_features: features,
            required_limits: adapter.limits(),
            experimental_features: experimental,
            ..Default::default()
        };
        let refused = |e: wgpu::RequestDeviceError| Error::Device {
            device: info.to_string(),
            message: format!("the driver refused to open it: {e}"),
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(refused)?;
        let theirs = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| theirs.complained(error)));
        let theirs = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            let destroyed = matches!(reason, wgpu::DeviceLostReason::Destroyed) && message.is_empty();
            theirs.lost(if destroyed { "it was destroyed".into() } else { message });
        });
        let cache = Cache::open(&device, &adapter.get_info());
        Ok(Gpu(Arc::new(Device {
            cache,
            tuner: Tuner::new(tuning),
            info,
            device,
            queue,
            pipelines: Pipelines::default(),
            states: States::default(),
            checked: AtomicBool::new(false),
            f16: !halves.is_empty(),
            stamps,
            objects: AtomicU64::new(0),
            staging: Mutex::default(),
            faults,
        })))
    }

    /// What it is.
    pub fn info(&self) -> &AdapterInfo {
        &self.0.info
    }

    /// What a planner has to know of it.
    pub fn limits(&self) -> Limits {
        let limits = &self.0.info.limits;
        let bytes = limits.max_buffer_bytes.min(limits.max_binding_bytes);
        // One binding stays in reserve: the states that a kernel uses may lie in two arenas.
        Limits {
            max_bindings: limits.max_bindings.min(16) - 1,
            arena_bytes: ARENA_BYTES,
            max_buffer_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            half_words: self.0.f16,
            ..Limits::GPU
        }
    }

    /// Puts a value into memory that lasts until the last clone of the result is dropped.
    pub async fn create(&self, value: &Array) -> Result<Memory> {
        let memory = Memory::allocate(&self.0, value.shape(), value.dtype()).await?;
        self.write(&memory, value)?;
        Ok(memory)
    }

    /// Overwrites a memory's value; shape and type must be the same.
    pub fn write(&self, memory: &Memory, value: &Array) -> Result<()> {
        self.0.check()?;
        memory.accepts(value)?;
        self.0.write(memory.storage(), memory.offset(), value.words(), memory.is_half())
    }

    /// A memory's value, after everything that was submitted before.
    pub async fn read(&self, memory: &Memory) -> Result<Array> {
        let words = self.0.read(memory.storage(), memory.offset(), memory.shape().numel(), memory.is_half()).await?;
        Array::from_words(memory.shape(), memory.dtype(), words)
    }

    /// Makes a plan ready to run: places its buffers, compiles its kernels, binds everything. `states` gives each state's memory.
    pub async fn load(&self, plan: Arc<Plan>, states: &mut dyn FnMut(&Arc<State>) -> Result<Memory>) -> Result<Executable> {
        let tuning = self.tuning_for(&plan).await?;
        Executable::load(self, plan, &tuning, states).await
    }

    /// As [`Gpu::load`], with kernels' variants given by hand: for tests and measurements.
    pub async fn load_tuned(
        &self,
        plan: Arc<Plan>,
        tuning: &Tuning,
        states: &mut dyn FnMut(&Arc<State>) -> Result<Memory>,
    ) -> Result<Executable> {
        Executable::load(self, plan, tuning, states).await
    }

    /// Whether it can say how long each launch takes: see [`Executable::run_timed`].
    pub fn tells_time(&self) -> bool {
        self.0.stamps != Stamps::None
    }

    /// How many GPU objects this room has made on the device: buffers, bind groups, layouts, modules, pipelines.
    pub fn objects_created(&self) -> u64 {
        self.0.objects.load(Ordering::Relaxed)
    }

    /// Whether plans loaded from now on keep wgpu's checks: indices within bounds, loops that end, workgroup memory zeroed.
    pub fn set_checked(&self, checked: bool) {
        self.0.checked.store(checked, Ordering::Relaxed);
    }

    /// Waits until everything submitted is done.
    pub async fn wait(&self) -> Result<()> {
        let (done, signal) = signal();
        self.0.queue.on_submitted_work_done(move || done(()));
        self.0.wait_for_signal(signal, &|| self.0.faults.last_sent()).await
    }
}

impl Device {
    /// Counts an object that was made.
    pub fn count(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    /// The fault that the driver reported, if any.
    pub fn check(&self) -> Result<()> {
        self.faults.check()
    }

    /// Runs `make` and returns what the driver had to say against it.
    pub async fn scoped<T>(&self, make: impl FnOnce() -> T) -> Result<T> {
        self.check()?;
        let outer = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let middle = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let inner = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let made = make();
        let errors = (inner.pop(), middle.pop(), outer.pop());
        let error = [errors.0.await, errors.1.await, errors.2.await].into_iter().flatten().next();
        // What is made on a device that was lost meanwhile is nothing, and no scope says so.
        self.check()?;
        error.map_or(Ok(made), |error| Err(of_wgpu(&self.info.to_string(), error)))
    }

    /// Refuses a buffer that the device cannot have or bind.
    pub fn fits(&self, bytes: u64, what: &str) -> Result<()> {
        let limits = &self.info.limits;
        let most = limits.max_buffer_bytes.min(limits.max_binding_bytes);
        if bytes <= most {
            return Ok(());
        }
        Err(Error::OutOfMemory {
            device: self.info.to_string(),
            message: format!("{what} needs a buffer of {bytes} bytes, this device has them up to {most} bytes"),
        })
    }

    /// A buffer that kernels read and write.
    pub async fn storage(&self, bytes: u64, what: &str) -> Result<Storage> {
        self.fits(bytes, what)?;
        self.buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST, what).await
    }

    /// Takes a buffer through which so many bytes can come back: a spare one, or a new one. Sizes are powers of two, so that a few serve all.
    async fn take_staging(&self, bytes: u64) -> Result<Storage> {
        let spare = {
            let mut staging = lock(&self.staging);
            let fits = (0..staging.len()).filter(|&i| staging[i].buffer.size() >= bytes).min_by_key(|&i| staging[i].buffer.size());
            fits.map(|i| staging.swap_remove(i))
        };
        match spare {
            Some(storage) => Ok(storage),
            None => {
                // Rounded up to serve others too, as far as the device has buffers so large.
                let rounded = bytes.max(256).next_power_of_two();
                let size = if rounded <= self.info.limits.max_buffer_bytes { rounded } else { bytes };
                self.buffer(size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST, "reading").await
            }
        }
    }

    /// Sees to it that values of so many bytes can be read without making a buffer.
    pub async fn prepare_reading(&self, bytes: u64) -> Result<()> {
        let staging = self.take_staging(bytes).await?;
        lock(&self.staging).push(staging);
        Ok(())
    }

    /// Waits for so many elements of a buffer, from byte `offset` on, as the host's words; `half` when they take two bytes each.
    pub async fn read(&self, storage: &Storage, offset: u64, count: usize, half: bool) -> Result<Vec<u32>> {
        let bytes = if half { count.div_ceil(2) } else { count } as u64 * 4;
        let staging = self.take_staging(bytes).await?;
        let words = self.fetch(storage, offset, bytes, &staging).await?;
        lock(&self.staging).push(staging);
        Ok(if half { halves::unpack(&words, count) } else { words })
    }

    /// Whether a value is stored in two bytes an element: as `Limits::words` has it.
    pub fn is_half(&self, count: usize, dtype: DType) -> bool {
        self.f16 && dtype == DType::F16 && count.saturating_mul(2) > ARENA_BYTES
    }

    /// A buffer for a purpose.
    pub async fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages, what: &str) -> Result<Storage> {
        // Whole vec4s, and never nothing: both are what bindings want.
        let size = bytes.max(1).next_multiple_of(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false };
        let made = match self.pass(Point::Create) {
            Ok(()) => self.scoped(|| self.device.create_buffer(&descriptor)).await,
            Err(error) => Err(error),
        };
        self.count();
        match made {
            Ok(buffer) => Ok(Storage::new(buffer)),
            Err(Error::OutOfMemory { device, .. }) => {
                Err(Error::OutOfMemory { device, message: format!("{what} needs {bytes} bytes more than there are free") })
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the host's words before the next submission; `half` when they are stored as f16, two bytes each.
    pub fn write(&self, storage: &Storage, offset: u64, words: &[u32], half: bool) -> Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        // The driver needs memory on the way.
        let asked = |error| match error {
            Error::OutOfMemory { device, .. } => {
                let bytes = words.len() * if half { 2 } else { 4 };
                Error::OutOfMemory { device, message: format!("sending a value of {bytes} bytes takes as many more, which are not free") }
            }
            error => error,
        };
        self.pass(Point::Write).map_err(asked)?;
        // In browsers a scope's errors come later: there it is the device that keeps them.
        let scope = (!cfg!(target_arch = "wasm32")).then(|| self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory));
        if half {
            self.queue.write_buffer(&storage.buffer, offset, bytemuck::cast_slice(&halves::pack(words)));
        } else {
            self.queue.write_buffer(&storage.buffer, offset, bytemuck::cast_slice(words));
        }
        match scope.and_then(|scope| ready(scope.pop()).flatten()) {
            Some(error) => Err(asked(of_wgpu(&self.info.to_string(), error))),
            None => self.check(),
        }
    }

    /// Copies bytes to a staging buffer and waits for them.
    async fn fetch(&self, storage: &Storage, offset: u64, bytes: u64, staging: &Storage) -> Result<Vec<u32>> {
        self.check()?;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
        encoder.copy_buffer_to_buffer(&storage.buffer, offset, &staging.buffer, 0, bytes);
        self.pass(Point::Read)?;
        self.queue.submit([encoder.finish()]);
        let slice = staging.buffer.slice(..bytes);
        let (done, signal) = signal();
        slice.map_async(wgpu::MapMode::Read, done);
        let failed = |e: &dyn std::fmt::Display| Error::Device {
            device: self.info.to_string(),
            message: format!("reading {bytes} bytes back failed: {e}"),
        };
        let mapped = self.wait_for_signal(signal, &|| format!("a read of {bytes} bytes after {}", self.faults.last_sent())).await?;
        mapped.map_err(|e| failed(&e))?;
        let words = {
            let view = slice.get_mapped_range().map_err(|e| failed(&e))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        staging.buffer.unmap();
        Ok(words)
    }
}

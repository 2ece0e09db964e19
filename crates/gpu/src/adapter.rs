//! What GPUs there are, best first, and what they can do.

use noyau_tensor::{Error, Result};

/// What kind of device an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU seen through a virtual machine.
    Virtual,
    /// Not said (browsers do not say).
    Other,
    /// A driver that runs shaders on the CPU.
    Software,
}

/// An adapter's limits, as far as noyau goes by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterLimits {
    /// The most bytes of a buffer.
    pub max_buffer_bytes: u64,
    /// The most bytes of a buffer that a kernel binds.
    pub max_binding_bytes: u64,
    /// How many storage buffers a kernel binds.
    pub max_bindings: usize,
    /// The most invocations of a workgroup.
    pub max_group: u32,
    /// Bytes of workgroup memory.
    pub max_shared_bytes: u32,
    /// Bytes of memory that the device has in all, where its driver says so (Vulkan); programs that run beside take some of it. Of a device that shares the CPU's memory
    /// it is what the driver takes for its share.
    pub memory_bytes: Option<u64>,
}

/// An adapter: a GPU as one driver shows it.
#[derive(Clone, Debug)]
pub struct AdapterInfo {
    /// Its place in the list, by which [`Gpu::open`](crate::Gpu::open) finds it. The list begins with the fastest kind.
    pub index: usize,
    /// The device's name.
    pub name: String,
    /// The API: `vulkan`, `metal`, `dx12`, `gl`, `webgpu`.
    pub backend: String,
    /// The driver's name and version.
    pub driver: String,
    /// The kind of device.
    pub device_type: DeviceKind,
    /// Whether shaders run on the CPU.
    pub software: bool,
    /// Its limits.
    pub limits: AdapterLimits,
    /// The names of its optional features.
    pub features: Vec<String>,
    /// The size of its subgroups, where all have one size and shaders may use them.
    pub subgroup: Option<u32>,
    /// The sizes of the square matrices of f16 that it multiplies by itself and adds up in f32 (cooperative matrices); mostly none.
    pub matrices: Vec<u32>,
}

impl std::fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.backend)
    }
}

/// The adapters that can run noyau's kernels, fastest kind first. `WGPU_BACKEND` (`vulkan`, `metal`, `dx12`, `gl`) restricts the list; without any
/// driver it is empty.
pub async fn adapters() -> Vec<AdapterInfo> {
    usable().await.into_iter().map(|(_, info)| info).collect()
}

/// The adapter at `index` of the list.
pub(crate) async fn adapter(index: usize) -> Result<(wgpu::Adapter, AdapterInfo)> {
    let mut found = usable().await;
    if index >= found.len() {
        let there = if found.is_empty() {
            "there is no GPU with a driver that can run compute shaders".to_string()
        } else {
            format!("there are {}: {}", found.len(), names(&found))
        };
        return Err(Error::Device { device: format!("gpu:{index}"), message: format!("no such adapter; {there}") });
    }
    Ok(found.swap_remove(index))
}

fn names(found: &[(wgpu::Adapter, AdapterInfo)]) -> String {
    found.iter().map(|(_, info)| format!("gpu:{} {info}", info.index)).collect::<Vec<_>>().join(", ")
}

async fn usable() -> Vec<(wgpu::Adapter, AdapterInfo)> {
    let asked = wgpu::Backends::from_env();
    // OpenGL only where nothing newer is there: it shows the same devices again, and complains on machines without a desktop.
    let first = asked.unwrap_or(wgpu::Backends::all() - wgpu::Backends::GL);
    let found = usable_by(first).await;
    if found.is_empty() && asked.is_none() { usable_by(wgpu::Backends::GL).await } else { found }
}

async fn usable_by(backends: wgpu::Backends) -> Vec<(wgpu::Adapter, AdapterInfo)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    // Without wgpu's debugging aids (an extra dispatch for each indirect one, among them) unless the environment asks for them.
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    // Of what the driver says is free: beyond it programs are put out of the device's memory, or are killed, where an error would do.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(98);
    let instance = wgpu::Instance::new(descriptor);
    let mut found: Vec<(wgpu::Adapter, AdapterInfo)> =
        instance.enumerate_adapters(backends).await.into_iter().map(|adapter| (describe(&adapter), adapter)).map(|(i, a)| (a, i)).collect();
    #[cfg(target_arch = "wasm32")]
    if let [(_, info)] = &mut found[..]
        && info.name.is_empty()
        && let Some(name) = crate::browser::adapter_name().await
    {
        if is_software(&name) {
            (info.software, info.device_type) = (true, DeviceKind::Software);
        }
        info.name = name;
    }
    found.retain(|(adapter, info)| {
        let compute = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
        compute && info.limits.max_bindings >= 4 && info.limits.max_group >= noyau_shaders::MERGED_GROUP
    });
    // One device often appears under several APIs: the older one last.
    found.sort_by_key(|(_, info)| (info.device_type, info.backend == "gl"));
    found.iter_mut().enumerate().for_each(|(index, (_, info))| info.index = index);
    found
}

fn describe(adapter: &wgpu::Adapter) -> AdapterInfo {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    let device_type = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
        wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
        wgpu::DeviceType::Cpu => DeviceKind::Software,
        wgpu::DeviceType::Other => DeviceKind::Other,
    };
    let software = device_type == DeviceKind::Software || is_software(&info.name);
    let subgroups = features.contains(wgpu::Features::SUBGROUP) && info.subgroup_min_size == info.subgroup_max_size;
    AdapterInfo {
        index: 0,
        name: info.name,
        backend: info.backend.to_str().into(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
        device_type: if software { DeviceKind::Software } else { device_type },
        software,
        limits: AdapterLimits {
            max_buffer_bytes: limits.max_buffer_size,
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_bindings: limits.max_storage_buffers_per_shader_stage as usize,
            max_group: limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x),
            max_shared_bytes: limits.max_compute_workgroup_storage_size,
            memory_bytes: heap(adapter),
        },
        features: features.iter_names().map(|(name, _)| name.to_lowercase()).collect(),
        subgroup: subgroups.then_some(info.subgroup_min_size),
        matrices: matrices(adapter),
    }
}

/// Whether a name is that of a driver in software: Mesa's for GL, and SwiftShader under ANGLE or in a browser, do not say what they are.
fn is_software(name: &str) -> bool {
    ["llvmpipe", "swiftshader", "softpipe"].iter().any(|driver| name.to_lowercase().contains(driver))
}

/// See [`AdapterLimits::memory_bytes`]: the largest heap that lies with the device.
#[cfg(any(target_os = "linux", target_os = "windows", target_os = "android"))]
fn heap(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the guard is used to ask, and dropped; nothing of the driver's is destroyed or kept.
    let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    // SAFETY: the physical device is of this instance, and both are alive as long as the guard is.
    let memory = unsafe { vulkan.shared_instance().raw_instance().get_physical_device_memory_properties(vulkan.raw_physical_device()) };
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const DEVICE_LOCAL: u32 = 1;
    memory.memory_heaps_as_slice().iter().filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}

#[cfg(not(any(target_os = "linux", target_os = "windows", target_os = "android")))]
fn heap(_: &wgpu::Adapter) -> Option<u64> {
    None
}

/// See [`AdapterInfo::matrices`].
fn matrices(adapter: &wgpu::Adapter) -> Vec<u32> {
    if !adapter.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16) {
        return Vec::new();
    }
    let mut sizes: Vec<u32> = adapter
        .cooperative_matrix_properties()
        .into_iter()
        .filter(|p| p.m_size == p.n_size && p.n_size == p.k_size && !p.saturating_accumulation)
        .filter(|p| p.ab_type == wgpu::CooperativeScalarType::F16 && p.cr_type == wgpu::CooperativeScalarType::F32)
        .map(|p| p.m_size)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

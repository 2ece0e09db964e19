//! Compiled kernels, kept by their text: executables that need the same kernel share it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use noyau_shaders::{Binding, Module};
use noyau_tensor::{Error, Result};

use crate::cache::Cache;
use crate::context::{Device, lock};
use crate::fault::Point;

/// A compiled kernel and how it is bound.
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// What makes two kernels the same: the text, and whether it was compiled with checks.
type Key = (String, bool);

/// A device's compiled kernels.
#[derive(Default)]
pub(crate) struct Pipelines(Mutex<HashMap<Key, Arc<Pipeline>>>);

impl Pipelines {
    /// The pipelines of the given modules, those that are new compiled side by side.
    pub async fn get(&self, device: &Device, modules: &[(&Module, &[Binding])]) -> Result<Vec<Arc<Pipeline>>> {
        let checked = device.checked.load(Ordering::Relaxed);
        let mut missing: Vec<(&Module, &[Binding])> = Vec::new();
        {
            let known = lock(&self.0);
            let mut listed = std::collections::HashSet::new();
            for &(module, bindings) in modules {
                if !known.contains_key(&(module.text.clone(), checked)) && listed.insert(module.text.as_str()) {
                    missing.push((module, bindings));
                }
            }
        }
        for (&(module, _), pipeline) in missing.iter().zip(compile_all(device, &missing, checked).await) {
            lock(&self.0).insert((module.text.clone(), checked), Arc::new(pipeline?));
        }
        if let (Some(cache), false) = (&device.cache, missing.is_empty()) {
            cache.keep();
        }
        let known = lock(&self.0);
        let find = |module: &Module| known.get(&(module.text.clone(), checked)).cloned();
        modules.iter().map(|(module, _)| find(module).ok_or_else(|| Error::Internal("a kernel was not compiled".into()))).collect()
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn compile_all(device: &Device, missing: &[(&Module, &[Binding])], checked: bool) -> Vec<Result<Pipeline>> {
    use std::sync::atomic::AtomicUsize;
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Pipeline>>>> = missing.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let Some((i, (module, bindings))) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| missing.get(i).map(|m| (i, m))) {
            // Outside of browsers the errors of a scope are there at once; scopes belong to threads, so the future must not wander.
            let compile = std::panic::AssertUnwindSafe(|| crate::wait::ready(compile(device, module, bindings, checked)));
            *lock(&results[i]) = std::panic::catch_unwind(compile).unwrap_or_else(|panic| {
                Some(Err(Error::Internal(format!("compiling a kernel panicked: {}\n{}", crate::wait::panicked(&*panic), module.text))))
            });
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(missing.len());
    if threads <= 1 {
        work();
    } else {
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }
    let lost = || Err(Error::Internal("compiling a kernel did not come to an end".into()));
    results.into_iter().map(|r| r.into_inner().ok().flatten().unwrap_or_else(lost)).collect()
}

#[cfg(target_arch = "wasm32")]
async fn compile_all(device: &Device, missing: &[(&Module, &[Binding])], checked: bool) -> Vec<Result<Pipeline>> {
    let mut results = Vec::new();
    for (module, bindings) in missing {
        results.push(compile(device, module, bindings, checked).await);
    }
    results
}

async fn compile(device: &Device, module: &Module, bindings: &[Binding], checked: bool) -> Result<Pipeline> {
    device.pass(Point::Compile)?;
    let made = device.scoped(|| make(device, module, bindings, checked)).await;
    // Shader module, two layouts, pipeline.
    (0..4).for_each(|_| device.count());
    made.map_err(|error| match error {
        Error::Internal(message) => Error::Internal(format!("{message}\n{}", module.text)),
        other => other,
    })
}

fn make(device: &Device, module: &Module, bindings: &[Binding], checked: bool) -> Pipeline {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = bindings
        .iter()
        .enumerate()
        .map(|(i, binding)| wgpu::BindGroupLayoutEntry {
            binding: i as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: !binding.write },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let layout = device.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let layouts = [Some(&layout)];
    let pipeline_layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &layouts,
        immediate_size: 0,
    });
    let descriptor = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(module.text.as_str().into()) };
    let shader = if checked {
        device.device.create_shader_module(descriptor)
    } else {
        // SAFETY: the text is printed by noyau-shaders from a plan: every index is a plan's view, checked on the host to stay within its buffer, guarded where
        // it is masked or clamped where a tile sticks out; every loop has a constant bound.
        unsafe { device.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(&pipeline_layout),
        module: &shader,
        entry_point: Some("main"),
        // Kernels write workgroup memory before they read it.
        compilation_options: wgpu::PipelineCompilationOptions { zero_initialize_workgroup_memory: checked, ..Default::default() },
        cache: device.cache.as_ref().map(Cache::pipelines),
    });
    Pipeline { pipeline, layout }
}

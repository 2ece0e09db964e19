//! A GPU's ceilings, by plain wgpu: the largest rate of several ways to multiply and add, and to copy.

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Context, bail};
use noyau::train::AdapterInfo;
use pollster::block_on;
use wgpu::util::DeviceExt;

use super::{FOOTPRINTS, Measured};
use crate::measure::{Effort, Spread, seconds};

/// Invocations of a workgroup.
const GROUP: u32 = 256;
/// Independent sums of four lanes an invocation has.
const CHAINS: usize = 8;
/// Multiplications and additions of each chain in a turn of the loop.
const UNROLLED: usize = 8;
/// Turns of the loop: far below what drivers stop a kernel at.
const TURNS: u32 = 512;
/// Dispatches of a pass that times them.
const DISPATCHES: usize = 512;

/// An open device of our own.
struct Bench {
    device: wgpu::Device,
    queue: wgpu::Queue,
    software: bool,
}

/// A kernel with its buffers.
struct Bound {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

pub fn measure(info: &AdapterInfo, effort: &Effort) -> anyhow::Result<Measured> {
    let bench = Bench::open(info)?;
    let fma = bench.fastest(effort, &[arithmetic("f32", true), arithmetic("f32", false)])?;
    let half_fma = match bench.device.features().contains(wgpu::Features::SHADER_F16) {
        true => Some(bench.fastest(effort, &[arithmetic("f16", true), arithmetic("f16", false)])?),
        false => None,
    };
    let most = info.limits.max_buffer_bytes.min(info.limits.max_binding_bytes);
    let fits = |bytes: &&usize| **bytes as u64 / 2 <= most;
    let copies = FOOTPRINTS.iter().filter(fits).map(|&bytes| Ok((bytes, bench.copying(effort, bytes)?))).collect::<anyhow::Result<_>>()?;
    Ok(Measured { fma, half_fma, copies, launching: Some(bench.launching(effort)?) })
}

impl Bench {
    /// The adapter that noyau lists under this name; of several of one name the first.
    fn open(info: &AdapterInfo) -> anyhow::Result<Bench> {
        let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::all());
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backends;
        descriptor.flags = wgpu::InstanceFlags::empty().with_env();
        let instance = wgpu::Instance::new(descriptor);
        let same = |adapter: &wgpu::Adapter| {
            let found = adapter.get_info();
            found.name == info.name && found.backend.to_str() == info.backend
        };
        let adapters = block_on(instance.enumerate_adapters(backends));
        let adapter = adapters.into_iter().find(same).with_context(|| format!("{info}: wgpu does not list it any more"))?;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("ceilings"),
            required_features: adapter.features() & wgpu::Features::SHADER_F16,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) =
            block_on(adapter.request_device(&descriptor)).with_context(|| format!("{info}: the driver refused to open it"))?;
        Ok(Bench { device, queue, software: info.software })
    }

    fn buffer(&self, bytes: usize) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes as u64, usage, mapped_at_creation: false })
    }

    fn words(&self, words: &[u32]) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE;
        self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents: bytemuck::cast_slice(words), usage })
    }

    fn bind(&self, text: &str, buffers: &[&wgpu::Buffer]) -> anyhow::Result<Bound> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(text.into()) };
        // SAFETY: the texts are those below: every index is below the length of its buffer, whose sizes are chosen together with the grids, and every loop
        // counts to a number of a few hundred.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let numbered = (0..).zip(buffers);
        let entries: Vec<_> =
            numbered.map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }).collect();
        let layout = pipeline.get_bind_group_layout(0);
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
        match block_on(scope.pop()) {
            None => Ok(Bound { pipeline, group }),
            Some(error) => bail!("a kernel that measures ceilings: {error}"),
        }
    }

    fn wait(&self) -> anyhow::Result<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely()).context("waiting for the GPU")?;
        Ok(())
    }

    /// One pass of so many dispatches of a kernel, and the host's time for it in seconds.
    fn encode(&self, bound: &Bound, [x, y]: [u32; 2], count: usize) -> (wgpu::CommandBuffer, f64) {
        let start = Instant::now();
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: None });
            for _ in 0..count {
                pass.set_pipeline(&bound.pipeline);
                pass.set_bind_group(0, &bound.group, &[]);
                pass.dispatch_workgroups(x, y, 1);
            }
        }
        let commands = encoder.finish();
        (commands, start.elapsed().as_secs_f64())
    }

    /// Seconds of one dispatch, several of them submitted at a time.
    fn dispatches(&self, effort: &Effort, bound: &Bound, grid: [u32; 2]) -> anyhow::Result<Spread> {
        seconds(effort, |count| {
            let mut left = count;
            while left > 0 {
                let some = left.min(64);
                self.queue.submit([self.encode(bound, grid, some).0]);
                left -= some;
            }
            self.wait()
        })
    }

    /// Operations a second of the fastest of some kernels.
    fn fastest(&self, effort: &Effort, texts: &[String]) -> anyhow::Result<Spread> {
        // Enough to fill the largest GPU a few times over; a software adapter has some cores only.
        let groups: u32 = if self.software { 16 } else { 2048 };
        let invocations = groups * GROUP;
        let (out, turns) = (self.buffer(invocations as usize * 16), self.words(&[TURNS, 0]));
        let mut rates = Vec::new();
        for text in texts {
            let bound = self.bind(text, &[&out, &turns])?;
            let operations = f64::from(invocations) * f64::from(TURNS) * (UNROLLED * CHAINS * 4 * 2) as f64;
            rates.push(self.dispatches(effort, &bound, [groups, 1])?.rates(operations));
        }
        rates.into_iter().max_by(|a, b| a.max.total_cmp(&b.max)).context("no kernel to measure arithmetic by")
    }

    /// Bytes a second of the fastest way to copy half a footprint to the other half.
    fn copying(&self, effort: &Effort, footprint: usize) -> anyhow::Result<Spread> {
        let bytes = footprint / 2;
        let (source, target) = (self.buffer(bytes), self.buffer(bytes));
        let vectors = (bytes / 16) as u32;
        let mut times = Vec::new();
        for each in [1, 4] {
            let bound = self.bind(&copy(vectors, each), &[&source, &target])?;
            let groups = (vectors / each).div_ceil(GROUP);
            let x = groups.min(32_768);
            times.push(self.dispatches(effort, &bound, [x, groups.div_ceil(x)])?);
        }
        times.push(seconds(effort, |count| {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
            (0..count).for_each(|_| encoder.copy_buffer_to_buffer(&source, 0, &target, 0, bytes as u64));
            self.queue.submit([encoder.finish()]);
            self.wait()
        })?);
        let best = times.into_iter().min_by(|a, b| a.min.total_cmp(&b.min)).context("no way to copy")?;
        Ok(best.rates(footprint as f64))
    }

    /// Seconds of a dispatch, a submission, a round trip, and of encoding a dispatch.
    fn launching(&self, effort: &Effort) -> anyhow::Result<[Spread; 4]> {
        let cell = self.buffer(4 * 64);
        let bound = self.bind(COUNT, &[&cell])?;
        let mut encoding = f64::INFINITY;
        let many = seconds(effort, |count| {
            for _ in 0..count {
                let (commands, seconds) = self.encode(&bound, [1, 1], DISPATCHES);
                encoding = encoding.min(seconds);
                self.queue.submit([commands]);
                self.wait()?;
            }
            anyhow::Ok(())
        })?;
        let submissions = seconds(effort, |count| {
            for i in 0..count {
                self.queue.submit([self.encode(&bound, [1, 1], 1).0]);
                if i % 16 == 15 {
                    self.wait()?;
                }
            }
            self.wait()
        })?;
        let round_trips = seconds(effort, |count| {
            (0..count).try_for_each(|_| {
                self.queue.submit([self.encode(&bound, [1, 1], 1).0]);
                self.wait()
            })
        })?;
        let encode = Spread::of(&[encoding / DISPATCHES as f64]);
        Ok([many.times(1.0 / DISPATCHES as f64), submissions, round_trips, encode])
    }
}

/// Chains of multiplications and additions that do not depend on each other, `fma` or written out.
fn arithmetic(element: &str, fused: bool) -> String {
    let mut text = String::new();
    if element == "f16" {
        text.push_str("enable f16;\n");
    }
    let _ = writeln!(
        text,
        "@group(0) @binding(0) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> turns: array<u32>;
@compute @workgroup_size({GROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
    let m = vec4<{element}>({element}(0.999));
    let c = vec4<{element}>({element}(0.001) + {element}(turns[1]));"
    );
    for i in 0..CHAINS {
        let _ = writeln!(text, "    var a{i} = vec4<{element}>({element}(id.x % {}u + 1u));", i + 2);
    }
    text.push_str("    for (var turn = 0u; turn < turns[0]; turn++) {\n");
    for _ in 0..UNROLLED {
        for i in 0..CHAINS {
            let _ = if fused { writeln!(text, "        a{i} = fma(a{i}, m, c);") } else { writeln!(text, "        a{i} = a{i} * m + c;") };
        }
    }
    let sum: Vec<String> = (0..CHAINS).map(|i| format!("a{i}")).collect();
    let _ = writeln!(text, "    }}\n    out[id.x] = vec4<f32>({});\n}}", sum.join(" + "));
    text
}

/// A copy of so many vec4s, `each` of them an invocation, a workgroup's side by side.
fn copy(vectors: u32, each: u32) -> String {
    let mut text = format!(
        "@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<f32>>;
@compute @workgroup_size({GROUP})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
    let at = (group.y * groups.x + group.x) * {}u + local;
    if at + {}u < {vectors}u {{\n",
        GROUP * each,
        GROUP * (each - 1)
    );
    for i in 0..each {
        let _ = writeln!(text, "        copied[at + {0}u] = source[at + {0}u];", i * GROUP);
    }
    text.push_str("    }\n}\n");
    text
}

/// A dispatch that depends on the one before.
const COUNT: &str = "@group(0) @binding(0) var<storage, read_write> cell: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    cell[i] = cell[i] + 1u;
}
";

#[cfg(test)]
mod tests {
    use noyau::Device;

    use super::*;

    #[test]
    fn copies_cover_every_vector() {
        for bytes in FOOTPRINTS {
            let vectors = (bytes / 32) as u32;
            // The guard lets a whole piece pass or nothing.
            assert!(vectors.is_multiple_of(GROUP * 4));
            assert!(copy(vectors, 4).contains(&format!("at + {}u < {vectors}u", GROUP * 3)));
        }
    }

    #[test]
    fn a_quick_look_at_each_gpu() {
        let effort = Effort { windows: 2, window: 0.001, warm_up: 0.0, processes: 1 };
        for info in Device::list() {
            let measured = measure(&info, &effort).unwrap();
            assert!(measured.fma.max > 1e6 && measured.copies.iter().all(|(_, s)| s.max > 1e6), "{info}");
            let launching = measured.launching.unwrap();
            assert!(launching.iter().all(|s| s.median > 0.0 && s.median < 1.0), "{info}: {launching:?}");
        }
    }
}

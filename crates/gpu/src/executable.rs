//! A loaded plan: everything made and bound once, then run as often as wanted.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use noyau_compile::Plan;
use noyau_compile::plan::{BufferId, BufferKind, HISTORY};
use noyau_tensor::{Array, Error, Result, State};

use crate::choose::{Target, Tuning};
use crate::context::Device;
use crate::fault::{Point, Sent};
use crate::lower::{Home, Launch, Lowering};
use crate::many::{Kept, extended};
use crate::memory::{ALIGNMENT, ARENA_BYTES, Storage};
use crate::pipelines::Pipeline;
use crate::timing::Stopwatch;
use crate::{Clock, Gpu, Memory};

/// How many runs may wait for the device: enough to keep it busy, few enough that what they hold does not pile up.
const IN_FLIGHT: usize = 12;

/// A plan on a device, ready to run.
pub struct Executable {
    pub(crate) gpu: Gpu,
    pub(crate) plan: Arc<Plan>,
    pub(crate) storages: Vec<Storage>,
    /// For each buffer of the plan, and for those of `kept`.
    pub(crate) homes: Vec<Home>,
    pub(crate) launches: Vec<Launch>,
    pub(crate) bound: Vec<(Arc<Pipeline>, wgpu::BindGroup)>,
    pub(crate) kept: Kept,
    in_flight: VecDeque<(wgpu::SubmissionIndex, Sent)>,
    /// What the step is, for messages.
    name: Arc<str>,
    /// How often it was submitted.
    runs: u64,
    cost: HostCost,
    /// Made by the first timed run.
    pub(crate) stopwatch: Option<Stopwatch>,
    stages: Vec<Stage>,
    /// Keeps the states' memory.
    _states: Vec<Memory>,
}

/// A part of what loading a plan takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// What was done.
    pub name: &'static str,
    /// For how many seconds; the stages follow each other.
    pub seconds: f64,
}

/// What handing runs to the device has cost the host so far: encoding and submitting, without waiting for the device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostCost {
    /// Host time.
    pub seconds: f64,
    /// Submissions.
    pub submissions: u64,
    /// Dispatches, all together.
    pub dispatches: u64,
}

impl std::fmt::Debug for Executable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Executable({} launches on {})", self.launches.len(), self.gpu.info())
    }
}

impl Executable {
    pub(crate) async fn load(
        gpu: &Gpu,
        plan: Arc<Plan>,
        tuning: &Tuning,
        states: &mut dyn FnMut(&Arc<State>) -> Result<Memory>,
    ) -> Result<Executable> {
        let device = &*gpu.0;
        device.check()?;
        let clock = Clock::start();
        let mut stages: Vec<Stage> = Vec::new();
        let mut stage = |name| {
            let before: f64 = stages.iter().map(|stage| stage.seconds).sum();
            stages.push(Stage { name, seconds: clock.seconds() - before });
        };
        let (mut whole, keeping) = extended(&plan);
        let target = Target::of(gpu.info());
        let scratch = target.scratch(&mut whole, tuning);
        let placed = Placed::new(device, &whole, states)?;
        let arenas: Vec<bool> = placed.storages.iter().map(|s| matches!(s, Planned::Arena(_) | Planned::State(_, true))).collect();
        let lowering =
            Lowering { plan: &whole, homes: &placed.homes, arenas: &arenas, target: &target, tuning, keeping: Some(&keeping), scratch };
        let launches = lowering.launches()?;
        let kept = Kept::new(keeping.clone(), lowering.record(&keeping)?, plan.outputs.len());
        stage("lower");

        let mut storages = Vec::with_capacity(placed.storages.len());
        for planned in &placed.storages {
            storages.push(match planned {
                Planned::Arena(bytes) => device.storage(*bytes, "an arena of small buffers").await?,
                Planned::Whole(bytes, what) => device.storage(*bytes, what).await?,
                Planned::State(storage, _) => storage.clone(),
            });
        }
        for (buffer, home) in plan.buffers.iter().zip(&placed.homes) {
            if let BufferKind::Constant(value) = &buffer.kind {
                device.write(&storages[home.storage], home.offset as u64 * 4, value.words(), home.half)?;
            }
        }
        stage("buffers");
        let modules: Vec<_> = launches.iter().map(|l| (&l.module, &l.bindings[..])).collect();
        let pipelines = device.pipelines.get(device, &modules).await?;
        stage("pipelines");
        let both = |(launch, pipeline): (&Launch, Arc<Pipeline>)| {
            let group = bind(device, &storages, launch, &pipeline);
            (pipeline, group)
        };
        let bound = device.scoped(|| launches.iter().zip(pipelines).map(both).collect()).await?;
        let largest = plan.outputs.iter().map(|b| plan.buffers[b.0].len()).max().unwrap_or(0);
        let ring = if kept.keeping.rings.is_empty() { 0 } else { HISTORY };
        device.prepare_reading(largest.max(ring) as u64 * 4).await?;
        stage("bind");
        Ok(Executable {
            gpu: gpu.clone(),
            name: in_words(&plan).into(),
            runs: 0,
            plan,
            storages,
            homes: placed.homes,
            launches,
            bound,
            kept,
            in_flight: VecDeque::with_capacity(IN_FLIGHT),
            cost: HostCost::default(),
            stopwatch: None,
            stages,
            _states: placed.states,
        })
    }

    /// Gives an input its value for the runs that follow.
    pub fn write(&mut self, input: usize, value: &Array) -> Result<()> {
        self.gpu.0.check()?;
        let Some(&id) = self.plan.inputs.get(input) else {
            return Err(Error::argument("input", format!("there is no input {input}, the step has {}", self.plan.inputs.len())));
        };
        let buffer = &self.plan.buffers[id.0];
        if value.shape()[..] != buffer.shape[..] || value.dtype() != buffer.dtype {
            let wanted = noyau_tensor::Shape::from(&buffer.shape[..]);
            return Err(Error::argument(
                "input",
                format!("input {input} is {} {wanted}, got {} {}", buffer.dtype, value.dtype(), value.shape()),
            ));
        }
        let Home { storage, offset, half } = self.homes[id.0];
        self.gpu.0.write(&self.storages[storage], offset as u64 * 4, value.words(), half)
    }

    /// Runs the plan once: one pass, one submission. Does not wait for it, but for an older run when too many are under way.
    pub fn run(&mut self) -> Result<()> {
        self.rule(1, false)?;
        self.submit("step", 1, |this, pass| {
            (0..this.launches.len()).for_each(|launch| this.dispatch(pass, launch));
            this.launches.len()
        })
    }

    /// One pass, one submission, of so many runs; waits for an older one when too many are under way. `encode` returns how many dispatches it has made.
    pub(crate) fn submit(
        &mut self,
        label: &str,
        runs: u64,
        encode: impl FnOnce(&Executable, &mut wgpu::ComputePass<'_>) -> usize,
    ) -> Result<()> {
        let gpu = self.gpu.clone();
        let device = &*gpu.0;
        device.check()?;
        if self.in_flight.len() >= IN_FLIGHT
            && let Some((oldest, sent)) = self.in_flight.pop_front()
        {
            device.wait_for(Some(oldest), &|| sent.to_string())?;
        }
        device.pass(Point::Submit)?;
        let clock = Clock::start();
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some(label) });
        let dispatches = {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: None });
            encode(self, &mut pass)
        };
        let submission = device.queue.submit([encoder.finish()]);
        let sent = self.sending(runs);
        self.in_flight.push_back((submission, sent));
        self.cost.seconds += clock.seconds();
        self.cost.submissions += 1;
        self.cost.dispatches += dispatches as u64;
        device.check()
    }

    /// Notes that so many runs are on their way.
    pub(crate) fn sending(&mut self, runs: u64) -> Sent {
        let sent = Sent { step: Arc::clone(&self.name), runs: self.runs..self.runs + runs };
        self.runs += runs;
        self.gpu.0.faults.sent(sent.clone());
        sent
    }

    /// What handing runs over has cost the host so far.
    pub fn host_cost(&self) -> HostCost {
        self.cost
    }

    /// An output's value, after all runs so far.
    pub async fn read(&self, output: usize) -> Result<Array> {
        let Some(&id) = self.plan.outputs.get(output) else {
            return Err(Error::argument("output", format!("there is no output {output}, the step has {}", self.plan.outputs.len())));
        };
        self.read_buffer(id).await
    }

    /// The value of any buffer of the plan, as the last run left it; slots hold what was last computed there.
    pub async fn read_buffer(&self, id: BufferId) -> Result<Array> {
        let device = &*self.gpu.0;
        let Some(buffer) = self.plan.buffers.get(id.0) else {
            return Err(Error::argument("buffer", format!("there is no buffer {}, the plan has {}", id.0, self.plan.buffers.len())));
        };
        let Home { storage, offset, half } = self.homes[id.0];
        let words = device.read(&self.storages[storage], offset as u64 * 4, buffer.len(), half).await?;
        Array::from_words(&buffer.shape[..], buffer.dtype, words)
    }

    /// How many dispatches a run makes.
    pub fn launches(&self) -> usize {
        self.launches.len()
    }

    /// What loading the plan took, stage by stage.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Each launch in words: its kernels, their variants, its grid.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (i, launch) in self.launches.iter().enumerate() {
            let [x, y] = launch.module.grid;
            let _ = writeln!(
                text,
                "{i}: {} ({x} x {y} workgroups of {}, {} bindings)",
                launch.names.join("; "),
                launch.module.group,
                launch.storages.len()
            );
        }
        text
    }

    /// Each launch's WGSL.
    pub fn shader_texts(&self) -> Vec<&str> {
        self.launches.iter().map(|l| l.module.text.as_str()).collect()
    }

    /// The plan that was loaded.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
}

/// A plan by what tells it from others.
fn in_words(plan: &Plan) -> String {
    let count = plan.kernels.len();
    match plan.kernels.first() {
        Some(first) => {
            let (name, line) = (&first.name, first.location);
            format!("the step of {count} kernels, the first {name} ({}:{})", line.file(), line.line())
        }
        None => "a step without kernels".into(),
    }
}

/// A launch's storages as its pipeline's layout has them.
pub(crate) fn bind(device: &Device, storages: &[Storage], launch: &Launch, pipeline: &Pipeline) -> wgpu::BindGroup {
    let entry = |(i, &s): (usize, &usize)| wgpu::BindGroupEntry { binding: i as u32, resource: storages[s].buffer.as_entire_binding() };
    let entries: Vec<_> = launch.storages.iter().enumerate().map(entry).collect();
    device.count();
    device.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries })
}

/// A storage before anything is allocated.
enum Planned {
    Arena(u64),
    Whole(u64, String),
    /// A state's storage, and whether it is an arena.
    State(Storage, bool),
}

/// Where everything will live.
struct Placed {
    storages: Vec<Planned>,
    homes: Vec<Home>,
    states: Vec<Memory>,
}

impl Placed {
    fn new(device: &Device, plan: &Plan, states: &mut dyn FnMut(&Arc<State>) -> Result<Memory>) -> Result<Placed> {
        // Storage 0 is the arena.
        let mut storages = vec![Planned::Arena(0)];
        let mut arena = 0u64;
        let mut memories = Vec::new();
        let mut place = |storages: &mut Vec<Planned>, length: usize, what: &dyn Fn() -> String| -> Result<Home> {
            let bytes = length as u64 * 4;
            if bytes <= ARENA_BYTES as u64 {
                let offset = arena;
                arena += bytes.max(4).next_multiple_of(ALIGNMENT);
                return Ok(Home { storage: 0, offset: (offset / 4) as usize, half: false });
            }
            device.fits(bytes, &what())?;
            storages.push(Planned::Whole(bytes, what()));
            Ok(Home { storage: storages.len() - 1, offset: 0, half: false })
        };
        let mut slots = Vec::with_capacity(plan.slots.len());
        for (i, &length) in plan.slots.iter().enumerate() {
            slots.push(place(&mut storages, length, &|| format!("slot {i} of {length} words"))?);
        }
        let mut homes = Vec::with_capacity(plan.buffers.len());
        for buffer in &plan.buffers {
            let half = device.is_half(buffer.len(), buffer.dtype);
            let words = if half { buffer.len().div_ceil(2) } else { buffer.len() };
            let home = match &buffer.kind {
                BufferKind::Slot(slot) => match (slots.get(*slot), plan.slots.get(*slot)) {
                    (Some(home), Some(&length)) if length >= words => *home,
                    _ => {
                        return Err(Error::Internal(format!(
                            "a buffer of {} elements is in slot {slot}, which is not that long",
                            buffer.len()
                        )));
                    }
                },
                BufferKind::Input(i) => place(&mut storages, words, &|| format!("input {i} of shape {:?}", buffer.shape))?,
                BufferKind::Constant(_) => place(&mut storages, words, &|| format!("a constant of shape {:?}", buffer.shape))?,
                BufferKind::State(state) => {
                    let memory = states(state)?;
                    if memory.shape()[..] != buffer.shape[..] || memory.dtype() != buffer.dtype {
                        return Err(Error::Internal(format!(
                            "state {} is {} {:?} in the plan, {} {} in memory",
                            state.name(),
                            buffer.dtype,
                            buffer.shape,
                            memory.dtype(),
                            memory.shape()
                        )));
                    }
                    let known = storages.iter().position(|s| matches!(s, Planned::State(storage, _) if storage.id == memory.storage().id));
                    let storage = known.unwrap_or_else(|| {
                        storages.push(Planned::State(memory.storage().clone(), memory.in_arena()));
                        storages.len() - 1
                    });
                    let offset = (memory.offset() / 4) as usize;
                    memories.push(memory);
                    Home { storage, offset, half }
                }
            };
            homes.push(Home { half, ..home });
        }
        device.fits(arena, "the arena of small buffers")?;
        storages[0] = Planned::Arena(arena);
        Ok(Placed { storages, homes, states: memories })
    }
}

//! Seeing and checking what a run does.
//!
//! A watched step runs launch by launch. `describe` puts kernels in words; `replay` does a kernel again on the host, by the arithmetic of `interval` and
//! `sums`, and finds what a device computed wrong; `finite` finds the first NaN; `trace` writes down when everything happened. A step that is not watched does
//! none of this.

mod attention;
mod describe;
mod finite;
mod interval;
mod replay;
mod sums;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use noyau_compile::plan::{BufferId, BufferKind, Plan};
use noyau_compile::{Graph, scalar};
use noyau_cpu::Values;
use noyau_tensor::{Array, Error, Result, Scalar, State};

use crate::device::{Device, Executable};
pub(crate) use trace::{Tracer, args, launch_name};

/// What a session is asked to look at.
#[derive(Default)]
pub(crate) struct Watching {
    validate: AtomicBool,
    check_finite: AtomicBool,
    tracer: Mutex<Option<Arc<Tracer>>>,
}

impl Watching {
    pub fn set_validate(&self, on: bool) {
        self.validate.store(on, Ordering::Relaxed);
    }

    pub fn set_check_finite(&self, on: bool) {
        self.check_finite.store(on, Ordering::Relaxed);
    }

    /// What a step that is compiled now is to be checked for.
    pub fn checks(&self) -> Checks {
        Checks { validate: self.validate.load(Ordering::Relaxed), finite: self.check_finite.load(Ordering::Relaxed) }
    }

    pub fn tracer(&self) -> Option<Arc<Tracer>> {
        self.tracer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another trace, or none; the one before is given back.
    pub fn set_tracer(&self, tracer: Option<Arc<Tracer>>) -> Option<Arc<Tracer>> {
        std::mem::replace(&mut *self.tracer.lock().unwrap_or_else(PoisonError::into_inner), tracer)
    }
}

/// What a step is checked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    pub validate: bool,
    pub finite: bool,
}

impl Checks {
    pub fn any(self) -> bool {
        self.validate || self.finite
    }
}

/// The plan with a slot of its own for each buffer, so that everything that a launch stored is there to be looked at when it is over. It launches the same kernels.
pub(crate) fn unshared(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.slots.clear();
    for buffer in &mut plan.buffers {
        if let BufferKind::Slot(slot) = &mut buffer.kind {
            *slot = plan.slots.len();
            plan.slots.push(buffer.shape.iter().product());
        }
    }
    plan
}

/// Launches that are run together because they do parts of the same kernels.
struct Stage {
    launches: Range<usize>,
    kernels: Vec<usize>,
}

/// A step that is watched.
pub(crate) struct Watch {
    checks: Checks,
    stages: Vec<Stage>,
    device: String,
    on_cpu: bool,
}

/// What is known of a step's buffers while it runs.
struct Seen {
    /// By buffer: its values now.
    now: Vec<Option<Array>>,
    /// States from before the step, as far as the step changes them.
    old: HashMap<BufferId, Array>,
}

impl Watch {
    pub fn new(checks: Checks, executable: &Executable, device: &Device) -> Watch {
        let mut stages: Vec<Stage> = Vec::new();
        for launch in 0..executable.launches() {
            let kernels = executable.kernels_of(launch);
            match stages.last_mut() {
                Some(stage) if stage.kernels == kernels => stage.launches.end = launch + 1,
                _ => stages.push(Stage { launches: launch..launch + 1, kernels }),
            }
        }
        Watch { checks, stages, device: device.adapter(), on_cpu: device.is_cpu() }
    }

    /// Runs the step, looking at each launch. Fails at the first kernel at fault; what the step has done until then stays done.
    pub async fn run(&self, graph: &Graph, plan: &Plan, executable: &mut Executable) -> Result<()> {
        let mut seen = Seen { now: vec![None; plan.buffers.len()], old: HashMap::new() };
        for stage in &self.stages {
            self.look_before(plan, executable, stage, &mut seen).await?;
            executable.run_launches(stage.launches.clone())?;
            let mut after: Vec<Option<Array>> = vec![None; plan.buffers.len()];
            for id in stage.kernels.iter().flat_map(|&kernel| plan.kernels[kernel].writes()) {
                after[id.0] = Some(executable.read_buffer(id).await?);
            }
            // In the kernels' order: what one of them wrote is what the next has read.
            for &kernel in &stage.kernels {
                if self.checks.validate {
                    self.compare(plan, kernel, &seen.now, &after)?;
                }
                for id in plan.kernels[kernel].writes() {
                    let Some(array) = after[id.0].take() else { continue };
                    if self.checks.finite
                        && let Some(fault) = finite::fault(plan, kernel, id, &array)
                    {
                        let cause = first_operation(graph, plan, executable, &seen.old).await?;
                        return Err(Error::NotFinite { message: format!("{fault}; {cause}") });
                    }
                    seen.now[id.0] = Some(array);
                }
            }
        }
        Ok(())
    }

    /// Reads what the kernels of a stage are about to read, and the states that they are about to change.
    async fn look_before(&self, plan: &Plan, executable: &Executable, stage: &Stage, seen: &mut Seen) -> Result<()> {
        for &kernel in &stage.kernels {
            let kernel = &plan.kernels[kernel];
            let reads = if self.checks.validate { kernel.reads() } else { Vec::new() };
            let states = kernel.writes().into_iter().filter(|id| matches!(plan.buffers[id.0].kind, BufferKind::State(_)));
            for id in reads.into_iter().chain(states.clone()) {
                // A slot was seen when it was written, or will be.
                if seen.now[id.0].is_none() && !matches!(plan.buffers[id.0].kind, BufferKind::Slot(_)) {
                    seen.now[id.0] = Some(match &plan.buffers[id.0].kind {
                        BufferKind::Constant(value) => Array::clone(value),
                        _ => executable.read_buffer(id).await?,
                    });
                }
            }
            for id in states {
                if let (false, Some(value)) = (seen.old.contains_key(&id), &seen.now[id.0]) {
                    seen.old.insert(id, value.clone());
                }
            }
        }
        Ok(())
    }

    fn compare(&self, plan: &Plan, kernel: usize, before: &[Option<Array>], after: &[Option<Array>]) -> Result<()> {
        let before: Vec<&[u32]> = before.iter().map(|array| array.as_ref().map_or(&[][..], Array::words)).collect();
        let after: Vec<&[u32]> = after.iter().map(|array| array.as_ref().map_or(&[][..], Array::words)).collect();
        let Some(found) = replay::compare(plan, &plan.kernels[kernel], &before, &after)? else { return Ok(()) };
        let dtype = plan.buffers[found.buffer.0].dtype;
        let value = |x: f64| if dtype.is_float() { format!("{:?}", x as f32) } else { format!("{x}") };
        let allowed = match found.allowed.exact() {
            Some(x) => format!("it must be {}", value(x)),
            None => format!("it must be from {} to {}", value(found.allowed.low), value(found.allowed.high)),
        };
        let way_out = if self.on_cpu { "" } else { " with the device's driver; NOYAU_DEVICE=cpu runs without it" };
        Err(Error::WrongResult {
            device: self.device.clone(),
            message: format!(
                "{}: {} of {} elements that it stored are wrong; the first, at {:?} of {}, is {}, {allowed}. Please report this kernel{way_out}",
                describe::kernel(plan, kernel),
                found.count,
                found.of,
                describe::coordinate(plan, found.buffer, found.place),
                describe::buffer(plan, found.buffer),
                value(scalar::from_word(found.word, dtype)),
            ),
        })
    }
}

/// The operation that gave the first number that is none, by the step's values in f64.
async fn first_operation(graph: &Graph, plan: &Plan, executable: &Executable, old: &HashMap<BufferId, Array>) -> Result<String> {
    let mut inputs = Vec::with_capacity(plan.inputs.len());
    for &id in &plan.inputs {
        inputs.push(Values::from(&executable.read_buffer(id).await?));
    }
    let mut states: HashMap<u64, Values> = HashMap::new();
    for (i, buffer) in plan.buffers.iter().enumerate() {
        if let BufferKind::State(state) = &buffer.kind {
            let id = BufferId(i);
            let value = match old.get(&id) {
                Some(value) => Values::from(value),
                None => Values::from(&executable.read_buffer(id).await?),
            };
            states.insert(state.id(), value);
        }
    }
    // A state that no kernel reads has no part in it.
    let value =
        |state: &State| states.get(&state.id()).cloned().unwrap_or_else(|| Values::full(state.shape(), Scalar::new(0.0, state.dtype())));
    finite::first_operation(graph, &inputs, &value)
}

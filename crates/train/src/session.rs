//! A device with the states that live on it, and the steps compiled for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use noyau_compile::plan::BufferKind;
use noyau_compile::{Graph, Options, Plan, compile};
use noyau_tensor::{Array, Error, Param, Result, State, Tensor, rng_seed};

use serde_json::json;

use crate::described::{Spec, Step, states_of, trace_step, traced};
use crate::device::{ADVICE, Device, Executable, Memory, Room};
use crate::memory_use::MemoryUse;
use crate::step::CompiledStep;
use crate::watch::{Checks, Tracer, Watch, Watching, args, unshared};

/// A device, the values of all states that programs have used on it, and the seed that they came from.
///
/// Clones are the same session. A state begins when a step or an expression first uses it: drawn from the session's seed and the state's place in the order
/// of first use, so that the same program with the same seed begins with the same values on every device.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    device: Device,
    seed: u64,
    fuse: bool,
    states: Mutex<States>,
    watching: Arc<Watching>,
}

#[derive(Default)]
struct States {
    memory: HashMap<u64, Memory>,
    /// In order of first use.
    order: Vec<Arc<State>>,
}

impl Session {
    /// A session on a device, seed 0.
    pub fn new(device: Device) -> Session {
        Session::with_options(device, 0, true)
    }

    /// A session with a seed, from which initial values and all random numbers come.
    pub fn with_seed(device: Device, seed: u64) -> Session {
        Session::with_options(device, seed, true)
    }

    /// A session whose steps run one kernel an operation when `fuse` is false: slower, to check fusion against.
    pub fn with_options(device: Device, seed: u64, fuse: bool) -> Session {
        Session { inner: Arc::new(Inner { device, seed, fuse, states: Mutex::default(), watching: Arc::default() }) }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.inner.device
    }

    /// Whether steps compiled from now on check each kernel that they run: what it stored is compared with what it has to store, worked out on the host with the
    /// room that rounding needs. A run fails with [`Error::WrongResult`] at the first kernel that differs, which it names with its sizes and source line.
    ///
    /// On a GPU this finds mistakes of kernels and drivers, on the CPU those of its executor. Each multiplication and addition is done again in f64, some
    /// billion a second and core: tens of times what a run takes on a CPU, thousands of times on a fast GPU; and all intermediate values stay in memory. A sum
    /// of several thousand terms hides a mistake in one of them. What a device makes of NaN and infinities is not checked: see [`Session::check_finite`].
    pub fn validate(&self, on: bool) {
        self.inner.watching.set_validate(on);
    }

    /// Whether steps compiled from now on look for NaN and infinities in all that their kernels store. A run fails with [`Error::NotFinite`] at the first,
    /// naming the kernel, how many elements are none, and the operation that made them.
    ///
    /// It takes as long as running launch by launch and reading all values back does.
    pub fn check_finite(&self, on: bool) {
        self.inner.watching.set_check_finite(on);
    }

    /// Begins to write down what happens when, on the host and on the device: compiling, and the first 32 runs of each step, kernel by kernel. The file, in the
    /// form that ui.perfetto.dev and chrome://tracing open, is written by [`Session::finish_trace`] or when the session ends.
    ///
    /// A run that is written down waits for the device; others are as ever. Steps that validate or check show as one event. Fails where no file can be written.
    pub fn trace(&self, path: impl AsRef<Path>) -> Result<()> {
        let tracer = Tracer::new(path.as_ref(), self.inner.device.adapter())?;
        match self.inner.watching.set_tracer(Some(Arc::new(tracer))) {
            Some(before) => before.finish(),
            None => Ok(()),
        }
    }

    /// Writes the trace that [`Session::trace`] began, and ends it; does nothing when there is none.
    pub fn finish_trace(&self) -> Result<()> {
        self.inner.watching.set_tracer(None).map_or(Ok(()), |tracer| tracer.finish())
    }

    fn states(&self) -> MutexGuard<'_, States> {
        // A panic elsewhere leaves the table whole: entries are added after their memory exists.
        self.inner.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives states their first values now, in this order, if they have none yet.
    pub async fn begin_async(&self, params: &[&Param]) -> Result<()> {
        for param in params {
            self.begin_state(param.state()).await?;
        }
        Ok(())
    }

    async fn begin_state(&self, state: &Arc<State>) -> Result<()> {
        let place = {
            let states = self.states();
            if states.memory.contains_key(&state.id()) {
                return Ok(());
            }
            states.order.len() as u64
        };
        self.check_size(state)?;
        let value = match state.id() {
            id if id == rng_seed().state().id() => Array::scalar(self.inner.seed as u32 ^ (self.inner.seed >> 32) as u32),
            _ => state.initial_value(mix(self.inner.seed, place))?,
        };
        let memory = self.inner.device.create(&value).await?;
        let mut states = self.states();
        states.memory.insert(state.id(), memory);
        states.order.push(Arc::clone(state));
        Ok(())
    }

    /// Fails when there cannot be memory for a state's value: before it is made.
    fn check_size(&self, state: &State) -> Result<()> {
        let device = &self.inner.device;
        let most = device.limits().max_buffer_bytes;
        let bytes = bytes_of(state);
        let what = format!("`{}` of {}{}", state.name(), state.dtype(), state.shape());
        let refused = match bytes {
            Some(bytes) if bytes <= most => Room::refuse_value(|| device.room(), &what, bytes as u64),
            Some(bytes) => Some(format!("{what} takes {bytes} bytes, the largest buffer has {most} bytes")),
            None => Some(format!("{what} takes more bytes than can be counted, the largest buffer has {most} bytes")),
        };
        refused.map_or(Ok(()), |message| Err(Error::OutOfMemory { device: device.adapter(), message }))
    }

    /// The states that have a value here, in order of first use.
    pub fn known_states(&self) -> Vec<Param> {
        self.states().order.iter().map(|state| Param::from_state(Arc::clone(state))).collect()
    }

    /// A state's value.
    pub async fn get_async(&self, param: &Param) -> Result<Array> {
        self.begin_state(param.state()).await?;
        let memory = self.memory_of(param.state())?;
        self.inner.device.read(&memory).await
    }

    /// Gives a state another value. Fails when shape or type differ.
    pub async fn set_async(&self, param: &Param, value: &Array) -> Result<()> {
        if param.state().shape() != value.shape() || param.state().dtype() != value.dtype() {
            let (state, name) = (param.state(), param.name());
            let message = format!("the state is {}{}, the value given is {}{}", state.dtype(), state.shape(), value.dtype(), value.shape());
            return Err(Error::argument(format!("value of `{name}`"), message));
        }
        self.begin_state(param.state()).await?;
        let memory = self.memory_of(param.state())?;
        self.inner.device.write(&memory, value)
    }

    /// The values of states, each beside what it goes by.
    pub(crate) async fn values<T>(&self, states: impl IntoIterator<Item = (T, Param)>) -> Result<Vec<(T, Array)>> {
        let mut values = Vec::new();
        for (name, param) in states {
            values.push((name, self.get_async(&param).await?));
        }
        Ok(values)
    }

    /// Gives states other values, as [`Session::set_async`] does.
    pub(crate) async fn set_all(&self, values: &[(Param, Array)]) -> Result<()> {
        for (param, value) in values {
            self.set_async(param, value).await?;
        }
        Ok(())
    }

    fn memory_of(&self, state: &Arc<State>) -> Result<Memory> {
        let found = self.states().memory.get(&state.id()).cloned();
        found.ok_or_else(|| Error::Internal(format!("the state `{}` has no memory", state.name())))
    }

    /// The value of an expression, with the states as they are now.
    pub async fn eval_async(&self, tensor: &Tensor) -> Result<Array> {
        let mut step = self.load(&[], Step::returns(tensor)).await?;
        step.launch_async().await?;
        step.read_async(0).await
    }

    /// Compiles a step: `trace` is called once, with a tensor for each argument, and says what to compute; the result runs that again and again.
    ///
    /// Fails with the first mistake that an expression carries, and when the device cannot hold the step.
    pub async fn compile_async<const N: usize>(
        &self,
        arguments: [Spec; N],
        trace: impl FnOnce([Tensor; N]) -> Step,
    ) -> Result<CompiledStep> {
        let step = traced(&arguments, trace);
        self.load(&arguments, step).await
    }

    /// What memory a step would take, without loading it: it is traced and planned as by [`Session::compile`], and nothing is allocated.
    ///
    /// Fails with the first mistake that an expression carries, and when the device cannot hold one of the step's buffers.
    pub fn estimate<const N: usize>(&self, arguments: [Spec; N], trace: impl FnOnce([Tensor; N]) -> Step) -> Result<MemoryUse> {
        let step = traced(&arguments, trace);
        self.estimate_of(&arguments, &step)
    }

    pub(crate) fn estimate_of(&self, arguments: &[Spec], step: &Step) -> Result<MemoryUse> {
        let options = self.options();
        Ok(MemoryUse::of_plan(&self.plan(&trace_step(arguments, step)?, options)?, &options.limits))
    }

    /// Sizes that cannot be counted are refused first: planning counts with them.
    fn plan(&self, graph: &Graph, options: Options) -> Result<Plan> {
        let endless = |state: &Arc<State>| bytes_of(state).is_none();
        states_of(graph).iter().filter(|state| endless(state)).try_for_each(|state| self.check_size(state))?;
        compile(graph, options)
    }

    /// Bytes of a plan's states that are on the device already.
    fn present(&self, plan: &Plan, options: &Options) -> u64 {
        let states = self.states();
        let present = plan.buffers.iter().filter(|buffer| match &buffer.kind {
            BufferKind::State(state) => states.memory.contains_key(&state.id()),
            _ => false,
        });
        present.map(|buffer| options.limits.bytes(buffer) as u64).sum()
    }

    fn options(&self) -> Options {
        Options { limits: self.inner.device.limits(), fuse: self.inner.fuse }
    }

    pub(crate) async fn load(&self, arguments: &[Spec], step: Step) -> Result<CompiledStep> {
        self.load_checked(arguments, step, self.inner.watching.checks()).await
    }

    pub(crate) async fn load_checked(&self, arguments: &[Spec], step: Step, checks: Checks) -> Result<CompiledStep> {
        let tracer = self.inner.watching.tracer();
        let now = || tracer.as_ref().map_or(0.0, |tracer| tracer.now());
        let event = |name: &str, start: f64, about: serde_json::Map<_, _>| {
            if let Some(tracer) = &tracer {
                tracer.host(name, start, about);
            }
        };
        let begun = now();
        let graph = trace_step(arguments, &step)?;
        event("graph", begun, args([("nodes", json!(graph.nodes.len()))]));
        // Planned first: a step that cannot fit is refused before its states take memory.
        let start = now();
        let options = self.options();
        let mut plan = self.plan(&graph, options)?;
        event("plan", start, args([("kernels", json!(plan.kernels.len()))]));
        if checks.any() {
            plan = unshared(&plan);
        }
        let memory = MemoryUse::of_plan(&plan, &options.limits);
        if let Some(message) = Room::refuse(|| self.inner.device.room(), &memory, self.present(&plan, &options)) {
            return Err(Error::OutOfMemory { device: self.inner.device.adapter(), message });
        }
        let start = now();
        for state in states_of(&graph) {
            self.begin_state(&state).await?;
        }
        event("states", start, args([]));
        let plan = Arc::new(plan);
        let start = now();
        let executable = self.load_plan(&plan).await.map_err(|error| match error {
            // The driver's word comes without the whole.
            Error::OutOfMemory { device, message } => {
                Error::OutOfMemory { device, message: format!("{message}; {}. {ADVICE}", memory.in_words()) }
            }
            error => error,
        })?;
        if let Some(tracer) = &tracer {
            let mut from = start;
            for stage in executable.stages() {
                tracer.host_span(stage.name, from..from + stage.seconds * 1e6, args([]));
                from += stage.seconds * 1e6;
            }
        }
        event("load", start, args([("launches", json!(executable.launches()))]));
        event("compile", begun, args([]));
        let watch = checks.any().then(|| Watch::new(checks, &executable, &self.inner.device));
        Ok(CompiledStep { executable, graph, plan, limits: options.limits, watch, watching: Arc::clone(&self.inner.watching), runs: 0 })
    }

    /// A plan on the session's device, with its states.
    pub(crate) async fn load_plan(&self, plan: &Arc<Plan>) -> Result<Executable> {
        self.inner.device.load(Arc::clone(plan), &mut |state| self.memory_of(state)).await
    }
}

/// How many bytes a state's value has, if they can be counted.
fn bytes_of(state: &State) -> Option<usize> {
    state.shape().checked_numel().and_then(|n| n.checked_mul(state.dtype().size()))
}

/// One well-mixed number of two (the finaliser of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(not(target_arch = "wasm32"))]
impl Session {
    /// [`Session::begin_async`], waiting for it.
    pub fn begin(&self, params: &[&Param]) -> Result<()> {
        pollster::block_on(self.begin_async(params))
    }

    /// [`Session::get_async`], waiting for it.
    pub fn get(&self, param: &Param) -> Result<Array> {
        pollster::block_on(self.get_async(param))
    }

    /// [`Session::set_async`], waiting for it.
    pub fn set(&self, param: &Param, value: &Array) -> Result<()> {
        pollster::block_on(self.set_async(param, value))
    }

    /// [`Session::eval_async`], waiting for it.
    pub fn eval(&self, tensor: &Tensor) -> Result<Array> {
        pollster::block_on(self.eval_async(tensor))
    }

    /// [`Session::compile_async`], waiting for it.
    pub fn compile<const N: usize>(&self, arguments: [Spec; N], trace: impl FnOnce([Tensor; N]) -> Step) -> Result<CompiledStep> {
        pollster::block_on(self.compile_async(arguments, trace))
    }
}

//! A compiled step: run again and again, looked at as its session asks.

use std::ops::Range;
use std::sync::Arc;

use noyau_compile::plan::HISTORY;
use noyau_compile::{Graph, Limits, Plan};
use noyau_gpu::HostCost;
use noyau_tensor::{Array, Error, Result};
use serde_json::json;

use crate::device::Executable;
use crate::memory_use::MemoryUse;
#[cfg(test)]
use crate::session::Session;
use crate::watch::{Tracer, Watch, Watching, args, launch_name};

/// A step, loaded on its session's device.
pub struct CompiledStep {
    pub(crate) executable: Executable,
    pub(crate) graph: Graph,
    pub(crate) plan: Arc<Plan>,
    /// What it was planned for.
    pub(crate) limits: Limits,
    /// What each run is checked for.
    pub(crate) watch: Option<Watch>,
    pub(crate) watching: Arc<Watching>,
    /// How often it has run.
    pub(crate) runs: usize,
}

/// How long a launch took: see [`CompiledStep::timings_async`].
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The names of its kernels.
    pub name: String,
    /// The plan's kernels that it did, in order. Neighbouring launches may have done parts of one kernel.
    pub kernels: Vec<usize>,
    /// Its time on the device, in nanoseconds.
    pub nanoseconds: u64,
}

impl CompiledStep {
    /// Sets the argument at a position, which stays until it is set again. Fails when shape or type are not as declared.
    pub fn write(&mut self, argument: usize, value: &Array) -> Result<()> {
        let Some((shape, dtype)) = self.graph.inputs.get(argument) else {
            return Err(Error::argument(format!("argument {argument}"), format!("the step takes {} arguments", self.graph.inputs.len())));
        };
        if shape != value.shape() || *dtype != value.dtype() {
            let message = format!("the step takes {dtype}{shape}, got {}{}", value.dtype(), value.shape());
            return Err(Error::argument(format!("argument {argument}"), message));
        }
        let Some(tracer) = self.tracer() else { return self.executable.write(argument, value) };
        let start = tracer.now();
        self.executable.write(argument, value)?;
        tracer.host("upload", start, args([("argument", json!(argument)), ("bytes", json!(value.len() * 4))]));
        Ok(())
    }

    /// Where the next run is to be written down.
    fn tracer(&self) -> Option<Arc<Tracer>> {
        self.watching.tracer().filter(|tracer| tracer.wants(self.runs))
    }

    /// Runs the step with the arguments as they are, without waiting for it: one submission on a GPU. A step that is checked or traced is
    /// waited for all the same, which a browser cannot do here: it takes [`CompiledStep::launch_async`].
    pub fn launch(&mut self) -> Result<()> {
        if self.watch.is_none() && self.tracer().is_none() {
            self.runs += 1;
            return self.executable.run();
        }
        #[cfg(not(target_arch = "wasm32"))]
        return pollster::block_on(self.launch_async());
        #[cfg(target_arch = "wasm32")]
        return Err(Error::argument("launch", "a step that is checked or traced must be waited for: use launch_async"));
    }

    /// As [`CompiledStep::launch`]; waits for the device only when the step is checked or traced.
    pub async fn launch_async(&mut self) -> Result<()> {
        let tracer = self.tracer();
        let run = self.runs;
        self.runs += 1;
        let start = tracer.as_ref().map_or(0.0, |tracer| tracer.now());
        if let Some(watch) = &self.watch {
            let result = watch.run(&self.graph, &self.plan, &mut self.executable).await;
            if let Some(tracer) = &tracer {
                tracer.host("checked step", start, args([("run", json!(run))]));
            }
            return result;
        }
        let Some(tracer) = tracer else { return self.executable.run() };
        let timed = self.executable.run_timed().await?;
        // What went before the submission: waiting for earlier work.
        let end = tracer.now();
        let [submit, wait, read] = [timed.submit_seconds, timed.wait_seconds, timed.read_seconds].map(|seconds| seconds * 1e6);
        let submitted = (end - read - wait).max(start);
        if let Executable::Gpu(_) = self.executable {
            tracer.host_span("submit", (submitted - submit).max(start)..submitted, args([]));
            tracer.host_span("wait", submitted..end - read, args([]));
            tracer.host_span("read times", end - read..end, args([]));
        }
        tracer.host_span("step", start..end, args([("run", json!(run)), ("launches", json!(self.executable.launches()))]));
        match &timed.launches {
            Some(times) => tracer.launches(&self.plan, &self.executable, times, submitted, end - read, run),
            None => tracer.whole_run(self.executable.launches(), submitted..end - read, run),
        }
        Ok(())
    }

    /// Runs the step `count` times with the arguments as they are, without waiting: states (weights, counters of steps and random numbers,
    /// a place in the data) go on from run to run, as when [`CompiledStep::launch`] is called `count` times, with the same bits. Results of
    /// one element are kept for each of these runs: see [`CompiledStep::history_async`].
    ///
    /// On a GPU many runs share a submission; a step that is a single launch is done many times by one launch, in a loop of the shader. The
    /// first call compiles what that takes. A step that is checked or traced runs one by one.
    pub fn launch_many(&mut self, count: usize) -> Result<()> {
        if self.watch.is_none() && self.tracer().is_none() && self.executable.is_prepared() {
            self.runs += count;
            return self.executable.run_many(count);
        }
        #[cfg(not(target_arch = "wasm32"))]
        return pollster::block_on(self.launch_many_async(count));
        #[cfg(target_arch = "wasm32")]
        return Err(Error::argument(
            "launch_many",
            "the first call has something to compile, and a step that is checked must be waited for: use launch_many_async",
        ));
    }

    /// As [`CompiledStep::launch_many`].
    pub async fn launch_many_async(&mut self, count: usize) -> Result<()> {
        self.executable.prepare_many().await?;
        let left = self.launch_looking(count, true).await?;
        self.runs += left;
        self.executable.run_many(left)
    }

    /// As [`CompiledStep::launch_many`], without a history: for those who have their results from states.
    pub(crate) async fn launch_unkept(&mut self, count: usize) -> Result<()> {
        let left = self.launch_looking(count, false).await?;
        self.runs += left;
        self.executable.run_unkept(left)
    }

    /// Runs the step one by one as long as its runs are checked or traced; how many runs are left.
    async fn launch_looking(&mut self, count: usize, keep: bool) -> Result<usize> {
        let mut left = count;
        while left > 0 && (self.watch.is_some() || self.tracer().is_some()) {
            self.launch_async().await?;
            if keep {
                self.executable.keep().await?;
            }
            left -= 1;
        }
        Ok(left)
    }

    /// A result of one element, by position, after each run that [`CompiledStep::launch_many`] made since this was last asked for that
    /// result: in order, as one axis. Waits for the device.
    ///
    /// The last [`CompiledStep::HISTORY`] runs are kept. Fails when there were more, with how many; the older ones are lost, and asked
    /// again it gives those that are kept. Fails too where the result has not one element.
    pub async fn history_async(&mut self, output: usize) -> Result<Array> {
        if output >= self.graph.outputs.len() {
            let message = format!("the step returns {} values, counted from 0", self.graph.outputs.len());
            return Err(Error::argument(format!("result {output}"), message));
        }
        self.executable.history(output).await
    }

    /// Of how many runs [`CompiledStep::history_async`] has the results.
    pub const HISTORY: usize = HISTORY;

    /// What handing this step's runs to the device has cost the host so far: encoding and submitting, without waiting. On the CPU, which
    /// does the work itself, nothing.
    pub fn host_cost(&self) -> HostCost {
        self.executable.host_cost()
    }

    /// Runs the step once with the arguments as they are, waits for it, and says how long each launch took by the device's clock. `None` on
    /// a GPU that does not tell the time; on the CPU kernels are timed by the host's clock.
    pub async fn timings_async(&mut self) -> Result<Option<Vec<Timing>>> {
        self.runs += 1;
        let timed = self.executable.run_timed().await?;
        let timing = |(launch, time): (usize, &Range<u64>)| {
            let kernels = self.executable.kernels_of(launch);
            Timing { name: launch_name(&self.plan, &kernels), kernels, nanoseconds: time.end - time.start }
        };
        Ok(timed.launches.map(|launches| launches.iter().enumerate().map(timing).collect()))
    }

    /// A result of the last run, by position: waits for the device.
    pub async fn read_async(&self, output: usize) -> Result<Array> {
        let Some(&id) = self.graph.outputs.get(output) else {
            return Err(Error::argument(
                format!("result {output}"),
                format!("the step returns {} values, counted from 0", self.graph.outputs.len()),
            ));
        };
        // The last run's number: its result belongs with it.
        let tracer = self.watching.tracer().filter(|tracer| tracer.wants(self.runs.saturating_sub(1)));
        let start = tracer.as_ref().map_or(0.0, |tracer| tracer.now());
        let array = self.executable.read(output).await?;
        if let Some(tracer) = tracer {
            tracer.host("read", start, args([("result", json!(output)), ("bytes", json!(array.len() * 4))]));
        }
        let node = self.graph.node(id);
        Array::from_words(&node.shape, array.dtype(), array.words().to_vec())
    }

    /// Sets all arguments and launches.
    pub fn launch_with(&mut self, arguments: &[&Array]) -> Result<()> {
        self.write_all(arguments)?;
        self.launch()
    }

    /// As [`CompiledStep::launch_with`]; see [`CompiledStep::launch_async`].
    pub async fn launch_with_async(&mut self, arguments: &[&Array]) -> Result<()> {
        self.write_all(arguments)?;
        self.launch_async().await
    }

    fn write_all(&mut self, arguments: &[&Array]) -> Result<()> {
        if arguments.len() != self.graph.inputs.len() {
            return Err(Error::argument("arguments", format!("the step takes {}, got {}", self.graph.inputs.len(), arguments.len())));
        }
        arguments.iter().enumerate().try_for_each(|(i, value)| self.write(i, value))
    }

    /// Launches with these arguments and returns all results.
    pub async fn run_async(&mut self, arguments: &[&Array]) -> Result<Vec<Array>> {
        self.launch_with_async(arguments).await?;
        let mut results = Vec::with_capacity(self.graph.outputs.len());
        for i in 0..self.graph.outputs.len() {
            results.push(self.read_async(i).await?);
        }
        Ok(results)
    }

    /// Kernel launches a run: dispatches on a GPU, kernels on the CPU.
    pub fn launches(&self) -> usize {
        self.executable.launches()
    }

    /// Each launch of a run in words, a line each: its kernels and, on a GPU, how they are done and by how many workgroups. Kernels that
    /// share a launch stand in one line.
    pub fn describe(&self) -> String {
        self.executable.describe()
    }

    /// Runs something else than the plan, which stays what runs are checked by: a device that computes wrong, for tests.
    #[cfg(test)]
    pub(crate) fn replace_plan(&mut self, session: &Session, alter: impl FnOnce(&mut Plan)) {
        let mut plan = Plan::clone(&self.plan);
        alter(&mut plan);
        self.executable = pollster::block_on(session.load_plan(&Arc::new(plan))).expect("the altered plan loads");
    }

    /// What memory it takes, states included.
    pub fn memory(&self) -> MemoryUse {
        MemoryUse::of_plan(&self.plan, &self.limits)
    }

    /// The step as traced.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The step as planned: print it to see its kernels.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl CompiledStep {
    /// [`CompiledStep::read_async`], waiting for it.
    pub fn read(&self, output: usize) -> Result<Array> {
        pollster::block_on(self.read_async(output))
    }

    /// [`CompiledStep::history_async`], waiting for it.
    pub fn history(&mut self, output: usize) -> Result<Array> {
        pollster::block_on(self.history_async(output))
    }

    /// [`CompiledStep::timings_async`], waiting for it.
    pub fn timings(&mut self) -> Result<Option<Vec<Timing>>> {
        pollster::block_on(self.timings_async())
    }

    /// [`CompiledStep::run_async`], waiting for it.
    pub fn run(&mut self, arguments: &[&Array]) -> Result<Vec<Array>> {
        pollster::block_on(self.run_async(arguments))
    }
}

//! Many runs at a time, and what is kept of each.
//!
//! Where the whole step is one launch of one workgroup, that launch does many runs in a loop. Elsewhere the launches of many runs go into
//! one pass of one submission. Either way rings in device memory take the step's scalars after each run, until the host asks for them.

use std::sync::Arc;

use noyau_compile::Plan;
use noyau_compile::plan::{Buffer, BufferId, BufferKind, HISTORY};
use noyau_shaders::Control;
use noyau_tensor::{Array, DType, Error, Result};

use crate::Executable;
use crate::executable::bind;
use crate::lower::{Home, Keeping, Launch};
use crate::pipelines::Pipeline;

/// Dispatches of one submission: enough that submitting costs little beside them, few enough that a submission is not long under way.
const DISPATCHES: usize = 256;
/// Launches of one submission that do many runs each, which take milliseconds or tens of them.
const REPEATED: usize = 8;

/// A plan with the buffers that keeping takes.
pub(crate) fn extended(plan: &Plan) -> (Plan, Keeping) {
    let mut plan = plan.clone();
    let add = |plan: &mut Plan, len: usize, dtype: DType| {
        plan.slots.push(len);
        plan.buffers.push(Buffer { kind: BufferKind::Slot(plan.slots.len() - 1), shape: vec![len], dtype });
        BufferId(plan.buffers.len() - 1)
    };
    let mut keeping = Keeping { control: add(&mut plan, Control::WORDS, DType::U32), rings: Vec::new() };
    for output in plan.outputs.clone() {
        let Buffer { dtype, .. } = plan.buffers[output.0];
        if plan.buffers[output.0].len() == 1 && keeping.rings.iter().all(|(scalar, _)| *scalar != output) {
            keeping.rings.push((output, add(&mut plan, HISTORY, dtype)));
        }
    }
    (plan, keeping)
}

/// What an executable has for runs that are kept.
pub(crate) struct Kept {
    pub keeping: Keeping,
    /// The launch that keeps the run before it; none where it would bind too much. Compiled when it is first needed.
    launch: Option<Launch>,
    bound: Option<(Arc<Pipeline>, wgpu::BindGroup)>,
    /// The words [`Control::Runs`] and [`Control::Kept`] as they are on the device.
    ruled: [u32; 2],
    /// How many runs were kept.
    count: u64,
    /// For each result how many of those were asked for.
    read: Vec<u64>,
}

impl Kept {
    pub fn new(keeping: Keeping, launch: Option<Launch>, outputs: usize) -> Kept {
        Kept { keeping, launch, bound: None, ruled: [0; 2], count: 0, read: vec![0; outputs] }
    }
}

impl Executable {
    /// Whether a launch does many runs of the whole step.
    pub fn repeats(&self) -> bool {
        self.most_runs().is_some()
    }

    fn most_runs(&self) -> Option<u32> {
        match &self.launches[..] {
            [only] => only.most_runs,
            _ => None,
        }
    }

    /// Tells a launch that can do many runs how many the next are, and whether they are kept.
    pub(crate) fn rule(&mut self, runs: u32, kept: bool) -> Result<()> {
        let words = [runs, u32::from(kept)];
        if self.repeats() && self.kept.ruled != words {
            let Home { storage, offset, .. } = self.homes[self.kept.keeping.control.0];
            self.gpu.0.write(&self.storages[storage], offset as u64 * 4, &words, false)?;
            self.kept.ruled = words;
        }
        Ok(())
    }

    /// Makes what [`Executable::run_many`] needs: once.
    pub async fn prepare_many(&mut self) -> Result<()> {
        if self.is_prepared() { Ok(()) } else { self.prepare_keeping().await }
    }

    async fn prepare_keeping(&mut self) -> Result<()> {
        let device = &*self.gpu.0;
        let Some(launch) = self.kept.launch.as_ref().filter(|_| self.kept.bound.is_none()) else { return Ok(()) };
        let pipeline = device.pipelines.get(device, &[(&launch.module, &launch.bindings[..])]).await?.swap_remove(0);
        let group = device.scoped(|| bind(device, &self.storages, launch, &pipeline)).await?;
        self.kept.bound = Some((pipeline, group));
        Ok(())
    }

    /// Whether [`Executable::prepare_many`] has nothing more to do.
    pub fn is_prepared(&self) -> bool {
        self.repeats() || self.kept.bound.is_some() || self.kept.launch.is_none()
    }

    /// Runs the plan so many times, in as few submissions as is sensible, and keeps the results of one element of each run: see
    /// [`Executable::history`]. Does not wait for them, as [`Executable::run`]. [`Executable::prepare_many`] comes first.
    pub fn run_many(&mut self, runs: usize) -> Result<()> {
        if !self.is_prepared() {
            return Err(Error::argument("run_many", "prepare_many has to be called first"));
        }
        self.run_each(runs, true)?;
        self.kept.count += runs as u64;
        Ok(())
    }

    /// As [`Executable::run_many`], keeping nothing; nothing has to be prepared.
    pub fn run_unkept(&mut self, runs: usize) -> Result<()> {
        self.run_each(runs, false)
    }

    fn run_each(&mut self, runs: usize, keep: bool) -> Result<()> {
        if let Some(most) = self.most_runs() {
            let mut whole = runs / most as usize;
            while whole > 0 {
                let launches = whole.min(REPEATED);
                self.rule(most, keep)?;
                self.submit("many steps", u64::from(most) * launches as u64, |this, pass| {
                    this.set(pass, 0);
                    (0..launches).for_each(|_| pass.dispatch_workgroups(1, 1, 1));
                    launches
                })?;
                whole -= launches;
            }
            let rest = (runs % most as usize) as u32;
            if rest > 0 {
                self.rule(rest, keep)?;
                self.submit("many steps", u64::from(rest), |this, pass| {
                    this.dispatch(pass, 0);
                    1
                })?;
            }
            return Ok(());
        }
        let each = self.launches.len() + usize::from(keep && self.kept.bound.is_some());
        let most = (DISPATCHES / each.max(1)).max(1);
        let mut left = if each == 0 { 0 } else { runs };
        while left > 0 {
            let now = left.min(most);
            self.submit("many steps", now as u64, |this, pass| {
                for _ in 0..now {
                    (0..this.launches.len()).for_each(|launch| this.dispatch(pass, launch));
                    if keep {
                        this.keep_in(pass);
                    }
                }
                now * each
            })?;
            left -= now;
        }
        Ok(())
    }

    /// Keeps the results of one element of the run before, which was not done by [`Executable::run_many`].
    pub async fn keep(&mut self) -> Result<()> {
        self.prepare_keeping().await?;
        self.submit("keep", 0, |this, pass| {
            this.keep_in(pass);
            1
        })?;
        self.kept.count += 1;
        Ok(())
    }

    fn keep_in(&self, pass: &mut wgpu::ComputePass<'_>) {
        if let Some((pipeline, group)) = &self.kept.bound {
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
    }

    /// An output of one element after each run that was kept since this was last asked for that output, in order, as one axis. Waits for
    /// the runs.
    ///
    /// Fails where the output has more or fewer elements, and where more than [`HISTORY`] runs were kept since; the oldest are then lost,
    /// and asked again it gives the last [`HISTORY`].
    pub async fn history(&mut self, output: usize) -> Result<Array> {
        let Some(&id) = self.plan.outputs.get(output) else {
            return Err(Error::argument("output", format!("there is no output {output}, the step has {}", self.plan.outputs.len())));
        };
        let buffer = &self.plan.buffers[id.0];
        let Some(&(_, ring)) = self.kept.keeping.rings.iter().find(|(scalar, _)| *scalar == id) else {
            let shape = noyau_tensor::Shape::from(&buffer.shape[..]);
            return Err(Error::argument("output", format!("output {output} is {shape}, only outputs of one element are kept")));
        };
        if self.kept.launch.is_none() {
            let device = self.gpu.info().to_string();
            return Err(Error::Device {
                device,
                message: "the step's scalars lie in more buffers than a kernel binds here: none are kept".into(),
            });
        }
        let (end, start) = (self.kept.count, self.kept.read[output]);
        let kept = HISTORY as u64;
        if end - start > kept {
            self.kept.read[output] = end - kept;
            return Err(lost(end - start));
        }
        let Home { storage, offset, half } = self.homes[ring.0];
        let device = &*self.gpu.0;
        let mut words = Vec::with_capacity((end - start) as usize);
        let mut at = start;
        while at < end {
            // The ring may go on at its beginning.
            let (place, count) = (at % kept, (end - at).min(kept - at % kept));
            words.extend(device.read(&self.storages[storage], (offset as u64 + place) * 4, count as usize, half).await?);
            at += count;
        }
        self.kept.read[output] = end;
        Array::from_words([words.len()], buffer.dtype, words)
    }
}

/// The error for runs that were written over.
fn lost(runs: u64) -> Error {
    let message = format!(
        "{runs} runs were made since it was last read, the last {HISTORY} are kept: read it more often; reading it again gives those"
    );
    Error::argument("history", message)
}

//! From a plan to launches: texts, grids and bindings; nothing here touches a device.
//!
//! Kernels become phases in the variant that `choose` picks, and share launches in two ways, because launches are what small networks cost. Consecutive small
//! ones, all of whose values live in arenas, become one launch of one workgroup, one after the other with barriers between them. And loops that do not depend on
//! each other, such as an optimizer's updates of all parameters, become one launch side by side, each in its own workgroups.

use std::collections::HashMap;
use std::ops::Range;

use noyau_compile::Plan;
use noyau_compile::plan::{BufferId, Kernel, KernelKind};
use noyau_shaders::{Binding, Form, Layout, Module, Phase, Rows, Variant, Work, beside, matmul, merged, merged_iterations, rows, scatter};
use noyau_tensor::{DType, Error, Result};

use crate::choose::{Target, Tuning};

/// Where a buffer of a plan lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// The number of its storage.
    pub storage: usize,
    /// Its start, in words.
    pub offset: usize,
    /// Whether its elements take two bytes; it then begins its storage.
    pub half: bool,
}

/// One dispatch.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub module: Module,
    /// The storage of each binding, and how it is bound.
    pub storages: Vec<usize>,
    pub bindings: Vec<Binding>,
    /// Its phases' names.
    pub names: Vec<String>,
    /// The plan's kernels that it does, in order. A kernel of several phases may take several launches. Kernels that stand side by side may come earlier than in the plan.
    pub kernels: Vec<usize>,
}

/// The most loop turns of one invocation in a shared launch, over all its kernels.
const MERGED_TURNS: u64 = 4096;

/// A plan's kernels with all that lowering them needs.
pub(crate) struct Lowering<'a> {
    pub plan: &'a Plan,
    /// For each buffer.
    pub homes: &'a [Home],
    /// For each storage whether it is an arena.
    pub arenas: &'a [bool],
    pub target: &'a Target,
    pub tuning: &'a Tuning,
}

/// A launch in the making.
struct Pending {
    kernels: Vec<usize>,
    how: How,
    accesses: Vec<Access>,
}

/// How a launch's kernels share it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// One after the other in one workgroup.
    Merged,
    /// One kernel, which may take several launches.
    Alone,
    /// Side by side in workgroups of this size, or of any where all are items.
    Beside(Option<u32>),
}

/// A part of a storage, in words, that a kernel reads or writes.
struct Access {
    storage: usize,
    words: Range<usize>,
    write: bool,
}

impl Access {
    fn conflicts(&self, other: &Access) -> bool {
        let (a, b) = (&self.words, &other.words);
        self.storage == other.storage && (self.write || other.write) && a.start < b.end && b.start < a.end
    }
}

/// How a kernel is done.
#[derive(Clone, Copy)]
enum Choice {
    Rows(Rows),
    Matmul(Variant),
    Scatter,
}

impl Lowering<'_> {
    /// The launches, in order.
    pub fn launches(&self) -> Result<Vec<Launch>> {
        let mut pending: Vec<Pending> = Vec::new();
        for kernels in self.runs()? {
            let accesses: Vec<Access> = kernels.iter().flat_map(|&i| self.accesses(i)).collect();
            let how = match kernels[..] {
                [only] => self.beside(only)?,
                _ => How::Merged,
            };
            if let How::Beside(group) = how {
                // It may come as early as what it depends on lets it, with others that wait for no more.
                let conflict = |p: &Pending| p.accesses.iter().any(|a| accesses.iter().any(|b| a.conflicts(b)));
                let first = pending.iter().rposition(conflict).map_or(0, |last| last + 1);
                if let Some((found, group)) = pending[first..].iter_mut().find_map(|p| {
                    let both = self.together(p, &kernels, group)?;
                    Some((p, both))
                }) {
                    found.kernels.extend(kernels);
                    found.accesses.extend(accesses);
                    found.how = How::Beside(group);
                    continue;
                }
            }
            pending.push(Pending { kernels, how, accesses });
        }
        let mut launches = Vec::new();
        for Pending { kernels, how, .. } in &pending {
            match how {
                How::Merged => self.merge(kernels, &mut launches)?,
                How::Alone | How::Beside(_) => self.spread(kernels, &mut launches)?,
            }
        }
        Ok(launches)
    }

    /// The kernels in order, consecutive ones that share a workgroup together.
    fn runs(&self) -> Result<Vec<Vec<usize>>> {
        let mut runs: Vec<Vec<usize>> = Vec::new();
        // The loop turns of the last run, while it can still grow.
        let mut open: Option<u64> = None;
        for i in 0..self.plan.kernels.len() {
            let cost = self.merged_cost(i)?;
            if let (Some(turns), Some(cost), Some(run)) = (open, cost, runs.last_mut())
                && turns + cost <= MERGED_TURNS
                && run.len() < self.target.merged_kernels()
                && self.storages(run.iter().copied().chain([i])).len() <= self.target.max_bindings
            {
                run.push(i);
                open = Some(turns + cost);
            } else {
                runs.push(vec![i]);
                open = cost;
            }
        }
        Ok(runs)
    }

    /// Whether a kernel may stand beside others, and in which workgroups.
    fn beside(&self, i: usize) -> Result<How> {
        if self.tuning.merge == Some(false) || !matches!(self.plan.kernels[i].kind, KernelKind::Loop(_)) {
            return Ok(How::Alone);
        }
        let (choice, layout, _) = self.prepare(&[i])?;
        Ok(match self.phases(i, &choice[0], &layout)?[..] {
            [Phase { work: Work::Items(count), .. }] if count > 0 => How::Beside(None),
            [Phase { work: Work::Groups { count, size }, .. }] if count > 0 => How::Beside(Some(size)),
            _ => How::Alone,
        })
    }

    /// The workgroup's size if a launch can take these kernels too.
    fn together(&self, launch: &Pending, kernels: &[usize], group: Option<u32>) -> Option<Option<u32>> {
        let How::Beside(known) = launch.how else { return None };
        let fits = launch.kernels.len() + kernels.len() <= self.target.merged_kernels()
            && self.storages(launch.kernels.iter().chain(kernels).copied()).len() <= self.target.max_bindings;
        let both = known.or(group);
        (fits && group.is_none_or(|size| both == Some(size))).then_some(both)
    }

    /// What a kernel reads and writes.
    fn accesses(&self, i: usize) -> Vec<Access> {
        let kernel = &self.plan.kernels[i];
        let access = |buffer: BufferId, write: bool| {
            let Home { storage, offset, half } = self.homes[buffer.0];
            let len = self.plan.buffers[buffer.0].len();
            Access { storage, words: offset..offset + if half { len.div_ceil(2) } else { len }, write }
        };
        let reads = kernel.reads().into_iter().map(|b| access(b, false));
        reads.chain(kernel.writes().into_iter().map(|b| access(b, true))).collect()
    }

    /// How long an invocation of a shared launch would be at a kernel; `None` when it should not share one.
    fn merged_cost(&self, i: usize) -> Result<Option<u64>> {
        if self.tuning.merge == Some(false)
            || !self.storages([i]).iter().all(|&s| self.arenas[s])
            || self.storages([i]).len() > self.target.max_bindings
        {
            return Ok(None);
        }
        let (layout, _) = self.layout(&[i], &[]);
        let phases = self.phases(i, &self.merged_choice(i), &layout)?;
        let cost: Option<u64> = phases.iter().map(merged_iterations).sum();
        Ok(cost.filter(|&turns| turns <= self.target.merged_turns()))
    }

    /// Kernels one after the other in one workgroup.
    fn merge(&self, run: &[usize], launches: &mut Vec<Launch>) -> Result<()> {
        let (layout, storages) = self.layout(run, &[]);
        let mut phases = Vec::new();
        for &i in run {
            phases.extend(self.phases(i, &self.merged_choice(i), &layout)?);
        }
        phases.retain(|p| !p.work.is_empty());
        if !phases.is_empty() {
            launches.push(launch(merged(&phases, &layout), &layout, storages, &phases, run));
        }
        Ok(())
    }

    /// How kernels that have a launch to themselves, or share one side by side, are done, and the bindings of that launch.
    fn prepare(&self, kernels: &[usize]) -> Result<(Vec<Choice>, Layout, Vec<usize>)> {
        let mut choices = Vec::with_capacity(kernels.len());
        let mut vec4 = Vec::new();
        for &i in kernels {
            choices.push(match &self.plan.kernels[i].kind {
                KernelKind::Loop(l) => {
                    Choice::Rows(self.tuning.rows.filter(|_| !l.inner.is_empty()).unwrap_or_else(|| self.target.rows(l)))
                }
                KernelKind::Matmul(m) => {
                    let variant = self.tuning.matmul.unwrap_or_else(|| self.target.matmul(m));
                    let [a, b] = variant.reads_vec4(m);
                    vec4.extend([(a, m.a.buffer), (b, m.b.buffer)].into_iter().filter(|v| v.0).map(|v| v.1));
                    Choice::Matmul(variant)
                }
                KernelKind::Scatter(_) => Choice::Scatter,
            });
        }
        let (layout, storages) = self.layout(kernels, &vec4);
        if storages.len() > self.target.max_bindings {
            let Kernel { name, location, .. } = &self.plan.kernels[kernels[0]];
            return Err(Error::Device {
                device: self.target.name.clone(),
                message: format!(
                    "kernel {name} ({}:{}) binds {} buffers, this device binds {}",
                    location.file(),
                    location.line(),
                    storages.len(),
                    self.target.max_bindings
                ),
            });
        }
        Ok((choices, layout, storages))
    }

    /// One kernel in launches of its own (mostly one), or several side by side in one.
    fn spread(&self, kernels: &[usize], launches: &mut Vec<Launch>) -> Result<()> {
        let (choices, layout, storages) = self.prepare(kernels)?;
        let mut phases = Vec::new();
        for (&i, choice) in kernels.iter().zip(&choices) {
            phases.extend(self.phases(i, choice, &layout)?.into_iter().filter(|p| !p.work.is_empty()));
        }
        // A kernel's own phases follow each other; those of several kernels are one each.
        let together = if kernels.len() == 1 { 1 } else { phases.len().max(1) };
        for phases in phases.chunks(together) {
            let items = phases.iter().map(|p| if let Work::Items(count) = p.work { count } else { 0 }).sum();
            let sizes = phases.iter().find_map(|p| if let Work::Groups { size, .. } = p.work { Some(size) } else { None });
            let group = sizes.unwrap_or_else(|| self.target.item_group(items));
            launches.push(launch(beside(phases, &layout, group)?, &layout, storages.clone(), phases, kernels));
        }
        Ok(())
    }

    fn merged_choice(&self, i: usize) -> Choice {
        match &self.plan.kernels[i].kind {
            KernelKind::Loop(l) => Choice::Rows(self.target.merged_rows(l)),
            KernelKind::Matmul(_) => Choice::Matmul(Variant::Registers { rows: 1, columns: 1 }),
            KernelKind::Scatter(_) => Choice::Scatter,
        }
    }

    fn phases(&self, i: usize, choice: &Choice, layout: &Layout) -> Result<Vec<Phase>> {
        let Kernel { name, kind, .. } = &self.plan.kernels[i];
        match (kind, choice) {
            (KernelKind::Loop(l), Choice::Rows(how)) => Ok(vec![rows(i, name, l, layout, *how)?]),
            (KernelKind::Matmul(m), Choice::Matmul(variant)) => Ok(vec![matmul(i, name, m, layout, *variant)?]),
            (KernelKind::Scatter(s), Choice::Scatter) => scatter(i, name, s, layout),
            (KernelKind::Loop(_) | KernelKind::Matmul(_) | KernelKind::Scatter(_), _) => {
                Err(Error::Internal(format!("kernel {name} got another kind's variant")))
            }
        }
    }

    /// The storages that kernels use, each once, in order of first use.
    fn storages(&self, kernels: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut storages = Vec::new();
        for buffer in kernels.into_iter().flat_map(|i| buffers(&self.plan.kernels[i])) {
            let storage = self.homes[buffer.0].storage;
            if !storages.contains(&storage) {
                storages.push(storage);
            }
        }
        storages
    }

    /// The bindings of a launch of these kernels; buffers in `vec4` are bound so where that is possible.
    fn layout(&self, kernels: &[usize], vec4: &[BufferId]) -> (Layout, Vec<usize>) {
        let storages = self.storages(kernels.iter().copied());
        let mut layout = Layout::default();
        let mut numbers = HashMap::new();
        let used: Vec<BufferId> = kernels.iter().flat_map(|&i| buffers(&self.plan.kernels[i])).collect();
        let written: Vec<usize> = kernels.iter().flat_map(|&i| self.plan.kernels[i].writes()).map(|b| self.homes[b.0].storage).collect();
        for &storage in &storages {
            let mut types: Vec<DType> =
                used.iter().filter(|b| self.homes[b.0].storage == storage).map(|b| self.plan.buffers[b.0].dtype).collect();
            types.sort();
            types.dedup();
            let write = written.contains(&storage);
            let half = used.iter().any(|b| self.homes[b.0].storage == storage && self.homes[b.0].half);
            let form = match types[..] {
                _ if self.arenas[storage] => Form::Words,
                _ if half && !write && vec4.iter().any(|b| self.homes[b.0].storage == storage) => Form::HalfVec4,
                _ if half => Form::Half,
                // Parts of a vec4 must not be written by different invocations.
                [DType::F32 | DType::F16 | DType::BF16] if !write && vec4.iter().any(|b| self.homes[b.0].storage == storage) => Form::Vec4,
                [dtype] => Form::Typed(dtype),
                _ => Form::Words,
            };
            numbers.insert(storage, layout.bind(Binding { form, write }));
        }
        for buffer in used {
            let Home { storage, offset, .. } = self.homes[buffer.0];
            layout.place(buffer, self.plan.buffers[buffer.0].dtype, numbers[&storage], offset);
        }
        (layout, storages)
    }
}

fn buffers(kernel: &Kernel) -> Vec<BufferId> {
    kernel.reads().into_iter().chain(kernel.writes()).collect()
}

fn launch(module: Module, layout: &Layout, storages: Vec<usize>, phases: &[Phase], kernels: &[usize]) -> Launch {
    let names = phases.iter().map(|p| p.name.clone()).collect();
    Launch { module, storages, bindings: layout.bindings().to_vec(), names, kernels: kernels.to_vec() }
}

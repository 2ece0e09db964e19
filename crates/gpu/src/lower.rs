//! From a plan to launches: texts, grids and bindings; nothing here touches a device.
//!
//! Kernels become phases in the variant that `choose` picks, and share launches in two ways, because launches are what small networks cost. Consecutive small
//! ones, all of whose values live in arenas, become one launch of one workgroup, one after the other with barriers between them. And loops that do not depend on
//! each other, such as an optimizer's updates of all parameters, become one launch side by side, each in its own workgroups.

use std::collections::HashMap;
use std::ops::Range;

use noyau_compile::Plan;
use noyau_compile::plan::{BufferId, BufferKind, Kernel, KernelKind};
use noyau_shaders::{
    Binding, Form, Heads, Layout, MERGED_GROUP, Means, Module, Phase, Rows, Scratch, Variant, Work, attention, beside, in_turn, matmul,
    record, rows, scatter, turns,
};
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
    /// How many runs of the whole step it does at most, if it can do many.
    pub most_runs: Option<u32>,
}

/// The most loop turns of one invocation in a shared launch, over all its kernels.
const MERGED_TURNS: u64 = 4096;

/// The most loop turns of one invocation in a launch that does many runs. Lavapipe stops an invocation silently after 65,535, and drivers have watchdogs.
const REPEATED_TURNS: u64 = 50_000;

/// Buffers besides the plan's own, for runs that are done many at a time and kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    /// See [`noyau_shaders::Control`].
    pub control: BufferId,
    /// The plan's scalar results, and the ring of each.
    pub rings: Vec<(BufferId, BufferId)>,
}

impl Keeping {
    fn buffers(&self) -> Vec<BufferId> {
        self.rings.iter().flat_map(|&(scalar, ring)| [scalar, ring]).chain([self.control]).collect()
    }
}

/// A plan's kernels with all that lowering them needs.
pub(crate) struct Lowering<'a> {
    pub plan: &'a Plan,
    /// For each buffer.
    pub homes: &'a [Home],
    /// For each storage whether it is an arena.
    pub arenas: &'a [bool],
    pub target: &'a Target,
    pub tuning: &'a Tuning,
    /// What it takes to do many runs in one launch, where that is wanted.
    pub keeping: Option<&'a Keeping>,
    /// Memory for the parts of products' sums, where any product takes it.
    pub scratch: Option<BufferId>,
}

/// A launch in the making. One kernel may go either way; the second one decides.
struct Pending {
    kernels: Vec<usize>,
    /// Loop turns of an invocation, where the kernels can run one after the other in one workgroup.
    merged: Option<u64>,
    /// Where they can run side by side.
    beside: Option<Beside>,
    accesses: Vec<Access>,
}

/// The workgroups of kernels that stand side by side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Of any size: all are items.
    Items,
    /// Of this size.
    Groups(u32),
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
    /// With so many invocations at least.
    Scatter(u64),
    Attention(Heads),
}

impl Lowering<'_> {
    /// The launches, in order. Each kernel goes to the first launch that can take it after what it depends on, or into the same one after it.
    pub fn launches(&self) -> Result<Vec<Launch>> {
        let mut pending: Vec<Pending> = Vec::new();
        for i in 0..self.plan.kernels.len() {
            let new = Pending { kernels: vec![i], merged: self.merged_cost(i)?, beside: self.beside(i), accesses: self.accesses(i) };
            let last = pending.iter().rposition(|p| p.accesses.iter().any(|a| new.accesses.iter().any(|b| a.conflicts(b))));
            let both = (last.unwrap_or(0)..pending.len()).find_map(|at| {
                let (merged, beside) = self.together(&pending[at], &new, last == Some(at))?;
                Some((at, merged, beside))
            });
            match both {
                Some((at, merged, beside)) => {
                    let found = &mut pending[at];
                    found.kernels.push(i);
                    found.accesses.extend(new.accesses);
                    (found.merged, found.beside) = (merged, beside);
                }
                None => pending.push(new),
            }
        }
        if let ([Pending { kernels, merged: Some(_), .. }], Some(keeping)) = (&pending[..], self.keeping)
            && (kernels.len() > 1 || self.changes_states(kernels[0]))
            && let Some(launch) = self.repeat(kernels, keeping)?
        {
            return Ok(vec![launch]);
        }
        let mut launches = Vec::new();
        for Pending { kernels, merged, .. } in &pending {
            match kernels.len() {
                2.. if merged.is_some() => self.merge(kernels, &mut launches)?,
                _ => self.spread(kernels, &mut launches)?,
            }
        }
        Ok(launches)
    }

    /// How a launch would be shared if it took another kernel; `after`: the kernel depends on one that is there.
    fn together(&self, launch: &Pending, new: &Pending, after: bool) -> Option<(Option<u64>, Option<Beside>)> {
        let kernels = || launch.kernels.iter().chain(&new.kernels).copied();
        if kernels().count() > self.target.merged_kernels() {
            return None;
        }
        let fits = || self.storages(kernels()).len() <= self.target.max_bindings;
        if let (Some(turns), Some(more)) = (launch.merged, new.merged)
            && turns + more <= MERGED_TURNS
            && fits()
        {
            return Some((Some(turns + more), None));
        }
        let beside = match (launch.beside?, new.beside?) {
            (Beside::Items, other) | (other, Beside::Items) => other,
            (Beside::Groups(a), Beside::Groups(b)) if a == b => Beside::Groups(a),
            (Beside::Groups(_), Beside::Groups(_)) => return None,
        };
        (!after && fits()).then_some((None, Some(beside)))
    }

    /// Whether a kernel may stand beside others, and in which workgroups.
    fn beside(&self, i: usize) -> Option<Beside> {
        let KernelKind::Loop(l) = &self.plan.kernels[i].kind else { return None };
        let how = self.target.rows_by(l, self.tuning.rows);
        let way = if how.alone() { Beside::Items } else { Beside::Groups(how.group) };
        (self.tuning.merge != Some(false)).then_some(way)
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
        // A way that was asked for by hand is meant for every loop, a variant for every product.
        let by_hand = match self.plan.kernels[i].kind {
            KernelKind::Loop(_) => self.tuning.rows.is_some(),
            KernelKind::Matmul(_) => self.tuning.matmul.is_some(),
            KernelKind::Scatter(_) | KernelKind::Attention(_) => false,
        };
        if self.tuning.merge == Some(false)
            || by_hand
            || !self.storages([i]).iter().all(|&s| self.arenas[s])
            || self.storages([i]).len() > self.target.max_bindings
        {
            return Ok(None);
        }
        let (layout, _) = self.layout(&[i], &[]);
        let phases = self.phases(i, i, &self.merged_choice(i), &layout)?;
        let cost: Option<u64> = phases.iter().map(|p| turns(p, MERGED_GROUP)).sum();
        Ok(cost.filter(|&turns| turns <= self.target.merged_turns()))
    }

    /// Kernels one after the other in one workgroup.
    fn merge(&self, run: &[usize], launches: &mut Vec<Launch>) -> Result<()> {
        let (layout, storages) = self.layout(run, &[]);
        let mut phases = Vec::new();
        for &i in run {
            phases.extend(self.phases(i, i, &self.merged_choice(i), &layout)?);
        }
        phases.retain(|p| !p.work.is_empty());
        if !phases.is_empty() {
            launches.push(launch(in_turn(&phases, &layout, self.group(&phases), None), &layout, storages, &phases, run));
        }
        Ok(())
    }

    fn changes_states(&self, i: usize) -> bool {
        self.plan.kernels[i].writes().iter().any(|b| matches!(self.plan.buffers[b.0].kind, BufferKind::State(_)))
    }

    /// How many invocations do phases one after the other. Where shaders run on a CPU, some lanes at a time, lanes with nothing to do take as long as others, and so does the
    /// last turn of a loop, in which there is nothing left: few invocations for small phases, more for larger ones.
    fn group(&self, phases: &[Phase]) -> u32 {
        /// Lanes that such drivers do at a time; more or less on some.
        const LANES: u64 = 8;
        let cost = |group: u32| -> Option<u64> {
            let of = |phase: &Phase| {
                let Work::Items(count) = phase.work else { return None };
                let passes = if count <= u64::from(group) { 1 } else { count.div_ceil(u64::from(group)) + 1 };
                // A barrier takes something for each of them too.
                Some(u64::from(group).div_ceil(LANES) * (passes * (phase.iterations + 2) + 1))
            };
            phases.iter().map(of).sum()
        };
        let total = |group: u32| phases.iter().map(|p| turns(p, group)).sum::<Option<u64>>().unwrap_or(0);
        let mut best = MERGED_GROUP;
        if self.target.software {
            for group in [128, 64, 32, 16, 8] {
                if total(group) <= MERGED_TURNS && cost(group).zip(cost(best)).is_some_and(|(a, b)| a < b) {
                    best = group;
                }
            }
        }
        best
    }

    /// The whole step in one workgroup, as often as the host says; `None` where that is not possible.
    fn repeat(&self, run: &[usize], keeping: &Keeping) -> Result<Option<Launch>> {
        let (layout, storages) = self.layout_with(run, &[], Some(keeping), None);
        if storages.len() > self.target.max_bindings {
            return Ok(None);
        }
        let mut phases = Vec::new();
        for &i in run {
            phases.extend(self.phases(i, i, &self.merged_choice(i), &layout)?);
        }
        phases.retain(|p| !p.work.is_empty());
        let group = self.group(&phases);
        let Some(turns) = phases.iter().map(|p| turns(p, group)).sum::<Option<u64>>().filter(|_| !phases.is_empty()) else {
            return Ok(None);
        };
        let mut all = phases.clone();
        all.push(record(&layout, keeping.control, &keeping.rings, true));
        let mut launch = launch(in_turn(&all, &layout, group, Some(keeping.control)), &layout, storages, &phases, run);
        launch.most_runs = Some((REPEATED_TURNS / (turns + 1)).max(1) as u32);
        Ok(Some(launch))
    }

    /// A launch that keeps the scalars of the run before it; `None` where it would bind too much.
    pub fn record(&self, keeping: &Keeping) -> Result<Option<Launch>> {
        let (layout, storages) = self.layout_with(&[], &[], Some(keeping), None);
        if storages.len() > self.target.max_bindings {
            return Ok(None);
        }
        let phases = [record(&layout, keeping.control, &keeping.rings, false)];
        Ok(Some(launch(beside(&phases, &layout, 1)?, &layout, storages, &phases, &[])))
    }

    /// How kernels that have a launch to themselves, or share one side by side, are done, and the bindings of that launch.
    fn prepare(&self, kernels: &[usize]) -> Result<(Vec<Choice>, Layout, Vec<usize>)> {
        let mut choices = Vec::with_capacity(kernels.len());
        let mut vec4 = Vec::new();
        let mut parts = false;
        for &i in kernels {
            choices.push(match &self.plan.kernels[i].kind {
                KernelKind::Loop(l) => {
                    let how = self.target.rows_by(l, self.tuning.rows);
                    // Of other lengths a buffer of vectors would lack its end.
                    vec4.extend(how.vec4_buffers(l)?.into_iter().filter(|b| self.plan.buffers[b.0].len().is_multiple_of(4)));
                    Choice::Rows(how)
                }
                KernelKind::Matmul(m) => {
                    let variant = self.target.product(self.plan, m, self.tuning);
                    vec4.extend(variant.vec4(m, self.means()));
                    parts |= variant.parts() > 1;
                    Choice::Matmul(variant)
                }
                KernelKind::Scatter(_) => Choice::Scatter(self.target.scatter_items()),
                KernelKind::Attention(a) => {
                    vec4.extend(noyau_shaders::vec4_operands(a));
                    Choice::Attention(self.tuning.attention.unwrap_or_else(|| self.target.attention(a)))
                }
            });
        }
        let (layout, storages) = self.layout_with(kernels, &vec4, None, self.scratch.filter(|_| parts));
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
        // Numbered within the launch, so that equal launches have one text and are compiled once.
        for (number, (&i, choice)) in kernels.iter().zip(&choices).enumerate() {
            phases.extend(self.phases(number, i, choice, &layout)?.into_iter().filter(|p| !p.work.is_empty()));
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

    fn means(&self) -> Means {
        Means { subgroup: self.target.subgroup, scratch: self.scratch.map(Scratch), singles: self.target.singles }
    }

    fn merged_choice(&self, i: usize) -> Choice {
        match &self.plan.kernels[i].kind {
            KernelKind::Loop(l) => Choice::Rows(self.target.merged_rows(l)),
            KernelKind::Matmul(_) => Choice::Matmul(Variant::Registers { rows: 1, columns: 1 }),
            KernelKind::Scatter(_) => Choice::Scatter(u64::MAX),
            KernelKind::Attention(_) => Choice::Attention(Heads::Rows { rows: 1 }),
        }
    }

    /// A kernel's phases, whose functions bear a number.
    fn phases(&self, number: usize, i: usize, choice: &Choice, layout: &Layout) -> Result<Vec<Phase>> {
        let Kernel { name, kind, .. } = &self.plan.kernels[i];
        match (kind, choice) {
            (KernelKind::Loop(l), Choice::Rows(how)) => Ok(vec![rows(number, name, l, layout, *how)?]),
            (KernelKind::Matmul(m), Choice::Matmul(variant)) => matmul(number, name, m, layout, *variant, self.means()),
            (KernelKind::Scatter(s), Choice::Scatter(items)) => scatter(number, name, s, layout, *items),
            (KernelKind::Attention(a), Choice::Attention(heads)) => attention(number, name, a, layout, *heads),
            (KernelKind::Loop(_) | KernelKind::Matmul(_) | KernelKind::Scatter(_) | KernelKind::Attention(_), _) => {
                Err(Error::Internal(format!("kernel {name} got another kind's variant")))
            }
        }
    }

    /// The storages that kernels use, each once, in order of first use.
    fn storages(&self, kernels: impl IntoIterator<Item = usize>) -> Vec<usize> {
        self.storages_of(kernels.into_iter().flat_map(|i| buffers(&self.plan.kernels[i])))
    }

    /// As [`Lowering::storages`], of buffers.
    fn storages_of(&self, buffers: impl IntoIterator<Item = BufferId>) -> Vec<usize> {
        let mut storages = Vec::new();
        for buffer in buffers {
            let storage = self.homes[buffer.0].storage;
            if !storages.contains(&storage) {
                storages.push(storage);
            }
        }
        storages
    }

    /// The bindings of a launch of these kernels; buffers in `vec4` are bound so where that is possible.
    fn layout(&self, kernels: &[usize], vec4: &[BufferId]) -> (Layout, Vec<usize>) {
        self.layout_with(kernels, vec4, None, None)
    }

    /// As [`Lowering::layout`], for a launch that also keeps scalars, or parts of sums.
    fn layout_with(
        &self,
        kernels: &[usize],
        vec4: &[BufferId],
        keeping: Option<&Keeping>,
        scratch: Option<BufferId>,
    ) -> (Layout, Vec<usize>) {
        let mut kept = keeping.map(Keeping::buffers).unwrap_or_default();
        kept.extend(scratch);
        let used: Vec<BufferId> = kernels.iter().flat_map(|&i| buffers(&self.plan.kernels[i])).chain(kept).collect();
        let storages = self.storages_of(used.iter().copied());
        let mut layout = Layout::default();
        let mut numbers = HashMap::new();
        let stored = kernels.iter().flat_map(|&i| self.plan.kernels[i].writes());
        let stored = stored.chain(keeping.iter().flat_map(|k| k.rings.iter().map(|r| r.1).chain([k.control])));
        let written: Vec<BufferId> = stored.chain(scratch).collect();
        let storage_of = |b: &BufferId| self.homes[b.0].storage;
        for &storage in &storages {
            let mut types: Vec<DType> = used.iter().filter(|b| storage_of(b) == storage).map(|b| self.plan.buffers[b.0].dtype).collect();
            types.sort();
            types.dedup();
            let write = written.iter().any(|b| storage_of(b) == storage);
            // Parts of a vec4 must not be written by different invocations: what is written has to be written so always.
            let fours = vec4.iter().any(|b| storage_of(b) == storage)
                && written.iter().filter(|b| storage_of(b) == storage).all(|b| vec4.contains(b));
            let half = used.iter().any(|b| storage_of(b) == storage && self.homes[b.0].half);
            let form = match types[..] {
                _ if self.arenas[storage] => Form::Words,
                _ if half && fours => Form::HalfVec4,
                _ if half => Form::Half,
                [DType::F32 | DType::F16 | DType::BF16] if fours => Form::Vec4,
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
    Launch { module, storages, bindings: layout.bindings().to_vec(), names, kernels: kernels.to_vec(), most_runs: None }
}

//! From a plan to launches: texts, grids and bindings; nothing here touches a device.
//!
//! Kernels become phases in the variant that `choose` picks. Consecutive small ones, all of whose values live in arenas, share one launch of one
//! workgroup, with a barrier between phases: for a small network the launches are what costs.

use std::collections::HashMap;

use noyau_compile::Plan;
use noyau_compile::plan::{BufferId, Kernel, KernelKind};
use noyau_shaders::{Binding, Form, Layout, Module, Phase, Rows, Variant, matmul, merged, merged_iterations, rows, scatter, single};
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
    /// The plan's kernels that it does, in order. A kernel of several phases may take several launches.
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

/// How a kernel is done.
enum Choice {
    Rows(Rows),
    Matmul(Variant),
    Scatter,
}

impl Lowering<'_> {
    /// The launches, in order.
    pub fn launches(&self) -> Result<Vec<Launch>> {
        let mut launches = Vec::new();
        let mut run: Vec<usize> = Vec::new();
        let mut turns = 0;
        for i in 0..self.plan.kernels.len() {
            let cost = self.merged_cost(i)?;
            let fits = |cost: u64| {
                turns + cost <= MERGED_TURNS
                    && run.len() < self.target.merged_kernels()
                    && self.storages(run.iter().copied().chain([i])).len() <= self.target.max_bindings
            };
            match cost {
                Some(cost) if fits(cost) => {
                    turns += cost;
                    run.push(i);
                }
                Some(cost) => {
                    self.flush(&mut run, &mut launches)?;
                    turns = cost;
                    run.push(i);
                }
                None => {
                    self.flush(&mut run, &mut launches)?;
                    turns = 0;
                    self.alone(i, &mut launches)?;
                }
            }
        }
        self.flush(&mut run, &mut launches)?;
        Ok(launches)
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

    fn flush(&self, run: &mut Vec<usize>, launches: &mut Vec<Launch>) -> Result<()> {
        match run[..] {
            [] => {}
            [only] => self.alone(only, launches)?,
            _ => {
                let (layout, storages) = self.layout(run, &[]);
                let mut phases = Vec::new();
                for &i in run.iter() {
                    phases.extend(self.phases(i, &self.merged_choice(i), &layout)?);
                }
                phases.retain(|p| !p.work.is_empty());
                if !phases.is_empty() {
                    launches.push(launch(merged(&phases, &layout), &layout, storages, &phases, run));
                }
            }
        }
        run.clear();
        Ok(())
    }

    /// A kernel in launches of its own: mostly one.
    fn alone(&self, i: usize, launches: &mut Vec<Launch>) -> Result<()> {
        let kernel = &self.plan.kernels[i];
        let choice = match &kernel.kind {
            KernelKind::Loop(l) => Choice::Rows(self.tuning.rows.filter(|_| !l.inner.is_empty()).unwrap_or_else(|| self.target.rows(l))),
            KernelKind::Matmul(m) => Choice::Matmul(self.tuning.matmul.unwrap_or_else(|| self.target.matmul(m))),
            KernelKind::Scatter(_) => Choice::Scatter,
        };
        let vec4 = match (&choice, &kernel.kind) {
            (Choice::Matmul(variant), KernelKind::Matmul(m)) => {
                let [a, b] = variant.reads_vec4(m);
                [(a, m.a.buffer), (b, m.b.buffer)].into_iter().filter(|v| v.0).map(|v| v.1).collect()
            }
            _ => Vec::new(),
        };
        let (layout, storages) = self.layout(&[i], &vec4);
        if storages.len() > self.target.max_bindings {
            return Err(Error::Device {
                device: self.target.name.clone(),
                message: format!(
                    "kernel {} ({}:{}) binds {} buffers, this device binds {}",
                    kernel.name,
                    kernel.location.file(),
                    kernel.location.line(),
                    storages.len(),
                    self.target.max_bindings
                ),
            });
        }
        for phase in self.phases(i, &choice, &layout)?.into_iter().filter(|p| !p.work.is_empty()) {
            let items = match phase.work {
                noyau_shaders::Work::Items(count) => count,
                noyau_shaders::Work::Groups { .. } => 0,
            };
            launches.push(launch(
                single(&phase, &layout, self.target.item_group(items))?,
                &layout,
                storages.clone(),
                std::slice::from_ref(&phase),
                &[i],
            ));
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

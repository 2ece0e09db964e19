//! [`Loop`] kernels: maps, and rows with reductions.
//!
//! A row is walked as often as its reductions depend on each other (a softmax: maximum, then sum, then stores). What several passes need is
//! kept in variables where that is not too much, and else computed anew. One invocation walks a row alone, or `lanes` of them walk it
//! together and combine their parts, in an order that never changes. Where memory allows an invocation does four neighbours at a time: of a
//! row's elements, or of rows, which is also how maps are done.

mod combine;
mod kept;
mod names;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashSet;

use noyau_compile::Index;
use noyau_compile::plan::{Body, BufferId, Instr, Level, Loop, Store, ValueId};
use noyau_tensor::Result;

use self::combine::Reduction;
use self::walk::Walk;
use crate::body::{Printer, in_place, views};
use crate::four::Four;
use crate::place::{Axes, Reach};
use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How rows are shared out to invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rows {
    /// How many invocations work on a row: a power of two, at most `group`.
    pub lanes: u32,
    /// The size of a workgroup, where `lanes` is more than 1: a power of two.
    pub group: u32,
    /// Whether neighbouring invocations work on neighbouring rows (good where these are neighbours in memory), not on the same one.
    pub across: bool,
    /// Whether four neighbours are done at a time, where sizes and memory allow it.
    pub vec4: bool,
    /// How many words an invocation keeps from pass to pass, at most; what needs more is loaded and computed anew.
    pub keep: u32,
    /// The subgroups' size, where a row's invocations combine by subgroup operations (not `across`), not in workgroup memory.
    pub subgroup: Option<u32>,
}

impl Rows {
    /// One invocation a row.
    pub const ALONE: Rows = Rows { lanes: 1, group: 1, across: false, vec4: false, keep: 0, subgroup: None };

    /// Whether an invocation has a row for itself.
    pub fn alone(self) -> bool {
        self.lanes <= 1
    }

    /// Which neighbours are done four at a time: rows (0), or elements of a row (1).
    fn segment(self, kernel: &Loop, axes: &Axes) -> Option<usize> {
        if !self.vec4 {
            return None;
        }
        let candidates: &[usize] = match (kernel.inner.is_empty(), self.alone(), self.across) {
            (true, ..) | (_, false, true) => &[0],
            (_, false, false) => &[1],
            (_, true, _) => &[1, 0],
        };
        let gain = |segment: usize| {
            let four = Four::new(&kernel.body, axes, segment)?;
            // What is done one by one makes code longer and gains nothing.
            let pays = four.whole > 0 && four.apart <= four.whole.max(2) && kernel.body.values.len() <= MAX_VALUES;
            pays.then_some((segment, four.whole as isize - four.apart as isize))
        };
        let mut best: Option<(usize, isize)> = None;
        for found in candidates.iter().filter_map(|&s| gain(s)) {
            if best.is_none_or(|b| found.1 > b.1) {
                best = Some(found);
            }
        }
        best.map(|b| b.0)
    }

    /// The buffers that a kernel should reach as vectors of four: those that it loads or stores so, and stores in no other way.
    pub fn vec4_buffers(self, kernel: &Loop) -> Result<Vec<BufferId>> {
        let axes = axes(kernel)?;
        let body = &kernel.body;
        let Some((segment, four)) = self.segment(kernel, &axes).and_then(|s| Some((s, Four::new(body, &axes, s)?))) else {
            return Ok(Vec::new());
        };
        let whole = |index: &Index| axes.reach(index, four.coordinate) == Reach::Whole;
        let loaded = body.values.iter().enumerate().filter(|(i, _)| four.wide[*i]).filter_map(|(_, v)| match &v.instr {
            Instr::Load { operand, index } | Instr::Gather { operand, index, .. } if whole(index) => Some(*operand),
            _ => None,
        });
        let so = |s: &Store| whole(&s.index) && (segment == 0 || body.values[s.value.0].level == Level::Inner);
        let stored = body.stores.iter().filter(|&s| so(s)).map(|s| s.operand);
        let other: HashSet<usize> = body.stores.iter().filter(|&s| !so(s)).map(|s| s.operand).collect();
        Ok(loaded.chain(stored).filter(|o| !other.contains(o)).map(|o| body.operands[o]).collect())
    }
}

/// Bodies with more values than this are not done four at a time.
const MAX_VALUES: usize = 64;
/// The most steps of a row that are written out so that each can keep values.
const MAX_STEPS: usize = 16;
/// The most values that are written out so.
const MAX_WRITTEN: usize = 512;

fn axes(kernel: &Loop) -> Result<Axes> {
    let (outer, space) = (kernel.outer.len(), kernel.space());
    Axes::new(&space, &[0..outer, outer..space.len()], &views(&kernel.body))
}

/// The code of a loop kernel, as function `k<id>`.
pub fn rows(id: usize, name: &str, kernel: &Loop, layout: &Layout, rows: Rows) -> Result<Phase> {
    let axes = axes(kernel)?;
    let segment = rows.segment(kernel, &axes);
    let body = &kernel.body;
    let four = segment.and_then(|s| Four::new(body, &axes, s));
    let mut printer = Printer::new(body, layout, axes);
    printer.four = four;
    let count = kernel.outer.iter().product::<usize>() / if segment == Some(0) { 4 } else { 1 };
    let width = if segment == Some(1) { 4 } else { 1 };
    let length = kernel.inner.iter().product::<usize>() / width;
    let mut text = Text::body();
    begin(&mut printer, &mut text, count, segment == Some(0), rows);

    let plan = Passes::new(kernel, &printer);
    let lanes = rows.lanes.max(1) as usize;
    let steps = length.div_ceil(lanes);
    let keep = rows.keep > 0 && steps <= MAX_STEPS && {
        let kept = kept::passes(body, &plan.roots(body), true);
        let live = kept::live(&kept);
        let wide = if printer.four.is_some() { 4 } else { 1 };
        let written: usize = kept.iter().map(|p| p.computed.len() * steps).sum();
        live > 0 && live * wide * steps <= rows.keep as usize && written <= MAX_WRITTEN
    };
    let passes = kept::passes(body, &plan.roots(body), keep);
    let mut all: Vec<usize> = passes.iter().flat_map(|p| p.kept.iter().copied()).collect();
    all.sort_unstable();
    for i in all {
        for step in 0..steps {
            text.line(format!("var k{i}_{step}: {};", printer.value_type(ValueId(i))));
        }
    }
    let mut shared = Vec::new();
    let mut iterations = 1;
    for number in 0..=passes.len() {
        for i in (0..body.values.len()).filter(|&i| plan.needed[i] && plan.stages[i] == number && body.values[i].level == Level::Outer) {
            if !matches!(body.values[i].instr, Instr::Reduce(..)) {
                printer.value(&mut text, ValueId(i))?;
            }
        }
        let Some(pass) = passes.get(number) else { break };
        let reductions = plan.reductions(number);
        let walk = Walk { length, width, lanes, pass, reductions: &reductions, stores: plan.stores(number), keep };
        iterations += walk.print(&mut printer, &mut text)?;
        if rows.alone() {
            reductions.iter().for_each(|(i, ..)| text.line(format!("let v{i} = a{i};")));
        } else {
            combine::lanes(&mut text, &printer, &reductions, rows, &mut shared);
        }
    }
    let outer_stores = (0..body.stores.len()).filter(|s| !plan.inner_stores.contains(s));
    end(&mut printer, &mut text, outer_stores.collect(), rows)?;

    let function = format!("k{id}");
    let (head, work) = if rows.alone() {
        ("item: u32", Work::Items(count as u64))
    } else {
        let groups = (count as u64).div_ceil(u64::from(rows.group / rows.lanes));
        ("group: u32, lid: u32", Work::Groups { count: groups, size: rows.group })
    };
    let done = Rows { vec4: segment.is_some(), keep: if keep { rows.keep } else { 0 }, ..rows };
    let how = if done == Rows::ALONE { String::new() } else { format!(" [{done}]") };
    let code = format!("fn {function}({head}) {{\n{}}}\n", text.finish());
    Ok(Phase { name: format!("{name}{how}"), code, function, work, iterations, shared })
}

/// Which row an invocation works on, and as which of its lanes.
fn begin(printer: &mut Printer<'_>, text: &mut Text, count: usize, four: bool, rows: Rows) {
    let Rows { lanes, group, across, .. } = rows;
    let row = if rows.alone() {
        "item"
    } else {
        let per_group = group / lanes;
        let (lane, row) = if across {
            (format!("lid / {per_group}u"), format!("lid % {per_group}u"))
        } else {
            (format!("lid % {lanes}u"), format!("lid / {lanes}u"))
        };
        text.line(format!("let lane = {lane};"));
        text.line(format!("let local = {row};"));
        if (count as u64).is_multiple_of(u64::from(per_group)) {
            text.line(format!("let row = group * {per_group}u + local;"));
            text.line("let writes = true;");
        } else {
            // Barriers want all invocations: those without a row of their own do the last one's work, and write nothing.
            text.line(format!("let writes = group * {per_group}u + local < {count}u;"));
            text.line(format!("let row = min(group * {per_group}u + local, {}u);", count.saturating_sub(1)));
        }
        "row"
    };
    if four {
        text.line(format!("let first = {row} * 4u;"));
    }
    printer.axes.declare(text, 0, if four { "first" } else { row }, "c");
}

/// What is written once a row.
fn end(printer: &mut Printer<'_>, text: &mut Text, stores: Vec<usize>, rows: Rows) -> Result<()> {
    if !rows.alone() && !stores.is_empty() {
        if in_place(printer.body) {
            // The others may still have to read what lane 0 now overwrites.
            text.line("storageBarrier();");
        }
        text.open("if (writes && lane == 0u) {");
    }
    for &store in &stores {
        printer.store(text, store)?;
    }
    if !rows.alone() && !stores.is_empty() {
        text.close();
    }
    Ok(())
}

/// How often a row is walked, and what for.
struct Passes {
    /// For each value the number of passes that have to be over before it can be computed.
    stages: Vec<usize>,
    /// Whether a value is needed at all.
    needed: Vec<bool>,
    all_reductions: Vec<Reduction>,
    /// The stores of a row's elements, and the pass that does them.
    inner_stores: Vec<usize>,
    store_pass: Option<usize>,
    count: usize,
}

impl Passes {
    fn new(kernel: &Loop, printer: &Printer<'_>) -> Passes {
        let body = &kernel.body;
        let stages = stages(body);
        let needed = printer.needed(body.stores.iter().map(|s| s.value));
        let reduction = |i: usize| if let Instr::Reduce(op, a) = body.values[i].instr { Some((i, op, a)) } else { None };
        let all_reductions: Vec<Reduction> = (0..body.values.len()).filter(|&i| needed[i]).filter_map(reduction).collect();
        let reduce_passes = all_reductions.iter().map(|r| stages[r.0]).max().unwrap_or(0);
        let inner_stores: Vec<usize> =
            (0..body.stores.len()).filter(|&s| body.values[body.stores[s].value.0].level == Level::Inner).collect();
        // Stores may share the last reduction's pass: no later pass will read what they overwrite.
        let last_store = inner_stores.iter().map(|&s| stages[body.stores[s].value.0]).max();
        let store_pass = last_store.map(|stage| stage.max(reduce_passes.saturating_sub(1)));
        let count = reduce_passes.max(store_pass.map_or(0, |p| p + 1));
        Passes { stages, needed, all_reductions, inner_stores, store_pass, count }
    }

    fn reductions(&self, pass: usize) -> Vec<Reduction> {
        self.all_reductions.iter().filter(|r| self.stages[r.0] == pass + 1).copied().collect()
    }

    fn stores(&self, pass: usize) -> &[usize] {
        if self.store_pass == Some(pass) { &self.inner_stores } else { &[] }
    }

    /// What each pass is for.
    fn roots(&self, body: &Body) -> Vec<Vec<ValueId>> {
        let roots = |pass| {
            let stored = self.stores(pass).iter().map(|&s| body.stores[s].value);
            self.reductions(pass).iter().map(|r| r.2).chain(stored).collect()
        };
        (0..self.count).map(roots).collect()
    }
}

fn stages(body: &Body) -> Vec<usize> {
    let mut stages: Vec<usize> = Vec::with_capacity(body.values.len());
    for value in &body.values {
        let operands = value.instr.operands().iter().map(|v| stages[v.0]).max().unwrap_or(0);
        stages.push(operands + usize::from(matches!(value.instr, Instr::Reduce(..))));
    }
    stages
}

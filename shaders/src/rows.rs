//! [`Loop`] kernels: maps, and rows with reductions.
//!
//! A row is walked as often as its reductions depend on each other (a softmax: maximum, then sum, then stores), inner values being computed anew each
//! time. One invocation walks a row alone, or `lanes` of them walk it together and combine their parts in workgroup memory, in an order that never changes.

use noyau_compile::plan::{Instr, Level, Loop, ValueId};
use noyau_tensor::{DType, ReduceOp, Result};

use crate::body::{Printer, in_place, value_type, views};
use crate::ops::{combine, identity};
use crate::place::Axes;
use crate::text::Text;
use crate::{Layout, Phase, Shared, Work};

/// How rows are shared out to invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// How many invocations work on a row: a power of two, at most `group`.
    pub lanes: u32,
    /// The size of a workgroup, where `lanes` is more than 1: a power of two.
    pub group: u32,
    /// Whether neighbouring invocations work on neighbouring rows (good where these are neighbours in memory), not on the same one.
    pub across: bool,
}

impl Rows {
    /// One invocation a row.
    pub const ALONE: Rows = Rows { lanes: 1, group: 1, across: false };
}

/// How many times, at most, a loop's body is written out.
const UNROLL: usize = 4;
/// Bodies with more values than this are not written out several times.
const UNROLL_VALUES: usize = 48;

/// The code of a loop kernel, as function `k<id>`.
pub fn rows(id: usize, name: &str, kernel: &Loop, layout: &Layout, rows: Rows) -> Result<Phase> {
    let (outer, space) = (kernel.outer.len(), kernel.space());
    let axes = Axes::new(&space, &[0..outer, outer..space.len()], &views(&kernel.body))?;
    let count: usize = kernel.outer.iter().product();
    let length: usize = kernel.inner.iter().product();
    let mut printer = Printer::new(&kernel.body, layout, axes);
    let mut text = Text::body();
    let Rows { lanes, group, across } = rows;
    let alone = lanes <= 1;
    let per_group = if alone { 1 } else { group / lanes };
    if alone {
        printer.axes.declare(&mut text, 0, "item", "c");
    } else {
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
        printer.axes.declare(&mut text, 0, "row", "c");
    }

    let body = &kernel.body;
    let stages = stages(kernel);
    let needed = printer.needed(body.stores.iter().map(|s| s.value));
    let reductions: Vec<(usize, ReduceOp, ValueId)> = body
        .values
        .iter()
        .enumerate()
        .filter(|(i, _)| needed[*i])
        .filter_map(|(i, v)| if let Instr::Reduce(op, a) = v.instr { Some((i, op, a)) } else { None })
        .collect();
    let reduce_passes = reductions.iter().map(|r| stages[r.0]).max().unwrap_or(0);
    let inner_stores: Vec<usize> = (0..body.stores.len()).filter(|&s| body.values[body.stores[s].value.0].level == Level::Inner).collect();
    // Stores may share the last reduction's pass: no later pass will read what they overwrite.
    let last_store = inner_stores.iter().map(|&s| stages[body.stores[s].value.0]).max();
    let store_pass = last_store.map(|stage| stage.max(reduce_passes.saturating_sub(1)));
    let passes = reduce_passes.max(store_pass.map_or(0, |p| p + 1));

    let mut shared = Vec::new();
    let mut iterations = 1;
    for pass in 0..=passes {
        for i in (0..body.values.len()).filter(|&i| needed[i] && stages[i] == pass && body.values[i].level == Level::Outer) {
            if !matches!(body.values[i].instr, Instr::Reduce(..)) {
                printer.value(&mut text, ValueId(i))?;
            }
        }
        if pass == passes {
            break;
        }
        let reductions: Vec<_> = reductions.iter().filter(|r| stages[r.0] == pass + 1).copied().collect();
        let stores: &[usize] = if store_pass == Some(pass) { &inner_stores } else { &[] };
        let walk = Walk { length, lanes: lanes.max(1) as usize, reductions: &reductions, stores };
        iterations += walk.print(&mut printer, &mut text)?;
        for &(i, op, _) in &reductions {
            let dtype = body.values[i].dtype;
            if alone {
                text.line(format!("let v{i} = a{i}_0;"));
            } else {
                shared_tree(&mut text, i, op, dtype, rows);
                let variable = Shared { name: format!("shared_{dtype}"), element: value_type(stored(dtype)), len: group };
                if !shared.contains(&variable) {
                    shared.push(variable);
                }
            }
        }
    }
    let outer_stores: Vec<usize> = (0..body.stores.len()).filter(|s| !inner_stores.contains(s)).collect();
    if alone {
        for store in outer_stores {
            printer.store(&mut text, store)?;
        }
    } else if !outer_stores.is_empty() {
        if in_place(body) {
            // The others may still have to read what lane 0 now overwrites.
            text.line("storageBarrier();");
        }
        text.open("if (writes && lane == 0u) {");
        for store in outer_stores {
            printer.store(&mut text, store)?;
        }
        text.close();
    }

    let function = format!("k{id}");
    let (head, work, how) = if alone {
        ("item: u32", Work::Items(count as u64), String::new())
    } else {
        let groups = (count as u64).div_ceil(u64::from(per_group));
        (
            "group: u32, lid: u32",
            Work::Groups { count: groups, size: group },
            format!(" [{lanes} lanes a row{}]", if across { ", across" } else { "" }),
        )
    };
    let code = format!("fn {function}({head}) {{\n{}}}\n", text.finish());
    Ok(Phase { name: format!("{name}{how}"), code, function, work, iterations, shared })
}

/// For each value the number of passes over the row that have to be over before it can be computed.
fn stages(kernel: &Loop) -> Vec<usize> {
    let mut stages: Vec<usize> = Vec::with_capacity(kernel.body.values.len());
    for value in &kernel.body.values {
        let operands = value.instr.operands().iter().map(|v| stages[v.0]).max().unwrap_or(0);
        stages.push(operands + usize::from(matches!(value.instr, Instr::Reduce(..))));
    }
    stages
}

/// The type in which workgroup memory holds a value.
fn stored(dtype: DType) -> DType {
    if dtype == DType::Bool { DType::U32 } else { dtype }
}

/// Lanes' parts combined: halves onto halves, the result back to every lane.
fn shared_tree(text: &mut Text, id: usize, op: ReduceOp, dtype: DType, rows: Rows) {
    let Rows { lanes, group, across } = rows;
    let per_group = group / lanes;
    let step = if across { per_group } else { 1 };
    let name = format!("shared_{dtype}");
    let (write, read) = if dtype == DType::Bool { ("u32", "0u != ") } else { ("", "") };
    text.line(format!("{name}[lid] = {write}(a{id}_0);"));
    text.line("workgroupBarrier();");
    let mut half = lanes / 2;
    while half > 0 {
        let sum = combine(op, dtype, &format!("({read}{name}[lid])"), &format!("({read}{name}[lid + {}u])", half * step));
        text.line(format!("if (lane < {half}u) {{ {name}[lid] = {write}({sum}); }}"));
        text.line("workgroupBarrier();");
        half /= 2;
    }
    let first = if across { "local".to_string() } else { format!("local * {lanes}u") };
    text.line(format!("let v{id} = ({read}{name}[{first}]);"));
    text.line("workgroupBarrier();");
}

/// One pass over a row.
struct Walk<'a> {
    length: usize,
    lanes: usize,
    reductions: &'a [(usize, ReduceOp, ValueId)],
    stores: &'a [usize],
}

impl Walk<'_> {
    /// Writes it; accumulators end in `a<id>_0`. Returns how often the loop runs.
    fn print(&self, printer: &mut Printer<'_>, text: &mut Text) -> Result<u64> {
        let body = printer.body;
        let roots = self.reductions.iter().map(|r| r.2).chain(self.stores.iter().map(|&s| body.stores[s].value));
        let inner = printer.needed_inner(roots);
        let turns = self.length / self.lanes;
        let copies = if inner.len() > UNROLL_VALUES { 1 } else { turns.clamp(1, UNROLL) };
        for &(i, op, _) in self.reductions {
            let dtype = body.values[i].dtype;
            for copy in 0..copies {
                text.line(format!("var a{i}_{copy}: {} = {};", value_type(dtype), identity(op, dtype)));
            }
        }
        let rest = turns % copies;
        let (whole, step) = (turns - rest, self.lanes * copies);
        let place = |turn: usize| if self.lanes == 1 { format!("{turn}u") } else { format!("lane + {}u", turn * self.lanes) };
        if whole > copies {
            text.open(format!("for (var t = 0u; t < {}u; t += {step}u) {{", whole * self.lanes));
            for copy in 0..copies {
                let lane = if self.lanes == 1 { "t".to_string() } else { "t + lane".to_string() };
                let at = if copy == 0 { lane } else { format!("{lane} + {}u", copy * self.lanes) };
                self.block(printer, text, &inner, &at, copy, "")?;
            }
            text.close();
        } else {
            for copy in 0..whole {
                self.block(printer, text, &inner, &place(copy), copy, "")?;
            }
        }
        for copy in 0..rest {
            self.block(printer, text, &inner, &place(whole + copy), copy, "")?;
        }
        if !self.length.is_multiple_of(self.lanes) {
            self.block(printer, text, &inner, &place(turns), 0, &format!("if (lane < {}u) ", self.length % self.lanes))?;
        }
        for &(i, op, _) in self.reductions {
            for copy in 1..copies {
                text.line(format!("a{i}_0 = {};", combine(op, body.values[i].dtype, &format!("a{i}_0"), &format!("a{i}_{copy}"))));
            }
        }
        Ok(if whole > copies { (whole / copies) as u64 } else { 0 })
    }

    /// The body at one place of the row.
    fn block(&self, printer: &mut Printer<'_>, text: &mut Text, inner: &[usize], at: &str, copy: usize, guard: &str) -> Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        printer.new_block();
        text.open(format!("{guard}{{"));
        text.line(format!("let at = {at};"));
        printer.axes.declare(text, 1, "at", "n");
        for &i in inner {
            printer.value(text, ValueId(i))?;
        }
        for &(i, op, a) in self.reductions {
            text.line(format!(
                "a{i}_{copy} = {};",
                combine(op, printer.body.values[i].dtype, &format!("a{i}_{copy}"), &format!("v{}", a.0))
            ));
        }
        if !self.stores.is_empty() {
            if self.lanes > 1 {
                text.open("if (writes) {");
            }
            for &store in self.stores {
                printer.store(text, store)?;
            }
            if self.lanes > 1 {
                text.close();
            }
        }
        text.close();
        Ok(())
    }
}

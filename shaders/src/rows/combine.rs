//! What the invocations of a row have found, put together, in an order that never changes.

use noyau_compile::plan::ValueId;
use noyau_tensor::{DType, ReduceOp};

use super::Rows;
use crate::Shared;
use crate::body::Printer;
use crate::four::type4;
use crate::ops::{combine, type_name};
use crate::text::Text;

/// The most words of workgroup memory for reductions of one type that end together: a quarter of what every device has, as kernels reduce
/// values of several types.
const WORDS: u32 = 1024;

/// A reduction: the value, how, and of what.
pub(super) type Reduction = (usize, ReduceOp, ValueId);

/// `a<id>` of all of a row's invocations as `v<id>`, the same in each.
pub(super) fn lanes(text: &mut Text, printer: &Printer<'_>, reductions: &[Reduction], rows: Rows, shared: &mut Vec<Shared>) {
    if let Some(size @ 2..) = rows.subgroup.filter(|&size| !rows.across && rows.group.is_multiple_of(size)) {
        return subgroups(text, printer, reductions, rows, size, shared);
    }
    let mut rest = reductions;
    while !rest.is_empty() {
        // Reductions that end together share barriers, as far as memory goes.
        let mut words = 0;
        let fits = rest.iter().take_while(|r| {
            words += if printer.wide(ValueId(r.0)) { 4 } else { 1 } * rows.group;
            words <= WORDS
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        tree(text, printer, now, rows, shared);
        rest = later;
    }
}

/// The part of workgroup memory that a reduction uses.
struct Part {
    name: String,
    start: u32,
    /// How a value becomes what is stored, and back.
    write: String,
    dtype: DType,
    wide: bool,
}

impl Part {
    fn read(&self, place: &str) -> String {
        let at = format!("{}[{}]", self.name, shifted(place, self.start));
        match (self.dtype, self.wide) {
            (DType::Bool, true) => format!("({at} != vec4<u32>(0u))"),
            (DType::Bool, false) => format!("({at} != 0u)"),
            _ => at,
        }
    }

    fn write(&self, place: &str, value: &str) -> String {
        format!("{}[{}] = {}({value});", self.name, shifted(place, self.start), self.write)
    }
}

fn shifted(place: &str, start: u32) -> String {
    if start == 0 { place.into() } else { format!("{place} + {start}u") }
}

/// Room for `count` values of each reduction.
fn parts(printer: &Printer<'_>, reductions: &[Reduction], count: u32, shared: &mut Vec<Shared>) -> Vec<Part> {
    let mut used: Vec<(String, u32)> = Vec::new();
    let mut parts = Vec::new();
    for &(i, ..) in reductions {
        let dtype = printer.body.values[i].dtype;
        let wide = printer.wide(ValueId(i));
        let stored = if dtype == DType::Bool { DType::U32 } else { dtype };
        let name = format!("shared_{}{}", type_name(stored), if wide { "x4" } else { "" });
        let start = used.iter().filter(|u| u.0 == name).map(|u| u.1).sum();
        used.push((name.clone(), count));
        let write = match (dtype, wide) {
            (DType::Bool, true) => "vec4<u32>".into(),
            (DType::Bool, false) => "u32".into(),
            _ => String::new(),
        };
        let element = match (stored, wide) {
            (DType::I32, true) => "vec4<i32>",
            (DType::U32 | DType::Bool, true) => "vec4<u32>",
            (DType::F32 | DType::F16 | DType::BF16, true) => "vec4<f32>",
            (_, false) => type_name(stored),
        };
        match shared.iter_mut().find(|s| s.name == name) {
            Some(known) => known.len = known.len.max(start + count),
            None => shared.push(Shared { name: name.clone(), element, len: start + count }),
        }
        parts.push(Part { name, start, write, dtype, wide });
    }
    parts
}

/// Halves onto halves in workgroup memory, the result back to every lane.
fn tree(text: &mut Text, printer: &Printer<'_>, reductions: &[Reduction], rows: Rows, shared: &mut Vec<Shared>) {
    let Rows { lanes, group, across, .. } = rows;
    let step = if across { group / lanes } else { 1 };
    let parts = parts(printer, reductions, group, shared);
    for (part, (i, ..)) in parts.iter().zip(reductions) {
        text.line(part.write("lid", &format!("a{i}")));
    }
    text.line("workgroupBarrier();");
    let mut half = lanes / 2;
    while half > 0 {
        let one = |(part, &(_, op, _)): (&Part, &Reduction)| {
            let sum = combine(op, part.dtype, &part.read("lid"), &part.read(&format!("lid + {}u", half * step)));
            part.write("lid", &sum)
        };
        let sums: Vec<String> = parts.iter().zip(reductions).map(one).collect();
        text.line(format!("if (lane < {half}u) {{ {} }}", sums.join(" ")));
        text.line("workgroupBarrier();");
        half /= 2;
    }
    let first = if across { "local".to_string() } else { format!("local * {lanes}u") };
    for (part, (i, ..)) in parts.iter().zip(reductions) {
        text.line(format!("let v{i} = {};", part.read(&first)));
    }
    text.line("workgroupBarrier();");
}

/// Within subgroups of `size` first, without barriers, then what they found, if a row has several.
fn subgroups(text: &mut Text, printer: &Printer<'_>, reductions: &[Reduction], rows: Rows, size: u32, shared: &mut Vec<Shared>) {
    let Rows { lanes, group, .. } = rows;
    let several = lanes > size;
    for &(i, op, _) in reductions {
        let dtype = printer.body.values[i].dtype;
        let wide = printer.wide(ValueId(i));
        let bits = |name: String| match (dtype, wide) {
            (DType::Bool, true) => format!("vec4<u32>({name})"),
            (DType::Bool, false) => format!("u32({name})"),
            _ => name,
        };
        text.line(format!("var s{i} = {};", bits(format!("a{i}"))));
        if lanes >= size {
            let function = match (op, dtype) {
                (ReduceOp::Sum | ReduceOp::Max, DType::Bool) | (ReduceOp::Max, _) => "subgroupMax",
                (ReduceOp::Prod | ReduceOp::Min, DType::Bool) | (ReduceOp::Min, _) => "subgroupMin",
                (ReduceOp::Sum, _) => "subgroupAdd",
                (ReduceOp::Prod, _) => "subgroupMul",
            };
            text.line(format!("s{i} = {function}(s{i});"));
        } else {
            let op = match (op, dtype) {
                (ReduceOp::Sum, DType::Bool) => ReduceOp::Max,
                (ReduceOp::Prod, DType::Bool) => ReduceOp::Min,
                _ => op,
            };
            let stored = if dtype == DType::Bool { DType::U32 } else { dtype };
            let mut half = lanes / 2;
            while half > 0 {
                text.line(format!("s{i} = {};", combine(op, stored, &format!("s{i}"), &format!("subgroupShuffleXor(s{i}, {half}u)"))));
                half /= 2;
            }
        }
        if !several {
            text.line(match (dtype, wide) {
                (DType::Bool, true) => format!("let v{i} = (s{i} != vec4<u32>(0u));"),
                (DType::Bool, false) => format!("let v{i} = (s{i} != 0u);"),
                _ => format!("let v{i} = s{i};"),
            });
        }
    }
    if several {
        let parts = parts(printer, reductions, group / size, shared);
        let writes: Vec<String> = parts
            .iter()
            .zip(reductions)
            .map(|(part, (i, ..))| format!("{}[{}] = s{i};", part.name, shifted(&format!("lid / {size}u"), part.start)))
            .collect();
        text.line(format!("if (lid % {size}u == 0u) {{ {} }}", writes.join(" ")));
        text.line("workgroupBarrier();");
        let each = lanes / size;
        for (part, &(i, op, _)) in parts.iter().zip(reductions) {
            let place = |j: u32| if lanes == group { format!("{j}u") } else { format!("local * {each}u + {j}u") };
            let sum = (1..each).fold(part.read(&place(0)), |sum, j| combine(op, part.dtype, &sum, &part.read(&place(j))));
            text.line(format!("let v{i} = {sum};"));
        }
        text.line("workgroupBarrier();");
    }
}

/// One value out of four.
pub(super) fn four(op: ReduceOp, dtype: DType, name: &str) -> String {
    let pair = |a: &str, b: &str| combine(op, dtype, &format!("{name}.{a}"), &format!("{name}.{b}"));
    combine(op, dtype, &pair("x", "y"), &pair("z", "w"))
}

/// The value that a reduction of four begins with.
pub(super) fn splat(dtype: DType, value: &str) -> String {
    format!("{}({value})", type4(dtype))
}

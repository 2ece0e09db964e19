//! Products with few rows or few columns: what they cost is reading the larger operand, once. A workgroup's invocations stand 8 along that operand's own
//! axis and 32 along the sum, so that neighbours read neighbours whichever way it lies in memory, and add up what they have at the end, in a fixed order.

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::clamped;
use super::epilogue::epilogue;
use super::slice::{Slice, slices};
use crate::text::{Text, all};
use crate::{Layout, Phase, Shared, Work};

/// Invocations of a workgroup.
pub(super) const GROUP: usize = WIDE * SUM;
/// Invocations along the larger operand's own axis.
const WIDE: usize = 8;
/// Invocations along the sum.
const SUM: usize = 32;
/// Steps (or fours of steps) of the sum that a loop's turn takes.
const UNROLL: usize = 4;
/// From one place along the sum to the next in workgroup memory, where sums are single numbers: odd, so that neighbours are in different banks.
const PITCH: usize = WIDE + 1;

/// Bytes of workgroup memory, at most.
pub(super) fn shared_bytes(count: usize) -> usize {
    (count.min(4) * GROUP * 16).max(count * SUM * PITCH * 4)
}

/// The operand with few rows (columns), then the other.
fn sides(kernel: &Matmul) -> [Slice<'_>; 2] {
    let [a, b] = slices(kernel);
    if kernel.m <= kernel.n { [a, b] } else { [b, a] }
}

/// Whether each operand is read four neighbours at a time.
pub(super) fn reads_vec4(kernel: &Matmul) -> [bool; 2] {
    let [few, many] = sides(kernel);
    let many_fours = many.reads_vec4(kernel.k);
    let few_fours = many_fours && many.along_l() && few.along_l() && few.reads_vec4(kernel.k);
    if kernel.m <= kernel.n { [few_fours, many_fours] } else { [many_fours, few_fours] }
}

pub(super) fn phase(id: usize, name: &str, kernel: &Matmul, layout: &Layout, count: usize) -> Result<Phase> {
    let [few, many] = sides(kernel);
    let k = kernel.k;
    let along = many.along_l();
    let fours = many.reads_vec4(k);
    // Across the sum an invocation has four places of the larger operand, along it one.
    let held = if along { 1 } else { 4 };
    let width = WIDE * held;
    let count = count.min(few.size.max(1));
    let (tiles_few, tiles_many) = (few.size.div_ceil(count), many.size.div_ceil(width));
    let groups = kernel.batch.iter().product::<usize>() * tiles_few * tiles_many;
    let mut text = Text::body();
    text.line(format!("let z = group / {}u;", (tiles_few * tiles_many).max(1)));
    text.line(format!("let {} = ((group / {}u) % {}u) * {count}u;", few.start, tiles_many.max(1), tiles_few.max(1)));
    text.line(format!("let {} = (group % {}u) * {width}u;", many.start, tiles_many.max(1)));
    if along {
        text.line(format!("let at_l = lid % {SUM}u;"));
        text.line(format!("let at_x = lid / {SUM}u;"));
    } else {
        text.line(format!("let at_l = lid / {WIDE}u;"));
        text.line(format!("let at_x = lid % {WIDE}u;"));
    }
    few.declare(&mut text);
    many.declare(&mut text);
    for r in 0..count {
        few.position(&mut text, &format!("pf{r}"), &clamped(few.start, r, few.size, count));
    }
    // A place along the larger operand's axis, of those that an invocation has: four in a row where they are loaded together, else as neighbours of its neighbours'.
    let place = |c: usize| match (along, fours) {
        (true, _) => format!("{} + at_x", many.start),
        (false, true) => format!("{} + at_x * 4u + {c}u", many.start),
        (false, false) => format!("{} + at_x + {}u", many.start, c * WIDE),
    };
    let inside = many.size.is_multiple_of(width);
    for c in 0..if fours { 1 } else { held } {
        let last = many.size.saturating_sub(if fours && !along { 4 } else { 1 });
        let at = if inside { format!("({})", place(c)) } else { format!("min({}, {last}u)", place(c)) };
        many.position(&mut text, &format!("pm{c}"), &at);
    }
    let vectors = fours || !along;
    for r in 0..count {
        text.line(if vectors { format!("var s{r} = vec4<f32>();") } else { format!("var s{r} = 0f;") });
    }
    let unit = if along && fours { 4 } else { 1 };
    let step = |text: &mut Text, at: &str| {
        text.open("{");
        text.line(if unit == 1 { format!("let l = {at};") } else { format!("let l = ({at}) * 4u;") });
        many.sum(text, "qm", "l");
        few.sum(text, "qf", "l");
        if fours {
            text.line(format!("let x = {};", many.at4(layout, "pm0", "qm")));
        } else if along {
            text.line(format!("let x = {};", many.at(layout, "pm0", "qm")));
        } else {
            let part = |c: usize| many.at(layout, &format!("pm{c}"), "qm");
            text.line(format!("let x = vec4<f32>({}, {}, {}, {});", part(0), part(1), part(2), part(3)));
        }
        if unit == 4 && !few_by_fours(&few, k) {
            (1..4).for_each(|u| few.sum(text, &format!("qf{u}_"), &format!("(l + {u}u)")));
        }
        for r in 0..count {
            let position = format!("pf{r}");
            let y = if unit == 1 {
                few.at(layout, &position, "qf")
            } else if few_by_fours(&few, k) {
                few.at4(layout, &position, "qf")
            } else {
                let part = |u: usize| few.at(layout, &position, &format!("qf{u}_"));
                format!("vec4<f32>({}, {}, {}, {})", few.at(layout, &position, "qf"), part(1), part(2), part(3))
            };
            let y = if unit == 1 && vectors { format!("vec4<f32>({y})") } else { y };
            text.line(format!("s{r} = fma({y}, x, s{r});"));
        }
        text.close();
    };
    let units = k / unit;
    let turns = units / (SUM * UNROLL);
    if turns > 0 {
        let stride = SUM * UNROLL;
        text.open(format!("for (var t = 0u; t < {}u; t += {stride}u) {{", turns * stride));
        (0..UNROLL).for_each(|u| step(&mut text, &format!("t + at_l + {}u", u * SUM)));
        text.close();
    }
    for at in (turns * SUM * UNROLL..units).step_by(SUM) {
        let left = units - at;
        if left < SUM {
            text.open(format!("if (at_l < {left}u) {{"));
        }
        step(&mut text, &format!("at_l + {at}u"));
        if left < SUM {
            text.close();
        }
    }
    let shared = if along {
        add_along(&mut text, id, kernel, count, vectors);
        Shared { name: "shared_along".into(), element: "f32", len: (count * SUM * PITCH) as u32 }
    } else {
        let places: Vec<String> = (0..4).map(place).collect();
        add_across(&mut text, id, kernel, count, &places);
        Shared { name: "shared_across".into(), element: "vec4<f32>", len: (count.min(4) * GROUP) as u32 }
    };
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", epilogue(id, kernel, layout)?, text.finish());
    Ok(Phase {
        name: format!("{name} [vector-{count}]"),
        code,
        function,
        work: Work::Groups { count: groups as u64, size: GROUP as u32 },
        iterations: (turns + SUM) as u64,
        shared: vec![shared],
    })
}

fn few_by_fours(few: &Slice<'_>, k: usize) -> bool {
    few.along_l() && few.reads_vec4(k)
}

/// Calls the body for one result, if it is inside of the product: row `r` of the few, place `x` of the many.
fn call(text: &mut Text, id: usize, kernel: &Matmul, count: usize, width: usize, x: &str) {
    let [few, many] = sides(kernel);
    text.line(format!("let few = {} + r;", few.start));
    text.line(format!("let many = {x};"));
    let mut conditions = Vec::new();
    if !few.size.is_multiple_of(count) {
        conditions.push(format!("few < {}u", few.size));
    }
    if !many.size.is_multiple_of(width) {
        conditions.push(format!("many < {}u", many.size));
    }
    let guard = if conditions.is_empty() { String::new() } else { format!("if ({}) ", all(&conditions)) };
    let (i, j) = if kernel.m <= kernel.n { ("few", "many") } else { ("many", "few") };
    text.line(format!("{guard}{{ e{id}(z, {i}, {j}, sum); }}"));
}

/// Adds up single sums.
fn add_along(text: &mut Text, id: usize, kernel: &Matmul, count: usize, vectors: bool) {
    for r in 0..count {
        let own = if vectors { format!("(s{r}.x + s{r}.y) + (s{r}.z + s{r}.w)") } else { format!("s{r}") };
        text.line(format!("shared_along[{}u + at_l * {PITCH}u + at_x] = {own};", r * SUM * PITCH));
    }
    text.line("workgroupBarrier();");
    text.open(format!("if (lid < {}u) {{", count * WIDE));
    text.line(format!("let r = lid / {WIDE}u;"));
    text.line(format!("let x = lid % {WIDE}u;"));
    text.line("var sum = 0f;");
    text.line(format!("for (var l = 0u; l < {SUM}u; l++) {{ sum += shared_along[r * {}u + l * {PITCH}u + x]; }}", SUM * PITCH));
    let [_, many] = sides(kernel);
    call(text, id, kernel, count, WIDE, &format!("{} + x", many.start));
    text.close();
    text.line("workgroupBarrier();");
}

/// Adds up sums of four, four rows at a time; `places` are the places of an invocation's four.
fn add_across(text: &mut Text, id: usize, kernel: &Matmul, count: usize, places: &[String]) {
    for start in (0..count).step_by(4) {
        let rows = (count - start).min(4);
        for r in 0..rows {
            text.line(format!("shared_across[lid + {}u] = s{};", r * GROUP, start + r));
        }
        text.line("workgroupBarrier();");
        text.open(format!("if (lid < {}u) {{", rows * WIDE * 4));
        text.line(format!("let at_x = (lid / 4u) % {WIDE}u;"));
        text.line("let c = lid % 4u;");
        text.line(format!("let row = lid / {}u;", WIDE * 4));
        text.line("var sum = 0f;");
        text.line(format!("for (var l = 0u; l < {SUM}u; l++) {{ sum += shared_across[row * {GROUP}u + l * {WIDE}u + at_x][c]; }}"));
        text.line(format!("let r = row + {start}u;"));
        // The places differ by a constant from one to the next.
        let x = if places[1].ends_with(" 1u") { places[0].clone() + " + c" } else { format!("{} + c * {WIDE}u", places[0]) };
        call(text, id, kernel, count, WIDE * 4, &x);
        text.close();
        text.line("workgroupBarrier();");
    }
}

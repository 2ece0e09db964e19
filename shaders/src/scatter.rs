//! [`Scatter`] kernels. No atomics, and each element of the target adds its sources in ascending order, so the same bits each time.
//!
//! Where there is little to do, each element of the target looks through all sources for those that name it, and adds them up in a
//! register. That is work that grows with the product of both. Where there is much, an invocation owns every so many places of a column of
//! the target, goes once through that column's sources and adds those that fall to it in memory: as many owners as it takes to occupy the
//! device, not as many as there are places.

use noyau_compile::plan::Scatter;
use noyau_tensor::{Error, Result};

use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How many sources a phase looks through; more take several phases.
const CHUNK: usize = 8192;
const UNROLL: usize = 4;
/// The same for owners, which have more loads under way at a time.
const OWNER_CHUNK: usize = 1 << 15;
const OWNER_UNROLL: usize = 8;
/// Up to so many sources every element looks at all of them.
const FEW: usize = 32;
/// The most places that an owner sets to zero.
const MOST_PLACES: usize = 1 << 13;

/// The code of a scatter, as functions `k<id>_<part>`; `items` is how many invocations are enough to occupy the device.
pub fn scatter(id: usize, name: &str, kernel: &Scatter, layout: &Layout, items: u64) -> Result<Vec<Phase>> {
    let &Scatter { before, count, size, after, .. } = kernel;
    let fits = |a: usize| before.checked_mul(a).and_then(|n| n.checked_mul(after)).is_some_and(|n| n <= u32::MAX as usize);
    if !fits(size) || !fits(count) {
        return Err(Error::argument(
            "scatter_add",
            format!("shapes [{before}, {count}, {after}] and [{before}, {size}, {after}] go beyond the GPU's 32-bit indices"),
        ));
    }
    let columns = (before * after).max(1) as u64;
    let owners = (items.div_ceil(columns).min(size as u64) as usize).max(size.div_ceil(MOST_PLACES)).next_power_of_two();
    let few = count <= FEW || owners * 2 > size;
    let chunk = if few { CHUNK } else { OWNER_CHUNK };
    let mut phases = Vec::new();
    // No source at all still means zeros in the target.
    for (part, start) in (0..count.max(1)).step_by(chunk).enumerate() {
        let length = (count - start.min(count)).min(chunk);
        let (text, items, iterations) =
            if few { by_places(kernel, layout, start, length) } else { by_owners(kernel, layout, owners, start, length) };
        let function = format!("k{id}_{part}");
        let code = format!("fn {function}(item: u32) {{\n{}}}\n", text.finish());
        let how = if few { String::new() } else { format!(" [{owners} owners]") };
        phases.push(Phase {
            name: format!("{name}{how}"),
            code,
            function,
            work: Work::Items(items as u64),
            iterations: iterations as u64,
            shared: Vec::new(),
        });
    }
    Ok(phases)
}

/// One invocation an element of the target.
fn by_places(kernel: &Scatter, layout: &Layout, start: usize, length: usize) -> (Text, usize, usize) {
    let &Scatter { source, index, target, before, count, size, after } = kernel;
    let mut text = Text::body();
    text.line(format!("let x = item % {after}u;"));
    text.line(format!("let place = (item / {after}u) % {size}u;"));
    text.line(format!("let first = (item / {}u) * {}u + {}u + x;", size * after, count * after, start * after));
    text.line(if start == 0 { "var sum = 0f;".into() } else { format!("var sum = {};", layout.load(target, "item")) });
    let take = |text: &mut Text, at: &str| {
        let index = layout.load(index, at);
        text.line(format!("if ({index} == place) {{ sum += {}; }}", layout.load(source, at)));
    };
    let whole = length - length % UNROLL;
    if whole > 0 {
        text.open(format!("for (var l = 0u; l < {}u; l += {}u) {{", whole * after, UNROLL * after));
        for i in 0..UNROLL {
            take(&mut text, &format!("(first + l + {}u)", i * after));
        }
        text.close();
    }
    for i in whole..length {
        take(&mut text, &format!("(first + {}u)", i * after));
    }
    text.line(layout.store(target, "item", "sum"));
    (text, before * size * after, whole / UNROLL)
}

/// `owners` invocations, a power of two, a column of the target; each owns the places whose last bits are its number.
fn by_owners(kernel: &Scatter, layout: &Layout, owners: usize, start: usize, length: usize) -> (Text, usize, usize) {
    let &Scatter { source, index, target, before, count, size, after } = kernel;
    let mut text = Text::body();
    text.line(format!("let x = item % {after}u;"));
    text.line(format!("let owner = (item / {after}u) & {}u;", owners - 1));
    text.line(format!("let column = item / {}u;", owners * after));
    text.line(format!("let base = column * {}u + x;", size * after));
    text.line(format!("let first = column * {}u + {}u + x;", count * after, start * after));
    let mut iterations = 0;
    if start == 0 {
        text.open(format!("for (var p = owner; p < {size}u; p += {owners}u) {{"));
        text.line(layout.store(target, &format!("base + p * {after}u"), "0f"));
        text.close();
        iterations += size.div_ceil(owners);
    }
    let take = |text: &mut Text, places: &[String]| {
        // All loads first: they do not wait for each other.
        for (i, at) in places.iter().enumerate() {
            text.line(format!("let i{i} = {};", layout.load(index, at)));
        }
        for (i, at) in places.iter().enumerate() {
            text.open(format!("if (((i{i} & {}u) == owner) & (i{i} < {size}u)) {{", owners - 1));
            text.line(format!("let at = base + i{i} * {after}u;"));
            text.line(layout.store(target, "at", &format!("{} + {}", layout.load(target, "at"), layout.load(source, at))));
            text.close();
        }
    };
    let whole = length - length % OWNER_UNROLL;
    if whole > 0 {
        text.open(format!("for (var l = 0u; l < {}u; l += {}u) {{", whole * after, OWNER_UNROLL * after));
        take(&mut text, &(0..OWNER_UNROLL).map(|i| format!("(first + l + {}u)", i * after)).collect::<Vec<_>>());
        text.close();
        iterations += whole / OWNER_UNROLL;
    }
    take(&mut text, &(whole..length).map(|i| format!("(first + {}u)", i * after)).collect::<Vec<_>>());
    (text, before * owners * after, iterations)
}

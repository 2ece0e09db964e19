//! [`Scatter`] kernels: each element of the target looks through all sources for those that name it, in ascending order. No atomics, so the same bits
//! each time.

use noyau_compile::plan::Scatter;
use noyau_tensor::{Error, Result};

use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How many sources a phase looks through; more take several phases.
const CHUNK: usize = 8192;
const UNROLL: usize = 4;

/// The code of a scatter, as functions `k<id>_<part>`.
pub fn scatter(id: usize, name: &str, kernel: &Scatter, layout: &Layout) -> Result<Vec<Phase>> {
    let &Scatter { source, index, target, before, count, size, after } = kernel;
    let fits = |a: usize| before.checked_mul(a).and_then(|n| n.checked_mul(after)).is_some_and(|n| n <= u32::MAX as usize);
    if !fits(size) || !fits(count) {
        return Err(Error::argument(
            "scatter_add",
            format!("shapes [{before}, {count}, {after}] and [{before}, {size}, {after}] go beyond the GPU's 32-bit indices"),
        ));
    }
    let items = (before * size * after) as u64;
    let mut phases = Vec::new();
    // No source at all still means zeros in the target.
    for (part, start) in (0..count.max(1)).step_by(CHUNK).enumerate() {
        let length = (count - start.min(count)).min(CHUNK);
        let mut text = Text::body();
        text.line(format!("let x = item % {after}u;"));
        text.line(format!("let place = (item / {after}u) % {size}u;"));
        text.line(format!("let first = (item / {}u) * {}u + {}u + x;", size * after, count * after, start * after));
        text.line(if part == 0 { "var sum = 0f;".into() } else { format!("var sum = {};", layout.load(target, "item")) });
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
        let function = format!("k{id}_{part}");
        let code = format!("fn {function}(item: u32) {{\n{}}}\n", text.finish());
        phases.push(Phase {
            name: name.into(),
            code,
            function,
            work: Work::Items(items),
            iterations: (whole / UNROLL) as u64,
            shared: Vec::new(),
        });
    }
    Ok(phases)
}

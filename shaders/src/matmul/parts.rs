//! The second half of a product whose sums come in parts: adds the parts up, always in the same order, and does the body.

use noyau_compile::plan::{BufferId, Matmul};
use noyau_tensor::Result;

use super::epilogue::body_functions;
use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How the summed axis is shared out.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    /// Steps of the sum in a slice.
    pub depth: usize,
    /// Slices of each part; the last may have fewer.
    pub slices: usize,
    /// How many parts.
    pub count: usize,
    /// Slices of all parts.
    all: usize,
}

impl Parts {
    /// Parts of a sum of `k` steps in slices of `depth`.
    pub fn new(k: usize, depth: usize, parts: usize) -> Parts {
        let all = k.div_ceil(depth);
        let slices = all.div_ceil(parts).max(1);
        // No part has nothing to do.
        Parts { depth, slices, count: all.div_ceil(slices).max(1), all }
    }

    /// Writes `tile`, the tile's number, and `first` and `end`: the part's steps of the sum. Of several parts, `part` too. All in terms of `group`.
    pub fn declare(&self, text: &mut Text, tiles: u64) {
        let Parts { depth, slices, count, all } = *self;
        if count == 1 {
            text.line("let part = 0u;");
            text.line("let tile = group;");
            text.line("let first = 0u;");
            text.line(format!("let end = {}u;", all * depth));
            return;
        }
        text.line(format!("let part = group / {tiles}u;"));
        text.line(format!("let tile = group % {tiles}u;"));
        text.line(format!("let first = part * {}u;", slices * depth));
        text.line(format!("let end = min(first + {}u, {}u);", slices * depth, all * depth));
    }
}

/// The phase that adds up `count` parts.
pub(super) fn sum(id: usize, name: &str, kernel: &Matmul, layout: &Layout, scratch: BufferId, count: usize) -> Result<Phase> {
    let total = kernel.space().iter().product::<usize>();
    let fours = kernel.n.is_multiple_of(4);
    let width = if fours { 4 } else { 1 };
    let mut text = Text::body();
    text.line(format!("let first = item * {width}u;"));
    let load = |place: &str| if fours { layout.load4(scratch, place) } else { layout.load(scratch, place) };
    text.line(format!("var sum = {};", load("first")));
    text.open(format!("for (var part = 1u; part < {count}u; part++) {{"));
    text.line(format!("sum += {};", load(&format!("part * {total}u + first"))));
    text.close();
    text.line(format!("let j = first % {}u;", kernel.n));
    text.line(format!("let i = (first / {}u) % {}u;", kernel.n, kernel.m));
    text.line(format!("let z = first / {}u;", kernel.m * kernel.n));
    text.line(format!("{}{id}(z, i, j, sum);", if fours { "q" } else { "e" }));
    let function = format!("k{id}_sum");
    let code = format!("{}fn {function}(item: u32) {{\n{}}}\n", body_functions(id, kernel, layout)?, text.finish());
    Ok(Phase {
        name: format!("{name} [sum of {count} parts]"),
        code,
        function,
        work: Work::Items((total / width) as u64),
        iterations: count as u64,
        shared: Vec::new(),
    })
}

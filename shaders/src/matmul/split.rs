//! A tile whose sums are shared by several invocations along the summed axis: for few tiles and long sums.

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::epilogue::epilogue;
use super::registers::{operands, step};
use super::{guard, tile_place};
use crate::text::Text;
use crate::{Layout, Phase, Shared, Work};

const UNROLL: usize = 4;

pub(super) fn phase(id: usize, name: &str, kernel: &Matmul, layout: &Layout, rows: usize, columns: usize, lanes: usize) -> Result<Phase> {
    let group = lanes.max(64);
    let tiles_per_group = group / lanes;
    let elements = rows * columns;
    let mut text = Text::body();
    text.line(format!("let lane = lid % {lanes}u;"));
    let tiles = kernel.batch.iter().product::<usize>() * kernel.m.div_ceil(rows) * kernel.n.div_ceil(columns);
    // Barriers want all invocations: those without a tile of their own do the last one's work, and write nothing.
    text.line(format!("let own = group * {tiles_per_group}u + lid / {lanes}u;"));
    text.line(format!("let tile = min(own, {}u);", tiles.saturating_sub(1)));
    tile_place(&mut text, "tile", kernel, rows, columns);
    operands(&mut text, kernel, rows, columns);
    let turns = kernel.k / (lanes * UNROLL);
    if turns > 0 {
        let stride = lanes * UNROLL;
        text.open(format!("for (var t = 0u; t < {}u; t += {stride}u) {{", turns * stride));
        for u in 0..UNROLL {
            step(&mut text, kernel, layout, rows, columns, &format!("(t + lane + {}u)", u * lanes));
        }
        text.close();
    }
    let mut l = turns * lanes * UNROLL;
    while l < kernel.k {
        let left = kernel.k - l;
        if left < lanes {
            text.open(format!("if (lane < {left}u) {{"));
        }
        step(&mut text, kernel, layout, rows, columns, &format!("(lane + {l}u)"));
        if left < lanes {
            text.close();
        }
        l += lanes;
    }
    // Element e's parts lie at [e * group, (e + 1) * group); halves onto halves, in an order that never changes.
    for e in 0..elements {
        text.line(format!("shared_split[lid + {}u] = s{}_{};", e * group, e / columns, e % columns));
    }
    text.line("workgroupBarrier();");
    let mut half = lanes / 2;
    while half > 0 {
        text.open(format!("if (lane < {half}u) {{"));
        for e in 0..elements {
            text.line(format!("shared_split[lid + {}u] += shared_split[lid + {}u];", e * group, e * group + half));
        }
        text.close();
        text.line("workgroupBarrier();");
        half /= 2;
    }
    text.open(format!("for (var e = lane; e < {elements}u; e += {lanes}u) {{"));
    text.line(format!("let i = i0 + e / {columns}u;"));
    text.line(format!("let j = j0 + e % {columns}u;"));
    let inside = guard(kernel, rows, columns, "i", "j");
    text.line(format!("{inside}{{ if (own < {tiles}u) {{ e{id}(z, i, j, shared_split[e * {group}u + lid - lane]); }} }}"));
    text.close();
    text.line("workgroupBarrier();");
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", epilogue(id, kernel, layout)?, text.finish());
    let shared = vec![Shared { name: "shared_split".into(), element: "f32", len: (group * elements) as u32 }];
    let work = Work::Groups { count: (tiles as u64).div_ceil(tiles_per_group as u64), size: group as u32 };
    let iterations = (turns + elements.div_ceil(lanes)) as u64;
    Ok(Phase { name: format!("{name} [split-{rows}x{columns}-{lanes}]"), code, function, work, iterations, shared })
}

//! A tile that a subgroup shares: each lane loads every `size`-th row of `a` and gives it to all by broadcasts; columns of `b` are each lane's own. A
//! broadcast is one instruction where a load is one for each lane, as on a software device.

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::{base, clamped, epilogue, guard, tile_place};
use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How many steps of the summed axis a loop's turn takes.
const UNROLL: usize = 2;

pub(super) fn phase(id: usize, name: &str, kernel: &Matmul, layout: &Layout, rows: usize, columns: usize, size: usize) -> Result<Phase> {
    let wide = columns * size;
    let mut text = Text::body();
    let groups = tile_place(&mut text, "group", kernel, rows, wide);
    base(&mut text, "base_a", kernel, &kernel.a);
    base(&mut text, "base_b", kernel, &kernel.b);
    let loads = rows / size;
    for q in 0..loads {
        text.line(format!("let pa{q} = base_a + {} * {}u;", clamped("i0 + lid", q * size, kernel.m, rows), kernel.a.row_stride));
    }
    for j in 0..columns {
        text.line(format!("let pb{j} = base_b + {} * {}u;", clamped("j0 + lid", j * size, kernel.n, wide), kernel.b.column_stride));
    }
    for i in 0..rows {
        for j in 0..columns {
            text.line(format!("var s{i}_{j} = 0f;"));
        }
    }
    let step = |text: &mut Text, l: &str| {
        text.open("{");
        text.line(format!("let la = {l} * {}u;", kernel.a.column_stride));
        text.line(format!("let lb = {l} * {}u;", kernel.b.row_stride));
        for j in 0..columns {
            text.line(format!("let x{j} = {};", layout.load(kernel.b.buffer, &format!("pb{j} + lb"))));
        }
        for q in 0..loads {
            text.line(format!("let a{q} = {};", layout.load(kernel.a.buffer, &format!("pa{q} + la"))));
            for lane in 0..size {
                let i = q * size + lane;
                text.line(format!("let y{i} = subgroupBroadcast(a{q}, {lane}u);"));
                for j in 0..columns {
                    text.line(format!("s{i}_{j} = fma(y{i}, x{j}, s{i}_{j});"));
                }
            }
        }
        text.close();
    };
    let whole = kernel.k - kernel.k % UNROLL;
    if whole > 0 {
        text.open(format!("for (var l = 0u; l < {whole}u; l += {UNROLL}u) {{"));
        for u in 0..UNROLL {
            step(&mut text, &if u == 0 { "l".into() } else { format!("(l + {u}u)") });
        }
        text.close();
    }
    for l in whole..kernel.k {
        step(&mut text, &format!("{l}u"));
    }
    for i in 0..rows {
        for j in 0..columns {
            let (row, column) = (format!("i0 + {i}u"), format!("j0 + lid + {}u", j * size));
            let guard = guard(kernel, rows, wide, &row, &column);
            text.line(format!("{guard}{{ e{id}(z, {row}, {column}, s{i}_{j}); }}"));
        }
    }
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", epilogue(id, kernel, layout)?, text.finish());
    let work = Work::Groups { count: groups, size: size as u32 };
    Ok(Phase {
        name: format!("{name} [subgroup {rows}x{wide}]"),
        code,
        function,
        work,
        iterations: (whole / UNROLL) as u64,
        shared: Vec::new(),
    })
}

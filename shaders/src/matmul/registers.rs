//! A tile in one invocation's registers, straight from storage.

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::epilogue::{epilogue, results};
use super::slice::slices;
use super::{clamped, tile_place};
use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How many steps of the summed axis a loop's turn takes.
const UNROLL: usize = 4;

pub(super) fn phase(id: usize, name: &str, kernel: &Matmul, layout: &Layout, rows: usize, columns: usize) -> Result<Phase> {
    let mut text = Text::body();
    let items = tile_place(&mut text, "item", kernel, rows, columns);
    operands(&mut text, kernel, rows, columns);
    let whole = kernel.k - kernel.k % UNROLL;
    if whole > 0 {
        text.open(format!("for (var l = 0u; l < {whole}u; l += {UNROLL}u) {{"));
        for u in 0..UNROLL {
            step(&mut text, kernel, layout, rows, columns, &if u == 0 { "l".into() } else { format!("(l + {u}u)") });
        }
        text.close();
    }
    for l in whole..kernel.k {
        step(&mut text, kernel, layout, rows, columns, &format!("{l}u"));
    }
    let sums: Vec<Vec<String>> = (0..rows).map(|i| (0..columns).map(|j| format!("s{i}_{j}")).collect()).collect();
    let places: Vec<String> = (0..columns).map(|j| format!("j0 + {j}u")).collect();
    results(&mut text, id, kernel, [rows, columns], &sums, "i0 + t", &places);
    let function = format!("k{id}");
    let code = format!("{}fn {function}(item: u32) {{\n{}}}\n", epilogue(id, kernel, layout)?, text.finish());
    Ok(Phase {
        name: format!("{name} [registers-{rows}x{columns}]"),
        code,
        function,
        work: Work::Items(items),
        iterations: (whole / UNROLL + rows) as u64,
        shared: Vec::new(),
    })
}

/// The places of the tile's rows of `a` and columns of `b`, and its sums.
pub(super) fn operands(text: &mut Text, kernel: &Matmul, rows: usize, columns: usize) {
    for (slice, count, name) in slices(kernel).iter().zip([rows, columns]).zip(["pa", "pb"]).map(|((s, c), n)| (s, c, n)) {
        slice.declare(text);
        for i in 0..count {
            slice.position(text, &format!("{name}{i}"), &clamped(slice.start, i, slice.size, count));
        }
    }
    for i in 0..rows {
        for j in 0..columns {
            text.line(format!("var s{i}_{j} = 0f;"));
        }
    }
}

/// One step along the summed axis.
pub(super) fn step(text: &mut Text, kernel: &Matmul, layout: &Layout, rows: usize, columns: usize, l: &str) {
    text.open("{");
    let [a, b] = slices(kernel);
    a.sum(text, "la", l);
    b.sum(text, "lb", l);
    for i in 0..rows {
        text.line(format!("let a{i} = {};", a.at(layout, &format!("pa{i}"), "la")));
    }
    for j in 0..columns {
        text.line(format!("let x{j} = {};", b.at(layout, &format!("pb{j}"), "lb")));
    }
    for i in 0..rows {
        for j in 0..columns {
            text.line(format!("s{i}_{j} = fma(a{i}, x{j}, s{i}_{j});"));
        }
    }
    text.close();
}

//! A tile that a workgroup of 256 shares: slices of both operands come into workgroup memory, 4 x 4 elements an invocation at a time, and each
//! invocation multiplies its part of them in registers. For devices whose workgroup memory is fast.

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::slice::{Slice, slices};
use super::{epilogue, guard, tile_place};
use crate::text::Text;
use crate::{Layout, Phase, Shared, Work};

/// Invocations of a workgroup, 16 x 16.
const GROUP: usize = 256;

pub(super) fn phase(id: usize, name: &str, kernel: &Matmul, layout: &Layout, tile: usize) -> Result<Phase> {
    // Both slices together fill 16 KiB, the least that every device has, and give every invocation one 4 x 4 block to load.
    let depth = 2048 / tile;
    // Each invocation computes `parts` x `parts` blocks of 4 x 4, 64 rows and columns apart.
    let parts = tile / 64;
    let mut text = Text::body();
    let groups = tile_place(&mut text, "group", kernel, tile, tile);
    let [a, b] = slices(kernel);
    a.declare(&mut text);
    b.declare(&mut text);
    text.line("let tx = lid % 16u;");
    text.line("let ty = lid / 16u;");
    for i in 0..parts * 4 {
        for j in 0..parts {
            text.line(format!("var s{i}_{j} = vec4<f32>();"));
        }
    }
    let half = GROUP / 2;
    let slices = kernel.k.div_ceil(depth);
    if slices > 0 {
        text.open(format!("for (var l0 = 0u; l0 < {}u; l0 += {depth}u) {{", slices * depth));
        text.open(format!("if (lid < {half}u) {{"));
        a.load(&mut text, kernel, layout, tile, depth, "lid");
        text.close();
        text.open(format!("if (lid >= {half}u) {{"));
        text.line(format!("let other = lid - {half}u;"));
        b.load(&mut text, kernel, layout, tile, depth, "other");
        text.close();
        text.line("workgroupBarrier();");
        let quarter = tile / 4;
        for l in 0..depth {
            text.open("{");
            for p in 0..parts {
                text.line(format!("let a{p} = shared_a[ty + {}u];", l * quarter + p * 16));
                text.line(format!("let x{p} = shared_b[tx + {}u];", l * quarter + p * 16));
            }
            for i in 0..parts * 4 {
                for j in 0..parts {
                    text.line(format!("s{i}_{j} = fma(vec4<f32>(a{}[{}]), x{j}, s{i}_{j});", i / 4, i % 4));
                }
            }
            text.close();
        }
        text.line("workgroupBarrier();");
        text.close();
    }
    for i in 0..parts * 4 {
        for j in 0..parts * 4 {
            let row = format!("i0 + ty * 4u + {}u", i / 4 * 64 + i % 4);
            let column = format!("j0 + tx * 4u + {}u", j / 4 * 64 + j % 4);
            let guard = guard(kernel, tile, tile, &row, &column);
            text.line(format!("{guard}{{ e{id}(z, {row}, {column}, s{i}_{}[{}]); }}", j / 4, j % 4));
        }
    }
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", epilogue(id, kernel, layout)?, text.finish());
    let array = |name: &str| Shared { name: name.into(), element: "vec4<f32>", len: (tile * depth / 4) as u32 };
    Ok(Phase {
        name: format!("{name} [tiled {tile}x{tile}]"),
        code,
        function,
        work: Work::Groups { count: groups, size: GROUP as u32 },
        iterations: slices as u64,
        shared: vec![array("shared_a"), array("shared_b")],
    })
}

/// Whether each operand is read four neighbours at a time.
pub(super) fn reads_vec4(kernel: &Matmul) -> [bool; 2] {
    slices(kernel).map(|slice| slice.reads_vec4(kernel.k))
}

/// How a slice comes into workgroup memory, as `[depth][tile]`.
impl Slice<'_> {
    /// One invocation's 4 x 4 block; `unit` numbers the blocks.
    fn load(&self, text: &mut Text, kernel: &Matmul, layout: &Layout, tile: usize, depth: usize, unit: &str) {
        let quarter = tile / 4;
        // Blocks that neighbouring invocations load are neighbours along the axis that is contiguous in memory.
        let along_l = self.along_l();
        let blocks_l = depth / 4;
        let (bl, bx) = if along_l {
            (format!("{unit} % {blocks_l}u"), format!("{unit} / {blocks_l}u"))
        } else {
            (format!("{unit} / {quarter}u"), format!("{unit} % {quarter}u"))
        };
        text.line(format!("let bl = {bl};"));
        text.line(format!("let bx = {bx};"));
        text.line("let l = l0 + bl * 4u;");
        text.line(format!("let x = {} + bx * 4u;", self.start));
        let (size, k) = (self.size, kernel.k);
        let inside_x = size % tile == 0;
        let inside_l = k % depth == 0;
        let edge = |inside: bool, at: String, last: usize| if inside { at } else { format!("min({at}, {}u)", last - 1) };
        if along_l && self.reads_vec4(k) {
            // Rows of four along l, transposed on the way. A block is inside of k as a whole or not at all.
            for i in 0..4 {
                let x = edge(inside_x, format!("x + {i}u"), size);
                let l = if inside_l { "l".into() } else { format!("min(l, {}u)", k - 4) };
                self.position(text, &format!("p{i}"), &x);
                self.sum(text, &format!("q{i}"), &l);
                text.line(format!("let g{i} = {};", self.at4(layout, &format!("p{i}"), &format!("q{i}"))));
            }
            for l in 0..4 {
                let c = ["x", "y", "z", "w"][l];
                let value = format!("vec4<f32>(g0.{c}, g1.{c}, g2.{c}, g3.{c})");
                text.line(self.keep(l, quarter, &value, inside_l, k));
            }
        } else if self.reads_vec4(k) {
            for l in 0..4 {
                let x = if inside_x { "x".into() } else { format!("min(x, {}u)", size - 4) };
                let at = edge(inside_l, format!("l + {l}u"), k);
                self.position(text, &format!("p{l}"), &x);
                self.sum(text, &format!("q{l}"), &at);
                let value = self.at4(layout, &format!("p{l}"), &format!("q{l}"));
                text.line(self.keep(l, quarter, &value, inside_l, k));
            }
        } else {
            for i in 0..4 {
                self.position(text, &format!("p{i}"), &edge(inside_x, format!("x + {i}u"), size));
            }
            for l in 0..4 {
                self.sum(text, &format!("q{l}"), &edge(inside_l, format!("l + {l}u"), k));
                let part = |i: usize| self.at(layout, &format!("p{i}"), &format!("q{l}"));
                let value = format!("vec4<f32>({}, {}, {}, {})", part(0), part(1), part(2), part(3));
                text.line(self.keep(l, quarter, &value, inside_l, k));
            }
        }
    }

    /// Puts four neighbours along x into workgroup memory; zeros beyond the end of the sum.
    fn keep(&self, l: usize, quarter: usize, value: &str, inside: bool, k: usize) -> String {
        let value = if inside { value.to_string() } else { format!("select(vec4<f32>(), {value}, l + {l}u < {k}u)") };
        format!("{}[(bl * 4u + {l}u) * {quarter}u + bx] = {value};", self.shared)
    }
}

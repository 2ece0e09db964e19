//! A tile that a workgroup shares: slices of both operands come into workgroup memory, 4 x 4 elements an invocation at a time, and each
//! invocation multiplies its part of them in registers. For devices whose workgroup memory is fast.
//!
//! What a slice needs of memory is asked for before the slice before it is multiplied, so that the answers are on their way meanwhile; with two slices in
//! workgroup memory one barrier a slice is enough. The scheme is that of CUTLASS (Kerr et al., "CUTLASS: fast linear algebra in CUDA C++", 2017).

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::epilogue::Sink;
use super::parts::{Parts, sum};
use super::slice::{Slice, slices};
use super::{Scratch, Tile, tile_place_banded};
use crate::text::Text;
use crate::{Layout, Phase, Shared, Work};

/// How a tile's work divides among the invocations of a workgroup.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Rows and columns of an invocation, in blocks of 4.
    rows: usize,
    columns: usize,
    /// Invocations along rows and along columns.
    down: usize,
    across: usize,
    /// All of them.
    pub group: usize,
}

impl Shape {
    /// 8 x 8 results an invocation where that leaves enough of them, and fewer of smaller tiles. With 8 x 8, an invocation reads 16 numbers of workgroup memory
    /// for 64 multiplications, and its 64 sums and what it reads still fit the 128 registers that let two workgroups of 256 share a multiprocessor.
    pub fn of(tile: Tile) -> Shape {
        let (rows, columns) = match tile.rows * tile.columns {
            8192.. => (2, 2),
            4096.. => (2, 1),
            _ => (1, 1),
        };
        let (down, across) = (tile.rows as usize / (rows * 4), tile.columns as usize / (columns * 4));
        Shape { rows, columns, down, across, group: down * across }
    }
}

/// Bytes of workgroup memory, at most.
pub(super) fn shared_bytes(tile: Tile) -> usize {
    let slices = if tile.double { 2 } else { 1 };
    (tile.rows as usize + tile.columns as usize + 8) * tile.depth as usize * 4 * slices
}

/// How many steps of a slice are written out; a loop does the rest.
const UNROLL: usize = 8;

pub(super) fn phases(id: usize, name: &str, kernel: &Matmul, layout: &Layout, tile: Tile, scratch: Option<Scratch>) -> Result<Vec<Phase>> {
    let shape = Shape::of(tile);
    let Shape { rows, columns, down, across, group } = shape;
    let [height, width, depth] = [tile.rows, tile.columns, tile.depth].map(|n| n as usize);
    let scratch = scratch.filter(|_| tile.parts > 1).map(|s| s.0);
    let sink = Sink { id, kernel, layout, tile: [height, width], scratch };
    let mut text = Text::body();
    let parts = Parts::new(kernel.k, depth, tile.parts as usize);
    let mut place = Text::body();
    let tiles = tile_place_banded(&mut place, "tile", kernel, height, width);
    parts.declare(&mut text, tiles.max(1));
    text.append(place);
    let [a, b] = slices(kernel);
    let mut a = Loader::new(a, kernel.k, height, (tile, shape), "g");
    let mut b = Loader::new(b, kernel.k, width, (tile, shape), "h");
    a.share(&mut b);
    a.slice.declare(&mut text);
    b.slice.declare(&mut text);
    a.declare(&mut text);
    b.declare(&mut text);
    text.line(format!("let tx = lid % {across}u;"));
    text.line(format!("let ty = lid / {across}u;"));
    for i in 0..rows * 4 {
        for j in 0..columns {
            text.line(format!("var s{i}_{j} = vec4<f32>();"));
        }
    }
    let fetch = |text: &mut Text, l: &str| {
        text.line(format!("let l0 = {l};"));
        a.fetch(text, layout);
        b.fetch(text, layout);
    };
    let keep = |text: &mut Text| {
        a.keep(text);
        b.keep(text);
    };
    let multiply = |text: &mut Text| {
        let unroll = UNROLL.min(depth);
        let looped = depth > unroll;
        if looped {
            text.open(format!("for (var d = 0u; d < {depth}u; d += {unroll}u) {{"));
        }
        let start = |loader: &Loader, at: &str| {
            let step = if looped { format!(" + d * {}u", loader.stride) } else { String::new() };
            let slice = if tile.double { format!(" + slot * {}u", loader.stride * depth) } else { String::new() };
            format!("{at}{step}{slice}")
        };
        text.line(format!("let ra = {};", start(&a, "ty")));
        text.line(format!("let rb = {};", start(&b, "tx")));
        for l in 0..unroll {
            text.open("{");
            for p in 0..rows {
                text.line(format!("let a{p} = shared_a[ra + {}u];", l * a.stride + p * down));
            }
            for p in 0..columns {
                text.line(format!("let x{p} = shared_b[rb + {}u];", l * b.stride + p * across));
            }
            for i in 0..rows * 4 {
                for j in 0..columns {
                    text.line(format!("s{i}_{j} = fma(vec4<f32>(a{}[{}]), x{j}, s{i}_{j});", i / 4, i % 4));
                }
            }
            text.close();
        }
        if looped {
            text.close();
        }
    };
    if kernel.k > 0 {
        if tile.double {
            text.line("var slot = 0u;");
            text.open("{");
            fetch(&mut text, "first");
            keep(&mut text);
            text.close();
            text.line("workgroupBarrier();");
            text.open(format!("for (var l = first; l < end; l += {depth}u) {{"));
            text.open(format!("if (l + {depth}u < end) {{"));
            fetch(&mut text, &format!("l + {depth}u"));
            text.close();
            multiply(&mut text);
            text.line("slot ^= 1u;");
            text.open(format!("if (l + {depth}u < end) {{"));
            keep(&mut text);
            text.close();
            text.line("workgroupBarrier();");
            text.close();
        } else {
            text.open("{");
            fetch(&mut text, "first");
            text.close();
            text.open(format!("for (var l = first; l < end; l += {depth}u) {{"));
            keep(&mut text);
            text.line("workgroupBarrier();");
            text.open(format!("if (l + {depth}u < end) {{"));
            fetch(&mut text, &format!("l + {depth}u"));
            text.close();
            multiply(&mut text);
            text.line("workgroupBarrier();");
            text.close();
        }
    }
    let column = |j: usize| format!("(j0 + tx * 4u + {}u)", j * 4 * across);
    if sink.is_long() {
        text.line(format!("var sums: array<vec4<f32>, {}>;", rows * 4 * columns));
        for i in 0..rows * 4 {
            for j in 0..columns {
                text.line(format!("sums[{}] = s{i}_{j};", i * columns + j));
            }
        }
        text.open(format!("for (var t = 0u; t < {}u; t++) {{", rows * 4));
        text.line(format!("let i = i0 + ty * 4u + (t / 4u) * {}u + t % 4u;", 4 * down));
        for j in 0..columns {
            text.line(format!("let sum{j} = sums[t * {columns}u + {j}u];"));
            sink.put(&mut text, "i", &column(j), &format!("sum{j}"));
        }
        text.close();
    } else {
        for i in 0..rows * 4 {
            for j in 0..columns {
                let row = format!("(i0 + ty * 4u + {}u)", i / 4 * 4 * down + i % 4);
                sink.put(&mut text, &row, &column(j), &format!("s{i}_{j}"));
            }
        }
    }
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", sink.functions()?, text.finish());
    let slots = if tile.double { 2 } else { 1 };
    let array =
        |name: &str, loader: &Loader| Shared { name: name.into(), element: "vec4<f32>", len: (loader.stride * depth * slots) as u32 };
    let mut phases = vec![Phase {
        name: format!("{name} [tiled-{tile}]"),
        code,
        function,
        work: Work::Groups { count: tiles * parts.count as u64, size: group as u32 },
        iterations: parts.slices as u64 * (1 + depth.div_ceil(UNROLL)) as u64,
        shared: vec![array("shared_a", &a), array("shared_b", &b)],
    }];
    if let Some(scratch) = scratch {
        phases.push(sum(id, name, kernel, layout, scratch, parts.count)?);
    }
    Ok(phases)
}

/// How a slice of an operand comes into workgroup memory, as `[depth][tile]`.
struct Loader<'a> {
    slice: Slice<'a>,
    /// The length of the sum.
    k: usize,
    /// How far the tile reaches along the operand's other axis.
    tile: usize,
    depth: usize,
    /// Invocations of the workgroup.
    group: usize,
    /// The invocation that takes the first block of 4 x 4.
    first: usize,
    /// Variables between memory and workgroup memory begin with this.
    held: &'static str,
    /// Whether it is for this loader to declare them.
    owns: bool,
    /// From one step of the sum to the next in workgroup memory, in `vec4`s.
    stride: usize,
    /// Whether there are two slices; the variable `slot` says which one is written.
    double: bool,
}

impl<'a> Loader<'a> {
    fn new(slice: Slice<'a>, k: usize, tile: usize, shape: (Tile, Shape), held: &'static str) -> Loader<'a> {
        let (Tile { depth, double, .. }, Shape { group, .. }) = shape;
        // Blocks that are neighbours along the sum write to places that are whole steps apart: without one `vec4` between steps, to the same banks.
        let stride = tile / 4 + usize::from(slice.along_l());
        Loader { slice, k, tile, depth: depth as usize, group, first: 0, held, owns: true, stride, double }
    }

    fn blocks(&self) -> usize {
        self.tile * self.depth / 16
    }

    /// Where both operands' blocks are no more than there are invocations, each invocation loads one of one operand.
    fn share(&mut self, other: &mut Loader<'_>) {
        if self.blocks() + other.blocks() <= self.group {
            other.first = self.blocks();
            other.held = self.held;
            other.owns = false;
        }
    }

    /// The blocks that an invocation takes: how many, and for each its number and the condition under which there is one.
    fn rounds(&self) -> Vec<(String, Option<String>)> {
        let own = if self.first == 0 { "lid".to_string() } else { format!("(lid - {}u)", self.first) };
        let round = |t: usize| {
            let unit = if t == 0 { own.clone() } else { format!("({own} + {}u)", t * self.group) };
            // In u32 arithmetic what lies before the first is far behind the last.
            let partial = self.first > 0 || (t + 1) * self.group > self.blocks();
            let condition = partial.then(|| format!("{unit} < {}u", self.blocks()));
            (unit, condition)
        };
        (0..self.blocks().div_ceil(self.group)).map(round).collect()
    }

    fn edge(inside: bool, at: String, last: usize) -> String {
        if inside { format!("({at})") } else { format!("min({at}, {last}u)") }
    }

    /// Whether whole blocks can be read as rows of four.
    fn fours(&self) -> bool {
        self.slice.reads_vec4(self.k)
    }

    /// Writes where each round's block is, along both axes, and what its positions along the operand's own axis add: these stay as they are while the sum goes on.
    fn declare(&self, text: &mut Text) {
        let (held, quarter) = (self.held_name(), self.tile / 4);
        for (t, (unit, _)) in self.rounds().into_iter().enumerate() {
            // Blocks that neighbouring invocations load are neighbours along the axis that is contiguous in memory.
            let blocks_l = self.depth / 4;
            let (bl, bx) = if self.slice.along_l() {
                (format!("{unit} % {blocks_l}u"), format!("{unit} / {blocks_l}u"))
            } else {
                (format!("{unit} / {quarter}u"), format!("{unit} % {quarter}u"))
            };
            text.line(format!("let bl_{held}{t} = {bl};"));
            text.line(format!("let bx_{held}{t} = {bx};"));
            let start = format!("{} + bx_{held}{t} * 4u", self.slice.start);
            let inside = self.slice.size.is_multiple_of(self.tile);
            if self.fours() && !self.slice.along_l() {
                self.slice.position(text, &format!("p_{held}{t}_0"), &Loader::edge(inside, start, self.slice.size.saturating_sub(4)));
            } else {
                for i in 0..4 {
                    let at = format!("{start} + {i}u");
                    self.slice.position(text, &format!("p_{held}{t}_{i}"), &Loader::edge(inside, at, self.slice.size.saturating_sub(1)));
                }
            }
            if self.owns {
                (0..4).for_each(|i| text.line(format!("var {}{t}_{i}: vec4<f32>;", self.held)));
            }
        }
    }

    /// The name of this operand's own variables.
    fn held_name(&self) -> &'static str {
        if self.slice.start == "i0" { "a" } else { "b" }
    }

    /// Loads the blocks of the slice at `l0`; zeros beyond the end of the sum.
    fn fetch(&self, text: &mut Text, layout: &Layout) {
        let (name, held, k) = (self.held_name(), self.held, self.k);
        let inside = k.is_multiple_of(self.depth);
        let masked = |value: String, l: &str| if inside { value } else { format!("select(vec4<f32>(), {value}, {l} < {k}u)") };
        for (t, (_, condition)) in self.rounds().into_iter().enumerate() {
            text.open(condition.map_or("{".into(), |c| format!("if ({c}) {{")));
            text.line(format!("let l = l0 + bl_{name}{t} * 4u;"));
            if self.fours() && self.slice.along_l() {
                // Rows of four along l. A block is inside of k as a whole or not at all.
                self.slice.sum(text, "q", &Loader::edge(inside, "l".into(), k.saturating_sub(4)));
                for i in 0..4 {
                    let value = self.slice.at4(layout, &format!("p_{name}{t}_{i}"), "q");
                    text.line(format!("{held}{t}_{i} = {};", masked(value, "l")));
                }
            } else {
                for i in 0..4 {
                    self.slice.sum(text, &format!("q{i}"), &Loader::edge(inside, format!("l + {i}u"), k.saturating_sub(1)));
                    let value = if self.fours() {
                        self.slice.at4(layout, &format!("p_{name}{t}_0"), &format!("q{i}"))
                    } else {
                        let part = |x: usize| self.slice.at(layout, &format!("p_{name}{t}_{x}"), &format!("q{i}"));
                        format!("vec4<f32>({}, {}, {}, {})", part(0), part(1), part(2), part(3))
                    };
                    text.line(format!("{held}{t}_{i} = {};", masked(value, &format!("l + {i}u"))));
                }
            }
            text.close();
        }
    }

    /// Puts what was fetched into workgroup memory: four neighbours along x at a time.
    fn keep(&self, text: &mut Text) {
        let (name, held) = (self.held_name(), self.held);
        for (t, (_, condition)) in self.rounds().into_iter().enumerate() {
            text.open(condition.map_or("{".into(), |c| format!("if ({c}) {{")));
            for l in 0..4 {
                let value = if self.fours() && self.slice.along_l() {
                    let c = ["x", "y", "z", "w"][l];
                    format!("vec4<f32>({held}{t}_0.{c}, {held}{t}_1.{c}, {held}{t}_2.{c}, {held}{t}_3.{c})")
                } else {
                    format!("{held}{t}_{l}")
                };
                let slot = if self.double { format!(" + slot * {}u", self.stride * self.depth) } else { String::new() };
                text.line(format!("{}[(bl_{name}{t} * 4u + {l}u) * {}u + bx_{name}{t}{slot}] = {value};", self.slice.shared, self.stride));
            }
            text.close();
        }
    }
}

//! A tile by the device's own matrix products: slices of both operands come into workgroup memory as f16, each subgroup multiplies its part of them by
//! cooperative matrices and adds up in f32.
//!
//! An operand keeps in workgroup memory the order that it has in storage, so that four neighbours are moved at once; whether a matrix is then read by
//! rows or by columns is the device's business. Rows there are 16 bytes longer than they need to be, so that rows below each other are in different banks.

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::epilogue::Sink;
use super::parts::{Parts, sum};
use super::slice::{Slice, slices};
use super::{Scratch, Tile, tile_place_banded};
use crate::text::Text;
use crate::{Layout, Phase, Shared, Work};

/// Halves by which rows in workgroup memory are longer than what they hold.
const PAD: usize = 8;

/// Rows and columns of a subgroup's part of a tile.
fn part(tile: Tile) -> [usize; 2] {
    if tile.rows * tile.columns >= 8192 { [64.min(tile.rows as usize), 32] } else { [32, 32.min(tile.columns as usize)] }
}

/// Subgroups of a workgroup.
pub(super) fn subgroups(tile: Tile) -> usize {
    let [rows, columns] = part(tile);
    (tile.rows as usize / rows) * (tile.columns as usize / columns)
}

/// Bytes of workgroup memory, at most.
pub(super) fn shared_bytes(size: usize, tile: Tile) -> usize {
    let [rows, columns, depth] = [tile.rows, tile.columns, tile.depth].map(|n| n as usize);
    let operand = |tile: usize| ((depth + PAD) * tile).max((tile + PAD) * depth) * 2;
    operand(rows) + operand(columns) + subgroups(tile) * size * size * 4
}

/// The device's own matrices.
#[derive(Clone, Copy)]
pub(super) struct Device {
    /// Their rows and columns.
    pub size: usize,
    /// Invocations of a subgroup.
    pub lanes: usize,
    /// Whether they are read from arrays of single numbers only.
    pub singles: bool,
}

pub(super) fn phases(
    id: usize,
    name: &str,
    kernel: &Matmul,
    layout: &Layout,
    tile: Tile,
    device: Device,
    scratch: Option<Scratch>,
) -> Result<Vec<Phase>> {
    let Device { size, lanes, singles } = device;
    let [height, width, depth] = [tile.rows, tile.columns, tile.depth].map(|n| n as usize);
    let group = subgroups(tile) * lanes;
    let scratch = scratch.filter(|_| tile.parts > 1).map(|s| s.0);
    let sink = Sink { id, kernel, layout, tile: [height, width], scratch };
    let parts = Parts::new(kernel.k, depth, tile.parts as usize);
    let mut text = Text::body();
    let mut place = Text::body();
    let tiles = tile_place_banded(&mut place, "tile", kernel, height, width);
    parts.declare(&mut text, tiles.max(1));
    text.append(place);
    let [a, b] = slices(kernel);
    let packed = !singles;
    let a = Loader { slice: a, name: "a", k: kernel.k, tile: height, depth, group, packed };
    let b = Loader { slice: b, name: "b", k: kernel.k, tile: width, depth, group, packed };
    for loader in [&a, &b] {
        loader.slice.declare(&mut text);
        loader.declare(&mut text);
    }
    let [rows, columns] = part(tile);
    let across = width / columns;
    let (down_parts, across_parts) = (rows / size, columns / size);
    text.line(format!("let subgroup = lid / {lanes}u;"));
    text.line(format!("let row0 = (subgroup / {across}u) * {rows}u;"));
    text.line(format!("let column0 = (subgroup % {across}u) * {columns}u;"));
    for i in 0..down_parts {
        for j in 0..across_parts {
            text.line(format!("var c{i}_{j} = coop_mat{size}x{size}<f32, C>();"));
        }
    }
    let fetch = |text: &mut Text, l: &str| {
        text.open("{");
        text.line(format!("let l0 = {l};"));
        a.fetch(text, layout);
        b.fetch(text, layout);
        text.close();
    };
    if kernel.k > 0 {
        fetch(&mut text, "first");
        text.open(format!("for (var l = first; l < end; l += {depth}u) {{"));
        a.keep(&mut text);
        b.keep(&mut text);
        text.line("workgroupBarrier();");
        text.open(format!("if (l + {depth}u < end) {{"));
        fetch(&mut text, &format!("l + {depth}u"));
        text.close();
        for l in (0..depth).step_by(size) {
            text.open("{");
            for i in 0..down_parts {
                text.line(a.matrix(size, i, "A", &format!("row0 + {}u", i * size), l));
            }
            for j in 0..across_parts {
                text.line(b.matrix(size, j, "B", &format!("column0 + {}u", j * size), l));
            }
            for i in 0..down_parts {
                for j in 0..across_parts {
                    text.line(format!("c{i}_{j} = coopMultiplyAdd(m_a{i}, m_b{j}, c{i}_{j});"));
                }
            }
            text.close();
        }
        text.line("workgroupBarrier();");
        text.close();
    }
    // No lane knows which sums it holds: they go through workgroup memory, a matrix at a time.
    text.line(format!("let lane = lid % {lanes}u;"));
    text.line(format!("let own = subgroup * {}u;", size * size));
    for i in 0..down_parts {
        for j in 0..across_parts {
            text.line(format!("coopStoreT(c{i}_{j}, &shared_sums[own], {size}u);"));
            text.line("workgroupBarrier();");
            text.open(format!("for (var at = lane; at < {}u; at += {lanes}u) {{", size * size / 4));
            text.line("let first = own + at * 4u;");
            text.line(
                "let sums = vec4<f32>(shared_sums[first], shared_sums[first + 1u], shared_sums[first + 2u], shared_sums[first + 3u]);",
            );
            text.line(format!("let i = i0 + row0 + {}u + at / {}u;", i * size, size / 4));
            text.line(format!("let j = j0 + column0 + {}u + (at % {}u) * 4u;", j * size, size / 4));
            sink.put(&mut text, "i", "j", "sums");
            text.close();
            text.line("workgroupBarrier();");
        }
    }
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", sink.functions()?, text.finish());
    let sums = Shared { name: "shared_sums".into(), element: "f32", len: (subgroups(tile) * size * size) as u32 };
    let mut phases = vec![Phase {
        name: format!("{name} [coop-{size}-{tile}]"),
        code,
        function,
        work: Work::Groups { count: tiles * parts.count as u64, size: group as u32 },
        iterations: parts.slices as u64,
        shared: vec![a.shared(), b.shared(), sums],
    }];
    if let Some(scratch) = scratch {
        phases.push(sum(id, name, kernel, layout, scratch, parts.count)?);
    }
    Ok(phases)
}

/// How a slice of an operand comes into workgroup memory: `[tile][depth]` where the operand's neighbours are neighbours along the sum, else `[depth][tile]`.
struct Loader<'a> {
    slice: Slice<'a>,
    name: &'static str,
    /// The length of the sum.
    k: usize,
    /// How far the tile reaches along the operand's other axis.
    tile: usize,
    depth: usize,
    /// Invocations of the workgroup.
    group: usize,
    /// Whether workgroup memory is an array of `vec4<f16>`, not of `f16`.
    packed: bool,
}

impl Loader<'_> {
    /// From one row in workgroup memory to the next, in halves.
    fn pitch(&self) -> usize {
        PAD + if self.slice.along_l() { self.depth } else { self.tile }
    }

    /// Fours in a row.
    fn quarter(&self) -> usize {
        if self.slice.along_l() { self.depth / 4 } else { self.tile / 4 }
    }

    fn fours(&self) -> usize {
        self.tile * self.depth / 4
    }

    fn rounds(&self) -> usize {
        self.fours().div_ceil(self.group)
    }

    /// The number of a round's four.
    fn unit(&self, t: usize) -> String {
        if t == 0 { "lid".into() } else { format!("(lid + {}u)", t * self.group) }
    }

    /// The condition under which an invocation has a four in a round, as the head of a block.
    fn guard(&self, t: usize) -> String {
        if (t + 1) * self.group <= self.fours() { "{".into() } else { format!("if ({} < {}u) {{", self.unit(t), self.fours()) }
    }

    /// The round whose positions along the operand's own axis are this round's too.
    fn same(&self, t: usize) -> usize {
        if !self.slice.along_l() && self.group.is_multiple_of(self.quarter()) { 0 } else { t }
    }

    fn shared(&self) -> Shared {
        let halves = self.pitch() * if self.slice.along_l() { self.tile } else { self.depth };
        let (element, len) = if self.packed { ("vec4<f16>", halves / 4) } else { ("f16", halves) };
        Shared { name: self.array(), element, len: len as u32 }
    }

    fn array(&self) -> String {
        format!("shared_{}{}", self.name, if self.packed { "_halves4" } else { "_halves" })
    }

    /// Writes the positions along the operand's own axis, which stay as they are while the sum goes on.
    fn declare(&self, text: &mut Text) {
        let Slice { start, size, .. } = self.slice;
        let (name, quarter, along) = (self.name, self.quarter(), self.slice.along_l());
        let inside = size.is_multiple_of(self.tile);
        let edge = |at: String, last: usize| if inside { format!("({at})") } else { format!("min({at}, {last}u)") };
        for t in 0..self.rounds() {
            text.line(format!("var h_{name}{t}: vec4<f16>;"));
            if self.same(t) != t {
                continue;
            }
            let unit = self.unit(t);
            if along {
                self.slice.position(
                    text,
                    &format!("p_{name}{t}_0"),
                    &edge(format!("{start} + {unit} / {quarter}u"), size.saturating_sub(1)),
                );
            } else if self.slice.reads_vec4(self.k) {
                let at = format!("{start} + ({unit} % {quarter}u) * 4u");
                self.slice.position(text, &format!("p_{name}{t}_0"), &edge(at, size.saturating_sub(4)));
            } else {
                for i in 0..4 {
                    let at = format!("{start} + ({unit} % {quarter}u) * 4u + {i}u");
                    self.slice.position(text, &format!("p_{name}{t}_{i}"), &edge(at, size.saturating_sub(1)));
                }
            }
        }
    }

    /// Loads the slice at `l0`; zeros beyond the end of the sum.
    fn fetch(&self, text: &mut Text, layout: &Layout) {
        let (name, k, quarter, along) = (self.name, self.k, self.quarter(), self.slice.along_l());
        let inside = k.is_multiple_of(self.depth);
        let edge = |at: String, last: usize| if inside { format!("({at})") } else { format!("min({at}, {last}u)") };
        for t in 0..self.rounds() {
            let (unit, from) = (self.unit(t), self.same(t));
            text.open(self.guard(t));
            text.line(if along {
                format!("let l = l0 + ({unit} % {quarter}u) * 4u;")
            } else {
                format!("let l = l0 + {unit} / {quarter}u;")
            });
            let fours = self.slice.reads_vec4(k);
            let value = if fours {
                self.slice.sum(text, "q", &edge("l".into(), k.saturating_sub(if along { 4 } else { 1 })));
                self.slice.at4(layout, &format!("p_{name}{from}_0"), "q")
            } else if along {
                (0..4).for_each(|i| self.slice.sum(text, &format!("q{i}"), &edge(format!("l + {i}u"), k.saturating_sub(1))));
                let part = |i: usize| {
                    let value = self.slice.at(layout, &format!("p_{name}{from}_0"), &format!("q{i}"));
                    if inside { value } else { format!("select(0f, {value}, l + {i}u < {k}u)") }
                };
                format!("vec4<f32>({}, {}, {}, {})", part(0), part(1), part(2), part(3))
            } else {
                self.slice.sum(text, "q", &edge("l".into(), k.saturating_sub(1)));
                let part = |i: usize| self.slice.at(layout, &format!("p_{name}{from}_{i}"), "q");
                format!("vec4<f32>({}, {}, {}, {})", part(0), part(1), part(2), part(3))
            };
            let masked = if inside || (along && !fours) { value } else { format!("select(vec4<f32>(), {value}, l < {k}u)") };
            text.line(format!("h_{name}{t} = vec4<f16>({masked});"));
            text.close();
        }
    }

    /// Puts what was fetched into workgroup memory.
    fn keep(&self, text: &mut Text) {
        let (name, quarter, array) = (self.name, self.quarter(), self.array());
        for t in 0..self.rounds() {
            let unit = self.unit(t);
            text.open(self.guard(t));
            if self.packed {
                text.line(format!("{array}[({unit} / {quarter}u) * {}u + {unit} % {quarter}u] = h_{name}{t};", self.pitch() / 4));
            } else {
                text.line(format!("let at = ({unit} / {quarter}u) * {}u + ({unit} % {quarter}u) * 4u;", self.pitch()));
                (0..4).for_each(|i| text.line(format!("{array}[at + {i}u] = h_{name}{t}[{i}];")));
            }
            text.close();
        }
    }

    /// The matrix of a place along the operand's own axis (an expression) and a step of the slice.
    fn matrix(&self, size: usize, number: usize, role: &str, x: &str, l: usize) -> String {
        let unit = if self.packed { 4 } else { 1 };
        let pitch = self.pitch() / unit;
        let along = self.slice.along_l();
        let at = if along { format!("({x}) * {pitch}u + {}u", l / unit) } else { format!("{}u + ({x}) / {unit}u", l * pitch) };
        // The left operand's rows and the right one's columns run along its own axis.
        let load = if along == (role == "A") { "coopLoadT" } else { "coopLoad" };
        format!("let m_{}{number} = {load}<coop_mat{size}x{size}<f16, {role}>>(&{}[{at}], {pitch}u);", self.name, self.array())
    }
}

//! A tile that a subgroup shares: lanes load different rows of `a` and give them to all by broadcasts; columns of `b` are each lane's own. A broadcast is
//! one instruction where a load is one for each lane, as on a software device.
//!
//! Where an operand lies so that four neighbours can be loaded at once, they are: along the sum (four steps of one row or column), or across it (four
//! rows or columns of one step, which then belong to one lane).

use noyau_compile::plan::Matmul;
use noyau_tensor::Result;

use super::epilogue::{epilogue, results};
use super::slice::{Slice, slices};
use super::tile_place;
use crate::text::Text;
use crate::{Layout, Phase, Work};

/// How many steps of the summed axis a loop's turn takes: as many as a load brings.
const UNROLL: usize = 4;

/// How an operand's values reach the lanes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetch {
    /// One value a load.
    Single,
    /// Four steps of the sum a load.
    AlongSum,
    /// Four rows (columns) a load.
    AcrossSum,
}

/// How the operand is fetched when a lane holds `count` of its rows (columns).
fn fetch(slice: &Slice<'_>, k: usize, count: usize) -> Fetch {
    if !slice.reads_vec4(k) {
        Fetch::Single
    } else if slice.along_l() {
        Fetch::AlongSum
    } else if count.is_multiple_of(4) {
        Fetch::AcrossSum
    } else {
        Fetch::Single
    }
}

/// Whether each operand is read four neighbours at a time.
pub(super) fn reads_vec4(kernel: &Matmul, rows: usize, columns: usize, size: usize) -> [bool; 2] {
    let [a, b] = slices(kernel);
    [fetch(&a, kernel.k, rows / size), fetch(&b, kernel.k, columns)].map(|f| f != Fetch::Single)
}

/// One operand's part of a tile: each lane holds `count` of its rows (columns).
struct Part<'a> {
    slice: Slice<'a>,
    fetch: Fetch,
    count: usize,
    size: usize,
    name: &'static str,
}

impl Part<'_> {
    /// The place within the tile of a lane's value `r`; `lane` is an expression.
    fn offset(&self, r: usize, lane: &str) -> String {
        match self.fetch {
            Fetch::AcrossSum => format!("{lane} * 4u + {}u", r / 4 * 4 * self.size + r % 4),
            Fetch::Single | Fetch::AlongSum => format!("{lane} + {}u", r * self.size),
        }
    }

    /// As [`Part::offset`], as a number.
    fn row(&self, r: usize, lane: usize) -> usize {
        match self.fetch {
            Fetch::AcrossSum => lane * 4 + r / 4 * 4 * self.size + r % 4,
            Fetch::Single | Fetch::AlongSum => lane + r * self.size,
        }
    }

    /// Writes the places from which a lane loads.
    fn places(&self, text: &mut Text) {
        let tile = self.count * self.size;
        let Slice { start, size, .. } = self.slice;
        let step = if self.fetch == Fetch::AcrossSum { 4 } else { 1 };
        for r in (0..self.count).step_by(step) {
            let x = format!("{start} + {}", self.offset(r, "lid"));
            // What sticks out of the operand is brought back to its end: what is computed there is not stored.
            let x = if size % tile == 0 { format!("({x})") } else { format!("min({x}, {}u)", size - step) };
            self.slice.position(text, &format!("p{}{r}", self.name), &x);
        }
    }

    /// Writes the loads of step `l + u` (an expression), or of four steps where they come together and `u` is the first of them.
    fn load(&self, text: &mut Text, layout: &Layout, l: &str, u: usize) {
        let name = self.name;
        if self.fetch == Fetch::AlongSum && u > 0 {
            return;
        }
        let sum = format!("l{name}{u}");
        self.slice.sum(text, &sum, &format!("{l} + {u}u"));
        for r in (0..self.count).step_by(if self.fetch == Fetch::AcrossSum { 4 } else { 1 }) {
            let position = format!("p{name}{r}");
            text.line(match self.fetch {
                Fetch::AlongSum => format!("let {name}{r} = {};", self.slice.at4(layout, &position, &sum)),
                Fetch::AcrossSum => format!("let {name}{r}_{u} = {};", self.slice.at4(layout, &position, &sum)),
                Fetch::Single => format!("let {name}{r}_{u} = {};", self.slice.at(layout, &position, &sum)),
            });
        }
    }

    /// A lane's value `r` at step `u`.
    fn value(&self, r: usize, u: usize) -> String {
        let name = self.name;
        match self.fetch {
            Fetch::AlongSum => format!("{name}{r}[{u}]"),
            Fetch::AcrossSum => format!("{name}{}_{u}[{}]", r / 4 * 4, r % 4),
            Fetch::Single => format!("{name}{r}_{u}"),
        }
    }
}

pub(super) fn phase(id: usize, name: &str, kernel: &Matmul, layout: &Layout, rows: usize, columns: usize, size: usize) -> Result<Phase> {
    let wide = columns * size;
    let held = rows / size;
    let mut text = Text::body();
    let groups = tile_place(&mut text, "group", kernel, rows, wide);
    let [a, b] = slices(kernel);
    a.declare(&mut text);
    b.declare(&mut text);
    let a = Part { fetch: fetch(&a, kernel.k, held), slice: a, count: held, size, name: "a" };
    let b = Part { fetch: fetch(&b, kernel.k, columns), slice: b, count: columns, size, name: "x" };
    a.places(&mut text);
    b.places(&mut text);
    for i in 0..rows {
        for j in 0..columns {
            text.line(format!("var s{i}_{j} = 0f;"));
        }
    }
    let step = |text: &mut Text, l: &str, u: usize| {
        b.load(text, layout, l, u);
        a.load(text, layout, l, u);
        for r in 0..held {
            for lane in 0..size {
                let i = r * size + lane;
                text.line(format!("let y{i}_{u} = subgroupBroadcast({}, {lane}u);", a.value(r, u)));
                for j in 0..columns {
                    text.line(format!("s{i}_{j} = fma(y{i}_{u}, {}, s{i}_{j});", b.value(j, u)));
                }
            }
        }
    };
    let whole = kernel.k - kernel.k % UNROLL;
    if whole > 0 {
        text.open(format!("for (var l = 0u; l < {whole}u; l += {UNROLL}u) {{"));
        for u in 0..UNROLL {
            step(&mut text, "l", u);
        }
        text.close();
    }
    // Operands that come four steps at a time leave no rest.
    for u in 0..kernel.k % UNROLL {
        step(&mut text, &format!("{whole}u"), u);
    }
    // Rows in the order in which they lie in the tile.
    let mut sums = vec![Vec::new(); rows];
    for i in 0..rows {
        sums[a.row(i / size, i % size)] = (0..columns).map(|j| format!("s{i}_{j}")).collect();
    }
    let places: Vec<String> = (0..columns).map(|j| format!("j0 + {}", b.offset(j, "lid"))).collect();
    results(&mut text, id, kernel, [rows, wide], &sums, "i0 + t", &places);
    let function = format!("k{id}");
    let code = format!("{}fn {function}(group: u32, lid: u32) {{\n{}}}\n", epilogue(id, kernel, layout)?, text.finish());
    let work = Work::Groups { count: groups, size: size as u32 };
    let iterations = (whole / UNROLL + rows) as u64;
    Ok(Phase { name: format!("{name} [subgroup-{rows}x{columns}]"), code, function, work, iterations, shared: Vec::new() })
}

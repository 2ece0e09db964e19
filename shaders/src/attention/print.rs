//! The code of a phase: rows that are owned, rows that are walked over, what is added up.

use noyau_compile::plan::{Attention, BufferId, Digit, Matrix};
use noyau_tensor::Result;

use super::{Heads, in_fours};
use crate::text::{Sum, Text, all};
use crate::{Layout, Phase, Shared, Work};

/// Rows that are walked over at a time: one rescaling forward, and loads that wait together. Where each row is many loads, software drivers, that write each of
/// them for every lane, take seconds to compile more than one.
const STEP: usize = 4;
const SHORT: usize = 16;

/// An operand of one side: `[rows, features]`.
#[derive(Clone)]
pub(super) struct Side<'a> {
    pub name: &'static str,
    pub matrix: &'a Matrix,
    pub features: usize,
}

impl Side<'_> {
    /// How many vectors of four a row has.
    fn fours(&self) -> usize {
        self.features.div_ceil(4)
    }
}

/// What is added up, and where it goes. `rows`: the logarithm of each row's sum, and its sum of result times gradient.
pub(super) enum Sums {
    Means { out: Option<BufferId>, lse: Option<BufferId> },
    Queries { rows: (BufferId, BufferId), dq: BufferId },
    Keys { rows: (BufferId, BufferId), dk: Option<BufferId>, dv: Option<BufferId> },
}

/// A sum of an owned row: `acc<name>` adds up a number of each walked row times that row's features.
struct Total {
    name: &'static str,
    /// Of the walked sides.
    side: usize,
    /// The number: `w` a weight, `t` the gradient of a score.
    times: &'static str,
    to: BufferId,
}

struct Printer<'a> {
    a: &'a Attention,
    layout: &'a Layout,
    own: Vec<Side<'a>>,
    walked: Vec<Side<'a>>,
    sums: &'a Sums,
    totals: Vec<Total>,
    /// Which of both sides' products are needed: the score, and backward the gradient of the weight.
    products: Vec<usize>,
    heads: Heads,
    /// How many rows are owned and walked over.
    sizes: [usize; 2],
    /// Whether queries are owned.
    queries: bool,
    step: usize,
}

#[expect(clippy::too_many_arguments, reason = "what a phase is made of")]
pub(super) fn phase(
    function: &str,
    name: &str,
    a: &Attention,
    layout: &Layout,
    heads: Heads,
    own: Vec<Side>,
    walked: Vec<Side>,
    sums: Sums,
) -> Result<Phase> {
    let total = |name, side, times, to: Option<BufferId>| to.map(|to| Total { name, side, times, to });
    let totals: Vec<Total> = match &sums {
        Sums::Means { out, .. } => total("o", 1, "w", *out).into_iter().collect(),
        Sums::Queries { dq, .. } => total("q", 0, "t", Some(*dq)).into_iter().collect(),
        Sums::Keys { dk, dv, .. } => total("k", 0, "t", *dk).into_iter().chain(total("v", 1, "w", *dv)).collect(),
    };
    let slopes = totals.iter().any(|total| total.times == "t");
    let queries = !matches!(sums, Sums::Keys { .. });
    let sizes = if queries { [a.n, a.m] } else { [a.m, a.n] };
    let products = if slopes { vec![0, 1] } else { vec![0] };
    let own = own.into_iter().take(products.len()).collect();
    let step = if matches!(heads, Heads::Rows { .. }) && a.d.max(a.e) > SHORT { 1 } else { STEP };
    let printer = Printer { a, layout, own, walked, sums: &sums, totals, products, heads, sizes, queries, step };
    let (body, work, iterations, shared) = match heads {
        Heads::Rows { rows } => printer.rows(rows as usize),
        Heads::Tiles { tile, group, .. } => printer.tiles(tile as usize, group as usize),
    };
    let (argument, how) = match heads {
        Heads::Rows { rows } => ("item: u32", format!("rows {rows}")),
        Heads::Tiles { lanes, tile, group } => ("group: u32, lid: u32", format!("tiles {tile}, {lanes} of {group}")),
    };
    let code = format!("fn {function}({argument}) {{\n{}}}\n", body.finish());
    Ok(Phase { name: format!("{name} [{how}]"), code, function: function.into(), work, iterations, shared })
}

/// The sum of a matrix' place in the batch `z`, less its row.
fn origin(matrix: &Matrix) -> Sum {
    let mut sum = Sum::new(matrix.offset as i64);
    let mut inner = 1;
    for Digit { size, stride, .. } in matrix.batch.iter().rev() {
        let digit = if inner == 1 { format!("(z % {size}u)") } else { format!("((z / {inner}u) % {size}u)") };
        sum.add(*stride as i64, digit);
        inner *= size;
    }
    sum
}

impl Printer<'_> {
    fn lanes(&self) -> usize {
        if let Heads::Tiles { lanes, .. } = self.heads { lanes as usize } else { 1 }
    }

    /// The vectors of four that an invocation holds of a side's row: the last ones may be beyond it, and are zeros then.
    fn held(&self, side: &Side) -> usize {
        side.fours().div_ceil(self.lanes())
    }

    /// Four features of a row in storage; `start` names the place of the row, `four` (a number or a variable) says which. Beyond the row's end there are zeros.
    fn load(&self, side: &Side, start: &str, four: &str) -> String {
        let column = side.matrix.strides().map_or(1, |strides| strides.column);
        let constant = four.parse::<usize>().ok();
        let first = match constant {
            Some(four) => format!("{}u", four * 4 * column),
            None => format!("{four} * {}u", 4 * column),
        };
        if in_fours(side.matrix, side.features) {
            return self.layout.load4(side.matrix.buffer, &format!("{start} + {first}"));
        }
        let part = |c: usize| {
            let value = self.layout.load(side.matrix.buffer, &format!("{start} + {first} + {}u", c * column));
            match constant {
                Some(four) if four * 4 + c >= side.features => "0f".to_string(),
                None if !side.features.is_multiple_of(4) => {
                    // The last feature again where there is none: nothing is read beyond the matrix.
                    let at = format!("min({four} * 4u + {c}u, {}u)", side.features - 1);
                    let value = self.layout.load(side.matrix.buffer, &format!("{start} + {at} * {column}u"));
                    format!("select(0f, {value}, {four} * 4u + {c}u < {}u)", side.features)
                }
                _ => value,
            }
        };
        format!("vec4<f32>({}, {}, {}, {})", part(0), part(1), part(2), part(3))
    }

    /// The place where a row begins.
    fn row(&self, matrix: &Matrix, row: &str) -> String {
        let mut sum = origin(matrix);
        sum.add(matrix.strides().map_or(0, |strides| strides.row as i64), row);
        sum.print()
    }

    /// Declares owned row `r`, at place `i<r>`: features, sums, state.
    fn declare(&self, text: &mut Text, r: usize) {
        for side in &self.own {
            let name = side.name;
            text.line(format!("let at_{name}{r} = {};", self.row(side.matrix, &format!("i{r}"))));
            for f in 0..self.held(side) {
                let value = if self.lanes() == 1 {
                    self.load(side, &format!("at_{name}{r}"), &f.to_string())
                } else {
                    // A lane's vectors lie apart by the number of lanes.
                    let four = format!("(lane + {}u)", f * self.lanes());
                    let last = side.fours() - 1;
                    if (f + 1) * self.lanes() > side.fours() {
                        let inside = self.load(side, &format!("at_{name}{r}"), &format!("min(lane + {}u, {last}u)", f * self.lanes()));
                        format!("select(vec4<f32>(), {inside}, lane + {}u <= {last}u)", f * self.lanes())
                    } else {
                        self.load(side, &format!("at_{name}{r}"), &four)
                    }
                };
                text.line(format!("let {name}{r}_{f} = {value};"));
            }
        }
        for total in &self.totals {
            (0..self.held(&self.walked[total.side])).for_each(|f| text.line(format!("var acc{}{r}_{f} = vec4<f32>();", total.name)));
        }
        match self.sums {
            Sums::Means { .. } => {
                text.line(format!("var most{r} = -1e30f;"));
                text.line(format!("var sum{r} = 0f;"));
            }
            Sums::Queries { rows: (lse, delta), .. } => {
                let at = format!("z * {}u + i{r}", self.a.n);
                text.line(format!("let lse{r} = {};", self.layout.load(*lse, &at)));
                text.line(format!("let delta{r} = {};", self.layout.load(*delta, &at)));
            }
            Sums::Keys { .. } => {}
        }
    }

    /// The dot product of owned row `r` and walked row `u` of both sides number `side`, as far as an invocation has them: terms, which others need for themselves.
    fn product(&self, side: usize, r: usize, u: usize) -> String {
        let (own, walked) = (self.own[side].name, self.walked[side].name);
        let terms: Vec<String> = (0..self.held(&self.own[side])).map(|f| format!("dot({own}{r}_{f}, {walked}{u}_{f})")).collect();
        terms.join(" + ")
    }

    /// What scores and gradients of weights become, for owned rows `..rows` and walked rows `j..j + step`, of which `jc<u>` are the places within the matrix:
    /// from `s<r>_<u>` and `p<r>_<u>` to `w<r>_<u>` and `t<r>_<u>`.
    fn weigh(&self, text: &mut Text, rows: usize, whole: bool) {
        let a = self.a;
        for (r, u) in (0..rows).flat_map(|r| (0..self.step).map(move |u| (r, u))) {
            let (query, key) = if self.queries { (format!("i{r}"), format!("jc{u}")) } else { (format!("jc{u}"), format!("i{r}")) };
            let mut score = format!("s{r}_{u} * {:?}f", a.scale);
            let mut open = Vec::new();
            for (number, mask) in a.masks.iter().enumerate() {
                let strides = mask.strides();
                let mut place = origin(mask);
                place.add(strides.as_ref().map_or(0, |s| s.row as i64), query.clone());
                place.add(strides.as_ref().map_or(0, |s| s.column as i64), key.clone());
                text.line(format!("let m{r}_{u}_{number} = {};", self.layout.load(mask.buffer, &place.print())));
                score.push_str(&format!(" + m{r}_{u}_{number}"));
                open.push(format!("m{r}_{u}_{number} > -1e30f"));
            }
            if a.causal {
                open.push(format!("{key} <= {query}"));
            }
            if !whole {
                open.push(format!("j + {u}u < {}u", self.sizes[1]));
            }
            if open.is_empty() {
                text.line(format!("let x{r}_{u} = {score};"));
            } else {
                text.line(format!("let x{r}_{u} = select(-1e30f, {score}, {});", all(&open)));
            }
            // What is closed weighs nothing, whatever else is in the row.
            let weight = |below: &str| {
                let weight = format!("exp(clamp({below}, -100f, 80f))");
                if open.is_empty() { weight } else { format!("select(0f, {weight}, x{r}_{u} > -1e30f)") }
            };
            match self.sums {
                Sums::Means { .. } => {}
                Sums::Queries { .. } => text.line(format!("let w{r}_{u} = {};", weight(&format!("x{r}_{u} - lse{r}")))),
                Sums::Keys { .. } => text.line(format!("let w{r}_{u} = {};", weight(&format!("x{r}_{u} - lse_{u}")))),
            }
            let delta = if self.queries { format!("delta{r}") } else { format!("delta_{u}") };
            if self.products.contains(&1) {
                text.line(format!("let t{r}_{u} = w{r}_{u} * (p{r}_{u} - {delta}) * {:?}f;", a.scale));
            }
        }
        if let Sums::Means { .. } = self.sums {
            let any = a.causal || !a.masks.is_empty() || !whole;
            for r in 0..rows {
                let top = (0..self.step).fold(format!("most{r}"), |top, u| format!("max({top}, x{r}_{u})"));
                text.line(format!("let top{r} = {top};"));
                text.line(format!("let less{r} = exp(max(most{r} - top{r}, -100f));"));
                text.line(format!("most{r} = top{r};"));
                for u in 0..self.step {
                    let weight = format!("exp(max(x{r}_{u} - top{r}, -100f))");
                    let weight = if any { format!("select(0f, {weight}, x{r}_{u} > -1e30f)") } else { weight };
                    text.line(format!("let w{r}_{u} = {weight};"));
                }
                let weights: Vec<String> = (0..self.step).map(|u| format!("w{r}_{u}")).collect();
                text.line(format!("sum{r} = sum{r} * less{r} + ({});", weights.join(" + ")));
            }
        }
    }

    /// Adds what the walked rows give to the sums.
    fn add(&self, text: &mut Text, rows: usize) {
        for (r, total) in (0..rows).flat_map(|r| self.totals.iter().map(move |total| (r, total))) {
            let (side, times) = (self.walked[total.side].name, total.times);
            for f in 0..self.held(&self.walked[total.side]) {
                let sum = format!("acc{}{r}_{f}", total.name);
                let less = if matches!(self.sums, Sums::Means { .. }) { format!("{sum} * less{r}") } else { sum.clone() };
                let term = |u: usize| format!("{times}{r}_{u} * {side}{u}_{f}");
                let terms: Vec<String> = (0..self.step).map(term).collect();
                text.line(format!("{sum} = {less} + ({});", terms.join(" + ")));
            }
        }
    }

    /// Writes owned row `r`.
    fn store(&self, text: &mut Text, r: usize) {
        let rows = self.sizes[0];
        let (part, lanes) = if self.lanes() == 1 { (String::new(), 1) } else { (" + lane * 4u".to_string(), self.lanes()) };
        if let Sums::Means { .. } = self.sums {
            // Where nothing is open all sums are 0.
            text.line(format!("let norm{r} = 1f / select(1f, sum{r}, sum{r} > 0f);"));
        }
        for total in &self.totals {
            let side = &self.walked[total.side];
            text.line(format!("let to_{}{r} = (z * {rows}u + i{r}) * {}u{part};", total.name, side.features));
            for f in 0..self.held(side) {
                let value = format!("acc{}{r}_{f}", total.name);
                let scaled = if matches!(self.sums, Sums::Means { .. }) { format!("{value} * norm{r}") } else { value.clone() };
                text.line(format!("let {value}_ = {scaled};"));
                for c in 0..4 {
                    let feature = f * 4 * lanes + c;
                    let store = self.layout.store(total.to, &format!("to_{}{r} + {feature}u", total.name), &format!("{value}_[{c}]"));
                    if feature + (lanes - 1) * 4 < side.features {
                        text.line(store);
                    } else if feature < side.features {
                        text.line(format!("if (lane * 4u + {feature}u < {}u) {{ {store} }}", side.features));
                    }
                }
            }
        }
        if let Sums::Means { lse: Some(lse), .. } = self.sums {
            let value = format!("select(0f, most{r} + log(max(sum{r}, 1e-30f)), sum{r} > 0f)");
            let store = self.layout.store(*lse, &format!("z * {rows}u + i{r}"), &value);
            text.line(if self.lanes() == 1 { store } else { format!("if (lane == 0u) {{ {store} }}") });
        }
    }

    /// The numbers of walked queries that weights are made with.
    fn walked_rows(&self, text: &mut Text) {
        let Sums::Keys { rows: (lse, delta), .. } = self.sums else { return };
        for u in 0..self.step {
            let at = format!("z * {}u + jc{u}", self.a.n);
            text.line(format!("let lse_{u} = {};", self.layout.load(*lse, &at)));
            if self.products.contains(&1) {
                text.line(format!("let delta_{u} = {};", self.layout.load(*delta, &at)));
            }
        }
    }

    /// Where a walk begins and ends, for owned rows from `first` on, `count` of them, in steps of `step`.
    fn walk(&self, first: &str, count: usize, step: usize) -> [String; 2] {
        let end = self.sizes[1];
        match (self.a.causal, self.queries) {
            (false, _) => ["0u".into(), format!("{end}u")],
            (true, true) => ["0u".into(), format!("min({first} + {count}u, {end}u)")],
            (true, false) => [format!("({first} / {step}u) * {step}u"), format!("{end}u")],
        }
    }

    /// The sides of which walked rows are needed.
    fn needed(&self) -> Vec<usize> {
        (0..2).filter(|i| self.products.contains(i) || self.totals.iter().any(|total| total.side == *i)).collect()
    }

    /// Each invocation by itself.
    fn rows(&self, rows: usize) -> (Text, Work, u64, Vec<Shared>) {
        let [own, walked] = self.sizes;
        let blocks = own.div_ceil(rows);
        let mut text = Text::body();
        text.line(format!("let z = item / {blocks}u;"));
        text.line(format!("let first = (item % {blocks}u) * {rows}u;"));
        for r in 0..rows {
            // Rows beyond the end are the last one again, and not written.
            let at = if own.is_multiple_of(rows) { format!("first + {r}u") } else { format!("min(first + {r}u, {}u)", own - 1) };
            text.line(format!("let i{r} = {at};"));
            self.declare(&mut text, r);
        }
        let whole = walked.is_multiple_of(self.step);
        let step = self.step;
        let [start, end] = self.walk("first", rows, step);
        text.line(format!("let end = {end};"));
        text.open(format!("for (var j = {start}; j < end; j += {step}u) {{"));
        for u in 0..self.step {
            let at = if whole { format!("j + {u}u") } else { format!("min(j + {u}u, {}u)", walked - 1) };
            text.line(format!("let jc{u} = {at};"));
        }
        for i in self.needed() {
            let side = &self.walked[i];
            let name = side.name;
            for u in 0..self.step {
                text.line(format!("let at_{name}_{u} = {};", self.row(side.matrix, &format!("jc{u}"))));
                (0..self.held(side)).for_each(|f| {
                    let value = self.load(side, &format!("at_{name}_{u}"), &f.to_string());
                    text.line(format!("let {name}{u}_{f} = {value};"));
                });
            }
        }
        self.walked_rows(&mut text);
        for (r, u) in (0..rows).flat_map(|r| (0..self.step).map(move |u| (r, u))) {
            for &side in &self.products {
                text.line(format!("let {}{r}_{u} = {};", ["s", "p"][side], self.product(side, r, u)));
            }
        }
        self.weigh(&mut text, rows, whole);
        self.add(&mut text, rows);
        text.close();
        for r in 0..rows {
            if own.is_multiple_of(rows) {
                self.store(&mut text, r);
            } else {
                text.open(format!("if (first + {r}u < {own}u) {{"));
                self.store(&mut text, r);
                text.close();
            }
        }
        (text, Work::Items((self.a.batch * blocks) as u64), walked.div_ceil(self.step) as u64, Vec::new())
    }

    /// A workgroup together.
    fn tiles(&self, tile: usize, group: usize) -> (Text, Work, u64, Vec<Shared>) {
        let [own, walked] = self.sizes;
        let lanes = self.lanes();
        let rows = group / lanes;
        let blocks = own.div_ceil(rows);
        let mut shared = Vec::new();
        let mut text = Text::body();
        text.line(format!("let z = group / {blocks}u;"));
        text.line(format!("let first = (group % {blocks}u) * {rows}u;"));
        text.line(format!("let mine = lid / {lanes}u;"));
        text.line(format!("let lane = lid % {lanes}u;"));
        text.line(format!("let i0 = min(first + mine, {}u);", own - 1));
        self.declare(&mut text, 0);
        let [start, end] = self.walk("first", rows, tile);
        text.line(format!("let end = {end};"));
        text.open(format!("for (var tile = {start}; tile < end; tile += {tile}u) {{"));
        // All have read the last tile before the next is written.
        text.line("workgroupBarrier();");
        for i in self.needed() {
            let side = &self.walked[i];
            let (name, fours) = (side.name, side.fours());
            let held = self.held(side) * lanes;
            shared.push(Shared { name: format!("tile_{i}"), element: "vec4<f32>", len: (tile * held) as u32 });
            text.open(format!("for (var l = lid; l < {}u; l += {group}u) {{", tile * held));
            text.line(format!("let row = tile + l / {held}u;"));
            text.line(format!("let four = l % {held}u;"));
            let clamped = if held == fours { "four".to_string() } else { format!("min(four, {}u)", fours - 1) };
            text.line(format!("let at_{name} = {};", self.row(side.matrix, &format!("min(row, {}u)", walked - 1))));
            let value = self.load(side, &format!("at_{name}"), &clamped);
            let value = if held == fours { value } else { format!("select(vec4<f32>(), {value}, four < {fours}u)") };
            text.line(format!("tile_{i}[l] = {value};"));
            text.close();
        }
        text.line("workgroupBarrier();");
        let (whole, step) = (walked.is_multiple_of(tile), self.step);
        let vectors = |text: &mut Text, i: usize, u: usize, row: &str| {
            let side = &self.walked[i];
            let held = self.held(side) * lanes;
            for f in 0..self.held(side) {
                let lane = if lanes == 1 { String::new() } else { " + lane".into() };
                text.line(format!("let {}{u}_{f} = tile_{i}[({row}) * {held}u + {}u{lane}];", side.name, f * lanes));
            }
        };
        if lanes > 1 {
            // Each lane's part of the products, for the others to add up.
            for &i in &self.products {
                shared.push(Shared { name: format!("part_{i}"), element: "f32", len: (tile * group) as u32 });
            }
            text.open(format!("for (var c = 0u; c < {tile}u; c++) {{"));
            for &i in &self.products {
                vectors(&mut text, i, 0, "c");
                text.line(format!("part_{i}[c * {group}u + lid] = {};", self.product(i, 0, 0)));
            }
            text.close();
            text.line("workgroupBarrier();");
        }
        text.open(format!("for (var c = 0u; c < {tile}u; c += {step}u) {{"));
        text.line("let j = tile + c;");
        for u in 0..self.step {
            let at = if whole { format!("j + {u}u") } else { format!("min(j + {u}u, {}u)", walked - 1) };
            text.line(format!("let jc{u} = {at};"));
        }
        for i in self.needed() {
            let added = self.totals.iter().any(|total| total.side == i);
            if lanes == 1 || added {
                (0..self.step).for_each(|u| vectors(&mut text, i, u, &format!("c + {u}u")));
            }
        }
        for (u, &i) in (0..self.step).flat_map(|u| self.products.iter().map(move |i| (u, i))) {
            let name = ["s", "p"][i];
            if lanes == 1 {
                text.line(format!("let {name}0_{u} = {};", self.product(i, 0, u)));
            } else {
                let part = |lane: usize| format!("part_{i}[(c + {u}u) * {group}u + mine * {lanes}u + {lane}u]");
                text.line(format!("let {name}0_{u} = {};", (0..lanes).map(part).collect::<Vec<_>>().join(" + ")));
            }
        }
        self.walked_rows(&mut text);
        self.weigh(&mut text, 1, whole);
        self.add(&mut text, 1);
        text.close();
        text.close();
        text.open(format!("if (first + mine < {own}u) {{"));
        self.store(&mut text, 0);
        text.close();
        let turns = if lanes == 1 { tile / self.step } else { tile / self.step + tile };
        let loads = self.needed().len() * (tile * self.held(&self.walked[0]) * lanes).div_ceil(group);
        let iterations = walked.div_ceil(tile) * (turns + loads);
        (text, Work::Groups { count: (self.a.batch * blocks) as u64, size: group as u32 }, iterations as u64, shared)
    }
}

//! [`Matmul`] kernels: the variants, and what they share: where a tile is, how its operands are addressed, the body's function.

mod registers;
mod slice;
mod split;
mod subgroup;
mod tiled;

use std::collections::BTreeSet;

use noyau_compile::plan::{Matmul, Matrix, ValueId};
use noyau_tensor::{Error, Result};

use crate::body::{Printer, views};
use crate::place::Axes;
use crate::text::Text;
use crate::{Layout, Phase};

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// An invocation computes a tile of `rows` x `columns` in registers, straight from storage.
    Registers {
        /// Rows of the tile.
        rows: u32,
        /// Columns of the tile.
        columns: u32,
    },
    /// As `Registers`, but `lanes` invocations share the summed axis and add up their parts in workgroup memory.
    Split {
        /// Rows of the tile.
        rows: u32,
        /// Columns of the tile.
        columns: u32,
        /// How many invocations share a tile: a power of two, at most 256.
        lanes: u32,
    },
    /// A subgroup of exactly `size` invocations computes a tile of `rows` x `columns * size`: each invocation owns `columns` columns, loads a part of the
    /// left operand's rows and gives it to the others. For devices on which loads cost much more than arithmetic.
    Subgroup {
        /// Rows of the tile, a multiple of `size`.
        rows: u32,
        /// Columns of each invocation.
        columns: u32,
        /// The subgroup's size.
        size: u32,
    },
    /// A workgroup of 256 computes a tile of `tile` x `tile` (64 or 128) through workgroup memory.
    Tiled {
        /// The tile's rows and columns: 64 or 128.
        tile: u32,
    },
}

impl Variant {
    /// Whether the left and the right operand are best bound as `vec4<f32>`, because the variant will read them four neighbours at a time.
    pub fn reads_vec4(self, kernel: &Matmul) -> [bool; 2] {
        match self {
            Variant::Tiled { .. } => tiled::reads_vec4(kernel),
            Variant::Subgroup { rows, columns, size } => subgroup::reads_vec4(kernel, rows as usize, columns as usize, size as usize),
            Variant::Registers { .. } | Variant::Split { .. } => [false, false],
        }
    }
}

/// The code of a product, as function `k<id>`.
pub fn matmul(id: usize, name: &str, kernel: &Matmul, layout: &Layout, variant: Variant) -> Result<Phase> {
    check(kernel)?;
    match variant {
        Variant::Registers { rows, columns } => registers::phase(id, name, kernel, layout, rows as usize, columns as usize),
        Variant::Split { rows, columns, lanes } => split::phase(id, name, kernel, layout, rows as usize, columns as usize, lanes as usize),
        Variant::Subgroup { rows, columns, size } => {
            subgroup::phase(id, name, kernel, layout, rows as usize, columns as usize, size as usize)
        }
        Variant::Tiled { tile } => tiled::phase(id, name, kernel, layout, tile as usize),
    }
}

/// Refuses products whose places do not fit 32 bits.
fn check(kernel: &Matmul) -> Result<()> {
    let batches: usize = kernel.batch.iter().product();
    let reach = |m: &Matrix| m.reach().map_or(0, |(_, most)| most.unsigned_abs());
    let most = reach(&kernel.a).max(reach(&kernel.b)).max(batches as u128 * kernel.m as u128 * kernel.n as u128);
    if most > u128::from(u32::MAX) {
        return Err(Error::argument(
            "matmul",
            format!(
                "{:?} x [{}, {}] x [{}, {}] reaches place {most}, beyond the GPU's 32-bit indices",
                kernel.batch, kernel.m, kernel.k, kernel.k, kernel.n
            ),
        ));
    }
    Ok(())
}

/// `fn e<id>(z: u32, i: u32, j: u32, product: f32)`: the body at one element.
fn epilogue(id: usize, kernel: &Matmul, layout: &Layout) -> Result<String> {
    let space = kernel.space();
    let batch = kernel.batch.len();
    let mut axes = Axes::new(&space, &[0..batch, batch..batch + 1, batch + 1..batch + 2], &views(&kernel.body))?;
    axes.name(1, "i");
    axes.name(2, "j");
    let mut text = Text::body();
    axes.declare(&mut text, 0, "z", "c");
    let mut printer = Printer::new(&kernel.body, layout, axes);
    printer.product = Some("product");
    let needed = printer.needed(kernel.body.stores.iter().map(|s| s.value));
    for v in (0..needed.len()).filter(|&v| needed[v]) {
        printer.value(&mut text, ValueId(v))?;
    }
    for store in 0..kernel.body.stores.len() {
        printer.store(&mut text, store)?;
    }
    Ok(format!("fn e{id}(z: u32, i: u32, j: u32, product: f32) {{\n{}}}\n", text.finish()))
}

/// Writes the body at every element of an invocation's part of a tile: a loop over rows, so that it is compiled once a column and not once an element,
/// over sums that were put into an array, so that until then they are variables that a compiler can keep in registers.
///
/// `sums[row][column]` names the sums; `row` and `columns` are the places that row `t` (a variable) and each column have in the product.
fn results(text: &mut Text, id: usize, kernel: &Matmul, tile: [usize; 2], sums: &[Vec<String>], row: &str, columns: &[String]) {
    let call = |text: &mut Text, row: &str, column: &str, sum: &str| {
        let guard = guard(kernel, tile[0], tile[1], row, column);
        text.line(format!("{guard}{{ e{id}(z, {row}, {column}, {sum}); }}"));
    };
    if let [only] = sums {
        text.line("let t = 0u;");
        text.line(format!("let i = {row};"));
        only.iter().zip(columns).for_each(|(sum, column)| call(text, "i", column, sum));
        return;
    }
    // One array for all columns: compilers take an array that is as long as a loop as a wish to unroll the loop.
    let width = columns.len();
    text.line(format!("var sums: array<f32, {}>;", sums.len() * width));
    for (e, sum) in sums.iter().flatten().enumerate() {
        text.line(format!("sums[{e}] = {sum};"));
    }
    for (j, column) in columns.iter().enumerate() {
        text.line(format!("let column{j} = {column};"));
    }
    text.open(format!("for (var t = 0u; t < {}u; t++) {{", sums.len()));
    text.line(format!("let i = {row};"));
    for j in 0..width {
        call(text, "i", &format!("column{j}"), &format!("sums[t * {width}u + {j}u]"));
    }
    text.close();
}

/// Writes `tj`, `ti` and `z`: the tile's place, of its linear number.
fn tile_place(text: &mut Text, linear: &str, kernel: &Matmul, rows: usize, columns: usize) -> u64 {
    let (tiles_m, tiles_n) = (kernel.m.div_ceil(rows), kernel.n.div_ceil(columns));
    text.line(format!("let i0 = (({linear} / {tiles_n}u) % {tiles_m}u) * {rows}u;"));
    text.line(format!("let j0 = ({linear} % {tiles_n}u) * {columns}u;"));
    text.line(format!("let z = {linear} / {}u;", tiles_m * tiles_n));
    kernel.batch.iter().product::<usize>() as u64 * tiles_m as u64 * tiles_n as u64
}

/// The guard under which element (row, column) of a tile is inside of the product: `if (..) `, or nothing where it always is.
fn guard(kernel: &Matmul, rows: usize, columns: usize, i: &str, j: &str) -> String {
    let mut conditions = BTreeSet::new();
    if !kernel.m.is_multiple_of(rows) {
        conditions.insert(format!("{i} < {}u", kernel.m));
    }
    if !kernel.n.is_multiple_of(columns) {
        conditions.insert(format!("{j} < {}u", kernel.n));
    }
    if conditions.is_empty() { String::new() } else { format!("if ({}) ", conditions.into_iter().collect::<Vec<_>>().join(" && ")) }
}

/// `start + i`, brought back to the last row or column where the tile sticks out: what is computed there is not stored.
fn clamped(start: &str, i: usize, size: usize, tile: usize) -> String {
    let at = if i == 0 { start.to_string() } else { format!("{start} + {i}u") };
    if size.is_multiple_of(tile) { format!("({at})") } else { format!("min({at}, {}u)", size - 1) }
}

//! [`Matmul`] kernels: the variants, and what they share: where a tile is, how its operands are addressed, the body's functions.

mod coop;
mod epilogue;
mod names;
mod parts;
mod registers;
mod slice;
mod split;
mod subgroup;
#[cfg(test)]
pub(crate) mod tests;
mod tiled;
mod vector;

use noyau_compile::plan::{BufferId, Matmul, Matrix};
use noyau_tensor::{Error, Result};

use crate::text::{Text, all};
use crate::{Layout, Phase};

/// How a product is computed. Written as its name, such as `tiled-128x64`, and read from it.
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
    /// A subgroup computes a tile of `rows` x `columns * size`, `size` being the device's: each invocation owns `columns` columns, loads a part of the
    /// left operand's rows and gives it to the others. For devices on which loads cost much more than arithmetic.
    Subgroup {
        /// Rows of the tile, a multiple of the subgroup's size.
        rows: u32,
        /// Columns of each invocation.
        columns: u32,
    },
    /// A workgroup computes a tile of `rows` x `columns` through workgroup memory: see [`Tile`].
    Tiled(Tile),
    /// For products with few rows or few columns: a workgroup computes up to `count` of those at once, its invocations spread over the other side and
    /// over the sum, so that the large operand is read once, neighbours together.
    Vector {
        /// How many rows (or columns, where those are fewer) at once: 1 to 8.
        count: u32,
    },
    /// As `Tiled`, by the device's own products of `size` x `size` matrices of f16, with f32 sums. For operands of f16 only.
    Coop {
        /// The device's matrices: 8 or 16.
        size: u32,
        /// The tile of a workgroup.
        tile: Tile,
    },
}

/// A workgroup's part of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Its rows.
    pub rows: u32,
    /// Its columns.
    pub columns: u32,
    /// How many steps of the sum are in workgroup memory at a time.
    pub depth: u32,
    /// Whether there is room for two such slices, so that one is written while the other is read.
    pub double: bool,
    /// How many workgroups share the sum; what each adds up goes to memory, and a further launch adds that up, always in the same order.
    pub parts: u32,
}

impl Tile {
    /// A tile with one slice of the usual depth, and the sum in one part.
    pub const fn new(rows: u32, columns: u32) -> Tile {
        Tile { rows, columns, depth: 16, double: false, parts: 1 }
    }
}

/// Where the parts of a sum lie that [`Tile::parts`] workgroups share: the buffer of that name, f32, in a launch's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scratch(pub BufferId);

/// What printing a product needs to know of the device, and of the launch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Means {
    /// The subgroup's size, where it has one size only.
    pub subgroup: Option<u32>,
    /// The memory for parts of sums, for variants that ask for it.
    pub scratch: Option<Scratch>,
    /// Whether the device reads its own matrices from arrays of single numbers only, not of `vec4`s.
    pub singles: bool,
}

impl Variant {
    /// The buffers that are best bound as `vec4`s, because the variant reads or writes them four neighbours at a time. A buffer that it writes is among them
    /// only if it is always written so.
    pub fn vec4(self, kernel: &Matmul, means: Means) -> Vec<BufferId> {
        let [a, b] = match self {
            Variant::Tiled(_) | Variant::Coop { .. } => slice::slices(kernel).map(|slice| slice.reads_vec4(kernel.k)),
            Variant::Vector { .. } => vector::reads_vec4(kernel),
            Variant::Subgroup { rows, columns } => {
                let size = means.subgroup.unwrap_or(1).max(1) as usize;
                subgroup::reads_vec4(kernel, rows as usize, columns as usize, size)
            }
            Variant::Registers { .. } | Variant::Split { .. } => [false, false],
        };
        let mut buffers: Vec<BufferId> = [(a, kernel.a.buffer), (b, kernel.b.buffer)].into_iter().filter(|v| v.0).map(|v| v.1).collect();
        if matches!(self, Variant::Tiled(_) | Variant::Coop { .. }) {
            buffers.extend(epilogue::vec4(kernel));
            buffers.extend(means.scratch.filter(|_| self.parts() > 1 && kernel.n.is_multiple_of(4)).map(|s| s.0));
        }
        buffers
    }

    /// How many workgroups share the sum.
    pub fn parts(self) -> u32 {
        match self {
            Variant::Tiled(tile) | Variant::Coop { tile, .. } => tile.parts,
            Variant::Registers { .. } | Variant::Split { .. } | Variant::Subgroup { .. } | Variant::Vector { .. } => 1,
        }
    }

    /// How many words of memory the parts of a product's sums take.
    pub fn scratch_words(self, kernel: &Matmul) -> usize {
        match self.parts() {
            0 | 1 => 0,
            parts => (kernel.space().iter().product::<usize>()).saturating_mul(parts as usize),
        }
    }

    /// Bytes of workgroup memory, at most.
    pub fn shared_bytes(self) -> u32 {
        match self {
            Variant::Registers { .. } | Variant::Subgroup { .. } => 0,
            Variant::Split { rows, columns, lanes } => rows * columns * lanes.max(64) * 4,
            Variant::Vector { count } => vector::shared_bytes(count as usize) as u32,
            Variant::Tiled(tile) => tiled::shared_bytes(tile) as u32,
            Variant::Coop { size, tile } => coop::shared_bytes(size as usize, tile) as u32,
        }
    }

    /// Invocations of a workgroup, where it is the variant that says so.
    pub fn group(self, means: Means) -> Option<u32> {
        let subgroup = means.subgroup.unwrap_or(1);
        match self {
            Variant::Registers { .. } => None,
            Variant::Split { lanes, .. } => Some(lanes.max(64)),
            Variant::Subgroup { .. } => Some(subgroup),
            Variant::Vector { .. } => Some(vector::GROUP as u32),
            Variant::Tiled(tile) => Some(tiled::Shape::of(tile).group as u32),
            Variant::Coop { tile, .. } => Some(coop::subgroups(tile) as u32 * subgroup),
        }
    }
}

/// The code of a product: a phase, or two where its sums come in parts.
pub fn matmul(id: usize, name: &str, kernel: &Matmul, layout: &Layout, variant: Variant, means: Means) -> Result<Vec<Phase>> {
    check(kernel, variant)?;
    let lacks = |what: &str| Error::Internal(format!("{name} as {variant} has no {what}"));
    let one = |phase: Result<Phase>| Ok(vec![phase?]);
    let parts = match means.scratch {
        Some(scratch) => Some(scratch),
        None if variant.parts() > 1 => return Err(lacks("memory for its parts")),
        None => None,
    };
    match variant {
        Variant::Registers { rows, columns } => one(registers::phase(id, name, kernel, layout, rows as usize, columns as usize)),
        Variant::Split { rows, columns, lanes } => {
            one(split::phase(id, name, kernel, layout, rows as usize, columns as usize, lanes as usize))
        }
        Variant::Subgroup { rows, columns } => {
            let size = means.subgroup.ok_or_else(|| lacks("subgroups of a known size"))?;
            one(subgroup::phase(id, name, kernel, layout, rows as usize, columns as usize, size as usize))
        }
        Variant::Vector { count } => one(vector::phase(id, name, kernel, layout, count as usize)),
        Variant::Tiled(tile) => tiled::phases(id, name, kernel, layout, tile, parts),
        Variant::Coop { size, tile } => {
            let lanes = means.subgroup.ok_or_else(|| lacks("subgroups of a known size"))?;
            let device = coop::Device { size: size as usize, lanes: lanes as usize, singles: means.singles };
            coop::phases(id, name, kernel, layout, tile, device, parts)
        }
    }
}

/// Refuses products whose places do not fit 32 bits.
fn check(kernel: &Matmul, variant: Variant) -> Result<()> {
    let batches: usize = kernel.batch.iter().product();
    let reach = |m: &Matrix| m.reach().map_or(0, |(_, most)| most.unsigned_abs());
    let results = batches as u128 * kernel.m as u128 * kernel.n as u128 * u128::from(variant.parts().max(1));
    let most = reach(&kernel.a).max(reach(&kernel.b)).max(results);
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

/// Writes `i0`, `j0` and `z`: where the tile of a linear number begins.
fn tile_place(text: &mut Text, linear: &str, kernel: &Matmul, rows: usize, columns: usize) -> u64 {
    let (tiles_m, tiles_n) = (kernel.m.div_ceil(rows), kernel.n.div_ceil(columns));
    text.line(format!("let i0 = (({linear} / {tiles_n}u) % {tiles_m}u) * {rows}u;"));
    text.line(format!("let j0 = ({linear} % {tiles_n}u) * {columns}u;"));
    text.line(format!("let z = {linear} / {}u;", tiles_m * tiles_n));
    kernel.batch.iter().product::<usize>() as u64 * tiles_m as u64 * tiles_n as u64
}

/// As [`tile_place`], in an order in which workgroups that run at the same time share what they read: down [`BAND`] rows of tiles, then on to the next column.
fn tile_place_banded(text: &mut Text, linear: &str, kernel: &Matmul, rows: usize, columns: usize) -> u64 {
    let (tiles_m, tiles_n) = (kernel.m.div_ceil(rows), kernel.n.div_ceil(columns));
    if tiles_m < 2 || tiles_n < BAND {
        return tile_place(text, linear, kernel, rows, columns);
    }
    let band = BAND.min(tiles_m);
    text.line(format!("let z = {linear} / {}u;", tiles_m * tiles_n));
    text.line(format!("let in_z = {linear} % {}u;", tiles_m * tiles_n));
    text.line(format!("let band = in_z / {}u;", band * tiles_n));
    text.line(format!("let in_band = in_z % {}u;", band * tiles_n));
    // The last band may be lower.
    let height = if tiles_m.is_multiple_of(band) { format!("{band}u") } else { format!("min({band}u, {tiles_m}u - band * {band}u)") };
    text.line(format!("let height = {height};"));
    text.line(format!("let i0 = (band * {band}u + in_band % height) * {rows}u;"));
    text.line(format!("let j0 = (in_band / height) * {columns}u;"));
    kernel.batch.iter().product::<usize>() as u64 * tiles_m as u64 * tiles_n as u64
}

/// How many rows of tiles [`tile_place_banded`] goes down.
const BAND: usize = 8;

/// The guard under which element (row, column) of a tile is inside of the product: `if (..) `, or nothing where it always is.
fn guard(kernel: &Matmul, rows: usize, columns: usize, i: &str, j: &str) -> String {
    let mut conditions = Vec::new();
    if !kernel.m.is_multiple_of(rows) {
        conditions.push(format!("{i} < {}u", kernel.m));
    }
    if !kernel.n.is_multiple_of(columns) {
        conditions.push(format!("{j} < {}u", kernel.n));
    }
    if conditions.is_empty() { String::new() } else { format!("if ({}) ", all(&conditions)) }
}

/// `start + i`, brought back to the last row or column where the tile sticks out: what is computed there is not stored.
fn clamped(start: &str, i: usize, size: usize, tile: usize) -> String {
    let at = if i == 0 { start.to_string() } else { format!("{start} + {i}u") };
    if size.is_multiple_of(tile) { format!("({at})") } else { format!("min({at}, {}u)", size - 1) }
}

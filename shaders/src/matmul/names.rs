//! The variants' names: `registers-8x8`, `split-2x2-256`, `subgroup-16x4`, `tiled-128x64`, `vector-4`, `coop-16-64x64`.
//!
//! After a tile come its depth, where it is not the usual one, `-double` for two slices, and `-k` with the number of parts of the sum: `tiled-64x64x8-double-k4`.

use std::fmt;
use std::str::FromStr;

use noyau_tensor::Error;

use super::{Tile, Variant};

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variant::Registers { rows, columns } => write!(f, "registers-{rows}x{columns}"),
            Variant::Split { rows, columns, lanes } => write!(f, "split-{rows}x{columns}-{lanes}"),
            Variant::Subgroup { rows, columns } => write!(f, "subgroup-{rows}x{columns}"),
            Variant::Tiled(tile) => write!(f, "tiled-{tile}"),
            Variant::Vector { count } => write!(f, "vector-{count}"),
            Variant::Coop { size, tile } => write!(f, "coop-{size}-{tile}"),
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tile { rows, columns, depth, double, parts } = *self;
        write!(f, "{rows}x{columns}")?;
        if depth != Tile::new(rows, columns).depth {
            write!(f, "x{depth}")?;
        }
        if double {
            write!(f, "-double")?;
        }
        if parts > 1 { write!(f, "-k{parts}") } else { Ok(()) }
    }
}

impl FromStr for Variant {
    type Err = Error;

    fn from_str(name: &str) -> Result<Variant, Error> {
        read(name).filter(|variant| variant.is_possible()).ok_or_else(|| {
            Error::argument(
                "variant",
                format!(
                    "there is no way of a matrix product by the name of {name:?}; there are registers-RxC (up to 8x8), split-RxC-LANES (up to 4x4, 2 to 256 lanes), \
                     subgroup-RxC, tiled-RxC[xDEPTH][-double][-kPARTS] (32, 64 or 128 rows and columns, depth 8, 16 or 32, up to 64 parts), vector-N (1 to 8) and \
                     coop-8-RxC or coop-16-RxC, with the same additions as tiled"
                ),
            )
        })
    }
}

fn read(name: &str) -> Option<Variant> {
    let (kind, rest) = name.split_once('-')?;
    Some(match kind {
        "registers" => {
            let [rows, columns] = sizes(rest)?;
            Variant::Registers { rows, columns }
        }
        "split" => {
            let (tile, lanes) = rest.split_once('-')?;
            let [rows, columns] = sizes(tile)?;
            Variant::Split { rows, columns, lanes: number(lanes)? }
        }
        "subgroup" => {
            let [rows, columns] = sizes(rest)?;
            Variant::Subgroup { rows, columns }
        }
        "tiled" => Variant::Tiled(tile(rest)?),
        "vector" => Variant::Vector { count: number(rest)? },
        "coop" => {
            let (size, rest) = rest.split_once('-')?;
            Variant::Coop { size: number(size)?, tile: tile(rest)? }
        }
        _ => return None,
    })
}

/// A number as it is printed: no sign, no leading zeros.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n: &u32| n.to_string() == text)
}

fn sizes<const N: usize>(text: &str) -> Option<[u32; N]> {
    let numbers: Option<Vec<u32>> = text.split('x').map(number).collect();
    numbers?.try_into().ok()
}

fn tile(text: &str) -> Option<Tile> {
    let mut words = text.split('-');
    let size = words.next()?;
    let mut tile = match (sizes(size), sizes(size)) {
        (Some([rows, columns]), _) => Tile::new(rows, columns),
        (None, Some([rows, columns, depth])) => Tile { depth, ..Tile::new(rows, columns) },
        (None, None) => return None,
    };
    for word in words {
        match word.strip_prefix('k') {
            None if word == "double" && !tile.double => tile.double = true,
            Some(parts) if tile.parts == 1 => tile.parts = number(parts).filter(|&n| n > 1)?,
            _ => return None,
        }
    }
    Some(tile)
}

impl Variant {
    /// Whether the variant's numbers are ones that its code can be printed for.
    fn is_possible(self) -> bool {
        match self {
            Variant::Registers { rows, columns } => (1..=8).contains(&rows) && (1..=8).contains(&columns),
            Variant::Split { rows, columns, lanes } => {
                (1..=4).contains(&rows) && (1..=4).contains(&columns) && lanes.is_power_of_two() && (2..=256).contains(&lanes)
            }
            Variant::Subgroup { rows, columns } => (1..=128).contains(&rows) && (1..=8).contains(&columns),
            Variant::Vector { count } => (1..=8).contains(&count),
            Variant::Tiled(tile) => tile.is_possible(),
            Variant::Coop { size, tile } => matches!(size, 8 | 16) && tile.depth.is_multiple_of(size) && !tile.double && tile.is_possible(),
        }
    }
}

impl Tile {
    fn is_possible(self) -> bool {
        let side = |size: u32| matches!(size, 32 | 64 | 128);
        side(self.rows) && side(self.columns) && matches!(self.depth, 8 | 16 | 32) && (1..=64).contains(&self.parts)
    }
}

//! Elementwise bodies, run a cache-sized tile at a time.
//!
//! A kernel's space is split into two directions, lines and columns. A tile is a rectangle of both that fits the first cache; each
//! instruction is one loop over it ([`step`], with the functions in [`ops`]), between words that lie where they lay (contiguous loads) or
//! in scratch memory ([`transfer`], with [`shuffle`] for what is near each other). Some instructions become one ([`merge`]: [`pair`] makes
//! one of two, [`norm`] one of a whole normalisation). A reduction combines a tile's columns or its lines ([`reduce`], with the sums in
//! [`fold`]), whichever leaves neighbours in memory side by side. `access` knows where elements are (through several
//! views: [`chain`]), [`lower`] prepares the steps once, [`program`] goes through the tiles.

pub(crate) mod access;
mod body;
mod chain;
mod fold;
mod lower;
mod merge;
mod norm;
mod ops;
mod pair;
mod program;
mod reduce;
mod shuffle;
mod step;
mod transfer;

pub(crate) use body::Request;
pub(crate) use lower::lower;
pub(crate) use program::{Program, Scratch};

/// A rectangle of a kernel's space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// The first line, and how many.
    pub(crate) l0: usize,
    pub(crate) lines: usize,
    /// The first column, and how many.
    pub(crate) c0: usize,
    pub(crate) cols: usize,
}

/// Where a value's words are, and the step from line to line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) pointer: *mut u32,
    pub(crate) line: isize,
}

/// What steps work on.
pub(crate) struct Env<'a> {
    /// The first word of each operand.
    pub(crate) operands: &'a [*mut u32],
    /// The matrix product: where its element of line 0 and column 0 is or would be.
    pub(crate) product: *mut u32,
    /// Where each value of the program is, as far as it has been computed for the tile.
    pub(crate) places: &'a mut [Place],
    pub(crate) scratch: *mut u32,
}

/// The number of the pseudo-operand that is the matrix product.
pub(crate) const PRODUCT: usize = usize::MAX;

impl Env<'_> {
    #[inline(always)]
    pub(crate) fn base(&self, operand: usize) -> *mut u32 {
        if operand == PRODUCT { self.product } else { self.operands[operand] }
    }
}

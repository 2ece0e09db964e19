//! A prepared body, and the way through its tiles.

use std::ops::Range;

use noyau_tensor::Result;

use super::body::Kind;
use super::step::Step;
use super::{Env, Place, Tile};
use crate::memory::Words;
use crate::simd::fetch;

/// One pass over a long row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pass {
    /// Once, before.
    pub(crate) start: Vec<Step>,
    /// For each tile.
    pub(crate) body: Vec<Step>,
    /// Once, after.
    pub(crate) end: Vec<Step>,
}

/// A load of neighbours from memory that is far: operand, the origin's place, and the step from line to line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub(crate) operand: usize,
    pub(crate) offset: isize,
    pub(crate) line: isize,
    /// Whether lines follow each other without gaps.
    pub(crate) dense: bool,
}

/// A body ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    /// The sizes of the two directions.
    pub(crate) lines: usize,
    pub(crate) cols: usize,
    /// A tile's lines and columns.
    pub(crate) block: (usize, usize),
    /// Once for the kernel.
    pub(crate) uniform: Vec<Step>,
    /// For each tile; empty when rows take passes.
    pub(crate) body: Vec<Step>,
    /// For each row or group of rows: before its passes, the passes, after them.
    pub(crate) before: Vec<Step>,
    pub(crate) passes: Vec<Pass>,
    pub(crate) after: Vec<Step>,
    /// Scratch words, and values.
    pub(crate) scratch: usize,
    pub(crate) places: usize,
    /// Nanoseconds for all of it, roughly.
    pub(crate) cost: f64,
    /// Whether results are written past the caches, which other processors have no stores for.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(crate) streams: bool,
    /// What is fetched for the next tile while one is worked on.
    pub(crate) ahead: Vec<Ahead>,
}

impl Default for Program {
    fn default() -> Program {
        Program {
            kind: Kind::Map,
            lines: 0,
            cols: 0,
            block: (1, 1),
            uniform: Vec::new(),
            body: Vec::new(),
            before: Vec::new(),
            passes: Vec::new(),
            after: Vec::new(),
            scratch: 0,
            places: 0,
            cost: 0.0,
            streams: false,
            ahead: Vec::new(),
        }
    }
}

/// What one thread needs to run programs.
pub(crate) struct Scratch {
    words: Words,
    places: Vec<Place>,
}

// SAFETY: the places are leftovers of the last run, which the next run writes before it reads them.
unsafe impl Send for Scratch {}

impl Scratch {
    /// Room for programs of at most so many words and values.
    pub(crate) fn new(words: usize, places: usize) -> Result<Scratch> {
        Ok(Scratch { words: Words::new(words)?, places: vec![Place { pointer: std::ptr::null_mut(), line: 0 }; places] })
    }
}

impl Program {
    /// The direction along which the work can be divided, and its size and grain.
    pub(crate) fn divisible(&self) -> (bool, usize, usize) {
        let by_lines = match self.kind {
            Kind::Map => self.lines / self.block.0 >= self.cols / self.block.1,
            Kind::Cols => true,
            Kind::Lines => false,
        };
        if by_lines { (true, self.lines, self.block.0.max(1)) } else { (false, self.cols, self.block.1.max(1)) }
    }

    /// Fetches part `number` of `parts` of what a tile loads from far away.
    fn fetch(&self, operands: &[*mut u32], tile: &Tile, number: usize, parts: usize) {
        let words = tile.lines * tile.cols;
        let each = words.div_ceil(parts).next_multiple_of(LINE);
        for ahead in self.ahead.iter().filter(|ahead| ahead.dense || tile.lines == 1) {
            let first = ahead.offset + tile.l0 as isize * ahead.line + tile.c0 as isize;
            let first = operands[ahead.operand].wrapping_offset(first);
            for word in (number * each..((number + 1) * each).min(words)).step_by(LINE) {
                fetch::<false>(first.wrapping_add(word));
            }
        }
    }

    /// Runs the steps of a tile, and fetches what the next one needs.
    ///
    /// # Safety
    /// As for [`Program::run`]; the tile is inside of the space and no larger than a block.
    #[inline(always)]
    unsafe fn tile(&self, steps: &[Step], env: &mut Env, tile: &Tile, next: Option<Tile>) {
        let next = next.filter(|_| !self.ahead.is_empty() && steps.len() >= BUSY);
        for (number, step) in steps.iter().enumerate() {
            if let Some(next) = &next {
                self.fetch(env.operands, next, number, steps.len());
            }
            // SAFETY: the steps were prepared for these operands and this scratch memory.
            unsafe { (step.run)(step, env, tile) };
        }
    }

    /// Runs the part `lines` x `cols` of the space; of a reduced direction it must be all.
    ///
    /// # Safety
    /// `operands` (and `product`, where the body has one) point at buffers as long as the program was prepared for; nobody else reads
    /// what this part writes, or writes what it reads or writes, until this returns. `scratch` has the room that the program asks for.
    pub(crate) unsafe fn run(
        &self,
        operands: &[*mut u32],
        product: *mut u32,
        scratch: &mut Scratch,
        lines: Range<usize>,
        cols: Range<usize>,
    ) {
        debug_assert!(scratch.places.len() >= self.places && scratch.words.len() >= self.scratch);
        let mut env = Env { operands, product, places: &mut scratch.places, scratch: scratch.words.pointer() };
        let all = |steps: &[Step], env: &mut Env, tile: &Tile| {
            for step in steps {
                // SAFETY: the steps were prepared for these operands and this scratch memory, the tile is inside of the space and no
                // larger than a block.
                unsafe { (step.run)(step, env, tile) };
            }
        };
        let nothing = match self.kind {
            Kind::Map => lines.is_empty() || cols.is_empty(),
            Kind::Cols => lines.is_empty(),
            Kind::Lines => cols.is_empty(),
        };
        if nothing {
            return;
        }
        let (bl, bc) = (self.block.0.max(1), self.block.1.max(1));
        all(&self.uniform, &mut env, &Tile { l0: 0, lines: 1, c0: 0, cols: 1 });
        if self.passes.is_empty() {
            // A reduced direction of size 0 still makes values: one empty tile.
            let empty_rows = match self.kind {
                Kind::Map => false,
                Kind::Cols => cols.is_empty(),
                Kind::Lines => lines.is_empty(),
            };
            if empty_rows {
                let (mut l0, mut c0) = (lines.start, cols.start);
                while l0 < lines.end || c0 < cols.end {
                    let tile = Tile { l0, lines: bl.min(lines.end - l0), c0, cols: bc.min(cols.end - c0) };
                    all(&self.body, &mut env, &tile);
                    l0 += tile.lines;
                    c0 += tile.cols;
                }
                return;
            }
            let mut l0 = lines.start;
            while l0 < lines.end {
                let n = bl.min(lines.end - l0);
                let mut c0 = cols.start;
                while c0 < cols.end {
                    let tile = Tile { l0, lines: n, c0, cols: bc.min(cols.end - c0) };
                    c0 += tile.cols;
                    let next = if c0 < cols.end {
                        Some(Tile { l0, lines: n, c0, cols: bc.min(cols.end - c0) })
                    } else {
                        let l0 = l0 + n;
                        (l0 < lines.end).then(|| Tile { l0, lines: bl.min(lines.end - l0), c0: cols.start, cols: bc.min(cols.len()) })
                    };
                    // SAFETY: the caller's promise.
                    unsafe { self.tile(&self.body, &mut env, &tile, next) };
                }
                l0 += n;
            }
            self.end();
            return;
        }
        if self.kind == Kind::Lines {
            let mut c0 = cols.start;
            while c0 < cols.end {
                let n = bc.min(cols.end - c0);
                let row = Tile { l0: 0, lines: 0, c0, cols: n };
                all(&self.before, &mut env, &row);
                for pass in &self.passes {
                    all(&pass.start, &mut env, &row);
                    let mut l0 = 0;
                    while l0 < self.lines {
                        let tile = Tile { l0, lines: bl.min(self.lines - l0), c0, cols: n };
                        all(&pass.body, &mut env, &tile);
                        l0 += tile.lines;
                    }
                    all(&pass.end, &mut env, &row);
                }
                all(&self.after, &mut env, &row);
                c0 += n;
            }
        } else {
            let mut l0 = lines.start;
            while l0 < lines.end {
                let n = bl.min(lines.end - l0);
                let row = Tile { l0, lines: n, c0: 0, cols: 0 };
                all(&self.before, &mut env, &row);
                for pass in &self.passes {
                    all(&pass.start, &mut env, &row);
                    let mut c0 = 0;
                    while c0 < self.cols {
                        let tile = Tile { l0, lines: n, c0, cols: bc.min(self.cols - c0) };
                        c0 += tile.cols;
                        let next = (c0 < self.cols).then(|| Tile { l0, lines: n, c0, cols: bc.min(self.cols - c0) });
                        // SAFETY: the caller's promise.
                        unsafe { self.tile(&pass.body, &mut env, &tile, next) };
                    }
                    all(&pass.end, &mut env, &row);
                }
                all(&self.after, &mut env, &row);
                l0 += n;
            }
        }
        self.end();
    }

    /// Words written past the caches are seen by others only after this.
    fn end(&self) {
        #[cfg(target_arch = "x86_64")]
        if self.streams {
            // SAFETY: every x86-64 has it.
            unsafe { std::arch::x86_64::_mm_sfence() };
        }
    }
}

/// Fewer steps than this leave memory no time of its own: the processor's prefetching does as well.
pub(crate) const BUSY: usize = 5;

/// Words of a cache line.
const LINE: usize = 16;

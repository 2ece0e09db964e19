//! One prepared instruction, and the loops that run it over a tile.

use std::sync::Arc;

use super::access::{Access, Form};
use super::ops::{Binary, Unary};
use super::shuffle::Shuffle;
use super::{Env, Place, Tile};
use crate::scalar;
use crate::simd::{Level, versions};

/// The function that runs a step. Unsafe: the environment must be the one that the step's program was prepared for, the tile inside of its space.
pub(crate) type Run = unsafe fn(&Step, &mut Env, &Tile);

/// A value that a step reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    /// Its number among the environment's places.
    pub(crate) value: u32,
    pub(crate) form: Form,
}

/// The values that a step reads; as many as it needs of them count.
pub(crate) type Operands = [Operand; 5];

/// No operand.
pub(crate) const NO_OPERAND: Operand = Operand { value: 0, form: Form::UNIFORM };

/// Where a step's result goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// Into scratch memory, at so many words.
    Scratch(usize),
    /// To its place in a buffer: the operand, the steps along lines and columns. The step's access knows the rest.
    Buffer { operand: usize, line: isize, col: isize, offset: isize },
}

/// What a step needs besides operands.
#[derive(Clone, Debug)]
pub(crate) enum Extra {
    None,
    Word(u32),
    /// A buffer among the operands, and where in it.
    At {
        operand: usize,
        access: Box<Access>,
    },
    /// The place of every element in a buffer of the operands, `u32::MAX` where there is none; lines of `width`.
    Table {
        operand: usize,
        places: Arc<[u32]>,
        width: usize,
    },
    /// A buffer among the operands, where in it, and what each coordinate of the access's last axis adds to the place.
    Pattern {
        operand: usize,
        access: Box<Access>,
        offsets: Arc<[i32]>,
        /// Whether some coordinates have no place.
        masked: bool,
    },
    /// As a pattern, for vectors.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Shuffle {
        operand: usize,
        access: Box<Access>,
        offsets: Arc<[i32]>,
        shuffle: Shuffle,
        /// Coordinates of the pattern from one line to the next; 0 where all lines have the same.
        width: usize,
    },
    /// Of a normalisation: whether its result goes to its place past the caches.
    Norm {
        // Other processors have no such stores.
        #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
        past: bool,
    },
    /// In place: operand, place of the origin, steps.
    Pointer {
        operand: usize,
        offset: isize,
        line: isize,
        col: isize,
    },
    Gather {
        operand: usize,
        access: Box<Access>,
        stride: usize,
        len: usize,
    },
}

/// One prepared instruction.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) run: Run,
    /// The number of the result among the environment's places.
    pub(crate) result: usize,
    pub(crate) form: Form,
    pub(crate) target: Target,
    pub(crate) operands: Operands,
    pub(crate) extra: Extra,
}

/// An operand's words in a tile.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) pointer: *const u32,
    pub(crate) line: isize,
    /// Whether neighbours in the loop are neighbours in memory; else there is one word a row of the loop.
    pub(crate) vector: bool,
}

impl Step {
    /// Where the result goes; written down for the steps that follow.
    #[inline(always)]
    pub(crate) fn target(&self, env: &mut Env, tile: &Tile) -> Place {
        let place = match self.target {
            Target::Scratch(at) => {
                let line = match (self.form.line, self.form.col) {
                    (true, true) => tile.cols as isize,
                    (true, false) => 1,
                    (false, _) => 0,
                };
                Place { pointer: env.scratch.wrapping_add(at), line }
            }
            Target::Buffer { operand, line, col, offset } => {
                let first = offset + tile.l0 as isize * line + tile.c0 as isize * col;
                Place { pointer: env.base(operand).wrapping_offset(first), line }
            }
        };
        env.places[self.result] = place;
        place
    }

    /// The operand's words, for a loop over the step's form.
    #[inline(always)]
    pub(crate) fn source(&self, i: usize, env: &Env) -> Source {
        let operand = &self.operands[i];
        let place = env.places[operand.value as usize];
        let vector = match (self.form.line, self.form.col) {
            (false, false) => true,
            (true, false) => operand.form.line,
            (_, true) => operand.form.col,
        };
        Source { pointer: place.pointer, line: place.line, vector }
    }

    /// The loop's size: rows, and elements a row. One row where all operands allow it.
    #[inline(always)]
    pub(crate) fn grid(&self, n: usize, env: &Env, target: Place, tile: &Tile) -> (usize, usize) {
        match (self.form.line, self.form.col) {
            (false, false) => (1, 1),
            (true, false) => (1, tile.lines),
            (false, true) => (1, tile.cols),
            (true, true) if tile.lines == 1 => (1, tile.cols),
            (true, true) => {
                let dense = |place: Place, form: Form| form == Form::UNIFORM || form == Form::FULL && place.line == tile.cols as isize;
                let flat = dense(target, Form::FULL) && self.operands[..n].iter().all(|o| dense(env.places[o.value as usize], o.form));
                if flat { (1, tile.lines * tile.cols) } else { (tile.lines, tile.cols) }
            }
        }
    }
}

/// The row of an operand that is a vector.
///
/// # Safety
/// The operand has `n` words in that row, nobody writes them meanwhile.
#[inline(always)]
unsafe fn row<'a, T>(source: Source, row: usize, n: usize) -> &'a [T] {
    // SAFETY: the caller's promise; all element types are words.
    unsafe { std::slice::from_raw_parts(source.pointer.offset(row as isize * source.line).cast(), n) }
}

/// The one word of a row.
///
/// # Safety
/// As for [`row`].
#[inline(always)]
unsafe fn one<T: Copy>(source: Source, row: usize) -> T {
    // SAFETY: the caller's promise; all element types are words.
    unsafe { *source.pointer.offset(row as isize * source.line).cast() }
}

/// The result's row.
///
/// # Safety
/// The result has `n` words in that row, nobody else uses them meanwhile.
#[inline(always)]
unsafe fn row_mut<'a, T>(target: Place, row: usize, n: usize) -> &'a mut [T] {
    // SAFETY: the caller's promise; all element types are words.
    unsafe { std::slice::from_raw_parts_mut(target.pointer.offset(row as isize * target.line).cast(), n) }
}

/// How many elements an expensive function is always computed for, so that no tail is left to a scalar loop.
const LANES: usize = 16;

#[inline(always)]
fn map<O: Unary, const FMA: bool>(a: &[O::A], d: &mut [O::R]) {
    for (d, &a) in d.iter_mut().zip(a) {
        *d = O::eval::<FMA>(a);
    }
}

#[inline(always)]
unsafe fn unary<O: Unary, const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let a = step.source(0, env);
    let (rows, n) = step.grid(1, env, target, tile);
    for r in 0..rows {
        // SAFETY: the program gave both values room for the tile, and apart from each other.
        let (a, d): (&[O::A], &mut [O::R]) = unsafe { (row(a, r, n), row_mut(target, r, n)) };
        if O::HEAVY && n % LANES != 0 {
            let whole = n - n % LANES;
            let (a, a_rest) = a.split_at(whole);
            let (d, d_rest) = d.split_at_mut(whole);
            let mut from = [O::A::default(); LANES];
            let mut to = [O::R::default(); LANES];
            from[..a_rest.len()].copy_from_slice(a_rest);
            // One loop for both, so that there is one copy of its code.
            for (a, d) in [(a, d), (&from[..], &mut to[..])] {
                map::<O, FMA>(a, d);
            }
            d_rest.copy_from_slice(&to[..d_rest.len()]);
        } else {
            map::<O, FMA>(a, d);
        }
        if O::HAS_SPECIAL && a.iter().fold(false, |any, &a| any | O::special(a)) {
            a.iter().zip(d).filter(|(a, _)| O::special(**a)).for_each(|(&a, d)| *d = O::slow(a));
        }
    }
}
versions!(pick_unary<O: Unary>, unary, (step: &Step, env: &mut Env, tile: &Tile));

#[inline(always)]
fn both<O: Binary, const FMA: bool>(a: &[O::A], b: &[O::A], d: &mut [O::R]) {
    for ((d, &a), &b) in d.iter_mut().zip(a).zip(b) {
        *d = O::eval::<FMA>(a, b);
    }
}

#[inline(always)]
fn left<O: Binary, const FMA: bool>(a: &[O::A], b: O::A, d: &mut [O::R]) {
    for (d, &a) in d.iter_mut().zip(a) {
        *d = O::eval::<FMA>(a, b);
    }
}

#[inline(always)]
fn right<O: Binary, const FMA: bool>(a: O::A, b: &[O::A], d: &mut [O::R]) {
    for (d, &b) in d.iter_mut().zip(b) {
        *d = O::eval::<FMA>(a, b);
    }
}

#[inline(always)]
unsafe fn binary<O: Binary, const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let (a, b) = (step.source(0, env), step.source(1, env));
    let (rows, n) = step.grid(2, env, target, tile);
    for r in 0..rows {
        // SAFETY: the program gave all values room for the tile, and the result apart from the operands.
        let d: &mut [O::R] = unsafe { row_mut(target, r, n) };
        // SAFETY: as above.
        unsafe {
            match (a.vector, b.vector) {
                (true, true) => both::<O, FMA>(row(a, r, n), row(b, r, n), d),
                (true, false) => left::<O, FMA>(row(a, r, n), one(b, r), d),
                (false, true) => right::<O, FMA>(one(a, r), row(b, r, n), d),
                (false, false) => d.fill(O::eval::<FMA>(one(a, r), one(b, r))),
            }
        }
        if O::HAS_SPECIAL {
            // SAFETY: as above.
            let any = |s: Source| unsafe {
                if s.vector { row(s, r, n).iter().fold(false, |any, &x| any | O::special(x)) } else { O::special(one(s, r)) }
            };
            if any(a) || any(b) {
                for (i, d) in d.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let at = |s: Source| unsafe {
                        one::<O::A>(Source { pointer: s.pointer.wrapping_add(if s.vector { i } else { 0 }), ..s }, r)
                    };
                    if O::special(at(a)) || O::special(at(b)) {
                        *d = O::slow(at(a), at(b));
                    }
                }
            }
        }
    }
}
versions!(pick_binary<O: Binary>, binary, (step: &Step, env: &mut Env, tile: &Tile));

/// Steps that are no unary or binary function, made for every instruction set too.
pub(crate) trait Other {
    /// # Safety
    /// As for [`Run`].
    unsafe fn run<const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile);
}

#[inline(always)]
unsafe fn other<O: Other, const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile) {
    // SAFETY: the caller keeps the contract.
    unsafe { O::run::<FMA>(step, env, tile) }
}
versions!(pick_other<O: Other>, other, (step: &Step, env: &mut Env, tile: &Tile));

/// Condition, then, otherwise.
pub(crate) struct Select;

/// `a` where `c` is not 0, else `b`; by bits, since of a choice between two words compilers make one between two places, and a gather of it.
#[inline(always)]
fn choose(c: u32, a: u32, b: u32) -> u32 {
    let chosen = u32::from(c != 0).wrapping_neg();
    (a & chosen) | (b & !chosen)
}

impl Other for Select {
    #[inline(always)]
    unsafe fn run<const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile) {
        let target = step.target(env, tile);
        let (c, a, b) = (step.source(0, env), step.source(1, env), step.source(2, env));
        let (rows, n) = step.grid(3, env, target, tile);
        for r in 0..rows {
            // SAFETY: the program gave all values room for the tile, and the result apart from the operands.
            let d: &mut [u32] = unsafe { row_mut(target, r, n) };
            // SAFETY: as above.
            unsafe {
                if !c.vector {
                    let chosen = if one::<u32>(c, r) != 0 { a } else { b };
                    if chosen.vector {
                        d.copy_from_slice(row(chosen, r, n))
                    } else {
                        d.fill(one(chosen, r))
                    }
                    continue;
                }
                let c: &[u32] = row(c, r, n);
                match (a.vector, b.vector) {
                    // Loops over slices and words: an iterator that repeats a word is not vectorised.
                    (true, true) => {
                        for (((d, &c), &a), &b) in d.iter_mut().zip(c).zip(row::<u32>(a, r, n)).zip(row::<u32>(b, r, n)) {
                            *d = choose(c, a, b);
                        }
                    }
                    (true, false) => {
                        let b = one::<u32>(b, r);
                        for ((d, &c), &a) in d.iter_mut().zip(c).zip(row::<u32>(a, r, n)) {
                            *d = choose(c, a, b);
                        }
                    }
                    (false, true) => {
                        let a = one::<u32>(a, r);
                        for ((d, &c), &b) in d.iter_mut().zip(c).zip(row::<u32>(b, r, n)) {
                            *d = choose(c, a, b);
                        }
                    }
                    (false, false) => {
                        let (a, b) = (one::<u32>(a, r), one::<u32>(b, r));
                        for (d, &c) in d.iter_mut().zip(c) {
                            *d = choose(c, a, b);
                        }
                    }
                }
            }
        }
    }
}

/// Random words: index, step, seed; the stream as the extra word.
pub(crate) struct Philox;

impl Other for Philox {
    #[inline(always)]
    unsafe fn run<const FMA: bool>(s: &Step, env: &mut Env, tile: &Tile) {
        let target = s.target(env, tile);
        let (index, step, seed) = (s.source(0, env), s.source(1, env), s.source(2, env));
        let (rows, n) = s.grid(3, env, target, tile);
        let Extra::Word(stream) = s.extra else { return };
        for r in 0..rows {
            // SAFETY: the program gave all values room for the tile, and the result apart from the operands.
            let d: &mut [u32] = unsafe { row_mut(target, r, n) };
            // SAFETY: as above.
            unsafe {
                if index.vector && !step.vector && !seed.vector {
                    let (step, seed) = (one(step, r), one(seed, r));
                    // A `for`, as everywhere here: the closure of a `for_each` may become a function of its own, compiled for the oldest machine.
                    for (d, &i) in d.iter_mut().zip(row::<u32>(index, r, n)) {
                        *d = scalar::philox(i, step, stream, seed);
                    }
                } else {
                    let at =
                        |s: Source, i: usize| one::<u32>(Source { pointer: s.pointer.wrapping_add(if s.vector { i } else { 0 }), ..s }, r);
                    d.iter_mut().enumerate().for_each(|(i, d)| *d = scalar::philox(at(index, i), at(step, i), stream, at(seed, i)));
                }
            }
        }
    }
}

/// A value of a lesser form written out to the step's form.
pub(crate) struct Spread;

impl Other for Spread {
    #[inline(always)]
    unsafe fn run<const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile) {
        let target = step.target(env, tile);
        let a = step.source(0, env);
        let (rows, n) = step.grid(1, env, target, tile);
        if n == 2 && !a.vector && a.line == 1 && target.line == 2 {
            // SAFETY: as below; rows of two follow each other, and so do their words.
            let (a, d): (&[u32], &mut [u32]) = unsafe { (row(a, 0, rows), row_mut(target, 0, 2 * rows)) };
            for (d, &a) in d.as_chunks_mut::<2>().0.iter_mut().zip(a) {
                *d = [a; 2];
            }
            return;
        }
        for r in 0..rows {
            // SAFETY: the program gave both values room for the tile, and apart from each other.
            unsafe {
                let d: &mut [u32] = row_mut(target, r, n);
                if a.vector { d.copy_from_slice(row(a, r, n)) } else { d.fill(one(a, r)) }
            }
        }
    }
}

/// The function for a step of no arithmetic, the same for every instruction set.
pub(crate) fn pick<O: Other>(level: Level) -> Run {
    pick_other::<O>(level)
}

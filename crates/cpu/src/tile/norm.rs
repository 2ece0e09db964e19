//! Normalisation as one step: `(a - b) c + e`, `(a - b) (c d) + e` and `(a - b) c d + e`, where `b` and `c` are the same for a whole row.
//!
//! Each operation rounds as it does alone; what is saved is the way of three or four intermediate values through the first cache, and a long result
//! goes straight to memory, past the caches.

use noyau_tensor::BinaryOp;

use super::body::Node;
#[cfg(target_arch = "x86_64")]
use super::step::Extra;
use super::step::{Run, Step};
use super::{Env, Tile};
use crate::simd::Level;

/// How the factors are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Factors {
    /// `(a - b) c`.
    One,
    /// `(a - b) (c d)`.
    Together,
    /// `((a - b) c) d`.
    InTurn,
}

/// What was found to be a normalisation.
pub(crate) struct Norm {
    factors: Factors,
    /// The operands `a`, `b`, `c`, then `d` and `e` where they are.
    pub(crate) args: Vec<usize>,
    /// The nodes that become part of the step.
    pub(crate) parts: Vec<usize>,
}

/// Nodes to search in, with how often each is used, for what has the form of the last one.
struct Search<'a> {
    nodes: &'a [Node],
    uses: &'a [usize],
    last: &'a Node,
}

impl Search<'_> {
    fn is(&self, at: usize, op: BinaryOp) -> bool {
        let node = &self.nodes[at];
        node.of_two == Some(op) && node.form == self.last.form && node.inner == self.last.inner
    }

    fn only(&self, at: usize, op: BinaryOp) -> bool {
        self.uses[at] == 1 && self.is(at, op)
    }

    /// The two operands, both ways round: sums and products do not mind.
    fn sides(&self, at: usize) -> [(usize, usize); 2] {
        let (left, right) = (self.nodes[at].args[0], self.nodes[at].args[1]);
        [(left, right), (right, left)]
    }

    fn varies(&self, at: usize) -> bool {
        self.nodes[at].form.col
    }

    /// `a - b`, as long as nothing else needs it.
    fn difference(&self, at: usize) -> Option<(usize, usize)> {
        let (a, b) = self.only(at, BinaryOp::Sub).then(|| self.sides(at)[0])?;
        (self.varies(a) && !self.varies(b)).then_some((a, b))
    }

    /// A product of a difference.
    fn product(&self, at: usize) -> Option<Norm> {
        self.sides(at).into_iter().find_map(|(left, right)| {
            if let Some((a, b)) = self.difference(left) {
                if !self.varies(right) {
                    return Some(Norm { factors: Factors::One, args: vec![a, b, right], parts: vec![left] });
                }
                let sides = self.only(right, BinaryOp::Mul).then(|| self.sides(right))?;
                let (c, d) = sides.into_iter().find(|&(c, d)| !self.varies(c) && self.varies(d))?;
                return Some(Norm { factors: Factors::Together, args: vec![a, b, c, d], parts: vec![left, right] });
            }
            let sides = (self.only(left, BinaryOp::Mul) && self.varies(right)).then(|| self.sides(left))?;
            let (difference, c) = sides.into_iter().find(|&(difference, c)| self.difference(difference).is_some() && !self.varies(c))?;
            let (a, b) = self.difference(difference)?;
            Some(Norm { factors: Factors::InTurn, args: vec![a, b, c, right], parts: vec![difference, left] })
        })
    }
}

impl Norm {
    /// The normalisation that ends with node `i`, if there is one.
    pub(crate) fn find(nodes: &[Node], uses: &[usize], i: usize) -> Option<Norm> {
        let search = Search { nodes, uses, last: nodes.get(i).filter(|node| node.form.col)? };
        if search.is(i, BinaryOp::Add) {
            return search.sides(i).into_iter().find_map(|(at, e)| {
                let mut norm = search.only(at, BinaryOp::Mul).then(|| search.product(at))??;
                norm.args.push(e);
                norm.parts.push(at);
                Some(norm)
            });
        }
        // `(a - b) c` alone is a pair.
        search.is(i, BinaryOp::Mul).then(|| search.product(i))?.filter(|norm| norm.factors != Factors::One)
    }

    pub(crate) fn run(&self, level: Level) -> Run {
        match (self.factors, self.args.len()) {
            (Factors::One, _) => pick::<ONE, true>(level),
            (Factors::Together, 4) => pick::<TOGETHER, false>(level),
            (Factors::Together, _) => pick::<TOGETHER, true>(level),
            (Factors::InTurn, 4) => pick::<IN_TURN, false>(level),
            (Factors::InTurn, _) => pick::<IN_TURN, true>(level),
        }
    }
}

const ONE: u8 = 0;
const TOGETHER: u8 = 1;
const IN_TURN: u8 = 2;

#[inline(always)]
fn eval<const FACTORS: u8, const ADD: bool>([a, b, c, d, e]: [f32; 5]) -> f32 {
    let difference = a - b;
    let product = match FACTORS {
        ONE => difference * c,
        TOGETHER => difference * (c * d),
        _ => difference * c * d,
    };
    if ADD { product + e } else { product }
}

/// The step; `put` writes `N` words to a place, which is a multiple of their size if `aligned`.
///
/// # Safety
/// As for [`Run`].
#[inline(always)]
unsafe fn norm<const FACTORS: u8, const ADD: bool, const N: usize>(
    step: &Step,
    env: &mut Env,
    tile: &Tile,
    aligned: bool,
    put: impl Fn(*mut f32, [f32; N]),
) {
    let target = step.target(env, tile);
    let sources = [0, 1, 2, 3, 4].map(|i| step.source(i, env));
    let (rows, n) = step.grid(5, env, target, tile);
    // Where there is no `d` the sum is the fourth operand.
    let (with_d, last) = if FACTORS == ONE { (false, 3) } else { (true, 4) };
    for r in 0..rows as isize {
        let to = target.pointer.wrapping_offset(r * target.line).cast::<f32>();
        let first = sources.map(|s| s.pointer.wrapping_offset(r * s.line).cast::<f32>());
        // SAFETY: the operands that are the same for a row have a word for it.
        let (b, c) = unsafe { (*first[1], *first[2]) };
        // SAFETY: as above.
        let same = [if ADD && !sources[last].vector { unsafe { *first[last] } } else { 0.0 }; N];
        let (e, along) = if ADD && sources[last].vector { (first[last], usize::MAX) } else { (same.as_ptr(), 0) };
        let before = if aligned { to.align_offset(4 * N).min(n) } else { 0 };
        let whole = before + (n - before) / N * N;
        let single = |i: usize| {
            // SAFETY: the program gave all values room for the tile.
            unsafe {
                let d = if with_d { *first[3].add(i) } else { 0.0 };
                *to.add(i) = eval::<FACTORS, ADD>([*first[0].add(i), b, c, d, *e.add(i & along)]);
            }
        };
        (0..before).for_each(single);
        for i in (before..whole).step_by(N) {
            // SAFETY: as above.
            let vector = |from: *const f32| unsafe { from.cast::<[f32; N]>().read_unaligned() };
            let a = vector(first[0].wrapping_add(i));
            let d = if with_d { vector(first[3].wrapping_add(i)) } else { [0.0; N] };
            let e = if ADD { vector(e.wrapping_add(i & along)) } else { [0.0; N] };
            let mut made = [0.0; N];
            for l in 0..N {
                made[l] = eval::<FACTORS, ADD>([a[l], b, c, d[l], e[l]]);
            }
            put(to.wrapping_add(i), made);
        }
        (whole..n).for_each(single);
    }
}

/// Writes words where nothing is promised about the place.
///
/// # Safety
/// There is room for them.
#[inline(always)]
unsafe fn write<const N: usize>(to: *mut f32, words: [f32; N]) {
    // SAFETY: the caller's promise.
    unsafe { to.cast::<[f32; N]>().write_unaligned(words) }
}

unsafe fn base<const FACTORS: u8, const ADD: bool>(step: &Step, env: &mut Env, tile: &Tile) {
    // SAFETY: the caller's promise; the step writes into room that its program gave it.
    unsafe { norm::<FACTORS, ADD, 8>(step, env, tile, false, |to, words| write(to, words)) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm256_loadu_ps, _mm256_stream_ps, _mm512_loadu_ps, _mm512_stream_ps};

    use super::{Env, Extra, Step, Tile, norm, write};

    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn v3<const FACTORS: u8, const ADD: bool>(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: the caller's promise; the places are aligned where they have to be.
        unsafe {
            if let Extra::Norm { past: true } = step.extra {
                norm::<FACTORS, ADD, 8>(step, env, tile, true, |to, words| _mm256_stream_ps(to, _mm256_loadu_ps(words.as_ptr())));
            } else {
                norm::<FACTORS, ADD, 8>(step, env, tile, false, |to, words| write(to, words));
            }
        }
    }

    #[target_feature(enable = "avx2,avx512f,avx512vl")]
    pub(super) unsafe fn v4<const FACTORS: u8, const ADD: bool>(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: as above.
        unsafe {
            if let Extra::Norm { past: true } = step.extra {
                norm::<FACTORS, ADD, 16>(step, env, tile, true, |to, words| _mm512_stream_ps(to, _mm512_loadu_ps(words.as_ptr())));
            } else {
                norm::<FACTORS, ADD, 16>(step, env, tile, false, |to, words| write(to, words));
            }
        }
    }
}

fn pick<const FACTORS: u8, const ADD: bool>(level: Level) -> Run {
    match level {
        Level::Base => base::<FACTORS, ADD>,
        #[cfg(target_arch = "x86_64")]
        Level::V3 => x86::v3::<FACTORS, ADD>,
        #[cfg(target_arch = "x86_64")]
        Level::V4 => x86::v4::<FACTORS, ADD>,
    }
}

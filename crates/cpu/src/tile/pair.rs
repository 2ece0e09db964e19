//! Two steps in one: a function of two floats whose result only another one needs, and a sum over products.
//!
//! Each rounds as it does alone; what is saved is the way of the intermediate values through the first cache.

use std::marker::PhantomData;

use noyau_tensor::BinaryOp;

use super::step::{Other, Run, Source, Step, pick};
use super::{Env, Tile};
use crate::simd::Level;

/// Elements worked on together.
const LANES: usize = 16;

/// A function of two floats.
trait Two {
    fn eval(x: f32, y: f32) -> f32;
}

struct Add;
struct Sub;
/// The second less the first.
struct Less;
struct Mul;

impl Two for Add {
    #[inline(always)]
    fn eval(x: f32, y: f32) -> f32 {
        x + y
    }
}

impl Two for Sub {
    #[inline(always)]
    fn eval(x: f32, y: f32) -> f32 {
        x - y
    }
}

impl Two for Less {
    #[inline(always)]
    fn eval(x: f32, y: f32) -> f32 {
        y - x
    }
}

impl Two for Mul {
    #[inline(always)]
    fn eval(x: f32, y: f32) -> f32 {
        x * y
    }
}

/// `G(F(a, b), c)`.
struct Pair<F, G>(PhantomData<(F, G)>);

impl<F: Two, G: Two> Other for Pair<F, G> {
    #[inline(always)]
    unsafe fn run<const FMA: bool>(step: &Step, env: &mut Env, tile: &Tile) {
        let target = step.target(env, tile);
        let sources: [Source; 3] = [step.source(0, env), step.source(1, env), step.source(2, env)];
        let (rows, n) = step.grid(3, env, target, tile);
        let whole = n - n % LANES;
        for r in 0..rows as isize {
            let to = target.pointer.wrapping_offset(r * target.line).cast::<f32>();
            let first = sources.map(|s| s.pointer.wrapping_offset(r * s.line).cast::<f32>());
            // What is the same for the whole row is read from a vector of it again and again.
            let mut same = [[0.0f32; LANES]; 3];
            for (same, (source, first)) in same.iter_mut().zip(sources.iter().zip(first)) {
                if !source.vector {
                    // SAFETY: the operand has a word for the row.
                    *same = [unsafe { *first }; LANES];
                }
            }
            let mut from = [0, 1, 2].map(|i| if sources[i].vector { first[i] } else { same[i].as_ptr() });
            let along = sources.map(|s| if s.vector { LANES } else { 0 });
            for i in (0..whole).step_by(LANES) {
                // SAFETY: the program gave all values room for the tile.
                unsafe {
                    let [a, b, c] = from.map(|from| from.cast::<[f32; LANES]>().read_unaligned());
                    let mut d = [0.0; LANES];
                    for l in 0..LANES {
                        d[l] = G::eval(F::eval(a[l], b[l]), c[l]);
                    }
                    to.add(i).cast::<[f32; LANES]>().write_unaligned(d);
                }
                for (from, along) in from.iter_mut().zip(along) {
                    *from = from.wrapping_add(along);
                }
            }
            for i in whole..n {
                // SAFETY: as above.
                unsafe {
                    let [a, b, c] = [0, 1, 2].map(|s| *first[s].add(if sources[s].vector { i } else { 0 }));
                    *to.add(i) = G::eval(F::eval(a, b), c);
                }
            }
        }
    }
}

/// The step for `second(first(a, b), c)`, or with `second`'s operands the other way round (`turned`); `None` where there is none.
pub(crate) fn pair(first: BinaryOp, second: BinaryOp, turned: bool, level: Level) -> Option<Run> {
    match first {
        BinaryOp::Add => then::<Add>(second, turned, level),
        BinaryOp::Sub => then::<Sub>(second, turned, level),
        BinaryOp::Mul => then::<Mul>(second, turned, level),
        _ => None,
    }
}

fn then<F: Two>(second: BinaryOp, turned: bool, level: Level) -> Option<Run> {
    match (second, turned) {
        (BinaryOp::Add, _) => Some(pick::<Pair<F, Add>>(level)),
        (BinaryOp::Mul, _) => Some(pick::<Pair<F, Mul>>(level)),
        (BinaryOp::Sub, false) => Some(pick::<Pair<F, Sub>>(level)),
        (BinaryOp::Sub, true) => Some(pick::<Pair<F, Less>>(level)),
        _ => None,
    }
}

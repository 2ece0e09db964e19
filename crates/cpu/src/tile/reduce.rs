//! Reductions of a tile's lines or columns, in a fixed order that depends on shapes only.
//!
//! Sums of floats (and of products of two): 32 partial sums over at most 1,024 elements (or 32 lines), and f64 above that; so the error
//! stays near that of pairwise summation.

use noyau_tensor::{DType, ReduceOp};

use super::step::{Other, Run, Step, pick};
use super::{Env, Tile};
use crate::simd::Level;

/// A reduction of one element type.
pub(crate) trait Fold {
    type T: Copy;
    /// What partial results are collected in; at most two words.
    type Wide: Copy;
    const IDENTITY: Self::T;
    fn combine(a: Self::T, b: Self::T) -> Self::T;
    fn widen(a: Self::T) -> Self::Wide;
    fn collect(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn narrow(a: Self::Wide) -> Self::T;
}

macro_rules! fold {
    ($($name:ident: $t:ty as $wide:ty, $identity:expr, |$a:ident, $b:ident| $combine:expr, $collect:expr;)*) => {$(
        struct $name;
        impl Fold for $name {
            type T = $t;
            type Wide = $wide;
            const IDENTITY: $t = $identity;
            #[inline(always)]
            fn combine($a: $t, $b: $t) -> $t {
                $combine
            }
            #[inline(always)]
            fn widen(a: $t) -> $wide {
                a as $wide
            }
            #[inline(always)]
            fn collect($a: $wide, $b: $wide) -> $wide {
                $collect
            }
            #[inline(always)]
            fn narrow(a: $wide) -> $t {
                a as $t
            }
        }
    )*};
}

fold! {
    SumF: f32 as f64, 0.0, |a, b| a + b, a + b;
    ProdF: f32 as f64, 1.0, |a, b| a * b, a * b;
    MaxF: f32 as f32, f32::NEG_INFINITY, |a, b| if a > b || a.is_nan() { a } else { b }, Self::combine(a, b);
    MinF: f32 as f32, f32::INFINITY, |a, b| if a < b || a.is_nan() { a } else { b }, Self::combine(a, b);
    SumW: u32 as u32, 0, |a, b| a.wrapping_add(b), Self::combine(a, b);
    ProdW: u32 as u32, 1, |a, b| a.wrapping_mul(b), Self::combine(a, b);
    MaxI: i32 as i32, i32::MIN, |a, b| a.max(b), Self::combine(a, b);
    MinI: i32 as i32, i32::MAX, |a, b| a.min(b), Self::combine(a, b);
    MaxU: u32 as u32, 0, |a, b| a.max(b), Self::combine(a, b);
    MinU: u32 as u32, u32::MAX, |a, b| a.min(b), Self::combine(a, b);
    AllB: u32 as u32, 1, |a, b| a & b, Self::combine(a, b);
}

/// Which of the functions of a reduction.
pub(crate) enum Part {
    /// A tile's lines, each to one value.
    Cols,
    /// A tile's columns, each to one value.
    Lines,
    /// Sets the collected values to the identity.
    Start,
    /// Adds one line's elements to what is collected.
    AddCols,
    /// Adds a tile's lines to what is collected.
    AddLines,
    /// As `Cols` and `AddCols`, of the products of two operands; sums of floats only.
    ColsOfProducts,
    AddColsOfProducts,
    /// As these, of the squares of one operand's differences from the other, which is one value a line.
    ColsOfSquares,
    AddColsOfSquares,
    /// What is collected becomes the value.
    Finish,
}

/// The function that runs a part of a reduction.
pub(crate) fn reduce_run(op: ReduceOp, dtype: DType, part: &Part, level: Level) -> Run {
    match (op, dtype) {
        (ReduceOp::Sum, DType::F32 | DType::F16 | DType::BF16) => part_run::<SumF>(part, level),
        (ReduceOp::Prod, DType::F32 | DType::F16 | DType::BF16) => part_run::<ProdF>(part, level),
        (ReduceOp::Max, DType::F32 | DType::F16 | DType::BF16) => part_run::<MaxF>(part, level),
        (ReduceOp::Min, DType::F32 | DType::F16 | DType::BF16) => part_run::<MinF>(part, level),
        (ReduceOp::Sum, DType::I32 | DType::U32) => part_run::<SumW>(part, level),
        (ReduceOp::Prod, DType::I32 | DType::U32) => part_run::<ProdW>(part, level),
        (ReduceOp::Max, DType::I32) => part_run::<MaxI>(part, level),
        (ReduceOp::Min, DType::I32) => part_run::<MinI>(part, level),
        (ReduceOp::Max, DType::U32) | (ReduceOp::Max | ReduceOp::Sum, DType::Bool) => part_run::<MaxU>(part, level),
        (ReduceOp::Min, DType::U32) => part_run::<MinU>(part, level),
        (ReduceOp::Min | ReduceOp::Prod, DType::Bool) => part_run::<AllB>(part, level),
    }
}

fn part_run<F: Fold>(part: &Part, level: Level) -> Run {
    match part {
        Part::Cols => pick::<Cols<F>>(level),
        Part::Lines => pick::<Lines<F>>(level),
        Part::Start => pick::<Start<F>>(level),
        Part::AddCols => pick::<AddCols<F>>(level),
        Part::AddLines => pick::<AddLines<F>>(level),
        Part::ColsOfProducts => pick::<ColsOfProducts<F>>(level),
        Part::AddColsOfProducts => pick::<AddColsOfProducts<F>>(level),
        Part::ColsOfSquares => pick::<ColsOfSquares<F>>(level),
        Part::AddColsOfSquares => pick::<AddColsOfSquares<F>>(level),
        Part::Finish => pick::<Finish<F>>(level),
    }
}

const LANES: usize = 32;
const BLOCK: usize = 1024;

/// All elements of a slice combined.
#[inline(always)]
fn fold_slice<F: Fold>(x: &[F::T]) -> F::Wide {
    if x.len() < LANES {
        return F::widen(x.iter().fold(F::IDENTITY, |a, &b| F::combine(a, b)));
    }
    let mut total = F::widen(F::IDENTITY);
    for block in x.chunks(BLOCK) {
        let mut lanes = [F::IDENTITY; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for x in whole {
            for i in 0..LANES {
                lanes[i] = F::combine(lanes[i], x[i]);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane = F::combine(*lane, x);
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = F::combine(lanes[i], lanes[i + width]);
            }
            width /= 2;
        }
        total = F::collect(total, F::widen(lanes[0]));
    }
    total
}

/// The sum of products, rounded as if these were written down before [`fold_slice`].
#[inline(always)]
fn fold_products(x: &[f32], y: &[f32]) -> f64 {
    if x.len() < LANES {
        return x.iter().zip(y).fold(0.0, |sum: f32, (x, y)| sum + x * y).into();
    }
    let mut total = 0.0;
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        let mut lanes = [0.0f32; LANES];
        let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in x.iter().zip(y) {
            // Apart from the sums, or neither becomes vectors.
            let mut products = *x;
            for i in 0..LANES {
                products[i] *= y[i];
            }
            for i in 0..LANES {
                lanes[i] += products[i];
            }
        }
        for ((lane, x), y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
            *lane += x * y;
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        total += f64::from(lanes[0]);
    }
    total
}

/// The sum of squares of differences from `y`, rounded as if differences and squares were written down before [`fold_slice`].
#[inline(always)]
fn fold_squares(x: &[f32], y: f32) -> f64 {
    if x.len() < LANES {
        return x.iter().fold(0.0, |sum: f32, x| sum + (x - y) * (x - y)).into();
    }
    let mut total = 0.0;
    for x in x.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let (x, rest) = x.as_chunks::<LANES>();
        for x in x {
            let mut squares = *x;
            for square in &mut squares {
                let difference = *square - y;
                *square = difference * difference;
            }
            for i in 0..LANES {
                lanes[i] += squares[i];
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += (x - y) * (x - y);
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        total += f64::from(lanes[0]);
    }
    total
}

/// The one float that an operand has for line `l`.
///
/// # Safety
/// The operand has it.
#[inline(always)]
unsafe fn float(env: &Env, step: &Step, operand: usize, l: usize) -> f32 {
    let place = env.places[step.operands[operand].value as usize];
    // SAFETY: the caller's promise.
    unsafe { *place.pointer.offset(l as isize * place.line).cast() }
}

/// Line `l` of an operand of floats.
///
/// # Safety
/// The operand has the line, `cols` elements long.
#[inline(always)]
unsafe fn floats<'a>(env: &Env, step: &Step, operand: usize, l: usize, cols: usize) -> &'a [f32] {
    let place = env.places[step.operands[operand].value as usize];
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(place.pointer.offset(l as isize * place.line).cast(), cols) }
}

/// Columns of lines combined, a group of neighbours at a time, and given to `put`.
///
/// # Safety
/// `x` is the first of `lines` lines of `cols` elements, `step` apart.
#[inline(always)]
unsafe fn fold_lines<F: Fold>(x: *const F::T, step: isize, lines: usize, cols: usize, mut put: impl FnMut(usize, F::Wide)) {
    let mut c = 0;
    while c + LANES <= cols {
        let mut total = [F::widen(F::IDENTITY); LANES];
        let mut l = 0;
        while l < lines {
            let mut lanes = [F::IDENTITY; LANES];
            let end = (l + LANES).min(lines);
            while l < end {
                // SAFETY: the line has all of the group's columns.
                let row: &[F::T; LANES] = unsafe { &*x.offset(l as isize * step).add(c).cast() };
                for i in 0..LANES {
                    lanes[i] = F::combine(lanes[i], row[i]);
                }
                l += 1;
            }
            for i in 0..LANES {
                total[i] = F::collect(total[i], F::widen(lanes[i]));
            }
        }
        for (i, &total) in total.iter().enumerate() {
            put(c + i, total);
        }
        c += LANES;
    }
    if c < cols {
        let n = cols - c;
        let mut total = [F::widen(F::IDENTITY); LANES];
        let mut l = 0;
        while l < lines {
            let mut lanes = [F::IDENTITY; LANES];
            let end = (l + LANES).min(lines);
            while l < end {
                // SAFETY: the line has the remaining columns.
                let row = unsafe { std::slice::from_raw_parts(x.offset(l as isize * step).add(c), n) };
                for (lane, &x) in lanes.iter_mut().zip(row) {
                    *lane = F::combine(*lane, x);
                }
                l += 1;
            }
            for i in 0..n {
                total[i] = F::collect(total[i], F::widen(lanes[i]));
            }
        }
        for (i, &total) in total[..n].iter().enumerate() {
            put(c + i, total);
        }
    }
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident, |$step:ident, $env:ident, $tile:ident| $body:block)*) => {$(
        $(#[$doc])*
        struct $name<F>(std::marker::PhantomData<F>);
        impl<F: Fold> Other for $name<F> {
            #[inline(always)]
            unsafe fn run<const FMA: bool>($step: &Step, $env: &mut Env, $tile: &Tile) $body
        }
    )*};
}

parts! {
    /// The operand is full, the result one value a line.
    Cols, |step, env, tile| {
        let target = step.target(env, tile);
        let from = env.places[step.operands[0].value as usize];
        for l in 0..tile.lines {
            // SAFETY: the program gave both values room for the tile.
            unsafe {
                let line = std::slice::from_raw_parts(from.pointer.offset(l as isize * from.line).cast(), tile.cols);
                *target.pointer.add(l).cast() = F::narrow(fold_slice::<F>(line));
            }
        }
    }

    /// The operand is full, the result one value a column.
    Lines, |step, env, tile| {
        let target = step.target(env, tile);
        let from = env.places[step.operands[0].value as usize];
        let put = |c: usize, total: F::Wide| {
            // SAFETY: the program gave the result room for the tile's columns.
            unsafe { *target.pointer.add(c).cast() = F::narrow(total) };
        };
        // SAFETY: the operand has the tile's lines and columns.
        unsafe { fold_lines::<F>(from.pointer.cast(), from.line, tile.lines, tile.cols, put) };
    }

    /// The result is what is collected: two words for each line and column of its form.
    Start, |step, env, tile| {
        let target = step.target(env, tile);
        let n = if step.form.line { tile.lines } else { tile.cols };
        // SAFETY: the program gave it the room, aligned for two words.
        unsafe { std::slice::from_raw_parts_mut(target.pointer.cast::<F::Wide>(), n).fill(F::widen(F::IDENTITY)) };
    }

    AddCols, |step, env, tile| {
        let from = env.places[step.operands[0].value as usize];
        let total = env.places[step.result].pointer.cast::<F::Wide>();
        for l in 0..tile.lines {
            // SAFETY: the operand has the tile's lines and columns, the collected values its lines.
            unsafe {
                let line = std::slice::from_raw_parts(from.pointer.offset(l as isize * from.line).cast(), tile.cols);
                *total.add(l) = F::collect(*total.add(l), fold_slice::<F>(line));
            }
        }
    }

    AddLines, |step, env, tile| {
        let from = env.places[step.operands[0].value as usize];
        let total = env.places[step.result].pointer.cast::<F::Wide>();
        // SAFETY: the collected values are as many as the tile's columns.
        let put = |c: usize, part: F::Wide| unsafe { *total.add(c) = F::collect(*total.add(c), part) };
        // SAFETY: the operand has the tile's lines and columns.
        unsafe { fold_lines::<F>(from.pointer.cast(), from.line, tile.lines, tile.cols, put) };
    }

    /// Both operands are full.
    ColsOfProducts, |step, env, tile| {
        let target = step.target(env, tile);
        for l in 0..tile.lines {
            // SAFETY: the program gave all values room for the tile.
            unsafe {
                let (x, y) = (floats(env, step, 0, l, tile.cols), floats(env, step, 1, l, tile.cols));
                *target.pointer.add(l).cast() = fold_products(x, y) as f32;
            }
        }
    }

    AddColsOfProducts, |step, env, tile| {
        let total = env.places[step.result].pointer.cast::<f64>();
        for l in 0..tile.lines {
            // SAFETY: the operands have the tile's lines and columns, the collected values its lines.
            unsafe {
                let (x, y) = (floats(env, step, 0, l, tile.cols), floats(env, step, 1, l, tile.cols));
                *total.add(l) += fold_products(x, y);
            }
        }
    }

    /// The first operand is full, the second has one value a line, or one for all.
    ColsOfSquares, |step, env, tile| {
        let target = step.target(env, tile);
        for l in 0..tile.lines {
            // SAFETY: the program gave all values room for the tile.
            unsafe {
                let (x, y) = (floats(env, step, 0, l, tile.cols), float(env, step, 1, l));
                *target.pointer.add(l).cast() = fold_squares(x, y) as f32;
            }
        }
    }

    AddColsOfSquares, |step, env, tile| {
        let total = env.places[step.result].pointer.cast::<f64>();
        for l in 0..tile.lines {
            // SAFETY: the operands have the tile's lines and columns, the collected values its lines.
            unsafe {
                let (x, y) = (floats(env, step, 0, l, tile.cols), float(env, step, 1, l));
                *total.add(l) += fold_squares(x, y);
            }
        }
    }

    /// The operand is what was collected.
    Finish, |step, env, tile| {
        let target = step.target(env, tile);
        let total = env.places[step.operands[0].value as usize].pointer.cast::<F::Wide>();
        let n = if step.form.line { tile.lines } else { tile.cols };
        for i in 0..n {
            // SAFETY: both have as many elements as the tile has lines or columns.
            unsafe { *target.pointer.add(i).cast() = F::narrow(*total.add(i)) };
        }
    }
}

//! Reductions of a tile's lines or columns, in a fixed order that depends on shapes only.

use noyau_tensor::{DType, ReduceOp};

use super::fold::*;
use super::step::{Other, Run, Step, pick};
use super::{Env, Tile};
use crate::simd::Level;

/// Which of the functions of a reduction.
pub(crate) enum Part {
    /// A tile's lines, each to one value.
    Cols,
    /// A tile's columns, each to one value.
    Lines,
    /// As `Cols` and `AddCols`, of what is read from far away from end to end, and by little else: what comes next is fetched meanwhile.
    FarCols,
    FarAddCols,
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
        Part::FarCols => pick::<FarCols<F>>(level),
        Part::FarAddCols => pick::<FarAddCols<F>>(level),
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

/// A tile's lines, each to one value.
///
/// # Safety
/// As for [`Run`].
#[inline(always)]
unsafe fn cols<F: Fold, const FAR: bool>(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let from = env.places[step.operands[0].value as usize];
    for l in 0..tile.lines {
        // SAFETY: the program gave both values room for the tile.
        unsafe {
            let line = std::slice::from_raw_parts(from.pointer.offset(l as isize * from.line).cast(), tile.cols);
            *target.pointer.add(l).cast() = F::narrow(fold_slice::<F, FAR>(line));
        }
    }
}

/// A tile's lines, each added to what is collected.
///
/// # Safety
/// As for [`Run`].
#[inline(always)]
unsafe fn add_cols<F: Fold, const FAR: bool>(step: &Step, env: &mut Env, tile: &Tile) {
    let from = env.places[step.operands[0].value as usize];
    let total = env.places[step.result].pointer.cast::<F::Wide>();
    for l in 0..tile.lines {
        // SAFETY: the operand has the tile's lines and columns, the collected values its lines.
        unsafe {
            let line = std::slice::from_raw_parts(from.pointer.offset(l as isize * from.line).cast(), tile.cols);
            *total.add(l) = F::collect(*total.add(l), fold_slice::<F, FAR>(line));
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
        // SAFETY: the caller's promise.
        unsafe { cols::<F, false>(step, env, tile) }
    }

    FarCols, |step, env, tile| {
        // SAFETY: the caller's promise.
        unsafe { cols::<F, true>(step, env, tile) }
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
        // SAFETY: the caller's promise.
        unsafe { add_cols::<F, false>(step, env, tile) }
    }

    FarAddCols, |step, env, tile| {
        // SAFETY: the caller's promise.
        unsafe { add_cols::<F, true>(step, env, tile) }
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

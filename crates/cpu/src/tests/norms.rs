//! Normalisations, which are one step: every form, rows of all lengths, against the reference and bit for bit against the same arithmetic alone.

use noyau_tensor::{BinaryOp, ReduceOp};

use super::*;

/// How a difference from the mean is scaled: the factors (`[row]`, `[row, column]` as one product or in turn), and what is added.
#[derive(Clone, Copy, Debug)]
struct Shape {
    together: bool,
    by_column: bool,
    /// Nothing, a word a row, a word a column.
    added: usize,
    /// The operands of products and sums the other way round.
    turned: bool,
    /// Whether the difference is stored too, so that others need it.
    shown: bool,
}

fn shapes() -> Vec<Shape> {
    let mut all = Vec::new();
    for i in 0..48 {
        let shape = Shape { together: i & 1 > 0, by_column: i & 2 > 0, turned: i & 4 > 0, shown: i & 8 > 0, added: i / 16 };
        if shape.by_column || !shape.together {
            all.push(shape);
        }
    }
    all
}

/// `(x - mean) factors + added` for rows, with the sum of squares of the differences stored too. `apart` stores the intermediate values, so that each operation stands
/// alone.
fn norm(shape: Shape, [rows, cols]: [usize; 2], apart: bool) -> Plan {
    let space = [rows, cols];
    let mut b = Builder::default();
    let full = || view(&space, &[cols as isize, 1]);
    let of_row = || view(&space, &[1, 0]);
    let x = b.load(&[rows * cols], DType::F32, full(), Level::Inner);
    let by_row = b.load(&[rows], DType::F32, of_row(), Level::Outer);
    let by_column = b.load(&[cols], DType::F32, view(&space, &[0, 1]), Level::Inner);
    let sum = b.value(Instr::Reduce(ReduceOp::Sum, x), DType::F32, Level::Outer);
    let part = b.value(Instr::Const(Scalar::Float(1.0 / cols.max(1) as f64)), DType::F32, Level::Outer);
    let mean = b.value(Instr::Binary(BinaryOp::Mul, sum, part), DType::F32, Level::Outer);
    let kept = |b: &mut Builder, op, left, right| {
        let value = b.value(Instr::Binary(op, left, right), DType::F32, Level::Inner);
        if apart {
            b.store(value, &[rows * cols], view(&space, &[cols as isize, 1]));
        }
        value
    };
    let sides = |a, b| if shape.turned { (b, a) } else { (a, b) };
    let difference = kept(&mut b, BinaryOp::Sub, x, mean);
    let square = kept(&mut b, BinaryOp::Mul, difference, difference);
    let squares = b.value(Instr::Reduce(ReduceOp::Sum, square), DType::F32, Level::Outer);
    let mul = |b: &mut Builder, left, right| {
        let (left, right) = sides(left, right);
        kept(b, BinaryOp::Mul, left, right)
    };
    let mut y = if !shape.by_column {
        mul(&mut b, difference, by_row)
    } else if shape.together {
        let factor = mul(&mut b, by_row, by_column);
        mul(&mut b, difference, factor)
    } else {
        let scaled = mul(&mut b, difference, by_row);
        mul(&mut b, scaled, by_column)
    };
    if shape.added > 0 {
        let (left, right) = sides(y, if shape.added == 1 { by_row } else { by_column });
        y = kept(&mut b, BinaryOp::Add, left, right);
    }
    if shape.shown {
        b.store(difference, &[rows * cols], full());
    }
    b.store(squares, &[rows], of_row());
    b.store(y, &[rows * cols], full());
    b.loop_plan(&[rows], &[cols])
}

/// The last two buffers after a run: sums of squares, and results.
fn run(plan: Plan, level: Simd) -> [Vec<u32>; 2] {
    let mut random = Random(11);
    let data: Vec<Vec<u32>> = plan.buffers.iter().map(|b| (0..b.len()).map(|_| random.word(b.dtype)).collect()).collect();
    let ids = [plan.buffers.len() - 2, plan.buffers.len() - 1].map(BufferId);
    let mut executable = Cpu::with_level(level).load(Arc::new(plan), &mut |_| unreachable!()).unwrap();
    for (i, words) in data.iter().enumerate().take(3) {
        let array = Array::from_words([words.len()], DType::F32, words.clone()).unwrap();
        executable.write_buffer(BufferId(i), &array).unwrap();
    }
    executable.run().unwrap();
    ids.map(|id| executable.read_buffer(id).unwrap().words().to_vec())
}

#[test]
fn norms_of_all_forms() {
    for shape in shapes() {
        for size in [[1, 1], [5, 3], [3, 31], [7, 40], [2, 1000], [3, 2049], [2, 8200]] {
            check(norm(shape, size, false), 5, 2e-5, &format!("{shape:?} of {size:?}"));
        }
    }
}

#[test]
fn a_norm_has_the_bits_of_its_operations() {
    for level in Simd::available() {
        for shape in shapes() {
            for size in [[4, 5], [9, 100], [2, 1037], [2, 3000]] {
                let (one, alone) = (run(norm(shape, size, false), level), run(norm(shape, size, true), level));
                assert!(one == alone, "{shape:?} of {size:?}, {level:?}");
            }
        }
    }
}

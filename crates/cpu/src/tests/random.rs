//! Random bodies over random spaces.

use noyau_tensor::{BinaryOp, ReduceOp, Scalar, UnaryOp};

use super::*;

/// A random way to read a space from a buffer: permuted, broadcast, flipped, spaced, cut; and the buffer's length.
fn random_index(random: &mut Random, space: &[usize], fixed: usize) -> (Index, usize) {
    let rank = space.len();
    let mut order: Vec<usize> = (0..rank).collect();
    if random.below(3) == 0 {
        (0..rank).for_each(|i| order.swap(i, i + random.below(rank - i)));
    }
    let mut strides = vec![0isize; rank];
    let mut stride = 1;
    let broadcast = random.below(3) == 0;
    for &axis in order.iter().rev() {
        let still = axis >= fixed || broadcast && random.below(2) == 0;
        if still || space[axis] <= 1 {
            continue;
        }
        strides[axis] = stride;
        stride *= space[axis] as isize;
        if random.below(8) == 0 {
            strides[axis] *= 2;
            stride *= 2;
        }
        if random.below(8) == 0 {
            strides[axis] *= -1;
        }
    }
    let mut mask: Vec<(usize, usize)> = space.iter().map(|&n| (0, n)).collect();
    if random.below(4) == 0 && !space.contains(&0) {
        for (axis, window) in mask.iter_mut().enumerate().filter(|(axis, _)| *axis < fixed) {
            if random.below(2) == 0 {
                let low = random.below(space[axis] + 1);
                *window = (low, low + random.below(space[axis] + 1 - low));
            }
        }
    }
    // The least place of a valid coordinate becomes 0.
    let ends = |i: usize| (mask[i].0 as isize * strides[i], (mask[i].1 as isize - 1) * strides[i]);
    let empty = mask[..fixed].iter().any(|(low, high)| low >= high);
    let low: isize = if empty { 0 } else { (0..fixed).map(|i| ends(i).0.min(ends(i).1)).sum() };
    let high: isize = if empty { 0 } else { (0..fixed).map(|i| ends(i).0.max(ends(i).1)).sum() };
    let whole = mask.iter().zip(space).all(|(&m, &n)| m == (0, n));
    let view = View { shape: space.to_vec(), strides, offset: -low, mask: if whole { Vec::new() } else { mask } };
    let length = (high - low) as usize + 1;
    if fixed == rank && random.below(6) == 0 && !space.contains(&0) {
        // Through a second view, over a reshaped and padded space.
        let n: usize = space.iter().product();
        let first = Index::identity(space);
        let (before, size) = (random.below(4), n.div_ceil(2).max(1));
        let window = vec![(before.min(n), (before + size).min(n))];
        return (first.then(&View { shape: vec![n], strides: vec![1], offset: -(before as isize), mask: window }), size.max(1));
    }
    (Index::from_view(view), length)
}

const SIZES: &[usize] = &[1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 64, 100, 130, 257, 1030];

fn random_space(random: &mut Random, most: usize) -> (Vec<usize>, Vec<usize>) {
    let mut total = 1;
    let mut axes = |random: &mut Random, n: usize| -> Vec<usize> {
        (0..n)
            .map(|_| {
                let size = if random.below(60) == 0 { 0 } else { random.choose(SIZES) };
                let size = if total * size > most { 1 + random.below(3) } else { size };
                total *= size.max(1);
                size
            })
            .collect()
    };
    let (n, m) = (random.below(4), random.below(3));
    (axes(random, n), axes(random, m))
}

struct Generated {
    id: ValueId,
    dtype: DType,
    level: Level,
    /// Whether the executor and the reference get the same bits, so that comparisons come out the same.
    exact: bool,
}

fn random_plan(random: &mut Random, most: usize) -> Plan {
    let (outer, inner) = random_space(random, most);
    let space: Vec<usize> = outer.iter().chain(&inner).copied().collect();
    let mut b = Builder::default();
    let mut values: Vec<Generated> = Vec::new();
    let lowest = if inner.is_empty() { Level::Outer } else { Level::Inner };
    let dtypes = [DType::F32, DType::F32, DType::F32, DType::I32, DType::U32, DType::Bool];
    for _ in 0..1 + random.below(4) {
        let dtype = random.choose(&dtypes);
        let level = if random.below(4) == 0 { Level::Outer } else { lowest };
        let (index, length) = random_index(random, &space, if level == Level::Outer { outer.len() } else { space.len() });
        let id = match random.below(8) {
            0 => b.value(Instr::Const(Scalar::new(1.5, dtype)), dtype, level),
            _ => b.load(&[length], dtype, index, level),
        };
        values.push(Generated { id, dtype, level, exact: true });
    }
    for _ in 0..2 + random.below(9) {
        let a = random.below(values.len());
        let (x, dtype, level, exact) = (values[a].id, values[a].dtype, values[a].level, values[a].exact);
        let same: Vec<usize> = (0..values.len()).filter(|&i| values[i].dtype == dtype).collect();
        let other = random.choose(&same);
        let (y, both, both_exact) = (values[other].id, level.max(values[other].level), exact && values[other].exact);
        let (instr, dtype, level, exact) = match random.below(12) {
            0 | 1 => {
                let all = [
                    UnaryOp::Neg,
                    UnaryOp::Abs,
                    UnaryOp::Sign,
                    UnaryOp::Relu,
                    UnaryOp::Not,
                    UnaryOp::Tanh,
                    UnaryOp::Erf,
                    UnaryOp::Sin,
                    UnaryOp::Floor,
                    UnaryOp::Round,
                ];
                let op = random.choose(&all);
                let steps = matches!(op, UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Round);
                if !op.accepts(dtype) || steps && !exact {
                    continue;
                }
                let smooth = matches!(op, UnaryOp::Tanh | UnaryOp::Erf | UnaryOp::Sin);
                (Instr::Unary(op, x), dtype, level, exact && !smooth)
            }
            2..=5 => {
                let all = [
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Min,
                    BinaryOp::Max,
                    BinaryOp::Lt,
                    BinaryOp::Eq,
                    BinaryOp::And,
                    BinaryOp::Xor,
                    BinaryOp::Div,
                    BinaryOp::Rem,
                    BinaryOp::Shl,
                ];
                let op = random.choose(&all);
                let float_only_smooth = matches!(op, BinaryOp::Div | BinaryOp::Rem) && dtype == DType::F32;
                if !op.accepts(dtype) || op.is_comparison() && !both_exact || float_only_smooth {
                    continue;
                }
                (Instr::Binary(op, x, y), if op.is_comparison() { DType::Bool } else { dtype }, both, both_exact)
            }
            6 => {
                let conditions: Vec<usize> = (0..values.len()).filter(|&i| values[i].dtype == DType::Bool).collect();
                if conditions.is_empty() {
                    continue;
                }
                let c = &values[random.choose(&conditions)];
                (Instr::Where(c.id, x, y), dtype, both.max(c.level), both_exact)
            }
            7 => {
                let to = random.choose(&dtypes);
                if !exact && to != DType::F32 {
                    continue;
                }
                (Instr::Cast(x), to, level, exact)
            }
            8 => {
                let level = if random.below(3) == 0 { Level::Outer } else { lowest };
                let (index, length) = random_index(random, &space, if level == Level::Outer { outer.len() } else { space.len() });
                match random.below(3) {
                    0 => (Instr::Valid(index), DType::Bool, level, true),
                    1 => (Instr::Place(index), DType::U32, level, true),
                    _ => {
                        let ats: Vec<usize> = (0..values.len()).filter(|&i| values[i].dtype == DType::U32).collect();
                        if ats.is_empty() {
                            continue;
                        }
                        let at = &values[random.choose(&ats)];
                        let (len, stride) = (3, length);
                        let operand = b.operand(&[length * len], DType::F32);
                        (Instr::Gather { operand, index, at: at.id, stride, len }, DType::F32, level.max(at.level), true)
                    }
                }
            }
            9 => {
                let words: Vec<usize> = (0..values.len()).filter(|&i| values[i].dtype == DType::U32).collect();
                if words.is_empty() {
                    continue;
                }
                let (i, s, k) = (random.choose(&words), random.choose(&words), random.choose(&words));
                let level = values[i].level.max(values[s].level).max(values[k].level);
                (Instr::Philox { stream: 7, index: values[i].id, step: values[s].id, seed: values[k].id }, DType::U32, level, true)
            }
            _ => {
                if level != Level::Inner || dtype == DType::Bool {
                    continue;
                }
                let op = random.choose(&[ReduceOp::Sum, ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min]);
                let exact = exact && (dtype != DType::F32 || op != ReduceOp::Sum);
                (Instr::Reduce(op, x), dtype, Level::Outer, exact)
            }
        };
        let id = b.value(instr, dtype, level);
        values.push(Generated { id, dtype, level, exact });
    }
    for _ in 0..1 + random.below(3) {
        let v = &values[values.len() - 1 - random.below(values.len().min(4))];
        let used = if v.level == Level::Inner { space.len() } else { outer.len() };
        // Row-major, or with the axes in reverse.
        let mut strides = vec![0; space.len()];
        let mut stride = 1;
        let reversed = random.below(4) == 0;
        for i in 0..used {
            let axis = if reversed { i } else { used - 1 - i };
            strides[axis] = if space[axis] == 1 { 0 } else { stride };
            stride *= space[axis] as isize;
        }
        let shape = space[..used].to_vec();
        let index = Index::from_view(View { shape: space.clone(), strides, offset: 0, mask: Vec::new() });
        b.store(v.id, &shape, index);
    }
    b.loop_plan(&outer, &inner)
}

#[test]
fn bodies_agree_with_the_reference() {
    for seed in 1..=1500 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(seed));
        let plan = random_plan(&mut random, if seed % 10 == 0 { 20_000 } else { 3_000 });
        check(plan, seed, 1e-3, &format!("seed {seed}"));
    }
}

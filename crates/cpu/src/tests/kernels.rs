//! Rows in every regime, matrix products of every shape, scatters, work in place.

use noyau_tensor::{BinaryOp, ReduceOp, UnaryOp};

use super::*;

/// Softmax and cross-entropy against a column, values and row results stored: two reductions that need each other, then maps.
fn softmax(outer: &[usize], inner: &[usize], strides: &[isize]) -> Plan {
    let space: Vec<usize> = outer.iter().chain(inner).copied().collect();
    let n: usize = space.iter().product();
    let rows: usize = outer.iter().product();
    let mut b = Builder::default();
    let load = |b: &mut Builder| b.load(&[n], DType::F32, view(&space, strides), Level::Inner);
    let x = load(&mut b);
    let most = b.value(Instr::Reduce(ReduceOp::Max, x), DType::F32, Level::Outer);
    let shifted = b.value(Instr::Binary(BinaryOp::Sub, x, most), DType::F32, Level::Inner);
    let e = b.value(Instr::Unary(UnaryOp::Exp, shifted), DType::F32, Level::Inner);
    let total = b.value(Instr::Reduce(ReduceOp::Sum, e), DType::F32, Level::Outer);
    let y = b.value(Instr::Binary(BinaryOp::Div, e, total), DType::F32, Level::Inner);
    let weight = load(&mut b);
    let weighted = b.value(Instr::Binary(BinaryOp::Mul, weight, shifted), DType::F32, Level::Inner);
    let chosen = b.value(Instr::Reduce(ReduceOp::Sum, weighted), DType::F32, Level::Outer);
    let log = b.value(Instr::Unary(UnaryOp::Log, total), DType::F32, Level::Outer);
    let loss = b.value(Instr::Binary(BinaryOp::Sub, log, chosen), DType::F32, Level::Outer);
    b.store(y, &[n], view(&space, strides));
    let row_strides: Vec<isize> = View::contiguous(outer).strides.into_iter().chain(inner.iter().map(|_| 0)).collect();
    b.store(loss, &[rows], view(&space, &row_strides));
    b.loop_plan(outer, inner)
}

#[test]
fn rows_of_all_lengths() {
    for (rows, n) in
        [(1, 1), (7, 1), (128, 10), (3, 33), (40, 100), (5, 1000), (3, 1025), (3, 5000), (2, 8192), (2, 8193), (1, 20_000), (9, 0), (0, 9)]
    {
        check(softmax(&[rows], &[n], &[n as isize, 1]), 3, 1e-5, &format!("{rows} rows of {n}"));
    }
}

#[test]
fn columns_of_all_lengths() {
    for (rows, n) in [(1, 7), (3, 50), (8, 32), (10, 128), (64, 100), (100, 129), (512, 20), (1500, 3), (300, 2000), (2000, 300)] {
        check(softmax(&[rows], &[n], &[1, rows as isize]), 4, 2e-5, &format!("{rows} columns of {n}"));
    }
}

#[test]
fn rows_of_several_axes() {
    check(softmax(&[4], &[6, 35], &[35, 140, 1]), 5, 1e-5, "channels");
    check(softmax(&[4, 3], &[50, 41], &[6150, 41, 123, 1]), 5, 1e-5, "long rows of two axes");
    check(softmax(&[4, 5], &[9, 7], &[1, 4, 20, 180]), 5, 1e-5, "all backwards");
}

#[test]
fn sums_are_accurate() {
    // Ones and a large value: a running sum in f32 would lose the ones.
    let n = 1 << 20;
    for strides in [[n as isize, 1], [1, 2]] {
        let (rows, mut b) = (2, Builder::default());
        let x = b.load(&[rows * n], DType::F32, view(&[rows, n], &strides), Level::Inner);
        let total = b.value(Instr::Reduce(ReduceOp::Sum, x), DType::F32, Level::Outer);
        b.store(total, &[rows], view(&[rows, n], &[1, 0]));
        let data: Vec<u32> = (0..rows * n).map(|i| (0.1f32 + (i % 7) as f32).to_bits()).collect();
        check_on(b.loop_plan(&[rows], &[n]), &[data, vec![0; rows]], 5e-7, "two sums of a million");
    }
}

#[test]
fn reductions_of_all_types_and_of_nan() {
    for dtype in [DType::F32, DType::I32, DType::U32, DType::Bool] {
        for op in [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
            for (shape, strides) in
                [([3, 5], [5, 1]), ([3, 100], [100, 1]), ([2, 9000], [9000, 1]), ([70, 40], [1, 70]), ([1500, 30], [1, 1500])]
            {
                let mut b = Builder::default();
                let n = shape[0] * shape[1];
                let x = b.load(&[n], dtype, view(&shape, &strides), Level::Inner);
                let r = b.value(Instr::Reduce(op, x), dtype, Level::Outer);
                b.store(r, &shape[..1], view(&shape, &[1, 0]));
                let mut random = Random(9);
                let mut data: Vec<u32> = (0..n).map(|_| random.word(dtype)).collect();
                if dtype == DType::F32 {
                    data.iter_mut().step_by(n / 2).for_each(|w| *w = f32::NAN.to_bits());
                    if op == ReduceOp::Prod {
                        data.iter_mut().for_each(|w| *w = (1.0 + f32::from_bits(*w) / 1000.0).to_bits());
                    }
                }
                check_on(b.loop_plan(&shape[..1], &shape[1..]), &[data, vec![0; shape[0]]], 1e-5, &format!("{op:?} {dtype} {shape:?}"));
            }
        }
    }
}

struct Sizes {
    batch: Vec<usize>,
    m: usize,
    n: usize,
    k: usize,
    turn_a: bool,
    turn_b: bool,
}

/// A product, by itself or with bias, activation and a second result.
fn product(s: &Sizes, body: bool, turn_result: bool) -> Plan {
    let matrix = |buffer: BufferId, rows: usize, columns: usize, turned: bool| {
        let (row_stride, column_stride) = if turned { (1, rows) } else { (columns, 1) };
        let mut batch: Vec<(usize, usize)> = Vec::new();
        let mut stride = rows * columns;
        for &size in s.batch.iter().rev() {
            batch.insert(0, (size, stride));
            stride *= size;
        }
        Matrix::strided(buffer, 0, &batch, (rows, row_stride), (columns, column_stride))
    };
    let total: usize = s.batch.iter().product();
    let space: Vec<usize> = s.batch.iter().copied().chain([s.m, s.n]).collect();
    let mut b = Builder::default();
    let (a, c) = (b.buffer(&[total * s.m * s.k], DType::F32), b.buffer(&[total * s.k * s.n], DType::F32));
    let p = b.value(Instr::Product, DType::F32, Level::Outer);
    let mut index = Index::identity(&space);
    if turn_result {
        let mut strides = View::contiguous(&space).strides;
        let rank = strides.len();
        (strides[rank - 2], strides[rank - 1]) = (1, s.m as isize);
        index = view(&space, &strides);
    }
    if body {
        let mut along = vec![0; space.len()];
        along[space.len() - 1] = 1;
        let bias = b.load(&[s.n], DType::F32, view(&space, &along), Level::Outer);
        let sum = b.value(Instr::Binary(BinaryOp::Add, p, bias), DType::F32, Level::Outer);
        let y = b.value(Instr::Unary(UnaryOp::Tanh, sum), DType::F32, Level::Outer);
        b.store(y, &space, index);
    } else {
        b.store(p, &space, index);
    }
    let (a, c) = (matrix(a, s.m, s.k, s.turn_a), matrix(c, s.k, s.n, s.turn_b));
    plan(b.buffers, vec![KernelKind::Matmul(Matmul { batch: s.batch.clone(), m: s.m, n: s.n, k: s.k, a, b: c, body: b.body })])
}

#[test]
fn products_of_all_shapes() {
    let shapes = [
        (1, 1, 1),
        (32, 8, 2),
        (32, 1, 8),
        (1, 40, 9),
        (2, 8, 32),
        (17, 19, 23),
        (33, 65, 40),
        (5, 4, 0),
        (0, 4, 5),
        (130, 70, 90),
        (128, 10, 256),
        (10, 300, 50),
    ];
    for (m, n, k) in shapes {
        for turn in 0..8 {
            for body in [false, true] {
                let sizes = Sizes { batch: vec![], m, n, k, turn_a: turn & 1 != 0, turn_b: turn & 2 != 0 };
                check(product(&sizes, body, turn & 4 != 0), 6, 1e-4, &format!("{m}x{k}x{n}, turned {turn}, body {body}"));
            }
        }
    }
}

#[test]
fn products_in_pieces() {
    // Cut along either side, both, and the sum; thin ones; and, the last, with nothing laid out for all pieces.
    let shapes = [
        (700, 130, 50),
        (90, 700, 64),
        (300, 300, 30),
        (1, 1500, 300),
        (1500, 1, 300),
        (15, 600, 500),
        (900, 3, 800),
        (2, 33, 40_000),
        (61, 2300, 16),
        (520, 560, 9),
        (60, 530, 230),
    ];
    for (m, n, k) in shapes {
        for (body, turn) in [(false, 0), (true, 1), (false, 2), (true, 3), (false, 4)] {
            let sizes = Sizes { batch: vec![], m, n, k, turn_a: turn & 1 != 0, turn_b: turn & 2 != 0 };
            check(product(&sizes, body, turn == 4), 7, 1e-4, &format!("{m}x{k}x{n}, body {body}, turned {turn}"));
        }
    }
}

#[test]
fn products_in_batches() {
    for (batch, m, n, k) in [
        (vec![3], 4, 5, 6),
        (vec![2, 3], 8, 8, 8),
        (vec![0], 4, 5, 6),
        (vec![70], 40, 30, 20),
        (vec![300], 16, 17, 9),
        (vec![2], 260, 270, 20),
    ] {
        for body in [false, true] {
            let sizes = Sizes { batch: batch.clone(), m, n, k, turn_a: body, turn_b: !body };
            check(product(&sizes, body, body), 8, 1e-4, &format!("{batch:?} of {m}x{k}x{n}, body {body}"));
        }
    }
}

#[test]
fn scatters() {
    for (before, count, size, after) in
        [(1, 50, 20, 1), (1, 300, 15, 70), (4, 3, 20, 5), (2, 0, 3, 4), (3, 4, 0, 2), (0, 4, 4, 4), (40, 100, 18, 20)]
    {
        let mut b = Builder::default();
        let source = b.buffer(&[before, count, after], DType::F32);
        let index = b.buffer(&[before, count, after], DType::U32);
        let target = b.buffer(&[before, size, after], DType::F32);
        let scatter = Scatter { source, index, target, before, count, size, after };
        check(plan(b.buffers, vec![KernelKind::Scatter(scatter)]), 9, 0.0, &format!("{before} x {count} to {size} x {after}"));
    }
}

/// A state and its moment, both updated where they are, both next values made of both old ones.
#[test]
fn work_in_place() {
    for n in [1, 5, 3000, 100_000] {
        let mut b = Builder::default();
        let (w, v, g) = (b.operand(&[n], DType::F32), b.operand(&[n], DType::F32), b.operand(&[n], DType::F32));
        let load = |b: &mut Builder, operand| b.value(Instr::Load { operand, index: Index::identity(&[n]) }, DType::F32, Level::Outer);
        let (w0, v0, g0) = (load(&mut b, w), load(&mut b, v), load(&mut b, g));
        let v1 = b.value(Instr::Binary(BinaryOp::Add, v0, g0), DType::F32, Level::Outer);
        let w1 = b.value(Instr::Binary(BinaryOp::Mul, w0, v1), DType::F32, Level::Outer);
        b.body.stores.push(Store { value: v1, operand: v, index: Index::identity(&[n]) });
        b.body.stores.push(Store { value: w1, operand: w, index: Index::identity(&[n]) });
        // The old value goes elsewhere while the new one takes its place.
        b.store(v0, &[n], Index::identity(&[n]));
        check(b.loop_plan(&[n], &[]), 10, 0.0, &format!("update of {n}"));
        let mut b = Builder::default();
        let (x, y) = (b.operand(&[n], DType::F32), b.operand(&[n], DType::F32));
        let (x0, y0) = (load(&mut b, x), load(&mut b, y));
        b.body.stores.push(Store { value: x0, operand: y, index: Index::identity(&[n]) });
        b.body.stores.push(Store { value: y0, operand: x, index: Index::identity(&[n]) });
        check(b.loop_plan(&[n], &[]), 10, 0.0, &format!("swap of {n}"));
    }
}

/// Large enough for several threads: the same bits as alone, every time.
#[test]
fn threads_change_nothing() {
    for plan in [
        softmax(&[2000], &[300], &[300, 1]),
        softmax(&[300], &[2000], &[1, 300]),
        product(&Sizes { batch: vec![], m: 300, n: 500, k: 200, turn_a: false, turn_b: false }, true, false),
    ] {
        let plan = Arc::new(plan);
        let mut random = Random(77);
        let data: Vec<Array> = plan
            .buffers
            .iter()
            .map(|b| Array::from_words(b.shape.clone(), b.dtype, (0..b.len()).map(|_| random.word(b.dtype)).collect()).unwrap())
            .collect();
        let run = || {
            let mut executable = Cpu::new().load(Arc::clone(&plan), &mut |_| unreachable!()).unwrap();
            data.iter().enumerate().for_each(|(i, array)| executable.write_buffer(BufferId(i), array).unwrap());
            executable.run().unwrap();
            (0..data.len()).map(|i| executable.read_buffer(BufferId(i)).unwrap()).collect::<Vec<_>>()
        };
        let first = run();
        (0..5).for_each(|_| assert!(run() == first));
    }
}

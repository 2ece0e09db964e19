//! Maps, reductions, views and scatters, on every adapter.

mod support;

use noyau_compile::plan::{BufferId, Instr, Level, ValueId};
use noyau_compile::{Index, Plan, View};
use noyau_gpu::{Rows, Tuning};
use noyau_tensor::{Array, BinaryOp, DType, ReduceOp, UnaryOp};
use support::{BodyBuilder, Builder, check, gpus, noise_array, of_rows, view};

/// The device's own rule, and every kind of way.
fn ways() -> Vec<Option<Rows>> {
    let names = [
        "alone",
        "alone-vec4-keep",
        "lanes-8x64-keep",
        "lanes-64x64-vec4",
        "lanes-4x64-vec4-keep-subgroup",
        "lanes-256-vec4-keep-subgroup",
        "lanes-256",
        "across-32",
        "across-8-vec4-keep",
    ];
    std::iter::once(None).chain(names.map(|name| Some(name.parse().expect("is a way")))).collect()
}

fn tunings() -> Vec<Tuning> {
    let alone = ways().into_iter().map(|rows| Tuning { rows, merge: Some(false), ..Tuning::default() });
    alone.chain([Tuning::default()]).collect()
}

/// One reduction of an input's last or first axes, of each kind and type.
fn reduction(op: ReduceOp, dtype: DType, outer: &[usize], inner: &[usize], columns: bool) -> Plan {
    let mut builder = Builder::default();
    let space: Vec<usize> = outer.iter().chain(inner).copied().collect();
    let shape: Vec<usize> = if columns { inner.iter().chain(outer).copied().collect() } else { space.clone() };
    let input = builder.input(&shape, dtype);
    let out = builder.slot(outer, dtype);
    let mut body = BodyBuilder::default();
    let index = if columns {
        let strides = View::contiguous(&shape).strides;
        let (i, o) = strides.split_at(inner.len());
        view(&space, &o.iter().chain(i).copied().collect::<Vec<_>>(), 0, &[])
    } else {
        Index::identity(&space)
    };
    let x = body.load(input, index, dtype, Level::Inner);
    let r = body.push(Instr::Reduce(op, x), dtype, Level::Outer);
    body.store(r, out, of_rows(outer, inner));
    builder.looped(op.name(), outer, inner, body.body);
    builder.output(out);
    builder.finish()
}

#[test]
fn reductions() {
    for gpu in gpus() {
        for tuning in tunings() {
            for columns in [false, true] {
                for (outer, inner) in [
                    (&[7][..], &[33][..]),
                    (&[1], &[1000]),
                    (&[], &[300]),
                    (&[5, 3], &[4, 9]),
                    (&[70], &[1]),
                    (&[3], &[257]),
                    (&[2], &[0]),
                    (&[8], &[64]),
                    (&[12, 4], &[3, 36]),
                ] {
                    let shape: Vec<usize> =
                        if columns { inner.iter().chain(outer).copied().collect() } else { outer.iter().chain(inner).copied().collect() };
                    check(&gpu, &reduction(ReduceOp::Sum, DType::F32, outer, inner, columns), &[noise_array(&shape, 5)], &tuning, 1e-5);
                }
            }
            for op in [ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min] {
                check(&gpu, &reduction(op, DType::F32, &[4], &[90], false), &[noise_array(&[4, 90], 5)], &tuning, 1e-5);
            }
            let ints: Vec<i32> = (0..360).map(|i| (i * 7919) % 1000 - 500).collect();
            let uints: Vec<u32> = ints.iter().map(|&i| i.unsigned_abs() * 4_000_000).collect();
            let bools: Vec<bool> = (0..360).map(|i| i == 100 || i >= 180).collect();
            for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
                check(&gpu, &reduction(op, DType::I32, &[4], &[90], false), &[Array::new([4, 90], &ints).unwrap()], &tuning, 0.0);
                if op != ReduceOp::Sum {
                    check(&gpu, &reduction(op, DType::U32, &[4], &[90], false), &[Array::new([4, 90], &uints).unwrap()], &tuning, 0.0);
                    check(&gpu, &reduction(op, DType::Bool, &[4], &[90], false), &[Array::new([4, 90], &bools).unwrap()], &tuning, 0.0);
                }
            }
        }
        // As long as a planner lets them become.
        check(&gpu, &reduction(ReduceOp::Sum, DType::F32, &[2], &[8192], false), &[noise_array(&[2, 8192], 1)], &Tuning::default(), 1e-5);
        check(
            &gpu,
            &reduction(ReduceOp::Sum, DType::F32, &[300], &[8192], true),
            &[noise_array(&[8192, 300], 1)],
            &Tuning::default(),
            1e-4,
        );
    }
}

/// A softmax over rows, with the log-sum as a second output and the row's sum of squares as a third: three passes, stores at both levels.
fn softmax(rows: usize, length: usize, in_place: bool) -> (Plan, Array) {
    let value = noise_array(&[rows, length], 9);
    let mut builder = Builder::default();
    let shape = [rows, length];
    let state = support::state("x", value.clone());
    let (source, target) = if in_place {
        let id = builder.state(&state);
        (id, id)
    } else {
        (builder.input(&shape, DType::F32), builder.slot(&shape, DType::F32))
    };
    let (sums, squares) = (builder.slot(&[rows], DType::F32), builder.slot(&[rows], DType::F32));
    let mut body = BodyBuilder::default();
    let (f, inner, outer) = (DType::F32, Level::Inner, Level::Outer);
    let x = body.load(source, Index::identity(&shape), f, inner);
    let max = body.push(Instr::Reduce(ReduceOp::Max, x), f, outer);
    let shifted = body.push(Instr::Binary(BinaryOp::Sub, x, max), f, inner);
    let e = body.push(Instr::Unary(UnaryOp::Exp, shifted), f, inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, e), f, outer);
    let square = body.push(Instr::Binary(BinaryOp::Mul, x, x), f, inner);
    let square_sum = body.push(Instr::Reduce(ReduceOp::Sum, square), f, outer);
    let y = body.push(Instr::Binary(BinaryOp::Div, e, sum), f, inner);
    let log = body.push(Instr::Unary(UnaryOp::Log, sum), f, outer);
    body.store(y, target, Index::identity(&shape));
    body.store(log, sums, of_rows(&[rows], &[length]));
    body.store(square_sum, squares, of_rows(&[rows], &[length]));
    builder.looped("softmax", &[rows], &[length], body.body);
    for id in [target, sums, squares] {
        builder.output(id);
    }
    (builder.finish(), value)
}

#[test]
fn rows_of_several_passes() {
    for gpu in gpus() {
        for tuning in tunings() {
            for (rows, length) in [(5, 10), (128, 10), (3, 300), (1, 77), (6, 72), (36, 1028)] {
                for in_place in [false, true] {
                    let (plan, value) = softmax(rows, length, in_place);
                    let inputs = if in_place { vec![] } else { vec![value] };
                    check(&gpu, &plan, &inputs, &tuning, 1e-5);
                }
            }
        }
    }
}

/// Buffers that are too long for arenas, and so are bound as vectors of four where that can be: loads that are whole vectors, that are not,
/// and the same for all; an update in place; a mask that ends within a vector; halves; an index of several views; places and gathers.
#[test]
fn four_at_a_time() {
    let shape = [96, 260];
    let n = 96 * 260;
    let at = |strides: [isize; 2], offset| view(&shape, &strides, offset, &[]);
    for gpu in gpus() {
        for (dtype, vec4) in [(DType::F32, true), (DType::F32, false), (DType::F16, true)] {
            let mut builder = Builder::default();
            let state = support::state("w", noise_array(&shape, 1));
            let w = builder.state(&state);
            let [x, turned] = [(&shape[..], DType::F32), (&[260, 96][..], dtype)].map(|(s, d)| builder.input(s, d));
            let [row, column, rows] = [(260, DType::F32), (96, DType::F32), (96, DType::U32)].map(|(n, d)| builder.input(&[n], d));
            let [out, other, places] = [dtype, DType::F32, DType::U32].map(|d| builder.slot(&shape, d));
            let mut body = BodyBuilder::default();
            let outer = Level::Outer;
            let f = DType::F32;
            let mut values = vec![
                body.load(w, at([260, 1], 0), f, outer),
                body.load(x, at([260, 1], 0), f, outer),
                body.load(row, at([0, 1], 0), f, outer),
                body.load(column, at([1, 0], 0), f, outer),
                // Backwards, one further, and turned.
                body.load(x, at([260, -1], 259), f, outer),
                body.load(x, view(&shape, &[260, 1], 1, &[(0, 96), (0, 259)]), f, outer),
                body.load(x, view(&shape, &[260, 1], -260, &[(1, 96), (8, 200)]), f, outer),
                body.load(turned, at([1, 96], 0), dtype, outer),
                body.load(
                    x,
                    Index::from_view(View { shape: vec![96, 260], strides: vec![1, 96], offset: 0, mask: vec![] })
                        .then(&View::contiguous(&[n])),
                    f,
                    outer,
                ),
            ];
            let place = body.push(Instr::Place(at([260, 1], 0)), DType::U32, outer);
            let inside = body.push(Instr::Valid(view(&shape, &[260, 1], 0, &[(0, 90), (3, 258)])), DType::Bool, outer);
            let named = body.load(rows, at([1, 0], 0), DType::U32, outer);
            let operand = body.operand(x);
            let gathered = |at_value, index: Index, stride, len| Instr::Gather { operand, index, at: at_value, stride, len };
            values.push(body.push(gathered(named, at([0, 1], 0), 260, 96), f, outer));
            let seven = body.constant(noyau_tensor::Scalar::Uint(7));
            let anywhere = body.push(Instr::Binary(BinaryOp::Rem, place, seven), DType::U32, outer);
            values.push(body.push(gathered(anywhere, at([260, 0], 3), 1, 6), f, outer));
            let mut sum = values[0];
            for &value in &values[1..] {
                let value = if dtype == DType::F16 { body.push(Instr::Cast(value), f, outer) } else { value };
                sum = body.push(Instr::Binary(BinaryOp::Add, sum, value), f, outer);
            }
            let chosen = body.push(Instr::Where(inside, sum, values[3]), f, outer);
            let half = body.push(Instr::Cast(chosen), dtype, outer);
            body.store(chosen, w, at([260, 1], 0));
            body.store(half, out, at([260, 1], 0));
            body.store(sum, other, at([1, 96], 0));
            body.store(place, places, at([260, 1], 0));
            builder.looped("everything", &shape, &[], body.body);
            [out, other, places].into_iter().for_each(|b| builder.output(b));
            let named: Vec<u32> = (0..96).map(|i| (i * 37) % 100).collect();
            let halves =
                Array::new([260, 96], &support::noise(n, 3).iter().map(|v| (v * 64.0).round() / 64.0).collect::<Vec<f32>>()).unwrap();
            let halves = halves.to(dtype);
            let inputs = [noise_array(&shape, 2), halves, noise_array(&[260], 4), noise_array(&[96], 5), Array::new([96], &named).unwrap()];
            let rows = Some(Rows { vec4, ..Rows::ALONE });
            let tuning = Tuning { rows, merge: Some(false), ..Tuning::default() };
            check(&gpu, &builder.finish(), &inputs, &tuning, if dtype == DType::F16 { 2e-3 } else { 1e-5 });
        }
    }
}

/// Rows and columns of long buffers in every way.
#[test]
fn long_buffers_in_every_way() {
    for gpu in gpus() {
        for tuning in tunings() {
            for in_place in [false, true] {
                let (plan, value) = softmax(40, 1024, in_place);
                check(&gpu, &plan, &if in_place { vec![] } else { vec![value] }, &tuning, 1e-5);
            }
            for columns in [false, true] {
                let shape = if columns { [90, 264] } else { [264, 90] };
                check(&gpu, &reduction(ReduceOp::Sum, DType::F32, &[264], &[90], columns), &[noise_array(&shape, 5)], &tuning, 1e-5);
            }
        }
    }
}

/// A copy of an input through an index.
fn copy(shape: &[usize], index: Index) -> Plan {
    let mut builder = Builder::default();
    let space = index.shape().to_vec();
    let input = builder.input(shape, DType::F32);
    let out = builder.slot(&space, DType::F32);
    let mut body = BodyBuilder::default();
    let x = body.load(input, index, DType::F32, Level::Outer);
    body.store(x, out, Index::identity(&space));
    builder.looped("copy", &space, &[], body.body);
    builder.output(out);
    builder.finish()
}

#[test]
fn views() {
    let chain = |views: &[View]| views[1..].iter().fold(Index::from_view(views[0].clone()), |index, v| index.then(v));
    // Padding, then another shape, then a window of it: a chain that does not fold.
    let padded = View { shape: vec![6, 7], strides: vec![4, 1], offset: -5, mask: vec![(1, 4), (1, 5)] };
    let unfolded = chain(&[View { shape: vec![5, 8], strides: vec![8, 1], offset: 1, mask: vec![(0, 5), (0, 7)] }, padded.clone()]);
    assert_eq!(unfolded.views().len(), 2);
    let cases: Vec<(Vec<usize>, Index)> = vec![
        (vec![], Index::identity(&[])),
        (vec![1], Index::identity(&[1])),
        (vec![6], view(&[6], &[-1], 5, &[])),
        (vec![4, 5], view(&[5, 4], &[1, 5], 0, &[])),
        (vec![3], view(&[4, 3, 2], &[0, 1, 0], 0, &[])),
        (vec![3, 4], Index::from_view(padded)),
        (vec![3, 4], unfolded),
        (vec![3, 4], view(&[2, 2], &[8, 2], 1, &[])),
        (vec![2, 2, 2, 2, 2, 2, 2, 2], view(&[2; 8], &[1, 2, 4, 8, 16, 32, 64, 128], 0, &[])),
        (vec![2, 3, 1, 2, 1, 3, 2, 1], Index::identity(&[2, 3, 1, 2, 1, 3, 2, 1])),
        (vec![4], view(&[3, 4], &[0, 1], 0, &[(0, 0), (0, 4)])),
        (vec![4], view(&[1, 4], &[0, 1], 0, &[(1, 1), (0, 4)])),
        (vec![0], view(&[3], &[1], 0, &[(0, 0)])),
        (vec![0, 4], Index::identity(&[0, 4])),
    ];
    for gpu in gpus() {
        for (shape, index) in &cases {
            for merge in [None, Some(false)] {
                check(&gpu, &copy(shape, index.clone()), &[noise_array(shape, 3)], &Tuning { merge, ..Tuning::default() }, 0.0);
            }
        }
    }
}

/// `Place`, `Valid` and `Gather`.
#[test]
fn places_and_gathers() {
    for gpu in gpus() {
        let mut builder = Builder::default();
        let table = builder.input(&[5, 3], DType::F32);
        let rows = builder.input(&[7], DType::U32);
        let shape = [7, 3];
        let (out, places, valid) = (builder.slot(&shape, DType::F32), builder.slot(&shape, DType::U32), builder.slot(&shape, DType::Bool));
        let mut body = BodyBuilder::default();
        let at = body.load(rows, view(&shape, &[1, 0], 0, &[]), DType::U32, Level::Outer);
        let operand = body.operand(table);
        let masked = view(&shape, &[0, 1], 0, &[(1, 7), (0, 3)]);
        let got = body.push(Instr::Gather { operand, index: masked.clone(), at, stride: 3, len: 5 }, DType::F32, Level::Outer);
        let place = body.push(Instr::Place(masked.clone()), DType::U32, Level::Outer);
        let inside = body.push(Instr::Valid(masked), DType::Bool, Level::Outer);
        for (value, buffer) in [(got, out), (place, places), (inside, valid)] {
            body.store(value, buffer, Index::identity(&shape));
            builder.output(buffer);
        }
        builder.looped("gather", &shape, &[], body.body);
        let rows = Array::new([7], &[4u32, 0, 5, 2, u32::MAX, 1, 4]).unwrap();
        check(&gpu, &builder.finish(), &[noise_array(&[5, 3], 2), rows], &Tuning::default(), 0.0);
    }
}

#[test]
fn scatters() {
    for gpu in gpus() {
        for [before, count, size, after] in [
            [1, 10, 4, 1],
            [2, 33, 5, 3],
            [1, 20_000, 3, 2],
            [1, 0, 4, 2],
            [3, 4, 0, 2],
            [1, 1, 1, 1],
            [2, 300, 700, 3],
            [1, 33_000, 2000, 1],
        ] {
            for merge in [None, Some(false)] {
                let mut builder = Builder::default();
                let source = builder.input(&[before, count, after], DType::F32);
                let index = builder.input(&[before, count, after], DType::U32);
                let target = builder.slot(&[before, size, after], DType::F32);
                builder.scatter(source, index, target, [before, count, size, after]);
                builder.output(target);
                // One more place than there is: such elements go nowhere.
                let places: Vec<u32> = (0..before * count * after).map(|i| (i * 7 % (size + 1)) as u32).collect();
                let places = Array::new([before, count, after], &places).unwrap();
                check(
                    &gpu,
                    &builder.finish(),
                    &[noise_array(&[before, count, after], 4), places],
                    &Tuning { merge, ..Tuning::default() },
                    1e-4,
                );
            }
        }
    }
}

/// More elements than one row of a grid has workgroups for, odd in number, and large buffers beside small ones.
#[test]
fn more_workgroups_than_one_dimension() {
    for gpu in gpus() {
        let n = 65_535 * 256 + 77;
        if n * 4 > gpu.limits().max_buffer_bytes {
            continue;
        }
        let mut builder = Builder::default();
        let input = builder.input(&[3], DType::F32);
        let out = builder.slot(&[n], DType::F32);
        let last = builder.slot(&[2], DType::F32);
        let mut body = BodyBuilder::default();
        let index = Index::from_view(View { shape: vec![n], strides: vec![1], offset: 0, mask: vec![] });
        let place: ValueId = body.push(Instr::Place(index.clone()), DType::U32, Level::Outer);
        let number = body.push(Instr::Cast(place), DType::F32, Level::Outer);
        let x = body.load(input, view(&[n], &[0], 1, &[]), DType::F32, Level::Outer);
        let y = body.push(Instr::Binary(BinaryOp::Add, number, x), DType::F32, Level::Outer);
        body.store(y, out, index);
        builder.looped("long", &[n], &[], body.body);
        let mut body = BodyBuilder::default();
        let x = body.load(out, view(&[2], &[n as isize - 1], 0, &[]), DType::F32, Level::Outer);
        body.store(x, last, Index::identity(&[2]));
        builder.looped("ends", &[2], &[], body.body);
        builder.output(last);
        let plan = builder.finish();
        let mut loaded = support::load(&gpu, &plan, &Tuning::default()).unwrap();
        loaded.executable.write(0, &Array::new([3], &[0.0f32, 0.5, 0.0]).unwrap()).unwrap();
        loaded.executable.run().unwrap();
        let got: Vec<f32> = pollster::block_on(loaded.executable.read(0)).unwrap().to_vec().unwrap();
        assert_eq!(got, [0.5, (n - 1) as f32 + 0.5], "{}", gpu.info());
        let _: BufferId = last;
    }
}

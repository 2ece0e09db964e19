//! Every variant of the matrix product, with all transposes and awkward sizes, on every adapter.

mod support;

use std::sync::Arc;

use noyau_compile::plan::{Bound, Digit, Instr, KernelKind, Level, Matmul, Matrix};
use noyau_compile::{Index, Plan};
use noyau_gpu::{Gpu, Measure, Tile, Tuning, Variant};
use noyau_tensor::{Array, BinaryOp, DType, UnaryOp, f16};
use pollster::block_on;
use serde_json::Value;
use support::{BodyBuilder, Builder, check, gpus, noise, noise_array, view};

fn product(gpu: &Gpu, sizes: [usize; 4], ta: bool, tb: bool, variant: Option<Variant>) {
    let [batch, m, n, k] = sizes;
    let mut builder = Builder::default();
    let (shape_a, shape_b) =
        ([batch, if ta { k } else { m }, if ta { m } else { k }], [batch, if tb { n } else { k }, if tb { k } else { n }]);
    let a = builder.input(&shape_a, DType::F32);
    let b = builder.input(&shape_b, DType::F32);
    let out = builder.slot(&[batch, m, n], DType::F32);
    builder.matmul(out, (a, ta), (b, tb), sizes);
    builder.output(out);
    let tuning = Tuning { matmul: variant, merge: Some(false), ..Tuning::default() };
    // f32 sums of k products in [-1, 1] against f64's.
    check(gpu, &builder.finish(), &[noise_array(&shape_a, 1), noise_array(&shape_b, 2)], &tuning, 2e-6 * (k as f64).sqrt().max(1.0));
}

/// `[co, ci * 9] x [ci * 9, out]` over images of `[ci, 7, 9]` padded by 1, the windows read in place; and, with `turned`, windows as the left operand.
fn convolution(gpu: &Gpu, ci: usize, co: usize, stride: usize, turned: bool, variant: Option<Variant>) {
    let (n, h, w) = (2, 7, 9);
    let (oh, ow) = ((h - 1) / stride + 1, (w - 1) / stride + 1);
    let (k, out) = (ci * 9, oh * ow);
    let mut builder = Builder::default();
    let image = builder.input(&[n, ci, h, w], DType::F32);
    let weight = builder.input(&[co, k], DType::F32);
    let digit = |size: usize, stride: usize, y: isize, x: isize| Digit { size, stride: stride as isize, steps: vec![y, x] };
    let taps = vec![digit(ci, h * w, 0, 0), digit(3, w, 1, 0), digit(3, 1, 0, 1)];
    let places = vec![digit(oh, stride * w, stride as isize, 0), digit(ow, stride, 0, stride as isize)];
    let windows = |rows: &[Digit], columns: &[Digit]| Matrix {
        buffer: image,
        offset: -(w as isize) - 1,
        batch: vec![digit(n, ci * h * w, 0, 0)],
        rows: rows.to_vec(),
        columns: columns.to_vec(),
        bounds: vec![Bound { start: -1, size: h, stride: w as isize }, Bound { start: -1, size: w, stride: 1 }],
    };
    let (m, cols) = if turned { (out, co) } else { (co, out) };
    let target = builder.slot(&[n, m, cols], DType::F32);
    let weights = if turned {
        Matrix::strided(weight, 0, &[(n, 0)], (k, 1), (co, k))
    } else {
        Matrix::strided(weight, 0, &[(n, 0)], (co, k), (k, 1))
    };
    let (a, b) = if turned { (windows(&places, &taps), weights) } else { (weights, windows(&taps, &places)) };
    let mut body = BodyBuilder::default();
    let product = body.push(Instr::Product, DType::F32, Level::Outer);
    body.store(product, target, Index::identity(&[n, m, cols]));
    builder.kernel("conv", KernelKind::Matmul(Matmul { batch: vec![n], m, n: cols, k, a, b, body: body.body }));
    builder.output(target);
    let tuning = Tuning { matmul: variant, merge: Some(false), ..Tuning::default() };
    let inputs = [noise_array(&[n, ci, h, w], 3), noise_array(&[co, k], 4)];
    check(gpu, &builder.finish(), &inputs, &tuning, 2e-6 * (k as f64).sqrt());
}

/// Images read through windows, from either side, by every variant.
#[test]
fn every_variant_through_windows() {
    for gpu in gpus() {
        for (v, variant) in variants(&gpu).into_iter().map(Some).chain([None]).enumerate() {
            let (ci, co, stride) = [(3, 5, 1), (8, 32, 1), (1, 70, 2)][v % 3];
            convolution(&gpu, ci, co, stride, false, variant);
            convolution(&gpu, ci, co, stride, true, variant);
        }
    }
}

const TRANSPOSES: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// All that the device has, but for those that only f16 can use.
fn variants(gpu: &Gpu) -> Vec<Variant> {
    gpu.variants().into_iter().filter(|variant| !matches!(variant, Variant::Coop { .. })).collect()
}

/// A product large enough to be measured, with its inputs.
fn measured_plan() -> Plan {
    let mut builder = Builder::default();
    let (a, b) = (builder.input(&[96, 64], DType::F32), builder.input(&[64, 80], DType::F32));
    let out = builder.slot(&[1, 96, 80], DType::F32);
    builder.matmul(out, (a, false), (b, false), [1, 96, 80, 64]);
    builder.output(out);
    builder.finish()
}

/// Loads a plan as a program does, by the rules or by what tuning found, and compares what it computes.
fn load_and_compare(gpu: &Gpu) {
    let plan = measured_plan();
    let inputs = [noise_array(&[96, 64], 1), noise_array(&[64, 80], 2)];
    let expected = support::interpret::run(&plan, &inputs);
    let none = &mut |_: &_| panic!("there are no states");
    let mut executable = block_on(gpu.load(Arc::new(plan.clone()), none)).expect("loads");
    inputs.iter().enumerate().for_each(|(i, input)| executable.write(i, input).expect("fits"));
    executable.run().expect("runs");
    let got = block_on(executable.read(0)).expect("reads").to_f64();
    support::same(&got, &expected[plan.outputs[0].0], 2e-5, &executable.describe());
}

#[test]
fn tuning_measures_once_and_keeps_what_it_found() {
    let folder = std::env::temp_dir().join(format!("noyau-tune-{}", std::process::id()));
    for gpu in gpus() {
        let path = folder.join("deeper").join(format!("{}.json", gpu.info().index));
        // Nothing is measured unless that is asked for.
        load_and_compare(&gpu);
        assert!(gpu.tuning_report().is_empty() && !path.exists());
        gpu.set_tuning(Measure::KeptIn(path.clone()));
        load_and_compare(&gpu);
        let report = gpu.tuning_report();
        assert!(report.len() == 1 && report[0].contains("were tried") && report[0].contains(" us"), "{report:?}");
        let text = std::fs::read_to_string(&path).expect("was written");
        assert!(text.contains("96x80x64") && text.contains("\"variant\""), "{text}");
        // A second program finds it and measures nothing.
        gpu.set_tuning(Measure::KeptIn(path.clone()));
        load_and_compare(&gpu);
        assert!(gpu.tuning_report().is_empty(), "{:?}", gpu.tuning_report());
        // What it says is what is used.
        let kept: Value = serde_json::from_str(&text).expect("is JSON");
        let old = kept["products"].as_object().and_then(|all| all.values().next()).expect("has one")["variant"].clone();
        std::fs::write(&path, text.replace(old.as_str().expect("is a name"), "registers-2x8")).expect("writes");
        gpu.set_tuning(Measure::KeptIn(path.clone()));
        let none = &mut |_: &_| panic!("there are no states");
        let executable = block_on(gpu.load(Arc::new(measured_plan()), none)).expect("loads");
        assert!(executable.describe().contains("registers-2x8"), "{}", executable.describe());
        // A file that is broken, or of another device or version, is passed over, with the reason, and replaced.
        for (wrong, reason) in [
            ("{".to_string(), "not JSON"),
            ("{}".into(), "not a file of measured products"),
            (text.replace("\"noyau_products\": 1", "\"noyau_products\": 99"), "not a file of measured products"),
            (text.replace(&gpu.info().to_string(), "another"), "it is of \"another\""),
        ] {
            std::fs::write(&path, wrong).expect("writes");
            gpu.set_tuning(Measure::KeptIn(path.clone()));
            load_and_compare(&gpu);
            let report = gpu.tuning_report();
            assert!(report.len() == 2 && report[0].contains(reason) && report[0].contains(&*path.to_string_lossy()), "{report:?}");
            assert!(std::fs::read_to_string(&path).expect("is there").contains("96x80x64"));
        }
        // Where it cannot be written, the products are measured all the same.
        gpu.set_tuning(Measure::KeptIn(path.join("below-a-file.json")));
        load_and_compare(&gpu);
        assert!(gpu.tuning_report().iter().any(|line| line.contains("was not written")), "{:?}", gpu.tuning_report());
        gpu.set_tuning(Measure::Never);
        load_and_compare(&gpu);
        assert!(gpu.tuning_report().is_empty());
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn every_variant_transposed_and_odd() {
    for gpu in gpus() {
        let all = [[1, 33, 17, 7], [2, 65, 70, 36], [1, 64, 64, 32], [3, 1, 5, 2], [1, 4, 132, 20]];
        for (v, variant) in variants(&gpu).into_iter().enumerate() {
            for (t, (ta, tb)) in TRANSPOSES.into_iter().enumerate() {
                // Compiling is what takes the time: two of the sizes with each, others with the next.
                for i in 0..2 {
                    product(&gpu, all[(v + 2 * t + i) % all.len()], ta, tb, Some(variant));
                }
            }
        }
    }
}

#[test]
fn large_and_long() {
    for gpu in gpus() {
        for variant in [None, Some(Variant::Tiled(Tile::new(128, 128))), Some(Variant::Registers { rows: 4, columns: 4 })] {
            product(&gpu, [1, 130, 140, 300], false, false, variant);
            product(&gpu, [1, 256, 128, 64], false, true, variant);
        }
        // Longer than one invocation may loop, if it went step by step.
        product(&gpu, [1, 3, 5, 20_000], false, false, None);
        product(&gpu, [1, 3, 5, 20_000], true, false, Some(Variant::Registers { rows: 2, columns: 2 }));
        product(&gpu, [1, 40, 40, 20_000], true, false, None);
    }
}

/// Buffers of their own, bound as vec4s where the variant reads so, with tiles that stick out of the product.
#[test]
fn four_at_a_time() {
    for gpu in gpus() {
        for (v, variant) in variants(&gpu).into_iter().enumerate() {
            let (ta, tb) = TRANSPOSES[v % 4];
            product(&gpu, [1, 132, 140, 68], ta, tb, Some(variant));
        }
    }
}

#[test]
fn nothing_to_sum_and_nothing_to_make() {
    for gpu in gpus() {
        for variant in variants(&gpu).into_iter().map(Some).chain([None]) {
            product(&gpu, [1, 5, 6, 0], false, false, variant);
            // Nothing to make is nothing to launch, whatever the variant.
            product(&gpu, [1, 0, 6, 4], false, false, variant);
            product(&gpu, [1, 1, 1, 1], true, true, variant);
        }
    }
}

/// `[batch, m, k] x [batch, k, n]` of halves, with a row added to the product and relu of it, in f32.
fn halves(gpu: &Gpu, sizes: [usize; 4], ta: bool, tb: bool, variant: Variant) {
    let [batch, m, n, k] = sizes;
    let mut builder = Builder::default();
    let (shape_a, shape_b) =
        ([batch, if ta { k } else { m }, if ta { m } else { k }], [batch, if tb { n } else { k }, if tb { k } else { n }]);
    let a = builder.input(&shape_a, DType::F16);
    let b = builder.input(&shape_b, DType::F16);
    let bias = builder.input(&[n], DType::F32);
    let out = builder.slot(&[batch, m, n], DType::F32);
    let mut body = BodyBuilder::default();
    let product = body.push(Instr::Product, DType::F32, Level::Outer);
    let row = body.load(bias, view(&[batch, m, n], &[0, 0, 1], 0, &[]), DType::F32, Level::Outer);
    let sum = body.push(Instr::Binary(BinaryOp::Add, product, row), DType::F32, Level::Outer);
    let relu = body.push(Instr::Unary(UnaryOp::Relu, sum), DType::F32, Level::Outer);
    body.store(relu, out, Index::identity(&[batch, m, n]));
    let matrix = |buffer, rows: usize, columns: usize, transposed| {
        let (row_stride, column_stride) = if transposed { (1, rows) } else { (columns, 1) };
        Matrix::strided(buffer, 0, &[(batch, rows * columns)], (rows, row_stride), (columns, column_stride))
    };
    let product = Matmul { batch: vec![batch], m, n, k, a: matrix(a, m, k, ta), b: matrix(b, k, n, tb), body: body.body };
    builder.kernel("halves", KernelKind::Matmul(product));
    builder.output(out);
    let rounded = |shape: &[usize], seed| {
        let values: Vec<f16> = noise(shape.iter().product(), seed).into_iter().map(f16::from_f32).collect();
        Array::new(shape, &values).expect("as many as the shape has")
    };
    let tuning = Tuning { matmul: Some(variant), merge: Some(false), ..Tuning::default() };
    // Products of halves are exact in f32; their sums are as those of f32.
    check(
        gpu,
        &builder.finish(),
        &[rounded(&shape_a, 1), rounded(&shape_b, 2), noise_array(&[n], 3)],
        &tuning,
        2e-6 * (k as f64).sqrt().max(1.0),
    );
}

/// The device's own matrices where it has any, and some of the others on the same operands: large ones are `array<f16>` there, small ones are words.
#[test]
fn products_of_halves() {
    for gpu in gpus() {
        // Software devices take a minute for large tiles of their own matrices.
        let small = |tile: Tile| !gpu.info().software || tile.rows * tile.columns <= 1024 || tile.parts > 1;
        let own = gpu.variants().into_iter().filter(|variant| matches!(variant, Variant::Coop { tile, .. } if small(*tile)));
        eprintln!("{}: matrices of {:?}", gpu.info(), gpu.info().matrices);
        let others = ["tiled-64x64", "tiled-32x32-k4", "registers-2x2", "vector-4"].map(|name| name.parse().expect(name));
        let sizes = [[2, 40, 72, 36], [1, 33, 17, 7], [1, 136, 68, 100]];
        for (v, variant) in own.chain(others).enumerate() {
            // Compiling is what takes the time: each variant has all transposes, and sizes in turn.
            for (t, (ta, tb)) in TRANSPOSES.into_iter().enumerate() {
                eprintln!("{variant}, {:?}, transposed {ta} {tb}", sizes[(v + t) % sizes.len()]);
                halves(&gpu, sizes[(v + t) % sizes.len()], ta, tb, variant);
            }
            halves(&gpu, [1, 5, 6, 0], false, false, variant);
        }
    }
}

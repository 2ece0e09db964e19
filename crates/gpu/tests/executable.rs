//! Launches, states, errors, and what a steady state makes (nothing), on every adapter.

mod support;

use std::sync::Arc;

use noyau_compile::Index;
use noyau_compile::plan::{BufferId, Instr, KernelKind, Level, Matmul, Matrix};
use noyau_gpu::{Gpu, Tuning};
use noyau_tensor::{Array, BinaryOp, DType, Error, ReduceOp, Scalar, State, UnaryOp};
use pollster::block_on;
use support::{BodyBuilder, Builder, Loaded, check, gpus, load, noise_array, of_rows, state, view};

const F: DType = DType::F32;

/// One layer forward: `act(x w + b)`, bias and tanh in the product's epilogue.
fn layer(builder: &mut Builder, x: BufferId, w: BufferId, b: BufferId, [m, k, n]: [usize; 3], tanh: bool) -> BufferId {
    let out = builder.slot(&[m, n], F);
    let mut body = BodyBuilder::default();
    let product = body.push(Instr::Product, F, Level::Outer);
    let bias = body.load(b, view(&[m, n], &[0, 1], 0, &[]), F, Level::Outer);
    let mut y = body.push(Instr::Binary(BinaryOp::Add, product, bias), F, Level::Outer);
    if tanh {
        y = body.push(Instr::Unary(UnaryOp::Tanh, y), F, Level::Outer);
    }
    body.store(y, out, Index::identity(&[m, n]));
    let matrix = |buffer, rows, columns| Matrix::strided(buffer, 0, &[], (rows, columns), (columns, 1));
    builder.kernel(
        "matmul+add+tanh",
        KernelKind::Matmul(Matmul { batch: vec![], m, n, k, a: matrix(x, m, k), b: matrix(w, k, n), body: body.body }),
    );
    out
}

/// `w -= rate * x^T d`, in place.
fn update_weight(builder: &mut Builder, w: BufferId, x: BufferId, d: BufferId, [m, k, n]: [usize; 3]) {
    let mut body = BodyBuilder::default();
    let product = body.push(Instr::Product, F, Level::Outer);
    let old = body.load(w, Index::identity(&[k, n]), F, Level::Outer);
    let rate = body.constant(Scalar::Float(0.1));
    let step = body.push(Instr::Binary(BinaryOp::Mul, product, rate), F, Level::Outer);
    let new = body.push(Instr::Binary(BinaryOp::Sub, old, step), F, Level::Outer);
    body.store(new, w, Index::identity(&[k, n]));
    let a = Matrix::strided(x, 0, &[], (k, 1), (m, k));
    let b = Matrix::strided(d, 0, &[], (m, n), (n, 1));
    builder.kernel("matmul+sgd", KernelKind::Matmul(Matmul { batch: vec![], m: k, n, k: m, a, b, body: body.body }));
}

/// `b -= rate * sum of d's rows`, in place.
fn update_bias(builder: &mut Builder, b: BufferId, d: BufferId, [m, n]: [usize; 2]) {
    let mut body = BodyBuilder::default();
    let x = body.load(d, view(&[n, m], &[1, n as isize], 0, &[]), F, Level::Inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, x), F, Level::Outer);
    let old = body.load(b, of_rows(&[n], &[m]), F, Level::Outer);
    let rate = body.constant(Scalar::Float(0.1));
    let step = body.push(Instr::Binary(BinaryOp::Mul, sum, rate), F, Level::Outer);
    let new = body.push(Instr::Binary(BinaryOp::Sub, old, step), F, Level::Outer);
    body.store(new, b, of_rows(&[n], &[m]));
    builder.looped("sum+sgd", &[n], &[m], body.body);
}

/// `d = (e w^T) * (1 - h^2)`.
fn backward(builder: &mut Builder, e: BufferId, w: BufferId, h: BufferId, [m, k, n]: [usize; 3]) -> BufferId {
    let out = builder.slot(&[m, k], F);
    let mut body = BodyBuilder::default();
    let product = body.push(Instr::Product, F, Level::Outer);
    let y = body.load(h, Index::identity(&[m, k]), F, Level::Outer);
    let square = body.push(Instr::Binary(BinaryOp::Mul, y, y), F, Level::Outer);
    let one = body.constant(Scalar::Float(1.0));
    let slope = body.push(Instr::Binary(BinaryOp::Sub, one, square), F, Level::Outer);
    let d = body.push(Instr::Binary(BinaryOp::Mul, product, slope), F, Level::Outer);
    body.store(d, out, Index::identity(&[m, k]));
    let a = Matrix::strided(e, 0, &[], (m, n), (n, 1));
    let b = Matrix::strided(w, 0, &[], (n, 1), (k, n));
    builder.kernel("matmul+tanh'", KernelKind::Matmul(Matmul { batch: vec![], m, n: k, k: n, a, b, body: body.body }));
    out
}

/// A training step of a 2-8-8-1 network: tanh, mean squared error, SGD, batch 32; and a count of its steps.
fn playground() -> (noyau_compile::Plan, Vec<Array>) {
    let batch = 32;
    let sizes = [2, 8, 8, 1];
    let mut builder = Builder::default();
    let x = builder.input(&[batch, 2], F);
    let y = builder.input(&[batch, 1], F);
    let mut weights = Vec::new();
    for l in 0..3 {
        let w = builder.state(&state(&format!("w{l}"), noise_array(&[sizes[l], sizes[l + 1]], l as u32)));
        let b = builder.state(&state(&format!("b{l}"), noise_array(&[sizes[l + 1]], 10 + l as u32)));
        weights.push((w, b));
    }
    let counter = builder.state(&State::new("steps", [], DType::U32, noyau_tensor::Init::Full(Scalar::Uint(0))));
    let mut activations = vec![x];
    for l in 0..3 {
        let h = layer(&mut builder, activations[l], weights[l].0, weights[l].1, [batch, sizes[l], sizes[l + 1]], l < 2);
        activations.push(h);
    }
    // The loss and its gradient in one kernel.
    let (loss, mut d) = (builder.slot(&[], F), builder.slot(&[batch, 1], F));
    let mut body = BodyBuilder::default();
    let out = body.load(activations[3], Index::identity(&[batch]), F, Level::Inner);
    let target = body.load(y, Index::identity(&[batch]), F, Level::Inner);
    let error = body.push(Instr::Binary(BinaryOp::Sub, out, target), F, Level::Inner);
    let square = body.push(Instr::Binary(BinaryOp::Mul, error, error), F, Level::Inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, square), F, Level::Outer);
    let scale = body.constant(Scalar::Float(1.0 / batch as f64));
    let mean = body.push(Instr::Binary(BinaryOp::Mul, sum, scale), F, Level::Outer);
    let slope = body.constant(Scalar::Float(2.0 / batch as f64));
    let gradient = body.push(Instr::Binary(BinaryOp::Mul, error, slope), F, Level::Inner);
    body.store(mean, loss, view(&[batch], &[0], 0, &[]));
    body.store(gradient, d, Index::identity(&[batch]));
    builder.looped("loss", &[], &[batch], body.body);
    for l in (0..3).rev() {
        let (m, k, n) = (batch, sizes[l], sizes[l + 1]);
        let next = (l > 0).then(|| backward(&mut builder, d, weights[l].0, activations[l], [m, k, n]));
        update_weight(&mut builder, weights[l].0, activations[l], d, [m, k, n]);
        update_bias(&mut builder, weights[l].1, d, [m, n]);
        if let Some(next) = next {
            d = next;
        }
    }
    let mut body = BodyBuilder::default();
    let old = body.load(counter, Index::identity(&[]), DType::U32, Level::Outer);
    let one = body.constant(Scalar::Uint(1));
    let new = body.push(Instr::Binary(BinaryOp::Add, old, one), DType::U32, Level::Outer);
    body.store(new, counter, Index::identity(&[]));
    builder.looped("count", &[], &[], body.body);
    builder.output(loss);
    builder.output(counter);
    (builder.finish(), vec![noise_array(&[batch, 2], 100), noise_array(&[batch, 1], 101)])
}

#[test]
fn a_small_networks_step_is_one_launch() {
    let (plan, inputs) = playground();
    assert_eq!(plan.kernels.len(), 13);
    for gpu in gpus() {
        check(&gpu, &plan, &inputs, &Tuning::default(), 1e-5);
        check(&gpu, &plan, &inputs, &Tuning { merge: Some(false), ..Tuning::default() }, 1e-5);
        let executable = load(&gpu, &plan, &Tuning::default()).unwrap().executable;
        assert_eq!(executable.launches(), 1, "{}", executable.describe());
        assert_eq!(executable.shader_texts().len(), 1);
    }
}

/// `to = relu(from)`, or `to -= from` where `to` is a state.
fn map(builder: &mut Builder, name: &str, from: BufferId, to: BufferId, n: usize, update: bool) {
    let mut body = BodyBuilder::default();
    let x = body.load(from, Index::identity(&[n]), F, Level::Outer);
    let y = if update {
        let old = body.load(to, Index::identity(&[n]), F, Level::Outer);
        body.push(Instr::Binary(BinaryOp::Sub, old, x), F, Level::Outer)
    } else {
        body.push(Instr::Unary(UnaryOp::Relu, x), F, Level::Outer)
    };
    body.store(y, to, Index::identity(&[n]));
    builder.looped(name, &[n], &[], body.body);
}

/// An optimizer's updates: one launch for all parameters, large and small, whatever stands between them, as long as nothing depends on them.
#[test]
fn loops_that_do_not_depend_on_each_other_share_a_launch() {
    let (large, odd, small) = (20_000, 17_003, 300);
    let mut builder = Builder::default();
    let x = builder.input(&[large], F);
    let states: Vec<BufferId> = [large, odd, small]
        .iter()
        .enumerate()
        .map(|(i, &n)| builder.state(&state(&format!("w{i}"), noise_array(&[n], i as u32))))
        .collect();
    let (before, sums) = (builder.slot(&[large], F), builder.slot(&[2], F));
    map(&mut builder, "before", x, before, large, false);
    // Rows of many lanes beside maps, if they come in groups of the same size.
    let mut body = BodyBuilder::default();
    let v = body.load(before, Index::identity(&[2, large / 2]), F, Level::Inner);
    let sum = body.push(Instr::Reduce(ReduceOp::Sum, v), F, Level::Outer);
    body.store(sum, sums, of_rows(&[2], &[large / 2]));
    builder.looped("sums", &[2], &[large / 2], body.body);
    map(&mut builder, "update 0", before, states[0], large, true);
    map(&mut builder, "update 1", before, states[1], odd, true);
    map(&mut builder, "update 2", before, states[2], small, true);
    builder.output(sums);
    let plan = builder.finish();
    for gpu in gpus() {
        let loaded = load(&gpu, &plan, &Tuning::default()).expect("loads");
        let described = loaded.executable.describe();
        let line = described.lines().find(|l| l.contains("update 0")).expect("it is launched");
        assert!(line.contains("update 1") & line.contains("update 2") & !line.contains("before"), "{}\n{described}", gpu.info());
        let apart = load(&gpu, &plan, &Tuning { merge: Some(false), ..Tuning::default() }).expect("loads");
        assert_eq!(apart.executable.launches(), 5, "{}", gpu.info());
        check(&gpu, &plan, &[noise_array(&[large], 9)], &Tuning::default(), 1e-5);
    }
}

/// What reads a value before it is overwritten, and what reads it after, keep their order: through states, through a slot that two buffers share.
#[test]
fn loops_that_depend_on_each_other_stay_apart() {
    let n = 20_000;
    let mut builder = Builder::default();
    let x = builder.input(&[n], F);
    let w = builder.state(&state("w", noise_array(&[n], 1)));
    let (first, second, third) = (builder.slot(&[n], F), builder.slot(&[n], F), builder.slot(&[n], F));
    map(&mut builder, "old", w, first, n, false);
    map(&mut builder, "update", x, w, n, true);
    map(&mut builder, "new", w, second, n, false);
    map(&mut builder, "again", second, third, n, false);
    [first, second, third].into_iter().for_each(|id| builder.output(id));
    let plan = builder.finish();
    // `x -> a -> b`, then the slot of `a` is used anew: `x -> c` must not be earlier than `b`.
    let mut builder = Builder::default();
    let x = builder.input(&[n], F);
    let w = builder.state(&state("w", noise_array(&[n], 1)));
    let (a, b, c) = (builder.slot(&[n], F), builder.slot(&[n], F), builder.slot(&[n], F));
    map(&mut builder, "a", x, a, n, false);
    map(&mut builder, "b", a, b, n, false);
    map(&mut builder, "c", w, c, n, false);
    builder.output(b);
    builder.output(c);
    let mut shared = builder.finish();
    shared.buffers[c.0].kind = shared.buffers[a.0].kind.clone();
    for gpu in gpus() {
        for (plan, launches) in [(&plan, 4), (&shared, 3)] {
            let loaded = load(&gpu, plan, &Tuning::default()).expect("loads");
            assert_eq!(loaded.executable.launches(), launches, "{}\n{}", gpu.info(), loaded.executable.describe());
            check(&gpu, plan, &[noise_array(&[n], 9)], &Tuning::default(), 0.0);
        }
    }
}

#[test]
fn checked_mode_computes_the_same() {
    let (plan, inputs) = playground();
    for gpu in gpus() {
        gpu.set_checked(true);
        check(&gpu, &plan, &inputs, &Tuning::default(), 1e-5);
        check(&gpu, &plan, &inputs, &Tuning { merge: Some(false), ..Tuning::default() }, 1e-5);
    }
}

#[test]
fn nothing_is_made_in_steady_state() {
    let (plan, inputs) = playground();
    for gpu in gpus() {
        let Loaded { mut executable, memories } = load(&gpu, &plan, &Tuning::default()).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            executable.write(i, input).unwrap();
        }
        executable.run().unwrap();
        let first = block_on(executable.read(0)).unwrap().item();
        let made = gpu.objects_created();
        for step in 0..1000 {
            executable.write(0, &inputs[0]).unwrap();
            executable.run().unwrap();
            if step % 100 == 0 {
                block_on(executable.read(0)).unwrap();
            }
        }
        assert_eq!(gpu.objects_created(), made, "{}", gpu.info());
        let last = block_on(executable.read(0)).unwrap().item();
        assert!(last < 0.5 * first, "{first} -> {last} on {}", gpu.info());
        assert_eq!(block_on(executable.read(1)).unwrap().to_vec::<u32>().unwrap(), [1001]);
        let counter = memories.iter().find(|(s, _)| s.name() == "steps").unwrap();
        assert_eq!(block_on(gpu.read(&counter.1)).unwrap().to_vec::<u32>().unwrap(), [1001]);
        block_on(gpu.wait()).unwrap();
        // A second executable of the same plan compiles nothing: an arena and the bind group are all it makes.
        let made = gpu.objects_created();
        let states = &memories;
        let again =
            block_on(gpu.load(Arc::new(plan.clone()), &mut |s| Ok(states.iter().find(|(k, _)| k.id() == s.id()).unwrap().1.clone())))
                .unwrap();
        assert_eq!(gpu.objects_created() - made, 2);
        drop(again);
    }
}

/// Two dependent maps over large buffers, one of them a state changed in place, and an output that is an input.
#[test]
fn large_buffers_and_updates_in_place() {
    for gpu in gpus() {
        let n = 70_001;
        let mut builder = Builder::default();
        let x = builder.input(&[n], F);
        let w = builder.state(&state("w", noise_array(&[n], 1)));
        let y = builder.slot(&[n], F);
        let small = builder.constant(Array::new([2], &[0.5f32, 2.0]).unwrap());
        let large = builder.constant(noise_array(&[n], 7));
        for (from, to) in [(x, y), (y, w)] {
            let mut body = BodyBuilder::default();
            let a = body.load(from, Index::identity(&[n]), F, Level::Outer);
            let b = body.load(w, Index::identity(&[n]), F, Level::Outer);
            let c = body.load(small, view(&[n], &[0], 1, &[]), F, Level::Outer);
            let d = body.load(large, Index::identity(&[n]), F, Level::Outer);
            let product = body.push(Instr::Binary(BinaryOp::Mul, a, b), F, Level::Outer);
            let scaled = body.push(Instr::Binary(BinaryOp::Mul, product, c), F, Level::Outer);
            let sum = body.push(Instr::Binary(BinaryOp::Add, scaled, d), F, Level::Outer);
            body.store(sum, to, Index::identity(&[n]));
            builder.looped("map", &[n], &[], body.body);
        }
        for id in [x, y, w, small] {
            builder.output(id);
        }
        check(&gpu, &builder.finish(), &[noise_array(&[n], 2)], &Tuning::default(), 1e-6);
    }
}

/// The same slot under two types, in arenas and out of them.
#[test]
fn slots_change_their_type() {
    for gpu in gpus() {
        for n in [10, 40_000] {
            let mut builder = Builder::default();
            let x = builder.input(&[n], F);
            let out = builder.slot(&[n], F);
            let first = builder.slot(&[n], DType::I32);
            let mut body = BodyBuilder::default();
            let v = body.load(x, Index::identity(&[n]), F, Level::Outer);
            let many = body.constant(Scalar::Float(1024.0));
            let scaled = body.push(Instr::Binary(BinaryOp::Mul, v, many), F, Level::Outer);
            let whole = body.push(Instr::Cast(scaled), DType::I32, Level::Outer);
            body.store(whole, first, Index::identity(&[n]));
            builder.looped("to i32", &[n], &[], body.body);
            let mut body = BodyBuilder::default();
            let v = body.load(first, Index::identity(&[n]), DType::I32, Level::Outer);
            let back = body.push(Instr::Cast(v), F, Level::Outer);
            body.store(back, out, Index::identity(&[n]));
            builder.looped("to f32", &[n], &[], body.body);
            let mut plan = builder.finish();
            // Its first life is over: the slot lives on with another type.
            plan.buffers.push(noyau_compile::plan::Buffer { kind: plan.buffers[first.0].kind.clone(), shape: vec![n], dtype: F });
            let second = BufferId(plan.buffers.len() - 1);
            let mut body = BodyBuilder::default();
            let v = body.load(out, Index::identity(&[n]), F, Level::Outer);
            let doubled = body.push(Instr::Binary(BinaryOp::Add, v, v), F, Level::Outer);
            body.store(doubled, second, Index::identity(&[n]));
            let location = std::panic::Location::caller();
            let kind = KernelKind::Loop(noyau_compile::plan::Loop { outer: vec![n], inner: vec![], body: body.body });
            plan.kernels.push(noyau_compile::plan::Kernel { name: "double".into(), location, kind });
            plan.outputs.push(second);
            check(&gpu, &plan, &[noise_array(&[n], 2)], &Tuning::default(), 1e-6);
        }
    }
}

#[test]
fn mistakes_are_errors() {
    for gpu in gpus() {
        let (plan, inputs) = playground();
        let mut loaded = load(&gpu, &plan, &Tuning::default()).unwrap();
        let wrong = loaded.executable.write(0, &noise_array(&[32, 3], 1)).unwrap_err();
        assert!(wrong.to_string().contains("input 0 is f32 [32, 2], got f32 [32, 3]"), "{wrong}");
        assert!(loaded.executable.write(2, &inputs[0]).is_err());
        assert!(block_on(loaded.executable.read(2)).is_err());
        assert!(gpu.write(&loaded.memories[0].1, &noise_array(&[1], 1)).is_err());
        // A slot that no device has is refused with figures, and leaves the device as it was.
        let mut builder = Builder::default();
        let n = gpu.limits().max_buffer_bytes / 4 + 1;
        let out = builder.slot(&[n], F);
        builder.output(out);
        let made = gpu.objects_created();
        let refused = load(&gpu, &builder.finish(), &Tuning::default()).err().expect("is too large");
        assert!(matches!(&refused, Error::OutOfMemory { message, .. } if message.contains(&(n * 4).to_string())), "{refused}");
        assert_eq!(gpu.objects_created(), made);
        too_many_bindings(&gpu);
        check(&gpu, &plan, &inputs, &Tuning::default(), 1e-5);
    }
    let nowhere = block_on(Gpu::open(1000)).unwrap_err();
    assert!(matches!(&nowhere, Error::Device { device, .. } if device == "gpu:1000"), "{nowhere}");
}

fn too_many_bindings(gpu: &Gpu) {
    let mut builder = Builder::default();
    let (n, count) = (17_000, gpu.info().limits.max_bindings + 1);
    let mut body = BodyBuilder::default();
    let mut sum = body.constant(Scalar::Float(0.0));
    for _ in 0..count {
        let x = builder.input(&[n], F);
        let v = body.load(x, Index::identity(&[n]), F, Level::Outer);
        sum = body.push(Instr::Binary(BinaryOp::Add, sum, v), F, Level::Outer);
    }
    let out = builder.slot(&[n], F);
    body.store(sum, out, Index::identity(&[n]));
    builder.looped("many", &[n], &[], body.body);
    let refused = load(gpu, &builder.finish(), &Tuning::default()).err().expect("binds too much");
    assert!(refused.to_string().contains("buffers, this device binds"), "{refused}");
}

/// States share arenas; what is freed is used again, and neighbours keep their values.
#[test]
fn states_come_and_go() {
    for gpu in gpus() {
        let mut kept = Vec::new();
        for round in 0..50u32 {
            let a = block_on(gpu.create(&noise_array(&[100], round))).unwrap();
            let b = block_on(gpu.create(&noise_array(&[(round as usize % 7) * 3000], round))).unwrap();
            kept.push((a, noise_array(&[100], round)));
            drop(b);
        }
        let made = gpu.objects_created();
        let again = block_on(gpu.create(&Array::scalar(7u32))).unwrap();
        assert_eq!(gpu.objects_created(), made);
        assert_eq!(block_on(gpu.read(&again)).unwrap().to_vec::<u32>().unwrap(), [7]);
        for (memory, value) in &kept {
            assert_eq!(&block_on(gpu.read(memory)).unwrap(), value);
        }
        let empty = block_on(gpu.create(&noise_array(&[0, 3], 1))).unwrap();
        assert!(block_on(gpu.read(&empty)).unwrap().is_empty());
    }
}

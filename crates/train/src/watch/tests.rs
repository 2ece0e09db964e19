//! Kernels that are wrong on purpose are found and named, on the CPU and on every GPU; right ones are not.

use noyau_compile::plan::{BufferKind, Instr, Kernel, KernelKind, Loop, Matmul, Plan};
use noyau_nn::{Adam, Linear, Mode, Module, Optimizer, Relu, Sequential, cross_entropy};
use noyau_tensor::{Array, BinaryOp, DType, Error, Init, Param, ReduceOp, Scalar, Tensor};

use crate::described::{Spec, Step};
use crate::device::Device;
use crate::session::Session;
use crate::step::CompiledStep;

fn devices() -> Vec<Device> {
    let gpus = Device::list().into_iter().map(|info| Device::gpu(info.index).expect("a listed GPU opens"));
    std::iter::once(Device::cpu()).chain(gpus).collect()
}

/// A validating session's training step of a small network, and its arguments. Of such a size, GPUs merge some of its kernels and others not.
fn training(device: &Device, width: usize) -> (Session, CompiledStep, [Array; 2]) {
    let session = Session::with_seed(device.clone(), 3);
    session.validate(true);
    let model = Sequential::new().then(Linear::new(20, width)).then(Relu).then(Linear::new(width, 5));
    let step = session
        .compile([Spec::f32([30, 20]), Spec::u32([30])], |[x, y]| {
            let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
            let updates = Adam::new(0.01).step(&loss, &model.parameters());
            Step::returns(&loss).updates(updates)
        })
        .expect("it compiles");
    let x: Vec<f32> = (0..600).map(|i| (i as f32 * 0.37).sin()).collect();
    let y: Vec<u32> = (0..30).map(|i| i * 7 % 5).collect();
    (session, step, [Array::new([30, 20], &x).expect("600 values"), Array::new([30], &y).expect("30 values")])
}

/// The kernel with a mistake of a kind that code generators make; `None` if it has no place for it.
fn broken(kernel: &Kernel, kind: usize) -> Option<Kernel> {
    let mut kernel = kernel.clone();
    match (&mut kernel.kind, kind) {
        // The last term of each sum is left out, or a sum is no sum. (A softmax may subtract whatever it likes.)
        (KernelKind::Matmul(m), 0) => {
            m.k = m.k.checked_sub(1)?;
            // The matrices have to be of the product's sizes.
            for along in [&mut m.a.columns, &mut m.b.rows] {
                let [digit] = &mut along[..] else { return None };
                digit.size = m.k;
            }
        }
        (KernelKind::Loop(l), 0) if !l.inner.is_empty() => {
            let body = &mut l.body;
            let sum = |v: &noyau_compile::plan::Value| matches!(v.instr, Instr::Reduce(ReduceOp::Sum, _)) && v.dtype == DType::F32;
            let reduced = body.values.iter().position(sum)?;
            let Instr::Reduce(_, of) = body.values[reduced].instr else { return None };
            body.values[reduced].instr = Instr::Reduce(ReduceOp::Min, of);
        }
        // An addition is a subtraction.
        (KernelKind::Loop(Loop { body, .. }) | KernelKind::Matmul(Matmul { body, .. }), 1) => {
            let added = |v: &&mut noyau_compile::plan::Value| matches!(v.instr, Instr::Binary(BinaryOp::Add | BinaryOp::Sub, ..));
            let value = body.values.iter_mut().rev().find(added)?;
            if let Instr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), ..) = &mut value.instr {
                *op = if *op == BinaryOp::Add { BinaryOp::Sub } else { BinaryOp::Add };
            }
        }
        // A constant is a thousandth too large.
        (KernelKind::Loop(Loop { body, .. }) | KernelKind::Matmul(Matmul { body, .. }), 2) => {
            let value = body
                .values
                .iter_mut()
                .rev()
                .find(|v| matches!(v.instr, Instr::Const(Scalar::Float(x)) if x.abs() > 1e-3 && x.is_finite()))?;
            if let Instr::Const(Scalar::Float(x)) = &mut value.instr {
                *x *= 1.001;
            }
        }
        _ => return None,
    }
    Some(kernel)
}

#[test]
fn a_right_step_is_not_blamed() {
    for device in devices() {
        for width in [9, 300] {
            let (_, mut step, [x, y]) = training(&device, width);
            let losses: Vec<f32> = (0..8).map(|_| step.run(&[&x, &y]).expect("nothing is wrong with it")[0].item()).collect();
            assert!(losses[7] < losses[0], "{losses:?} on {device:?}");
        }
    }
}

#[test]
fn a_wrong_kernel_is_named() {
    for device in devices() {
        for width in [9, 300] {
            let training = training(&device, width).1;
            let kernels = training.plan().kernels.len();
            let mut found = [0; 3];
            for kernel in 0..kernels {
                // GPUs compile each altered kernel anew, which takes time: one mistake a kernel there.
                let kinds = (0..3).map(|kind| (kernel + kind) % 3);
                let tried = kinds.filter(|&kind| broken(&training.plan().kernels[kernel], kind).is_some());
                for kind in tried.take(if device.is_cpu() { 3 } else { 1 }) {
                    let (session, mut step, [x, y]) = self::training(&device, width);
                    let Some(wrong) = broken(&step.plan().kernels[kernel], kind) else { continue };
                    step.replace_plan(&session, |plan: &mut Plan| plan.kernels[kernel] = wrong);
                    // Moments begin at 0, where a wrong factor of theirs changes nothing: the second step shows it.
                    let outcome = step.run(&[&x, &y]).and_then(|_| step.run(&[&x, &y]));
                    let error = outcome.map(drop).expect_err(&format!("kernel {kernel} is wrong ({kind}) on {device:?}"));
                    assert!(matches!(error, Error::WrongResult { .. }), "{error}");
                    let (text, name) = (error.to_string(), &step.plan().kernels[kernel].name);
                    let expected = format!("{} computes wrong: kernel {kernel} of {kernels}, {name}, ", device.adapter());
                    assert!(
                        text.contains(&expected) && text.contains(".rs:") && text.contains("elements that it stored are wrong"),
                        "{text}"
                    );
                    found[kind] += 1;
                }
            }
            assert!(found.iter().all(|&count| count >= 1) && found.iter().sum::<usize>() >= 8, "too few mistakes were tried: {found:?}");
        }
    }
}

/// What must be exact is: a random number, an index, a count, a moved element that is one bit off.
#[test]
fn one_bit_is_enough_where_nothing_rounds() {
    for device in devices() {
        let session = Session::new(device.clone());
        session.validate(true);
        let values = Array::new([4, 6], &(0..24).map(|i| i as f32 / 7.0).collect::<Vec<_>>()).expect("24 values");
        let x = Param::from_array("x", values);
        let labels = Param::from_array("labels", Array::new([6], &[0u32, 1, 2, 2, 0, 2]).expect("6 values"));
        let cases: [(&str, Tensor); 4] = [
            ("argmax", x.argmax(1)),
            ("moved", x.t().reshape([24]).flip(&[0])),
            ("counted", labels.one_hot(3).sum_axes(&[0])),
            ("drawn", Tensor::rand([50])),
        ];
        for (name, tensor) in cases {
            let step = || session.compile([], |[]| Step::returns(&tensor)).expect("it compiles");
            step().run(&[]).unwrap_or_else(|error| panic!("{name} on {device:?}: {error}"));
            let mut wrong = step();
            wrong.replace_plan(&session, one_bit_off);
            let error = wrong.run(&[]).map(drop).expect_err(name);
            assert!(matches!(error, Error::WrongResult { .. }), "{name} on {device:?}: {error}");
        }
    }
}

/// The last kernel stores each number with its lowest bits changed: a float a millionth larger, an integer one larger.
fn one_bit_off(plan: &mut Plan) {
    let kernel = plan.kernels.last_mut().expect("a kernel");
    let body = match &mut kernel.kind {
        KernelKind::Loop(l) => &mut l.body,
        KernelKind::Matmul(m) => &mut m.body,
        KernelKind::Scatter(_) | KernelKind::Attention(_) => panic!("a {} has no body", kernel.name),
    };
    let store = body.stores[0].clone();
    let value = body.values[store.value.0].clone();
    let one = noyau_compile::plan::ValueId(body.values.len());
    let (scalar, op) = match value.dtype {
        DType::F32 | DType::F16 | DType::BF16 => (Scalar::Float(1.000_000_2), BinaryOp::Mul),
        _ => (Scalar::new(1.0, value.dtype), BinaryOp::Add),
    };
    body.values.push(noyau_compile::plan::Value { instr: Instr::Const(scalar), ..value.clone() });
    body.values.push(noyau_compile::plan::Value { instr: Instr::Binary(op, store.value, one), ..value });
    body.stores[0].value = noyau_compile::plan::ValueId(one.0 + 1);
}

#[test]
fn a_plan_without_shared_slots_launches_the_same() {
    for device in devices() {
        let session = Session::with_seed(device.clone(), 3);
        // Deep enough that some gradient is dead before another is written, and wide enough for GPUs to mind (small slots are shared late).
        let model = (0..4).fold(Sequential::new(), |model, _| model.then(Linear::new(300, 300)).then(Relu));
        let compiled = |validated: bool| {
            session.validate(validated);
            let step = session.compile([Spec::f32([64, 300]), Spec::u32([64])], |[x, y]| {
                let loss = cross_entropy(&model.forward(&x, &Mode::train()), &y);
                let updates = Adam::new(0.01).step(&loss, &model.parameters());
                Step::returns(&loss).updates(updates)
            });
            step.expect("it compiles")
        };
        let (plain, watched) = (compiled(false), compiled(true));
        assert_eq!(plain.launches(), watched.launches(), "{device:?}");
        let slots = |plan: &Plan| plan.buffers.iter().filter(|b| matches!(b.kind, BufferKind::Slot(_))).count();
        assert!(plain.plan().slots.len() < slots(plain.plan()), "{device:?}: nothing was shared to begin with");
        assert_eq!(watched.plan().slots.len(), slots(watched.plan()), "{device:?}");
    }
}

#[test]
fn states_and_arguments_that_are_no_numbers_are_told_apart_from_kernels() {
    for device in devices() {
        let session = Session::new(device.clone());
        session.check_finite(true);
        let mut step = session.compile([Spec::f32([3])], |[x]| Step::returns(&(x * 2.0))).expect("it compiles");
        let nan = Array::new([3], &[1.0f32, f32::NAN, 2.0]).expect("3 values");
        let error = step.run(&[&nan]).map(drop).expect_err("NaN times 2").to_string();
        assert!(
            error.contains("argument 0 was given with NaN in it") && error.contains("1 of 3 elements are no numbers, the first at [1]"),
            "{error}"
        );
        let w = Param::new("w", [2], Init::Full(Scalar::Float(f64::INFINITY)));
        let error = session.eval(&(&w + 1.0)).map(drop).expect_err("infinity and one").to_string();
        assert!(error.contains("`w` had infinity in it before the step") && error.contains("stored infinity"), "{error}");
    }
}

/// Attention, forward and backward: right as it is, wrong with a scale a hundredth off, later keys open, or no key closed by the mask.
#[test]
fn attention_that_is_wrong_is_named() {
    // Enough places for a CPU to have a kernel for it.
    let sizes = [[2, 37, 2, 5], [2, 41, 2, 5], [2, 41, 2, 3]];
    let given = |shape: [usize; 4], by: f32| {
        let count: usize = shape.iter().product();
        Array::new(shape, &(0..count).map(|i| (i as f32 * by).sin()).collect::<Vec<_>>()).expect("as many values")
    };
    let params: Vec<Param> = sizes.iter().zip([0.7, 1.3, 2.1]).map(|(&shape, by)| Param::from_array("x", given(shape, by))).collect();
    let [q, k, v] = [0, 1, 2].map(|i| params[i].transpose(1, 2));
    let mask = (Tensor::arange(41).to(DType::F32) * 0.1).eq(0.5f32).where_(-1e30f32, 0.25f32);
    let y = q.attention(&k, &v, &[mask], true, 0.5);
    let wrt: Vec<&Tensor> = params.iter().map(Param::tensor).collect();
    let results: Vec<Tensor> = std::iter::once(y.clone()).chain(noyau_tensor::grad(&y.square().sum(), &wrt)).collect();
    for device in devices() {
        let session = Session::new(device.clone());
        session.validate(true);
        let step = || {
            let all = results.iter().fold(Step::default(), |step, result| step.and_returns(result));
            session.compile([], |[]| all).expect("it compiles")
        };
        let mut right = step();
        right.run(&[]).unwrap_or_else(|error| panic!("{device:?}: {error}"));
        let kernels: Vec<usize> =
            (0..right.plan().kernels.len()).filter(|&i| matches!(right.plan().kernels[i].kind, KernelKind::Attention(_))).collect();
        assert!(kernels.len() >= 2, "{}", right.plan());
        for (kernel, mistake) in kernels.into_iter().flat_map(|kernel| (0..3).map(move |mistake| (kernel, mistake))) {
            let mut wrong = step();
            wrong.replace_plan(&session, |plan: &mut Plan| {
                if let KernelKind::Attention(a) = &mut plan.kernels[kernel].kind {
                    match mistake {
                        0 => a.scale *= 1.01,
                        1 => a.causal = false,
                        _ => a.masks.clear(),
                    }
                }
            });
            let error = wrong.run(&[]).map(drop).expect_err("it is wrong");
            assert!(matches!(error, Error::WrongResult { .. }) && error.to_string().contains("attention"), "{device:?}: {error}");
        }
    }
}

//! Mistakes in expressions and in the use of sessions: each is an error with the user's line, none is a panic.

mod cases;
mod support;

use noyau::nn::Mode;
use noyau::prelude::*;
use noyau::tensor::State;
use support::gpus;

/// The tensor's error, evaluated: must be the message, then the line on which the macro stands.
macro_rules! mistake {
    ($tensor:expr, $message:expr) => {{
        let tensor: Tensor = $tensor;
        let expected = format!("{} (tests/errors.rs:{})", $message, line!());
        let found = Session::new(Device::cpu()).eval(&tensor).expect_err(&expected).to_string();
        assert_eq!(found, expected);
        // Whatever is built on it, that mistake is the one reported.
        let loss = (tensor.exp() + 1.0).sum();
        assert_eq!(Session::new(Device::cpu()).eval(&loss).expect_err(&expected).to_string(), expected);
        assert_eq!(Session::new(Device::cpu()).eval(&grad(&loss, &[&tensor])[0]).expect_err(&expected).to_string(), expected);
    }};
}

fn f32s(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape)
}

fn i32s(shape: &[usize]) -> Tensor {
    Tensor::full(shape, Scalar::Int(1))
}

fn bools(shape: &[usize]) -> Tensor {
    Tensor::full(shape, Scalar::Bool(true))
}

#[test]
#[rustfmt::skip]
fn shapes_that_do_not_fit() {
    mistake!(f32s(&[128, 784]).matmul(&f32s(&[512, 10])), "matmul: [128, 784] x [512, 10]: inner sizes 784 and 512 differ; transpose one with .t() or reshape it");
    mistake!(f32s(&[2, 3, 4]).matmul(&f32s(&[3, 4, 5])), "matmul: [2, 3, 4] x [3, 4, 5]: batch axes do not broadcast");
    mistake!(f32s(&[]).matmul(&f32s(&[3])), "matmul: [] x [3]: a scalar is no matrix, use *");
    mistake!(f32s(&[3]) + f32s(&[4]), "add: shapes [3] and [4] do not broadcast: aligned at the end, sizes must be equal or 1");
    mistake!(f32s(&[2, 3]).lt(f32s(&[2])), "lt: shapes [2, 3] and [2] do not broadcast: aligned at the end, sizes must be equal or 1");
    mistake!(bools(&[3]).where_(f32s(&[4]), 0.0), "where: shapes [3], [4] and [] do not broadcast");
    mistake!(f32s(&[2, 3]).reshape([4, 2]), "reshape: [2, 3] of 6 elements cannot become [4, 2]: the sizes must multiply to 6");
    mistake!(f32s(&[2, 3]).expand([2, 4]), "expand: [2, 3] cannot be expanded to [2, 4]: only sizes of 1 can, aligned at the end");
    mistake!(f32s(&[5]).slice(0, 3..7), "slice: 3..7 by 1 does not lie in axis 0 of [5]: slice within 0..5 by a step that is not 0");
    mistake!(f32s(&[5]).slice_step(0, .., 0), "slice: 0..5 by 0 does not lie in axis 0 of [5]: slice within 0..5 by a step that is not 0");
    mistake!(f32s(&[2, 3]).squeeze(1), "reshape: axis 1 of [2, 3] has size 3, not 1");
    mistake!(f32s(&[2, 3]).pad(&[(1, 1)], 0.0), "pad: 1 pairs of widths for [2, 3] of rank 2");
    mistake!(f32s(&[2, 3]).permute(&[0]), "permute: [0] names 1 axes of [2, 3]");
    mistake!(concat(&[&f32s(&[2, 3]), &f32s(&[2, 4])], 0), "concat: f32[2, 3] and f32[2, 4] differ in more than axis 0");
    mistake!(concat(&[], 0), "concat: needs at least one tensor");
    mistake!(f32s(&[2, 3]).gather(1, &i32s(&[3, 3])), "gather: an index of [3, 3] for [2, 3]: only axis 1 may differ");
    mistake!(f32s(&[0, 3]).max(&[0]), "amax: no element to choose from: an axis of [0] of [0, 3] is empty; reduce axes that have elements");
    mistake!(f32s(&[1 << 40]).unsqueeze(1).expand([1 << 40, 1 << 40]), "expand: the result's shape [1099511627776, 1099511627776] has more elements than can be addressed");
    mistake!(Tensor::new(&[1.0f32, 2.0], [3]), "Tensor::new: Array: a shape of [3] needs 3 values, got 2");
}

#[test]
#[rustfmt::skip]
fn axes_that_are_not_there() {
    mistake!(f32s(&[2, 3]).sum_axes(&[2]), "sum: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).sum_keep(&[2]), "sum: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).mean_axes(&[-3]), "sum: axis -3 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).sum_axes(&[1, -1]), "sum: axis 1 is named twice in [1, -1]; name each axis once");
    mistake!(f32s(&[2, 3]).softmax(2), "amax: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).log_softmax(5), "amax: axis 5 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).argmax(2), "argmax: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).transpose(0, 2), "permute: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2]).t(), "permute: axis -2 is out of range for shape [2] of rank 1: axes go from -1 to 0");
    mistake!(f32s(&[2, 3]).flip(&[7]), "flip: axis 7 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).slice(2, ..), "slice: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).unsqueeze(4), "reshape: no place 4 for a new axis in [2, 3]");
    mistake!(f32s(&[2, 3]).var(&[2], 1), "sum: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(stack(&[&f32s(&[2]), &f32s(&[2])], 3), "reshape: no place 3 for a new axis in [2]");
    mistake!(concat(&[&f32s(&[2])], 1), "concat: axis 1 is out of range for shape [2] of rank 1: axes go from -1 to 0");
    mistake!(f32s(&[2, 3]).flatten(0, 2), "reshape: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(Tensor::iota([2], 1), "iota: axis 1 is out of range for shape [2] of rank 1: axes go from -1 to 0");
    mistake!(f32s(&[2, 3]).index_select(2, &i32s(&[1])), "index_select: axis 2 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
    mistake!(f32s(&[2, 3]).split(1, 9).swap_remove(0), "split: axis 9 is out of range for shape [2, 3] of rank 2: axes go from -2 to 1");
}

#[test]
#[rustfmt::skip]
fn types_that_do_not_fit() {
    mistake!(f32s(&[2]) + i32s(&[2]), "add: the operands' types f32 and i32 differ; convert one with .to(DType)");
    mistake!(i32s(&[2]).exp(), "exp: not defined for i32; convert with .to(DType)");
    mistake!(bools(&[2]) + bools(&[2]), "add: not defined for bool");
    mistake!(f32s(&[2]).logical_and(f32s(&[2])), "and: not defined for f32");
    mistake!(f32s(&[2]).shl(1), "shl: not defined for f32");
    mistake!(i32s(&[2]).pow(2), "pow: not defined for i32");
    mistake!(bools(&[2]).sum(), "sum: not defined for bool; convert with .to(DType) first");
    mistake!(i32s(&[2]).mean(), "mean: not defined for i32; convert with .to(DType::F32)");
    mistake!(f32s(&[2]).where_(1.0, 0.0), "where: the condition is of type f32, not bool; compare it first");
    mistake!(bools(&[2]).where_(f32s(&[2]), i32s(&[2])), "where: the choices' types f32 and i32 differ");
    mistake!(i32s(&[2, 2]).matmul(&i32s(&[2, 2])), "matmul: needs two tensors of f32, got i32 and i32");
    mistake!(f32s(&[2]).gather(0, &f32s(&[2])), "gather: the index is of type f32, not an integer; convert it with .to(DType::I32)");
    mistake!(f32s(&[2]).one_hot(3), "one_hot: class indices must be integers, not f32");
    mistake!(i32s(&[2]) * 1.5, "number: 1.5 beside a tensor of i32 is not of that type; convert the tensor with .to(DType)");
    mistake!(f32s(&[2]).clamp(1.0, -1.0), "clamp: the lower bound 1 is above the upper bound -1; swap them");
    mistake!(Tensor::bernoulli([2], 1.5), "bernoulli: the probability 1.5 does not lie in 0..=1");
}

fn message(tensor: &Tensor) -> String {
    Session::new(Device::cpu()).eval(tensor).expect_err("a mistake").to_string()
}

#[test]
fn gradients_that_are_not_there() {
    let (w, unused) = (Param::scalar("w", 2.0), Param::scalar("unused", 1.0));
    let loss = w.square();
    let at = line!() + 1;
    let gradients = grad(&loss, &[&w, &unused]);
    assert_eq!(Session::new(Device::cpu()).eval(&gradients[0]).unwrap().item(), 4.0);
    assert_eq!(
        message(&gradients[1]),
        format!(
            "grad: no gradient flows from the loss to `unused`: it takes no part in the loss, or only through operations without a derivative \
             (comparisons, argmax, integers, detach) (tests/errors.rs:{at})"
        )
    );
    for cut in [w.gt(1.0).to(DType::F32), w.detach().exp(), w.to(DType::I32).to(DType::F32)] {
        assert!(message(&grad(&cut, &[&w])[0]).starts_with("grad: no gradient flows from the loss to `w`"), "{cut:?}");
    }
    let at = line!() + 1;
    let gradient = &grad(&(&w * Tensor::ones([3])), &[&w])[0];
    assert_eq!(
        message(gradient),
        format!("grad: the loss must be a scalar of f32, not f32[3]; reduce it with .sum() or .mean() (tests/errors.rs:{at})")
    );
    assert!(message(&grad(&w.to(DType::I32), &[&w])[0]).contains("a scalar of f32, not i32[]"));
}

#[test]
fn layers_and_losses_say_what_they_take() {
    let x = Tensor::zeros([4, 7]);
    let model = Sequential::new().then(Linear::new(7, 5)).then(Relu).then(Linear::new(6, 2));
    let at = line!() - 1;
    let found = message(&model.forward(&x, &Mode::eval()));
    assert_eq!(
        found,
        format!("layer 2: Linear: the layer takes 6 features and gives 2; the input [4, 5] has 5 on its last axis (tests/errors.rs:{at})")
    );
    let at = line!() + 1;
    let found = message(&cross_entropy(&Tensor::zeros([4, 3]), &Tensor::full([5], Scalar::Uint(0))));
    assert!(
        found.starts_with("cross_entropy: ") && found.contains("[5]") && found.ends_with(&format!("(tests/errors.rs:{at})")),
        "{found}"
    );
    assert!(message(&Dropout(1.5).forward(&x, &Mode::train())).contains("1.5 does not lie in 0..=1"));
}

#[test]
fn steps_refuse_what_they_were_not_made_for() {
    let session = Session::new(Device::cpu());
    let mut step =
        session.compile([Spec::f32([2, 3]), Spec::u32([2])], |[x, y]| Step::returns(&(x.sum_axes(&[1]) + y.to(DType::F32)))).unwrap();
    let (x, y) = (Array::full([2, 3], Scalar::Float(1.0)), Array::full([2], Scalar::Uint(1)));
    assert_eq!(step.run(&[&x, &y]).unwrap()[0].to_f64(), [4.0, 4.0]);
    let refused = |result: Result<Vec<Array>>| result.expect_err("a mistake").to_string();
    assert_eq!(refused(step.run(&[&x])), "arguments: the step takes 2, got 1");
    assert_eq!(refused(step.run(&[&y, &y])), "argument 0: the step takes f32[2, 3], got u32[2]");
    assert_eq!(refused(step.run(&[&x, &Array::full([3], Scalar::Uint(1))])), "argument 1: the step takes u32[2], got u32[3]");
    assert_eq!(step.write(2, &x).expect_err("a mistake").to_string(), "argument 2: the step takes 2 arguments");
    assert_eq!(step.read(1).expect_err("a mistake").to_string(), "result 1: the step returns 1 values, counted from 0");
    // None of that has done any harm.
    assert_eq!(step.run(&[&x, &y]).unwrap()[0].to_f64(), [4.0, 4.0]);

    let w = Param::from_array("w", Array::full([2], Scalar::Float(1.0)));
    let compile = |step: Step| session.compile([], |[]| step).map(drop).expect_err("a mistake").to_string();
    let at = line!() + 1;
    let next = Tensor::ones([3]);
    assert_eq!(
        compile(Step::default().updates([(w.clone(), next)])),
        format!("update: the new value of `w` is f32[3], the state is f32[2] (tests/errors.rs:{at})")
    );
    assert_eq!(
        compile(Step::default().updates([(w.clone(), &w + 1.0), (w.clone(), &w + 2.0)])),
        "updates: `w` is updated twice in one step; put both changes into one new value"
    );
    let set = session.set(&w, &Array::scalar(1.0f32)).expect_err("a mistake").to_string();
    assert_eq!(set, "value of `w`: the state is f32[2], the value given is f32[]");
    let outside = session.eval(&Tensor::input(0, [2], DType::F32)).expect_err("a mistake").to_string();
    assert!(outside.starts_with("argument 0: used as f32[2]"), "{outside}");
}

#[test]
fn arrays_say_what_they_hold() {
    let array = Array::full([2], Scalar::Float(1.0));
    assert_eq!(
        array.to_vec::<u32>().expect_err("a mistake").to_string(),
        "Array::to_vec: the array holds f32, not u32; convert it with .to(DType)"
    );
    assert_eq!(
        array.try_item().expect_err("a mistake").to_string(),
        "Array::item: an array of shape [2] has 2 values, not one; read them with .to_vec()"
    );
    assert!(Array::new([2, 2], &[1.0f32]).is_err());
}

#[test]
fn devices_that_are_not_there() {
    for name in ["gpu:x", "gpu:-1", "cuda", "", "GPU"] {
        let found = name.parse::<DeviceChoice>().expect_err(name).to_string();
        assert!(found.starts_with(&format!("device {name}: no such device; write auto, cpu, gpu or gpu:N")), "{found}");
    }
    let far = Device::choose("gpu:77".parse().unwrap()).expect_err("there are no 78 GPUs").to_string();
    assert!(far.starts_with("device gpu:77: not found; "), "{far}");
    for gpu in gpus::all() {
        assert!(far.contains(&gpu.name), "{far} does not name {}", gpu.name);
    }
}

#[test]
fn more_memory_than_a_gpu_has_is_refused_with_figures() {
    gpus::every(|gpu| {
        let most = gpu.device.limits().max_buffer_bytes;
        let n = most / 4 + 1;
        let session = Session::new(gpu.device.clone());
        // A value that is to be computed, and one that is to be kept; neither may be made on the way to the refusal.
        let computed = session.eval(&(Tensor::arange(n) + 1u32)).expect_err("too large");
        let kept = session.eval(&Param::new("huge", [n], Init::Full(Scalar::Float(0.0))).sum()).expect_err("too large");
        for error in [computed, kept] {
            let text = error.to_string();
            assert!(matches!(error, Error::OutOfMemory { .. }), "{}: {text}", gpu.name);
            assert!(text.contains(&(4 * n).to_string()) && text.contains(&most.to_string()), "{}: {text}", gpu.name);
        }
        // The device goes on.
        assert_eq!(session.eval(&Tensor::ones([3]).sum()).unwrap().item(), 3.0, "{}", gpu.name);
    });
}

#[test]
fn a_state_larger_than_all_memory_is_refused() {
    let param = Param::from_state(State::new("huge", [1 << 44], DType::F32, Init::Full(Scalar::Float(0.0))));
    let cpu = Session::new(Device::cpu()).eval(&param.sum()).expect_err("64 TiB");
    assert!(matches!(cpu, Error::OutOfMemory { .. }), "{cpu}");
    let computed = Session::new(Device::cpu()).eval(&(Tensor::arange(1 << 44) + 1u32)).expect_err("64 TiB");
    assert!(matches!(computed, Error::OutOfMemory { .. }), "{computed}");
    let endless = Param::new("endless", [1 << 40, 1 << 40], Init::Full(Scalar::Float(0.0)));
    let error = Session::new(Device::cpu()).eval(&endless.sum()).expect_err("no such number of bytes");
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    gpus::every(|gpu| {
        let error = Session::new(gpu.device.clone()).eval(&param.sum()).expect_err("64 TiB");
        assert!(matches!(error, Error::OutOfMemory { .. }), "{}: {error}", gpu.name);
    });
}

//! Activations against PyTorch.

use std::f64::consts::LN_2;

use noyau_nn::activation::*;
use noyau_nn::{Mode, Module};
use noyau_tensor::Tensor;

use crate::oracle::{assert_close, call, message, reals, with_gradient};

const X: [f64; 7] = [-10.0, -1.5, -0.25, 0.0, 0.25, 1.5, 10.0];

// import torch, torch.nn.functional as F; torch.set_default_dtype(torch.float64)
// x = torch.tensor([-10., -1.5, -0.25, 0., 0.25, 1.5, 10.], requires_grad=True)
// for f in [torch.sigmoid, ..., F.softplus]: y = f(x); print(y, torch.autograd.grad(y.sum(), x))
#[test]
fn values_and_gradients_are_pytorchs() {
    let check = |f: &dyn Fn(&Tensor) -> Tensor, values: [f64; 7], gradients: [f64; 7]| {
        let (y, g) = with_gradient(&reals([7], &X), f);
        assert_close(&y, &values, 2e-11);
        assert_close(&g, &gradients, 2e-11);
    };
    check(
        &sigmoid,
        [4.53978687024e-05, 0.182425523806, 0.437823499114, 0.5, 0.562176500886, 0.817574476194, 0.999954602131],
        [4.5395807736e-05, 0.14914645207, 0.246134082738, 0.25, 0.246134082738, 0.14914645207, 4.53958077359e-05],
    );
    check(
        &tanh,
        [-0.999999995878, -0.905148253645, -0.244918662404, 0.0, 0.244918662404, 0.905148253645, 0.999999995878],
        [8.24461452963e-09, 0.180706638924, 0.940014848806, 1.0, 0.940014848806, 0.180706638924, 8.24461452963e-09],
    );
    check(&relu, [0.0, 0.0, 0.0, 0.0, 0.25, 1.5, 10.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    check(&|x| leaky_relu(x, 0.1), [-1.0, -0.15, -0.025, 0.0, 0.25, 1.5, 10.0], [0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 1.0]);
    check(
        &|x| elu(x, 1.5),
        [-1.49993190011, -1.16530475978, -0.331798825393, 0.0, 0.25, 1.5, 10.0],
        [6.80998946437e-05, 0.334695240223, 1.16820117461, 1.5, 1.0, 1.0, 1.0],
    );
    check(
        &gelu,
        [0.0, -0.100210801903, -0.100323418579, 0.0, 0.149676581421, 1.3997891981, 10.0],
        [-7.69459862671e-22, -0.12746919223, 0.304626645116, 0.5, 0.695373354884, 1.12746919223, 1.0],
    );
    check(
        &gelu_tanh,
        [0.0, -0.10042842302, -0.100324649298, 0.0, 0.149675350702, 1.39957157698, 10.0],
        [0.0, -0.127710793151, 0.304645904849, 0.5, 0.695354095151, 1.12771079315, 1.0],
    );
    check(
        &silu,
        [-0.000453978687024, -0.27363828571, -0.109455874779, 0.0, 0.140544125221, 1.22636171429, 9.99954602131],
        [-0.000408560208657, -0.0412941542991, 0.37628997843, 0.5, 0.62371002157, 1.0412941543, 1.00040856021],
    );
    check(
        &softplus,
        [4.53988992169e-05, 0.201413277983, 0.575939419879, LN_2, 0.825939419879, 1.70141327798, 10.0000453989],
        [4.53978687024e-05, 0.182425523806, 0.437823499114, 0.5, 0.562176500886, 0.817574476194, 0.999954602131],
    );
    check(&sign, [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0], [0.0; 7]);
}

// l = torch.tensor([[1., 2., -1.], [0.5, -0.5, 3.]]); F.softmax(l, 1); F.log_softmax(l, 1)
#[test]
fn softmax_of_rows_is_pytorchs() {
    let l = reals([2, 3], &[1.0, 2.0, -1.0, 0.5, -0.5, 3.0]);
    let found = call(&[l], |args| vec![softmax(&args[0], -1), log_softmax(&args[0], 1)]).unwrap();
    assert_close(&found[0], &[0.259496460342, 0.705384512698, 0.0351190269593, 0.0737987043118, 0.0271490261014, 0.899052269587], 1e-11);
    assert_close(&found[1], &[-1.34901221677, -0.349012216768, -3.34901221677, -2.60641410428, -3.60641410428, -0.10641410428], 1e-11);
}

#[test]
fn the_threshold_neuron_fires_at_its_threshold() {
    let found = call(&[reals([3], &[-1e-9, 0.0, 2.0])], |args| vec![step(&args[0])]).unwrap();
    assert_eq!(found[0], [0.0, 1.0, 1.0]);
    let x = Tensor::input(0, [3], noyau_tensor::DType::F32);
    let gradient = noyau_tensor::grad(&step(&x).sum(), &[&x]).remove(0);
    assert!(message(&gradient).contains("no gradient flows"), "{}", message(&gradient));
}

#[test]
fn modules_are_the_functions() {
    type Pair = (Box<dyn Module>, fn(&Tensor) -> Tensor);
    let modules: [Pair; 13] = [
        (Box::new(Step), step),
        (Box::new(Sign), sign),
        (Box::new(Sigmoid), sigmoid),
        (Box::new(Tanh), tanh),
        (Box::new(Relu), relu),
        (Box::new(Gelu), gelu),
        (Box::new(GeluTanh), gelu_tanh),
        (Box::new(Silu), silu),
        (Box::new(Softplus), softplus),
        (Box::new(LeakyRelu::default()), |x| leaky_relu(x, 0.01)),
        (Box::new(Elu::default()), |x| elu(x, 1.0)),
        (Box::new(Softmax::default()), |x| softmax(x, 0)),
        (Box::new(LogSoftmax(0)), |x| log_softmax(x, -1)),
    ];
    let found = call(&[reals([7], &X)], |args| {
        let mode = Mode::eval();
        modules.iter().flat_map(|(module, function)| [module.forward(&args[0], &mode), function(&args[0])]).collect()
    });
    for pair in found.unwrap().chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

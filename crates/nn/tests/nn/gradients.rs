//! Gradients against central differences.

use noyau_cpu::Values;
use noyau_nn::activation::*;
use noyau_nn::*;
use noyau_tensor::{Tensor, grad};

use crate::oracle::{assert_close, call, reals, words};

/// Compares the gradient of the first argument with central differences. `f` gives a tensor of any shape, whose elements get different weights.
#[track_caller]
fn check(arguments: &[Values], f: &dyn Fn(&[Tensor]) -> Tensor) {
    let weighted = |args: &[Tensor]| {
        let y = f(args);
        let weights = Tensor::new(&(0..y.numel()).map(|i| 1.0 + i as f32 * 0.25).collect::<Vec<_>>(), y.shape());
        (y * weights).sum()
    };
    let value = |arguments: &[Values]| call(arguments, |args| vec![weighted(args)]).unwrap()[0][0];
    let analytic = call(arguments, |args| vec![grad(&weighted(args), &[&args[0]]).remove(0)]).unwrap().remove(0);
    let step = 1e-5;
    let numeric: Vec<f64> = (0..arguments[0].data.len())
        .map(|i| {
            let mut moved = arguments.to_vec();
            moved[0].data[i] += step;
            let above = value(&moved);
            moved[0].data[i] -= 2.0 * step;
            (above - value(&moved)) / (2.0 * step)
        })
        .collect();
    // A difference of two values of size v has lost about 1e-16 v / step.
    let tolerance = 2e-8 + 2e-11 * value(arguments).abs();
    assert_close(&analytic, &numeric, tolerance);
}

fn wave(shape: &[usize], scale: f64) -> Values {
    let n: usize = shape.iter().product();
    reals(shape, &(0..n).map(|i| scale * (i as f64 * 1.3 + 0.4).sin()).collect::<Vec<_>>())
}

#[test]
fn of_activations() {
    let x = wave(&[3, 4], 3.0);
    let functions: [&dyn Fn(&Tensor) -> Tensor; 12] = [
        &sigmoid,
        &tanh,
        &relu,
        &|x| leaky_relu(x, 0.2),
        &|x| elu(x, 0.7),
        &gelu,
        &gelu_tanh,
        &silu,
        &softplus,
        &|x| softmax(x, 0),
        &|x| softmax(x, 1),
        &|x| log_softmax(x, -1),
    ];
    for f in functions {
        check(std::slice::from_ref(&x), &|args| f(&args[0]));
    }
    // At 0, where softplus and its like are written by two branches.
    for f in [softplus, gelu, gelu_tanh, silu, sigmoid] {
        check(&[reals([2], &[0.0, -0.0])], &|args| f(&args[0]));
    }
}

#[test]
fn of_losses() {
    let (p, t) = (wave(&[3, 4], 2.0), wave(&[4, 3], 1.0));
    let t = Values { shape: p.shape.clone(), ..t };
    for loss in [l1_loss, mse_loss, bce_with_logits, hinge_loss] {
        check(&[p.clone(), t.clone()], &|args| loss(&args[0], &args[1]));
        // And by the target.
        check(&[t.clone(), p.clone()], &|args| loss(&args[1], &args[0]));
    }
    check(&[p.clone(), t.clone()], &|args| huber_loss(&args[0], &args[1], 0.6));
    let q = reals([3, 4], &[0.1, 0.2, 0.3, 0.4, 0.0, 1.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25]);
    let classes = words([3], &[3, 0, 2]);
    for scale in [1.0, 5.0, 1e4] {
        // With logits of +-1e4 the loss is linear in them and differences still have five digits.
        let l = wave(&[3, 4], scale);
        for smoothing in [0.0, 0.1, 1.0] {
            let loss = CrossEntropy::new().label_smoothing(smoothing);
            check(&[l.clone(), classes.clone()], &|args| loss.loss(&args[0], &args[1]));
            check(&[l.clone(), q.clone()], &|args| loss.loss(&args[0], &args[1]));
        }
        check(&[l.clone(), classes.clone()], &|args| nll_loss(&log_softmax(&args[0], 1), &args[1]));
    }
    let inner = wave(&[2, 3, 4], 2.0);
    check(&[inner, words([2, 4], &[0, 1, 2, 0, 2, 2, 1, 0])], &|args| cross_entropy(&args[0], &args[1]));
    // Of nothing but ties.
    check(&[reals([2, 3], &[0.0; 6]), words([2], &[0, 2])], &|args| cross_entropy(&args[0], &args[1]));
    check(&[reals([4], &[0.0; 4]), reals([4], &[0.0, 1.0, 0.5, 0.3])], &|args| bce_with_logits(&args[0], &args[1]));
}

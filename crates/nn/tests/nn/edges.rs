//! Losses and activations at the ends of their range: no NaN, no lost digits.

use noyau_nn::activation::*;
use noyau_nn::*;
use noyau_tensor::{Tensor, grad};

use noyau_cpu::Values;

use crate::oracle::{assert_close, call, reals, rounded, with_gradient, words};

#[test]
fn activations_stay_finite_and_saturate() {
    let x = reals([4], &[-1e4, -800.0, 800.0, 1e4]);
    type Row<'a> = (&'a dyn Fn(&Tensor) -> Tensor, [f64; 4], [f64; 4]);
    let table: [Row; 9] = [
        (&sigmoid, [0.0, 0.0, 1.0, 1.0], [0.0; 4]),
        (&tanh, [-1.0, -1.0, 1.0, 1.0], [0.0; 4]),
        (&|x| elu(x, 1.0), [-1.0, -1.0, 800.0, 1e4], [0.0, 0.0, 1.0, 1.0]),
        (&gelu, [0.0, 0.0, 800.0, 1e4], [0.0, 0.0, 1.0, 1.0]),
        (&gelu_tanh, [0.0, 0.0, 800.0, 1e4], [0.0, 0.0, 1.0, 1.0]),
        (&silu, [0.0, 0.0, 800.0, 1e4], [0.0, 0.0, 1.0, 1.0]),
        (&softplus, [0.0, 0.0, 800.0, 1e4], [0.0, 0.0, 1.0, 1.0]),
        (&|x| softmax(x, 0), [0.0, 0.0, 0.0, 1.0], [0.0; 4]),
        (&|x| log_softmax(x, 0), [-2e4, -10_800.0, -9_200.0, 0.0], [1.0, 1.0, 1.0, -3.0]),
    ];
    for (f, values, gradients) in table {
        let (y, g) = with_gradient(&x, f);
        assert_close(&y, &values, 1e-12);
        assert_close(&g, &gradients, 1e-12);
    }
}

#[test]
fn cross_entropy_of_huge_logits_is_exact() {
    let logits = reals([3, 2], &[1e4, -1e4, 1e4, -1e4, 0.0, 0.0]);
    for targets in [words([3], &[0, 1, 0]), reals([3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0])] {
        let found = call(&[logits.clone(), targets], |args| {
            let loss = cross_entropy(&args[0], &args[1]);
            let gradient = grad(&loss, &[&args[0]]).remove(0);
            vec![loss, gradient]
        });
        let found = found.unwrap();
        assert_close(&found[0], &[(2e4 + 2f64.ln()) / 3.0], 1e-12);
        assert_close(&found[1], &[0.0, 0.0, 1.0 / 3.0, -1.0 / 3.0, -1.0 / 6.0, 1.0 / 6.0], 1e-12);
    }
}

#[test]
fn a_confident_right_answer_keeps_its_digits() {
    // The loss is log(1 + e^-15), though the logits are large.
    let found = call(&[reals([1, 2], &[1e4, 1e4 - 15.0]), words([1], &[0])], |args| vec![cross_entropy(&args[0], &args[1])]).unwrap();
    assert!((found[0][0] / (-15f64).exp().ln_1p() - 1.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn no_digits_are_lost_in_f32() {
    // What a device computes: each operation rounded to f32. Relative errors, of values that a careless formula would round to 0.
    let check = |inputs: &[Values], f: &dyn Fn(&[Tensor]) -> Tensor, wanted: f64, tolerance: f64| {
        let found = rounded(inputs, f);
        assert!((found / wanted - 1.0).abs() < tolerance, "{found:e} is not {wanted:e}");
    };
    let small = (-15f64).exp().ln_1p();
    // The sum of the exponentials, 1 + e^-8, has lost some; the difference of logits of 10,000 has not.
    let logits = reals([1, 2], &[1e4, 1e4 - 8.0]);
    check(&[logits, words([1], &[0])], &|x| cross_entropy(&x[0], &x[1]), (-8f64).exp().ln_1p(), 2e-4);
    for (logit, target) in [(15.0, 1.0), (-15.0, 0.0)] {
        check(&[reals([1], &[logit]), reals([1], &[target])], &|x| bce_with_logits(&x[0], &x[1]), small, 1e-6);
    }
    check(&[reals([1], &[-15.0])], &|x| softplus(&x[0]).sum(), small, 1e-6);
    check(&[reals([1], &[-1e-4])], &|x| elu(&x[0], 1.0).sum(), (-1e-4f64).exp_m1(), 1e-6);
}

#[test]
fn a_class_masked_with_minus_infinity_takes_no_part() {
    let logits = reals([1, 3], &[0.5, f64::NEG_INFINITY, 1.0]);
    let wanted = (1.0 + 0.5f64.exp()).ln();
    let share = 0.5f64.exp() / (1.0 + 0.5f64.exp());
    for targets in [words([1], &[0]), reals([1, 3], &[1.0, 0.0, 0.0])] {
        let found = call(&[logits.clone(), targets], |args| {
            let loss = cross_entropy(&args[0], &args[1]);
            let gradient = grad(&loss, &[&args[0]]).remove(0);
            vec![loss, gradient]
        });
        let found = found.unwrap();
        assert_close(&found[0], &[wanted], 1e-12);
        assert_close(&found[1], &[-share, 0.0, share], 1e-12);
    }
}

#[test]
fn a_target_that_is_no_class_makes_the_loss_infinite() {
    let logits = reals([2, 3], &[1.0; 6]);
    let mut negative = words([2], &[0, 0]);
    negative.dtype = noyau_tensor::DType::I32;
    negative.data[1] = -1.0;
    for targets in [words([2], &[0, 3]), words([2], &[u32::MAX, 1]), negative] {
        let found = call(&[logits.clone(), targets], |args| vec![cross_entropy(&args[0], &args[1]), nll_loss(&args[0], &args[1])]).unwrap();
        assert_eq!(found, [[f64::INFINITY], [f64::INFINITY]]);
    }
}

#[test]
fn binary_cross_entropy_of_huge_logits_is_exact() {
    let logits = reals([6], &[1e4, 1e4, -1e4, -1e4, 30.0, -30.0]);
    let targets = reals([6], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let found = call(&[logits, targets], |args| {
        let loss = bce_with_logits(&args[0], &args[1]);
        let gradient = grad(&loss, &[&args[0]]).remove(0);
        vec![loss, gradient]
    });
    let found = found.unwrap();
    let small = (-30f64).exp() / 6.0;
    assert_close(&found[0], &[2e4 / 6.0], 1e-12);
    assert_close(&found[1], &[0.0, 1.0 / 6.0, -1.0 / 6.0, 0.0, -small, small], 1e-13);
    // Both ends keep all digits of a loss that is nearly 0.
    for (logit, target) in [(30.0, 1.0), (-30.0, 0.0)] {
        let found = call(&[reals([1], &[logit]), reals([1], &[target])], |args| vec![bce_with_logits(&args[0], &args[1])]).unwrap();
        assert!((found[0][0] / (-30f64).exp().ln_1p() - 1.0).abs() < 1e-12, "{found:?}");
    }
}

#[test]
fn softplus_has_the_right_second_derivative_at_zero() {
    let (_, second) = with_gradient(&reals([3], &[-1.0, 0.0, 1.0]), |x| grad(&softplus(x).sum(), &[x]).remove(0));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let wanted = [-1.0, 0.0, 1.0].map(|x| sigmoid(x) * (1.0 - sigmoid(x)));
    assert_close(&second, &wanted, 1e-12);
}

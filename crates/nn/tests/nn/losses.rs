//! Losses against PyTorch.

use noyau_nn::*;
use noyau_tensor::{DType, Tensor, grad};

use crate::oracle::{assert_close, call, eval, message, reals, with_gradient, words};

fn check(prediction: &noyau_cpu::Values, target: &noyau_cpu::Values, loss: impl Loss, value: f64, gradient: &[f64]) {
    let found = call(&[prediction.clone(), target.clone()], |args| {
        let loss = loss.loss(&args[0], &args[1]);
        let gradient = grad(&loss, &[&args[0]]).remove(0);
        vec![loss, gradient]
    });
    let found = found.unwrap();
    assert_close(&found[0], &[value], 2e-11);
    assert_close(&found[1], gradient, 2e-11);
}

// p = torch.tensor([-2., -0.5, 0., 0.5, 3.], requires_grad=True); t = torch.tensor([0.5, -0.5, 1., 0., 0.])
// b = torch.tensor([0., 1., 0.3, 0.5, 1.]); h = torch.tensor([-1., 1., 1., -1., 1.])
// F.l1_loss(p, t), F.mse_loss(p, t), F.huber_loss(p, t, delta=0.75), F.binary_cross_entropy_with_logits(p, b), clamp(1 - h * p, min=0).mean()
#[test]
fn regression_and_binary_losses_are_pytorchs() {
    let p = reals([5], &[-2.0, -0.5, 0.0, 0.5, 3.0]);
    let t = reals([5], &[0.5, -0.5, 1.0, 0.0, 0.0]);
    check(&p, &t, l1_loss, 1.4, &[-0.2, 0.0, -0.2, 0.2, 0.2]);
    check(&p, &t, mse_loss, 3.3, &[-1.0, 0.0, -0.4, 0.2, 1.2]);
    check(&p, &t, HuberLoss(0.75), 0.83125, &[-0.15, 0.0, -0.15, 0.1, 0.15]);
    let b = reals([5], &[0.0, 1.0, 0.3, 0.5, 1.0]);
    check(&p, &b, bce_with_logits, 0.513363302307, &[0.0238405844044, -0.12449186624, 0.04, 0.0244918662404, -0.00948517463551]);
    let h = reals([5], &[-1.0, 1.0, 1.0, -1.0, 1.0]);
    check(&p, &h, hinge_loss, 0.8, &[0.0, -0.2, -0.2, 0.2, 0.0]);
}

// l = torch.tensor([[1., 2., -1.], [0.5, -0.5, 3.]], requires_grad=True); t = torch.tensor([1, 0])
// q = torch.tensor([[0.2, 0.8, 0.], [0.1, 0.3, 0.6]])
// F.cross_entropy(l, t), (l, t, label_smoothing=0.1), (l, q), (l, q, label_smoothing=0.2), F.nll_loss(l, t)
#[test]
fn class_losses_are_pytorchs() {
    let l = reals([2, 3], &[1.0, 2.0, -1.0, 0.5, -0.5, 3.0]);
    let mut t = words([2], &[1, 0]);
    let q = reals([2, 3], &[0.2, 0.8, 0.0, 0.1, 0.3, 0.6]);
    let plain = [0.129748230171, -0.147307743651, 0.0175595134797, -0.463100647844, 0.0135745130507, 0.449526134793];
    check(&l, &t, cross_entropy, 1.47771316052, &plain);
    let smooth = [0.113081563505, -0.113974410318, 0.000892846813003, -0.429767314511, -0.00309215361596, 0.432859468127];
    check(&l, &t, CrossEntropy::new().label_smoothing(0.1), 1.51937982719, &smooth);
    let of_probabilities = [0.0297482301712, -0.0473077436509, 0.0175595134797, -0.0131006478441, -0.136425486949, 0.149526134793];
    check(&l, &q, cross_entropy, 0.977713160524, &of_probabilities);
    let smooth = [0.0164148968379, -0.000641076984213, -0.0157738198537, -0.0364339811774, -0.139758820283, 0.17619280146];
    check(&l, &q, CrossEntropy::new().label_smoothing(0.2), 1.16104649386, &smooth);
    check(&l, &t, nll_loss, -1.25, &[0.0, -0.5, 0.0, -0.5, 0.0, 0.0]);
    t.dtype = DType::I32;
    check(&l, &t, cross_entropy, 1.47771316052, &plain);
}

// l = (torch.arange(24.) * 0.7).sin().reshape(2, 3, 4); F.cross_entropy(l, torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]]))
#[test]
fn the_class_axis_is_the_second() {
    let l = reals([2, 3, 4], &(0..24).map(|i| (f64::from(i) * 0.7).sin()).collect::<Vec<_>>());
    let t = words([2, 4], &[0, 1, 2, 0, 2, 2, 1, 0]);
    let found = call(&[l, t], |args| vec![cross_entropy(&args[0], &args[1])]).unwrap();
    assert_close(&found[0], &[1.11080955238], 1e-11);
}

#[test]
fn one_row_without_a_batch_is_a_mean_of_one() {
    let l = reals([3], &[0.5, -0.5, 3.0]);
    let found = call(&[l, words([], &[2])], |args| vec![cross_entropy(&args[0], &args[1])]).unwrap();
    assert_close(&found[0], &[0.10641410428], 1e-11);
}

#[test]
fn penalties_are_sums_over_all_parameters() {
    let layer = Linear::new(2, 1).init(init::constant(-2.0)).bias_init(init::constant(3.0));
    let parameters = layer.parameters();
    let found = call(&[], |_| vec![l1_penalty(&parameters), l2_penalty(&parameters), l1_penalty(&[])]).unwrap();
    assert_eq!(found, [[7.0], [17.0], [0.0]]);
}

#[test]
fn shapes_and_types_that_do_not_fit_are_named() {
    let (column, row) = (Tensor::zeros([4, 1]), Tensor::zeros([4]));
    for refused in [l1_loss(&column, &row), mse_loss(&column, &row), bce_with_logits(&column, &row), hinge_loss(&column, &row)] {
        let text = message(&refused);
        assert!(text.contains("[4, 1]") && text.contains("[4]") && text.contains("losses.rs"), "{text}");
    }
    let logits = Tensor::zeros([4, 3]);
    let text = message(&cross_entropy(&logits, &Tensor::from([0u32, 1])));
    assert!(text.contains("cross_entropy: targets u32[2] beside logits [4, 3]"), "{text}");
    assert!(message(&cross_entropy(&logits, &Tensor::zeros([4]))).contains("neither class indices"));
    assert!(message(&nll_loss(&logits, &Tensor::zeros([4]))).contains("not class indices"));
    assert!(message(&cross_entropy(&Tensor::zeros([4, 0]), &Tensor::from([0u32; 4]))).contains("no classes"));
    assert!(message(&cross_entropy(&Tensor::from(1.0f32), &Tensor::from(0u32))).contains("scalar"));
    assert!(message(&CrossEntropy::new().label_smoothing(f64::NAN).loss(&logits, &Tensor::from([0u32; 4]))).contains("NaN"));
    assert!(message(&HuberLoss(0.0).loss(&row, &row)).contains("delta: 0 is not a positive number"));
    // The first mistake passes through.
    let mistake = Tensor::zeros([2]).reshape([3]);
    assert_eq!(message(&cross_entropy(&mistake, &row)), message(&mistake));
    assert_eq!(message(&mse_loss(&row, &mistake)), message(&mistake));
}

// F.cross_entropy(l, t, weight=w), (l, t, weight=w, label_smoothing=0.1), (l, q, weight=w), (l, q, weight=w, label_smoothing=0.2) and their gradients by l,
// with torch.float64 as the default type.
#[test]
fn weights_of_classes_are_pytorchs() {
    let l = reals([4, 3], &[1.0, 2.0, -1.0, 0.5, -0.25, 0.75, 2.0, -1.0, 0.0, 0.0, 0.25, -0.5]);
    let t = Tensor::from([1u32, 2, 0, 2]);
    let q = Tensor::from([[0.2f32, 0.5, 0.3], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9], [0.25, 0.25, 0.5]]);
    let weighted = CrossEntropy::new().weight(&[0.5, 2.0, 0.25]);
    let check = |loss: CrossEntropy, targets: &Tensor, value: f64, gradient: [f64; 12]| {
        let (found, slope) = with_gradient(&l, |l| loss.loss(l, targets));
        assert_close(&found, &[value], 1e-7);
        assert_close(&slope, &gradient, 1e-7);
    };
    let plain = [0.172997640228, -0.196410324868, 0.0234126846396, 0.0302327587141, 0.0142809440136, -0.0445137027278].into_iter().chain([
        -0.0260342109198,
        0.00700167768901,
        0.0190325332308,
        0.0288295162352,
        0.0370178315968,
        -0.065847347832,
    ]);
    check(weighted.clone(), &t, 0.454763436493, plain.collect::<Vec<_>>().try_into().unwrap());
    let smooth = [0.15807137916, -0.177438098937, 0.0193667197771, 0.032739272149, -0.0041330264716, -0.0286062456774].into_iter().chain([
        -0.00320372849642,
        -0.0146370713925,
        0.0178407998889,
        0.0309618316757,
        0.0246670311337,
        -0.0556288628094,
    ]);
    check(weighted.clone().label_smoothing(0.1), &t, 0.586471889263, smooth.collect::<Vec<_>>().try_into().unwrap());
    let shares = [0.0512270852256, -0.0427932993949, -0.00843378583069, 0.181396552285, -0.414314335918, 0.232917783633]
        .into_iter()
        .chain([0.0455108879956, 0.00288819204672, -0.0483990800423, 0.0336164115292, -0.0417098789072, 0.00809346737799]);
    check(weighted.clone(), &q, 1.37330720435, shares.collect::<Vec<_>>().try_into().unwrap());
    let both = [0.0445419226128, -0.0352378493506, -0.00930407326225, 0.153411925787, -0.35693028286, 0.203518357073].into_iter().chain([
        0.0667493023935,
        -0.0290973183315,
        -0.0376519840621,
        0.0344160298194,
        -0.0463414290808,
        0.0119253992615,
    ]);
    check(weighted.clone().label_smoothing(0.2), &q, 1.36442295811, both.collect::<Vec<_>>().try_into().unwrap());
    // The same logits as [2, 3, 2].
    let deep = Tensor::new(&[1.0f32, 2.0, -1.0, 0.5, -0.25, 0.75, 2.0, -1.0, 0.0, 0.0, 0.25, -0.5], [2, 3, 2]);
    assert_close(&eval(&weighted.loss(&deep, &Tensor::from([[1u32, 2], [0, 2]]))), &[1.84970385874], 1e-7);
}

#[test]
fn weights_at_their_edges() {
    let logits = Tensor::from([[1.0f32, f32::NEG_INFINITY, 0.5], [0.0, 1.0, 2.0]]);
    let loss = |weight: &[f32], targets: [u32; 2]| eval(&CrossEntropy::new().weight(weight).loss(&logits, &Tensor::from(targets)))[0];
    let row = eval(&cross_entropy(&logits.slice(0, 1..), &Tensor::from([2u32])))[0];
    // Weight 0 beside a logit of minus infinity adds nothing; the mean is over what counts.
    assert_close(&[loss(&[1.0, 0.0, 3.0], [1, 2])], &[row], 1e-7);
    assert!(loss(&[1.0, 2.0, 3.0], [1, 2]).is_infinite());
    assert!(loss(&[1.0, 2.0, 3.0], [3, 2]).is_infinite(), "a target that names no class");
    assert!(loss(&[1.0, 0.0, 1.0], [1, 1]).is_nan(), "nothing counts");
    // All alike is no weight.
    let alike = eval(&cross_entropy(&logits.slice(0, 1..), &Tensor::from([0u32])))[0];
    let found = eval(&CrossEntropy::new().weight(&[7.0; 3]).loss(&logits.slice(0, 1..), &Tensor::from([0u32])))[0];
    assert_close(&[found], &[alike], 1e-7);
    let refusal = |weight: &[f32]| message(&CrossEntropy::new().weight(weight).loss(&Tensor::zeros([2, 3]), &Tensor::from([0u32, 1])));
    assert_eq!(refusal(&[1.0, 2.0]), "CrossEntropy: weight: 2 weights for 3 classes; one a class is needed");
    assert!(refusal(&[1.0, -2.0, 0.0]).contains("the weight -2 of class 1 is negative or not finite"));
    assert!(refusal(&[1.0, 2.0, f32::NAN]).contains("the weight NaN of class 2"));
    assert!(refusal(&[0.0; 3]).contains("all weights are 0"));
}

// compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2]), scikit-learn 1.9.
#[test]
fn balanced_weights_are_scikit_learns() {
    let found: Vec<f64> = class_weights(&[6, 3, 1]).iter().map(|&w| w.into()).collect();
    assert_close(&found, &[0.5555555555, 1.1111111111, 3.3333333333], 1e-7);
    assert_eq!(class_weights(&[2, 0, 2]), [1.0, 0.0, 1.0], "a class without samples is none");
    assert!(class_weights(&[]).is_empty());
}

//! Layers, their composition, and what they say about input that does not fit.

use std::sync::Arc;

use noyau_nn::*;
use noyau_tensor::{DType, Init, Param, Shape, Tensor, grad};

use crate::oracle::{assert_close, call, eval, message, reals, words};

fn given(name: &str, shape: impl Into<Shape>, values: &[f32]) -> Param {
    Param::from_array(name, noyau_tensor::Array::new(shape, values).unwrap())
}

#[test]
fn linear_multiplies_by_the_transposed_weight() {
    let mut layer = Linear::new(3, 2);
    assert_eq!(
        layer.parameters().iter().map(|(n, p)| (n.as_str(), p.shape().to_vec())).collect::<Vec<_>>(),
        [("weight", vec![2, 3]), ("bias", vec![2])]
    );
    layer.weight = given("weight", [2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    layer.bias = Some(given("bias", [2], &[0.5, -0.5]));
    let mode = Mode::eval();
    let found = call(&[reals([2, 3], &[1.0, 0.0, -1.0, 2.0, 1.0, 0.0])], |args| vec![layer.forward(&args[0], &mode)]).unwrap();
    assert_eq!(found[0], [-1.5, -2.5, 4.5, 12.5]);
    // Vectors and batches of batches.
    assert_eq!(eval(&layer.forward(&Tensor::from([1.0f32, 0.0, -1.0]), &mode)), [-1.5, -2.5]);
    assert_eq!(layer.forward(&Tensor::zeros([4, 5, 3]), &mode).shape()[..], [4, 5, 2]);
    let bare = layer.without_bias();
    assert_eq!(eval(&bare.forward(&Tensor::from([1.0f32, 0.0, -1.0]), &mode)), [-2.0, -2.0]);
    assert_eq!(bare.parameters().len(), 1);
}

#[test]
fn linear_begins_as_pytorchs() {
    let layer = Linear::new(100, 50);
    for (_, param) in layer.parameters() {
        let values = eval(&param);
        assert!(values.iter().all(|v| v.abs() <= 0.1), "U(-1/sqrt(in), 1/sqrt(in))");
        assert!(values.iter().any(|v| *v > 0.08) && values.iter().any(|v| *v < -0.08));
    }
    assert_eq!(eval(&Linear::new(2, 2).init(init::ones()).weight), [1.0; 4]);
    assert_eq!(eval(&Linear::new(2, 2).bias_init(init::zeros()).bias.unwrap()), [0.0; 2]);
    // Without inputs there is only the bias, which is then 0.
    assert_eq!(eval(&Linear::new(0, 2).forward(&Tensor::zeros([1, 0]), &Mode::eval())), [0.0; 2]);
}

#[test]
fn embedding_looks_vectors_up_and_its_gradient_adds_up() {
    let mut layer = Embedding::new(3, 2);
    layer.weight = given("weight", [3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let found = call(&[words([2, 2], &[2, 0, 2, 9])], |args| {
        let rows = layer.forward(&args[0], &Mode::train());
        assert_eq!(rows.shape()[..], [2, 2, 2]);
        let gradient = grad(&(&rows * Tensor::from([1.0f32, 10.0])).sum(), &[&layer.weight]).remove(0);
        vec![rows, gradient]
    });
    assert_eq!(found.unwrap(), [vec![5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 0.0, 0.0], vec![1.0, 10.0, 0.0, 0.0, 2.0, 20.0]]);
}

#[test]
fn dropout_keeps_the_mean_and_does_nothing_in_evaluation() {
    let x = Tensor::ones([10_000]);
    assert_eq!(eval(&Dropout(0.25).forward(&x, &Mode::eval())), [1.0; 10_000]);
    assert_eq!(eval(&Dropout(0.0).forward(&x, &Mode::train())), [1.0; 10_000]);
    assert_eq!(eval(&Dropout(1.0).forward(&x, &Mode::train())), [0.0; 10_000]);
    let kept = eval(&Dropout(0.25).forward(&x, &Mode::train()));
    let zeros = kept.iter().filter(|v| **v == 0.0).count();
    assert!((2_300..2_700).contains(&zeros), "{zeros} of 10,000 with probability 0.25");
    assert!(kept.iter().all(|v| *v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-12));
    // The gradient passes where the value did, scaled alike: the mask is the same draw.
    let found = call(&[reals([100], &[1.0; 100])], |args| {
        let y = Dropout(0.5).forward(&args[0], &Mode::train());
        let gradient = grad(&y.sum(), &[&args[0]]).remove(0);
        vec![y, gradient]
    });
    let found = found.unwrap();
    assert_eq!(found[0], found[1]);
    // Nothing is kept, but a gradient of 0 exists.
    let found =
        call(&[reals([2], &[1.0; 2])], |args| vec![grad(&Dropout(1.0).forward(&args[0], &Mode::train()).sum(), &[&args[0]]).remove(0)]);
    assert_eq!(found.unwrap(), [[0.0, 0.0]]);
    for p in [-0.1, 1.5, f64::NAN] {
        for mode in [Mode::train(), Mode::eval()] {
            assert_eq!(message(&Dropout(p).forward(&x, &mode)), format!("Dropout: the probability {p} does not lie in 0..=1"));
        }
    }
}

struct Net {
    body: Sequential,
    scale: Param,
}

impl Module for Net {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.body.forward(x, mode) * &self.scale
    }
    fn parameters(&self) -> Vec<(String, Param)> {
        [named("body", &self.body), vec![("scale".into(), self.scale.clone())]].concat()
    }
}

#[test]
fn modules_nest_and_parameters_are_named_by_path() {
    let shared: Arc<dyn Module> = Arc::new(Linear::new(3, 3).without_bias());
    let body = Sequential::new()
        .then(Flatten)
        .then(Linear::new(4, 3))
        .then(Relu)
        .then(Tensor::tanh)
        .then(|x: &Tensor| x * 2.0)
        .then(activation::gelu)
        .then(shared.clone())
        .then(Box::new(LeakyRelu(0.1)) as Box<dyn Module>)
        .then(Sequential::new().then(Dropout(0.5)).then(Linear::new(3, 2)));
    assert_eq!((body.len(), body.is_empty(), body.get(9).is_none()), (9, false, true));
    assert!(format!("{body:?}").starts_with("Sequential(9 modules, 1.weight [3, 4]"), "{body:?}");
    let net: Box<dyn Module> = Box::new(Net { body, scale: Param::scalar("scale", 2.0) });
    let names: Vec<String> = net.parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["body.1.weight", "body.1.bias", "body.6.weight", "body.8.1.weight", "body.8.1.bias", "scale"]);
    let y = net.forward(&Tensor::zeros([5, 2, 2]), &Mode::eval());
    assert_eq!(y.shape()[..], [5, 2]);
    assert_eq!(net.parameters()[2].1.state().id(), shared.parameters()[0].1.state().id());
    let again: Sequential = [shared.clone(), shared].into_iter().collect();
    assert_eq!(again.forward(&Tensor::zeros([3]), &Mode::eval()).shape()[..], [3]);
}

#[test]
fn a_mistake_points_to_the_line_of_the_program() {
    let mode = Mode::eval();
    let layer = Linear::new(784, 10);
    let line = line!() + 1;
    let direct = layer.forward(&Tensor::zeros([128, 512]), &mode);
    assert_eq!(
        message(&direct),
        format!("Linear: the layer takes 784 features and gives 10; the input [128, 512] has 512 on its last axis ({}:{line})", file!())
    );
    let line = line!() + 1;
    let model = Sequential::new().then(Linear::new(784, 512)).then(Relu).then(Linear::new(100, 10));
    let found = message(&model.forward(&Tensor::zeros([128, 784]), &mode));
    assert_eq!(
        found,
        format!(
            "layer 2: Linear: the layer takes 100 features and gives 10; the input [128, 512] has 512 on its last axis ({}:{line})",
            file!()
        )
    );
    // A line of the user's own layer stays.
    let line = line!() + 1;
    let model = Sequential::new().then(Relu).then(|x: &Tensor| x.reshape([7]));
    let found = message(&model.forward(&Tensor::zeros([2]), &mode));
    assert!(found.starts_with("layer 1: reshape") && found.ends_with(&format!("({}:{line})", file!())), "{found}");
    // The first mistake is reported, once.
    let mistake = Tensor::zeros([2]).reshape([3]);
    assert_eq!(message(&model.forward(&mistake, &mode)), message(&mistake));
}

#[test]
fn input_that_does_not_fit_is_named() {
    let mode = Mode::train();
    let indices = Tensor::from([1u32, 2]);
    assert!(message(&Linear::new(2, 2).forward(&indices, &mode)).contains("the input is u32[2], not f32"));
    assert!(message(&Linear::new(2, 2).forward(&Tensor::from(1.0f32), &mode)).contains("scalar"));
    assert!(message(&Embedding::new(2, 2).forward(&Tensor::zeros([2]), &mode)).contains("not indices"));
    assert!(message(&Flatten.forward(&Tensor::zeros([2]), &mode)).contains("no axes after the batch axis"));
    assert!(message(&Dropout(0.5).forward(&indices, &mode)).contains("not f32"));
    assert!(message(&Linear::new(usize::MAX, 2).forward(&Tensor::zeros([2]), &mode)).contains("more elements than can be addressed"));
    assert!(message(&Embedding::new(usize::MAX, 2).forward(&indices, &mode)).contains("more elements than can be addressed"));
    let mut odd = Linear::new(2, 2);
    odd.weight = given("weight", [4], &[0.0; 4]);
    assert!(message(&odd.forward(&Tensor::zeros([2]), &mode)).contains("replaced"));
    let mut odd = Embedding::new(2, 2);
    odd.weight = given("weight", [4], &[0.0; 4]);
    assert!(message(&odd.forward(&indices, &mode)).contains("replaced"));
}

#[test]
fn a_mode_collects_updates() {
    struct Counting(Param);
    impl Module for Counting {
        fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
            if mode.is_training() {
                mode.update(&self.0, mode.value(&self.0) + 1.0);
            }
            x.clone()
        }
        fn buffers(&self) -> Vec<(String, Param)> {
            vec![("seen".into(), self.0.clone())]
        }
    }
    let counting: Arc<dyn Module> = Arc::new(Counting(Param::new("seen", Shape::scalar(), Init::Full(noyau_tensor::Scalar::Float(5.0)))));
    let model: Sequential = [counting.clone(), counting].into_iter().collect();
    assert_eq!(model.buffers().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["0.seen", "1.seen"]);
    assert!(model.parameters().is_empty());
    let mode = Mode::train();
    let _ = model.forward(&Tensor::zeros([1]), &mode);
    let updates = mode.take_updates();
    assert_eq!(updates.len(), 1);
    assert_close(&eval(&updates[0].1), &[7.0], 0.0);
    assert!(mode.take_updates().is_empty());
    let mode = Mode::eval();
    let _ = model.forward(&Tensor::zeros([1]), &mode);
    assert!(mode.take_updates().is_empty());
    assert_eq!(updates[0].0.dtype(), DType::F32);
}

//! Models that come back from files compute what they did, and files that cannot be read say why.

use noyau_nn::*;
use noyau_onnx::export::{Export, OPSET};
use noyau_onnx::proto::ModelProto;
use noyau_onnx::{Dim, Model};
use noyau_tensor::{Array, Error, Param, Tensor, grad};
use noyau_train::{Device, Session, Spec, Step};
use prost::Message;

fn session() -> Session {
    Session::with_seed(Device::cpu(), 7)
}

fn mlp() -> Sequential {
    Sequential::new().then(Linear::new(6, 5)).then(Relu).then(Linear::new(5, 3)).then(Softmax(-1))
}

fn cnn() -> Sequential {
    let first = Sequential::new().then(Conv2d::new(2, 4, 3).padding(1)).then(BatchNorm2d::new(4)).then(Relu).then(MaxPool2d::new(2));
    first.then(AvgPool2d::new(3).stride(1).padding(1)).then(Flatten).then(Dropout(0.5)).then(Linear::new(64, 10))
}

fn values(array: &Array) -> Vec<f32> {
    array.words().iter().map(|&word| f32::from_bits(word)).collect()
}

/// Numbers that are no pattern of the model's.
fn sample(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
    Tensor::new(&numbers, shape)
}

/// Writes `model`, reads it back and compares both on a batch of 2 and, sizes being open, of 3.
#[track_caller]
fn there_and_back(model: &dyn Module, shape: &[usize]) -> (Session, Model) {
    let session = session();
    let (bytes, _) = Export::new([&[1], shape].concat()).names("x", "y").to_bytes(&session, model).unwrap_or_else(|e| panic!("{e}"));
    let read = Model::from_bytes("model.onnx", &bytes).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((read.inputs().len(), read.outputs().len(), read.opset()), (1, 1, OPSET));
    assert_eq!(read.inputs()[0].shape.as_ref().map(|shape| shape[0].clone()), Some(Dim::Named("batch".into())));
    for batch in [2, 3] {
        let x = sample(&[&[batch], shape].concat());
        let wanted = session.eval(&model.forward(&x, &Mode::eval())).unwrap();
        let got = session.eval(&read.run_tensors(&[x]).unwrap_or_else(|e| panic!("{e}"))[0]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(got.shape(), wanted.shape());
        let (got, wanted) = (values(&got), values(&wanted));
        assert!(wanted.iter().any(|v| (v - wanted[0]).abs() > 1e-3), "the results do not depend on anything: {wanted:?}");
        for (a, b) in got.iter().zip(&wanted) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{got:?}, expected {wanted:?}");
        }
    }
    (session, read)
}

#[test]
fn an_mlp_comes_back() {
    let (_, read) = there_and_back(&mlp(), &[6]);
    assert_eq!(read.parameters().iter().map(|(_, p)| p.shape().numel()).sum::<usize>(), 6 * 5 + 5 + 5 * 3 + 3);
}

#[test]
fn a_cnn_comes_back() {
    let (_, read) = there_and_back(&cnn(), &[2, 8, 8]);
    // The running mean and variance are no parameters.
    assert_eq!(read.buffers().iter().map(|(_, p)| p.shape().numel()).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn what_comes_back_can_be_trained() {
    let (session, read) = there_and_back(&mlp(), &[6]);
    let params: Vec<Param> = read.parameters().into_iter().map(|(_, param)| param).collect();
    let mut step = session
        .compile([Spec::f32([4, 6])], |[x]| {
            let loss = -read.forward(&x, &Mode::train()).slice(1, 0..1).log().mean();
            let gradients = grad(&loss, &params.iter().map(Param::tensor).collect::<Vec<_>>());
            Step::returns(&loss).updates(params.iter().zip(&gradients).map(|(p, g)| (p.clone(), p.tensor() - g * 0.1)))
        })
        .unwrap();
    let before: Vec<Array> = params.iter().map(|p| session.get(p).unwrap()).collect();
    let x = session.eval(&sample(&[4, 6])).unwrap();
    let losses: Vec<f32> = (0..30).map(|_| step.run(&[&x]).unwrap()[0].item()).collect();
    assert!(losses[29] < 0.8 * losses[0], "{losses:?}");
    for (param, before) in params.iter().zip(&before) {
        assert_ne!(&session.get(param).unwrap(), before, "{param:?} did not move");
    }
}

#[test]
fn all_that_is_not_supported_is_named_at_once() {
    let (bytes, _) = Export::new([1, 6]).to_bytes(&session(), &mlp()).unwrap();
    let mut file = ModelProto::decode(&bytes[..]).unwrap();
    for node in &mut file.graph.as_mut().unwrap().node {
        match node.op_type.as_str() {
            "Relu" => node.op_type = "Frobnicate".into(),
            "Softmax" => node.op_type = "Twiddle".into(),
            _ => {}
        }
    }
    let error = Model::from_bytes("model.onnx", &file.encode_to_vec()).unwrap_err();
    let message = error.to_string();
    for part in ["model.onnx", "2 kinds of operations", "Frobnicate", "Twiddle"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn damaged_files_are_errors() {
    let (bytes, _) = Export::new([1, 6]).to_bytes(&session(), &mlp()).unwrap();
    for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(Model::from_bytes("cut.onnx", &bytes[..end]), Err(Error::Data { .. })), "{end} bytes");
    }
    let mut file = ModelProto::decode(&bytes[..]).unwrap();
    file.graph.as_mut().unwrap().node[0].input[0] = "elsewhere".into();
    let message = Model::from_bytes("model.onnx", &file.encode_to_vec()).unwrap_err().to_string();
    assert!(message.contains("elsewhere"), "{message}");
}

#[test]
fn wrong_inputs_are_errors() {
    let (bytes, _) = Export::new([1, 6]).names("x", "y").to_bytes(&session(), &mlp()).unwrap();
    let model = Model::from_bytes("model.onnx", &bytes).unwrap();
    let message = model.run_tensors(&[sample(&[2, 7])]).unwrap_err().to_string();
    assert!(message.contains("`x: float[batch, 6]` got a tensor of shape") && message.contains('7'), "{message}");
    let message = model.run_tensors(&[]).unwrap_err().to_string();
    assert!(message.contains("0 inputs were given; the model takes 1"), "{message}");
}

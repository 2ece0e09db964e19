//! What export writes and what it refuses. That other runtimes compute the same with it is for scripts/interop.

use std::collections::BTreeMap;

use noyau_nn::*;
use noyau_onnx::export::{Export, Exported, OPSET, export};
use noyau_onnx::proto::tensor_shape_proto::dimension::Value;
use noyau_onnx::proto::{ModelProto, ValueInfoProto, type_proto};
use noyau_tensor::{DType, Error, Param, Tensor};
use noyau_train::{Device, Session};
use prost::Message;

fn session() -> Session {
    Session::with_seed(Device::cpu(), 7)
}

#[track_caller]
fn written(model: &dyn Module, how: &Export) -> (ModelProto, Exported) {
    let (bytes, written) = how.to_bytes(&session(), model).unwrap_or_else(|e| panic!("{e}"));
    (ModelProto::decode(&bytes[..]).expect("a file of ONNX"), written)
}

/// How many operations of each kind there are.
fn counts(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter().map(|(op, count)| (op.to_string(), *count)).collect()
}

/// A size of a value: a number, a name, or nothing.
fn sizes(info: &ValueInfoProto) -> Vec<Option<Value>> {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else { panic!("no tensor") };
    tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| dim.value.clone()).collect()
}

fn batch() -> Option<Value> {
    Some(Value::DimParam("batch".into()))
}

fn cnn() -> Sequential {
    let first = Sequential::new().then(Conv2d::new(1, 4, 3).padding(1)).then(BatchNorm2d::new(4)).then(Relu).then(MaxPool2d::new(2));
    first.then(AvgPool2d::new(3).stride(1).padding(1)).then(Flatten).then(Dropout(0.5)).then(Linear::new(64, 10)).then(Softmax(-1))
}

#[test]
fn compositions_are_the_operations_that_onnx_has() {
    let (model, report) = written(&cnn(), &Export::new([1, 1, 8, 8]).names("image", "classes").name("digits"));
    let ops = ["AveragePool", "BatchNormalization", "Conv", "Gemm", "MaxPool", "Relu", "Reshape", "Softmax"];
    assert_eq!(report.operations, counts(&ops.map(|op| (op, 1))));
    assert_eq!((report.any_batch, report.notices, report.parameters), (true, vec![], 4 * 9 + 4 + 4 * 4 + 64 * 10 + 10));
    assert_eq!(model.opset_import[0].version, OPSET);
    let graph = model.graph.expect("a graph");
    assert_eq!((graph.name.as_str(), graph.input[0].name.as_str(), graph.output[0].name.as_str()), ("digits", "image", "classes"));
    let number = |n: i64| Some(Value::DimValue(n));
    assert_eq!(sizes(&graph.input[0]), [batch(), number(1), number(8), number(8)]);
    assert_eq!(sizes(&graph.output[0]), [batch(), number(10)]);
    // The last operation gives the result itself.
    assert_eq!(graph.node.last().map(|node| &node.output[..]), Some(&["classes".to_string()][..]));
}

#[test]
fn weights_have_the_models_names_and_values() {
    let (session, model) = (session(), cnn());
    let (bytes, _) = Export::new([1, 1, 8, 8]).to_bytes(&session, &model).unwrap();
    let graph = ModelProto::decode(&bytes[..]).unwrap().graph.unwrap();
    for (name, param) in [model.parameters(), model.buffers()].concat() {
        let stored = graph.initializer.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"));
        let shape: Vec<i64> = param.shape().iter().map(|&d| d as i64).collect();
        let raw: Vec<u8> = session.get(&param).unwrap().words().iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!((&stored.dims, &stored.raw_data), (&shape, &raw), "{name}");
    }
    let (again, _) = Export::new([1, 1, 8, 8]).to_bytes(&session, &model).unwrap();
    assert!(bytes == again, "the same model makes other bytes");
}

#[test]
fn norms_and_activations_are_recognised() {
    let model = Sequential::new().then(LayerNorm::new([6])).then(LeakyRelu(0.2)).then(Elu(0.5)).then(Softplus).then(LogSoftmax(1));
    let (model, report) = written(&model.then(Tensor::sigmoid), &Export::new([2, 6]));
    let ops = ["Elu", "LayerNormalization", "LeakyRelu", "LogSoftmax", "Sigmoid", "Softplus"];
    assert_eq!(report.operations, counts(&ops.map(|op| (op, 1))));
    let graph = model.graph.unwrap();
    let alpha = |op: &str| graph.node.iter().find(|node| node.op_type == op).map(|node| node.attribute[0].f);
    assert_eq!((alpha("LeakyRelu"), alpha("Elu")), (Some(0.2), Some(0.5)));
}

#[test]
fn what_only_looks_like_a_composition_is_written_as_it_is() {
    // A softmax whose sum is over another axis than its maximum, and a mean with another divisor.
    let model = |x: &Tensor| {
        let exp = (x - x.max_keep(&[1])).exp();
        (&exp / exp.sum_keep(&[2])) + x.sum_keep(&[2]) * 0.3
    };
    let (_, report) = written(&model, &Export::new([2, 3, 4]));
    for op in ["Softmax", "ReduceMean"] {
        assert!(!report.operations.contains_key(op), "{:?}", report.operations);
    }
}

#[test]
fn a_batch_that_is_fixed_says_why() {
    let model = |x: &Tensor| x - x.mean_keep(&[0]);
    let (file, report) = written(&model, &Export::new([5, 3]));
    assert!(!report.any_batch);
    let [notice] = &report.notices[..] else { panic!("{:?}", report.notices) };
    for part in ["the file takes batches of 5 only", "another one for another batch", "export.rs:"] {
        assert!(notice.contains(part), "no {part:?} in: {notice}");
    }
    assert_eq!(sizes(&file.graph.unwrap().input[0]), [Some(Value::DimValue(5)), Some(Value::DimValue(3))]);
    // Asked for, it is no surprise.
    let (file, report) = written(&cnn(), &Export::new([5, 1, 8, 8]).fixed_batch());
    assert_eq!((report.any_batch, &report.notices[..]), (false, &[][..]));
    assert_eq!(sizes(&file.graph.unwrap().output[0]), [Some(Value::DimValue(5)), Some(Value::DimValue(10))]);
}

#[track_caller]
fn refused(model: &dyn Module, how: &Export, parts: &[&str]) {
    let message = how.to_bytes(&session(), model).expect_err("it cannot be written").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn what_cannot_be_written_is_listed_with_its_lines() {
    let random = |x: &Tensor| {
        let noise = Tensor::rand(x.shape());
        x + noise
    };
    refused(
        &random,
        &Export::new([2, 3]),
        &["1 operations have no form in ONNX", "philox draws random numbers (crates/onnx/tests/export.rs:"],
    );
    let shifted = |x: &Tensor| x.shl(2i32);
    refused(&shifted, &Export::new([2, 3]).dtype(DType::I32), &["shl shifts signed integers", "export.rs:"]);
}

/// Two parts under one name.
struct Twins(Linear, Linear);

impl Module for Twins {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.0.forward(x, mode) + self.1.forward(x, mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [named("fc", &self.0), named("fc", &self.1)].concat()
    }
}

#[test]
fn mistakes_come_back() {
    refused(&Linear::new(4, 2), &Export::new([1, 3]), &["the layer takes 4 features", "has 3 on its last axis"]);
    refused(&Twins(Linear::new(3, 2), Linear::new(3, 2)), &Export::new([1, 3]), &["two values are called `fc.weight`"]);
    let missing = export(&cnn(), &session(), [1, 1, 8, 8], "no/such/folder/x.onnx");
    assert!(matches!(missing, Err(Error::Io { .. })), "{missing:?}");
}

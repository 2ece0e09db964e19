//! Models in ONNX's format.

use std::fs;

use noyau::onnx::Model;
use noyau::onnx::proto::type_proto::{Tensor as TensorType, Value};
use noyau::onnx::proto::*;
use noyau::onnx::{DataType, Message};
use noyau::prelude::*;

use crate::case::Section;

/// A node.
fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |all: &[&str]| all.iter().map(|name| name.to_string()).collect();
    NodeProto { op_type: op.into(), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

/// `x` or `y`, of 3 numbers each.
fn info(name: &str) -> ValueInfoProto {
    let value = Some(tensor_shape_proto::dimension::Value::DimValue(3));
    let shape = Some(TensorShapeProto { dim: vec![tensor_shape_proto::Dimension { value, ..Default::default() }] });
    let tensor = TensorType { elem_type: DataType::Float as i32, shape };
    let r#type = Some(TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

/// The bytes of a model from `x` to `y`, by version 18 of the operations or another.
fn version(version: i64, nodes: Vec<NodeProto>, stored: Vec<TensorProto>) -> Vec<u8> {
    let (input, output) = (vec![info("x")], vec![info("y")]);
    let graph = GraphProto { node: nodes, initializer: stored, input, output, ..GraphProto::default() };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version }];
    ModelProto { ir_version: 9, opset_import, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
}

fn model(nodes: Vec<NodeProto>, stored: Vec<TensorProto>) -> Vec<u8> {
    version(18, nodes, stored)
}

/// A stored tensor `b` of f32.
fn stored(dims: &[i64], values: &[f32]) -> TensorProto {
    let (name, dims, float_data) = ("b".into(), dims.to_vec(), values.to_vec());
    TensorProto { name, dims, data_type: DataType::Float as i32, float_data, ..TensorProto::default() }
}

/// A stored tensor `b` whose values lie in another file.
fn elsewhere(place: &str) -> TensorProto {
    let external_data = vec![StringStringEntryProto { key: "location".into(), value: place.into() }];
    TensorProto { external_data, data_location: tensor_proto::DataLocation::External as i32, ..stored(&[3], &[]) }
}

pub fn section() -> Section {
    let cases = vec![
        bad! { "Something else under the name of a model",
            what: "no ONNX model, or a damaged one", place: "net.onnx", remedy: "fetch or export it again",
            code: {
                fs::write("net.onnx", "hello world").unwrap();
                Model::open("net.onnx")
            }
        },
        bad! { "Operations that noyau does not have",
            what: "2 kinds of operations in it are not supported", place: "first by node 0 (Frobnicate)", remedy: "docs/ONNX.md has the list of those that are",
            code: {
                fs::write("net.onnx", model(vec![node("Frobnicate", &["x"], &["h"]), node("Twiddle", &["h"], &["y"])], vec![])).unwrap();
                Model::open("net.onnx")
            }
        },
        bad! { "A version of the operations that nobody knows yet",
            what: "uses version 99 of ONNX's operations", place: "net.onnx", remedy: "export it with one of these",
            code: {
                fs::write("net.onnx", version(99, vec![node("Relu", &["x"], &["y"])], vec![])).unwrap();
                Model::open("net.onnx")
            }
        },
        bad! { "Nodes in a circle",
            what: "reads `b`", place: "node 0 (Relu), which makes `a`", remedy: "nodes must stand in order, without cycles",
            code: {
                fs::write("net.onnx", model(vec![node("Relu", &["b"], &["a"]), node("Relu", &["a"], &["b"])], vec![])).unwrap();
                Model::open("net.onnx")
            }
        },
        bad! { "A weight that promises 2 GB and holds one number",
            what: "536870912 elements of FLOAT, but float_data holds 1", place: "the initialiser `b`", remedy: "export it again",
            code: {
                fs::write("net.onnx", model(vec![node("Add", &["x", "b"], &["y"])], vec![stored(&[1 << 29], &[0.5])])).unwrap();
                Model::open("net.onnx")
            }
        },
        bad! { "Weights in a file that is not the model's",
            what: "lies in \"../../secret\"", place: "the tensor `b`", remedy: "only files in the model's own folder are read",
            code: {
                fs::write("net.onnx", model(vec![node("Add", &["x", "b"], &["y"])], vec![elsewhere("../../secret")])).unwrap();
                Model::open("net.onnx")
            }
        },
        bad! { "Weights in another file, and a model from memory",
            what: "keeps its values in another file", place: "the initialiser `b`", remedy: "open the model by its path, with that file beside it",
            code: {
                Model::from_bytes("net.onnx", &model(vec![node("Add", &["x", "b"], &["y"])], vec![elsewhere("net.data")]))
            }
        },
        bad! { "An input of another shape than the model's",
            what: "got a tensor of shape [2]", place: "net.onnx: the input `x", remedy: "float[3]",
            code: {
                let net = Model::from_bytes("net.onnx", &model(vec![node("Relu", &["x"], &["y"])], vec![])).unwrap();
                net.run_tensors(&[Tensor::from([1.0, 2.0])])
            }
        },
        bad! { "A shape that depends on data",
            what: "depends on data", place: "node 0 (Reshape)", remedy: "give it as a constant",
            code: {
                let net = Model::from_bytes("net.onnx", &model(vec![node("Reshape", &["x", "x"], &["y"])], vec![])).unwrap();
                let session = Session::new(Device::cpu());
                session.compile([Spec::f32([3])], |[x]| Step::returns(&net.forward(&x, &Mode::eval())))
            }
        },
    ];
    Section {
        title: "Models in ONNX's format",
        words: "`model(nodes, stored)` makes the bytes of a file that goes from `x` to `y`, of 3 numbers each; `stored` and `elsewhere` make a weight `b` in the file and in another one. All operations that are missing are named at once.",
        cases,
    }
}

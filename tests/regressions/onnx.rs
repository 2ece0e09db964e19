//! ONNX models: what reading and tracing them has to keep up for any bytes, and well-formed ones for fuzzing to begin with.

use noyau_onnx::proto::type_proto::{Tensor as TensorType, Value};
use noyau_onnx::proto::*;
use noyau_onnx::{DataType, Dim, Message, Model};
use noyau_tensor::{DType, Error, Scalar, Tensor};

use crate::parsers::{NAME, parsed};

/// The most elements of an input that a model is traced with. Values are expressions, so none are made.
const MOST: usize = 1 << 20;

/// Reads a model, and traces it for inputs of its shapes.
pub fn onnx(bytes: &[u8]) -> bool {
    // An empty node of two bytes has lists and names that are there three times while it is checked.
    let Some(model) = parsed(bytes, 2048, || Model::from_bytes(NAME, bytes)) else { return false };
    let mut inputs = Vec::new();
    for port in model.inputs() {
        let sizes = port.shape.iter().flatten().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 2 });
        let shape: Vec<usize> = sizes.collect();
        let dtype = port.kind.dtype().unwrap_or(DType::I32);
        if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > MOST) {
            return true;
        }
        inputs.push(Tensor::full(shape, Scalar::new(1.0, dtype)));
    }
    match model.run_tensors(&inputs) {
        Ok(results) => assert!(results.len() == model.outputs().len() && results.iter().all(|tensor| tensor.error().is_none())),
        Err(error) => {
            let text = error.to_string();
            assert!(matches!(error, Error::Data { .. }), "not an error of data: {error:?}");
            assert!(text.starts_with(&format!("{NAME}: ")), "the file is not named: {text}");
            assert!(text.len() < 20_000 + 4 * bytes.len(), "a message of {} bytes", text.len());
        }
    }
    true
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let names = |all: &[&str]| all.iter().map(|name| name.to_string()).collect();
    NodeProto { op_type: op.into(), input: names(inputs), output: names(outputs), attribute, ..NodeProto::default() }
}

fn attribute(name: &str) -> AttributeProto {
    AttributeProto { name: name.into(), ..AttributeProto::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, r#type: attribute_proto::AttributeType::Int as i32, ..attribute(name) }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { ints: ints.to_vec(), r#type: attribute_proto::AttributeType::Ints as i32, ..attribute(name) }
}

fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { s: s.as_bytes().to_vec(), r#type: attribute_proto::AttributeType::String as i32, ..attribute(name) }
}

fn inner(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(graph), r#type: attribute_proto::AttributeType::Graph as i32, ..attribute(name) }
}

/// Numbers that are no pattern of the model's.
fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let raw_data = (0..count).flat_map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).to_le_bytes()).collect();
    TensorProto { name: name.into(), dims: dims.to_vec(), data_type: DataType::Float as i32, raw_data, ..TensorProto::default() }
}

fn whole(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let (name, int64_data) = (name.to_string(), values.to_vec());
    TensorProto { name, dims: dims.to_vec(), data_type: DataType::Int64 as i32, int64_data, ..TensorProto::default() }
}

/// A value's type; a size of -1 is open.
fn info(name: &str, kind: DataType, dims: &[i64]) -> ValueInfoProto {
    let dim = |&n: &i64| tensor_shape_proto::Dimension {
        value: Some(match n {
            -1 => tensor_shape_proto::dimension::Value::DimParam("n".into()),
            n => tensor_shape_proto::dimension::Value::DimValue(n),
        }),
        ..tensor_shape_proto::Dimension::default()
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = TensorType { elem_type: kind as i32, shape };
    let r#type = Some(TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

fn model(graph: GraphProto) -> ModelProto {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 21 }];
    ModelProto { ir_version: 10, opset_import, graph: Some(graph), ..ModelProto::default() }
}

fn float(name: &str, dims: &[i64]) -> ValueInfoProto {
    info(name, DataType::Float, dims)
}

/// File names and contents.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mlp = GraphProto {
        node: vec![
            node("Gemm", &["x", "w1", "b1"], &["h"], vec![int("transB", 1)]),
            node("Relu", &["h"], &["r"], vec![]),
            node("MatMul", &["r", "w2"], &["l"], vec![]),
            node("Softmax", &["l"], &["y"], vec![int("axis", -1)]),
        ],
        initializer: vec![floats("w1", &[4, 3]), floats("b1", &[4]), floats("w2", &[4, 2])],
        input: vec![float("x", &[-1, 3])],
        output: vec![float("y", &[-1, 2])],
        ..GraphProto::default()
    };
    let cnn = GraphProto {
        node: vec![
            node("Conv", &["x", "w"], &["c"], vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[1, 1])]),
            node("BatchNormalization", &["c", "s", "s", "s", "v"], &["n"], vec![]),
            node("MaxPool", &["n"], &["p"], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
            node("Resize", &["p", "", "", "sizes"], &["z"], vec![text("mode", "linear")]),
            node("Shape", &["z"], &["shape"], vec![]),
            node("Gather", &["shape", "zero"], &["n0"], vec![int("axis", 0)]),
            node("Concat", &["n0", "rest"], &["to"], vec![int("axis", 0)]),
            node("Reshape", &["z", "to"], &["y"], vec![]),
        ],
        initializer: vec![
            floats("w", &[2, 1, 3, 3]),
            floats("s", &[2]),
            floats("v", &[2]),
            whole("sizes", &[4], &[1, 2, 3, 5]),
            whole("zero", &[1], &[0]),
            whole("rest", &[1], &[-1]),
        ],
        input: vec![float("x", &[1, 1, 4, 4])],
        output: vec![float("y", &[1, -1])],
        ..GraphProto::default()
    };
    let body = GraphProto {
        node: vec![
            node("Add", &["sum", "x"], &["next"], vec![]),
            node("Identity", &["going"], &["still"], vec![]),
            node("Mul", &["next", "next"], &["seen"], vec![]),
        ],
        input: vec![info("i", DataType::Int64, &[]), info("going", DataType::Bool, &[]), float("sum", &[2])],
        output: vec![info("still", DataType::Bool, &[]), float("next", &[2]), float("seen", &[2])],
        name: "body".into(),
        ..GraphProto::default()
    };
    let branch = |op: &str| GraphProto {
        node: vec![node(op, &["last"], &["chosen"], vec![])],
        output: vec![float("chosen", &[2])],
        name: op.into(),
        ..GraphProto::default()
    };
    let control = GraphProto {
        node: vec![
            node("Loop", &["count", "", "x"], &["last", "all"], vec![inner("body", body)]),
            node("ReduceSum", &["last"], &["total"], vec![int("keepdims", 0)]),
            node("Greater", &["total", "limit"], &["large"], vec![]),
            node("If", &["large"], &["y"], vec![inner("then_branch", branch("Neg")), inner("else_branch", branch("Abs"))]),
            node("SequenceConstruct", &["y", "x"], &["list"], vec![]),
            node("SequenceAt", &["list", "zero"], &["z"], vec![]),
        ],
        initializer: vec![whole("count", &[], &[3]), floats("limit", &[]), whole("zero", &[], &[0])],
        input: vec![float("x", &[2])],
        output: vec![float("z", &[2]), float("all", &[3, 2])],
        ..GraphProto::default()
    };
    let function = FunctionProto {
        name: "Twice".into(),
        domain: "own".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![
            node("Constant", &[], &["two"], vec![int("value_int", 2)]),
            node("CastLike", &["two", "a"], &["c"], vec![]),
            node("Mul", &["a", "c"], &["b"], vec![]),
        ],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 21 }],
        ..FunctionProto::default()
    };
    let call = NodeProto { domain: "own".into(), ..node("Twice", &["x"], &["t"], vec![]) };
    let lstm = GraphProto {
        node: vec![
            call,
            node("LSTM", &["t", "w", "r", "b"], &["h", "", "c"], vec![int("hidden_size", 2), text("direction", "bidirectional")]),
            node("Transpose", &["h"], &["y"], vec![ints("perm", &[2, 0, 1, 3])]),
        ],
        initializer: vec![floats("w", &[2, 8, 3]), floats("r", &[2, 8, 2]), floats("b", &[2, 16])],
        input: vec![float("x", &[3, 1, 3])],
        output: vec![float("y", &[1, 3, 2, 2]), float("c", &[2, 1, 2])],
        ..GraphProto::default()
    };
    let mut functions = model(lstm);
    functions.functions = vec![function];
    functions.opset_import.push(OperatorSetIdProto { domain: "own".into(), version: 1 });
    let places = GraphProto {
        node: vec![
            node("ScatterND", &["x", "at", "new"], &["s"], vec![]),
            node("TopK", &["s", "k"], &["top", "where"], vec![int("axis", 0)]),
            node("GatherElements", &["s", "where"], &["g"], vec![int("axis", 0)]),
            node("Slice", &["g", "zero", "k", "zero"], &["cut"], vec![]),
            node("Einsum", &["cut", "cut"], &["e"], vec![text("equation", "ij,ik->jk")]),
            node("Pad", &["e", "widths"], &["p"], vec![text("mode", "reflect")]),
            node("CumSum", &["p", "axis"], &["y"], vec![int("reverse", 1)]),
        ],
        initializer: vec![
            whole("at", &[1, 1], &[2]),
            floats("new", &[1, 3]),
            whole("k", &[1], &[2]),
            whole("zero", &[1], &[0]),
            whole("widths", &[4], &[1, 0, 0, 1]),
            whole("axis", &[], &[1]),
        ],
        input: vec![float("x", &[4, 3])],
        output: vec![float("y", &[4, 4]), info("where", DataType::Int64, &[2, 3])],
        ..GraphProto::default()
    };
    let doubles = GraphProto {
        node: vec![node("Add", &["x", "c"], &["y"], vec![])],
        initializer: vec![TensorProto {
            name: "c".into(),
            data_type: DataType::Double as i32,
            double_data: vec![0.5],
            ..TensorProto::default()
        }],
        input: vec![info("x", DataType::Double, &[2])],
        output: vec![info("y", DataType::Double, &[2])],
        ..GraphProto::default()
    };
    let all = [
        ("mlp", model(mlp)),
        ("cnn", model(cnn)),
        ("control", model(control)),
        ("functions", functions),
        ("places", model(places)),
        ("doubles", model(doubles)),
    ];
    all.into_iter().map(|(name, model)| (name.to_string(), model.encode_to_vec())).collect()
}

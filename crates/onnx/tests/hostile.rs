//! Files that are damaged, or made to do harm: each is an error that says what is wrong, and none takes more memory or time than the file has a right to.

use std::fs;
use std::path::Path;

use noyau_onnx::proto::type_proto::{Tensor as TensorType, Value};
use noyau_onnx::proto::*;
use noyau_onnx::{DataType, Message, Model};
use noyau_tensor::{Error, Tensor};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |all: &[&str]| all.iter().map(|name| name.to_string()).collect();
    NodeProto { op_type: op.into(), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: ints.to_vec(), ..AttributeProto::default() }
}

fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: name.into(), g: Some(graph), ..AttributeProto::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let float_data = values.to_vec();
    TensorProto { name: name.into(), dims: dims.to_vec(), data_type: DataType::Float as i32, float_data, ..TensorProto::default() }
}

fn whole(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let int64_data = values.to_vec();
    TensorProto { name: name.into(), dims: dims.to_vec(), data_type: DataType::Int64 as i32, int64_data, ..TensorProto::default() }
}

fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let value = |&n: &i64| Some(tensor_shape_proto::dimension::Value::DimValue(n));
    let dim = dims.iter().map(|n| tensor_shape_proto::Dimension { value: value(n), ..Default::default() }).collect();
    let tensor = TensorType { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

/// A graph from `x` [2] to `y`.
fn graph(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> GraphProto {
    GraphProto { node, initializer, input: vec![info("x", &[2])], output: vec![info("y", &[2])], ..GraphProto::default() }
}

fn model(graph: GraphProto) -> ModelProto {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 18 }];
    ModelProto { ir_version: 9, opset_import, graph: Some(graph), ..ModelProto::default() }
}

/// What is said to a model when it is read or, at the latest, when it is applied to two numbers.
#[track_caller]
fn refused(model: &ModelProto, parts: &[&str]) {
    said(Model::from_bytes("bad.onnx", &model.encode_to_vec()).and_then(|model| model.run_tensors(&[Tensor::zeros([2])])), parts);
}

#[track_caller]
fn said<T>(result: Result<T, Error>, parts: &[&str]) {
    let Err(error) = result else { panic!("was taken") };
    let message = error.to_string();
    assert!(matches!(error, Error::Data { .. }), "{error:?}");
    assert!(message.len() < 4000, "{} bytes", message.len());
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    let whole = model(graph(vec![node("Add", &["x", "b"], &["y"])], vec![floats("b", &[2], &[1.0, 2.0])])).encode_to_vec();
    assert!(Model::from_bytes("whole.onnx", &whole).is_ok());
    // What comes behind the graph is the version of its operations, so every shorter file lacks something.
    for end in 0..whole.len() {
        said(Model::from_bytes("cut.onnx", &whole[..end]).map(drop), &["cut.onnx: "]);
    }
}

#[test]
fn sizes_that_a_file_does_not_hold_are_errors() {
    let add = || vec![node("Add", &["x", "b"], &["y"])];
    refused(&model(graph(add(), vec![floats("b", &[1 << 29], &[1.0])])), &["`b`", "[536870912]", "holds 1"]);
    refused(&model(graph(add(), vec![floats("b", &[i64::MAX, i64::MAX], &[])])), &["`b`", "cannot be counted"]);
    refused(&model(graph(add(), vec![floats("b", &[-2], &[])])), &["`b`", "-2", "sizes are 0 or more"]);
    let raw = TensorProto { name: "b".into(), dims: vec![1 << 29], data_type: 1, raw_data: vec![0; 8], ..TensorProto::default() };
    refused(&model(graph(add(), vec![raw])), &["`b`", "536870912 elements of FLOAT of 4 bytes", "its raw data has 8 bytes"]);
    let unknown = TensorProto { name: "b".into(), data_type: 999, ..TensorProto::default() };
    refused(&model(graph(add(), vec![unknown])), &["`b`", "999"]);
    let mut negative = model(graph(add(), vec![floats("b", &[2], &[1.0, 2.0])]));
    negative.graph.as_mut().unwrap().input = vec![info("x", &[-5])];
    refused(&negative, &["input `x`", "-5", "sizes are 0 or more"]);
}

#[test]
fn shapes_that_cannot_be_are_errors_of_their_node() {
    let shaped =
        |op: &str, sizes: &[i64]| model(graph(vec![node(op, &["x", "s"], &["y"])], vec![whole("s", &[sizes.len() as i64], sizes)]));
    refused(&shaped("Expand", &[1 << 40, 1 << 40, 2]), &["node 0 (Expand)", "more elements than can be addressed"]);
    refused(&shaped("Reshape", &[1 << 62, 1 << 62]), &["node 0 (Reshape)", "more elements than can be addressed"]);
    refused(&shaped("Reshape", &[-7]), &["node 0 (Reshape)", "-7 is no size"]);
    refused(&shaped("Tile", &[i64::MAX]), &["node 0 (Tile)"]);
    refused(&shaped("Pad", &[i64::MAX, i64::MAX]), &["node 0 (Pad)"]);
    refused(&shaped("TopK", &[3]), &["node 0 (TopK)", "3 elements"]);
    let constant = model(graph(vec![node("ConstantOfShape", &["s"], &["y"])], vec![whole("s", &[3], &[1 << 40, 1 << 40, 9])]));
    refused(&constant, &["node 0 (ConstantOfShape)", "more elements than can be addressed"]);
    let range = model(graph(
        vec![node("Range", &["a", "b", "c"], &["y"])],
        vec![whole("a", &[], &[0]), whole("b", &[], &[1 << 60]), whole("c", &[], &[1])],
    ));
    refused(&range, &["node 0 (Range)", "up to 1048576 are supported"]);
    let resize = model(graph(vec![node("Resize", &["x", "", "s"], &["y"])], vec![floats("s", &[1], &[f32::MAX])]));
    refused(&resize, &["node 0 (Resize)"]);
}

#[test]
fn names_are_made_once_and_before_they_are_read() {
    let pair = |a: [&str; 2], b: [&str; 2]| model(graph(vec![node("Relu", &a[..1], &a[1..]), node("Relu", &b[..1], &b[1..])], vec![]));
    refused(&pair(["b", "a"], ["a", "b"]), &["node 0 (Relu)", "reads `b`", "makes only later", "without cycles"]);
    refused(&pair(["a", "a"], ["a", "y"]), &["which it makes itself: a cycle"]);
    refused(&pair(["nowhere", "a"], ["a", "y"]), &["`nowhere`", "which nothing makes"]);
    refused(&pair(["x", "y"], ["x", "y"]), &["`y` once more", "that name is taken"]);
    refused(&pair(["x", "a"], ["x", "b"]), &["output `y`", "is made by no node"]);
    let twice = vec![floats("b", &[], &[1.0]), floats("b", &[], &[2.0])];
    refused(&model(graph(vec![node("Add", &["x", "b"], &["y"])], twice)), &["two initialisers are called `b`"]);
    let mut inputs = model(graph(vec![node("Relu", &["x"], &["y"])], vec![]));
    inputs.graph.as_mut().unwrap().input.push(info("x", &[2]));
    refused(&inputs, &["two inputs", "`x`"]);
}

#[test]
fn values_are_read_from_the_models_own_folder_only() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("models");
    fs::create_dir(&folder).unwrap();
    fs::write(home.path().join("secret"), [0u8; 64]).unwrap();
    fs::write(folder.join("values"), [0u8; 8]).unwrap();
    let open = |entries: &[(&str, &str)]| {
        let external_data =
            entries.iter().map(|(key, value)| StringStringEntryProto { key: key.to_string(), value: value.to_string() }).collect();
        let mut tensor = floats("b", &[2], &[]);
        (tensor.external_data, tensor.data_location) = (external_data, tensor_proto::DataLocation::External as i32);
        let path = folder.join("model.onnx");
        fs::write(&path, model(graph(vec![node("Add", &["x", "b"], &["y"])], vec![tensor])).encode_to_vec()).unwrap();
        Model::open(path)
    };
    assert!(open(&[("location", "values")]).is_ok());
    let secret = home.path().join("secret");
    for place in ["../secret", "/etc/passwd", "sub/../../secret", "..\\secret", "", secret.to_str().unwrap()] {
        said(open(&[("location", place)]), &["`b`", "only files in the model's own folder are read"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, folder.join("link")).unwrap();
        said(open(&[("location", "link")]), &["`b`", "is no file in the model's own folder"]);
        std::os::unix::fs::symlink("/dev/zero", folder.join("zero")).unwrap();
        said(open(&[("location", "zero")]), &["`b`", "is no file in the model's own folder"]);
    }
    said(open(&[("location", "gone")]), &["`b`", "cannot be read"]);
    said(open(&[("location", "values"), ("offset", "4")]), &["`b`", "its raw data has 4 bytes"]);
    said(open(&[("location", "values"), ("offset", "18446744073709551615"), ("length", "9")]), &["`b`", "which has 8 bytes"]);
    said(open(&[("location", "values"), ("length", "4294967296")]), &["`b`", "4294967296 bytes", "which has 8 bytes"]);
    said(open(&[("location", "values"), ("offset", "-1")]), &["`b`", "\"-1\", which is no number"]);
    said(Model::from_bytes("memory.onnx", &fs::read(folder.join("model.onnx")).unwrap()).map(drop), &["`b`", "open the model by its path"]);
    assert!(Path::new(&secret).exists());
}

#[test]
fn what_goes_on_and_on_ends() {
    // A loop of 2^60 times round, which makes nothing.
    let round = GraphProto {
        node: vec![node("Identity", &["c"], &["d"])],
        input: vec![info("i", &[]), info("c", &[]), info("v", &[2])],
        output: vec![info("d", &[]), info("v", &[2])],
        ..GraphProto::default()
    };
    let looped = with(node("Loop", &["n", "", "x"], &["y"]), body("body", round.clone()));
    refused(&model(graph(vec![looped], vec![whole("n", &[], &[1 << 60])])), &["(Loop)", "more than 200000 nodes to walk through"]);
    // A loop without a count whose condition stays.
    let endless = with(node("Loop", &["", "", "x"], &["y"]), body("body", round));
    refused(&model(graph(vec![endless], vec![])), &["(Loop)", "more than 200000 nodes"]);
    // A function that calls itself, and two that call each other.
    let calling = |name: &str, other: &str| FunctionProto {
        name: name.into(),
        domain: "own".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![NodeProto { domain: "own".into(), ..node(other, &["a"], &["b"]) }],
        ..FunctionProto::default()
    };
    let mut file = model(graph(vec![NodeProto { domain: "own".into(), ..node("F", &["x"], &["y"]) }], vec![]));
    file.functions = vec![calling("F", "F")];
    refused(&file, &["functions call one another more than 32 deep"]);
    file.functions = vec![calling("F", "G"), calling("G", "F")];
    refused(&file, &["functions call one another more than 32 deep"]);
    // Each function calls the next one twice: 2^40 calls.
    file.functions = (0..31)
        .map(|i| FunctionProto {
            node: (0..2).map(|k| NodeProto { domain: "own".into(), ..node(&format!("F{}", i + 1), &["a"], &[["c", "b"][k]]) }).collect(),
            ..calling(&format!("F{i}"), "")
        })
        .chain([FunctionProto {
            node: vec![node("Relu", &["a"], &["b"])],
            opset_import: model(GraphProto::default()).opset_import,
            ..calling("F31", "")
        }])
        .collect();
    file.graph.as_mut().unwrap().node[0].op_type = "F0".into();
    refused(&file, &["more than 200000 nodes"]);
}

#[test]
fn graphs_within_graphs_end_somewhere() {
    let mut inner = GraphProto { node: vec![node("Relu", &["x"], &["y"])], output: vec![info("y", &[2])], ..GraphProto::default() };
    for depth in 0..200 {
        let both = with(with(node("If", &["c"], &["y"]), body("then_branch", inner.clone())), body("else_branch", GraphProto::default()));
        inner = GraphProto { node: vec![both], output: vec![info("y", &[2])], name: format!("{depth}"), ..GraphProto::default() };
    }
    inner.input = vec![info("x", &[2])];
    inner.initializer = vec![whole("c", &[], &[1])];
    refused(&model(inner), &["recursion limit reached"]);
}

/// A constant that doubles itself again and again would be larger than any memory.
#[test]
fn constants_that_grow_are_errors() {
    let doubled = |i: usize| {
        with(
            node("Concat", &[&format!("c{i}"), &format!("c{i}")], &[&format!("c{}", i + 1)]),
            AttributeProto { name: "axis".into(), ..AttributeProto::default() },
        )
    };
    let mut nodes: Vec<NodeProto> = (0..60).map(doubled).collect();
    nodes.push(node("Shape", &["c60"], &["y"]));
    let file = model(graph(nodes, vec![whole("c0", &[4], &[1, 2, 3, 4])]));
    let result = Model::from_bytes("bad.onnx", &file.encode_to_vec()).and_then(|model| model.run_tensors(&[Tensor::zeros([2])]));
    // Known while they are small, expressions then: of a size that can be told, or an error where it can not.
    if let Err(error) = result {
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
    }
    // Large constants, each used by many nodes that are worked out at once.
    let many = (0..2000).map(|i| node("Add", &["c", "c"], &[&format!("t{i}")])).chain([node("Relu", &["x"], &["y"])]).collect();
    let file = model(graph(many, vec![whole("c", &[1 << 18], &vec![1; 1 << 18])]));
    let read = Model::from_bytes("bad.onnx", &file.encode_to_vec()).unwrap();
    let _ = read.run_tensors(&[Tensor::zeros([2])]);
}

#[test]
fn attributes_of_any_value_are_no_panic() {
    let hostile = [i64::MIN, -1, 0, 1, i64::from(i32::MAX), i64::MAX];
    for op in noyau_onnx::supported() {
        for value in hostile {
            for name in [
                "axis",
                "group",
                "kernel_shape",
                "blocksize",
                "num_groups",
                "k",
                "p",
                "to",
                "hidden_size",
                "num_scan_inputs",
                "batch_dims",
                "size",
            ] {
                let one = AttributeProto { name: name.into(), i: value, ints: vec![value, value], ..AttributeProto::default() };
                let x = with(node(op, &["x", "x", "c", "c"], &["y"]), one);
                let x = with(x, ints("strides", &[value]));
                let file = model(graph(vec![x], vec![whole("c", &[1], &[value])]));
                let read = Model::from_bytes("bad.onnx", &file.encode_to_vec()).unwrap_or_else(|e| panic!("{e}"));
                let _ = read.run_tensors(&[Tensor::zeros([2])]);
            }
        }
    }
}

//! The file that is being written: nodes, initialisers, names.

use std::collections::{BTreeMap, HashMap};

use noyau_tensor::{Array, DType};

use super::trace::Dim;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};

/// The name of the batch axis.
const BATCH: &str = "batch";

/// An attribute's value.
#[derive(Clone, Debug)]
pub(super) enum Attr {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

/// The graph of the file as far as it is written.
pub(super) struct File {
    pub(super) graph: GraphProto,
    /// Equal nodes are one: what each gives, by what it is.
    known: HashMap<String, String>,
    /// Equal constants are one.
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
    counts: BTreeMap<String, usize>,
    input: String,
}

/// noyau's types in ONNX: u32 is int64 there, since few runtimes compute with unsigned numbers.
pub(super) fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::BF16 => DataType::Bfloat16,
        DType::I32 => DataType::Int32,
        DType::U32 => DataType::Int64,
        DType::Bool => DataType::Bool,
    }
}

fn raw(array: &Array) -> Vec<u8> {
    let words = array.words().iter();
    match array.dtype() {
        DType::F32 | DType::I32 => words.flat_map(|w| w.to_le_bytes()).collect(),
        DType::U32 => words.flat_map(|&w| i64::from(w).to_le_bytes()).collect(),
        DType::F16 => words.flat_map(|&w| noyau_tensor::f16::from_f32(f32::from_bits(w)).to_le_bytes()).collect(),
        DType::BF16 => words.flat_map(|&w| noyau_tensor::bf16::from_f32(f32::from_bits(w)).to_le_bytes()).collect(),
        DType::Bool => words.map(|&w| u8::from(w != 0)).collect(),
    }
}

impl File {
    pub(super) fn new(name: &str, input: &str) -> File {
        let graph = GraphProto { name: name.into(), ..GraphProto::default() };
        File { graph, known: HashMap::new(), constants: HashMap::new(), counts: BTreeMap::new(), input: input.into() }
    }

    fn fresh(&mut self, kind: &str) -> String {
        let count = self.counts.entry(kind.to_string()).or_default();
        *count += 1;
        format!("{kind}_{count}")
    }

    /// A parameter under its own name.
    pub(super) fn parameter(&mut self, name: &str, value: &Array) {
        let dims = value.shape().iter().map(|&d| d as i64).collect();
        self.store(name.to_string(), data_type(value.dtype()) as i32, dims, raw(value));
    }

    pub(super) fn constant(&mut self, value: &Array) -> String {
        let dims = value.shape().iter().map(|&d| d as i64).collect();
        self.shared(data_type(value.dtype()) as i32, dims, raw(value))
    }

    /// A vector of int64.
    pub(super) fn longs(&mut self, values: &[i64]) -> String {
        self.shared(DataType::Int64 as i32, vec![values.len() as i64], values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A scalar of int64.
    pub(super) fn long(&mut self, value: i64) -> String {
        self.shared(DataType::Int64 as i32, Vec::new(), value.to_le_bytes().into())
    }

    fn shared(&mut self, kind: i32, dims: Vec<i64>, bytes: Vec<u8>) -> String {
        let key = (kind, dims, bytes);
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.fresh("constant");
        self.store(name.clone(), key.0, key.1.clone(), key.2.clone());
        self.constants.insert(key, name.clone());
        name
    }

    fn store(&mut self, name: String, data_type: i32, dims: Vec<i64>, raw_data: Vec<u8>) {
        self.graph.initializer.push(TensorProto { name, data_type, dims, raw_data, ..TensorProto::default() });
    }

    /// A node; its result's name.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attr)]) -> String {
        let key = format!("{op} {inputs:?} {attributes:?}");
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.fresh(&op.to_lowercase());
        let attribute = attributes.iter().map(|(name, value)| attribute(name, value)).collect();
        let input = inputs.iter().map(|i| i.to_string()).collect();
        let node =
            NodeProto { name: name.clone(), op_type: op.into(), input, output: vec![name.clone()], attribute, ..NodeProto::default() };
        self.graph.node.push(node);
        self.known.insert(key, name.clone());
        name
    }

    /// Sizes as a vector of int64: a constant, or worked out from the input's first axis.
    pub(super) fn sizes(&mut self, dims: &[Dim]) -> String {
        let rest: Vec<i64> = dims.iter().map(|d| d.rest).collect();
        if dims.iter().all(|d| d.is_fixed()) {
            return self.longs(&rest);
        }
        let input = self.input.clone();
        let batch = self.node("Shape", &[&input], &[("start", Attr::Int(0)), ("end", Attr::Int(1))]);
        let per: Vec<i64> = dims.iter().map(|d| d.per).collect();
        let per = self.longs(&per);
        let scaled = self.node("Mul", &[&batch, &per], &[]);
        if rest.iter().all(|&n| n == 0) {
            return scaled;
        }
        let rest = self.longs(&rest);
        self.node("Add", &[&scaled, &rest], &[])
    }

    /// What the graph takes.
    pub(super) fn takes(&mut self, dtype: DType, dims: &[Dim]) {
        let info = value_info(&self.input, dtype, dims);
        self.graph.input.push(info);
    }

    /// What the graph gives: a value, under another name.
    pub(super) fn gives(&mut self, value: &str, name: &str, dtype: DType, dims: &[Dim]) {
        let node = NodeProto { name: name.into(), op_type: "Identity".into(), ..NodeProto::default() };
        self.graph.node.push(NodeProto { input: vec![value.into()], output: vec![name.into()], ..node });
        self.graph.output.push(value_info(name, dtype, dims));
        // The last node gives the result itself, where nothing else reads it.
        let readers = self.graph.node.iter().flat_map(|node| &node.input).filter(|input| *input == value).count();
        let made = self.graph.node.iter().position(|node| node.output.first().is_some_and(|output| output == value));
        if let (1, Some(made)) = (readers, made) {
            self.graph.node.pop();
            self.graph.node[made].output = vec![name.into()];
        }
    }
}

fn attribute(name: &str, value: &Attr) -> AttributeProto {
    let base = AttributeProto { name: name.into(), ..AttributeProto::default() };
    let kind = |kind: AttributeType| kind as i32;
    match value {
        Attr::Int(i) => AttributeProto { i: *i, r#type: kind(AttributeType::Int), ..base },
        Attr::Ints(ints) => AttributeProto { ints: ints.clone(), r#type: kind(AttributeType::Ints), ..base },
        Attr::Float(f) => AttributeProto { f: *f, r#type: kind(AttributeType::Float), ..base },
        Attr::Text(s) => AttributeProto { s: s.as_bytes().into(), r#type: kind(AttributeType::String), ..base },
    }
}

fn value_info(name: &str, dtype: DType, dims: &[Dim]) -> ValueInfoProto {
    let dimension = |dim: &Dim| Dimension {
        value: match dim {
            Dim { per: 0, rest } => Some(dimension::Value::DimValue(*rest)),
            Dim { per: 1, rest: 0 } => Some(dimension::Value::DimParam(BATCH.into())),
            _ => None,
        },
        ..Dimension::default()
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    let tensor = type_proto::Tensor { elem_type: data_type(dtype) as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

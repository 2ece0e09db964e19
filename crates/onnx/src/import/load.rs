//! From bytes to a graph that can be walked: everything that can be wrong with a file, whatever its inputs will be.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use noyau_tensor::{Error, Param, Result};
use prost::Message;

use super::model::{Dim, Port};
use super::ops;
use super::tensors;
use super::value::Value;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::dimension;
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};

/// The newest version of ONNX's own set of operations that is understood.
pub const NEWEST_OPSET: i64 = 28;

/// Versions of sets of operations by domain; ONNX's own is the empty one.
pub(crate) type Opsets = HashMap<String, i64>;

/// What a file holds, checked.
#[derive(Debug)]
pub(crate) struct Program {
    pub graph: GraphProto,
    /// The stored values by name.
    pub initial: HashMap<String, Value>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub parameters: Vec<(String, Param)>,
    pub buffers: Vec<(String, Param)>,
    pub opsets: Opsets,
    /// The file's own functions by domain and name.
    pub functions: HashMap<(String, String), FunctionProto>,
    pub producer: String,
    /// The size of the graph and the functions as messages, values in other files included.
    pub bytes: usize,
}

/// The domain of ONNX's own operations, whatever it is written as.
pub(crate) fn domain(text: &str) -> &str {
    if text == "ai.onnx" { "" } else { text }
}

/// A name as it is shown: those of a damaged file may be of any length.
pub(crate) fn short(name: &str) -> String {
    match name.char_indices().nth(80) {
        Some((end, _)) => format!("{}..", &name[..end]),
        None => name.to_string(),
    }
}

/// A node as messages name it.
pub(crate) fn describe(node: &NodeProto, place: usize) -> String {
    let what = short(&node.op_type);
    match (node.name.as_str(), node.output.iter().find(|o| !o.is_empty())) {
        ("", Some(output)) => format!("node {place} ({what}), which makes `{}`,", short(output)),
        ("", None) => format!("node {place} ({what})"),
        (name, _) => format!("node `{}` ({what})", short(name)),
    }
}

/// Reads and checks a model. `folder`: where values in other files may lie.
pub(crate) fn program(path: &Path, bytes: &[u8], folder: Option<&Path>) -> Result<Program> {
    let model = ModelProto::decode(bytes)
        .map_err(|e| Error::data(path, format!("is no ONNX model, or a damaged one: {e}; fetch or export it again")))?;
    check(model, folder).map_err(|message| Error::data(path, message))
}

fn check(model: ModelProto, folder: Option<&Path>) -> std::result::Result<Program, String> {
    let Some(mut graph) = model.graph else { return Err("holds no graph: it is no ONNX model, or cut short".into()) };
    let opsets = versions(&model.opset_import, model.ir_version)?;
    let mut functions = HashMap::new();
    for function in model.functions {
        let key = (domain(&function.domain).to_string(), function.name.clone());
        if functions.insert(key, function).is_some() {
            return Err("defines a function twice".into());
        }
    }
    unsupported(&graph, &opsets, &functions)?;
    for function in functions.values() {
        let visible = function.input.iter().map(String::as_str).collect();
        order(&function.node, visible, &[]).map_err(|message| format!("function `{}`: {message}", short(&function.name)))?;
    }
    if let Some(folder) = folder {
        super::external::gather(&mut graph, folder)?;
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(format!(
            "has {} sparse initialisers, which are not supported; export it with dense ones",
            graph.sparse_initializer.len()
        ));
    }
    names(&graph, &[])?;
    let bytes = functions.values().fold(graph.encoded_len(), |sum, function| sum.saturating_add(function.encoded_len()));
    let (initial, parameters, buffers) = values(&mut graph)?;
    let stored = |info: &&ValueInfoProto| !initial.contains_key(&info.name);
    let inputs = graph.input.iter().filter(stored).map(|info| port(info, "input")).collect::<std::result::Result<_, _>>()?;
    let outputs = graph.output.iter().map(|info| port(info, "output")).collect::<std::result::Result<_, _>>()?;
    let producer = format!("{} {}", model.producer_name, model.producer_version).trim().to_string();
    Ok(Program { graph, initial, inputs, outputs, parameters, buffers, opsets, functions, producer, bytes })
}

fn versions(imports: &[crate::proto::OperatorSetIdProto], ir: i64) -> std::result::Result<Opsets, String> {
    let mut opsets: Opsets = HashMap::new();
    for import in imports {
        opsets.insert(domain(&import.domain).to_string(), import.version);
    }
    // Files older than the statement of versions use the first.
    if ir < 3 {
        opsets.entry(String::new()).or_insert(1);
    }
    match opsets.get("") {
        Some(version) if !(1..=NEWEST_OPSET).contains(version) => Err(format!(
            "uses version {version} of ONNX's operations; versions 1 to {NEWEST_OPSET} are understood: export it with one of these"
        )),
        _ => Ok(opsets),
    }
}

/// All operations that are not supported, in one message.
fn unsupported(
    graph: &GraphProto,
    opsets: &Opsets,
    functions: &HashMap<(String, String), FunctionProto>,
) -> std::result::Result<(), String> {
    /// How often, and where first.
    type Missing = BTreeMap<(String, String, i64), (usize, String)>;
    fn visit(nodes: &[NodeProto], opsets: &Opsets, functions: &HashMap<(String, String), FunctionProto>, missing: &mut Missing) {
        for (place, node) in nodes.iter().enumerate() {
            let domain = domain(&node.domain);
            let known = functions.contains_key(&(domain.to_string(), node.op_type.clone()));
            if !known && ops::find(domain, &node.op_type).is_none() {
                let version = opsets.get(domain).copied().unwrap_or(0);
                let entry = missing.entry((short(&node.op_type), short(domain), version)).or_insert_with(|| (0, describe(node, place)));
                entry.0 += 1;
            }
            for attribute in &node.attribute {
                for inner in attribute.g.iter().chain(&attribute.graphs) {
                    visit(&inner.node, opsets, functions, missing);
                }
            }
        }
    }
    let mut missing = Missing::new();
    visit(&graph.node, opsets, functions, &mut missing);
    for function in functions.values() {
        let own: Opsets = function.opset_import.iter().map(|i| (domain(&i.domain).to_string(), i.version)).collect();
        visit(&function.node, &own, functions, &mut missing);
    }
    if missing.is_empty() {
        let needs_version = graph.node.iter().any(|n| domain(&n.domain).is_empty()) && !opsets.contains_key("");
        return if needs_version { Err("does not say which version of ONNX's operations it uses (opset_import)".into()) } else { Ok(()) };
    }
    let count = missing.len();
    let mut lines: Vec<String> = missing
        .into_iter()
        .take(100)
        .map(|((op, domain, version), (times, first))| {
            let (domain, times) =
                (if domain.is_empty() { "ai.onnx" } else { &domain }, if times == 1 { "once".into() } else { format!("{times} times") });
            format!("{op} (domain {domain}, version {version}): {times}, first by {first}")
        })
        .collect();
    if count > lines.len() {
        lines.push(format!("and {} more", count - lines.len()));
    }
    Err(format!(
        "{count} kinds of operations in it are not supported:\n  {}\ndocs/ONNX.md has the list of those that are",
        lines.join("\n  ")
    ))
}

/// Checks that every name is made once, and before it is read.
fn names(graph: &GraphProto, outer: &[&HashSet<&str>]) -> std::result::Result<(), String> {
    let mut visible = HashSet::new();
    for info in &graph.input {
        if !visible.insert(info.name.as_str()) {
            return Err(format!("two inputs of graph `{}` are called `{}`", short(&graph.name), short(&info.name)));
        }
    }
    let mut stored = HashSet::new();
    for tensor in &graph.initializer {
        if !stored.insert(tensor.name.as_str()) {
            return Err(format!("two initialisers are called `{}`", short(&tensor.name)));
        }
    }
    visible.extend(stored);
    let visible = order(&graph.node, visible, outer)?;
    let made = |name: &str| visible.contains(name) || outer.iter().any(|names| names.contains(name));
    match graph.output.iter().find(|info| !made(&info.name)) {
        Some(info) => Err(format!("the output `{}` of graph `{}` is made by no node", short(&info.name), short(&graph.name))),
        None => Ok(()),
    }
}

/// Checks nodes that stand in a row; gives the names that are there after them.
fn order<'a>(
    nodes: &'a [NodeProto],
    mut visible: HashSet<&'a str>,
    outer: &[&HashSet<&str>],
) -> std::result::Result<HashSet<&'a str>, String> {
    let later: HashMap<&str, usize> =
        nodes.iter().enumerate().flat_map(|(i, node)| node.output.iter().map(move |name| (name.as_str(), i))).collect();
    for (place, node) in nodes.iter().enumerate() {
        for name in node.input.iter().map(String::as_str).filter(|name| !name.is_empty()) {
            if visible.contains(name) || outer.iter().any(|names| names.contains(name)) {
                continue;
            }
            let why = match later.get(name) {
                Some(&i) if i == place => "which it makes itself: a cycle".to_string(),
                Some(&i) => format!(
                    "which {} makes only later: nodes must stand in order, without cycles",
                    describe(&nodes[i], i).trim_end_matches(',')
                ),
                None => "which nothing makes: it is no input, no initialiser and no node's output".to_string(),
            };
            return Err(format!("{} reads `{}`, {why}", describe(node, place), short(name)));
        }
        for attribute in &node.attribute {
            for inner in attribute.g.iter().chain(&attribute.graphs) {
                let mut scopes = outer.to_vec();
                scopes.push(&visible);
                names(inner, &scopes).map_err(|message| format!("{}: {message}", describe(node, place)))?;
            }
        }
        for name in node.output.iter().map(String::as_str).filter(|name| !name.is_empty()) {
            if !visible.insert(name) {
                return Err(format!("{} makes `{}` once more: that name is taken", describe(node, place), short(name)));
            }
        }
    }
    Ok(visible)
}

/// The stored values, the parameters and the buffers among them.
type Stored = (HashMap<String, Value>, Vec<(String, Param)>, Vec<(String, Param)>);

/// Takes the initialisers out of the graph: floats become parameters, what is a setting of an operation a constant, the rest constants too.
fn values(graph: &mut GraphProto) -> std::result::Result<Stored, String> {
    let mut uses: HashMap<&str, Use> = HashMap::new();
    for node in &graph.node {
        for (position, name) in node.input.iter().enumerate() {
            let found = ops::usage(&node.op_type, position);
            let entry = uses.entry(name).or_insert(found);
            *entry = (*entry).max(found);
        }
        for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            mark(inner, &mut uses);
        }
    }
    // One number that says how something works has to be known, whoever else computes with it.
    let read = graph.node.iter().flat_map(|node| node.input.iter().enumerate().map(move |(position, name)| (node, position, name)));
    let settings: HashSet<String> =
        read.filter(|(node, position, _)| ops::usage(&node.op_type, *position) == Use::Setting).map(|(_, _, name)| name.clone()).collect();
    let uses: HashMap<String, Use> = uses.into_iter().map(|(name, found)| (name.to_string(), found)).collect();
    let (mut initial, mut parameters, mut buffers) = (HashMap::new(), Vec::new(), Vec::new());
    for tensor in std::mem::take(&mut graph.initializer) {
        let named = |message: String| format!("the initialiser `{}` {message}", short(&tensor.name));
        let single = tensor.dims.iter().all(|&d| d == 1) && settings.contains(&tensor.name);
        let used = if single { Use::Setting } else { uses.get(&tensor.name).copied().unwrap_or(Use::Setting) };
        let large =
            DataType::try_from(tensor.data_type) == Ok(DataType::Double) && !tensors::known(&tensor).is_ok_and(|k| tensors::fits_f32(&k));
        // What f32 has no room for stays as it is, for Model::run_f64.
        let value = if used != Use::Setting && tensors::holds_floats(&tensor) && !large {
            let param = Param::from_array(tensor.name.clone(), tensors::floats(&tensor).map_err(named)?);
            let list = if used == Use::Buffer { &mut buffers } else { &mut parameters };
            list.push((tensor.name.clone(), param.clone()));
            Value::Tensor(param.tensor().clone())
        } else {
            Value::from(tensors::known(&tensor).map_err(named)?)
        };
        initial.insert(tensor.name, value);
    }
    Ok((initial, parameters, buffers))
}

/// What inner graphs read of the outer one counts as data.
fn mark<'a>(graph: &'a GraphProto, uses: &mut HashMap<&'a str, Use>) {
    for node in &graph.node {
        for (position, name) in node.input.iter().enumerate() {
            let found = ops::usage(&node.op_type, position);
            let entry = uses.entry(name).or_insert(found);
            *entry = (*entry).max(found);
        }
        for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            mark(inner, uses);
        }
    }
}

/// What an operation does with an operand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Use {
    /// Says how it works: scales, bounds, ratios.
    Setting,
    /// A running statistic.
    Buffer,
    /// Numbers to compute with.
    Data,
}

fn port(info: &ValueInfoProto, what: &str) -> std::result::Result<Port, String> {
    let named = |message: String| format!("the {what} `{}` {message}", short(&info.name));
    let tensor = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
        Some(_) if what == "input" => {
            return Err(named("is no tensor; sequences, maps and optional values are not supported as inputs".into()));
        }
        _ => None,
    };
    let kind = match tensor {
        Some(tensor) => tensors::kind(tensor.elem_type).map_err(named)?,
        None => DataType::Undefined,
    };
    let size = |dim: &crate::proto::tensor_shape_proto::Dimension| match &dim.value {
        Some(dimension::Value::DimValue(n)) => {
            usize::try_from(*n).map(Dim::Fixed).map_err(|_| named(format!("has the size {n}; sizes are 0 or more")))
        }
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Ok(Dim::Named(name.clone())),
        _ => Ok(Dim::Any),
    };
    let shape = match tensor.and_then(|t| t.shape.as_ref()) {
        Some(shape) => Some(shape.dim.iter().map(size).collect::<std::result::Result<Vec<Dim>, String>>()?),
        None => None,
    };
    Ok(Port { name: info.name.clone(), kind, shape })
}

//! Walks the nodes of a graph: operands by name, functions by the node's type, results by name.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use noyau_nn::Mode;
use noyau_tensor::{Error, Result, Tensor};

use super::call::Call;
use super::load::{Opsets, Program, describe, domain, short};
use super::value::{KNOWN, Known, Value};
use super::{fold, ops};
use crate::proto::tensor_proto::DataType;
use crate::proto::{FunctionProto, NodeProto};

/// The most nodes that a run walks through, those of loops and functions each time they are gone through.
const NODES: usize = 200_000;

/// The deepest that functions may call one another.
const DEPTH: usize = 32;

/// What all nodes of a run share.
pub(crate) struct Run<'a> {
    program: &'a Program,
    mode: &'a Mode,
    nodes: Cell<usize>,
    elements: Cell<usize>,
    depth: Cell<usize>,
}

/// The names that a node sees: those of its graph or, in a function, of its body.
pub(crate) struct Scope<'a> {
    values: HashMap<String, Value>,
    kinds: HashMap<String, DataType>,
    opsets: &'a Opsets,
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Option<(&Value, Option<DataType>)> {
        self.values.get(name).map(|value| (value, self.kinds.get(name).copied()))
    }

    fn set(&mut self, name: &str, value: Value, kind: Option<DataType>) {
        let known = match &value {
            Value::Known(known) => Some(known.kind),
            _ => kind,
        };
        if let Some(kind) = known {
            self.kinds.insert(name.to_string(), kind);
        }
        self.values.insert(name.to_string(), value);
    }
}

/// The model's results for its inputs.
pub(crate) fn run(path: &Path, program: &Program, inputs: &[Tensor], mode: &Mode) -> Result<Vec<Tensor>> {
    let run = Run { program, mode, nodes: Cell::new(NODES), elements: Cell::new(16 * KNOWN), depth: Cell::new(0) };
    run.model(inputs).map_err(|message| Error::data(path, message))
}

type Outcome<T> = std::result::Result<T, String>;

impl<'a> Run<'a> {
    fn model(&self, inputs: &[Tensor]) -> Outcome<Vec<Tensor>> {
        let program = self.program;
        let mut scope = Scope { values: HashMap::new(), kinds: HashMap::new(), opsets: &program.opsets };
        for (name, value) in &program.initial {
            // What an earlier part of this pass noted for a running statistic is not seen here: each is read once.
            scope.set(name, value.clone(), None);
        }
        for (port, tensor) in program.inputs.iter().zip(inputs) {
            scope.set(&port.name, tensor.clone().into(), Some(port.kind));
        }
        self.nodes(&program.graph.node, &mut scope)?;
        let mut results = Vec::new();
        for port in &program.outputs {
            let named = |message: String| format!("the output `{}`: {message}", short(&port.name));
            let (value, _) = scope.get(&port.name).ok_or_else(|| named("nothing made it".into()))?;
            results.push(value.tensor().map_err(named)?);
        }
        Ok(results)
    }

    /// Room for so many known elements more, if there is.
    pub fn room(&self, elements: usize) -> bool {
        match self.elements.get().checked_sub(elements) {
            Some(left) if elements <= KNOWN => {
                self.elements.set(left);
                true
            }
            _ => false,
        }
    }

    fn nodes(&self, nodes: &[NodeProto], scope: &mut Scope) -> Outcome<()> {
        for (place, node) in nodes.iter().enumerate() {
            let left = self
                .nodes
                .get()
                .checked_sub(1)
                .ok_or_else(|| format!("more than {NODES} nodes to walk through, loops and functions included"))?;
            self.nodes.set(left);
            self.node(node, scope)
                .map_err(|message| format!("{} {message}", describe(node, place).trim_end_matches(',').to_string() + ":"))?;
        }
        Ok(())
    }

    fn node(&self, node: &NodeProto, scope: &mut Scope) -> Outcome<()> {
        let (mut operands, mut kinds) = (Vec::new(), Vec::new());
        for name in &node.input {
            let found =
                if name.is_empty() { None } else { Some(scope.get(name).ok_or_else(|| format!("`{}` is not there", short(name)))?) };
            kinds.push(found.and_then(|(_, kind)| kind));
            operands.push(found.map(|(value, _)| value.clone()));
        }
        while operands.last().is_some_and(Option::is_none) {
            operands.pop();
        }
        let domain = domain(&node.domain);
        let function = self.program.functions.get(&(domain.to_string(), node.op_type.clone()));
        let (made, kind) = match (function, ops::find(domain, &node.op_type)) {
            (Some(function), _) => (self.function(function, node, operands)?, None),
            (None, Some(op)) => {
                let opset = scope.opsets.get(domain).copied().unwrap_or(1);
                let call = Call { node, opset, mode: self.mode, run: self, operands, kinds };
                let made = match fold::fold(&call)? {
                    Some(made) => made,
                    None => op(&call)?,
                };
                (made, ops::result_kind(&call))
            }
            (None, None) => return Err("is not supported".into()),
        };
        if made.len() < node.output.len() && node.output[made.len()..].iter().any(|name| !name.is_empty()) {
            return Err(format!("{} outputs are asked for, {} are supported", node.output.len(), made.len()));
        }
        for (name, value) in node.output.iter().zip(made) {
            if let Value::Tensor(tensor) = &value
                && let Some(error) = tensor.error()
            {
                return Err(error.to_string());
            }
            if !name.is_empty() {
                scope.set(name, value, kind);
            }
        }
        Ok(())
    }

    /// A function of the file: its body, with the node's attributes in place of the names that it refers to.
    fn function(&self, function: &FunctionProto, node: &NodeProto, operands: Vec<Option<Value>>) -> Outcome<Vec<Value>> {
        if self.depth.get() >= DEPTH {
            return Err(format!("functions call one another more than {DEPTH} deep"));
        }
        let opsets: Opsets = function.opset_import.iter().map(|i| (domain(&i.domain).to_string(), i.version)).collect();
        let mut scope = Scope { values: HashMap::new(), kinds: HashMap::new(), opsets: &opsets };
        for (i, name) in function.input.iter().enumerate() {
            scope.set(name, operands.get(i).cloned().flatten().unwrap_or(Value::Nothing), None);
        }
        let body: Vec<NodeProto> = function.node.iter().map(|inner| bound(inner, function, node)).collect();
        self.depth.set(self.depth.get() + 1);
        let done = self.nodes(&body, &mut scope);
        self.depth.set(self.depth.get() - 1);
        done?;
        let found = |name: &str| scope.get(name).map(|(value, _)| value.clone()).ok_or_else(|| format!("nothing made `{}`", short(name)));
        function.output.iter().map(|name| found(name)).collect()
    }
}

/// A node of a function's body with its references to the function's attributes replaced.
fn bound(inner: &NodeProto, function: &FunctionProto, call: &NodeProto) -> NodeProto {
    let mut node = inner.clone();
    let mut attributes = Vec::new();
    for mut attribute in std::mem::take(&mut node.attribute) {
        if !attribute.ref_attr_name.is_empty() {
            let name = &attribute.ref_attr_name;
            let given =
                call.attribute.iter().find(|a| &a.name == name).or_else(|| function.attribute_proto.iter().find(|a| &a.name == name));
            // An attribute that nobody gives is left out, so that the operation's own default holds.
            let Some(given) = given else { continue };
            let own = std::mem::take(&mut attribute.name);
            attribute = given.clone();
            attribute.name = own;
        }
        if let Some(graph) = &mut attribute.g {
            graph.node = graph.node.iter().map(|inner| bound(inner, function, call)).collect();
        }
        attributes.push(attribute);
    }
    node.attribute = attributes;
    node
}

/// A known value, where there is room for it; an expression else.
pub(crate) fn keep(run: &Run, known: Known) -> Outcome<Value> {
    if run.room(known.data.len()) { Ok(Value::Known(Arc::new(known))) } else { known.tensor().map(Value::Tensor) }
}

//! Walks the nodes of a graph: operands by name, functions by the node's type, results by name.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use noyau_compile::Graph;
use noyau_cpu::Values;
use noyau_nn::Mode;
use noyau_tensor::{DType, Error, Op, Result, Tensor};

use super::call::Call;
use super::load::{Opsets, Program, describe, domain, short};
use super::value::{Data, KNOWN, Known, Value, dtype, is_float};
use super::{fold, ops};
use crate::proto::tensor_proto::DataType;
use crate::proto::{FunctionProto, GraphProto, NodeProto};

/// The most nodes that a run walks through, those of loops and functions each time they are gone through.
const NODES: usize = 200_000;

/// The deepest that functions may call one another, and graphs stand within graphs.
const DEPTH: usize = 32;

/// The most elements of constants that a run makes beyond as many as the file has bytes.
const MADE: usize = 1 << 26;

/// The elements of constants that are known, and their tensors, which are made once.
type Constants = HashMap<*const Known, (Arc<Known>, Tensor)>;

/// What all nodes of a run share.
pub(crate) struct Run<'a> {
    program: &'a Program,
    pub mode: &'a Mode,
    nodes: Cell<usize>,
    elements: Cell<usize>,
    made: Cell<usize>,
    depth: Cell<usize>,
    constants: RefCell<Constants>,
    /// What expressions of constants have been found to be, by their numbers.
    found: RefCell<HashMap<u64, Option<Arc<Known>>>>,
    /// Where all is computed in f64: the inputs, and after them the constants of a float type.
    doubles: Option<RefCell<Vec<Values>>>,
}

/// The names that a node sees: those of its graph and of the graphs around it or, in a function, of its body.
pub(crate) struct Scope<'a> {
    values: HashMap<String, Value>,
    kinds: HashMap<String, DataType>,
    pub opsets: &'a Opsets,
    outer: Option<&'a Scope<'a>>,
}

/// A value and the type of its elements in the file, as far as it is known.
pub(crate) type Typed = (Value, Option<DataType>);

impl Scope<'_> {
    pub fn get(&self, name: &str) -> Option<(&Value, Option<DataType>)> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(value) = here.values.get(name) {
                return Some((value, here.kinds.get(name).copied()));
            }
            scope = here.outer;
        }
        None
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

impl<'a> Run<'a> {
    fn new(program: &'a Program, mode: &'a Mode, doubles: Option<RefCell<Vec<Values>>>) -> Run<'a> {
        Run {
            program,
            mode,
            nodes: Cell::new(NODES),
            elements: Cell::new(16 * KNOWN),
            made: Cell::new(MADE.saturating_add(program.bytes)),
            depth: Cell::new(0),
            constants: RefCell::default(),
            found: RefCell::default(),
            doubles,
        }
    }
}

/// The model's results for its inputs.
pub(crate) fn run(path: &Path, program: &Program, inputs: &[Tensor], mode: &Mode) -> Result<Vec<Tensor>> {
    let inputs: Vec<Value> = inputs.iter().cloned().map(Value::from).collect();
    Run::new(program, mode, None).model(&inputs).map_err(|message| Error::data(path, clipped(message)))
}

/// The expressions of the model's results, for evaluation in f64: with what their arguments are. Whole numbers are no arguments but known, so that shapes may hang on them.
pub(crate) fn run_f64(path: &Path, program: &Program, inputs: Vec<Values>) -> Result<(Vec<Tensor>, Vec<Values>)> {
    let (mut values, mut arguments): (Vec<Value>, Vec<Values>) = (Vec::new(), Vec::new());
    for (input, port) in inputs.into_iter().zip(&program.inputs) {
        values.push(if input.dtype.is_float() {
            let tensor = Tensor::input(arguments.len(), input.shape.clone(), input.dtype);
            arguments.push(input);
            tensor.into()
        } else {
            let data = Data::Ints(input.data.iter().map(|&v| v as i64).collect());
            Known { kind: port.kind, shape: input.shape.to_vec(), data }.into()
        });
    }
    let mode = Mode::eval();
    let run = Run::new(program, &mode, Some(RefCell::new(arguments)));
    let results = run.model(&values).map_err(|message| Error::data(path, clipped(message)))?;
    Ok((results, run.doubles.map(RefCell::into_inner).unwrap_or_default()))
}

/// A message of a length that can be read, whatever lists of numbers a file has.
fn clipped(message: String) -> String {
    match message.char_indices().nth(2000) {
        Some((end, _)) => format!("{}..", &message[..end]),
        None => message,
    }
}

type Outcome<T> = std::result::Result<T, String>;

impl Run<'_> {
    fn model(&self, inputs: &[Value]) -> Outcome<Vec<Tensor>> {
        let program = self.program;
        let mut scope = Scope { values: HashMap::new(), kinds: HashMap::new(), opsets: &program.opsets, outer: None };
        for (name, value) in &program.initial {
            // What an earlier part of this pass noted for a running statistic is not seen here: each is read once.
            scope.set(name, value.clone(), None);
        }
        for (port, value) in program.inputs.iter().zip(inputs) {
            scope.set(&port.name, value.clone(), Some(port.kind));
        }
        self.nodes(&program.graph.node, &mut scope)?;
        let mut results = Vec::new();
        for port in &program.outputs {
            let named = |message: String| format!("the output `{}`: {message}", short(&port.name));
            let (value, _) = scope.get(&port.name).ok_or_else(|| named("nothing made it".into()))?;
            results.push(self.tensor(value).map_err(named)?);
        }
        Ok(results)
    }

    /// A value as an expression; the same one for the same constant.
    pub fn tensor(&self, value: &Value) -> Outcome<Tensor> {
        let Value::Known(known) = value else { return value.tensor() };
        let key = Arc::as_ptr(known);
        if let Some((_, tensor)) = self.constants.borrow().get(&key) {
            return Ok(tensor.clone());
        }
        self.make(known.data.len())?;
        let tensor = match &self.doubles {
            Some(doubles) if is_float(known.kind) => self.double(doubles, known)?,
            _ => known.tensor()?,
        };
        // The value is kept as well, so that no other gets its address.
        self.constants.borrow_mut().insert(key, (Arc::clone(known), tensor.clone()));
        Ok(tensor)
    }

    /// What a value is, where that hangs on constants alone: expressions of them are evaluated in f64 on the host, if they are small.
    pub fn known(&self, value: &Value) -> Outcome<Option<Arc<Known>>> {
        let known = value.known();
        let (None, Value::Tensor(tensor)) = (&known, value) else { return Ok(known) };
        if let Some(found) = self.found.borrow().get(&tensor.id()) {
            return Ok(found.clone());
        }
        let found = self.evaluated(tensor)?.map(Arc::new);
        self.found.borrow_mut().insert(tensor.id(), found.clone());
        Ok(found)
    }

    fn evaluated(&self, tensor: &Tensor) -> Outcome<Option<Known>> {
        let (mut elements, mut steps) = (0usize, 0usize);
        // Operands are looked at before what uses them; the walk ends where something hangs on data or is large.
        let mut waiting = vec![tensor.clone()];
        let mut seen = HashSet::new();
        while let Some(t) = waiting.pop() {
            if !seen.insert(t.id()) {
                continue;
            }
            if matches!(t.op(), Op::Input(_) | Op::State(_) | Op::Philox(_)) || t.error().is_some() {
                return Ok(None);
            }
            let operands = t.inputs().iter().map(Tensor::numel).max().unwrap_or(0);
            elements = elements.saturating_add(t.numel());
            steps = steps.saturating_add(t.numel().saturating_mul(operands.max(1)));
            if elements > KNOWN || steps > MADE || seen.len() > NODES / 10 {
                return Ok(None);
            }
            waiting.extend(t.inputs().iter().cloned());
        }
        self.make(elements)?;
        let made = Graph::trace(&[], &[tensor], &[]).and_then(|graph| {
            noyau_cpu::evaluate(&graph, &[], &|state| Values { shape: state.shape().clone(), dtype: state.dtype(), data: Vec::new() })
        });
        let Some(values) = made.map_err(|error| error.to_string())?.outputs.pop() else { return Ok(None) };
        let kind = super::value::kind_of(values.dtype);
        let data = match values.dtype {
            DType::I32 | DType::U32 | DType::Bool => Data::Ints(values.data.iter().map(|&v| v as i64).collect()),
            _ => Data::Floats(values.data.iter().map(|&v| super::value::rounded(v, kind)).collect()),
        };
        Ok(Some(Known { kind, shape: values.shape.to_vec(), data }))
    }

    /// A constant in f64: one more argument.
    fn double(&self, doubles: &RefCell<Vec<Values>>, known: &Known) -> Outcome<Tensor> {
        let Data::Floats(values) = &known.data else { return known.tensor() };
        let values = Values { shape: known.shape.clone().into(), dtype: dtype(known.kind)?, data: values.clone() };
        let mut all = doubles.borrow_mut();
        let tensor = Tensor::input(all.len(), values.shape.clone(), values.dtype);
        all.push(values);
        Ok(tensor)
    }

    /// Counts elements that are made of nothing; beyond a bound that is an error.
    fn make(&self, elements: usize) -> Outcome<()> {
        let left = self.made.get().checked_sub(elements);
        let left = left.ok_or("needs more constants than the file could hold: it makes them again and again")?;
        self.made.set(left);
        Ok(())
    }

    /// Counts a node that is walked through.
    pub fn walk(&self) -> Outcome<()> {
        let left = self.nodes.get().checked_sub(1);
        self.nodes.set(left.ok_or_else(|| format!("more than {NODES} nodes to walk through, loops and functions included"))?);
        Ok(())
    }

    /// Whether there is room for known elements still.
    pub fn has_room(&self) -> bool {
        self.elements.get() > 0
    }

    /// A graph within a node, with the names of its initialisers: what does not change when it is gone through several times.
    pub fn inner<'s>(&self, graph: &GraphProto, outer: &'s Scope<'s>) -> Outcome<Scope<'s>> {
        let mut scope = Scope { values: HashMap::new(), kinds: HashMap::new(), opsets: outer.opsets, outer: Some(outer) };
        for tensor in &graph.initializer {
            let named = |message: String| format!("the initialiser `{}` {message}", short(&tensor.name));
            let known = super::tensors::known(tensor).map_err(named)?;
            scope.set(&tensor.name, keep(self, known)?, None);
        }
        Ok(scope)
    }

    /// The results of a graph within a node, for these inputs.
    pub fn graph(&self, graph: &GraphProto, inputs: Vec<Typed>, outer: &Scope) -> Outcome<Vec<Typed>> {
        if self.depth.get() >= DEPTH {
            return Err(format!("graphs stand within graphs more than {DEPTH} deep"));
        }
        if inputs.len() != graph.input.len() {
            return Err(format!("its graph `{}` takes {} values and is given {}", short(&graph.name), graph.input.len(), inputs.len()));
        }
        let mut scope = Scope { values: HashMap::new(), kinds: HashMap::new(), opsets: outer.opsets, outer: Some(outer) };
        for (info, (value, kind)) in graph.input.iter().zip(inputs) {
            scope.set(&info.name, value, kind);
        }
        self.depth.set(self.depth.get() + 1);
        let done = self.walk().and_then(|()| self.nodes(&graph.node, &mut scope));
        self.depth.set(self.depth.get() - 1);
        done?;
        let found = |name: &str| {
            let (value, kind) = scope.get(name).ok_or_else(|| format!("nothing made `{}`", short(name)))?;
            Ok((value.clone(), kind))
        };
        graph.output.iter().map(|info| found(&info.name)).collect()
    }

    /// Room for so many known elements more, if there is.
    pub fn room(&self, elements: usize) -> bool {
        if elements > KNOWN {
            return false;
        }
        // Once there is no room nothing is worked out here any more: it would be made again and again.
        let left = self.elements.get().checked_sub(elements);
        self.elements.set(left.unwrap_or(0));
        left.is_some()
    }

    fn nodes(&self, nodes: &[NodeProto], scope: &mut Scope) -> Outcome<()> {
        for (place, node) in nodes.iter().enumerate() {
            self.walk()?;
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
                let call = Call { node, opset, mode: self.mode, run: self, scope, operands, kinds };
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
        let mut scope = Scope { values: HashMap::new(), kinds: HashMap::new(), opsets: &opsets, outer: None };
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
    let room = run.room(known.data.len());
    let value = Value::Known(Arc::new(known));
    if room { Ok(value) } else { run.tensor(&value).map(Value::Tensor) }
}

//! What a model consists of, and what it costs.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location as CallerLocation;
use std::sync::Arc;

use noyau_compile::{Graph, Limits, Node, Options, compile};
use noyau_nn::{Adam, Mode, Module, Optimizer, on_behalf};
use noyau_tensor::{DType, Op, Param, Result, Shape, State, Tensor};

use crate::described::Spec;
use crate::memory_use::{MemoryUse, bytes_in_words};

/// A line of a [`Summary`]: a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its path in the model: `0`, `encoder.2`.
    pub path: String,
    /// Its type, as the program names it; empty where it is not known.
    pub kind: String,
    /// The shape of what it gives; none where it is not known.
    pub output: Option<Shape>,
    /// The number of its trainable values. Values that several layers share count at the first.
    pub parameters: usize,
}

/// A model's layers, sizes and costs: see [`summary`]. It prints as a table.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The input's shape, its first axis the batch.
    pub input: Shape,
    /// The output's shape.
    pub output: Shape,
    /// The layers in the order in which they run: those of [`Sequential`](noyau_nn::Sequential)s, and for models that are written otherwise
    /// the paths of their parameters.
    pub layers: Vec<Layer>,
    /// The number of trainable values.
    pub parameters: usize,
    /// The number of values that are kept but not trained.
    pub buffers: usize,
    /// Floating-point operations of a forward pass on the whole batch: products, convolutions and attention exactly, two a multiplication with its addition; one
    /// an element of everything else.
    pub forward_flops: u64,
    /// Those of a training step with Adam.
    pub training_flops: u64,
    /// The memory of such a training step on the CPU, planned as it would run.
    pub memory: MemoryUse,
}

/// What a model consists of for an input of f32 of this shape, the first axis being the batch: `println!("{}", summary(&model, [128, 28, 28])?)`.
///
/// Nothing runs: the model is traced and its training step with Adam, on the mean square of its output, is planned. Fails with the first mistake in the model, with
/// its line. For other input types see [`summary_of`].
#[track_caller]
pub fn summary(model: &dyn Module, shape: impl Into<Shape>) -> Result<Summary> {
    summary_of(model, &Spec::f32(shape))
}

/// [`summary`] for an input of any type: tokens, say.
#[track_caller]
pub fn summary_of(model: &dyn Module, input: &Spec) -> Result<Summary> {
    let (shape, dtype) = input.parts();
    let mode = Mode::eval().recording();
    let x = Tensor::input(0, &shape, dtype);
    let line = CallerLocation::caller();
    let out = on_behalf(line, file!(), model.forward(&x, &mode));
    if let Some(error) = out.error() {
        return Err(error.clone());
    }
    let declared = [(shape.clone(), dtype)];
    let forward = Graph::trace(&declared, &[&out], &[])?;
    let training = Mode::train();
    let loss = mean_square(&model.forward(&x, &training));
    let parameters = model.parameters();
    let mut updates = training.take_updates();
    if !parameters.is_empty() {
        updates.extend(Adam::new(1e-3).update(&loss, model));
    }
    let updates: Vec<(Arc<State>, Tensor)> = updates.into_iter().map(|(param, next)| (Arc::clone(param.state()), next)).collect();
    let step = Graph::trace(&declared, &[&loss], &updates)?;
    let plan = compile(&step, Options::new(Limits::CPU))?;
    let count = |values: &[(String, Param)]| {
        let mut seen = BTreeSet::new();
        values.iter().filter(|(_, p)| seen.insert(p.state().id())).map(|(_, p)| p.numel()).sum()
    };
    Ok(Summary {
        output: out.shape().clone(),
        layers: layers(&mode.take_layers(), &parameters),
        parameters: count(&parameters),
        buffers: count(&model.buffers()),
        forward_flops: flops(&forward),
        training_flops: flops(&step),
        memory: MemoryUse::of_plan(&plan, &Limits::CPU),
        input: shape,
    })
}

#[track_caller]
fn mean_square(out: &Tensor) -> Tensor {
    let out = if out.dtype() == DType::F32 { out.clone() } else { out.to(DType::F32) };
    out.square().mean()
}

/// The recorded layers that have none within them, and a line for parameters that lie in none.
fn layers(recorded: &[(String, &'static str, Shape)], parameters: &[(String, Param)]) -> Vec<Layer> {
    let within = |path: &str, layer: &str| path.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'));
    let mut seen = BTreeSet::new();
    let mut lines: Vec<Layer> = Vec::new();
    for (path, kind, shape) in recorded {
        let leaf = !recorded.iter().any(|(other, _, _)| within(other, path));
        // A layer that runs twice has one line.
        if leaf && !lines.iter().any(|line| line.path == *path) {
            let own = parameters.iter().filter(|(p, _)| within(p, path));
            let count = own.filter(|(_, p)| seen.insert(p.state().id())).map(|(_, p)| p.numel()).sum();
            lines.push(Layer { path: path.clone(), kind: (*kind).into(), output: Some(shape.clone()), parameters: count });
        }
    }
    for (path, param) in parameters {
        if !seen.insert(param.state().id()) {
            continue;
        }
        let layer = path.rsplit_once('.').map_or("", |(layer, _)| layer);
        match lines.iter_mut().find(|line| line.path == layer) {
            Some(line) => line.parameters += param.numel(),
            None => lines.push(Layer { path: layer.into(), kind: String::new(), output: None, parameters: param.numel() }),
        }
    }
    lines
}

/// The operations of a graph.
fn flops(graph: &Graph) -> u64 {
    graph.nodes.iter().map(|node| flops_of(graph, node)).fold(0, u64::saturating_add)
}

fn flops_of(graph: &Graph, node: &Node) -> u64 {
    let operand = |i: usize| node.inputs.get(i).map(|&id| &graph.node(id).shape[..]).unwrap_or(&[]);
    let elements = |shape: &[usize]| shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
    let own = elements(&node.shape);
    match &node.op {
        Op::Matmul => own.saturating_mul(2 * operand(0).last().copied().unwrap_or(0) as u64),
        // Each result is a sum over the kernel's channels and places.
        Op::Conv(_) => own.saturating_mul(2 * elements(operand(1).get(1..).unwrap_or(&[]))),
        Op::Attention(_) => {
            let (q, v) = (operand(0), operand(2));
            let (features, values) = (q.last().copied().unwrap_or(0), v.last().copied().unwrap_or(0));
            let keys = v.iter().rev().nth(1).copied().unwrap_or(0);
            let rows = elements(q) / (features as u64).max(1);
            rows.saturating_mul(keys as u64).saturating_mul(2 * (features + values) as u64)
        }
        Op::Reduce(..) => elements(operand(0)),
        Op::ScatterAdd(_) => elements(operand(0)),
        Op::Unary(_) | Op::Binary(_) | Op::Where | Op::Cast(_) | Op::Philox(_) => own,
        _ => 0,
    }
}

/// A number with its thousands apart: `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap_or("")).collect();
    parts.join(",")
}

/// A number of operations: `1.25 G`.
fn operations(number: u64) -> String {
    let mut value = number as f64;
    let mut units = ["", " k", " M", " G", " T", " P", " E"].iter();
    let mut unit = units.next();
    while value >= 999.5
        && let Some(next) = units.next()
    {
        value /= 1000.0;
        unit = Some(next);
    }
    format!("{value:.3}{}", unit.unwrap_or(&""))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 4]> = self
            .layers
            .iter()
            .map(|layer| {
                let output = layer.output.as_ref().map_or_else(String::new, |shape| shape.to_string());
                [layer.path.clone(), layer.kind.clone(), output, grouped(layer.parameters)]
            })
            .collect();
        let head = ["layer", "kind", "output", "parameters"].map(String::from);
        let width = |i: usize| rows.iter().chain([&head]).map(|row| row[i].chars().count()).max().unwrap_or(0);
        let [a, b, c, d] = [width(0), width(1), width(2), width(3)];
        for row in std::iter::once(&head).chain(&rows) {
            writeln!(f, "{:<a$}  {:<b$}  {:<c$}  {:>d$}", row[0], row[1], row[2], row[3])?;
        }
        writeln!(f, "{} -> {}: {} parameters, {} buffers", self.input, self.output, grouped(self.parameters), grouped(self.buffers))?;
        writeln!(
            f,
            "operations: {} forward, {} a training step with Adam",
            operations(self.forward_flops),
            operations(self.training_flops)
        )?;
        let [total, states, slots] = [self.memory.total(), self.memory.states, self.memory.activations].map(bytes_in_words);
        write!(f, "memory of that step: {total}: {states} of weights and moments, {slots} of activations and gradients")
    }
}

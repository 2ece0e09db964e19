//! Steps as programs describe them, and what becomes of that: a graph.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use noyau_compile::Graph;
use noyau_tensor::{DType, Error, Op, Param, Result, Shape, State, Tensor, rng_step};

/// The shape and type of a step's argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    shape: Shape,
    dtype: DType,
}

impl Spec {
    /// An argument of any type.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> Spec {
        Spec { shape: shape.into(), dtype }
    }

    /// The shape and the type.
    pub(crate) fn parts(&self) -> (Shape, DType) {
        (self.shape.clone(), self.dtype)
    }

    /// An argument of f32.
    pub fn f32(shape: impl Into<Shape>) -> Spec {
        Spec::new(shape, DType::F32)
    }

    /// An argument of u32.
    pub fn u32(shape: impl Into<Shape>) -> Spec {
        Spec::new(shape, DType::U32)
    }
}

/// What a step gives back and which states it changes: what the function passed to [`Session::compile`] returns.
#[derive(Clone, Default)]
pub struct Step {
    outputs: Vec<Tensor>,
    updates: Vec<(Param, Tensor)>,
    /// States that are read in place of others, by those others' ids.
    instead: HashMap<u64, Arc<State>>,
}

impl Step {
    /// A step that returns one value.
    pub fn returns(output: &Tensor) -> Step {
        Step::default().and_returns(output)
    }

    /// One more value to return.
    pub fn and_returns(mut self, output: &Tensor) -> Step {
        self.outputs.push(output.clone());
        self
    }

    /// States and their next values, as an optimizer gives them. All next values are computed from the values before the step.
    pub fn updates(mut self, updates: impl IntoIterator<Item = (Param, Tensor)>) -> Step {
        self.updates.extend(updates);
        self
    }

    /// Reads the second state of each pair wherever an expression reads the first: a model's averaged weights for its weights, say
    /// ([`Optimizer::averaged`](noyau_nn::Optimizer::averaged)). Nothing is copied. Both must have the same shape and type.
    pub fn reading(mut self, pairs: impl IntoIterator<Item = (Param, Param)>) -> Step {
        self.instead.extend(pairs.into_iter().map(|(read, instead)| (read.state().id(), Arc::clone(instead.state()))));
        self
    }
}

/// What a function that describes a step returns for arguments of these shapes.
pub(crate) fn traced<const N: usize>(arguments: &[Spec; N], trace: impl FnOnce([Tensor; N]) -> Step) -> Step {
    let mut position = 0;
    let tensors = arguments.each_ref().map(|spec| {
        position += 1;
        Tensor::input(position - 1, &spec.shape, spec.dtype)
    });
    trace(tensors)
}

/// A step as a graph. Each run of a step that draws random numbers sees new ones: their counter is updated too.
pub(crate) fn trace_step(arguments: &[Spec], step: &Step) -> Result<Graph> {
    let declared: Vec<(Shape, DType)> = arguments.iter().map(|spec| (spec.shape.clone(), spec.dtype)).collect();
    let outputs: Vec<&Tensor> = step.outputs.iter().collect();
    let mut updates: Vec<(Arc<State>, Tensor)> =
        step.updates.iter().map(|(param, next)| (Arc::clone(param.state()), next.clone())).collect();
    let graph = Graph::trace(&declared, &outputs, &updates)?;
    let counter = rng_step();
    if !graph.draws() || updates.iter().any(|(state, _)| state.id() == counter.state().id()) {
        return read_instead(graph, &step.instead);
    }
    updates.push((Arc::clone(counter.state()), counter.tensor() + 1));
    read_instead(Graph::trace(&declared, &outputs, &updates)?, &step.instead)
}

/// The graph with some states read in place of others, by those others' ids.
fn read_instead(mut graph: Graph, instead: &HashMap<u64, Arc<State>>) -> Result<Graph> {
    for node in &mut graph.nodes {
        let Op::State(state) = &node.op else { continue };
        let Some(other) = instead.get(&state.id()) else { continue };
        if other.shape() != state.shape() || other.dtype() != state.dtype() {
            let message = format!(
                "`{}` is {}{}, but `{}`, which is to be read in its place, is {}{}",
                state.name(),
                state.dtype(),
                state.shape(),
                other.name(),
                other.dtype(),
                other.shape()
            );
            return Err(Error::argument("Step::reading", message));
        }
        node.op = Op::State(Arc::clone(other));
    }
    Ok(graph)
}

/// The states that a graph reads or updates, in order of use.
pub(crate) fn states_of(graph: &Graph) -> Vec<Arc<State>> {
    let mut seen = HashSet::new();
    let read = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::State(state) => Some(state),
        _ => None,
    });
    read.chain(graph.updates.iter().map(|(state, _)| state)).filter(|state| seen.insert(state.id())).cloned().collect()
}

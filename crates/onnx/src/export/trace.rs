//! The model as a graph, and how its sizes follow the batch.
//!
//! A traced graph is of one batch size. To know which of its numbers would be others for another batch, the model is traced with three: every size,
//! start of a slice and width of a padding is `per * batch + rest`, fitted to two of them and checked by the third, and all else must be the same
//! in all three. Where it is not, the file gets a fixed batch, and the reason is told.

use noyau_compile::plan::Limits;
use noyau_compile::{Graph, Node, NodeId, attend};
use noyau_tensor::{DType, Error, Op, Result, Shape, Tensor};

/// A size: `per * batch + rest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Dim {
    pub(super) per: i64,
    pub(super) rest: i64,
}

impl Dim {
    pub(super) fn fixed(rest: i64) -> Dim {
        Dim { per: 0, rest }
    }

    pub(super) fn is_fixed(self) -> bool {
        self.per == 0
    }

    pub(super) fn plus(self, other: Dim) -> Dim {
        Dim { per: self.per + other.per, rest: self.rest + other.rest }
    }

    pub(super) fn times(self, factor: i64) -> Dim {
        Dim { per: self.per * factor, rest: self.rest * factor }
    }
}

/// Batch sizes that are traced: primes, which few other sizes of a model are.
const BATCHES: [usize; 3] = [61, 71, 79];

/// A traced model.
pub(super) struct Traced {
    /// The same graph for each of the batches.
    graphs: Vec<Graph>,
    batches: Vec<i64>,
    /// How often each node is an operand or a result.
    pub(super) uses: Vec<usize>,
}

impl Traced {
    /// A model for any batch size, or why it cannot be.
    pub(super) fn any_batch(shape: &Shape, dtype: DType, forward: &dyn Fn(&Tensor) -> Tensor) -> Result<Result<Traced, String>> {
        let mut graphs = Vec::new();
        for batch in BATCHES {
            let mut sizes = shape.to_vec();
            let Some(first) = sizes.first_mut() else { return Ok(Err("the input has no axes".into())) };
            *first = batch;
            match graph(&sizes.into(), dtype, forward) {
                Ok(graph) => graphs.push(graph),
                Err(error) => return Ok(Err(format!("a batch of {batch} gives: {error}"))),
            }
        }
        let traced = Traced::made(graphs, BATCHES.iter().map(|&b| b as i64).collect());
        Ok(traced.check().map(|()| traced))
    }

    /// A model for the batch size of the shape alone.
    pub(super) fn one_batch(shape: &Shape, dtype: DType, forward: &dyn Fn(&Tensor) -> Tensor) -> Result<Traced> {
        Ok(Traced::made(vec![graph(shape, dtype, forward)?], vec![0]))
    }

    fn made(graphs: Vec<Graph>, batches: Vec<i64>) -> Traced {
        let mut uses = vec![0; graphs[0].nodes.len()];
        let operands = graphs[0].nodes.iter().flat_map(|node| &node.inputs);
        operands.chain(&graphs[0].outputs).for_each(|id| uses[id.0] += 1);
        Traced { graphs, batches, uses }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graphs[0]
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.graphs[0].node(id)
    }

    /// A number of a node for any batch; `None` where it does not follow a line.
    fn fit(&self, number: impl Fn(&Graph) -> i64) -> Option<Dim> {
        let found: Vec<i64> = self.graphs.iter().map(number).collect();
        let [first, second, third] = found[..] else { return found.first().map(|&n| Dim::fixed(n)) };
        let step = self.batches[1] - self.batches[0];
        let per = (second - first) / step;
        let dim = Dim { per, rest: first - per * self.batches[0] };
        let at = |batch: i64| dim.per * batch + dim.rest;
        (at(self.batches[1]) == second && at(self.batches[2]) == third).then_some(dim)
    }

    /// The sizes of a node's axes. (All have been fitted by [`Traced::check`].)
    pub(super) fn shape(&self, id: NodeId) -> Vec<Dim> {
        (0..self.node(id).shape.rank()).map(|axis| self.number(|g| g.node(id).shape[axis] as i64)).collect()
    }

    /// A number that [`Traced::check`] has fitted.
    pub(super) fn number(&self, number: impl Fn(&Graph) -> i64) -> Dim {
        self.fit(&number).unwrap_or(Dim::fixed(number(&self.graphs[0])))
    }

    /// Why the graphs are not one.
    fn check(&self) -> Result<(), String> {
        let [first, others @ ..] = &self.graphs[..] else { return Ok(()) };
        let at = |node: &Node| format!("{} ({}:{})", node.op.name(), node.location.file(), node.location.line());
        for (i, node) in first.nodes.iter().enumerate() {
            let id = NodeId(i);
            for other in others {
                let same = other.nodes.get(i).is_some_and(|o| o.dtype == node.dtype && o.inputs == node.inputs && alike(&node.op, &o.op));
                if !same {
                    return Err(format!("{} is another one for another batch", at(node)));
                }
            }
            let rank = node.shape.rank();
            if others.iter().any(|other| other.node(id).shape.rank() != rank) {
                return Err(format!("the number of axes of {} hangs on the batch", at(node)));
            }
            let sizes = (0..rank).all(|axis| self.fit(|g| g.node(id).shape[axis] as i64).is_some());
            let numbers = match &node.op {
                Op::Slice(ranges) => (0..ranges.len()).all(|axis| self.fit(|g| start(g.node(id), axis)).is_some()),
                Op::Pad(widths, _) => (0..widths.len())
                    .all(|axis| self.fit(|g| width(g.node(id), axis).0).is_some() && self.fit(|g| width(g.node(id), axis).1).is_some()),
                _ => true,
            };
            // The places of windows are written as constants.
            let windows = match &node.op {
                Op::Unfold(window) => self.fit(|g| g.node(id).shape[window.axis] as i64).is_some_and(Dim::is_fixed),
                _ => true,
            };
            if !windows {
                return Err(format!("{} has windows over the batch", at(node)));
            }
            if !sizes || !numbers {
                return Err(format!("a size of {} is not a multiple of the batch plus a constant", at(node)));
            }
        }
        let whole = |g: &Graph| g.nodes.len() == first.nodes.len() && g.outputs == first.outputs;
        if others.iter().all(whole) { Ok(()) } else { Err("the model has other operations for another batch".into()) }
    }
}

/// Where a slice begins along an axis.
pub(super) fn start(node: &Node, axis: usize) -> i64 {
    match &node.op {
        Op::Slice(ranges) => ranges[axis].0 as i64,
        _ => 0,
    }
}

/// How much a padding adds before and after an axis.
pub(super) fn width(node: &Node, axis: usize) -> (i64, i64) {
    match &node.op {
        Op::Pad(widths, _) => (widths[axis].0 as i64, widths[axis].1 as i64),
        _ => (0, 0),
    }
}

/// Whether two ops are the same but for numbers that may follow the batch.
fn alike(a: &Op, b: &Op) -> bool {
    match (a, b) {
        (Op::Slice(a), Op::Slice(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.1 == b.1),
        (Op::Pad(a, x), Op::Pad(b, y)) => a.len() == b.len() && x == y,
        _ => equal(a, b),
    }
}

/// Whether two ops are the same, parameters and all.
pub(super) fn equal(a: &Op, b: &Op) -> bool {
    match (a, b) {
        (Op::Full(a), Op::Full(b)) => a == b,
        (Op::Data(a), Op::Data(b)) => a == b,
        (Op::State(a), Op::State(b)) => a.id() == b.id(),
        (Op::Data(_) | Op::State(_), _) => false,
        // What is left prints all of its parameters.
        _ => std::mem::discriminant(a) == std::mem::discriminant(b) && a.to_string() == b.to_string(),
    }
}

fn graph(shape: &Shape, dtype: DType, forward: &dyn Fn(&Tensor) -> Tensor) -> Result<Graph> {
    let out = forward(&Tensor::input(0, shape, dtype));
    let graph = Graph::trace(&[(shape.clone(), dtype)], &[&out], &[])?;
    // Attention is written as products and softmax: there are no kernels here.
    let graph = attend(&graph, &Limits { max_bindings: 0, ..Limits::CPU })?;
    if graph.nodes.is_empty() { Err(Error::Internal("a graph without nodes".into())) } else { Ok(graph) }
}

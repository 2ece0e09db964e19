//! Attention: what a kernel does block by block, and what is written out as products and softmax.

use noyau_tensor::{Attention, Op, Result, Tensor};

use crate::convolve::splice;
use crate::plan::Limits;
use crate::{Graph, Node, NodeId};

/// The most features of a head that kernels keep at hand. Larger ones are rare, and their products long enough to fill a device by themselves.
pub const MAX_HEAD: usize = 128;

/// The graph with what no kernel does written as the tensors that it stands for.
pub fn attend(graph: &Graph, limits: &Limits) -> Result<Graph> {
    if !graph.nodes.iter().any(|node| matches!(node.op, Op::Attention(_))) {
        return Ok(graph.clone());
    }
    graph.try_rewrite(|out, node| match node.op {
        Op::Attention(attention) if !fits(out, attention, &node, limits) => {
            let operand = |(i, id): (usize, &NodeId)| Tensor::input(i, out.node(*id).shape.clone(), out.node(*id).dtype);
            let operands: Vec<Tensor> = node.inputs.iter().enumerate().map(operand).collect();
            splice(out, &node, &attention.expand(&operands))
        }
        _ => Ok(out.push(node)),
    })
}

/// Whether a kernel does it: there is enough to do, heads are of a size that it can hold, and all operands can be bound at once.
fn fits(graph: &Graph, attention: Attention, node: &Node, limits: &Limits) -> bool {
    let shape = |i: usize| &graph.node(node.inputs[i]).shape;
    let head = |i: usize| shape(i)[shape(i).rank() - 1] <= MAX_HEAD;
    let something = node.inputs.iter().all(|id| graph.node(*id).shape.numel() > 0);
    // Queries and keys are the first operands of every part: all parts of one attention are done the same way.
    let [queries, keys] = [0, 1].map(|i| shape(i)[shape(i).rank() - 2]);
    something
        && keys > 1
        && queries.saturating_mul(keys) >= limits.min_scores
        && head(0)
        && head(2)
        && attention.part.fixed() + attention.masks(&node.inputs).len() < limits.max_bindings
}

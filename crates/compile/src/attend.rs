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
    let mut out = Graph { inputs: graph.inputs.clone(), ..Graph::default() };
    let mut map: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|id| map[id.0]).collect();
        let id = match node.op {
            Op::Attention(attention) if !fits(graph, attention, node, limits) => {
                let operand = |(i, id): (usize, &NodeId)| Tensor::input(i, out.node(*id).shape.clone(), out.node(*id).dtype);
                let operands: Vec<Tensor> = inputs.iter().enumerate().map(operand).collect();
                let result = attention.expand(&operands);
                splice(&mut out, node, &inputs, &result)?
            }
            _ => out.push(Node { inputs, ..node.clone() }),
        };
        map.push(id);
    }
    out.outputs = graph.outputs.iter().map(|id| map[id.0]).collect();
    out.updates = graph.updates.iter().map(|(state, id)| (state.clone(), map[id.0])).collect();
    Ok(out)
}

/// Whether a kernel does it: there is something to do, heads are of a size that it can hold, and all operands can be bound at once.
fn fits(graph: &Graph, attention: Attention, node: &Node, limits: &Limits) -> bool {
    let shape = |i: usize| &graph.node(node.inputs[i]).shape;
    let head = |i: usize| shape(i)[shape(i).rank() - 1] <= MAX_HEAD;
    let something = node.inputs.iter().all(|id| graph.node(*id).shape.numel() > 0);
    something
        && shape(1)[shape(1).rank() - 2] > 1
        && head(0)
        && head(2)
        && attention.part.fixed() + attention.masks(&node.inputs).len() < limits.max_bindings
}

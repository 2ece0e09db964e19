//! Graph to smaller graph: constants folded, equal nodes merged, no-ops removed, dead nodes dropped.
//!
//! Every rule keeps the result exact in IEEE arithmetic, signed zeros and NaN included; the one exception, a sum of equal elements written as a
//! product, is more accurate than what it replaces.

use std::collections::HashMap;
use std::sync::Arc;

use noyau_tensor::{BinaryOp, DType, Op, ReduceOp, Scalar, Shape, UnaryOp};

use crate::scalar;
use crate::{Graph, Node, NodeId};

/// The graph with every rule applied until nothing changes.
pub fn simplify(graph: &Graph) -> Graph {
    let mut current = rebuild(graph);
    // Each pass sees operands already simplified, so two or three passes reach the fixed point; the bound is for safety only.
    for _ in 0..8 {
        let next = rebuild(&current);
        let same = next.nodes.len() == current.nodes.len();
        current = next;
        if same {
            break;
        }
    }
    current
}

fn rebuild(graph: &Graph) -> Graph {
    let mut builder = Builder::default();
    let mut map: Vec<Option<NodeId>> = vec![None; graph.nodes.len()];
    let live = live_nodes(graph);
    for (i, node) in graph.nodes.iter().enumerate().filter(|(i, _)| live[*i]) {
        let inputs = node.inputs.iter().filter_map(|id| map[id.0]).collect();
        map[i] = Some(builder.add(Node { inputs, ..node.clone() }));
    }
    let find = |id: NodeId| map[id.0].unwrap_or(id);
    let rewritten = Graph {
        nodes: builder.nodes,
        inputs: graph.inputs.clone(),
        outputs: graph.outputs.iter().map(|&id| find(id)).collect(),
        updates: graph.updates.iter().map(|(state, id)| (Arc::clone(state), find(*id))).collect(),
    };
    compact(rewritten)
}

/// Which nodes a root needs.
fn live_nodes(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    graph.roots().for_each(|id| live[id.0] = true);
    // Users come after their operands, so one walk from the end reaches everything.
    for i in (0..graph.nodes.len()).rev() {
        if live[i] {
            graph.nodes[i].inputs.iter().for_each(|id| live[id.0] = true);
        }
    }
    live
}

/// Drops nodes that nothing needs.
fn compact(graph: Graph) -> Graph {
    let live = live_nodes(&graph);
    let mut map = vec![NodeId(0); graph.nodes.len()];
    let mut nodes = Vec::new();
    for (i, mut node) in graph.nodes.into_iter().enumerate().filter(|(i, _)| live[*i]) {
        node.inputs.iter_mut().for_each(|id| *id = map[id.0]);
        map[i] = NodeId(nodes.len());
        nodes.push(node);
    }
    Graph {
        nodes,
        inputs: graph.inputs,
        outputs: graph.outputs.into_iter().map(|id| map[id.0]).collect(),
        updates: graph.updates.into_iter().map(|(state, id)| (state, map[id.0])).collect(),
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    known: HashMap<Key, NodeId>,
}

/// What makes two nodes equal: name, parameters, operands, shape, type.
type Key = (&'static str, Vec<u64>, Vec<NodeId>, Shape, noyau_tensor::DType);

fn key(node: &Node) -> Key {
    let parameters = match &node.op {
        Op::Full(value) => vec![value.to_f64().to_bits()],
        Op::Data(array) => vec![Arc::as_ptr(array) as usize as u64],
        Op::Input(i) | Op::Iota(i) | Op::Gather(i) | Op::ScatterAdd(i) => vec![*i as u64],
        Op::State(state) => vec![state.id()],
        Op::Philox(stream) => vec![*stream],
        Op::Permute(axes) | Op::Flip(axes) | Op::Reduce(_, axes) => axes.iter().map(|&a| a as u64).collect(),
        Op::Slice(ranges) => ranges.iter().flat_map(|&(a, b)| [a as u64, b as u64]).collect(),
        Op::Pad(widths, value) => widths.iter().flat_map(|&(a, b)| [a as u64, b as u64]).chain([value.to_f64().to_bits()]).collect(),
        Op::Unfold(w) => [w.axis, w.size, w.step, w.dilation].map(|n| n as u64).into(),
        Op::Conv(c) => {
            let padding = c.padding.iter().flat_map(|&(a, b)| [a as u64, b as u64]);
            let sizes = c.stride.iter().chain(&c.dilation).chain(&c.input_dilation).chain([&c.groups]).map(|&n| n as u64);
            padding.chain(sizes).collect()
        }
        Op::Attention(a) => vec![u64::from(a.causal), a.scale.to_bits()],
        Op::Unary(_) | Op::Binary(_) | Op::Where | Op::Cast(_) | Op::Detach | Op::Reshape | Op::Expand | Op::Matmul | Op::Error(_) => {
            Vec::new()
        }
    };
    (node.op.name(), parameters, node.inputs.clone(), node.shape.clone(), node.dtype)
}

impl Builder {
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    fn full(&self, id: NodeId) -> Option<Scalar> {
        match self.node(id).op {
            Op::Full(value) => Some(value),
            _ => None,
        }
    }

    /// The operand's operand, when the operand is such an op.
    fn under(&self, id: NodeId, test: impl Fn(&Op) -> bool) -> Option<NodeId> {
        let node = self.node(id);
        test(&node.op).then(|| node.inputs.first().copied()).flatten()
    }

    /// The node, or one that is equal to it.
    fn add(&mut self, mut node: Node) -> NodeId {
        if let Op::Binary(
            BinaryOp::Add
            | BinaryOp::Mul
            | BinaryOp::Min
            | BinaryOp::Max
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::Eq
            | BinaryOp::Ne,
        ) = node.op
        {
            // The order of operands that may be exchanged: constants last, else as they came to be.
            let rank = |id: NodeId| (self.full(id).is_some(), id);
            if rank(node.inputs[0]) > rank(node.inputs[1]) {
                node.inputs.swap(0, 1);
            }
        }
        match self.rewrite(&node) {
            Rewrite::Same(id) => id,
            Rewrite::Node(next) => self.add(next),
            Rewrite::Keep => {
                let key = key(&node);
                if let Some(&id) = self.known.get(&key) {
                    return id;
                }
                self.nodes.push(node);
                let id = NodeId(self.nodes.len() - 1);
                self.known.insert(key, id);
                id
            }
        }
    }

    fn rewrite(&mut self, node: &Node) -> Rewrite {
        let constant = |value: Scalar| Rewrite::Node(Node { op: Op::Full(value), inputs: Vec::new(), ..node.clone() });
        let inputs = &node.inputs;
        match &node.op {
            Op::Unary(op) => {
                if let Some(x) = self.full(inputs[0]) {
                    return constant(Scalar::new(scalar::unary(*op, x.dtype(), x.to_f64()), node.dtype));
                }
                match op {
                    UnaryOp::Neg | UnaryOp::Not => match self.under(inputs[0], |inner| matches!(inner, Op::Unary(o) if o == op)) {
                        Some(x) => Rewrite::Same(x),
                        None => Rewrite::Keep,
                    },
                    UnaryOp::Abs | UnaryOp::Relu | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Sign => {
                        match self.under(inputs[0], |inner| matches!(inner, Op::Unary(o) if o == op)) {
                            Some(_) => Rewrite::Same(inputs[0]),
                            None => Rewrite::Keep,
                        }
                    }
                    _ => Rewrite::Keep,
                }
            }
            Op::Binary(op) => self.rewrite_binary(*op, node),
            Op::Where => match self.full(inputs[0]) {
                Some(Scalar::Bool(true)) => Rewrite::Same(inputs[1]),
                Some(_) => Rewrite::Same(inputs[2]),
                None if inputs[1] == inputs[2] => Rewrite::Same(inputs[1]),
                None => {
                    // A choice by a condition that is already decided in the branch.
                    let inner = |id: NodeId, place: usize| {
                        let n = self.node(id);
                        (matches!(n.op, Op::Where) && n.inputs[0] == inputs[0]).then(|| n.inputs[place])
                    };
                    match (inner(inputs[1], 1), inner(inputs[2], 2)) {
                        (None, None) => Rewrite::Keep,
                        (a, b) => {
                            Rewrite::Node(Node { inputs: vec![inputs[0], a.unwrap_or(inputs[1]), b.unwrap_or(inputs[2])], ..node.clone() })
                        }
                    }
                }
            },
            Op::Cast(dtype) => match self.full(inputs[0]) {
                Some(x) => constant(Scalar::new(scalar::cast(x.to_f64(), x.dtype(), *dtype), *dtype)),
                None if self.node(inputs[0]).dtype == *dtype => Rewrite::Same(inputs[0]),
                // A half that was read as f32 and is one again: no number was lost.
                None => match self.under(inputs[0], |inner| matches!(inner, Op::Cast(DType::F32))) {
                    Some(half) if dtype.is_half() && self.node(half).dtype == *dtype => Rewrite::Same(half),
                    _ => Rewrite::Keep,
                },
            },
            Op::Reshape => self.rewrite_view(node, |inner| matches!(inner, Op::Reshape)),
            Op::Expand => self.rewrite_view(node, |inner| matches!(inner, Op::Expand)),
            Op::Slice(_) | Op::Flip(_) | Op::Unfold(_) => self.rewrite_view(node, |_| false),
            Op::Permute(axes) => {
                if let Some(x) = self.under(inputs[0], |inner| matches!(inner, Op::Permute(_)))
                    && let Op::Permute(before) = &self.node(inputs[0]).op
                {
                    let op = Op::Permute(axes.iter().map(|&a| before[a]).collect());
                    return Rewrite::Node(Node { op, inputs: vec![x], ..node.clone() });
                }
                if axes.iter().enumerate().all(|(i, &a)| i == a) {
                    return Rewrite::Same(inputs[0]);
                }
                self.rewrite_view(node, |_| false)
            }
            Op::Pad(_, value) => match self.full(inputs[0]) {
                Some(inner) if inner == *value => constant(inner),
                _ if self.node(inputs[0]).shape.numel() == 0 => constant(*value),
                _ => Rewrite::Keep,
            },
            Op::Reduce(op, axes) => self.rewrite_reduce(*op, axes, node),
            Op::Matmul => {
                let a = &self.node(inputs[0]).shape;
                if a[a.len() - 1] == 0 { constant(Scalar::new(0.0, node.dtype)) } else { Rewrite::Keep }
            }
            Op::ScatterAdd(_) if self.node(inputs[0]).shape.numel() == 0 => constant(Scalar::new(0.0, node.dtype)),
            Op::Gather(_) if self.node(inputs[0]).shape.numel() == 0 => constant(Scalar::new(0.0, node.dtype)),
            Op::Full(_)
            | Op::Data(_)
            | Op::Input(_)
            | Op::State(_)
            | Op::Iota(_)
            | Op::Philox(_)
            | Op::Detach
            | Op::Gather(_)
            | Op::ScatterAdd(_)
            | Op::Conv(_)
            | Op::Attention(_)
            | Op::Error(_) => Rewrite::Keep,
        }
    }

    /// Views of constants are constants; a view of the same kind of view is one view; a view to the same shape is nothing (for reshape and expand).
    fn rewrite_view(&self, node: &Node, merges: impl Fn(&Op) -> bool) -> Rewrite {
        let input = node.inputs[0];
        if let Some(value) = self.full(input) {
            return Rewrite::Node(Node { op: Op::Full(value), inputs: Vec::new(), ..node.clone() });
        }
        if matches!(node.op, Op::Reshape | Op::Expand) && self.node(input).shape == node.shape {
            return Rewrite::Same(input);
        }
        match self.under(input, merges) {
            Some(x) => Rewrite::Node(Node { inputs: vec![x], ..node.clone() }),
            None => Rewrite::Keep,
        }
    }

    fn rewrite_binary(&self, op: BinaryOp, node: &Node) -> Rewrite {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let float = self.node(a).dtype.is_float();
        if let (Some(x), Some(y)) = (self.full(a), self.full(b)) {
            let value = Scalar::new(scalar::binary(op, x.dtype(), x.to_f64(), y.to_f64()), node.dtype);
            return Rewrite::Node(Node { op: Op::Full(value), inputs: Vec::new(), ..node.clone() });
        }
        let Some(y) = self.full(b).map(Scalar::to_f64) else { return Rewrite::Keep };
        let unary = |op| Rewrite::Node(Node { op: Op::Unary(op), inputs: vec![a], ..node.clone() });
        match op {
            // x + 0 would turn -0 into 0, so only -0 may go.
            BinaryOp::Add if y == 0.0 && (!float || y.is_sign_negative()) => Rewrite::Same(a),
            BinaryOp::Sub if y == 0.0 && (!float || y.is_sign_positive()) => Rewrite::Same(a),
            BinaryOp::Mul | BinaryOp::Div if y == 1.0 => Rewrite::Same(a),
            BinaryOp::Mul if y == -1.0 && float => unary(UnaryOp::Neg),
            BinaryOp::Mul if y == 0.0 && !float => Rewrite::Same(b),
            // A bool written as a number and compared with 1 is the bool.
            BinaryOp::Eq
                if y == 1.0 && matches!(self.node(a).op, Op::Cast(_)) && self.node(self.node(a).inputs[0]).dtype == DType::Bool =>
            {
                Rewrite::Same(self.node(a).inputs[0])
            }
            BinaryOp::Pow if y == 1.0 => Rewrite::Same(a),
            BinaryOp::Pow if y == 2.0 => Rewrite::Node(Node { op: Op::Binary(BinaryOp::Mul), inputs: vec![a, a], ..node.clone() }),
            BinaryOp::Pow if y == -1.0 => unary(UnaryOp::Recip),
            _ => Rewrite::Keep,
        }
    }

    fn rewrite_reduce(&mut self, op: ReduceOp, axes: &[usize], node: &Node) -> Rewrite {
        let input = self.node(node.inputs[0]).clone();
        let count: usize = axes.iter().map(|&a| input.shape[a]).product();
        if count == 0 {
            return Rewrite::Node(Node { op: Op::Full(op.identity(node.dtype)), inputs: Vec::new(), ..node.clone() });
        }
        if count == 1 {
            return Rewrite::Node(Node { op: Op::Reshape, ..node.clone() });
        }
        // Equal elements: the input is constant along every reduced axis.
        let equal = match input.op {
            Op::Full(_) => Some(node.inputs[0]),
            Op::Expand if axes.iter().all(|&a| self.node(input.inputs[0]).shape[a] == 1) => Some(input.inputs[0]),
            _ => None,
        };
        let Some(source) = equal else { return Rewrite::Keep };
        let one = if self.full(source).is_some() {
            let op = self.node(source).op.clone();
            self.add(Node { op, inputs: Vec::new(), ..node.clone() })
        } else {
            let kept: Shape = input.shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
            let expanded = self.add(Node { op: Op::Expand, inputs: vec![source], shape: kept, dtype: node.dtype, location: node.location });
            self.add(Node { op: Op::Reshape, inputs: vec![expanded], ..node.clone() })
        };
        let times = match op {
            ReduceOp::Max | ReduceOp::Min => return Rewrite::Same(one),
            ReduceOp::Sum => BinaryOp::Mul,
            ReduceOp::Prod if node.dtype.is_float() => BinaryOp::Pow,
            ReduceOp::Prod => return Rewrite::Keep,
        };
        let count = self.add(Node { op: Op::Full(Scalar::new(count as f64, node.dtype)), inputs: Vec::new(), ..node.clone() });
        Rewrite::Node(Node { op: Op::Binary(times), inputs: vec![one, count], ..node.clone() })
    }
}

enum Rewrite {
    Keep,
    Same(NodeId),
    Node(Node),
}

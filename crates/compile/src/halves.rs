//! Arithmetic of halves written as arithmetic of f32 and roundings.
//!
//! Devices compute with f32 and know of halves only how to store them and how to round to them. So a half's operation becomes: its operands as f32
//! (which changes no value), the operation, its result rounded. Sums, products and convolutions read their halves as they are stored and give f32, so that
//! they add up in f32 and round once, at the end. What only moves, chooses or compares halves, or whose result is one of them without rounding, stays as it is.
//!
//! Source: Micikevicius et al., "Mixed precision training", ICLR 2018 (halves multiplied, sums in f32).

use noyau_tensor::{BinaryOp, DType, Op, ReduceOp, Scalar, UnaryOp};

use crate::{Graph, Node, NodeId};

/// How a node whose type is a half is computed.
enum Way {
    /// By the half's own words: exact.
    Exact,
    /// From operands converted to f32, then rounded.
    Converted,
    /// From operands as they are, in f32, then rounded.
    Accumulated,
}

fn way(op: &Op) -> Way {
    match op {
        Op::Unary(op) => match op {
            UnaryOp::Neg
            | UnaryOp::Abs
            | UnaryOp::Sign
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Relu
            | UnaryOp::Not => Way::Exact,
            UnaryOp::Sqrt
            | UnaryOp::Rsqrt
            | UnaryOp::Recip
            | UnaryOp::Exp
            | UnaryOp::Expm1
            | UnaryOp::Log
            | UnaryOp::Log1p
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tanh
            | UnaryOp::Erf => Way::Converted,
        },
        Op::Binary(op) => match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Pow => Way::Converted,
            BinaryOp::Min
            | BinaryOp::Max
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::Shl
            | BinaryOp::Shr => Way::Exact,
        },
        Op::Reduce(ReduceOp::Sum | ReduceOp::Prod, _) => Way::Converted,
        Op::Reduce(ReduceOp::Max | ReduceOp::Min, _) => Way::Exact,
        Op::Matmul | Op::Conv(_) | Op::Attention(_) => Way::Accumulated,
        Op::ScatterAdd(_) => Way::Converted,
        Op::Full(_)
        | Op::Data(_)
        | Op::Input(_)
        | Op::State(_)
        | Op::Iota(_)
        | Op::Where
        | Op::Cast(_)
        | Op::Philox(_)
        | Op::Detach
        | Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Slice(_)
        | Op::Flip(_)
        | Op::Pad(..)
        | Op::Unfold(_)
        | Op::Gather(_)
        | Op::Error(_) => Way::Exact,
    }
}

/// The graph with no arithmetic of halves left in it.
pub fn widen(graph: &Graph) -> Graph {
    if graph.nodes.iter().all(|node| !node.dtype.is_half()) {
        return graph.clone();
    }
    graph.rewrite(|out, node| {
        let way = if node.dtype.is_half() { way(&node.op) } else { Way::Exact };
        match way {
            Way::Exact => out.push(node),
            Way::Converted | Way::Accumulated => {
                let half = node.dtype;
                let mut wide = Node { dtype: DType::F32, ..node };
                if matches!(way, Way::Converted) {
                    wide.inputs.iter_mut().for_each(|id| *id = as_f32(out, *id));
                }
                let (shape, location) = (wide.shape.clone(), wide.location);
                let wide = out.push(wide);
                out.push(Node { op: Op::Cast(half), inputs: vec![wide], shape, dtype: half, location })
            }
        }
    })
}

/// A half as f32, which is exact; others as they are (an index, say). Simplification merges what is converted twice.
fn as_f32(graph: &mut Graph, id: NodeId) -> NodeId {
    let node = graph.node(id);
    if !node.dtype.is_half() {
        return id;
    }
    let (shape, location) = (node.shape.clone(), node.location);
    graph.push(Node { op: Op::Cast(DType::F32), inputs: vec![id], shape, dtype: DType::F32, location })
}

/// Repairs the types of what convolutions became: [`convolve`](crate::convolve) writes a convolution that gives f32 as views, products and sums of f32.
/// Where its operands are halves, the views are of halves, which matrix products read as they are and other arithmetic as f32.
pub fn retype(graph: &Graph) -> Graph {
    if graph.nodes.iter().all(|node| !node.dtype.is_half()) {
        return graph.clone();
    }
    graph.rewrite(|out, mut node| {
        if node.op.is_view() {
            node.dtype = out.node(node.inputs[0]).dtype;
            if let Op::Pad(_, fill) = &mut node.op {
                *fill = Scalar::new(fill.to_f64(), node.dtype);
            }
        } else if node.dtype == DType::F32 && matches!(node.op, Op::Binary(_) | Op::Reduce(..)) {
            node.inputs.iter_mut().for_each(|id| *id = as_f32(out, *id));
        }
        out.push(node)
    })
}

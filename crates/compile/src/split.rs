//! Long reductions written as two: chunks first, then the chunks' results. It bounds how long one invocation loops, gives every device enough rows to
//! work on side by side, and makes sums a tree.

use noyau_tensor::{Op, Shape};

use crate::{Graph, Node, NodeId};

/// The graph with no reduction over more than `limit` elements.
pub fn split_reductions(graph: &Graph, limit: usize) -> Graph {
    let limit = limit.max(2);
    graph.rewrite(|out, node| match &node.op {
        Op::Reduce(op, axes) => {
            let shape = out.node(node.inputs[0]).shape.clone();
            let count: usize = axes.iter().map(|&a| shape[a]).product();
            if count > limit { split(out, &node, *op, axes, &shape, limit) } else { out.push(node) }
        }
        _ => out.push(node),
    })
}

fn split(out: &mut Graph, node: &Node, op: noyau_tensor::ReduceOp, axes: &[usize], shape: &Shape, limit: usize) -> NodeId {
    let kept: Vec<usize> = (0..shape.rank()).filter(|i| !axes.contains(i)).collect();
    let kept_sizes: Vec<usize> = kept.iter().map(|&i| shape[i]).collect();
    let count: usize = axes.iter().map(|&a| shape[a]).product();
    let with = |tail: &[usize]| kept_sizes.iter().chain(tail).copied().collect::<Shape>();
    let mut add =
        |op: Op, input: NodeId, shape: Shape| out.push(Node { op, inputs: vec![input], shape, dtype: node.dtype, location: node.location });

    // Parts of one axis where that divides evenly: no axes that lie apart have to be made one.
    let least = count.div_ceil(limit);
    let divided = |chunks: usize| axes.iter().find(|&&a| shape[a].is_multiple_of(chunks)).map(|&a| (a, chunks));
    if let Some((axis, chunks)) = (least..=2 * least).filter(|&chunks| chunks < count).find_map(divided) {
        let mut cut: Vec<usize> = shape.to_vec();
        cut.splice(axis..=axis, [chunks, shape[axis] / chunks]);
        let x = add(Op::Reshape, node.inputs[0], cut.iter().copied().collect());
        // Axes after the one that was cut have moved by one.
        let inner: Vec<usize> = axes.iter().map(|&a| if a < axis { a } else { a + 1 }).collect();
        let left: Shape = (0..cut.len()).filter(|i| !inner.contains(i)).map(|i| cut[i]).collect();
        let x = add(Op::Reduce(op, inner), x, left.clone());
        let at = kept.iter().filter(|&&k| k < axis).count();
        let second = Node { op: Op::Reduce(op, vec![at]), inputs: vec![x], ..node.clone() };
        return if chunks > limit { split(out, &second, op, &[at], &left, limit) } else { out.push(second) };
    }
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let moved = order.iter().map(|&i| shape[i]).collect();
    let mut x = add(Op::Permute(order), node.inputs[0], moved);
    x = add(Op::Reshape, x, with(&[count]));
    // Equal chunks: a few more than needed if that divides evenly, else with elements added that are the reduction's identity and change nothing.
    let chunks = (least..=2 * least).find(|&chunks| chunks < count && count.is_multiple_of(chunks)).unwrap_or(least);
    let length = count.div_ceil(chunks);
    let padding = chunks * length - count;
    if padding > 0 {
        let mut widths = vec![(0, 0); kept_sizes.len()];
        widths.push((0, padding));
        x = add(Op::Pad(widths, op.identity(node.dtype)), x, with(&[chunks * length]));
    }
    x = add(Op::Reshape, x, with(&[chunks, length]));
    let last = kept_sizes.len();
    x = add(Op::Reduce(op, vec![last + 1]), x, with(&[chunks]));
    let second = Node { op: Op::Reduce(op, vec![last]), inputs: vec![x], ..node.clone() };
    if chunks > limit { split(out, &second, op, &[last], &with(&[chunks]), limit) } else { out.push(second) }
}

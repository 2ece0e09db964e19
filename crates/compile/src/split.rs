//! Long reductions written as two: chunks first, then the chunks' results. It bounds how long one invocation loops, gives every device enough rows to
//! work on side by side, and makes sums a tree.

use noyau_tensor::{Op, ReduceOp, Shape};

use crate::{Graph, Node, NodeId};

/// Columns longer than this are split where they are few.
const LONG: usize = 4096;
/// So many columns side by side are enough for vectors and threads.
const WIDE: usize = 2048;
/// Elements of a part of a column, at least.
const PART: usize = 64;

/// The graph with no reduction over more than `limit` elements, and with none of few long columns side by side.
pub fn split_reductions(graph: &Graph, limit: usize) -> Graph {
    let limit = limit.max(2);
    graph.rewrite(|out, node| match &node.op {
        Op::Reduce(op, axes) => {
            let shape = out.node(node.inputs[0]).shape.clone();
            let count: usize = axes.iter().map(|&a| shape[a]).product();
            let results: usize = node.shape.iter().product();
            let wide = if count > LONG { (WIDE / results.max(1)).min(count / PART) } else { 1 };
            let least = wide.max(count.div_ceil(limit));
            match Some(least).filter(|&least| least > 1).and_then(|least| cut(axes, &shape, least)) {
                Some(cut) if cut.interleaved => cut.write(out, &node, *op, axes, &shape, limit),
                _ if count > limit => split(out, &node, *op, axes, &shape, limit),
                _ => out.push(node),
            }
        }
        _ => out.push(node),
    })
}

/// One axis cut into equal parts.
struct Cut {
    axis: usize,
    parts: usize,
    /// Whether a part takes every `parts`-th element, so that parts lie side by side as the columns do; else neighbours.
    interleaved: bool,
}

/// Cuts one of the reduced axes into `least` parts, or up to twice as many, where that divides evenly.
fn cut(axes: &[usize], shape: &Shape, least: usize) -> Option<Cut> {
    let count: usize = axes.iter().map(|&a| shape[a]).product();
    let divided = |parts: usize| axes.iter().find(|&&a| shape[a].is_multiple_of(parts)).map(|&a| (a, parts));
    let (axis, parts) = (least..=2 * least).filter(|&parts| parts < count).find_map(divided)?;
    let interleaved = shape[axis + 1..].iter().enumerate().any(|(i, &size)| size > 1 && !axes.contains(&(axis + 1 + i)));
    Some(Cut { axis, parts, interleaved })
}

impl Cut {
    /// Two reductions: of each part, then of the parts' results.
    fn write(&self, out: &mut Graph, node: &Node, op: ReduceOp, axes: &[usize], shape: &Shape, limit: usize) -> NodeId {
        let &Cut { axis, parts, interleaved } = self;
        let mut sizes: Vec<usize> = shape.to_vec();
        let length = shape[axis] / parts;
        sizes.splice(axis..=axis, if interleaved { [length, parts] } else { [parts, length] });
        let x = add(out, node, Op::Reshape, node.inputs[0], sizes.iter().copied().collect());
        // Axes after the one that was cut have moved by one.
        let moved = |a: usize| a + usize::from(a > axis || (a == axis && !interleaved));
        let inner: Vec<usize> = axes.iter().map(|&a| moved(a)).collect();
        let left: Shape = (0..sizes.len()).filter(|i| !inner.contains(i)).map(|i| sizes[i]).collect();
        let x = add(out, node, Op::Reduce(op, inner), x, left);
        let kept_before = (0..axis).filter(|k| !axes.contains(k)).count();
        of_parts(out, node, op, x, kept_before, limit)
    }
}

/// Adds a node on the way to `node`.
fn add(out: &mut Graph, node: &Node, op: Op, input: NodeId, shape: Shape) -> NodeId {
    out.push(Node { op, inputs: vec![input], shape, dtype: node.dtype, location: node.location })
}

/// The parts' results reduced, which lie along an axis of `x`.
fn of_parts(out: &mut Graph, node: &Node, op: ReduceOp, x: NodeId, axis: usize, limit: usize) -> NodeId {
    let shape = out.node(x).shape.clone();
    let second = Node { op: Op::Reduce(op, vec![axis]), inputs: vec![x], ..node.clone() };
    if shape[axis] > limit { split(out, &second, op, &[axis], &shape, limit) } else { out.push(second) }
}

/// A reduction over more than `limit` elements in parts.
fn split(out: &mut Graph, node: &Node, op: ReduceOp, axes: &[usize], shape: &Shape, limit: usize) -> NodeId {
    let kept: Vec<usize> = (0..shape.rank()).filter(|i| !axes.contains(i)).collect();
    let kept_sizes: Vec<usize> = kept.iter().map(|&i| shape[i]).collect();
    let count: usize = axes.iter().map(|&a| shape[a]).product();
    let with = |tail: &[usize]| kept_sizes.iter().chain(tail).copied().collect::<Shape>();
    let least = count.div_ceil(limit);
    // Parts of one axis where that divides evenly: no axes that lie apart have to be made one.
    if let Some(cut) = cut(axes, shape, least) {
        return cut.write(out, node, op, axes, shape, limit);
    }
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let moved = order.iter().map(|&i| shape[i]).collect();
    let mut x = add(out, node, Op::Permute(order), node.inputs[0], moved);
    x = add(out, node, Op::Reshape, x, with(&[count]));
    // Equal chunks: a few more than needed if that divides evenly, else with elements added that are the reduction's identity and change nothing.
    let chunks = (least..=2 * least).find(|&chunks| chunks < count && count.is_multiple_of(chunks)).unwrap_or(least);
    let length = count.div_ceil(chunks);
    let padding = chunks * length - count;
    if padding > 0 {
        let mut widths = vec![(0, 0); kept_sizes.len()];
        widths.push((0, padding));
        x = add(out, node, Op::Pad(widths, op.identity(node.dtype)), x, with(&[chunks * length]));
    }
    x = add(out, node, Op::Reshape, x, with(&[chunks, length]));
    let last = kept_sizes.len();
    x = add(out, node, Op::Reduce(op, vec![last + 1]), x, with(&[chunks]));
    of_parts(out, node, op, x, last, limit)
}

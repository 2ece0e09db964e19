//! Long reductions written as two: chunks first, then the chunks' results. It bounds how long one invocation loops, gives every device enough rows to
//! work on side by side, and makes sums a tree.

use noyau_tensor::{Op, Shape};

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
            match if least > 1 { cut(axes, &shape, least) } else { None } {
                Some(cut) if cut.interleaved && cut.parts <= limit => cut.write(out, &node, *op, axes, &shape),
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
    fn write(&self, out: &mut Graph, node: &Node, op: noyau_tensor::ReduceOp, axes: &[usize], shape: &Shape) -> NodeId {
        let x = self.parts(out, node, op, axes, shape);
        out.push(Node { op: Op::Reduce(op, vec![self.at(axes)]), inputs: vec![x], ..node.clone() })
    }

    /// The axis of the parts among the kept ones.
    fn at(&self, axes: &[usize]) -> usize {
        (0..self.axis).filter(|k| !axes.contains(k)).count()
    }

    /// Each part reduced.
    fn parts(&self, out: &mut Graph, node: &Node, op: noyau_tensor::ReduceOp, axes: &[usize], shape: &Shape) -> NodeId {
        let &Cut { axis, parts, interleaved } = self;
        let mut add = |op: Op, input: NodeId, shape: Shape| {
            out.push(Node { op, inputs: vec![input], shape, dtype: node.dtype, location: node.location })
        };
        let mut sizes: Vec<usize> = shape.to_vec();
        let length = shape[axis] / parts;
        sizes.splice(axis..=axis, if interleaved { [length, parts] } else { [parts, length] });
        let x = add(Op::Reshape, node.inputs[0], sizes.iter().copied().collect());
        // Axes after the one that was cut have moved by one.
        let moved = |a: usize| a + usize::from(a > axis || (a == axis && !interleaved));
        let inner: Vec<usize> = axes.iter().map(|&a| moved(a)).collect();
        let left: Shape = (0..sizes.len()).filter(|i| !inner.contains(i)).map(|i| sizes[i]).collect();
        add(Op::Reduce(op, inner), x, left)
    }
}

fn split(out: &mut Graph, node: &Node, op: noyau_tensor::ReduceOp, axes: &[usize], shape: &Shape, limit: usize) -> NodeId {
    let kept: Vec<usize> = (0..shape.rank()).filter(|i| !axes.contains(i)).collect();
    let kept_sizes: Vec<usize> = kept.iter().map(|&i| shape[i]).collect();
    let count: usize = axes.iter().map(|&a| shape[a]).product();
    let with = |tail: &[usize]| kept_sizes.iter().chain(tail).copied().collect::<Shape>();
    let least = count.div_ceil(limit);
    // Parts of one axis where that divides evenly: no axes that lie apart have to be made one.
    if let Some(cut) = cut(axes, shape, least) {
        if cut.parts <= limit {
            return cut.write(out, node, op, axes, shape);
        }
        let (x, at) = (cut.parts(out, node, op, axes, shape), cut.at(axes));
        let left = out.node(x).shape.clone();
        let second = Node { op: Op::Reduce(op, vec![at]), inputs: vec![x], ..node.clone() };
        return split(out, &second, op, &[at], &left, limit);
    }
    let mut add =
        |op: Op, input: NodeId, shape: Shape| out.push(Node { op, inputs: vec![input], shape, dtype: node.dtype, location: node.location });
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

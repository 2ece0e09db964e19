//! Compositions that ONNX has as one operation.
//!
//! Everything can be written primitive by primitive; this makes files that are pleasant to read and quick to run. Two ways of knowing a composition:
//! products, convolutions and pooling are looked at node by node; softmax, norms and activations are compared with what noyau's own functions write
//! for the same sizes, node by node ([`Template`]), so that what is recognised is that function and nothing else.

use std::collections::HashMap;

use noyau_compile::{Graph, Node, NodeId};
use noyau_nn::{BatchNorm, LayerNorm, Mode, Module};
use noyau_tensor::{BinaryOp, Conv, DType, Op, ReduceOp, Scalar, Shape, Tensor};

use super::file::Attr;
use super::trace::{Traced, equal};

/// Windows over the spatial axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pool {
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    pub(super) before: Vec<usize>,
    pub(super) after: Vec<usize>,
}

/// What a node is, with all that led to it.
pub(super) enum Pattern {
    /// `a b + bias`, or `a b^T + bias`.
    Gemm { a: NodeId, b: NodeId, transposed: bool, bias: Option<NodeId> },
    /// A convolution and its bias, a vector.
    Conv { conv: Conv, x: NodeId, w: NodeId, bias: NodeId },
    /// Rows of a table.
    Rows { data: NodeId, index: NodeId },
    /// The mean over axes.
    Mean { x: NodeId, axes: Vec<usize> },
    /// The largest element or the sum of each window; `scaled`: the mean.
    Pool { x: NodeId, largest: bool, pool: Pool, scaled: bool },
    /// An operation of these operands.
    Function { op: &'static str, x: Vec<NodeId>, attributes: Vec<(&'static str, Attr)> },
}

impl Pattern {
    /// The nodes whose values it takes.
    pub(super) fn operands(&self) -> Vec<NodeId> {
        match self {
            Pattern::Gemm { a, b, bias, .. } => [*a, *b].into_iter().chain(*bias).collect(),
            Pattern::Conv { x, w, bias, .. } => vec![*x, *w, *bias],
            Pattern::Rows { data, index } => vec![*data, *index],
            Pattern::Mean { x, .. } | Pattern::Pool { x, .. } => vec![*x],
            Pattern::Function { x, .. } => x.clone(),
        }
    }
}

/// What a node is more than a primitive.
pub(super) fn find(traced: &Traced, id: NodeId) -> Option<Pattern> {
    let node = traced.node(id);
    if node.dtype != DType::F32 || node.shape.contains(&0) {
        return None;
    }
    match &node.op {
        Op::Binary(BinaryOp::Add) => {
            let [a, b] = node.inputs[..] else { return None };
            let sum = [(a, b), (b, a)].into_iter().find_map(|(product, bias)| gemm_or_conv(traced, product, bias));
            sum.or_else(|| function(traced, id))
        }
        Op::Binary(BinaryOp::Mul) => mean(traced, node).or_else(|| function(traced, id)),
        Op::Matmul => gemm(traced, id, None),
        Op::Reduce(..) => pool(traced, id, false),
        Op::Reshape => rows(traced, id),
        Op::Binary(_) | Op::Where | Op::Unary(_) => function(traced, id),
        _ => None,
    }
}

fn gemm(traced: &Traced, id: NodeId, bias: Option<NodeId>) -> Option<Pattern> {
    let node = traced.node(id);
    if !matches!(node.op, Op::Matmul) || node.shape.rank() != 2 || node.dtype != DType::F32 {
        return None;
    }
    let (a, b) = (node.inputs[0], node.inputs[1]);
    match &traced.node(b).op {
        Op::Permute(axes) if axes[..] == [1, 0] => Some(Pattern::Gemm { a, b: traced.node(b).inputs[0], transposed: true, bias }),
        _ => bias.map(|_| Pattern::Gemm { a, b, transposed: false, bias }),
    }
}

/// A product, perhaps under another shape, and what is added to it.
fn gemm_or_conv(traced: &Traced, product: NodeId, bias: NodeId) -> Option<Pattern> {
    if traced.uses[product.0] != 1 {
        return None;
    }
    let node = traced.node(product);
    match &node.op {
        Op::Matmul => gemm(traced, product, Some(bias)),
        Op::Conv(conv) => {
            // The vector, as [1, channels, 1, ..].
            let mut at = bias;
            while matches!(traced.node(at).op, Op::Expand | Op::Reshape) && traced.node(at).shape.rank() != 1 {
                let inner = traced.node(at).inputs[0];
                if matches!(traced.node(at).op, Op::Reshape) && traced.node(inner).shape.numel() != traced.node(at).shape.numel() {
                    return None;
                }
                let shape = &traced.node(at).shape;
                let expanded = matches!(traced.node(at).op, Op::Expand);
                let channels = node.shape[1];
                let own = |s: &Shape| (0..s.rank()).filter(|&i| s[i] != 1).map(|i| (s.rank() - i, s[i])).collect::<Vec<_>>();
                if !expanded && traced.node(inner).shape.rank() == 1 {
                    // The one axis of its own is that of the channels.
                    let wanted = if channels == 1 { vec![] } else { vec![(node.shape.rank() - 1, channels)] };
                    if own(shape) != wanted {
                        return None;
                    }
                }
                at = inner;
            }
            let vector = traced.node(at);
            let fits = vector.shape[..] == [node.shape[1]] && at != bias;
            fits.then(|| Pattern::Conv { conv: conv.clone(), x: node.inputs[0], w: node.inputs[1], bias: at })
        }
        _ => None,
    }
}

/// `Reshape(Gather[0](data, Expand(Reshape(Reshape(index)))))`: an embedding.
fn rows(traced: &Traced, id: NodeId) -> Option<Pattern> {
    let node = traced.node(id);
    let gather = traced.node(node.inputs[0]);
    let Op::Gather(0) = gather.op else { return None };
    let (data, index) = (gather.inputs[0], gather.inputs[1]);
    let Op::Expand = traced.node(index).op else { return None };
    let mut at = traced.node(index).inputs[0];
    // Each of [n, 1, ..]: one index a row.
    if traced.node(at).shape[1..].iter().any(|&size| size != 1) {
        return None;
    }
    while matches!(traced.node(at).op, Op::Reshape) {
        at = traced.node(at).inputs[0];
    }
    let wanted: Vec<usize> = traced.node(at).shape.iter().chain(&traced.node(data).shape[1..]).copied().collect();
    // An index outside of the table is the caller's where the index is.
    let mut source = at;
    while matches!(traced.node(source).op, Op::Cast(_) | Op::Reshape) {
        source = traced.node(source).inputs[0];
    }
    let given = matches!(traced.node(source).op, Op::Input(_));
    (given && wanted[..] == node.shape[..]).then_some(Pattern::Rows { data, index: at })
}

fn constant(node: &Node) -> Option<f64> {
    match node.op {
        Op::Full(Scalar::Float(value)) => Some(value),
        _ => None,
    }
}

/// A sum times one over the number of its terms.
fn mean(traced: &Traced, node: &Node) -> Option<Pattern> {
    let [a, b] = node.inputs[..] else { return None };
    let (factor, sum) = [(a, b), (b, a)].into_iter().find_map(|(factor, sum)| constant(traced.node(factor)).map(|factor| (factor, sum)))?;
    let summed = traced.node(sum);
    let Op::Reduce(ReduceOp::Sum, axes) = &summed.op else { return None };
    let count = axes.iter().map(|&axis| traced.node(summed.inputs[0]).shape[axis]).product::<usize>() as f64;
    let fixed = axes.iter().all(|&axis| traced.shape(summed.inputs[0])[axis].is_fixed());
    if !fixed || (factor as f32).to_bits() != ((1.0 / count) as f32).to_bits() || traced.uses[sum.0] != 1 {
        return None;
    }
    pool(traced, sum, true).or_else(|| Some(Pattern::Mean { x: summed.inputs[0], axes: axes.clone() }))
}

/// A maximum or a sum over windows that are views of `[n, channels, size..]`.
fn pool(traced: &Traced, id: NodeId, scaled: bool) -> Option<Pattern> {
    let node = traced.node(id);
    let Op::Reduce(op @ (ReduceOp::Max | ReduceOp::Sum), axes) = &node.op else { return None };
    let rank = node.shape.rank().checked_sub(2).filter(|rank| (1..=3).contains(rank))?;
    let mut pool =
        Pool { kernel: vec![1; rank], stride: vec![1; rank], dilation: vec![1; rank], before: vec![0; rank], after: vec![0; rank] };
    let mut at = node.inputs[0];
    let windowed = traced.node(at);
    if let Op::Unfold(_) = windowed.op {
        let full = windowed.shape.rank();
        let mut windows = 0;
        while let Op::Unfold(window) = traced.node(at).op {
            let spatial = window.axis.checked_sub(2).filter(|&axis| axis < rank && pool.kernel[axis] == 1)?;
            (pool.kernel[spatial], pool.stride[spatial], pool.dilation[spatial]) = (window.size, window.step, window.dilation);
            windows += 1;
            at = traced.node(at).inputs[0];
        }
        if full != rank + 2 + windows || axes[..] != (rank + 2..full).collect::<Vec<_>>()[..] {
            return None;
        }
    } else if let Op::Reshape = windowed.op {
        // Windows side by side: [n, channels, out, kernel, ..].
        let expected: Vec<usize> = (0..rank).map(|i| 2 * i + 3).collect();
        if windowed.shape.rank() != 2 + 2 * rank || axes[..] != expected[..] {
            return None;
        }
        let inner = traced.node(windowed.inputs[0]);
        let split = inner.shape.rank() == rank + 2
            && inner.shape[..2] == windowed.shape[..2]
            && (0..rank).all(|i| inner.shape[i + 2] == windowed.shape[2 * i + 2] * windowed.shape[2 * i + 3]);
        if !split {
            return None;
        }
        for i in 0..rank {
            (pool.kernel[i], pool.stride[i]) = (windowed.shape[2 * i + 3], windowed.shape[2 * i + 3]);
        }
        at = windowed.inputs[0];
        // A remainder that fills no window.
        while let Op::Slice(ranges) = &traced.node(at).op {
            if ranges.iter().any(|&range| range != (0, 1)) {
                return None;
            }
            at = traced.node(at).inputs[0];
        }
    } else {
        return None;
    }
    if let Op::Pad(widths, value) = &traced.node(at).op {
        let nothing = if *op == ReduceOp::Max { value.to_f64() <= f64::from(f32::MIN) } else { value.to_f64() == 0.0 };
        if !nothing || widths[..2] != [(0, 0); 2] {
            return None;
        }
        for i in 0..rank {
            (pool.before[i], pool.after[i]) = widths[i + 2];
        }
        at = traced.node(at).inputs[0];
    }
    let (from, to) = (traced.shape(at), traced.shape(id));
    let largest = *op == ReduceOp::Max;
    let fits = from.len() == rank + 2
        && from[..2] == to[..2]
        && (0..rank).all(|i| {
            let (size, reach) = (from[i + 2], (pool.kernel[i] - 1) * pool.dilation[i] + 1);
            let padded = size.rest as usize + pool.before[i] + pool.after[i];
            // Runtimes want padding smaller than the window; means have no gaps in ONNX 18.
            size.is_fixed()
                && padded >= reach
                && (padded - reach) / pool.stride[i] + 1 == to[i + 2].rest as usize
                && pool.before[i].max(pool.after[i]) < pool.kernel[i]
                && (largest || pool.dilation[i] == 1)
        });
    fits.then_some(Pattern::Pool { x: at, largest, pool, scaled })
}

/// Stands for a number that the function was given, in a template.
const MARK: f64 = 0.123_456_789;

/// What one of noyau's functions writes for operands of these shapes.
struct Template {
    graph: Graph,
}

impl Template {
    fn of(shape: &Shape, function: &dyn Fn(&Tensor) -> Tensor) -> Option<Template> {
        let inputs = [(shape.clone(), DType::F32)];
        let out = function(&Tensor::input(0, shape, DType::F32));
        Graph::trace(&inputs, &[&out], &[]).ok().map(|graph| Template { graph })
    }

    /// The nodes that stand for the input and for the states, in the order of their names, and the marked number.
    fn meet(&self, graph: &Graph, id: NodeId) -> Option<(NodeId, HashMap<u64, NodeId>, Option<f64>)> {
        let mut met: HashMap<NodeId, NodeId> = HashMap::new();
        let (mut input, mut states, mut number) = (None, HashMap::new(), None);
        let mut open = vec![(*self.graph.outputs.first()?, id)];
        while let Some((t, g)) = open.pop() {
            if let Some(before) = met.insert(t, g) {
                if before == g { continue } else { return None }
            }
            let (template, node) = (self.graph.node(t), graph.node(g));
            if template.shape != node.shape || template.dtype != node.dtype {
                return None;
            }
            match (&template.op, &node.op) {
                (Op::Input(_), _) => input = Some(g),
                (Op::State(state), _) => {
                    states.insert(state.id(), g);
                }
                (Op::Full(Scalar::Float(mark)), Op::Full(Scalar::Float(value))) if *mark == MARK => {
                    if number.is_some_and(|before: f64| before.to_bits() != value.to_bits()) {
                        return None;
                    }
                    number = Some(*value);
                }
                (a, b) if equal(a, b) && template.inputs.len() == node.inputs.len() => {
                    open.extend(template.inputs.iter().copied().zip(node.inputs.iter().copied()));
                }
                _ => return None,
            }
        }
        Some((input?, states, number))
    }
}

/// A node that is the result of one of noyau's functions.
fn function(traced: &Traced, id: NodeId) -> Option<Pattern> {
    let (graph, node) = (traced.graph(), traced.node(id));
    let (shape, rank) = (&node.shape, node.shape.rank());
    let plain = |function: &dyn Fn(&Tensor) -> Tensor| Template::of(shape, function)?.meet(graph, id);
    let made = |op: &'static str, x: NodeId, attributes: Vec<(&'static str, Attr)>| Some(Pattern::Function { op, x: vec![x], attributes });
    match &node.op {
        Op::Binary(BinaryOp::Div) => (0..rank).rev().find_map(|axis| {
            let (x, ..) = plain(&|x| x.softmax(axis as isize))?;
            made("Softmax", x, vec![("axis", Attr::Int(axis as i64))])
        }),
        Op::Binary(BinaryOp::Sub) => (0..rank).rev().find_map(|axis| {
            let (x, ..) = plain(&|x| x.log_softmax(axis as isize))?;
            made("LogSoftmax", x, vec![("axis", Attr::Int(axis as i64))])
        }),
        Op::Where => {
            let slope = plain(&|x| noyau_nn::activation::leaky_relu(x, MARK));
            if let Some((x, _, Some(slope))) = slope {
                return made("LeakyRelu", x, vec![("alpha", Attr::Float(slope as f32))]);
            }
            let (x, _, alpha) = plain(&|x| noyau_nn::activation::elu(x, MARK))?;
            made("Elu", x, vec![("alpha", Attr::Float(alpha? as f32))])
        }
        Op::Binary(BinaryOp::Add) => {
            if let Some((x, ..)) = plain(&Tensor::sigmoid) {
                return made("Sigmoid", x, Vec::new());
            }
            if let Some((x, ..)) = plain(&noyau_nn::activation::softplus) {
                return made("Softplus", x, Vec::new());
            }
            norm(traced, id)
        }
        _ => None,
    }
}

/// Layer norm, and batch norm in evaluation, with weight and bias.
fn norm(traced: &Traced, id: NodeId) -> Option<Pattern> {
    let (graph, node) = (traced.graph(), traced.node(id));
    let (shape, rank) = (&node.shape, node.shape.rank());
    let eval = |layer: &dyn Module| Template::of(shape, &|x| layer.forward(x, &Mode::eval()))?.meet(graph, id);
    if rank >= 2 {
        let layer = BatchNorm::new(shape[1]).eps(MARK);
        if let Some((x, states, Some(eps))) = eval(&layer) {
            let of = |param: &Option<noyau_tensor::Param>| param.as_ref().and_then(|p| states.get(&p.state().id()).copied());
            let all = [of(&layer.weight), of(&layer.bias), of(&layer.running_mean), of(&layer.running_var)];
            let operands: Vec<NodeId> = [Some(x)].into_iter().chain(all).flatten().collect();
            let attributes = vec![("epsilon", Attr::Float(eps as f32))];
            return (operands.len() == 5).then_some(Pattern::Function { op: "BatchNormalization", x: operands, attributes });
        }
    }
    (1..=rank.min(3)).find_map(|axes| {
        let last = &shape[rank - axes..];
        if traced.shape(id)[rank - axes..].iter().any(|dim| !dim.is_fixed()) {
            return None;
        }
        let layer = LayerNorm::new(last).eps(MARK);
        let (x, states, eps) = eval(&layer)?;
        let of = |param: &Option<noyau_tensor::Param>| param.as_ref().and_then(|p| states.get(&p.state().id()).copied());
        let operands: Vec<NodeId> = [Some(x), of(&layer.weight), of(&layer.bias)].into_iter().flatten().collect();
        let attributes = vec![("axis", Attr::Int(-(axes as i64))), ("epsilon", Attr::Float(eps? as f32))];
        (operands.len() == 3).then_some(Pattern::Function { op: "LayerNormalization", x: operands, attributes })
    })
}

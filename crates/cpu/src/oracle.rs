//! The oracle: a [`Graph`] evaluated in f64, one plain loop an op, no fusion, no memory plan.
//!
//! It is slow and plainly right; everything faster is compared with it. It rounds nothing, neither to f32 nor to a half: how far a device may be from it
//! follows from the type.

use std::ops::ControlFlow;
use std::rc::Rc;

use noyau_compile::{Graph, Node, NodeId};
use noyau_tensor::{Attention, AttentionPart, Conv, DType, Error, Op, ReduceOp, Result, Shape, State};

use crate::plain::Plain;
use crate::{Values, scalar};

/// What one run of a graph gives.
#[derive(Clone, Debug)]
pub struct OracleRun {
    /// The results, in the graph's order.
    pub outputs: Vec<Values>,
    /// The states' next values, in the order of the graph's updates.
    pub updates: Vec<Values>,
}

/// Evaluates a graph. `states` gives each state's value from before the step.
pub fn evaluate(graph: &Graph, inputs: &[Values], states: &dyn Fn(&State) -> Values) -> Result<OracleRun> {
    evaluate_with(graph, inputs, states, &mut |_, _| ControlFlow::Continue(()))?
        .ok_or_else(|| Error::Internal("the oracle stopped early".into()))
}

/// Evaluates a graph and shows every node's value to `observe`, operands before users. `None` when `observe` broke off.
pub fn evaluate_with(
    graph: &Graph,
    inputs: &[Values],
    states: &dyn Fn(&State) -> Values,
    observe: &mut dyn FnMut(NodeId, &Values) -> ControlFlow<()>,
) -> Result<Option<OracleRun>> {
    if inputs.len() != graph.inputs.len() {
        return Err(Error::argument("inputs", format!("the step takes {} arguments, got {}", graph.inputs.len(), inputs.len())));
    }
    for (i, (given, (shape, dtype))) in inputs.iter().zip(&graph.inputs).enumerate() {
        if given.shape != *shape || given.dtype != *dtype {
            return Err(Error::argument(
                format!("argument {i}"),
                format!("declared as {dtype}{shape}, got {}{}", given.dtype, given.shape),
            ));
        }
    }
    // A value is dropped after its last use.
    let mut last_use = vec![0; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|id| last_use[id.0] = i);
    }
    graph.roots().for_each(|id| last_use[id.0] = usize::MAX);
    let mut values: Vec<Option<Rc<Values>>> = vec![None; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let operands = node.inputs.iter().map(|id| found(&values, *id)).collect::<Result<Vec<_>>>()?;
        let value = node_value(node, &operands, inputs, states)?;
        if value.data.len() != node.shape.numel() || value.dtype != node.dtype {
            return Err(Error::Internal(format!(
                "the oracle's {} gave {}{}, the graph says {}{}",
                node.op, value.dtype, value.shape, node.dtype, node.shape
            )));
        }
        if observe(NodeId(i), &value).is_break() {
            return Ok(None);
        }
        values[i] = Some(Rc::new(value));
        for id in &node.inputs {
            if last_use[id.0] == i {
                values[id.0] = None;
            }
        }
    }
    let take = |id: NodeId| found(&values, id).map(|v| Values::clone(&v));
    let outputs = graph.outputs.iter().map(|&id| take(id)).collect::<Result<Vec<_>>>()?;
    let updates = graph.updates.iter().map(|&(_, id)| take(id)).collect::<Result<Vec<_>>>()?;
    Ok(Some(OracleRun { outputs, updates }))
}

fn found(values: &[Option<Rc<Values>>], id: NodeId) -> Result<Rc<Values>> {
    values[id.0].clone().ok_or_else(|| Error::Internal(format!("node %{} is used before it is made", id.0)))
}

fn node_value(node: &Node, operands: &[Rc<Values>], inputs: &[Values], states: &dyn Fn(&State) -> Values) -> Result<Values> {
    let shape = &node.shape;
    let made = |data: Vec<f64>| Values { shape: shape.clone(), dtype: node.dtype, data };
    let operand = |i: usize| operands.get(i).map(|v| &**v).ok_or_else(|| Error::Internal(format!("{} lacks operand {i}", node.op)));
    Ok(match &node.op {
        Op::Full(value) => Values::full(shape, *value),
        Op::Data(array) => made(array.to_f64()),
        Op::Input(position) => inputs.get(*position).cloned().ok_or_else(|| Error::Internal(format!("there is no argument {position}")))?,
        Op::State(state) => {
            let value = states(state);
            if value.shape != *state.shape() || value.dtype != state.dtype() {
                return Err(Error::argument(
                    state.name(),
                    format!("the state is {}{}, got {}{}", state.dtype(), state.shape(), value.dtype, value.shape),
                ));
            }
            value
        }
        Op::Iota(axis) => made(coordinates(shape).map(|c| c[*axis] as f64).collect()),
        Op::Unary(op) => {
            let x = operand(0)?;
            made(x.data.iter().map(|&v| scalar::unary(*op, x.dtype, v)).collect())
        }
        Op::Binary(op) => {
            let (a, b) = (operand(0)?, operand(1)?);
            made(a.data.iter().zip(&b.data).map(|(&x, &y)| scalar::binary(*op, a.dtype, x, y)).collect())
        }
        Op::Where => {
            let (c, a, b) = (operand(0)?, operand(1)?, operand(2)?);
            made((0..c.data.len()).map(|i| if c.data[i] != 0.0 { a.data[i] } else { b.data[i] }).collect())
        }
        Op::Cast(to) => {
            let x = operand(0)?;
            made(x.data.iter().map(|&v| scalar::cast(v, x.dtype, *to)).collect())
        }
        Op::Philox(stream) => {
            let (index, step, seed) = (operand(0)?, operand(1)?, operand(2)?);
            let draw = |i: usize| scalar::philox(index.data[i] as u32, step.data[i] as u32, *stream as u32, seed.data[i] as u32);
            made((0..index.data.len()).map(|i| draw(i).into()).collect())
        }
        Op::Detach | Op::Reshape => made(operand(0)?.data.clone()),
        Op::Permute(axes) => made(pick(shape, operand(0)?, |c, from| (0..axes.len()).for_each(|i| from[axes[i]] = c[i]))),
        Op::Expand => {
            let x = operand(0)?;
            made(pick(shape, x, |c, from| (0..c.len()).for_each(|i| from[i] = if x.shape[i] == 1 { 0 } else { c[i] })))
        }
        Op::Slice(ranges) => made(pick(shape, operand(0)?, |c, from| {
            (0..c.len()).for_each(|i| from[i] = ranges[i].0 + c[i] * ranges[i].1);
        })),
        Op::Flip(axes) => made(pick(shape, operand(0)?, |c, from| {
            (0..c.len()).for_each(|i| from[i] = if axes.contains(&i) { shape[i] - 1 - c[i] } else { c[i] });
        })),
        Op::Pad(widths, value) => {
            let x = operand(0)?;
            let mut result = Values::full(shape, *value);
            let strides = shape.strides();
            for (place, c) in coordinates(&x.shape).enumerate() {
                let to: usize = (0..c.len()).map(|i| (c[i] + widths[i].0) * strides[i]).sum();
                result.data[to] = x.data[place];
            }
            result
        }
        Op::Unfold(w) => made(pick(shape, operand(0)?, |c, from| {
            let last = c.len() - 1;
            from.copy_from_slice(&c[..last]);
            from[w.axis] = c[w.axis] * w.step + c[last] * w.dilation;
        })),
        Op::Attention(attention) => made(attend(*attention, &(0..node.inputs.len()).map(operand).collect::<Result<Vec<_>>>()?)),
        Op::Conv(conv) => made(convolve(conv, operand(0)?, operand(1)?, shape)),
        Op::Reduce(op, axes) => made(reduce(*op, axes, operand(0)?)),
        Op::Matmul => made(matmul(operand(0)?, operand(1)?, shape)),
        Op::Gather(axis) => {
            let (data, index) = (operand(0)?, operand(1)?);
            let strides = data.shape.strides();
            let at = |(place, mut c): (usize, Vec<usize>)| {
                c[*axis] = index.data[place] as usize;
                if c[*axis] < data.shape[*axis] { data.data[dot(&c, &strides)] } else { 0.0 }
            };
            made(coordinates(shape).enumerate().map(at).collect())
        }
        Op::ScatterAdd(axis) => {
            let (source, index) = (operand(0)?, operand(1)?);
            let strides = shape.strides();
            let mut data = vec![0.0; shape.numel()];
            for (place, mut c) in coordinates(&source.shape).enumerate() {
                c[*axis] = index.data[place] as usize;
                if c[*axis] < shape[*axis] {
                    let to = dot(&c, &strides);
                    data[to] = scalar::binary(noyau_tensor::BinaryOp::Add, node.dtype, data[to], source.data[place]);
                }
            }
            made(data)
        }
        Op::Error(error) => return Err(Error::clone(error)),
    })
}

/// All coordinates of a shape in row-major order.
pub(crate) fn coordinates(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..shape.iter().product()).map(move |place| {
        let mut rest = place;
        let mut c = vec![0; shape.len()];
        for i in (0..shape.len()).rev() {
            c[i] = rest % shape[i];
            rest /= shape[i];
        }
        c
    })
}

fn dot(coordinates: &[usize], strides: &[usize]) -> usize {
    coordinates.iter().zip(strides).map(|(c, s)| c * s).sum()
}

/// For each coordinate of `shape`, the operand's element at the coordinate that `from` writes.
fn pick(shape: &Shape, operand: &Values, from: impl Fn(&[usize], &mut [usize])) -> Vec<f64> {
    let strides = operand.shape.strides();
    let mut source = vec![0; operand.shape.rank()];
    let at = |c: Vec<usize>| {
        from(&c, &mut source);
        operand.data[dot(&source, &strides)]
    };
    coordinates(shape).map(at).collect()
}

fn reduce(op: ReduceOp, axes: &[usize], x: &Values) -> Vec<f64> {
    let kept: Vec<usize> = (0..x.shape.rank()).filter(|i| !axes.contains(i)).collect();
    let sizes: Shape = kept.iter().map(|&i| x.shape[i]).collect();
    let strides = sizes.strides();
    let mut result = vec![op.identity(x.dtype).to_f64(); sizes.numel()];
    for (place, c) in coordinates(&x.shape).enumerate() {
        let to: usize = kept.iter().zip(&strides).map(|(&i, s)| c[i] * s).sum();
        result[to] = match x.dtype {
            // Sum and product of booleans are "or" and "and".
            DType::Bool => scalar::cast(scalar::binary(op.combine(), DType::F32, result[to], x.data[place]), DType::F32, DType::Bool),
            dtype => scalar::binary(op.combine(), dtype, result[to], x.data[place]),
        };
    }
    result
}

fn matmul(a: &Values, b: &Values, shape: &Shape) -> Vec<f64> {
    let rank = shape.rank();
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], a.shape[rank - 1]);
    let mut result = vec![0.0; shape.numel()];
    let batch: usize = shape[..rank - 2].iter().product();
    for t in 0..batch {
        for i in 0..m {
            for l in 0..k {
                let left = a.data[(t * m + i) * k + l];
                let right = &b.data[(t * k + l) * n..][..n];
                let to = &mut result[(t * m + i) * n..][..n];
                to.iter_mut().zip(right).for_each(|(r, &v)| *r += left * v);
            }
        }
    }
    result
}

/// A part of attention.
fn attend(attention: Attention, operands: &[&Values]) -> Vec<f64> {
    let [q, k, v] = [operands[0], operands[1], operands[2]];
    let last = |x: &Values, axis: usize| x.shape[x.shape.rank() - axis];
    let sizes = [last(q, 2), last(k, 2), last(q, 1), last(v, 1)];
    let [n, m, d, e] = sizes;
    let batch: usize = q.shape[..q.shape.rank() - 2].iter().product();
    let mut result = Vec::new();
    for z in 0..batch {
        let at = |x: &'_ Values, rows: usize, columns: usize, i: usize, j: usize| x.data[(z * rows + i) * columns + j];
        let masks: Vec<_> = attention.masks(operands).iter().map(|&mask| move |i, j| at(mask, n, m, i, j)).collect();
        let (of_q, of_k, of_v) = (|i, l| at(q, n, d, i, l), |j, l| at(k, m, d, j, l), |j, l| at(v, m, e, j, l));
        let plain = Plain {
            sizes,
            causal: attention.causal,
            scale: attention.scale,
            q: &of_q,
            k: &of_k,
            v: &of_v,
            masks: masks.iter().map(|mask| mask as crate::plain::At).collect(),
        };
        let backward = || {
            let (g, sums, delta) = (operands[3], operands[4], operands[5]);
            plain.backward(&|i, l| at(g, n, e, i, l), &|i| sums.data[z * n + i], &|i| delta.data[z * n + i])
        };
        result.extend(match attention.part {
            AttentionPart::Output => plain.forward().0,
            AttentionPart::LogSumExp => plain.forward().1,
            AttentionPart::GradQuery => backward().dq,
            AttentionPart::GradKey => backward().dk,
            AttentionPart::GradValue => backward().dv,
        });
    }
    result
}

/// `y[n, g co, o] = sum over ci, k of x[n, g ci, (o * stride + k * dilation - before) / input_dilation] * w[g co, ci, k]`, where that place exists.
fn convolve(conv: &Conv, x: &Values, w: &Values, shape: &Shape) -> Vec<f64> {
    let (ci, co) = (w.shape[1], w.shape[0] / conv.groups);
    let (xs, ws) = (x.shape.strides(), w.shape.strides());
    let taps: Vec<Vec<usize>> = coordinates(&w.shape[2..]).collect();
    let at = |c: Vec<usize>| {
        let group = c[1] / co.max(1);
        let mut sum = 0.0;
        for tap in &taps {
            let mut place = Some(0);
            for (i, &k) in tap.iter().enumerate() {
                let p = (c[i + 2] * conv.stride[i] + k * conv.dilation[i]) as isize - conv.padding[i].0;
                let spread = conv.input_dilation[i] as isize;
                let inside = p >= 0 && p % spread == 0 && p / spread < x.shape[i + 2] as isize;
                place = place.filter(|_| inside).map(|sum| sum + (p / spread) as usize * xs[i + 2]);
            }
            let Some(place) = place else { continue };
            let weight = c[1] * ws[0] + tap.iter().zip(&ws[2..]).map(|(k, s)| k * s).sum::<usize>();
            sum += (0..ci).map(|l| x.data[c[0] * xs[0] + (group * ci + l) * xs[1] + place] * w.data[weight + l * ws[1]]).sum::<f64>();
        }
        sum
    };
    coordinates(shape).map(at).collect()
}

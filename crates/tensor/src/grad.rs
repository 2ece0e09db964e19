//! Gradients: one table of rules, each of which returns tensors, so that gradients have gradients.

use std::collections::{HashMap, HashSet};
use std::panic::Location as CallerLocation;

use crate::ops::convolution::conv_vjp;
use crate::{BinaryOp, DType, Error, Op, ReduceOp, Shape, Tensor, UnaryOp, Window};

/// The gradients of `loss` (a scalar) with respect to `wrt`, each of its tensor's shape, by reverse accumulation.
///
/// A gradient that does not exist (the loss is no scalar, a tensor does not take part in it or only through operations that have no
/// derivative) is a tensor that carries the error.
#[track_caller]
pub fn grad(loss: &Tensor, wrt: &[&Tensor]) -> Vec<Tensor> {
    let location = CallerLocation::caller();
    match gradients(loss, wrt) {
        Ok(found) => found
            .into_iter()
            .zip(wrt)
            .map(|(gradient, tensor)| {
                gradient.unwrap_or_else(|| {
                    let what = match tensor.op() {
                        Op::State(state) => format!("`{}`", state.name()),
                        op => format!("the {} at {}", op.name(), crate::At(&tensor.location())),
                    };
                    let message = format!("no gradient flows from the loss to {what}: it takes no part in the loss, or only through operations without a derivative (comparisons, argmax, integers, detach)");
                    Tensor::from_error(Error::Gradient { message, location }, location)
                })
            })
            .collect(),
        Err(error) => vec![Tensor::from_error(error, location); wrt.len()],
    }
}

/// [`grad`], with `None` for tensors that no gradient reaches.
#[track_caller]
pub fn gradients(loss: &Tensor, wrt: &[&Tensor]) -> Result<Vec<Option<Tensor>>, Error> {
    if let Some(error) = loss.error() {
        return Err(error.clone());
    }
    if loss.rank() != 0 || loss.dtype() != DType::F32 {
        // A half would lose most of a loss, and its gradients with it.
        let hint = if loss.rank() == 0 { "convert it with .to(DType::F32)" } else { "reduce it with .sum() or .mean()" };
        let message = format!("the loss must be a scalar of f32, not {}{}; {hint}", loss.dtype(), loss.shape());
        return Err(Error::Gradient { message, location: loss.location() });
    }
    let order = Tensor::topological(&[loss]);
    let mut needed: HashMap<u64, bool> = wrt.iter().map(|t| (t.id(), true)).collect();
    for tensor in &order {
        let through =
            tensor.dtype().is_float() && !matches!(tensor.op(), Op::Detach) && tensor.inputs().iter().any(|input| needed[&input.id()]);
        let entry = needed.entry(tensor.id()).or_insert(false);
        *entry |= through;
    }
    let mut adjoints: HashMap<u64, Tensor> = HashMap::from([(loss.id(), loss.ones_like())]);
    for tensor in order.iter().rev() {
        if !needed[&tensor.id()] || tensor.inputs().is_empty() {
            continue;
        }
        let Some(adjoint) = adjoints.get(&tensor.id()).cloned() else { continue };
        let wanted: Vec<bool> = tensor.inputs().iter().map(|input| needed[&input.id()] && input.dtype().is_float()).collect();
        for ((input, gradient), wanted) in tensor.inputs().iter().zip(vjp(tensor, &adjoint)).zip(wanted) {
            let Some(gradient) = gradient.filter(|_| wanted) else { continue };
            let sum = match adjoints.remove(&input.id()) {
                Some(before) => before.binary(BinaryOp::Add, &gradient, tensor.location()),
                None => gradient,
            };
            if let Some(error) = sum.error() {
                return Err(error.clone());
            }
            adjoints.insert(input.id(), sum);
        }
    }
    Ok(wrt.iter().map(|t| adjoints.get(&t.id()).cloned()).collect())
}

/// The gradients by `inputs` of an expression of them, given that by `result`: the vector-Jacobian product of what a primitive stands for. What the inputs are
/// made of is not looked at, even where one is made of another.
pub(crate) fn through(result: &Tensor, inputs: &[Tensor], g: &Tensor) -> Vec<Option<Tensor>> {
    let ends: HashSet<u64> = inputs.iter().map(Tensor::id).collect();
    let (mut order, mut seen) = (Vec::new(), ends.clone());
    // Each tensor twice: to visit its operands, then to follow them.
    let mut stack = vec![(result.clone(), false)];
    while let Some((tensor, ready)) = stack.pop() {
        if ready {
            order.push(tensor);
        } else if seen.insert(tensor.id()) {
            stack.push((tensor.clone(), true));
            stack.extend(tensor.inputs().iter().map(|input| (input.clone(), false)));
        }
    }
    let mut adjoints: HashMap<u64, Tensor> = HashMap::from([(result.id(), g.clone())]);
    for tensor in order.iter().rev().filter(|tensor| !matches!(tensor.op(), Op::Detach)) {
        let Some(adjoint) = adjoints.get(&tensor.id()).cloned() else { continue };
        for (input, gradient) in tensor.inputs().iter().zip(vjp(tensor, &adjoint)) {
            let Some(gradient) = gradient.filter(|_| input.dtype().is_float()) else { continue };
            let sum = match adjoints.remove(&input.id()) {
                Some(before) => before.binary(BinaryOp::Add, &gradient, tensor.location()),
                None => gradient,
            };
            adjoints.insert(input.id(), sum);
        }
    }
    // Where two inputs are the same tensor, the first has all of its gradient.
    inputs.iter().map(|input| adjoints.remove(&input.id())).collect()
}

/// The vector-Jacobian product: for each operand of `out`, `g` (the gradient of the loss with respect to `out`) times the derivative of `out` with respect to it.
/// `None` where there is no derivative.
fn vjp(out: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let inputs = out.inputs();
    let at = out.location();
    let x = inputs.first();
    match (out.op(), x) {
        (Op::Full(_) | Op::Data(_) | Op::Input(_) | Op::State(_) | Op::Iota(_) | Op::Error(_), _) | (_, None) => Vec::new(),
        (Op::Philox(_) | Op::Detach, _) => vec![None; inputs.len()],
        (Op::Unary(op), Some(x)) => vec![unary_vjp(*op, x, out, g)],
        (Op::Binary(op), Some(a)) => binary_vjp(*op, a, &inputs[1], out, g),
        (Op::Where, Some(condition)) => vec![None, Some(condition.where_(g, g.zeros_like())), Some(condition.where_(g.zeros_like(), g))],
        (Op::Cast(_), Some(x)) => vec![Some(if x.dtype().is_float() { g.to(x.dtype()) } else { g.clone() })],
        (Op::Reshape, Some(x)) => vec![Some(g.reshape(x.shape()))],
        (Op::Permute(axes), Some(_)) => {
            let mut inverse = vec![0; axes.len()];
            axes.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i as isize);
            vec![Some(g.permute(&inverse))]
        }
        (Op::Expand, Some(x)) => {
            let axes: Vec<isize> = (0..x.rank()).filter(|&i| x.shape()[i] != g.shape()[i]).map(|i| i as isize).collect();
            vec![Some(g.sum_axes(&axes).reshape(x.shape()))]
        }
        (Op::Slice(ranges), Some(x)) => vec![Some(unslice(g, ranges, x.shape()))],
        (Op::Flip(axes), Some(_)) => vec![Some(g.flip(&axes.iter().map(|&a| a as isize).collect::<Vec<_>>()))],
        (Op::Pad(widths, _), Some(x)) => {
            let inner =
                widths.iter().enumerate().fold(g.clone(), |g, (i, &(before, _))| g.slice(i as isize, before..before + x.shape()[i]));
            vec![Some(inner)]
        }
        (Op::Unfold(window), Some(x)) => vec![Some(fold(g, *window, x.shape()))],
        (Op::Attention(attention), Some(_)) => attention.vjp(out, g),
        (Op::Conv(conv), Some(x)) => conv_vjp(conv, x, &inputs[1], g, at).map(Some).into(),
        (Op::Reduce(op, axes), Some(x)) => vec![Some(reduce_vjp(*op, axes, x, out, g))],
        (Op::Matmul, Some(a)) => {
            // The gradient of a transposed operand is transposed again on its way to the original: written so that the two cancel.
            let b = &inputs[1];
            let da = if is_transposed(a) { b.matmul(&g.t()).t() } else { g.matmul(&b.t()) };
            let db = if is_transposed(b) { g.t().matmul(a).t() } else { a.t().matmul(g) };
            vec![Some(da), Some(db)]
        }
        (Op::Gather(axis), Some(data)) => vec![Some(g.scatter_zeros(*axis, &inputs[1], data.shape()[*axis], at)), None],
        (Op::ScatterAdd(axis), Some(_)) => vec![Some(g.gather(*axis as isize, &inputs[1])), None],
    }
}

/// Whether the tensor is another one with its last two axes exchanged.
fn is_transposed(t: &Tensor) -> bool {
    let n = t.rank();
    matches!(t.op(), Op::Permute(axes) if axes[n - 2] == n - 1 && axes[n - 1] == n - 2)
}

fn unary_vjp(op: UnaryOp, x: &Tensor, out: &Tensor, g: &Tensor) -> Option<Tensor> {
    Some(match op {
        UnaryOp::Neg => -g,
        UnaryOp::Abs => g * x.sign(),
        // Flat between their jumps.
        UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round => g.zeros_like(),
        UnaryOp::Sqrt => g * 0.5 / out,
        UnaryOp::Rsqrt => g * -0.5 * out / x,
        UnaryOp::Recip => -g * out * out,
        UnaryOp::Exp => g * out,
        UnaryOp::Expm1 => g * (out + 1.0),
        UnaryOp::Log => g / x,
        UnaryOp::Log1p => g / (x + 1.0),
        UnaryOp::Sin => g * x.cos(),
        UnaryOp::Cos => -g * x.sin(),
        UnaryOp::Tanh => g * (1.0 - out.square()),
        UnaryOp::Erf => g * g.full_like(std::f64::consts::FRAC_2_SQRT_PI) * (-x.square()).exp(),
        UnaryOp::Relu => out.gt(0.0).where_(g, 0.0),
        UnaryOp::Not => return None,
    })
}

fn binary_vjp(op: BinaryOp, a: &Tensor, b: &Tensor, out: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    match op {
        BinaryOp::Add => vec![Some(g.clone()), Some(g.clone())],
        BinaryOp::Sub => vec![Some(g.clone()), Some(-g)],
        BinaryOp::Mul => vec![Some(g * b), Some(g * a)],
        BinaryOp::Div => vec![Some(g / b), Some(-g * out / b)],
        // a - trunc(a / b) * b, with the quotient flat between its jumps.
        BinaryOp::Rem => vec![Some(g.clone()), Some(-g * ((a - out) / b).round())],
        BinaryOp::Pow => {
            // At a = 0 the logarithm is replaced by 0, as in PyTorch; a negative base has no derivative by the exponent.
            let da = b.eq(0.0).where_(0.0, g * b * a.pow(b - 1.0));
            let safe = a.gt(0.0).where_(a, 1.0);
            vec![Some(da), Some(g * out * safe.log())]
        }
        BinaryOp::Min | BinaryOp::Max => {
            // Elements that tie share the gradient.
            let wins = a.eq(out);
            let other = b.eq(out);
            let half = wins.logical_and(&other).where_(g * 0.5, g);
            vec![Some(wins.where_(&half, 0.0)), Some(other.where_(half, 0.0))]
        }
        BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr => {
            vec![None, None]
        }
    }
}

fn reduce_vjp(op: ReduceOp, axes: &[usize], x: &Tensor, out: &Tensor, g: &Tensor) -> Tensor {
    let kept: Shape = x.shape().iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
    let back = |t: &Tensor| t.reshape(&kept).expand(x.shape());
    match op {
        ReduceOp::Sum => back(g),
        ReduceOp::Prod => {
            // The product of the others: out / x where there is no zero; where x is the only zero, the product of the rest; else 0.
            let zero = x.eq(0.0);
            let axes: Vec<isize> = axes.iter().map(|&a| a as isize).collect();
            let zeros = zero.to(DType::F32).sum_axes(&axes);
            let rest = zero.where_(1.0, x);
            let others = back(&rest.prod(&axes)) / &rest;
            let alone = back(&zeros).eq(zero.to(DType::F32));
            back(g) * alone.where_(others, 0.0)
        }
        ReduceOp::Max | ReduceOp::Min => {
            // Elements that tie share the gradient evenly, as PyTorch's amax and amin do.
            let mask = x.eq(back(out)).to(x.dtype());
            let axes: Vec<isize> = axes.iter().map(|&a| a as isize).collect();
            &mask * back(&(g / mask.sum_axes(&axes)))
        }
    }
}

/// The gradient of a slice: `g` at the places that were read, zeros between and around them.
fn unslice(g: &Tensor, ranges: &[(usize, usize)], shape: &Shape) -> Tensor {
    let mut result = g.clone();
    for (axis, &(start, step)) in ranges.iter().enumerate() {
        let count = result.shape()[axis];
        let size = shape[axis];
        if count == size && step == 1 {
            continue;
        }
        result = result.spread(axis, step);
        let covered = result.shape()[axis];
        let before = if count == 0 { 0 } else { start };
        let widths: Vec<_> = (0..result.rank()).map(|i| if i == axis { (before, size - before - covered) } else { (0, 0) }).collect();
        result = result.pad(&widths, 0.0);
    }
    result
}

/// The gradient of windows: `g` (windows along the axis, elements of a window along the last axis) added up at the places that were read.
fn fold(g: &Tensor, window: Window, shape: &Shape) -> Tensor {
    let Window { axis, size, step, dilation } = window;
    let (at, last) = (axis as isize, g.rank() as isize - 1);
    let total = shape[axis];
    let padded = |t: &Tensor, axis: usize, before: usize, after: usize| {
        t.pad(&(0..t.rank()).map(|i| if i == axis { (before, after) } else { (0, 0) }).collect::<Vec<_>>(), 0.0)
    };
    if dilation == 1 && size <= step {
        // Windows that do not overlap: side by side, with zeros between them.
        let order: Vec<isize> = (0..=at).chain([last]).chain(at + 1..last).collect();
        let side_by_side = padded(&g.permute(&order), axis + 1, 0, step - size).flatten(at, at + 1);
        let covered = side_by_side.shape()[axis];
        return if covered > total { side_by_side.slice(at, ..total) } else { padded(&side_by_side, axis, 0, total - covered) };
    }
    // Place p was read as element j of the window that begins at p - j * dilation. With the windows spread out by their step and zeros before them, that is
    // windows again, of which the elements with matching numbers (a diagonal) are wanted.
    let reach = (size - 1) * dilation;
    let spread = g.spread(axis, step);
    let after = total - spread.shape()[axis];
    let windows = padded(&spread, axis, reach, after).unfold_dilated(at, size, 1, dilation).flip(&[-1]);
    windows.flatten(-2, -1).slice_step(-1, .., size as isize + 1).sum_axes(&[-1])
}

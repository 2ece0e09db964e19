//! Reductions, softmax, products of matrices.

use noyau_tensor::{DType, Scalar, Tensor};

use super::Function;
use super::shape::places;
use crate::import::call::{Call, Made, axes, axis, one, signed};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("ArgMax", |c| extreme(c, Tensor::argmax)),
    ("ArgMin", |c| extreme(c, Tensor::argmin)),
    ("Gemm", gemm),
    ("LogSoftmax", |c| soft(c, Tensor::log_softmax)),
    ("MatMul", |c| one(c.tensor(0)?.matmul(&c.tensor(1)?))),
    ("ReduceL1", |c| reduce(c, |x, a| x.abs().sum_keep(a))),
    ("ReduceL2", |c| reduce(c, |x, a| x.square().sum_keep(a).sqrt())),
    ("ReduceLogSum", |c| reduce(c, |x, a| x.sum_keep(a).log())),
    ("ReduceLogSumExp", |c| reduce(c, |x, a| chosen(x, a, f64::NEG_INFINITY, |x, a| x.logsumexp_keep(a)))),
    ("ReduceMax", |c| reduce(c, |x, a| chosen(x, a, f64::NEG_INFINITY, |x, a| x.max_keep(a)))),
    ("ReduceMean", |c| reduce(c, |x, a| x.mean_keep(a))),
    ("ReduceMin", |c| reduce(c, |x, a| chosen(x, a, f64::INFINITY, |x, a| x.min_keep(a)))),
    ("ReduceProd", |c| reduce(c, product)),
    ("ReduceSum", |c| reduce(c, |x, a| x.sum_keep(a))),
    ("ReduceSumSquare", |c| reduce(c, |x, a| x.square().sum_keep(a))),
    ("Softmax", |c| soft(c, Tensor::softmax)),
];

/// Axes are an attribute in old versions, an operand in newer ones; none are all of them, unless the node says that it then does nothing.
fn reduce(call: &Call, make: fn(&Tensor, &[isize]) -> Tensor) -> Made {
    let x = call.tensor(0)?;
    let list = call.axes(1)?.unwrap_or_default();
    if list.is_empty() && call.flag("noop_with_empty_axes", false) {
        return Ok(vec![call.value(0)?.clone()]);
    }
    let over: Vec<usize> = if list.is_empty() { (0..x.rank()).collect() } else { axes(&list, x.rank())? };
    let kept = if x.rank() == 0 { x.clone() } else { make(&x, &signed(&over)) };
    if call.flag("keepdims", true) || kept.error().is_some() {
        return one(kept);
    }
    let shape: Vec<usize> = x.shape().iter().enumerate().filter(|(i, _)| !over.contains(i)).map(|(_, &d)| d).collect();
    one(kept.reshape(shape))
}

/// A choice among bools, and among no elements: what every other would win against.
fn chosen(x: &Tensor, axes: &[isize], none: f64, make: fn(&Tensor, &[isize]) -> Tensor) -> Tensor {
    let bool = x.dtype() == DType::Bool;
    if axes.iter().any(|&i| x.shape()[i as usize] == 0) {
        let shape: Vec<usize> = (0..x.rank()).map(|i| if axes.contains(&(i as isize)) { 1 } else { x.shape()[i] }).collect();
        return Tensor::full(shape, if bool { Scalar::Bool(none > 0.0) } else { Scalar::new(none, x.dtype()) });
    }
    if bool { make(&x.to(DType::I32), axes).to(DType::Bool) } else { make(x, axes) }
}

/// The axes stay, with the size 1.
fn product(x: &Tensor, axes: &[isize]) -> Tensor {
    let shape: Vec<usize> = (0..x.rank()).map(|i| if axes.contains(&(i as isize)) { 1 } else { x.shape()[i] }).collect();
    x.prod(axes).reshape(shape)
}

fn extreme(call: &Call, make: fn(&Tensor, isize) -> Tensor) -> Made {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0), x.rank())? as isize;
    // The last of equals is the first from the other end.
    let found = if call.flag("select_last_index", false) {
        let last = i32::try_from(x.shape()[at as usize]).map_err(|_| format!("an axis of {} places", x.shape()[at as usize]))? - 1;
        last - places(make(&x.flip(&[at]), at))
    } else {
        places(make(&x, at))
    };
    one(if call.flag("keepdims", true) { found.unsqueeze(at) } else { found })
}

/// Before version 13 all axes from `axis` on are one.
fn soft(call: &Call, make: fn(&Tensor, isize) -> Tensor) -> Made {
    let x = call.float(0)?;
    let at = axis(call.int("axis", if call.opset < 13 { 1 } else { -1 }), x.rank())?;
    if call.opset >= 13 || at + 1 == x.rank() {
        return one(make(&x, at as isize));
    }
    one(make(&x.flatten(at as isize, -1), at as isize).reshape(x.shape()))
}

fn gemm(call: &Call) -> Made {
    let turned = |t: Tensor, name: &str| if call.flag(name, false) { t.t() } else { t };
    let (a, b) = (call.float(0)?, call.float(1)?);
    if a.rank() != 2 || b.rank() != 2 {
        return Err(format!("needs two matrices, got {} and {}", a.shape(), b.shape()));
    }
    let scaled = |t: Tensor, name: &str| match call.real(name, 1.0) {
        1.0 => t,
        factor => t * factor,
    };
    let product = scaled(turned(a, "transA").matmul(&turned(b, "transB")), "alpha");
    one(match call.optional(2)? {
        Some(c) => product + scaled(c, "beta"),
        None => product,
    })
}

//! Operations on values that are known while a graph is walked: shape arithmetic, exact in i64.
//!
//! An operation whose operands are all known, and small, is computed here if it is one of those that exporters write shapes with. Everything else is an expression.

use std::sync::Arc;

use super::call::{Call, Made, axes, axis};
use super::run::keep;
use super::value::{Data, KNOWN, Known, Value, bounds, is_float, rounded};
use crate::proto::tensor_proto::DataType;

/// The node's results, if all that it reads is known and it is one of the operations here.
pub(crate) fn fold(call: &Call) -> Result<Option<Vec<Value>>, String> {
    let mut operands = Vec::new();
    for operand in &call.operands {
        match operand {
            Some(Value::Known(known)) if known.data.len() <= KNOWN => operands.push(Arc::clone(known)),
            _ => return Ok(None),
        }
    }
    // Old versions broadcast along a named axis.
    if operands.is_empty() || call.given("broadcast") || !call.run.has_room() {
        return Ok(None);
    }
    let made = match (call.node.op_type.as_str(), &operands[..]) {
        ("Add" | "Sub" | "Mul" | "Div" | "Mod" | "Min" | "Max", [first, rest @ ..]) if !rest.is_empty() => arithmetic(call, first, rest)?,
        ("Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor", [a, b]) => compare(call, a, b)?,
        ("Neg" | "Abs" | "Floor" | "Ceil" | "Sqrt" | "Not" | "Round" | "Sign", [a]) => unary(call, a)?,
        ("Where", [c, a, b]) => choose(c, a, b)?,
        ("Cast", [a]) => Some(cast(a, super::tensors::kind(call.int("to", 0) as i32)?)?),
        ("Gather", [a, index]) => Some(gather(call, a, index)?),
        ("Concat", all) => Some(concat(call, all)?),
        ("ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin", [a]) => reduce(call, a),
        ("Transpose", [a]) => transpose(call, a)?,
        ("NonZero", [a]) => Some(nonzero(a)),
        _ => None,
    };
    match made {
        Some(known) => Ok(Some(vec![keep(call.run, known)?])),
        None => Ok(None),
    }
}

/// The shape that two broadcast to, if they do and it is small.
fn common(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let shape = noyau_tensor::Shape::from(a).broadcast(&noyau_tensor::Shape::from(b))?;
    shape.checked_numel().filter(|&n| n <= KNOWN).map(|_| shape.to_vec())
}

/// For each element of `to` its place in a value of the shape `from`.
pub(crate) fn places(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    for i in (0..from.len()).rev() {
        let axis = i + to.len() - from.len();
        strides[axis] = if from[i] == 1 { 0 } else { stride };
        stride *= from[i];
    }
    walk(to, &strides)
}

/// The places that coordinates of `shape` have by strides, in row-major order.
fn walk(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let count: usize = shape.iter().product();
    let mut at = vec![0usize; shape.len()];
    let mut place = 0;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(place);
        for i in (0..shape.len()).rev() {
            at[i] += 1;
            place += strides[i];
            if at[i] < shape[i] {
                break;
            }
            place -= strides[i] * at[i];
            at[i] = 0;
        }
    }
    all
}

fn pick(data: &Data, places: &[usize]) -> Data {
    match data {
        Data::Ints(all) => Data::Ints(places.iter().map(|&p| all[p]).collect()),
        Data::Floats(all) => Data::Floats(places.iter().map(|&p| all[p]).collect()),
    }
}

/// An integer as its type holds it: others wrap around.
fn wrap(value: i128, kind: DataType) -> i64 {
    let Some((low, high)) = bounds(kind) else { return value as i64 };
    if kind == DataType::Uint64 || kind == DataType::Int64 {
        return value as i64;
    }
    let span = i128::from(high) - i128::from(low) + 1;
    ((value - i128::from(low)).rem_euclid(span) + i128::from(low)) as i64
}

fn arithmetic(call: &Call, first: &Arc<Known>, rest: &[Arc<Known>]) -> Result<Option<Known>, String> {
    let op = call.node.op_type.as_str();
    let mut result = Known::clone(first);
    for other in rest {
        let Some(shape) = common(&result.shape, &other.shape) else { return Ok(None) };
        let (left, right) = (pick(&result.data, &places(&result.shape, &shape)), pick(&other.data, &places(&other.shape, &shape)));
        let kind = result.kind;
        let data = match (left, right) {
            (Data::Ints(a), Data::Ints(b)) => {
                let pairs = a.into_iter().zip(b).map(|(a, b)| (i128::from(a), i128::from(b)));
                let make = |(a, b): (i128, i128)| {
                    Ok(wrap(
                        match op {
                            "Add" => a + b,
                            "Sub" => a - b,
                            "Mul" => a * b,
                            "Min" => a.min(b),
                            "Max" => a.max(b),
                            _ if b == 0 => return Err(format!("{a} is divided by 0")),
                            "Div" => a / b,
                            _ if call.flag("fmod", false) => a % b,
                            _ => (a % b + b) % b,
                        },
                        kind,
                    ))
                };
                Data::Ints(pairs.map(make).collect::<Result<_, String>>()?)
            }
            (Data::Floats(a), Data::Floats(b)) if op != "Mod" => {
                let make = |(a, b): (f64, f64)| {
                    let value = match op {
                        "Add" => a + b,
                        "Sub" => a - b,
                        "Mul" => a * b,
                        "Min" => a.min(b),
                        "Max" => a.max(b),
                        _ => a / b,
                    };
                    rounded(value, kind)
                };
                Data::Floats(a.into_iter().zip(b).map(make).collect())
            }
            _ => return Ok(None),
        };
        result = Known { kind, shape, data };
    }
    Ok(Some(result))
}

fn compare(call: &Call, a: &Known, b: &Known) -> Result<Option<Known>, String> {
    let Some(shape) = common(&a.shape, &b.shape) else { return Ok(None) };
    let op = call.node.op_type.as_str();
    fn of<T: PartialOrd>(op: &str, a: T, b: T, zero: T) -> bool {
        match op {
            "Equal" => a == b,
            "Less" => a < b,
            "LessOrEqual" => a <= b,
            "Greater" => a > b,
            "GreaterOrEqual" => a >= b,
            "And" => a != zero && b != zero,
            "Or" => a != zero || b != zero,
            _ => (a != zero) != (b != zero),
        }
    }
    let values: Vec<i64> = match (pick(&a.data, &places(&a.shape, &shape)), pick(&b.data, &places(&b.shape, &shape))) {
        (Data::Ints(a), Data::Ints(b)) => a.into_iter().zip(b).map(|(a, b)| of(op, a, b, 0).into()).collect(),
        (Data::Floats(a), Data::Floats(b)) => a.into_iter().zip(b).map(|(a, b)| of(op, a, b, 0.0).into()).collect(),
        _ => return Ok(None),
    };
    Ok(Some(Known { kind: DataType::Bool, shape, data: Data::Ints(values) }))
}

fn unary(call: &Call, a: &Known) -> Result<Option<Known>, String> {
    let op = call.node.op_type.as_str();
    let data = match &a.data {
        Data::Ints(all) => {
            let make: fn(i64) -> i64 = match op {
                "Neg" => i64::wrapping_neg,
                "Abs" => i64::wrapping_abs,
                "Sign" => i64::signum,
                "Not" => |v| (v == 0).into(),
                _ => return Ok(None),
            };
            Data::Ints(all.iter().map(|&v| wrap(make(v).into(), a.kind)).collect())
        }
        Data::Floats(all) => {
            let make: fn(f64) -> f64 = match op {
                "Neg" => |v| -v,
                "Abs" => f64::abs,
                "Floor" => f64::floor,
                "Ceil" => f64::ceil,
                "Sqrt" => f64::sqrt,
                "Round" => f64::round_ties_even,
                _ => return Ok(None),
            };
            Data::Floats(all.iter().map(|&v| rounded(make(v), a.kind)).collect())
        }
    };
    Ok(Some(Known { kind: a.kind, shape: a.shape.clone(), data }))
}

fn choose(c: &Known, a: &Known, b: &Known) -> Result<Option<Known>, String> {
    let Some(shape) = common(&a.shape, &b.shape).and_then(|s| common(&s, &c.shape)) else { return Ok(None) };
    let Data::Ints(condition) = pick(&c.data, &places(&c.shape, &shape)) else { return Ok(None) };
    let data = match (pick(&a.data, &places(&a.shape, &shape)), pick(&b.data, &places(&b.shape, &shape))) {
        (Data::Ints(a), Data::Ints(b)) => {
            Data::Ints(condition.iter().zip(a.into_iter().zip(b)).map(|(&c, (a, b))| if c != 0 { a } else { b }).collect())
        }
        (Data::Floats(a), Data::Floats(b)) => {
            Data::Floats(condition.iter().zip(a.into_iter().zip(b)).map(|(&c, (a, b))| if c != 0 { a } else { b }).collect())
        }
        _ => return Ok(None),
    };
    Ok(Some(Known { kind: a.kind, shape, data }))
}

/// The values as another type: floats to integers toward zero, integers to smaller ones by wrapping around.
pub(crate) fn cast(a: &Known, kind: DataType) -> Result<Known, String> {
    super::value::dtype(kind)?;
    let data = match &a.data {
        Data::Ints(all) if is_float(kind) => Data::Floats(all.iter().map(|&v| rounded(v as f64, kind)).collect()),
        Data::Ints(all) if kind == DataType::Bool => Data::Ints(all.iter().map(|&v| (v != 0).into()).collect()),
        Data::Ints(all) => Data::Ints(all.iter().map(|&v| wrap(v.into(), kind)).collect()),
        Data::Floats(all) if is_float(kind) => Data::Floats(all.iter().map(|&v| rounded(v, kind)).collect()),
        Data::Floats(all) if kind == DataType::Bool => Data::Ints(all.iter().map(|&v| (v != 0.0).into()).collect()),
        Data::Floats(all) => Data::Ints(all.iter().map(|&v| wrap((v as i64).into(), kind)).collect()),
    };
    Ok(Known { kind, shape: a.shape.clone(), data })
}

fn gather(call: &Call, a: &Known, index: &Known) -> Result<Known, String> {
    let axis = axis(call.int("axis", 0), a.shape.len())?;
    let Data::Ints(index_values) = &index.data else { return Err("the indices are floats".into()) };
    let size = a.shape[axis];
    let rows = index_values
        .iter()
        .map(|&i| {
            let place = if i < 0 { i.checked_add(size as i64).unwrap_or(-1) } else { i };
            usize::try_from(place).ok().filter(|&p| p < size).ok_or_else(|| format!("index {i} of an axis of {size}"))
        })
        .collect::<Result<Vec<usize>, String>>()?;
    let (before, after): (usize, usize) = (a.shape[..axis].iter().product(), a.shape[axis + 1..].iter().product());
    let shape: Vec<usize> = a.shape[..axis].iter().chain(&index.shape).chain(&a.shape[axis + 1..]).copied().collect();
    if before.saturating_mul(rows.len()).saturating_mul(after) > KNOWN {
        return Err(format!("a known value of shape {shape:?} has more than {KNOWN} elements"));
    }
    let mut places = Vec::new();
    for outer in 0..before {
        for &row in &rows {
            let start = (outer * size + row) * after;
            places.extend(start..start + after);
        }
    }
    Ok(Known { kind: a.kind, shape, data: pick(&a.data, &places) })
}

fn concat(call: &Call, all: &[Arc<Known>]) -> Result<Known, String> {
    let first = &all[0];
    let rank = first.shape.len();
    let axis = axis(call.int("axis", 1), rank)?;
    for other in all {
        let fits = other.shape.len() == rank && (0..rank).all(|i| i == axis || other.shape[i] == first.shape[i]);
        if !fits {
            return Err(format!("{:?} and {:?} cannot be joined along axis {axis}", first.shape, other.shape));
        }
    }
    let mut shape = first.shape.clone();
    shape[axis] = all.iter().map(|k| k.shape[axis]).sum();
    let before: usize = shape[..axis].iter().product();
    let mut ints = Vec::new();
    let mut floats = Vec::new();
    for outer in 0..before {
        for part in all {
            let length: usize = part.shape[axis..].iter().product();
            match &part.data {
                Data::Ints(values) => ints.extend_from_slice(&values[outer * length..(outer + 1) * length]),
                Data::Floats(values) => floats.extend_from_slice(&values[outer * length..(outer + 1) * length]),
            }
        }
    }
    let data = match (ints.is_empty(), floats.is_empty()) {
        (false, false) => return Err("integers and floats cannot be joined".into()),
        (_, false) => Data::Floats(floats),
        (false, true) => Data::Ints(ints),
        (true, true) if is_float(first.kind) => Data::Floats(floats),
        (true, true) => Data::Ints(ints),
    };
    Ok(Known { kind: first.kind, shape, data })
}

/// Whole reductions of integers, as sizes are multiplied.
fn reduce(call: &Call, a: &Known) -> Option<Known> {
    let Data::Ints(all) = &a.data else { return None };
    let whole = match call.list("axes") {
        None => true,
        Some(list) => axes(&list, a.shape.len()).is_ok_and(|axes| axes.len() == a.shape.len()),
    };
    if !whole || call.flag("noop_with_empty_axes", false) || all.is_empty() {
        return None;
    }
    let values = all.iter().map(|&v| i128::from(v));
    let value = match call.node.op_type.as_str() {
        "ReduceProd" => i128::from(values.map(|v| v as i64).fold(1i64, i64::wrapping_mul)),
        "ReduceSum" => values.sum(),
        "ReduceMax" => values.max()?,
        _ => values.min()?,
    };
    let shape = if call.flag("keepdims", true) { vec![1; a.shape.len()] } else { Vec::new() };
    Some(Known { kind: a.kind, shape, data: Data::Ints(vec![wrap(value, a.kind)]) })
}

fn transpose(call: &Call, a: &Known) -> Result<Option<Known>, String> {
    let rank = a.shape.len();
    let order = match call.list("perm") {
        Some(perm) if perm.len() == rank => axes(&perm, rank)?,
        Some(_) => return Ok(None),
        None => (0..rank).rev().collect(),
    };
    let mut strides = vec![1; rank];
    for i in (1..rank).rev() {
        strides[i - 1] = strides[i] * a.shape[i];
    }
    let shape: Vec<usize> = order.iter().map(|&i| a.shape[i]).collect();
    let strides: Vec<usize> = order.iter().map(|&i| strides[i]).collect();
    Ok(Some(Known { kind: a.kind, data: pick(&a.data, &walk(&shape, &strides)), shape }))
}

pub(crate) fn nonzero(a: &Known) -> Known {
    let is = |i: usize| match &a.data {
        Data::Ints(all) => all[i] != 0,
        Data::Floats(all) => all[i] != 0.0,
    };
    let found: Vec<usize> = (0..a.data.len()).filter(|&i| is(i)).collect();
    let rank = a.shape.len();
    let mut values = Vec::new();
    for i in 0..rank {
        let after: usize = a.shape[i + 1..].iter().product();
        values.extend(found.iter().map(|&p| (p / after % a.shape[i]) as i64));
    }
    Known { kind: DataType::Int64, shape: vec![rank, found.len()], data: Data::Ints(values) }
}

/// The same elements under another shape, known or not.
pub(crate) fn reshaped(call: &Call, shape: Vec<usize>) -> Made {
    match call.value(0)? {
        Value::Known(known) if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) == Some(known.data.len()) => {
            let known = Known { kind: known.kind, shape, data: known.data.clone() };
            Ok(vec![keep(call.run, known)?])
        }
        _ => Ok(vec![call.tensor(0)?.reshape(shape).into()]),
    }
}

//! Graphs within nodes, which are written out while the model is traced; sequences and optional values, which exist only then; gradients.

use std::sync::Arc;

use noyau_tensor::{Tensor, concat, grad, stack};

use super::Function;
use crate::DataType;
use crate::import::call::{Call, Made, axes, axis, one, size};
use crate::import::load::short;
use crate::import::run::{Typed, keep};
use crate::import::value::{Data, KNOWN, Known, Value};
use crate::proto::tensor_shape_proto::dimension;
use crate::proto::{GraphProto, type_proto};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("ConcatFromSequence", concat_from_sequence),
    ("If", choose),
    ("Loop", repeat),
    ("Optional", optional),
    ("OptionalGetElement", |c| {
        if c.has(0) { Ok(vec![c.value(0)?.clone()]) } else { Err("takes the element of an empty optional value".into()) }
    }),
    ("OptionalHasElement", |c| Ok(vec![truth(c.has(0)).into()])),
    ("Scan", scan),
    ("SequenceAt", |c| {
        let all = list(c, 0)?;
        Ok(vec![all[place(c, 1, all.len(), false)?].clone()])
    }),
    ("SequenceConstruct", |c| sequence((0..c.count()).map(|i| c.value(i).cloned()).collect::<Result<_, _>>()?)),
    ("SequenceEmpty", |_| sequence(Vec::new())),
    ("SequenceErase", |c| {
        let mut all = list(c, 0)?.to_vec();
        all.remove(place(c, 1, all.len(), false)?);
        sequence(all)
    }),
    ("SequenceInsert", |c| {
        let mut all = list(c, 0)?.to_vec();
        all.insert(place(c, 2, all.len(), true)?, c.value(1)?.clone());
        sequence(all)
    }),
    ("SequenceLength", |c| Ok(vec![Known::int(list(c, 0)?.len() as i64).into()])),
    ("SequenceMap", map),
    ("SplitToSequence", split_to_sequence),
];

/// What stands in the domain of operations that train.
pub(super) const TRAINING: &[(&str, Function)] = &[("Gradient", gradient)];

/// The longest sequence.
const LONGEST: usize = 1 << 16;

fn sequence(all: Vec<Value>) -> Made {
    if all.len() > LONGEST {
        return Err(format!("a sequence of {} values; up to {LONGEST} are supported", all.len()));
    }
    Ok(vec![Value::List(Arc::new(all))])
}

fn truth(yes: bool) -> Known {
    Known { kind: DataType::Bool, shape: Vec::new(), data: Data::Ints(vec![yes.into()]) }
}

fn list<'a>(call: &'a Call, i: usize) -> Result<&'a [Value], String> {
    match call.value(i)? {
        Value::List(all) => Ok(all),
        _ => Err(format!("operand {i} is no sequence")),
    }
}

/// A place in a sequence, by default the last one; `after`: one behind the end is one too.
fn place(call: &Call, i: usize, length: usize, after: bool) -> Result<usize, String> {
    let length = if after { length + 1 } else { length };
    match call.number(i)? {
        Some(at) => {
            axis(at as i64 + if after && at < 0.0 { -1 } else { 0 }, length).map_err(|_| format!("place {at} of a sequence of {length}"))
        }
        None => length.checked_sub(1).ok_or_else(|| "takes from an empty sequence".into()),
    }
}

fn optional(call: &Call) -> Made {
    Ok(vec![if call.has(0) { call.value(0)?.clone() } else { Value::Nothing }])
}

/// All elements side by side, along an axis that is there or a new one.
fn concat_from_sequence(call: &Call) -> Made {
    let all = list(call, 0)?.iter().map(|v| call.run.tensor(v)).collect::<Result<Vec<_>, _>>()?;
    let (at, all) = (call.int("axis", 0) as isize, all.iter().collect::<Vec<_>>());
    one(if call.flag("new_axis", false) { stack(&all, at) } else { concat(&all, at) })
}

fn split_to_sequence(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0), x.rank())?;
    let n = x.shape()[at];
    let (lengths, keep) = match (call.ints(1)?, call.value(1).ok().and_then(Value::shape)) {
        (Some(each), Some(shape)) if shape.is_empty() => {
            let each = size(each[0])?.max(1);
            if n / each > LONGEST {
                return Err(format!("an axis of {n} in pieces of {each}: more than {LONGEST}"));
            }
            ((0..n.div_ceil(each)).map(|i| each.min(n - i * each)).collect::<Vec<usize>>(), true)
        }
        (Some(list), _) => (list.into_iter().map(size).collect::<Result<_, _>>()?, true),
        _ if n > LONGEST => return Err(format!("an axis of {n} in pieces of 1: more than {LONGEST}")),
        _ => (vec![1; n], call.flag("keepdims", true)),
    };
    if lengths.iter().try_fold(0usize, |sum, &d| sum.checked_add(d)) != Some(n) {
        return Err(format!("an axis of {n} cannot be divided into pieces of {lengths:?}"));
    }
    let pieces = x.split_sizes(&lengths, at as isize);
    sequence(pieces.into_iter().map(|p| if keep { p } else { p.squeeze(at as isize) }.into()).collect())
}

fn map(call: &Call) -> Made {
    let graph = call.graph("body")?;
    let scope = call.run.inner(graph, call.scope)?;
    let mut results: Vec<Vec<Value>> = vec![Vec::new(); call.outputs()];
    for (i, first) in list(call, 0)?.iter().enumerate() {
        let mut inputs = vec![(first.clone(), None)];
        for k in 1..call.count() {
            inputs.push(match call.value(k)? {
                Value::List(all) => (all.get(i).cloned().ok_or("sequences of different lengths")?, None),
                other => (other.clone(), call.kind(k)),
            });
        }
        let made = call.run.graph(graph, inputs, &scope)?;
        results.iter_mut().zip(made).for_each(|(all, (value, _))| all.push(value));
    }
    results.into_iter().map(|all| sequence(all).map(|mut made| made.remove(0))).collect()
}

/// The branch that is taken, where that is known; else both, of which data choose.
fn choose(call: &Call) -> Made {
    let branch = |name: &str| -> Result<Vec<Value>, String> {
        let graph = call.graph(name)?;
        let scope = call.run.inner(graph, call.scope)?;
        Ok(call.run.graph(graph, Vec::new(), &scope)?.into_iter().map(|(value, _)| value).collect())
    };
    if let Some(known) = call.run.known(call.value(0)?)? {
        return match known.to_f64()[..] {
            [c] => branch(if c != 0.0 { "then_branch" } else { "else_branch" }),
            _ => Err(format!("a condition of shape {:?}", known.shape)),
        };
    }
    let condition = call.tensor(0)?;
    if condition.numel() != 1 {
        return Err(format!("a condition of shape {}", condition.shape()));
    }
    let condition = condition.reshape([0usize; 0]);
    let (then, otherwise) = (branch("then_branch")?, branch("else_branch")?);
    let both = then.iter().zip(&otherwise).map(|(a, b)| {
        let (a, b) = (call.run.tensor(a)?, call.run.tensor(b)?);
        if a.shape() != b.shape() || a.dtype() != b.dtype() {
            return Err(format!(
                "its condition depends on data, and its branches give {}{} and {}{}: only results of one shape can be chosen from then",
                a.dtype(),
                a.shape(),
                b.dtype(),
                b.shape()
            ));
        }
        Ok(condition.where_(a, b).into())
    });
    both.collect()
}

/// Written out: as often as is known while the model is traced.
fn repeat(call: &Call) -> Made {
    let graph = call.graph("body")?;
    let most = call.number(0)?;
    let mut going = call.number(1)?.is_none_or(|c| c != 0.0);
    let mut carried: Vec<Typed> =
        (2..call.operands.len().max(2)).map(|i| (call.value(i).cloned().unwrap_or(Value::Nothing), call.kind(i))).collect();
    while carried.len() + 2 < graph.input.len() {
        carried.push((Value::Nothing, None));
    }
    let kept = graph.output.len().checked_sub(1 + carried.len());
    let kept = kept.ok_or_else(|| format!("its body gives {} values and carries {}", graph.output.len(), carried.len()))?;
    let scope = call.run.inner(graph, call.scope)?;
    let mut scans: Vec<Vec<Value>> = vec![Vec::new(); kept];
    let mut i = 0i64;
    while going && most.is_none_or(|most| (i as f64) < most) {
        let mut inputs = vec![(Known::int(i).into(), Some(DataType::Int64)), (truth(true).into(), Some(DataType::Bool))];
        inputs.append(&mut carried);
        let mut made = call.run.graph(graph, inputs, &scope)?.into_iter();
        let condition = made.next().map(|(value, _)| call.run.known(&value)).transpose()?;
        going = match condition.flatten() {
            Some(known) => known.to_f64().first() == Some(&1.0),
            None => {
                return Err(
                    "goes on for as long as data say; only loops whose count is known while the model is traced are supported".into()
                );
            }
        };
        carried = made.by_ref().take(graph.output.len() - 1 - kept).collect();
        scans.iter_mut().zip(made).for_each(|(all, (value, _))| all.push(value));
        i += 1;
    }
    let mut results: Vec<Value> = carried.into_iter().map(|(value, _)| value).collect();
    for (k, all) in scans.iter().enumerate() {
        results.push(stacked(call, all, 0, || empty(graph, graph.output.len() - kept + k))?);
    }
    Ok(results)
}

/// What a graph gives at a position, none of it.
fn empty(graph: &GraphProto, i: usize) -> Option<Known> {
    let Some(type_proto::Value::TensorType(tensor)) = graph.output.get(i)?.r#type.as_ref()?.value.as_ref() else { return None };
    let kind = crate::import::tensors::kind(tensor.elem_type).ok()?;
    let sizes = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match dim.value {
        Some(dimension::Value::DimValue(n)) => usize::try_from(n).unwrap_or(0),
        _ => 0,
    });
    let data = if crate::import::value::is_float(kind) { Data::Floats(Vec::new()) } else { Data::Ints(Vec::new()) };
    Some(Known { kind, shape: std::iter::once(0).chain(sizes).collect(), data })
}

/// Values side by side along a new axis: known where all of them are.
fn stacked(call: &Call, all: &[Value], at: isize, none: impl Fn() -> Option<Known>) -> Result<Value, String> {
    let Some(first) = all.first() else {
        return none().map(Value::from).ok_or_else(|| "is gone through 0 times, and its results have no type".into());
    };
    let known: Option<Vec<&Known>> = all.iter().map(|v| if let Value::Known(known) = v { Some(&**known) } else { None }).collect();
    if let (Some(known), Value::Known(first), 0) = (known, first, at)
        && known.iter().all(|k| k.shape == first.shape && k.kind == first.kind)
        && known.len().saturating_mul(first.data.len()) <= KNOWN
        && call.run.has_room()
    {
        let ints: Vec<i64> = known.iter().flat_map(|k| if let Data::Ints(v) = &k.data { &v[..] } else { &[] }).copied().collect();
        let floats: Vec<f64> = known.iter().flat_map(|k| if let Data::Floats(v) = &k.data { &v[..] } else { &[] }).copied().collect();
        let shape = std::iter::once(known.len()).chain(first.shape.iter().copied()).collect();
        let data = if matches!(first.data, Data::Ints(_)) { Data::Ints(ints) } else { Data::Floats(floats) };
        return keep(call.run, Known { kind: first.kind, shape, data });
    }
    let all = all.iter().map(|v| call.run.tensor(v)).collect::<Result<Vec<_>, _>>()?;
    Ok(stack(&all.iter().collect::<Vec<_>>(), at).into())
}

/// One pass over axes of the operands; from version 9 on, without a batch of its own.
fn scan(call: &Call) -> Made {
    if call.opset < 9 {
        return Err("before version 9 is not supported; convert it to a newer one".into());
    }
    let graph = call.graph("body")?;
    let scanned =
        size(call.int("num_scan_inputs", 0)).ok().filter(|&n| n > 0 && n <= call.count()).ok_or("num_scan_inputs does not fit")?;
    let states = call.count() - scanned;
    let kept = graph.output.len().checked_sub(states).ok_or("its body gives fewer values than there are states")?;
    let listed = |name: &str, count: usize| {
        call.list(name).map_or(Ok(vec![0; count]), |list| {
            if list.len() == count { Ok(list) } else { Err(format!("{name} {list:?} for {count} values")) }
        })
    };
    let (over, backward) = (listed("scan_input_axes", scanned)?, listed("scan_input_directions", scanned)?);
    let (result_axes, result_backward) = (listed("scan_output_axes", kept)?, listed("scan_output_directions", kept)?);
    let mut inputs = Vec::new();
    for i in 0..scanned {
        let x = call.tensor(states + i)?;
        let at = axes(&over[i..=i], x.rank())?[0];
        inputs.push((x, at));
    }
    let count = inputs[0].0.shape()[inputs[0].1];
    if let Some((x, at)) = inputs.iter().find(|(x, at)| x.shape()[*at] != count) {
        return Err(format!("scans {count} places of one operand and {} of another", x.shape()[*at]));
    }
    let scope = call.run.inner(graph, call.scope)?;
    let mut carried: Vec<Typed> = (0..states).map(|i| Ok((call.value(i)?.clone(), call.kind(i)))).collect::<Result<_, String>>()?;
    let mut scans: Vec<Vec<Value>> = vec![Vec::new(); kept];
    for t in 0..count {
        let mut given = std::mem::take(&mut carried);
        for (i, (x, at)) in inputs.iter().enumerate() {
            let place = if backward[i] != 0 { count - 1 - t } else { t };
            given.push((x.select(*at as isize, place).into(), call.kind(states + i)));
        }
        let mut made = call.run.graph(graph, given, &scope)?.into_iter();
        carried = made.by_ref().take(states).collect();
        scans.iter_mut().zip(made).for_each(|(all, (value, _))| all.push(value));
    }
    let mut results: Vec<Value> = carried.into_iter().map(|(value, _)| value).collect();
    for (k, all) in scans.iter_mut().enumerate() {
        if result_backward[k] != 0 {
            all.reverse();
        }
        results.push(stacked(call, all, result_axes[k] as isize, || empty(graph, states + k))?);
    }
    Ok(results)
}

/// The gradient of the sum of one value by others: by those that the graph itself has under these names.
fn gradient(call: &Call) -> Made {
    let (names, of) = (call.texts("xs"), call.text("y", ""));
    let named = |name: &str| call.scope.get(name).map(|(value, _)| value).ok_or_else(|| format!("`{}` is not there", short(name)));
    let y = call.run.tensor(named(&of)?)?;
    let mut by: Vec<Tensor> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let x = call.run.tensor(named(name)?)?;
        if call.tensor(i)?.id() != x.id() {
            return Err(format!("takes the gradient by `{}` at another value than the graph's own, which is not supported", short(name)));
        }
        by.push(x);
    }
    let gradients = grad(&y.sum(), &by.iter().collect::<Vec<_>>());
    Ok(gradients.into_iter().map(Value::from).collect())
}

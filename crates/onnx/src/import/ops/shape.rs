//! What moves elements or speaks of shapes.

use noyau_tensor::{DType, Tensor, concat};

use super::Function;
use crate::DataType;
use crate::import::call::{Call, Made, axes, axis, countable, one, signed, size, wrapped};
use crate::import::fold::reshaped;
use crate::import::run::keep;
use crate::import::tensors;
use crate::import::value::{Data, KNOWN, Known, Value};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("Concat", join),
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Expand", expand),
    ("Flatten", flatten),
    ("Gather", gather),
    ("Pad", pad),
    ("Range", range),
    ("Reshape", reshape),
    ("Shape", shape),
    ("Size", |c| Ok(vec![Known::int(sizes(c)?.iter().product::<usize>() as i64).into()])),
    ("Slice", slice),
    ("Split", split),
    ("Squeeze", squeeze),
    ("Tile", tile),
    ("Transpose", transpose),
    ("Unsqueeze", unsqueeze),
];

fn sizes(call: &Call) -> Result<Vec<usize>, String> {
    call.value(0)?.shape().ok_or_else(|| "operand 0 is no tensor".into())
}

/// A list that is an attribute in old versions and an operand in newer ones.
fn either(call: &Call, name: &str, operand: usize) -> Result<Option<Vec<i64>>, String> {
    call.list(name).map_or_else(|| call.ints(operand), |list| Ok(Some(list)))
}

fn join(call: &Call) -> Made {
    let all = call.tensors()?;
    one(concat(&all.iter().collect::<Vec<_>>(), call.int("axis", 1) as isize))
}

fn constant(call: &Call) -> Made {
    let known = if let Some(tensor) = call.stored("value") {
        tensors::known(tensor).map_err(|message| format!("its value {message}"))?
    } else if call.given("value_int") {
        Known::int(call.int("value_int", 0))
    } else if let Some(all) = call.list("value_ints") {
        Known::ints(all)
    } else if call.given("value_float") {
        Known { kind: DataType::Float, shape: Vec::new(), data: Data::Floats(vec![call.real("value_float", 0.0).into()]) }
    } else if let Some(all) = call.reals("value_floats") {
        Known { kind: DataType::Float, shape: vec![all.len()], data: Data::Floats(all.into_iter().map(f64::from).collect()) }
    } else {
        return Err("has no value of a kind that is supported".into());
    };
    Ok(vec![keep(call.run, known)?])
}

fn constant_of_shape(call: &Call) -> Made {
    let shape = call.ints(0)?.ok_or("the shape is missing")?.into_iter().map(size).collect::<Result<Vec<usize>, String>>()?;
    let shape = countable(shape)?;
    let value = match call.stored("value") {
        Some(tensor) => tensors::known(tensor)?,
        None => Known { kind: DataType::Float, shape: vec![1], data: Data::Floats(vec![0.0]) },
    };
    if value.data.len() != 1 {
        return Err(format!("its value has {} elements, not one", value.data.len()));
    }
    let count: usize = shape.iter().product();
    match &value.data {
        Data::Ints(all) if count <= KNOWN => {
            Ok(vec![keep(call.run, Known { kind: value.kind, shape, data: Data::Ints(vec![all[0]; count]) })?])
        }
        _ => one(Known { shape: Vec::new(), ..value }.tensor()?.expand(shape)),
    }
}

fn expand(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let shape = call.ints(1)?.ok_or("the shape is missing")?.into_iter().map(size).collect::<Result<Vec<usize>, String>>()?;
    let to = x.shape().broadcast(&shape.as_slice().into()).ok_or_else(|| format!("{} and {shape:?} do not broadcast", x.shape()))?;
    one(x.expand(countable(to.to_vec())?))
}

fn flatten(call: &Call) -> Made {
    let shape = sizes(call)?;
    let at = match call.int("axis", 1) {
        n if n == shape.len() as i64 => shape.len(),
        n => axis(n, shape.len())?,
    };
    reshaped(call, vec![shape[..at].iter().product(), shape[at..].iter().product()])
}

fn gather(call: &Call) -> Made {
    let (x, index) = (call.tensor(0)?, call.tensor(1)?);
    let at = axis(call.int("axis", 0), x.rank())?;
    let places = wrapped(&index.reshape([index.numel()]), x.shape()[at])?;
    let to: Vec<usize> = x.shape()[..at].iter().chain(index.shape().iter()).chain(&x.shape()[at + 1..]).copied().collect();
    one(x.index_select(at as isize, &places).reshape(countable(to)?))
}

fn pad(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let name = if call.given("paddings") { "paddings" } else { "pads" };
    let pads = either(call, name, 1)?.ok_or("the widths are missing")?;
    let over = match call.ints(3)? {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * over.len() {
        return Err(format!("{} widths for {} axes", pads.len(), over.len()));
    }
    let (mut widths, mut cut) = (vec![(0, 0); x.rank()], x);
    for (i, &at) in over.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + over.len()]);
        // Negative widths cut elements off.
        let (low, high) = (size(before.min(0).saturating_neg())?, size(after.min(0).saturating_neg())?);
        let end = cut.shape()[at]
            .checked_sub(high)
            .filter(|&end| end >= low)
            .ok_or_else(|| format!("widths {before} and {after} cut off more than there is"))?;
        cut = cut.slice(at as isize, low..end);
        widths[at] = (size(before.max(0))?, size(after.max(0))?);
    }
    countable(cut.shape().iter().zip(&widths).map(|(&d, &(a, b))| d.saturating_add(a).saturating_add(b)).collect())?;
    let value = if call.given("value") { f64::from(call.real("value", 0.0)) } else { call.number(2)?.unwrap_or(0.0) };
    one(match call.text("mode", "constant").as_str() {
        "constant" => cut.pad(&widths, value as f32),
        "reflect" => cut.pad_reflect(&widths),
        "edge" => cut.pad_replicate(&widths),
        "wrap" => cut.pad_circular(&widths),
        other => return Err(format!("mode {other:?} is not supported")),
    })
}

fn range(call: &Call) -> Made {
    let known = call.known(0)?;
    let (start, end, step) = match (call.number(0)?, call.number(1)?, call.number(2)?) {
        (Some(start), Some(end), Some(step)) if step != 0.0 => (start, end, step),
        _ => return Err("needs a start, a limit and a step other than 0".into()),
    };
    let count = ((end - start) / step).ceil().max(0.0);
    if count.is_nan() || count > KNOWN as f64 {
        return Err(format!("{count} numbers; up to {KNOWN} are supported"));
    }
    let values = (0..count as usize).map(|i| start + i as f64 * step);
    let data = match known.data {
        Data::Ints(_) => Data::Ints(values.map(|v| v as i64).collect()),
        Data::Floats(_) => Data::Floats(values.collect()),
    };
    Ok(vec![keep(call.run, Known { kind: known.kind, shape: vec![count as usize], data })?])
}

fn reshape(call: &Call) -> Made {
    let from = sizes(call)?;
    let to = either(call, "shape", 1)?.ok_or("the shape is missing")?;
    let mut shape = Vec::new();
    for (i, &n) in to.iter().enumerate() {
        shape.push(match n {
            -1 => 1,
            0 if !call.flag("allowzero", false) => {
                *from.get(i).ok_or_else(|| format!("{to:?} keeps axis {i} of {from:?}, which is not there"))?
            }
            n => size(n)?,
        });
    }
    let count: usize = from.iter().product();
    let open: Vec<usize> = (0..to.len()).filter(|&i| to[i] == -1).collect();
    match open[..] {
        [] => {}
        [i] => {
            let rest: usize = countable(shape.clone())?.iter().product();
            shape[i] = count.checked_div(rest).filter(|n| n * rest == count).ok_or_else(|| format!("{from:?} cannot become {to:?}"))?;
        }
        _ => return Err(format!("{to:?} leaves more than one size open")),
    }
    reshaped(call, countable(shape)?)
}

fn shape(call: &Call) -> Made {
    let shape = sizes(call)?;
    let rank = shape.len() as i64;
    let place = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
    let (start, end) = (place(call.int("start", 0)), place(call.int("end", rank)));
    Ok(vec![Known::ints(shape[start..end.max(start)].iter().map(|&d| d as i64).collect()).into()])
}

fn slice(call: &Call) -> Made {
    let from = sizes(call)?;
    let (starts, ends) =
        (either(call, "starts", 1)?.ok_or("the starts are missing")?, either(call, "ends", 2)?.ok_or("the ends are missing")?);
    let over = match either(call, "axes", 3)? {
        Some(list) => axes(&list, from.len())?,
        None => (0..starts.len()).map(|i| axis(i as i64, from.len())).collect::<Result<_, _>>()?,
    };
    let steps = call.ints(4)?.unwrap_or_else(|| vec![1; over.len()]);
    if starts.len() != over.len() || ends.len() != over.len() || steps.len() != over.len() {
        return Err(format!("{} starts, {} ends and {} steps for {} axes", starts.len(), ends.len(), steps.len(), over.len()));
    }
    let known = matches!(call.value(0)?, Value::Known(_));
    let mut x = call.tensor(0)?;
    // A known list stays one: shapes are cut so.
    if let (true, Value::Known(list), [0]) = (known, call.value(0)?, &over[..])
        && let (Data::Ints(all), 1) = (&list.data, from.len())
    {
        let (low, high, step) = span(starts[0], ends[0], steps[0], from[0])?;
        let mut values: Vec<i64> = all[low..high].to_vec();
        if step < 0 {
            values.reverse();
        }
        let values: Vec<i64> = values.into_iter().step_by(step.unsigned_abs()).collect();
        return Ok(vec![keep(call.run, Known { kind: list.kind, shape: vec![values.len()], data: Data::Ints(values) })?]);
    }
    for (i, &at) in over.iter().enumerate() {
        let (low, high, step) = span(starts[i], ends[i], steps[i], from[at])?;
        x = x.slice_step(at as isize, low..high, step);
    }
    one(x)
}

/// The places `low..high` that are walked, backwards where the step is negative.
fn span(start: i64, end: i64, step: i64, n: usize) -> Result<(usize, usize, isize), String> {
    let n = n as i64;
    let from_end = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
    let (start, end) = (from_end(start), from_end(end));
    let step_size = isize::try_from(step.clamp(-n.max(1), n.max(1))).map_err(|_| "the step is too large")?;
    match step {
        0 => Err("the step is 0".into()),
        1.. => {
            let low = start.clamp(0, n);
            Ok((low as usize, end.clamp(low, n) as usize, step_size))
        }
        _ => {
            let high = start.clamp(-1, n - 1) + 1;
            Ok(((end.clamp(-1, n - 1) + 1).min(high) as usize, high as usize, step_size))
        }
    }
}

fn split(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0), x.rank())?;
    let n = x.shape()[at];
    let lengths = match either(call, "split", 1)? {
        Some(list) => list.into_iter().map(size).collect::<Result<Vec<usize>, String>>()?,
        None => {
            let count = call.outputs().max(1);
            let each = n.div_ceil(count);
            (0..count).map(|i| each.min(n.saturating_sub(i * each))).collect()
        }
    };
    if lengths.iter().try_fold(0usize, |sum, &d| sum.checked_add(d)) != Some(n) || lengths.len() != call.outputs() {
        return Err(format!("an axis of {n} cannot be divided into {} pieces of {lengths:?}", call.outputs()));
    }
    Ok(x.split_sizes(&lengths, at as isize).into_iter().map(Value::from).collect())
}

fn squeeze(call: &Call) -> Made {
    let shape = sizes(call)?;
    let gone: Vec<usize> = match call.axes(1)? {
        Some(list) => axes(&list, shape.len())?,
        None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
    };
    if let Some(&i) = gone.iter().find(|&&i| shape[i] != 1) {
        return Err(format!("axis {i} of {shape:?} has the size {}, not 1", shape[i]));
    }
    reshaped(call, shape.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, &d)| d).collect())
}

fn tile(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let mut counts = vec![1; x.rank()];
    // Version 1 repeats one axis.
    if call.opset < 6 {
        let (times, at) = (call.number(1)?.unwrap_or(1.0), call.number(2)?.unwrap_or(0.0));
        counts[axis(at as i64, x.rank())?] = size(times as i64)?;
    } else {
        counts = call.ints(1)?.ok_or("the counts are missing")?.into_iter().map(size).collect::<Result<_, _>>()?;
    }
    if counts.len() != x.rank() {
        return Err(format!("{} counts for {}", counts.len(), x.shape()));
    }
    countable(x.shape().iter().zip(&counts).map(|(d, n)| d.saturating_mul(*n)).collect())?;
    one(x.repeat(&counts))
}

fn transpose(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let order = match call.list("perm") {
        Some(perm) => axes(&perm, x.rank())?,
        None => (0..x.rank()).rev().collect(),
    };
    one(x.permute(&signed(&order)))
}

fn unsqueeze(call: &Call) -> Made {
    let shape = sizes(call)?;
    let list = call.axes(1)?.ok_or("the axes are missing")?;
    let rank = shape.len() + list.len();
    let new = axes(&list, rank)?;
    let mut old = shape.iter();
    reshaped(call, (0..rank).map(|i| if new.contains(&i) { 1 } else { old.next().copied().unwrap_or(1) }).collect())
}

/// Places as the tensors that ONNX has them in.
pub(super) fn places(index: Tensor) -> Tensor {
    index.to(DType::I32)
}

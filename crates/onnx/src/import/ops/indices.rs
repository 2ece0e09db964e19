//! Reading and writing at places that are data, orders, and what rearranges blocks.

use noyau_tensor::{DType, Scalar, Shape, Tensor, einsum};

use super::Function;
use super::shape::places;
use crate::import::call::{Call, Made, axis, countable, one, size, table, wrapped};
use crate::import::fold::nonzero;
use crate::import::run::keep;
use crate::import::tensors;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("Compress", compress),
    ("CumProd", |c| running(c, Tensor::cumprod, 1.0)),
    ("CumSum", |c| running(c, Tensor::cumsum, 0.0)),
    ("DepthToSpace", depth_to_space),
    ("Einsum", |c| one(einsum(&c.text("equation", ""), &c.tensors()?.iter().collect::<Vec<_>>()))),
    ("EyeLike", eye_like),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("Hardmax", hardmax),
    ("NonZero", |c| {
        let known = c.run.known(c.value(0)?)?.ok_or("gives a shape that depends on data, which is not supported")?;
        Ok(vec![keep(c.run, nonzero(&known))?])
    }),
    ("OneHot", one_hot),
    ("ReverseSequence", reverse_sequence),
    ("Scatter", scatter_elements),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
    ("SpaceToDepth", space_to_depth),
    ("TopK", top_k),
    ("Trilu", trilu),
];

/// The most comparisons by which writers are told apart; beyond, places must be written once only.
const COMPARED: usize = 1 << 20;

/// The most numbers that are laid side by side to combine what is written to one place.
const COMBINED: usize = 1 << 22;

/// Which slices stay has to be known, as the result's shape hangs on it.
fn compress(call: &Call) -> Made {
    let chosen = call.ints(1)?.ok_or("the condition is missing")?;
    let x = call.tensor(0)?;
    let (x, at) = if call.given("axis") { (x.clone(), axis(call.int("axis", 0), x.rank())?) } else { (x.reshape([x.numel()]), 0) };
    let kept: Vec<u32> = (0..x.shape()[at].min(chosen.len())).filter(|&i| chosen[i] != 0).map(|i| i as u32).collect();
    one(x.index_select(at as isize, &Tensor::new(&kept, [kept.len()])))
}

/// Sums or products of what stands before, with the element itself or without.
fn running(call: &Call, make: fn(&Tensor, isize) -> Tensor, nothing: f32) -> Made {
    let x = call.tensor(0)?;
    let asked = if call.has(1) { call.number(1)?.ok_or("the axis is missing")? as i64 } else { call.int("axis", 0) };
    let at = axis(asked, x.rank())?;
    let i = at as isize;
    let reverse = call.flag("reverse", false);
    let mut y = if reverse { x.flip(&[i]) } else { x.clone() };
    if call.flag("exclusive", false) && x.shape()[at] > 0 {
        let mut widths = vec![(0, 0); x.rank()];
        widths[at] = (1, 0);
        y = y.slice(i, ..x.shape()[at] - 1).pad(&widths, nothing);
    }
    let y = make(&y, i);
    one(if reverse { y.flip(&[i]) } else { y })
}

/// A block's side, and `[n, c, h, w]`.
fn blocks(call: &Call, x: &Tensor) -> Result<(usize, [usize; 4]), String> {
    let side = size(call.int("blocksize", 0)).ok().filter(|&b| b > 0).ok_or("blocksize is not 1 or more")?;
    match x.shape()[..] {
        [n, c, h, w] => Ok((side, [n, c, h, w])),
        _ => Err(format!("needs [n, channels, height, width], got {}", x.shape())),
    }
}

fn depth_to_space(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let (b, [n, c, h, w]) = blocks(call, &x)?;
    let each = b.checked_mul(b).filter(|&square| c % square == 0).map(|square| c / square);
    let each = each.ok_or_else(|| format!("{c} channels cannot make blocks of {b} x {b}"))?;
    let crd = call.text("mode", "DCR") == "CRD";
    let (split, order) = if crd { ([n, each, b, b, h, w], [0, 1, 4, 2, 5, 3]) } else { ([n, b, b, each, h, w], [0, 3, 4, 1, 5, 2]) };
    one(x.reshape(split).permute(&order).reshape(countable(vec![n, each, h * b, w * b])?))
}

fn space_to_depth(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let (b, [n, c, h, w]) = blocks(call, &x)?;
    if h % b != 0 || w % b != 0 {
        return Err(format!("{h} x {w} cannot be divided into blocks of {b} x {b}"));
    }
    let order = if call.text("mode", "DCR") == "CRD" { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    let apart = x.reshape([n, c, h / b, b, w / b, b]).permute(&order);
    one(apart.reshape(countable(vec![n, c.saturating_mul(b).saturating_mul(b), h / b, w / b])?))
}

fn eye_like(call: &Call) -> Made {
    let shape = call.value(0)?.shape().ok_or("operand 0 is no tensor")?;
    let [rows, columns] = shape[..] else { return Err(format!("needs a matrix, got {shape:?}")) };
    let dtype = if call.given("dtype") {
        crate::import::value::dtype(tensors::kind(call.int("dtype", 1) as i32)?)?
    } else {
        call.tensor(0)?.dtype()
    };
    let k = call.int("k", 0).clamp(-(table(rows)? as i64), table(columns)? as i64) as i32;
    let (i, j) = (Tensor::iota([rows, columns], 0).to(DType::I32), Tensor::iota([rows, columns], 1).to(DType::I32));
    one((j - i).eq(k).to(dtype))
}

/// Index `i` of `x`, as places along an axis of `size`.
fn index(call: &Call, i: usize, size: usize) -> Result<Tensor, String> {
    let index = call.tensor(i)?;
    if index.dtype().is_int() { wrapped(&index, size) } else { Err(format!("operand {i} holds {}, not indices", index.dtype())) }
}

fn gather_elements(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0), x.rank())?;
    let places = index(call, 1, x.shape()[at])?;
    one(cut(&x, &places, at)?.gather(at as isize, &places))
}

/// `x` cut to the sizes of `to` on all axes but one.
fn cut(x: &Tensor, to: &Tensor, but: usize) -> Result<Tensor, String> {
    let fits = to.rank() == x.rank() && (0..x.rank()).all(|i| i == but || to.shape()[i] <= x.shape()[i]);
    if !fits {
        return Err(format!("an index of {} for {}: only axis {but} may be longer", to.shape(), x.shape()));
    }
    let mut x = x.clone();
    for i in (0..x.rank()).filter(|&i| i != but) {
        x = x.slice(i as isize, ..to.shape()[i]);
    }
    Ok(x)
}

/// Tuples of indices as one number each: `[.., k]` and the `k` sizes that they go over.
fn flat(tuples: &Tensor, sizes: &[usize]) -> Result<Tensor, String> {
    let mut sum: Option<Tensor> = None;
    for (i, &n) in sizes.iter().enumerate() {
        let place = wrapped(&tuples.select(-1, i), n)?;
        sum = Some(match sum {
            None => place,
            Some(sum) => sum * i32::try_from(n).map_err(|_| format!("an axis of {n} places"))? + place,
        });
    }
    sum.ok_or_else(|| "tuples of no indices".into())
}

/// The length of the tuples, checked against the axes of `x` from `batch` on.
fn tuple(x: &Tensor, index: &Tensor, batch: usize) -> Result<usize, String> {
    let k = index.shape().last().copied().unwrap_or(0);
    let fits =
        index.dtype().is_int() && k > 0 && batch + k <= x.rank() && batch < index.rank() && index.shape()[..batch] == x.shape()[..batch];
    let count = if fits { x.shape()[batch..batch + k].iter().try_fold(1usize, |n, &d| n.checked_mul(d)) } else { None };
    match count {
        Some(count) if count <= i32::MAX as usize => Ok(k),
        _ => Err(format!("indices {}{} of {} after {batch} axes of batches", index.dtype(), index.shape(), x.shape())),
    }
}

fn gather_nd(call: &Call) -> Made {
    let (x, index) = (call.tensor(0)?, call.tensor(1)?);
    let batch = size(call.int("batch_dims", 0))?;
    let k = tuple(&x, &index, batch)?;
    let (outer, sizes, rest) = (&x.shape()[..batch], &x.shape()[batch..batch + k], &x.shape()[batch + k..]);
    let middle = &index.shape()[batch..index.rank() - 1];
    let (b, n, r): (usize, usize, usize) = (outer.iter().product(), sizes.iter().product(), rest.iter().product());
    let m: usize = middle.iter().product();
    let result = countable([outer, middle, rest].concat())?;
    let places = flat(&index, sizes)?.reshape([b, m, 1]).expand(countable(vec![b, m, r])?);
    one(x.reshape([b, n, r]).gather(1, &places).reshape(result))
}

fn hardmax(call: &Call) -> Made {
    let x = call.float(0)?;
    let at = axis(call.int("axis", if call.opset < 13 { 1 } else { -1 }), x.rank())?;
    let hard = |x: &Tensor, at: usize| {
        let places = x.argmax(at as isize).unsqueeze(at as isize);
        Tensor::iota(x.shape(), at as isize).eq(places.to(DType::U32)).to(x.dtype())
    };
    if call.opset >= 13 || at + 1 == x.rank() {
        return one(hard(&x, at));
    }
    one(hard(&x.flatten(at as isize, -1), at).reshape(x.shape()))
}

fn one_hot(call: &Call) -> Made {
    let (index, values) = (call.tensor(0)?, call.tensor(2)?);
    let depth = call.number(1)?.filter(|&d| d >= 0.0).ok_or("the depth is missing, or negative")? as usize;
    if values.numel() != 2 {
        return Err(format!("values of {}, not two", values.shape()));
    }
    let values = values.reshape([2]);
    let at = axis(call.int("axis", -1), index.rank() + 1)?;
    let places = wrapped(&index, table(depth)?)?.unsqueeze(at as isize);
    let mut shape = index.shape().to_vec();
    shape.insert(at, depth);
    let here = Tensor::iota(countable(shape)?, at as isize).to(DType::I32).eq(places);
    one(here.where_(values.select(0, 1), values.select(0, 0)))
}

fn reverse_sequence(call: &Call) -> Made {
    let (x, lengths) = (call.tensor(0)?, call.tensor(1)?);
    let (time, batch) = (axis(call.int("time_axis", 0), x.rank())?, axis(call.int("batch_axis", 1), x.rank())?);
    if time == batch || lengths.rank() != 1 || lengths.numel() != x.shape()[batch] {
        return Err(format!("lengths {} for {}, time on axis {time}, batch on axis {batch}", lengths.shape(), x.shape()));
    }
    let shape: Shape = (0..x.rank()).map(|i| if i == batch { x.shape()[i] } else { 1 }).collect();
    let lengths = lengths.to(DType::I32).reshape(shape).expand(x.shape());
    let t = Tensor::iota(x.shape(), time as isize).to(DType::I32);
    one(x.gather(time as isize, &t.lt(&lengths).where_(&lengths - &t - 1, &t)))
}

/// What happens to a place to which something is written.
fn reduction(call: &Call) -> Result<String, String> {
    let how = call.text("reduction", "none");
    if matches!(how.as_str(), "none" | "add" | "mul" | "max" | "min") {
        Ok(how)
    } else {
        Err(format!("the reduction {how:?} is not supported"))
    }
}

/// `x` [n, r] with the rows `source` [m, r] written to the rows `places` [m].
fn write(x: &Tensor, places: &Tensor, source: &Tensor, how: &str) -> Result<Tensor, String> {
    let (n, m, r) = (x.shape()[0], source.shape()[0], x.shape()[1]);
    if m == 0 || n == 0 {
        return Ok(x.clone());
    }
    if how == "add" && x.dtype().is_float() {
        return Ok(x.index_add(0, places, source, 1.0));
    }
    if how == "none" {
        if n.saturating_mul(m) <= COMPARED {
            return Ok(x.index_copy(0, places, source));
        }
        if m >= 1 << 24 {
            return Err(format!("writes to {m} places; up to {} are supported", (1 << 24) - 1));
        }
        // Each place is told its writer, counted from 1: floats hold these numbers exactly. That no place has two is the caller's duty by ONNX.
        let numbers = (Tensor::arange(m) + 1).to(DType::F32);
        let writer = Tensor::zeros([n]).scatter_add(0, places, &numbers).to(DType::I32);
        let found = source.index_select(0, &writer.eq(0).where_(&writer, &writer - 1));
        return Ok(writer.ne(0).reshape([n, 1]).where_(found, x));
    }
    if n.saturating_mul(m).saturating_mul(r) > COMBINED {
        return Err(format!("writes {m} rows of {r} to {n}; with the reduction {how} up to {COMBINED} combinations are supported"));
    }
    let rows = Tensor::arange(n).to(DType::I32).reshape([n, 1, 1]).eq(places.reshape([1, m, 1]));
    let source = source.reshape([1, m, r]);
    let (low, high) = (x.full_like(f64::NEG_INFINITY).reshape([n, 1, r]), x.full_like(f64::INFINITY).reshape([n, 1, r]));
    Ok(match how {
        "add" => x + rows.where_(&source, source.zeros_like()).sum_axes(&[1]),
        "mul" => x * rows.where_(&source, source.ones_like()).prod(&[1]),
        "max" => x.maximum(rows.where_(&source, low).max(&[1])),
        _ => x.minimum(rows.where_(&source, high).min(&[1])),
    })
}

fn scatter_elements(call: &Call) -> Made {
    let (x, source) = (call.tensor(0)?, call.tensor(2)?);
    let at = axis(call.int("axis", 0), x.rank())?;
    let places = index(call, 1, x.shape()[at])?;
    let fits = places.shape() == source.shape() && x.dtype() == source.dtype() && x.numel() < i32::MAX as usize;
    if !fits || places.rank() != x.rank() || (0..x.rank()).any(|i| i != at && places.shape()[i] > x.shape()[i]) {
        return Err(format!("updates {}{} at {} of {}{}", source.dtype(), source.shape(), places.shape(), x.dtype(), x.shape()));
    }
    let same = (0..x.rank()).all(|i| i == at || places.shape()[i] == x.shape()[i]);
    let how = reduction(call)?;
    if same && how == "add" && x.dtype().is_float() {
        return one(x.scatter_add(at as isize, &places, &source));
    }
    if same && how == "none" && x.numel().saturating_mul(places.shape()[at]) <= COMPARED {
        return one(x.scatter(at as isize, &places, &source));
    }
    // As one axis: the place of every element that is written. What lies outside of the axis stays outside of all.
    let outside = places.lt(0).logical_or(places.ge(x.shape()[at] as i32));
    let (mut sum, mut stride) = (Tensor::full(places.shape(), Scalar::Int(0)), 1usize);
    for i in (0..x.rank()).rev() {
        let along = if i == at { places.clone() } else { Tensor::iota(places.shape(), i as isize).to(DType::I32) };
        sum = sum + along * stride as i32;
        stride *= x.shape()[i];
    }
    let flat = outside.where_(Tensor::from(-1i32), sum).reshape([places.numel()]);
    one(write(&x.reshape([x.numel(), 1]), &flat, &source.reshape([source.numel(), 1]), &how)?.reshape(x.shape()))
}

fn scatter_nd(call: &Call) -> Made {
    let (x, index, source) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let k = tuple(&x, &index, 0)?;
    let (sizes, rest) = x.shape().split_at(k);
    let wanted = [&index.shape()[..index.rank() - 1], rest].concat();
    if source.shape()[..] != wanted || source.dtype() != x.dtype() {
        return Err(format!("updates {}{} for {}{wanted:?}", source.dtype(), source.shape(), x.dtype()));
    }
    let (n, r): (usize, usize) = (sizes.iter().product(), rest.iter().product());
    let m: usize = index.shape()[..index.rank() - 1].iter().product();
    let places = flat(&index, sizes)?.reshape([m]);
    one(write(&x.reshape([n, r]), &places, &source.reshape([m, r]), &reduction(call)?)?.reshape(x.shape()))
}

fn top_k(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let k = if call.given("k") { call.int("k", 0) as f64 } else { call.number(1)?.ok_or("k is missing")? };
    let at = axis(call.int("axis", -1), x.rank())?;
    let k = size(k as i64)?;
    let (values, found) = x.topk(k, at as isize, call.flag("largest", true));
    Ok(vec![values.into(), places(found).into()])
}

fn trilu(call: &Call) -> Made {
    let x = call.tensor(0)?;
    if x.rank() < 2 {
        return Err(format!("needs matrices, got {}", x.shape()));
    }
    let k = call.number(1)?.unwrap_or(0.0).clamp(-1e9, 1e9) as i32;
    let (i, j) = (Tensor::iota(x.shape(), -2).to(DType::I32), Tensor::iota(x.shape(), -1).to(DType::I32));
    let kept = if call.flag("upper", true) { (j - i).ge(k) } else { (j - i).le(k) };
    one(kept.where_(&x, x.zeros_like()))
}

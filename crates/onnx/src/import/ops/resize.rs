//! Resize and Upsample: each axis on its own, by places and weights that are known when the model is traced.
//!
//! The rules are those of the specification of Resize, version 19: <https://onnx.ai/onnx/operators/onnx__Resize.html>. Cubic weights are those of Keys, "Cubic convolution
//! interpolation for digital image processing", 1981.

use noyau_tensor::{Shape, Tensor};

use super::Function;
use crate::import::call::{Call, Made, axes, countable, one, size, table};

pub(super) const TABLE: &[(&str, Function)] = &[("Resize", resize), ("Upsample", resize)];

/// The most elements of a matrix by which an axis is resized; longer axes are read tap by tap.
const MATRIX: usize = 1 << 22;

/// The most taps of all places of an axis.
const TAPS: usize = 1 << 24;

/// How the places of an axis are found.
struct Axis<'a> {
    old: usize,
    new: usize,
    scale: f64,
    /// Begin and end of the region, in parts of the axis.
    region: (f64, f64),
    rule: &'a str,
}

impl Axis<'_> {
    /// Where a place of the result lies in the operand.
    fn source(&self, i: usize) -> f64 {
        let (x, old, new) = (i as f64, self.old as f64, self.new as f64);
        let exact = self.scale * old;
        match self.rule {
            "align_corners" if self.new == 1 => 0.0,
            "align_corners" => x * (old - 1.0) / (exact - 1.0),
            "asymmetric" => x / self.scale,
            "pytorch_half_pixel" if self.new == 1 => -0.5,
            "tf_half_pixel_for_nn" => (x + 0.5) / self.scale,
            "half_pixel_symmetric" => {
                let centre = old / 2.0;
                centre * (1.0 - new / exact) + (x + 0.5) / self.scale - 0.5
            }
            "tf_crop_and_resize" if self.new == 1 => (self.region.0 + self.region.1) * (old - 1.0) / 2.0,
            "tf_crop_and_resize" => self.region.0 * (old - 1.0) + x * (self.region.1 - self.region.0) * (old - 1.0) / (exact - 1.0),
            _ => (x + 0.5) / self.scale - 0.5,
        }
    }

    /// Whether the place lies outside of the operand, where a crop puts a value of its own.
    fn outside(&self, i: usize) -> bool {
        let at = self.source(i);
        self.rule == "tf_crop_and_resize" && (at < 0.0 || at > (self.old - 1) as f64)
    }
}

/// What every axis is resized by.
struct Rule {
    mode: String,
    nearest: String,
    cubic: f64,
    exclude: bool,
    antialias: bool,
}

fn resize(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let upsample = call.node.op_type == "Upsample" || call.opset < 11;
    let over = match call.list("axes") {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    let scales = match call.reals("scales") {
        Some(all) => Some(all.into_iter().map(f64::from).collect()),
        None => call.numbers(if upsample { 1 } else { 2 })?,
    };
    let scales = scales.filter(|all| !all.is_empty());
    let sizes = if upsample { None } else { call.ints(3)?.filter(|all| !all.is_empty()) };
    let count = scales.as_ref().map(Vec::len).or(sizes.as_ref().map(Vec::len)).ok_or("neither scales nor sizes are given")?;
    if count != over.len() {
        return Err(format!("{count} scales or sizes for {} axes", over.len()));
    }
    let rule = if upsample { "asymmetric".into() } else { call.text("coordinate_transformation_mode", "half_pixel") };
    if ![
        "align_corners",
        "asymmetric",
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    ]
    .contains(&rule.as_str())
    {
        return Err(format!("coordinate_transformation_mode {rule:?} is not supported"));
    }
    let how = Rule {
        mode: call.text("mode", "nearest"),
        nearest: if upsample { "floor".into() } else { call.text("nearest_mode", "round_prefer_floor") },
        cubic: call.real("cubic_coeff_a", -0.75).into(),
        exclude: call.flag("exclude_outside", false),
        antialias: call.flag("antialias", false),
    };
    if !matches!(how.mode.as_str(), "nearest" | "linear" | "bilinear" | "cubic") {
        return Err(format!("mode {:?} is not supported", how.mode));
    }
    let old: Vec<usize> = over.iter().map(|&i| x.shape()[i]).collect();
    let (new, scales) = wanted(call, &old, scales, sizes)?;
    let region = if rule == "tf_crop_and_resize" { call.numbers(1)?.ok_or("the region is missing")? } else { Vec::new() };
    if !region.is_empty() && region.len() != 2 * over.len() {
        return Err(format!("a region of {} numbers for {} axes", region.len(), over.len()));
    }
    let mut shape = x.shape().to_vec();
    let mut y = x.clone();
    for (k, &at) in over.iter().enumerate() {
        let region = if region.is_empty() { (0.0, 1.0) } else { (region[k], region[k + over.len()]) };
        let axis = Axis { old: table(old[k])?, new: table(new[k])?, scale: scales[k], region, rule: &rule };
        if axis.old == 0 && axis.new > 0 {
            return Err(format!("axis {at} of {} is empty and cannot become {}", x.shape(), axis.new));
        }
        shape[at] = axis.new;
        countable(shape.clone())?;
        let same = axis.old == axis.new && axis.scale == 1.0 && rule != "tf_crop_and_resize";
        if !same {
            y = if how.mode == "nearest" { nearest(&y, at, &axis, &how.nearest)? } else { weighted(&y, at, &axis, &how)? };
            y = extrapolated(call, y, at, &axis);
        }
    }
    one(y)
}

/// The sizes of the result and the scales that lead to them.
fn wanted(call: &Call, old: &[usize], scales: Option<Vec<f64>>, sizes: Option<Vec<i64>>) -> Result<(Vec<usize>, Vec<f64>), String> {
    if let Some(scales) = scales {
        if let Some(bad) = scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            return Err(format!("scales {scales:?}: {bad} is not above 0"));
        }
        // Scales are f32 in the file: 2.3000002 times 10 is meant to be 23.
        return Ok((old.iter().zip(&scales).map(|(&n, &s)| ((n as f64 * s) as f32).floor() as usize).collect(), scales));
    }
    let sizes = sizes.unwrap_or_default().into_iter().map(size).collect::<Result<Vec<usize>, String>>()?;
    let ratios: Vec<f64> = sizes.iter().zip(old).map(|(&new, &old)| new as f64 / old.max(1) as f64).collect();
    let policy = call.text("keep_aspect_ratio_policy", "stretch");
    let chosen = match policy.as_str() {
        "stretch" => return Ok((sizes, ratios)),
        "not_larger" => ratios.iter().copied().fold(f64::INFINITY, f64::min),
        "not_smaller" => ratios.iter().copied().fold(0.0, f64::max),
        other => return Err(format!("keep_aspect_ratio_policy {other:?} is not supported")),
    };
    Ok((old.iter().map(|&n| (n as f64 * chosen + 0.5).floor() as usize).collect(), vec![chosen; old.len()]))
}

/// One place for each place. Whole multiples and whole fractions are views.
fn nearest(x: &Tensor, at: usize, axis: &Axis, rule: &str) -> Result<Tensor, String> {
    let last = axis.old.saturating_sub(1) as f64;
    let choose: fn(f64) -> f64 = match rule {
        "round_prefer_floor" => |x| (x - 0.5).ceil(),
        "round_prefer_ceil" => |x| (x + 0.5).floor(),
        "floor" => f64::floor,
        "ceil" => f64::ceil,
        other => return Err(format!("nearest_mode {other:?} is not supported")),
    };
    let places: Vec<u32> = (0..axis.new).map(|i| choose(axis.source(i)).clamp(0.0, last) as u32).collect();
    let i = at as isize;
    if axis.new.is_multiple_of(axis.old) && places.iter().enumerate().all(|(k, &p)| p as usize == k / (axis.new / axis.old)) {
        return Ok(x.repeat_interleave(axis.new / axis.old, i));
    }
    Ok(x.index_select(i, &Tensor::new(&places, [places.len()])))
}

/// The weights of the taps that a place between two has, the first of them `1 - n / 2` from the one below, for `n` taps.
fn taps(how: &Rule, ratio: f64, scale: f64) -> Vec<f64> {
    let cubic = how.mode == "cubic";
    let scale = if how.antialias { scale.min(1.0) } else { 1.0 };
    let reach = if cubic { 2.0 } else { 1.0 };
    let start = (-reach / scale).floor() as i64 + 1;
    let a = how.cubic;
    let weight = |d: f64| {
        let d = d.abs();
        match (cubic, d) {
            (false, d) => (1.0 - d).max(0.0),
            (true, d) if d < 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            (true, d) if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
            _ => 0.0,
        }
    };
    let all: Vec<f64> = (start..2 - start).map(|k| weight((k as f64 - ratio) * scale)).collect();
    let sum: f64 = if how.antialias { all.iter().sum() } else { 1.0 };
    all.into_iter().map(|w| w / sum).collect()
}

/// Sums of neighbours with weights: as a matrix product, or tap by tap where the matrix would be large.
fn weighted(x: &Tensor, at: usize, axis: &Axis, how: &Rule) -> Result<Tensor, String> {
    let count = taps(how, 0.0, axis.scale).len();
    if count.saturating_mul(axis.new) > TAPS {
        return Err(format!("an axis of {} from {}: more than {TAPS} weights", axis.new, axis.old));
    }
    let last = axis.old as i64 - 1;
    // [new][taps] of places and weights.
    let (mut places, mut weights) = (Vec::with_capacity(axis.new), Vec::with_capacity(axis.new));
    for i in 0..axis.new {
        let source = axis.source(i);
        let below = source.floor();
        let mut all = taps(how, source - below, axis.scale);
        let first = below as i64 + 1 - all.len() as i64 / 2;
        if how.exclude {
            for (k, weight) in all.iter_mut().enumerate() {
                if !(0..=last).contains(&(first + k as i64)) {
                    *weight = 0.0;
                }
            }
            let sum: f64 = all.iter().sum();
            all.iter_mut().for_each(|weight| *weight /= sum);
        }
        places.push((0..all.len()).map(|k| (first + k as i64).clamp(0, last) as usize).collect::<Vec<_>>());
        weights.push(all);
    }
    if axis.old.saturating_mul(axis.new) <= MATRIX {
        let mut matrix = vec![0.0f64; axis.old * axis.new];
        for i in 0..axis.new {
            for (&place, weight) in places[i].iter().zip(&weights[i]) {
                matrix[place * axis.new + i] += weight;
            }
        }
        let matrix: Vec<f32> = matrix.into_iter().map(|w| w as f32).collect();
        let matrix = Tensor::new(&matrix, [axis.old, axis.new]).to(x.dtype());
        return Ok(x.movedim(at as isize, -1).matmul(&matrix).movedim(-1, at as isize));
    }
    let mut sum: Option<Tensor> = None;
    let shape: Shape = (0..x.rank()).map(|i| if i == at { axis.new } else { 1 }).collect();
    for k in 0..count {
        let column: Vec<u32> = places.iter().map(|p| p[k] as u32).collect();
        let weight: Vec<f32> = weights.iter().map(|w| w[k] as f32).collect();
        let weight = Tensor::new(&weight, shape.clone()).to(x.dtype());
        let part = x.index_select(at as isize, &Tensor::new(&column, [column.len()])) * weight;
        sum = Some(sum.map_or(part.clone(), |sum| sum + part));
    }
    sum.ok_or_else(|| "an axis without taps".into())
}

/// What a crop puts where it reaches outside.
fn extrapolated(call: &Call, y: Tensor, at: usize, axis: &Axis) -> Tensor {
    let outside: Vec<bool> = (0..axis.new).map(|i| axis.outside(i)).collect();
    if !outside.contains(&true) {
        return y;
    }
    let shape: Shape = (0..y.rank()).map(|i| if i == at { axis.new } else { 1 }).collect();
    let value = y.full_like(call.real("extrapolation_value", 0.0).into());
    Tensor::new(&outside.into_iter().map(u32::from).collect::<Vec<_>>(), shape).ne(0u32).where_(value, y)
}

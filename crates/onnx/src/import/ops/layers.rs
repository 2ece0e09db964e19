//! Convolutions, pooling, normalisation, dropout.

use noyau_nn::layers::dropout;
use noyau_tensor::{ConvOptions, DType, Op, Param, Scalar, Shape, Tensor};

use super::Function;
use crate::import::call::{Call, Made, countable, one, table};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("AveragePool", average_pool),
    ("BatchNormalization", batch_norm),
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("Dropout", drop),
    ("GlobalAveragePool", |c| global(c, |x, a| x.mean_keep(a))),
    ("GlobalMaxPool", |c| global(c, |x, a| x.max_keep(a))),
    ("InstanceNormalization", instance_norm),
    ("LRN", lrn),
    ("LayerNormalization", layer_norm),
    ("MaxPool", max_pool),
];

/// What windows over the spatial axes are.
struct Windows {
    kernel: Vec<usize>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
}

/// The numbers of a convolution or a pooling over `spatial` axes of these sizes.
fn windows(call: &Call, spatial: &[usize], kernel: Vec<usize>) -> Result<Windows, String> {
    let rank = spatial.len();
    if rank == 0 || kernel.len() != rank || kernel.contains(&0) {
        return Err(format!("a kernel of {kernel:?} for spatial axes of {spatial:?}"));
    }
    for &n in spatial {
        table(n)?;
    }
    let each = |name: &str| -> Result<Vec<usize>, String> {
        let list = call.counts(name, 1)?.filter(|list| !list.is_empty()).unwrap_or_else(|| vec![1; rank]);
        if list.len() == rank { Ok(list) } else { Err(format!("{name} {list:?} for {rank} spatial axes")) }
    };
    let (stride, dilation) = (each("strides")?, each("dilations")?);
    let pads = call.counts("pads", 0)?.filter(|list| !list.is_empty()).unwrap_or_else(|| vec![0; 2 * rank]);
    if pads.len() != 2 * rank {
        return Err(format!("pads {pads:?} for {rank} spatial axes"));
    }
    let (mut before, mut after) = (pads[..rank].to_vec(), pads[rank..].to_vec());
    let auto = call.text("auto_pad", "NOTSET");
    match auto.as_str() {
        "NOTSET" | "" => {}
        "VALID" => (before, after) = (vec![0; rank], vec![0; rank]),
        "SAME_UPPER" | "SAME_LOWER" => {
            for i in 0..rank {
                let reach = (kernel[i] - 1) * dilation[i] + 1;
                let total = ((spatial[i].div_ceil(stride[i]).max(1) - 1) * stride[i] + reach).saturating_sub(spatial[i]);
                let less = total / 2;
                (before[i], after[i]) = if auto == "SAME_UPPER" { (less, total - less) } else { (total - less, less) };
            }
        }
        other => return Err(format!("auto_pad {other:?} is not known")),
    }
    Ok(Windows { kernel, stride, dilation, before, after })
}

/// `x` with its spatial axes padded.
fn padded(x: &Tensor, before: &[usize], after: &[usize], value: f32) -> Result<Tensor, String> {
    let widths: Vec<(usize, usize)> = [(0, 0); 2].into_iter().chain(before.iter().copied().zip(after.iter().copied())).collect();
    countable(x.shape().iter().zip(&widths).map(|(&d, &(a, b))| d.saturating_add(a).saturating_add(b)).collect())?;
    Ok(x.pad(&widths, value))
}

/// The input, the weight and the sizes of its kernel.
fn operands(call: &Call) -> Result<(Tensor, Tensor, Vec<usize>, usize), String> {
    let (x, weight) = (call.mode.cast(&call.float(0)?), call.mode.cast(&call.float(1)?));
    if x.rank() < 3 || weight.rank() != x.rank() {
        return Err(format!("needs an input [n, channels, ..] and a weight of the same rank, got {} and {}", x.shape(), weight.shape()));
    }
    let kernel = weight.shape()[2..].to_vec();
    if call.list("kernel_shape").is_some_and(|list| list.iter().map(|&k| k as usize).ne(kernel.iter().copied())) {
        return Err(format!(
            "kernel_shape {:?} is not that of the weight {}",
            call.list("kernel_shape").unwrap_or_default(),
            weight.shape()
        ));
    }
    let group = usize::try_from(call.int("group", 1)).ok().filter(|&g| g > 0).ok_or("group is not 1 or more")?;
    Ok((x, weight, kernel, group))
}

fn biased(call: &Call, y: Tensor) -> Made {
    let y = if call.mode.cast(&y).dtype() == y.dtype() { y } else { y.to(DType::F32) };
    one(match call.optional(2)? {
        Some(bias) => &y + bias.to(y.dtype()).reshape([bias.numel()].into_iter().chain(vec![1; y.rank().max(2) - 2]).collect::<Shape>()),
        None => y,
    })
}

fn conv(call: &Call) -> Made {
    let (x, weight, kernel, group) = operands(call)?;
    let w = windows(call, &x.shape()[2..], kernel)?;
    let x = padded(&x, &w.before, &w.after, 0.0)?;
    biased(call, convolve(&x, &weight, &w.stride, &w.dilation, group)?)
}

/// A convolution over any number of axes: beyond two, the sum over the first axis of the kernel of convolutions over the others.
fn convolve(x: &Tensor, weight: &Tensor, stride: &[usize], dilation: &[usize], group: usize) -> Result<Tensor, String> {
    let options = ConvOptions::new().stride(stride).dilation(dilation).groups(group);
    match x.rank() {
        3 => return Ok(x.conv1d(weight, &options)),
        4 => return Ok(x.conv2d(weight, &options)),
        _ => {}
    }
    let (depth, planes) = (x.shape()[2], weight.shape()[2]);
    let reach = (planes - 1) * dilation[0] + 1;
    let count =
        depth.checked_sub(reach).ok_or_else(|| format!("a kernel of {reach} does not fit into an axis of {depth}"))? / stride[0] + 1;
    let mut sum: Option<Tensor> = None;
    for k in 0..planes {
        let start = k * dilation[0];
        // [n, c, count, ..] -> [n, count, c, ..] -> [n * count, c, ..]
        let slab = x.slice_step(2, start..start + (count - 1) * stride[0] + 1, stride[0] as isize).transpose(1, 2);
        let y = convolve(&slab.flatten(0, 1), &weight.select(2, k), &stride[1..], &dilation[1..], group)?;
        if let Some(error) = y.error() {
            return Err(error.to_string());
        }
        sum = Some(sum.map_or(y.clone(), |sum| sum + y));
    }
    let sum = sum.ok_or("the kernel is empty")?;
    let shape: Shape = [x.shape()[0], count].into_iter().chain(sum.shape()[1..].iter().copied()).collect();
    Ok(sum.reshape(shape).transpose(1, 2))
}

/// The whole result is made, and what the padding takes away cut off.
fn conv_transpose(call: &Call) -> Made {
    let (x, weight, kernel, group) = operands(call)?;
    if call.given("output_shape") || !matches!(call.text("auto_pad", "NOTSET").as_str(), "NOTSET" | "" | "VALID") {
        return Err("output_shape and auto_pad are not supported; export it with pads".into());
    }
    let rank = kernel.len();
    let w = windows(call, &x.shape()[2..], kernel)?;
    let options = ConvOptions::new().stride(&w.stride[..]).dilation(&w.dilation[..]).groups(group);
    let full = match rank {
        1 => x.conv_transpose1d(&weight, &options),
        2 => x.conv_transpose2d(&weight, &options),
        _ => return Err(format!("{rank} spatial axes are not supported, 1 or 2 are")),
    };
    if let Some(error) = full.error() {
        return Err(error.to_string());
    }
    let extra = call.counts("output_padding", 0)?.unwrap_or_else(|| vec![0; rank]);
    if extra.len() != rank {
        return Err(format!("output_padding {extra:?} for {rank} spatial axes"));
    }
    let mut y = padded(&full, &vec![0; rank], &extra, 0.0)?;
    for i in 0..rank {
        let end = y.shape()[i + 2].checked_sub(w.after[i]).filter(|&end| end >= w.before[i]);
        y = y.slice(i as isize + 2, w.before[i]..end.ok_or("the padding takes away more than there is")?);
    }
    biased(call, y)
}

/// The windows, their axes, and for each axis which of its places lie inside the input.
type Pooled = (Tensor, Vec<isize>, Vec<Vec<f32>>);

/// The windows of `x` as axes of their own, at its end, and how many elements each has that count, axis by axis.
fn pooled(call: &Call, x: &Tensor, nothing: f32) -> Result<Pooled, String> {
    if x.rank() < 3 {
        return Err(format!("needs [n, channels, ..], got {}", x.shape()));
    }
    let spatial = x.shape()[2..].to_vec();
    let w = windows(call, &spatial, call.counts("kernel_shape", 1)?.ok_or("kernel_shape is missing")?)?;
    let (mut after, mut counts) = (w.after.clone(), Vec::new());
    for i in 0..spatial.len() {
        let reach = (w.kernel[i] - 1) * w.dilation[i] + 1;
        let whole = spatial[i] + w.before[i] + w.after[i];
        let free = whole
            .checked_sub(reach)
            .ok_or_else(|| format!("a window of {reach} does not fit into an axis of {whole}, padding included"))?;
        let mut count = free / w.stride[i] + 1;
        // A last window that ends outside, but does not begin there.
        if call.flag("ceil_mode", false) && free % w.stride[i] != 0 && count * w.stride[i] < spatial[i] + w.before[i] {
            count += 1;
            after[i] += (count - 1) * w.stride[i] + reach - whole;
        }
        let (low, high) = if call.flag("count_include_pad", false) { (0, whole) } else { (w.before[i], w.before[i] + spatial[i]) };
        let below = |start: usize, end: usize| end.saturating_sub(start).div_ceil(w.dilation[i]).min(w.kernel[i]);
        counts.push((0..count).map(|o| (below(o * w.stride[i], high) - below(o * w.stride[i], low)) as f32).collect());
    }
    let mut rows = padded(x, &w.before, &after, nothing)?;
    for i in 0..spatial.len() {
        rows = rows.unfold_dilated(i as isize + 2, w.kernel[i], w.stride[i], w.dilation[i]);
    }
    Ok((rows, (1..=spatial.len() as isize).map(|i| -i).collect(), counts))
}

fn max_pool(call: &Call) -> Made {
    let (rows, axes, _) = pooled(call, &call.tensor(0)?, f32::MIN)?;
    one(rows.max(&axes))
}

fn average_pool(call: &Call) -> Made {
    let (rows, axes, counts) = pooled(call, &call.float(0)?, 0.0)?;
    let mut mean = rows.sum_axes(&axes);
    for (i, counts) in counts.iter().enumerate() {
        let mut shape = vec![1; axes.len()];
        shape[i] = counts.len();
        mean = &mean / Tensor::new(counts, shape).to(mean.dtype());
    }
    one(mean)
}

fn global(call: &Call, make: fn(&Tensor, &[isize]) -> Tensor) -> Made {
    let x = call.float(0)?;
    if x.rank() < 3 {
        return Err(format!("needs [n, channels, ..], got {}", x.shape()));
    }
    one(make(&x, &(2..x.rank() as isize).collect::<Vec<_>>()))
}

/// A number for each channel, beside `[n, channels, ..]`.
fn by_channel(t: &Tensor, rank: usize) -> Tensor {
    t.reshape([t.numel()].into_iter().chain(vec![1; rank.max(2) - 2]).collect::<Shape>())
}

/// By the file's statistics; in training by the batch's, which the running ones then follow.
fn batch_norm(call: &Call) -> Made {
    let x = call.float(0)?;
    if x.rank() < 2 || !call.flag("spatial", true) {
        return Err(format!("needs [n, channels, ..] and statistics for each channel, got {}", x.shape()));
    }
    let (scale, bias) = (call.float(1)?, call.float(2)?);
    let asked = call.opset >= 14 && call.flag("training_mode", false);
    let given = [call.float(3)?, call.float(4)?];
    let mut results = Vec::new();
    let [mean, var] = if call.mode.is_training() || asked {
        let axes: Vec<isize> = (0..x.rank() as isize).filter(|&i| i != 1).collect();
        let mean = x.mean_axes(&axes);
        let var = (&x - by_channel(&mean, x.rank())).square().mean_axes(&axes);
        let momentum = call.real("momentum", 0.9);
        for (running, batch) in given.iter().zip([&mean, &var]) {
            let param = match running.op() {
                Op::State(state) => Some(Param::from_state(state.clone())),
                _ => None,
            };
            let old = param.as_ref().map_or_else(|| running.clone(), |param| call.mode.value(param));
            let next = old * momentum + batch.detach() * (1.0 - momentum);
            if let (Some(param), true) = (param, call.mode.is_training()) {
                call.mode.update(&param, next.clone());
            }
            results.push(next.into());
        }
        [mean, var]
    } else {
        given
    };
    let rank = x.rank();
    let factor = (var + call.real("epsilon", 1e-5)).rsqrt() * scale;
    let y = (x - by_channel(&mean, rank)) * by_channel(&factor, rank) + by_channel(&bias, rank);
    Ok([y.into()].into_iter().chain(results).collect())
}

fn instance_norm(call: &Call) -> Made {
    let x = call.float(0)?;
    if x.rank() < 3 {
        return Err(format!("needs [n, channels, ..], got {}", x.shape()));
    }
    let axes: Vec<isize> = (2..x.rank() as isize).collect();
    let centred = &x - x.mean_keep(&axes);
    let y = &centred * (centred.square().mean_keep(&axes) + call.real("epsilon", 1e-5)).rsqrt();
    one(y * by_channel(&call.float(1)?, x.rank()) + by_channel(&call.float(2)?, x.rank()))
}

fn layer_norm(call: &Call) -> Made {
    let x = call.float(0)?;
    let at = crate::import::call::axis(call.int("axis", -1), x.rank())?;
    let axes: Vec<isize> = (at as isize..x.rank() as isize).collect();
    let mean = x.mean_keep(&axes);
    let centred = &x - &mean;
    let factor = (centred.square().mean_keep(&axes) + call.real("epsilon", 1e-5)).rsqrt();
    let y = centred * &factor * call.float(1)?;
    let y = match call.optional(2)? {
        Some(bias) => y + bias,
        None => y,
    };
    Ok(vec![y.into(), mean.into(), factor.into()])
}

/// Source: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012.
fn lrn(call: &Call) -> Made {
    let x = call.float(0)?;
    let size = usize::try_from(call.int("size", 0)).ok().filter(|&n| n > 0 && n < 1 << 24).ok_or("size is not 1 or more")?;
    if x.rank() < 2 {
        return Err(format!("needs [n, channels, ..], got {}", x.shape()));
    }
    let mut widths = vec![(0, 0); x.rank()];
    widths[1] = ((size - 1) / 2, size / 2);
    let sums = x.square().pad(&widths, 0.0).unfold(1, size, 1).sum_axes(&[-1]);
    let scale = sums * (call.real("alpha", 1e-4) / size as f32) + call.real("bias", 1.0);
    let power = scale.full_like(f64::from(call.real("beta", 0.75)));
    one(x / scale.pow(power))
}

fn drop(call: &Call) -> Made {
    let x = call.float(0)?;
    let ratio = if call.given("ratio") { f64::from(call.real("ratio", 0.5)) } else { call.number(1)?.unwrap_or(0.5) };
    let mask = Tensor::full(x.shape(), Scalar::Bool(true));
    let asked = call.number(2)?.unwrap_or(0.0) != 0.0 && ratio != 0.0;
    if (call.mode.is_training() || asked) && call.wants(1) {
        return Err("the mask of a dropout that drops is not supported".into());
    }
    let y = if asked { dropout(&x, ratio, &noyau_nn::Mode::train()) } else { dropout(&x, ratio, call.mode) };
    Ok(vec![y.into(), mask.into()])
}

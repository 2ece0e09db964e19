//! Convolutions, normalisation, dropout.

use noyau_nn::layers::dropout;
use noyau_tensor::{ConvOptions, DType, Op, Param, Scalar, Shape, Tensor};

use super::Function;
use crate::import::call::{Call, Made, countable, one, table};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("BatchNormalization", batch_norm),
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("Dropout", drop),
    ("InstanceNormalization", instance_norm),
    ("LRN", lrn),
    ("LayerNormalization", layer_norm),
];

/// What windows over the spatial axes are.
pub(super) struct Windows {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    pub before: Vec<usize>,
    pub after: Vec<usize>,
}

/// The numbers of a convolution or a pooling over `spatial` axes of these sizes.
pub(super) fn windows(call: &Call, spatial: &[usize], kernel: Vec<usize>) -> Result<Windows, String> {
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
pub(super) fn padded(x: &Tensor, before: &[usize], after: &[usize], value: f32) -> Result<Tensor, String> {
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
    let rank = kernel.len();
    let spatial = x.shape()[2..].to_vec();
    let w = windows(call, &spatial, kernel)?;
    let full = convolve_transposed(&x, &weight, &w.stride, &w.dilation, group)?;
    let extra = call.counts("output_padding", 0)?.filter(|list| !list.is_empty()).unwrap_or_else(|| vec![0; rank]);
    let asked = call.counts("output_shape", 0)?.filter(|list| !list.is_empty());
    if extra.len() != rank || asked.as_ref().is_some_and(|list| list.len() < rank) {
        return Err(format!("output_padding {extra:?} and output_shape {asked:?} for {rank} spatial axes"));
    }
    let auto = call.text("auto_pad", "NOTSET");
    let same = auto.starts_with("SAME");
    let mut y = padded(&full, &vec![0; rank], &extra, 0.0)?;
    for i in 0..rank {
        let size = y.shape()[i + 2];
        // What is given last in output_shape are the spatial sizes.
        let wanted = match &asked {
            Some(list) => Some(list[list.len() - rank + i]),
            None if same => Some(table(spatial[i].saturating_mul(w.stride[i]))?),
            None => None,
        };
        let (before, end) = match wanted {
            None => (w.before[i], size.checked_sub(w.after[i])),
            Some(wanted) => {
                let total = size.saturating_sub(wanted);
                let before = if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 };
                if size < wanted {
                    let mut after = vec![0; rank];
                    after[i] = wanted - size;
                    y = padded(&y, &vec![0; rank], &after, 0.0)?;
                }
                (before, before.checked_add(wanted))
            }
        };
        let end = end.filter(|&end| end >= before && end <= y.shape()[i + 2]);
        y = y.slice(i as isize + 2, before..end.ok_or("the padding takes away more than there is")?);
    }
    biased(call, y)
}

/// A transposed convolution over any number of axes, without padding: beyond two, the sum over the first axis of the kernel, each part laid where it belongs.
fn convolve_transposed(x: &Tensor, weight: &Tensor, stride: &[usize], dilation: &[usize], group: usize) -> Result<Tensor, String> {
    let options = ConvOptions::new().stride(stride).dilation(dilation).groups(group);
    let sum = match x.rank() {
        3 => x.conv_transpose1d(weight, &options),
        4 => x.conv_transpose2d(weight, &options),
        _ => {
            let (n, depth, planes) = (x.shape()[0], x.shape()[2], weight.shape()[2]);
            let slabs = x.transpose(1, 2).flatten(0, 1);
            let mut sum: Option<Tensor> = None;
            for k in 0..planes {
                let y = convolve_transposed(&slabs, &weight.select(2, k), &stride[1..], &dilation[1..], group)?;
                let shape: Shape = [n, depth].into_iter().chain(y.shape()[1..].iter().copied()).collect();
                let y = y.reshape(shape).transpose(1, 2).spread(2, stride[0]);
                let (mut before, mut after) = (vec![0; x.rank() - 2], vec![0; x.rank() - 2]);
                (before[0], after[0]) = (k * dilation[0], (planes - 1 - k) * dilation[0]);
                let y = padded(&y, &before, &after, 0.0)?;
                sum = Some(sum.map_or(y.clone(), |sum| sum + y));
            }
            sum.ok_or("the kernel is empty")?
        }
    };
    match sum.error() {
        Some(error) => Err(error.to_string()),
        None => Ok(sum),
    }
}

/// A number for each channel, beside `[n, channels, ..]`.
pub(super) fn by_channel(t: &Tensor, rank: usize) -> Tensor {
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
    let asked = call.number(2)?.unwrap_or(0.0) != 0.0 && ratio != 0.0;
    let training = noyau_nn::Mode::train();
    let mode = if asked { &training } else { call.mode };
    if mode.is_training() && call.wants(1) {
        // What drops ones tells which.
        let kept = dropout(&Tensor::ones(x.shape()), ratio, mode);
        return Ok(vec![(&x * kept.to(x.dtype())).into(), kept.gt(0.0).into()]);
    }
    let mask = Tensor::full(x.shape(), Scalar::Bool(true));
    Ok(vec![dropout(&x, ratio, mode).into(), mask.into()])
}

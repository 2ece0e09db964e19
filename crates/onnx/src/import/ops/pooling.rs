//! Pooling: windows as axes of their own, which are reduced.

use noyau_tensor::{DType, Tensor};

use super::Function;
use super::layers::{padded, windows};
use crate::import::call::{Call, Made, countable, one};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("AveragePool", average_pool),
    ("GlobalAveragePool", |c| global(c, |x, a| x.mean_keep(a))),
    ("GlobalLpPool", global_lp_pool),
    ("GlobalMaxPool", |c| global(c, |x, a| x.max_keep(a))),
    ("LpPool", lp_pool),
    ("MaxPool", max_pool),
    ("MaxUnpool", unpool),
];

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

/// The largest of each window and, where that is asked for, its place in the whole operand.
fn max_pool(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let (rows, axes, _) = pooled(call, &x, f32::MIN)?;
    let y = rows.max(&axes);
    if !call.wants(1) {
        return one(y);
    }
    let count = i32::try_from(x.numel()).map_err(|_| format!("the places of {} do not fit into i32", x.shape()))?;
    let numbers = Tensor::arange(count as usize).to(DType::I32);
    // In storage order 1 the first spatial axis is the one that runs fastest.
    let numbers = if call.flag("storage_order", false) {
        let mut shape = x.shape().to_vec();
        shape[2..].reverse();
        let order: Vec<isize> = [0, 1].into_iter().chain((2..x.rank() as isize).rev()).collect();
        numbers.reshape(shape).permute(&order)
    } else {
        numbers.reshape(x.shape())
    };
    let (places, _, _) = pooled(call, &numbers, 0.0)?;
    let first = -(axes.len() as isize);
    let best = rows.flatten(first, -1).argmax(-1).unsqueeze(-1);
    Ok(vec![y.into(), places.flatten(first, -1).gather(-1, &best).squeeze(-1).into()])
}

/// Values back at the places that they were taken from; zeros elsewhere. The result's sizes are those of the windows.
fn unpool(call: &Call) -> Made {
    let (x, places) = (call.float(0)?, call.tensor(1)?);
    if x.rank() < 3 || places.shape() != x.shape() || !places.dtype().is_int() {
        return Err(format!("needs [n, channels, ..] and places of this shape, got {} and {}", x.shape(), places.shape()));
    }
    if call.has(2) {
        return Err("an output shape of its own is not supported".into());
    }
    let spatial = &x.shape()[2..];
    let w = windows(call, spatial, call.counts("kernel_shape", 1)?.ok_or("kernel_shape is missing")?)?;
    let mut shape = x.shape().to_vec();
    for i in 0..spatial.len() {
        let whole = spatial[i].saturating_sub(1).saturating_mul(w.stride[i]).saturating_add(w.kernel[i]);
        shape[i + 2] = whole.checked_sub(w.before[i] + w.after[i]).ok_or("the padding takes away more than there is")?;
    }
    let count: usize = countable(shape.clone())?.iter().product();
    let flat = Tensor::zeros([count]).to(x.dtype()).scatter_add(0, &places.reshape([places.numel()]), &x.reshape([x.numel()]));
    one(flat.reshape(shape))
}

/// `(sum |x|^p)^(1/p)` of each window.
fn lp_pool(call: &Call) -> Made {
    let p = norm_order(call)?;
    let (rows, axes, _) = pooled(call, &call.float(0)?.abs().powi(p), 0.0)?;
    one(root(rows.sum_axes(&axes), p))
}

fn norm_order(call: &Call) -> Result<i32, String> {
    i32::try_from(call.int("p", 2))
        .ok()
        .filter(|p| (1..=16).contains(p))
        .ok_or_else(|| format!("p = {} is not supported, 1 to 16 are", call.int("p", 2)))
}

fn root(x: Tensor, p: i32) -> Tensor {
    match p {
        1 => x,
        2 => x.sqrt(),
        _ => x.pow(x.full_like(1.0 / f64::from(p))),
    }
}

fn global_lp_pool(call: &Call) -> Made {
    let p = norm_order(call)?;
    let x = call.float(0)?;
    if x.rank() < 3 {
        return Err(format!("needs [n, channels, ..], got {}", x.shape()));
    }
    one(root(x.abs().powi(p).sum_keep(&(2..x.rank() as isize).collect::<Vec<_>>()), p))
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

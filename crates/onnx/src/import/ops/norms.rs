//! Norms, losses and what else a network is measured by.

use noyau_tensor::{DType, Tensor};

use super::Function;
use super::layers::by_channel;
use crate::import::call::{Call, Made, axes, axis, countable, one, signed};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("GroupNormalization", group_norm),
    ("LpNormalization", lp_norm),
    ("MeanVarianceNormalization", mean_variance),
    ("NegativeLogLikelihoodLoss", |c| likelihood(c, c.float(0)?)),
    ("RMSNormalization", rms_norm),
    ("SoftmaxCrossEntropyLoss", |c| {
        let log = c.float(0)?.log_softmax(1);
        let mut made = likelihood(c, log.clone())?;
        made.push(log.into());
        Ok(made)
    }),
];

/// Source: Wu and He, "Group normalization", 2018. Before version 21 scale and bias are one for each group.
fn group_norm(call: &Call) -> Made {
    let x = call.float(0)?;
    let groups = usize::try_from(call.int("num_groups", 0)).ok().filter(|&g| g > 0);
    let groups = groups.filter(|&g| x.rank() >= 3 && x.shape()[1] % g == 0);
    let groups = groups.ok_or_else(|| format!("{} groups of the channels of {}", call.int("num_groups", 0), x.shape()))?;
    let (n, c) = (x.shape()[0], x.shape()[1]);
    let rest: usize = x.shape()[2..].iter().product();
    let apart = x.reshape([n, groups, c / groups * rest]);
    let centred = &apart - apart.mean_keep(&[2]);
    let normal = &centred * (centred.square().mean_keep(&[2]) + call.real("epsilon", 1e-5)).rsqrt();
    let each = |i: usize| -> Result<Tensor, String> {
        let t = call.float(i)?;
        Ok(if t.numel() == groups && call.opset < 21 { t.repeat_interleave(c / groups, 0) } else { t })
    };
    one(normal.reshape(x.shape()) * by_channel(&each(1)?, x.rank()) + by_channel(&each(2)?, x.rank()))
}

fn lp_norm(call: &Call) -> Made {
    let x = call.float(0)?;
    let at = [axis(call.int("axis", -1), x.rank())? as isize];
    let size = match call.int("p", 2) {
        1 => x.abs().sum_keep(&at),
        2 => x.square().sum_keep(&at).sqrt(),
        other => return Err(format!("p = {other} is not supported")),
    };
    // A row of zeros stays one.
    let zero = size.eq(0.0);
    one(&x / zero.where_(size.ones_like(), &size))
}

fn mean_variance(call: &Call) -> Made {
    let x = call.float(0)?;
    let over = signed(&axes(&call.list("axes").unwrap_or_else(|| vec![0, 2, 3]), x.rank())?);
    let centred = &x - x.mean_keep(&over);
    one(&centred / (centred.square().mean_keep(&over).sqrt() + 1e-9))
}

/// Source: Zhang and Sennrich, "Root mean square layer normalization", 2019.
fn rms_norm(call: &Call) -> Made {
    let x = call.float(0)?;
    let at = axis(call.int("axis", -1), x.rank())?;
    let over: Vec<isize> = (at as isize..x.rank() as isize).collect();
    let wide = x.to(DType::F32);
    let factor = (wide.square().mean_keep(&over) + call.real("epsilon", 1e-5)).rsqrt();
    one((wide * factor).to(x.dtype()) * call.float(1)?)
}

/// `-w[t] log p[t]` of the classes on axis 1; labels that are ignored weigh nothing.
fn likelihood(call: &Call, log: Tensor) -> Made {
    let labels = call.tensor(1)?;
    let mut wanted = log.shape().to_vec();
    if log.rank() < 2 {
        return Err(format!("needs [n, classes, ..], got {}", log.shape()));
    }
    let classes = wanted.remove(1);
    if labels.shape()[..] != wanted || !labels.dtype().is_int() {
        return Err(format!("labels {}{} for {}", labels.dtype(), labels.shape(), log.shape()));
    }
    let labels = labels.to(DType::I32);
    let kept = if call.given("ignore_index") {
        labels.ne(call.int("ignore_index", 0).clamp(i32::MIN.into(), i32::MAX.into()) as i32).to(log.dtype())
    } else {
        log.ones_like().select(1, 0).reshape(wanted.clone())
    };
    let places = labels.clamp_min(0).minimum(classes.saturating_sub(1) as i32);
    let weights = match call.optional(2)? {
        Some(w) if w.shape()[..] == [classes] => w.index_select(0, &places.reshape([places.numel()])).reshape(wanted.clone()) * kept,
        Some(w) => return Err(format!("weights {} for {classes} classes", w.shape())),
        None => kept,
    };
    countable(wanted.clone())?;
    let loss = -(log.gather(1, &places.unsqueeze(1)).squeeze(1) * &weights);
    match call.text("reduction", "mean").as_str() {
        "none" => one(loss),
        "sum" => one(loss.sum()),
        "mean" => one(loss.sum() / weights.sum()),
        other => Err(format!("the reduction {other:?} is not known")),
    }
}

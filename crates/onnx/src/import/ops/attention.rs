//! Attention as one operation, and the turning of positions that goes with it.

use noyau_tensor::{Attention, DType, Tensor, concat};

use super::Function;
use crate::import::call::{Call, Made, one};
use crate::import::value::Value;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("Attention", attention),
    ("RotaryEmbedding", rotary),
    ("Swish", |c| {
        let x = c.float(0)?;
        one(&x * (&x * c.real("alpha", 1.0)).sigmoid())
    }),
];

/// Queries, keys or values as `[batch, heads, places, features]`.
fn heads(call: &Call, i: usize, count: &str) -> Result<Tensor, String> {
    let x = call.float(i)?;
    let n = usize::try_from(call.int(count, 0)).unwrap_or(0);
    match x.shape()[..] {
        [_, _, _, _] => Ok(x),
        [batch, places, features] if n > 0 && features % n == 0 => Ok(x.reshape([batch, places, n, features / n]).transpose(1, 2)),
        _ => Err(format!("operand {i} of {} for {count} = {n}", x.shape())),
    }
}

/// What is 0 where `open` holds and closes elsewhere.
fn closing(open: &Tensor) -> Tensor {
    open.where_(0.0, Attention::CLOSED)
}

/// Which keys are open to which queries: masks that are added to the scores.
fn masks(call: &Call, q: &Tensor, k: &Tensor, past: usize) -> Result<Vec<Tensor>, String> {
    let (n, m) = (q.shape()[2], k.shape()[2]);
    let mut all = Vec::new();
    if let Some(mask) = call.optional(3)? {
        let missing =
            m.checked_sub(mask.shape().last().copied().unwrap_or(m)).ok_or_else(|| format!("a mask of {} for {m} keys", mask.shape()))?;
        let mask = if mask.dtype() == DType::Bool { closing(&mask) } else { mask.to(DType::F32) };
        // A mask may end before the keys do: those that follow are closed.
        let mut widths = vec![(0, 0); mask.rank()];
        if let Some(last) = widths.last_mut() {
            last.1 = missing;
        }
        all.push(if missing > 0 { mask.pad(&widths, Attention::CLOSED) } else { mask });
    }
    let (i, j) = (Tensor::iota([n, m], 0).to(DType::I32), Tensor::iota([n, m], 1).to(DType::I32));
    let filled = call.optional(6)?.map(|t| t.to(DType::I32).reshape([t.numel(), 1, 1, 1]));
    // How many keys come before the first query.
    let before = match &filled {
        Some(filled) if past == 0 => filled - n as i32,
        _ => Tensor::from(past as i32).reshape([1, 1, 1, 1]),
    };
    let (left, right) = (call.int("left_window_size", -1), call.int("right_window_size", -1));
    let ahead = j.reshape([1, 1, n, m]) - i.reshape([1, 1, n, m]) - before;
    if call.flag("is_causal", false) {
        all.push(closing(&ahead.le(0)));
    }
    if left >= 0 {
        all.push(closing(&ahead.ge(-left.min(i32::MAX.into()) as i32)));
    }
    if right >= 0 {
        all.push(closing(&ahead.le(right.min(i32::MAX.into()) as i32)));
    }
    if let Some(filled) = &filled {
        all.push(closing(&j.slice(0, ..n.min(1)).reshape([1, 1, n.min(1), m]).lt(filled)));
    }
    Ok(all)
}

/// Grouped queries share keys and values. Where nothing but the result is asked for, the scores are never in memory.
fn attention(call: &Call) -> Made {
    let (q, k, v) = (heads(call, 0, "q_num_heads")?, heads(call, 1, "kv_num_heads")?, heads(call, 2, "kv_num_heads")?);
    let join = |i: usize, now: Tensor| -> Result<(Tensor, usize), String> {
        match call.optional(i)? {
            Some(past) if past.rank() == 4 => Ok((concat(&[&past, &now], 2), past.shape()[2])),
            Some(past) => Err(format!("operand {i} of {}, not of rank 4", past.shape())),
            None => Ok((now, 0)),
        }
    };
    let ((k, past), (v, _)) = (join(4, k)?, join(5, v)?);
    for t in [&k, &v] {
        if let Some(error) = t.error() {
            return Err(error.to_string());
        }
    }
    let present = [k.clone(), v.clone()];
    let (many, few) = (q.shape()[1], k.shape()[1]);
    let share = |t: Tensor| if many == few || few == 0 || many % few != 0 { t } else { t.repeat_interleave(many / few, 1) };
    let masks = masks(call, &q, &k, past)?;
    let (k, v) = (share(k), share(v));
    let scale = if call.given("scale") { f64::from(call.real("scale", 1.0)) } else { 1.0 / (q.shape()[3].max(1) as f64).sqrt() };
    let cap = call.real("softcap", 0.0);
    let (y, scores) = if cap == 0.0 && !call.wants(3) {
        (q.attention(&k, &v, &masks, false, scale), None)
    } else {
        let scores = q.matmul(&k.transpose(2, 3)).to(DType::F32) * scale as f32;
        let scores = if cap > 0.0 { (scores / cap).tanh() * cap } else { scores };
        let bias = masks.iter().fold(Tensor::zeros([1, 1, 1, 1]), |sum, mask| sum + mask);
        let closed = bias.le(Attention::CLOSED);
        let biased = closed.where_(Attention::CLOSED, &scores + bias);
        let weights = closed.where_(0.0, biased.softmax(-1));
        let y = weights.to(v.dtype()).matmul(&v);
        let shown = match call.int("qk_matmul_output_mode", 0) {
            0 | 1 => scores,
            2 => closed.where_(f32::NEG_INFINITY, biased),
            3 => weights,
            other => return Err(format!("qk_matmul_output_mode {other} is not known")),
        };
        (y, Some(shown.to(q.dtype())))
    };
    let flat = call.value(0)?.shape().is_some_and(|shape| shape.len() == 3);
    let y = if flat { y.transpose(1, 2).flatten(2, 3) } else { y };
    let mut made: Vec<Value> = vec![y.into()];
    made.extend(present.map(Value::from));
    made.extend(scores.map(Value::from));
    Ok(made)
}

/// Source: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.
fn rotary(call: &Call) -> Made {
    let x = call.float(0)?;
    let flat = x.rank() == 3;
    // [batch, heads, places, features].
    let apart = heads(call, 0, "num_heads")?;
    let (places, features) = (apart.shape()[2], apart.shape()[3]);
    let turned = match usize::try_from(call.int("rotary_embedding_dim", 0)) {
        Ok(0) => features,
        Ok(n) if n <= features => n,
        _ => return Err(format!("rotary_embedding_dim {} of {features} features", call.int("rotary_embedding_dim", 0))),
    };
    let cache = |i: usize| -> Result<Tensor, String> {
        let cache = call.float(i)?;
        let rows = match call.optional(3)? {
            Some(ids) => {
                let rows = cache.index_select(0, &ids.reshape([ids.numel()]));
                rows.reshape(ids.shape().iter().copied().chain([cache.shape().last().copied().unwrap_or(0)]).collect::<Vec<_>>())
            }
            None => cache,
        };
        match rows.shape()[..] {
            [_, n, half] if n == places && half * 2 == turned => Ok(rows.unsqueeze(1)),
            _ => Err(format!("operand {i} of {} for {places} places and {turned} features", rows.shape())),
        }
    };
    let (cos, sin) = (cache(1)?, cache(2)?);
    let (part, rest) = (apart.slice(-1, ..turned), apart.slice(-1, turned..));
    let interleaved = call.flag("interleaved", false);
    let (a, b) = if interleaved {
        (part.slice_step(-1, .., 2), part.slice_step(-1, 1.., 2))
    } else {
        (part.slice(-1, ..turned / 2), part.slice(-1, turned / 2..))
    };
    let (real, imaginary) = (&cos * &a - &sin * &b, sin * a + cos * b);
    let part = if interleaved {
        concat(&[&real.unsqueeze(-1), &imaginary.unsqueeze(-1)], -1).flatten(-2, -1)
    } else {
        concat(&[&real, &imaginary], -1)
    };
    let y = if turned < features { concat(&[&part, &rest], -1) } else { part };
    one(if flat { y.transpose(1, 2).flatten(2, 3) } else { y })
}

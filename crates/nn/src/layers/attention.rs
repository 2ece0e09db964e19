//! Attention: each place reads a weighted mean of values at other places, weighted by how well its query matches their keys.

mod mask;
mod multi_head;
mod positions;

pub use mask::AttentionMask;
pub use multi_head::MultiHeadAttention;
pub use positions::{LearnedEncoding, SinusoidalEncoding, rotary, sinusoidal_encoding};

use noyau_tensor::{Shape, Tensor};

use super::check_float;
use super::dropout::dropout;
use crate::Mode;
use crate::fault::{fail, number};
use crate::mixed::wide;

/// `softmax(q k^T / sqrt(d)) v`: `[.., queries, d]`, `[.., keys, d]` and `[.., keys, e]` to `[.., queries, e]`, f32. Leading axes (batch, heads) broadcast.
///
/// The weights `[.., queries, keys]` are not kept in memory, for the gradients neither, where heads have at most 128 features: attention is done block by block.
/// (The gradient of a mask that [`AttentionMask::added`] is learned from has them there: it is as large as they are.)
///
/// A query that no key is open to gives zeros, and no gradient flows through it; PyTorch does the same since 2.5.
///
/// Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; Dao et al., "FlashAttention", NeurIPS 2022. PyTorch's function of the name, whose
/// boolean `attn_mask` is [`AttentionMask::allowed`] and whose `is_causal` is [`AttentionMask::causal`].
#[track_caller]
pub fn scaled_dot_product_attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &AttentionMask) -> Tensor {
    attend(q, k, v, mask, 0.0, &Mode::eval()).0
}

/// [`scaled_dot_product_attention`] with dropout of the weights, and the weights (before dropout), `[.., queries, keys]`.
#[track_caller]
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: &AttentionMask, p: f64, mode: &Mode) -> (Tensor, Tensor) {
    const NAME: &str = "scaled_dot_product_attention";
    for t in [q, k, v] {
        if let Err(error) = check_float(NAME, t) {
            return (error.clone(), error);
        }
    }
    if let Some(message) = misfit(q.shape(), k.shape(), v.shape()) {
        let error = fail(NAME, message);
        return (error.clone(), error);
    }
    let width = q.shape()[q.rank() - 1].max(1) as f64;
    let scores = wide(&mode.cast(q).matmul(&mode.cast(k).t())) * number(1.0 / width.sqrt());
    if scores.error().is_some() {
        return (scores.clone(), scores);
    }
    let weights = mask.softmax(&scores);
    let weights = if v.dtype().is_half() { weights.to(v.dtype()) } else { weights };
    if weights.error().is_some() {
        return (weights.clone(), weights);
    }
    let (q, k, v) = (mode.cast(q), mode.cast(k), mode.cast(v));
    let dropped = dropout(&weights, p, mode);
    if dropped.id() == weights.id() && [k.dtype(), v.dtype()] == [q.dtype(); 2] && scores.numel() > 0 {
        // All of the weights are used as they are: they need not be in memory.
        let (masks, causal) = mask.parts(scores.rank());
        return (q.attention(&k, &v, &masks, causal, 1.0 / width.sqrt()), weights);
    }
    (mode.cast(&dropped).matmul(&v), weights)
}

/// What is wrong with the shapes of queries, keys and values.
fn misfit(q: &Shape, k: &Shape, v: &Shape) -> Option<String> {
    let all = format!("queries {q}, keys {k}, values {v}");
    let ([.., _, d], [.., keys, width], [.., values, _]) = (&q[..], &k[..], &v[..]) else {
        return Some(format!("{all}: each needs at least two axes, [.., places, features]"));
    };
    if d != width {
        return Some(format!("{all}: queries of {d} features and keys of {width} have no product"));
    }
    if keys != values {
        return Some(format!("{all}: {keys} keys and {values} values; each key needs its value"));
    }
    let leading = |s: &Shape| Shape::from(&s[..s.rank() - 2]);
    let batch = leading(q).broadcast(&leading(k)).and_then(|both| both.broadcast(&leading(v)));
    batch.is_none().then(|| format!("{all}: the axes before the last two do not broadcast"))
}

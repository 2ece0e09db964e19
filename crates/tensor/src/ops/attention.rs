//! Attention as a primitive: the function, what it stands for, its gradients.
//!
//! The weights `[.., n, m]` never have to be in memory: the result is made block by block from scores that are forgotten again, and the gradients make them
//! anew from the logarithm of each row's sum. What an [`Op::Attention`] means is [`Attention::expand`]: a function of tensors, by which what no kernel
//! does is computed, and gradients of gradients are taken.
//!
//! Source: Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", NeurIPS 2022; Dao, "FlashAttention-2", 2023 (the
//! logarithm of the sum alone is kept).

use std::panic::Location as CallerLocation;

use crate::grad::through;
use crate::op::{Attention, AttentionPart};
use crate::{DType, Location, Op, Scalar, Shape, Tensor};

impl Tensor {
    /// `softmax(q k^T * scale + masks) v` with `self` as the queries: `[.., n, d]`, `[.., m, d]` and `[.., m, e]` to `[.., n, e]`, of one float type.
    /// Axes before the last two broadcast.
    ///
    /// Masks are f32 that broadcast against the scores `[.., n, m]`. [`Attention::CLOSED`] and less in any of them closes a key to a query, as `causal` does the keys
    /// `j > i` to query `i`; a query to which no key is open gets zeros, and passes no gradient on.
    #[track_caller]
    pub fn attention(&self, key: &Tensor, value: &Tensor, masks: &[Tensor], causal: bool, scale: f64) -> Tensor {
        let location = CallerLocation::caller();
        let operands: Vec<&Tensor> = [self, key, value].into_iter().chain(masks).collect();
        if let Some(bad) = operands.iter().find(|t| t.error().is_some()) {
            return (*bad).clone();
        }
        let finite = if (scale as f32).is_finite() { Ok(()) } else { Err(format!("the scale {scale} is not a finite number")) };
        match finite.and_then(|()| shapes(&operands)) {
            Err(message) => Tensor::fail("attention", message, location),
            Ok(shapes) => {
                let inputs: Vec<Tensor> = operands.iter().zip(&shapes).map(|(t, shape)| t.broadcast_at(shape, location)).collect();
                let attention = Attention { part: AttentionPart::Output, causal, scale };
                // One key leaves nothing to choose, and the gradient by the scores is 0: exactly so only where it is one and the same sum that is taken away.
                if key.shape()[key.rank() - 2] == 1 { attention.expand(&inputs) } else { attention.of(inputs, location) }
            }
        }
    }
}

/// The shapes of queries, keys, values and masks with all axes before the last two broadcast; or what is wrong with them.
fn shapes(operands: &[&Tensor]) -> Result<Vec<Shape>, String> {
    let types: Vec<DType> = operands.iter().map(|t| t.dtype()).collect();
    let names = || format!("queries {}, keys {}, values {}", operands[0].shape(), operands[1].shape(), operands[2].shape());
    if !types[0].is_float() || types[..3] != [types[0]; 3] || types[3..].iter().any(|&t| t != DType::F32) {
        return Err(format!("needs queries, keys and values of one float type and masks of f32, got {types:?}"));
    }
    if operands[..3].iter().any(|t| t.rank() < 2) {
        return Err(format!("{}: each needs at least two axes, [.., places, features]", names()));
    }
    let last = |t: &Tensor| [t.shape()[t.rank() - 2], t.shape()[t.rank() - 1]];
    let ([n, d], [m, width], [values, e]) = (last(operands[0]), last(operands[1]), last(operands[2]));
    if d != width || m != values {
        return Err(format!("{}: keys need the queries' features, and a value each", names()));
    }
    let leading = |t: &Tensor| Shape::from(&t.shape()[..t.rank() - 2]);
    let mut batch = Some(leading(operands[0]));
    for t in &operands[1..3] {
        batch = batch.and_then(|batch| batch.broadcast(&leading(t)));
    }
    let Some(batch) = batch else { return Err(format!("{}: the axes before the last two do not broadcast", names())) };
    let with = |tail: [usize; 2]| batch.iter().copied().chain(tail).collect::<Shape>();
    let scores = with([n, m]);
    if let Some(mask) = operands[3..].iter().find(|mask| mask.shape().broadcast(&scores).as_ref() != Some(&scores)) {
        return Err(format!("a mask {} does not broadcast against the scores {scores} [.., queries, keys]", mask.shape()));
    }
    Ok([with([n, d]), with([m, d]), with([m, e])].into_iter().chain(operands[3..].iter().map(|_| scores.clone())).collect())
}

/// `[.., n]` as `[.., n, 1]`.
fn column(t: &Tensor) -> Tensor {
    t.unsqueeze(-1)
}

impl Attention {
    /// Added to a score, it closes a key to a query: its exponential is 0 beside that of any score. Finite, because a GPU may assume that infinity does
    /// not occur.
    pub const CLOSED: f32 = -1e30;

    /// The op applied to operands that fit.
    fn of(self, inputs: Vec<Tensor>, location: Location) -> Tensor {
        let size = |i: usize, axis: usize| inputs[i].shape()[inputs[i].rank() - axis];
        let batch = &inputs[0].shape()[..inputs[0].rank() - 2];
        let tail = match self.part {
            AttentionPart::Output => vec![size(0, 2), size(2, 1)],
            AttentionPart::LogSumExp => vec![size(0, 2)],
            AttentionPart::GradQuery => vec![size(0, 2), size(0, 1)],
            AttentionPart::GradKey => vec![size(1, 2), size(1, 1)],
            AttentionPart::GradValue => vec![size(2, 2), size(2, 1)],
        };
        let dtype = if self.part == AttentionPart::LogSumExp { DType::F32 } else { inputs[0].dtype() };
        let shape: Shape = batch.iter().copied().chain(tail).collect();
        Tensor::apply(Op::Attention(self), inputs, Ok((shape, dtype)), location)
    }

    /// The masks among a part's operands.
    pub fn masks<T>(self, operands: &[T]) -> &[T] {
        operands.get(self.part.fixed()..).unwrap_or_default()
    }

    /// What the op stands for, written as other tensors of its operands, with the weights in memory.
    pub fn expand(self, inputs: &[Tensor]) -> Tensor {
        let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
        let wide = |t: Tensor| if t.dtype().is_half() { t.to(DType::F32) } else { t };
        let mut scores = wide(q.matmul(&k.t())) * self.scale();
        let (n, m) = (scores.shape()[scores.rank() - 2], scores.shape()[scores.rank() - 1]);
        let mut open = self.causal.then(|| Tensor::iota([n, m], 1).le(Tensor::iota([n, m], 0)));
        for mask in self.masks(inputs) {
            scores = scores + mask.maximum(Self::CLOSED);
            let here = mask.gt(Self::CLOSED);
            open = Some(open.map_or_else(|| here.clone(), |open| open.logical_and(&here)));
        }
        // What stands at closed places changes nothing, but has to be harmless.
        let shut = |x: &Tensor, otherwise: &Tensor| open.as_ref().map_or_else(|| x.clone(), |open| open.where_(x, otherwise));
        let closed = scores.full_like(Self::CLOSED.into());
        let zero = scores.zeros_like();
        match self.part {
            AttentionPart::Output => shut(&shut(&scores, &closed).softmax(-1), &zero).to(v.dtype()).matmul(v),
            AttentionPart::LogSumExp => shut(&scores, &closed).logsumexp(&[-1]),
            AttentionPart::GradQuery => self.scores_gradient(&scores, open.as_ref(), inputs).to(k.dtype()).matmul(k),
            AttentionPart::GradKey => self.scores_gradient(&scores, open.as_ref(), inputs).to(q.dtype()).t().matmul(q),
            AttentionPart::GradValue => weights(&scores, open.as_ref(), &inputs[4]).to(v.dtype()).t().matmul(&inputs[3]),
        }
    }

    /// The scale with all its digits.
    fn scale(self) -> Tensor {
        Tensor::full(Shape::scalar(), Scalar::Float(self.scale))
    }

    /// The gradient of the scores, times the scale.
    fn scores_gradient(self, scores: &Tensor, open: Option<&Tensor>, inputs: &[Tensor]) -> Tensor {
        let (v, g, sums, delta) = (&inputs[2], &inputs[3], &inputs[4], &inputs[5]);
        let toward = g.matmul(&v.t()).to(DType::F32);
        weights(scores, open, sums) * (toward - column(delta)) * self.scale()
    }

    /// The gradients by the operands of `out`, an op of these numbers, given that by `out`.
    pub(crate) fn vjp(self, out: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
        let inputs = out.inputs();
        if self.part != AttentionPart::Output {
            return through(&self.expand(inputs), inputs, g);
        }
        let at = out.location();
        let sums = Attention { part: AttentionPart::LogSumExp, ..self }.of(inputs.to_vec(), at);
        // What the gradient of a softmax takes off: the mean of the weights' gradients, which the result holds already (FlashAttention-2, section 2.3.2).
        let delta = (g.to(DType::F32) * out.to(DType::F32)).sum_axes(&[-1]);
        let mut operands = inputs[..3].to_vec();
        operands.extend([g.clone(), sums, delta]);
        operands.extend_from_slice(self.masks(inputs));
        let part = |part: AttentionPart| Some(Attention { part, ..self }.of(operands.clone(), at));
        let mut found = vec![part(AttentionPart::GradQuery), part(AttentionPart::GradKey), part(AttentionPart::GradValue)];
        // A mask's gradient is as large as the scores: whoever learns one has them in memory.
        found.extend(self.masks(inputs).iter().map(|_| None));
        if !self.masks(inputs).is_empty() {
            let of_masks = through(&self.expand(inputs), inputs, g);
            found[3..].clone_from_slice(&of_masks[3..]);
        }
        found
    }
}

/// The weights, of scores and the logarithms of their rows' sums.
fn weights(scores: &Tensor, open: Option<&Tensor>, sums: &Tensor) -> Tensor {
    let sums = column(sums).expand(scores.shape().clone());
    match open {
        None => (scores - sums).exp(),
        Some(open) => open.where_((open.where_(scores, &sums) - &sums).exp(), 0.0),
    }
}

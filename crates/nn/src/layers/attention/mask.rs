//! Which keys a query may look at.

use noyau_tensor::{Attention, DType, Tensor};

use crate::fault::fail;

/// What is added to the score of a key that a query may not look at. Its exponential is 0 beside that of any score; it is finite because a GPU may
/// assume that infinity does not occur.
const CLOSED: f32 = Attention::CLOSED;

/// Which keys each query may look at, and what is added to the scores of those. All conditions hold together: `AttentionMask::causal().padding(&p)`.
///
/// PyTorch's boolean masks mean opposite things in different places; here the method says it: [`AttentionMask::allowed`] is that of
/// `scaled_dot_product_attention`, [`AttentionMask::forbidden`] and [`AttentionMask::padding`] are `attn_mask` and `key_padding_mask` of
/// `MultiheadAttention` and the transformer layers. Masks broadcast against the scores: `[batch, heads, queries, keys]` in [`crate::MultiHeadAttention`].
#[derive(Clone, Debug, Default)]
pub struct AttentionMask {
    causal: bool,
    allowed: Option<Tensor>,
    added: Option<Tensor>,
    padding: Option<Tensor>,
}

impl AttentionMask {
    /// Every query may look at every key.
    pub fn none() -> AttentionMask {
        AttentionMask::default()
    }

    /// Query `i` may look at keys `0..=i`, so that nothing is read from the future. Query 0 and key 0 are aligned whatever their numbers, as in PyTorch.
    pub fn causal() -> AttentionMask {
        AttentionMask { causal: true, ..AttentionMask::default() }
    }

    /// This mask, and causal if `causal` holds.
    pub(crate) fn and_causal(mut self, causal: bool) -> AttentionMask {
        self.causal |= causal;
        self
    }

    /// Only where `mask`, a bool that broadcasts against the scores `[.., queries, keys]`, holds.
    #[track_caller]
    pub fn allowed(mut self, mask: &Tensor) -> AttentionMask {
        let mask = boolean("AttentionMask::allowed", mask);
        self.allowed = Some(match self.allowed {
            Some(before) => before.logical_and(mask),
            None => mask,
        });
        self
    }

    /// Only where `mask`, a bool that broadcasts against the scores `[.., queries, keys]`, does not hold.
    #[track_caller]
    pub fn forbidden(self, mask: &Tensor) -> AttentionMask {
        let mask = boolean("AttentionMask::forbidden", mask);
        self.allowed(&mask.logical_not())
    }

    /// Not at keys that are padding: a bool `[batch, keys]`, true where the key is none. (One axis for each leading axis of the input, then the keys.)
    #[track_caller]
    pub fn padding(mut self, mask: &Tensor) -> AttentionMask {
        let mask = boolean("AttentionMask::padding", mask).logical_not();
        self.padding = Some(match self.padding {
            Some(before) => before.logical_and(mask),
            None => mask,
        });
        self
    }

    /// Adds f32 that broadcast against the scores `[.., queries, keys]`, such as a learned bias by distance. -1e30 and less, minus infinity included,
    /// forbids.
    #[track_caller]
    pub fn added(mut self, mask: &Tensor) -> AttentionMask {
        let mask = match (mask.error(), mask.dtype()) {
            (None, DType::F32) => mask.clone(),
            (None, other) => fail("AttentionMask::added", format!("the mask is {other}{}, not f32", mask.shape())),
            (Some(_), _) => mask.clone(),
        };
        self.added = Some(match self.added {
            Some(before) => before + mask,
            None => mask,
        });
        self
    }

    /// What is added to scores of a rank, closed keys included, and whether later keys are closed too: the operands of [`Tensor::attention`]. The mask
    /// has been found to fit.
    #[track_caller]
    pub(super) fn parts(&self, rank: usize) -> (Vec<Tensor>, bool) {
        let closes = |open: &Tensor| open.where_(0.0f32, CLOSED);
        let padding = self.padding.as_ref().map(|padding| closes(&spread(padding, rank)));
        (self.allowed.iter().map(closes).chain(padding).chain(self.added.clone()).collect(), self.causal)
    }

    /// The weights of scores `[.., queries, keys]`: their softmax over the open keys, 0 where there is none.
    #[track_caller]
    pub(super) fn softmax(&self, scores: &Tensor) -> Tensor {
        let rank = scores.rank();
        let (queries, keys) = (scores.shape()[rank - 2], scores.shape()[rank - 1]);
        let mut scores = scores.clone();
        let mut open: Vec<Tensor> = Vec::new();
        if self.causal {
            open.push(Tensor::iota([queries, keys], 1).le(Tensor::iota([queries, keys], 0)));
        }
        if let Some(allowed) = &self.allowed {
            open.push(allowed.clone());
        }
        if let Some(padding) = &self.padding {
            open.push(spread(padding, rank));
        }
        if let Some(added) = &self.added {
            open.push(added.gt(CLOSED));
        }
        for mask in &open {
            if mask.error().is_some() {
                return mask.clone();
            }
            if mask.shape().broadcast(scores.shape()).as_ref() != Some(scores.shape()) {
                let message =
                    format!("a mask {} does not broadcast against the scores {} [.., queries, keys]", mask.shape(), scores.shape());
                return fail("AttentionMask", message);
            }
        }
        if let Some(added) = &self.added {
            scores = scores + added.maximum(CLOSED);
        }
        if keys == 0 {
            return scores;
        }
        let Some(first) = open.first() else { return scores.softmax(-1) };
        let mut all = first.clone();
        for other in &open[1..] {
            all = all.logical_and(other);
        }
        // The second choice matters only where all keys are closed: elsewhere a closed key's exponential is 0 already.
        all.where_(all.where_(scores, CLOSED).softmax(-1), 0.0)
    }
}

/// The mask if it is a bool.
#[track_caller]
fn boolean(what: &str, mask: &Tensor) -> Tensor {
    if mask.error().is_none() && mask.dtype() != DType::Bool {
        return fail(what, format!("the mask is {}{}, not bool; compare it first", mask.dtype(), mask.shape()));
    }
    mask.clone()
}

/// `[leading.., keys]` as `[leading.., 1.., keys]` of a rank.
#[track_caller]
fn spread(padding: &Tensor, rank: usize) -> Tensor {
    let mut shape = padding.shape().to_vec();
    if padding.error().is_some() || shape.is_empty() || shape.len() >= rank {
        return padding.clone();
    }
    let keys = shape.pop();
    shape.resize(rank - 1, 1);
    shape.extend(keys);
    padding.reshape(shape)
}

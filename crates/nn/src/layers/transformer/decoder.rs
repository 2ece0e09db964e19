//! The transformer's decoder, which reads an encoder's result.

use noyau_tensor::{Param, Tensor};

use super::super::{AttentionMask, LayerNorm, Linear, MultiHeadAttention};
use super::{Settings, named_buffers, options, stack_values, stacked};
use crate::fault::fail;
use crate::{Mode, Module, named};

/// Causal self-attention, attention to an encoder's result, then two layers for each place by itself, each with a residual connection, dropout and
/// normalisation: `[.., time, d_model]`, batch first.
///
/// Self-attention is causal, as a decoder's is (PyTorch leaves that to the caller's `tgt_mask`); [`TransformerDecoderLayer::not_causal`] takes that away.
/// Parameters have PyTorch's names: `self_attn..`, `multihead_attn..`, `linear1..`, `linear2..`, `norm1..` to `norm3..`. As a [`Module`] it is an error:
/// it needs the encoder's result, which [`TransformerDecoderLayer::run`] takes. For a language model, use an encoder with a causal mask.
///
/// Source: Vaswani et al., "Attention is all you need", NeurIPS 2017. PyTorch's `TransformerDecoderLayer` with `batch_first=True`.
#[derive(Clone, Debug)]
pub struct TransformerDecoderLayer {
    /// The attention to the decoder's own places.
    pub self_attn: MultiHeadAttention,
    /// The attention to the encoder's result.
    pub multihead_attn: MultiHeadAttention,
    /// Normalises for self-attention.
    pub norm1: LayerNorm,
    /// Normalises for attention to the encoder's result.
    pub norm2: LayerNorm,
    /// Normalises for the two layers.
    pub norm3: LayerNorm,
    /// The first of the two layers.
    pub linear1: Linear,
    /// The second of the two layers.
    pub linear2: Linear,
    settings: Settings,
}

options!(TransformerDecoderLayer);

impl TransformerDecoderLayer {
    /// A layer of `d_model` features and so many heads, which must divide them.
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> TransformerDecoderLayer {
        TransformerDecoderLayer::made(Settings::new(d_model, nhead, true))
    }

    #[track_caller]
    fn made(settings: Settings) -> TransformerDecoderLayer {
        TransformerDecoderLayer {
            self_attn: settings.attention(settings.causal),
            multihead_attn: settings.attention(false),
            norm1: settings.norm(),
            norm2: settings.norm(),
            norm3: settings.norm(),
            linear1: settings.linear(settings.d_model, settings.dim_feedforward),
            linear2: settings.linear(settings.dim_feedforward, settings.d_model),
            settings,
        }
    }

    /// With self-attention that may look at all places but for the mask that `run` is given. Parameters are made anew.
    #[track_caller]
    pub fn not_causal(mut self) -> TransformerDecoderLayer {
        self.settings.causal = false;
        TransformerDecoderLayer::made(self.settings)
    }

    /// The result for `x` (`[.., time, d_model]`) and the encoder's result `memory` (`[.., places, d_model]`), with a mask for each attention.
    #[track_caller]
    pub fn run(&self, x: &Tensor, memory: &Tensor, mask: &AttentionMask, memory_mask: &AttentionMask, mode: &Mode) -> Tensor {
        let settings = &self.settings;
        let seen = settings.before(x, &self.norm1, mode);
        let (attended, _) = self.self_attn.run(&seen, &seen, &seen, mask, mode);
        let x = settings.after(x, &attended, &self.norm1, mode);
        let seen = settings.before(&x, &self.norm2, mode);
        let (attended, _) = self.multihead_attn.run(&seen, memory, memory, memory_mask, mode);
        let x = settings.after(&x, &attended, &self.norm2, mode);
        let seen = settings.before(&x, &self.norm3, mode);
        settings.after(&x, &settings.feed_forward(&seen, &self.linear1, &self.linear2, mode), &self.norm3, mode)
    }
}

/// What a decoder says that is asked for a result of one tensor.
#[track_caller]
fn no_memory(name: &str, x: &Tensor) -> Tensor {
    match x.error() {
        Some(_) => x.clone(),
        None => fail(name, "a decoder reads an encoder's result too: call run(x, memory, mask, memory_mask, mode)"),
    }
}

impl Module for TransformerDecoderLayer {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        no_memory("TransformerDecoderLayer", x)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [
            named("self_attn", &self.self_attn),
            named("multihead_attn", &self.multihead_attn),
            named("linear1", &self.linear1),
            named("linear2", &self.linear2),
            named("norm1", &self.norm1),
            named("norm2", &self.norm2),
            named("norm3", &self.norm3),
            named("activation", &*self.settings.activation),
        ]
        .concat()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        named_buffers("activation", &*self.settings.activation)
    }
}

/// Decoder layers one after the other: PyTorch's `TransformerDecoder`. Parameters are named `layers.0..`, `norm..`.
#[derive(Clone, Debug)]
pub struct TransformerDecoder {
    /// The layers, first to last.
    pub layers: Vec<TransformerDecoderLayer>,
    /// Normalises the result; absent by default.
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// So many layers with the options of `layer`. Each has parameters of its own, drawn for itself (PyTorch's begin as copies of one another).
    #[track_caller]
    pub fn new(layer: &TransformerDecoderLayer, num_layers: usize) -> TransformerDecoder {
        let mut layers = Vec::new();
        for _ in 0..num_layers {
            layers.push(TransformerDecoderLayer::made(layer.settings.clone()));
        }
        TransformerDecoder { layers, norm: None }
    }

    /// With a normalisation of the result, which layers with `norm_first` leave to it.
    pub fn norm(mut self, norm: LayerNorm) -> TransformerDecoder {
        self.norm = Some(norm);
        self
    }

    /// The result for `x` (`[.., time, d_model]`) and the encoder's result `memory` (`[.., places, d_model]`), with a mask for each attention.
    #[track_caller]
    pub fn run(&self, x: &Tensor, memory: &Tensor, mask: &AttentionMask, memory_mask: &AttentionMask, mode: &Mode) -> Tensor {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.run(&x, memory, mask, memory_mask, mode);
        }
        match &self.norm {
            Some(norm) => norm.forward(&x, mode),
            None => x,
        }
    }
}

impl Module for TransformerDecoder {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        no_memory("TransformerDecoder", x)
    }

    stack_values!();
}

//! The transformer's encoder, which with a causal mask is a language model's decoder too.

use noyau_tensor::{Param, Tensor};

use super::super::{AttentionMask, LayerNorm, Linear, MultiHeadAttention};
use super::{Settings, named_buffers, options, stack_values, stacked};
use crate::{Mode, Module, named};

/// Self-attention, then two layers for each place by itself, each with a residual connection, dropout and normalisation: `[.., time, d_model]`, batch first.
///
/// Parameters have PyTorch's names: `self_attn..`, `linear1..`, `linear2..`, `norm1..`, `norm2..`.
///
/// Source: Vaswani et al., "Attention is all you need", NeurIPS 2017. PyTorch's `TransformerEncoderLayer` with `batch_first=True`.
#[derive(Clone, Debug)]
pub struct TransformerEncoderLayer {
    /// The attention.
    pub self_attn: MultiHeadAttention,
    /// Normalises for attention.
    pub norm1: LayerNorm,
    /// Normalises for the two layers.
    pub norm2: LayerNorm,
    /// The first of the two layers.
    pub linear1: Linear,
    /// The second of the two layers.
    pub linear2: Linear,
    settings: Settings,
}

options!(TransformerEncoderLayer);

impl TransformerEncoderLayer {
    /// A layer of `d_model` features and so many heads, which must divide them.
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> TransformerEncoderLayer {
        TransformerEncoderLayer::made(Settings::new(d_model, nhead, false))
    }

    #[track_caller]
    fn made(settings: Settings) -> TransformerEncoderLayer {
        TransformerEncoderLayer {
            self_attn: settings.attention(settings.causal),
            norm1: settings.norm(),
            norm2: settings.norm(),
            linear1: settings.linear(settings.d_model, settings.dim_feedforward),
            linear2: settings.linear(settings.dim_feedforward, settings.d_model),
            settings,
        }
    }

    /// Always with the mask [`AttentionMask::causal`], as in language models.
    pub fn causal(mut self) -> TransformerEncoderLayer {
        self.settings.causal = true;
        self.self_attn = self.self_attn.causal();
        self
    }

    /// [`Module::forward`] with a mask.
    #[track_caller]
    pub fn run(&self, x: &Tensor, mask: &AttentionMask, mode: &Mode) -> Tensor {
        let settings = &self.settings;
        let seen = settings.before(x, &self.norm1, mode);
        let (attended, _) = self.self_attn.run(&seen, &seen, &seen, mask, mode);
        let x = settings.after(x, &attended, &self.norm1, mode);
        let seen = settings.before(&x, &self.norm2, mode);
        settings.after(&x, &settings.feed_forward(&seen, &self.linear1, &self.linear2, mode), &self.norm2, mode)
    }
}

impl Module for TransformerEncoderLayer {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.run(x, &AttentionMask::none(), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [
            named("self_attn", &self.self_attn),
            named("linear1", &self.linear1),
            named("linear2", &self.linear2),
            named("norm1", &self.norm1),
            named("norm2", &self.norm2),
            named("activation", &*self.settings.activation),
        ]
        .concat()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        named_buffers("activation", &*self.settings.activation)
    }
}

/// Encoder layers one after the other: PyTorch's `TransformerEncoder`. Parameters are named `layers.0..`, `norm..`.
#[derive(Clone, Debug)]
pub struct TransformerEncoder {
    /// The layers, first to last.
    pub layers: Vec<TransformerEncoderLayer>,
    /// Normalises the result; absent by default.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// So many layers with the options of `layer`. Each has parameters of its own, drawn for itself (PyTorch's begin as copies of one another).
    #[track_caller]
    pub fn new(layer: &TransformerEncoderLayer, num_layers: usize) -> TransformerEncoder {
        let mut layers = Vec::new();
        for _ in 0..num_layers {
            layers.push(TransformerEncoderLayer::made(layer.settings.clone()));
        }
        TransformerEncoder { layers, norm: None }
    }

    /// With a normalisation of the result, which layers with `norm_first` leave to it.
    pub fn norm(mut self, norm: LayerNorm) -> TransformerEncoder {
        self.norm = Some(norm);
        self
    }

    /// [`Module::forward`] with a mask, the same for all layers.
    #[track_caller]
    pub fn run(&self, x: &Tensor, mask: &AttentionMask, mode: &Mode) -> Tensor {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.run(&x, mask, mode);
        }
        match &self.norm {
            Some(norm) => norm.forward(&x, mode),
            None => x,
        }
    }
}

impl Module for TransformerEncoder {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.run(x, &AttentionMask::none(), mode)
    }

    stack_values!();
}

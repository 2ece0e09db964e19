//! Transformer layers and their stacks.

mod decoder;
mod encoder;

pub use decoder::{TransformerDecoder, TransformerDecoderLayer};
pub use encoder::{TransformerEncoder, TransformerEncoderLayer};

use std::fmt;
use std::sync::Arc;

use noyau_tensor::{Param, Tensor};

use super::dropout::dropout;
use super::{LayerNorm, Linear, MultiHeadAttention};
use crate::activation::relu;
use crate::mixed::wide;
use crate::module::named_buffers;
use crate::{Mode, Module};

/// What a layer is made from.
#[derive(Clone)]
struct Settings {
    d_model: usize,
    nhead: usize,
    dim_feedforward: usize,
    dropout: f64,
    activation: Arc<dyn Module>,
    norm_first: bool,
    bias: bool,
    eps: f64,
    causal: bool,
}

impl Settings {
    fn new(d_model: usize, nhead: usize, causal: bool) -> Settings {
        let activation: Arc<dyn Module> = Arc::new(relu);
        Settings { d_model, nhead, dim_feedforward: 2048, dropout: 0.1, activation, norm_first: false, bias: true, eps: 1e-5, causal }
    }

    #[track_caller]
    fn attention(&self, causal: bool) -> MultiHeadAttention {
        let mut attention = MultiHeadAttention::new(self.d_model, self.nhead).dropout(self.dropout);
        if causal {
            attention = attention.causal();
        }
        if self.bias { attention } else { attention.without_bias() }
    }

    #[track_caller]
    fn linear(&self, inputs: usize, outputs: usize) -> Linear {
        let layer = Linear::new(inputs, outputs);
        if self.bias { layer } else { layer.without_bias() }
    }

    #[track_caller]
    fn norm(&self) -> LayerNorm {
        let norm = LayerNorm::new([self.d_model]).eps(self.eps);
        if self.bias { norm } else { norm.without_bias() }
    }

    /// `x` with the result of a part of the layer added: normalised before the part (`norm_first`) or after the sum.
    #[track_caller]
    fn before(&self, x: &Tensor, norm: &LayerNorm, mode: &Mode) -> Tensor {
        if self.norm_first { norm.forward(x, mode) } else { x.clone() }
    }

    /// What each place goes through by itself.
    #[track_caller]
    fn feed_forward(&self, x: &Tensor, linear1: &Linear, linear2: &Linear, mode: &Mode) -> Tensor {
        let hidden = self.activation.forward(&linear1.forward(x, mode), mode);
        linear2.forward(&dropout(&hidden, self.dropout, mode), mode)
    }

    /// The other half of [`Settings::before`].
    #[track_caller]
    fn after(&self, x: &Tensor, part: &Tensor, norm: &LayerNorm, mode: &Mode) -> Tensor {
        // What layers add to is f32 throughout.
        let sum = wide(x) + wide(&dropout(part, self.dropout, mode));
        if self.norm_first { sum } else { norm.forward(&sum, mode) }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("d_model", &self.d_model)
            .field("nhead", &self.nhead)
            .field("dim_feedforward", &self.dim_feedforward)
            .field("dropout", &self.dropout)
            .field("norm_first", &self.norm_first)
            .field("bias", &self.bias)
            .field("eps", &self.eps)
            .field("causal", &self.causal)
            .finish_non_exhaustive()
    }
}

/// The options that encoder and decoder layers share. Those that change parameters make all of them anew.
macro_rules! options {
    ($layer:ident) => {
        impl $layer {
            /// With so many features between the two layers that follow attention; 2048 by default. Parameters are made anew.
            #[track_caller]
            pub fn dim_feedforward(mut self, features: usize) -> $layer {
                self.settings.dim_feedforward = features;
                $layer::made(self.settings)
            }

            /// With another probability of dropout, in attention and after each part; 0.1 by default. Parameters are made anew.
            #[track_caller]
            pub fn dropout(mut self, p: f64) -> $layer {
                self.settings.dropout = p;
                $layer::made(self.settings)
            }

            /// With another activation between the two layers that follow attention, such as `Gelu` or a function of a tensor; relu by default. Its
            /// parameters, if it has any, are those of the layer too.
            pub fn activation(mut self, activation: impl Module + 'static) -> $layer {
                self.settings.activation = std::sync::Arc::new(activation);
                self
            }

            /// With normalisation before each part instead of after each sum, which trains without a warm-up.
            ///
            /// Source: Xiong et al., "On layer normalization in the transformer architecture", ICML 2020.
            pub fn norm_first(mut self) -> $layer {
                self.settings.norm_first = true;
                self
            }

            /// Without biases. Parameters are made anew.
            #[track_caller]
            pub fn without_bias(mut self) -> $layer {
                self.settings.bias = false;
                $layer::made(self.settings)
            }

            /// With another number added to variances in normalisation: PyTorch's `layer_norm_eps`. Parameters are made anew.
            #[track_caller]
            pub fn layer_norm_eps(mut self, eps: f64) -> $layer {
                self.settings.eps = eps;
                $layer::made(self.settings)
            }
        }
    };
}
use options;

/// Parameters and buffers of a stack: `layers.0...`, then `norm...`.
fn stacked<L: Module>(
    layers: &[L],
    norm: Option<&LayerNorm>,
    values: fn(&str, &dyn Module) -> Vec<(String, Param)>,
) -> Vec<(String, Param)> {
    let mut all = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        all.extend(values(&format!("layers.{i}"), layer));
    }
    all.extend(norm.map(|norm| values("norm", norm)).unwrap_or_default());
    all
}

/// What a stack's [`Module`] methods give of its parts.
macro_rules! stack_values {
    () => {
        fn parameters(&self) -> Vec<(String, Param)> {
            stacked(&self.layers, self.norm.as_ref(), named)
        }

        fn buffers(&self) -> Vec<(String, Param)> {
            stacked(&self.layers, self.norm.as_ref(), named_buffers)
        }
    };
}
use stack_values;

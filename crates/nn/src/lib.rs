//! Layers, initialisers, losses, optimizers and learning-rate schedules: all of them tensor expressions that know no device.
//!
//! In the order in which data flows: [`init`] says how parameters begin; [`layers`] and [`activation`] hold them and compute with them,
//! each a [`Module`] whose [`Mode`] says whether it is being trained; [`augment`] moves and changes images while it is; [`loss`] makes one
//! number of predictions and targets, [`LossScaler`] keeps its gradients within what halves hold, [`metrics`] counts what people want to
//! read; [`optim`] writes down the parameters' next values, at the learning rate that a [`Schedule`] gives.
//!
//! Names are PyTorch's where it has one. Nothing here panics or returns a `Result` while a program is being built: a mistake becomes a tensor
//! that carries it, and `eval` and `compile` return it.

#![forbid(unsafe_code)]

pub mod activation;
pub mod augment;
mod fault;
pub mod init;
pub mod layers;
pub mod loss;
pub mod metrics;
mod mixed;
mod module;
pub mod optim;
mod schedule;

pub use activation::{Elu, Gelu, GeluTanh, LeakyRelu, LogSoftmax, Relu, Sigmoid, Sign, Silu, Softmax, Softplus, Step, Tanh};
pub use augment::{
    ColorJitter, GaussianNoise, RandomAffine, RandomCrop, RandomErasing, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip,
    affine_grid, grid_sample,
};
#[doc(hidden)]
pub use fault::on_behalf;
pub use layers::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AttentionMask, AvgPool1d, AvgPool2d, BatchNorm,
    BatchNorm1d, BatchNorm2d, BatchNorm3d, CircularPad1d, CircularPad2d, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Dropout,
    Embedding, Flatten, GlobalAvgPool, GlobalMaxPool, GroupNorm, Gru, InstanceNorm, LayerNorm, LearnedEncoding, Linear, Lstm, MaxPool1d,
    MaxPool2d, MultiHeadAttention, PaddingMode, ReflectionPad1d, ReflectionPad2d, ReplicationPad1d, ReplicationPad2d, Residual, RmsNorm,
    Rnn, Sequential, SinusoidalEncoding, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    Unflatten, Upsample, ZeroPad1d, ZeroPad2d, scaled_dot_product_attention,
};
pub use loss::{
    CrossEntropy, HuberLoss, Loss, bce_with_logits, class_weights, cross_entropy, hinge_loss, huber_loss, l1_loss, l1_penalty, l2_penalty,
    mse_loss, nll_loss,
};
pub use mixed::LossScaler;
pub use module::{Mode, Module, named, named_buffers};
pub use optim::{Accumulate, AdaGrad, Adam, AdamW, Ema, Optimizer, RmsProp, Sgd};
pub use schedule::{OneCycle, Schedule};

// What convolutions and pooling take.
pub use noyau_tensor::{Padding, PoolOptions};

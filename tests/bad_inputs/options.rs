//! Layers, losses, optimizers and schedules that were given what they cannot take.

use noyau::nn::init;
use noyau::prelude::*;

use crate::case::{Refused, Section};

/// A layer's answer to zeros of a shape, in training.
#[track_caller]
fn forward(layer: impl Module, shape: &[usize]) -> Tensor {
    layer.forward(&Tensor::zeros(shape), &Mode::train())
}

pub fn layers() -> Section {
    let cases = vec![
        bad! { "A layer that takes other features than the one before gives",
            what: "layer 2: Linear: the layer takes 6 features", place: "main.rs:1", remedy: "the input [4, 5] has 5 on its last axis",
            code: {
                let model = Sequential::new().then(Linear::new(7, 5)).then(Relu).then(Linear::new(6, 2));
                model.forward(&Tensor::zeros([4, 7]), &Mode::eval())
            }
        },
        bad! { "A convolution that gets an image without channels",
            what: "the input [28, 28] has 2 axes", place: "main.rs:1", remedy: "not 4: [batch, channels, height, width]",
            code: {
                forward(Conv2d::new(1, 8, 3), &[28, 28])
            }
        },
        bad! { "A kernel larger than the image",
            what: "a kernel of [5, 5]", place: "main.rs:1", remedy: "pad more or take a smaller kernel",
            code: {
                forward(Conv2d::new(1, 8, 5), &[1, 1, 4, 4])
            }
        },
        bad! { "Groups that do not divide the channels",
            what: "6 channels do not divide into 4 groups", place: "GroupNorm", remedy: "take a number that divides them",
            code: {
                forward(GroupNorm::new(4, 6), &[2, 6, 5])
            }
        },
        bad! { "Heads that do not divide the features",
            what: "10", place: "MultiHeadAttention", remedy: "divide",
            code: {
                forward(MultiHeadAttention::new(10, 4), &[2, 3, 10])
            }
        },
        bad! { "Dropout of more than everything",
            what: "the probability 1.5", place: "Dropout", remedy: "does not lie in 0..=1",
            code: {
                forward(Dropout(1.5), &[4, 7])
            }
        },
        bad! { "Batch norm of one value a channel",
            what: "has 1 values a channel", place: "BatchNorm", remedy: "training needs at least 2",
            code: {
                forward(BatchNorm::new(3), &[1, 3])
            }
        },
        bad! { "Tokens that are no integers",
            what: "the input is f32[2, 8]", place: "main.rs:1", remedy: "indices of type u32 or i32",
            code: {
                forward(Embedding::new(100, 16), &[2, 8])
            }
        },
        bad! { "An initialiser with its bounds the wrong way round",
            what: "the lower bound 1 is above the upper bound 0", place: "init::uniform", remedy: "swap them",
            code: {
                forward(Linear::new(2, 3).init(init::uniform(1.0, 0.0)), &[1, 2])
            }
        },
        bad! { "Labels of another number than there are samples",
            what: "cross_entropy", place: "main.rs:2", remedy: "[4]",
            code: {
                let (logits, labels) = (Tensor::zeros([4, 3]), Tensor::full([5], Scalar::Uint(0)));
                cross_entropy(&logits, &labels)
            }
        },
        bad! { "A prediction and a target of different shapes",
            what: "the prediction [8, 1] and the target [8] differ in shape", place: "main.rs:1", remedy: "reshape one of them",
            code: {
                mse_loss(&Tensor::zeros([8, 1]), &Tensor::zeros([8]))
            }
        },
        bad! { "Label smoothing beyond its range",
            what: "label smoothing 1.5", place: "main.rs:2", remedy: "0..=1",
            code: {
                let labels = Tensor::full([4], Scalar::Uint(0));
                CrossEntropy::new().label_smoothing(1.5).loss(&Tensor::zeros([4, 3]), &labels)
            }
        },
    ];
    Section { title: "Layers and losses", words: "`forward(layer, shape)` gives a layer zeros of that shape, in training.", cases }
}

/// What a step with this optimizer is told when it is compiled.
fn step(optimizer: impl Optimizer) -> impl Refused {
    let w = Param::scalar("w", 2.0);
    let updates = optimizer.step(&w.square(), &[("w".to_string(), w.clone())]);
    Session::new(Device::cpu()).compile([], |[]| Step::default().updates(updates))
}

pub fn optimizers() -> Section {
    let cases = vec![
        bad! { "A learning rate that is not positive",
            what: "-0.1", place: "learning rate", remedy: "is not a positive number",
            code: {
                step(Sgd::new(-0.1))
            }
        },
        bad! { "A learning rate that is no number",
            what: "NaN", place: "learning rate", remedy: "is not a positive number",
            code: {
                step(Adam::new(f64::NAN))
            }
        },
        bad! { "A learning rate that f32 cannot hold",
            what: "1e-60", place: "learning rate", remedy: "is too small for f32",
            code: {
                step(Sgd::new(1e-60))
            }
        },
        bad! { "A momentum of 1 or more",
            what: "1.5", place: "momentum", remedy: "does not lie in 0 <= value < 1",
            code: {
                step(Sgd::new(0.1).momentum(1.5))
            }
        },
        bad! { "Nesterov's momentum without momentum",
            what: "Nesterov's momentum needs a momentum above 0", place: "nesterov", remedy: "set one with .momentum(0.9)",
            code: {
                step(Sgd::new(0.1).nesterov(true))
            }
        },
        bad! { "A decay of Adam's means of 1",
            what: "1", place: "betas", remedy: "does not lie in 0 <= value < 1",
            code: {
                step(Adam::new(0.001).betas(0.9, 1.0))
            }
        },
        bad! { "A negative weight decay",
            what: "-1", place: "weight_decay", remedy: "at least 0",
            code: {
                step(AdamW::new(0.001).weight_decay(-1.0))
            }
        },
        bad! { "Gradients clipped to nothing",
            what: "0", place: "clip_norm", remedy: "is not a positive number",
            code: {
                step(Sgd::new(0.1).clip_norm(0.0))
            }
        },
        bad! { "A schedule over no steps",
            what: "0 is too few", place: "learning rate", remedy: "at least 1 is needed",
            code: {
                step(Sgd::new(Schedule::cosine(0.1, 0.0, 0)))
            }
        },
        bad! { "A share of the steps above 1",
            what: "1.5", place: "pct_start", remedy: "does not lie in 0..=1",
            code: {
                step(Sgd::new(OneCycle::new(0.1, 100).pct_start(1.5)))
            }
        },
        bad! { "Nothing to update",
            what: "there are no parameters to update", place: "optimizer", remedy: "give it those of a model that has some",
            code: {
                let updates = Sgd::new(0.1).step(&Tensor::zeros([]), &[]);
                Session::new(Device::cpu()).compile([], |[]| Step::default().updates(updates))
            }
        },
    ];
    Section {
        title: "Optimizers and schedules",
        words: "`step(optimizer)` compiles a training step with it. Nothing has been computed when it is refused.",
        cases,
    }
}

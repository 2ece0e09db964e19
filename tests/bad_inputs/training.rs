//! Trainings that cannot begin, and weights of another model.

use noyau::prelude::*;

use crate::case::Section;

/// Thirty samples of two features, in three classes.
fn data() -> Dataset {
    let x: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<u32> = (0..30).map(|i| i % 3).collect();
    Dataset::new(&Array::new([30, 2], &x).unwrap(), &Array::new([30], &y).unwrap()).unwrap().with_classes(3).unwrap()
}

/// A network of one hidden layer for them.
fn model(hidden: usize, outputs: usize) -> Sequential {
    Sequential::new().then(Linear::new(2, hidden)).then(Tanh).then(Linear::new(hidden, outputs))
}

fn trainer(model: impl Module + 'static) -> Trainer {
    Trainer::new(Device::cpu(), model).seed(1)
}

/// The file that this model's trainer saves before its training.
fn saved(model: impl Module + 'static, path: &str) {
    trainer(model).save(path).unwrap();
}

pub fn trainings() -> Section {
    let cases = vec![
        bad! { "A model of other outputs than there are classes",
            what: "its output for one sample is [1, 2], but the data has 3 classes", place: "model", remedy: "it must be [1, 3]",
            code: {
                trainer(model(5, 2)).fit(&data(), Fit::epochs(1))
            }
        },
        bad! { "A model that takes other samples",
            what: "the layer takes 7 features", place: "layer 0: Linear", remedy: "the input [1, 2] has 2 on its last axis",
            code: {
                trainer(Sequential::new().then(Linear::new(7, 3))).fit(&data(), Fit::epochs(1))
            }
        },
        bad! { "A model without parameters",
            what: "no parameters", place: "optimizer", remedy: "give it those of a model that has some",
            code: {
                trainer(|x: &Tensor| x.matmul(&Tensor::ones([2, 3]))).fit(&data(), Fit::epochs(1))
            }
        },
        bad! { "A loss that is no scalar",
            what: "the loss must be a scalar of f32, not f32[30, 3]", place: "main.rs:1", remedy: "reduce it with .sum() or .mean()",
            code: {
                let loss = |out: &Tensor, _: &Tensor| out.square();
                trainer(model(5, 3)).loss(loss).fit(&data(), Fit::epochs(1))
            }
        },
        bad! { "A batch of nothing, in a training",
            what: "a batch of 0 samples was asked for", place: "batch_size", remedy: "it must hold at least 1",
            code: {
                trainer(model(5, 3)).fit(&data(), Fit::epochs(1).batch_size(0))
            }
        },
        bad! { "A logarithm of a negative number",
            what: "log of f32[] was the first operation to give NaN", place: "main.rs:1", remedy: "look at the data",
            code: {
                let loss = |out: &Tensor, _: &Tensor| (1.0 - out.exp().mean() * 0.5).log();
                trainer(model(5, 3)).loss(loss).optimizer(Sgd::new(5.0)).fit(&data(), Fit::epochs(200).batch_size(10))
            }
        },
        bad! { "A learning rate that is far too high",
            what: "inf", place: "of epoch 1", remedy: "learning rate", cut: "of epoch 1",
            code: {
                let loss = |out: &Tensor, _: &Tensor| out.square().square().sum();
                trainer(model(5, 3)).loss(loss).optimizer(Sgd::new(1e6)).fit(&data(), Fit::epochs(100).batch_size(10))
            }
        },
    ];
    Section {
        title: "Trainings",
        words: "`data()` has thirty samples of two features in three classes; `model(hidden, outputs)` is a network of one hidden layer that takes them.",
        cases,
    }
}

pub fn weights() -> Section {
    let cases = vec![
        bad! { "Weights of a model of other sizes",
            what: "`0.weight` is f32[4, 2], the model's is f32[5, 2]", place: "four.safetensors", remedy: "the file is of a model with other sizes",
            code: {
                saved(model(4, 3), "four.safetensors");
                trainer(model(5, 3)).load("four.safetensors")
            }
        },
        bad! { "Weights of a model of other layers",
            what: "has no tensor `1.weight`, which the model needs", place: "one.safetensors", remedy: "0.weight",
            code: {
                saved(Sequential::new().then(Linear::new(2, 3)), "one.safetensors");
                trainer(Sequential::new().then(Relu).then(Linear::new(2, 3))).load("one.safetensors")
            }
        },
        bad! { "Weights that are not there",
            what: "cannot read: No such file or directory", place: "nothing.safetensors", remedy: "check the path",
            code: {
                trainer(model(5, 3)).load("nothing.safetensors")
            }
        },
        bad! { "Weights that were not copied to their end",
            what: "the file has been cut short", place: "half.safetensors", remedy: "use an earlier checkpoint or fetch the file again",
            code: {
                saved(model(5, 3), "half.safetensors");
                let bytes = std::fs::read("half.safetensors").unwrap();
                std::fs::write("half.safetensors", &bytes[..bytes.len() - 40]).unwrap();
                trainer(model(5, 3)).load("half.safetensors")
            }
        },
        bad! { "A folder where a file should be saved",
            what: "is there and is no ordinary file", place: "weights", remedy: "it would be replaced",
            code: {
                std::fs::create_dir("weights").unwrap();
                trainer(model(5, 3)).save("weights")
            }
        },
    ];
    Section { title: "Weights", words: "A load that fails changes nothing in the model.", cases }
}

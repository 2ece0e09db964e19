//! Checkpoints that a training cannot go on from.

use std::fs;

use noyau::formats::safetensors;
use noyau::prelude::*;

use crate::case::Section;

/// Thirty samples of two features, in three classes.
fn data() -> Dataset {
    let x: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let y: Vec<u32> = (0..30).map(|i| i % 3).collect();
    Dataset::new(&Array::new([30, 2], &x).unwrap(), &Array::new([30], &y).unwrap()).unwrap()
}

fn trainer(hidden: usize, seed: u64) -> Trainer {
    let model = Sequential::new().then(Linear::new(2, hidden)).then(Tanh).then(Linear::new(hidden, 3));
    Trainer::new(Device::cpu(), model).seed(seed)
}

/// A training of two epochs with checkpoints in the folder `run`, which had none before.
fn trained() {
    fs::remove_dir_all("run").ok();
    trainer(5, 1).fit(&data(), fit(2)).unwrap();
}

fn fit<'a>(epochs: usize) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(10).checkpoint(Checkpoints::new("run").keep_last(2)).resume(true)
}

/// Changes what the newest checkpoint says of itself.
fn described(from: &str, to: &str) {
    let file = safetensors::load("run/checkpoint-000000006.safetensors").unwrap();
    let mut metadata = file.metadata;
    let text = metadata["checkpoint"].replace(from, to);
    metadata.insert("checkpoint".into(), text);
    let tensors: Vec<_> = file.tensors.into_iter().collect();
    safetensors::save("run/checkpoint-000000006.safetensors", &tensors, &metadata).unwrap();
}

pub fn section() -> Section {
    let cases = vec![
        bad! { "Another seed than before",
            what: "seed 1 in the file, 2 here", place: "run/checkpoint-000000006.safetensors", remedy: "give the same settings, or begin anew in another folder",
            code: {
                trained();
                trainer(5, 2).fit(&data(), fit(4))
            }
        },
        bad! { "A model of other sizes than before",
            what: "it is of a model with other sizes", place: "run/checkpoint-000000006.safetensors: `0.weight`", remedy: "is f32[5, 2] in it, and f32[7, 2] here",
            code: {
                trained();
                trainer(7, 1).fit(&data(), fit(4))
            }
        },
        bad! { "A new training in a folder that has checkpoints",
            what: "checkpoint", place: "run", remedy: "resume",
            code: {
                trained();
                trainer(5, 1).fit(&data(), fit(4).resume(false))
            }
        },
        bad! { "Other samples than before",
            what: "training samples 30 in the file, 20 here", place: "run/checkpoint-000000006.safetensors", remedy: "give the same settings",
            code: {
                trained();
                trainer(5, 1).fit(&data().subset(0..20).unwrap(), fit(4))
            }
        },
        bad! { "A checkpoint of a later version of noyau",
            what: "it is of version 2, this library reads version 1", place: "run/checkpoint-000000006.safetensors", remedy: "use the library that wrote it, or a newer one",
            code: {
                trained();
                described("\"version\":1", "\"version\":2");
                Checkpoint::open("run/checkpoint-000000006.safetensors")
            }
        },
        bad! { "A checkpoint with a changed weight",
            what: "its values have the checksum", place: "run/checkpoint-000000006.safetensors", remedy: "it is damaged; use an earlier one", cut: "the checksum",
            code: {
                trained();
                let mut bytes = fs::read("run/checkpoint-000000006.safetensors").unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write("run/checkpoint-000000006.safetensors", bytes).unwrap();
                Checkpoint::open("run/checkpoint-000000006.safetensors")
            }
        },
        bad! { "Weights where a checkpoint was expected",
            what: "it is no checkpoint", place: "weights.safetensors", remedy: "Trainer::load takes weights from it",
            code: {
                trainer(5, 1).save("weights.safetensors").unwrap();
                trainer(5, 1).fit(&data(), Fit::epochs(2).resume_from("weights.safetensors"))
            }
        },
        bad! { "A folder of nothing but damaged checkpoints",
            what: "none of its 2 checkpoints can be read", place: "run: ", remedy: "begin anew in another folder", cut: "can be read: ",
            code: {
                trained();
                for step in [3, 6] {
                    fs::write(format!("run/checkpoint-00000000{step}.safetensors"), "cut").unwrap();
                }
                trainer(5, 1).fit(&data(), fit(4))
            }
        },
    ];
    Section {
        title: "Checkpoints",
        words: "`trained()` trains for two epochs of three steps with checkpoints in the folder `run`; `trainer(hidden, seed)` is a trainer of a network of one hidden \
                layer, `fit(epochs)` goes on from there, and `described(from, to)` changes the newest checkpoint's description of itself.",
        cases,
    }
}

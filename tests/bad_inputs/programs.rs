//! The example that trains on MNIST, as a program.

use std::fs;
use std::process::Output;

use noyau::prelude::*;

use crate::case::Section;
use crate::programs::program;

fn mnist(arguments: &[&str]) -> Output {
    program("mnist").args(arguments).output().expect("the program starts")
}

pub fn section() -> Section {
    let cases = vec![
        bad! { "A folder that is not there",
            what: "cannot read: No such file or directory", place: "no/such/folder", remedy: "check the path",
            code: {
                mnist(&["--data", "no/such/folder"])
            }
        },
        bad! { "A folder without the set's files",
            what: "no file *train-images*idx3-ubyte[.gz]", place: "downloads", remedy: "the set's four files belong there",
            code: {
                fs::create_dir_all("downloads").unwrap();
                mnist(&["--data", "downloads"])
            }
        },
        bad! { "A device that is none",
            what: "no such device", place: "cuda", remedy: "write auto, cpu, gpu or gpu:N",
            code: {
                mnist(&["--device", "cuda"])
            }
        },
        bad! { "A number that is none",
            what: "invalid value 'fast'", place: "--learning-rate", remedy: "try '--help'",
            code: {
                mnist(&["--learning-rate", "fast"])
            }
        },
        bad! { "A network that the program does not have",
            what: "invalid value 'rnn'", place: "--model", remedy: "possible values: mlp, cnn",
            code: {
                mnist(&["--model", "rnn"])
            }
        },
        bad! { "Resuming from nowhere",
            what: "--checkpoints <DIR>", place: "--resume", remedy: "required",
            code: {
                mnist(&["--resume"])
            }
        },
        bad! { "An option that belongs to another optimizer",
            what: "--momentum", place: "adam", remedy: "sgd",
            code: {
                mnist(&["--model", "cnn", "--momentum", "0.9"])
            }
        },
        bad! { "Weights of another network",
            what: "has no tensor `1.weight`, which the model needs", place: "other.safetensors", remedy: "is it another model's file?",
            code: {
                let other = Sequential::new().then(Linear::new(2, 3));
                Trainer::new(Device::cpu(), other).save("other.safetensors").unwrap();
                mnist(&["--load", "other.safetensors", "--device", "cpu"])
            }
        },
    ];
    Section {
        title: "The command line of the example `mnist`",
        words: "`mnist(arguments)` runs the program; it ends with code 1 and, but for help on its options, one line.",
        cases,
    }
}

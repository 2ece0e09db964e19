//! A residual network of 20 layers that learns to read digits.
//!
//!     cargo run --release --example resnet

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/files.rs"]
mod files;
#[path = "../common/fit.rs"]
mod fit;
mod model;
#[path = "../common/numbers.rs"]
mod numbers;

use std::process::ExitCode;

use clap::Parser;
use noyau::prelude::*;

/// Trains ResNet-20, a residual network with batch normalisation, on MNIST.
#[derive(Parser)]
#[command(name = "resnet", allow_negative_numbers = true)]
struct Options {
    #[command(flatten)]
    training: fit::Training,
}

fn main() -> ExitCode {
    common::start(|options: Options| {
        let model = |_: &Shape, classes| model::ResNet::new(3, classes);
        // The paper's optimizer, but for the course of its rate.
        fit::train(&options.training, model, 0.1, |rate| Sgd::new(rate).momentum(0.9).weight_decay(1e-4))
    })
}

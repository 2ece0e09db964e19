//! A transformer that learns to read digits, one row of pixels after the other.
//!
//!     cargo run --release --example transformer

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

/// Trains a transformer encoder of four layers on MNIST: an image is a text of 28 words, its rows.
#[derive(Parser)]
#[command(name = "transformer", allow_negative_numbers = true)]
struct Options {
    #[command(flatten)]
    training: fit::Training,
}

fn main() -> ExitCode {
    common::start(|options: Options| {
        // An image's shape is its rows and columns.
        let model = |image: &Shape, classes| model::Classifier::new(image[0], image[1], classes);
        fit::train(&options.training, model, 0.002, |rate| AdamW::new(rate).weight_decay(0.05))
    })
}

//! An auto-encoder: a network that draws digits again from a few numbers, and what lies between two digits.
//!
//!     cargo run --release --example autoencoder -- --help

#[path = "../common/chart.rs"]
#[allow(dead_code)] // No curves: only the picture and its words.
mod chart;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/files.rs"]
mod files;
#[path = "../common/numbers.rs"]
#[allow(dead_code)] // Nothing may be 0 here.
mod numbers;
mod picture;
#[path = "../common/tile.rs"]
mod tile;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use files::check_target;
use noyau::prelude::*;

/// Trains an auto-encoder on MNIST: one half of it makes a short code of an image, the other draws the image from the code.
#[derive(Parser)]
#[command(name = "autoencoder", allow_negative_numbers = true)]
struct Options {
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// How often to go through the training images
    #[arg(long, default_value_t = 10, value_parser = numbers::some)]
    epochs: usize,
    /// Images to learn from
    #[arg(long, default_value_t = 20_000, value_parser = numbers::some)]
    images: usize,
    /// How many numbers the code of an image has
    #[arg(long, default_value_t = 16, value_parser = numbers::some)]
    code: usize,
    /// The learning rate
    #[arg(long, default_value_t = 0.002, value_parser = numbers::rate)]
    learning_rate: f64,
    /// Where initial weights and the order of the images come from
    #[arg(long, default_value_t = 0, value_parser = numbers::seed)]
    seed: u64,
    /// A folder with the four files of MNIST, or of a set that comes in such files
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/mnist"), hide_default_value = true)]
    data: PathBuf,
    /// Where to draw
    #[arg(long, value_name = "FILE", default_value = "autoencoder.svg")]
    picture: PathBuf,
}

/// Test images that are looked at after each epoch.
const TEST: usize = 2000;
/// Neurons between an image and its code, and between the code and the image.
const HIDDEN: usize = 256;

fn main() -> ExitCode {
    common::start(run)
}

/// Two networks, one after the other; the decoder is used by itself too.
struct AutoEncoder {
    encoder: Sequential,
    decoder: Sequential,
}

impl AutoEncoder {
    fn new(pixels: usize, code: usize) -> AutoEncoder {
        let encoder = Sequential::new().then(Linear::new(pixels, HIDDEN)).then(Relu).then(Linear::new(HIDDEN, code));
        // Pixels are from 0 to 1, and so is what a sigmoid gives.
        let decoder = Sequential::new().then(Linear::new(code, HIDDEN)).then(Relu).then(Linear::new(HIDDEN, pixels)).then(Sigmoid);
        AutoEncoder { encoder, decoder }
    }
}

impl Module for AutoEncoder {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.decoder.forward(&self.encoder.forward(x, mode), mode)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        [named("encoder", &self.encoder), named("decoder", &self.decoder)].concat()
    }
}

fn run(options: Options) -> anyhow::Result<()> {
    check_target(&options.picture)?;
    let mnist = Mnist::open(&options.data)?;
    let (train, test) = (themselves(&mnist.train, options.images)?, themselves(&mnist.test, TEST)?);
    let device = Device::choose(options.device)?;
    let pixels = mnist.train.sample_shape().numel();
    let model = AutoEncoder::new(pixels, options.code);
    // Clones of a network share its weights.
    let halves = (model.encoder.clone(), model.decoder.clone());
    let mut trainer = Trainer::new(device.clone(), model).loss(mse_loss).optimizer(Adam::new(options.learning_rate)).seed(options.seed);
    say!("{pixels} pixels - {HIDDEN} - {} - {HIDDEN} - {pixels} pixels: {} parameters", options.code, trainer.parameters());
    say!("{} images to learn from, {} to test with, on {}\n", train.len(), test.len(), device.adapter());
    say!("{:>6} {:>12} {:>11}", "epoch", "train loss", "test loss");
    let mut written = Ok(());
    let fit = Fit::epochs(options.epochs).batch_size(100).validate(&test).on_epoch(|e| {
        let line = || -> anyhow::Result<()> {
            say!("{:>6} {:>12.5} {:>11.5}", e.epoch, e.train_loss, e.test_loss.unwrap_or(f64::NAN));
            Ok(())
        };
        // The first line that could not be written is the one to tell of.
        if let (Ok(()), Err(error)) = (&written, line()) {
            written = Err(error);
        }
    });
    trainer.fit(&train, fit)?;
    written?;
    if let Some(scores) = trainer.evaluate(&test)?.regression {
        say!("\nOf {pixels} numbers {} are left. A pixel drawn from them is off by {:.4} on average.", options.code, scores.mae);
    }
    picture::draw(&options.picture, options.code, &mnist.test, &mut trainer, &halves)?;
    say!("{} shows images, what was drawn from their codes, and what lies between two of them.", options.picture.display());
    Ok(())
}

/// The first images, each as a row of pixels, and as the target that is to come out for it.
fn themselves(images: &Dataset, count: usize) -> anyhow::Result<Dataset> {
    let count = count.min(images.len());
    let indices: Vec<u32> = (0..count as u32).collect();
    let rows: Vec<f32> = images.batch(&indices)?.x.to_vec()?;
    let rows = Array::new([count, images.sample_shape().numel()], &rows)?;
    Ok(Dataset::new(&rows, &rows)?)
}

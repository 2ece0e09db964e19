//! Classifies points in the plane by a small network, and draws what it made of them: TensorFlow Playground in a terminal.
//!
//!     cargo run --release --example points -- --data spiral --features "x1,x2,sin x1,sin x2" --hidden 16,16 --epochs 200

#[path = "../common/chart.rs"]
mod chart;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/files.rs"]
mod files;
mod network;
#[path = "../common/numbers.rs"]
mod numbers;
mod options;
mod picture;

use std::process::ExitCode;

use anyhow::ensure;
use noyau::prelude::*;

use files::check_target;
use options::{Feature, Options, Regularization};

fn main() -> ExitCode {
    common::start(run)
}

fn run(options: Options) -> anyhow::Result<()> {
    check_target(&options.save_picture)?;
    let penalty = options.penalty()?;
    ensure!(options.samples >= 2, "--samples {}: half of the points are for testing, so there must be at least 2", options.samples);
    let (train, test) = options.data.generate(options.samples, options.noise, options.seed)?.split(0.5, options.seed)?;
    let device = Device::choose(options.device)?;
    let outputs = train.classes().unwrap_or(1);
    let model = network::model(&options, outputs);

    // Biases move the network's lines about and do no harm when they are large.
    let weights: Vec<(String, Param)> = model.parameters().into_iter().filter(|(name, _)| name.ends_with("weight")).collect();
    let mut trainer = Trainer::new(device.clone(), model)
        .loss(move |output: &Tensor, target: &Tensor| {
            let loss = if outputs > 1 { cross_entropy(output, target) } else { mse_loss(output, target) };
            match penalty {
                Some((Regularization::L1, rate)) => loss + l1_penalty(&weights) * rate,
                Some((_, rate)) => loss + l2_penalty(&weights) * rate,
                None => loss,
            }
        })
        .optimizer(options.optimizer())
        .seed(options.seed);

    let layers: Vec<String> = options.hidden.0.iter().chain([&outputs]).map(usize::to_string).collect();
    let features: Vec<String> = options.features.iter().map(Feature::to_string).collect();
    let network =
        format!("({}) - {}, {:?}, {} parameters", features.join(", "), layers.join(" - "), options.activation, trainer.parameters());
    say!("points   {}: {} to train on, {} to test on, noise {}", options.data, train.len(), test.len(), options.noise);
    say!("network  {}", network.to_lowercase());
    say!("device   {}: {}\n", device.name(), device.adapter());
    say!("{:>6} {:>12} {:>11} {:>12} {:>11}", "epoch", "train loss", "test loss", "train right", "test right");

    let every = options.epochs.div_ceil(10).max(1);
    let mut written = Ok(());
    let fit = Fit::epochs(options.epochs).batch_size(options.batch_size).validate(&test).on_epoch(|e| {
        if written.is_ok() && (e.epoch == 1 || e.epoch % every == 0 || e.epoch == options.epochs) {
            written = row(e);
        }
    });
    let history = trainer.fit(&train, fit)?;
    written?;

    let result = trainer.evaluate(&test)?;
    let seconds = history.epochs.iter().fold(0.0, |sum, e| sum + e.seconds);
    let headline = match result.accuracy {
        Some(_) => format!("{}: {} of the test points right", options.data, percent(result.accuracy)),
        None => format!("{}: test loss {:.4}", options.data, result.loss),
    };
    say!("\n{headline}, {} epochs in {seconds:.2} s", options.epochs);
    picture::draw(&options.save_picture, &headline, &network.to_lowercase(), &history, &mut trainer, [&train, &test])?;
    say!("picture in {}", options.save_picture.display());
    Ok(())
}

fn row(e: &EpochRecord) -> anyhow::Result<()> {
    let test_loss = e.test_loss.unwrap_or(f64::NAN);
    say!("{:>6} {:>12.4} {test_loss:>11.4} {:>12} {:>11}", e.epoch, e.train_loss, percent(e.train_accuracy), percent(e.test_accuracy));
    Ok(())
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{:.1} %", share * 100.0))
}

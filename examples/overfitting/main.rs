//! Overfitting made visible: a network that is too large for few images learns them by heart, and five remedies.
//!
//!     cargo run --release --example overfitting -- --help

#[path = "../common/chart.rs"]
#[allow(dead_code)] // Its curves stop at an axis of their own, so they are not drawn by `curves`.
mod chart;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/files.rs"]
mod files;
#[path = "../common/numbers.rs"]
#[allow(dead_code)] // No learning rate.
mod numbers;

use std::path::PathBuf;
use std::process::ExitCode;

use chart::{BLUE, Curve, GREY, INK, ORANGE};
use clap::Parser;
use files::check_target;
use noyau::prelude::*;
use plotters::prelude::*;

/// Trains one network on few images of MNIST six times, and draws how well each knows them and how well it does on others.
#[derive(Parser)]
#[command(name = "overfitting")]
struct Options {
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// How often to go through the training images
    #[arg(long, default_value_t = 40, value_parser = numbers::some)]
    epochs: usize,
    /// Images to learn from
    #[arg(long, default_value_t = 1000, value_parser = numbers::some)]
    images: usize,
    /// Where initial weights and the order of the images come from
    #[arg(long, default_value_t = 0, value_parser = numbers::seed)]
    seed: u64,
    /// A folder with the four files of MNIST
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/mnist"), hide_default_value = true)]
    data: PathBuf,
    /// Where to draw
    #[arg(long, value_name = "FILE", default_value = "overfitting.svg")]
    picture: PathBuf,
}

/// Test images that are looked at after each epoch.
const TEST: usize = 2000;
/// Epochs without a better result after which training is stopped early.
const PATIENCE: usize = 6;

/// What keeps a network from learning by heart.
#[derive(Clone, Copy, PartialEq)]
enum Remedy {
    Nothing,
    L1,
    L2,
    Dropout,
    EarlyStopping,
    Augmentation,
}

/// A training's accuracies, epoch by epoch.
#[derive(Clone)]
struct Trained {
    title: &'static str,
    train: Vec<f64>,
    test: Vec<f64>,
}

impl Trained {
    /// The epoch, from 1, with the best result on the test images, and that result.
    fn best(&self) -> (usize, f64) {
        let better = |best: (usize, f64), (i, &value): (usize, &f64)| if value > best.1 { (i + 1, value) } else { best };
        self.test.iter().enumerate().fold((0, 0.0), better)
    }
}

fn main() -> ExitCode {
    common::start(run)
}

fn run(options: Options) -> anyhow::Result<()> {
    check_target(&options.picture)?;
    let mnist = Mnist::open(&options.data)?;
    let train = mnist.train.subset(0..options.images.min(mnist.train.len()))?;
    let test = mnist.test.subset(0..TEST.min(mnist.test.len()))?;
    let device = Device::choose(options.device)?;
    let parameters: usize = network(Remedy::Nothing).parameters().iter().map(|(_, p)| p.numel()).sum();
    say!("A network of {parameters} weights learns from {} images: more than enough to know each of them by heart.", train.len());
    say!("What counts is how it does on {} other images. (computed on {})\n", test.len(), device.adapter());
    say!("{:<18} {:>10} {:>10} {:>10}", "", "train", "test", "best test");

    let plan = [
        (Remedy::Nothing, "No regularisation"),
        (Remedy::L1, "L1 penalty"),
        (Remedy::L2, "L2 penalty"),
        (Remedy::Dropout, "Dropout"),
        (Remedy::EarlyStopping, "Early stopping"),
        (Remedy::Augmentation, "Augmentation"),
    ];
    let mut all = Vec::new();
    for (remedy, title) in plan {
        let trained = learn(&options, &device, &train, &test, remedy, title)?;
        line(&trained)?;
        all.push(trained);
    }

    explain(&all)?;
    draw(&options, &all)?;
    say!("\n{} shows the curves.", options.picture.display());
    Ok(())
}

/// What each remedy does, and what this run's figures say of it.
fn explain(all: &[Trained]) -> anyhow::Result<()> {
    say!("\nThe distance between train and test is overfitting; what a network is worth is its result on images that it has not seen.");
    say!("- L1 and L2 penalties make large weights expensive.");
    say!("- Dropout leaves out half of the neurons at each step, so that none can rely on a single other one.");
    say!("- Early stopping ends the training once {PATIENCE} epochs have brought no better test result.");
    say!("- Augmentation turns, shifts and scales each image a little, anew at each step.");
    say!("Train is measured while training: with neurons left out, and on the images as augmented. Test is not.");
    say!("The best test result is chosen on the test images themselves, so it flatters: real work keeps a third set for the last word.");
    let Some((plain, rest)) = all.split_first() else { return Ok(()) };
    say!(
        "\nBest test result in this run, against {:.2} % without regularisation (one seed; small distances mean little):",
        plain.best().1 * 100.0
    );
    for trained in rest {
        say!("  {:<16} {:+.2} points", trained.title, (trained.best().1 - plain.best().1) * 100.0);
    }
    Ok(())
}

fn line(trained: &Trained) -> anyhow::Result<()> {
    let last = |values: &[f64]| values.last().copied().unwrap_or(0.0) * 100.0;
    let (epoch, best) = trained.best();
    say!(
        "{:<18} {:>8.2} % {:>8.2} % {:>8.2} % in epoch {epoch} of {}",
        trained.title,
        last(&trained.train),
        last(&trained.test),
        best * 100.0,
        trained.test.len()
    );
    Ok(())
}

fn network(remedy: Remedy) -> Sequential {
    let mut net = Sequential::new();
    if remedy == Remedy::Augmentation {
        net = net.then(Unflatten::new(1, [1, 28])).then(RandomAffine::new(10.0).translate(0.08, 0.08).scale(0.9, 1.1));
    }
    net = net.then(Flatten).then(Linear::new(784, 512)).then(Relu);
    if remedy == Remedy::Dropout {
        net = net.then(Dropout(0.5));
    }
    net = net.then(Linear::new(512, 256)).then(Relu);
    if remedy == Remedy::Dropout {
        net = net.then(Dropout(0.5));
    }
    net.then(Linear::new(256, 10))
}

fn learn(
    options: &Options,
    device: &Device,
    train: &Dataset,
    test: &Dataset,
    remedy: Remedy,
    title: &'static str,
) -> anyhow::Result<Trained> {
    let net = network(remedy);
    let weights: Vec<(String, Param)> = net.parameters().into_iter().filter(|(path, _)| path.ends_with("weight")).collect();
    let loss = move |logits: &Tensor, labels: &Tensor| {
        let loss = cross_entropy(logits, labels);
        match remedy {
            Remedy::L1 => loss + l1_penalty(&weights) * 1e-4,
            Remedy::L2 => loss + l2_penalty(&weights) * 1e-3,
            _ => loss,
        }
    };
    let mut trainer = Trainer::new(device.clone(), net).loss(loss).optimizer(Adam::new(1e-3)).seed(options.seed);
    let mut fit = Fit::epochs(options.epochs).batch_size(50).validate(test);
    if remedy == Remedy::EarlyStopping {
        fit = fit.callback(EarlyStopping::new("test_accuracy").patience(PATIENCE));
    }
    let history = trainer.fit(train, fit)?;
    let of = |part: fn(&EpochRecord) -> Option<f64>| history.epochs.iter().filter_map(part).collect();
    Ok(Trained { title, train: of(|e| e.train_accuracy), test: of(|e| e.test_accuracy) })
}

fn draw(options: &Options, all: &[Trained]) -> anyhow::Result<()> {
    // The same axes for all, high enough that the distances are seen: the first epochs may lie below.
    let low = all.iter().map(|t| t.best().1).fold(1.0, f64::min);
    let low = ((low * 10.0 - 1.0).floor() / 10.0).max(0.0);
    chart::save(&options.picture, (1200, 780), |area| {
        chart::text(area, "Overfitting: accuracy on the images that a network learns from, and on others", (20, 12), 22, &INK)?;
        let words = format!(
            "{} images to learn from, {TEST} others to test with; circle: best test result; what lies below the axis is not drawn",
            options.images
        );
        chart::text(area, &words, (20, 42), 15, &GREY)?;
        let (_, panels) = area.split_vertically(68);
        for (panel, trained) in panels.split_evenly((2, 3)).iter().zip(all) {
            let (epoch, best) = trained.best();
            let mut axes = chart::axes(panel, trained.title, 0..options.epochs as i32, low..1.005, |y| format!("{:.0} %", y * 100.0))?;
            for (name, color, values) in [("train", BLUE, &trained.train), ("test", ORANGE, &trained.test)] {
                chart::line(&mut axes, &Curve { name, color, values: values.clone() }, low)?;
            }
            let place = (epoch as i32, best);
            axes.draw_series([Circle::new(place, 5, ORANGE.filled())])?;
            let label = format!("{:.1} %", best * 100.0);
            let left = if epoch as f64 > options.epochs as f64 * 0.75 { -58 } else { -10 };
            axes.draw_series([EmptyElement::at(place) + Text::new(label, (left, -24), ("sans-serif", 14).into_font().color(&INK))])?;
            chart::legend(&mut axes, SeriesLabelPosition::LowerRight)?;
        }
        Ok(())
    })
}

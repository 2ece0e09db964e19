//! Classifies points in the plane by a small network, and draws what it made of them: TensorFlow Playground in a terminal.
//!
//!     cargo run --release --example points -- --data spiral --features "x1,x2,sin x1,sin x2" --hidden 16,16 --epochs 200

#[path = "common/chart.rs"]
mod chart;
#[path = "common/mod.rs"]
mod common;
#[path = "common/files.rs"]
mod files;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{bail, ensure};
use clap::{Parser, ValueEnum};
use noyau::prelude::*;
use plotters::prelude::*;

use chart::{BLUE, Curve, GREY, INK, ORANGE, text};
use files::check_target;

/// Trains a small network on a cloud of points and draws the map that it makes of the plane.
#[derive(Parser)]
#[command(name = "points", allow_negative_numbers = true)]
struct Options {
    /// Which points: circle, xor, gaussians, spiral (two classes), plane, multi-gaussian (a number for each point)
    #[arg(long, default_value = "circle")]
    data: Points,
    /// How many points; half of them are for testing
    #[arg(long, default_value_t = 500)]
    samples: usize,
    /// How noisy the points are, 0 to 0.5
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// What the network gets to see, by commas: x1, x2, x1^2, x2^2, x1x2, sin x1, sin x2
    #[arg(long, value_delimiter = ',', default_value = "x1,x2")]
    features: Vec<Feature>,
    /// Neurons of each hidden layer, by commas; none for no hidden layer
    #[arg(long, default_value = "8,8")]
    hidden: Hidden,
    /// What the hidden neurons make of their sums
    #[arg(long, value_enum, default_value = "tanh")]
    activation: Activation,
    /// A penalty on large weights: l1 the sum of their sizes, l2 the sum of their squares
    #[arg(long, value_enum, default_value = "none")]
    regularization: Regularization,
    /// How much that penalty weighs [default: 0.001]
    #[arg(long)]
    rate: Option<f64>,
    /// How often to go through the training points
    #[arg(long, default_value_t = 100)]
    epochs: usize,
    /// Points a step
    #[arg(long, default_value_t = 16)]
    batch_size: usize,
    /// How to minimise the loss
    #[arg(long, value_enum, default_value = "adam")]
    optimizer: Rule,
    /// The size of a step along the gradient [default: 0.1 for sgd and ada-grad, 0.03 for momentum, 0.01 for adam and rms-prop]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Where the points, the initial weights and the order of the points come from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Where to draw the map
    #[arg(long, value_name = "FILE", default_value = "points.svg")]
    save_picture: PathBuf,
}

fn main() -> ExitCode {
    common::start(run)
}

fn run(options: Options) -> anyhow::Result<()> {
    check_target(&options.save_picture)?;
    let penalty = penalty(&options)?;
    let (train, test) = options.data.generate(options.samples, options.noise, options.seed)?.split(0.5, options.seed)?;
    let device = Device::choose(options.device)?;
    let outputs = train.classes().unwrap_or(1);
    let model = model(&options, outputs);

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
        .optimizer(optimizer(&options))
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
    draw(&options.save_picture, &headline, &network.to_lowercase(), &history, &mut trainer, [&train, &test])?;
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

/// Features, hidden layers with their activation, and one output for each class or one for a number.
fn model(options: &Options, outputs: usize) -> Sequential {
    let mut inputs = options.features.len();
    let mut model = Sequential::new().then(Features(options.features.clone()));
    for &neurons in &options.hidden.0 {
        model = model.then(Linear::new(inputs, neurons)).then(options.activation.module());
        inputs = neurons;
    }
    model.then(Linear::new(inputs, outputs))
}

/// Something that the network gets to see of a point.
#[derive(Clone, Copy, PartialEq)]
enum Feature {
    X1,
    X2,
    X1Squared,
    X2Squared,
    Product,
    SinX1,
    SinX2,
}

impl Feature {
    const ALL: [(Feature, &str); 7] = [
        (Feature::X1, "x1"),
        (Feature::X2, "x2"),
        (Feature::X1Squared, "x1^2"),
        (Feature::X2Squared, "x2^2"),
        (Feature::Product, "x1x2"),
        (Feature::SinX1, "sin x1"),
        (Feature::SinX2, "sin x2"),
    ];
}

impl FromStr for Feature {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Feature> {
        // `sin x1`, `sin(x1)` and `sinx1` are one.
        let plain = |text: &str| text.to_lowercase().replace([' ', '(', ')', '*'], "");
        match Feature::ALL.iter().find(|(_, name)| plain(name) == plain(text)) {
            Some(&(feature, _)) => Ok(feature),
            None => bail!("write one or more of {}, separated by commas", Feature::ALL.map(|(_, name)| name).join(", ")),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Feature::ALL.iter().find(|(feature, _)| feature == self).map_or("", |(_, name)| name))
    }
}

/// A module of one's own: `[n, 2]` points in, `[n, features]` out. Its gradient, and the kernels for every device, come of themselves.
struct Features(Vec<Feature>);

impl Module for Features {
    fn forward(&self, points: &Tensor, _: &Mode) -> Tensor {
        let (x1, x2) = (points.slice(1, 0..1), points.slice(1, 1..2));
        let columns: Vec<Tensor> = self
            .0
            .iter()
            .map(|feature| match feature {
                Feature::X1 => x1.clone(),
                Feature::X2 => x2.clone(),
                Feature::X1Squared => x1.square(),
                Feature::X2Squared => x2.square(),
                Feature::Product => &x1 * &x2,
                Feature::SinX1 => x1.sin(),
                Feature::SinX2 => x2.sin(),
            })
            .collect();
        concat(&columns.iter().collect::<Vec<_>>(), 1)
    }
}

/// The neurons of each hidden layer.
#[derive(Clone)]
struct Hidden(Vec<usize>);

impl FromStr for Hidden {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Hidden> {
        if matches!(text.trim(), "" | "none") {
            return Ok(Hidden(Vec::new()));
        }
        let mut layers = Vec::new();
        for part in text.split(',') {
            match part.trim().parse() {
                Ok(neurons @ 1..=1024) => layers.push(neurons),
                _ => bail!("`{part}` is not a number of neurons from 1 to 1024; write for example 8,8 for two layers, or none"),
            }
        }
        ensure!(layers.len() <= 16, "{} hidden layers are too many for this example, which takes up to 16", layers.len());
        Ok(Hidden(layers))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Activation {
    Tanh,
    Relu,
    Sigmoid,
    LeakyRelu,
    Elu,
    Gelu,
    Silu,
    /// None: all layers together are no more than one
    Linear,
}

impl Activation {
    fn module(self) -> Box<dyn Module> {
        match self {
            Activation::Tanh => Box::new(Tanh),
            Activation::Relu => Box::new(Relu),
            Activation::Sigmoid => Box::new(Sigmoid),
            Activation::LeakyRelu => Box::new(LeakyRelu::default()),
            Activation::Elu => Box::new(Elu::default()),
            Activation::Gelu => Box::new(Gelu),
            Activation::Silu => Box::new(Silu),
            Activation::Linear => Box::new(|x: &Tensor| x.clone()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Regularization {
    None,
    L1,
    L2,
}

/// The penalty asked for and its weight, if any.
fn penalty(options: &Options) -> anyhow::Result<Option<(Regularization, f32)>> {
    let rate = options.rate.unwrap_or(0.001);
    ensure!((0.0..=1e6).contains(&rate), "--rate: {rate} does not lie in 0 to 1000000");
    match options.regularization {
        Regularization::None if options.rate.is_some() => bail!("--rate is the weight of a penalty: add --regularization l1 or l2"),
        Regularization::None => Ok(None),
        kind => Ok(Some((kind, rate as f32))),
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Rule {
    /// A step down the gradient, no more
    Sgd,
    /// Sgd that keeps 0.9 of its last step
    Momentum,
    Adam,
    RmsProp,
    AdaGrad,
}

fn optimizer(options: &Options) -> Box<dyn Optimizer> {
    let rate = |default: f64| options.learning_rate.unwrap_or(default);
    match options.optimizer {
        Rule::Sgd => Box::new(Sgd::new(rate(0.1))),
        Rule::Momentum => Box::new(Sgd::new(rate(0.03)).momentum(0.9)),
        Rule::Adam => Box::new(Adam::new(rate(0.01))),
        Rule::RmsProp => Box::new(RmsProp::new(rate(0.01))),
        Rule::AdaGrad => Box::new(AdaGrad::new(rate(0.1))),
    }
}

/// Orange at -1 (class 0), white at 0, blue at 1 (class 1).
fn shade(value: f64) -> RGBColor {
    let RGBColor(r, g, b) = if value < 0.0 { ORANGE } else { BLUE };
    let part = |c: u8| (255.0 - (255.0 - f64::from(c)) * value.abs().min(1.0)).round() as u8;
    RGBColor(part(r), part(g), part(b))
}

/// The network's answers as numbers from -1 to 1: of two classes, how much likelier class 1 is than class 0.
fn answers(trainer: &mut Trainer, points: &[f32]) -> noyau::Result<Vec<f64>> {
    let output = trainer.predict(&Array::new([points.len() / 2, 2], points)?)?.to_f64();
    // tanh(z / 2) is sigmoid(z) - sigmoid(-z).
    Ok(if output.len() == points.len() { output.chunks(2).map(|z| ((z[1] - z[0]) / 2.0).tanh()).collect() } else { output })
}

/// The map: the plane in the colors of the network's answers, the points in those of the truth, and how it got there.
fn draw(
    file: &Path,
    headline: &str,
    network: &str,
    history: &History,
    trainer: &mut Trainer,
    [train, test]: [&Dataset; 2],
) -> anyhow::Result<()> {
    const CELLS: usize = 120;
    let all = |data: &Dataset| -> anyhow::Result<Vec<(f64, f64, f64)>> {
        let batch = data.batch(&(0..data.len() as u32).collect::<Vec<_>>())?;
        let truth = |target: f64| if data.classes().is_some() { 2.0 * target - 1.0 } else { target };
        Ok(batch.x.to_f64().chunks(2).zip(batch.y.to_f64()).map(|(x, y)| (x[0], x[1], truth(y))).collect())
    };
    let (train, test) = (all(train)?, all(test)?);
    // All points have a place.
    let edge = train.iter().chain(&test).fold(6.0f64, |edge, p| edge.max(p.0.abs()).max(p.1.abs())) * 1.02;
    let at = |i: usize| -edge + 2.0 * edge * i as f64 / CELLS as f64;
    let middle = |i: usize| (at(i) + edge / CELLS as f64) as f32;
    let grid: Vec<f32> = (0..CELLS * CELLS).flat_map(|i| [middle(i % CELLS), middle(i / CELLS)]).collect();
    let answers = answers(trainer, &grid)?;

    chart::save(file, (1120, 730), |area| {
        let (head, rest) = area.split_vertically(70);
        let (left, right) = rest.split_horizontally(650);
        text(&head, headline, (16, 12), 24, &INK)?;
        text(&head, network, (16, 44), 14, &GREY)?;

        let mut map = ChartBuilder::on(&left)
            .margin_right(20)
            .x_label_area_size(34)
            .y_label_area_size(50)
            .build_cartesian_2d(-edge..edge, -edge..edge)?;
        for (y, row) in answers.chunks(CELLS).enumerate() {
            let shades: Vec<i8> = row.iter().map(|v| (v.clamp(-1.0, 1.0) * 12.0).round() as i8).collect();
            let mut x = 0;
            // Neighbours of one shade become one rectangle.
            for run in shades.chunk_by(|a, b| a == b) {
                let corners = [(at(x), at(y)), (at(x + run.len()), at(y + 1))];
                map.draw_series([Rectangle::new(corners, shade(f64::from(run[0]) / 12.0 * 0.6).filled())])?;
                x += run.len();
            }
        }
        map.configure_mesh()
            .disable_mesh()
            .x_label_formatter(&|v| format!("{v:.0}"))
            .y_label_formatter(&|v| format!("{v:.0}"))
            .x_desc("x1")
            .y_desc("x2")
            .label_style(("sans-serif", 12).into_font().color(&GREY))
            .draw()?;
        // Points to train on are filled, those to test on are rings.
        for &(x, y, truth) in &train {
            map.draw_series([Circle::new((x, y), 4, shade(truth).filled()), Circle::new((x, y), 4, WHITE.stroke_width(1))])?;
        }
        for &(x, y, truth) in &test {
            map.draw_series([Circle::new((x, y), 3, WHITE.filled()), Circle::new((x, y), 3, shade(truth).stroke_width(2))])?;
        }

        let values = |of: fn(&EpochRecord) -> Option<f64>| history.epochs.iter().map(|e| of(e).unwrap_or(f64::NAN)).collect();
        let pair = |train, test| {
            [Curve { name: "train", color: RGBColor(0x9a, 0xa4, 0xae), values: train }, Curve { name: "test", color: INK, values: test }]
        };
        let (upper, lower) = right.split_vertically(305);
        let losses = pair(values(|e| Some(e.train_loss)), values(|e| e.test_loss));
        chart::curves(&upper, "Loss", &losses, (0.0, 0.0), |v| format!("{v:.2}"))?;
        let mut below = 20;
        if history.epochs.iter().any(|e| e.test_accuracy.is_some()) {
            let accuracies = pair(values(|e| e.train_accuracy), values(|e| e.test_accuracy));
            let (chart, _) = lower.split_vertically(290);
            chart::curves(&chart, "Accuracy", &accuracies, (0.95, 1.0), |v| format!("{:.0} %", v * 100.0))?;
            below = 300;
        }
        text(&lower, "Filled points were trained on, rings are for testing.", (16, below), 13, &INK)?;
        let classes = "Orange is class 0 (or -1), blue class 1 (or 1): the points' true one,";
        text(&lower, classes, (16, below + 18), 13, &INK)?;
        text(&lower, "and behind them what the network takes them for.", (16, below + 36), 13, &INK)
    })
}

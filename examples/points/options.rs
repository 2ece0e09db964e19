//! What can be asked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{bail, ensure};
use clap::{Parser, ValueEnum};
use noyau::prelude::*;

use crate::numbers;

/// Trains a small network on a cloud of points and draws the map that it makes of the plane.
#[derive(Parser)]
#[command(name = "points", allow_negative_numbers = true)]
pub struct Options {
    /// Which points: circle, xor, gaussians, spiral (two classes), plane, multi-gaussian (a number for each point)
    #[arg(long, default_value = "circle")]
    pub data: Points,
    /// How many points; half of them are for testing
    #[arg(long, default_value_t = 500, value_parser = numbers::some)]
    pub samples: usize,
    /// How noisy the points are, 0 to 0.5
    #[arg(long, default_value_t = 0.0)]
    pub noise: f64,
    /// What the network gets to see, by commas: x1, x2, x1^2, x2^2, x1x2, sin x1, sin x2
    #[arg(long, value_delimiter = ',', default_value = "x1,x2")]
    pub features: Vec<Feature>,
    /// Neurons of each hidden layer, by commas; none for no hidden layer
    #[arg(long, default_value = "8,8")]
    pub hidden: Hidden,
    /// What the hidden neurons make of their sums
    #[arg(long, value_enum, default_value = "tanh")]
    pub activation: Activation,
    /// A penalty on large weights: l1 the sum of their sizes, l2 the sum of their squares
    #[arg(long, value_enum, default_value = "none")]
    pub regularization: Regularization,
    /// How much that penalty weighs [default: 0.001]
    #[arg(long)]
    pub rate: Option<f64>,
    /// How often to go through the training points
    #[arg(long, default_value_t = 100, value_parser = numbers::count)]
    pub epochs: usize,
    /// Points a step
    #[arg(long, default_value_t = 16, value_parser = numbers::some)]
    pub batch_size: usize,
    /// How to minimise the loss
    #[arg(long, value_enum, default_value = "adam")]
    pub optimizer: Rule,
    /// The size of a step along the gradient [default: 0.1 for sgd and ada-grad, 0.03 for momentum, 0.01 for adam and rms-prop]
    #[arg(long, value_parser = numbers::rate)]
    pub learning_rate: Option<f64>,
    /// Where the points, the initial weights and the order of the points come from
    #[arg(long, default_value_t = 0, value_parser = numbers::seed)]
    pub seed: u64,
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Where to draw the map
    #[arg(long, value_name = "FILE", default_value = "points.svg")]
    pub save_picture: PathBuf,
}

impl Options {
    /// The penalty asked for and its weight, if any.
    pub fn penalty(&self) -> anyhow::Result<Option<(Regularization, f32)>> {
        let rate = self.rate.unwrap_or(0.001);
        ensure!((0.0..=1e6).contains(&rate), "--rate: {rate} does not lie in 0 to 1000000");
        match self.regularization {
            Regularization::None if self.rate.is_some() => bail!("--rate is the weight of a penalty: add --regularization l1 or l2"),
            Regularization::None => Ok(None),
            kind => Ok(Some((kind, rate as f32))),
        }
    }

    /// The rule at the learning rate asked for, or its own.
    pub fn optimizer(&self) -> Box<dyn Optimizer> {
        let rate = |default: f64| self.learning_rate.unwrap_or(default);
        match self.optimizer {
            Rule::Sgd => Box::new(Sgd::new(rate(0.1))),
            Rule::Momentum => Box::new(Sgd::new(rate(0.03)).momentum(0.9)),
            Rule::Adam => Box::new(Adam::new(rate(0.01))),
            Rule::RmsProp => Box::new(RmsProp::new(rate(0.01))),
            Rule::AdaGrad => Box::new(AdaGrad::new(rate(0.1))),
        }
    }
}

/// Something that the network gets to see of a point.
#[derive(Clone, Copy, PartialEq)]
pub enum Feature {
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

/// The neurons of each hidden layer.
#[derive(Clone)]
pub struct Hidden(pub Vec<usize>);

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
pub enum Activation {
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

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Regularization {
    None,
    L1,
    L2,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Rule {
    /// A step down the gradient, no more
    Sgd,
    /// Sgd that keeps 0.9 of its last step
    Momentum,
    Adam,
    RmsProp,
    AdaGrad,
}

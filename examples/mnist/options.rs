//! What can be asked for.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Parser, ValueEnum};
use noyau::prelude::*;

use crate::chart::check_target;

/// Trains a network (784-512-256-10, ReLU) to read the handwritten digits of MNIST, and shows how well it does.
#[derive(Parser)]
#[command(name = "mnist", allow_negative_numbers = true)]
pub struct Options {
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// How often to go through the training images; 0 only evaluates
    #[arg(long, default_value_t = 5)]
    pub epochs: usize,
    /// Images a step
    #[arg(long, default_value_t = 128)]
    pub batch_size: usize,
    /// The size of a step along the gradient [default: 0.1 for sgd, 0.001 for adam]
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// How the learning rate goes on from there
    #[arg(long, value_enum, default_value = "cosine")]
    pub schedule: Course,
    /// For sgd: how much of the last step is kept [default: 0.9]
    #[arg(long)]
    pub momentum: Option<f64>,
    /// How to minimise the loss
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimizer: Rule,
    /// Where initial weights and the order of the images come from
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A folder with the four files of MNIST, or of a set that comes in such files: Fashion-MNIST, KMNIST, EMNIST
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/mnist"), hide_default_value = true)]
    pub data: PathBuf,
    /// Where to write the trained weights [default: mnist.safetensors, after at least one epoch]
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Weights to begin with, as --save wrote them; a learning rate that had fallen stays where it was
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Where to draw the training and the mistakes [default: mnist.svg, after at least one epoch]
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Check each kernel of each step against its definition, and stop at the first that differs: slow, to find a driver's mistakes
    #[arg(long)]
    pub validate: bool,
    /// Stop at the first NaN or infinity that a kernel stores, and say which operation made it: slower
    #[arg(long)]
    pub check_finite: bool,
    /// Where to write what happens when, for ui.perfetto.dev or chrome://tracing: the first steps, kernel by kernel
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write one JSON object a line to stdout, and nothing else
    #[arg(long)]
    pub json: bool,
}

/// The optimizers on offer.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Rule {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam
    Adam,
}

/// What a learning rate does while the training goes on.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Course {
    /// Down to a twentieth of itself, along half a cosine wave
    Cosine,
    /// Nothing
    Constant,
}

impl Options {
    /// Fills in what depends on other options; refuses what does not fit together, before any time is spent.
    pub fn complete(mut self) -> anyhow::Result<Options> {
        if self.epochs > 0 {
            self.save.get_or_insert("mnist.safetensors".into());
            self.picture.get_or_insert("mnist.svg".into());
        }
        self.save.iter().chain(&self.picture).chain(&self.trace).try_for_each(|path| check_target(path))?;
        match self.optimizer {
            Rule::Sgd => {
                self.learning_rate.get_or_insert(0.1);
                self.momentum.get_or_insert(0.9);
            }
            Rule::Adam if self.momentum.is_some() => bail!("--momentum is an option of sgd; adam has none"),
            Rule::Adam => {
                self.learning_rate.get_or_insert(0.001);
            }
        }
        Ok(self)
    }

    /// The optimizer for a training set of so many samples. It says itself what is wrong with its numbers, when the training begins.
    pub fn make_optimizer(&self, samples: usize) -> Box<dyn Optimizer> {
        let initial = self.learning_rate.unwrap_or_default();
        let steps = samples.div_ceil(self.batch_size.max(1)).saturating_mul(self.epochs).max(1);
        let rate = match self.schedule {
            Course::Cosine => Schedule::cosine(initial, initial / 20.0, steps),
            Course::Constant => Schedule::constant(initial),
        };
        match self.optimizer {
            Rule::Sgd => Box::new(Sgd::new(rate).momentum(self.momentum.unwrap_or_default())),
            Rule::Adam => Box::new(Adam::new(rate)),
        }
    }

    /// The optimizer in words.
    pub fn optimizer_name(&self) -> String {
        let name = match self.optimizer {
            Rule::Sgd => "sgd",
            Rule::Adam => "adam",
        };
        let rate = self.learning_rate.unwrap_or_default();
        let rate = match self.schedule {
            Course::Cosine => format!("learning rate {rate} falling to {}", rate / 20.0),
            Course::Constant => format!("learning rate {rate}"),
        };
        let momentum = self.momentum.map(|m| format!(", momentum {m}")).unwrap_or_default();
        format!("{name}, {rate}{momentum}")
    }
}

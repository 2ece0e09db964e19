//! What can be asked for.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Parser, ValueEnum};
use noyau::prelude::*;

use crate::files::check_target;
use crate::numbers;

/// Trains a network to read the handwritten digits of MNIST, and shows how well it does.
#[derive(Parser)]
#[command(name = "mnist", allow_negative_numbers = true)]
pub struct Options {
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// The network
    #[arg(long, value_enum, default_value = "mlp")]
    pub model: Network,
    /// For cnn: how it is made and trained
    #[arg(long, value_enum, default_value = "plain")]
    pub recipe: Recipe,
    /// How often to go through the training images; 0 only evaluates [default: 5 for mlp, 15 for cnn, 20 for the best recipe]
    #[arg(long, value_parser = numbers::count)]
    pub epochs: Option<usize>,
    /// Images a step
    #[arg(long, default_value_t = 128, value_parser = numbers::some)]
    pub batch_size: usize,
    /// The size of a step along the gradient [default: 0.1 for sgd, 0.001 for adam (0.003 for cnn), 0.01 for adamw]
    #[arg(long, value_parser = numbers::rate)]
    pub learning_rate: Option<f64>,
    /// How the learning rate goes on from there [default: cosine, one-cycle for the best recipe]
    #[arg(long, value_enum)]
    pub schedule: Option<Course>,
    /// For sgd: how much of the last step is kept [default: 0.9]
    #[arg(long)]
    pub momentum: Option<f64>,
    /// How to minimise the loss [default: sgd for mlp, adam for cnn, adamw for the best recipe]
    #[arg(long, value_enum)]
    pub optimizer: Option<Rule>,
    /// Where initial weights and the order of the images come from
    #[arg(long, default_value_t = 0, value_parser = numbers::seed)]
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
    /// A folder for checkpoints: all that --resume needs, after each epoch and when Ctrl-C stops the training
    #[arg(long, value_name = "DIR")]
    pub checkpoints: Option<PathBuf>,
    /// Steps from one checkpoint to the next [default: those of an epoch]
    #[arg(long, value_name = "STEPS", requires = "checkpoints", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: Option<u64>,
    /// Go on from the newest checkpoint, if there is one, to the weights of a training that was never stopped
    #[arg(long, requires = "checkpoints")]
    pub resume: bool,
    /// Where to draw the training and the mistakes [default: mnist.svg, after at least one epoch]
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Print the confusion matrix at the end, and which digits were taken for which most often
    #[arg(long)]
    pub confusion: bool,
    /// Instead of training: let the learning rate rise step by step, draw the loss by learning rate, and name rates to train with [default file: lr.svg]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "lr.svg",
        conflicts_with_all = ["epochs", "save", "picture", "checkpoints", "confusion", "learning_rate", "schedule"]
    )]
    pub find_lr: Option<PathBuf>,
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

/// The networks on offer.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Network {
    /// A perceptron, 784-512-256-10, ReLU
    Mlp,
    /// A convolutional network: Keras's small one, or that of the best recipe
    Cnn,
}

/// What to do with a convolutional network.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Recipe {
    /// Two convolutions and dropout, on the images as they are
    Plain,
    /// Five convolutions with batch normalisation, on images moved at random, with label smoothing
    Best,
}

/// The optimizers on offer.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Rule {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam
    Adam,
    /// Adam with weight decay
    Adamw,
}

/// What a learning rate does while the training goes on.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Course {
    /// Down to a twentieth of itself, along half a cosine wave
    Cosine,
    /// Nothing
    Constant,
    /// Up from a twenty-fifth of itself, and down to almost nothing
    OneCycle,
}

/// How a network is trained: what was asked for, and what was not by the network's own defaults.
pub struct Training {
    pub epochs: usize,
    pub batch_size: usize,
    pub optimizer: Rule,
    pub learning_rate: f64,
    pub schedule: Course,
    pub momentum: Option<f64>,
    /// How much of each label's probability goes to all classes alike.
    pub smoothing: f64,
}

impl Options {
    /// Fills in what depends on other options; refuses what does not fit together, before any time is spent.
    pub fn complete(mut self) -> anyhow::Result<(Options, Training)> {
        let training = self.training()?;
        if training.epochs > 0 && self.find_lr.is_none() {
            self.save.get_or_insert("mnist.safetensors".into());
            self.picture.get_or_insert("mnist.svg".into());
        }
        [&self.save, &self.picture, &self.trace, &self.find_lr].into_iter().flatten().try_for_each(|path| check_target(path))?;
        Ok((self, training))
    }

    /// Which checkpoints were asked for; the configuration is what one that resumes must have in common with them.
    pub fn checkpoints(&self, configuration: &str) -> Option<Checkpoints> {
        let checkpoints = Checkpoints::new(self.checkpoints.as_ref()?).configuration(configuration);
        Some(match self.every {
            Some(steps) => checkpoints.every_steps(steps),
            None => checkpoints.every_epochs(1),
        })
    }

    fn training(&self) -> anyhow::Result<Training> {
        let (epochs, optimizer, schedule, smoothing) = match (self.model, self.recipe) {
            (Network::Mlp, Recipe::Plain) => (5, Rule::Sgd, Course::Cosine, 0.0),
            (Network::Cnn, Recipe::Plain) => (15, Rule::Adam, Course::Cosine, 0.0),
            (Network::Cnn, Recipe::Best) => (20, Rule::Adamw, Course::OneCycle, 0.1),
            (Network::Mlp, Recipe::Best) => bail!("--recipe best is one for convolutional networks; add --model cnn"),
        };
        let optimizer = self.optimizer.unwrap_or(optimizer);
        let (learning_rate, momentum) = match optimizer {
            Rule::Sgd => (0.1, Some(self.momentum.unwrap_or(0.9))),
            Rule::Adam | Rule::Adamw if self.momentum.is_some() => bail!("--momentum is an option of sgd; adam and adamw have none"),
            Rule::Adam if self.model == Network::Cnn => (0.003, None),
            Rule::Adam => (0.001, None),
            Rule::Adamw => (0.01, None),
        };
        Ok(Training {
            epochs: self.epochs.unwrap_or(epochs),
            batch_size: self.batch_size,
            optimizer,
            learning_rate: self.learning_rate.unwrap_or(learning_rate),
            schedule: self.schedule.unwrap_or(schedule),
            momentum,
            smoothing,
        })
    }
}

impl Training {
    /// The optimizer for a training set of so many samples. It says itself what is wrong with its numbers, when the training begins.
    pub fn make_optimizer(&self, samples: usize) -> Box<dyn Optimizer> {
        let rate = self.learning_rate;
        let steps = samples.div_ceil(self.batch_size.max(1)).saturating_mul(self.epochs).max(1);
        let rate = match self.schedule {
            Course::Cosine => Schedule::cosine(rate, rate / 20.0, steps),
            Course::Constant => Schedule::constant(rate),
            Course::OneCycle => Schedule::one_cycle(rate, steps),
        };
        self.optimizer_at(rate)
    }

    /// The optimizer at a learning rate that is given.
    pub fn optimizer_at(&self, rate: Schedule) -> Box<dyn Optimizer> {
        match self.optimizer {
            Rule::Sgd => Box::new(Sgd::new(rate).momentum(self.momentum.unwrap_or_default())),
            Rule::Adam => Box::new(Adam::new(rate)),
            Rule::Adamw => Box::new(AdamW::new(rate)),
        }
    }

    /// The loss.
    pub fn make_loss(&self) -> CrossEntropy {
        CrossEntropy::new().label_smoothing(self.smoothing)
    }

    /// What must not change from a checkpoint to the training that goes on from it, in words. Most learning rates fall by how long the training is to be.
    pub fn configuration(&self, model: &str) -> String {
        let length = match self.schedule {
            Course::Constant => String::new(),
            Course::Cosine | Course::OneCycle => format!(" over {} epochs", self.epochs),
        };
        format!("{model}; {}; {}{length}", self.loss_name(), self.optimizer_name())
    }

    /// The loss in words.
    pub fn loss_name(&self) -> String {
        match self.smoothing {
            0.0 => "cross-entropy".into(),
            share => format!("cross-entropy with labels smoothed by {share}"),
        }
    }

    /// The optimizer's name, as `--optimizer` takes it.
    pub fn rule_name(&self) -> &'static str {
        match self.optimizer {
            Rule::Sgd => "sgd",
            Rule::Adam => "adam",
            Rule::Adamw => "adamw",
        }
    }

    /// The optimizer in words.
    pub fn optimizer_name(&self) -> String {
        let name = self.rule_name();
        let rate = self.learning_rate;
        let rate = match self.schedule {
            Course::Cosine => format!("learning rate {rate} falling to {}", (rate / 20.0) as f32),
            Course::Constant => format!("learning rate {rate}"),
            Course::OneCycle => format!("learning rate rising to {rate} and falling"),
        };
        let momentum = self.momentum.map(|m| format!(", momentum {m}")).unwrap_or_default();
        format!("{name}, {rate}{momentum}")
    }
}

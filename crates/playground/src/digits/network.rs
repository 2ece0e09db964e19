//! The networks that learn to read, with what each of their layers makes of an image.

use std::str::FromStr;

use noyau_nn::{Conv2d, Linear, Mode, Module, init, named};
use noyau_tensor::{Error, Param, Result, Tensor};

use super::{CLASSES, PIXELS, SIDE};

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A perceptron with one hidden layer.
    Mlp,
    /// Two convolutions with pooling, and a linear layer.
    Cnn,
}

impl Kind {
    /// The name that the page calls it by.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Mlp => "mlp",
            Kind::Cnn => "cnn",
        }
    }

    /// Images a step.
    pub(super) fn batch(self) -> usize {
        match self {
            Kind::Mlp => 32,
            // A step must fit a frame on the CPU of a browser.
            Kind::Cnn => 16,
        }
    }

    /// Images of a test that are done at a time: about the work of a step.
    pub(super) fn chunk(self) -> usize {
        match self {
            Kind::Mlp => 100,
            Kind::Cnn => 50,
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Kind> {
        [Kind::Mlp, Kind::Cnn]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| Error::argument("model", format!("{text:?} is none of mlp, cnn")))
    }
}

/// Neurons of the perceptron's hidden layer.
const HIDDEN: usize = 64;
/// Channels of the two convolutions.
const CHANNELS: [usize; 2] = [8, 16];

/// What a layer gives for one image: neurons, or maps of neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Neurons, or maps.
    pub count: usize,
    /// Neurons down a map; 1 where there are no maps.
    pub height: usize,
    /// Neurons across.
    pub width: usize,
}

impl Stage {
    fn neurons(count: usize) -> Stage {
        Stage { count, height: 1, width: 1 }
    }

    fn maps(count: usize, side: usize) -> Stage {
        Stage { count, height: side, width: side }
    }

    /// Numbers in all.
    pub fn values(self) -> usize {
        self.count * self.height * self.width
    }
}

/// What a network makes of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// How sure it is of each class; they add up to 1.
    pub probabilities: Vec<f32>,
    /// The hidden layers' results, one layer after the other, as the network's stages say.
    pub activations: Vec<f32>,
}

pub(super) enum Network {
    Mlp { hidden: Linear, output: Linear },
    Cnn { first: Box<Conv2d>, second: Box<Conv2d>, output: Linear },
}

impl Network {
    pub fn new(kind: Kind) -> Network {
        let convolution = |inputs, outputs, size: usize| {
            Box::new(Conv2d::new(inputs, outputs, size).init(init::kaiming_uniform(0.0, init::Fan::In)).bias_init(init::zeros()))
        };
        match kind {
            // Weights begin small, so that the rim, where there is never any ink, does not drown what is learned.
            Kind::Mlp => {
                Network::Mlp { hidden: Linear::new(PIXELS, HIDDEN).bias_init(init::zeros()), output: Linear::new(HIDDEN, CLASSES) }
            }
            Kind::Cnn => {
                let [_, last] = Network::sides();
                Network::Cnn {
                    first: convolution(1, CHANNELS[0], 5),
                    second: convolution(CHANNELS[0], CHANNELS[1], 3),
                    output: Linear::new(CHANNELS[1] * (last / 2) * (last / 2), CLASSES),
                }
            }
        }
    }

    /// The sides of the convolutions' maps, before pooling.
    fn sides() -> [usize; 2] {
        let first = SIDE - 4;
        [first, first / 2 - 2]
    }

    /// What the hidden layers give.
    pub fn stages(&self) -> Vec<Stage> {
        match self {
            Network::Mlp { .. } => vec![Stage::neurons(HIDDEN)],
            Network::Cnn { .. } => CHANNELS.into_iter().zip(Network::sides()).map(|(count, side)| Stage::maps(count, side)).collect(),
        }
    }

    /// In words: sizes, layer by layer.
    pub fn words(&self) -> String {
        let [a, b] = CHANNELS;
        match self {
            Network::Mlp { .. } => format!("{PIXELS} → {HIDDEN} → {CLASSES}"),
            Network::Cnn { .. } => format!("conv 5 × 5 ({a}) → pool → conv 3 × 3 ({b}) → pool → {CLASSES}"),
        }
    }

    /// Scores `[n, 10]` of images `[n, 784]`, and what the hidden layers give on the way.
    pub fn forward(&self, x: &Tensor, mode: &Mode) -> (Tensor, Vec<Tensor>) {
        match self {
            Network::Mlp { hidden, output } => {
                let h = hidden.forward(x, mode).relu();
                (output.forward(&h, mode), vec![h])
            }
            Network::Cnn { first, second, output } => {
                let images = x.unflatten(1, &[1, SIDE, SIDE]);
                let a = first.forward(&images, mode).relu();
                let b = second.forward(&a.max_pool2d(2), mode).relu();
                (output.forward(&b.max_pool2d(2).flatten(1, -1), mode), vec![a, b])
            }
        }
    }

    /// The first layer's weights: what each of its neurons looks for, and the shape of that.
    pub fn filters(&self) -> (Param, Stage) {
        match self {
            Network::Mlp { hidden, .. } => (hidden.weight.clone(), Stage::maps(HIDDEN, SIDE)),
            Network::Cnn { first, .. } => (first.weight.clone(), Stage::maps(CHANNELS[0], 5)),
        }
    }

    /// The weights from the hidden neurons to the classes, `[10, hidden]`, where there is but one layer of them.
    pub fn votes(&self) -> Option<Param> {
        match self {
            Network::Mlp { output, .. } => Some(output.weight.clone()),
            Network::Cnn { .. } => None,
        }
    }

    pub fn parameters(&self) -> Vec<(String, Param)> {
        match self {
            Network::Mlp { hidden, output } => [named("hidden", hidden), named("output", output)].concat(),
            Network::Cnn { first, second, output } => {
                [named("first", &**first), named("second", &**second), named("output", output)].concat()
            }
        }
    }
}

//! What a visitor chooses, and the address that holds it.

mod address;

use std::str::FromStr;

use noyau_data::Points;
use noyau_tensor::{Error, Result};

use crate::cloud::Own;

/// Defines an enum whose values have names, as addresses and the page write them.
macro_rules! named {
    ($(#[$about:meta])* $name:ident, $what:literal: $($(#[$doc:meta])* $value:ident = $text:literal),+ $(,)?) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$value),+];

            /// The name in addresses.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$value => $text,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<$name> {
                $name::ALL.iter().copied().find(|v| v.name() == text).ok_or_else(|| {
                    let names: Vec<&str> = $name::ALL.iter().map(|v| v.name()).collect();
                    Error::argument($what, format!("{text:?} is none of {}", names.join(", ")))
                })
            }
        }
    };
}

named! {
    /// What to learn from.
    Data, "data":
    /// A disc in a ring.
    Circle = "circle",
    /// Four squares.
    Xor = "xor",
    /// Two round clouds.
    Gaussians = "gaussians",
    /// Two spiral arms.
    Spiral = "spiral",
    /// Regression: a slope.
    Plane = "plane",
    /// Regression: six cones.
    MultiGaussian = "multi-gaussian",
    /// The visitor's own points.
    Own = "own",
}

impl Data {
    /// The cloud of points of this name, if it is not the visitor's own.
    pub fn points(self) -> Option<Points> {
        match self {
            Data::Circle => Some(Points::Circle),
            Data::Xor => Some(Points::Xor),
            Data::Gaussians => Some(Points::Gaussians),
            Data::Spiral => Some(Points::Spiral),
            Data::Plane => Some(Points::Plane),
            Data::MultiGaussian => Some(Points::MultiGaussian),
            Data::Own => None,
        }
    }
}

named! {
    /// Something that the network gets to see of a point.
    Feature, "features":
    /// The first coordinate.
    X1 = "x1",
    /// The second.
    X2 = "x2",
    /// The first, squared.
    X1Squared = "x1sq",
    /// The second, squared.
    X2Squared = "x2sq",
    /// Their product.
    Product = "x1x2",
    /// The first one's sine.
    SinX1 = "sinx1",
    /// The second one's sine.
    SinX2 = "sinx2",
}

named! {
    /// What a neuron makes of its sum.
    Activation, "activation":
    /// Hyperbolic tangent.
    Tanh = "tanh",
    /// The positive part.
    Relu = "relu",
    /// 0 to 1, smoothly.
    Sigmoid = "sigmoid",
    /// The sum as it is.
    Linear = "linear",
    /// -1 or 1: the first neuron of history, through which no gradient flows.
    Sign = "sign",
    /// The positive part, and a tenth of a tenth of the negative.
    LeakyRelu = "leaky-relu",
    /// Gaussian error linear unit.
    Gelu = "gelu",
}

named! {
    /// How the weights go downhill.
    Rule, "optimizer":
    /// A step down the gradient.
    Sgd = "sgd",
    /// With nine tenths of the step before.
    Momentum = "momentum",
    /// Momentum that looks ahead.
    Nesterov = "nesterov",
    /// A rate for each weight.
    Adam = "adam",
}

named! {
    /// What is made small.
    Cost, "loss":
    /// Half the squared difference, as TensorFlow Playground has it.
    Squared = "squared",
    /// Minus the logarithm of the right class's probability; for classes only.
    CrossEntropy = "cross-entropy",
}

named! {
    /// What large weights cost.
    Penalty, "regularization":
    /// Nothing.
    None = "none",
    /// The sum of their sizes.
    L1 = "l1",
    /// Half the sum of their squares.
    L2 = "l2",
}

/// A hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// 1 to [`Setup::MOST_NEURONS`].
    pub neurons: usize,
    /// What they make of their sums.
    pub activation: Activation,
}

/// A weight or bias that the visitor has changed by hand, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edit {
    /// After so many steps.
    pub step: u64,
    /// The parameter's place in the network: layer times two, plus one for biases.
    pub parameter: usize,
    /// The value's place in it.
    pub index: usize,
    /// The new value.
    pub value: f32,
}

named! {
    /// A choice that can change while a training runs.
    Running, "changes":
    /// The learning rate.
    Rate = "r",
    /// The penalty's.
    PenaltyRate = "p",
}

/// A rate that the visitor has changed on the way, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// After so many steps.
    pub step: u64,
    /// Which.
    pub what: Running,
    /// The new value.
    pub value: f64,
}

/// All that a training depends on. The same setup gives the same training, so that its address is enough to share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// What to learn from.
    pub data: Data,
    /// The visitor's own points, for [`Data::Own`].
    pub own: Own,
    /// How many classes to make of those data sets that can have more than two, 2 to [`Setup::MOST_CLASSES`].
    pub classes: usize,
    /// 0 to 50, in hundredths.
    pub noise: u32,
    /// How many of a hundred points are to train on, 10 to 90.
    pub train_share: u32,
    /// Points a step.
    pub batch: usize,
    /// Where points, first weights, the order of points and dropout come from.
    pub seed: u64,
    /// What the network sees, in the order of [`Feature::ALL`]; at least one.
    pub features: Vec<Feature>,
    /// At most [`Setup::MOST_LAYERS`].
    pub layers: Vec<Layer>,
    /// The learning rate at first.
    pub rate: f64,
    /// How the weights go downhill.
    pub rule: Rule,
    /// What is made small.
    pub cost: Cost,
    /// What large weights cost.
    pub penalty: Penalty,
    /// How much that weighs at first.
    pub penalty_rate: f64,
    /// The share of hidden neurons that sits out a step, 0 to below 1.
    pub dropout: f64,
    /// Training stops by itself when the test loss is below this.
    pub stop_below: Option<f64>,
    /// How far the training has come.
    pub steps: u64,
    /// Weights changed by hand on the way, in order.
    pub edits: Vec<Edit>,
    /// Rates changed on the way, in order.
    pub changes: Vec<Change>,
    /// What else the page keeps, such as its language and which controls a lesson hides: known to the page alone.
    pub view: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Setup {
        let layer = |neurons| Layer { neurons, activation: Activation::Tanh };
        Setup {
            data: Data::Circle,
            own: Own::default(),
            classes: 2,
            noise: 0,
            train_share: 50,
            batch: 10,
            seed: 1,
            features: vec![Feature::X1, Feature::X2],
            layers: vec![layer(4), layer(2)],
            rate: 0.03,
            rule: Rule::Sgd,
            cost: Cost::Squared,
            penalty: Penalty::None,
            penalty_rate: 0.001,
            dropout: 0.0,
            stop_below: None,
            steps: 0,
            edits: Vec::new(),
            changes: Vec::new(),
            view: Vec::new(),
        }
    }
}

impl Setup {
    /// Hidden layers.
    pub const MOST_LAYERS: usize = 6;
    /// Neurons of a hidden layer.
    pub const MOST_NEURONS: usize = 8;
    /// Generated classes.
    pub const MOST_CLASSES: usize = 6;
    /// Points a step.
    pub const MOST_BATCH: usize = 100;
    /// Steps that an address may ask for.
    pub const MOST_STEPS: u64 = 100_000_000;
    /// The largest learning rate, and penalty's rate.
    pub const MOST_RATE: f64 = 10.0;
}

//! The network: a perceptron of a few layers, every neuron of which can be looked at.

use noyau_nn::{Dropout, Linear, Mode, Module, activation, init};
use noyau_tensor::{Init, Param, Scalar, Tensor};

use crate::cloud::{Cloud, Point};
use crate::{Activation, Cost, Feature, Setup};

/// A fully connected layer with what comes after it.
#[derive(Clone, Debug)]
pub struct Dense {
    /// The weights and biases.
    pub linear: Linear,
    /// What the neurons make of their sums.
    pub activation: Activation,
    /// Its place in the [`Sequential`](noyau_nn::Sequential) that [`Engine::code`](crate::Engine::code) writes, in which activations and dropout are modules too.
    place: usize,
}

/// The network of a setup. The values of its parameters are a session's.
#[derive(Clone, Debug)]
pub struct Network {
    /// The hidden layers, and that of the outputs.
    pub layers: Vec<Dense>,
    dropout: f64,
    output: Output,
}

/// What the outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A value.
    Value,
    /// -1 to 1 by a hyperbolic tangent: two classes, or one output a class.
    Tanh,
    /// One logit of two classes.
    Logit,
    /// A logit a class.
    Logits,
}

impl Network {
    /// The network of a setup for a cloud. As in TensorFlow Playground, weights begin uniformly between -0.5 and 0.5, biases at 0.1.
    pub fn new(setup: &Setup, cloud: &Cloud) -> Network {
        let outputs = cloud.outputs();
        let output = match (&cloud.classes, setup.cost) {
            (None, _) => Output::Value,
            (Some(_), Cost::Squared) => Output::Tanh,
            (Some(_), Cost::CrossEntropy) if outputs == 1 => Output::Logit,
            (Some(_), Cost::CrossEntropy) => Output::Logits,
        };
        let last = if output == Output::Tanh { Activation::Tanh } else { Activation::Linear };
        let mut inputs = setup.features.len();
        let mut place = 0;
        let hidden = setup.layers.iter().map(|layer| (layer.neurons, layer.activation, setup.dropout > 0.0));
        let layers = hidden.chain([(outputs, last, false)]).map(|(neurons, activation, dropout)| {
            let linear = Linear::new(inputs, neurons).init(init::uniform(-0.5, 0.5)).bias_init(Init::Full(Scalar::Float(0.1)));
            let layer = Dense { linear, activation, place };
            inputs = neurons;
            place += 1 + usize::from(activation != Activation::Linear) + usize::from(dropout);
            layer
        });
        Network { layers: layers.collect(), dropout: setup.dropout, output }
    }

    /// What the outputs are.
    pub fn output(&self) -> Output {
        self.output
    }

    /// What each layer gives for points, `[points, neurons]`, the outputs last: as the loss takes them.
    pub fn layers_of(&self, features: &Tensor, mode: &Mode) -> Vec<Tensor> {
        let mut x = features.clone();
        let hidden = self.layers.len() - 1;
        let layer = |(i, layer): (usize, &Dense)| {
            let value = activated(&layer.linear.forward(&x, mode), layer.activation);
            x = if i < hidden { Dropout(self.dropout).forward(&value, mode) } else { value };
            x.clone()
        };
        self.layers.iter().enumerate().map(layer).collect()
    }

    /// Outputs as they are shown: a value, or -1 to 1 for each class.
    pub fn shown(&self, outputs: &Tensor) -> Tensor {
        match self.output {
            Output::Value | Output::Tanh => outputs.clone(),
            // Twice the probability, less 1.
            Output::Logit => (outputs * 0.5).tanh(),
            Output::Logits => outputs.softmax(-1) * 2.0 - 1.0,
        }
    }

    /// The loss of each point, `[points]`, by its outputs and its targets (see [`Cloud::targets`]).
    pub fn losses(&self, outputs: &Tensor, targets: &Tensor) -> Tensor {
        losses(self.output, outputs, targets)
    }

    /// Whether each point's class is right, 1 or 0, `[points]`; and the class that the outputs say, counted from 0.
    pub fn classified(&self, outputs: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
        let class = |t: &Tensor| match t.shape().last() {
            Some(1) => t.gt(0.0).to(noyau_tensor::DType::U32).reshape([t.shape()[0]]),
            _ => t.argmax(-1).to(noyau_tensor::DType::U32),
        };
        let (said, truth) = (class(outputs), class(targets));
        (said.eq(&truth).to(noyau_tensor::DType::F32), said)
    }

    /// The parameters in their order, weights before biases, without names.
    pub fn params(&self) -> Vec<Param> {
        self.parameters().into_iter().map(|(_, param)| param).collect()
    }

    /// The weights of all layers, without biases.
    pub fn weights(&self) -> impl Iterator<Item = &Param> {
        self.layers.iter().map(|layer| &layer.linear.weight)
    }
}

/// The loss of each point.
pub(crate) fn losses(output: Output, outputs: &Tensor, targets: &Tensor) -> Tensor {
    match output {
        Output::Value | Output::Tanh => ((outputs - targets).square() * 0.5).sum_axes(&[-1]),
        // log(1 + e^-z) of the logit turned by the class: softplus, which neither end overflows.
        Output::Logit => activation::softplus(&-(outputs * targets)).sum_axes(&[-1]),
        Output::Logits => -(outputs.log_softmax(-1) * (targets * 0.5 + 0.5)).sum_axes(&[-1]),
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        self.layers_of(x, mode).pop().unwrap_or_else(|| x.clone())
    }

    /// Named as in the model that [`Engine::code`](crate::Engine::code) writes.
    fn parameters(&self) -> Vec<(String, Param)> {
        self.layers.iter().flat_map(|layer| noyau_nn::named(&layer.place.to_string(), &layer.linear)).collect()
    }
}

/// What neurons make of their sums.
pub(crate) fn activated(x: &Tensor, activation: Activation) -> Tensor {
    match activation {
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.relu(),
        Activation::Sigmoid => x.sigmoid(),
        Activation::Linear => x.clone(),
        Activation::Sign => activation::sign(x),
        Activation::LeakyRelu => activation::leaky_relu(x, 0.01),
        Activation::Gelu => activation::gelu(x),
    }
}

/// What the network sees of points, `[points, features]`, row by row.
pub fn features(chosen: &[Feature], points: impl IntoIterator<Item = [f32; 2]>) -> Vec<f32> {
    let of = |[x1, x2]: [f32; 2], feature: Feature| match feature {
        Feature::X1 => x1,
        Feature::X2 => x2,
        Feature::X1Squared => x1 * x1,
        Feature::X2Squared => x2 * x2,
        Feature::Product => x1 * x2,
        // In f64: the last digits of f32's sines differ between platforms.
        Feature::SinX1 => f64::from(x1).sin() as f32,
        Feature::SinX2 => f64::from(x2).sin() as f32,
    };
    points.into_iter().flat_map(|x| chosen.iter().map(move |&feature| of(x, feature))).collect()
}

/// The middles of `size * size` squares of the plane, rows from x2 = 6 down, columns from x1 = -6 up.
pub fn grid(size: usize) -> impl Iterator<Item = [f32; 2]> {
    let at = move |i: usize| ((i as f64 + 0.5) / size as f64 * 12.0 - 6.0) as f32;
    (0..size * size).map(move |i| [at(i % size), -at(i / size)])
}

/// The coordinates of points.
pub(crate) fn coordinates(points: &[Point]) -> impl Iterator<Item = [f32; 2]> {
    points.iter().map(|point| point.x)
}

//! The network: what it gets to see of a point, and its layers.

use noyau::prelude::*;

use crate::options::{Activation, Feature, Options};

/// Features, hidden layers with their activation, and one output for each class or one for a number.
pub fn model(options: &Options, outputs: usize) -> Sequential {
    let mut inputs = options.features.len();
    let mut model = Sequential::new().then(Features(options.features.clone()));
    for &neurons in &options.hidden.0 {
        model = model.then(Linear::new(inputs, neurons)).then(activation(options.activation));
        inputs = neurons;
    }
    model.then(Linear::new(inputs, outputs))
}

fn activation(kind: Activation) -> Box<dyn Module> {
    match kind {
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

//! The loss at other weights than the present ones: along two directions through them, many places at a time.

use noyau_tensor::{Array, Param, Result, Scalar, Tensor, gradients};
use noyau_train::{CompiledStep, Session, Spec, Step};

use super::steps::{objective_of, of_points};
use crate::cloud::Cloud;
use crate::network::{self, Network};
use crate::{Penalty, Setup};

/// A compiled step that moves the weights by `a` times one direction and `b` times another, for many `a` and `b` at once, and gives what is made small (the mean loss of
/// the points trained on, and the penalty) at each place.
pub(super) struct Probe {
    places: CompiledStep,
    gradient: CompiledStep,
    directions: [Vec<Param>; 2],
    at_once: usize,
}

impl Probe {
    pub async fn new(session: &Session, setup: &Setup, cloud: &Cloud, network: &Network, penalty_rate: &Param) -> Result<Probe> {
        let (x, y) = of_points(setup, cloud, 0..cloud.train)?;
        let (x, y) = (Param::from_array("probe.x", x), Param::from_array("probe.y", y));
        let params = network.params();
        let zeros = |p: &Param| Param::from_array("direction", Array::full(p.shape(), Scalar::Float(0.0)));
        let directions: [Vec<Param>; 2] = [params.iter().map(zeros).collect(), params.iter().map(zeros).collect()];
        let at_once = ((1 << 16) / cloud.train).clamp(8, 256);
        let places = session
            .compile_async([Spec::f32([at_once]), Spec::f32([at_once])], |[a, b]| {
                Step::returns(&losses_at(setup, network, [&x, &y], &directions, [&a, &b], penalty_rate))
            })
            .await?;
        let outputs = network.layers_of(&x, &noyau_nn::Mode::eval()).pop().unwrap_or_else(|| x.tensor().clone());
        let loss = objective_of(network.weights(), setup.penalty, penalty_rate, network.losses(&outputs, &y).mean());
        let slopes = gradients(&loss, &params.iter().map(|p| p.tensor()).collect::<Vec<_>>())?;
        // What no gradient reaches has a slope of 0.
        let flat: Vec<Tensor> =
            slopes.into_iter().zip(&params).map(|(slope, p)| slope.unwrap_or_else(|| p.zeros_like()).reshape([p.numel()])).collect();
        let flat = noyau_tensor::concat(&flat.iter().collect::<Vec<_>>(), 0);
        let gradient = session.compile_async([], |[]| Step::returns(&flat)).await?;
        Ok(Probe { places, gradient, directions, at_once })
    }

    /// Sets the directions, each the length of all parameters together.
    pub async fn set_directions(&self, session: &Session, directions: [&[f32]; 2]) -> Result<()> {
        for (params, values) in self.directions.iter().zip(directions) {
            let mut start = 0;
            for param in params {
                let part = values.get(start..start + param.numel()).unwrap_or(&[]);
                session.set_async(param, &super::array(param.shape(), part)?).await?;
                start += param.numel();
            }
        }
        Ok(())
    }

    /// What is made small at each place.
    pub async fn losses(&mut self, places: &[[f32; 2]]) -> Result<Vec<f32>> {
        let mut losses = Vec::with_capacity(places.len());
        for part in places.chunks(self.at_once) {
            let along = |i: usize| {
                let mut values: Vec<f32> = part.iter().map(|place| place[i]).collect();
                values.resize(self.at_once, 0.0);
                super::array([self.at_once], &values)
            };
            let results = self.places.run_async(&[&along(0)?, &along(1)?]).await?;
            let found = results.first().map_or_else(|| Ok(Vec::new()), |array| array.to_vec::<f32>())?;
            losses.extend(&found[..part.len().min(found.len())]);
        }
        Ok(losses)
    }

    /// The slopes of what is made small by all weights and biases, flat, by back-propagation.
    pub async fn gradient(&mut self) -> Result<Vec<f32>> {
        self.gradient.launch_async().await?;
        self.gradient.read_async(0).await?.to_vec()
    }
}

/// What is made small at weights moved by `a` and `b` times the directions, `[places]`.
fn losses_at(
    setup: &Setup,
    network: &Network,
    [x, y]: [&Tensor; 2],
    directions: &[Vec<Param>; 2],
    along: [&Tensor; 2],
    penalty_rate: &Tensor,
) -> Tensor {
    let places = along[0].numel();
    let params = network.params();
    let moved = |i: usize| {
        let shape = params[i].shape().to_vec();
        // Biases are rows, so that both are matrices.
        let [rows, columns] = if shape.len() == 2 { [shape[0], shape[1]] } else { [1, shape[0]] };
        let here = params[i].reshape([1, rows, columns]);
        let by = |d: usize| along[d].reshape([places, 1, 1]) * directions[d][i].reshape([1, rows, columns]);
        here + by(0) + by(1)
    };
    let mut value = x.unsqueeze(0);
    let mut cost: Option<Tensor> = None;
    for (i, layer) in network.layers.iter().enumerate() {
        let weight = moved(2 * i);
        value = network::activated(&(value.matmul(&weight.transpose(1, 2)) + moved(2 * i + 1)), layer.activation);
        let size = match setup.penalty {
            Penalty::None => continue,
            Penalty::L1 => weight.abs(),
            Penalty::L2 => weight.square() * 0.5,
        };
        let size = size.sum_axes(&[1, 2]);
        cost = Some(cost.map_or(size.clone(), |before| before + size));
    }
    let loss = network.losses(&value, y).mean_axes(&[-1]);
    match cost {
        Some(cost) => loss + cost * penalty_rate,
        None => loss,
    }
}

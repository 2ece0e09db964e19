//! The slope of the loss by one weight, as the lecture introduces the gradient: by trying, and by back-propagation.

use noyau_tensor::Result;
use serde_json::{Value, json};

use crate::Engine;

/// What is made small (the mean loss of the points trained on, and the penalty) as one weight changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Slope {
    /// The weight.
    pub value: f32,
    /// The slope there, by back-propagation.
    pub backpropagated: f32,
    /// Some steps h, with `(loss(w + h) - loss(w - h)) / (2 h)`.
    pub numerical: Vec<(f32, f32)>,
    /// Weights around it, and the loss there.
    pub curve: Vec<(f32, f32)>,
}

/// From coarse to so fine that rounding is all that is left.
const STEPS: [f32; 9] = [1.0, 0.3, 0.1, 0.03, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
/// Points of the curve, to both sides.
const SIDE: i32 = 40;
/// How far it reaches.
const REACH: f32 = 2.0;

impl Engine {
    /// The slope by a weight or a bias, on all points trained on, without dropout. Fails where there is no such place.
    pub async fn slope(&mut self, parameter: usize, index: usize) -> Result<Slope> {
        self.check_place(parameter, index)?;
        let params = self.network().params();
        let start: usize = params[..parameter].iter().map(|p| p.numel()).sum();
        let whole = params.iter().map(|p| p.numel()).sum();
        let mut direction = vec![0.0; whole];
        direction[start + index] = 1.0;
        let value = self.weights().await?[parameter].values[index];

        let around = (-SIDE..=SIDE).map(|i| REACH * i as f32 / SIDE as f32);
        let places: Vec<[f32; 2]> = STEPS.iter().flat_map(|&h| [h, -h]).chain(around).map(|by| [by, 0.0]).collect();
        let (losses, gradient) = self.probed([&direction, &vec![0.0; whole]], &places).await?;
        let (pairs, curve) = losses.split_at(2 * STEPS.len());
        Ok(Slope {
            value,
            backpropagated: gradient[start + index],
            numerical: STEPS.iter().zip(pairs.chunks_exact(2)).map(|(&h, pair)| (h, (pair[0] - pair[1]) / (2.0 * h))).collect(),
            curve: places[2 * STEPS.len()..].iter().zip(curve).map(|(place, &loss)| (value + place[0], loss)).collect(),
        })
    }
}

impl Slope {
    /// As the page has it.
    pub fn json(&self) -> Value {
        let numerical: Vec<Value> = self.numerical.iter().map(|(h, slope)| json!({"h": as_written(*h), "slope": slope})).collect();
        json!({"value": self.value, "backpropagated": self.backpropagated, "numerical": numerical, "curve": self.curve})
    }
}

/// A number with the digits that it is written with, and not those of its nearest f32.
fn as_written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value.into())
}

//! The hills that the optimizer walks down: the loss over a plane through the present weights, and the path on it.
//!
//! The plane is spanned by the two directions in which the weights have moved most, the principal components of the path: Lorch, "Visualizing deep network training
//! trajectories with PCA" (2016), and Li et al., "Visualizing the loss landscape of neural nets" (NeurIPS 2018).

use noyau_data::Rng;
use noyau_tensor::{Error, Result};
use serde_json::{Value, json};

use crate::{Engine, Penalty};

/// What is made small, over a plane of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Surface {
    /// Places of a side.
    pub size: usize,
    /// The coordinates go from `-span` to `span`: distances in the space of weights from the present ones.
    pub span: f32,
    /// Row by row, from `b = -span` up, in each from `a = -span` up.
    pub losses: Vec<f32>,
    /// The training so far as seen from above: a, b, and the loss that it really had there (which need not be that of the plane).
    pub path: Vec<[f32; 3]>,
    /// The share of the path's movement that happens in this plane; none where the directions are random.
    pub explained: Option<f32>,
}

impl Engine {
    /// Places of a side of [`Engine::surface`].
    pub const MOST_SURFACE: usize = 101;

    /// The loss over a plane through the present weights. Fails where size or span make no sense.
    pub async fn surface(&mut self, size: usize, span: f32) -> Result<Surface> {
        if !(2..=Engine::MOST_SURFACE).contains(&size) {
            return Err(Error::argument("surface", format!("{size} is no size from 2 to {}", Engine::MOST_SURFACE)));
        }
        if !(span > 0.0 && span <= 1e6) {
            return Err(Error::argument("surface", format!("{span} is no distance above 0")));
        }
        let here: Vec<f32> = self.weights().await?.into_iter().flat_map(|m| m.values).collect();
        let trail = self.trail().await?;
        let now = self.figures().await?.train_loss;
        let recorded = |step: &u64| self.curve().iter().find(|r| r.step == *step).map_or(f32::NAN, |r| r.train);
        let known: Vec<f32> = trail.steps.iter().map(recorded).chain([now]).collect();
        let mut path = trail.weights;
        path.push(here.clone());
        let moved: Vec<Vec<f64>> = path.iter().map(|w| w.iter().zip(&here).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()).collect();
        let ([first, second], explained) = directions(&moved, here.len(), self.setup().seed);

        let along = |i: usize| span * (2.0 * i as f32 / (size - 1) as f32 - 1.0);
        let grid: Vec<[f32; 2]> = (0..size * size).map(|i| [along(i % size), along(i / size)]).collect();
        let directions = [&first, &second].map(|d| d.iter().map(|&v| v as f32).collect::<Vec<f32>>());
        let (losses, _) = self.probed([&directions[0], &directions[1]], &grid).await?;
        let place = |((weights, by), loss): ((&Vec<f32>, &Vec<f64>), f32)| {
            [dot(by, &first) as f32, dot(by, &second) as f32, loss + self.penalty(weights)]
        };
        let walked = path.iter().zip(&moved).zip(known).map(place).collect();
        Ok(Surface { size, span, losses, path: walked, explained })
    }
}

impl Engine {
    /// What the penalty adds at weights and biases, flat, at its present rate.
    fn penalty(&self, values: &[f32]) -> f32 {
        let mut rest = values;
        let mut cost = 0.0;
        for (i, param) in self.network().params().iter().enumerate() {
            let (these, after) = rest.split_at(param.numel().min(rest.len()));
            rest = after;
            let size = |w: &f32| match self.setup().penalty {
                Penalty::None => 0.0,
                Penalty::L1 => f64::from(w.abs()),
                Penalty::L2 => f64::from(w * w) * 0.5,
            };
            cost += if i % 2 == 0 { these.iter().map(size).sum::<f64>() } else { 0.0 };
        }
        (cost * self.penalty_rate()) as f32
    }
}

impl Surface {
    /// As the page has it.
    pub fn json(&self) -> Value {
        let reach = self.path.iter().fold(0.0f32, |most, p| most.max(p[0].abs()).max(p[1].abs()));
        let about = match self.explained {
            Some(_) => "principal",
            None => "random",
        };
        json!({
            "size": self.size, "span": self.span, "losses": self.losses, "path": self.path,
            "about": about, "explained": self.explained, "reach": reach,
        })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Two directions of length 1 at right angles: those in which the movements go most, and the share of them that these two have; random ones where there is no path.
fn directions(moved: &[Vec<f64>], width: usize, seed: u64) -> ([Vec<f64>; 2], Option<f32>) {
    let mut rng = Rng::stream(seed, 0x0073_7572_6661_6365);
    let whole: f64 = moved.iter().map(|m| dot(m, m)).sum();
    let mut found: Vec<Vec<f64>> = Vec::new();
    let mut share = 0.0;
    for _ in 0..2 {
        let mut direction: Vec<f64> = (0..width).map(|_| rng.normal(0.0, 1.0)).collect();
        square_up(&mut direction, &found);
        // Power iteration on the sum of outer products.
        for _ in 0..200 {
            let mut next = vec![0.0; width];
            for m in moved {
                let along = dot(m, &direction);
                next.iter_mut().zip(m).for_each(|(n, v)| *n += along * v);
            }
            if !square_up(&mut next, &found) {
                break;
            }
            direction = next;
        }
        // The same sign always: most of the path comes from the left, or from below.
        if moved.iter().map(|m| dot(m, &direction)).sum::<f64>() > 0.0 {
            direction.iter_mut().for_each(|v| *v = -*v);
        }
        share += moved.iter().map(|m| dot(m, &direction).powi(2)).sum::<f64>();
        found.push(direction);
    }
    let second = found.pop().unwrap_or_default();
    let first = found.pop().unwrap_or_default();
    ([first, second], (whole > 0.0).then(|| (share / whole) as f32))
}

/// Takes out of a direction what it has of others, and makes its length 1; false when nothing is left.
fn square_up(direction: &mut [f64], others: &[Vec<f64>]) -> bool {
    for other in others {
        let along = dot(direction, other);
        direction.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
    }
    let length = dot(direction, direction).sqrt();
    if length < 1e-12 {
        return false;
    }
    direction.iter_mut().for_each(|v| *v /= length);
    true
}

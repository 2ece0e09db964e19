//! Points to learn from: generated, or the visitor's own.

mod generated;
mod own;
mod table;

pub use own::{Axis, Labels, Own};

use noyau_data::Rng;
use noyau_tensor::{Error, Result};

use crate::Setup;

/// A point of the plane and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// From -6 to 6, but for a few strays of noisy clouds.
    pub x: [f32; 2],
    /// The class's number, or a value from about -1 to 1.
    pub label: f32,
}

/// The points of a setup, parted into those to train on and those to test with.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// Those to train on first.
    pub points: Vec<Point>,
    /// How many of them are to train on; at least one, and not all.
    pub train: usize,
    /// The names of the classes; none where values are to be learnt.
    pub classes: Option<Vec<String>>,
}

impl Cloud {
    /// The points that a setup asks for. Fails where its own points are too few to be parted.
    pub fn new(setup: &Setup) -> Result<Cloud> {
        let (points, classes) = match setup.data.points() {
            Some(kind) => generated::points(kind, setup)?,
            None => {
                let mut points = setup.own.points().to_vec();
                // Tables often come in the order of their classes.
                Rng::stream(setup.seed, 0x6f77_6e00).shuffle(&mut points);
                (points, setup.own.class_names())
            }
        };
        if points.len() < 2 {
            return Err(Error::argument(
                "data",
                format!("{} points are too few: one to train on and one to test with are needed", points.len()),
            ));
        }
        let train = (points.len() * setup.train_share as usize / 100).clamp(1, points.len() - 1);
        Ok(Cloud { points, train, classes })
    }

    /// How many numbers the network gives for a point: one for a value or two classes, else one a class.
    pub fn outputs(&self) -> usize {
        match &self.classes {
            Some(names) if names.len() > 2 => names.len(),
            _ => 1,
        }
    }

    /// What the network's outputs are to be for a point: -1 or 1 each, or the value.
    pub fn targets(&self, point: &Point) -> Vec<f32> {
        let sign = |yes: bool| if yes { 1.0 } else { -1.0 };
        match self.classes.as_ref().map(Vec::len) {
            None => vec![point.label],
            Some(0..=2) => vec![sign(point.label > 0.5)],
            Some(classes) => (0..classes).map(|class| sign(class as f32 == point.label)).collect(),
        }
    }
}

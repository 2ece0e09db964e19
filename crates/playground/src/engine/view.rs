//! What is seen of a state: figures, weights and maps, all from one run of one step, as a GPU is slow to be asked.

use std::collections::BTreeMap;

use noyau_nn::Mode;
use noyau_tensor::{Param, Result, Shape, Tensor, concat};
use noyau_train::{CompiledStep, Session, Step};

use super::record::evaluated;
use super::steps::of_points;
use crate::cloud::Cloud;
use crate::network::{self, Network};
use crate::{Feature, Setup};

/// How a network does.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The mean loss over the points trained on, without the penalty.
    pub train_loss: f32,
    /// The mean loss over the others.
    pub test_loss: f32,
    /// The share of points whose class is right, trained on and not, where there are classes.
    pub accuracy: Option<[f32; 2]>,
    /// Of the points not trained on, how many of each class (rows) are taken for which; empty without classes.
    pub confusion: Vec<Vec<u32>>,
}

/// A parameter's values.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Its layer, hidden ones first.
    pub layer: usize,
    /// Whether it is the biases.
    pub bias: bool,
    /// Neurons.
    pub rows: usize,
    /// What they read; 1 for biases.
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

/// All points of a cloud on the device, those trained on first.
pub(super) struct Everything {
    x: Param,
    y: Param,
    train: usize,
    classes: usize,
}

impl Everything {
    pub fn of(setup: &Setup, cloud: &Cloud) -> Result<Everything> {
        let (x, y) = of_points(setup, cloud, 0..cloud.points.len())?;
        let classes = cloud.classes.as_ref().map_or(0, |names| names.len().max(2));
        Ok(Everything { x: Param::from_array("all.x", x), y: Param::from_array("all.y", y), train: cloud.train, classes })
    }

    /// The mean losses of the points trained on and of the others.
    pub fn losses(&self, network: &Network) -> [Tensor; 2] {
        let losses = network.losses(&evaluated(network, &self.x), &self.y);
        [losses.slice(0, ..self.train).mean(), losses.slice(0, self.train..).mean()]
    }

    /// Losses, shares and the confusion matrix, one after the other.
    fn figures(&self, network: &Network) -> Vec<Tensor> {
        let outputs = evaluated(network, &self.x);
        let losses = network.losses(&outputs, &self.y);
        let parts = |t: &Tensor| [t.slice(0, ..self.train).mean().reshape([1]), t.slice(0, self.train..).mean().reshape([1])];
        let mut all = parts(&losses).to_vec();
        if self.classes > 0 {
            let (right, said) = network.classified(&outputs, &self.y);
            all.extend(parts(&right));
            let (_, truth) = network.classified(&self.y, &self.y);
            let counted = |t: &Tensor| t.slice(0, self.train..).one_hot(self.classes);
            all.push(counted(&truth).t().matmul(&counted(&said)).reshape([self.classes * self.classes]));
        }
        all
    }
}

/// The compiled steps, by the size of their maps, and what they last gave.
pub(super) struct View {
    everything: Everything,
    features: Vec<Feature>,
    /// The losses of the last records, which come first in what is seen.
    records: Param,
    steps: BTreeMap<usize, CompiledStep>,
    seen: BTreeMap<usize, Vec<f32>>,
    /// The maps asked for last: figures come with them.
    size: usize,
}

impl View {
    /// With the records' state, which is to be seen too.
    pub fn new(setup: &Setup, cloud: &Cloud, records: &Param) -> Result<View> {
        Ok(View {
            everything: Everything::of(setup, cloud)?,
            features: setup.features.clone(),
            records: records.clone(),
            steps: BTreeMap::new(),
            seen: BTreeMap::new(),
            size: 0,
        })
    }

    /// The state has changed.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// All that there is to see, with maps of this size.
    async fn look(&mut self, session: &Session, network: &Network, size: usize) -> Result<&[f32]> {
        if !self.seen.contains_key(&size) {
            if !self.steps.contains_key(&size) {
                let step = self.compile(session, network, size).await?;
                self.steps.insert(size, step);
            }
            let mut values = Vec::new();
            if let Some(step) = self.steps.get_mut(&size) {
                step.launch_async().await?;
                values = step.read_async(0).await?.to_vec()?;
            }
            self.seen.insert(size, values);
        }
        Ok(self.seen.get(&size).map_or(&[], |values| values))
    }

    async fn compile(&self, session: &Session, network: &Network, size: usize) -> Result<CompiledStep> {
        let mut parts = vec![self.records.reshape([self.records.numel()])];
        parts.extend(self.everything.figures(network));
        parts.extend(network.params().iter().map(|p| p.reshape([p.numel()])));
        if size > 0 {
            let x = network::features(&self.features, network::grid(size));
            let x = Param::from_array("grid", super::array([size * size, self.features.len()], &x)?);
            let mut maps = network.layers_of(&x, &Mode::eval());
            if let Some(outputs) = maps.last_mut() {
                *outputs = network.shown(outputs);
            }
            maps.insert(0, x.tensor().clone());
            parts.extend(maps.iter().map(|t| t.t().reshape([t.numel()])));
        }
        let all = concat(&parts.iter().collect::<Vec<_>>(), 0);
        session.compile_async([], |[]| Step::returns(&all)).await
    }

    /// The records' state, where the present state was seen.
    pub fn records(&self) -> Option<&[f32]> {
        self.seen.values().next().and_then(|values| values.get(..self.records.numel()))
    }

    /// What was seen of the present state already, with whatever maps, or else is seen now.
    async fn any(&mut self, session: &Session, network: &Network) -> Result<&[f32]> {
        let size = self.seen.keys().next().copied().unwrap_or(self.size);
        self.look(session, network, size).await
    }

    pub async fn figures(&mut self, session: &Session, network: &Network) -> Result<Figures> {
        let classes = self.everything.classes;
        let start = self.records.numel();
        let values = self.any(session, network).await?.get(start..).unwrap_or(&[]);
        let at = |i: usize| values.get(i).copied().unwrap_or(f32::NAN);
        let confusion = values.get(4..4 + classes * classes).unwrap_or(&[]);
        Ok(Figures {
            train_loss: at(0),
            test_loss: at(1),
            accuracy: (classes > 0).then(|| [at(2), at(3)]),
            confusion: if classes == 0 {
                Vec::new()
            } else {
                confusion.chunks(classes).map(|row| row.iter().map(|&n| n.round() as u32).collect()).collect()
            },
        })
    }

    fn before_weights(&self) -> usize {
        let figures = match self.everything.classes {
            0 => 2,
            n => 4 + n * n,
        };
        self.records.numel() + figures
    }

    pub async fn weights(&mut self, session: &Session, network: &Network) -> Result<Vec<Matrix>> {
        let mut at = self.before_weights();
        let values = self.any(session, network).await?;
        let shapes: Vec<Shape> = network.params().iter().map(|p| p.shape().clone()).collect();
        let matrix = |(i, shape): (usize, &Shape)| {
            let found = values.get(at..at + shape.numel()).unwrap_or(&[]).to_vec();
            at += shape.numel();
            Matrix { layer: i / 2, bias: i % 2 == 1, rows: shape[0], columns: shape.get(1).copied().unwrap_or(1), values: found }
        };
        Ok(shapes.iter().enumerate().map(matrix).collect())
    }

    pub async fn maps(&mut self, session: &Session, network: &Network, size: usize) -> Result<Vec<f32>> {
        self.size = size;
        let start = self.before_weights() + network.params().iter().map(|p| p.numel()).sum::<usize>();
        let values = self.look(session, network, size).await?;
        Ok(values.get(start..).unwrap_or(&[]).to_vec())
    }
}

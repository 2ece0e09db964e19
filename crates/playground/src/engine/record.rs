//! What is kept of a training: losses, and weights on the way, after steps that depend on nothing but their number.

use noyau_nn::{Mode, Module};
use noyau_tensor::{Array, DType, Error, Param, Result, Tensor, concat};
use noyau_train::{CompiledStep, Session, Spec, Step};

use super::view::Everything;
use crate::Setup;
use crate::cloud::Cloud;
use crate::network::Network;

/// The losses after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// The mean over the points trained on, without the penalty.
    pub train: f32,
    /// The mean over the others.
    pub test: f32,
}

/// Weights on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    /// After how many steps.
    pub steps: Vec<u64>,
    /// All parameters one after the other, flat, for each of them.
    pub weights: Vec<Vec<f32>>,
}

/// The records so far. They are made each epoch at first; when there are many, every second is dropped and they are made half as often.
pub(super) struct Records {
    losses: CompiledStep,
    keep: CompiledStep,
    trail: Param,
    per_epoch: u64,
    /// Epochs from record to record.
    stride: u64,
    known: Vec<Record>,
    /// Steps whose losses are on the device still.
    unread: Vec<u64>,
    next: u64,
    /// As above, for the weights: steps, and which row of the trail has them.
    rows: Vec<(u64, usize)>,
    trail_stride: u64,
}

impl Records {
    /// Records of losses: at most so many, at least half of it.
    const MOST: usize = 1024;
    /// Records of weights.
    const ROWS: usize = 64;

    pub async fn new(session: &Session, setup: &Setup, cloud: &Cloud, network: &Network, per_epoch: u64) -> Result<Records> {
        let everything = Everything::of(setup, cloud)?;
        let losses = session
            .compile_async([], |[]| {
                let [train, test] = everything.losses(network);
                Step::returns(&train).and_returns(&test)
            })
            .await?;
        let params = network.params();
        let flat: Vec<Tensor> = params.iter().map(|p| p.reshape([p.numel()])).collect();
        let all = concat(&flat.iter().collect::<Vec<_>>(), 0);
        let width = all.numel();
        let trail = Param::from_array("trail", Array::new([Records::ROWS, width], &vec![0.0f32; Records::ROWS * width])?);
        let keep = session
            .compile_async([Spec::u32([])], |[row]| {
                let here = Tensor::iota([Records::ROWS, width], 0).to(DType::U32).eq(&row);
                let next = here.where_(all.reshape([1, width]).expand([Records::ROWS, width]), &trail);
                Step::default().updates([(trail.clone(), next)])
            })
            .await?;
        Ok(Records {
            losses,
            keep,
            trail,
            per_epoch,
            stride: 1,
            known: Vec::new(),
            unread: Vec::new(),
            next: 0,
            rows: Vec::new(),
            trail_stride: 1,
        })
    }

    /// The step after which the next record is to be made.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Makes the record of a step.
    pub async fn take(&mut self, step: u64) -> Result<()> {
        if self.known.len() + self.unread.len() >= Records::MOST {
            self.read().await?;
            self.stride *= 2;
            let period = self.stride * self.per_epoch;
            self.known.retain(|record| record.step.is_multiple_of(period));
        }
        let period = self.stride * self.per_epoch;
        if step.is_multiple_of(period) {
            self.losses.launch_many_async(1).await?;
            self.unread.push(step);
        }
        self.next = (step / period + 1) * period;
        self.take_weights(step).await
    }

    async fn take_weights(&mut self, step: u64) -> Result<()> {
        if self.rows.len() >= Records::ROWS {
            self.trail_stride *= 2;
            let period = self.trail_stride * self.per_epoch;
            self.rows.retain(|(step, _)| step.is_multiple_of(period));
        }
        if !step.is_multiple_of(self.trail_stride * self.per_epoch) {
            return Ok(());
        }
        let Some(row) = (0..Records::ROWS).find(|row| self.rows.iter().all(|(_, taken)| taken != row)) else { return Ok(()) };
        self.keep.write(0, &Array::scalar(row as u32))?;
        self.keep.launch_async().await?;
        self.rows.push((step, row));
        Ok(())
    }

    /// Brings the losses that are on the device still.
    pub async fn read(&mut self) -> Result<()> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let train = self.losses.history_async(0).await?.to_vec::<f32>()?;
        let test = self.losses.history_async(1).await?.to_vec::<f32>()?;
        if train.len() != self.unread.len() || test.len() != self.unread.len() {
            return Err(Error::Internal(format!("{} records of losses for {} steps", train.len(), self.unread.len())));
        }
        let records = self.unread.drain(..).zip(train.into_iter().zip(test));
        self.known.extend(records.map(|(step, (train, test))| Record { step, train, test }));
        Ok(())
    }

    pub fn known(&self) -> &[Record] {
        &self.known
    }

    /// The newest record.
    pub async fn last(&mut self) -> Result<Option<Record>> {
        self.read().await?;
        Ok(self.known.last().copied())
    }

    pub async fn trail(&self, session: &Session) -> Result<Trail> {
        let all: Vec<f32> = session.get_async(&self.trail).await?.to_vec()?;
        let width = all.len() / Records::ROWS;
        let weights = self.rows.iter().map(|&(_, row)| all[row * width..][..width].to_vec()).collect();
        Ok(Trail { steps: self.rows.iter().map(|&(step, _)| step).collect(), weights })
    }
}

/// What the network gives for features in evaluation.
pub(super) fn evaluated(network: &Network, x: &Tensor) -> Tensor {
    network.forward(x, &Mode::eval())
}

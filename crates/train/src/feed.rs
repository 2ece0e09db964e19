//! How a data set's batches reach a step: as arrays with each launch, or by index from a copy that stays on the device.
//!
//! On the device lie the samples, an epoch's order and a cursor: the number of the next batch, which each step moves on. So nothing has to
//! be sent within an epoch, and many steps can be submitted at once.

use noyau_data::{Batch, Loader, Packing};
use noyau_tensor::{Array, DType, Init, Param, Result, Scalar, Shape, State, Tensor};

use crate::described::Spec;
use crate::session::Session;
use crate::step::CompiledStep;

/// A data set prepared for a device.
pub(crate) struct Feed {
    pub loader: Loader,
    resident: Option<Resident>,
}

/// A data set that stays on a session's device, with the order of an epoch, or of some, and the number of the next batch: steps made of [`Resident::batch`] and
/// [`Resident::updates`] need no arguments, so that many can be submitted at once ([`CompiledStep::launch_many`]).
pub struct Resident {
    loader: Loader,
    features: Param,
    targets: Param,
    packing: Packing,
    /// The samples of the epochs in their order.
    order: Param,
    /// The number of the next batch among the epochs'.
    cursor: Param,
    epochs: usize,
}

impl Resident {
    /// The data set of a loader, with room for the orders of so many epochs. More than one need a loader that leaves out an epoch's smaller last batch, if it
    /// has one ([`Loader::drop_last`]): batches are counted through all of them.
    pub fn new(loader: &Loader, epochs: usize) -> Resident {
        let packed = loader.dataset().packed();
        let samples = loader.samples().saturating_mul(epochs.max(1));
        Resident {
            loader: loader.clone(),
            features: Param::from_array("data.features", packed.features),
            targets: Param::from_array("data.targets", packed.targets),
            packing: packed.packing,
            order: Param::from_state(State::new("data.order", [samples], DType::U32, Init::Full(Scalar::Uint(0)))),
            cursor: Param::from_array("feed.cursor", Array::scalar(0u32)),
            epochs: epochs.max(1),
        }
    }

    /// The next batch, of `size` samples: their features and targets.
    pub fn batch(&self, size: usize) -> (Tensor, Tensor) {
        let data = self.loader.dataset();
        // In whole batches, also for the last one, which is smaller.
        let places = self.cursor.tensor() * self.loader.batch_size() as u32 + Tensor::arange(size).to(DType::U32);
        let index = self.order.index_select(0, &places);
        let rows = self.features.index_select(0, &index);
        let x = match self.packing {
            Packing::Words => rows,
            Packing::Bytes { mul, add } => unpack(&rows, data.sample_shape().numel()) * mul + add,
        };
        let y = self.targets.index_select(0, &index);
        (x.reshape(with_batch(size, data.sample_shape())), y.reshape(with_batch(size, data.target_shape())))
    }

    /// What a step on a batch changes besides what it is for.
    pub fn updates(&self) -> Vec<(Param, Tensor)> {
        vec![(self.cursor.clone(), &self.cursor + 1u32)]
    }

    /// Gives the device the orders of the epochs from one on, and goes to one of the batches among theirs.
    pub async fn begin_async(&self, session: &Session, epoch: u64, first: usize) -> Result<()> {
        let order: Vec<u32> = (0..self.epochs as u64).flat_map(|i| self.loader.order(epoch + i)).collect();
        session.set_async(&self.order, &Array::new([order.len()], &order)?).await?;
        session.set_async(&self.cursor, &Array::scalar(u32::try_from(first).unwrap_or(u32::MAX))).await
    }
}

fn with_batch(batch: usize, sizes: &Shape) -> Shape {
    std::iter::once(batch).chain(sizes.iter().copied()).collect()
}

impl Feed {
    /// Batches of `loader`'s data set; copied to the device first if `resident`.
    pub fn new(loader: Loader, resident: bool) -> Feed {
        let resident = resident.then(|| Resident::new(&loader, 1));
        Feed { loader, resident }
    }

    /// The arguments of a step on a batch of this size, and the batch as tensors made of them.
    pub fn arguments(&self, batch: usize) -> (Vec<Spec>, Tensor, Tensor) {
        let data = self.loader.dataset();
        match &self.resident {
            None => {
                let (x_shape, y_shape) = (with_batch(batch, data.sample_shape()), with_batch(batch, data.target_shape()));
                let (x, y) = (Tensor::input(0, &x_shape, data.dtype()), Tensor::input(1, &y_shape, data.target_dtype()));
                (vec![Spec::new(&x_shape, data.dtype()), Spec::new(&y_shape, data.target_dtype())], x, y)
            }
            Some(resident) => {
                let (x, y) = resident.batch(batch);
                (Vec::new(), x, y)
            }
        }
    }

    /// What a step on a batch changes besides what it is for.
    pub fn updates(&self) -> Vec<(Param, Tensor)> {
        self.resident.as_ref().map_or_else(Vec::new, Resident::updates)
    }

    /// Begins an epoch at one of its batches: those from there on, in order.
    pub async fn epoch(&self, session: &Session, epoch: u64, first: usize) -> Result<Batches> {
        let Some(resident) = &self.resident else { return Ok(Batches::Arrays(self.loader.epoch_from(epoch, first))) };
        resident.begin_async(session, epoch, first).await?;
        let (samples, size) = (self.loader.samples(), self.loader.batch_size());
        Ok(Batches::Placed { samples: samples.saturating_sub(first.saturating_mul(size)), size })
    }

    /// The sizes of batches that an epoch has: the batch size, and what is left at the end.
    pub fn batch_sizes(&self) -> Vec<usize> {
        let (samples, size) = (self.loader.samples(), self.loader.batch_size());
        [size.min(samples), samples % size].into_iter().filter(|&s| s > 0).take(if samples < size { 1 } else { 2 }).collect()
    }
}

/// An epoch's batches.
pub(crate) enum Batches {
    Arrays(noyau_data::Batches),
    /// On the device: so many samples are left, in batches of a size.
    Placed {
        samples: usize,
        size: usize,
    },
}

/// A batch on its way to a step, or several of one size.
pub(crate) enum Parcel {
    Arrays(Batch),
    /// The device's next ones.
    Placed {
        len: usize,
        count: usize,
    },
}

impl Parcel {
    /// Samples of a batch.
    pub fn len(&self) -> usize {
        match self {
            Parcel::Arrays(batch) => batch.len(),
            Parcel::Placed { len, .. } => *len,
        }
    }

    /// How many batches there are.
    pub fn count(&self) -> usize {
        match self {
            Parcel::Arrays(_) => 1,
            Parcel::Placed { count, .. } => *count,
        }
    }

    /// Runs a step on all of them.
    pub async fn launch(&self, step: &mut CompiledStep) -> Result<()> {
        match self {
            Parcel::Arrays(batch) => step.launch_with_async(&[&batch.x, &batch.y]).await,
            Parcel::Placed { count, .. } => step.launch_unkept(*count).await,
        }
    }
}

impl Batches {
    /// The next batch, if there is one; or at most so many of one size, where they need not be sent.
    pub fn take(&mut self, most: usize) -> Option<Parcel> {
        match self {
            Batches::Arrays(batches) => batches.next().map(Parcel::Arrays),
            Batches::Placed { samples: 0, .. } => None,
            Batches::Placed { samples, size } => {
                let len = (*size).min(*samples);
                let count = (*samples / len).min(most.max(1));
                *samples -= len * count;
                Some(Parcel::Placed { len, count })
            }
        }
    }

    /// Gives a batch's memory back for a later one.
    pub fn recycle(&mut self, parcel: Parcel) {
        if let (Batches::Arrays(batches), Parcel::Arrays(batch)) = (self, parcel) {
            batches.recycle(batch);
        }
    }
}

/// Rows of words, four bytes each with the first in the lowest bits, as rows of `width` f32 from 0 to 255.
fn unpack(rows: &Tensor, width: usize) -> Tensor {
    let words = rows.shape()[1];
    let shifts = Tensor::arange(4) * 8;
    let bytes = rows.unsqueeze(-1).shr(&shifts).logical_and(255u32).to(DType::F32);
    bytes.reshape([rows.shape()[0], words * 4]).slice(1, ..width)
}

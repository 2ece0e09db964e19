//! How a data set's batches reach a step: as arrays with each launch, or by index from a copy that stays on the device.

use noyau_data::{Batch, Loader, Packing};
use noyau_tensor::{Array, DType, Param, Result, Shape, Tensor};

use crate::session::Spec;
use crate::step::CompiledStep;

/// A data set prepared for a device.
pub(crate) struct Feed {
    pub loader: Loader,
    resident: Option<Resident>,
}

struct Resident {
    features: Param,
    targets: Param,
    packing: Packing,
}

impl Feed {
    /// Batches of `loader`'s data set; copied to the device first if `resident`.
    pub fn new(loader: Loader, resident: bool) -> Feed {
        let resident = resident.then(|| {
            let packed = loader.dataset().packed();
            Resident {
                features: Param::from_array("data.features", packed.features),
                targets: Param::from_array("data.targets", packed.targets),
                packing: packed.packing,
            }
        });
        Feed { loader, resident }
    }

    /// The arguments of a step on a batch of this size, and the batch as tensors made of them.
    pub fn arguments(&self, batch: usize) -> (Vec<Spec>, Tensor, Tensor) {
        let data = self.loader.dataset();
        let with_batch = |sizes: &Shape| std::iter::once(batch).chain(sizes.iter().copied()).collect::<Shape>();
        let (x_shape, y_shape) = (with_batch(data.sample_shape()), with_batch(data.target_shape()));
        match &self.resident {
            None => {
                let (x, y) = (Tensor::input(0, &x_shape, data.dtype()), Tensor::input(1, &y_shape, data.target_dtype()));
                (vec![Spec::new(&x_shape, data.dtype()), Spec::new(&y_shape, data.target_dtype())], x, y)
            }
            Some(resident) => {
                let index = Tensor::input(0, [batch], DType::U32);
                let rows = resident.features.index_select(0, &index);
                let x = match resident.packing {
                    Packing::Words => rows,
                    Packing::Bytes { mul, add } => unpack(&rows, data.sample_shape().numel()) * mul + add,
                };
                let y = resident.targets.index_select(0, &index);
                (vec![Spec::u32([batch])], x.reshape(x_shape), y.reshape(y_shape))
            }
        }
    }

    /// The epoch's batches, in order.
    pub fn epoch(&self, epoch: u64) -> Batches {
        match &self.resident {
            None => Batches::Arrays(self.loader.epoch(epoch)),
            Some(_) => Batches::Indices(self.loader.index_batches(epoch)),
        }
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
    Indices(noyau_data::IndexBatches),
}

/// One batch on its way to a step.
pub(crate) enum Parcel {
    Arrays(Batch),
    Index(Array),
}

impl Parcel {
    pub fn len(&self) -> usize {
        match self {
            Parcel::Arrays(batch) => batch.len(),
            Parcel::Index(index) => index.len(),
        }
    }

    pub async fn launch(&self, step: &mut CompiledStep) -> Result<()> {
        step.launch_with_async(&self.arrays()).await
    }

    /// The arguments, as `launch` passes them.
    fn arrays(&self) -> Vec<&Array> {
        match self {
            Parcel::Arrays(batch) => vec![&batch.x, &batch.y],
            Parcel::Index(index) => vec![index],
        }
    }
}

impl Batches {
    /// The next batch, if there is one.
    pub fn take(&mut self) -> Result<Option<Parcel>> {
        match self {
            Batches::Arrays(batches) => Ok(batches.next().map(Parcel::Arrays)),
            Batches::Indices(batches) => batches.next().map(|index| Array::new([index.len()], &index).map(Parcel::Index)).transpose(),
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

//! Batches of a data set, shuffled anew each epoch.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use noyau_tensor::{Error, Result};

use crate::{Batch, Dataset, Rng};

/// Batches that are ready ahead of the step that runs.
const AHEAD: usize = 2;

/// Used batches kept to be filled again: those ahead, the one in the making and the one in use.
const SPARES: usize = AHEAD + 2;

/// Below this many values a batch is made faster than it is handed from thread to thread.
const SMALL: usize = 8192;

/// Cuts a data set into batches.
///
/// Without [`shuffle`](Loader::shuffle) every epoch has the samples in their order. The order of an epoch depends on nothing but the seed,
/// the number of the epoch and the number of samples: the same on every platform, however many epochs came before.
#[derive(Clone, Debug)]
pub struct Loader {
    data: Dataset,
    batch_size: usize,
    seed: Option<u64>,
    drop_last: bool,
    spares: Spares,
}

/// Used batches, shared by the loader, its epochs and their threads.
type Spares = Arc<Mutex<Vec<Batch>>>;

impl Loader {
    /// A loader of batches of `batch_size` samples, in their order, the last batch of an epoch perhaps smaller.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `batch_size` is 0.
    pub fn new(data: &Dataset, batch_size: usize) -> Result<Loader> {
        if batch_size == 0 {
            return Err(Error::argument("batch_size", "a batch of 0 samples was asked for, it must hold at least 1"));
        }
        Ok(Loader { data: data.clone(), batch_size, seed: None, drop_last: false, spares: Spares::default() })
    }

    /// Puts the samples in a new random order each epoch.
    pub fn shuffle(mut self, seed: u64) -> Loader {
        self.seed = Some(seed);
        self
    }

    /// Leaves out the last batch of an epoch where it is smaller than the others.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when that would leave no batch at all.
    pub fn drop_last(mut self) -> Result<Loader> {
        if self.batch_size > self.data.len() {
            let message = format!(
                "a batch of {} samples is more than the data set's {}, and the last, smaller batch is to be dropped: no batch would be left",
                self.batch_size,
                self.data.len()
            );
            return Err(Error::argument("batch_size", message));
        }
        self.drop_last = true;
        Ok(self)
    }

    /// The number of batches of an epoch.
    pub fn len(&self) -> usize {
        self.samples().div_ceil(self.batch_size)
    }

    /// Whether an epoch has no batches; never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of samples of an epoch: all, or with [`drop_last`](Loader::drop_last) those of whole batches.
    pub fn samples(&self) -> usize {
        let n = self.data.len();
        if self.drop_last { n - n % self.batch_size } else { n }
    }

    /// The number of samples of a batch (the last may be smaller).
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.data
    }

    /// The samples of an epoch by index into the data set, in their order; [`samples`](Loader::samples) long.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.data.len() as u32).collect();
        if let Some(seed) = self.seed {
            Rng::stream(seed, epoch).shuffle(&mut order);
        }
        order.truncate(self.samples());
        order
    }

    /// The batches of an epoch, numbered from 0. A thread makes the next ones while a step runs; it ends when the iterator is dropped.
    pub fn epoch(&self, epoch: u64) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from one of them on, numbered from 0: what was left of it when a training was interrupted. None where there are no
    /// more.
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Batches {
        let words = self.batch_size.min(self.data.len()).saturating_mul(self.data.sample_shape().numel());
        // The browser has no threads to spare.
        self.batches(epoch, first, words >= SMALL && !cfg!(target_arch = "wasm32"))
    }

    fn batches(&self, epoch: u64, first: usize, ahead: bool) -> Batches {
        let work =
            Work { data: self.data.clone(), order: self.order(epoch).into(), batch_size: self.batch_size, spares: self.spares.clone() };
        // Where no thread can be had, the batches are made on the spot.
        let first = first.min(work.len());
        let thread = if ahead { Ahead::start(work.clone(), first) } else { None };
        Batches { work, next: first, thread }
    }

    /// The batches of an epoch as indices into the data set, for a data set that lives on the device (see [`Dataset::packed`]).
    pub fn index_batches(&self, epoch: u64) -> IndexBatches {
        IndexBatches { order: self.order(epoch), batch_size: self.batch_size, next: 0 }
    }
}

/// What it takes to make any batch of an epoch.
#[derive(Clone)]
struct Work {
    data: Dataset,
    order: Arc<[u32]>,
    batch_size: usize,
    spares: Spares,
}

impl Work {
    fn len(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    fn make(&self, number: usize) -> Batch {
        let start = number * self.batch_size;
        let rows = &self.order[start..self.order.len().min(start.saturating_add(self.batch_size))];
        let mut batch = self.spare(rows.len()).unwrap_or_else(|| self.data.empty_batch(rows.len()));
        self.data.fill(rows, batch.x.words_mut(), batch.y.words_mut());
        batch
    }

    /// A used batch of this many samples.
    fn spare(&self, len: usize) -> Option<Batch> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        let at = spares.iter().position(|batch| batch.len() == len)?;
        Some(spares.swap_remove(at))
    }
}

/// The thread that makes batches ahead.
struct Ahead {
    batches: Receiver<Batch>,
    thread: JoinHandle<()>,
}

impl Ahead {
    fn start(work: Work, first: usize) -> Option<Ahead> {
        let (sender, batches) = sync_channel(AHEAD);
        let make_all = move || {
            for number in first..work.len() {
                // Nobody listens any more: the iterator has been dropped.
                if sender.send(work.make(number)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("noyau-loader".into()).spawn(make_all).ok()?;
        Some(Ahead { batches, thread })
    }

    fn stop(self) {
        // In this order: the thread may be waiting for room in the channel, and learns from its closing that it should end.
        drop(self.batches);
        let _ = self.thread.join();
    }
}

/// The batches of an epoch, from [`Loader::epoch`].
pub struct Batches {
    work: Work,
    next: usize,
    thread: Option<Ahead>,
}

impl Batches {
    /// Gives a batch back that is no longer needed, to be filled again: then an epoch allocates only its first batches.
    pub fn recycle(&mut self, batch: Batch) {
        let data = &self.work.data;
        let ours = batch.x.dtype() == data.dtype()
            && batch.y.dtype() == data.target_dtype()
            && batch.x.shape().get(1..) == Some(&data.sample_shape()[..])
            && batch.y.shape().get(1..) == Some(&data.target_shape()[..])
            && batch.y.shape()[0] == batch.len();
        let mut spares = self.work.spares.lock().unwrap_or_else(PoisonError::into_inner);
        if ours && spares.len() < SPARES {
            spares.push(batch);
        }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next == self.work.len() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        if let Some(thread) = &self.thread {
            match thread.batches.recv() {
                Ok(batch) => return Some(batch),
                // The thread is gone, which should not happen; an epoch must not end early for it.
                Err(_) => self.thread = None,
            }
        }
        Some(self.work.make(number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.work.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

impl Drop for Batches {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.stop();
        }
    }
}

/// The batches of an epoch as indices, from [`Loader::index_batches`].
#[derive(Clone, Debug)]
pub struct IndexBatches {
    order: Vec<u32>,
    batch_size: usize,
    next: usize,
}

impl Iterator for IndexBatches {
    type Item = Vec<u32>;

    fn next(&mut self) -> Option<Vec<u32>> {
        let rest = &self.order[self.next..];
        if rest.is_empty() {
            return None;
        }
        let batch = rest[..rest.len().min(self.batch_size)].to_vec();
        self.next += batch.len();
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.order.len() - self.next).div_ceil(self.batch_size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for IndexBatches {}

#[cfg(test)]
mod tests {
    use super::*;
    use noyau_tensor::Array;

    /// `n` samples of `width` values, all equal to their label.
    fn numbered(n: usize, width: usize) -> Dataset {
        let x: Vec<f32> = (0..n * width).map(|i| (i / width) as f32).collect();
        let y: Vec<u32> = (0..n as u32).collect();
        Dataset::new(&Array::new([n, width], &x).unwrap(), &Array::new([n], &y).unwrap()).unwrap()
    }

    fn labels(batches: impl Iterator<Item = Batch>) -> Vec<Vec<u32>> {
        batches.map(|b| b.y.to_vec().unwrap()).collect()
    }

    #[test]
    fn without_shuffling_the_order_is_kept_and_the_last_batch_is_smaller() {
        let loader = Loader::new(&numbered(7, 2), 3).unwrap();
        assert_eq!(loader.len(), 3);
        assert_eq!(labels(loader.epoch(0)), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(loader.epoch(0).last().unwrap().x, Array::new([1, 2], &[6f32, 6.0]).unwrap());
        let whole = loader.drop_last().unwrap();
        assert_eq!((whole.len(), whole.samples()), (2, 6));
        assert_eq!(labels(whole.epoch(5)), [vec![0, 1, 2], vec![3, 4, 5]]);
    }

    #[test]
    fn every_index_comes_once_per_epoch_in_an_order_of_its_own() {
        let loader = Loader::new(&numbered(1000, 1), 64).unwrap().shuffle(42);
        let mut orders = Vec::new();
        for epoch in 0..5 {
            let mut order = labels(loader.epoch(epoch)).concat();
            assert_eq!(order, loader.order(epoch));
            assert_eq!(order, loader.index_batches(epoch).flatten().collect::<Vec<_>>());
            orders.push(order.clone());
            order.sort_unstable();
            assert_eq!(order, (0..1000).collect::<Vec<_>>());
        }
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 5);
        assert_ne!(Loader::new(&numbered(1000, 1), 64).unwrap().shuffle(43).order(0), loader.order(0));
    }

    #[test]
    fn the_same_seed_gives_the_same_batches_with_and_without_a_thread() {
        let data = numbered(103, 5);
        let loader = Loader::new(&data, 8).unwrap().shuffle(1);
        let inline: Vec<Batch> = loader.batches(3, 0, false).collect();
        let ahead: Vec<Batch> = loader.batches(3, 0, true).collect();
        assert_eq!(inline, ahead);
        assert_eq!(inline, Loader::new(&data, 8).unwrap().shuffle(1).epoch(3).collect::<Vec<_>>());
        for batch in inline {
            let y = batch.y.to_vec::<u32>().unwrap();
            let x = batch.x.to_vec::<f32>().unwrap();
            assert!(x.chunks(5).zip(y).all(|(row, label)| row.iter().all(|&v| v == label as f32)));
        }
    }

    #[test]
    fn an_epoch_goes_on_from_any_of_its_batches() {
        let loader = Loader::new(&numbered(103, 5), 8).unwrap().shuffle(1);
        let whole: Vec<Batch> = loader.epoch(3).collect();
        for ahead in [false, true] {
            for first in [0, 1, 7, 12] {
                let batches = loader.batches(3, first, ahead);
                assert_eq!(batches.len(), 13 - first);
                assert_eq!(batches.collect::<Vec<_>>(), whole[first..], "from batch {first}");
            }
            for first in [13, 14, usize::MAX] {
                assert_eq!(loader.batches(3, first, ahead).count(), 0);
            }
        }
        assert_eq!(labels(loader.epoch_from(3, 12)), labels(whole[12..].iter().cloned()));
    }

    #[test]
    fn recycled_batches_hold_the_right_values() {
        let loader = Loader::new(&numbered(50, 4), 8).unwrap().shuffle(9);
        for ahead in [false, true] {
            for epoch in 0..3 {
                let mut batches = loader.batches(epoch, 0, ahead);
                let mut seen = Vec::new();
                while let Some(batch) = batches.next() {
                    seen.extend(batch.y.to_vec::<u32>().unwrap());
                    assert_eq!(batch.x.words()[0], (batch.y.words()[0] as f32).to_bits());
                    batches.recycle(batch);
                }
                assert_eq!(seen, loader.order(epoch));
            }
        }
        let mut batches = loader.batches(0, 0, false);
        let strange = Batch { x: Array::scalar(1f32), y: Array::scalar(1u32) };
        batches.recycle(strange);
        let other = numbered(8, 3).batch(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        batches.recycle(other);
        assert_eq!(batches.next().unwrap().x.shape().to_vec(), [8, 4]);
    }

    #[test]
    fn memory_is_used_again() {
        let loader = Loader::new(&numbered(64, 4), 8).unwrap();
        let mut batches = loader.batches(0, 0, false);
        let first = batches.next().unwrap();
        let place = first.x.words().as_ptr();
        batches.recycle(first);
        assert_eq!(batches.next().unwrap().x.words().as_ptr(), place);
    }

    #[test]
    fn dropping_early_neither_hangs_nor_leaves_a_thread() {
        let loader = Loader::new(&numbered(2000, 100), 100).unwrap().shuffle(0);
        for taken in [0, 1, 3, 20] {
            let mut batches = loader.batches(0, 0, true);
            let watch = Arc::downgrade(&batches.work.order);
            for _ in 0..taken {
                batches.next().unwrap();
            }
            assert_eq!(batches.len(), 20 - taken);
            drop(batches);
            // The thread held the order too.
            assert_eq!(watch.strong_count(), 0);
        }
    }

    #[test]
    fn large_batches_are_made_ahead_and_small_ones_are_not() {
        let data = numbered(300, 100);
        assert!(Loader::new(&data, 100).unwrap().epoch(0).thread.is_some());
        assert!(Loader::new(&data, 10).unwrap().epoch(0).thread.is_none());
    }

    #[test]
    fn impossible_sizes() {
        let data = numbered(5, 1);
        assert!(Loader::new(&data, 0).unwrap_err().to_string().contains("batch_size"));
        assert!(Loader::new(&data, 6).unwrap().drop_last().unwrap_err().to_string().contains("no batch would be left"));
        let one = Loader::new(&data, usize::MAX).unwrap();
        assert_eq!((one.len(), one.epoch(0).count(), one.index_batches(0).len()), (1, 1, 1));
    }
}

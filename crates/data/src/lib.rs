//! Data sets, and the batches that a training step takes from them.
//!
//! In the order in which data flows: [`Idx`] reads the files of MNIST-style sets and [`Mnist`] pairs images with labels, [`Csv`] reads
//! tables, `ImageFolder` (feature `image`) a folder of images for each class, [`Text`] makes tokens of characters or bytes, [`Points`] makes the point clouds of TensorFlow Playground. All of them end in a [`Dataset`]: samples and targets in memory.
//! A [`Loader`] cuts it into shuffled batches of host arrays, made ahead by a thread; for a data set that lives on the device,
//! [`Dataset::packed`] is what to upload and [`Loader::order`] and [`Loader::index_batches`] tell what to gather.
//! A bad record is an error that names file and place; where a single
//! record is to blame, `skip_bad(true)` passes over it and counts ([`Skipped`]): for all readers but [`Idx`], whose values belong to one array.
//! [`Rng`] is where all randomness here comes from: the same seed gives the same order on every platform.
//!
//! Arrays of NumPy become a set by [`Dataset::from_npz`].
//!
//! Nothing here knows a device. Files are read with bounds: what a header promises is compared with what the file can hold before
//! memory is asked for, and every message tells the file, the place in it, what was expected and what was found.

#![forbid(unsafe_code)]

mod csv;
mod dataset;
mod idx;
#[cfg(feature = "image")]
mod images;
mod loader;
mod mnist;
mod npz;
mod pack;
mod points;
mod rng;
mod skipped;
mod standardize;
mod text;

pub use crate::csv::{Column, ColumnKind, Csv, Missing, Table};
pub use dataset::{Batch, Dataset};
pub use idx::{Idx, IdxValues};
#[cfg(feature = "image")]
pub use images::{ImageFolder, ImageOptions};
pub use loader::{Batches, IndexBatches, Loader};
pub use mnist::{Mnist, MnistOptions};
pub use npz::NpzOptions;
pub use pack::{Packed, Packing};
pub use points::Points;
pub use rng::Rng;
pub use skipped::Skipped;
pub use standardize::Standardize;
pub use text::{Text, TextOptions, Vocabulary};

#![doc = include_str!("../../../README.md")]
//!
//! # The rooms, in the order in which data flows
//!
//! [`tensor`] writes down what to compute, [`compile`] plans it, [`cpu`] and [`gpu`] run the plan, [`nn`] has layers, losses and optimizers,
//! [`data`] and [`formats`] bring values in and out, [`train`] ties a model to a device. [`prelude`] has what a program needs every day.

#![forbid(unsafe_code)]

pub use noyau_compile as compile;
pub use noyau_cpu as cpu;
pub use noyau_data as data;
pub use noyau_formats as formats;
pub use noyau_gpu as gpu;
pub use noyau_nn as nn;
#[cfg(feature = "onnx")]
pub use noyau_onnx as onnx;
pub use noyau_tensor as tensor;
pub use noyau_train as train;

mod check;

pub use check::{GradCheck, gradcheck};
pub use noyau_tensor::{Array, ConvOptions, DType, Error, Padding, Param, Result, Shape, Tensor, grad};
pub use noyau_train::{Device, Fit, Session, Spec, Step, Summary, Trainer, summary};

/// What a program needs every day: `use noyau::prelude::*;`.
pub mod prelude {
    /// A network that tells flowers apart, from a folder of images for each kind:
    ///
    /// ```no_run
    /// use noyau::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let train = ImageFolder::rgb().resize(32, 32).skip_bad(true).open("flowers/train")?;
    /// println!("{} images of {:?}; {}", train.dataset.len(), train.classes, train.skipped);
    /// let test = ImageFolder::like(&train).open("flowers/test")?;
    ///
    /// let model = Sequential::new()
    ///     .then(Conv2d::new(3, 16, 3))
    ///     .then(Relu)
    ///     .then(MaxPool2d::new(2))
    ///     .then(Flatten)
    ///     .then(Linear::new(16 * 15 * 15, train.classes.len()));
    /// let mut trainer = Trainer::new(Device::auto()?, model).optimizer(Adam::new(0.001));
    /// trainer.fit(&train.dataset, Fit::epochs(10).validate(&test.dataset))?;
    ///
    /// let rose = ImageFolder::like(&train).decode("rose.jpg", &std::fs::read("rose.jpg").unwrap())?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "image")]
    pub use noyau_data::ImageFolder;
    pub use noyau_data::{Csv, Dataset, Loader, Mnist, Points};
    pub use noyau_nn::*;
    pub use noyau_tensor::{
        Array, ConvOptions, DType, Error, Init, Padding, Param, Result, Scalar, Shape, Tensor, concat, einsum, grad, meshgrid, stack,
    };
    pub use noyau_train::{
        Callback, Checkpoint, Checkpoints, CompiledStep, Device, DeviceChoice, EarlyStopping, EpochRecord, Evaluation, Fit, History,
        LrCurve, LrFinder, MemoryUse, Progress, ReduceLrOnPlateau, Session, Spec, Step, StopFlag, Stopped, Summary, Trainer, summary,
        summary_of,
    };
    #[cfg(not(target_arch = "wasm32"))]
    pub use noyau_train::{CsvLog, JsonLines, TensorBoard};

    pub use crate::{GradCheck, gradcheck};
}

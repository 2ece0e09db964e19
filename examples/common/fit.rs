//! What the examples that train a network of their own on MNIST share: options, lines while it learns, and how well it does in the end.

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

use clap::Args;
use noyau::prelude::*;

use crate::files::check_target;
use crate::{numbers, say};

/// What can be asked for.
#[derive(Args)]
pub struct Training {
    /// Where to train: auto, cpu, gpu (the best one) or gpu:N (the example `devices` lists the numbers)
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// How often to go through the training images
    #[arg(long, default_value_t = 5, value_parser = numbers::count)]
    epochs: usize,
    /// How many of the training images to use [default: all]
    #[arg(long, value_parser = numbers::some)]
    images: Option<usize>,
    /// Images a step
    #[arg(long, default_value_t = 128, value_parser = numbers::some)]
    batch_size: usize,
    /// The highest learning rate, which is reached after three tenths of all steps [default: the network's own]
    #[arg(long, value_parser = numbers::rate)]
    learning_rate: Option<f64>,
    /// Where initial weights and the order of the images come from
    #[arg(long, default_value_t = 0, value_parser = numbers::seed)]
    seed: u64,
    /// A folder with the four files of MNIST, or of a set that comes in such files
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/mnist"), hide_default_value = true)]
    data: PathBuf,
    /// Where to write the trained weights
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Trains a model, made for the shape of an image and the number of classes, with a one-cycle learning rate, whose highest value is `rate`
/// unless another was asked for, and says how it goes.
pub fn train<M: Module + 'static, O: Optimizer + 'static>(
    options: &Training,
    model: impl FnOnce(&Shape, usize) -> M,
    rate: f64,
    optimizer: impl FnOnce(Schedule) -> O,
) -> anyhow::Result<()> {
    if let Some(file) = &options.save {
        check_target(file)?;
    }
    let mnist = Mnist::open(&options.data)?;
    let model = model(mnist.train.sample_shape(), mnist.classes);
    let images = match options.images {
        Some(count) => mnist.train.subset(0..count.min(mnist.train.len()))?,
        None => mnist.train,
    };
    let device = Device::choose(options.device)?;
    let steps = images.len().div_ceil(options.batch_size.max(1)).saturating_mul(options.epochs).max(1);
    let schedule = Schedule::one_cycle(options.learning_rate.unwrap_or(rate), steps);
    let mut trainer = Trainer::new(device.clone(), model).optimizer(optimizer(schedule)).seed(options.seed);
    say!("{} parameters, {steps} steps of {} images on {}", trainer.parameters(), options.batch_size, device.adapter());

    // Where there is a terminal, a line that is written over and over.
    let terminal = stderr().is_terminal();
    let mut lines = Ok(());
    let fit = Fit::epochs(options.epochs)
        .batch_size(options.batch_size)
        .validate(&mnist.test)
        .on_progress(|p| {
            if terminal {
                let speed = p.samples_per_second;
                let _ = write!(stderr(), "\repoch {}  step {}/{}  loss {:.4}  {speed:.0} images/s  ", p.epoch, p.step, p.steps, p.loss);
            }
        })
        .on_epoch(|e| {
            if terminal {
                let _ = write!(stderr(), "\r{:60}\r", "");
            }
            let line = format!("epoch {}  train: loss {:.4}, accuracy {}", e.epoch, e.train_loss, percent(e.train_accuracy));
            let write = || -> anyhow::Result<()> {
                say!("{line}  test: accuracy {}  ({:.1} s, {:.0} images/s)", percent(e.test_accuracy), e.seconds, e.samples_per_second);
                Ok(())
            };
            // The first line that could not be written is the one to tell of.
            if let (Ok(()), Err(error)) = (&lines, write()) {
                lines = Err(error);
            }
        });
    trainer.fit(&images, fit)?;
    lines?;
    if let Some(file) = &options.save {
        trainer.save(file)?;
    }
    say!("test accuracy {}", percent(trainer.evaluate(&mnist.test)?.accuracy));
    Ok(())
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{:.2} %", share * 100.0))
}

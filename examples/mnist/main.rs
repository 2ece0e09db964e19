//! Trains a small network to read handwritten digits, tests it after each epoch, and shows what it gets wrong.
//!
//!     cargo run --release --example mnist -- --help

#[path = "../common/chart.rs"]
mod chart;
#[path = "../common/mod.rs"]
mod common;
mod mistakes;
mod options;
mod picture;
mod report;

use std::cell::RefCell;
use std::process::ExitCode;

use noyau::prelude::*;
use options::Options;
use report::{End, Report, Start};

fn main() -> ExitCode {
    common::start(run)
}

fn run(options: Options) -> anyhow::Result<()> {
    let options = options.complete()?;
    let mnist = Mnist::open(&options.data)?;
    let device = Device::choose(options.device)?;

    let pixels = mnist.train.sample_shape().numel();
    let mut trainer = Trainer::new(device.clone(), model(pixels, mnist.classes))
        .loss(cross_entropy)
        .optimizer(options.make_optimizer(mnist.train.len()))
        .seed(options.seed);
    // Before anything is compiled.
    let session = trainer.session()?;
    session.validate(options.validate);
    session.check_finite(options.check_finite);
    if let Some(file) = &options.trace {
        session.trace(file)?;
    }
    if let Some(file) = &options.load {
        trainer.load(file)?;
    }

    // Both of the trainer's callbacks write to the report, in turn.
    let report = RefCell::new(Report::new(&options));
    report.borrow_mut().start(&Start { options: &options, mnist: &mnist, device: &device, parameters: trainer.parameters() });
    let fit = Fit::epochs(options.epochs)
        .batch_size(options.batch_size)
        .validate(&mnist.test)
        .on_progress(|progress| report.borrow_mut().progress(progress))
        .on_epoch(|epoch| report.borrow_mut().epoch(epoch));
    let history = trainer.fit(&mnist.train, fit)?;
    let mut report = report.into_inner();

    let evaluation = trainer.evaluate(&mnist.test)?;
    if let Some(file) = &options.save {
        trainer.save(file)?;
    }
    if let Some(file) = &options.picture {
        let mistakes = mistakes::find(&mut trainer, &mnist.test)?;
        picture::draw(file, &history.epochs, &evaluation, &mistakes, &device.adapter())?;
    }
    session.finish_trace()?;
    report.end(&End { options: &options, history: &history, evaluation: &evaluation });
    report.finish()
}

/// A perceptron with two hidden layers: pixels in, one number for each class out, the highest for the class that it sees.
fn model(pixels: usize, classes: usize) -> Sequential {
    Sequential::new()
        .then(Flatten)
        .then(Linear::new(pixels, 512))
        .then(Relu)
        .then(Linear::new(512, 256))
        .then(Relu)
        .then(Linear::new(256, classes))
}

//! Trains a small network to read handwritten digits, tests it after each epoch, and shows what it gets wrong.
//!
//!     cargo run --release --example mnist -- --help

#[path = "../common/chart.rs"]
mod chart;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/files.rs"]
mod files;
mod find_lr;
mod interrupt;
mod mistakes;
mod model;
#[path = "../common/numbers.rs"]
mod numbers;
mod options;
mod picture;
mod report;
#[path = "../common/tile.rs"]
mod tile;

use std::cell::RefCell;
use std::process::ExitCode;

use noyau::prelude::*;
use options::{Network, Options, Recipe};
use report::{End, Halt, Rates, Report, Start};

fn main() -> ExitCode {
    common::start(run)
}

fn run(options: Options) -> anyhow::Result<()> {
    let (options, training) = options.complete()?;
    let mnist = Mnist::open(&options.data)?;
    let device = Device::choose(options.device)?;

    let (model, words) = make_model(&options, mnist.train.sample_shape(), mnist.classes);
    let mut trainer = Trainer::new(device.clone(), model)
        .loss(training.make_loss())
        .optimizer(training.make_optimizer(mnist.train.len()))
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

    if let Some(file) = &options.find_lr {
        let curve = find_lr::run(&mut trainer, &mnist.train, &training)?;
        curve.save_svg(file)?;
        session.finish_trace()?;
        let mut report = Report::new(options.json, 0);
        report.rates(&Rates { curve: &curve, picture: file, training: &training });
        return report.finish();
    }

    let stop = if training.epochs > 0 { interrupt::flag()? } else { StopFlag::new() };

    // All of the trainer's callbacks write to the report, in turn.
    let report = RefCell::new(Report::new(options.json, training.epochs));
    let (mnist, parameters) = (&mnist, trainer.parameters());
    report.borrow_mut().start(&Start { options: &options, training: &training, mnist, device: &device, model: &words, parameters });
    let mut fit = Fit::epochs(training.epochs)
        .batch_size(training.batch_size)
        .validate(&mnist.test)
        .stop(&stop)
        .resume(options.resume)
        .on_begin(|beginning| report.borrow_mut().begin(beginning))
        .on_progress(|progress| report.borrow_mut().progress(progress))
        .on_epoch(|epoch| report.borrow_mut().epoch(epoch));
    if let Some(checkpoints) = options.checkpoints(&training.configuration(&words)) {
        fit = fit.checkpoint(checkpoints);
    }
    let history = trainer.fit(&mnist.train, fit)?;
    let mut report = report.into_inner();
    if history.stopped.is_some() {
        // The checkpoint has the weights too: files of trained ones are left as they are.
        let saved = options.save.as_deref().filter(|_| history.checkpoint.is_none());
        saved.map_or(Ok(()), |file| trainer.save(file))?;
        session.finish_trace()?;
        report.halt(&Halt { options: &options, history: &history, saved });
        return report.finish();
    }
    // There is nothing more to save before it ends: the next Ctrl-C need not wait.
    stop.raise();

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

/// The network that was asked for, and what it is, in words. `image` is the shape of one image: height and width.
fn make_model(options: &Options, image: &Shape, classes: usize) -> (Sequential, String) {
    match (options.model, options.recipe) {
        (Network::Mlp, _) => (model::mlp(image.numel(), classes), format!("{} - 512 - 256 - {classes}, ReLU", image.numel())),
        (Network::Cnn, Recipe::Plain) => {
            (model::cnn(image, classes), format!("convolutions of 3 x 3 to 32 and 64 channels, ReLU, pooling, dropout, {classes}"))
        }
        (Network::Cnn, Recipe::Best) => (
            model::best(image, classes),
            format!("five convolutions of 3 x 3 to 16, 32 and 64 channels, batch norm, ReLU, pooling, {classes}"),
        ),
    }
}

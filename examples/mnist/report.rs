//! What the program says: lines for people, or JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use noyau::nn::metrics::ConfusionMatrix;
use noyau::prelude::*;
use noyau::train::Beginning;
use serde_json::json;

use crate::interrupt;
use crate::options::{Options, Training};

/// What is known before the training.
pub struct Start<'a> {
    pub options: &'a Options,
    pub training: &'a Training,
    pub mnist: &'a Mnist,
    pub device: &'a Device,
    /// The network in words.
    pub model: &'a str,
    pub parameters: usize,
}

/// What is known after it.
pub struct End<'a> {
    pub options: &'a Options,
    pub history: &'a History,
    pub evaluation: &'a Evaluation,
}

/// What is known when Ctrl-C has ended it.
pub struct Halt<'a> {
    pub options: &'a Options,
    pub history: &'a History,
    /// Where the weights are, if there is no checkpoint.
    pub saved: Option<&'a Path>,
}

/// What a search for a learning rate has found.
pub struct Rates<'a> {
    pub curve: &'a LrCurve,
    pub picture: &'a Path,
    pub training: &'a Training,
}

pub struct Report {
    json: bool,
    /// Shown while an epoch runs, where there is a terminal to show it.
    bar: Option<ProgressBar>,
    /// Without a bar: the fifth of the epoch that was last told of.
    fifth: usize,
    epochs: usize,
    /// The first line that could not be written.
    fault: Option<io::Error>,
}

impl Report {
    pub fn new(json: bool, epochs: usize) -> Report {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} %  {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━━ "),
            );
            bar
        });
        Report { json, bar, fifth: 0, epochs, fault: None }
    }

    pub fn start(&mut self, start: &Start) {
        let Start { options, training, mnist, device, model, parameters } = start;
        let shape: Vec<usize> = mnist.train.sample_shape().to_vec();
        if self.json {
            return self.line(json!({
                "event": "start",
                "device": device.name(),
                "adapter": device.adapter(),
                "parameters": parameters,
                "data": options.data,
                "train_samples": mnist.train.len(),
                "test_samples": mnist.test.len(),
                "sample_shape": shape,
                "classes": mnist.classes,
                "model": model,
                "epochs": training.epochs,
                "batch_size": training.batch_size,
                "loss": training.loss_name(),
                "optimizer": training.optimizer_name(),
                "learning_rate": training.learning_rate,
                "momentum": training.momentum,
                "seed": options.seed,
                "loaded": options.load,
                "checkpoints": options.checkpoints,
            }));
        }
        let size: Vec<String> = shape.iter().map(usize::to_string).collect();
        self.line(format!(
            "data      {} images to train on, {} to test on, {} pixels, {} classes",
            mnist.train.len(),
            mnist.test.len(),
            size.join(" x "),
            mnist.classes
        ));
        self.line(format!("model     {model}: {parameters} parameters"));
        self.line(format!(
            "training  {}, {}, {} images a step, seed {}",
            training.loss_name(),
            training.optimizer_name(),
            training.batch_size,
            options.seed
        ));
        self.line(format!("device    {}: {}", device.name(), device.adapter()));
        if let Some(file) = &options.load {
            self.line(format!("loaded    {}", file.display()));
        }
        match (options.validate, options.check_finite) {
            (true, true) => self.line("checked   every kernel, and for NaN: slow"),
            (true, false) => self.line("checked   every kernel: slow"),
            (false, true) => self.line("checked   for NaN and infinities"),
            (false, false) => {}
        }
        self.line("");
    }

    /// Before the first step: says where a training that was resumed goes on.
    pub fn begin(&mut self, beginning: &Beginning) {
        let Some(resumed) = &beginning.history.resumed else { return };
        if self.json {
            let mut event = json!(resumed);
            event["event"] = json!("resumed");
            return self.line(event);
        }
        for fault in &resumed.passed_over {
            self.line(format!("passed over  {fault}"));
        }
        self.line(format!("resumed {}, after step {}\n", resumed.file.display(), resumed.step));
    }

    pub fn progress(&mut self, progress: &Progress) {
        let accuracy = percent(progress.accuracy);
        let state = format!("loss {:.4}  accuracy {accuracy}  {:.0} images/s", progress.loss, progress.samples_per_second);
        let prefix = format!("epoch {}/{}", progress.epoch, progress.epochs);
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.steps as u64);
                bar.set_position(progress.step as u64);
                bar.set_prefix(prefix);
                bar.set_message(state);
            }
            None if self.json => {}
            None => {
                let fifth = progress.step * 5 / progress.steps.max(1);
                // The whole epoch has a line of its own.
                if fifth > self.fifth && progress.step < progress.steps {
                    self.line(format!("{prefix} {:>3} %  {state}", progress.step * 100 / progress.steps));
                }
                self.fifth = fifth % 5;
            }
        }
    }

    pub fn epoch(&mut self, epoch: &EpochRecord) {
        if self.json {
            // EpochRecord's fields, and which event they belong to.
            let mut event = json!(epoch);
            event["event"] = json!("epoch");
            return self.line(event);
        }
        self.line(format!(
            "epoch {}/{}  train: loss {:.4}, accuracy {}  test: loss {:.4}, accuracy {}  ({:.1} s, {:.0} images/s)",
            epoch.epoch,
            self.epochs,
            epoch.train_loss,
            percent(epoch.train_accuracy),
            epoch.test_loss.unwrap_or(f64::NAN),
            percent(epoch.test_accuracy),
            epoch.seconds,
            epoch.samples_per_second,
        ));
    }

    pub fn end(&mut self, end: &End) {
        let End { options, history, evaluation } = end;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.json {
            return self.line(json!({
                "event": "end",
                "test_loss": evaluation.loss,
                "test_accuracy": evaluation.accuracy,
                "confusion": evaluation.confusion,
                "launches_per_step": history.launches_per_step,
                "gpu_objects_after_warmup": history.gpu_objects_after_warmup,
                "saved": options.save,
                "picture": options.picture,
                "trace": options.trace,
            }));
        }
        if let Some(epoch) = history.last() {
            self.line(format!(
                "\nThe first step took {:.0} ms, compiling included. A step is {} kernel launches and makes no new GPU objects ({} since the first steps).",
                epoch.first_step_ms, history.launches_per_step, history.gpu_objects_after_warmup
            ));
        }
        if let Some(matrix) = evaluation.confusion_matrix() {
            self.classes(&matrix);
            if options.confusion {
                self.confusions(&matrix);
            }
        }
        self.line(format!("\ntest loss {:.4}, test accuracy {}", evaluation.loss, percent(evaluation.accuracy)));
        for (what, file) in [("weights", &options.save), ("picture", &options.picture), ("trace", &options.trace)] {
            if let Some(file) = file {
                self.line(format!("{what} in {}", file.display()));
            }
        }
    }

    /// How each class fares.
    fn classes(&mut self, matrix: &ConfusionMatrix) {
        let (scores, confusions) = (matrix.scores(), matrix.confusions());
        self.line("\nclass   images  precision   recall  most often taken for");
        for (class, score) in scores.classes.iter().enumerate() {
            let [samples, predicted] = [scores.support[class], scores.predicted[class]];
            // The most frequent comes first.
            let confused = confusions.iter().find(|confusion| confusion.actual == class);
            let confused = confused.map(|c| format!("{} ({} of {samples})", c.predicted, c.count)).unwrap_or_default();
            let precision = percent((predicted > 0).then_some(score.precision));
            let recall = percent((samples > 0).then_some(score.recall));
            self.line(format!("{class:>5} {samples:>8} {precision:>10} {recall:>8}  {confused}").trim_end());
        }
    }

    /// Which classes were taken for which.
    fn confusions(&mut self, matrix: &ConfusionMatrix) {
        self.line(format!("\n{matrix}"));
        let scores = matrix.scores();
        let confusions = matrix.confusions();
        if confusions.is_empty() {
            return self.line("\nNothing was confused.");
        }
        self.line("\nmost often confused");
        for c in confusions.iter().take(10) {
            let of = scores.support[c.actual];
            self.line(format!(
                "{:>5} times a {} was taken for a {} ({})",
                c.count,
                c.actual,
                c.predicted,
                percent(Some(c.count as f64 / of as f64))
            ));
        }
    }

    /// What there is instead of a training.
    pub fn rates(&mut self, rates: &Rates) {
        let Rates { curve, picture, training } = rates;
        if self.json {
            return self.line(json!({
                "event": "learning_rates",
                "optimizer": training.rule_name(),
                "batch_size": training.batch_size,
                "rates": curve.rates,
                "losses": curve.losses,
                "smoothed": curve.smoothed,
                "steepest": curve.steepest,
                "minimum_tenth": curve.minimum_tenth,
                "suggestion": curve.suggestion(),
                "picture": picture,
            }));
        }
        let (first, last) = (curve.rates.first().copied().unwrap_or(0.0), curve.rates.last().copied().unwrap_or(0.0));
        self.line(format!("{} with learning rates from {first} to {}, {} steps", training.rule_name(), digits(last), curve.rates.len()));
        match curve.steepest {
            Some(steepest) => self.line(format!("the loss falls fastest at {}", digits(steepest))),
            None => self.line("the loss never falls"),
        }
        self.line(format!("it is least at {}: a tenth of that is {}", digits(curve.minimum_tenth * 10.0), digits(curve.minimum_tenth)));
        self.line(format!("train with: --optimizer {} --learning-rate {}", training.rule_name(), digits(curve.suggestion())));
        self.line(format!("picture in {}", picture.display()));
    }

    /// The training was stopped before its end.
    pub fn halt(&mut self, halt: &Halt) {
        let Halt { options, history, saved } = halt;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let (step, epoch) = (history.steps, history.epochs.len() + 1);
        let command = history.checkpoint.as_ref().map(|_| interrupt::command());
        if self.json {
            return self.line(json!({
                "event": "stopped",
                "step": step,
                "epoch": epoch,
                "checkpoint": history.checkpoint,
                "saved": saved,
                "resume": command,
                "trace": options.trace,
            }));
        }
        let place = format!("stopped after step {step}, in epoch {epoch} of {}", self.epochs);
        match (command, saved) {
            (Some(command), _) => self.line(format!("{place}; go on with: {command}")),
            (None, Some(file)) => {
                self.line(format!(
                    "{place}; weights so far in {} (with --checkpoints DIR, --resume could go on from here)",
                    file.display()
                ));
            }
            (None, None) => self.line(place),
        }
    }

    /// Fails if a line could not be written: the weights are saved all the same.
    pub fn finish(self) -> anyhow::Result<()> {
        self.fault.map_or(Ok(()), |fault| Err(anyhow::Error::new(fault).context("cannot write to stdout")))
    }

    fn line(&mut self, line: impl std::fmt::Display) {
        let write = || writeln!(io::stdout(), "{line}");
        let written = match &self.bar {
            // Takes the bar away for the moment.
            Some(bar) => bar.suspend(write),
            None => write(),
        };
        if let Err(error) = written {
            self.fault.get_or_insert(error);
        }
    }
}

/// A share as people read it.
pub fn percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{:.2} %", share * 100.0))
}

/// A number with two digits that count.
fn digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

//! Trainings that are interrupted and go on: to the last bit as if they had not been.

#[path = "support/small.rs"]
#[allow(dead_code)] // Each file of tests uses a part of it.
mod small;

#[path = "resume/wrapped.rs"]
mod wrapped;

use std::fs;
use std::path::{Path, PathBuf};

use noyau::data::Rng;
use noyau::prelude::*;
use noyau::train::{Control, Resumed};
use small::{devices, three_classes};

/// A network with everything that has a state: running statistics, random numbers, moments, a schedule.
fn trainer(device: &Device) -> Trainer {
    let model = Sequential::new()
        .then(Flatten)
        .then(Linear::new(6, 8))
        .then(BatchNorm1d::new(8))
        .then(Tanh)
        .then(Dropout(0.2))
        .then(Linear::new(8, 3));
    Trainer::new(device.clone(), model).optimizer(Adam::new(Schedule::cosine(0.02, 0.001, 40))).seed(7)
}

const EPOCHS: usize = 4;
/// 90 samples in batches of 16: the last step of an epoch takes 10.
const STEPS: u64 = 6;

fn fit<'a>(epochs: usize) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(16)
}

/// All that is saved of a trainer, and the figures but for times.
fn outcome(trainer: &mut Trainer, history: &History, folder: &Path) -> (Vec<u8>, Vec<[u64; 4]>) {
    let file = folder.join("outcome.safetensors");
    trainer.save(&file).unwrap();
    let figures =
        |e: &EpochRecord| [e.train_loss, e.train_accuracy.unwrap(), e.test_loss.unwrap_or(0.0), e.learning_rate].map(f64::to_bits);
    (fs::read(file).unwrap(), history.epochs.iter().map(figures).collect())
}

/// A program that is killed after its newest checkpoint is this folder without the later ones.
fn forget_after(folder: &Path, step: u64) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        if name.strip_prefix("checkpoint-").is_some_and(|digits| digits.parse::<u64>().unwrap() > step) {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Trains without interruption, with a checkpoint after each step, and on from before an epoch's last batch, from an epoch's end and from anywhere; all must
/// come to the same bits. Returns how many steps there are.
fn goes_on_from_anywhere(what: &str, rng: &mut Rng, make: &dyn Fn() -> Trainer, fit: &dyn Fn() -> Fit<'static>) -> u64 {
    let data = three_classes();
    let folder = tempfile::tempdir().unwrap();
    let (plain, total) = {
        let mut trainer = make();
        let history = trainer.fit(&data, fit()).unwrap();
        (outcome(&mut trainer, &history, folder.path()), history.steps)
    };
    // Saving changes nothing.
    let saves = folder.path().join("saves");
    let every = || Checkpoints::new(&saves).every_steps(1).keep_last(usize::MAX);
    let mut saving = make();
    let history = saving.fit(&data, fit().checkpoint(every())).unwrap();
    assert!(outcome(&mut saving, &history, folder.path()) == plain, "{what}: with checkpoints");
    assert_eq!(history.gpu_objects_after_warmup, 0, "{what}");
    for step in [2 * STEPS + STEPS - 1, 2 * STEPS, 1 + u64::from(rng.below(total as u32 - 1))] {
        let copy = folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&saves).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
        forget_after(&copy, step);
        let mut resumed = make();
        let history = resumed.fit(&data, fit().checkpoint(Checkpoints::new(&copy).every_steps(7)).resume(true)).unwrap();
        let Some(Resumed { step: from, epoch, batch, .. }) = &history.resumed else { panic!("{what}: it began anew") };
        assert_eq!((*from, *epoch as u64, *batch as u64), (step, step / STEPS, step % STEPS));
        assert!(outcome(&mut resumed, &history, folder.path()) == plain, "{what}: resumed after step {step}");
        assert_eq!(history.gpu_objects_after_warmup, 0, "{what}");
        fs::remove_dir_all(&copy).unwrap();
    }
    // Once more after the end: nothing is left to do.
    let mut done = make();
    let history = done.fit(&data, fit().checkpoint(every()).resume(true)).unwrap();
    assert!(outcome(&mut done, &history, folder.path()) == plain, "{what}: resumed at the end");
    total
}

#[test]
fn a_resumed_training_has_the_bits_of_one_that_was_never_interrupted() {
    let data: &'static Dataset = Box::leak(Box::new(three_classes()));
    let mut rng = Rng::new(11);
    for device in devices() {
        for (resident, precision) in [(false, DType::F32), (true, DType::F32), (true, DType::F16)] {
            let what = format!("{device:?}, resident {resident}, {precision}");
            let make = || trainer(&device).precision(precision);
            goes_on_from_anywhere(&what, &mut rng, &make, &|| fit(EPOCHS).validate(data).resident(resident));
        }
    }
}

/// Checkpoints after steps 2, 4, .. of two epochs.
fn saved(folder: &Path) -> Checkpoints {
    let checkpoints = Checkpoints::new(folder).every_steps(2).keep_last(3);
    trainer(&Device::cpu()).fit(&three_classes(), fit(2).checkpoint(checkpoints.clone())).unwrap();
    checkpoints
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("checkpoint-{step:09}.safetensors"))
}

#[test]
fn old_ones_go_and_leftovers_too() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = saved(folder.path());
    let three = ["checkpoint-000000008.safetensors", "checkpoint-000000010.safetensors", "checkpoint-000000012.safetensors"];
    assert_eq!(names(folder.path()), three);
    fs::write(folder.path().join(".checkpoint-000000014.safetensors.0.tmp"), "half").unwrap();
    let history = trainer(&Device::cpu()).fit(&three_classes(), fit(2).checkpoint(checkpoints).resume(true)).unwrap();
    assert_eq!(names(folder.path()), three);
    assert_eq!(history.resumed.unwrap().step, 12);
}

#[test]
fn damaged_files_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = saved(folder.path());
    let whole = fs::read(file(folder.path(), 12)).unwrap();
    // Cut short, and with one bit of a weight the other way round.
    fs::write(file(folder.path(), 12), &whole[..whole.len() - 5]).unwrap();
    let mut flipped = fs::read(file(folder.path(), 10)).unwrap();
    let last = flipped.len() - 9;
    flipped[last] ^= 1;
    fs::write(file(folder.path(), 10), &flipped).unwrap();
    let history = trainer(&Device::cpu()).fit(&three_classes(), fit(2).checkpoint(checkpoints.clone()).resume(true)).unwrap();
    let resumed = history.resumed.unwrap();
    assert_eq!((resumed.step, resumed.passed_over.len()), (8, 2));
    assert!(resumed.passed_over[0].contains("cut short") && resumed.passed_over[1].contains("checksum"), "{resumed:?}");
    for step in [8, 10, 12] {
        fs::write(file(folder.path(), step), &whole[..100]).unwrap();
    }
    let error = trainer(&Device::cpu()).fit(&three_classes(), fit(2).checkpoint(checkpoints).resume(true)).unwrap_err().to_string();
    assert!(error.contains("none of its 3 checkpoints can be read"), "{error}");
}

#[track_caller]
fn refused(result: noyau::Result<History>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn another_training_s_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = saved(folder.path());
    let (cpu, data) = (Device::cpu(), three_classes());
    let resumed = || fit(2).checkpoint(checkpoints.clone()).resume(true);
    refused(trainer(&cpu).seed(8).fit(&data, resumed()), &["checkpoint-000000012", "seed 7 in the file, 8 here"]);
    refused(trainer(&cpu).fit(&data, resumed().batch_size(15)), &["batch size 16 in the file, 15 here"]);
    refused(trainer(&cpu).fit(&data.subset(0..80).unwrap(), resumed()), &["training samples 90 in the file, 80 here"]);
    refused(trainer(&cpu).fit(&data.subset((0..90).rev()).unwrap(), resumed()), &["with other values"]);
    refused(trainer(&cpu).precision(DType::F16).fit(&data, resumed()), &["precision f32 in the file, f16 here"]);
    refused(trainer(&cpu).optimizer(Sgd::new(0.1)).fit(&data, resumed()), &["optimizer.", "which this training does not have"]);
    refused(trainer(&cpu).optimizer(AdaGrad::new(0.1)).fit(&data, resumed()), &["optimizer.", "this training"]);
    let other = Sequential::new().then(Flatten).then(Linear::new(6, 9)).then(Linear::new(9, 3));
    refused(Trainer::new(cpu.clone(), other).seed(7).fit(&data, resumed()), &["`1.weight` is f32[8, 6] in it, and f32[9, 6] here"]);
    // A second training in the folder, and things that do not go together.
    refused(trainer(&cpu).fit(&data, fit(2).checkpoint(checkpoints.clone())), &["resume it, or begin in another folder"]);
    refused(trainer(&cpu).fit(&data, fit(2).resume(true)), &["no folder to resume from"]);
    let both = fit(2).checkpoint(checkpoints.clone()).resume(true).resume_from(file(folder.path(), 8));
    refused(trainer(&cpu).fit(&data, both), &["not both"]);
    refused(trainer(&cpu).fit(&data, fit(2).checkpoint(checkpoints.clone().keep_last(0))), &["keep_last", "0"]);
    refused(trainer(&cpu).fit(&data, fit(2).checkpoint(checkpoints.clone().keep_best("test_loss"))), &["keep_best", "Fit::validate"]);
    refused(trainer(&cpu).fit(&data, fit(2).callback(EarlyStopping::new("loss"))), &["`loss`", "train_loss", "test_accuracy"]);
    refused(trainer(&cpu).fit(&data, fit(2).validate(&data).validation_split(0.5)), &["Fit::validation_split"]);
    refused(trainer(&cpu).fit(&data, fit(2).validation_split(1.5)), &["Fit::validation_split", "1.5"]);
    // Weights alone are no place to go on from, and a checkpoint is weights.
    let weights = folder.path().join("weights.safetensors");
    trainer(&cpu).save(&weights).unwrap();
    refused(trainer(&cpu).fit(&data, fit(2).resume_from(&weights)), &["it is no checkpoint"]);
    trainer(&cpu).load(file(folder.path(), 8)).unwrap();
    // The configuration of the program.
    let told = folder.path().join("told");
    let with = |text: &str| fit(1).checkpoint(Checkpoints::new(&told).configuration(text)).resume(true);
    trainer(&cpu).fit(&data, with("a")).unwrap();
    refused(trainer(&cpu).fit(&data, with("b")), &["configuration `a` in the file, `b` here"]);
}

#[test]
fn a_flag_stops_it_and_it_goes_on() {
    let (cpu, data) = (Device::cpu(), three_classes());
    let folder = tempfile::tempdir().unwrap();
    let mut plain = trainer(&cpu);
    let history = plain.fit(&data, fit(EPOCHS)).unwrap();
    assert_eq!(history.stopped, None);
    let plain = outcome(&mut plain, &history, folder.path());
    let saves = || Checkpoints::new(folder.path().join("saves")).every_epochs(100);
    let flag = StopFlag::new();
    let raise = |p: &Progress| {
        if p.epoch == 2 {
            flag.raise()
        }
    };
    let mut first = trainer(&cpu);
    let history = first.fit(&data, fit(EPOCHS).checkpoint(saves()).stop(&flag).on_progress(raise)).unwrap();
    assert_eq!((history.stopped, history.epochs.len() < EPOCHS), (Some(Stopped::ByFlag), true));
    let last = Checkpoint::open(history.checkpoint.unwrap()).unwrap();
    assert!(last.step() > STEPS && last.step() <= 2 * STEPS, "{}", last.step());
    // On a trainer that was moved, as after a device was lost.
    first.move_to(Device::cpu());
    let history = first.fit(&data, fit(EPOCHS).checkpoint(saves()).resume(true)).unwrap();
    assert!(outcome(&mut first, &history, folder.path()) == plain);
}

/// Says what to do from outside.
struct Script<F: FnMut(&EpochRecord, &mut Control)>(F);

impl<F: FnMut(&EpochRecord, &mut Control)> Callback for Script<F> {
    fn name(&self) -> &str {
        "Script"
    }
    fn changes_rate(&self) -> bool {
        true
    }
    fn on_epoch(&mut self, record: &EpochRecord, control: &mut Control) -> noyau::Result<()> {
        (self.0)(record, control);
        Ok(())
    }
}

#[test]
fn callbacks_change_the_rate_stop_and_bring_weights_back() {
    let data = three_classes();
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        // A rate of nothing leaves the weights as they are.
        let mut frozen = Trainer::new(device.clone(), Sequential::new().then(Flatten).then(Linear::new(6, 3))).seed(1);
        let script = Script(|record: &EpochRecord, control: &mut Control| {
            assert_eq!(control.learning_rate(), record.learning_rate);
            if record.epoch == 1 {
                control.scale_learning_rate(0.0);
            }
        });
        let history = frozen.fit(&data, fit(3).validate(&data).callback(script)).unwrap();
        let rates: Vec<f64> = history.epochs.iter().map(|e| e.learning_rate).collect();
        assert_eq!(rates, [0.1, 0.0, 0.0], "{device:?}");
        assert_eq!(history.epochs[0].test_loss, history.epochs[2].test_loss, "{device:?}");

        // An early stop, with the best weights; resumed at any place it ends the same.
        let early = || EarlyStopping::new("test_loss").patience(2).min_delta(0.3).restore_best(true);
        let run = |fit: Fit| {
            let mut trainer = trainer(&device);
            let mut stopping = early();
            let plateau = ReduceLrOnPlateau::new("test_loss").patience(0);
            let history = trainer.fit(&data, fit.validate(&data).callback(plateau).callback(&mut stopping)).unwrap();
            let loss = trainer.evaluate(&data).unwrap().loss;
            assert!(matches!(history.stopped, Some(Stopped::ByCallback(ref reason)) if reason.contains("test_loss")), "{history:?}");
            let (best, value) = stopping.best().unwrap();
            assert_eq!((history.epochs[best - 1].test_loss, loss), (Some(value), value), "{device:?}: the best weights are back");
            outcome(&mut trainer, &history, folder.path())
        };
        let plain = run(fit(50));
        let saves = || Checkpoints::new(folder.path().join("saves")).every_steps(1).keep_last(usize::MAX).keep_best("test_loss");
        assert!(run(fit(50).checkpoint(saves())) == plain, "{device:?}: with checkpoints");
        assert!(run(fit(50).checkpoint(saves()).resume(true)) == plain, "{device:?}: it stays stopped");
        forget_after(&folder.path().join("saves"), STEPS + 3);
        assert!(run(fit(50).checkpoint(saves()).resume(true)) == plain, "{device:?}: resumed");
        let best = Checkpoint::open(folder.path().join("saves/best.safetensors")).unwrap();
        assert_eq!(best.batch(), 0);
    }
}

#[test]
fn logs_of_a_resumed_training_have_each_epoch_once() {
    let data = three_classes();
    let folder = tempfile::tempdir().unwrap();
    let [csv, lines, board] = ["log.csv", "log.jsonl", "events.out.tfevents.noyau"].map(|name| folder.path().join(name));
    let run = |resume: bool| {
        let fit = fit(EPOCHS)
            .validate(&data)
            .checkpoint(Checkpoints::new(folder.path()).every_steps(1).keep_last(usize::MAX))
            .resume(resume)
            .callback(CsvLog::new(&csv))
            .callback(JsonLines::new(&lines))
            .callback(TensorBoard::new(folder.path()));
        trainer(&Device::cpu()).fit(&data, fit).unwrap()
    };
    let history = run(false);
    let check = |history: &History, what: &str| {
        let text = fs::read_to_string(&lines).unwrap();
        let records: Vec<EpochRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records, history.epochs, "{what}");
        let text = fs::read_to_string(&csv).unwrap();
        let rows: Vec<(usize, f64)> = text
            .lines()
            .skip(1)
            .map(|line| line.split_once(',').unwrap())
            .map(|(epoch, rest)| (epoch.parse().unwrap(), rest.split_once(',').unwrap().0.parse().unwrap()))
            .collect();
        assert_eq!(rows, history.epochs.iter().map(|e| (e.epoch, e.train_loss)).collect::<Vec<_>>(), "{what}");
        // Records of scalars are all of one length, after that of the version.
        assert_eq!(fs::metadata(&board).unwrap().len() as usize, 16 + 24 + EPOCHS * board_row(), "{what}");
    };
    check(&history, "never interrupted");
    check(&run(true), "resumed at the end");
    // Within the third epoch, at the end of the second, within the first.
    for step in [2 * STEPS + 3, 2 * STEPS, 1] {
        forget_after(folder.path(), step);
        check(&run(true), &format!("resumed after step {step}"));
    }
    fs::remove_file(&csv).unwrap();
    fs::write(&lines, &fs::read(&lines).unwrap()[..100]).unwrap();
    fs::write(&board, &fs::read(&board).unwrap()[..100]).unwrap();
    forget_after(folder.path(), 2 * STEPS + 3);
    check(&run(true), "logs that were lost");
}

/// Bytes of an epoch in an event file: frame, time, step, summary; in it for each figure its frame, tag and value.
fn board_row() -> usize {
    let values: usize = EpochRecord::METRICS.iter().map(|name| 2 + 2 + name.len() + 5).sum();
    16 + 9 + 2 + 1 + (1 + usize::from(values >= 128)) + values
}

#[test]
fn a_split_keeps_samples_out() {
    let history = trainer(&Device::cpu()).fit(&three_classes(), fit(2).validation_split(0.2)).unwrap();
    assert!(history.last().unwrap().test_loss.is_some());
    let again = trainer(&Device::cpu()).fit(&three_classes(), fit(2).validation_split(0.2)).unwrap();
    assert_eq!(history.last().unwrap().test_loss, again.last().unwrap().test_loss);
}

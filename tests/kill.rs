//! Programs killed at random moments while they write checkpoints: what is there loads, and going on loses at most the interval.
//!
//! `NOYAU_KILLS=200` kills so many; 20 otherwise.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use noyau::formats::safetensors;
use noyau::prelude::*;

/// Tells the other half where to write.
const FOLDER: &str = "NOYAU_KILL_FOLDER";
/// Steps from file to file: few, so that the program is mostly writing.
const INTERVAL: u64 = 3;
const KEPT: usize = 3;
/// Steps an epoch, of two samples each: no multiple of the interval.
const STEPS: u64 = 40;

fn data() -> Dataset {
    let samples = 2 * STEPS as u32;
    let labels: Vec<u32> = (0..samples).map(|i| i % 3).collect();
    let pixels = (0..samples).flat_map(|i| (0..6u32).map(move |p| ((i * 7 + p * 11) % 60 + if p % 3 == i % 3 { 180 } else { 0 }) as u8));
    Dataset::from_bytes([2, 3], pixels.collect::<Vec<u8>>(), &Array::new([labels.len()], &labels).expect("labels")).expect("samples")
}

/// A training whose state is weights, moments, running statistics and numbers of steps and draws.
fn trainer() -> Trainer {
    let hidden = Sequential::new().then(Flatten).then(Linear::new(6, 16)).then(BatchNorm1d::new(16)).then(Tanh).then(Dropout(0.1));
    Trainer::new(Device::cpu(), hidden.then(Linear::new(16, 3))).optimizer(Adam::new(0.01)).seed(11)
}

fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints::new(folder).every_steps(INTERVAL).keep_last(KEPT).keep_best("train_loss")
}

/// The checkpoints in a folder, oldest first; never what a killed program left of one.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let named = |path: &PathBuf| {
        path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("checkpoint-") && n.ends_with(".safetensors"))
    };
    let mut files: Vec<PathBuf> = entries.filter(named).collect();
    files.sort();
    files
}

/// The values of a checkpoint, bit for bit.
fn words(file: &Path) -> BTreeMap<String, Vec<u32>> {
    let tensors = safetensors::load(file).unwrap_or_else(|e| panic!("{e}")).tensors;
    tensors.into_iter().map(|(name, value)| (name, value.words().to_vec())).collect()
}

fn say(word: &str, step: u64) {
    let mut out = std::io::stdout();
    if writeln!(out, "{word} {step}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0); // Nobody listens.
    }
}

/// The other half: trains without end, from the newest checkpoint on, and says from which and how far it has come.
#[test]
#[ignore = "started, and killed, by the test below"]
fn trains_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let fit = Fit::epochs(1_000_000).batch_size(2).checkpoint(checkpoints(&folder)).resume(true);
    let fit = fit.on_begin(|beginning| say("from", beginning.history.resumed.as_ref().map_or(0, |resumed| resumed.step)));
    let fit = fit.on_progress(|progress| say("done", (progress.epoch as u64 - 1) * STEPS + progress.step as u64));
    trainer().fit(&data(), fit).unwrap_or_else(|error| {
        println!("failed: {error}");
        std::process::exit(1)
    });
}

/// Bits that differ from round to round (SplitMix64).
fn noise(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a killed program has said.
#[derive(Default)]
struct Said {
    from: Option<u64>,
    done: Option<u64>,
    failed: Option<String>,
}

/// Starts the other half and kills it after a time.
fn killed_after(folder: &Path, time: Duration) -> Said {
    let mut child = Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", "trains_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let listener = std::thread::spawn(move || {
        let mut said = Said::default();
        for line in output.lines().map_while(std::result::Result::ok) {
            let number = |word: &str| line.rsplit(word).next().filter(|rest| rest.len() < line.len())?.parse::<u64>().ok();
            said.from = said.from.or(number("from "));
            said.done = number("done ").or(said.done);
            said.failed = said.failed.or_else(|| line.contains("failed: ").then(|| line.clone()));
        }
        said
    });
    std::thread::sleep(time);
    // SIGKILL.
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    listener.join().expect("its last words")
}

#[test]
fn every_file_loads_and_little_is_lost_whenever_it_is_killed() {
    let kills: u64 = std::env::var("NOYAU_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut newest, mut seen) = (0, BTreeMap::new());
    let (mut leftovers, mut lost, mut checked, mut resumed) = (0, 0, 0, 0);
    for round in 0..kills {
        // Every fourth is killed while it starts.
        let most = if round % 4 == 3 { 60_000 } else { 400_000 };
        let said = killed_after(folder.path(), Duration::from_micros(noise(round) % most));
        assert_eq!(said.failed, None, "round {round}");
        if let Some(from) = said.from {
            assert_eq!(from, newest, "round {round}: it went on from another step than the newest file's");
            resumed += u64::from(from > 0);
        }
        let there = files(folder.path());
        let before = newest;
        let best = folder.path().join("best.safetensors");
        let all = there.iter().cloned().chain(best.exists().then_some(best));
        let mut others = std::fs::read_dir(folder.path()).expect("the folder").count();
        for file in all {
            let found = Checkpoint::open(&file).unwrap_or_else(|e| panic!("round {round}: {e}"));
            checked += 1;
            others -= 1;
            if there.last() == Some(&file) {
                assert!(found.step() >= newest, "round {round}: files went back from {newest} to {}", found.step());
                newest = found.step();
                seen.insert(newest, words(&file));
            }
        }
        // Who was killed between writing and deleting leaves one too many; the next deletes it once it has written.
        assert!(newest < before + 2 * INTERVAL || there.len() <= KEPT + 1, "round {round}: {there:?}");
        // Whoever goes on takes away what the one before left.
        assert!(others <= 1, "round {round}: {others} temporary files");
        leftovers += others;
        if let Some(done) = said.done {
            assert!(done <= newest + INTERVAL, "round {round}: it had done {done} steps, the newest file has {newest}");
            lost = lost.max(done.saturating_sub(newest));
        }
    }
    println!(
        "{kills} kills: {checked} files loaded, {resumed} resumed, {newest} steps in all, at most {lost} lost, {leftovers} temporary files met"
    );
    assert!(resumed > 0, "no round came to a file and was followed by another");
    // To the bit what a run without kills has.
    let alone = tempfile::tempdir().expect("a folder");
    let fit = Fit::epochs(newest.div_ceil(STEPS) as usize).batch_size(2).checkpoint(checkpoints(alone.path()).keep_last(usize::MAX));
    trainer().fit(&data(), fit).expect("it trains");
    for (step, found) in &seen {
        let expected = words(&alone.path().join(format!("checkpoint-{step:09}.safetensors")));
        assert!(*found == expected, "step {step} of {newest} has other values than without kills");
    }
}

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

/// A training whose state is weights, moments and a number of steps.
struct Training {
    session: Session,
    step: CompiledStep,
    states: Vec<(String, Param)>,
    done: u64,
}

impl Training {
    fn new() -> Training {
        let session = Session::with_seed(Device::cpu(), 11);
        let model = Sequential::new().then(Linear::new(20, 150)).then(Tanh).then(Dropout(0.1)).then(Linear::new(150, 20));
        let parameters = model.parameters();
        let optimizer = Adam::new(0.01);
        let step = session
            .compile([Spec::f32([8, 20])], |[x]| {
                let loss = mse_loss(&model.forward(&x, &Mode::train()), &x);
                Step::returns(&loss).updates(optimizer.step(&loss, &parameters))
            })
            .expect("compiles");
        // Everything that a step changes, the counter of random numbers included, in the order of first use.
        let states = session.known_states().into_iter().enumerate().map(|(i, state)| (format!("{i}.{}", state.name()), state)).collect();
        Training { session, step, states, done: 0 }
    }

    fn next(&mut self) {
        let x: Vec<f32> = (0..160u64).map(|i| ((i + self.done * 7) as f32 * 0.1).sin()).collect();
        self.step.launch_with(&[&Array::new([8, 20], &x).expect("160 values")]).expect("it runs");
        self.done += 1;
    }

    fn values(&self) -> Vec<(String, Array)> {
        self.states.iter().map(|(name, state)| (name.clone(), self.session.get(state).expect("a value"))).collect()
    }

    fn save(&self, folder: &Path) {
        let metadata = BTreeMap::from([("step".to_string(), self.done.to_string())]);
        safetensors::save(folder.join(format!("step-{:09}.safetensors", self.done)), &self.values(), &metadata).expect("it is written");
        let files = files(folder);
        for old in &files[..files.len().saturating_sub(KEPT)] {
            std::fs::remove_file(old).expect("it is deleted");
        }
    }

    fn restore(&mut self, file: &Path) {
        let stored = safetensors::load(file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(stored.tensors.len(), self.states.len(), "{}", file.display());
        for (name, state) in &self.states {
            self.session.set(state, &stored.tensors[name]).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
        self.done = stored.metadata["step"].parse().expect("a number of steps");
    }
}

/// The checkpoints in a folder, oldest first; never what a killed program left of one.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let named =
        |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("step-") && n.ends_with(".safetensors"));
    let mut files: Vec<PathBuf> = entries.filter(named).collect();
    files.sort();
    files
}

/// The other half: trains without end, from the newest file on, and says each step that it has done.
#[test]
#[ignore = "started, and killed, by the test below"]
fn trains_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut training = Training::new();
    if let Some(newest) = files(&folder).last() {
        training.restore(newest);
    }
    let mut out = std::io::stdout();
    loop {
        training.next();
        if training.done.is_multiple_of(INTERVAL) {
            training.save(&folder);
        }
        if writeln!(out, "step {}", training.done).and_then(|()| out.flush()).is_err() {
            return; // Nobody listens.
        }
    }
}

/// Bits that differ from round to round (SplitMix64).
fn noise(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn every_file_loads_and_little_is_lost_whenever_it_is_killed() {
    let kills: u64 = std::env::var("NOYAU_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let folder = tempfile::tempdir().expect("a folder");
    let mut uninterrupted = Training::new();
    let mut reader = Training::new();
    let (mut leftovers, mut lost, mut checked) = (0, 0, 0);
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().expect("a test has a path"))
            .args(["--exact", "trains_until_it_is_killed", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let pid_output = BufReader::new(child.stdout.take().expect("its output"));
        let listener = std::thread::spawn(move || {
            let steps = pid_output.lines().map_while(Result::ok);
            steps.filter_map(|line| line.rsplit("step ").next()?.parse::<u64>().ok()).last()
        });
        // Every fourth is killed while it starts.
        let most = if round % 4 == 3 { 60_000 } else { 400_000 };
        std::thread::sleep(Duration::from_micros(noise(round) % most));
        // SIGKILL.
        child.kill().expect("it is killed");
        child.wait().expect("it is gone");
        let said = listener.join().expect("its last word");
        let there = files(folder.path());
        for file in &there {
            reader.restore(file);
            checked += 1;
        }
        leftovers += std::fs::read_dir(folder.path()).expect("the folder").count() - there.len();
        match (there.last(), said) {
            (Some(_), Some(said)) => {
                // The newest was restored last.
                assert!(said < reader.done + INTERVAL, "round {round}: it had done {said} steps, the newest file has {}", reader.done);
                lost = lost.max(said.saturating_sub(reader.done));
            }
            (None, Some(said)) => assert!(said < INTERVAL, "round {round}: {said} steps and no file"),
            (_, None) => {}
        }
        if !there.is_empty() {
            assert!(reader.done >= uninterrupted.done, "round {round}: files went back from {} to {}", uninterrupted.done, reader.done);
            while uninterrupted.done < reader.done {
                uninterrupted.next();
            }
            // With Adam's moments and dropout's counter: to the bit what a run without kills has.
            for ((name, a), (_, b)) in uninterrupted.values().iter().zip(reader.values()) {
                assert_eq!(a.words(), b.words(), "round {round}: `{name}` after {} steps", reader.done);
            }
        }
    }
    println!("{kills} kills: {checked} files loaded, {} steps in all, at most {lost} lost, {leftovers} temporary files met", reader.done);
    assert!(reader.done > 0, "no round came to a file");
}

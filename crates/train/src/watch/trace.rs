//! When everything happened: Chrome's trace events, which Perfetto (ui.perfetto.dev) and chrome://tracing draw.
//!
//! One track a thread of the host, and one for the device. Source of the format: "Trace Event Format", Google, 2016.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use noyau_compile::plan::{Kernel, Plan};
use noyau_formats::write_atomically;
use noyau_gpu::Clock;
use noyau_tensor::{At, Result};
use serde_json::{Map, Value, json};

use super::describe;
use crate::device::Executable;

/// How many runs of each step are written down.
const STEPS: usize = 32;
/// The most events of a trace, whatever is run.
const EVENTS: usize = 200_000;
/// The device's track; the host's threads are counted from 1.
const DEVICE: usize = 0;

/// A trace in the making. Times are in microseconds since it began.
pub(crate) struct Tracer {
    path: PathBuf,
    clock: Clock,
    device: String,
    tracks: Mutex<Tracks>,
}

#[derive(Default)]
struct Tracks {
    events: Vec<Value>,
    threads: HashMap<ThreadId, usize>,
    /// When the device was last done: what comes later begins later.
    device_done: f64,
    written: bool,
}

/// What an event says besides its name.
pub(crate) fn args<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

impl Tracer {
    /// Fails where no file can be written.
    pub fn new(path: &Path, device: String) -> Result<Tracer> {
        let tracer = Tracer { path: path.into(), clock: Clock::start(), device, tracks: Mutex::default() };
        // Better told now than after the training.
        tracer.write(&[])?;
        Ok(tracer)
    }

    fn tracks(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub fn now(&self) -> f64 {
        self.clock.seconds() * 1e6
    }

    /// Whether a step's run of this number, counted from 0, is to be written down.
    pub fn wants(&self, run: usize) -> bool {
        run < STEPS && self.tracks().events.len() < EVENTS
    }

    /// Something that this thread did from `start` until now.
    pub fn host(&self, name: &str, start: f64, args: Map<String, Value>) {
        self.host_span(name, start..self.now(), args);
    }

    /// Something that this thread did in a span of time.
    pub fn host_span(&self, name: &str, span: Range<f64>, args: Map<String, Value>) {
        let mut tracks = self.tracks();
        let next = tracks.threads.len() + 1;
        let track = *tracks.threads.entry(std::thread::current().id()).or_insert(next);
        tracks.add(name, "host", track, span, args);
    }

    /// A run's launches, by the device's clock: they began some time after `submitted` and were over at `done`, both by the host's.
    pub fn launches(&self, plan: &Plan, executable: &Executable, times: &[Range<u64>], submitted: f64, done: f64, run: usize) {
        let mut tracks = self.tracks();
        let length = times.last().map_or(0.0, |last| last.end as f64 / 1e3);
        // The clocks have no common zero: placed as early as can be, but not before what the device did earlier.
        let start = (done - length).min(submitted).max(tracks.device_done);
        for (launch, time) in times.iter().enumerate() {
            let kernels = executable.kernels_of(launch);
            let described: Vec<Value> = kernels.iter().map(|&k| kernel(plan, k)).collect();
            let sum =
                |what: fn(describe::Work) -> usize| kernels.iter().map(|&k| what(describe::work(plan, &plan.kernels[k]))).sum::<usize>();
            let mut args = args([
                ("run", json!(run)),
                ("launch", json!(launch)),
                ("how", json!(executable.name_of(launch))),
                ("bytes", json!(sum(|work| work.bytes))),
                ("operations", json!(sum(|work| work.operations))),
            ]);
            args.insert("kernels".into(), Value::Array(described));
            let span = start + time.start as f64 / 1e3..start + time.end as f64 / 1e3;
            tracks.add(&launch_name(plan, &kernels), "device", DEVICE, span, args);
        }
        tracks.device_done = start + length;
    }

    /// A run of which only the whole is known.
    pub fn whole_run(&self, launches: usize, span: Range<f64>, run: usize) {
        let mut tracks = self.tracks();
        let start = span.start.max(tracks.device_done);
        tracks.device_done = span.end.max(start);
        let args =
            args([("run", json!(run)), ("launches", json!(launches)), ("note", json!("this device does not tell the time of launches"))]);
        let span = start..tracks.device_done;
        tracks.add("step", "device", DEVICE, span, args);
    }

    /// Writes the file.
    pub fn finish(&self) -> Result<()> {
        let events = {
            let mut tracks = self.tracks();
            tracks.written = true;
            let mut names = vec![(DEVICE, format!("device: {}", self.device))];
            names.extend(
                tracks.threads.values().map(|&track| (track, if track == 1 { "host".into() } else { format!("host, thread {track}") })),
            );
            names.sort();
            let mut events: Vec<Value> = vec![json!({"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "noyau"}})];
            for (track, name) in names {
                events.push(json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": track, "args": {"name": name}}));
            }
            events.extend(tracks.events.iter().cloned());
            events
        };
        self.write(&events)
    }

    fn write(&self, events: &[Value]) -> Result<()> {
        write_atomically(&self.path, |file| {
            // An event a line, for those who look with other tools.
            writeln!(file, "{{\"displayTimeUnit\": \"ns\", \"traceEvents\": [")?;
            for (i, event) in events.iter().enumerate() {
                writeln!(file, "{event}{}", if i + 1 < events.len() { "," } else { "" })?;
            }
            writeln!(file, "]}}")
        })
    }
}

impl Drop for Tracer {
    /// A run that failed is worth looking at too. Nobody is left to be told of an error.
    fn drop(&mut self) {
        if !self.tracks().written {
            let _ = self.finish();
        }
    }
}

impl Tracks {
    fn add(&mut self, name: &str, kind: &str, track: usize, span: Range<f64>, args: Map<String, Value>) {
        // Nanoseconds are enough, and keep the file small. Both ends are rounded, so that what met or nested still does.
        let nanoseconds = |microseconds: f64| (microseconds * 1e3).round();
        let (start, end) = (nanoseconds(span.start), nanoseconds(span.end.max(span.start)));
        self.events.push(json!({
            "ph": "X", "name": name, "cat": kind, "pid": 1, "tid": track, "ts": start / 1e3, "dur": (end - start) / 1e3, "args": args
        }));
    }
}

/// What a launch is called: its kernels, or the first of many.
pub(crate) fn launch_name(plan: &Plan, kernels: &[usize]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = kernels.iter().take(SHOWN).map(|&k| plan.kernels[k].name.as_str()).collect();
    let more = if kernels.len() > SHOWN { format!("; {} more", kernels.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join("; "))
}

fn kernel(plan: &Plan, number: usize) -> Value {
    let kernel: &Kernel = &plan.kernels[number];
    let work = describe::work(plan, kernel);
    json!({
        "kernel": number,
        "name": kernel.name,
        "sizes": describe::sizes(kernel),
        "line": At(&kernel.location).to_string(),
        "bytes": work.bytes,
        "operations": work.operations,
    })
}

//! Variants of matrix products chosen by measuring them on the device, and kept on disk; only where that was asked for.
//!
//! Which products there are is known when a plan is loaded. Each that is not in the table yet is run alone, in every variant that might be the best, and the table
//! keeps the fastest: a JSON file for each adapter and driver, in the user's cache folder or where the caller wants it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use noyau_compile::Plan;
use noyau_compile::plan::{Body, Buffer, BufferId, BufferKind, Instr, Kernel, KernelKind, Matmul, Matrix};
use noyau_shaders::Variant;
use noyau_tensor::{Error, Result};
use serde_json::{Value, json};

use crate::choose::{Target, Tuning, is_halves};
use crate::context::lock;
use crate::{AdapterInfo, Executable, Gpu, cache};

/// Whether products' variants are measured, and where what was measured is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Nothing is measured, and nothing that was measured before is used: the rules choose.
    #[default]
    Never,
    /// In the user's cache folder, or the one that `NOYAU_CACHE` names.
    Kept,
    /// In this file.
    KeptIn(PathBuf),
    /// In memory only.
    Once,
}

/// The layout of the file; files of another are passed over.
const FORMAT: u64 = 1;
/// Runs of each variant after the first; the fastest counts.
const RUNS: usize = 5;
/// Seconds after which no further variant of a product is tried.
const PATIENCE: f64 = 3.0;

/// What was measured: for each product its best variant.
#[derive(Clone, Debug)]
pub struct Measured(Arc<HashMap<String, Variant>>);

impl Measured {
    pub(crate) fn get(&self, plan: &Plan, kernel: &Matmul) -> Option<Variant> {
        self.0.get(&key(plan, kernel)).copied()
    }
}

/// A device's choices that do not come from the rules.
pub(crate) struct Tuner {
    /// What the environment asks for.
    environment: Tuning,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    measure: Measure,
    /// What the file had, and what was measured since; `None` before the file was looked at.
    table: Option<HashMap<String, Entry>>,
    report: Vec<String>,
}

/// A product's best variant and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    variant: Variant,
    microseconds: f64,
}

impl Tuner {
    pub fn new(environment: Tuning) -> Tuner {
        // Any other value leaves it to the program.
        let measure = if std::env::var_os("NOYAU_TUNE").is_some_and(|value| value == "1") { Measure::Kept } else { Measure::Never };
        Tuner { environment, state: Mutex::new(State { measure, ..State::default() }) }
    }
}

impl Gpu {
    /// Has the variants of matrix products measured when plans are loaded from now on, each distinct product once, which takes seconds where there are many; or
    /// no longer. `NOYAU_TUNE=1` asks for [`Measure::Kept`] where a device is opened.
    pub fn set_tuning(&self, measure: Measure) {
        *lock(&self.0.tuner.state) = State { measure, ..State::default() };
    }

    /// What tuning has done since it was asked for: a line for each product that was measured, and for a file that was passed over or not written, with the reason.
    pub fn tuning_report(&self) -> Vec<String> {
        lock(&self.0.tuner.state).report.clone()
    }

    /// The variants of matrix products that this device can run, among which are those that tuning tries. Their names are what `NOYAU_MATMUL` takes.
    pub fn variants(&self) -> Vec<Variant> {
        Target::of(self.info()).variants()
    }

    /// The choices for a plan that is about to be loaded; measures what has to be measured.
    pub(crate) async fn tuning_for(&self, plan: &Plan) -> Result<Tuning> {
        let tuner = &self.0.tuner;
        let file = {
            let state = lock(&tuner.state);
            match &state.measure {
                Measure::Never => return Ok(tuner.environment.clone()),
                Measure::Kept => cache::folder().map(|folder| folder.join(file_name(self.info()))),
                Measure::KeptIn(path) => Some(path.clone()),
                Measure::Once => None,
            }
        };
        {
            let mut state = lock(&tuner.state);
            if state.table.is_none() {
                state.table = Some(match file.as_deref().map(|path| read(path, self.info())) {
                    Some(Ok(table)) => table,
                    Some(Err(reason)) => {
                        state.report.push(reason);
                        HashMap::new()
                    }
                    None => HashMap::new(),
                });
            }
        }
        let target = Target::of(self.info());
        let mut new = false;
        for kernel in &plan.kernels {
            let KernelKind::Matmul(product) = &kernel.kind else { continue };
            let key = key(plan, product);
            let known = lock(&tuner.state).table.as_ref().is_some_and(|table| table.contains_key(&key));
            if known || product.space().iter().product::<usize>() == 0 {
                continue;
            }
            let Some((entry, line)) = self.measure(&target, plan, kernel, product).await? else { continue };
            let mut state = lock(&tuner.state);
            state.report.push(line);
            state.table.get_or_insert_default().insert(key, entry);
            new = true;
        }
        let mut state = lock(&tuner.state);
        let table = state.table.clone().unwrap_or_default();
        if let (true, Some(path)) = (new, &file)
            && let Err(error) = write(path, self.info(), &table)
        {
            state.report.push(format!("{} was not written: {error}", path.display()));
        }
        let measured = Measured(Arc::new(table.into_iter().map(|(key, entry)| (key, entry.variant)).collect()));
        Ok(Tuning { measured: Some(measured), ..tuner.environment.clone() })
    }

    /// The fastest variant of one product, by the device's clock where it has one; `None` where none could be run.
    async fn measure(&self, target: &Target, plan: &Plan, kernel: &Kernel, product: &Matmul) -> Result<Option<(Entry, String)>> {
        let alone = Arc::new(alone(plan, kernel, product));
        let clock = crate::Clock::start();
        let mut times: Vec<(Variant, f64)> = Vec::new();
        for variant in target.candidates(product, is_halves(plan, product)) {
            if clock.seconds() > PATIENCE {
                break;
            }
            let tuning = Tuning { matmul: Some(variant), merge: Some(false), ..Tuning::default() };
            let none = &mut |_: &_| Err(Error::Internal("a product alone has no states".into()));
            // A variant that a driver refuses is no candidate; a device that is lost is an error.
            let loaded = Executable::load(self, Arc::clone(&alone), &tuning, none).await;
            let Ok(mut executable) = loaded else {
                self.0.check()?;
                continue;
            };
            let best = times.iter().map(|t| t.1).fold(f64::INFINITY, f64::min);
            // The first run may have to make things. One that takes several times as long as others at their best is not tried again.
            let mut least = seconds(&mut executable).await?;
            if least < 8.0 * best {
                for _ in 0..RUNS {
                    least = least.min(seconds(&mut executable).await?);
                }
            }
            times.push((variant, least));
        }
        let Some(&(variant, least)) = times.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(None) };
        let (rule, usual) = times[0];
        let line = format!(
            "{}: {variant} takes {:.1} us, {rule}, which the rule chooses, {:.1} us; {} were tried",
            kernel.name,
            least * 1e6,
            usual * 1e6,
            times.len()
        );
        Ok(Some((Entry { variant, microseconds: least * 1e6 }, line)))
    }
}

/// How long a run's launches take.
async fn seconds(executable: &mut Executable) -> Result<f64> {
    let run = executable.run_timed().await?;
    let stamped = run.launches.map(|launches| launches.iter().map(|range| (range.end - range.start) as f64 * 1e-9).sum::<f64>());
    // A clock that stands still says nothing.
    Ok(stamped.filter(|&seconds| seconds > 0.0).unwrap_or(run.submit_seconds + run.wait_seconds))
}

/// A plan of one product, all of whose values are slots.
fn alone(plan: &Plan, kernel: &Kernel, product: &Matmul) -> Plan {
    let mut small = Plan { buffers: Vec::new(), slots: Vec::new(), kernels: Vec::new(), inputs: Vec::new(), outputs: Vec::new() };
    let mut ids: HashMap<BufferId, BufferId> = HashMap::new();
    let mut place = |id: BufferId| {
        *ids.entry(id).or_insert_with(|| {
            let Buffer { shape, dtype, .. } = &plan.buffers[id.0];
            small.slots.push(shape.iter().product());
            small.buffers.push(Buffer { kind: BufferKind::Slot(small.slots.len() - 1), shape: shape.clone(), dtype: *dtype });
            BufferId(small.buffers.len() - 1)
        })
    };
    let matrix = |matrix: &Matrix, buffer: BufferId| Matrix { buffer, ..matrix.clone() };
    let (a, b) = (place(product.a.buffer), place(product.b.buffer));
    let operands = product.body.operands.iter().map(|&id| place(id)).collect();
    let body = Body { operands, ..product.body.clone() };
    let product = Matmul { a: matrix(&product.a, a), b: matrix(&product.b, b), body, ..product.clone() };
    small.kernels.push(Kernel { kind: KernelKind::Matmul(product), ..kernel.clone() });
    small
}

/// All that a product's time hangs on: its sizes, how its operands lie in memory, and how much its body loads, computes and stores.
fn key(plan: &Plan, kernel: &Matmul) -> String {
    let mut key = format!("{:?} {}x{}x{}", kernel.batch, kernel.m, kernel.n, kernel.k);
    for (name, matrix) in [("a", &kernel.a), ("b", &kernel.b)] {
        let _ = write!(key, " {name} {}", plan.buffers[matrix.buffer.0].dtype);
        for digits in [&matrix.batch, &matrix.rows, &matrix.columns] {
            let digits: Vec<String> = digits.iter().map(|d| format!("{}*{}", d.size, d.stride)).collect();
            let _ = write!(key, " {}", if digits.is_empty() { "-".into() } else { digits.join(",") });
        }
        let _ = write!(key, " {} bounds", matrix.bounds.len());
    }
    let body = &kernel.body;
    let loads = body.values.iter().filter(|value| matches!(value.instr, Instr::Load { .. } | Instr::Gather { .. })).count();
    let _ = write!(key, " body {} {loads} {}", body.values.len(), body.stores.len());
    key
}

/// The file of an adapter and driver in the cache folder.
fn file_name(info: &AdapterInfo) -> String {
    let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = format!("products {} {} {}", info.backend, info.name, info.driver).chars().map(letters).take(120).collect();
    format!("{name}.json")
}

/// What a file has for an adapter and driver; no file is an empty table. An error says what is wrong with the file.
fn read(path: &Path, info: &AdapterInfo) -> std::result::Result<HashMap<String, Entry>, String> {
    let refuse = |reason: &str| format!("{} is passed over: {reason}; tuning begins anew", path.display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(refuse(&error.to_string())),
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| refuse(&format!("it is not JSON ({error})")))?;
    if value["noyau_products"] != json!(FORMAT) {
        return Err(refuse("it is not a file of measured products of this version"));
    }
    if value["device"] != json!(info.to_string()) || value["driver"] != json!(info.driver) {
        return Err(refuse(&format!(
            "it is of {} with driver {}, this is {info} with driver {:?}",
            value["device"], value["driver"], info.driver
        )));
    }
    let Some(products) = value["products"].as_object() else { return Err(refuse("it has no products")) };
    let entry = |value: &Value| {
        let variant = value["variant"].as_str()?.parse().ok()?;
        Some(Entry { variant, microseconds: value["microseconds"].as_f64()? })
    };
    // A variant that this version does not know is measured again.
    Ok(products.iter().filter_map(|(key, value)| Some((key.clone(), entry(value)?))).collect())
}

/// Replaces the file at once by one with this table and what other processes have written meanwhile.
fn write(path: &Path, info: &AdapterInfo, table: &HashMap<String, Entry>) -> std::io::Result<()> {
    let mut all = read(path, info).unwrap_or_default();
    all.extend(table.iter().map(|(key, entry)| (key.clone(), *entry)));
    let product = |entry: &Entry| json!({ "variant": entry.variant.to_string(), "microseconds": entry.microseconds });
    let products: BTreeMap<String, Value> = all.iter().map(|(key, entry)| (key.clone(), product(entry))).collect();
    let value = json!({ "noyau_products": FORMAT, "device": info.to_string(), "driver": info.driver, "products": products });
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::write(&temporary, format!("{value:#}\n")).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

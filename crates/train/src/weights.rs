//! Weights from files into models, whole or in part, and back.
//!
//! [`Weights`] is what a file holds, with the rules by which its names meet the model's; [`LoadReport`] says what met what. noyau's layers keep their values as
//! PyTorch's do (`noyau_formats::torch` has the table), so that a file made by PyTorch is a file like any other.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use noyau_formats::{safetensors, torch};
use noyau_nn::Module;
use noyau_tensor::{Array, DType, Error, Param, Result, Shape};

use crate::session::Session;

/// The first parts of the names under which a training keeps what is not the model's, in a file that noyau wrote.
const TRAINING: [&str; 7] = ["optimizer", "scaler", "rng", "ema", "accumulate", "training", "sums"];

/// How many names a message lists.
const SHOWN: usize = 6;

/// The weights of a file, to be put into a model.
///
/// By default every value of the model must be in the file with its shape, and the file must hold nothing else; a file that does not fit changes nothing.
///
/// ```
/// # use noyau_train::Weights; use noyau_tensor::Result;
/// # fn f(session: &noyau_train::Session, model: &dyn noyau_nn::Module) -> Result<()> {
/// let report = Weights::open("resnet.safetensors")?.rename("backbone.", "").strict(false).load(session, model)?;
/// println!("{report}");
/// # Ok(()) }
/// ```
///
/// Three kinds of values beyond the model's are passed over, strict or not, and listed as [`LoadReport::ignored`]: PyTorch's `num_batches_tracked`, which nothing
/// reads, and what noyau's own files keep of a training. Floats of any width are taken for the model's type.
#[derive(Clone, Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Array>,
    /// Whether noyau's trainer wrote the file.
    ours: bool,
    strict: bool,
    problem: Option<Error>,
}

/// What of a file went into a model and what did not. Names are the model's, after renaming.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Values that were set.
    pub loaded: Vec<String>,
    /// Values of the model that the file does not have; they stay what they were.
    pub missing: Vec<String>,
    /// Tensors of the file that the model does not have.
    pub unexpected: Vec<String>,
    /// Values whose shape or type in the file is not the model's; they stay what they were.
    pub mismatched: Vec<Mismatch>,
    /// Tensors of the file that no model needs: PyTorch's batch counters, a training's own states.
    pub ignored: Vec<String>,
}

/// A value that the file and the model have in two shapes, or types that do not go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The value's name in the model.
    pub name: String,
    /// Type and shape in the file.
    pub found: (DType, Shape),
    /// Type and shape in the model.
    pub expected: (DType, Shape),
}

/// What a file has for one of a model's values.
pub(crate) enum Met {
    /// This, of the value's shape and type.
    Fits(Array),
    Differs(Mismatch),
    Missing,
}

impl Met {
    /// Takes what there is under this name out of a file's tensors.
    pub fn of(tensors: &mut BTreeMap<String, Array>, name: &str, param: &Param) -> Met {
        let Some(value) = tensors.remove(name) else { return Met::Missing };
        let (found, expected) = ((value.dtype(), value.shape().clone()), (param.dtype(), param.shape().clone()));
        // Weights in halves, as many files have them, are weights: the model's type is what the program wrote. A counter is a whole number in PyTorch's files.
        let numbers = param.dtype().is_float() && (value.dtype().is_float() || torch::is_counter(name));
        let value = if numbers { value.to(param.dtype()) } else { value };
        if (value.dtype(), value.shape()) == (param.dtype(), param.shape()) {
            Met::Fits(value)
        } else {
            Met::Differs(Mismatch { name: name.into(), found, expected })
        }
    }
}

/// What is to be set, and what is to be said.
struct Placed {
    values: Vec<(Param, Array)>,
    report: LoadReport,
}

impl Weights {
    /// The weights of a safetensors file.
    ///
    /// # Errors
    ///
    /// As `noyau_formats::safetensors::load`.
    pub fn open(path: impl AsRef<Path>) -> Result<Weights> {
        let loaded = safetensors::load(path.as_ref())?;
        Ok(Weights::made(path.as_ref(), loaded))
    }

    /// The weights of a safetensors file that is already in memory; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// As `noyau_formats::safetensors::from_bytes`.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Weights> {
        let loaded = safetensors::from_bytes(name.as_ref(), bytes)?;
        Ok(Weights::made(name.as_ref(), loaded))
    }

    fn made(path: &Path, loaded: safetensors::Loaded) -> Weights {
        let ours = loaded.metadata.get("format").is_some_and(|format| format == "noyau");
        Weights { path: path.to_path_buf(), tensors: loaded.tensors, ours, strict: true, problem: None }
    }

    /// The names in the file, after renaming, with what they stand for.
    pub fn tensors(&self) -> &BTreeMap<String, Array> {
        &self.tensors
    }

    /// With all names that begin with `from` beginning with `to` instead: `.rename("module.", "")` takes a prefix off, `.rename("", "backbone.")` puts one before
    /// all. Renamings follow one another. One that no name begins with, or that makes two names one, is an error when the weights are loaded.
    pub fn rename(mut self, from: &str, to: &str) -> Weights {
        let mut renamed = BTreeMap::new();
        let mut hits = 0;
        for (name, value) in std::mem::take(&mut self.tensors) {
            let next = match name.strip_prefix(from) {
                Some(rest) => {
                    hits += 1;
                    format!("{to}{rest}")
                }
                None => name,
            };
            if renamed.contains_key(&next) {
                let message = format!("renaming {from:?} to {to:?} makes two tensors `{next}`; rename the other one first");
                self.problem.get_or_insert(Error::data(&self.path, message));
            }
            renamed.insert(next, value);
        }
        if hits == 0 {
            let message = format!("no tensor's name begins with {from:?}, which was to be renamed; there are {}", listed(renamed.keys()));
            self.problem.get_or_insert(Error::data(&self.path, message));
        }
        self.tensors = renamed;
        self
    }

    /// Whether file and model must have the same values (by default they must). If not, what fits is loaded and the report says what was left.
    pub fn strict(mut self, yes: bool) -> Weights {
        self.strict = yes;
        self
    }

    /// Sets the model's parameters and buffers on a session, all that the report calls loaded or, on failure, none.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] when the weights are strict and do not fit the model, with what is missing, unexpected and of another shape; when a renaming
    /// made no sense; when nothing at all fits. And what setting a state may give.
    pub async fn load_async(&self, session: &Session, model: &dyn Module) -> Result<LoadReport> {
        let placed = self.place(&states(model))?;
        session.set_all(&placed.values).await?;
        Ok(placed.report)
    }

    /// Meets the file's names with these.
    fn place(&self, states: &[(String, Param)]) -> Result<Placed> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let mut rest = self.tensors.clone();
        let mut report = LoadReport::default();
        let mut values = Vec::new();
        for (name, param) in states {
            match Met::of(&mut rest, name, param) {
                Met::Fits(value) => {
                    report.loaded.push(name.clone());
                    values.push((param.clone(), value));
                }
                Met::Differs(mismatch) => report.mismatched.push(mismatch),
                Met::Missing => report.missing.push(name.clone()),
            }
        }
        for name in rest.keys() {
            let training = self.ours && name.split_once('.').is_some_and(|(first, _)| TRAINING.contains(&first));
            let list = if training || torch::is_counter(name) { &mut report.ignored } else { &mut report.unexpected };
            list.push(name.clone());
        }
        if self.strict && !report.is_complete() {
            return Err(self.misfit(&report, "the file does not fit the model"));
        }
        if report.loaded.is_empty() && !states.is_empty() {
            return Err(self.misfit(&report, "nothing in the file fits the model"));
        }
        Ok(Placed { values, report })
    }

    fn misfit(&self, report: &LoadReport, what: &str) -> Error {
        let mut message = format!("{what}: {}", report.faults());
        if let Some(prefix) = self.prefix(report) {
            message += &format!(". All names in the file begin with {prefix:?}: try .rename({prefix:?}, \"\")");
        } else if self.strict && !report.loaded.is_empty() {
            message += ". To load what fits: .strict(false)";
        }
        Error::data(&self.path, message)
    }

    /// What all names of the file begin with, when the model's names would be there without it.
    fn prefix(&self, report: &LoadReport) -> Option<String> {
        let first = self.tensors.keys().next()?;
        let ends = first.match_indices('.').map(|(at, _)| &first[..=at]);
        let all = |prefix: &&str| self.tensors.keys().all(|name| name.starts_with(prefix));
        let helps = |prefix: &&str| report.missing.iter().any(|name| self.tensors.contains_key(&format!("{prefix}{name}")));
        ends.take_while(all).find(helps).map(str::to_string)
    }
}

impl LoadReport {
    /// Whether file and model had the same values.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }

    /// What did not fit, in words; empty when all did.
    fn faults(&self) -> String {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("{} missing in the file: {}", values(self.missing.len()), listed(&self.missing)));
        }
        if !self.unexpected.is_empty() {
            parts.push(format!("{} that the model does not have: {}", values(self.unexpected.len()), listed(&self.unexpected)));
        }
        if !self.mismatched.is_empty() {
            let all: Vec<String> = self.mismatched.iter().map(Mismatch::to_string).collect();
            parts.push(format!("{} of another shape or type: {}", values(self.mismatched.len()), listed(&all)));
        }
        parts.join("; ")
    }
}

impl fmt::Display for LoadReport {
    /// One line: `12 values loaded; 2 values missing in the file: head.weight, head.bias`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", values(self.loaded.len()))?;
        if !self.is_complete() {
            write!(f, "; {}", self.faults())?;
        }
        if !self.ignored.is_empty() {
            write!(f, "; {} passed over: {}", values(self.ignored.len()), listed(&self.ignored))?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { name, found, expected } = self;
        write!(f, "{name} is {}{}, the model's is {}{}", found.0, found.1, expected.0, expected.1)
    }
}

fn values(count: usize) -> String {
    format!("{count} value{}", if count == 1 { "" } else { "s" })
}

/// The first names, and how many more there are.
fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if names.is_empty() { "none".into() } else { format!("{}{more}", shown.join(", ")) }
}

/// A model's parameters and buffers.
fn states(model: &dyn Module) -> Vec<(String, Param)> {
    [model.parameters(), model.buffers()].concat()
}

/// Writes a model's parameters and buffers, and nothing else, to a safetensors file that PyTorch loads with `strict=True` into a model of the same layers: see
/// `noyau_formats::torch`.
///
/// # Errors
///
/// As `noyau_formats::torch::save`, and when a state cannot be read.
pub async fn save_weights_async(session: &Session, model: &dyn Module, path: impl AsRef<Path>) -> Result<()> {
    torch::save(path, &session.values(states(model)).await?)
}

/// [`save_weights_async`] to bytes in memory.
///
/// # Errors
///
/// As [`save_weights_async`].
pub async fn weights_to_bytes_async(session: &Session, model: &dyn Module) -> Result<Vec<u8>> {
    torch::to_bytes(&session.values(states(model)).await?)
}

/// Loads a model's parameters and buffers from a safetensors file, which must hold exactly them: [`Weights`] with its defaults.
///
/// # Errors
///
/// As [`Weights::load_async`].
#[cfg(not(target_arch = "wasm32"))]
pub fn load_weights(session: &Session, model: &dyn Module, path: impl AsRef<Path>) -> Result<LoadReport> {
    Weights::open(path)?.load(session, model)
}

/// [`save_weights_async`], waiting for it.
///
/// # Errors
///
/// As [`save_weights_async`].
#[cfg(not(target_arch = "wasm32"))]
pub fn save_weights(session: &Session, model: &dyn Module, path: impl AsRef<Path>) -> Result<()> {
    pollster::block_on(save_weights_async(session, model, path))
}

#[cfg(not(target_arch = "wasm32"))]
impl Weights {
    /// [`Weights::load_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Weights::load_async`].
    pub fn load(&self, session: &Session, model: &dyn Module) -> Result<LoadReport> {
        pollster::block_on(self.load_async(session, model))
    }
}

//! States in files: weights alone, and checkpoints, from which a training goes on.

mod folder;
mod header;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use noyau_data::Dataset;
use noyau_formats::safetensors;
use noyau_tensor::{Array, Error, Param, Result};

use crate::history::{EpochRecord, Resumed};
use crate::session::Session;
use crate::weights::{Met, Mismatch};

pub use folder::Checkpoints;
pub(crate) use header::{CallbackState, Header, Setup, VERSION};

/// The first part of the names of tensors that only a training needs.
pub(crate) const TRAINING: &str = "training.";

/// The metadata's key for the header.
const HEADER: &str = "checkpoint";

/// Writes named states, in one piece or not at all.
pub(crate) async fn save(session: &Session, states: &[(String, Param)], path: &Path) -> Result<()> {
    safetensors::save(path, &session.values(states.iter().cloned()).await?, &metadata())
}

/// Sets all named states from a file, or none; returns what else the file holds.
pub(crate) async fn load(session: &Session, states: &[(String, Param)], path: &Path) -> Result<BTreeMap<String, Array>> {
    let mut found = safetensors::load(path)?.tensors;
    let mut values = Vec::with_capacity(states.len());
    for (name, param) in states {
        let message = match Met::of(&mut found, name, param) {
            Met::Fits(value) => {
                values.push((param.clone(), value));
                continue;
            }
            Met::Differs(Mismatch { found, expected, .. }) => format!(
                "`{name}` is {}{}, the model's is {}{}: the file is of a model with other sizes",
                found.0, found.1, expected.0, expected.1
            ),
            Met::Missing => {
                let there: Vec<&str> = found.keys().map(String::as_str).take(8).collect();
                format!("has no tensor `{name}`, which the model needs; it has {}: is it another model's file?", there.join(", "))
            }
        };
        return Err(Error::data(path, message));
    }
    session.set_all(&values).await?;
    found.retain(|name, _| !name.starts_with(TRAINING));
    Ok(found)
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("format".to_string(), "noyau".to_string()), ("version".to_string(), "1".to_string())])
}

/// A checkpoint that has been read, and is whole.
///
/// Its weights are those of an ordinary file: [`Trainer::load`](crate::Trainer::load) takes them. To go on from it, see
/// [`Fit::resume_from`](crate::Fit::resume_from).
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) tensors: BTreeMap<String, Array>,
}

impl Checkpoint {
    /// Reads a file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] when it is damaged or no checkpoint, [`Error::Io`] when it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint> {
        Checkpoint::new(path.as_ref(), safetensors::load(path.as_ref())?)
    }

    /// Reads a checkpoint that is already in memory; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Checkpoint> {
        Checkpoint::new(name.as_ref(), safetensors::from_bytes(name.as_ref(), bytes)?)
    }

    fn new(path: &Path, loaded: safetensors::Loaded) -> Result<Checkpoint> {
        let Some(text) = loaded.metadata.get(HEADER) else {
            let message =
                "it is no checkpoint: it has tensors, but does not say where a training stood; Trainer::load takes weights from it";
            return Err(Error::data(path, message));
        };
        let header = Header::parse(text).map_err(|fault| Error::data(path, format!("{fault}; use an earlier checkpoint")))?;
        let found = fingerprint(loaded.tensors.iter().map(|(name, value)| (name.as_str(), value)));
        if found != header.checksum {
            let message = format!(
                "its values have the checksum {found}, not {} as when it was written: it is damaged; use an earlier one",
                header.checksum
            );
            return Err(Error::data(path, message));
        }
        Ok(Checkpoint { path: path.to_path_buf(), header, tensors: loaded.tensors })
    }

    /// Steps done, over all epochs.
    pub fn step(&self) -> u64 {
        self.header.step
    }

    /// Epochs done.
    pub fn epoch(&self) -> usize {
        self.header.epoch
    }

    /// Batches of the next epoch that are done.
    pub fn batch(&self) -> usize {
        self.header.batch
    }

    /// The figures of the epochs that are done.
    pub fn history(&self) -> &[EpochRecord] {
        &self.header.history
    }

    /// What the program gave to [`Checkpoints::configuration`].
    pub fn configuration(&self) -> Option<&str> {
        self.header.setup.configuration.as_deref()
    }

    /// Fails when it is of another training than one with this setup.
    pub(crate) fn check(&self, setup: &Setup) -> Result<()> {
        let differences = self.header.setup.differences(setup);
        if differences.is_empty() {
            return Ok(());
        }
        let message =
            format!("it is of another training: {}; give the same settings, or begin anew in another folder", differences.join("; "));
        Err(Error::data(&self.path, message))
    }

    /// The values of states by their names, each of which must be there as it is here.
    pub(crate) fn values(&self, states: &[(String, Param)]) -> Result<Vec<(Param, Array)>> {
        let value = |(name, param): &(String, Param)| {
            let Some(value) = self.tensors.get(name) else {
                let message = format!("it has no `{name}`, which this training needs: is its model, optimizer or precision another?");
                return Err(Error::data(&self.path, message));
            };
            if value.shape() != param.shape() || value.dtype() != param.dtype() {
                let (found, wanted) = (format!("{}{}", value.dtype(), value.shape()), format!("{}{}", param.dtype(), param.shape()));
                let message = format!("`{name}` is {found} in it, and {wanted} here: it is of a model with other sizes");
                return Err(Error::data(&self.path, message));
            }
            Ok((param.clone(), value.clone()))
        };
        states.iter().map(value).collect()
    }

    /// Fails when it holds a state of a model or an optimizer that this training has not.
    pub(crate) fn check_nothing_else(&self, states: &[(String, Param)]) -> Result<()> {
        let known = |name: &str| name.starts_with(TRAINING) || states.iter().any(|(known, _)| known == name);
        let others: Vec<&str> = self.tensors.keys().map(String::as_str).filter(|name| !known(name)).take(4).collect();
        if others.is_empty() {
            return Ok(());
        }
        let message =
            format!("it holds {}, which this training does not have: is its model, optimizer or callback another?", others.join(", "));
        Err(Error::data(&self.path, message))
    }

    /// What a history says of it.
    pub(crate) fn resumed(&self, passed_over: Vec<String>) -> Resumed {
        let Header { step, epoch, batch, .. } = self.header;
        Resumed { file: self.path.clone(), step, epoch, batch, passed_over }
    }
}

/// Writes a checkpoint; the header's checksum is filled in.
pub(crate) fn write(path: &Path, mut header: Header, tensors: &mut [(String, Array)]) -> Result<()> {
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    header.checksum = fingerprint(tensors.iter().map(|(name, value)| (name.as_str(), value)));
    let text = serde_json::to_string(&header).map_err(|e| Error::Internal(format!("a checkpoint's header cannot be written: {e}")))?;
    let mut metadata = metadata();
    metadata.insert(HEADER.into(), text);
    safetensors::save(path, tensors, &metadata)
}

/// The newest checkpoint of a folder that is whole, if there is one, and what was wrong with those that are newer.
pub(crate) fn newest(checkpoints: &Checkpoints) -> Result<Option<(Checkpoint, Vec<String>)>> {
    let list = checkpoints.list()?;
    let mut faults = Vec::new();
    for (_, path) in list.iter().rev() {
        match Checkpoint::open(path) {
            Ok(found) => return Ok(Some((found, faults))),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if faults.is_empty() {
        return Ok(None);
    }
    let message = format!("none of its {} checkpoints can be read: {}; begin anew in another folder", faults.len(), faults.join("; "));
    Err(Error::data(&checkpoints.folder, message))
}

/// A fingerprint of some samples spread over a data set: enough to tell one set from another.
pub(crate) fn fingerprint_of(data: &Dataset) -> Result<String> {
    const SAMPLES: usize = 64;
    let mut values = Vec::new();
    for i in 0..data.len().min(SAMPLES) {
        let (x, y) = data.get(i * data.len() / data.len().min(SAMPLES))?;
        values.extend([x, y]);
    }
    Ok(fingerprint(values.iter().map(|value| ("", value))))
}

/// FNV-1a (Fowler, Noll, Vo, 1991) of 64 bits over whole words. Each step is a bijection of the state, so that one changed word always shows.
fn fingerprint<'a>(values: impl Iterator<Item = (&'a str, &'a Array)>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut take = |word: u32| hash = (hash ^ u64::from(word)).wrapping_mul(0x0000_0100_0000_01b3);
    for (name, value) in values {
        name.bytes().for_each(|byte| take(byte.into()));
        value.shape().iter().for_each(|&size| take(size as u32));
        value.words().iter().for_each(|&word| take(word));
    }
    format!("{hash:016x}")
}

//! Where checkpoints lie, when they are written and which are kept.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use noyau_tensor::{Error, Result};

/// What the file of the best figure is called.
pub(crate) const BEST: &str = "best.safetensors";

/// Checkpoints in a folder: how often they are written, and which are kept.
///
/// A checkpoint is a safetensors file, `checkpoint-000001500.safetensors` after 1,500 steps, with all that a training needs to go on as if nothing had
/// happened: weights, optimizer state, counters of steps and random numbers, the place in the epoch, the figures so far, what callbacks remember. Each is
/// written to a temporary file, synced to the disk and renamed, so that a file that is there is whole, whenever the program or the machine stops.
/// [`Trainer::load`](crate::Trainer::load) takes the weights of one.
///
/// How often: after every so many steps, epochs or seconds, whichever comes first; after each epoch if nothing is said; and always when a training ends
/// or is stopped. The folder is one training's: a training that begins anew refuses a folder with checkpoints, and two programs must not share one.
///
/// ```
/// # use noyau_train::{Checkpoints, Fit};
/// let fit = Fit::epochs(20).checkpoint(Checkpoints::new("runs/a").every_steps(500).keep_best("test_loss")).resume(true);
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(crate) folder: PathBuf,
    pub(crate) steps: Option<u64>,
    pub(crate) epochs: Option<usize>,
    pub(crate) interval: Option<Duration>,
    keep_last: usize,
    pub(crate) best: Option<String>,
    pub(crate) configuration: Option<String>,
}

impl Checkpoints {
    /// In a folder, which is made if it is not there; the last 3 are kept.
    pub fn new(folder: impl Into<PathBuf>) -> Checkpoints {
        Checkpoints { folder: folder.into(), steps: None, epochs: None, interval: None, keep_last: 3, best: None, configuration: None }
    }

    /// One after every so many steps.
    pub fn every_steps(mut self, steps: u64) -> Checkpoints {
        self.steps = Some(steps);
        self
    }

    /// One after every so many epochs.
    pub fn every_epochs(mut self, epochs: usize) -> Checkpoints {
        self.epochs = Some(epochs);
        self
    }

    /// One when so much time has passed since the last.
    pub fn every(mut self, interval: Duration) -> Checkpoints {
        self.interval = Some(interval);
        self
    }

    /// How many are kept: an older one is deleted once a newer one is on the disk. 3 if nothing is said.
    pub fn keep_last(mut self, count: usize) -> Checkpoints {
        self.keep_last = count;
        self
    }

    /// Keeps the checkpoint after the epoch with the best figure as `best.safetensors` as well: a field of [`EpochRecord`](crate::EpochRecord) such as
    /// `test_loss`; accuracies are better when they are higher, others when they are lower.
    pub fn keep_best(mut self, metric: impl Into<String>) -> Checkpoints {
        self.best = Some(metric.into());
        self
    }

    /// What the program wants to be remembered with the training, in its own words: options, say. A training that resumes with another configuration is
    /// refused.
    pub fn configuration(mut self, text: impl Into<String>) -> Checkpoints {
        self.configuration = Some(text.into());
        self
    }

    /// Whether the numbers make sense.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |option: &str| Err(Error::argument(format!("Checkpoints::{option}"), "0 is too few: it must be at least 1"));
        if self.steps == Some(0) {
            return refuse("every_steps");
        }
        if self.epochs == Some(0) {
            return refuse("every_epochs");
        }
        if self.keep_last == 0 {
            return refuse("keep_last");
        }
        if self.interval.is_some_and(|interval| interval.is_zero()) {
            return Err(Error::argument(
                "Checkpoints::every",
                "an interval of 0: it must be longer; every_steps(1) is the shortest that there is",
            ));
        }
        Ok(())
    }

    /// Whether one is due after so many steps, of which none was the last of an epoch.
    pub(crate) fn is_due_after(&self, step: u64) -> bool {
        self.steps.is_some_and(|every| step.is_multiple_of(every))
    }

    /// How many steps may follow a step before one is due; none if that hangs on something else.
    pub(crate) fn steps_until_due(&self, step: u64) -> Option<u64> {
        self.steps.map(|every| every - step % every)
    }

    /// Whether one is due after so many epochs, which took so many steps.
    pub(crate) fn is_due_after_epochs(&self, epochs: usize, step: u64) -> bool {
        let none = self.steps.is_none() && self.epochs.is_none() && self.interval.is_none();
        none || self.epochs.is_some_and(|every| epochs.is_multiple_of(every)) || self.is_due_after(step)
    }

    /// The file of the checkpoint after so many steps.
    pub(crate) fn file(&self, step: u64) -> PathBuf {
        self.folder.join(format!("checkpoint-{step:09}.safetensors"))
    }

    /// The file of the best one.
    pub(crate) fn best_file(&self) -> PathBuf {
        self.folder.join(BEST)
    }

    /// Makes the folder, and takes away what a program that was killed while it wrote has left there.
    pub(crate) fn open(&self) -> Result<()> {
        if self.folder.is_file() {
            return Err(Error::data(
                &self.folder,
                "this is a file; checkpoints go into a folder: give another name, of a folder that is there or is to be made",
            ));
        }
        fs::create_dir_all(&self.folder).map_err(|e| Error::io(&self.folder, "make the folder", &e))?;
        for name in self.names()? {
            if is_leftover(&name) {
                let path = self.folder.join(&name);
                fs::remove_file(&path).map_err(|e| Error::io(&path, "remove what was left of an unfinished checkpoint,", &e))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>> {
        let fault = |e: &std::io::Error| Error::io(&self.folder, "read", e);
        let entries = fs::read_dir(&self.folder).map_err(|e| fault(&e))?;
        let mut names = Vec::new();
        for entry in entries {
            // Names that are no text are not ours.
            names.extend(entry.map_err(|e| fault(&e))?.file_name().into_string());
        }
        Ok(names)
    }

    /// The checkpoints, by their number of steps, the first first.
    pub(crate) fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut found: Vec<_> = self.names()?.iter().filter_map(|name| steps_of(name).map(|step| (step, self.folder.join(name)))).collect();
        found.sort();
        Ok(found)
    }

    /// Refuses checkpoints of later steps than those that this training begins with: the next one to resume would take them for its own.
    pub(crate) fn refuse_later(&self, step: u64) -> Result<()> {
        match self.list()?.last() {
            Some((last, path)) if *last > step => {
                let message = match step {
                    0 => format!("a training of {last} steps has left its checkpoints here: resume it, or begin in another folder"),
                    _ => format!(
                        "it is of a later step than the {step} from which this training goes on: remove later ones, or use another folder"
                    ),
                };
                Err(Error::data(path, message))
            }
            _ => Ok(()),
        }
    }

    /// Deletes checkpoints before the last ones; called when that of `step` is on the disk. Later ones, which were damaged or they had been resumed, do
    /// not count.
    pub(crate) fn prune(&self, step: u64) -> Result<()> {
        let mut list = self.list()?;
        list.retain(|(other, _)| *other <= step);
        for (_, path) in list.iter().rev().skip(self.keep_last) {
            fs::remove_file(path).map_err(|e| Error::io(path, "remove the old checkpoint", &e))?;
        }
        Ok(())
    }
}

/// The number in a checkpoint's name.
fn steps_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Whether a file is a temporary one of ours: `.NAME.NUMBER.tmp`.
fn is_leftover(name: &str) -> bool {
    let Some((target, number)) = name.strip_prefix('.').and_then(|n| n.strip_suffix(".tmp")).and_then(|n| n.rsplit_once('.')) else {
        return false;
    };
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && (steps_of(target).is_some() || target == BEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_and_of_others() {
        let checkpoints = Checkpoints::new("x");
        for step in [1, 1500, 123_456_789, 98_765_432_101] {
            let name = checkpoints.file(step).file_name().unwrap().to_str().unwrap().to_string();
            assert_eq!(steps_of(&name), Some(step));
            assert!(is_leftover(&format!(".{name}.0.tmp")) && is_leftover(&format!(".{name}.17.tmp")));
            assert!(!is_leftover(&name));
        }
        for other in ["best.safetensors", "checkpoint-.safetensors", "checkpoint-+1.safetensors", "checkpoint-1.safetensors.tmp", "x", ""] {
            assert_eq!(steps_of(other), None, "{other}");
        }
        assert!(is_leftover(".best.safetensors.3.tmp"));
        for other in [".tmp", ".best.safetensors.tmp", ".best.safetensors.x.tmp", ".notes.0.tmp", "best.safetensors.0.tmp", ".0.tmp"] {
            assert!(!is_leftover(other), "{other}");
        }
    }

    #[test]
    fn opening_cleans_and_pruning_keeps_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("a/b")).keep_last(2);
        checkpoints.open().unwrap();
        for name in ["checkpoint-000000010.safetensors", ".checkpoint-000000020.safetensors.0.tmp", ".best.safetensors.1.tmp", "notes.txt"]
        {
            fs::write(checkpoints.folder.join(name), "x").unwrap();
        }
        checkpoints.open().unwrap();
        let mut names = checkpoints.names().unwrap();
        names.sort();
        assert_eq!(names, ["checkpoint-000000010.safetensors", "notes.txt"]);
        for step in [20, 30, 1_000] {
            fs::write(checkpoints.file(step), "x").unwrap();
        }
        // The one of step 1000 is of a time that was given up.
        checkpoints.prune(30).unwrap();
        assert_eq!(checkpoints.list().unwrap().iter().map(|(step, _)| *step).collect::<Vec<_>>(), [20, 30, 1_000]);
        assert!(checkpoints.refuse_later(1_000).is_ok());
        assert!(checkpoints.refuse_later(30).unwrap_err().to_string().contains("later step than the 30"));
        assert!(checkpoints.refuse_later(0).unwrap_err().to_string().contains("resume it, or begin in another folder"));
    }

    #[test]
    fn when_one_is_due() {
        let checkpoints = Checkpoints::new("x").every_steps(500);
        assert!(checkpoints.is_due_after(1_000) && !checkpoints.is_due_after(1_001));
        assert_eq!([0, 1, 499, 500].map(|step| checkpoints.steps_until_due(step)), [Some(500), Some(499), Some(1), Some(500)]);
        assert!(!checkpoints.is_due_after_epochs(1, 469) && checkpoints.is_due_after_epochs(2, 1_500));
        let checkpoints = Checkpoints::new("x");
        assert!(checkpoints.is_due_after_epochs(1, 469) && !checkpoints.is_due_after(469));
        let checkpoints = checkpoints.every_epochs(2);
        assert!(!checkpoints.is_due_after_epochs(1, 469) && checkpoints.is_due_after_epochs(2, 938));
        assert!(!Checkpoints::new("x").every(Duration::from_secs(60)).is_due_after_epochs(1, 469));
    }

    #[test]
    fn numbers_that_make_no_sense() {
        let refused = |checkpoints: Checkpoints, part: &str| {
            let fault = checkpoints.validate().unwrap_err().to_string();
            assert!(fault.contains(part), "{fault}");
        };
        refused(Checkpoints::new("x").every_steps(0), "Checkpoints::every_steps: 0");
        refused(Checkpoints::new("x").every_epochs(0), "Checkpoints::every_epochs: 0");
        refused(Checkpoints::new("x").keep_last(0), "Checkpoints::keep_last: 0");
        refused(Checkpoints::new("x").every(Duration::ZERO), "Checkpoints::every: an interval of 0");
        assert!(Checkpoints::new("x").every_steps(1).every(Duration::from_millis(1)).validate().is_ok());
    }
}

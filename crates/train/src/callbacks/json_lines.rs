//! A log as a JSON object a line.

use std::path::PathBuf;

use noyau_tensor::{Error, Result};

use super::log_file::LogFile;
use super::{Beginning, Callback, Control};
use crate::history::{EpochRecord, History};

/// Writes each epoch's figures as a line of JSON: [`EpochRecord`] as serde gives it, null where there is no figure.
///
/// A training that begins anew writes over its log of before. One that is resumed goes on with it: lines of epochs after the checkpoint are
/// cut off, lines that are missing are put in. The folder is made if there is none; a file that is no such log is refused before the first
/// step.
///
/// ```
/// # use noyau_train::{Fit, JsonLines};
/// let fit = Fit::epochs(100).callback(JsonLines::new("runs/mnist/log.jsonl"));
/// ```
#[derive(Debug)]
pub struct JsonLines {
    log: LogFile,
}

impl JsonLines {
    /// In this file.
    pub fn new(path: impl Into<PathBuf>) -> JsonLines {
        JsonLines { log: LogFile::new("JsonLines", path) }
    }
}

/// The first field of a record.
const MARK: &str = "{\"epoch\":";

fn row(record: &EpochRecord) -> Result<String> {
    let line = serde_json::to_string(record).map_err(|e| Error::Internal(format!("an epoch's figures as JSON: {e}")))?;
    Ok(line + "\n")
}

impl Callback for JsonLines {
    fn name(&self) -> &str {
        "JsonLines"
    }

    fn on_begin(&mut self, beginning: &Beginning<'_>) -> Result<()> {
        self.log.begin_text(beginning, MARK, "", row)
    }

    fn on_epoch(&mut self, record: &EpochRecord, _control: &mut Control) -> Result<()> {
        self.log.append(row(record)?.as_bytes())
    }

    fn on_end(&mut self, _history: &History, _control: &mut Control) -> Result<()> {
        self.log.end();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::callbacks::tests::{begin, begin_after, record};

    #[test]
    fn lines_come_back_as_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let records = [
            record(1, 1.0 / 3.0),
            EpochRecord { test_loss: None, test_accuracy: None, train_accuracy: None, ..record(2, 0.1) },
            record(3, 0.05),
        ];
        let mut log = JsonLines::new(&path);
        begin(&mut log).unwrap();
        for record in &records {
            log.on_epoch(record, &mut Control::new(0.1)).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<EpochRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, records);
        assert!(text.starts_with(MARK) && text.ends_with("}\n"));
        // Cut off after the first epoch, in the midst of the second, and gone.
        for before in [&text[..], &text[..text.find('\n').unwrap() + 20], ""] {
            fs::write(&path, before).unwrap();
            let mut log = JsonLines::new(&path);
            begin_after(&mut log, &records[..1]).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text.lines().next().unwrap().to_string() + "\n");
            log.on_epoch(&records[1], &mut Control::new(0.1)).unwrap();
            log.on_epoch(&records[2], &mut Control::new(0.1)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        begin(&mut JsonLines::new(&path)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn another_file_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{\"layers\": 3}").unwrap();
        let fault = begin(&mut JsonLines::new(&path)).unwrap_err().to_string();
        assert!(fault.contains("config.json: it does not begin with `{\"epoch\":`"), "{fault}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"layers\": 3}");
    }
}

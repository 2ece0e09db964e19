//! A log as a table of comma-separated values.

use std::path::PathBuf;

use noyau_tensor::Result;

use super::log_file::LogFile;
use super::{Beginning, Callback, Control};
use crate::history::{EpochRecord, History};

/// Writes each epoch's figures as a row of a CSV file: a header with the names of [`EpochRecord`]'s fields, numbers in as many digits as
/// bring them back exactly, an empty cell where there is no figure.
///
/// A training that begins anew writes over its log of before. One that is resumed goes on with it: rows of epochs after the checkpoint are
/// cut off, rows that are missing are put in. The folder is made if there is none; a file that is no such log is refused before the first
/// step.
///
/// ```
/// # use noyau_train::{CsvLog, Fit};
/// let fit = Fit::epochs(100).callback(CsvLog::new("runs/mnist/log.csv"));
/// ```
#[derive(Debug)]
pub struct CsvLog {
    log: LogFile,
}

impl CsvLog {
    /// In this file.
    pub fn new(path: impl Into<PathBuf>) -> CsvLog {
        CsvLog { log: LogFile::new("CsvLog", path) }
    }
}

fn header() -> String {
    format!("epoch,{}", EpochRecord::METRICS.join(","))
}

fn row(record: &EpochRecord) -> String {
    let mut row = record.epoch.to_string();
    for name in EpochRecord::METRICS {
        row.push(',');
        if let Some(value) = record.metric(name) {
            row += &format!("{value:?}");
        }
    }
    row + "\n"
}

impl Callback for CsvLog {
    fn name(&self) -> &str {
        "CsvLog"
    }

    fn on_begin(&mut self, beginning: &Beginning<'_>) -> Result<()> {
        let header = header();
        self.log.begin_text(beginning, &header, &format!("{header}\n"), |record| Ok(row(record)))
    }

    fn on_epoch(&mut self, record: &EpochRecord, _control: &mut Control) -> Result<()> {
        self.log.append(row(record).as_bytes())
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

    const HEADER: &str = "epoch,train_loss,train_accuracy,test_loss,test_accuracy,learning_rate,seconds,samples_per_second,first_step_ms\n";

    #[test]
    fn rows_are_the_figures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/log.csv");
        let mut log = CsvLog::new(&path);
        begin(&mut log).unwrap();
        log.on_epoch(&record(1, 0.5), &mut Control::new(0.1)).unwrap();
        let bare = EpochRecord { train_accuracy: None, test_loss: None, test_accuracy: None, learning_rate: 1e-9, ..record(2, 1.0 / 3.0) };
        log.on_epoch(&bare, &mut Control::new(0.1)).unwrap();
        let text = format!("{HEADER}1,0.25,0.5,0.5,0.5,0.1,1.5,100.0,3.25\n2,0.16666666666666666,,,,1e-9,1.5,100.0,3.25\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        // The header names the fields that serde has, in their order.
        let json = serde_json::to_string(&bare).unwrap();
        let places: Vec<usize> = HEADER.trim().split(',').map(|name| json.find(&format!("\"{name}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{json}");
        assert_eq!(serde_json::to_value(&bare).unwrap().as_object().unwrap().len(), places.len());
        // Anew.
        begin(&mut log).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), HEADER);
    }

    #[test]
    fn a_resumed_log_has_each_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let records: Vec<EpochRecord> = (1..=4).map(|epoch| record(epoch, 1.0 / epoch as f64)).collect();
        let rows = |count: usize| records[..count].iter().fold(HEADER.to_string(), |text, record| text + &row(record));
        let cut = &rows(2)[..rows(2).len() - 7];
        // As many as the checkpoint has, one more, more and part of another, too few, part of a row or of the header, none, no file.
        for before in [
            Some(rows(2)),
            Some(rows(3)),
            Some(rows(4) + "5,0."),
            Some(rows(1)),
            Some(cut.into()),
            Some("epo".into()),
            Some("".into()),
            None,
        ] {
            match &before {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let mut log = CsvLog::new(&path);
            begin_after(&mut log, &records[..2]).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), rows(2), "{before:?}");
            for record in &records[2..] {
                log.on_epoch(record, &mut Control::new(0.1)).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), rows(4), "{before:?}");
        }
    }

    #[test]
    fn files_that_it_cannot_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.csv");
        fs::write(&path, "name,age\nAda,36\n").unwrap();
        for fault in [begin(&mut CsvLog::new(&path)), begin_after(&mut CsvLog::new(&path), &[record(1, 1.0)])] {
            let fault = fault.unwrap_err().to_string();
            assert!(
                fault.contains("people.csv: it does not begin with `epoch,train_loss") && fault.contains("give another path"),
                "{fault}"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "name,age\nAda,36\n");
        let fault = begin(&mut CsvLog::new(folder.path())).unwrap_err().to_string();
        assert!(fault.contains("give CsvLog a path that"), "{fault}");
        let fault = begin(&mut CsvLog::new(path.join("log.csv"))).unwrap_err().to_string();
        assert!(fault.contains("give CsvLog a path that"), "{fault}");
        let fault = CsvLog::new("x").on_epoch(&record(1, 1.0), &mut Control::new(0.1)).unwrap_err().to_string();
        assert!(fault.contains("CsvLog: no training has begun"), "{fault}");
    }

    /// A device that is always full.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_says_what_to_do() {
        let mut log = CsvLog::new("unused");
        log.log = LogFile::full("CsvLog");
        let fault = log.on_epoch(&record(1, 1.0), &mut Control::new(0.1)).unwrap_err().to_string();
        assert!(fault.contains("/dev/full: cannot write: No space left") && fault.contains("make room"), "{fault}");
    }
}

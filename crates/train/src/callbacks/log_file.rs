//! The file of a log: what it keeps when a training goes on, and how it grows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use noyau_tensor::{Error, Result};

use super::Beginning;
use crate::history::EpochRecord;

/// A file that only grows while a training runs.
#[derive(Debug)]
pub(super) struct LogFile {
    who: &'static str,
    path: PathBuf,
    /// Open from the training's beginning to its end.
    file: Option<File>,
}

impl LogFile {
    pub fn new(who: &'static str, path: impl Into<PathBuf>) -> LogFile {
        LogFile { who, path: path.into(), file: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fault(&self, action: &'static str, source: &io::Error, advice: &str) -> Error {
        Error::Io { path: self.path.clone(), action, message: format!("{source}; {advice}") }
    }

    /// What the file has; nothing if there is none.
    pub fn read(&self) -> Result<Vec<u8>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(self.fault("read", &e, &format!("give {} a path that it can read and write", self.who))),
        }
    }

    /// Opens the file, keeps its first so many bytes and goes on with others. Makes its folder if there is none.
    pub fn begin(&mut self, kept: usize, then: &[u8]) -> Result<()> {
        self.file = Some(self.open(kept).map_err(|e| self.fault("write", &e, &format!("give {} a path that can be written", self.who)))?);
        self.append(then)
    }

    fn open(&self, kept: usize) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        file.set_len(kept as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }

    /// Adds a row. One that is cut short by a fault or a kill is put right when the training is resumed.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Err(Error::argument(self.who, "no training has begun: add it to one by Fit::callback"));
        };
        // Not buffered: a row that was written outlives the process.
        file.write_all(bytes)
            .map_err(|e| self.fault("write", &e, "make room or mend the disk, and resume the training: the log then goes on without a gap"))
    }

    pub fn end(&mut self) {
        self.file = None;
    }

    /// Begins a log of text, made of a header and a line an epoch; `mark` is what such a log begins with, whatever the training.
    ///
    /// The file becomes what it would be had the training never been interrupted: the same bytes, as a checkpoint keeps figures to the last
    /// bit. What it has of these already is not touched, so that being killed here loses nothing.
    pub fn begin_text(
        &mut self,
        beginning: &Beginning<'_>,
        mark: &str,
        header: &str,
        row: impl Fn(&EpochRecord) -> Result<String>,
    ) -> Result<()> {
        let found = self.read()?;
        if !found.starts_with(mark.as_bytes()) && !mark.as_bytes().starts_with(&found) {
            let message =
                format!("it does not begin with `{mark}` and is no log of {}, which would write over it: give another path", self.who);
            return Err(Error::data(&self.path, message));
        }
        let mut wanted = header.to_string();
        if beginning.history.resumed.is_some() {
            for record in &beginning.history.epochs {
                wanted += &row(record)?;
            }
        }
        let alike = found.iter().zip(wanted.as_bytes()).take_while(|(f, w)| f == w).count();
        self.begin(alike, &wanted.as_bytes()[alike..])
    }
}

#[cfg(all(test, target_os = "linux"))]
impl LogFile {
    /// A file on a disk that has no room.
    pub fn full(who: &'static str) -> LogFile {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        LogFile { who, path: "/dev/full".into(), file: Some(file) }
    }
}

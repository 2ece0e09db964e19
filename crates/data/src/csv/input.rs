//! The file, record by record.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Trim};
use noyau_tensor::{Error, Result};

use super::lines::Lines;
use super::quoted;

/// The file, at one of its records.
pub(super) struct Input<'a, R> {
    path: &'a Path,
    reader: Reader<Lines<R>>,
    pub record: ByteRecord,
    /// The line on which the record starts.
    pub line: u64,
}

impl<'a, R: Read> Input<'a, R> {
    pub(super) fn new(path: &'a Path, delimiter: u8, input: R) -> Input<'a, R> {
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).delimiter(delimiter).from_reader(Lines::new(input));
        Input { path, reader, record: ByteRecord::new(), line: 0 }
    }

    /// Goes to the next record; false when there is none.
    pub(super) fn next(&mut self) -> Result<bool> {
        let found = self.reader.read_byte_record(&mut self.record).map_err(|e| match e.kind() {
            ErrorKind::Io(io) => Error::io(self.path, "read", io),
            _ => Error::data(self.path, e.to_string()),
        })?;
        let start = self.record.position().map_or(0, |p| p.byte());
        self.line = self.reader.get_mut().line_from(start);
        Ok(found)
    }

    /// The names of the columns, from the first record.
    pub(super) fn header(&mut self) -> Result<Vec<String>> {
        if !self.next()? {
            return Err(self.fault("the file is empty; a header line with the names of the columns was expected"));
        }
        let mut names = Vec::new();
        let mut seen = BTreeSet::new();
        for (i, field) in self.record.iter().enumerate() {
            let name = std::str::from_utf8(field)
                .map_err(|_| self.fault(format!("line {}: the name of column {} is not UTF-8 text", self.line, i + 1)))?;
            // Spreadsheets put a mark of the encoding first.
            let name = if i == 0 { name.trim_start_matches('\u{feff}') } else { name };
            if !seen.insert(name) {
                return Err(self.fault(format!("line {}: two columns are called {name:?}; names must differ", self.line)));
            }
            names.push(name.to_string());
        }
        Ok(names)
    }

    /// Where a column stands in the header.
    pub(super) fn column(&self, header: &[String], name: &str) -> Result<usize> {
        let found = header.iter().position(|column| column == name);
        found.ok_or_else(|| self.fault(format!("the header has no column {name:?}; it has {}", header.join(", "))))
    }

    /// Whether the record has a field for each column.
    pub(super) fn check_length(&self, header: &[String]) -> Result<()> {
        let found = self.record.len();
        if found == header.len() {
            return Ok(());
        }
        Err(self.fault(format!("line {}: {found} fields, but the header has {} ({})", self.line, header.len(), header.join(", "))))
    }

    /// A field's text, which may be empty.
    pub(super) fn text(&self, column: usize, header: &[String]) -> Result<&str> {
        let field = self.record.get(column).unwrap_or_default();
        std::str::from_utf8(field).map_err(|_| self.field_fault(column, header, "not UTF-8 text"))
    }

    pub(super) fn number(&self, column: usize, header: &[String]) -> Result<f32> {
        let text = self.text(column, header)?;
        let number: f32 =
            text.parse().map_err(|_| self.field_fault(column, header, format!("{} is not a number such as 1.5 or -2e3", quoted(text))))?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(self.field_fault(column, header, format!("{} is not a finite number of 32 bits", quoted(text))))
        }
    }

    pub(super) fn truth(&self, column: usize, header: &[String]) -> Result<f32> {
        let text = self.text(column, header)?;
        let fault = || self.field_fault(column, header, format!("{} is neither true nor false (nor yes, no, 1, 0)", quoted(text)));
        Ok(f32::from(truth(text).ok_or_else(fault)?))
    }

    pub(super) fn field_fault(&self, column: usize, header: &[String], message: impl AsRef<str>) -> Error {
        self.fault(format!("line {}, column {:?}: {}", self.line, header[column], message.as_ref()))
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Error {
        Error::data(self.path, message)
    }
}

/// What a text says of truth, if anything.
pub(super) fn truth(text: &str) -> Option<bool> {
    let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "yes", "1"]) {
        Some(true)
    } else if is(["false", "no", "0"]) {
        Some(false)
    } else {
        None
    }
}

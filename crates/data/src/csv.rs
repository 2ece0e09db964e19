//! Tables of comma-separated values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Trim};
use noyau_tensor::{Array, Error, Result};

use crate::Dataset;

mod lines;

use lines::Lines;

/// How to read a table with a header line: which column is the target, which are features.
///
/// ```text
/// let iris = Csv::classes("species").read("iris.csv")?;
/// let held_out = Csv::classes("species").class_names(&iris.classes).read("iris-test.csv")?;
/// ```
///
/// Fields may be quoted; white space around them does not count. Every feature and every real target must be a finite number.
#[derive(Clone, Debug)]
pub struct Csv {
    target: String,
    kind: Kind,
    features: Option<Vec<String>>,
    delimiter: u8,
}

#[derive(Clone, Debug)]
enum Kind {
    Regression,
    /// With the names of the classes, where they are given.
    Classes(Option<Vec<String>>),
}

/// A table that has been read.
#[derive(Clone, Debug)]
pub struct Table {
    /// Samples of shape `[features]`; targets are classes of shape `[]`, or real numbers of shape `[1]`.
    pub dataset: Dataset,
    /// The name of each feature.
    pub features: Vec<String>,
    /// The name of each class, as the target column spells it; empty for real targets.
    pub classes: Vec<String>,
}

impl Csv {
    /// The column `target` holds a real number to predict.
    pub fn regression(target: impl Into<String>) -> Csv {
        Csv { target: target.into(), kind: Kind::Regression, features: None, delimiter: b',' }
    }

    /// The column `target` names the class to predict. Classes are numbered in the order of their names: as numbers where all of them are
    /// whole numbers, else as text.
    pub fn classes(target: impl Into<String>) -> Csv {
        Csv { target: target.into(), kind: Kind::Classes(None), features: None, delimiter: b',' }
    }

    /// The names of the classes, in order: any other in the file is an error. For files that go with one read before. Without effect on
    /// real targets.
    pub fn class_names<S: AsRef<str>>(mut self, names: &[S]) -> Csv {
        if let Kind::Classes(given) = &mut self.kind {
            *given = Some(names.iter().map(|name| name.as_ref().to_string()).collect());
        }
        self
    }

    /// The columns that are features, in this order; without it, all but the target.
    pub fn features<S: AsRef<str>>(mut self, names: &[S]) -> Csv {
        self.features = Some(names.iter().map(|name| name.as_ref().to_string()).collect());
        self
    }

    /// What parts the fields: a comma unless told otherwise (`b';'`, `b'\t'`).
    pub fn delimiter(mut self, delimiter: u8) -> Csv {
        self.delimiter = delimiter;
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read. [`Error::Data`] when there is no header line or no record, a column is missing or named
    /// twice, a record has more or fewer fields than the header, or a field is not what it should be: the message names line and column.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, "read", &e))?;
        self.parse(path, file)
    }

    /// Reads a table from anywhere, such as bytes in memory; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// As for [`Csv::read`].
    pub fn parse(&self, name: impl AsRef<Path>, input: impl Read) -> Result<Table> {
        let path = name.as_ref();
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).delimiter(self.delimiter).from_reader(Lines::new(input));
        let mut input = Input { path, reader, record: ByteRecord::new(), line: 0 };
        if !input.next()? {
            return Err(input.fault("the file is empty; a header line with the names of the columns was expected"));
        }
        let header = input.header()?;
        let target = input.column(&header, &self.target)?;
        let columns = match &self.features {
            Some(names) => names.iter().map(|name| input.column(&header, name)).collect::<Result<Vec<usize>>>()?,
            None => (0..header.len()).filter(|&i| i != target).collect(),
        };
        if columns.is_empty() {
            return Err(input.fault("there is no column for features beside the target"));
        }
        let mut values = Vec::new();
        let mut reals = Vec::new();
        let mut classes = Classes::new(&self.kind);
        while input.next()? {
            let found = input.record.len();
            if found != header.len() {
                let message = format!("{found} fields, but the header has {} ({})", header.len(), header.join(", "));
                return Err(input.fault(format!("line {}: {message}", input.line)));
            }
            for &column in &columns {
                values.push(input.number(column, &header)?);
            }
            match &mut classes {
                None => reals.push(input.number(target, &header)?),
                Some(classes) => {
                    let name = input.text(target, &header)?;
                    classes.add(name).map_err(|message| input.field_fault(target, &header, message))?;
                }
            }
        }
        let n = values.len() / columns.len();
        if n == 0 {
            return Err(input.fault("there is a header line, but no record below it"));
        }
        let features = Array::new([n, columns.len()], &values)?;
        let (dataset, classes) = match classes {
            None => (Dataset::new(&features, &Array::new([n, 1], &reals)?)?, Vec::new()),
            Some(classes) => {
                let (labels, names) = classes.finish();
                (Dataset::new(&features, &Array::new([n], &labels)?)?.with_classes(names.len())?, names)
            }
        };
        Ok(Table { dataset, features: columns.iter().map(|&i| header[i].clone()).collect(), classes })
    }
}

/// The file, at one of its records.
struct Input<'a, R> {
    path: &'a Path,
    reader: Reader<Lines<R>>,
    record: ByteRecord,
    /// The line on which the record starts.
    line: u64,
}

impl<R: Read> Input<'_, R> {
    /// Goes to the next record; false when there is none.
    fn next(&mut self) -> Result<bool> {
        let found = self.reader.read_byte_record(&mut self.record).map_err(|e| match e.kind() {
            ErrorKind::Io(io) => Error::io(self.path, "read", io),
            _ => Error::data(self.path, e.to_string()),
        })?;
        let start = self.record.position().map_or(0, |p| p.byte());
        self.line = self.reader.get_mut().line_from(start);
        Ok(found)
    }

    fn header(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut seen = BTreeSet::new();
        for (i, field) in self.record.iter().enumerate() {
            let name = std::str::from_utf8(field)
                .map_err(|_| self.fault(format!("line {}: the name of column {} is not UTF-8 text", self.line, i + 1)))?;
            // Spreadsheets put a mark of the encoding first.
            let name = if i == 0 { name.trim_start_matches('\u{feff}') } else { name };
            if !seen.insert(name) {
                return Err(self.fault(format!("line {}: two columns are called {name:?}", self.line)));
            }
            names.push(name.to_string());
        }
        Ok(names)
    }

    fn column(&self, header: &[String], name: &str) -> Result<usize> {
        let found = header.iter().position(|column| column == name);
        found.ok_or_else(|| self.fault(format!("the header has no column {name:?}; it has {}", header.join(", "))))
    }

    fn text(&self, column: usize, header: &[String]) -> Result<&str> {
        let field = self.record.get(column).unwrap_or_default();
        let text = std::str::from_utf8(field).map_err(|_| self.field_fault(column, header, "not UTF-8 text"))?;
        if text.is_empty() { Err(self.field_fault(column, header, "the value is missing")) } else { Ok(text) }
    }

    fn number(&self, column: usize, header: &[String]) -> Result<f32> {
        let text = self.text(column, header)?;
        let number: f32 = text.parse().map_err(|_| self.field_fault(column, header, format!("{} is not a number", quoted(text))))?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(self.field_fault(column, header, format!("{} is not a finite number of 32 bits", quoted(text))))
        }
    }

    fn field_fault(&self, column: usize, header: &[String], message: impl AsRef<str>) -> Error {
        self.fault(format!("line {}, column {:?}: {}", self.line, header[column], message.as_ref()))
    }

    fn fault(&self, message: impl Into<String>) -> Error {
        Error::data(self.path, message)
    }
}

/// A field for a message: a quote that is never closed makes a field of the rest of the file.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}

/// The classes met so far.
struct Classes {
    /// By name, in the order in which they were met or given.
    numbers: BTreeMap<String, u32>,
    given: Option<Vec<String>>,
    labels: Vec<u32>,
}

impl Classes {
    fn new(kind: &Kind) -> Option<Classes> {
        let Kind::Classes(given) = kind else { return None };
        let numbers = given.iter().flatten().zip(0..).map(|(name, i)| (name.clone(), i)).collect();
        Some(Classes { numbers, given: given.clone(), labels: Vec::new() })
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        let number = match (self.numbers.get(name), &self.given) {
            (Some(&number), _) => number,
            (None, Some(names)) => return Err(format!("class {} is none of {}", quoted(name), names.join(", "))),
            (None, None) => {
                let number = self.numbers.len() as u32;
                self.numbers.insert(name.to_string(), number);
                number
            }
        };
        self.labels.push(number);
        Ok(())
    }

    /// The class of each record, and the names of the classes.
    fn finish(self) -> (Vec<u32>, Vec<String>) {
        if let Some(names) = self.given {
            return (self.labels, names);
        }
        // Numbered anew by name, so that the order of the records does not matter.
        let mut names: Vec<(String, u32)> = self.numbers.into_iter().collect();
        let whole: Option<Vec<i64>> = names.iter().map(|(name, _)| name.parse().ok()).collect();
        if whole.is_some() {
            names.sort_by_key(|(name, _)| name.parse::<i64>().unwrap_or_default());
        }
        let mut renumbered = vec![0; names.len()];
        for ((_, met), number) in names.iter().zip(0..) {
            renumbered[*met as usize] = number;
        }
        let labels = self.labels.iter().map(|&met| renumbered[met as usize]).collect();
        (labels, names.into_iter().map(|(name, _)| name).collect())
    }
}

#[cfg(test)]
mod tests;

//! Tables of comma-separated values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use noyau_tensor::{Error, Result};

mod infer;
mod input;
mod lines;
mod names;
mod read;
mod table;

use input::Input;
pub use table::{Column, ColumnKind, Missing, Table};

/// A one-hot column makes so many features at most, unless told otherwise: memory stays in proportion to the file.
const MAX_CATEGORIES: usize = 256;

/// How to read a table with a header line: which column is the target, which are features, and what they hold.
///
/// ```text
/// let iris = Csv::classes("species").read("iris.csv")?;
/// let held_out = Csv::classes("species").like(&iris).read("iris-test.csv")?;
///
/// let houses = Csv::regression("price").infer().missing(Missing::Mean).na_values(&["NA"]).read("houses.csv")?;
/// println!("{}", houses.report());
/// let standardize = houses.standardize()?;
/// ```
///
/// Fields may be quoted; white space around them does not count. A feature is a number unless [`Csv::column`] or [`Csv::infer`] say
/// otherwise; numbers must be finite.
#[derive(Clone, Debug)]
pub struct Csv {
    target: String,
    kind: Target,
    features: Option<Vec<String>>,
    delimiter: u8,
    kinds: BTreeMap<String, ColumnKind>,
    infer: bool,
    missing: Missing,
    missing_in: BTreeMap<String, Missing>,
    marks: Vec<String>,
    categories: BTreeMap<String, Vec<String>>,
    max_categories: usize,
    skip_bad: bool,
}

#[derive(Clone, Debug)]
enum Target {
    Regression,
    /// With the names of the classes, where they are given.
    Classes(Option<Vec<String>>),
}

impl Csv {
    /// The column `target` holds a real number to predict.
    pub fn regression(target: impl Into<String>) -> Csv {
        Csv::new(target.into(), Target::Regression)
    }

    /// The column `target` names the class to predict. Classes are numbered in the order of their names: as numbers where all of them are
    /// whole numbers, else as text.
    pub fn classes(target: impl Into<String>) -> Csv {
        Csv::new(target.into(), Target::Classes(None))
    }

    fn new(target: String, kind: Target) -> Csv {
        Csv {
            target,
            kind,
            features: None,
            delimiter: b',',
            kinds: BTreeMap::new(),
            infer: false,
            missing: Missing::Error,
            missing_in: BTreeMap::new(),
            marks: Vec::new(),
            categories: BTreeMap::new(),
            max_categories: MAX_CATEGORIES,
            skip_bad: false,
        }
    }

    /// The names of the classes, in order: any other in the file is an error. For files that go with one read before. Without effect on
    /// real targets.
    pub fn class_names<S: AsRef<str>>(mut self, names: &[S]) -> Csv {
        if let Target::Classes(given) = &mut self.kind {
            *given = Some(names.iter().map(|name| name.as_ref().to_string()).collect());
        }
        self
    }

    /// The columns that are features, in this order; without it, all but the target.
    pub fn features<S: AsRef<str>>(mut self, names: &[S]) -> Csv {
        self.features = Some(names.iter().map(|name| name.as_ref().to_string()).collect());
        self
    }

    /// What a column holds, whatever is inferred for it.
    pub fn column(mut self, name: impl Into<String>, kind: ColumnKind) -> Csv {
        self.kinds.insert(name.into(), kind);
        self
    }

    /// Looks at all values of each column to tell what it holds, the target's and those that [`Csv::column`] names excepted. What was found
    /// and why is in [`Table::columns`]; [`Table::report`] is for people.
    ///
    /// Numbers, if nine values of ten are (another is then a bad record); truth values; texts, as [`ColumnKind::OneHot`], if there are few
    /// different ones; all others are ignored. The whole file is held in memory while this is done.
    pub fn infer(mut self) -> Csv {
        self.infer = true;
        self
    }

    /// What to do about values that are missing, in all columns but the target's; without it they are errors. In a one-hot column a missing
    /// text is none of the texts: all its features are 0. In an index column it stays an error.
    pub fn missing(mut self, missing: Missing) -> Csv {
        self.missing = missing;
        self
    }

    /// What to do about values that are missing in one column.
    pub fn missing_in(mut self, column: impl Into<String>, missing: Missing) -> Csv {
        self.missing_in.insert(column.into(), missing);
        self
    }

    /// Texts that mean that a value is missing, beside the empty one: `NA`, `?`.
    pub fn na_values<S: AsRef<str>>(mut self, marks: &[S]) -> Csv {
        self.marks = marks.iter().map(|mark| mark.as_ref().to_string()).collect();
        self
    }

    /// How many different texts a one-hot or index column may have: 256 unless told otherwise. A record with one more is bad.
    pub fn max_categories(mut self, most: usize) -> Csv {
        self.max_categories = most;
        self
    }

    /// Reads a file as a table was read before it: the same features in the same order, the same categories, classes and fillings of missing
    /// values, so that a model trained on the one takes the other. A text that did not occur there is a bad record here.
    pub fn like(mut self, table: &Table) -> Csv {
        let read::Settings { kinds, categories, fills } = read::Settings::of(table);
        let used = table.columns.iter().filter(|column| column.kind != ColumnKind::Ignored);
        self.features = Some(used.map(|column| column.name.clone()).collect());
        (self.kinds, self.categories, self.missing_in, self.infer) = (kinds, categories, fills, false);
        self.class_names(&table.classes)
    }

    /// Passes over bad records, counting them in [`Table::skipped`], where without it the first one is an error. A file of nothing but bad
    /// records is an error still.
    pub fn skip_bad(mut self, skip: bool) -> Csv {
        self.skip_bad = skip;
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
    /// twice, a record has more or fewer fields than the header, or a field is not what it should be: the message names line (as an editor
    /// counts them) and column. [`Error::Argument`] when a value to take the place of missing ones is not finite.
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
    pub fn parse(&self, name: impl AsRef<Path>, mut input: impl Read) -> Result<Table> {
        let path = name.as_ref();
        for missing in self.missing_in.values().chain([&self.missing]) {
            if let Missing::Value(value) = missing
                && !value.is_finite()
            {
                return Err(Error::argument("Csv: missing", format!("{value} cannot take the place of a value: it is not finite")));
            }
        }
        if !self.infer {
            return self.read_all(&mut Input::new(path, self.delimiter, input), path, None);
        }
        let mut text = Vec::new();
        input.read_to_end(&mut text).map_err(|e| Error::io(path, "read", &e))?;
        self.read_all(&mut Input::new(path, self.delimiter, &text[..]), path, Some(&text))
    }

    fn is_missing(&self, text: &str) -> bool {
        text.is_empty() || self.marks.iter().any(|mark| mark == text)
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

#[cfg(test)]
mod tests;

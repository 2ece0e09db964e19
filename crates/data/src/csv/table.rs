//! What has been read.

use std::fmt;

use noyau_tensor::Result;

use crate::{Dataset, Skipped, Standardize};

/// What a column of a table holds, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Real numbers, one feature.
    Number,
    /// Texts, one feature for each that occurs: 1 for the record's own, 0 for all others.
    OneHot,
    /// Texts, one feature: the place of the record's text among all of them, in their order, from 0. What an embedding takes.
    Index,
    /// `true` or `false`, `yes` or `no`, `1` or `0` (in any case): one feature, 1 or 0.
    Bool,
    /// Not a feature; what it holds is not looked at.
    Ignored,
}

/// What to do about a value that is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    /// The record is bad.
    Error,
    /// The mean of the column's other values takes its place: for numbers and truth values.
    Mean,
    /// This number takes its place: for numbers and truth values.
    Value(f32),
}

/// A column of a table that has been read, the target's not counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What it was read as.
    pub kind: ColumnKind,
    /// Why, where that was inferred; empty where it was said.
    pub why: String,
    /// The texts that occur, in the order of their features or indices; empty unless `kind` is [`OneHot`](ColumnKind::OneHot) or
    /// [`Index`](ColumnKind::Index).
    pub categories: Vec<String>,
    /// How many values were missing.
    pub missing: usize,
    /// What took the place of missing numbers; [`Csv::like`](crate::Csv::like) goes on with it. None where a missing value is an error.
    pub fill: Option<f32>,
}

/// A table that has been read.
#[derive(Clone, Debug)]
pub struct Table {
    /// Samples of shape `[features]`; targets are classes of shape `[]`, or real numbers of shape `[1]`.
    pub dataset: Dataset,
    /// The name of each feature: its column's, or `COLUMN=TEXT` for those of a one-hot column.
    pub features: Vec<String>,
    /// The name of each class, as the target column spells it; empty for real targets.
    pub classes: Vec<String>,
    /// All columns but the target, in the order of the features, ignored ones last. Printed, each is a line of a report.
    pub columns: Vec<Column>,
    /// Bad records that were passed over (see [`Csv::skip_bad`](crate::Csv::skip_bad)).
    pub skipped: Skipped,
}

impl Table {
    /// Mean and deviation of every feature that is a number, for [`Standardize::apply`]; one-hot features, indices and truth values are
    /// left as they are (mean 0, deviation 1).
    ///
    /// # Errors
    ///
    /// None for a table that was read.
    pub fn standardize(&self) -> Result<Standardize> {
        let mut measured = Standardize::measure(&self.dataset)?;
        let mut at = 0;
        for column in &self.columns {
            let width = column.width();
            if column.kind != ColumnKind::Number {
                let end = (at + width).min(measured.mean.len());
                measured.mean[at.min(end)..end].fill(0.0);
                measured.std[at.min(end)..end].fill(1.0);
            }
            at += width;
        }
        Ok(measured)
    }

    /// What each column was read as, why, and what was missing, a line each, for people to look at; then what was skipped.
    pub fn report(&self) -> String {
        let mut lines: Vec<String> = self.columns.iter().map(Column::to_string).collect();
        if !self.skipped.is_empty() {
            lines.push(self.skipped.to_string());
        }
        lines.join("\n")
    }
}

impl Column {
    /// How many features it makes.
    pub(super) fn width(&self) -> usize {
        match self.kind {
            ColumnKind::Number | ColumnKind::Index | ColumnKind::Bool => 1,
            ColumnKind::OneHot => self.categories.len(),
            ColumnKind::Ignored => 0,
        }
    }
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnKind::Number => "number",
            ColumnKind::OneHot => "one-hot",
            ColumnKind::Index => "index",
            ColumnKind::Bool => "bool",
            ColumnKind::Ignored => "ignored",
        })
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)?;
        if !self.categories.is_empty() {
            write!(f, " of {}", self.categories[..self.categories.len().min(8)].join(", "))?;
            if self.categories.len() > 8 {
                write!(f, ", ... ({} of them)", self.categories.len())?;
            }
        }
        if !self.why.is_empty() {
            write!(f, " ({})", self.why)?;
        }
        match (self.missing, self.fill) {
            (0, _) => Ok(()),
            (n, Some(fill)) => write!(f, "; {n} missing, {fill} in their place"),
            (n, None) => write!(f, "; {n} missing"),
        }
    }
}

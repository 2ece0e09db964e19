//! From records to a table.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use noyau_tensor::{Array, DType, Error, Result};

use super::input::Input;
use super::names::{NONE, Names};
use super::table::{Column, ColumnKind, Missing, Table};
use super::{Csv, Target, infer};
use crate::Dataset;
use crate::skipped::Bad;

/// A column that becomes features.
struct Feature {
    /// Its place in the header.
    at: usize,
    column: Column,
    missing: Missing,
    values: Values,
}

/// One value for each record.
enum Values {
    /// NaN for one that is missing: no value that a file gives is one.
    Reals(Vec<f32>),
    Names(Names),
}

impl Csv {
    /// The header and the kind of each column; `text`, all of the content, is there where kinds are to be inferred.
    pub(super) fn kinds(&self, path: &Path, header: &[String], text: Option<&[u8]>) -> Result<Vec<(ColumnKind, String)>> {
        let mut kinds = vec![(ColumnKind::Number, String::new()); header.len()];
        if let Some(text) = text {
            let mut input = Input::new(path, self.delimiter, text);
            input.header()?;
            kinds = infer::infer(self, &mut input, header.len())?;
        }
        for (name, &kind) in &self.kinds {
            match header.iter().position(|column| column == name) {
                Some(at) => kinds[at] = (kind, String::new()),
                // A column that is not wanted need not be there.
                None if kind == ColumnKind::Ignored => {}
                None => {
                    let there = header.join(", ");
                    return Err(Error::data(path, format!("the header has no column {name:?}, which is to be {kind}; it has {there}")));
                }
            }
        }
        Ok(kinds)
    }

    /// The columns that become features, in their order, and the others.
    fn columns(
        &self,
        header: &[String],
        target: usize,
        kinds: Vec<(ColumnKind, String)>,
        chosen: Option<Vec<usize>>,
    ) -> (Vec<Feature>, Vec<Column>) {
        let order = chosen.clone().unwrap_or_else(|| (0..header.len()).collect());
        let mut features = Vec::new();
        let mut ignored = Vec::new();
        for at in order {
            let (kind, why) = kinds[at].clone();
            let name = header[at].clone();
            let column = Column { kind, why, categories: Vec::new(), missing: 0, fill: None, name };
            if at == target {
                continue;
            }
            let values = match kind {
                ColumnKind::Ignored => {
                    ignored.push(column);
                    continue;
                }
                ColumnKind::Number | ColumnKind::Bool => Values::Reals(Vec::new()),
                ColumnKind::OneHot | ColumnKind::Index => Values::Names(Names::new(self.categories.get(&column.name).cloned())),
            };
            let missing = self.missing_in.get(&column.name).copied().unwrap_or(self.missing);
            features.push(Feature { at, column, missing, values });
        }
        if let Some(chosen) = chosen {
            let others = (0..header.len()).filter(|at| *at != target && !chosen.contains(at));
            ignored.extend(others.map(|at| Column {
                name: header[at].clone(),
                kind: ColumnKind::Ignored,
                why: "not among the features asked for".into(),
                categories: Vec::new(),
                missing: 0,
                fill: None,
            }));
        }
        (features, ignored)
    }

    pub(super) fn read_all<R: Read>(&self, input: &mut Input<R>, path: &Path, text: Option<&[u8]>) -> Result<Table> {
        let header = input.header()?;
        let target = input.column(&header, &self.target)?;
        let chosen = match &self.features {
            Some(names) => Some(names.iter().map(|name| input.column(&header, name)).collect::<Result<Vec<usize>>>()?),
            None => None,
        };
        for name in self.missing_in.keys() {
            input.column(&header, name)?;
        }
        if chosen.as_ref().is_some_and(|chosen| chosen.contains(&target)) {
            return Err(Error::argument("Csv: features", format!("{:?} is the target; it cannot be a feature as well", self.target)));
        }
        let kinds = self.kinds(path, &header, text)?;
        if let Some(at) = chosen.iter().flatten().find(|&&at| kinds[at].0 == ColumnKind::Ignored) {
            let why = if kinds[*at].1.is_empty() { "it is to be ignored" } else { &kinds[*at].1 };
            let message = format!("column {:?} is asked for as a feature, but {why}; say what it is by Csv::column", header[*at]);
            return Err(input.fault(message));
        }
        let (mut features, ignored) = self.columns(&header, target, kinds, chosen);
        if features.is_empty() {
            return Err(input.fault("there is no column for features beside the target"));
        }
        let mut reals = Vec::new();
        let mut classes = match &self.kind {
            Target::Classes(given) => Some(Names::new(given.clone())),
            Target::Regression => None,
        };
        let mut bad = Bad::new(self.skip_bad);
        let mut n = 0;
        // What the record at hand has in each column of numbers; nothing is kept of a record that is bad.
        let mut row = vec![0f32; features.len()];
        while input.next()? {
            let looked = self.look(input, &header, target, &features, classes.as_ref(), &mut row);
            let real = match looked {
                Ok(real) => real,
                Err(error) => {
                    bad.meet(error)?;
                    continue;
                }
            };
            n += 1;
            for (feature, &value) in features.iter_mut().zip(&row) {
                feature.column.missing += usize::from(value.is_nan());
                match &mut feature.values {
                    Values::Reals(reals) => reals.push(value),
                    Values::Names(names) if value.is_nan() => names.add_none(),
                    Values::Names(names) => names.add(input.text(feature.at, &header)?),
                }
            }
            match &mut classes {
                Some(classes) => classes.add(input.text(target, &header)?),
                None => reals.push(real),
            }
        }
        let skipped = bad.finish(n, "records", |message| Error::data(path, message))?;
        if n == 0 {
            return Err(input.fault("there is a header line, but no record below it; a table needs at least one"));
        }
        let mut table = Made { width: 0, names: Vec::new(), columns: Vec::new(), parts: Vec::new() };
        for feature in features {
            table.add(feature).map_err(|message| input.fault(message))?;
        }
        if table.width == 0 {
            // A column of texts makes a feature of each that occurs; columns of numbers are always one.
            let message = format!("there is nothing to learn from: all texts of {} are missing in the {n} good records", table.columns());
            return Err(input.fault(message));
        }
        let samples = Array::from_words([n, table.width], DType::F32, table.rows(n))?;
        let (dataset, classes) = match classes {
            None => (Dataset::new(&samples, &Array::new([n, 1], &reals)?)?, Vec::new()),
            Some(classes) => {
                let (labels, names) = classes.finish();
                (Dataset::new(&samples, &Array::new([n], &labels)?)?.with_classes(names.len())?, names)
            }
        };
        table.columns.extend(ignored);
        Ok(Table { dataset, features: table.names, classes, columns: table.columns, skipped })
    }

    /// Whether a record is good; its numbers go to `row`, NaN for a value that is missing and may be, and a real target is returned.
    fn look<R: Read>(
        &self,
        input: &Input<R>,
        header: &[String],
        target: usize,
        features: &[Feature],
        classes: Option<&Names>,
        row: &mut [f32],
    ) -> Result<f32> {
        input.check_length(header)?;
        for (feature, value) in features.iter().zip(row) {
            let (at, kind) = (feature.at, feature.column.kind);
            let text = input.text(at, header)?;
            *value = if self.is_missing(text) {
                // Only an index has no number that could stand for none.
                if feature.missing == Missing::Error || kind == ColumnKind::Index {
                    return Err(input.field_fault(
                        at,
                        header,
                        "the value is missing; fill it in, or choose what stands for it with Csv::missing",
                    ));
                }
                f32::NAN
            } else {
                match (kind, &feature.values) {
                    (ColumnKind::Bool, _) => input.truth(at, header)?,
                    (_, Values::Reals(_)) => input.number(at, header)?,
                    (_, Values::Names(names)) => {
                        let most = self.max_categories;
                        names.check(text, "category", most).map_err(|message| input.field_fault(at, header, message))?;
                        0.0
                    }
                }
            };
        }
        let text = input.text(target, header)?;
        if self.is_missing(text) {
            return Err(input.field_fault(target, header, "the value is missing; every record needs its target"));
        }
        match classes {
            None => input.number(target, header),
            Some(classes) => {
                classes.check(text, "class", usize::MAX).map_err(|message| input.field_fault(target, header, message))?;
                Ok(0.0)
            }
        }
    }
}

/// The features being made.
struct Made {
    width: usize,
    names: Vec<String>,
    columns: Vec<Column>,
    parts: Vec<Part>,
}

/// One column's features.
enum Part {
    Reals(Vec<f32>),
    OneHot(usize, Vec<u32>),
}

impl Made {
    fn add(&mut self, feature: Feature) -> Result<(), String> {
        let Feature { mut column, missing, values, .. } = feature;
        let part = match values {
            Values::Reals(mut reals) => {
                let fill = match missing {
                    Missing::Error => None,
                    Missing::Value(value) => Some(value),
                    Missing::Mean if column.missing == reals.len() => {
                        return Err(format!("column {:?}: all values are missing, there is no mean to take their place", column.name));
                    }
                    Missing::Mean => {
                        let there = reals.iter().filter(|v| !v.is_nan());
                        Some((there.map(|&v| f64::from(v)).sum::<f64>() / (reals.len() - column.missing) as f64) as f32)
                    }
                };
                if let Some(fill) = fill {
                    reals.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = fill);
                }
                column.fill = fill;
                self.names.push(column.name.clone());
                Part::Reals(reals)
            }
            Values::Names(names) => {
                let (labels, names) = names.finish();
                column.categories = names;
                if column.kind == ColumnKind::Index {
                    self.names.push(column.name.clone());
                    Part::Reals(labels.into_iter().map(|label| label as f32).collect())
                } else {
                    self.names.extend(column.categories.iter().map(|text| format!("{}={text}", column.name)));
                    Part::OneHot(column.categories.len(), labels)
                }
            }
        };
        self.width += column.width();
        self.columns.push(column);
        self.parts.push(part);
        Ok(())
    }

    /// The names of the columns, for messages.
    fn columns(&self) -> String {
        self.columns.iter().map(|column| format!("{:?}", column.name)).collect::<Vec<_>>().join(", ")
    }

    /// The samples, row-major, as the words of an array.
    fn rows(&self, n: usize) -> Vec<u32> {
        let mut rows = vec![0u32; n * self.width];
        let mut at = 0;
        for part in &self.parts {
            let own = rows.chunks_exact_mut(self.width.max(1));
            at += match part {
                Part::Reals(values) => {
                    own.zip(values).for_each(|(row, &value)| row[at] = value.to_bits());
                    1
                }
                Part::OneHot(width, labels) => {
                    own.zip(labels)
                        .filter(|(_, label)| **label != NONE)
                        .for_each(|(row, &label)| row[at + label as usize] = 1f32.to_bits());
                    *width
                }
            };
        }
        rows
    }
}

/// What [`Csv::like`] takes over from a table.
pub(super) struct Settings {
    pub kinds: BTreeMap<String, ColumnKind>,
    pub categories: BTreeMap<String, Vec<String>>,
    pub fills: BTreeMap<String, Missing>,
}

impl Settings {
    pub(super) fn of(table: &Table) -> Settings {
        let used = || table.columns.iter().filter(|column| column.kind != ColumnKind::Ignored);
        let named = |column: &&Column| matches!(column.kind, ColumnKind::OneHot | ColumnKind::Index);
        Settings {
            kinds: used().map(|column| (column.name.clone(), column.kind)).collect(),
            categories: used().filter(named).map(|column| (column.name.clone(), column.categories.clone())).collect(),
            fills: used().filter_map(|column| Some((column.name.clone(), Missing::Value(column.fill?)))).collect(),
        }
    }
}

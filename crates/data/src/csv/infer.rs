//! What kind of values each column holds, by looking at all of them.

use std::collections::BTreeSet;
use std::io::Read;

use noyau_tensor::Result;

use super::input::{Input, truth};
use super::table::ColumnKind;
use super::{Csv, quoted};

/// What has been seen of a column.
#[derive(Default)]
struct Seen {
    values: usize,
    numbers: usize,
    truths: usize,
    texts: BTreeSet<String>,
    /// Line and text of the first value that is no number.
    first_other: Option<(u64, String)>,
}

/// Kind and reason for each column of the header.
pub(super) fn infer<R: Read>(csv: &Csv, input: &mut Input<R>, columns: usize) -> Result<Vec<(ColumnKind, String)>> {
    let mut seen: Vec<Seen> = (0..columns).map(|_| Seen::default()).collect();
    while input.next()? {
        // A record of the wrong length is reported when it is read; what stands in which column is anybody's guess.
        if input.record.len() != columns {
            continue;
        }
        for (field, seen) in input.record.iter().zip(&mut seen) {
            let text = String::from_utf8_lossy(field);
            if !csv.is_missing(&text) {
                seen.see(&text, input.line, csv.max_categories);
            }
        }
    }
    Ok(seen.iter().map(|seen| seen.decide(csv.max_categories)).collect())
}

impl Seen {
    fn see(&mut self, text: &str, line: u64, most: usize) {
        self.values += 1;
        self.truths += usize::from(truth(text).is_some() && text.parse::<f32>().is_err());
        if text.parse::<f32>().is_ok_and(f32::is_finite) {
            self.numbers += 1;
        } else if self.first_other.is_none() {
            self.first_other = Some((line, quoted(text)));
        }
        // One more than allowed is enough to know.
        if self.texts.len() <= most && !self.texts.contains(text) {
            self.texts.insert(text.to_string());
        }
    }

    fn decide(&self, most: usize) -> (ColumnKind, String) {
        let texts = self.texts.len();
        match &self.first_other {
            _ if self.values == 0 => (ColumnKind::Ignored, "it has no values".into()),
            None => (ColumnKind::Number, "inferred: all values are numbers".into()),
            // One slip of the pen must not make texts of a column of numbers: its record is the bad one.
            Some((line, other)) if self.numbers * 10 >= self.values * 9 => {
                let but = self.values - self.numbers;
                (ColumnKind::Number, format!("inferred: all values are numbers but {but}, the first {other} in line {line}"))
            }
            _ if self.truths == self.values => (ColumnKind::Bool, "inferred: all values are truth values".into()),
            // Names, ids and remarks tell nothing about the next record.
            _ if texts > most => (ColumnKind::Ignored, format!("inferred: texts, more than {most} different ones")),
            _ if texts > 2 && texts * 2 > self.values => {
                (ColumnKind::Ignored, format!("inferred: texts, {texts} different ones in {} records", self.values))
            }
            _ => (ColumnKind::OneHot, format!("inferred: texts, {texts} different ones")),
        }
    }
}

//! Texts that stand for whole numbers: classes and categories.

use std::collections::BTreeMap;

use super::quoted;

/// The number of a value that is missing.
pub(super) const NONE: u32 = u32::MAX;

/// The names met so far, and which of them each record has.
pub(super) struct Names {
    /// By name, in the order in which they were met or given.
    numbers: BTreeMap<String, u32>,
    given: Option<Vec<String>>,
    labels: Vec<u32>,
}

impl Names {
    pub(super) fn new(given: Option<Vec<String>>) -> Names {
        let numbers = given.iter().flatten().zip(0..).map(|(name, i)| (name.clone(), i)).collect();
        Names { numbers, given, labels: Vec::new() }
    }

    /// Whether a name can be added; `what` it is the name of and `most` names are for the message.
    pub(super) fn check(&self, name: &str, what: &str, most: usize) -> Result<(), String> {
        match &self.given {
            _ if self.numbers.contains_key(name) => Ok(()),
            Some(names) => Err(format!("{what} {} is none of {}", quoted(name), listed(names))),
            None if self.numbers.len() >= most => Err(format!("{what} {} is one more than the {most} allowed", quoted(name))),
            None => Ok(()),
        }
    }

    /// The next record's name, which has been checked.
    pub(super) fn add(&mut self, name: &str) {
        let next = self.numbers.len() as u32;
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None => *self.numbers.entry(name.to_string()).or_insert(next),
        };
        self.labels.push(number);
    }

    /// The next record has none.
    pub(super) fn add_none(&mut self) {
        self.labels.push(NONE);
    }

    /// The number of each record, and the names in the order of their numbers.
    pub(super) fn finish(self) -> (Vec<u32>, Vec<String>) {
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
        let renumber = |&met: &u32| renumbered.get(met as usize).copied().unwrap_or(NONE);
        (self.labels.iter().map(renumber).collect(), names.into_iter().map(|(name, _)| name).collect())
    }
}

/// Names for a message, of which there may be many.
fn listed(names: &[String]) -> String {
    match names.len() {
        0..=20 => names.join(", "),
        n => format!("{}, ... ({n} of them)", names[..20].join(", ")),
    }
}

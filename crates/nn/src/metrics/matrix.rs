//! Which classes are taken for which: a table for people to read.

use std::fmt;

use super::ClassScores;

/// How often each class was taken for each class, with the classes' names: printed, a table with recall at the end of each row and precision under each column.
///
/// Of more than 24 classes, or of classes whose table would be wider than 140 characters, the ten most frequent confusions are printed in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Vec<Vec<u64>>,
    names: Vec<String>,
}

/// A class that was taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// What the samples are.
    pub actual: usize,
    /// What they were taken for.
    pub predicted: usize,
    /// How many there are.
    pub count: u64,
}

/// What a table may have.
const MOST_CLASSES: usize = 24;
const WIDEST: usize = 140;
/// Confusions that are printed where there is no table.
const LISTED: usize = 10;

impl ConfusionMatrix {
    /// From `counts[actual][predicted]`; where rows are of unequal length, what is missing counts as 0. Classes go by their numbers.
    pub fn new(counts: &[Vec<u64>]) -> ConfusionMatrix {
        let classes = counts.iter().map(Vec::len).max().unwrap_or(0).max(counts.len());
        let row = |actual: usize| {
            let mut row = counts.get(actual).cloned().unwrap_or_default();
            row.resize(classes, 0);
            row
        };
        ConfusionMatrix { counts: (0..classes).map(row).collect(), names: (0..classes).map(|class| class.to_string()).collect() }
    }

    /// With names of the first classes; the others keep their numbers, and names beyond the last class are left out.
    pub fn names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> ConfusionMatrix {
        for (place, name) in self.names.iter_mut().zip(names) {
            *place = name.into();
        }
        self
    }

    /// `counts()[actual][predicted]`, as many columns as rows.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// A class's name; its number where it has none.
    pub fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// Precision, recall and F1 of each class, and their means.
    pub fn scores(&self) -> ClassScores {
        ClassScores::of(&self.counts)
    }

    /// All pairs of classes that were confused, the most frequent first; of equally frequent ones the lower classes.
    pub fn confusions(&self) -> Vec<Confusion> {
        let all = self
            .counts
            .iter()
            .enumerate()
            .flat_map(|(actual, row)| row.iter().enumerate().map(move |(predicted, &count)| Confusion { actual, predicted, count }));
        let mut wrong: Vec<Confusion> = all.filter(|c| c.actual != c.predicted && c.count > 0).collect();
        wrong.sort_by_key(|c| (std::cmp::Reverse(c.count), c.actual, c.predicted));
        wrong
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, first: usize, width: usize) -> fmt::Result {
        let scores = self.scores();
        write!(f, "{:<first$}", CORNER)?;
        self.names.iter().try_for_each(|name| write!(f, " {name:>width$}"))?;
        writeln!(f, " {:>9}", "recall")?;
        for (actual, row) in self.counts.iter().enumerate() {
            write!(f, "{:<first$}", self.names[actual])?;
            for &count in row {
                // What did not happen is quiet, so that what did is seen.
                if count == 0 { write!(f, " {:>width$}", ".")? } else { write!(f, " {count:>width$}")? }
            }
            writeln!(f, " {:>9}", share(scores.classes[actual].recall, scores.support[actual]))?;
        }
        write!(f, "{:<first$}", "precision")?;
        for (score, &predicted) in scores.classes.iter().zip(&scores.predicted) {
            write!(f, " {:>width$}", share(score.precision, predicted))?;
        }
        write!(f, " {:>9}", share(scores.accuracy(), scores.samples()))
    }

    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scores = self.scores();
        let confusions = self.confusions();
        write!(f, "{} classes, {} of {} samples right", self.counts.len(), scores.correct(), scores.samples())?;
        for c in confusions.iter().take(LISTED) {
            let of = scores.support[c.actual];
            write!(f, "\n{:>8}  {} taken for {} (of {of})", c.count, self.names[c.actual], self.names[c.predicted])?;
        }
        let rest: u64 = confusions.iter().skip(LISTED).map(|c| c.count).sum();
        if rest > 0 { write!(f, "\n{rest:>8}  others") } else { Ok(()) }
    }
}

/// What stands over the rows' names.
const CORNER: &str = "is, taken for";

impl fmt::Display for ConfusionMatrix {
    /// Without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let largest = self.counts.iter().flatten().max().map_or(1, |count| count.to_string().len());
        // A share takes seven characters: `100.0 %`.
        let (first, width) = (longest.max(CORNER.len()), longest.max(largest).max(7));
        let classes = self.counts.len();
        if classes == 0 {
            return f.write_str("no classes");
        }
        if classes > MOST_CLASSES || first + classes * (width + 1) + 10 > WIDEST { self.list(f) } else { self.table(f, first, width) }
    }
}

/// A share of so many, in hundredths; of none there is no share.
fn share(share: f64, of: u64) -> String {
    if of == 0 { "-".into() } else { format!("{:.1} %", share * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_matrix_is_a_table() {
        let matrix = ConfusionMatrix::new(&[vec![8, 2, 0], vec![0, 5], vec![0, 0, 0]]).names(["cat", "dog"]);
        let lines: Vec<String> = matrix.to_string().lines().map(String::from).collect();
        assert_eq!(
            lines,
            [
                "is, taken for     cat     dog       2    recall",
                "cat                 8       2       .    80.0 %",
                "dog                 .       5       .   100.0 %",
                "2                   .       .       .         -",
                "precision     100.0 %  71.4 %       -    86.7 %",
            ]
        );
    }

    #[test]
    fn confusions_come_by_their_number() {
        let matrix = ConfusionMatrix::new(&[vec![8, 2, 7], vec![3, 5, 0], vec![2, 0, 0]]);
        let found: Vec<_> = matrix.confusions().iter().map(|c| (c.actual, c.predicted, c.count)).collect();
        assert_eq!(found, [(0, 2, 7), (1, 0, 3), (0, 1, 2), (2, 0, 2)]);
        assert_eq!(matrix.scores().correct(), 13);
        assert!(ConfusionMatrix::new(&[vec![3, 0], vec![0, 1]]).confusions().is_empty());
        assert_eq!(ConfusionMatrix::default().to_string(), "no classes");
    }

    #[test]
    fn many_classes_are_a_list() {
        let mut counts = vec![vec![0u64; 30]; 30];
        (0..30).for_each(|class| counts[class][class] = 10);
        (0..12).for_each(|class| counts[class][29] = 12 - class as u64);
        let lines: Vec<String> = ConfusionMatrix::new(&counts).names(["zero"]).to_string().lines().map(String::from).collect();
        assert_eq!(lines.len(), 1 + LISTED + 1);
        assert_eq!(lines[0], "30 classes, 300 of 378 samples right");
        assert_eq!(lines[1], "      12  zero taken for 29 (of 22)");
        assert_eq!(lines[11], "       3  others");
        // A few classes with long names are one too.
        let wide = ConfusionMatrix::new(&[vec![1, 4], vec![0, 1]]).names(["a".repeat(70), "b".repeat(70)]).to_string();
        assert!(wide.starts_with("2 classes, 2 of 6 samples right\n       4  aaa"), "{wide}");
    }
}

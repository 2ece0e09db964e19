//! Precision, recall and F1 from a confusion matrix, on the host.

/// Precision, recall and their harmonic mean, F1; each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Of the samples that were taken for the class, the share that belong to it.
    pub precision: f64,
    /// Of the samples that belong to the class, the share that were taken for it.
    pub recall: f64,
    /// `2 tp / (2 tp + fp + fn)`: the harmonic mean of the two.
    pub f1: f64,
}

/// Scores of each class and their means, from how often each class was taken for each class.
///
/// The conventions are scikit-learn's (`precision_recall_fscore_support` with its defaults): a quotient whose divisor is 0 is 0, and a class that neither occurs
/// nor was predicted takes no part in the means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassScores {
    /// Each class's score.
    pub classes: Vec<Score>,
    /// How many samples belong to each class.
    pub support: Vec<u64>,
    /// How many samples were taken for each class.
    pub predicted: Vec<u64>,
    correct: u64,
}

impl ClassScores {
    /// From `confusion[actual][predicted]`, counts of samples. Where rows are of unequal length, what is missing counts as 0.
    pub fn of(confusion: &[Vec<u64>]) -> ClassScores {
        let classes = confusion.iter().map(Vec::len).max().unwrap_or(0).max(confusion.len());
        let at = |actual: usize, predicted: usize| confusion.get(actual).and_then(|row| row.get(predicted)).copied().unwrap_or(0);
        let support: Vec<u64> = (0..classes).map(|a| (0..classes).map(|p| at(a, p)).sum()).collect();
        let predicted: Vec<u64> = (0..classes).map(|p| (0..classes).map(|a| at(a, p)).sum()).collect();
        let hits: Vec<u64> = (0..classes).map(|c| at(c, c)).collect();
        let score = |c: usize| Score {
            precision: ratio(hits[c], predicted[c]),
            recall: ratio(hits[c], support[c]),
            f1: ratio(2 * hits[c], predicted[c] + support[c]),
        };
        ClassScores { classes: (0..classes).map(score).collect(), correct: hits.iter().sum(), support, predicted }
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.support.iter().sum()
    }

    /// The number of samples that were classified right.
    pub fn correct(&self) -> u64 {
        self.correct
    }

    /// The share of samples that were classified right; 0 without samples.
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct, self.samples())
    }

    /// The mean over the classes that occur or were predicted, each counting the same.
    pub fn macro_average(&self) -> Score {
        self.mean(|c| if self.support[c] + self.predicted[c] > 0 { 1.0 } else { 0.0 })
    }

    /// The scores of all samples together: with one class a sample, all three are the accuracy.
    pub fn micro_average(&self) -> Score {
        let share = self.accuracy();
        Score { precision: share, recall: share, f1: share }
    }

    /// The mean over the classes, each counting as often as it occurs.
    pub fn weighted_average(&self) -> Score {
        self.mean(|c| self.support[c] as f64)
    }

    /// The mean of the classes' recalls, over those that occur: scikit-learn's `balanced_accuracy_score`.
    pub fn balanced_accuracy(&self) -> f64 {
        let occurring: Vec<f64> =
            self.classes.iter().zip(&self.support).filter(|(_, support)| **support > 0).map(|(score, _)| score.recall).collect();
        if occurring.is_empty() { 0.0 } else { occurring.iter().sum::<f64>() / occurring.len() as f64 }
    }

    fn mean(&self, weight: impl Fn(usize) -> f64) -> Score {
        let total: f64 = (0..self.classes.len()).map(&weight).sum();
        let of = |part: fn(&Score) -> f64| {
            let sum: f64 = self.classes.iter().enumerate().map(|(c, score)| weight(c) * part(score)).sum();
            if total == 0.0 { 0.0 } else { sum / total }
        };
        Score { precision: of(|s| s.precision), recall: of(|s| s.recall), f1: of(|s| s.f1) }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl std::fmt::Display for ClassScores {
    /// A line a class that occurs or was predicted, then the means.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:>12}  precision  recall      f1  samples", "class")?;
        let mut line = |name: &str, s: &Score, samples: u64| {
            writeln!(f, "{name:>12}  {:>9.4}  {:>6.4}  {:>6.4}  {samples:>7}", s.precision, s.recall, s.f1)
        };
        for (class, score) in self.classes.iter().enumerate().filter(|(c, _)| self.support[*c] + self.predicted[*c] > 0) {
            line(&class.to_string(), score, self.support[class])?;
        }
        for (name, score) in [("macro", self.macro_average()), ("weighted", self.weighted_average())] {
            line(name, &score, self.samples())?;
        }
        write!(f, "{:>12}  {:.4}", "accuracy", self.accuracy())
    }
}

//! What an evaluation finds, and what follows from it.

use std::fmt;

use noyau_nn::metrics::{ClassScores, ConfusionMatrix};
use serde::Serialize;

/// How a model does on a data set, each sample counting the same: a last batch that is smaller counts as the smaller one that it is.
///
/// Printed, it says all it knows: `println!("{}", trainer.evaluate(&test)?)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// The number of samples.
    pub samples: u64,
    /// Mean loss: the batches' losses by the number of their samples. With class weights, which a loss divides by batch by batch, it is the mean of those means.
    pub loss: f64,
    /// Share classified right, 0 to 1; none for regression.
    pub accuracy: Option<f64>,
    /// `confusion[actual][predicted]`: how many samples; empty for regression, and for more than [`Evaluation::MOST_CLASSES`] classes.
    pub confusion: Vec<Vec<u64>>,
    /// `ranks[r]`: how many samples have `r` classes that the model likes better than their own, as
    /// [`target_ranks`](noyau_nn::metrics::target_ranks) counts them; empty for regression. Samples whose own class has the output NaN are in none.
    pub ranks: Vec<u64>,
    /// How far the predictions are off, where targets are real numbers and the model's output has their shape.
    pub regression: Option<RegressionScores>,
}

/// How far predictions of real numbers are off, over a whole data set: what `noyau_nn::metrics` has for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RegressionScores {
    /// The mean absolute error, in the targets' unit.
    pub mae: f64,
    /// The root of the mean squared error, in the targets' unit; of several outputs the mean of their roots.
    pub rmse: f64,
    /// The coefficient of determination: 1 for predictions that are exact, 0 for ones that are always the mean, below 0 for worse; of several outputs the mean.
    /// An output whose target is always the same has 1 where the predictions are exact, else 0.
    pub r2: f64,
}

impl Evaluation {
    /// Up to how many classes are counted in a confusion matrix, which has their square of places.
    pub const MOST_CLASSES: usize = 2048;

    /// The share of samples whose class is among the `k` that the model likes best; none for regression, and for `k` = 0.
    pub fn top_k(&self, k: usize) -> Option<f64> {
        let among: u64 = self.ranks.iter().take(k).sum();
        (k > 0 && !self.ranks.is_empty()).then(|| among as f64 / self.samples.max(1) as f64)
    }

    /// Precision, recall and F1 of each class, and their means (macro, micro, weighted); none without a confusion matrix.
    pub fn scores(&self) -> Option<ClassScores> {
        (!self.confusion.is_empty()).then(|| ClassScores::of(&self.confusion))
    }

    /// The confusion matrix as a table to be printed, with what was confused most often; none without one.
    pub fn confusion_matrix(&self) -> Option<ConfusionMatrix> {
        (!self.confusion.is_empty()).then(|| ConfusionMatrix::new(&self.confusion))
    }
}

impl fmt::Display for Evaluation {
    /// A line of figures; for classes the scores and the confusion matrix below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples, loss {:.4}", self.samples, self.loss)?;
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", accuracy * 100.0)?;
        }
        // Of a few classes, the best five are nearly all.
        if let (Some(share), true) = (self.top_k(5), self.ranks.len() >= 10) {
            write!(f, ", among the best five {:.2} %", share * 100.0)?;
        }
        if let Some(RegressionScores { mae, rmse, r2 }) = self.regression {
            write!(f, ", mean absolute error {mae:.4}, root mean squared error {rmse:.4}, R2 {r2:.4}")?;
        }
        if let (Some(scores), Some(matrix)) = (self.scores(), self.confusion_matrix()) {
            write!(f, "\n\n{scores}\n\n{matrix}")?;
        }
        Ok(())
    }
}

//! Figures of an evaluation that follow from its confusion matrix.

use noyau_nn::metrics::ClassScores;

use crate::history::Evaluation;

impl Evaluation {
    /// Precision, recall and F1 of each class, and their means; none for regression.
    pub fn scores(&self) -> Option<ClassScores> {
        (!self.confusion.is_empty()).then(|| ClassScores::of(&self.confusion))
    }
}

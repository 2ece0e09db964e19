//! How many samples each class has.

use noyau_tensor::{Error, Result};

use crate::Dataset;

impl Dataset {
    /// How many targets are of each class, one count a class: what `class_weights` takes.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when the targets are real numbers.
    pub fn class_counts(&self) -> Result<Vec<usize>> {
        let Some(classes) = self.classes() else {
            return Err(Error::argument("Dataset::class_counts", "the targets are real numbers, not classes"));
        };
        let mut counts = vec![0; classes];
        for &class in (0..self.len()).flat_map(|i| self.target_words(i)) {
            if let Some(count) = counts.get_mut(class as usize) {
                *count += 1;
            }
        }
        Ok(counts)
    }
}

//! Weights of classes.

use noyau_tensor::{Error, Result};

/// Weights for [`CrossEntropy::weight`](super::CrossEntropy::weight) that make classes count alike however many samples they have: the number of samples over
/// the number of classes times the class's own number, `n / (k n_c)`, so that a sample's weight is 1 on average. A class without samples gets 0 and is not
/// among the `k`. `counts` is what `Dataset::class_counts` gives.
///
/// scikit-learn's `class_weight="balanced"`. Source: King and Zeng, "Logistic regression in rare events data", 2001.
pub fn class_weights(counts: &[usize]) -> Vec<f32> {
    let samples: f64 = counts.iter().map(|&count| count as f64).sum();
    let present = counts.iter().filter(|&&count| count > 0).count() as f64;
    counts.iter().map(|&count| if count == 0 { 0.0 } else { (samples / (present * count as f64)) as f32 }).collect()
}

/// Whether there is a weight a class, none of them negative or not finite, and not all 0.
pub(super) fn check_weights(weight: &[f32], classes: usize) -> Result<()> {
    let refused = |message: String| Err(Error::argument("CrossEntropy: weight", message));
    if weight.len() != classes {
        return refused(format!("{} weights for {classes} classes; one a class is needed", weight.len()));
    }
    if let Some((class, w)) = weight.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
        return refused(format!("the weight {w} of class {class} is negative or not finite; it must be at least 0"));
    }
    if weight.iter().all(|&w| w == 0.0) {
        return refused("all weights are 0; at least one class must count".into());
    }
    Ok(())
}

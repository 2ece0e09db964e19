//! Some of the samples.

use noyau_tensor::{Error, Result};

use crate::{Dataset, Rng};

impl Dataset {
    /// Some of the samples, in the order given; one may come twice. For example `data.subset(0..1000)`.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is no such sample, or none is chosen.
    pub fn subset(&self, indices: impl IntoIterator<Item = usize>) -> Result<Dataset> {
        const WHAT: &str = "Dataset::subset";
        let rows = indices
            .into_iter()
            .map(|i| if i < self.len() { Ok(self.row(i)) } else { Err(self.no_sample(WHAT, i)) })
            .collect::<Result<Vec<u32>>>()?;
        if rows.is_empty() {
            return Err(Error::argument(WHAT, "no sample is chosen"));
        }
        if u32::try_from(rows.len()).is_err() {
            return Err(Error::argument(WHAT, format!("{} samples are more than a data set holds", rows.len())));
        }
        Ok(Dataset { rows: Some(rows.into()), ..self.clone() })
    }

    /// Deals the samples out at random: about `fraction` of them (rounded) to the first data set, the others to the second. The same seed
    /// deals the same way.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when either part would be empty or `fraction` is not between 0 and 1.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Dataset, Dataset)> {
        const WHAT: &str = "Dataset::split";
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::argument(WHAT, format!("the fraction {fraction} is not between 0 and 1")));
        }
        let first = (self.len() as f64 * fraction).round() as usize;
        if first == 0 || first >= self.len() {
            return Err(Error::argument(
                WHAT,
                format!("a fraction of {fraction} of {} samples leaves one part empty; take one nearer to 0.5", self.len()),
            ));
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        Rng::new(seed).shuffle(&mut order);
        Ok((self.subset(order[..first].iter().copied())?, self.subset(order[first..].iter().copied())?))
    }
}

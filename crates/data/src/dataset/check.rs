//! What arrays must be to hold samples or targets.

use noyau_tensor::{Array, DType, Error, Result, Shape};

/// The number of samples, and the shape of one.
pub(super) fn rows_of(what: &str, name: &str, shape: &Shape) -> Result<(u32, Shape)> {
    match shape[..] {
        [] => Err(Error::argument(what, format!("{name} of shape [] have no axis that counts the samples"))),
        [0, ..] => Err(Error::argument(what, format!("{name} of shape {shape} hold no samples"))),
        [len, ref rest @ ..] => match (u32::try_from(len), Shape::from(rest)) {
            (_, rest) if matches!(rest.checked_numel(), None | Some(0)) => {
                Err(Error::argument(what, format!("{name} of shape {shape} hold no values")))
            }
            (Ok(len), rest) => Ok((len, rest)),
            (Err(_), _) => Err(Error::argument(what, format!("{name}: {len} samples are more than a data set holds ({})", u32::MAX))),
        },
    }
}

pub(super) fn finite(what: &str, name: &str, array: &Array, per_sample: usize) -> Result<()> {
    if array.dtype() != DType::F32 {
        return Ok(());
    }
    match array.words().iter().position(|&w| !f32::from_bits(w).is_finite()) {
        None => Ok(()),
        Some(i) => {
            let (value, sample, place) = (f32::from_bits(array.words()[i]), i / per_sample, i % per_sample);
            Err(Error::argument(
                what,
                format!("{name}: value {place} of sample {sample} is {value}; only finite numbers can be learned from"),
            ))
        }
    }
}

//! Why a loss became NaN: the epoch is run again from its beginning, a step at a time, and the step at fault once more with each kernel looked at (see `watch`).
//! Same seed, same bits: it happens again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use noyau_tensor::{Array, Error, Param, Result};

use crate::described::{Spec, Step};
use crate::feed::Feed;
use crate::session::Session;
use crate::watch::Checks;

/// The values of all states at some moment.
pub(crate) struct Snapshot {
    values: Vec<(Param, Array)>,
}

impl Snapshot {
    /// Reads all states of a session but copies of data sets, which do not change.
    pub async fn take(session: &Session) -> Result<Snapshot> {
        let states = session.known_states().into_iter().filter(|p| !p.name().starts_with("data."));
        Ok(Snapshot { values: session.values(states.map(|param| (param.clone(), param))).await? })
    }
}

/// The error that says at which step of an epoch, of which `first` steps were done at the start, the loss stopped being finite, and which operation did it.
pub(crate) async fn explain(
    session: &Session,
    feed: &Feed,
    start: &Snapshot,
    (epoch, first): (usize, usize),
    parts: impl Fn(usize) -> (Vec<Spec>, Step),
) -> Error {
    match find(session, feed, start, (epoch, first), parts).await {
        Ok(message) => Error::NotFinite { message },
        Err(error) => {
            Error::NotFinite { message: format!("the loss is no longer finite in epoch {epoch}; looking for the cause failed: {error}") }
        }
    }
}

async fn find(
    session: &Session,
    feed: &Feed,
    start: &Snapshot,
    (epoch, first): (usize, usize),
    parts: impl Fn(usize) -> (Vec<Spec>, Step),
) -> Result<String> {
    session.set_all(&start.values).await?;
    let mut batches = feed.epoch(session, epoch as u64 - 1, first).await?;
    let mut step_number = first;
    let mut before = Snapshot::take(session).await?;
    let mut compiled = HashMap::new();
    while let Some(parcel) = batches.take(1) {
        step_number += 1;
        let size = parcel.len();
        let step = match compiled.entry(size) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let (arguments, step) = parts(size);
                place.insert(session.load(&arguments, step).await?)
            }
        };
        parcel.launch(step).await?;
        let loss = step.read_async(0).await?.try_item()?;
        let after = Snapshot::take(session).await?;
        // Sums over the epoch are ours, and not finite because something else is not.
        let broken = after.values.iter().find(|(p, v)| !p.name().starts_with("sums.") && !v.to_f64().iter().all(|x| x.is_finite()));
        if !loss.is_finite() || broken.is_some() {
            let what = match broken {
                Some((param, _)) if loss.is_finite() => format!("`{}` became NaN or infinite", param.name()),
                _ => format!("the loss became {loss}"),
            };
            session.set_all(&before.values).await?;
            let (arguments, step) = parts(size);
            let mut step = session.load_checked(&arguments, step, Checks { finite: true, ..Checks::default() }).await?;
            let cause = match parcel.launch(&mut step).await {
                Err(Error::NotFinite { message }) => message,
                other => other.map(|()| "but no kernel stored such a number when the step was run again".into())?,
            };
            return Ok(format!(
                "{what} at step {step_number} of epoch {epoch}: {cause}; try a lower learning rate, clipping the gradient, or look at the data"
            ));
        }
        before = after;
    }
    Ok(format!("the loss was no longer finite in epoch {epoch}, but not when the epoch was run again"))
}

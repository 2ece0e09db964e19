//! Why a loss became NaN: the epoch is run again from its beginning, a step at a time, and the step at fault is computed once more in f64, operation by operation,
//! until one gives what f32 cannot hold. Same seed, same bits: it happens again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

use noyau_compile::Graph;
use noyau_cpu::Values;
use noyau_cpu::oracle::evaluate_with;
use noyau_tensor::{Array, At, Error, Op, Param, Result, State};

use crate::feed::{Feed, Parcel};
use crate::session::{Session, Spec, Step};

/// The values of all states at some moment.
pub(crate) struct Snapshot {
    values: Vec<(Param, Array)>,
}

impl Snapshot {
    /// Reads all states of a session but copies of data sets, which do not change.
    pub async fn take(session: &Session) -> Result<Snapshot> {
        let mut values = Vec::new();
        for param in session.known_states().into_iter().filter(|p| !p.name().starts_with("data.")) {
            let value = session.get_async(&param).await?;
            values.push((param, value));
        }
        Ok(Snapshot { values })
    }

    async fn restore(&self, session: &Session) -> Result<()> {
        for (param, value) in &self.values {
            session.set_async(param, value).await?;
        }
        Ok(())
    }
}

/// The error that says at which step of an epoch the loss stopped being finite, and which operation did it.
pub(crate) async fn explain(
    session: &Session,
    feed: &Feed,
    start: &Snapshot,
    epoch: usize,
    parts: impl Fn(usize) -> (Vec<Spec>, Step),
) -> Error {
    match find(session, feed, start, epoch, parts).await {
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
    epoch: usize,
    parts: impl Fn(usize) -> (Vec<Spec>, Step),
) -> Result<String> {
    start.restore(session).await?;
    let mut batches = feed.epoch(epoch as u64 - 1);
    let mut step_number = 0;
    let mut before = Snapshot::take(session).await?;
    let mut compiled = HashMap::new();
    while let Some(parcel) = batches.take()? {
        step_number += 1;
        let size = parcel.len();
        let step = match compiled.entry(size) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let (arguments, step) = parts(size);
                place.insert(session.load(&arguments, step).await?)
            }
        };
        parcel.launch(step)?;
        let loss = step.read_async(0).await?.try_item()?;
        let after = Snapshot::take(session).await?;
        // Sums over the epoch are ours, and not finite because something else is not.
        let broken = after.values.iter().find(|(p, v)| !p.name().starts_with("sums.") && !v.to_f64().iter().all(|x| x.is_finite()));
        if !loss.is_finite() || broken.is_some() {
            let what = match broken {
                Some((param, _)) if loss.is_finite() => format!("`{}` became NaN or infinite", param.name()),
                _ => format!("the loss became {loss}"),
            };
            let cause = first_fault(step.graph(), &parcel, &before)?;
            return Ok(format!(
                "{what} at step {step_number} of epoch {epoch}: {cause}; try a lower learning rate, clipping the gradient, or look at the data"
            ));
        }
        before = after;
    }
    Ok(format!("the loss was no longer finite in epoch {epoch}, but not when the epoch was run again"))
}

/// The first operation of a step whose result f32 cannot hold.
fn first_fault(graph: &Graph, parcel: &Parcel, before: &Snapshot) -> Result<String> {
    let inputs: Vec<Values> = parcel.arrays().into_iter().map(Values::from).collect();
    let state_value = |state: &State| {
        let found = before.values.iter().find(|(p, _)| p.state().id() == state.id()).map(|(_, v)| Values::from(v));
        found
            .or_else(|| state.initial_value(0).ok().map(|v| Values::from(&v)))
            .unwrap_or_else(|| Values::full(state.shape(), noyau_tensor::Scalar::new(0.0, state.dtype())))
    };
    let mut fault = None;
    evaluate_with(graph, &inputs, &state_value, &mut |id, values| {
        let node = graph.node(id);
        let bad = |x: &f64| x.is_nan() || x.abs() > f64::from(f32::MAX);
        if !node.dtype.is_float() || matches!(node.op, Op::Full(_)) || !values.data.iter().any(bad) {
            return ControlFlow::Continue(());
        }
        let found = values.data.iter().copied().find(bad).unwrap_or(f64::NAN);
        let kind = if found.is_nan() { "NaN" } else { "a number too large for f32" };
        fault =
            Some(format!("{} of {}{} was the first operation to give {kind} ({})", node.op, node.dtype, node.shape, At(&node.location)));
        ControlFlow::Break(())
    })?;
    Ok(fault.unwrap_or_else(|| "no single operation is at fault in exact arithmetic: rounding or a sum too large for f32".into()))
}

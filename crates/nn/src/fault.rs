//! What bad arguments get: errors that travel in tensors, and checks of hyper-parameters.

use std::panic::Location;

use noyau_tensor::{Error, Location as Line, Result, Scalar, Shape, Tensor};

/// A tensor that carries a mistake in an expression, with the line of the program that wrote it.
#[track_caller]
pub(crate) fn fail(op: &str, message: impl Into<String>) -> Tensor {
    Tensor::invalid(Error::Expression { op: op.into(), message: message.into(), location: Location::caller() })
}

/// `Err` with the tensor that carries the mistake when an operand carries one or when the two differ in shape: losses do not broadcast, since a
/// `[batch]` beside a `[batch, 1]` would quietly become `[batch, batch]`.
#[track_caller]
pub(crate) fn same_shape(op: &str, prediction: &Tensor, target: &Tensor) -> Result<(), Tensor> {
    for t in [prediction, target] {
        if t.error().is_some() {
            return Err(t.clone());
        }
    }
    if prediction.shape() != target.shape() {
        let message =
            format!("the prediction {} and the target {} differ in shape; reshape one of them", prediction.shape(), target.shape());
        return Err(fail(op, message));
    }
    Ok(())
}

/// What a model, a loss or an optimizer gave to one that called it on a program's behalf: a mistake that points into noyau's own code points to `line` instead,
/// where the program handed the model, loss or optimizer over. `caller` is the `file!()` of who called.
///
/// What noyau's layers find wrong is reported at the line that called them. In a model that is a bare layer this is a line of the trainer, of which the
/// program knows nothing.
#[doc(hidden)]
pub fn on_behalf(line: Line, caller: &str, tensor: Tensor) -> Tensor {
    let own = |location: &Location| is_ours(location.file()) || is_in_room_of(caller, location.file());
    let error = match tensor.error() {
        Some(Error::Expression { op, message, location }) if own(location) => {
            Error::Expression { op: op.clone(), message: message.clone(), location: line }
        }
        Some(Error::Gradient { message, location }) if own(location) => Error::Gradient { message: message.clone(), location: line },
        _ => return tensor,
    };
    Tensor::invalid(error)
}

/// Whether a source file is one of this crate's; or where Rust's library calls a plain function that is used as a model or a loss, a line that is no program's.
pub(crate) fn is_ours(file: &str) -> bool {
    is_in_room_of(file!(), file) || file.ends_with("core/src/ops/function.rs") || file.ends_with("core\\src\\ops\\function.rs")
}

/// Whether a source file lies in the same crate's folder as another: `crates/nn/src/`.
fn is_in_room_of(source: &str, file: &str) -> bool {
    let end = ["/src/", "\\src\\"].iter().filter_map(|part| Some(source.rfind(part)? + part.len())).max();
    end.and_then(|end| source.get(..end)).is_some_and(|room| file.starts_with(room))
}

/// A constant with all digits of an f64, which broadcasts.
#[track_caller]
pub(crate) fn number(value: f64) -> Tensor {
    Tensor::full(Shape::scalar(), Scalar::Float(value))
}

/// Whether `value` is finite as the f32 that a device will store.
pub(crate) fn finite(what: &str, value: f64) -> Result<()> {
    if value.is_finite() && !(value as f32).is_finite() {
        return Err(Error::argument(what, format!("{value} is too large for f32")));
    }
    if value.is_finite() { Ok(()) } else { Err(Error::argument(what, format!("{value} is not a finite number"))) }
}

/// Whether `value` is above 0 and finite.
pub(crate) fn positive(what: &str, value: f64) -> Result<()> {
    if value > 0.0 && value as f32 == 0.0 {
        return Err(Error::argument(what, format!("{value:e} is too small for f32")));
    }
    if value > 0.0 { finite(what, value) } else { Err(Error::argument(what, format!("{value} is not a positive number"))) }
}

/// Whether `value` is at least 0 and finite.
pub(crate) fn not_negative(what: &str, value: f64) -> Result<()> {
    if value >= 0.0 {
        finite(what, value)
    } else {
        Err(Error::argument(what, format!("{value} is negative or not a number; it must be at least 0")))
    }
}

/// Whether `value` lies in `0 <= value < 1`, as the decay of a running mean must.
pub(crate) fn decay(what: &str, value: f64) -> Result<()> {
    // Close to 1 an f64 below it may be the f32 1.
    if value >= 0.0 && (value as f32) < 1.0 {
        Ok(())
    } else {
        Err(Error::argument(what, format!("{value} does not lie in 0 <= value < 1")))
    }
}

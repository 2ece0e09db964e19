//! Gradients against slopes: `(loss(w + delta) - loss(w)) / delta`.

use noyau_compile::Graph;
use noyau_cpu::Values;
use noyau_cpu::oracle::evaluate;
use noyau_tensor::{At, Error, Op, Param, Result, State, Tensor, grad};

/// One comparison of [`gradcheck`]: the worst place of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct GradCheck {
    /// The parameter's name.
    pub name: String,
    /// The element, row-major.
    pub element: usize,
    /// What `grad` says there.
    pub gradient: f64,
    /// What finite differences say there.
    pub slope: f64,
    /// `|gradient - slope| / max(1, |gradient|, |slope|)`: how far apart they are.
    pub error: f64,
}

/// Compares `grad` with finite differences, in f64 on the oracle, for every element of every parameter: `(loss(w + delta) - loss(w - delta)) / (2 delta)`.
/// `loss` is a scalar made of the parameters (which have their initial values, seed 0) and constants. Returns the worst element of each parameter.
///
/// Central differences err by `delta^2` times the third derivative plus rounding of about `1e-16 / delta`: `delta` around 1e-5 leaves about 1e-10. Functions
/// with kinks (relu, abs, max) must not be checked within `delta` of one.
///
/// Fails where the loss is no scalar, carries an error, has arguments, or where a gradient is missing; and when an error exceeds `tolerance`.
#[track_caller]
pub fn gradcheck(loss: &Tensor, params: &[&Param], delta: f64, tolerance: f64) -> Result<Vec<GradCheck>> {
    if !(delta > 0.0 && delta.is_finite()) {
        return Err(Error::argument("delta", format!("{delta} is not a positive number")));
    }
    let wrt: Vec<&Tensor> = params.iter().map(|p| p.tensor()).collect();
    let gradients = grad(loss, &wrt);
    let value = Graph::trace(&[], &[loss], &[])?;
    let slopes = Graph::trace(&[], &gradients.iter().collect::<Vec<_>>(), &[])?;

    let mut values: Vec<Values> = Vec::new();
    for (place, param) in params.iter().enumerate() {
        values.push(Values::from(&param.state().initial_value(place as u64)?));
    }
    let run = |graph: &Graph, values: &[Values]| {
        let lookup = |state: &State| match params.iter().position(|p| p.state().id() == state.id()) {
            Some(i) => values[i].clone(),
            None => state
                .initial_value(0)
                .map(|v| Values::from(&v))
                .unwrap_or_else(|_| Values::full(state.shape(), noyau_tensor::Scalar::new(0.0, state.dtype()))),
        };
        evaluate(graph, &[], &lookup)
    };
    let found = run(&slopes, &values)?.outputs;
    let mut report = Vec::new();
    for (i, param) in params.iter().enumerate() {
        let mut worst: Option<GradCheck> = None;
        for element in 0..param.numel() {
            let middle = values[i].data[element];
            let mut at = |x: f64| -> Result<f64> {
                values[i].data[element] = x;
                let loss = run(&value, &values)?.outputs[0].data[0];
                values[i].data[element] = middle;
                Ok(loss)
            };
            let (high, low) = (at(middle + delta)?, at(middle - delta)?);
            let slope = (high - low) / (2.0 * delta);
            let gradient = found[i].data[element];
            let error = (gradient - slope).abs() / gradient.abs().max(slope.abs()).max(1.0);
            // A NaN on either side is the worst there is.
            let error = if error.is_nan() { f64::INFINITY } else { error };
            if worst.as_ref().is_none_or(|w| error > w.error) {
                worst = Some(GradCheck { name: param.name().to_string(), element, gradient, slope, error });
            }
        }
        report.extend(worst);
    }
    if let Some(bad) = report.iter().find(|c| c.error > tolerance) {
        let op = match loss.op() {
            Op::State(state) => state.name().to_string(),
            op => op.name().to_string(),
        };
        let message = format!(
            "`{}`[{}]: the gradient is {}, the slope {} (apart by {:.2e}, allowed {tolerance:.2e}) in the {op} at {}",
            bad.name,
            bad.element,
            bad.gradient,
            bad.slope,
            bad.error,
            At(&loss.location())
        );
        return Err(Error::argument("gradcheck", message));
    }
    Ok(report)
}

//! Penalties on parameters, to be added to a loss.

use noyau_tensor::{Param, Tensor};

/// The sum of all parameters' absolute values, a scalar: `loss + l1_penalty(&weights) * 1e-4` draws weights to 0 (lasso). Without parameters, 0.
#[track_caller]
pub fn l1_penalty(parameters: &[(String, Param)]) -> Tensor {
    total(parameters, |p| p.abs().sum())
}

/// The sum of all parameters' squares, a scalar: `loss + l2_penalty(&weights) * 1e-4` keeps weights small (ridge). Without parameters, 0.
///
/// Its gradient is twice the parameter: a factor `c` here is a weight decay of `2 c` in [`Sgd`](crate::Sgd).
#[track_caller]
pub fn l2_penalty(parameters: &[(String, Param)]) -> Tensor {
    total(parameters, |p| p.square().sum())
}

#[track_caller]
fn total(parameters: &[(String, Param)], term: fn(&Tensor) -> Tensor) -> Tensor {
    let mut sum: Option<Tensor> = None;
    for (_, param) in parameters {
        let next = term(param);
        sum = Some(match sum {
            Some(before) => before + next,
            None => next,
        });
    }
    sum.unwrap_or_else(|| Tensor::zeros(noyau_tensor::Shape::scalar()))
}

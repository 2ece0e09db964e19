//! A table of vectors, looked up by index.

use noyau_tensor::{Error, Init, Param, Tensor};

use super::{no_parameter, parameter};
use crate::fault::fail;
use crate::{Mode, Module, init};

/// A vector for each index: `[..]` (u32 or i32) to `[.., dimension]`.
///
/// Vectors begin normally distributed with mean 0 and standard deviation 1, as in PyTorch. An index outside of the table gives zeros: nothing
/// can be raised from inside a step.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[count, dimension]`.
    pub weight: Param,
    problem: Option<Error>,
}

impl Embedding {
    /// A table of `count` vectors of `dimension` elements.
    #[track_caller]
    pub fn new(count: usize, dimension: usize) -> Embedding {
        match parameter("Embedding", "weight", [count, dimension], init::normal(0.0, 1.0)) {
            Ok(weight) => Embedding { weight, problem: None },
            Err(error) => Embedding { weight: no_parameter("weight"), problem: Some(error) },
        }
    }

    /// The layer with another initialisation of its table.
    #[track_caller]
    pub fn init(mut self, weight: Init) -> Embedding {
        self.weight = Param::new("weight", self.weight.shape(), weight);
        self
    }
}

impl Module for Embedding {
    #[track_caller]
    fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
        if let Some(error) = &self.problem {
            return Tensor::invalid(error.clone());
        }
        if x.error().is_some() {
            return x.clone();
        }
        if !x.dtype().is_int() {
            return fail("Embedding", format!("the input is {}{}, not indices of type u32 or i32", x.dtype(), x.shape()));
        }
        let [_, dimension] = self.weight.shape()[..] else {
            return fail(
                "Embedding",
                format!("the table has been replaced by one of shape {}, not [count, dimension]", self.weight.shape()),
            );
        };
        let rows = self.weight.index_select(0, &x.reshape([x.numel()]));
        let mut sizes = x.shape().to_vec();
        sizes.push(dimension);
        rows.reshape(sizes)
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        vec![("weight".into(), self.weight.clone())]
    }
}

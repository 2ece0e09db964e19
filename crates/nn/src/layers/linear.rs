//! The fully connected layer.

use noyau_tensor::{Error, Init, Param, Tensor};

use super::{check_float, no_parameter, parameter};
use crate::fault::fail;
use crate::{Mode, Module, init};

/// `y = x W^T + b`: a fully connected layer, `[.., in] -> [.., out]`.
///
/// The weight is stored `[out, in]` as in PyTorch, whose default initialisation this is too: weight and bias uniform in
/// `[-1/sqrt(in), 1/sqrt(in)]` (kaiming uniform with `a = sqrt(5)`).
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param,
    /// `[out]`.
    pub bias: Option<Param>,
    problem: Option<Error>,
}

impl Linear {
    /// A layer that takes `inputs` features and gives `outputs`.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize) -> Linear {
        let bound = if inputs == 0 { 0.0 } else { 1.0 / (inputs as f64).sqrt() };
        let made = parameter("Linear", "weight", [outputs, inputs], init::uniform(-bound, bound))
            .and_then(|weight| Ok((weight, parameter("Linear", "bias", [outputs], init::uniform(-bound, bound))?)));
        match made {
            Ok((weight, bias)) => Linear { weight, bias: Some(bias), problem: None },
            Err(error) => Linear { weight: no_parameter("weight"), bias: None, problem: Some(error) },
        }
    }

    /// The layer with another initialisation of its weight.
    #[track_caller]
    pub fn init(mut self, weight: Init) -> Linear {
        self.weight = Param::new("weight", self.weight.shape(), weight);
        self
    }

    /// The layer with another initialisation of its bias, if it has one.
    #[track_caller]
    pub fn bias_init(mut self, bias: Init) -> Linear {
        self.bias = self.bias.map(|old| Param::new("bias", old.shape(), bias));
        self
    }

    /// The layer without a bias: `y = x W^T`.
    pub fn without_bias(mut self) -> Linear {
        self.bias = None;
        self
    }
}

impl Module for Linear {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        if let Some(error) = &self.problem {
            return Tensor::invalid(error.clone());
        }
        if let Err(error) = check_float("Linear", x) {
            return error;
        }
        let [outputs, inputs] = self.weight.shape()[..] else {
            return fail("Linear", format!("the weight has been replaced by one of shape {}, not [out, in]", self.weight.shape()));
        };
        if x.shape().last() != Some(&inputs) {
            let message = match x.shape().last() {
                Some(found) => {
                    format!("the layer takes {inputs} features and gives {outputs}; the input {} has {found} on its last axis", x.shape())
                }
                None => format!("the layer takes {inputs} features and gives {outputs}; the input is a scalar"),
            };
            return fail("Linear", message);
        }
        let product = mode.cast(x).matmul(&mode.cast(&self.weight).t());
        match &self.bias {
            Some(bias) => product + mode.cast(bias),
            None => product,
        }
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        let weight = [("weight".to_string(), self.weight.clone())];
        weight.into_iter().chain(self.bias.iter().map(|bias| ("bias".to_string(), bias.clone()))).collect()
    }
}

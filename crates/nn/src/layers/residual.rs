//! A way around a module.

use noyau_tensor::{Param, Tensor};

use crate::fault::fail;
use crate::mixed::wide;
use crate::{Mode, Module};

/// `x + f(x)`, for a module `f` (the field) whose result has its input's shape. Parameters have the names that they have in `f`.
///
/// Source: He et al., "Deep residual learning for image recognition", CVPR 2016.
#[derive(Clone, Copy, Debug, Default)]
pub struct Residual<M>(pub M);

impl<M: Module> Module for Residual<M> {
    #[track_caller]
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let y = self.0.forward(x, mode);
        match (x.error(), y.error()) {
            (Some(_), _) => x.clone(),
            (None, Some(_)) => y,
            (None, None) if x.shape() == y.shape() && x.dtype() != y.dtype() => wide(x) + wide(&y),
            (None, None) if x.shape() == y.shape() => x + y,
            (None, None) => fail(
                "Residual",
                format!("the input {} and the module's result {} differ in shape; they cannot be added", x.shape(), y.shape()),
            ),
        }
    }

    fn parameters(&self) -> Vec<(String, Param)> {
        self.0.parameters()
    }

    fn buffers(&self) -> Vec<(String, Param)> {
        self.0.buffers()
    }
}

//! Activations beyond those of `noyau::nn`, by PyTorch's names.

use std::panic::Location as CallerLocation;

use crate::Tensor;

impl Tensor {
    /// `log(sigmoid(x))`, accurate where that underflows: `min(x, 0) - log1p(e^-|x|)`.
    #[track_caller]
    pub fn logsigmoid(&self) -> Tensor {
        match self.not_float("logsigmoid") {
            Some(mistake) => mistake,
            None => {
                // Choices, not minimum and abs: they have the right derivative at 0, of every order.
                let positive = self.gt(0.0);
                positive.where_(0.0, self) - positive.where_(-self, self).exp().log1p()
            }
        }
    }

    /// `x tanh(softplus(x))`. Source: Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    #[track_caller]
    pub fn mish(&self) -> Tensor {
        match self.not_float("mish") {
            Some(mistake) => mistake,
            None => {
                let positive = self.gt(0.0);
                self * (positive.where_(self, 0.0) + positive.where_(-self, self).exp().log1p()).tanh()
            }
        }
    }

    /// Elements limited to `low..=high`: [`Tensor::clamp`], but with gradient 0 at the bounds too, as PyTorch's `hardtanh` has it.
    #[track_caller]
    pub fn hardtanh(&self, low: f32, high: f32) -> Tensor {
        let location = CallerLocation::caller();
        if low.is_nan() || high.is_nan() || low > high {
            return Tensor::fail("hardtanh", format!("the lower bound {low} is above the upper bound {high}; swap them"), location);
        }
        match self.not_float("hardtanh") {
            Some(mistake) => mistake,
            None => self.le(low).where_(low, self.ge(high).where_(high, self)),
        }
    }

    /// `x` limited to 0..=6. Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    #[track_caller]
    pub fn relu6(&self) -> Tensor {
        self.hardtanh(0.0, 6.0)
    }

    /// `x / 6 + 1/2` limited to 0..=1: a sigmoid of straight lines. Source: Howard et al., "Searching for MobileNetV3", ICCV 2019.
    #[track_caller]
    pub fn hardsigmoid(&self) -> Tensor {
        (self + 3.0).relu6() * self.number(1.0 / 6.0)
    }

    /// `x hardsigmoid(x)`. Source: Howard et al., "Searching for MobileNetV3", ICCV 2019.
    #[track_caller]
    pub fn hardswish(&self) -> Tensor {
        self * self.hardsigmoid()
    }

    /// `x / (1 + |x|)`.
    #[track_caller]
    pub fn softsign(&self) -> Tensor {
        match self.not_float("softsign") {
            Some(mistake) => mistake,
            // The choice has the derivative 1 at 0; that of abs would make no difference to it, but to higher ones.
            None => self / (self.lt(0.0).where_(-self, self) + 1.0),
        }
    }

    /// `scale x` for positive elements, else `scale alpha (e^x - 1)`, with the constants that keep mean 0 and variance 1. Source: Klambauer
    /// et al., "Self-normalizing neural networks", NeurIPS 2017.
    #[track_caller]
    pub fn selu(&self) -> Tensor {
        match self.not_float("selu") {
            Some(mistake) => mistake,
            None => {
                let (alpha, scale) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
                let positive = self.gt(0.0);
                let exponential = positive.where_(0.0, self).expm1() * self.number(alpha * scale);
                positive.where_(self * self.number(scale), exponential)
            }
        }
    }

    /// `x` for positive elements, else `alpha (e^(x / alpha) - 1)`, `alpha` not 0. Source: Barron, "Continuously differentiable exponential
    /// linear units", 2017.
    #[track_caller]
    pub fn celu(&self, alpha: f32) -> Tensor {
        let location = CallerLocation::caller();
        if alpha == 0.0 || !alpha.is_finite() {
            return Tensor::fail("celu", format!("alpha {alpha}: must be finite and not 0"), location);
        }
        match self.not_float("celu") {
            Some(mistake) => mistake,
            None => {
                let positive = self.gt(0.0);
                positive.where_(self, (positive.where_(0.0, self) / alpha).expm1() * alpha)
            }
        }
    }

    /// `x - tanh(x)`.
    #[track_caller]
    pub fn tanhshrink(&self) -> Tensor {
        self - self.tanh()
    }

    /// `x` moved towards 0 by `lambda` (not negative), and 0 where it would pass it.
    #[track_caller]
    pub fn softshrink(&self, lambda: f32) -> Tensor {
        let location = CallerLocation::caller();
        if lambda.is_nan() || lambda < 0.0 {
            return Tensor::fail("softshrink", format!("lambda {lambda}: must not be negative"), location);
        }
        match self.not_float("softshrink") {
            Some(mistake) => mistake,
            None => self.gt(lambda).where_(self - lambda, self.lt(-lambda).where_(self + lambda, 0.0)),
        }
    }

    /// `x` where its magnitude is above `lambda`, else 0.
    #[track_caller]
    pub fn hardshrink(&self, lambda: f32) -> Tensor {
        match self.not_float("hardshrink") {
            Some(mistake) => mistake,
            None => self.abs().gt(lambda).where_(self, 0.0),
        }
    }

    /// `x` where it is above `threshold`, else `value`.
    #[track_caller]
    pub fn threshold(&self, threshold: f32, value: f32) -> Tensor {
        match self.not_float("threshold") {
            Some(mistake) => mistake,
            None => self.gt(threshold).where_(self, value),
        }
    }

    /// The first half of an axis (negative counts from the end) times the sigmoid of the second. Source: Dauphin et al., "Language modeling
    /// with gated convolutional networks", ICML 2017.
    #[track_caller]
    pub fn glu(&self, axis: isize) -> Tensor {
        let location = CallerLocation::caller();
        match self.axis("glu", axis) {
            Err(mistake) => mistake,
            Ok(index) if self.shape()[index] % 2 == 1 => {
                Tensor::fail("glu", format!("axis {index} of {} has no halves", self.shape()), location)
            }
            Ok(index) => {
                let half = self.shape()[index] / 2;
                self.slice(axis, ..half) * self.slice(axis, half..).sigmoid()
            }
        }
    }

    /// `softplus(beta x) / beta`, a smooth ReLU with a corner as sharp as `beta` (positive) says; PyTorch's default is 1, which is
    /// `noyau::nn`'s `softplus`.
    #[track_caller]
    pub fn softplus_beta(&self, beta: f32) -> Tensor {
        let location = CallerLocation::caller();
        if !(beta > 0.0 && beta.is_finite()) {
            return Tensor::fail("softplus_beta", format!("beta {beta}: must be positive and finite"), location);
        }
        match self.not_float("softplus_beta") {
            Some(mistake) => mistake,
            None => (self * -beta).logsigmoid() * (-1.0 / beta),
        }
    }
}

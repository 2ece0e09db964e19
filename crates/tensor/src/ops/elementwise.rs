//! Functions of each element: arithmetic by name, comparisons, choice, conversions.

use std::panic::Location as CallerLocation;

use super::Operand;
use crate::{BinaryOp, DType, Location, Op, Tensor, UnaryOp};

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $method:ident => $op:expr;)*) => {
        /// Functions of one element; the result has the operand's shape and type.
        impl Tensor {
            $($(#[$doc])*
            #[track_caller]
            pub fn $method(&self) -> Tensor {
                self.unary($op, CallerLocation::caller())
            })*
        }
    };
}

unary_methods! {
    /// The absolute value.
    abs => UnaryOp::Abs;
    /// -1 for negative elements, 1 for positive ones, 0 for 0.
    sign => UnaryOp::Sign;
    /// The largest integer that is not above.
    floor => UnaryOp::Floor;
    /// The smallest integer that is not below.
    ceil => UnaryOp::Ceil;
    /// The nearest integer; halves go to the even one, as in PyTorch.
    round => UnaryOp::Round;
    /// The square root.
    sqrt => UnaryOp::Sqrt;
    /// `1 / sqrt(x)`.
    rsqrt => UnaryOp::Rsqrt;
    /// `1 / x`.
    reciprocal => UnaryOp::Recip;
    /// `e^x`.
    exp => UnaryOp::Exp;
    /// `e^x - 1`, accurate near 0.
    expm1 => UnaryOp::Expm1;
    /// The natural logarithm.
    log => UnaryOp::Log;
    /// `log(1 + x)`, accurate near 0.
    log1p => UnaryOp::Log1p;
    /// The sine, of radians.
    sin => UnaryOp::Sin;
    /// The cosine, of radians.
    cos => UnaryOp::Cos;
    /// The hyperbolic tangent.
    tanh => UnaryOp::Tanh;
    /// The error function.
    erf => UnaryOp::Erf;
    /// `max(x, 0)`; its gradient at 0 is 0.
    relu => UnaryOp::Relu;
    /// Logical not of bools, bitwise not of integers.
    logical_not => UnaryOp::Not;
}

macro_rules! binary_methods {
    ($($(#[$doc:meta])* $method:ident => $op:expr;)*) => {
        /// Functions of two elements; shapes broadcast, a number takes the tensor's type.
        impl Tensor {
            $($(#[$doc])*
            #[track_caller]
            pub fn $method(&self, other: impl Operand) -> Tensor {
                let location = CallerLocation::caller();
                let other = other.beside(self, location);
                self.binary($op, &other, location)
            })*
        }
    };
}

binary_methods! {
    /// `self` to the power of `other`.
    pow => BinaryOp::Pow;
    /// The smaller of two elements.
    minimum => BinaryOp::Min;
    /// The larger of two elements.
    maximum => BinaryOp::Max;
    /// `self < other`.
    lt => BinaryOp::Lt;
    /// `self <= other`.
    le => BinaryOp::Le;
    /// `self == other`.
    eq => BinaryOp::Eq;
    /// `self != other`.
    ne => BinaryOp::Ne;
    /// Both (bools), or bitwise and (integers).
    logical_and => BinaryOp::And;
    /// Either (bools), or bitwise or (integers).
    logical_or => BinaryOp::Or;
    /// One but not both (bools), or bitwise exclusive or (integers).
    logical_xor => BinaryOp::Xor;
    /// Integers shifted to the left by less than 32 bits.
    shl => BinaryOp::Shl;
    /// Integers shifted to the right by less than 32 bits.
    shr => BinaryOp::Shr;
}

impl Tensor {
    pub(crate) fn unary(&self, op: UnaryOp, location: Location) -> Tensor {
        let rule = if op.accepts(self.dtype()) {
            Ok((self.shape().clone(), self.dtype()))
        } else {
            Err(format!("not defined for {}; convert with .to(DType)", self.dtype()))
        };
        Tensor::apply(Op::Unary(op), vec![self.clone()], rule, location)
    }

    /// `self > other`, a bool.
    #[track_caller]
    pub fn gt(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        other.beside(self, location).binary(BinaryOp::Lt, self, location)
    }

    /// `self >= other`, a bool.
    #[track_caller]
    pub fn ge(&self, other: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        other.beside(self, location).binary(BinaryOp::Le, self, location)
    }

    /// `x^2`.
    #[track_caller]
    pub fn square(&self) -> Tensor {
        self * self
    }

    /// `x^n` for a whole number `n`, by repeated multiplication: right for negative elements too.
    #[track_caller]
    pub fn powi(&self, n: i32) -> Tensor {
        let mut result: Option<Tensor> = None;
        let mut square = self.clone();
        let mut rest = n.unsigned_abs();
        while rest > 0 {
            if rest & 1 == 1 {
                result = Some(result.map_or_else(|| square.clone(), |r| r * &square));
            }
            rest >>= 1;
            if rest > 0 {
                square = square.square();
            }
        }
        match result {
            None => self.ones_like(),
            Some(power) if n < 0 => power.reciprocal(),
            Some(power) => power,
        }
    }

    /// The logistic function `1 / (1 + e^-x)`, written by `tanh` so that neither end overflows.
    #[track_caller]
    pub fn sigmoid(&self) -> Tensor {
        (self * 0.5).tanh() * 0.5 + 0.5
    }

    /// Elements limited to `low..=high`; the gradient is 0 outside. An error when `low > high`.
    #[track_caller]
    pub fn clamp(&self, low: f32, high: f32) -> Tensor {
        let location = CallerLocation::caller();
        if low.is_nan() || high.is_nan() || low > high {
            return Tensor::fail("clamp", format!("the lower bound {low} is above the upper bound {high}; swap them"), location);
        }
        let below = self.lt(low);
        let above = self.gt(high);
        below.where_(low.beside(self, location), above.where_(high.beside(self, location), self))
    }

    /// Where `self` (a bool) holds the element of `then`, elsewhere that of `otherwise`; shapes broadcast.
    #[track_caller]
    pub fn where_(&self, then: impl Operand, otherwise: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let probe = Tensor::apply(Op::Full(crate::Scalar::Float(0.0)), Vec::new(), Ok((crate::Shape::scalar(), DType::F32)), location);
        let mut then = then.beside(&probe, location);
        let mut otherwise = otherwise.beside(&then, location);
        // A number takes the other choice's type.
        match (then.weak_number(), otherwise.weak_number()) {
            (Some(value), _) if otherwise.dtype().is_half() => then = otherwise.number(value),
            (_, Some(value)) if then.dtype().is_half() => otherwise = then.number(value),
            _ => {}
        }
        for t in [self, &then, &otherwise] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        if self.dtype() != DType::Bool {
            return Tensor::fail("where", format!("the condition is of type {}, not bool; compare it first", self.dtype()), location);
        }
        if then.dtype() != otherwise.dtype() {
            return Tensor::fail("where", format!("the choices' types {} and {} differ", then.dtype(), otherwise.dtype()), location);
        }
        let Some(shape) = self.shape().broadcast(then.shape()).and_then(|s| s.broadcast(otherwise.shape())) else {
            let message = format!("shapes {}, {} and {} do not broadcast", self.shape(), then.shape(), otherwise.shape());
            return Tensor::fail("where", message, location);
        };
        let dtype = then.dtype();
        let inputs = [self, &then, &otherwise].map(|t| t.broadcast_at(&shape, location)).to_vec();
        Tensor::apply(Op::Where, inputs, Ok((shape, dtype)), location)
    }

    /// The elements as another type: floats to integers round toward zero and saturate (a NaN becomes 0), to bool is `x != 0`, from bool is 0 or 1.
    #[track_caller]
    pub fn to(&self, dtype: DType) -> Tensor {
        if dtype == self.dtype() {
            return self.clone();
        }
        Tensor::apply(Op::Cast(dtype), vec![self.clone()], Ok((self.shape().clone(), dtype)), CallerLocation::caller())
    }

    /// The same values, through which no gradient flows.
    #[track_caller]
    pub fn detach(&self) -> Tensor {
        Tensor::apply(Op::Detach, vec![self.clone()], Ok((self.shape().clone(), self.dtype())), CallerLocation::caller())
    }
}

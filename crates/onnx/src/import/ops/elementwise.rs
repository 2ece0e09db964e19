//! Element by element: arithmetic, comparisons, activations.

use noyau_tensor::{DType, Scalar, Shape, Tensor};

use super::Function;
use crate::import::call::{Call, Made, axis, like, one};
use crate::import::tensors;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("Abs", |c| if c.tensor(0)?.dtype() == DType::U32 { one(c.tensor(0)?) } else { one(c.tensor(0)?.abs()) }),
    ("Acos", |c| one(c.float(0)?.acos())),
    ("Acosh", |c| one(c.float(0)?.acosh())),
    ("Add", |c| binary(c, |a, b| a + b)),
    ("And", |c| binary(c, |a, b| a.logical_and(b))),
    ("Asin", |c| one(c.float(0)?.asin())),
    ("Asinh", |c| one(c.float(0)?.asinh())),
    ("Atan", |c| one(c.float(0)?.atan())),
    ("Atanh", |c| one(c.float(0)?.atanh())),
    ("Cast", cast),
    ("Ceil", |c| one(c.float(0)?.ceil())),
    ("Celu", |c| one(c.float(0)?.celu(c.real("alpha", 1.0)))),
    ("Clip", clip),
    ("Cos", |c| one(c.float(0)?.cos())),
    ("Cosh", |c| one(c.float(0)?.cosh())),
    ("Div", |c| binary(c, |a, b| a / b)),
    ("Elu", elu),
    ("Equal", |c| binary(c, |a, b| a.eq(b))),
    ("Erf", |c| one(c.float(0)?.erf())),
    ("Exp", |c| one(c.float(0)?.exp())),
    ("Floor", |c| one(c.float(0)?.floor())),
    ("Gelu", gelu),
    ("Greater", |c| binary(c, |a, b| a.gt(b))),
    ("GreaterOrEqual", |c| binary(c, |a, b| a.ge(b))),
    ("HardSigmoid", |c| one((c.float(0)? * c.real("alpha", 0.2) + c.real("beta", 0.5)).clamp(0.0, 1.0))),
    ("HardSwish", |c| one(c.float(0)?.hardswish())),
    ("Identity", |c| Ok(vec![c.value(0)?.clone()])),
    ("IsInf", |c| {
        let x = c.float(0)?;
        let found = match (c.flag("detect_positive", true), c.flag("detect_negative", true)) {
            (true, true) => x.isinf(),
            (false, false) => x.isinf().logical_and(x.isnan()),
            (up, _) => x.isinf().logical_and(if up { x.gt(0.0) } else { x.lt(0.0) }),
        };
        one(found)
    }),
    ("IsNaN", |c| one(c.float(0)?.isnan())),
    ("LeakyRelu", leaky_relu),
    ("Less", |c| binary(c, |a, b| a.lt(b))),
    ("LessOrEqual", |c| binary(c, |a, b| a.le(b))),
    ("Log", |c| one(c.float(0)?.log())),
    ("Max", |c| many(c, |a, b| a.maximum(b))),
    ("Mean", |c| Ok(vec![(c_sum(c)? / c.count() as f32).into()])),
    ("Min", |c| many(c, |a, b| a.minimum(b))),
    ("Mish", |c| one(c.float(0)?.mish())),
    ("Mod", modulo),
    ("Mul", |c| binary(c, |a, b| a * b)),
    ("Neg", |c| one(-c.tensor(0)?)),
    ("Not", |c| one(c.tensor(0)?.logical_not())),
    ("Or", |c| binary(c, |a, b| a.logical_or(b))),
    ("PRelu", prelu),
    ("Pow", pow),
    ("Reciprocal", |c| one(c.float(0)?.reciprocal())),
    ("Relu", |c| one(c.tensor(0)?.relu())),
    ("Round", |c| one(c.float(0)?.round())),
    ("Selu", selu),
    ("Shrink", shrink),
    ("Sigmoid", |c| one(c.float(0)?.sigmoid())),
    ("Sign", |c| one(c.tensor(0)?.sign())),
    ("Sin", |c| one(c.float(0)?.sin())),
    ("Sinh", |c| one(c.float(0)?.sinh())),
    ("Softplus", |c| one(c.float(0)?.softplus_beta(1.0))),
    ("Softsign", |c| one(c.float(0)?.softsign())),
    ("Sqrt", |c| one(c.float(0)?.sqrt())),
    ("Sub", |c| binary(c, |a, b| a - b)),
    ("Sum", |c| many(c, |a, b| a + b)),
    ("Tan", |c| one(c.float(0)?.tan())),
    ("Tanh", |c| one(c.float(0)?.tanh())),
    ("ThresholdedRelu", |c| one(c.float(0)?.threshold(c.real("alpha", 1.0), 0.0))),
    ("Where", |c| one(c.tensor(0)?.where_(c.tensor(1)?, c.tensor(2)?))),
    ("Xor", |c| binary(c, |a, b| a.logical_xor(b))),
];

/// Two operands that broadcast: by NumPy's rule, before version 7 along a named axis.
fn binary(call: &Call, make: fn(&Tensor, &Tensor) -> Tensor) -> Made {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let b = if call.opset < 7 && call.flag("broadcast", false) && call.given("axis") { along(call, &a, &b)? } else { b };
    one(make(&a, &b))
}

/// The second operand with its axes laid along those of the first that begin at `axis`.
fn along(call: &Call, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let start = axis(call.int("axis", 0), a.rank())?;
    if start + b.rank() > a.rank() {
        return Err(format!("{} cannot lie along axis {start} of {}", b.shape(), a.shape()));
    }
    let shape: Shape = b.shape().iter().copied().chain(vec![1; a.rank() - start - b.rank()]).collect();
    Ok(b.reshape(shape))
}

fn many(call: &Call, make: fn(&Tensor, &Tensor) -> Tensor) -> Made {
    let all = call.tensors()?;
    let (first, rest) = all.split_first().ok_or("has no operands")?;
    one(rest.iter().fold(first.clone(), |a, b| make(&a, b)))
}

fn c_sum(call: &Call) -> Result<Tensor, String> {
    many(call, |a, b| a + b)?[0].tensor()
}

fn cast(call: &Call) -> Made {
    let kind = tensors::kind(call.int("to", 0) as i32).map_err(|message| format!("the attribute `to` {message}"))?;
    one(call.tensor(0)?.to(crate::import::value::dtype(kind)?))
}

fn clip(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let bound = |position: usize, name: &str| -> Result<Option<Tensor>, String> {
        if call.given(name) { Ok(Some(like(&Tensor::from(call.real(name, 0.0)), &x))) } else { call.optional(position) }
    };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    let x = low.map_or(x.clone(), |low| x.maximum(low));
    one(high.map_or(x.clone(), |high| x.minimum(high)))
}

fn elu(call: &Call) -> Made {
    let x = call.float(0)?;
    one(x.gt(0.0).where_(&x, x.minimum(0.0).expm1() * call.real("alpha", 1.0)))
}

/// The constants are the file's, or those of the paper to ONNX's digits.
fn selu(call: &Call) -> Made {
    let x = call.float(0)?;
    let (alpha, gamma) = (call.real("alpha", 1.673_263_2), call.real("gamma", 1.050_701));
    one(x.gt(0.0).where_(&x, x.minimum(0.0).expm1() * alpha) * gamma)
}

fn gelu(call: &Call) -> Made {
    let x = call.float(0)?;
    one(if call.text("approximate", "none") == "tanh" { noyau_nn::activation::gelu_tanh(&x) } else { noyau_nn::activation::gelu(&x) })
}

/// Of 2^32, as numbers without sign are written: what i32 does not hold then is its largest value.
fn modulo(call: &Call) -> Made {
    let fmod = call.flag("fmod", false);
    let words = call.run.known(call.value(1)?)?.is_some_and(|k| k.data.len() == 1 && k.to_f64() == [4_294_967_296.0]);
    if words && !fmod && call.tensor(0)?.dtype() == DType::I32 {
        let x = call.tensor(0)?;
        return one(x.lt(0).where_(Tensor::full(x.shape(), Scalar::Int(i32::MAX)), &x));
    }
    if fmod { binary(call, |a, b| a.fmod(b)) } else { binary(call, |a, b| a.remainder(b)) }
}

fn leaky_relu(call: &Call) -> Made {
    let x = call.float(0)?;
    one(x.ge(0.0).where_(&x, &x * call.real("alpha", 0.01)))
}

/// Slopes broadcast to the input; before version 7 one stands for each channel.
fn prelu(call: &Call) -> Made {
    let (x, slope) = (call.float(0)?, call.float(1)?);
    let channels = call.opset < 7 && slope.rank() == 1 && slope.numel() > 1 && x.rank() > 1;
    let slope = if channels { slope.reshape([slope.numel()].into_iter().chain(vec![1; x.rank() - 2]).collect::<Shape>()) } else { slope };
    one(x.ge(0.0).where_(&x, &x * slope))
}

/// Integers are raised by way of f32, exactly as far as that goes, unless the exponent is a small constant.
fn pow(call: &Call) -> Made {
    let (x, power) = (call.tensor(0)?, call.tensor(1)?);
    if x.dtype().is_int() {
        if let Some(n) = call.run.known(call.value(1)?)?.filter(|k| k.data.len() == 1).map(|k| k.to_f64()[0])
            && n == n.trunc()
            && (1.0..=16.0).contains(&n)
            && power.rank() <= x.rank()
        {
            return one((1..n as usize).fold(x.clone(), |y, _| y * &x));
        }
        return one(x.to(DType::F32).pow(power.to(DType::F32)).round().to(x.dtype()));
    }
    if !x.dtype().is_float() {
        return Err(format!("operand 0 is of {}", x.dtype()));
    }
    if let Some(n) = call.run.known(call.value(1)?)?.filter(|k| k.data.len() == 1).map(|k| k.to_f64()[0])
        && n == n.trunc()
        && n.abs() <= 16.0
        && power.rank() <= x.rank()
    {
        return one(x.powi(n as i32).expand(x.shape().broadcast(power.shape()).ok_or("the shapes do not broadcast")?));
    }
    let power = if call.opset < 7 && call.flag("broadcast", false) && call.given("axis") { along(call, &x, &power)? } else { power };
    one(x.pow(like(&power, &x)))
}

fn shrink(call: &Call) -> Made {
    let (x, bias, lambda) = (call.float(0)?, call.real("bias", 0.0), call.real("lambd", 0.5));
    let inside = x.zeros_like();
    one(x.lt(-lambda).where_(&x + bias, x.gt(lambda).where_(&x - bias, inside)))
}

//! Whole numbers as bits, quantised values, and types that another operand says.

use noyau_tensor::{DType, Scalar, Shape, Tensor};

use super::Function;
use crate::DataType;
use crate::import::call::{Call, Made, axis, one};
use crate::import::tensors;
use crate::import::value::{bounds, dtype};

pub(super) const TABLE: &[(&str, Function)] = &[
    ("BitShift", shift),
    ("BitwiseAnd", |c| integers(c, |a, b| a.logical_and(b))),
    ("BitwiseNot", not),
    ("BitwiseOr", |c| integers(c, |a, b| a.logical_or(b))),
    ("BitwiseXor", |c| integers(c, |a, b| a.logical_xor(b))),
    ("CastLike", |c| {
        // The operand's own type, where it is one that the file says: elements that noyau cannot hold are refused.
        let like = match c.kind(1) {
            Some(kind) => dtype(kind)?,
            None => c.tensor(1)?.dtype(),
        };
        one(c.tensor(0)?.to(like))
    }),
    ("DequantizeLinear", dequantize),
    ("DynamicQuantizeLinear", dynamic),
    ("MatMulInteger", product),
    ("QuantizeLinear", quantize),
];

fn integers(call: &Call, make: fn(&Tensor, &Tensor) -> Tensor) -> Made {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    wide(call)?;
    one(make(&a, &b))
}

/// Refuses what has more bits than noyau's integers.
fn wide(call: &Call) -> Result<(), String> {
    match call.kind(0) {
        Some(kind @ (DataType::Int64 | DataType::Uint64)) => {
            Err(format!("works on the bits of {}, of which 32 are there: not supported", kind.as_str_name()))
        }
        _ => Ok(()),
    }
}

/// How many bits the elements have, and whether one is the sign.
fn width(call: &Call, dtype: DType) -> (i32, bool) {
    match call.kind(0) {
        Some(DataType::Uint8) => (8, false),
        Some(DataType::Int8) => (8, true),
        Some(DataType::Uint16) => (16, false),
        Some(DataType::Int16) => (16, true),
        _ => (32, dtype == DType::I32),
    }
}

/// Numbers of fewer than 32 bits as their type holds them.
fn trimmed(call: &Call, x: Tensor) -> Tensor {
    match width(call, x.dtype()) {
        (32, _) => x,
        (bits, false) => x.logical_and((1i32 << bits) - 1),
        (bits, true) => x.shl(32 - bits).shr(32 - bits),
    }
}

/// A shift by as many bits as there are, or by a negative number, leaves nothing but the sign.
fn shift(call: &Call) -> Made {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    wide(call)?;
    let (bits, signed) = width(call, a.dtype());
    let scalar = |v: i32, t: &Tensor| Tensor::full([0usize; 0], Scalar::new(v.into(), t.dtype()));
    let far = b.ge(scalar(bits, &b)).logical_or(b.lt(scalar(0, &b)));
    let b = far.where_(scalar(0, &b), &b);
    let shape = a.shape().broadcast(b.shape()).ok_or("the shapes do not broadcast")?;
    let (shifted, rest) = match call.text("direction", "").as_str() {
        "LEFT" => (a.shl(&b), scalar(0, &a)),
        "RIGHT" if signed => (a.shr(&b), a.shr(31)),
        "RIGHT" => (a.shr(&b), scalar(0, &a)),
        other => return Err(format!("the direction {other:?} is neither LEFT nor RIGHT")),
    };
    one(trimmed(call, far.expand(shape.clone()).where_(rest.expand(shape), shifted)))
}

fn not(call: &Call) -> Made {
    let x = call.tensor(0)?;
    wide(call)?;
    let ones = Tensor::full([0usize; 0], if x.dtype() == DType::U32 { Scalar::Uint(u32::MAX) } else { Scalar::Int(-1) });
    one(trimmed(call, x.logical_xor(ones)))
}

/// A scale or a zero point beside `x`: one for all, or one for each place of an axis.
fn beside(call: &Call, i: usize, x: &Tensor) -> Result<Option<Tensor>, String> {
    let Some(t) = call.optional(i)? else { return Ok(None) };
    if call.int("block_size", 0) != 0 {
        return Err("scales of blocks (block_size) are not supported".into());
    }
    let t = t.to(DType::F32);
    if t.numel() == 1 {
        return Ok(Some(t.reshape([0usize; 0])));
    }
    let at = axis(call.int("axis", 1), x.rank())?;
    if t.rank() != 1 || t.numel() != x.shape()[at] {
        return Err(format!("operand {i} of {} for axis {at} of {}", t.shape(), x.shape()));
    }
    let shape: Shape = (0..x.rank()).map(|k| if k == at { t.numel() } else { 1 }).collect();
    Ok(Some(t.reshape(shape)))
}

fn dequantize(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let scale = beside(call, 1, &x)?.ok_or("the scale is missing")?;
    let wanted = match call.int("output_dtype", 0) {
        0 => call.tensor(1)?.dtype(),
        number => dtype(tensors::kind(number as i32)?)?,
    };
    let zero = beside(call, 2, &x)?;
    let x = x.to(DType::F32);
    one((zero.map_or(x.clone(), |zero| x - zero) * scale).to(wanted))
}

/// The integer type of the result: that of the zero point, or what an attribute says.
fn quantized(call: &Call) -> Result<(DataType, f32, f32), String> {
    let kind = match (call.kind(2), call.int("output_dtype", 0)) {
        (Some(kind), _) => kind,
        (None, 0) if call.has(2) => return Err("the type of the zero point is not known, which is not supported".into()),
        (None, 0) => DataType::Uint8,
        (None, number) => tensors::kind(number as i32)?,
    };
    match bounds(kind) {
        Some((low, high)) if high <= 65535 && low >= -32768 && high > 1 => Ok((kind, low as f32, high as f32)),
        _ => Err(format!("values quantised as {} are not supported; 8 and 16 bits are", kind.as_str_name())),
    }
}

fn quantize(call: &Call) -> Made {
    let x = call.tensor(0)?;
    let scale = beside(call, 1, &x)?.ok_or("the scale is missing")?;
    let (kind, low, high) = quantized(call)?;
    let zero = beside(call, 2, &x)?;
    let steps = (x.to(DType::F32) / scale).round();
    one(zero.map_or(steps.clone(), |zero| steps + zero).clamp(low, high).to(dtype(kind)?))
}

/// To uint8, by the range of the values themselves, which is widened to hold 0.
fn dynamic(call: &Call) -> Made {
    let x = call.float(0)?;
    let all: Vec<isize> = (0..x.rank() as isize).collect();
    let (low, high) = (x.min(&all).minimum(0.0), x.max(&all).maximum(0.0));
    let scale = (high - &low) / 255.0;
    let zero = (-low / &scale).round().clamp(0.0, 255.0);
    let y = ((x / &scale).round() + &zero).clamp(0.0, 255.0).to(DType::I32);
    Ok(vec![y.into(), scale.into(), zero.to(DType::I32).into()])
}

/// The product of quantised matrices: sums up to 2^24 are exact.
fn product(call: &Call) -> Made {
    let shifted = |i: usize| -> Result<Tensor, String> {
        let x = call.tensor(i)?.to(DType::F32);
        let Some(zero) = call.optional(i + 2)? else { return Ok(x) };
        let zero = zero.to(DType::F32);
        // A zero point for each row of the first matrix, or for each column of the second.
        Ok(if i == 0 && zero.rank() == 1 && zero.numel() > 1 { x - zero.unsqueeze(-1) } else { x - zero })
    };
    one(shifted(0)?.matmul(&shifted(1)?).to(DType::I32))
}

//! Four neighbouring elements at a time: every elementwise op on vectors of four, and what of a body is the same for all four.

use noyau_compile::plan::{Body, Instr, Level};
use noyau_tensor::{BinaryOp, DType, Scalar, UnaryOp};

use crate::ops::{self, literal, type_name};
use crate::place::{Axes, Reach};

/// Which values of a body are printed as four.
pub(crate) struct Four {
    /// The coordinate of which four neighbours are taken, see [`Axes::fours`].
    pub coordinate: usize,
    /// For each value whether it has four elements; the others are the same for all four.
    pub wide: Vec<bool>,
    /// How many loads and stores take four neighbours in memory as one.
    pub whole: usize,
    /// How many have to be done one by one.
    pub apart: usize,
}

impl Four {
    /// Four along the last coordinate of a segment, rows (0) or the elements of a row (1); `None` where its size is no multiple of 4.
    pub fn new(body: &Body, axes: &Axes, segment: usize) -> Option<Four> {
        let coordinate = axes.fours(segment)?;
        let mut four = Four { coordinate, wide: Vec::with_capacity(body.values.len()), whole: 0, apart: 0 };
        for value in &body.values {
            let any = value.instr.operands().iter().any(|v| four.wide[v.0]);
            let reach = |index| axes.reach(index, coordinate);
            let wide = match &value.instr {
                // What a row's elements come to is one number a row.
                _ if segment == 1 && value.level == Level::Outer => false,
                Instr::Load { index, .. } => {
                    let reach = reach(index);
                    four.count(reach);
                    reach != Reach::Same
                }
                Instr::Gather { index, .. } => {
                    let reach = reach(index);
                    let wide = any || reach != Reach::Same;
                    four.count(if any { Reach::Apart(None) } else { reach });
                    wide
                }
                Instr::Place(index) | Instr::Valid(index) => reach(index) != Reach::Same,
                Instr::Const(_) | Instr::Product => false,
                Instr::Unary(..) | Instr::Binary(..) | Instr::Where(..) | Instr::Cast(_) | Instr::Philox { .. } | Instr::Reduce(..) => any,
            };
            four.wide.push(wide);
        }
        for store in &body.stores {
            if segment == 0 || body.values[store.value.0].level == Level::Inner {
                four.count(axes.reach(&store.index, coordinate));
            }
        }
        Some(four)
    }

    fn count(&mut self, reach: Reach) {
        match reach {
            Reach::Same => {}
            Reach::Whole => self.whole += 1,
            Reach::Apart(_) => self.apart += 1,
        }
    }
}

/// The type of four values.
pub(crate) fn type4(dtype: DType) -> String {
    format!("vec4<{}>", type_name(dtype))
}

/// Four of what an expression says for each.
pub(crate) fn parts(dtype: DType, part: impl Fn(&str) -> String) -> String {
    format!("{}({}, {}, {}, {})", type4(dtype), part("x"), part("y"), part("z"), part("w"))
}

/// A function of four values, `dtype` their type; `a` is a name.
pub(crate) fn unary(op: UnaryOp, dtype: DType, a: &str) -> String {
    match op {
        UnaryOp::Expm1 | UnaryOp::Log | UnaryOp::Log1p | UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Tanh | UnaryOp::Erf => {
            parts(dtype, |p| ops::unary(op, dtype, &format!("{a}.{p}")))
        }
        UnaryOp::Relu => format!("max({a}, {}({}))", type4(dtype), literal(Scalar::new(0.0, dtype))),
        UnaryOp::Neg
        | UnaryOp::Abs
        | UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Sqrt
        | UnaryOp::Rsqrt
        | UnaryOp::Recip
        | UnaryOp::Exp
        | UnaryOp::Not => ops::unary(op, dtype, a),
    }
}

/// A function of two times four values; each operand is a name, and whether that has four or one for all.
pub(crate) fn binary(op: BinaryOp, dtype: DType, (a, four_a): (&str, bool), (b, four_b): (&str, bool)) -> String {
    let result = if op.is_comparison() { DType::Bool } else { dtype };
    let splat = |name: &str, four: bool| if four { name.to_string() } else { format!("{}({name})", type4(dtype)) };
    let part = |name: &str, four: bool, p: &str| if four { format!("{name}.{p}") } else { name.to_string() };
    match op {
        BinaryOp::Rem | BinaryOp::Pow | BinaryOp::Shl | BinaryOp::Shr => {
            parts(result, |p| ops::binary(op, dtype, &part(a, four_a, p), &part(b, four_b, p)))
        }
        BinaryOp::Div if dtype.is_int() => parts(result, |p| ops::binary(op, dtype, &part(a, four_a, p), &part(b, four_b, p))),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Min
        | BinaryOp::Max
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor => ops::binary(op, dtype, &splat(a, four_a), &splat(b, four_b)),
    }
}

/// A conversion of four values; `a` is a name.
pub(crate) fn cast(from: DType, to: DType, a: &str) -> String {
    parts(to, |p| ops::cast(from, to, &format!("{a}.{p}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is one value for all four must be written out where WGSL has no mixed arithmetic.
    #[test]
    fn one_value_for_all_becomes_four() {
        assert_eq!(binary(BinaryOp::Max, DType::F32, ("v1", true), ("v2", false)), "max(v1, vec4<f32>(v2))");
        assert_eq!(binary(BinaryOp::Lt, DType::I32, ("v1", false), ("v2", true)), "(vec4<i32>(v1) < v2)");
        assert!(binary(BinaryOp::Rem, DType::F32, ("v1", true), ("v2", false)).contains("noyau_fmod(v1.w, v2)"));
    }
}

//! The operations: a table from a name to the function that makes tensors of a node's operands, one file a family.

mod attention;
mod bits;
mod control;
mod elementwise;
mod indices;
mod layers;
mod limits;
mod norms;
mod pooling;
mod recurrent;
mod reduce;
mod resize;
mod shape;

pub use limits::limits;

use super::call::{Call, Made};
use super::load::Use;
use crate::DataType;

/// Computes a node.
pub(crate) type Function = fn(&Call) -> Made;

/// The domain of ONNX's operations that train.
const TRAINING: &str = "ai.onnx.preview.training";

/// The tables of all families.
const FAMILIES: [&[(&str, Function)]; 12] = [
    attention::TABLE,
    bits::TABLE,
    control::TABLE,
    elementwise::TABLE,
    indices::TABLE,
    layers::TABLE,
    norms::TABLE,
    pooling::TABLE,
    recurrent::TABLE,
    reduce::TABLE,
    resize::TABLE,
    shape::TABLE,
];

/// The function for an operation; all but those that train are of ONNX's own domain, the empty one.
pub(crate) fn find(domain: &str, name: &str) -> Option<Function> {
    let tables: &[&[(&str, Function)]] = match domain {
        "" => &FAMILIES,
        TRAINING => &[control::TRAINING],
        _ => &[],
    };
    tables.iter().flat_map(|table| table.iter()).find(|(other, _)| *other == name).map(|(_, function)| *function)
}

/// The names of all operations that are supported, in alphabetical order.
pub fn supported() -> Vec<&'static str> {
    let mut names: Vec<&str> = FAMILIES.iter().flat_map(|table| table.iter()).map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
}

/// What an operation does with the operand at a position.
pub(crate) fn usage(op: &str, position: usize) -> Use {
    match (op, position) {
        ("BatchNormalization", 3 | 4) => Use::Buffer,
        ("Clip" | "Dropout" | "Resize" | "Upsample" | "OneHot" | "CumSum" | "CumProd" | "TopK" | "Compress" | "Loop", 1..)
        | ("Pad", 2..)
        | ("Range" | "If" | "Loop", _)
        | ("QuantizeLinear" | "DequantizeLinear", 1..) => Use::Setting,
        _ => Use::Data,
    }
}

/// The type of the results' elements in the file, where the operation says it.
pub(crate) fn result_kind(call: &Call) -> Option<DataType> {
    let stored = |name: &str| super::tensors::kind(call.int(name, 0) as i32).ok();
    match call.node.op_type.as_str() {
        "Cast" => stored("to"),
        "CastLike" => call.kind(1),
        "Where" => call.kind(1),
        "QuantizeLinear" if call.has(2) => call.kind(2),
        "QuantizeLinear" | "DequantizeLinear" => stored("output_dtype"),
        "Abs" | "Add" | "BitShift" | "BitwiseAnd" | "BitwiseNot" | "BitwiseOr" | "BitwiseXor" | "Clip" | "Concat" | "CumSum" | "Div"
        | "Expand" | "Flatten" | "Gather" | "GatherElements" | "GatherND" | "Identity" | "Max" | "MaxPool" | "Min" | "Mod" | "Mul"
        | "Neg" | "Pad" | "Relu" | "Reshape" | "ScatterElements" | "ScatterND" | "Slice" | "Split" | "Squeeze" | "Sub" | "Sum" | "Tile"
        | "Transpose" | "Trilu" | "Unsqueeze" => call.kind(0),
        _ => None,
    }
}

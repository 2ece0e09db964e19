//! The operations: a table from a name to the function that makes tensors of a node's operands, one file a family.

mod elementwise;
mod layers;
mod reduce;
mod shape;

use super::call::{Call, Made};
use super::load::Use;
use crate::DataType;

/// Computes a node.
pub(crate) type Function = fn(&Call) -> Made;

/// The tables of all families.
const FAMILIES: [&[(&str, Function)]; 4] = [elementwise::TABLE, shape::TABLE, reduce::TABLE, layers::TABLE];

/// The function for an operation; all are of ONNX's own domain, the empty one.
pub(crate) fn find(domain: &str, name: &str) -> Option<Function> {
    let mut all = FAMILIES.iter().flat_map(|table| table.iter());
    all.find(|(other, _)| domain.is_empty() && *other == name).map(|(_, function)| *function)
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
        ("Clip" | "Dropout", 1..) | ("Pad", 2..) | ("Range", _) => Use::Setting,
        _ => Use::Data,
    }
}

/// The type of the results' elements in the file, where the operation says it.
pub(crate) fn result_kind(call: &Call) -> Option<DataType> {
    match call.node.op_type.as_str() {
        "Cast" => super::tensors::kind(call.int("to", 0) as i32).ok(),
        "Identity" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" => call.kind(0),
        _ => None,
    }
}

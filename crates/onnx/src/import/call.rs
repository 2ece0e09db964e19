//! What a function of [`ops`](super::ops) gets: a node's operands and attributes, with errors that name them.

use std::sync::Arc;

use noyau_nn::Mode;
use noyau_tensor::{DType, Tensor};

use super::run::{Run, Scope};
use super::value::{Data, Known, Value};
use crate::proto::tensor_proto::DataType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// What a function gives: the values of the node's outputs, of which trailing ones may be left out.
pub(crate) type Made = Result<Vec<Value>, String>;

/// The most places of an axis for which numbers are worked out on the host, one a place.
const TABLE: usize = 1 << 24;

/// A node that is being computed.
pub(crate) struct Call<'a> {
    pub node: &'a NodeProto,
    /// The version of the set of operations.
    pub opset: i64,
    pub mode: &'a Mode,
    pub run: &'a Run<'a>,
    /// The names that the node sees.
    pub scope: &'a Scope<'a>,
    pub operands: Vec<Option<Value>>,
    /// The elements' types in the file, where they are known.
    pub kinds: Vec<Option<DataType>>,
}

impl Call<'_> {
    /// How many operands stand there.
    pub fn count(&self) -> usize {
        self.operands.len()
    }

    /// Whether the operand is given.
    pub fn has(&self, i: usize) -> bool {
        matches!(self.operands.get(i), Some(Some(value)) if !matches!(value, Value::Nothing))
    }

    fn input_name(&self, i: usize) -> &str {
        self.node.input.get(i).map_or("", String::as_str)
    }

    /// An operand, whatever it is.
    pub fn value(&self, i: usize) -> Result<&Value, String> {
        match self.operands.get(i) {
            Some(Some(value)) => Ok(value),
            _ => Err(format!("operand {i} is missing; there are {}", self.count())),
        }
    }

    /// An operand as an expression.
    pub fn tensor(&self, i: usize) -> Result<Tensor, String> {
        self.run.tensor(self.value(i)?).map_err(|message| format!("operand {i}, `{}`: {message}", self.input_name(i)))
    }

    /// An operand of a float type.
    pub fn float(&self, i: usize) -> Result<Tensor, String> {
        let tensor = self.tensor(i)?;
        if tensor.dtype().is_float() {
            Ok(tensor)
        } else {
            Err(format!("operand {i}, `{}`, is of {}, not a float type", self.input_name(i), tensor.dtype()))
        }
    }

    /// An operand that may be left out.
    pub fn optional(&self, i: usize) -> Result<Option<Tensor>, String> {
        if self.has(i) { self.tensor(i).map(Some) } else { Ok(None) }
    }

    /// All operands as expressions.
    pub fn tensors(&self) -> Result<Vec<Tensor>, String> {
        (0..self.count()).map(|i| self.tensor(i)).collect()
    }

    /// An operand whose values have to be known now.
    pub fn known(&self, i: usize) -> Result<Arc<Known>, String> {
        self.run.known(self.value(i)?)?.ok_or_else(|| {
            format!(
                "operand {i}, `{}`, depends on data; here it has to be known when the model is traced: give it as a constant",
                self.input_name(i)
            )
        })
    }

    /// The integers of an operand, if it is given.
    pub fn ints(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        if !self.has(i) {
            return Ok(None);
        }
        match &self.known(i)?.data {
            Data::Ints(all) => Ok(Some(all.clone())),
            Data::Floats(_) => Err(format!("operand {i}, `{}`, holds floats, not integers", self.input_name(i))),
        }
    }

    /// The numbers of an operand, if it is given.
    pub fn numbers(&self, i: usize) -> Result<Option<Vec<f64>>, String> {
        if self.has(i) { Ok(Some(self.known(i)?.to_f64())) } else { Ok(None) }
    }

    /// The one number of an operand, if it is given.
    pub fn number(&self, i: usize) -> Result<Option<f64>, String> {
        match self.numbers(i)?.as_deref() {
            None => Ok(None),
            Some([one]) => Ok(Some(*one)),
            Some(all) => Err(format!("operand {i}, `{}`, holds {} values, not one", self.input_name(i), all.len())),
        }
    }

    /// The type of an operand's elements in the file, as far as it is known.
    pub fn kind(&self, i: usize) -> Option<DataType> {
        self.kinds.get(i).copied().flatten()
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    /// Whether the attribute is given.
    pub fn given(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, default.into()) != 0
    }

    pub fn real(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    pub fn list(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.ints.clone())
    }

    pub fn reals(&self, name: &str) -> Option<Vec<f32>> {
        self.attribute(name).map(|a| a.floats.clone())
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        self.attribute(name).map_or_else(|| default.to_string(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let read = |s: &Vec<u8>| String::from_utf8_lossy(s).into_owned();
        self.attribute(name).map_or_else(Vec::new, |a| a.strings.iter().map(read).collect())
    }

    /// A graph within the node.
    pub fn graph(&self, name: &str) -> Result<&GraphProto, String> {
        self.attribute(name).and_then(|a| a.g.as_ref()).ok_or_else(|| format!("the graph `{name}` is missing"))
    }

    pub fn stored(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    /// Sizes or counts given as an attribute, none of them below `least` nor beyond 2^24.
    pub fn counts(&self, name: &str, least: i64) -> Result<Option<Vec<usize>>, String> {
        let Some(list) = self.list(name) else { return Ok(None) };
        match list.iter().find(|&&n| n < least || n > TABLE as i64) {
            Some(bad) => Err(format!("{name} {list:?}: {bad} is not between {least} and {TABLE}")),
            None => Ok(Some(list.iter().map(|&n| n as usize).collect())),
        }
    }

    /// The axes that an attribute names or, in later versions, an operand.
    pub fn axes(&self, operand: usize) -> Result<Option<Vec<i64>>, String> {
        match self.list("axes") {
            Some(axes) => Ok(Some(axes)),
            None => self.ints(operand),
        }
    }

    /// The number of outputs that are wanted.
    pub fn outputs(&self) -> usize {
        self.node.output.len()
    }

    /// Whether an output is wanted.
    pub fn wants(&self, i: usize) -> bool {
        self.node.output.get(i).is_some_and(|name| !name.is_empty())
    }
}

/// An axis of `rank`, negative ones counted from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let place = if axis < 0 { axis.checked_add(rank as i64).unwrap_or(-1) } else { axis };
    match usize::try_from(place) {
        Ok(place) if place < rank => Ok(place),
        _ => Err(format!("axis {axis} of a tensor of rank {rank}")),
    }
}

/// Axes as noyau's tensors take them, each once; all where none are named.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let found = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<usize>, String>>()?;
    let mut sorted = found.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("axes {list:?} name axis {} twice", pair[0])),
        None => Ok(found),
    }
}

/// As noyau's methods take axes.
pub(crate) fn signed(axes: &[usize]) -> Vec<isize> {
    axes.iter().map(|&a| a as isize).collect()
}

/// A size, if it is one.
pub(crate) fn size(n: i64) -> Result<usize, String> {
    usize::try_from(n).map_err(|_| format!("{n} is no size"))
}

/// Refuses axes for which a table of numbers would be too long.
pub(crate) fn table(n: usize) -> Result<usize, String> {
    if n <= TABLE { Ok(n) } else { Err(format!("an axis of {n} places; up to {TABLE} are supported here")) }
}

/// A result, or the mistake that it carries.
pub(crate) fn one(tensor: Tensor) -> Made {
    Ok(vec![tensor.into()])
}

/// A shape whose elements can be counted.
pub(crate) fn countable(shape: Vec<usize>) -> Result<Vec<usize>, String> {
    match noyau_tensor::Shape::from(shape.as_slice()).checked_numel() {
        Some(_) => Ok(shape),
        None => Err(format!("the shape {shape:?} has more elements than can be addressed")),
    }
}

/// `tensor` in the type of `other`.
pub(crate) fn like(tensor: &Tensor, other: &Tensor) -> Tensor {
    tensor.to(other.dtype())
}

/// Places that count from the end where they are negative, along an axis of `size`, as I32.
pub(crate) fn wrapped(index: &Tensor, size: usize) -> Result<Tensor, String> {
    let size = i32::try_from(size).map_err(|_| format!("an axis of {size} places; up to {} are supported here", i32::MAX))?;
    let index = index.to(DType::I32);
    Ok(index.lt(0).where_(&index + size, &index))
}

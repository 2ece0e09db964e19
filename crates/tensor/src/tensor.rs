//! The tensor: a cheap, lazy expression.

use std::fmt;
use std::panic::Location as CallerLocation;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Array, BinaryOp, DType, Element, Error, Location, Op, Scalar, Shape};

/// A lazy expression over arrays: it knows its shape, its type and how to compute its values, and holds none of them.
///
/// Building one never fails and never panics: an expression that makes no sense is a tensor that carries the [`Error`], with the line
/// of the program that wrote it, and `eval` and `compile` return it. Cloning is cheap (a reference count).
#[derive(Clone)]
pub struct Tensor(Arc<Node>);

/// What a [`Tensor`] points to.
pub struct Node {
    id: u64,
    op: Op,
    inputs: Vec<Tensor>,
    shape: Shape,
    dtype: DType,
    location: Location,
}

impl Drop for Node {
    /// Takes a long chain of expressions apart without recursion, which would overflow the stack.
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut self.inputs);
        while let Some(tensor) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(tensor.0) {
                pending.append(&mut node.inputs);
            }
        }
    }
}

impl Tensor {
    /// A tensor that depends on no other.
    #[track_caller]
    pub(crate) fn leaf(op: Op, shape: Shape, dtype: DType) -> Tensor {
        Tensor::node(op, Vec::new(), shape, dtype, CallerLocation::caller())
    }

    fn node(op: Op, inputs: Vec<Tensor>, shape: Shape, dtype: DType, location: Location) -> Tensor {
        Tensor(Arc::new(Node { id: unique_id(), op, inputs, shape, dtype, location }))
    }

    /// Applies a primitive: the operands' errors pass through, then the op's shape rule decides.
    pub(crate) fn apply(op: Op, inputs: Vec<Tensor>, rule: Result<(Shape, DType), String>, location: Location) -> Tensor {
        if let Some(bad) = inputs.iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        match rule {
            Err(message) => Tensor::fail(op.name(), message, location),
            Ok((shape, _)) if shape.checked_numel().is_none() => {
                Tensor::fail(op.name(), format!("the result's shape {shape} has more elements than can be addressed"), location)
            }
            Ok((shape, dtype)) => Tensor::node(op, inputs, shape, dtype, location),
        }
    }

    /// A tensor that carries a mistake to `eval` and `compile`.
    pub(crate) fn fail(op: &str, message: impl Into<String>, location: Location) -> Tensor {
        Tensor::from_error(Error::Expression { op: op.into(), message: message.into(), location }, location)
    }

    pub(crate) fn from_error(error: Error, location: Location) -> Tensor {
        Tensor::node(Op::Error(Arc::new(error)), Vec::new(), Shape::scalar(), DType::F32, location)
    }

    /// A tensor that carries `error` until `eval` or `compile` returns it: what a layer's `forward` gives for input it cannot take.
    #[track_caller]
    pub fn invalid(error: Error) -> Tensor {
        Tensor::from_error(error, CallerLocation::caller())
    }

    /// The argument of a step at `position`, of the given shape and type. `Session::compile` makes these.
    #[track_caller]
    pub fn input(position: usize, shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::leaf(Op::Input(position), shape.into(), dtype)
    }

    /// Values from the host's memory.
    #[track_caller]
    pub fn from_array(array: Array) -> Tensor {
        let (shape, dtype) = (array.shape().clone(), array.dtype());
        if let ([word], DType::F32) = (array.words(), dtype) {
            return Tensor::leaf(Op::Full(Scalar::Float(f32::from_bits(*word).into())), shape, dtype);
        }
        Tensor::leaf(Op::Data(Arc::new(array)), shape, dtype)
    }

    /// Values in row-major order under a shape; an error when their number does not fit.
    #[track_caller]
    pub fn new<T: Element>(values: &[T], shape: impl Into<Shape>) -> Tensor {
        match Array::new(shape, values) {
            Ok(array) => Tensor::from_array(array),
            Err(error) => Tensor::fail("Tensor::new", error.to_string(), CallerLocation::caller()),
        }
    }

    /// A number that no other tensor of this process has; clones share it.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The primitive that makes the value.
    pub fn op(&self) -> &Op {
        &self.0.op
    }

    /// The primitive's operands.
    pub fn inputs(&self) -> &[Tensor] {
        &self.0.inputs
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.shape.rank()
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.0.shape.numel()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// The line of the program that wrote the expression.
    pub fn location(&self) -> Location {
        self.0.location
    }

    /// The mistake that the expression carries, if any.
    pub fn error(&self) -> Option<&Error> {
        match &self.0.op {
            Op::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The tensors that `roots` are made of, each once, operands before their users; `roots` last. Iterative, so depth is no limit.
    pub fn topological(roots: &[&Tensor]) -> Vec<Tensor> {
        let mut seen = std::collections::HashSet::new();
        let mut order = Vec::new();
        let mut stack: Vec<(Tensor, usize)> = Vec::new();
        for root in roots {
            if seen.insert(root.id()) {
                stack.push(((*root).clone(), 0));
            }
            while let Some((tensor, next)) = stack.last_mut() {
                match tensor.inputs().get(*next).cloned() {
                    Some(input) => {
                        *next += 1;
                        if seen.insert(input.id()) {
                            stack.push((input, 0));
                        }
                    }
                    None => {
                        order.push(tensor.clone());
                        stack.pop();
                    }
                }
            }
        }
        order
    }

    /// The value of a constant scalar of f32.
    pub(crate) fn weak_number(&self) -> Option<f64> {
        match self.op() {
            Op::Full(Scalar::Float(value)) if self.rank() == 0 => Some(*value),
            _ => None,
        }
    }

    /// `self` and `other` stretched to their common shape and joined by `op`.
    pub(crate) fn binary(&self, op: BinaryOp, other: &Tensor, location: Location) -> Tensor {
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        if self.dtype() != other.dtype() {
            // A constant scalar of f32 beside a half is a number, which takes the half's type.
            if let (Some(number), true) = (self.weak_number(), other.dtype().is_half()) {
                return other.number(number).binary(op, other, location);
            }
            if let (Some(number), true) = (other.weak_number(), self.dtype().is_half()) {
                return self.binary(op, &self.number(number), location);
            }
            let message = format!("the operands' types {} and {} differ; convert one with .to(DType)", self.dtype(), other.dtype());
            return Tensor::fail(op.name(), message, location);
        }
        if !op.accepts(self.dtype()) {
            return Tensor::fail(op.name(), format!("not defined for {}", self.dtype()), location);
        }
        let Some(shape) = self.shape().broadcast(other.shape()) else {
            let message =
                format!("shapes {} and {} do not broadcast: aligned at the end, sizes must be equal or 1", self.shape(), other.shape());
            return Tensor::fail(op.name(), message, location);
        };
        let dtype = if op.is_comparison() { DType::Bool } else { self.dtype() };
        let inputs = vec![self.broadcast_at(&shape, location), other.broadcast_at(&shape, location)];
        Tensor::apply(Op::Binary(op), inputs, Ok((shape, dtype)), location)
    }
}

/// A number that this process has not used yet.
pub(crate) fn unique_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            Some(error) => write!(f, "Tensor({error})"),
            None => write!(f, "Tensor({} {}{})", self.op(), self.dtype(), self.shape()),
        }
    }
}

impl<T: Element> From<T> for Tensor {
    #[track_caller]
    fn from(value: T) -> Tensor {
        Tensor::from_array(Array::scalar(value))
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Tensor {
    #[track_caller]
    fn from(values: [T; N]) -> Tensor {
        Tensor::new(&values, [N])
    }
}

impl<T: Element, const N: usize, const M: usize> From<[[T; N]; M]> for Tensor {
    #[track_caller]
    fn from(values: [[T; N]; M]) -> Tensor {
        Tensor::new(values.as_flattened(), [M, N])
    }
}

impl From<Array> for Tensor {
    #[track_caller]
    fn from(array: Array) -> Tensor {
        Tensor::from_array(array)
    }
}

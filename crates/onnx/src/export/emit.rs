//! Each primitive as ONNX operations.
//!
//! ONNX broadcasts, so an `expand` is not written where its user does not need the copies: a value is written with the axes that it has of its
//! own (aligned at the end, as broadcasting does), and stretched when somebody asks for all of it. Integers keep noyau's meaning: u32 is int64
//! brought back to 32 bits, a division by zero gives 0, an index outside of its axis reads 0, unless it comes straight from the model's input.

use std::collections::HashMap;

use noyau_compile::{Node, NodeId};
use noyau_tensor::{Array, BinaryOp, DType, Op, Scalar};

use super::file::{Attr, File};
use super::patterns::{self, Pattern};
use super::trace::{self, Dim, Traced};

/// A value in the file: its name, and its own sizes, which broadcast to the node's.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) name: String,
    dims: Vec<Dim>,
}

/// Writes a traced model's nodes.
pub(super) struct Emitter<'a> {
    pub(super) traced: &'a Traced,
    pub(super) file: &'a mut File,
    /// The parameters' names in the file, by state.
    names: &'a HashMap<u64, String>,
    input: &'a str,
    values: HashMap<NodeId, Value>,
}

/// Why a node has no form in ONNX; `None` where it has one.
pub(super) fn unsupported(node: &Node) -> Option<String> {
    let integer_shift = matches!(node.op, Op::Binary(BinaryOp::Shl | BinaryOp::Shr));
    let why = match &node.op {
        Op::Philox(_) => "draws random numbers",
        Op::Unfold(_) => return None,
        Op::Error(_) | Op::Attention(_) => "has no form in ONNX",
        _ if integer_shift && node.dtype == DType::I32 => "shifts signed integers, which ONNX does not",
        _ => return None,
    };
    Some(format!("{} {why} ({}:{})", node.op.name(), node.location.file(), node.location.line()))
}

impl<'a> Emitter<'a> {
    pub(super) fn new(traced: &'a Traced, file: &'a mut File, names: &'a HashMap<u64, String>, input: &'a str) -> Emitter<'a> {
        Emitter { traced, file, names, input, values: HashMap::new() }
    }

    /// Writes what the node hangs on and the node; the name of all of its values.
    pub(super) fn write(&mut self, root: NodeId) -> String {
        // From the result down: what a pattern has swallowed is not needed.
        let mut patterns: HashMap<NodeId, Pattern> = HashMap::new();
        let mut needed = vec![false; root.0 + 1];
        needed[root.0] = true;
        for i in (0..=root.0).rev().filter(|&i| i <= root.0) {
            if !needed[i] {
                continue;
            }
            let id = NodeId(i);
            let found = patterns::find(self.traced, id);
            let operands = found.as_ref().map_or_else(|| self.traced.node(id).inputs.clone(), Pattern::operands);
            operands.iter().for_each(|operand| needed[operand.0] = true);
            if let Some(found) = found {
                patterns.insert(id, found);
            }
        }
        for i in (0..=root.0).filter(|&i| needed[i]) {
            let id = NodeId(i);
            let value = match patterns.get(&id) {
                Some(pattern) => {
                    let name = self.pattern(id, pattern);
                    Value { name, dims: self.traced.shape(id) }
                }
                None => self.primitive(id),
            };
            self.values.insert(id, value);
        }
        self.full(root)
    }

    pub(super) fn value(&self, id: NodeId) -> Value {
        // Operands come before their users.
        self.values.get(&id).cloned().unwrap_or(Value { name: String::new(), dims: Vec::new() })
    }

    /// The value with all axes of the node, some of which may have size 1 still.
    fn ranked(&mut self, id: NodeId) -> Value {
        let Value { name, dims } = self.value(id);
        let missing = self.traced.node(id).shape.rank() - dims.len();
        if missing == 0 {
            return Value { name, dims };
        }
        let axes: Vec<i64> = (0..missing as i64).collect();
        let axes = self.file.longs(&axes);
        let name = self.file.node("Unsqueeze", &[&name, &axes], &[]);
        Value { name, dims: vec![Dim::fixed(1); missing].into_iter().chain(dims).collect() }
    }

    /// The name of the value stretched to the node's sizes.
    pub(super) fn full(&mut self, id: NodeId) -> String {
        let (Value { name, dims }, shape) = (self.value(id), self.traced.shape(id));
        if dims == shape {
            return name;
        }
        let shape = self.file.sizes(&shape);
        self.file.node("Expand", &[&name, &shape], &[])
    }

    pub(super) fn number(&mut self, value: f64, dtype: DType) -> String {
        self.file.constant(&Array::full([0usize; 0], Scalar::new(value, dtype)))
    }

    /// The sizes to which values broadcast.
    fn broadcast(values: &[Value]) -> Vec<Dim> {
        let rank = values.iter().map(|v| v.dims.len()).max().unwrap_or(0);
        let one = Dim::fixed(1);
        let at = |v: &Value, axis: usize| (axis + v.dims.len()).checked_sub(rank).map_or(one, |i| v.dims[i]);
        (0..rank).map(|axis| values.iter().map(|v| at(v, axis)).find(|&dim| dim != one).unwrap_or(one)).collect()
    }

    fn primitive(&mut self, id: NodeId) -> Value {
        let traced = self.traced;
        let node = traced.node(id);
        let shape = traced.shape(id);
        let own = |name: String| Value { name, dims: shape.clone() };
        match &node.op {
            Op::Full(value) => Value { name: self.file.constant(&Array::full([0usize; 0], *value)), dims: Vec::new() },
            Op::Data(array) => own(self.file.constant(array)),
            Op::Input(_) => own(self.input.to_string()),
            Op::State(state) => own(self.names.get(&state.id()).cloned().unwrap_or_default()),
            Op::Iota(axis) => self.iota(shape[*axis], shape.len() - axis - 1),
            Op::Unary(_) | Op::Binary(_) | Op::Where | Op::Cast(_) | Op::Detach | Op::Philox(_) => {
                let operands: Vec<Value> = node.inputs.iter().map(|&id| self.value(id)).collect();
                let dims = Self::broadcast(&operands);
                let names: Vec<String> = operands.into_iter().map(|v| v.name).collect();
                Value { name: self.elementwise(node, &names), dims }
            }
            Op::Expand => self.value(node.inputs[0]),
            Op::Reshape => self.reshape(id, node.inputs[0]),
            Op::Permute(axes) => {
                let Value { name, dims } = self.ranked(node.inputs[0]);
                let perm = axes.iter().map(|&a| a as i64).collect();
                Value {
                    name: self.file.node("Transpose", &[&name], &[("perm", Attr::Ints(perm))]),
                    dims: axes.iter().map(|&a| dims[a]).collect(),
                }
            }
            Op::Slice(ranges) => {
                let steps: Vec<i64> = ranges.iter().map(|&(_, step)| step as i64).collect();
                let starts: Vec<Dim> = (0..steps.len()).map(|axis| traced.number(|g| trace::start(g.node(id), axis))).collect();
                self.slice(node.inputs[0], &starts, &steps, &shape)
            }
            Op::Flip(axes) => {
                let Value { name, dims } = self.ranked(node.inputs[0]);
                let axes: Vec<i64> = axes.iter().filter(|&&axis| dims[axis] != Dim::fixed(1)).map(|&a| a as i64).collect();
                if axes.is_empty() {
                    return Value { name, dims };
                }
                let each = |file: &mut File, n: i64| file.longs(&vec![n; axes.len()]);
                let (starts, ends, steps) = (each(self.file, -1), each(self.file, i64::MIN), each(self.file, -1));
                let axes = self.file.longs(&axes);
                Value { name: self.file.node("Slice", &[&name, &starts, &ends, &axes, &steps], &[]), dims }
            }
            Op::Pad(widths, value) => {
                let width = |axis: usize| {
                    let before = traced.number(|g| trace::width(g.node(id), axis).0);
                    (before, traced.number(|g| trace::width(g.node(id), axis).1))
                };
                let (before, after): (Vec<Dim>, Vec<Dim>) = (0..widths.len()).map(width).unzip();
                let (x, pads) = (self.full(node.inputs[0]), [before, after].concat());
                let pads = self.file.sizes(&pads);
                let value = self.file.constant(&Array::full([0usize; 0], *value));
                own(self.file.node("Pad", &[&x, &pads, &value], &[("mode", Attr::Text("constant"))]))
            }
            Op::Unfold(window) => {
                let x = self.full(node.inputs[0]);
                let rank = shape.len() - 1;
                // One row of places a window. (The number of windows does not hang on the batch: see `checked`.)
                let places: Vec<u32> = (0..node.shape[window.axis])
                    .flat_map(|i| (0..window.size).map(move |j| (i * window.step + j * window.dilation) as u32))
                    .collect();
                let places = Array::new([node.shape[window.axis], window.size], &places);
                let index = places.map(|places| self.file.constant(&places)).unwrap_or_default();
                let gathered = self.file.node("Gather", &[&x, &index], &[("axis", Attr::Int(window.axis as i64))]);
                // The window comes right after its axis, and belongs last.
                let mut perm: Vec<i64> = (0..=rank as i64).collect();
                let window = perm.remove(window.axis + 1);
                perm.push(window);
                let moved = perm.iter().enumerate().any(|(i, &p)| i as i64 != p);
                own(if moved { self.file.node("Transpose", &[&gathered], &[("perm", Attr::Ints(perm))]) } else { gathered })
            }
            Op::Reduce(op, axes) => {
                let x = self.full(node.inputs[0]);
                own(self.reduce(*op, node.dtype, &x, axes))
            }
            Op::Matmul => {
                let operand = |this: &mut Self, id: NodeId| {
                    let (Value { name, dims }, wanted) = (this.value(id), traced.shape(id));
                    // Axes before the last two broadcast.
                    let whole = dims.len() >= 2 && dims[dims.len() - 2..] == wanted[wanted.len() - 2..];
                    if whole { Value { name, dims } } else { Value { name: this.full(id), dims: wanted } }
                };
                let (a, b) = (operand(self, node.inputs[0]), operand(self, node.inputs[1]));
                let strip = |v: &Value| Value { name: String::new(), dims: v.dims[..v.dims.len() - 2].to_vec() };
                let mut dims = Self::broadcast(&[strip(&a), strip(&b)]);
                dims.extend_from_slice(&shape[shape.len() - 2..]);
                let name = self.in_f32(node.dtype, &[a.name, b.name], |file, names| file.node("MatMul", &[&names[0], &names[1]], &[]));
                Value { name, dims }
            }
            Op::Conv(conv) => {
                let (x, w) = (self.full(node.inputs[0]), self.full(node.inputs[1]));
                own(self.convolve(conv, node.inputs[0], &x, &w, None))
            }
            Op::Gather(axis) => own(self.gather(id, *axis)),
            Op::ScatterAdd(axis) => own(self.scatter(id, *axis)),
            // Told before anything is written.
            Op::Attention(_) | Op::Error(_) => own(String::new()),
        }
    }

    /// 0, 1, .. along an axis with so many after it.
    fn iota(&mut self, size: Dim, after: usize) -> Value {
        let mut name = if size.is_fixed() {
            let all: Vec<u32> = (0..size.rest as u32).collect();
            Array::new([all.len()], &all).map(|all| self.file.constant(&all)).unwrap_or_default()
        } else {
            let limit = self.file.sizes(&[size]);
            let none = self.file.longs(&[]);
            let limit = self.file.node("Reshape", &[&limit, &none], &[]);
            let (zero, one) = (self.file.long(0), self.file.long(1));
            self.file.node("Range", &[&zero, &limit, &one], &[])
        };
        if after > 0 {
            let axes: Vec<i64> = (1..=after as i64).collect();
            let axes = self.file.longs(&axes);
            name = self.file.node("Unsqueeze", &[&name, &axes], &[]);
        }
        Value { name, dims: [size].into_iter().chain(vec![Dim::fixed(1); after]).collect() }
    }

    fn reshape(&mut self, id: NodeId, operand: NodeId) -> Value {
        let (value, shape) = (self.value(operand), self.traced.shape(id));
        // The axes that it has of its own: what comes before, of size 1, broadcasting adds.
        let one = Dim::fixed(1);
        let ones = |dims: &[Dim]| dims.iter().take_while(|&&dim| dim == one).count();
        let own = |dims: &[Dim]| dims[ones(dims)..].to_vec();
        let before = self.traced.shape(operand);
        let untouched = own(&before) == own(&value.dims);
        if untouched && own(&before) == own(&shape) {
            if value.dims.len() <= shape.len() {
                return value;
            }
        } else if own(&value.dims).is_empty() && value.dims.is_empty() {
            // One value everywhere.
            return value;
        }
        let x = self.full(operand);
        Value { name: self.reshaped(&x, &shape), dims: shape }
    }

    /// Values under another shape: a constant where at most one size follows the batch.
    pub(super) fn reshaped(&mut self, x: &str, shape: &[Dim]) -> String {
        let following = shape.iter().filter(|dim| !dim.is_fixed()).count();
        let zero = shape.iter().any(|dim| *dim == Dim::fixed(0));
        let sizes = if following == 1 && !zero {
            let sizes: Vec<i64> = shape.iter().map(|dim| if dim.is_fixed() { dim.rest } else { -1 }).collect();
            self.file.longs(&sizes)
        } else {
            self.file.sizes(shape)
        };
        // A size of 0 is no copy of the operand's.
        let attributes = if zero { vec![("allowzero", Attr::Int(1))] } else { Vec::new() };
        self.file.node("Reshape", &[x, &sizes], &attributes)
    }

    fn slice(&mut self, operand: NodeId, starts: &[Dim], steps: &[i64], shape: &[Dim]) -> Value {
        let Value { name, dims } = self.ranked(operand);
        let whole = self.traced.shape(operand);
        let cut: Vec<usize> =
            (0..shape.len()).filter(|&axis| whole[axis] != shape[axis] || steps[axis] != 1 || starts[axis] != Dim::fixed(0)).collect();
        // An axis that is the same everywhere is as good cut as whole.
        let cut: Vec<usize> = cut
            .into_iter()
            .filter(|&axis| dims[axis] == whole[axis] && whole[axis] != Dim::fixed(1) || shape[axis] == Dim::fixed(0))
            .collect();
        let mut result = dims;
        cut.iter().for_each(|&axis| result[axis] = shape[axis]);
        if cut.is_empty() {
            return Value { name, dims: result };
        }
        let last = |axis: usize| starts[axis].plus(shape[axis].times(steps[axis])).plus(Dim::fixed(1 - steps[axis]));
        let ends: Vec<Dim> = cut.iter().map(|&axis| last(axis)).collect();
        let starts: Vec<Dim> = cut.iter().map(|&axis| starts[axis]).collect();
        let steps: Vec<i64> = cut.iter().map(|&axis| steps[axis]).collect();
        let axes: Vec<i64> = cut.iter().map(|&axis| axis as i64).collect();
        let (starts, ends) = (self.file.sizes(&starts), self.file.sizes(&ends));
        let (axes, steps) = (self.file.longs(&axes), self.file.longs(&steps));
        Value { name: self.file.node("Slice", &[&name, &starts, &ends, &axes, &steps], &[]), dims: result }
    }
}

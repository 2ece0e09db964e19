//! Each primitive as ONNX operations.
//!
//! ONNX broadcasts, so an `expand` is not written where its user does not need the copies: a value is written with the axes that it has of its own (aligned at the end, as broadcasting does), and
//! stretched when somebody asks for all of it. Integers keep noyau's meaning: u32 is int64 brought back to 32 bits, a division by zero gives 0, an index outside
//! of its axis reads 0, unless it comes straight from the model's input.

use std::collections::HashMap;

use noyau_compile::{Node, NodeId};
use noyau_tensor::{Array, BinaryOp, DType, Op, ReduceOp, Scalar, UnaryOp};

use super::file::{Attr, File, data_type};
use super::patterns::{self, Pattern};
use super::trace::{self, Dim, Traced};

/// A value in the file: its name, and its own sizes, which broadcast to the node's.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    dims: Vec<Dim>,
}

/// Writes a traced model's nodes.
pub(super) struct Emitter<'a> {
    traced: &'a Traced,
    file: &'a mut File,
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

    fn value(&self, id: NodeId) -> Value {
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
    fn full(&mut self, id: NodeId) -> String {
        let (Value { name, dims }, shape) = (self.value(id), self.traced.shape(id));
        if dims == shape {
            return name;
        }
        let shape = self.file.sizes(&shape);
        self.file.node("Expand", &[&name, &shape], &[])
    }

    fn number(&mut self, value: f64, dtype: DType) -> String {
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
    fn reshaped(&mut self, x: &str, shape: &[Dim]) -> String {
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

    fn cast(&mut self, x: &str, to: i32) -> String {
        self.file.node("Cast", &[x], &[("to", Attr::Int(to.into()))])
    }

    /// An operation on halves as noyau does it: in f32, and rounded.
    fn in_f32(&mut self, dtype: DType, operands: &[String], write: impl FnOnce(&mut File, &[String]) -> String) -> String {
        if !dtype.is_half() {
            return write(self.file, operands);
        }
        let wide: Vec<String> = operands.iter().map(|x| self.cast(x, data_type(DType::F32) as i32)).collect();
        let result = write(self.file, &wide);
        self.cast(&result, data_type(dtype) as i32)
    }

    fn reduce(&mut self, op: ReduceOp, dtype: DType, x: &str, axes: &[usize]) -> String {
        let name = match op {
            ReduceOp::Sum => "ReduceSum",
            ReduceOp::Prod => "ReduceProd",
            ReduceOp::Max => "ReduceMax",
            ReduceOp::Min => "ReduceMin",
        };
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        let axes = self.file.longs(&axes);
        let write = |file: &mut File, x: &str| file.node(name, &[x, &axes], &[("keepdims", Attr::Int(0))]);
        match dtype {
            DType::Bool => {
                let x = self.cast(x, data_type(DType::I32) as i32);
                let result = write(self.file, &x);
                self.cast(&result, data_type(DType::Bool) as i32)
            }
            DType::U32 => {
                let result = write(self.file, x);
                self.wrapped(&result)
            }
            _ => self.in_f32(dtype, &[x.to_string()], |file, names| write(file, &names[0])),
        }
    }

    /// An int64 as the u32 of its lowest 32 bits.
    fn wrapped(&mut self, x: &str) -> String {
        let all = self.file.long(1 << 32);
        self.file.node("Mod", &[x, &all], &[])
    }

    fn elementwise(&mut self, node: &Node, x: &[String]) -> String {
        let operand = self.traced.node(node.inputs[0]).dtype;
        match &node.op {
            Op::Unary(UnaryOp::Not) => match node.dtype {
                DType::Bool => self.file.node("Not", &[&x[0]], &[]),
                DType::I32 => self.file.node("BitwiseNot", &[&x[0]], &[]),
                _ => {
                    let most = self.file.long(i64::from(u32::MAX));
                    self.file.node("Sub", &[&most, &x[0]], &[])
                }
            },
            Op::Unary(UnaryOp::Relu) if node.dtype.is_int() => {
                let zero = self.number(0.0, node.dtype);
                self.file.node("Max", &[&x[0], &zero], &[])
            }
            Op::Unary(op) => self.in_f32(node.dtype, x, |file, x| unary(file, *op, &x[0])),
            Op::Binary(op) => self.binary(*op, operand, &x[0], &x[1]),
            Op::Where if node.dtype == DType::Bool => {
                let shut = self.file.node("Not", &[&x[0]], &[]);
                let (a, b) = (self.file.node("And", &[&x[0], &x[1]], &[]), self.file.node("And", &[&shut, &x[2]], &[]));
                self.file.node("Or", &[&a, &b], &[])
            }
            Op::Where => self.file.node("Where", &[&x[0], &x[1], &x[2]], &[]),
            Op::Cast(to) => self.converted(&x[0], operand, *to),
            _ => x[0].clone(),
        }
    }

    /// Conversion with noyau's rules: floats saturate, integers wrap.
    fn converted(&mut self, x: &str, from: DType, to: DType) -> String {
        let mut x = x.to_string();
        if from.is_float() && to.is_int() {
            // The largest numbers of f32 that the integers hold.
            let (low, high) = if to == DType::I32 { (-2_147_483_648.0, 2_147_483_520.0) } else { (0.0, 4_294_967_040.0) };
            x = if from.is_half() { self.cast(&x, data_type(DType::F32) as i32) } else { x };
            let (low, high) = (self.number(low, DType::F32), self.number(high, DType::F32));
            x = self.file.node("Clip", &[&x, &low, &high], &[]);
        }
        let result = if data_type(from) == data_type(to) { x } else { self.cast(&x, data_type(to) as i32) };
        if (from, to) == (DType::I32, DType::U32) { self.wrapped(&result) } else { result }
    }

    fn binary(&mut self, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
        let name = match op {
            BinaryOp::Add => "Add",
            BinaryOp::Sub => "Sub",
            BinaryOp::Mul => "Mul",
            BinaryOp::Div | BinaryOp::Rem if dtype.is_int() => return self.divided(op, dtype, a, b),
            BinaryOp::Div => "Div",
            BinaryOp::Rem => {
                return self.in_f32(dtype, &[a.into(), b.into()], |file, x| file.node("Mod", &[&x[0], &x[1]], &[("fmod", Attr::Int(1))]));
            }
            BinaryOp::Pow => "Pow",
            BinaryOp::Min => "Min",
            BinaryOp::Max => "Max",
            BinaryOp::Lt => "Less",
            BinaryOp::Le => "LessOrEqual",
            BinaryOp::Eq => "Equal",
            BinaryOp::Ne => {
                let equal = self.binary(BinaryOp::Eq, dtype, a, b);
                return self.file.node("Not", &[&equal], &[]);
            }
            BinaryOp::And => {
                if dtype == DType::Bool {
                    "And"
                } else {
                    "BitwiseAnd"
                }
            }
            BinaryOp::Or => {
                if dtype == DType::Bool {
                    "Or"
                } else {
                    "BitwiseOr"
                }
            }
            BinaryOp::Xor => {
                if dtype == DType::Bool {
                    "Xor"
                } else {
                    "BitwiseXor"
                }
            }
            BinaryOp::Shl | BinaryOp::Shr => {
                let direction = if op == BinaryOp::Shl { "LEFT" } else { "RIGHT" };
                let places = self.file.long(32);
                let b = self.file.node("Mod", &[b, &places], &[]);
                let (a, b) = (self.cast(a, DataTypes::UINT64), self.cast(&b, DataTypes::UINT64));
                let shifted = self.file.node("BitShift", &[&a, &b], &[("direction", Attr::Text(direction))]);
                let back = self.cast(&shifted, data_type(DType::U32) as i32);
                return self.wrapped(&back);
            }
        };
        let both = [a.to_string(), b.to_string()];
        let wraps = dtype == DType::U32 && matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul);
        let result = match dtype {
            DType::F16 | DType::BF16 if op.is_comparison() => {
                let wide = both.map(|x| self.cast(&x, data_type(DType::F32) as i32));
                self.file.node(name, &[&wide[0], &wide[1]], &[])
            }
            _ => self.in_f32(dtype, &both, |file, x| file.node(name, &[&x[0], &x[1]], &[])),
        };
        if wraps { self.wrapped(&result) } else { result }
    }

    /// Quotient or remainder of integers; by zero it is 0.
    fn divided(&mut self, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
        let (zero, one) = (self.number(0.0, dtype), self.number(1.0, dtype));
        let none = self.file.node("Equal", &[b, &zero], &[]);
        let safe = self.file.node("Where", &[&none, &one, b], &[]);
        let result = match op {
            BinaryOp::Div => self.file.node("Div", &[a, &safe], &[]),
            _ => self.file.node("Mod", &[a, &safe], &[("fmod", Attr::Int(1))]),
        };
        self.file.node("Where", &[&none, &zero, &result], &[])
    }

    /// Whether an index is the model's input, perhaps under another shape: a table's user then answers for it.
    fn from_input(&self, mut id: NodeId) -> bool {
        loop {
            let node = self.traced.node(id);
            match node.op {
                Op::Input(_) => return true,
                Op::Cast(_) | Op::Reshape | Op::Expand | Op::Permute(_) | Op::Slice(_) => id = node.inputs[0],
                _ => return false,
            }
        }
    }

    fn gather(&mut self, id: NodeId, axis: usize) -> String {
        let node = self.traced.node(id);
        let (data, index) = (self.full(node.inputs[0]), self.full(node.inputs[1]));
        let take = |file: &mut File, index: &str| file.node("GatherElements", &[&data, index], &[("axis", Attr::Int(axis as i64))]);
        if self.from_input(node.inputs[1]) {
            return take(self.file, &index);
        }
        let size = self.traced.shape(node.inputs[0])[axis];
        let (size, last) = (self.file.sizes(&[size]), self.file.sizes(&[size.plus(Dim::fixed(-1))]));
        let inside = self.file.node("Less", &[&index, &size], &[]);
        let safe = self.file.node("Min", &[&index, &last], &[]);
        let found = take(self.file, &safe);
        let zero = self.number(0.0, node.dtype);
        if node.dtype == DType::Bool {
            return self.file.node("And", &[&inside, &found], &[]);
        }
        self.file.node("Where", &[&inside, &found, &zero], &[])
    }

    fn scatter(&mut self, id: NodeId, axis: usize) -> String {
        let node = self.traced.node(id);
        let (source, index) = (self.full(node.inputs[0]), self.full(node.inputs[1]));
        // One place more than there are takes what falls outside.
        let shape = self.traced.shape(id);
        let mut longer = shape.clone();
        longer[axis] = longer[axis].plus(Dim::fixed(1));
        let (zero, sizes, last) = (self.number(0.0, node.dtype), self.file.sizes(&longer), self.file.sizes(&[shape[axis]]));
        let target = self.file.node("Expand", &[&zero, &sizes], &[]);
        let safe = self.file.node("Min", &[&index, &last], &[]);
        let attributes = [("axis", Attr::Int(axis as i64)), ("reduction", Attr::Text("add"))];
        let added = self.file.node("ScatterElements", &[&target, &safe, &source], &attributes);
        let (start, axes) = (self.file.longs(&[0]), self.file.longs(&[axis as i64]));
        self.file.node("Slice", &[&added, &start, &last, &axes], &[])
    }

    fn convolve(&mut self, conv: &noyau_tensor::Conv, input: NodeId, x: &str, w: &str, bias: Option<&str>) -> String {
        let mut x = x.to_string();
        let mut shape = self.traced.shape(input);
        let rank = conv.stride.len();
        for axis in (0..rank).filter(|&axis| conv.input_dilation[axis] > 1) {
            // Zeros between the elements: each followed by as many, the last ones cut off.
            let (place, step) = (axis + 2, conv.input_dilation[axis] as i64);
            let mut apart = shape.clone();
            apart.insert(place + 1, Dim::fixed(1));
            x = self.reshaped(&x, &apart);
            let mut pads = vec![0; 2 * apart.len()];
            pads[apart.len() + place + 1] = step - 1;
            let (pads, zero) = (self.file.longs(&pads), self.number(0.0, DType::F32));
            x = self.file.node("Pad", &[&x, &pads, &zero], &[("mode", Attr::Text("constant"))]);
            let spread = shape[place].times(step);
            shape[place] = spread;
            x = self.reshaped(&x, &shape);
            shape[place] = spread.plus(Dim::fixed(1 - step));
            let (start, end, axes) = (self.file.longs(&[0]), self.file.sizes(&[shape[place]]), self.file.longs(&[place as i64]));
            x = self.file.node("Slice", &[&x, &start, &end, &axes], &[]);
        }
        for axis in (0..rank).filter(|&axis| conv.padding[axis].0 < 0 || conv.padding[axis].1 < 0) {
            let place = axis + 2;
            let (before, after) = (conv.padding[axis].0.min(0) as i64, conv.padding[axis].1.min(0) as i64);
            let (start, end) = (self.file.longs(&[-before]), self.file.sizes(&[shape[place].plus(Dim::fixed(after))]));
            let axes = self.file.longs(&[place as i64]);
            x = self.file.node("Slice", &[&x, &start, &end, &axes], &[]);
            shape[place] = shape[place].plus(Dim::fixed(before + after));
        }
        let longs = |all: &[usize]| Attr::Ints(all.iter().map(|&n| n as i64).collect());
        let pads = conv.padding.iter().map(|p| p.0.max(0) as i64).chain(conv.padding.iter().map(|p| p.1.max(0) as i64)).collect();
        let attributes = [
            ("strides", longs(&conv.stride)),
            ("dilations", longs(&conv.dilation)),
            ("pads", Attr::Ints(pads)),
            ("group", Attr::Int(conv.groups as i64)),
        ];
        let inputs: Vec<&str> = [x.as_str(), w].into_iter().chain(bias).collect();
        self.file.node("Conv", &inputs, &attributes)
    }

    fn pattern(&mut self, id: NodeId, pattern: &Pattern) -> String {
        let ints = |all: &[usize]| Attr::Ints(all.iter().map(|&n| n as i64).collect());
        match pattern {
            Pattern::Gemm { a, b, transposed, bias } => {
                let (a, b) = (self.full(*a), self.full(*b));
                let bias = bias.map(|bias| self.value(bias).name);
                let inputs: Vec<&str> = [a.as_str(), &b].into_iter().chain(bias.as_deref()).collect();
                self.file.node("Gemm", &inputs, &[("transB", Attr::Int(i64::from(*transposed)))])
            }
            Pattern::Conv { conv, x, w, bias } => {
                let (name, w, bias) = (self.full(*x), self.full(*w), self.full(*bias));
                self.convolve(conv, *x, &name, &w, Some(&bias))
            }
            Pattern::Rows { data, index } => {
                let (data, index) = (self.full(*data), self.full(*index));
                self.file.node("Gather", &[&data, &index], &[("axis", Attr::Int(0))])
            }
            Pattern::Mean { x, axes } => {
                let x = self.full(*x);
                let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
                let axes = self.file.longs(&axes);
                self.file.node("ReduceMean", &[&x, &axes], &[("keepdims", Attr::Int(0))])
            }
            Pattern::Pool { x, largest, pool, scaled } => {
                let x = self.full(*x);
                let pads: Vec<usize> = pool.before.iter().chain(&pool.after).copied().collect();
                let mut attributes = vec![("kernel_shape", ints(&pool.kernel)), ("strides", ints(&pool.stride)), ("pads", ints(&pads))];
                if *largest {
                    attributes.push(("dilations", ints(&pool.dilation)));
                    return self.file.node("MaxPool", &[&x], &attributes);
                }
                attributes.push(("count_include_pad", Attr::Int(1)));
                let mean = self.file.node("AveragePool", &[&x], &attributes);
                if *scaled {
                    return mean;
                }
                let area = self.number(pool.kernel.iter().product::<usize>() as f64, DType::F32);
                self.file.node("Mul", &[&mean, &area], &[])
            }
            Pattern::Function { op, x, attributes } => {
                let names: Vec<String> = x.iter().map(|&x| self.full(x)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let name = self.file.node(op, &names, attributes);
                debug_assert!(id.0 < self.traced.graph().nodes.len());
                name
            }
        }
    }
}

/// Types that noyau does not have.
struct DataTypes;

impl DataTypes {
    const UINT64: i32 = crate::proto::tensor_proto::DataType::Uint64 as i32;
}

fn float(file: &mut File, value: f64) -> String {
    file.constant(&Array::full([0usize; 0], Scalar::Float(value)))
}

fn unary(file: &mut File, op: UnaryOp, x: &str) -> String {
    let name = match op {
        UnaryOp::Neg => "Neg",
        UnaryOp::Abs => "Abs",
        UnaryOp::Sign => "Sign",
        UnaryOp::Floor => "Floor",
        UnaryOp::Ceil => "Ceil",
        UnaryOp::Round => "Round",
        UnaryOp::Sqrt => "Sqrt",
        UnaryOp::Recip => "Reciprocal",
        UnaryOp::Exp => "Exp",
        UnaryOp::Log => "Log",
        UnaryOp::Sin => "Sin",
        UnaryOp::Cos => "Cos",
        UnaryOp::Tanh => "Tanh",
        UnaryOp::Erf => "Erf",
        UnaryOp::Relu => "Relu",
        UnaryOp::Not => "Not",
        UnaryOp::Rsqrt => {
            let root = file.node("Sqrt", &[x], &[]);
            return file.node("Reciprocal", &[&root], &[]);
        }
        // e^x - 1 = tanh(x / 2) (e^x + 1), which keeps its digits near 0.
        UnaryOp::Expm1 => {
            let (half, one) = (float(file, 0.5), float(file, 1.0));
            let halved = file.node("Mul", &[x, &half], &[]);
            let (tanh, exp) = (file.node("Tanh", &[&halved], &[]), file.node("Exp", &[x], &[]));
            let more = file.node("Add", &[&exp, &one], &[]);
            return file.node("Mul", &[&tanh, &more], &[]);
        }
        // log(1 + x) = 2 atanh(x / (2 + x)), which keeps its digits near 0.
        UnaryOp::Log1p => {
            let (half, one, two) = (float(file, 0.5), float(file, 1.0), float(file, 2.0));
            let more = file.node("Add", &[x, &one], &[]);
            let plain = file.node("Log", &[&more], &[]);
            let below = file.node("Add", &[x, &two], &[]);
            let ratio = file.node("Div", &[x, &below], &[]);
            let atanh = file.node("Atanh", &[&ratio], &[]);
            let exact = file.node("Mul", &[&atanh, &two], &[]);
            let size = file.node("Abs", &[x], &[]);
            let near = file.node("Less", &[&size, &half], &[]);
            return file.node("Where", &[&near, &exact, &plain], &[]);
        }
    };
    file.node(name, &[x], &[])
}

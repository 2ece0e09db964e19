//! Functions of elements, conversions and reductions in ONNX's operations.

use noyau_compile::Node;
use noyau_tensor::{Array, BinaryOp, DType, Op, ReduceOp, Scalar, UnaryOp};

use super::emit::Emitter;
use super::file::{Attr, File, data_type};

impl Emitter<'_> {
    pub(super) fn cast(&mut self, x: &str, to: i32) -> String {
        self.file.node("Cast", &[x], &[("to", Attr::Int(to.into()))])
    }

    /// An operation on halves as noyau does it: in f32, and rounded.
    pub(super) fn in_f32(&mut self, dtype: DType, operands: &[String], write: impl FnOnce(&mut File, &[String]) -> String) -> String {
        if !dtype.is_half() {
            return write(self.file, operands);
        }
        let wide: Vec<String> = operands.iter().map(|x| self.cast(x, data_type(DType::F32) as i32)).collect();
        let result = write(self.file, &wide);
        self.cast(&result, data_type(dtype) as i32)
    }

    pub(super) fn reduce(&mut self, op: ReduceOp, dtype: DType, x: &str, axes: &[usize]) -> String {
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
    pub(super) fn wrapped(&mut self, x: &str) -> String {
        let all = self.file.long(1 << 32);
        self.file.node("Mod", &[x, &all], &[])
    }

    pub(super) fn elementwise(&mut self, node: &Node, x: &[String]) -> String {
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
    pub(super) fn converted(&mut self, x: &str, from: DType, to: DType) -> String {
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

    pub(super) fn binary(&mut self, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
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
    pub(super) fn divided(&mut self, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
        let (zero, one) = (self.number(0.0, dtype), self.number(1.0, dtype));
        let none = self.file.node("Equal", &[b, &zero], &[]);
        let safe = self.file.node("Where", &[&none, &one, b], &[]);
        let result = match op {
            BinaryOp::Div => self.file.node("Div", &[a, &safe], &[]),
            _ => self.file.node("Mod", &[a, &safe], &[("fmod", Attr::Int(1))]),
        };
        self.file.node("Where", &[&none, &zero, &result], &[])
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

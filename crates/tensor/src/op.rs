//! The primitives. Everything else is composed from them.
//!
//! `match` on these enums has no `_` arm anywhere in noyau: a primitive without its shape rule, gradient, CPU loop or WGSL
//! does not compile. `docs/ADDING_AN_OP.md` walks through the places.

use std::fmt;
use std::sync::Arc;

use crate::{Array, DType, Error, Scalar, State};

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Neg,
    Abs,
    /// -1, 0 or 1.
    Sign,
    Floor,
    Ceil,
    /// To the nearest integer, halves to the even one.
    Round,
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `1 / x`.
    Recip,
    Exp,
    /// `exp(x) - 1`, accurate near 0.
    Expm1,
    Log,
    /// `log(1 + x)`, accurate near 0.
    Log1p,
    Sin,
    Cos,
    Tanh,
    /// `2 / sqrt(pi) * integral of exp(-t^2) from 0 to x`.
    Erf,
    /// `max(x, 0)`, with gradient 0 at 0.
    Relu,
    /// Logical not of a bool, bitwise of an integer.
    Not,
}

/// A function of two elements of the same type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Division; of integers toward zero, by zero gives 0.
    Div,
    /// Remainder with the dividend's sign, as C's `fmod`; of integers by zero gives 0.
    Rem,
    Pow,
    Min,
    Max,
    /// `a < b`, a bool.
    Lt,
    /// `a <= b`, a bool.
    Le,
    /// `a == b`, a bool.
    Eq,
    /// `a != b`, a bool.
    Ne,
    /// Logical and of bools, bitwise of integers.
    And,
    /// Logical or of bools, bitwise of integers.
    Or,
    /// Logical exclusive or of bools, bitwise of integers.
    Xor,
    /// Shift of an integer to the left, by less than 32.
    Shl,
    /// Shift of an integer to the right, by less than 32.
    Shr,
}

/// How a reduction combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ReduceOp {
    Sum,
    Prod,
    Max,
    Min,
}

impl ReduceOp {
    /// The value that changes nothing. For max and min of floats it is the infinity (a GPU uses the largest finite value).
    pub fn identity(self, dtype: DType) -> Scalar {
        match (self, dtype) {
            (ReduceOp::Sum, _) => Scalar::new(0.0, dtype),
            (ReduceOp::Prod, _) => Scalar::new(1.0, dtype),
            (ReduceOp::Max, DType::F32 | DType::F16 | DType::BF16) => Scalar::new(f64::NEG_INFINITY, dtype),
            (ReduceOp::Min, DType::F32 | DType::F16 | DType::BF16) => Scalar::new(f64::INFINITY, dtype),
            (ReduceOp::Max, DType::I32) => Scalar::Int(i32::MIN),
            (ReduceOp::Min, DType::I32) => Scalar::Int(i32::MAX),
            (ReduceOp::Max, DType::U32) => Scalar::Uint(0),
            (ReduceOp::Min, DType::U32) => Scalar::Uint(u32::MAX),
            (ReduceOp::Max, DType::Bool) => Scalar::Bool(false),
            (ReduceOp::Min, DType::Bool) => Scalar::Bool(true),
        }
    }

    /// The function of two elements that the reduction repeats.
    pub fn combine(self) -> BinaryOp {
        match self {
            ReduceOp::Sum => BinaryOp::Add,
            ReduceOp::Prod => BinaryOp::Mul,
            ReduceOp::Max => BinaryOp::Max,
            ReduceOp::Min => BinaryOp::Min,
        }
    }
}

/// The windows of [`Op::Unfold`]: `result[.., i, .., j] = x[.., i * step + j * dilation, ..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The axis that is walked.
    pub axis: usize,
    /// How many elements a window has.
    pub size: usize,
    /// From one window to the next.
    pub step: usize,
    /// From one element of a window to the next.
    pub dilation: usize,
}

impl Window {
    /// How many windows fit in an axis.
    pub fn count(&self, size: usize) -> usize {
        let span = (self.size.max(1) - 1) * self.dilation + 1;
        if size < span { 0 } else { (size - span) / self.step + 1 }
    }
}

/// The numbers of an [`Op::Conv`], one for each spatial axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// From one result to the next, in elements of the padded input.
    pub stride: Vec<usize>,
    /// Zeros before and after; negative widths cut elements off.
    pub padding: Vec<(isize, isize)>,
    /// From one element of the kernel to the next, in elements of the padded input.
    pub dilation: Vec<usize>,
    /// From one element of the input to the next, with zeros between them, before padding.
    pub input_dilation: Vec<usize>,
    /// How many parts the channels are divided into, each convolved by itself.
    pub groups: usize,
}

impl Conv {
    /// The size of the input along a spatial axis with its zeros between and around; `None` when padding cuts off more than there is.
    pub fn padded(&self, axis: usize, input: usize) -> Option<usize> {
        let spread = if input == 0 { 0 } else { (input - 1) * self.input_dilation[axis] + 1 };
        usize::try_from(spread as isize + self.padding[axis].0 + self.padding[axis].1).ok()
    }

    /// The size of the result along a spatial axis; `None` when the kernel does not fit.
    pub fn out(&self, axis: usize, input: usize, kernel: usize) -> Option<usize> {
        let span = (kernel.checked_sub(1)?) * self.dilation[axis] + 1;
        Some((self.padded(axis, input)?.checked_sub(span)?) / self.stride[axis] + 1)
    }
}

/// The numbers of an [`Op::Attention`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Which result.
    pub part: AttentionPart,
    /// Whether query `i` may look at keys `0..=i` only.
    pub causal: bool,
    /// By which the products of queries and keys are multiplied.
    pub scale: f64,
}

/// The results that attention has. Of the queries `[batch.., n, d]`, keys `[batch.., m, d]` and values `[batch.., m, e]`, all with the same batch axes, and any number
/// of masks `[batch.., n, m]`, f32, come the scores `s = q k^T * scale + masks` and the weights `p = softmax(s)` over the open keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttentionPart {
    /// `p v`, `[batch.., n, e]`. Operands: queries, keys, values, masks.
    Output,
    /// The logarithm of the sum of `exp(s)` over the open keys, `[batch.., n]`, f32. Operands as `Output`'s. Where no key is open it has no meaning.
    LogSumExp,
    /// The gradient by the queries, `[batch.., n, d]`. Operands: queries, keys, values, the gradient by the output, `LogSumExp`, the sum over features of
    /// output times its gradient `[batch.., n]`, masks.
    GradQuery,
    /// The gradient by the keys, `[batch.., m, d]`. Operands as `GradQuery`'s.
    GradKey,
    /// The gradient by the values, `[batch.., m, e]`. Operands as `GradQuery`'s.
    GradValue,
}

impl AttentionPart {
    /// How many operands come before the masks.
    pub fn fixed(self) -> usize {
        match self {
            AttentionPart::Output | AttentionPart::LogSumExp => 3,
            AttentionPart::GradQuery | AttentionPart::GradKey | AttentionPart::GradValue => 6,
        }
    }
}

/// What a [`Tensor`](crate::Tensor) is the result of. Operands are kept beside the op, in the order given here.
#[derive(Clone, Debug)]
pub enum Op {
    /// One value everywhere. No operands.
    Full(Scalar),
    /// Values given by the program. No operands.
    Data(Arc<Array>),
    /// An argument of the step that is being traced, by position. No operands.
    Input(usize),
    /// A value that outlives the step: a parameter, a moment, a counter. No operands.
    State(Arc<State>),
    /// The coordinate along an axis, as u32. No operands.
    Iota(usize),
    /// An element by element function.
    Unary(UnaryOp),
    /// An element by element function of two tensors of one shape and type.
    Binary(BinaryOp),
    /// `condition ? a : b`; three operands of one shape.
    Where,
    /// Conversion to another type; floats to integers round toward zero and saturate, to halves to the nearest, ties to even.
    Cast(DType),
    /// The first word of the Philox 4x32-10 block with counter `(index, step, stream, 0)` and key `(seed, 0)`.
    /// Operands of one shape, u32: index, step, seed. The stream tells draws of one graph apart; while an expression is
    /// being built it is a number unique to the draw, in a graph the draw's place there. Source: Salmon et al.,
    /// "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    Philox(u64),
    /// The operand, through which no gradient flows.
    Detach,
    /// The same elements in row-major order under another shape.
    Reshape,
    /// Axis `i` of the result is axis `axes[i]` of the operand.
    Permute(Vec<usize>),
    /// Axes of size 1 repeated to the result's size.
    Expand,
    /// For each axis, elements `start`, `start + step`, ...; `step` is at least 1.
    Slice(Vec<(usize, usize)>),
    /// The named axes reversed.
    Flip(Vec<usize>),
    /// For each axis, so many elements added before and after, of the given value.
    Pad(Vec<(usize, usize)>, Scalar),
    /// Windows along an axis; the window is a new last axis.
    Unfold(Window),
    /// The named axes (ascending) combined and removed.
    Reduce(ReduceOp, Vec<usize>),
    /// `[batch.., m, k] x [batch.., k, n]`, batch axes equal.
    Matmul,
    /// A convolution (correlation, as in all of deep learning) of `[n, groups * ci, size..]` with `[groups * co, ci, kernel..]` to `[n, groups * co, out..]`,
    /// over any number of axes. Operands: input, weight. Its gradients are convolutions again. The compiler writes it as a matrix product that reads
    /// the input through windows.
    Conv(Conv),
    /// Attention, whose weights need not be in memory: see [`AttentionPart`]. What it stands for is [`Attention::expand`].
    Attention(Attention),
    /// `result[.., i, ..] = data[.., index[.., i, ..], ..]` along the axis, the index's shape; operands: data, index (u32). Axes other than the
    /// named one have equal sizes. An index outside of the axis gives 0.
    Gather(usize),
    /// Zeros of the result's shape, to which each element of `source` is added at the place along the axis that `index` (u32, source's shape) names;
    /// operands: source, index. An index outside of the axis adds nothing.
    ScatterAdd(usize),
    /// A mistake, found when the expression was built, that `eval` and `compile` will report.
    Error(Arc<Error>),
}

impl UnaryOp {
    /// The name, PyTorch's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            UnaryOp::Neg => "neg",
            UnaryOp::Abs => "abs",
            UnaryOp::Sign => "sign",
            UnaryOp::Floor => "floor",
            UnaryOp::Ceil => "ceil",
            UnaryOp::Round => "round",
            UnaryOp::Sqrt => "sqrt",
            UnaryOp::Rsqrt => "rsqrt",
            UnaryOp::Recip => "reciprocal",
            UnaryOp::Exp => "exp",
            UnaryOp::Expm1 => "expm1",
            UnaryOp::Log => "log",
            UnaryOp::Log1p => "log1p",
            UnaryOp::Sin => "sin",
            UnaryOp::Cos => "cos",
            UnaryOp::Tanh => "tanh",
            UnaryOp::Erf => "erf",
            UnaryOp::Relu => "relu",
            UnaryOp::Not => "not",
        }
    }

    /// Whether it takes operands of this type.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign | UnaryOp::Relu => dtype != DType::Bool && dtype != DType::U32,
            UnaryOp::Not => !dtype.is_float(),
            UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Sqrt
            | UnaryOp::Rsqrt
            | UnaryOp::Recip
            | UnaryOp::Exp
            | UnaryOp::Expm1
            | UnaryOp::Log
            | UnaryOp::Log1p
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tanh
            | UnaryOp::Erf => dtype.is_float(),
        }
    }
}

impl BinaryOp {
    /// The name, PyTorch's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::Rem => "rem",
            BinaryOp::Pow => "pow",
            BinaryOp::Min => "minimum",
            BinaryOp::Max => "maximum",
            BinaryOp::Lt => "lt",
            BinaryOp::Le => "le",
            BinaryOp::Eq => "eq",
            BinaryOp::Ne => "ne",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Xor => "xor",
            BinaryOp::Shl => "shl",
            BinaryOp::Shr => "shr",
        }
    }

    /// Whether the result is a bool whatever the operands' type.
    pub fn is_comparison(self) -> bool {
        matches!(self, BinaryOp::Lt | BinaryOp::Le | BinaryOp::Eq | BinaryOp::Ne)
    }

    /// Whether it takes operands of this type.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Min | BinaryOp::Max => {
                dtype != DType::Bool
            }
            BinaryOp::Pow => dtype.is_float(),
            BinaryOp::Lt | BinaryOp::Le => dtype != DType::Bool,
            BinaryOp::Eq | BinaryOp::Ne => true,
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => !dtype.is_float(),
            BinaryOp::Shl | BinaryOp::Shr => dtype.is_int(),
        }
    }
}

impl ReduceOp {
    /// The name, PyTorch's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Max => "amax",
            ReduceOp::Min => "amin",
        }
    }
}

impl Op {
    /// The name, PyTorch's where it has one.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Full(_) => "full",
            Op::Data(_) => "data",
            Op::Input(_) => "input",
            Op::State(_) => "state",
            Op::Iota(_) => "iota",
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Where => "where",
            Op::Cast(_) => "to",
            Op::Philox(_) => "philox",
            Op::Detach => "detach",
            Op::Reshape => "reshape",
            Op::Permute(_) => "permute",
            Op::Expand => "expand",
            Op::Slice(_) => "slice",
            Op::Flip(_) => "flip",
            Op::Pad(..) => "pad",
            Op::Unfold(_) => "unfold",
            Op::Reduce(op, _) => op.name(),
            Op::Matmul => "matmul",
            Op::Conv(_) => "conv",
            Op::Attention(a) => match a.part {
                AttentionPart::Output => "attention",
                AttentionPart::LogSumExp => "attention_logsumexp",
                AttentionPart::GradQuery => "attention_grad_query",
                AttentionPart::GradKey => "attention_grad_key",
                AttentionPart::GradValue => "attention_grad_value",
            },
            Op::Gather(_) => "gather",
            Op::ScatterAdd(_) => "scatter_add",
            Op::Error(_) => "error",
        }
    }

    /// Whether the op only renames coordinates of its operand.
    pub fn is_view(&self) -> bool {
        matches!(self, Op::Reshape | Op::Permute(_) | Op::Expand | Op::Slice(_) | Op::Flip(_) | Op::Pad(..) | Op::Unfold(_))
    }

    /// Whether the op computes each element from the operands' elements at the same place.
    pub fn is_elementwise(&self) -> bool {
        matches!(self, Op::Unary(_) | Op::Binary(_) | Op::Where | Op::Cast(_) | Op::Philox(_) | Op::Detach)
    }
}

impl fmt::Display for Op {
    /// The name with its parameters: `sum[1]`, `permute[1, 0]`, `full(0.5)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Op::Full(value) => write!(f, "{name}({value})"),
            Op::Input(i) => write!(f, "{name}({i})"),
            Op::State(state) => write!(f, "{name}({})", state.name()),
            Op::Iota(axis) | Op::Gather(axis) | Op::ScatterAdd(axis) => write!(f, "{name}[{axis}]"),
            Op::Cast(dtype) => write!(f, "{name}({dtype})"),
            Op::Philox(stream) => write!(f, "{name}({stream})"),
            Op::Permute(axes) | Op::Flip(axes) | Op::Reduce(_, axes) => write!(f, "{name}{axes:?}"),
            Op::Slice(ranges) => write!(f, "{name}{ranges:?}"),
            Op::Pad(widths, value) => write!(f, "{name}{widths:?}({value})"),
            Op::Unfold(w) => write!(f, "{name}[{}]({} by {}, dilation {})", w.axis, w.size, w.step, w.dilation),
            Op::Conv(c) => write!(
                f,
                "{name}(stride {:?}, padding {:?}, dilation {:?}, input dilation {:?}, groups {})",
                c.stride, c.padding, c.dilation, c.input_dilation, c.groups
            ),
            Op::Attention(a) => write!(f, "{name}(scale {}{})", a.scale, if a.causal { ", causal" } else { "" }),
            Op::Error(error) => write!(f, "{name}({error})"),
            Op::Data(_) | Op::Unary(_) | Op::Binary(_) | Op::Where | Op::Detach | Op::Reshape | Op::Expand | Op::Matmul => {
                f.write_str(name)
            }
        }
    }
}

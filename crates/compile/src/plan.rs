//! The plan: what a device has to do, in order, and nothing about how.
//!
//! The CPU executor and the GPU room both run this, so everything in it is checked once, on the CPU, for both.

use std::sync::Arc;

use noyau_tensor::{Array, BinaryOp, DType, Location, ReduceOp, Scalar, State, UnaryOp};

use crate::Index;
pub use crate::operand::{Bound, Digit, Matrix, Strides};

/// Of how many runs devices keep a step's scalars, for those who run it many times and look at them later. A power of two.
pub const HISTORY: usize = 4096;

/// A buffer of a plan: `plan.buffers[id.0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

/// A value of a kernel's body: the result of instruction `id.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// A whole step, ready for any device: buffers, and kernels over them in order of execution.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything that kernels read and write.
    pub buffers: Vec<Buffer>,
    /// For each slot its length in words of 32 bits: the longest buffer that lives there.
    pub slots: Vec<usize>,
    /// What to execute, first to last.
    pub kernels: Vec<Kernel>,
    /// The step's arguments, by position; every one has a buffer, used or not.
    pub inputs: Vec<BufferId>,
    /// The step's results, by position. May name an input, a state or a constant.
    pub outputs: Vec<BufferId>,
}

/// A run of elements, row-major.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Where it lives.
    pub kind: BufferKind,
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// The element type.
    pub dtype: DType,
}

impl Buffer {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a buffer lives.
#[derive(Clone, Debug)]
pub enum BufferKind {
    /// The step's argument at a position: written by the caller before each run.
    Input(usize),
    /// Kept by the session from run to run. A kernel may write it in place.
    State(Arc<State>),
    /// Values known when the plan was made.
    Constant(Arc<Array>),
    /// Made by one kernel and used by later ones; buffers whose lives do not overlap share a slot.
    Slot(usize),
}

/// One launch's worth of work.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What it computes, in words: `matmul+add+relu`.
    pub name: String,
    /// The line of the user's program that wrote its principal op.
    pub location: Location,
    /// The work.
    pub kind: KernelKind,
}

/// The kinds of work.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a plan has some dozens of kernels")]
pub enum KernelKind {
    /// Elementwise work, with or without reductions of rows.
    Loop(Loop),
    /// A matrix product with elementwise work on its result.
    Matmul(Matmul),
    /// Additions at places that are data.
    Scatter(Scatter),
    /// Attention, forward or backward.
    Attention(Attention),
}

/// A loop nest over the space `outer ++ inner`.
///
/// For each coordinate of `outer` (a row), the body is evaluated over all coordinates of `inner`. With an empty `inner` it is a plain map. Values of
/// level [`Level::Inner`] exist for each coordinate of both, values of level [`Level::Outer`] once a row; [`Instr::Reduce`] makes the latter of the former.
/// Rows do not depend on each other.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The sizes of the rows' space.
    pub outer: Vec<usize>,
    /// The sizes of the space that is reduced.
    pub inner: Vec<usize>,
    /// What is computed.
    pub body: Body,
}

impl Loop {
    /// `outer ++ inner`: the space of every [`Index`] in the body.
    pub fn space(&self) -> Vec<usize> {
        self.outer.iter().chain(&self.inner).copied().collect()
    }
}

/// Straight-line code for one coordinate of a kernel's space, in single assignment form: an instruction's operands come before it.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The buffers that it loads from and stores to; each at most once. A buffer that is both loaded and stored is only ever loaded, by
    /// [`Instr::Load`], at the coordinate that the same kernel stores to (so work in place is safe in any order of coordinates).
    pub operands: Vec<BufferId>,
    /// The instructions; instruction `i` makes value `i`.
    pub values: Vec<Value>,
    /// What is written, after all values of the coordinate are known.
    pub stores: Vec<Store>,
}

/// An instruction with its result's type and level.
#[derive(Clone, Debug)]
pub struct Value {
    /// How it is computed.
    pub instr: Instr,
    /// The result's type.
    pub dtype: DType,
    /// How often it is computed.
    pub level: Level,
}

/// Where a value lives in a [`Loop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Once for each coordinate of `outer`.
    Outer,
    /// Once for each coordinate of `outer ++ inner`.
    Inner,
}

/// One instruction. Operand values of level `Outer` are the same for all of a row's `Inner` coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instr {
    /// A known value.
    Const(Scalar),
    /// `operands[operand]` at the place that `index` gives for the coordinate; 0 where a mask excludes it. At level `Outer` the index does not depend on inner coordinates.
    Load {
        /// Which of the body's operands.
        operand: usize,
        /// Where in it.
        index: Index,
    },
    /// `operands[operand]` at `index + at * stride`; 0 where `at >= len` or a mask excludes the coordinate.
    Gather {
        /// Which of the body's operands.
        operand: usize,
        /// Where in it, for `at` 0.
        index: Index,
        /// The place along the gathered axis, u32.
        at: ValueId,
        /// What one step of `at` adds to the place.
        stride: usize,
        /// The size of the gathered axis.
        len: usize,
    },
    /// The place that the index gives for the coordinate, itself the value (u32); 0 where a mask excludes it.
    Place(Index),
    /// Whether all masks of the index include the coordinate, a bool.
    Valid(Index),
    /// A function of one value.
    Unary(UnaryOp, ValueId),
    /// A function of two values of one type.
    Binary(BinaryOp, ValueId, ValueId),
    /// Condition (bool), then, otherwise.
    Where(ValueId, ValueId, ValueId),
    /// Conversion to the result's type.
    Cast(ValueId),
    /// See [`noyau_tensor::Op::Philox`].
    Philox {
        /// The draw's number in the graph.
        stream: u32,
        /// The counter's first word.
        index: ValueId,
        /// The counter's second word.
        step: ValueId,
        /// The key's first word.
        seed: ValueId,
    },
    /// An `Inner` value combined over the row, `Outer`. Only in a [`Loop`].
    Reduce(ReduceOp, ValueId),
    /// The matrix product at the coordinate. Only in a [`Matmul`].
    Product,
}

/// A value written to a buffer, at every coordinate of its level.
#[derive(Clone, Debug)]
pub struct Store {
    /// What.
    pub value: ValueId,
    /// To which of the body's operands.
    pub operand: usize,
    /// Where in it: one view, unmasked, different coordinates of the value's level at different places, all places of the buffer covered.
    pub index: Index,
}

/// `product[batch.., i, j] = sum over l of a[batch.., i, l] * b[batch.., l, j]`, f32, then the body over the space `batch ++ [m, n]` (all values of level `Outer`).
#[derive(Clone, Debug)]
pub struct Matmul {
    /// The sizes of the batch axes.
    pub batch: Vec<usize>,
    /// Rows of the product.
    pub m: usize,
    /// Columns of the product.
    pub n: usize,
    /// Summed length; 0 makes a product of zeros.
    pub k: usize,
    /// The left operand.
    pub a: Matrix,
    /// The right operand.
    pub b: Matrix,
    /// What happens to the product; its stores never write what `a` or `b` read.
    pub body: Body,
}

impl Matmul {
    /// `batch ++ [m, n]`: the space of every [`Index`] in the body.
    pub fn space(&self) -> Vec<usize> {
        self.batch.iter().copied().chain([self.m, self.n]).collect()
    }
}

/// `target` is filled with zeros; then each element of `source` (shape `[before, count, after]`) is added to `target` (shape `[before, size, after]`) at the place along the middle
/// axis that `index` (u32, source's shape) names, in ascending order of the middle coordinate; places not below `size` are passed over. All are contiguous, f32 but for the index.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// What is added.
    pub source: BufferId,
    /// Where.
    pub index: BufferId,
    /// To what.
    pub target: BufferId,
    /// The product of the sizes before the axis.
    pub before: usize,
    /// The axis' size in the source.
    pub count: usize,
    /// The axis' size in the target.
    pub size: usize,
    /// The product of the sizes after the axis.
    pub after: usize,
}

/// `softmax(q k^T * scale + masks) v` or its gradients, for each matrix of a batch, without the weights in memory. Operands are read by plain strides, results and
/// rows' sums are contiguous: `[batch, places, features]` and `[batch, places]`. All is f32, or halves that are read as such.
#[derive(Clone, Debug)]
pub struct Attention {
    /// How many matrices.
    pub batch: usize,
    /// Queries.
    pub n: usize,
    /// Keys.
    pub m: usize,
    /// Features of queries and keys, at most [`MAX_HEAD`](crate::MAX_HEAD).
    pub d: usize,
    /// Features of values, at most [`MAX_HEAD`](crate::MAX_HEAD).
    pub e: usize,
    /// Whether query `i` may look at keys `0..=i` only.
    pub causal: bool,
    /// By which the products of queries and keys are multiplied.
    pub scale: f32,
    /// `[n, d]`.
    pub q: Matrix,
    /// `[m, d]`.
    pub k: Matrix,
    /// `[m, e]`.
    pub v: Matrix,
    /// `[n, m]` each, added to the scores; [`Attention::CLOSED`](noyau_tensor::Attention::CLOSED) and less closes.
    pub masks: Vec<Matrix>,
    /// What is wanted.
    pub work: AttentionWork,
}

/// Which results of attention, at least one; see [`noyau_tensor::AttentionPart`] for what they are.
#[derive(Clone, Debug)]
pub enum AttentionWork {
    /// From scores to results.
    Forward {
        /// The weighted means of the values, `[n, e]`.
        out: Option<BufferId>,
        /// The logarithms of the rows' sums, `[n]`; of any value where no key is open.
        lse: Option<BufferId>,
    },
    /// From the results' gradient to those of the operands.
    Backward {
        /// The gradient by the result, `[n, e]`.
        g: Matrix,
        /// The logarithms of the rows' sums, `[n]`.
        lse: BufferId,
        /// The sums of result times gradient, `[n]`.
        delta: BufferId,
        /// The gradient by the queries, `[n, d]`.
        dq: Option<BufferId>,
        /// The gradient by the keys, `[m, d]`.
        dk: Option<BufferId>,
        /// The gradient by the values, `[m, e]`.
        dv: Option<BufferId>,
    },
}

impl Attention {
    /// The operands that are read by strides: queries, keys, values, masks, and backward the gradient.
    pub fn matrices(&self) -> Vec<&Matrix> {
        let g = match &self.work {
            AttentionWork::Forward { .. } => None,
            AttentionWork::Backward { g, .. } => Some(g),
        };
        [&self.q, &self.k, &self.v].into_iter().chain(&self.masks).chain(g).collect()
    }

    fn reads(&self) -> Vec<BufferId> {
        let rows = match self.work {
            AttentionWork::Forward { .. } => Vec::new(),
            AttentionWork::Backward { lse, delta, .. } => vec![lse, delta],
        };
        self.matrices().into_iter().map(|matrix| matrix.buffer).chain(rows).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        match self.work {
            AttentionWork::Forward { out, lse } => out.into_iter().chain(lse).collect(),
            AttentionWork::Backward { dq, dk, dv, .. } => dq.into_iter().chain(dk).chain(dv).collect(),
        }
    }

    /// Every buffer that it names.
    pub(crate) fn buffers_mut(&mut self) -> Vec<&mut BufferId> {
        let mut all: Vec<&mut BufferId> =
            [&mut self.q, &mut self.k, &mut self.v].into_iter().chain(&mut self.masks).map(|m| &mut m.buffer).collect();
        match &mut self.work {
            AttentionWork::Forward { out, lse } => all.extend(out.iter_mut().chain(lse)),
            AttentionWork::Backward { g, lse, delta, dq, dk, dv } => {
                all.extend([&mut g.buffer, lse, delta].into_iter().chain(dq).chain(dk).chain(dv));
            }
        }
        all
    }
}

/// What the planner has to know of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many buffers one kernel may bind. At least 4; WebGPU's floor is 8.
    pub max_bindings: usize,
    /// Buffers of at most this many bytes share a binding (the device keeps them in one arena), one for slots, inputs and constants, one for states.
    pub arena_bytes: usize,
    /// The most bytes of one buffer.
    pub max_buffer_bytes: usize,
    /// Reductions over more elements than this are split in two.
    pub max_reduce: usize,
    /// Attention with fewer scores a matrix (queries times keys) is written out as products and softmax.
    pub min_scores: usize,
    /// Whether buffers of f16 that are too long for an arena take two bytes an element. All other elements take a word.
    pub half_words: bool,
}

impl Limits {
    /// A CPU's: nothing in the way. Up to 35 queries and keys the weights stay in the first cache, and laying out what a block needs takes longer than its products (measured:
    /// 28 places 1.3 to 1.7 times as fast written out, 48 places 1.0 to 0.5 times).
    pub const CPU: Limits = Limits {
        max_bindings: 64,
        arena_bytes: 0,
        max_buffer_bytes: usize::MAX,
        max_reduce: 1 << 15,
        min_scores: 36 * 36,
        half_words: false,
    };

    /// The floor that every GPU with WebGPU meets.
    pub const GPU: Limits = Limits {
        max_bindings: 8,
        arena_bytes: 1 << 16,
        max_buffer_bytes: 128 << 20,
        max_reduce: 1 << 13,
        min_scores: 0,
        half_words: false,
    };
}

impl Limits {
    /// How many words of 32 bits a buffer takes.
    pub fn words(&self, buffer: &Buffer) -> usize {
        let len = buffer.len();
        // Two bytes an element only where even that is too much for an arena, so that it is plain from the number of words where a buffer lives.
        if self.half_words && buffer.dtype == DType::F16 && len.saturating_mul(2) > self.arena_bytes { len.div_ceil(2) } else { len }
    }

    /// How many bytes a buffer takes.
    pub fn bytes(&self, buffer: &Buffer) -> usize {
        self.words(buffer).saturating_mul(4)
    }
}

impl Kernel {
    /// The buffers that it reads, in the order of its operands, each once.
    pub fn reads(&self) -> Vec<BufferId> {
        let mut reads = match &self.kind {
            KernelKind::Loop(l) => l.body.loaded(),
            KernelKind::Matmul(m) => [m.a.buffer, m.b.buffer].into_iter().chain(m.body.loaded()).collect(),
            KernelKind::Scatter(s) => vec![s.source, s.index],
            KernelKind::Attention(a) => a.reads(),
        };
        let mut seen = std::collections::HashSet::new();
        reads.retain(|&b| seen.insert(b));
        reads
    }

    /// The buffers that it writes.
    pub fn writes(&self) -> Vec<BufferId> {
        match &self.kind {
            KernelKind::Loop(Loop { body, .. }) | KernelKind::Matmul(Matmul { body, .. }) => body.stored(),
            KernelKind::Scatter(s) => vec![s.target],
            KernelKind::Attention(a) => a.writes(),
        }
    }
}

impl Body {
    /// The operands that are loaded.
    pub fn loaded(&self) -> Vec<BufferId> {
        let used = |i: usize| self.values.iter().any(|v| v.instr.reads().is_some_and(|(operand, _)| operand == i));
        (0..self.operands.len()).filter(|&i| used(i)).map(|i| self.operands[i]).collect()
    }

    /// The operands that are stored to.
    pub fn stored(&self) -> Vec<BufferId> {
        self.stores.iter().map(|s| self.operands[s.operand]).collect()
    }
}

impl Instr {
    /// The operand that it reads from memory, and where.
    pub fn reads(&self) -> Option<(usize, &Index)> {
        match self {
            Instr::Load { operand, index } | Instr::Gather { operand, index, .. } => Some((*operand, index)),
            Instr::Const(_)
            | Instr::Place(_)
            | Instr::Valid(_)
            | Instr::Unary(..)
            | Instr::Binary(..)
            | Instr::Where(..)
            | Instr::Cast(_)
            | Instr::Philox { .. }
            | Instr::Reduce(..)
            | Instr::Product => None,
        }
    }

    /// The values that it needs.
    pub fn operands(&self) -> Vec<ValueId> {
        match *self {
            Instr::Const(_) | Instr::Load { .. } | Instr::Place(_) | Instr::Valid(_) | Instr::Product => Vec::new(),
            Instr::Gather { at, .. } => vec![at],
            Instr::Unary(_, a) | Instr::Cast(a) | Instr::Reduce(_, a) => vec![a],
            Instr::Binary(_, a, b) => vec![a, b],
            Instr::Where(c, a, b) => vec![c, a, b],
            Instr::Philox { index, step, seed, .. } => vec![index, step, seed],
        }
    }
}

//! A body as nodes for one way of splitting the space into lines and columns; and the choice of that way.

use noyau_compile::Index;
use noyau_compile::plan::{Body, Instr, Level as PlanLevel, ValueId};
use noyau_tensor::{BinaryOp, DType, Error, ReduceOp, Result};

use super::PRODUCT;
use super::access::{Access, Form};
use super::ops::{binary_cost, binary_run, cast_run, unary_cost, unary_run};
use super::step::{Extra, Philox, Run, Select, pick};
use crate::simd::Level;

/// A body that is to be prepared.
pub(crate) struct Request<'a> {
    pub(crate) body: &'a Body,
    /// The length of each operand's buffer.
    pub(crate) limits: &'a [usize],
    pub(crate) outer: &'a [usize],
    pub(crate) inner: &'a [usize],
    /// For a matrix product's body: the elements from one row of the product to the next, which are also the most columns of one run.
    pub(crate) product: Option<usize>,
    pub(crate) level: Level,
}

/// Which direction is reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None.
    Map,
    /// Columns: a row of the kernel is a line.
    Cols,
    /// Lines: a row of the kernel is a column, so that neighbouring rows are worked on side by side.
    Lines,
}

/// How the space is split.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) kind: Kind,
    pub(crate) lines: Vec<usize>,
    pub(crate) cols: Vec<usize>,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    Const(u32),
    Load { operand: usize, access: Access },
    Gather { operand: usize, access: Access, stride: usize, len: usize },
    Place(Access),
    Valid(Access),
    Run(Run, Extra),
    Reduce(ReduceOp, DType, Of),
}

/// What a reduction combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// An operand.
    Values,
    /// The products of two operands.
    Products,
    /// The squares of the differences of two operands, of which the second is the same for a whole row.
    Squares,
}

/// One value of a body.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) code: Code,
    pub(crate) args: Vec<usize>,
    pub(crate) form: Form,
    /// Whether it has to be computed for each element of the reduced direction.
    pub(crate) inner: bool,
    /// Nanoseconds an element.
    pub(crate) cost: f64,
    /// The function of two floats that it is.
    pub(crate) of_two: Option<BinaryOp>,
}

/// A value's way to a buffer.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) node: usize,
    pub(crate) operand: usize,
    pub(crate) access: Access,
    /// The directions that the written places vary in.
    pub(crate) domain: Form,
    pub(crate) inner: bool,
}

/// A body for one split.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Node>,
    pub(crate) sinks: Vec<Sink>,
    /// The values that a narrow tile has written out in full.
    pub(crate) spread: Vec<Option<usize>>,
}

impl Request<'_> {
    fn rank(&self) -> usize {
        self.outer.len() + self.inner.len()
    }

    pub(crate) fn size(&self, axes: &[usize]) -> usize {
        axes.iter().map(|&i| if i < self.outer.len() { self.outer[i] } else { self.inner[i - self.outer.len()] }).product()
    }

    fn reduces(&self) -> bool {
        self.body.values.iter().any(|v| matches!(v.instr, Instr::Reduce(..)))
    }

    /// The splits that make sense.
    fn candidates(&self) -> Vec<Split> {
        let (n, rank) = (self.outer.len(), self.rank());
        let range = |from: usize, to: usize| (from..to).collect::<Vec<_>>();
        if !self.inner.is_empty() || self.reduces() {
            let cols = Split { kind: Kind::Cols, lines: range(0, n), cols: range(n, rank) };
            let lines = Split { kind: Kind::Lines, lines: range(n, rank), cols: range(0, n) };
            return vec![cols, lines];
        }
        let split = |p: usize| Split { kind: Kind::Map, lines: range(0, p), cols: range(p, rank) };
        match self.product {
            // Rows of a product are computed together, and sometimes only some columns of them.
            Some(width) if width < self.size(&[rank - 1]) => vec![split(rank - 1)],
            Some(_) => vec![split(0), split(rank - 1)],
            None => (0..rank.max(1)).map(split).collect(),
        }
    }

    /// The best split, with the body's nodes for it.
    pub(crate) fn split(&self) -> Result<(Split, Nodes)> {
        let mut best: Option<(f64, Split, Nodes)> = None;
        for split in self.candidates() {
            let nodes = self.nodes(&split)?;
            let cost = self.awkwardness(&split, &nodes);
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, split, nodes));
            }
        }
        best.map(|(_, split, nodes)| (split, nodes)).ok_or_else(|| Error::Internal("no way to split a kernel".into()))
    }

    /// What a split costs beyond the arithmetic, an element: copies, and starting a loop for each line.
    fn awkwardness(&self, split: &Split, nodes: &Nodes) -> f64 {
        let full = self.full(split);
        let cols = self.size(&split.cols).max(1) as f64;
        let copy = 1.0 + 4.0 / cols.min(32.0);
        let mut cost = if split.kind == Kind::Map { 0.0 } else { 6.0 / cols };
        for node in &nodes.nodes {
            cost += match &node.code {
                Code::Load { access, .. } if access.in_place(node.form).is_none() => match node.form {
                    // Squares of it go through the cache.
                    Form::FULL if access.affine().is_some_and(|(line, _)| line.abs() == 1) => 0.5 * copy,
                    form if form == full => copy,
                    // Once a tile.
                    Form::COL => 0.05 + copy * (cols / 1024.0).min(1.0),
                    // Beside full values of short lines it is written out.
                    Form::LINE if full == Form::FULL && cols < 32.0 => 0.05 + copy,
                    _ => 0.05,
                },
                Code::Load { .. } if node.form != full && node.form != Form::UNIFORM => 0.05 + 6.0 / cols,
                Code::Gather { .. } | Code::Place(_) | Code::Valid(_) if node.form == full => 4.0 / cols.min(32.0),
                _ => 0.0,
            };
        }
        let awkward = |s: &&Sink| s.domain == full && s.access.in_place(s.domain).is_none();
        let square =
            |s: &Sink| if s.domain == Form::FULL && s.access.affine().is_some_and(|(line, _)| line.abs() == 1) { 0.5 } else { 1.0 };
        cost + nodes.sinks.iter().filter(awkward).map(|s| copy * square(s)).sum::<f64>()
    }

    /// The form of a value that varies in all directions that there are.
    fn full(&self, split: &Split) -> Form {
        Form { line: self.size(&split.lines) != 1, col: self.size(&split.cols) != 1 }
    }

    fn access(&self, index: &Index, split: &Split, inner: bool, limit: usize) -> Result<Access> {
        let same = index.shape().len() == self.rank() && index.shape().iter().zip(self.outer.iter().chain(self.inner)).all(|(a, b)| a == b);
        if !same {
            return Err(Error::Internal(format!("the index {index} is not of its kernel's space")));
        }
        let mut access = Access::new(index, &split.lines, &split.cols, limit)?;
        if !inner {
            access.once(split.kind == Kind::Lines, split.kind == Kind::Cols);
        }
        Ok(access)
    }

    fn operand(&self, operand: usize) -> Result<usize> {
        self.limits.get(operand).copied().ok_or_else(|| Error::Internal(format!("a body has no operand {operand}")))
    }

    fn nodes(&self, split: &Split) -> Result<Nodes> {
        let values = &self.body.values;
        let mut used = vec![false; values.len()];
        for store in &self.body.stores {
            *used.get_mut(store.value.0).ok_or_else(|| Error::Internal("a store of no value".into()))? = true;
        }
        for i in (0..values.len()).rev() {
            if used[i] {
                for id in values[i].instr.operands() {
                    if id.0 >= i {
                        return Err(Error::Internal(format!("value {i} of a body needs a later one")));
                    }
                    used[id.0] = true;
                }
            }
        }
        let mut result = Nodes { nodes: Vec::new(), sinks: Vec::new(), spread: Vec::new() };
        let mut number = vec![usize::MAX; values.len()];
        for i in (0..values.len()).filter(|&i| used[i]) {
            let value = &values[i];
            let inner = split.kind != Kind::Map && value.level == PlanLevel::Inner;
            let args: Vec<usize> = value.instr.operands().iter().map(|id| number[id.0]).collect();
            let dtype_of = |id: ValueId| values[id.0].dtype;
            let mut form = args.iter().fold(Form::UNIFORM, |form, &a| form.join(result.nodes[a].form));
            let mut cost = 0.02;
            let mut of_two = None;
            let code = match &value.instr {
                Instr::Const(constant) => Code::Const(constant.to_word()),
                Instr::Load { operand, index } => {
                    let access = self.access(index, split, inner, self.operand(*operand)?)?;
                    form = access.form();
                    cost = if access.in_place(form).is_some() { 0.05 } else { 0.5 };
                    Code::Load { operand: *operand, access }
                }
                Instr::Gather { operand, index, at: _, stride, len } => {
                    let index_as_place = usize::MAX >> 2;
                    let mut access = self.access(index, split, inner, index_as_place)?;
                    access.limit = self.operand(*operand)?;
                    form = form.join(access.form());
                    cost = 1.0;
                    Code::Gather { operand: *operand, access, stride: *stride, len: *len }
                }
                Instr::Place(index) | Instr::Valid(index) => {
                    let access = self.access(index, split, inner, usize::MAX >> 2)?;
                    form = access.form();
                    cost = 0.1;
                    if matches!(value.instr, Instr::Place(_)) { Code::Place(access) } else { Code::Valid(access) }
                }
                Instr::Unary(op, a) => {
                    cost = unary_cost(*op);
                    Code::Run(unary_run(*op, dtype_of(*a), self.level)?, Extra::None)
                }
                Instr::Binary(op, a, b) => {
                    if dtype_of(*a) != dtype_of(*b) {
                        return Err(Error::Internal(format!("{} of {} and {}", op.name(), dtype_of(*a), dtype_of(*b))));
                    }
                    cost = binary_cost(*op, dtype_of(*a));
                    of_two = dtype_of(*a).is_float().then_some(*op);
                    Code::Run(binary_run(*op, dtype_of(*a), self.level)?, Extra::None)
                }
                Instr::Where(..) => Code::Run(pick::<Select>(self.level), Extra::None),
                Instr::Cast(a) => match cast_run(dtype_of(*a), value.dtype, self.level) {
                    Some(run) => Code::Run(run, Extra::None),
                    None => {
                        number[i] = args[0];
                        continue;
                    }
                },
                Instr::Philox { stream, .. } => {
                    cost = 0.8;
                    Code::Run(pick::<Philox>(self.level), Extra::Word(*stream))
                }
                Instr::Reduce(op, a) => {
                    cost = 0.0;
                    form = if split.kind == Kind::Lines { Form::COL } else { Form::LINE };
                    if split.kind == Kind::Map {
                        return Err(Error::Internal("a reduction outside of a loop".into()));
                    }
                    Code::Reduce(*op, dtype_of(*a), Of::Values)
                }
                Instr::Product => {
                    let width = self.product.ok_or_else(|| Error::Internal("a product outside of a matmul".into()))?;
                    let access = if split.lines.is_empty() {
                        Access::rows(1, self.size(&split.cols), 0)
                    } else {
                        Access::rows(self.size(&split.lines), self.size(&split.cols), width)
                    };
                    form = access.form();
                    Code::Load { operand: PRODUCT, access }
                }
            };
            let args = match (&code, &args[..]) {
                // With one line a value a column is full, and the other way round.
                (Code::Reduce(..), &[arg]) if result.nodes[arg].form == self.full(split) && result.nodes[arg].form != Form::LINE => {
                    vec![arg]
                }
                (Code::Reduce(..), &[arg]) => vec![result.spread(arg, Form::FULL, true, self.level)],
                _ => args,
            };
            let reduced = match split.kind {
                Kind::Map => false,
                Kind::Cols => form.col,
                Kind::Lines => form.line,
            };
            if reduced && !inner {
                return Err(Error::Internal(format!("value {i} of a body varies along the row that it belongs to")));
            }
            number[i] = result.push(Node { code, args, form, inner, cost, of_two });
        }
        let full = self.full(split);
        for store in &self.body.stores {
            let inner = split.kind != Kind::Map && values[store.value.0].level == PlanLevel::Inner;
            let access = self.access(&store.index, split, inner, self.operand(store.operand)?)?;
            if access.is_chain() {
                return Err(Error::Internal("a store through several views".into()));
            }
            let domain = match split.kind {
                Kind::Cols if !inner => Form { col: false, ..full },
                Kind::Lines if !inner => Form { line: false, ..full },
                Kind::Map | Kind::Cols | Kind::Lines => full,
            };
            result.sinks.push(Sink { node: number[store.value.0], operand: store.operand, access, domain, inner });
        }
        Ok(result)
    }
}

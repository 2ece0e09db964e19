//! A group of nodes to a kernel's body.

use std::collections::HashMap;

use noyau_tensor::{AttentionPart, DType, Error, Op, Result, Scalar};

use crate::fuse::{Fusion, Group, GroupKind, is_buffered_source};
use crate::materialize::{resolve, view_of};
use crate::plan::{
    Attention, AttentionWork, Body, BufferId, Instr, Kernel, KernelKind, Level, Loop, Matmul, Matrix, Scatter, Store, Value, ValueId,
};
use crate::{Graph, Index, NodeId, View};

/// Gives the buffer that holds a stored node or a source.
pub(crate) type Buffers<'a> = dyn Fn(NodeId) -> Option<BufferId> + 'a;

/// A lowered kernel, with the elementwise nodes that it computes: where it could be cut if it has too many operands.
pub(crate) struct Lowered {
    pub kernel: Kernel,
    pub cuts: Vec<NodeId>,
}

/// Writes down a group's work; `None` when nothing of it is stored. `targets` names the buffers (one or more) that a stored member is written to.
pub(crate) fn lower(
    graph: &Graph,
    fusion: &Fusion,
    group: usize,
    buffers: &Buffers,
    targets: &dyn Fn(NodeId) -> Vec<BufferId>,
) -> Result<Option<Lowered>> {
    let g = &fusion.groups[group];
    let stored: Vec<NodeId> = g.members.iter().copied().filter(|id| fusion.stored.contains(id)).collect();
    if stored.is_empty() {
        return Ok(None);
    }
    let buffer = |id: NodeId| buffers(id).ok_or_else(|| Error::Internal(format!("node %{} has no buffer", id.0)));
    let principal = g
        .members
        .iter()
        .copied()
        .find(|&id| matches!(graph.node(id).op, Op::Reduce(..) | Op::Matmul | Op::ScatterAdd(_) | Op::Attention(_)))
        .unwrap_or(stored[stored.len() - 1]);
    let location = graph.node(principal).location;
    if g.kind == GroupKind::Scatter {
        let node = graph.node(principal);
        let Op::ScatterAdd(axis) = node.op else { return Err(Error::Internal("a scatter group without a scatter".into())) };
        let source = resolve(graph, node.inputs[0]).0;
        let index = resolve(graph, node.inputs[1]).0;
        let shape = &graph.node(node.inputs[0]).shape;
        let kind = KernelKind::Scatter(Scatter {
            source: buffer(source)?,
            index: buffer(index)?,
            target: targets(principal)[0],
            before: shape[..axis].iter().product(),
            count: shape[axis],
            size: node.shape[axis],
            after: shape[axis + 1..].iter().product(),
        });
        return Ok(Some(Lowered { kernel: Kernel { name: "scatter_add".into(), location, kind }, cuts: Vec::new() }));
    }

    if g.kind == GroupKind::Attention {
        let kernel = attention(graph, &stored, &buffer, targets)?;
        return Ok(Some(Lowered { kernel, cuts: Vec::new() }));
    }

    let mut writer = Writer {
        graph,
        fusion,
        group,
        g,
        buffers,
        body: Body::default(),
        known: HashMap::new(),
        made: HashMap::new(),
        names: Vec::new(),
        cuts: Vec::new(),
    };
    // In order, so that each member finds its operands made and the recursion stays shallow.
    for &id in &g.members {
        if stored.contains(&id) || matches!(graph.node(id).op, Op::Reduce(..) | Op::Matmul) {
            writer.value(id, &fusion.place[&id])?;
        }
    }
    for &id in &stored {
        let place = &fusion.place[&id];
        let level = writer.level_of(place);
        let value = writer.value(id, place)?;
        let value = writer.at_level(value, level);
        for target in targets(id) {
            let operand = writer.operand(target);
            writer.body.stores.push(Store { value, operand, index: place.clone() });
        }
    }
    let Writer { body, names, cuts, .. } = writer;
    let name = summary(&names);
    let kind = match g.kind {
        GroupKind::Matmul => {
            let node = graph.node(principal);
            let rank = g.space.len();
            let k = graph.node(node.inputs[0]).shape[rank - 1];
            let matrix = |input: NodeId| -> Result<Matrix> {
                let (base, index) = resolve(graph, input);
                Matrix::new(buffer(base)?, &index).ok_or_else(|| Error::Internal(format!("a product cannot read its operand by {index}")))
            };
            let (a, b) = (matrix(node.inputs[0])?, matrix(node.inputs[1])?);
            KernelKind::Matmul(Matmul { batch: g.space[..rank - 2].to_vec(), m: g.space[rank - 2], n: g.space[rank - 1], k, a, b, body })
        }
        GroupKind::Map | GroupKind::Rows | GroupKind::Scatter | GroupKind::Attention => {
            KernelKind::Loop(Loop { outer: g.space[..g.outer].to_vec(), inner: g.space[g.outer..].to_vec(), body })
        }
    };
    Ok(Some(Lowered { kernel: Kernel { name, location, kind }, cuts }))
}

/// The kernel of some parts of one attention.
fn attention(
    graph: &Graph,
    parts: &[NodeId],
    buffer: &dyn Fn(NodeId) -> Result<BufferId>,
    targets: &dyn Fn(NodeId) -> Vec<BufferId>,
) -> Result<Kernel> {
    let node = graph.node(parts[0]);
    let Op::Attention(op) = node.op else { return Err(Error::Internal("a group of attention without any".into())) };
    let matrix = |i: usize| -> Result<Matrix> {
        let (base, index) = resolve(graph, node.inputs[i]);
        Matrix::new(buffer(base)?, &index).ok_or_else(|| Error::Internal(format!("attention cannot read its operand by {index}")))
    };
    let rows = |i: usize| buffer(resolve(graph, node.inputs[i]).0);
    // Each part has one buffer: what is a state's next value is copied.
    let target = |wanted: AttentionPart| {
        let is = |id: &&NodeId| matches!(graph.node(**id).op, Op::Attention(a) if a.part == wanted);
        parts.iter().find(is).and_then(|&id| targets(id).first().copied())
    };
    let work = match op.part {
        AttentionPart::Output | AttentionPart::LogSumExp => {
            AttentionWork::Forward { out: target(AttentionPart::Output), lse: target(AttentionPart::LogSumExp) }
        }
        AttentionPart::GradQuery | AttentionPart::GradKey | AttentionPart::GradValue => AttentionWork::Backward {
            g: matrix(3)?,
            lse: rows(4)?,
            delta: rows(5)?,
            dq: target(AttentionPart::GradQuery),
            dk: target(AttentionPart::GradKey),
            dv: target(AttentionPart::GradValue),
        },
    };
    let shape = |i: usize| &graph.node(node.inputs[i]).shape;
    let last = |i: usize, axis: usize| shape(i)[shape(i).rank() - axis];
    let first = op.part.fixed();
    let kind = KernelKind::Attention(Attention {
        batch: shape(0)[..shape(0).rank() - 2].iter().product(),
        n: last(0, 2),
        m: last(1, 2),
        d: last(0, 1),
        e: last(2, 1),
        causal: op.causal,
        scale: op.scale as f32,
        q: matrix(0)?,
        k: matrix(1)?,
        v: matrix(2)?,
        masks: (first..node.inputs.len()).map(matrix).collect::<Result<_>>()?,
        work,
    });
    let names: Vec<&'static str> = parts.iter().map(|&id| graph.node(id).op.name()).collect();
    Ok(Kernel { name: summary(&names), location: node.location, kind })
}

/// A kernel that copies a buffer.
pub(crate) fn copy_kernel(graph: &Graph, id: NodeId, from: BufferId, to: BufferId) -> Kernel {
    let node = graph.node(id);
    let space = node.shape.to_vec();
    let index = Index::identity(&space);
    let body = Body {
        operands: vec![from, to],
        values: vec![Value { instr: Instr::Load { operand: 0, index: index.clone() }, dtype: node.dtype, level: Level::Outer }],
        stores: vec![Store { value: ValueId(0), operand: 1, index }],
    };
    Kernel { name: "copy".into(), location: node.location, kind: KernelKind::Loop(Loop { outer: space, inner: Vec::new(), body }) }
}

/// The ops' names, each once, in order: at most six.
fn summary(names: &[&'static str]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(name) {
            seen.push(name);
        }
    }
    let more = if seen.len() > 6 { "+.." } else { "" };
    seen.truncate(6);
    if seen.is_empty() { "fill".into() } else { format!("{}{more}", seen.join("+")) }
}

struct Writer<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    group: usize,
    g: &'a Group,
    buffers: &'a Buffers<'a>,
    body: Body,
    /// Nodes at places that have a value already.
    known: HashMap<(NodeId, Index), ValueId>,
    /// Instructions that have been written already.
    made: HashMap<(Instr, DType, Level), ValueId>,
    names: Vec<&'static str>,
    cuts: Vec<NodeId>,
}

impl Writer<'_> {
    /// The value of a node at a place (an index from the kernel's space to the node's row-major elements).
    fn value(&mut self, id: NodeId, place: &Index) -> Result<ValueId> {
        if let Some(&value) = self.known.get(&(id, place.clone())) {
            return Ok(value);
        }
        let value = self.compute(id, place)?;
        self.known.insert((id, place.clone()), value);
        Ok(value)
    }

    fn compute(&mut self, id: NodeId, place: &Index) -> Result<ValueId> {
        let node = self.graph.node(id);
        if let Some(view) = view_of(self.graph, id) {
            let through = place.then(&view);
            let inner = self.value(node.inputs[0], &through)?;
            let Op::Pad(_, fill) = node.op else { return Ok(inner) };
            // What a mask excludes loads as 0; anything else takes a choice.
            let zero_load = fill.to_word() == 0 && matches!(self.body.values[inner.0].instr, Instr::Load { .. });
            if zero_load || through.is_unmasked() {
                return Ok(inner);
            }
            let valid = self.push(Instr::Valid(through.clone()), DType::Bool, self.level_of(&through));
            let fill = self.push(Instr::Const(fill), node.dtype, Level::Outer);
            return Ok(self.combine(Instr::Where(valid, inner, fill), node.dtype));
        }
        match &node.op {
            Op::Full(value) => return Ok(self.push(Instr::Const(*value), node.dtype, Level::Outer)),
            Op::Iota(axis) => {
                let mut view = View::contiguous(&node.shape);
                view.strides.iter_mut().enumerate().for_each(|(i, s)| *s = isize::from(i == *axis && node.shape[i] > 1));
                let coordinate = place.then(&view);
                let level = self.level_of(&coordinate);
                return Ok(self.push(Instr::Place(coordinate), DType::U32, level));
            }
            op if is_buffered_source(op) => return self.load(id, place),
            _ => {}
        }
        let here = self.fusion.group_of[id.0] == Some(self.group);
        if !here && self.fusion.stored.contains(&id) {
            return self.load(id, place);
        }
        if here && self.fusion.place.get(&id) != Some(place) {
            return Err(Error::Internal(format!("%{} is needed at another coordinate of its own kernel", id.0)));
        }
        self.expression(id, place)
    }

    fn expression(&mut self, id: NodeId, place: &Index) -> Result<ValueId> {
        let node = self.graph.node(id);
        let operand = |writer: &mut Self, i: usize| writer.value(node.inputs[i], place);
        let instr = match &node.op {
            Op::Unary(op) => Instr::Unary(*op, operand(self, 0)?),
            Op::Binary(op) => Instr::Binary(*op, operand(self, 0)?, operand(self, 1)?),
            Op::Where => Instr::Where(operand(self, 0)?, operand(self, 1)?, operand(self, 2)?),
            Op::Cast(dtype) => {
                let value = operand(self, 0)?;
                if self.body.values[value.0].dtype == *dtype {
                    self.names.push("copy");
                    return Ok(value);
                }
                Instr::Cast(value)
            }
            Op::Philox(stream) => {
                Instr::Philox { stream: *stream as u32, index: operand(self, 0)?, step: operand(self, 1)?, seed: operand(self, 2)? }
            }
            Op::Gather(axis) => self.gather(id, *axis, place)?,
            Op::Reduce(op, _) => {
                let full = self.g.full.clone();
                let value = self.value(node.inputs[0], &full)?;
                let value = self.at_level(value, Level::Inner);
                self.names.push(node.op.name());
                return Ok(self.push(Instr::Reduce(*op, value), node.dtype, Level::Outer));
            }
            Op::Matmul => {
                self.names.push(node.op.name());
                return Ok(self.push(Instr::Product, node.dtype, Level::Outer));
            }
            op @ (Op::Full(_)
            | Op::Data(_)
            | Op::Input(_)
            | Op::State(_)
            | Op::Iota(_)
            | Op::Detach
            | Op::Reshape
            | Op::Permute(_)
            | Op::Expand
            | Op::Slice(_)
            | Op::Flip(_)
            | Op::Pad(..)
            | Op::Unfold(_)
            | Op::Conv(_)
            | Op::Attention(_)
            | Op::ScatterAdd(_)
            | Op::Error(_)) => return Err(Error::Internal(format!("%{} = {op} cannot be computed inside a kernel", id.0))),
        };
        self.names.push(node.op.name());
        if !self.fusion.stored.contains(&id) {
            self.cuts.push(id);
        }
        Ok(self.combine(instr, node.dtype))
    }

    fn gather(&mut self, id: NodeId, axis: usize, place: &Index) -> Result<Instr> {
        let node = self.graph.node(id);
        let at = self.value(node.inputs[1], place)?;
        let (base, index) = resolve(self.graph, node.inputs[0]);
        let view = index.single().ok_or_else(|| Error::Internal("a gathered operand was not made affine".into()))?;
        // The operand's other axes are the result's; the gathered one is walked by the value.
        let mut strides = view.strides.clone();
        let stride = std::mem::take(&mut strides[axis]) as usize;
        let at_zero = View { shape: node.shape.to_vec(), strides, offset: view.offset, mask: Vec::new() };
        let buffer = (self.buffers)(base).ok_or_else(|| Error::Internal("a gathered operand has no buffer".into()))?;
        let operand = self.operand(buffer);
        Ok(Instr::Gather { operand, index: place.then(&at_zero), at, stride, len: self.graph.node(node.inputs[0]).shape[axis] })
    }

    fn load(&mut self, id: NodeId, place: &Index) -> Result<ValueId> {
        let node = self.graph.node(id);
        let buffer = (self.buffers)(id).ok_or_else(|| Error::Internal(format!("%{} is loaded but has no buffer", id.0)))?;
        if node.shape.numel() == 0 {
            return Ok(self.push(Instr::Const(Scalar::new(0.0, node.dtype)), node.dtype, Level::Outer));
        }
        let operand = self.operand(buffer);
        let level = self.level_of(place);
        Ok(self.push(Instr::Load { operand, index: place.clone() }, node.dtype, level))
    }

    fn operand(&mut self, buffer: BufferId) -> usize {
        match self.body.operands.iter().position(|&b| b == buffer) {
            Some(i) => i,
            None => {
                self.body.operands.push(buffer);
                self.body.operands.len() - 1
            }
        }
    }

    /// Whether an index depends on inner coordinates. (Later views of a chain read what the first computed.)
    fn level_of(&self, index: &Index) -> Level {
        let first = &index.views()[0];
        let fixed = (self.g.outer..self.g.space.len())
            .all(|i| first.strides[i] == 0 && first.mask.get(i).is_none_or(|&m| m == (0, first.shape[i])));
        if fixed { Level::Outer } else { Level::Inner }
    }

    /// An instruction on values: at the innermost level of its operands (and of its index).
    fn combine(&mut self, instr: Instr, dtype: DType) -> ValueId {
        let mut level = instr.operands().iter().map(|v| self.body.values[v.0].level).max().unwrap_or(Level::Outer);
        if let Instr::Gather { index, .. } = &instr {
            level = level.max(self.level_of(index));
        }
        self.push(instr, dtype, level)
    }

    /// The value, repeated for each inner coordinate if need be.
    fn at_level(&mut self, value: ValueId, level: Level) -> ValueId {
        if level == Level::Inner && self.body.values[value.0].level == Level::Outer && self.g.outer < self.g.space.len() {
            let dtype = self.body.values[value.0].dtype;
            return self.push(Instr::Cast(value), dtype, Level::Inner);
        }
        value
    }

    fn push(&mut self, instr: Instr, dtype: DType, level: Level) -> ValueId {
        *self.made.entry((instr.clone(), dtype, level)).or_insert_with(|| {
            self.body.values.push(Value { instr, dtype, level });
            ValueId(self.body.values.len() - 1)
        })
    }
}

//! Plans in words, to read and to review.

use std::fmt;

use crate::fuse::Fusion;
use crate::plan::{Body, BufferId, BufferKind, Instr, KernelKind, Level, Plan};

impl Plan {
    fn buffer_name(&self, id: BufferId) -> String {
        let buffer = &self.buffers[id.0];
        let place = match &buffer.kind {
            BufferKind::Input(i) => format!("input {i}"),
            BufferKind::State(state) => state.name().to_string(),
            BufferKind::Constant(_) => "constant".to_string(),
            BufferKind::Slot(slot) => format!("slot {slot}"),
        };
        format!("b{} ({place} {}{:?})", id.0, buffer.dtype, buffer.shape)
    }

    fn write_body(&self, f: &mut fmt::Formatter<'_>, body: &Body) -> fmt::Result {
        for (i, value) in body.values.iter().enumerate() {
            let level = if value.level == Level::Inner { "  " } else { "" };
            let text = match &value.instr {
                Instr::Const(value) => format!("{value}"),
                Instr::Load { operand, index } => format!("b{}[{index}]", body.operands[*operand].0),
                Instr::Gather { operand, index, at, stride, len } => {
                    format!("b{}[{index} + {stride} * v{} if < {len}]", body.operands[*operand].0, at.0)
                }
                Instr::Place(index) => format!("place {index}"),
                Instr::Valid(index) => format!("valid {index}"),
                Instr::Unary(op, a) => format!("{} v{}", op.name(), a.0),
                Instr::Binary(op, a, b) => format!("{} v{} v{}", op.name(), a.0, b.0),
                Instr::Where(c, a, b) => format!("where v{} v{} v{}", c.0, a.0, b.0),
                Instr::Cast(a) => format!("{} v{}", value.dtype, a.0),
                Instr::Philox { stream, index, step, seed } => format!("philox {stream} v{} v{} v{}", index.0, step.0, seed.0),
                Instr::Reduce(op, a) => format!("{} of v{}", op.name(), a.0),
                Instr::Product => "product".to_string(),
            };
            writeln!(f, "    {level}v{i} = {text}")?;
        }
        for store in &body.stores {
            writeln!(f, "    b{}[{}] <- v{}", body.operands[store.operand].0, store.index, store.value.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fusion {
    /// One line a group: `group 2: Rows [6 | 3]: %4 %5* %6`; what is stored has a star.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.groups.iter().enumerate() {
            let sizes = |sizes: &[usize]| sizes.iter().map(|d| d.to_string()).collect::<Vec<_>>().join(", ");
            let (outer, inner) = group.space.split_at(group.outer);
            let inner = if inner.is_empty() { String::new() } else { format!(" | {}", sizes(inner)) };
            write!(f, "group {i}: {:?} [{}{inner}]:", group.kind, sizes(outer))?;
            for id in &group.members {
                write!(f, " %{}{}", id.0, if self.stored.contains(id) { "*" } else { "" })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |ids: &[BufferId]| ids.iter().map(|&id| self.buffer_name(id)).collect::<Vec<_>>().join(", ");
        writeln!(f, "inputs: {}", names(&self.inputs))?;
        writeln!(f, "slots: {:?}", self.slots)?;
        for (i, kernel) in self.kernels.iter().enumerate() {
            let space = match &kernel.kind {
                KernelKind::Loop(l) if l.inner.is_empty() => format!("map {:?}", l.outer),
                KernelKind::Loop(l) => format!("rows {:?} of {:?}", l.outer, l.inner),
                KernelKind::Matmul(m) => format!("matmul {:?} {}x{}x{}", m.batch, m.m, m.k, m.n),
                KernelKind::Scatter(s) => format!("scatter [{}, {}, {}] to {}", s.before, s.count, s.after, s.size),
                KernelKind::Attention(a) => {
                    let causal = if a.causal { ", causal" } else { "" };
                    format!("attention [{}] {}x{} to {}x{}, scale {}{causal}", a.batch, a.n, a.d, a.m, a.e, a.scale)
                }
            };
            writeln!(f, "kernel {i}: {} - {space}", kernel.name)?;
            writeln!(f, "    reads {}", names(&kernel.reads()))?;
            writeln!(f, "    writes {}", names(&kernel.writes()))?;
            match &kernel.kind {
                KernelKind::Loop(l) => self.write_body(f, &l.body)?,
                KernelKind::Matmul(m) => {
                    writeln!(f, "    a = {}", m.a)?;
                    writeln!(f, "    b = {}", m.b)?;
                    self.write_body(f, &m.body)?;
                }
                KernelKind::Attention(a) => a.matrices().into_iter().try_for_each(|matrix| writeln!(f, "    {matrix}"))?,
                KernelKind::Scatter(_) => {}
            }
        }
        writeln!(f, "outputs: {}", names(&self.outputs))
    }
}

//! What a step has to do at least: arithmetic and memory traffic, counted from its plan.

use std::collections::HashMap;

use noyau::compile::Plan;
use noyau::compile::plan::{Attention, AttentionWork, Body, BufferId, BufferKind, Instr, KernelKind, Level, Limits};

/// A run's work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Arithmetic on floats: a multiplication, an addition, a function of one element count one each, whatever it takes.
    pub flops: f64,
    /// Bytes of arguments, states and constants that are read, and of states and results that are written, each once: what no fusion can save.
    pub bytes: f64,
}

/// How often each buffer's elements are read by one kernel.
type Reads = HashMap<BufferId, f64>;

/// The work of a plan on a device with these limits.
pub fn of_plan(plan: &Plan, limits: &Limits) -> Cost {
    let mut flops = 0.0;
    let (mut read, mut written): (Reads, Reads) = Default::default();
    for kernel in &plan.kernels {
        let mut reads = Reads::new();
        match &kernel.kind {
            KernelKind::Loop(l) => {
                let (outer, inner) = (size(&l.outer), size(&l.inner));
                flops += arithmetic(&l.body, outer, outer * inner);
                loads(&l.body, outer, outer * inner, &mut reads);
            }
            KernelKind::Matmul(m) => {
                let rows = size(&m.batch) * m.m as f64;
                let space = rows * m.n as f64;
                flops += 2.0 * space * m.k as f64 + arithmetic(&m.body, space, space);
                *reads.entry(m.a.buffer).or_default() += rows * m.k as f64;
                *reads.entry(m.b.buffer).or_default() += size(&m.batch) * (m.k * m.n) as f64;
                loads(&m.body, space, space, &mut reads);
            }
            KernelKind::Scatter(s) => {
                let sources = (s.before * s.count * s.after) as f64;
                flops += sources;
                reads.extend([(s.source, sources), (s.index, sources)]);
            }
            KernelKind::Attention(a) => {
                flops += attention(a);
                reads.extend(kernel.reads().into_iter().map(|id| (id, f64::INFINITY)));
            }
        }
        for (buffer, count) in reads {
            let most = read.entry(buffer).or_default();
            *most = count.min(plan.buffers[buffer.0].len() as f64).max(*most);
        }
        written.extend(kernel.writes().into_iter().map(|id| (id, plan.buffers[id.0].len() as f64)));
    }
    let bytes = |(id, count): (&BufferId, &f64)| {
        let buffer = &plan.buffers[id.0];
        count * limits.bytes(buffer) as f64 / buffer.len().max(1) as f64
    };
    // What one kernel hands to another may stay on the chip.
    let lasting = |id: &BufferId| !matches!(plan.buffers[id.0].kind, BufferKind::Slot(_));
    let wanted = |id: &BufferId| matches!(plan.buffers[id.0].kind, BufferKind::State(_)) || plan.outputs.contains(id);
    let reading: f64 = read.iter().filter(|(id, _)| lasting(id)).map(bytes).sum();
    let writing: f64 = written.iter().filter(|(id, _)| wanted(id)).map(bytes).sum();
    Cost { flops, bytes: reading + writing }
}

/// Products over queries and keys: two forward; the scores again and four more backward. A causal mask closes half of them.
fn attention(a: &Attention) -> f64 {
    let pairs = (a.batch * a.n * a.m) as f64 * if a.causal { 0.5 } else { 1.0 };
    let features = match a.work {
        AttentionWork::Forward { .. } => a.d + a.e,
        AttentionWork::Backward { .. } => 3 * a.d + 2 * a.e,
    };
    2.0 * pairs * features as f64
}

fn size(axes: &[usize]) -> f64 {
    axes.iter().map(|&n| n as f64).product()
}

/// Arithmetic of a body whose `Outer` values exist `outer` times and `Inner` ones `inner` times.
fn arithmetic(body: &Body, outer: f64, inner: f64) -> f64 {
    let count = |value: &noyau::compile::plan::Value| {
        let often = if value.level == Level::Outer { outer } else { inner };
        match &value.instr {
            // A reduction's result lives once a row, its additions are one an element.
            Instr::Reduce(..) => inner,
            Instr::Unary(..) | Instr::Binary(..) if value.dtype.is_float() => often,
            Instr::Unary(..)
            | Instr::Binary(..)
            | Instr::Const(_)
            | Instr::Load { .. }
            | Instr::Gather { .. }
            | Instr::Place(_)
            | Instr::Valid(_)
            | Instr::Where(..)
            | Instr::Cast(_)
            | Instr::Philox { .. }
            | Instr::Product => 0.0,
        }
    };
    body.values.iter().map(count).sum()
}

fn loads(body: &Body, outer: f64, inner: f64, reads: &mut Reads) {
    for value in &body.values {
        if let Some((operand, _)) = value.instr.reads() {
            *reads.entry(body.operands[operand]).or_default() += if value.level == Level::Outer { outer } else { inner };
        }
    }
}

#[cfg(test)]
mod tests {
    use noyau::prelude::*;

    use super::*;

    fn cost(step: Step) -> Cost {
        let device = Device::cpu();
        let step = Session::new(device.clone()).compile([], |[]| step).unwrap();
        of_plan(step.plan(), &device.limits())
    }

    fn param(shape: &[usize]) -> Param {
        Param::from_array("x", Array::full(shape, Scalar::Float(0.5)))
    }

    #[test]
    fn a_product_of_matrices() {
        let (a, b) = (param(&[64, 48]), param(&[48, 32]));
        let Cost { flops, bytes } = cost(Step::returns(&a.matmul(&b)));
        assert_eq!(flops, 2.0 * 64.0 * 48.0 * 32.0);
        assert_eq!(bytes, 4.0 * (64.0 * 48.0 + 48.0 * 32.0 + 64.0 * 32.0));
    }

    #[test]
    fn a_chain_of_products_keeps_what_lies_between() {
        let (a, b) = (param(&[64, 64]), param(&[64, 64]));
        let Cost { flops, bytes } = cost(Step::returns(&a.matmul(&b).relu().matmul(&b)));
        assert_eq!(flops, 4.0 * 64f64.powi(3) + 64.0 * 64.0);
        assert_eq!(bytes, 4.0 * 3.0 * 64.0 * 64.0);
    }

    #[test]
    fn a_sum_reads_and_adds_each_element_once() {
        let x = param(&[100, 40]);
        assert_eq!(cost(Step::returns(&x.sum_axes(&[1]))), Cost { flops: 4000.0, bytes: 4.0 * 4100.0 });
    }

    #[test]
    fn an_update_in_place_reads_and_writes_its_state() {
        let w = param(&[1000]);
        let step = Step::default().updates([(w.clone(), &*w * 0.5)]);
        assert_eq!(cost(step), Cost { flops: 1000.0, bytes: 8000.0 });
    }

    #[test]
    fn gathered_rows_count_as_often_as_they_are_read() {
        let table = param(&[1000, 16]);
        let index = Param::from_array("index", Array::new([8], &[1u32, 2, 3, 4, 5, 6, 7, 8]).unwrap());
        let Cost { bytes, .. } = cost(Step::returns(&table.index_select(0, &index)));
        // Rows in and out, and the index.
        assert_eq!(bytes, 4.0 * (2.0 * 8.0 * 16.0 + 8.0));
    }
}

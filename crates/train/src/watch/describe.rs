//! Kernels and buffers in words, and how much a kernel does.

use noyau_compile::plan::{AttentionWork, Body, BufferId, BufferKind, Instr, Kernel, KernelKind, Level, Plan};
use noyau_tensor::{At, Shape};

/// The sizes that a kernel works on: `map [128, 10]`, `rows [128] of [10]`, `[128, 784] x [784, 512]`.
pub(super) fn sizes(kernel: &Kernel) -> String {
    match &kernel.kind {
        KernelKind::Loop(l) if l.inner.is_empty() => format!("map {:?}", l.outer),
        KernelKind::Loop(l) => format!("rows {:?} of {:?}", l.outer, l.inner),
        KernelKind::Matmul(m) => {
            let of = |sizes: [usize; 2]| Shape::from(m.batch.iter().copied().chain(sizes).collect::<Vec<_>>());
            format!("{} x {}", of([m.m, m.k]), of([m.k, m.n]))
        }
        KernelKind::Scatter(s) => format!("scatter [{}, {}, {}] to {}", s.before, s.count, s.after, s.size),
        KernelKind::Attention(a) => format!("[{}, {}, {}] to [{}, {}, {}]", a.batch, a.n, a.d, a.batch, a.m, a.e),
    }
}

/// A kernel, so that a user finds it: number, name, sizes, source line.
pub(super) fn kernel(plan: &Plan, number: usize) -> String {
    let kernel = &plan.kernels[number];
    format!("kernel {number} of {}, {}, {} ({})", plan.kernels.len(), kernel.name, sizes(kernel), At(&kernel.location))
}

/// A buffer by what the user calls it.
pub(super) fn buffer(plan: &Plan, id: BufferId) -> String {
    let buffer = &plan.buffers[id.0];
    let what = match &buffer.kind {
        BufferKind::Input(i) => format!("argument {i}"),
        BufferKind::State(state) => format!("`{}`", state.name()),
        BufferKind::Constant(_) => "a constant".into(),
        BufferKind::Slot(_) => "its result".into(),
    };
    format!("{what}, {}{:?}", buffer.dtype, buffer.shape)
}

/// The coordinate of an element.
pub(super) fn coordinate(plan: &Plan, id: BufferId, mut place: usize) -> Vec<usize> {
    let shape = &plan.buffers[id.0].shape;
    let mut coordinate = vec![0; shape.len()];
    for (c, size) in coordinate.iter_mut().zip(shape).rev() {
        *c = place % size;
        place /= size;
    }
    coordinate
}

/// What a kernel moves and computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Bytes read and written, each element once however often it is used.
    pub bytes: usize,
    /// Operations on numbers: multiplications and additions of a product, and each function of the body once for each element.
    pub operations: usize,
}

/// How much a kernel does.
pub(super) fn work(plan: &Plan, kernel: &Kernel) -> Work {
    let whole = |id: BufferId| plan.buffers[id.0].len();
    let (read, operations) = match &kernel.kind {
        KernelKind::Loop(l) => of_body(plan, &l.body, l.outer.iter().product(), l.inner.iter().product()),
        KernelKind::Matmul(m) => {
            let results = m.space().iter().product();
            let (read, operations) = of_body(plan, &m.body, results, 1);
            (read + whole(m.a.buffer) + whole(m.b.buffer), operations + 2 * results * m.k)
        }
        KernelKind::Scatter(s) => (whole(s.source) + whole(s.index), s.before * s.count * s.after),
        KernelKind::Attention(a) => {
            let products = match &a.work {
                AttentionWork::Forward { .. } => a.d + a.e,
                AttentionWork::Backward { dq, dk, dv, .. } => {
                    let times = |wanted: bool, each: usize| if wanted { each } else { 0 };
                    a.d + a.e + times(dq.is_some(), a.d) + times(dk.is_some(), a.d) + times(dv.is_some(), a.e)
                }
            };
            let open = if a.causal { 2 } else { 1 };
            (kernel.reads().into_iter().map(whole).sum(), a.batch * a.n * a.m * 2 * products / open)
        }
    };
    let written: usize = kernel.writes().into_iter().map(whole).sum();
    Work { bytes: (read + written) * 4, operations }
}

fn of_body(plan: &Plan, body: &Body, rows: usize, length: usize) -> (usize, usize) {
    let mut read = vec![0; body.operands.len()];
    let mut operations = 0;
    for value in &body.values {
        let times = if value.level == Level::Inner { rows * length } else { rows };
        match &value.instr {
            // A gather may touch a small part of a large buffer.
            Instr::Load { operand, .. } | Instr::Gather { operand, .. } => {
                read[*operand] = plan.buffers[body.operands[*operand].0].len().min(read[*operand] + times);
            }
            Instr::Reduce(..) => operations += rows * length,
            Instr::Unary(..) | Instr::Binary(..) | Instr::Where(..) | Instr::Philox { .. } => operations += times,
            Instr::Const(_) | Instr::Place(_) | Instr::Valid(_) | Instr::Cast(_) | Instr::Product => {}
        }
    }
    (read.into_iter().sum(), operations)
}

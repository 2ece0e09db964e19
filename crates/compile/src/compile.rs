//! The whole way from a graph to a plan.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use noyau_tensor::{Error, Op, Result};

use crate::attend::attend;
use crate::convolve::convolve;
use crate::fuse::{FuseOptions, Fusion, GroupKind, fuse, is_buffered_source};
use crate::halves::{retype, widen};
use crate::lower::{Lowered, copy_kernel, lower};
use crate::materialize::{materialize, resolve};
use crate::memory::assign_slots;
use crate::plan::{Body, Buffer, BufferId, BufferKind, Instr, Kernel, KernelKind, Limits, Plan};
use crate::schedule::Order;
use crate::simplify::simplify;
use crate::split::split_reductions;
use crate::{Graph, NodeId};

/// How to compile.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the device can do.
    pub limits: Limits,
    /// Whether kernels are fused; without, every node is a kernel of its own (to check fusion against).
    pub fuse: bool,
}

impl Options {
    /// Fused, for a device's limits.
    pub fn new(limits: Limits) -> Options {
        Options { limits, fuse: true }
    }
}

/// Compiles a graph. Fails when a tensor is larger than the device's buffers may be.
pub fn compile(graph: &Graph, options: Options) -> Result<Plan> {
    let graph = prepare(graph, options)?;
    let mut fuse_options = FuseOptions { off: !options.fuse, ..FuseOptions::default() };
    let mut parts = 0;
    loop {
        let fusion = fuse(&graph, &fuse_options);
        match plan(&graph, &fusion, &options.limits)? {
            Planned::Ready(plan) => return Ok(plan),
            // A kernel with too many operands is cut in the middle, and everything grouped anew.
            Planned::Cut(node) if fuse_options.cuts.insert(node) => {}
            // One with too many results, whose values are all stored, gives half of its nodes to another.
            Planned::Part(nodes) => {
                parts += 1;
                fuse_options.parts.extend(nodes.into_iter().map(|node| (node, parts)));
            }
            Planned::Cut(node) => return Err(Error::Internal(format!("%{} was cut twice", node.0))),
        }
    }
}

/// The graph as it is fused: attention that no kernel does written out, halves computed with in f32, convolutions written as products, simplified, long reductions split, copies written out.
pub fn prepare(graph: &Graph, options: Options) -> Result<Graph> {
    let longest = options.limits.max_reduce;
    let attended = attend(graph, &options.limits)?;
    Ok(materialize(&split_reductions(&simplify(&retype(&convolve(&widen(&attended), longest)?)), longest)))
}

enum Planned {
    Ready(Plan),
    Cut(NodeId),
    Part(Vec<NodeId>),
}

/// Buffers of a plan in the making.
struct Table {
    buffers: Vec<Buffer>,
    of_node: HashMap<NodeId, BufferId>,
    of_state: HashMap<u64, BufferId>,
}

impl Table {
    fn add(&mut self, kind: BufferKind, graph: &Graph, id: NodeId) -> BufferId {
        let node = graph.node(id);
        self.buffers.push(Buffer { kind, shape: node.shape.to_vec(), dtype: node.dtype });
        BufferId(self.buffers.len() - 1)
    }
}

fn plan(graph: &Graph, fusion: &Fusion, limits: &Limits) -> Result<Planned> {
    let mut table = Table { buffers: Vec::new(), of_node: HashMap::new(), of_state: HashMap::new() };
    let inputs: Vec<BufferId> = graph
        .inputs
        .iter()
        .enumerate()
        .map(|(i, (shape, dtype))| {
            table.buffers.push(Buffer { kind: BufferKind::Input(i), shape: shape.to_vec(), dtype: *dtype });
            BufferId(i)
        })
        .collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        let id = NodeId(i);
        let buffer = match &node.op {
            Op::Input(position) => inputs[*position],
            Op::State(state) => state_buffer(&mut table, state),
            Op::Data(array) => table.add(BufferKind::Constant(Arc::clone(array)), graph, id),
            _ if fusion.stored.contains(&id) => table.add(BufferKind::Slot(usize::MAX), graph, id),
            _ => continue,
        };
        table.of_node.insert(id, buffer);
    }
    for buffer in &table.buffers {
        let bytes = limits.bytes(buffer);
        if bytes > limits.max_buffer_bytes {
            let message = format!(
                "a tensor of {}{:?} takes {bytes} bytes, the device's largest buffer is {} bytes",
                buffer.dtype, buffer.shape, limits.max_buffer_bytes
            );
            return Err(Error::OutOfMemory { device: "of this step".into(), message });
        }
    }

    // Next values go straight to their states where nothing stands in the way.
    let order = kernel_order(graph, fusion);
    let in_place = find_in_place(graph, fusion, &order, &mut table);
    let mut order = in_place.order;
    let targets = |id: NodeId| match in_place.states_of.get(&id) {
        Some(states) => states.clone(),
        None => table.of_node.get(&id).copied().into_iter().collect(),
    };
    // Whoever needs a next value reads it from the state.
    let buffers = |id: NodeId| in_place.states_of.get(&id).map(|states| states[0]).or_else(|| table.of_node.get(&id).copied());

    let mut kernels: Vec<Option<Kernel>> = Vec::new();
    for group in 0..fusion.groups.len() {
        let lowered = lower(graph, fusion, group, &buffers, &targets)?;
        if let Some(Lowered { kernel, cuts }) = &lowered {
            let bound = bindings(kernel, &table.buffers, limits);
            if bound > limits.max_bindings {
                if let Some(&cut) = cuts.get(cuts.len() / 2) {
                    return Ok(Planned::Cut(cut));
                }
                let g = &fusion.groups[group];
                if g.kind == GroupKind::Attention && g.members.len() > 1 {
                    return Ok(Planned::Part(g.members[g.members.len() / 2..].to_vec()));
                }
                let elementwise = |id: &&NodeId| graph.node(**id).op.is_elementwise();
                let maps: Vec<NodeId> = fusion.groups[group].members.iter().filter(elementwise).copied().collect();
                // Beside a reduction or a product, a single one can go too.
                let alone = maps.len() == fusion.groups[group].members.len();
                if maps.len() < 1 + usize::from(alone) {
                    let message =
                        format!("the kernel {} needs {bound} buffers at once, the device binds {}", kernel.name, limits.max_bindings);
                    return Err(Error::Expression { op: kernel.name.clone(), message, location: kernel.location });
                }
                return Ok(Planned::Part(maps[maps.len() / 2..].to_vec()));
            }
        }
        kernels.push(lowered.map(|l| l.kernel));
    }
    for (id, from, to) in in_place.copies {
        let kernel = order.add();
        kernels.push(Some(copy_kernel(graph, id, from, to)));
        for (other, k) in kernels.iter().enumerate().take(kernel) {
            if k.as_ref().is_some_and(|k| k.reads().contains(&to) || k.writes().contains(&from)) {
                order.require(other, kernel);
            }
        }
    }
    let sorted = order.sorted();
    if sorted.len() != kernels.len() {
        return Err(Error::Internal("the kernels need each other in a circle".into()));
    }
    let kernels: Vec<Kernel> = sorted.into_iter().filter_map(|k| kernels[k].take()).filter(|k| does_something(k, &table.buffers)).collect();
    let outputs = graph.outputs.iter().map(|&id| buffers(resolve(graph, id).0)).collect::<Option<Vec<_>>>();
    let outputs = outputs.ok_or_else(|| Error::Internal("a result has no buffer".into()))?;
    let mut plan = Plan { buffers: table.buffers, slots: Vec::new(), kernels, inputs, outputs };
    drop_unused(&mut plan);
    assign_slots(&mut plan, limits);
    Ok(Planned::Ready(plan))
}

fn state_buffer(table: &mut Table, state: &Arc<noyau_tensor::State>) -> BufferId {
    if let Some(&buffer) = table.of_state.get(&state.id()) {
        return buffer;
    }
    table.buffers.push(Buffer { kind: BufferKind::State(Arc::clone(state)), shape: state.shape().to_vec(), dtype: state.dtype() });
    let buffer = BufferId(table.buffers.len() - 1);
    table.of_state.insert(state.id(), buffer);
    buffer
}

/// The groups that a group's kernel reads from: those of the stored nodes at which its expressions end.
fn kernel_order(graph: &Graph, fusion: &Fusion) -> Order {
    let mut order = Order::new(fusion.groups.len());
    for group in 0..fusion.groups.len() {
        for base in reads_of(graph, fusion, group) {
            if let Some(other) = fusion.group_of[base.0] {
                order.require(other, group);
            }
        }
    }
    order
}

/// The stored nodes and sources that a group's kernel loads.
fn reads_of(graph: &Graph, fusion: &Fusion, group: usize) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    let g = &fusion.groups[group];
    let mut stack: Vec<NodeId> = g.members.iter().copied().filter(|id| fusion.stored.contains(id)).collect();
    let mut seen: HashSet<NodeId> = stack.iter().copied().collect();
    while let Some(id) = stack.pop() {
        for &input in &graph.node(id).inputs {
            let (base, _) = resolve(graph, input);
            if !seen.insert(base) {
                continue;
            }
            let node = graph.node(base);
            let here = fusion.group_of[base.0] == Some(group);
            if is_buffered_source(&node.op) || (!here && fusion.stored.contains(&base)) {
                found.insert(base);
            } else {
                stack.push(base);
            }
        }
    }
    found
}

struct InPlace {
    order: Order,
    /// For each node that is a next value the state buffers that its kernel writes.
    states_of: HashMap<NodeId, Vec<BufferId>>,
    /// Next values that are copied at the end: node, from, to.
    copies: Vec<(NodeId, BufferId, BufferId)>,
}

fn find_in_place(graph: &Graph, fusion: &Fusion, order: &Order, table: &mut Table) -> InPlace {
    let mut result = InPlace { order: order.clone(), states_of: HashMap::new(), copies: Vec::new() };
    let reads: Vec<BTreeSet<NodeId>> = (0..fusion.groups.len()).map(|g| reads_of(graph, fusion, g)).collect();
    for (state, id) in &graph.updates {
        let (base, _) = resolve(graph, *id);
        let target = state_buffer(table, state);
        let writer = fusion.group_of[base.0];
        let readers: Vec<usize> = (0..reads.len())
            .filter(|&g| reads[g].iter().any(|n| matches!(&graph.node(*n).op, Op::State(s) if s.id() == state.id())))
            .collect();
        let fits = writer.is_some_and(|writer| {
            let others = readers.iter().filter(|&&r| r != writer);
            let free = others.clone().all(|&r| !result.order.follows(r, writer));
            free && (!readers.contains(&writer) || reads_in_place(graph, fusion, writer, base, state.id()))
                && graph.node(base).shape == *state.shape()
        });
        match writer.filter(|_| fits) {
            Some(writer) => {
                readers.iter().for_each(|&r| result.order.require(r, writer));
                result.states_of.entry(base).or_default().push(target);
            }
            None => {
                // The value was given a slot of its own, from which it is copied when nobody needs the old one any more.
                if let Some(&from) = table.of_node.get(&base) {
                    result.copies.push((base, from, target));
                }
            }
        }
    }
    // A value that is copied to one state stays in its slot, also for states that it could have gone to directly.
    for (id, from, _) in result.copies.clone() {
        for target in result.states_of.remove(&id).unwrap_or_default() {
            result.copies.push((id, from, target));
        }
    }
    result
}

/// Whether a group that makes a state's next value reads the old one only at the coordinate that it writes.
fn reads_in_place(graph: &Graph, fusion: &Fusion, group: usize, next: NodeId, state: u64) -> bool {
    let probe = |id: NodeId| Some(BufferId(id.0));
    let Ok(Some(lowered)) = lower(graph, fusion, group, &probe, &|id| vec![BufferId(graph.nodes.len() + id.0)]) else { return false };
    let is_state = |buffer: BufferId| matches!(graph.nodes.get(buffer.0).map(|n| &n.op), Some(Op::State(s)) if s.id() == state);
    let body: &Body = match &lowered.kernel.kind {
        KernelKind::Loop(l) => &l.body,
        KernelKind::Matmul(m) if is_state(m.a.buffer) || is_state(m.b.buffer) => return false,
        KernelKind::Matmul(m) => &m.body,
        KernelKind::Scatter(_) | KernelKind::Attention(_) => return false,
    };
    let target = BufferId(graph.nodes.len() + next.0);
    let Some(store) = body.stores.iter().find(|s| body.operands[s.operand] == target) else { return false };
    let level = body.values[store.value.0].level;
    body.values.iter().all(|value| match value.instr.reads() {
        Some((operand, index)) if is_state(body.operands[operand]) => {
            matches!(value.instr, Instr::Load { .. }) && *index == store.index && value.level == level
        }
        _ => true,
    })
}

/// How many bindings a kernel takes on a device that keeps small buffers in two arenas.
fn bindings(kernel: &Kernel, buffers: &[Buffer], limits: &Limits) -> usize {
    let used: BTreeSet<BufferId> = kernel.reads().into_iter().chain(kernel.writes()).collect();
    let mut arenas = [false; 2];
    let mut count = 0;
    for id in used {
        let buffer = &buffers[id.0];
        if limits.bytes(buffer) <= limits.arena_bytes {
            arenas[usize::from(matches!(buffer.kind, BufferKind::State(_)))] = true;
        } else {
            count += 1;
        }
    }
    count + arenas.iter().filter(|&&a| a).count()
}

/// Whether a kernel writes any element.
fn does_something(kernel: &Kernel, buffers: &[Buffer]) -> bool {
    kernel.writes().iter().any(|id| !buffers[id.0].is_empty())
}

/// Drops buffers that nothing touches (a next value's slot, when it goes straight to its state).
fn drop_unused(plan: &mut Plan) {
    let mut used: HashSet<BufferId> = plan.inputs.iter().chain(&plan.outputs).copied().collect();
    for kernel in &plan.kernels {
        used.extend(kernel.reads());
        used.extend(kernel.writes());
        if let KernelKind::Loop(crate::plan::Loop { body, .. }) | KernelKind::Matmul(crate::plan::Matmul { body, .. }) = &kernel.kind {
            used.extend(body.operands.iter().copied());
        }
    }
    let mut map = vec![BufferId(usize::MAX); plan.buffers.len()];
    let mut kept = Vec::new();
    for (i, buffer) in std::mem::take(&mut plan.buffers).into_iter().enumerate() {
        if used.contains(&BufferId(i)) {
            map[i] = BufferId(kept.len());
            kept.push(buffer);
        }
    }
    plan.buffers = kept;
    let rename = |id: &mut BufferId| *id = map[id.0];
    plan.inputs.iter_mut().chain(&mut plan.outputs).for_each(rename);
    for kernel in &mut plan.kernels {
        match &mut kernel.kind {
            KernelKind::Loop(l) => l.body.operands.iter_mut().for_each(rename),
            KernelKind::Matmul(m) => [&mut m.a.buffer, &mut m.b.buffer].into_iter().chain(&mut m.body.operands).for_each(rename),
            KernelKind::Attention(a) => a.buffers_mut().into_iter().for_each(rename),
            KernelKind::Scatter(s) => [&mut s.source, &mut s.index, &mut s.target].into_iter().for_each(rename),
        }
    }
}

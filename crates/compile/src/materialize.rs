//! Copies, where elements are needed in an order that their reader cannot follow through views: written as conversions to the same type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use noyau_tensor::Op;

use crate::plan::{BufferId, Matrix};
use crate::{Graph, Index, Node, NodeId, View};

/// Follows views from a node to what they read: that node, and where in it for each coordinate of the first.
pub(crate) fn resolve(graph: &Graph, id: NodeId) -> (NodeId, Index) {
    resolve_from(graph, id, Index::identity(&graph.node(id).shape))
}

/// As [`resolve`], for the node's elements at the places of `index`. Views are folded one by one in the order in which `lower` meets them: other orders may
/// write the same places differently.
pub(crate) fn resolve_from(graph: &Graph, id: NodeId, index: Index) -> (NodeId, Index) {
    let (mut id, mut index) = (id, index);
    while let Some(view) = view_of(graph, id) {
        index = index.then(&view);
        id = graph.node(id).inputs[0];
    }
    (id, index)
}

/// The view that a node is of its operand.
pub(crate) fn view_of(graph: &Graph, id: NodeId) -> Option<View> {
    let node = graph.node(id);
    if !node.op.is_view() {
        return None;
    }
    View::of_op(&node.op, &graph.node(node.inputs[0]).shape, &node.shape)
}

/// The graph with copies before matrix products, scatters and gathers whose operands they could not read as they are, and before results that would
/// otherwise be views, constants or states that the step overwrites.
pub fn materialize(graph: &Graph) -> Graph {
    let mut out = Graph { inputs: graph.inputs.clone(), ..Graph::default() };
    let mut map: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
    for node in &graph.nodes {
        let mut inputs: Vec<NodeId> = node.inputs.iter().map(|id| map[id.0]).collect();
        match &node.op {
            Op::Matmul => {
                inputs.iter_mut().for_each(|id| *id = readable(&mut out, &mut copies, *id));
                // Products slide over one image: where both operands have borders, the one that is smaller with them is written out.
                let borders: Vec<_> = inputs.iter().map(|&id| border(&out, id)).collect();
                if borders.iter().all(Option::is_some) {
                    let size = |source: NodeId| out.node(source).shape.numel();
                    let smaller = borders.into_iter().enumerate().filter_map(|(i, b)| b.map(|b| (i, b))).min_by_key(|(_, b)| size(b.0));
                    if let Some((i, (source, views))) = smaller {
                        inputs[i] = behind(&mut out, &mut copies, source, &views);
                    }
                }
                Vec::new()
            }
            Op::Attention(a) => {
                // Rows' sums stand in order, all else lies in strides.
                let rows = if a.part.fixed() > 3 { 4..6 } else { 0..0 };
                let plain = |i: usize, id: NodeId| if rows.contains(&i) { is_plain(&out, id) } else { has_strides(&out, id) };
                let unfit: Vec<usize> = (0..inputs.len()).filter(|&i| !plain(i, inputs[i])).collect();
                inputs.iter_mut().enumerate().filter(|(i, _)| unfit.contains(i)).map(|(_, id)| id).collect()
            }
            Op::ScatterAdd(_) => inputs.iter_mut().filter(|id| !is_plain(&out, **id)).collect(),
            Op::Gather(_) => inputs.iter_mut().take(1).filter(|id| !is_strided(&out, **id)).collect(),
            _ => Vec::new(),
        }
        .into_iter()
        .for_each(|id| *id = copy(&mut out, &mut copies, *id));
        map.push(out.push(Node { inputs, ..node.clone() }));
    }
    let overwritten: HashSet<u64> = graph.updates.iter().map(|(state, _)| state.id()).collect();
    for id in &graph.outputs {
        let id = map[id.0];
        let old = |base: NodeId| matches!(&out.node(base).op, Op::State(state) if overwritten.contains(&state.id()));
        let id = if !is_plain(&out, id) || old(resolve(&out, id).0) { copy(&mut out, &mut copies, id) } else { id };
        out.outputs.push(id);
    }
    for (state, id) in &graph.updates {
        let id = map[id.0];
        // Attention writes no more than one buffer for each of its parts, where a value may be the next of several states.
        let source = |base: NodeId| matches!(out.node(base).op, Op::Data(_) | Op::Input(_) | Op::State(_) | Op::Attention(_));
        let id = if !is_plain(&out, id) || source(resolve(&out, id).0) { copy(&mut out, &mut copies, id) } else { id };
        out.updates.push((Arc::clone(state), id));
    }
    out
}

fn copy(graph: &mut Graph, copies: &mut HashMap<NodeId, NodeId>, id: NodeId) -> NodeId {
    *copies.entry(id).or_insert_with(|| {
        let node = graph.node(id).clone();
        graph.push(Node { op: Op::Cast(node.dtype), inputs: vec![id], ..node })
    })
}

/// Whether reading the node's elements in row-major order is reading a buffer in order.
fn is_plain(graph: &Graph, id: NodeId) -> bool {
    let (base, index) = resolve(graph, id);
    let whole = graph.node(base).shape.numel() == graph.node(id).shape.numel();
    whole && index.is_identity() && !matches!(graph.node(base).op, Op::Full(_) | Op::Iota(_))
}

/// Whether the node is a buffer read by forward strides, without masks.
fn is_strided(graph: &Graph, id: NodeId) -> bool {
    let (base, index) = resolve(graph, id);
    let affine = index.single().is_some_and(|v| v.is_unmasked() && v.offset >= 0 && v.strides.iter().all(|&s| s >= 0));
    affine && !matches!(graph.node(base).op, Op::Full(_) | Op::Iota(_))
}

/// Whether the node is matrices of plain strides in a buffer.
fn has_strides(graph: &Graph, id: NodeId) -> bool {
    let (base, index) = resolve(graph, id);
    let strides = Matrix::new(BufferId(0), &index).is_some_and(|matrix| matrix.strides().is_some());
    strides && !matches!(graph.node(base).op, Op::Full(_) | Op::Iota(_))
}

/// Of matrices with places where there is nothing to read: the first of the smallest nodes behind their views that has these places written in it, and the views in front of it.
fn border(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<NodeId>)> {
    let bounds = |index: &Index| Matrix::new(BufferId(0), index).map(|matrix| matrix.bounds.len());
    bounds(&resolve(graph, id).1).filter(|&count| count > 0)?;
    let size = |id: NodeId| graph.node(id).shape.numel();
    let mut views = Vec::new();
    let (mut source, mut before) = (id, 0);
    let mut index = Index::identity(&graph.node(id).shape);
    let mut at = id;
    while let Some(view) = view_of(graph, at) {
        index = index.then(&view);
        views.push(at);
        at = graph.node(at).inputs[0];
        if bounds(&index) == Some(0) && size(at) < size(source) {
            (source, before) = (at, views.len());
        }
    }
    views.truncate(before);
    Some((source, views))
}

/// A copy of a node, seen through views, the last of which is of the node.
fn behind(graph: &mut Graph, copies: &mut HashMap<NodeId, NodeId>, source: NodeId, views: &[NodeId]) -> NodeId {
    let first = copy(graph, copies, source);
    views.iter().rev().fold(first, |result, &view| {
        let node = Node { inputs: vec![result], ..graph.node(view).clone() };
        graph.push(node)
    })
}

/// The node, if a product can read it as it is; else the same views of a copy, made as far from the node as possible: there are more elements in windows
/// than in what they look at.
fn readable(graph: &mut Graph, copies: &mut HashMap<NodeId, NodeId>, id: NodeId) -> NodeId {
    let mut views = Vec::new();
    let mut index = Index::identity(&graph.node(id).shape);
    let mut at = id;
    // How many of the views a product can follow.
    let mut followed = 0;
    while let Some(view) = view_of(graph, at) {
        index = index.then(&view);
        let fills = matches!(&graph.node(at).op, Op::Pad(_, value) if value.to_word() != 0);
        views.push(at);
        at = graph.node(at).inputs[0];
        if fills {
            // Products read 0 where there is nothing.
            break;
        }
        if Matrix::new(BufferId(0), &index).is_some() {
            followed = views.len();
        }
    }
    if followed == views.len() && view_of(graph, at).is_none() && !matches!(graph.node(at).op, Op::Full(_) | Op::Iota(_)) {
        return id;
    }
    let source = views.get(followed).copied().unwrap_or(at);
    behind(graph, copies, source, &views[..followed])
}

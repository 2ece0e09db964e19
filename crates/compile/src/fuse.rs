//! Which nodes run as one kernel.
//!
//! Views are not computed but read through. Two decisions, in this order:
//! 1. *Groups*: each reduction and matrix product begins a group or joins one; elementwise nodes join the group that made their operand, where each
//!    coordinate needs only that coordinate (an epilogue, or another stage of a row).
//! 2. *Stored nodes*: what other kernels need is either written to a buffer or, where that is cheaper, computed again by each of them.
//!
//! Fusion never changes what is computed: gradients are in the graph already, and every node is computed as it would be alone, but for the order in which a sum's
//! terms are added (a row that is made where it is summed may be walked in another order than one that is stored).

use std::collections::{BTreeSet, HashMap, HashSet};

use noyau_tensor::{BinaryOp, Op, UnaryOp};

use crate::materialize::{resolve, resolve_from};
use crate::{Graph, Index, NodeId, View};

/// A group of nodes that one kernel computes.
#[derive(Clone, Debug)]
pub struct Group {
    /// What kind of kernel.
    pub kind: GroupKind,
    /// The sizes of the kernel's space.
    pub space: Vec<usize>,
    /// How many of them are outer axes.
    pub outer: usize,
    /// The row-major place of a node that has a value at each coordinate of the space.
    pub full: Index,
    /// The row-major place of a node that has a value at each outer coordinate.
    pub row: Index,
    /// The nodes, operands first.
    pub members: Vec<NodeId>,
    /// Which of [`FuseOptions::parts`] its elementwise nodes are, 0 for those of no part.
    part: usize,
    /// Groups whose nodes these need.
    needs: BTreeSet<usize>,
}

/// Kinds of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// Elementwise nodes.
    Map,
    /// Reductions over the inner axes, and elementwise nodes at either level.
    Rows,
    /// A matrix product and elementwise nodes.
    Matmul,
    /// A scatter, alone.
    Scatter,
    /// Parts of attention with the same operands, nothing else.
    Attention,
}

/// The decisions.
#[derive(Clone, Debug)]
pub struct Fusion {
    /// The groups, in order of their first node. Some may have no stored member: they produce no kernel.
    pub groups: Vec<Group>,
    /// The group of each compute node.
    pub group_of: Vec<Option<usize>>,
    /// For each group member its place in the group's space.
    pub place: HashMap<NodeId, Index>,
    /// Nodes that are written to a buffer.
    pub stored: HashSet<NodeId>,
}

/// How to fuse.
#[derive(Clone, Debug, Default)]
pub struct FuseOptions {
    /// One kernel a node.
    pub off: bool,
    /// Nodes that must end their group: where a kernel had too many operands.
    pub cuts: HashSet<NodeId>,
    /// Elementwise nodes that share groups with those of the same part only: where a kernel had too many results, all of which are stored.
    pub parts: HashMap<NodeId, usize>,
}

/// A group's members at most: keeps kernels readable and their compilation quick.
const MAX_MEMBERS: usize = 96;
/// The longest row that elementwise work of the whole row joins.
const MAX_JOINED_ROW: usize = 8192;
/// Work that one row kernel may do however few rows it has.
const SMALL: usize = 4096;
/// An expression costlier than this is stored even for a single user (it also bounds recursion).
const MAX_INLINE: usize = 160;
/// What storing and loading a value costs, in operations on it.
const STORE_COST: usize = 8;

/// Whether a node is a source: it has a buffer that no kernel of this step makes (or, for `Full` and `Iota`, needs none).
pub(crate) fn is_source(op: &Op) -> bool {
    matches!(op, Op::Full(_) | Op::Data(_) | Op::Input(_) | Op::State(_) | Op::Iota(_))
}

/// Whether a node's values lie in a buffer before the step runs.
pub(crate) fn is_buffered_source(op: &Op) -> bool {
    matches!(op, Op::Data(_) | Op::Input(_) | Op::State(_))
}

/// Decides what runs together.
pub fn fuse(graph: &Graph, options: &FuseOptions) -> Fusion {
    let mut fuser = Fuser {
        graph,
        options,
        fusion: Fusion { groups: Vec::new(), group_of: vec![None; graph.nodes.len()], place: HashMap::new(), stored: HashSet::new() },
    };
    for i in 0..graph.nodes.len() {
        fuser.place_node(NodeId(i));
    }
    fuser.decide_stores();
    fuser.fusion
}

struct Fuser<'a> {
    graph: &'a Graph,
    options: &'a FuseOptions,
    fusion: Fusion,
}

impl Fuser<'_> {
    /// Whether the node is computed by some kernel.
    fn is_computed(&self, id: NodeId) -> bool {
        let op = &self.graph.node(id).op;
        !(op.is_view() || is_source(op))
    }

    fn place_node(&mut self, id: NodeId) {
        if !self.is_computed(id) {
            return;
        }
        let node = self.graph.node(id);
        match &node.op {
            Op::Reduce(_, axes) => self.place_reduction(id, axes),
            Op::Matmul => self.new_group(id, GroupKind::Matmul, node.shape.to_vec(), node.shape.rank()),
            Op::Attention(_) => self.place_attention(id),
            Op::ScatterAdd(_) => self.new_group(id, GroupKind::Scatter, node.shape.to_vec(), node.shape.rank()),
            _ => self.place_elementwise(id),
        }
    }

    fn new_group(&mut self, id: NodeId, kind: GroupKind, space: Vec<usize>, outer: usize) {
        let full = Index::identity(&space);
        let row = full.clone();
        let part = self.part_of(id);
        self.open(id, Group { kind, space, outer, full: full.clone(), row, members: Vec::new(), part, needs: BTreeSet::new() }, full);
    }

    /// Beside another part of the same attention, forward or backward, whose scores it shares; or alone.
    fn place_attention(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let same = |other: &NodeId| match (&node.op, &self.graph.node(*other).op) {
            (Op::Attention(a), Op::Attention(b)) => {
                (a.causal, a.scale) == (b.causal, b.scale) && self.graph.node(*other).inputs == node.inputs
            }
            _ => false,
        };
        let part = self.part_of(id);
        let found = self.fusion.groups.iter().rposition(|g| g.kind == GroupKind::Attention && g.part == part && g.members.iter().all(same));
        match found.filter(|&group| !self.options.off && self.may_join(id, group)) {
            Some(group) => self.join(id, group, Index::identity(&node.shape)),
            None => self.new_group(id, GroupKind::Attention, node.shape.to_vec(), node.shape.rank()),
        }
    }

    fn open(&mut self, id: NodeId, group: Group, place: Index) {
        self.fusion.groups.push(group);
        self.join(id, self.fusion.groups.len() - 1, place);
    }

    fn join(&mut self, id: NodeId, group: usize, place: Index) {
        let needs = self.needs_of(id);
        let g = &mut self.fusion.groups[group];
        g.members.push(id);
        g.needs.extend(needs.into_iter().filter(|&n| n != group));
        self.fusion.group_of[id.0] = Some(group);
        self.fusion.place.insert(id, place);
    }

    /// The groups of a node's operands.
    fn needs_of(&self, id: NodeId) -> BTreeSet<usize> {
        let inputs = &self.graph.node(id).inputs;
        inputs.iter().filter_map(|&input| self.fusion.group_of[resolve(self.graph, input).0.0]).collect()
    }

    /// Whether some of `from` needs, directly or not, group `target`.
    fn reaches(&self, from: impl IntoIterator<Item = usize>, target: usize) -> bool {
        let mut stack: Vec<usize> = from.into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(group) = stack.pop() {
            if group == target {
                return true;
            }
            if seen.insert(group) {
                stack.extend(self.fusion.groups[group].needs.iter().copied());
            }
        }
        false
    }

    fn part_of(&self, id: NodeId) -> usize {
        self.options.parts.get(&id).copied().unwrap_or(0)
    }

    /// Whether a node may become part of a group: there is room, and nothing that it needs besides needs the group.
    fn may_join(&self, id: NodeId, group: usize) -> bool {
        let others = self.needs_of(id).into_iter().filter(|&n| n != group);
        self.fusion.groups[group].members.len() < MAX_MEMBERS && !self.reaches(others, group)
    }

    fn place_elementwise(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        if !self.options.off {
            // Groups that hold more than elementwise nodes first: those nodes cannot be computed again elsewhere, so staying beside them saves a store. Of
            // these the latest, which most likely has the other operands already.
            // What has been parted from its operands' groups stays with its like, whatever the operands.
            let part = self.part_of(id);
            let near: Vec<usize> =
                if part == 0 { self.needs_of(id).into_iter().collect() } else { (0..self.fusion.groups.len()).collect() };
            // One number made of those of several groups (the sum of all gradients' norms, say) joins none but a map: else those groups would have to wait for each other.
            let apart = node.shape.numel() <= 1 && near.len() > 1;
            let fits = |g: &Group| g.part == part && (!apart || g.kind == GroupKind::Map);
            let mut groups: Vec<usize> = near.into_iter().filter(|&g| fits(&self.fusion.groups[g])).collect();
            groups.sort_by_key(|&g| (self.fusion.groups[g].kind == GroupKind::Map, std::cmp::Reverse(g)));
            for group in groups {
                if let Some(place) = self.aligned_place(id, group)
                    && self.may_join(id, group)
                {
                    self.join(id, group, place);
                    return self.merge_operands(id, group);
                }
            }
        }
        self.new_group(id, GroupKind::Map, node.shape.to_vec(), node.shape.rank());
    }

    /// Makes one group of a node's group and those of its other operands, where all are elementwise over one space and none needs the other but through the node.
    /// (An optimizer's moments and its parameter begin as groups of their own, which meet in the update.)
    fn merge_operands(&mut self, id: NodeId, group: usize) {
        for other in self.needs_of(id) {
            let (a, b) = (&self.fusion.groups[group], &self.fusion.groups[other]);
            let alike = other != group
                && a.part == b.part
                && a.kind == GroupKind::Map
                && b.kind == GroupKind::Map
                && a.space == b.space
                && a.full == b.full;
            let room = a.members.len() + b.members.len() <= MAX_MEMBERS;
            let aligned = alike && self.is_aligned(id, other, &a.full);
            // What the group needs in other ways than the node's own operand.
            let apart = |m: NodeId| self.needs_of(m).into_iter().filter(move |&n| n != group && !(m == id && n == other));
            let own: Vec<usize> = a.members.iter().flat_map(|&m| apart(m)).collect();
            if !(aligned && room) || self.reaches(own, other) || self.reaches(b.needs.iter().copied(), group) {
                continue;
            }
            let absorbed = std::mem::take(&mut self.fusion.groups[other].members);
            let needs = std::mem::take(&mut self.fusion.groups[other].needs);
            for member in &absorbed {
                self.fusion.group_of[member.0] = Some(group);
            }
            for g in &mut self.fusion.groups {
                if g.needs.remove(&other) {
                    g.needs.insert(group);
                }
            }
            let g = &mut self.fusion.groups[group];
            g.members.extend(absorbed);
            g.members.sort_unstable();
            g.needs.extend(needs);
            g.needs.remove(&group);
        }
    }

    /// The place that the node would have in the group, if every operand that the group makes is needed at just the coordinate at which it is made.
    fn aligned_place(&self, id: NodeId, group: usize) -> Option<Index> {
        let g = &self.fusion.groups[group];
        if matches!(g.kind, GroupKind::Scatter | GroupKind::Attention) {
            return None;
        }
        let numel = self.graph.node(id).shape.numel();
        let total: usize = g.space.iter().product();
        let rows: usize = g.space[..g.outer].iter().product();
        let mut candidates = Vec::new();
        if numel == total && (g.kind != GroupKind::Rows || self.rows_take_whole(g)) {
            candidates.push(&g.full);
        }
        if g.kind == GroupKind::Rows && numel == rows {
            candidates.push(&g.row);
        }
        candidates.into_iter().find(|place| self.is_aligned(id, group, place)).cloned()
    }

    /// Whether elementwise work on every element may join a group of rows: not where few rows would have to do all of it.
    fn rows_take_whole(&self, g: &Group) -> bool {
        let rows: usize = g.space[..g.outer].iter().product();
        let inner: usize = g.space[g.outer..].iter().product();
        rows * inner <= SMALL || (g.full.is_identity() && rows >= 16 && inner <= MAX_JOINED_ROW)
    }

    fn is_aligned(&self, id: NodeId, group: usize, place: &Index) -> bool {
        let node = self.graph.node(id);
        let through = View::contiguous(&node.shape);
        node.inputs.iter().enumerate().all(|(i, &input)| {
            let (base, at) = resolve_from(self.graph, input, place.then(&through));
            if self.fusion.group_of[base.0] != Some(group) {
                return true;
            }
            if self.options.cuts.contains(&base) || (matches!(node.op, Op::Gather(_)) && i == 0) {
                return false;
            }
            at == self.fusion.place[&base]
        })
    }

    fn place_reduction(&mut self, id: NodeId, axes: &[usize]) {
        let node = self.graph.node(id);
        let shape = &self.graph.node(node.inputs[0]).shape;
        let kept: Vec<usize> = (0..shape.rank()).filter(|i| !axes.contains(i)).collect();
        let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
        let space: Vec<usize> = order.iter().map(|&i| shape[i]).collect();
        let strides = View::contiguous(shape).strides;
        let full = Index::from_view(View {
            shape: space.clone(),
            strides: order.iter().map(|&i| strides[i]).collect(),
            offset: 0,
            mask: Vec::new(),
        });
        let mut row_view = View::contiguous(&space[..kept.len()]);
        row_view.shape = space.clone();
        row_view.strides.resize(space.len(), 0);
        let row = Index::from_view(row_view);
        let outer = kept.len();

        if !self.options.off {
            for group in self.row_groups_near(node.inputs[0], &space, outer, &full) {
                if self.may_join(id, group) && self.operand_fits(node.inputs[0], group) {
                    return self.join(id, group, row);
                }
            }
            if let Some(group) = self.map_to_turn(node.inputs[0], &space, outer, &full) {
                let members = self.fusion.groups[group].members.clone();
                for member in members {
                    self.fusion.place.insert(member, full.clone());
                }
                let g = &mut self.fusion.groups[group];
                (g.kind, g.space, g.outer, g.full, g.row) = (GroupKind::Rows, space, outer, full, row.clone());
                return self.join(id, group, row);
            }
        }
        self.open(
            id,
            Group { kind: GroupKind::Rows, space, outer, full, row: row.clone(), members: Vec::new(), part: 0, needs: BTreeSet::new() },
            row,
        );
    }

    /// Groups of rows over the same space that read what this operand reads, latest first.
    fn row_groups_near(&self, operand: NodeId, space: &[usize], outer: usize, full: &Index) -> Vec<usize> {
        let leaves = self.leaves(operand);
        let matches = |g: &Group| g.kind == GroupKind::Rows && g.space == space && g.outer == outer && g.full == *full;
        let mut found: Vec<usize> = (0..self.fusion.groups.len()).rev().filter(|&i| matches(&self.fusion.groups[i])).take(8).collect();
        found.retain(|&i| {
            let inside = self.fusion.group_of[resolve(self.graph, operand).0.0] == Some(i);
            inside
                || self.fusion.groups[i]
                    .members
                    .iter()
                    .any(|&m| self.graph.node(m).inputs.iter().any(|&x| !self.leaves(x).is_disjoint(&leaves)))
        });
        found
    }

    /// What an expression of elementwise nodes reads in the end: results of other kinds, and buffers.
    fn leaves(&self, id: NodeId) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        let mut stack = vec![id];
        let mut budget = 64;
        while let Some(id) = stack.pop() {
            let (base, _) = resolve(self.graph, id);
            let node = self.graph.node(base);
            budget -= 1;
            if node.op.is_elementwise() && budget > 0 {
                stack.extend(node.inputs.iter().copied());
            } else if !matches!(node.op, Op::Full(_) | Op::Iota(_)) {
                found.insert(base);
            }
        }
        found
    }

    /// Whether a reduction in the group can have its operand: made there at the same coordinate, or not made there at all.
    fn operand_fits(&self, operand: NodeId, group: usize) -> bool {
        let g = &self.fusion.groups[group];
        let (base, at) = resolve_from(self.graph, operand, g.full.clone());
        if self.options.cuts.contains(&base) {
            return false;
        }
        if self.fusion.group_of[base.0] == Some(group) {
            return at == self.fusion.place[&base];
        }
        // An expression that another group holds will be loaded or computed again: neither may go through this group.
        self.fusion.group_of[base.0].is_none_or(|other| !self.reaches([other], group))
    }

    /// The group of elementwise nodes that made the operand, if it is better turned into a group of rows than stored and read again.
    fn map_to_turn(&self, operand: NodeId, space: &[usize], outer: usize, full: &Index) -> Option<usize> {
        let (base, at) = resolve_from(self.graph, operand, full.clone());
        let group = self.fusion.group_of[base.0]?;
        let g = &self.fusion.groups[group];
        let rows: usize = space[..outer].iter().product();
        let inner: usize = space[outer..].iter().product();
        let worth = rows * inner <= SMALL || (full.is_identity() && rows >= 16 && inner <= MAX_JOINED_ROW);
        // Where the operand is read is where its members will be made.
        let same = at == *full && g.space.iter().product::<usize>() == rows * inner;
        (g.kind == GroupKind::Map && worth && same && !self.options.cuts.contains(&base)).then_some(group)
    }

    /// Which nodes are written to buffers: those that must be, and those that it would cost more to compute again than to load. Operands are decided before
    /// their users, so a node that is inlined ends at loads of stored nodes.
    fn decide_stores(&mut self) {
        let uses = self.uses();
        let mut costs: HashMap<NodeId, usize> = HashMap::new();
        for (i, uses) in uses.iter().enumerate() {
            let id = NodeId(i);
            if self.fusion.group_of[i].is_none() || (uses.reads.is_empty() && !uses.forced && !self.options.off) {
                continue;
            }
            let cost = self.cost(id, &mut costs);
            let again = (uses.reads.len() + usize::from(uses.inside)).saturating_sub(1);
            // Random numbers are cheaper to draw again than to keep, whatever they cost: they would be a buffer as large as what they mask.
            let cheap = self.draws(id) || (cost * again <= STORE_COST && (!uses.grown || cost <= STORE_COST));
            if uses.forced || self.options.off || cost > MAX_INLINE || !cheap {
                self.fusion.stored.insert(id);
            }
        }
    }

    fn uses(&self) -> Vec<Uses> {
        let mut uses: Vec<Uses> = vec![Uses::default(); self.graph.nodes.len()];
        self.options.cuts.iter().for_each(|id| uses[id.0].forced = true);
        for id in self.graph.roots() {
            uses[resolve(self.graph, id).0.0].forced = true;
        }
        for (i, node) in self.graph.nodes.iter().enumerate() {
            let Some(group) = self.fusion.group_of[i] else { continue };
            for (position, &input) in node.inputs.iter().enumerate() {
                let (base, index) = resolve(self.graph, input);
                let used = &mut uses[base.0];
                used.forced |= matches!(node.op, Op::Matmul | Op::ScatterAdd(_) | Op::Attention(_))
                    || (matches!(node.op, Op::Gather(_)) && position == 0);
                if self.fusion.group_of[base.0] == Some(group) {
                    used.inside = true;
                } else {
                    used.reads.insert((group, index));
                    let read = self.graph.node(input).shape.numel();
                    used.grown |= read > 2 * self.graph.node(base).shape.numel();
                }
            }
        }
        uses
    }

    /// Whether random numbers are drawn in the node's expression.
    fn draws(&self, id: NodeId) -> bool {
        let mut stack = vec![id];
        let mut budget = 32;
        while let Some(id) = stack.pop() {
            let (base, _) = resolve(self.graph, id);
            let node = self.graph.node(base);
            if matches!(node.op, Op::Philox(_)) {
                return true;
            }
            budget -= 1;
            if node.op.is_elementwise() && budget > 0 && !self.fusion.stored.contains(&base) {
                stack.extend(node.inputs.iter().copied());
            }
        }
        false
    }

    /// Operations and loads that it takes to compute the node where it is needed; a lot when only its own kernel can make it.
    fn cost(&self, id: NodeId, known: &mut HashMap<NodeId, usize>) -> usize {
        const NEVER: usize = 1 << 30;
        if let Some(&cost) = known.get(&id) {
            return cost;
        }
        let node = self.graph.node(id);
        let own = match &node.op {
            Op::Unary(
                UnaryOp::Neg
                | UnaryOp::Abs
                | UnaryOp::Relu
                | UnaryOp::Not
                | UnaryOp::Floor
                | UnaryOp::Ceil
                | UnaryOp::Round
                | UnaryOp::Sign,
            ) => 1,
            Op::Unary(_) => 8,
            Op::Binary(BinaryOp::Pow) => 16,
            Op::Binary(_) | Op::Where | Op::Cast(_) | Op::Detach => 1,
            Op::Gather(_) => 4,
            Op::Philox(_) => 40,
            Op::Reduce(..) | Op::Matmul | Op::Conv(_) | Op::Attention(_) | Op::ScatterAdd(_) => NEVER,
            Op::Full(_) | Op::Data(_) | Op::Input(_) | Op::State(_) | Op::Iota(_) => 0,
            Op::Reshape | Op::Permute(_) | Op::Expand | Op::Slice(_) | Op::Flip(_) | Op::Pad(..) | Op::Unfold(_) | Op::Error(_) => 0,
        };
        let mut total = own;
        for &input in node.inputs.iter().filter(|_| own < NEVER) {
            let (base, _) = resolve(self.graph, input);
            total += match &self.graph.node(base).op {
                Op::Full(_) => 0,
                op if is_source(op) || self.fusion.stored.contains(&base) => 1,
                // Groups are bounded and costlier expressions stored, and so is the recursion.
                _ => self.cost(base, known),
            };
        }
        let total = total.min(NEVER);
        known.insert(id, total);
        total
    }
}

/// Who needs a node.
#[derive(Clone, Default)]
struct Uses {
    /// Groups other than its own, each once for every way in which it reads the node.
    reads: HashSet<(usize, Index)>,
    /// Whether its own group does.
    inside: bool,
    /// Whether some group needs it at many more coordinates than it has.
    grown: bool,
    /// Whether it must have a buffer.
    forced: bool,
}

//! Nodes of a body made fewer: two or more that become one step, values written out where that is cheaper than a loop for each line.

use noyau_tensor::{BinaryOp, ReduceOp};

use super::access::{Access, Form};
use super::body::{Code, Kind, Node, Nodes, Of};
use super::norm::Norm;
use super::pair::pair;
use super::step::{Extra, Spread, pick};
use crate::simd::Level;

impl Nodes {
    pub(crate) fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.spread.push(None);
        self.nodes.len() - 1
    }

    /// The value written out in full, or itself where it is.
    pub(crate) fn spread(&mut self, node: usize, form: Form, inner: bool, level: Level) -> usize {
        if self.nodes[node].form == form {
            return node;
        }
        if let Some(known) = self.spread[node] {
            return known;
        }
        let full =
            self.push(Node { code: Code::Run(pick::<Spread>(level), Extra::None), args: vec![node], form, inner, cost: 0.1, of_two: None });
        self.spread[node] = Some(full);
        full
    }

    /// Whether full values are loaded or stored along lines, so that a tile should be about as high as wide.
    pub(crate) fn transposes(&self) -> bool {
        let along =
            |access: &Access, form: Form| form == Form::FULL && access.affine().is_some_and(|(line, col)| line.abs() == 1 && col.abs() > 1);
        self.nodes.iter().any(|n| matches!(&n.code, Code::Load { access, .. } if along(access, n.form)))
            || self.sinks.iter().any(|s| along(&s.access, s.domain))
    }

    /// Writes out in full what is used beside full values: where lines are short, that is cheaper than a loop for each.
    pub(crate) fn spread_all(&mut self, level: Level, inner: bool) {
        let mut old = Nodes { nodes: Vec::new(), sinks: Vec::new(), spread: Vec::new() };
        std::mem::swap(self, &mut old);
        let mut number: Vec<usize> = Vec::new();
        for mut node in old.nodes {
            node.args.iter_mut().for_each(|a| *a = number[*a]);
            let mixed = node.form == Form::FULL && node.args.len() > 1 && matches!(node.code, Code::Run(..));
            if mixed {
                for a in &mut node.args {
                    if self.nodes[*a].form != Form::UNIFORM {
                        *a = self.spread(*a, Form::FULL, inner, level);
                    }
                }
            }
            let new = self.push(node);
            number.push(new);
        }
        self.sinks = old.sinks;
        self.sinks.iter_mut().for_each(|s| s.node = number[s.node]);
    }

    /// Makes one node of two where only the second needs the first.
    pub(crate) fn pair_up(&mut self, kind: Kind, level: Level) {
        let mut uses = vec![0; self.nodes.len()];
        self.nodes.iter().flat_map(|n| &n.args).for_each(|&a| uses[a] += 1);
        self.sinks.iter().for_each(|s| uses[s.node] += 1);
        if kind == Kind::Cols {
            self.squares(&mut uses);
        }
        for i in (0..self.nodes.len()).rev() {
            let Some(norm) = Norm::find(&self.nodes, &uses, i) else { continue };
            self.nodes[i].cost += norm.parts.iter().map(|&part| self.nodes[part].cost).sum::<f64>();
            for &part in &norm.parts {
                self.nodes[part].of_two = None;
                uses[part] = 0;
            }
            let node = &mut self.nodes[i];
            (node.code, node.of_two) = (Code::Run(norm.run(level), Extra::Norm { past: false }), None);
            node.args = norm.args;
        }
        for i in 0..self.nodes.len() {
            let (Some(second), &[left, right]) = (self.nodes[i].of_two, &self.nodes[i].args[..]) else { continue };
            for (at, other, turned) in [(left, right, false), (right, left, true)] {
                let (node, first) = (&self.nodes[i], &self.nodes[at]);
                let fits = uses[at] == 1 && first.form == node.form && first.inner == node.inner && node.form != Form::UNIFORM;
                let Some(run) = first.of_two.filter(|_| fits).and_then(|op| pair(op, second, turned, level)) else { continue };
                let (args, cost) = (vec![first.args[0], first.args[1], other], first.cost);
                let node = &mut self.nodes[i];
                (node.code, node.args, node.of_two) = (Code::Run(run, Extra::None), args, None);
                node.cost += cost;
                self.nodes[at].of_two = None;
                uses[at] = 0;
                break;
            }
        }
        for i in 0..self.nodes.len() {
            let (Code::Reduce(ReduceOp::Sum, dtype, Of::Values), &[at]) = (&self.nodes[i].code, &self.nodes[i].args[..]) else { continue };
            let products = &self.nodes[at];
            let full = |&a: &usize| self.nodes[a].form == products.form;
            let of_products = dtype.is_float() && products.of_two == Some(BinaryOp::Mul) && uses[at] == 1;
            if of_products && kind == Kind::Cols && products.form.col && products.args.iter().all(full) {
                let (dtype, args) = (*dtype, products.args.clone());
                (self.nodes[i].code, self.nodes[i].args) = (Code::Reduce(ReduceOp::Sum, dtype, Of::Products), args);
                uses[at] = 0;
            }
        }
        self.drop_unused(&uses);
    }

    /// Sums of squares of differences take the difference themselves: to write it down and read it again takes longer.
    fn squares(&mut self, uses: &mut [usize]) {
        for i in 0..self.nodes.len() {
            let (Code::Reduce(ReduceOp::Sum, dtype, Of::Values), &[at]) = (&self.nodes[i].code, &self.nodes[i].args[..]) else { continue };
            let squares = &self.nodes[at];
            let (Some(BinaryOp::Mul), &[x, y]) = (squares.of_two, &squares.args[..]) else { continue };
            let difference = &self.nodes[x];
            let (Some(BinaryOp::Sub), &[a, b]) = (difference.of_two, &difference.args[..]) else { continue };
            let of_rows = difference.form.col && self.nodes[a].form == difference.form && !self.nodes[b].form.col;
            if x != y || uses[at] != 1 || !dtype.is_float() || !of_rows {
                continue;
            }
            (self.nodes[i].code, self.nodes[i].args) = (Code::Reduce(ReduceOp::Sum, *dtype, Of::Squares), vec![a, b]);
            // What is left out is no part of anything else.
            self.nodes[at].of_two = None;
            uses[at] = 0;
            uses[x] -= 2;
            if uses[x] == 0 {
                self.nodes[x].of_two = None;
            } else {
                uses[a] += 1;
                uses[b] += 1;
            }
        }
    }

    /// Takes out the nodes without uses that `pair_up` left, and gives the others new numbers.
    fn drop_unused(&mut self, uses: &[usize]) {
        let mut number = vec![usize::MAX; self.nodes.len()];
        let mut kept = Vec::with_capacity(self.nodes.len());
        for (i, mut node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if uses[i] > 0 {
                node.args.iter_mut().for_each(|a| *a = number[*a]);
                number[i] = kept.len();
                kept.push(node);
            }
        }
        self.nodes = kept;
        self.spread = vec![None; self.nodes.len()];
        self.sinks.iter_mut().for_each(|s| s.node = number[s.node]);
    }
}

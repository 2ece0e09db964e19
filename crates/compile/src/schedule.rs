//! The order of kernels: each after what it reads, and whoever overwrites a state after all who read the old value.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// An acyclic order in the making: `after[i]` are the kernels that must come before kernel `i`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    before: Vec<BTreeSet<usize>>,
}

impl Order {
    pub fn new(kernels: usize) -> Order {
        Order { before: vec![BTreeSet::new(); kernels] }
    }

    /// One more kernel.
    pub fn add(&mut self) -> usize {
        self.before.push(BTreeSet::new());
        self.before.len() - 1
    }

    /// `first` must come before `then`.
    pub fn require(&mut self, first: usize, then: usize) {
        if first != then {
            self.before[then].insert(first);
        }
    }

    /// Whether `kernel` has to come after `other`.
    pub fn follows(&self, kernel: usize, other: usize) -> bool {
        let mut stack = vec![kernel];
        let mut seen = BTreeSet::new();
        while let Some(k) = stack.pop() {
            if k == other {
                return true;
            }
            if seen.insert(k) {
                stack.extend(self.before[k].iter().copied());
            }
        }
        false
    }

    /// The kernels in an order that satisfies every requirement, otherwise as they came. Shorter than the number of kernels only if there is a cycle.
    pub fn sorted(&self) -> Vec<usize> {
        let mut waiting: Vec<usize> = self.before.iter().map(BTreeSet::len).collect();
        let mut users = vec![Vec::new(); self.before.len()];
        for (kernel, before) in self.before.iter().enumerate() {
            before.iter().for_each(|&b| users[b].push(kernel));
        }
        let mut ready: BinaryHeap<Reverse<usize>> = (0..waiting.len()).filter(|&k| waiting[k] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(Reverse(kernel)) = ready.pop() {
            order.push(kernel);
            for &user in &users[kernel] {
                waiting[user] -= 1;
                if waiting[user] == 0 {
                    ready.push(Reverse(user));
                }
            }
        }
        order
    }
}

//! One kernel's code, ready to be launched alone or with others.

/// A function of WGSL that does one kernel's work, or a part of it that has to be over before the next part begins.
#[derive(Clone, Debug)]
pub struct Phase {
    /// The kernel, and how it is done: `matmul+relu [registers 8x8]`.
    pub name: String,
    /// The function's code: `fn k<id>(item: u32)` for items, `fn k<id>(group: u32, lid: u32)` for groups.
    pub code: String,
    /// The function's name.
    pub function: String,
    /// How the work divides.
    pub work: Work,
    /// How often an invocation loops for one item or group, its loops together.
    pub iterations: u64,
    /// Workgroup memory.
    pub shared: Vec<Shared>,
}

/// How a phase's work divides. Items, or groups, do not depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// So many items, each done by one invocation.
    Items(u64),
    /// So many groups, each done by a workgroup of the given size.
    Groups {
        /// How many.
        count: u64,
        /// Invocations of each.
        size: u32,
    },
}

impl Work {
    /// Whether there is nothing to do.
    pub fn is_empty(self) -> bool {
        matches!(self, Work::Items(0) | Work::Groups { count: 0, .. })
    }
}

/// A variable in workgroup memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Its name; phases that are launched together share variables of one name.
    pub name: String,
    /// The type of its elements.
    pub element: &'static str,
    /// How many.
    pub len: u32,
}

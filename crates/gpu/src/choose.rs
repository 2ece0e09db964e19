//! Which variant of its code a kernel gets: a few rules about shapes and the kind of device, and what a caller set by hand.

use noyau_compile::plan::{Body, Instr, Loop, Matmul};
use noyau_shaders::{MERGED_GROUP, Rows, Variant};

use crate::AdapterInfo;

/// Choices made by hand; what is `None` is left to the rules.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// The variant of every matrix product.
    pub matmul: Option<Variant>,
    /// How the rows of every reduction are shared out.
    pub rows: Option<Rows>,
    /// Whether small kernels share a launch.
    pub merge: Option<bool>,
}

/// What the rules go by.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub name: String,
    /// Shaders run on a CPU: few wide cores, loads dear, launches cheap.
    pub software: bool,
    pub subgroup: Option<u32>,
    pub max_bindings: usize,
}

impl Target {
    pub fn of(info: &AdapterInfo) -> Target {
        Target { name: info.to_string(), software: info.software, subgroup: info.subgroup, max_bindings: info.limits.max_bindings }
    }

    /// The workgroup's size for kernels whose items stand alone.
    pub fn item_group(&self, items: u64) -> u32 {
        // Small enough to occupy a device that runs several workgroups at a time.
        if items >= 1 << 16 { 256 } else { 64 }
    }

    /// How many loop turns an invocation may spend on a kernel for it to share a launch.
    pub fn merged_turns(&self) -> u64 {
        if self.software { 96 } else { 40 }
    }

    /// How many kernels share a launch at most. Software drivers take more than twice as long to compile a shader with twice as many barriers: an LSTM of 8 time
    /// steps (53 kernels) took lavapipe over a minute as one launch, 15 s in launches of 12.
    pub fn merged_kernels(&self) -> usize {
        if self.software { 16 } else { 64 }
    }

    /// How the rows of a loop are shared out.
    pub fn rows(&self, kernel: &Loop) -> Rows {
        let rows: usize = kernel.outer.iter().product();
        let length: usize = kernel.inner.iter().product();
        let alone = if self.software { length <= 64 || rows >= 64 } else { length <= 8 || rows >= 1 << 16 };
        // Loops of one invocation must stay well below what drivers bear.
        if kernel.inner.is_empty() || (alone && length <= 1 << 13) {
            return Rows::ALONE;
        }
        let across = reads_across(&kernel.body, kernel.outer.len());
        if self.software {
            return Rows { lanes: 64, group: 64, across: false };
        }
        if across && rows >= 32 {
            // Neighbouring invocations on neighbouring rows, so that their loads are neighbours too.
            return Rows { lanes: 8, group: 256, across: true };
        }
        let lanes = (length / 4).next_power_of_two().clamp(4, 256) as u32;
        // Many rows occupy the device by themselves.
        let lanes = if rows >= 4096 { lanes.min(32) } else { lanes };
        Rows { lanes, group: 256, across: false }
    }

    /// As [`Target::rows`], for a launch that is shared.
    pub fn merged_rows(&self, kernel: &Loop) -> Rows {
        let rows: usize = kernel.outer.iter().product();
        let length: usize = kernel.inner.iter().product();
        if kernel.inner.is_empty() || length <= if self.software { 128 } else { 16 } || rows >= MERGED_GROUP as usize {
            return Rows::ALONE;
        }
        let free = MERGED_GROUP as usize / rows.next_power_of_two().min(MERGED_GROUP as usize);
        match free.min(length.next_power_of_two()) {
            0 | 1 => Rows::ALONE,
            lanes => Rows { lanes: lanes as u32, group: MERGED_GROUP, across: false },
        }
    }

    /// The variant of a product.
    pub fn matmul(&self, kernel: &Matmul) -> Variant {
        let Matmul { m, n, k, .. } = *kernel;
        let batches: usize = kernel.batch.iter().product();
        let tiles = |rows: usize, columns: usize| batches * m.div_ceil(rows) * n.div_ceil(columns);
        // Few results of long sums: the sums are what there is to share out.
        let few = if self.software { 64 } else { 4096 };
        if (tiles(1, 1) <= few && k >= 256) || k > 1 << 14 {
            let lanes = if self.software { 64 } else { 256 };
            let side = |size: usize| if size >= 2 && tiles(2, 2) >= 16 { 2 } else { 1 };
            return Variant::Split { rows: side(m), columns: side(n), lanes };
        }
        if self.software {
            return self.software_matmul(m, n, &tiles);
        }
        if m >= 96 && n >= 96 && tiles(128, 128) >= 48 {
            return Variant::Tiled { tile: 128 };
        }
        if m >= 32 && n >= 32 {
            return Variant::Tiled { tile: 64 };
        }
        let side = |size: usize| {
            if size >= 4 && tiles(4, 4) >= 4096 {
                4
            } else if size >= 2 && tiles(2, 2) >= 1024 {
                2
            } else {
                1
            }
        };
        Variant::Registers { rows: side(m), columns: side(n) }
    }

    fn software_matmul(&self, m: usize, n: usize, tiles: &dyn Fn(usize, usize) -> usize) -> Variant {
        if let Some(size @ 2..=16) = self.subgroup {
            let s = size as usize;
            // At most 64 sums an invocation: with twice as many, drivers take more than twice as long to compile, for a tenth in speed.
            let rows = if s <= 4 && m > s * 2 && tiles(s * 4, s * 4) >= 4 {
                4 * s
            } else if m > s {
                2 * s
            } else {
                s
            };
            let columns = if n > s * 2 && tiles(rows, s * 4) >= 4 {
                4
            } else if n > s {
                2
            } else {
                1
            };
            if m >= s / 2 && n >= s / 2 {
                return Variant::Subgroup { rows: rows as u32, columns, size };
            }
        }
        let side = |size: usize| {
            if size >= 8 && tiles(8, 8) >= 64 {
                8
            } else if size >= 4 && tiles(4, 4) >= 32 {
                4
            } else if size >= 2 && tiles(2, 2) >= 32 {
                2
            } else {
                1
            }
        };
        Variant::Registers { rows: side(m), columns: side(n) }
    }
}

/// Whether most loads walk memory along the rows' last axis, not along the row itself.
fn reads_across(body: &Body, outer: usize) -> bool {
    let (mut across, mut along) = (0, 0);
    for value in &body.values {
        if let Instr::Load { index, .. } = &value.instr {
            let strides = &index.views()[0].strides;
            let inner = strides[outer..].iter().rev().find(|s| **s != 0);
            let last = strides[..outer].iter().rev().find(|s| **s != 0);
            across += usize::from(last == Some(&1));
            along += usize::from(inner == Some(&1));
        }
    }
    across > along
}

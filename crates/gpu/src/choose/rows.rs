//! How the rows of a loop are shared out among invocations.

use noyau_compile::plan::{Body, Instr, Loop};
use noyau_shaders::{MERGED_GROUP, Rows};

use super::Target;

/// How many words an invocation keeps, at most: with 256 invocations a workgroup a quarter of what GPUs have for them.
const KEEP: u32 = 64;

impl Target {
    /// How the rows of a loop are shared out; `asked` is what was set by hand, as far as it goes for this loop.
    pub fn rows_by(&self, kernel: &Loop, asked: Option<Rows>) -> Rows {
        match asked {
            None => self.rows(kernel),
            Some(rows) if kernel.inner.is_empty() => Rows { vec4: rows.vec4, ..Rows::ALONE },
            Some(rows) => Rows { subgroup: rows.subgroup.and(self.subgroup), ..rows },
        }
    }

    /// Ways by which a loop can be done, for tests to try and messages to list.
    pub fn ways(&self) -> Vec<Rows> {
        let with = |rows: Rows| [rows, Rows { vec4: true, keep: KEEP, ..rows }];
        let shared = |lanes, group, across| Rows { lanes, group, across, ..Rows::ALONE };
        let mut ways: Vec<Rows> =
            [Rows::ALONE, shared(8, 256, false), shared(256, 256, false), shared(8, 256, true), shared(32, 256, true)]
                .into_iter()
                .flat_map(with)
                .collect();
        if let Some(size) = self.subgroup {
            let shared = |lanes, group| Rows { subgroup: Some(size), vec4: true, keep: KEEP, ..shared(lanes, group, false) };
            ways.extend([shared(4, 64), shared(size.clamp(2, 256), 256), shared(256, 256)]);
        }
        ways
    }

    fn rows(&self, kernel: &Loop) -> Rows {
        let rows: usize = kernel.outer.iter().product();
        let length: usize = kernel.inner.iter().product();
        if self.software {
            let alone = kernel.inner.is_empty() || ((length <= 64 || rows >= 64) && length <= 1 << 13);
            // Loads and stores are what these drivers are slow at: four at a time are 1.5 to 2.5 times as fast. Registers are memory there,
            // barriers dear.
            let vec4 = rows * length >= 1 << 12;
            return if alone { Rows { vec4, ..Rows::ALONE } } else { Rows { lanes: 64, group: 64, ..Rows::ALONE } };
        }
        if kernel.inner.is_empty() {
            return Rows { vec4: rows >= 1 << 12, ..Rows::ALONE };
        }
        // Loops of one invocation must stay well below what drivers bear.
        if length <= 8 || (rows >= 1 << 16 && length <= 64) {
            return Rows { vec4: true, keep: KEEP, ..Rows::ALONE };
        }
        if rows >= 32 && reads_across(&kernel.body, kernel.outer.len()) {
            return self.columns(rows, length);
        }
        // Two fours an invocation, so that there is something to load while the first is waited for; where there are many rows, four.
        let most = if rows >= 1024 { 16 } else { 8 };
        let lanes = (length.div_ceil(most)).next_power_of_two().clamp(4, 256) as u32;
        Rows { lanes, group: 256, vec4: true, keep: KEEP, subgroup: self.subgroup, across: false }
    }

    /// Rows that are neighbours in memory: neighbouring invocations on neighbouring fours of rows, so that their loads are neighbours too,
    /// and as many on the same rows as it takes to occupy the device.
    fn columns(&self, rows: usize, length: usize) -> Rows {
        let fours = rows.div_ceil(4);
        // A line of memory is 8 fours; more side by side where there are enough to occupy the device even so, fewer where there are few.
        let side = match fours {
            0..1024 => 4,
            1024..4096 => 8,
            4096..16384 => 32,
            _ => 64,
        };
        let lanes = (256 / side).min(length.next_power_of_two()).max(2) as u32;
        Rows { lanes, group: 256, across: true, vec4: true, ..Rows::ALONE }
    }

    /// How many invocations occupy the device with work that is mostly waiting for memory.
    pub fn scatter_items(&self) -> u64 {
        if self.software { 256 } else { 1 << 15 }
    }

    /// As [`Target::rows_by`], for a launch that is shared.
    pub fn merged_rows(&self, kernel: &Loop) -> Rows {
        let rows: usize = kernel.outer.iter().product();
        let length: usize = kernel.inner.iter().product();
        if kernel.inner.is_empty() || length <= if self.software { 128 } else { 16 } || rows >= MERGED_GROUP as usize {
            return Rows::ALONE;
        }
        let free = MERGED_GROUP as usize / rows.next_power_of_two().min(MERGED_GROUP as usize);
        match free.min(length.next_power_of_two()) {
            0 | 1 => Rows::ALONE,
            lanes => Rows { lanes: lanes as u32, group: MERGED_GROUP, ..Rows::ALONE },
        }
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

//! How the rows of a loop are shared out among invocations.

use noyau_compile::plan::{Body, Instr, Loop};
use noyau_shaders::{MERGED_GROUP, Rows};

use super::Target;

impl Target {
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

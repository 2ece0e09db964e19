//! Additions at places that are data, in the order of the data.

use std::ops::Range;

use noyau_compile::plan;
use noyau_tensor::{Error, Result};

/// A prepared scatter.
pub(crate) struct ScatterAdd {
    source: *const f32,
    index: *const u32,
    target: *mut f32,
    before: usize,
    count: usize,
    size: usize,
    after: usize,
    /// Parts of `before` x `after`; each is done by one thread, so additions to one place keep their order.
    pub(crate) pieces: Vec<(Range<usize>, Range<usize>)>,
}

/// Elements that are worth a piece of their own.
const PIECE: usize = 1 << 15;

impl ScatterAdd {
    /// `source`, `index` and `target` with their lengths.
    pub(crate) fn new(
        scatter: &plan::Scatter,
        source: (*mut u32, usize),
        index: (*mut u32, usize),
        target: (*mut u32, usize),
    ) -> Result<ScatterAdd> {
        let &plan::Scatter { before, count, size, after, .. } = scatter;
        let elements = |along: usize| before.checked_mul(along).and_then(|all| all.checked_mul(after));
        if elements(count) != Some(source.1) || index.1 != source.1 || elements(size) != Some(target.1) {
            return Err(Error::Internal("a scatter's buffers are not of its sizes".into()));
        }
        let work = (count + size).max(1);
        let columns = (PIECE / work).clamp(16, after.max(16)).next_multiple_of(16);
        let rows = (PIECE / (work * columns.min(after.max(1)))).max(1);
        let pieces = (0..before)
            .step_by(rows)
            .flat_map(|b| (0..after).step_by(columns).map(move |c| (b..(b + rows).min(before), c..(c + columns).min(after))))
            .collect();
        Ok(ScatterAdd { source: source.0.cast(), index: index.0, target: target.0.cast(), before, count, size, after, pieces })
    }

    /// Nanoseconds for all of it, roughly.
    pub(crate) fn cost(&self) -> f64 {
        (self.before * (self.count * 2 + self.size) * self.after) as f64 * 0.3
    }

    /// Does one piece.
    ///
    /// # Safety
    /// The buffers are alive, nobody writes what is read or uses the piece of the target.
    pub(crate) unsafe fn run(&self, (before, columns): &(Range<usize>, Range<usize>)) {
        debug_assert!(before.end <= self.before && columns.end <= self.after);
        for b in before.clone() {
            for i in 0..self.size {
                // SAFETY: inside of the target, whose size was found to be that of the scatter; the piece's columns are no other piece's.
                unsafe { std::slice::from_raw_parts_mut(self.target.add((b * self.size + i) * self.after + columns.start), columns.len()) }
                    .fill(0.0);
            }
            for i in 0..self.count {
                let from = (b * self.count + i) * self.after;
                for c in columns.clone() {
                    // SAFETY: inside of the index and the source, whose sizes were found to be those of the scatter.
                    let (to, x) = unsafe { (*self.index.add(from + c) as usize, *self.source.add(from + c)) };
                    if to < self.size {
                        // SAFETY: inside of the target, as the place was just found to be, in the piece's own columns.
                        unsafe { *self.target.add((b * self.size + to) * self.after + c) += x };
                    }
                }
            }
        }
    }
}

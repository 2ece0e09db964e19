//! Slots: buffers whose lives do not overlap share memory.

use crate::plan::{Buffer, BufferId, BufferKind, Kernel, Limits, Plan};

/// A buffer's life: the first kernel that writes it and the last that reads it (or never ends, for a result).
struct Life {
    buffer: BufferId,
    start: usize,
    end: usize,
}

/// Small slots are used again only when they take as much as so many of the largest of them: until then, kernels that do not need each other's results can run
/// in any order, and share launches.
const UNSHARED: usize = 16;

/// Gives every slot buffer of the plan its slot: the smallest free one that is long enough, else the longest free one, grown. Buffers of at most
/// `arena_bytes` and longer ones do not mix, because devices keep them in different places. Lengths are words, which is what buffers of different types share.
pub(crate) fn assign_slots(plan: &mut Plan, limits: &Limits) {
    let mut lives = lives(&plan.buffers, &plan.kernels, &plan.outputs);
    lives.sort_by_key(|life| (life.start, life.buffer));
    let mut slots: Vec<usize> = Vec::new();
    // For each slot the end of the life that occupies it.
    let mut busy: Vec<usize> = Vec::new();
    // Bytes of the small slots.
    let mut arena = 0;
    for life in lives {
        let buffer = &plan.buffers[life.buffer.0];
        let length = limits.words(buffer);
        let small = |length: usize| length * 4 <= limits.arena_bytes;
        let roomy = small(length) && arena < limits.arena_bytes * UNSHARED;
        let is_free = |s: usize| !roomy && busy[s] < life.start && small(slots[s]) == small(length);
        let free: Vec<usize> = (0..slots.len()).filter(|&s| is_free(s)).collect();
        let fits = free.iter().copied().filter(|&s| slots[s] >= length).min_by_key(|&s| slots[s]);
        let slot = fits.or_else(|| free.into_iter().max_by_key(|&s| slots[s])).unwrap_or_else(|| {
            slots.push(0);
            busy.push(0);
            slots.len() - 1
        });
        if small(length) {
            arena += length.saturating_sub(slots[slot]) * 4;
        }
        slots[slot] = slots[slot].max(length);
        busy[slot] = life.end;
        plan.buffers[life.buffer.0].kind = BufferKind::Slot(slot);
    }
    // What no kernel writes is empty: any slot holds it.
    for buffer in &mut plan.buffers {
        if matches!(buffer.kind, BufferKind::Slot(usize::MAX)) {
            if slots.is_empty() {
                slots.push(0);
            }
            buffer.kind = BufferKind::Slot(0);
        }
    }
    plan.slots = slots;
}

fn lives(buffers: &[Buffer], kernels: &[Kernel], outputs: &[BufferId]) -> Vec<Life> {
    let mut found: Vec<Option<Life>> = buffers.iter().map(|_| None).collect();
    for (time, kernel) in kernels.iter().enumerate() {
        for id in kernel.writes().into_iter().chain(kernel.reads()) {
            if matches!(buffers[id.0].kind, BufferKind::Slot(_)) {
                let life = found[id.0].get_or_insert(Life { buffer: id, start: time, end: time });
                life.end = time;
            }
        }
    }
    for id in outputs {
        if let Some(life) = &mut found[id.0] {
            life.end = usize::MAX;
        }
    }
    found.into_iter().flatten().collect()
}

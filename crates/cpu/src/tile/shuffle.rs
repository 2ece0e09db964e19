//! Loads in an order that repeats itself and stays near: every second element, each element twice, the windows of a pooling. A vector of them comes
//! from one or two vectors of neighbours, by one permutation.

use std::sync::Arc;

use super::access::NOWHERE;
use super::step::Run;
use crate::simd::Level;

/// The orders of a pattern, one block of results after the other. (Other processors go by the pattern's places.)
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Debug)]
pub(crate) struct Shuffle {
    /// Results a block; the last block of the pattern may have fewer.
    count: usize,
    blocks: Arc<[Block]>,
}

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy, Debug)]
struct Block {
    /// The least of the block's offsets: where the neighbours begin.
    base: i32,
    /// Which results have a place; the others are 0.
    valid: u16,
    /// Which of the neighbours each result is.
    order: [u8; 16],
}

impl Shuffle {
    /// For what each coordinate of a pattern adds to the place. `None` where results that follow each other are from too far apart, or the
    /// instruction set has no such permutation.
    pub(crate) fn new(offsets: &[i32], level: Level) -> Option<Shuffle> {
        let (lanes, reach) = lanes(level)?;
        // Fewer than the vector holds where that makes blocks end at an image's rows.
        (4..=lanes).rev().find_map(|count| {
            let blocks = offsets.chunks(count).map(|offsets| block(offsets, reach)).collect::<Option<Vec<_>>>()?;
            Some(Shuffle { count, blocks: blocks.into() })
        })
    }

    /// The step's function.
    pub(crate) fn run(level: Level) -> Run {
        match level {
            Level::Base => super::transfer::patterned,
            #[cfg(target_arch = "x86_64")]
            Level::V3 => x86::shuffled_v3,
            #[cfg(target_arch = "x86_64")]
            Level::V4 => x86::shuffled_v4,
        }
    }
}

/// Results of a vector, and the neighbours that they may be from.
fn lanes(level: Level) -> Option<(usize, usize)> {
    match level {
        Level::Base => None,
        #[cfg(target_arch = "x86_64")]
        Level::V3 => Some((8, 16)),
        #[cfg(target_arch = "x86_64")]
        Level::V4 => Some((16, 32)),
    }
}

fn block(offsets: &[i32], reach: usize) -> Option<Block> {
    let there = || offsets.iter().copied().filter(|&offset| offset != NOWHERE);
    let base = there().min().unwrap_or(0);
    let mut block = Block { base, valid: 0, order: [0; 16] };
    for (i, &offset) in offsets.iter().enumerate().filter(|(_, offset)| **offset != NOWHERE) {
        block.order[i] = u8::try_from(offset - base).ok().filter(|&order| usize::from(order) < reach)?;
        block.valid |= 1 << i;
    }
    Some(block)
}

/// A run of results that lie side by side.
#[cfg(target_arch = "x86_64")]
struct Line<'a> {
    shuffle: &'a Shuffle,
    offsets: &'a [i32],
    /// The buffer, its length, and the place to which offsets add.
    base: *const u32,
    limit: usize,
    place: isize,
    /// The first result's coordinate in the pattern.
    at: usize,
    to: *mut u32,
    count: usize,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::step::{Extra, Step};
    use super::super::{Env, Tile};
    use super::{Block, Line, NOWHERE};

    pub(super) unsafe fn shuffled_v4(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: the caller's promise; a step of this level is only made where there are the instructions.
        unsafe { shuffled(step, env, tile, line_v4) }
    }

    pub(super) unsafe fn shuffled_v3(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: as above.
        unsafe { shuffled(step, env, tile, line_v3) }
    }

    #[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    unsafe fn line_v4(line: &Line) {
        // SAFETY: the caller's promise; the instructions are enabled.
        unsafe {
            blocks::<32>(line, |block: &Block, from, to, count| {
                let order = _mm512_cvtepu8_epi32(_mm_loadu_si128(block.order.as_ptr().cast()));
                let (low, high) = (_mm512_loadu_si512(from.cast()), _mm512_loadu_si512(from.add(16).cast()));
                let words = _mm512_maskz_permutex2var_epi32(block.valid, low, order, high);
                _mm512_mask_storeu_epi32(to.cast(), ((1u32 << count) - 1) as u16, words);
            })
        }
    }

    #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
    unsafe fn line_v3(line: &Line) {
        const BITS: [i32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
        const ORDINALS: [i32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
        // SAFETY: the caller's promise; the instructions are enabled.
        unsafe {
            blocks::<16>(line, |block: &Block, from, to, count| {
                let order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(block.order.as_ptr().cast()));
                let (low, high) = (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast()));
                // A permutation takes the lowest three bits; the fourth says which of the two it is.
                let (low, high) = (_mm256_permutevar8x32_epi32(low, order), _mm256_permutevar8x32_epi32(high, order));
                let words = _mm256_blendv_epi8(low, high, _mm256_cmpgt_epi32(order, _mm256_set1_epi32(7)));
                let bits = _mm256_loadu_si256(BITS.as_ptr().cast());
                let valid = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(i32::from(block.valid)), bits), bits);
                let there = _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_loadu_si256(ORDINALS.as_ptr().cast()));
                _mm256_maskstore_epi32(to.cast(), there, _mm256_and_si256(words, valid));
            })
        }
    }

    /// `vector(block, from, to, count)` writes `count` words, and may read `REACH` neighbours.
    ///
    /// # Safety
    /// There is room for the line's words, and all valid places are inside of the buffer.
    #[inline(always)]
    unsafe fn blocks<const REACH: usize>(line: &Line, vector: impl Fn(&Block, *const u32, *mut u32, usize)) {
        let &Line { shuffle, offsets, base, limit, place, mut at, to, count: n } = line;
        let one = |i: usize, at: usize| {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = if offsets[at] == NOWHERE { 0 } else { *base.offset(place + offsets[at] as isize) } };
        };
        let mut i = 0;
        while i < n && !at.is_multiple_of(shuffle.count) {
            one(i, at);
            (i, at) = (i + 1, at + 1);
        }
        for (number, block) in shuffle.blocks.iter().enumerate().skip(at.div_ceil(shuffle.count)) {
            if i >= n {
                break;
            }
            let count = shuffle.count.min(n - i);
            debug_assert!(count <= 16 && REACH <= 32);
            let first = place + block.base as isize;
            if usize::try_from(first).is_ok_and(|first| first + REACH <= limit) {
                // The neighbours are inside of the buffer.
                vector(block, base.wrapping_offset(first), to.wrapping_add(i), count);
            } else {
                (0..count).for_each(|c| one(i + c, number * shuffle.count + c));
            }
            i += count;
        }
    }

    /// # Safety
    /// As for [`super::super::step::Run`]; `line` has the instructions that it needs.
    unsafe fn shuffled(step: &Step, env: &mut Env, tile: &Tile, line: unsafe fn(&Line)) {
        let target = step.target(env, tile);
        let Extra::Shuffle { operand, access, offsets, shuffle, width } = &step.extra else { return };
        let base: *const u32 = env.base(*operand);
        let start = if step.form.col { tile.c0 } else { tile.l0 };
        access.walk(step.form, tile, |number, position, n, place, _| {
            let to = target.pointer.wrapping_offset(number as isize * target.line).wrapping_add(position);
            let Some(place) = place else {
                // SAFETY: the program gave the value room for the tile.
                return unsafe { std::ptr::write_bytes(to, 0, n) };
            };
            let at = ((tile.l0 + number) * width + start + position) % offsets.len();
            // SAFETY: room as above; all valid places were found inside of the buffer when the plan was loaded.
            unsafe { line(&Line { shuffle, offsets, base, limit: access.limit, place, at, to, count: n }) };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks are as long as their neighbours are near, and end where rows do.
    #[test]
    fn blocks_of_a_pattern() {
        for level in Level::available() {
            let Some((lanes, _)) = lanes(level) else {
                assert!(Shuffle::new(&[0, 2, 4], level).is_none());
                continue;
            };
            let every_second: Vec<i32> = (0..64).map(|i| 2 * i).collect();
            assert_eq!(Shuffle::new(&every_second, level).map(|s| s.count), Some(lanes));
            let rows: Vec<i32> = (0..70).map(|i| i / 7 * 1000 + i % 7).collect();
            assert_eq!(Shuffle::new(&rows, level).map(|s| s.count), Some(7));
            let apart: Vec<i32> = (0..70).map(|i| i * 100).collect();
            assert!(Shuffle::new(&apart, level).is_none());
            let masked = [NOWHERE, 5, 3, NOWHERE];
            let block = Shuffle::new(&masked, level).map(|s| s.blocks[0]).unwrap();
            assert_eq!((block.base, block.valid, &block.order[1..3]), (3, 0b0110, &[2, 0][..]));
        }
    }
}

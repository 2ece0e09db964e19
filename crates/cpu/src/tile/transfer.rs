//! Steps that move words between buffers and the scratch memory of a tile.

use super::access::{Form, NOWHERE};
use super::step::{Extra, Run, Step};
use super::{Env, Place, Tile};
use crate::simd::Level;

/// A load whose elements lie side by side: where they are is written down, nothing is copied.
pub(crate) unsafe fn point(step: &Step, env: &mut Env, tile: &Tile) {
    let Extra::Pointer { operand, offset, line, col } = step.extra else { return };
    let first = offset + tile.l0 as isize * line + tile.c0 as isize * col;
    env.places[step.result] = Place { pointer: env.base(operand).wrapping_offset(first), line };
}

/// A known word.
pub(crate) unsafe fn constant(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let Extra::Word(word) = step.extra else { return };
    // SAFETY: the program gave the value a word of scratch memory.
    unsafe { *target.pointer = word };
}

/// A run of the result's words.
///
/// # Safety
/// The result has these words, nobody else uses them meanwhile.
unsafe fn run_mut<'a>(target: Place, line: usize, position: usize, n: usize) -> &'a mut [u32] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(target.pointer.offset(line as isize * target.line).add(position), n) }
}

/// A load that has to be copied: strided, masked, or through several views.
pub(crate) unsafe fn fill(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let Extra::At { operand, access } = &step.extra else { return };
    let base: *const u32 = env.base(*operand);
    if let Some((1, step_col)) = access.affine()
        && step.form == Form::FULL
        && step_col != 1
    {
        let first = access.first(1, step_col, tile);
        // Along the buffer's neighbours.
        for c in 0..tile.cols as isize {
            for l in 0..tile.lines as isize {
                // SAFETY: the program gave the value room for the tile, and all places were found inside of the buffer when the plan was
                // loaded.
                unsafe { *target.pointer.offset(l * target.line + c) = *base.offset(first + c * step_col + l) };
            }
        }
        return;
    }
    access.walk(step.form, tile, |line, position, n, place, stride| {
        // SAFETY: the program gave the value room for the tile.
        let words = unsafe { run_mut(target, line, position, n) };
        match (place, stride) {
            (None, _) => words.fill(0),
            // SAFETY: all valid places were found inside of the buffer when the plan was loaded.
            (Some(place), 1) => words.copy_from_slice(unsafe { std::slice::from_raw_parts(base.offset(place), n) }),
            // SAFETY: as above.
            (Some(place), 0) => words.fill(unsafe { *base.offset(place) }),
            (Some(place), _) => {
                for (i, word) in words.iter_mut().enumerate() {
                    // SAFETY: as above.
                    *word = unsafe { *base.offset(place + i as isize * stride) };
                }
            }
        }
    });
}

/// A load in an order that repeats itself: what the innermost coordinates add to the place was written down.
pub(crate) unsafe fn patterned(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let Extra::Pattern { operand, access, offsets, masked } = &step.extra else { return };
    let base: *const u32 = env.base(*operand);
    let start = if step.form.col { tile.c0 } else { tile.l0 };
    access.walk(step.form, tile, |line, position, n, place, _| {
        // SAFETY: the program gave the value room for the tile.
        let words = unsafe { run_mut(target, line, position, n) };
        let Some(place) = place else { return words.fill(0) };
        let first = (start + position) % offsets.len();
        let offsets = &offsets[first..first + n];
        if *masked {
            for (word, &offset) in words.iter_mut().zip(offsets) {
                // SAFETY: all valid places were found inside of the buffer when the plan was loaded.
                *word = if offset == NOWHERE { 0 } else { unsafe { *base.offset(place + offset as isize) } };
            }
        } else {
            for (word, &offset) in words.iter_mut().zip(offsets) {
                // SAFETY: as above.
                *word = unsafe { *base.offset(place + offset as isize) };
            }
        }
    });
}

/// A load through several views, at places that were worked out beforehand.
pub(crate) unsafe fn look_up(step: &Step, env: &mut Env, tile: &Tile) {
    let Extra::Table { operand, .. } = &step.extra else { return };
    let base: *const u32 = env.base(*operand);
    // SAFETY: the caller's promise.
    unsafe {
        tabled(step, env, tile, |words, places| {
            for (word, &place) in words.iter_mut().zip(places) {
                // Places were found inside of the buffer.
                *word = if place == u32::MAX { 0 } else { *base.add(place as usize) };
            }
        });
    }
}

/// Words that were worked out beforehand.
pub(crate) unsafe fn known(step: &Step, env: &mut Env, tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe { tabled(step, env, tile, |words, known| words.copy_from_slice(known)) };
}

/// Calls `f` with each line of the result and of the table.
///
/// # Safety
/// As for [`super::step::Run`].
#[inline(always)]
unsafe fn tabled(step: &Step, env: &mut Env, tile: &Tile, f: impl Fn(&mut [u32], &[u32])) {
    let target = step.target(env, tile);
    let Extra::Table { places, width, .. } = &step.extra else { return };
    let (lines, n) = match (step.form.line, step.form.col) {
        (true, true) => (tile.lines, tile.cols),
        (true, false) => (1, tile.lines),
        (false, _) => (1, tile.cols),
    };
    for line in 0..lines {
        let first = match (step.form.line, step.form.col) {
            (true, true) => (tile.l0 + line) * width + tile.c0,
            (true, false) => tile.l0,
            (false, _) => tile.c0,
        };
        // SAFETY: the program gave the value room for the tile.
        f(unsafe { run_mut(target, line, 0, n) }, &places[first..first + n]);
    }
}

/// Places as values.
pub(crate) unsafe fn places(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let Extra::At { access, .. } = &step.extra else { return };
    access.walk(step.form, tile, |line, position, n, place, stride| {
        // SAFETY: the program gave the value room for the tile.
        let words = unsafe { run_mut(target, line, position, n) };
        match place {
            None => words.fill(0),
            Some(place) => {
                for (i, word) in words.iter_mut().enumerate() {
                    *word = (place as u32).wrapping_add((i as u32).wrapping_mul(stride as u32));
                }
            }
        }
    });
}

/// Whether there is a place, as values.
pub(crate) unsafe fn valid(step: &Step, env: &mut Env, tile: &Tile) {
    let target = step.target(env, tile);
    let Extra::At { access, .. } = &step.extra else { return };
    access.walk(step.form, tile, |line, position, n, place, _| {
        // SAFETY: the program gave the value room for the tile.
        let words = unsafe { run_mut(target, line, position, n) };
        words.fill(place.is_some().into());
    });
}

/// Words of one run that are loaded at places that are data: `place + i * stride + at[i] * along` where `at[i]` is below `len` and the place below `limit`, else 0.
// Other processors load one by one.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
struct Chosen {
    base: *const u32,
    at: *const u32,
    place: isize,
    stride: isize,
    along: usize,
    len: usize,
    limit: usize,
}

/// Loads at places that are data.
pub(crate) fn gather(level: Level) -> Run {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => x86::gather_v4,
        _ => gather_base,
    }
}

unsafe fn gather_base(step: &Step, env: &mut Env, tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe { gather_by(step, env, tile, |_, _| 0) }
}

/// `many` does the first words of a run and says how many these are.
///
/// # Safety
/// As for [`super::step::Run`].
#[inline(always)]
unsafe fn gather_by(step: &Step, env: &mut Env, tile: &Tile, many: impl Fn(&mut [u32], &Chosen) -> usize) {
    let target = step.target(env, tile);
    let Extra::Gather { operand, access, stride: along, len } = &step.extra else { return };
    let base: *const u32 = env.base(*operand);
    let at = step.source(0, env);
    access.walk(step.form, tile, |line, position, n, place, stride| {
        // SAFETY: the program gave the value room for the tile.
        let words = unsafe { run_mut(target, line, position, n) };
        let Some(place) = place else { return words.fill(0) };
        let from = at.pointer.wrapping_offset(line as isize * at.line).wrapping_add(if at.vector { position } else { 0 });
        // SAFETY: the operand has a word for each element, or one for the line.
        let at_of = |i: usize| unsafe { *from.add(if at.vector { i } else { 0 }) as usize };
        if !step.operands[0].form.col && step.form.col {
            // One place for the whole run.
            let chosen = at_of(0);
            let first = place + (chosen * along) as isize;
            let last = first + (n as isize - 1) * stride;
            if chosen >= *len || first.min(last) < 0 || first.max(last) >= access.limit as isize {
                return words.fill(0);
            }
            if stride == 1 {
                // SAFETY: both ends were just found inside of the buffer.
                return words.copy_from_slice(unsafe { std::slice::from_raw_parts(base.offset(first), n) });
            }
            for (i, word) in words.iter_mut().enumerate() {
                // SAFETY: between two places inside of the buffer.
                *word = unsafe { *base.offset(first + i as isize * stride) };
            }
            return;
        }
        let chosen = Chosen { base, at: from, place, stride, along: *along, len: *len, limit: access.limit };
        let done = if at.vector { many(words, &chosen) } else { 0 };
        for (i, word) in words.iter_mut().enumerate().skip(done) {
            let place = usize::try_from(place + i as isize * stride).ok();
            let chosen = at_of(i);
            let found = place.filter(|_| chosen < *len).and_then(|p| p.checked_add(chosen * along)).filter(|&p| p < access.limit);
            // SAFETY: just found inside of the buffer.
            *word = found.map_or(0, |p| unsafe { *base.add(p) });
        }
    });
}

/// Whether the instruction set writes past the caches.
pub(crate) fn streams(level: Level) -> bool {
    level != Level::Base
}

/// As [`store`], for long results: past the caches, so that memory is not read before it is written.
pub(crate) fn stream(level: Level) -> Run {
    match level {
        Level::Base => store,
        #[cfg(target_arch = "x86_64")]
        Level::V3 => x86::stream_v3,
        #[cfg(target_arch = "x86_64")]
        Level::V4 => x86::stream_v4,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::step::{Extra, Step};
    use super::super::{Env, Tile};
    use super::{Chosen, gather_by};

    pub(super) unsafe fn gather_v4(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: the caller's promise; a step of this level is only made where there are the instructions.
        unsafe { gather_by(step, env, tile, |words, chosen| chosen_v4(words, chosen)) }
    }

    /// Sixteen words at a time.
    ///
    /// # Safety
    /// There are as many words at `at` as in `words`, and `limit` at `base`.
    #[target_feature(enable = "avx512f")]
    unsafe fn chosen_v4(words: &mut [u32], chosen: &Chosen) -> usize {
        let &Chosen { base, at, place, stride, along, len, limit } = chosen;
        let last = place + (words.len() as isize - 1) * stride;
        // Where no sum of a place and a choice exceeds 32 bits, and no place that is found 31.
        let most = i32::MAX as usize;
        let fits = place.min(last) >= 0
            && place.max(last) <= most as isize
            && limit <= most
            && len.checked_mul(along).is_some_and(|all| all <= most);
        if !fits {
            return 0;
        }
        let steps =
            _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(stride as i32));
        let (along, len, limit) = (_mm512_set1_epi32(along as i32), _mm512_set1_epi32(len as i32), _mm512_set1_epi32(limit as i32));
        let whole = words.len() / 16 * 16;
        for (i, to) in words[..whole].as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let first = place + (16 * i) as isize * stride;
            // SAFETY: the caller's promise; only places below the limit are read.
            unsafe {
                let at = _mm512_loadu_si512(at.add(16 * i).cast());
                let places = _mm512_add_epi32(_mm512_add_epi32(steps, _mm512_set1_epi32(first as i32)), _mm512_mullo_epi32(at, along));
                let found = _mm512_mask_cmplt_epu32_mask(_mm512_cmplt_epu32_mask(at, len), places, limit);
                let read = _mm512_mask_i32gather_epi32::<4>(_mm512_setzero_si512(), found, places, base.cast());
                _mm512_storeu_si512(to.as_mut_ptr().cast(), read);
            }
        }
        whole
    }

    pub(super) unsafe fn stream_v3(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: the caller's promise; a step of this level is only made where there are the instructions.
        unsafe { stream(step, env, tile, words_v3) }
    }

    pub(super) unsafe fn stream_v4(step: &Step, env: &mut Env, tile: &Tile) {
        // SAFETY: as above.
        unsafe { stream(step, env, tile, words_v4) }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn words_v3(from: *const u32, to: *mut u32, n: usize) {
        // SAFETY: the caller's promise; the places are aligned.
        unsafe { words::<8>(from, to, n, |from, to| _mm256_stream_si256(to.cast::<__m256i>(), _mm256_loadu_si256(from.cast()))) }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn words_v4(from: *const u32, to: *mut u32, n: usize) {
        // SAFETY: as above.
        unsafe { words::<16>(from, to, n, |from, to| _mm512_stream_si512(to.cast::<__m512i>(), _mm512_loadu_si512(from.cast()))) }
    }

    /// `vector` copies `N` words to a place that is a multiple of their size.
    ///
    /// # Safety
    /// There are `n` words, and room for them.
    #[inline(always)]
    unsafe fn words<const N: usize>(from: *const u32, to: *mut u32, n: usize, vector: impl Fn(*const u32, *mut u32)) {
        let first = to.align_offset(4 * N).min(n);
        let whole = first + (n - first) / N * N;
        // SAFETY: the caller's promise.
        let one = |i: usize| unsafe { *to.add(i) = *from.add(i) };
        (0..first).for_each(one);
        for i in (first..whole).step_by(N) {
            vector(from.wrapping_add(i), to.wrapping_add(i));
        }
        (whole..n).for_each(one);
    }

    /// # Safety
    /// As for [`super::super::step::Run`]; `words` copies.
    unsafe fn stream(step: &Step, env: &mut Env, tile: &Tile, words: unsafe fn(*const u32, *mut u32, usize)) {
        let Extra::At { operand, access } = &step.extra else { return };
        let base = env.base(*operand);
        let value = step.source(0, env);
        let Some((line, col)) = access.affine() else { return };
        let first = base.wrapping_offset(access.first(line, col, tile));
        let lines = if step.form.line { tile.lines } else { 1 };
        // SAFETY: the value has a word for each element; all places were found inside of the buffer when the plan was loaded.
        unsafe {
            if lines == 1 || (line == tile.cols as isize && value.line == line) {
                return words(value.pointer, first, lines * tile.cols);
            }
            for l in 0..lines as isize {
                words(value.pointer.offset(l * value.line), first.offset(l * line), tile.cols);
            }
        }
    }
}

/// Writes a value to a buffer; the step's form is that of the places written.
pub(crate) unsafe fn store(step: &Step, env: &mut Env, tile: &Tile) {
    let Extra::At { operand, access } = &step.extra else { return };
    let base = env.base(*operand);
    let value = step.source(0, env);
    if let Some((line, 1)) = access.affine()
        && step.form == Form::FULL
        && step.operands[0].form == Form::FULL
        && line == tile.cols as isize
        && value.line == line
    {
        let first = access.first(line, 1, tile);
        // SAFETY: the tile's lines follow each other without gaps on both sides; all places were found inside of the buffer when the plan
        // was loaded. `copy`, since a value loaded in place may be stored where it is.
        unsafe { std::ptr::copy(value.pointer, base.offset(first), tile.lines * tile.cols) };
        return;
    }
    if let Some((1, step_col)) = access.affine()
        && step.form == Form::FULL
        && step.operands[0].form == Form::FULL
        && step_col != 1
    {
        let first = access.first(1, step_col, tile);
        // Along the buffer's neighbours.
        for c in 0..tile.cols as isize {
            for l in 0..tile.lines as isize {
                // SAFETY: the value has a word for each element, and all places were found inside of the buffer when the plan was loaded.
                unsafe { *base.offset(first + c * step_col + l) = *value.pointer.offset(l * value.line + c) };
            }
        }
        return;
    }
    access.walk(step.form, tile, |line, position, n, place, stride| {
        let Some(place) = place else { return };
        let from = value.pointer.wrapping_offset(line as isize * value.line);
        // SAFETY: all places were found inside of the buffer when the plan was loaded, and the value has a word for each element, or one
        // for the line.
        unsafe {
            match (value.vector, stride) {
                (true, 1) => std::ptr::copy(from.add(position), base.offset(place), n),
                (true, _) => (0..n).for_each(|i| *base.offset(place + i as isize * stride) = *from.add(position + i)),
                (false, _) => (0..n).for_each(|i| *base.offset(place + i as isize * stride) = *from),
            }
        }
    });
}

//! The inner loops of large matrix products, for each instruction set: operands laid out in panels, and tiles of the result that stay in
//! registers for a whole run of the sum.
//!
//! The left operand's panels are a few rows each, the right one's a few vectors of columns, both with the elements of one step of the sum
//! side by side, so that a tile reads its two panels from end to end. The scheme is that of Goto and van de Geijn, "Anatomy of
//! High-Performance Matrix Multiplication", 2008. Every element of a result is summed up in the order of the sum, whatever the tile that
//! it is in.

use crate::simd::Level;
use crate::small::{LANES, Lanes};
use crate::sweep::SIDE;

/// A part of an operand that becomes one panel.
pub(crate) struct Lay {
    pub(crate) from: *const f32,
    /// From row to row (of a right operand, from column to column), and along the sum.
    pub(crate) across: isize,
    pub(crate) along: isize,
    /// Rows (columns), and the sum's length.
    pub(crate) count: usize,
    pub(crate) k: usize,
    pub(crate) to: *mut f32,
    /// Words for one step of the sum.
    pub(crate) width: usize,
}

/// A product of panels.
pub(crate) struct Block {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    /// Panels of rows one after the other, as [`Kernels::panels`] cuts them, and how many they are.
    pub(crate) panels: usize,
    pub(crate) left: *const f32,
    /// Panels of columns: what is added to the place for a step of the sum, and for the next panel.
    pub(crate) right: *const f32,
    pub(crate) right_step: usize,
    pub(crate) right_panel: usize,
    /// The result, its columns side by side, and the step from row to row.
    pub(crate) to: *mut f32,
    pub(crate) row: isize,
    /// Whether the product is added to what is there.
    pub(crate) more: bool,
}

/// The functions of one instruction set, and the sizes that they work with.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    /// Rows of a tile, at most.
    pub(crate) tall: usize,
    /// Words of a panel of rows for one step of the sum.
    pub(crate) padded: usize,
    /// Columns of a tile.
    pub(crate) wide: usize,
    pub(crate) multiply: unsafe fn(&Block),
    pub(crate) lay: unsafe fn(&Lay),
}

impl Kernels {
    pub(crate) fn pick(level: Level) -> Kernels {
        match level {
            Level::Base => Kernels { tall: 2, padded: 8, wide: LANES, multiply: multiply_base, lay: lay_base },
            #[cfg(target_arch = "x86_64")]
            Level::V3 => Kernels { tall: 6, padded: 8, wide: LANES, multiply: x86::multiply_v3, lay: x86::lay_v3 },
            #[cfg(target_arch = "x86_64")]
            Level::V4 => Kernels { tall: 14, padded: 16, wide: 2 * LANES, multiply: x86::multiply_v4, lay: x86::lay_v4 },
        }
    }

    /// The words that `count` rows or columns (`left` or not) take for one step of the sum.
    pub(crate) fn words(&self, left: bool, count: usize) -> usize {
        if left { count.div_ceil(self.tall) * self.padded } else { count.next_multiple_of(self.wide) }
    }

    /// The panels of `count` rows (`left`) or columns: where each begins, and how many there are in it.
    pub(crate) fn panels(&self, left: bool, count: usize) -> impl Iterator<Item = (usize, usize)> {
        let size = if left { self.tall } else { self.wide };
        let panels = count.div_ceil(size);
        (0..panels).map(move |i| if left { share(count, panels, i) } else { (i * size, size.min(count - i * size)) })
    }
}

/// Where panel `i` of `m` rows begins, and how many there are in it: panels differ by one row at most.
#[inline(always)]
fn share(m: usize, panels: usize, i: usize) -> (usize, usize) {
    let (each, more) = (m / panels, m % panels);
    (i * each + i.min(more), each + usize::from(i < more))
}

unsafe fn multiply_base(block: &Block) {
    // SAFETY: the caller's promise.
    unsafe { multiply::<[f32; LANES], 2, 1, 8>(block) }
}

unsafe fn lay_base(lay: &Lay) {
    // SAFETY: the caller's promise.
    unsafe { lay_out(lay, |from, rows, to, step| crate::sweep::square(from, rows, to, step)) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512};

    use super::{Block, Lay, lay_out, multiply};
    use crate::sweep::x86::square;

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn multiply_v3(block: &Block) {
        // SAFETY: the caller's promise.
        unsafe { multiply::<[__m256; 2], 6, 1, 8>(block) }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn multiply_v4(block: &Block) {
        // SAFETY: the caller's promise.
        unsafe { multiply::<__m512, 14, 2, 16>(block) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn lay_v3(lay: &Lay) {
        // SAFETY: the caller's promise; the instructions are enabled.
        unsafe { lay_out(lay, |from, rows, to, step| square(from, rows, to, step)) }
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) unsafe fn lay_v4(lay: &Lay) {
        // SAFETY: as above.
        unsafe { lay_out(lay, |from, rows, to, step| square(from, rows, to, step)) }
    }
}

/// Tiles of up to `TALL` rows by `WIDE` vectors; panels of rows are `PADDED` words wide.
///
/// # Safety
/// The panels are there, words beyond the last column up to a whole vector can be read, and there is room for the result.
#[inline(always)]
unsafe fn multiply<V: Lanes, const TALL: usize, const WIDE: usize, const PADDED: usize>(block: &Block) {
    debug_assert!(block.m <= block.panels * TALL && TALL <= PADDED);
    let mut j = 0;
    while j < block.n {
        let cols = (block.n - j).min(WIDE * LANES);
        let right = block.right.wrapping_add(j / (WIDE * LANES) * block.right_panel);
        let mut left = block.left;
        for (i, count) in (0..block.panels).map(|i| share(block.m, block.panels, i)) {
            let to = block.to.wrapping_offset(i as isize * block.row).wrapping_add(j);
            let tile = Tile { k: block.k, left, right, right_step: block.right_step, to, row: block.row, cols, more: block.more };
            // SAFETY: the caller's promise.
            unsafe {
                if WIDE > 1 && cols > LANES {
                    tile.of_height::<V, TALL, WIDE, PADDED>(count);
                } else {
                    tile.of_height::<V, TALL, 1, PADDED>(count);
                }
            }
            left = left.wrapping_add(PADDED * block.k);
        }
        j += WIDE * LANES;
    }
}

struct Tile {
    k: usize,
    left: *const f32,
    right: *const f32,
    right_step: usize,
    to: *mut f32,
    row: isize,
    cols: usize,
    more: bool,
}

impl Tile {
    /// # Safety
    /// As for [`multiply`]; `count` is at most `TALL`.
    #[inline(always)]
    unsafe fn of_height<V: Lanes, const TALL: usize, const N: usize, const PADDED: usize>(&self, count: usize) {
        macro_rules! heights {
            ($($r:literal)*) => {
                match count {
                    // SAFETY: the caller's promise.
                    $($r if $r <= TALL => unsafe { self.run::<V, $r, N, PADDED>() },)*
                    _ => {}
                }
            };
        }
        heights!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    }

    /// # Safety
    /// As for [`multiply`].
    #[inline(always)]
    unsafe fn run<V: Lanes, const R: usize, const N: usize, const PADDED: usize>(&self) {
        let mut sums = [[V::zero(); N]; R];
        let (mut left, mut right) = (self.left, self.right);
        for _ in 0..self.k {
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the panel has `R` rows at least.
                let x = unsafe { *left.add(r) };
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: whole vectors can be read.
                    *sum = unsafe { sum.add_product(x, right.add(v * LANES)) };
                }
            }
            left = left.wrapping_add(PADDED);
            right = right.wrapping_add(self.right_step);
        }
        if self.cols == N * LANES {
            // Loops without choices inside, so that the sums stay where they are.
            for (r, sums) in sums.iter().enumerate() {
                let row = self.to.wrapping_offset(r as isize * self.row);
                for (v, sum) in sums.iter().enumerate() {
                    let to = row.wrapping_add(v * LANES);
                    // SAFETY: the result has the tile's rows and columns.
                    unsafe { if self.more { sum.add_product(1.0, to).write(to) } else { sum.write(to) } }
                }
            }
            return;
        }
        let mut rest = [[[0.0; LANES]; N]; R];
        for (rest, sums) in rest.iter_mut().zip(&sums) {
            for (rest, sum) in rest.iter_mut().zip(sums) {
                *rest = sum.to_array();
            }
        }
        for (r, rest) in rest.iter().enumerate() {
            let row = self.to.wrapping_offset(r as isize * self.row);
            for (i, &x) in rest.as_flattened()[..self.cols].iter().enumerate() {
                // SAFETY: as above.
                unsafe { *row.add(i) = if self.more { *row.add(i) + x } else { x } };
            }
        }
    }
}

/// Lays out one panel. Words for rows that there are not are left as they are or get others' elements.
///
/// # Safety
/// The elements are there, and a vector's words after each; the panel has room for `k * width` words. `square` turns `SIDE` rows of
/// `SIDE` elements.
#[inline(always)]
unsafe fn lay_out(lay: &Lay, square: impl Fn(*const f32, &[isize; SIDE], *mut f32, usize)) {
    let &Lay { from, across, along, count, k, to, width } = lay;
    debug_assert!(count <= width && width.is_multiple_of(SIDE));
    // SAFETY: the caller's promise.
    let one = |x: usize, l: usize| unsafe { *to.add(l * width + x) = *from.offset(x as isize * across + l as isize * along) };
    if across == 1 {
        let step = LANES.min(width);
        for l in 0..k {
            let (from, to) = (from.wrapping_offset(l as isize * along), to.wrapping_add(l * width));
            for x in (0..count).step_by(step) {
                // SAFETY: there are elements at `x`, and words for a vector after the first of them.
                unsafe {
                    if step == LANES {
                        to.add(x).cast::<[f32; LANES]>().write_unaligned(from.add(x).cast::<[f32; LANES]>().read_unaligned());
                    } else {
                        to.add(x).cast::<[f32; SIDE]>().write_unaligned(from.add(x).cast::<[f32; SIDE]>().read_unaligned());
                    }
                }
            }
        }
    } else if along == 1 {
        for x in (0..count).step_by(SIDE) {
            let mut rows = [0; SIDE];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = (x + i).min(count - 1) as isize * across;
            }
            let whole = k - k % SIDE;
            for l in (0..whole).step_by(SIDE) {
                square(from.wrapping_add(l), &rows, to.wrapping_add(l * width + x), width);
            }
            (whole..k).for_each(|l| (x..count.min(x + SIDE)).for_each(|x| one(x, l)));
        }
    } else {
        (0..k).for_each(|l| (0..count).for_each(|x| one(x, l)));
    }
}

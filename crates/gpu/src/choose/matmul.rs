//! The variant of a matrix product.

use noyau_compile::plan::Matmul;
use noyau_shaders::Variant;

use super::Target;

impl Target {
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

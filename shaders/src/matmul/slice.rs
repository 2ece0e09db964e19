//! An operand in its own coordinates: `x` along the product's rows or columns, `l` along the sum.

use noyau_compile::plan::{Matmul, Matrix};

/// One operand.
pub(super) struct Slice<'a> {
    pub matrix: &'a Matrix,
    /// The size of the operand along `x`.
    pub size: usize,
    pub x_stride: usize,
    pub l_stride: usize,
    /// The variable with the place of its first element.
    pub base: &'a str,
    /// The variable with the tile's start along `x`.
    pub start: &'a str,
    /// The variable in workgroup memory, where there is one.
    pub shared: &'a str,
}

/// Both operands.
pub(super) fn slices(kernel: &Matmul) -> [Slice<'_>; 2] {
    let Matmul { a, b, m, n, .. } = kernel;
    let (a_strides, b_strides) = ((a.row_stride, a.column_stride), (b.column_stride, b.row_stride));
    [
        Slice { matrix: a, size: *m, x_stride: a_strides.0, l_stride: a_strides.1, base: "base_a", start: "i0", shared: "shared_a" },
        Slice { matrix: b, size: *n, x_stride: b_strides.0, l_stride: b_strides.1, base: "base_b", start: "j0", shared: "shared_b" },
    ]
}

impl Slice<'_> {
    /// Whether the neighbours in memory are neighbours along the sum.
    pub fn along_l(&self) -> bool {
        self.l_stride == 1 && self.x_stride != 1
    }

    /// Whether every block lies in memory as four rows of four, each at a multiple of 4.
    pub fn reads_vec4(&self, k: usize) -> bool {
        let Matrix { offset, ref batch_strides, .. } = *self.matrix;
        let (contiguous, size, other) =
            if self.along_l() { (true, k, self.x_stride) } else { (self.x_stride == 1, self.size, self.l_stride) };
        contiguous && size % 4 == 0 && other % 4 == 0 && offset % 4 == 0 && batch_strides.iter().all(|s| s % 4 == 0)
    }
}

//! Matrices: products by PyTorch's names, diagonals, triangles.

use std::panic::Location as CallerLocation;

use super::Operand;
use crate::{DType, Shape, Tensor};

/// Products. All are [`Tensor::matmul`] or a product of elements, with the ranks looked at.
impl Tensor {
    #[track_caller]
    fn ranked_matmul(&self, op: &str, other: &Tensor, ranks: [usize; 2]) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        let [a, b] = ranks;
        if self.rank() != a || other.rank() != b {
            let message = format!("needs tensors of rank {a} and {b}, got {} and {}", self.shape(), other.shape());
            return Tensor::fail(op, message, location);
        }
        self.matmul(other)
    }

    /// The product of two matrices, `[m, k] x [k, n]`.
    #[track_caller]
    pub fn mm(&self, other: &Tensor) -> Tensor {
        self.ranked_matmul("mm", other, [2, 2])
    }

    /// The products of matrices in batches, `[batch, m, k] x [batch, k, n]`.
    #[track_caller]
    pub fn bmm(&self, other: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        if self.rank() == 3 && other.rank() == 3 && self.shape()[0] != other.shape()[0] {
            return Tensor::fail(
                "bmm",
                format!("{} x {}: batches of {} and {} differ", self.shape(), other.shape(), self.shape()[0], other.shape()[0]),
                location,
            );
        }
        self.ranked_matmul("bmm", other, [3, 3])
    }

    /// The product of a matrix and a vector, `[m, k] x [k]`.
    #[track_caller]
    pub fn mv(&self, other: &Tensor) -> Tensor {
        self.ranked_matmul("mv", other, [2, 1])
    }

    /// The inner product of two vectors of one length, a scalar.
    #[track_caller]
    pub fn dot(&self, other: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        if self.rank() != 1 || self.shape() != other.shape() {
            return Tensor::fail("dot", format!("needs two vectors of one length, got {} and {}", self.shape(), other.shape()), location);
        }
        (self * other).sum()
    }

    /// The products of each element of a vector with each of another, `[m] x [n] -> [m, n]`.
    #[track_caller]
    pub fn outer(&self, other: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        if self.rank() != 1 || other.rank() != 1 {
            return Tensor::fail("outer", format!("needs two vectors, got {} and {}", self.shape(), other.shape()), location);
        }
        self.unsqueeze(1) * other
    }

    /// The Kronecker product: each element of this tensor times the whole of `other`, side by side. Missing axes in front count as size 1.
    #[track_caller]
    pub fn kron(&self, other: &Tensor) -> Tensor {
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        let rank = self.rank().max(other.rank());
        let size = |t: &Tensor, i: usize| if i + t.rank() < rank { 1 } else { t.shape()[i + t.rank() - rank] };
        let (a, b): (Vec<usize>, Vec<usize>) = (0..rank).map(|i| (size(self, i), size(other, i))).unzip();
        let coarse: Shape = a.iter().flat_map(|&d| [d, 1]).collect();
        let fine: Shape = b.iter().flat_map(|&d| [1, d]).collect();
        let product = self.reshape(coarse) * other.reshape(fine);
        product.reshape(a.iter().zip(&b).map(|(&x, &y)| x * y).collect::<Shape>())
    }

    /// The cross product of vectors of three components along an axis (negative counts from the end). Shapes broadcast.
    #[track_caller]
    pub fn cross(&self, other: &Tensor, axis: isize) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            match t.axis("cross", axis) {
                Err(mistake) => return mistake,
                Ok(index) if t.shape()[index] != 3 => {
                    return Tensor::fail("cross", format!("axis {axis} of {} has size {}, not 3", t.shape(), t.shape()[index]), location);
                }
                Ok(_) => {}
            }
        }
        // Component i is a[i + 1] b[i + 2] - a[i + 2] b[i + 1], indices modulo 3.
        self.roll(-1, axis) * other.roll(-2, axis) - self.roll(-2, axis) * other.roll(-1, axis)
    }
}

/// Diagonals.
impl Tensor {
    /// The diagonal of the plane of axes `a` and `b` (negative counts from the end), `offset` above the main one (negative: below), as the
    /// last axis of the result: a view. Empty where the offset leads out of the plane.
    #[track_caller]
    pub fn diagonal(&self, offset: isize, a: isize, b: isize) -> Tensor {
        let location = CallerLocation::caller();
        let (i, j) = match (self.axis("diagonal", a), self.axis("diagonal", b)) {
            (Ok(i), Ok(j)) => (i, j),
            (Err(mistake), _) | (_, Err(mistake)) => return mistake,
        };
        if i == j {
            return Tensor::fail("diagonal", format!("axes {a} and {b} of {} are the same", self.shape()), location);
        }
        let order: Vec<isize> = (0..self.rank()).filter(|&k| k != i && k != j).chain([i, j]).map(|k| k as isize).collect();
        let plane = self.permute(&order);
        let (rows, columns) = (self.shape()[i], self.shape()[j]);
        let (down, right) = if offset < 0 { (offset.unsigned_abs().min(rows), 0) } else { (0, offset.unsigned_abs().min(columns)) };
        let n = (rows - down).min(columns - right);
        let square = plane.slice(-2, down..down + n).slice(-1, right..right + n);
        // In row-major order the diagonal of a square is every n + 1st element.
        let mut sizes = square.shape().to_vec();
        sizes.truncate(sizes.len() - 2);
        sizes.push(n * n);
        square.reshape(sizes).slice_step(-1, .., n as isize + 1)
    }

    /// The last axis as the diagonal, `offset` above the main one (negative: below), of square matrices in two new last axes, zeros
    /// elsewhere.
    #[track_caller]
    pub fn diag_embed(&self, offset: isize) -> Tensor {
        let location = CallerLocation::caller();
        if self.error().is_some() {
            return self.clone();
        }
        if self.rank() == 0 {
            return Tensor::fail("diag_embed", "a scalar has no axis to put on a diagonal", location);
        }
        let far = offset.unsigned_abs();
        let n = self.shape()[self.rank() - 1];
        let outer = &self.shape()[..self.rank() - 1];
        // Each element followed by n zeros: the elements of n rows of n + 1 in row-major order are those of n + 1 rows of n, of which the
        // last is cut off.
        let mut widths = vec![(0, 0); self.rank() + 1];
        widths[self.rank()] = (0, n);
        let spread = self.unsqueeze(-1).pad(&widths, 0.0).reshape(outer.iter().copied().chain([n * (n + 1)]).collect::<Shape>());
        let square = spread.slice(-1, ..n * n).reshape(outer.iter().copied().chain([n, n]).collect::<Shape>());
        let mut widths = vec![(0, 0); self.rank() + 1];
        let (row, column) = if offset < 0 { ((far, 0), (0, far)) } else { ((0, far), (far, 0)) };
        widths[self.rank() - 1] = row;
        widths[self.rank()] = column;
        square.pad(&widths, 0.0)
    }

    /// PyTorch's `diag`: of a vector the matrix with it on a diagonal, of a matrix the diagonal; `offset` above the main one (negative:
    /// below).
    #[track_caller]
    pub fn diag(&self, offset: isize) -> Tensor {
        let location = CallerLocation::caller();
        match self.rank() {
            _ if self.error().is_some() => self.clone(),
            1 => self.diag_embed(offset),
            2 => self.diagonal(offset, 0, 1),
            _ => Tensor::fail("diag", format!("needs a vector or a matrix, got {}", self.shape()), location),
        }
    }

    /// The sum of a matrix's diagonal, a scalar.
    #[track_caller]
    pub fn trace(&self) -> Tensor {
        let location = CallerLocation::caller();
        match self.rank() {
            _ if self.error().is_some() => self.clone(),
            2 => self.diagonal(0, 0, 1).sum(),
            _ => Tensor::fail("trace", format!("needs a matrix, got {}", self.shape()), location),
        }
    }
}

/// Triangles.
impl Tensor {
    /// For a matrix of `rows` and `columns`: true on and below the diagonal that lies `offset` above the main one (negative: below it), a
    /// bool. With offset 0 the mask of what a query may see in causal attention.
    #[track_caller]
    pub fn tril_mask(rows: usize, columns: usize, offset: isize) -> Tensor {
        let location = CallerLocation::caller();
        let bound = i32::MAX as usize / 2;
        if rows > bound || columns > bound {
            return Tensor::fail("tril_mask", format!("a matrix of [{rows}, {columns}]: more than 2^30 rows or columns"), location);
        }
        // An offset beyond the matrix is as good as one at its edge.
        let offset = offset.clamp(-(rows as isize), columns as isize) as i32;
        let row = Tensor::iota([rows, columns], 0).to(DType::I32);
        let column = Tensor::iota([rows, columns], 1).to(DType::I32);
        column.le(row + offset)
    }

    /// The part of each matrix in the last two axes on and below the diagonal that lies `offset` above the main one, zeros elsewhere.
    #[track_caller]
    pub fn tril(&self, offset: isize) -> Tensor {
        match self.triangle("tril", offset) {
            Ok(mask) => mask.where_(self, self.number(0.0)),
            Err(mistake) => mistake,
        }
    }

    /// The part of each matrix in the last two axes on and above the diagonal that lies `offset` above the main one, zeros elsewhere.
    #[track_caller]
    pub fn triu(&self, offset: isize) -> Tensor {
        match self.triangle("triu", offset.saturating_sub(1)) {
            Ok(mask) => mask.where_(self.number(0.0), self),
            Err(mistake) => mistake,
        }
    }

    #[track_caller]
    fn triangle(&self, op: &str, offset: isize) -> Result<Tensor, Tensor> {
        let location = CallerLocation::caller();
        if self.error().is_some() {
            return Err(self.clone());
        }
        match self.shape()[..] {
            [.., rows, columns] => Ok(Tensor::tril_mask(rows, columns, offset)),
            _ => Err(Tensor::fail(op, format!("needs a matrix, got {}", self.shape()), location)),
        }
    }

    /// The identity matrix of `n` rows, f32.
    #[track_caller]
    pub fn eye(n: usize) -> Tensor {
        Tensor::iota([n, n], 0).eq(Tensor::iota([n, n], 1)).to(DType::F32)
    }

    /// This tensor with the elements for which `mask` (a bool that broadcasts to the tensor's shape) holds replaced by `value`.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: impl Operand) -> Tensor {
        let location = CallerLocation::caller();
        let value = value.beside(self, location);
        if self.error().is_none() && mask.error().is_none() && self.shape().broadcast(mask.shape()).as_ref() != Some(self.shape()) {
            let message = format!("a mask of {} does not broadcast to {}", mask.shape(), self.shape());
            return Tensor::fail("masked_fill", message, location);
        }
        mask.where_(value, self)
    }
}

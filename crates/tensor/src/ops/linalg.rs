//! Matrix products.

use std::panic::Location as CallerLocation;

use crate::{Op, Shape, Tensor};

impl Tensor {
    /// The matrix product `[batch.., m, k] x [batch.., k, n] -> [batch.., m, n]`, f32. Batch axes broadcast. A vector (rank 1) on the left is a row, on the
    /// right a column, and that axis is missing from the result, as in NumPy.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, other] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        let fail = |message: String| Tensor::fail("matmul", message, location);
        if !self.dtype().is_float() || self.dtype() != other.dtype() {
            return fail(format!("needs two tensors of f32, got {} and {}", self.dtype(), other.dtype()));
        }
        if self.rank() == 0 || other.rank() == 0 {
            return fail(format!("{} x {}: a scalar is no matrix, use *", self.shape(), other.shape()));
        }
        let (left, right) = (
            if self.rank() == 1 { self.unsqueeze(0) } else { self.clone() },
            if other.rank() == 1 { other.unsqueeze(1) } else { other.clone() },
        );
        let (a, b) = (left.shape().to_vec(), right.shape().to_vec());
        let (m, k) = (a[a.len() - 2], a[a.len() - 1]);
        let (k2, n) = (b[b.len() - 2], b[b.len() - 1]);
        if k != k2 {
            return fail(format!(
                "{} x {}: inner sizes {k} and {k2} differ; transpose one with .t() or reshape it",
                self.shape(),
                other.shape()
            ));
        }
        let Some(batch) = Shape::from(&a[..a.len() - 2]).broadcast(&Shape::from(&b[..b.len() - 2])) else {
            return fail(format!("{} x {}: batch axes do not broadcast", self.shape(), other.shape()));
        };
        let with = |tail: [usize; 2]| batch.iter().copied().chain(tail).collect::<Shape>();
        // One matrix on the right serves every batch: the batch axes are rows then, which makes one large product of many small ones.
        let product = if b.len() == 2 && a.len() > 2 {
            let rows = left.reshape([batch.numel() * m, k]);
            let shape = Shape::from([batch.numel() * m, n]);
            Tensor::apply(Op::Matmul, vec![rows, right], Ok((shape, self.dtype())), location).reshape(with([m, n]))
        } else {
            let inputs = vec![left.broadcast_at(&with([m, k]), location), right.broadcast_at(&with([k, n]), location)];
            Tensor::apply(Op::Matmul, inputs, Ok((with([m, n]), self.dtype())), location)
        };
        match (self.rank(), other.rank()) {
            (1, 1) => product.reshape(Shape::scalar()),
            (1, _) => product.squeeze(-2),
            (_, 1) => product.squeeze(-1),
            _ => product,
        }
    }
}

//! The methods of [`Tensor`](crate::Tensor), by theme. Most are composed from primitives; what they are composed of is their definition.

mod activation;
mod arithmetic;
pub mod arrange;
mod attention;
pub mod convolution;
pub mod create;
pub mod einsum;
mod elementwise;
mod indexing;
mod linalg;
mod matrices;
mod norms;
mod operators;
mod padding;
mod places;
pub mod pooling;
mod random;
mod reduce;
mod resize;
mod scan;
mod sequences;
mod sorting;
mod special;
mod views;

pub use operators::Operand;

use crate::Shape;

/// An axis that may count from the end (`-1` is the last), as an index; or the reason why there is none.
pub(crate) fn axis_of(axis: isize, shape: &Shape) -> Result<usize, String> {
    let rank = shape.rank() as isize;
    let index = if axis < 0 { axis + rank } else { axis };
    if (0..rank).contains(&index) {
        Ok(index as usize)
    } else {
        let there = if rank == 0 { "a scalar has no axes".to_string() } else { format!("axes go from -{rank} to {}", rank - 1) };
        Err(format!("axis {axis} is out of range for shape {shape} of rank {rank}: {there}"))
    }
}

/// Several axes as ascending indices, each at most once.
pub(crate) fn axes_of(axes: &[isize], shape: &Shape) -> Result<Vec<usize>, String> {
    let mut indices = axes.iter().map(|&axis| axis_of(axis, shape)).collect::<Result<Vec<_>, _>>()?;
    indices.sort_unstable();
    match indices.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("axis {} is named twice in {axes:?}; name each axis once", pair[0])),
        None => Ok(indices),
    }
}

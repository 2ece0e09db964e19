//! Padding: elements added around the last axes.

use noyau_tensor::{PerAxis, Tensor};

use super::check_float;
use crate::fault::fail;
use crate::{Mode, Module};

macro_rules! paddings {
    ($($(#[$doc:meta])* $layer:ident($rank:literal, $pad:expr);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $layer(PerAxis);

        impl $layer {
            /// So many elements on every side: one number for all, or one for each in PyTorch's order, `[left, right]` and then `top, bottom`.
            pub fn new(widths: impl Into<PerAxis>) -> $layer {
                $layer(widths.into())
            }
        }

        impl Module for $layer {
            #[track_caller]
            fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
                if let Err(error) = check_float(stringify!($layer), x) {
                    return error;
                }
                match widths(&self.0, $rank, x) {
                    Ok(widths) => $pad(x, &widths[..]),
                    Err(message) => fail(stringify!($layer), message),
                }
            }
        }
    )*};
}

paddings! {
    /// Zeros around the last axis: `[.., length]`.
    ZeroPad1d(1, zeros);
    /// Zeros around the last two axes: `[.., height, width]`.
    ZeroPad2d(2, zeros);
    /// The input mirrored at its outermost elements, which are not repeated, around the last axis: [`Tensor::pad_reflect`] as a module.
    ReflectionPad1d(1, Tensor::pad_reflect);
    /// The input mirrored at its outermost elements, which are not repeated, around the last two axes: [`Tensor::pad_reflect`] as a module.
    ReflectionPad2d(2, Tensor::pad_reflect);
    /// The outermost elements again around the last axis: [`Tensor::pad_replicate`] as a module.
    ReplicationPad1d(1, Tensor::pad_replicate);
    /// The outermost elements again around the last two axes: [`Tensor::pad_replicate`] as a module.
    ReplicationPad2d(2, Tensor::pad_replicate);
    /// The input again, from its other end, around the last axis: [`Tensor::pad_circular`] as a module.
    CircularPad1d(1, Tensor::pad_circular);
    /// The input again, from its other end, around the last two axes: [`Tensor::pad_circular`] as a module.
    CircularPad2d(2, Tensor::pad_circular);
}

#[track_caller]
fn zeros(x: &Tensor, widths: &[(usize, usize)]) -> Tensor {
    x.pad(widths, 0.0)
}

/// How much is added before and after each axis of `x`.
fn widths(given: &PerAxis, axes: usize, x: &Tensor) -> Result<Vec<(usize, usize)>, String> {
    let sides = match given {
        PerAxis::All(n) => vec![*n; 2 * axes],
        PerAxis::Each(each) => each.clone(),
    };
    if sides.len() != 2 * axes {
        let order = if axes == 1 { "[left, right]" } else { "[left, right, top, bottom]" };
        return Err(format!("{sides:?} are {} widths; one is needed, or {} in the order {order}", sides.len(), 2 * axes));
    }
    if x.rank() < axes {
        return Err(format!("the input {} has {} axes; {axes} are padded", x.shape(), x.rank()));
    }
    let mut widths = vec![(0, 0); x.rank() - axes];
    // The last axis comes first.
    widths.extend(sides.chunks(2).rev().map(|pair| (pair[0], pair[1])));
    Ok(widths)
}

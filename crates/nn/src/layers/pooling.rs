//! Pooling: the largest or the mean element of windows.

use noyau_tensor::{PerAxis, PoolOptions, Tensor};

use crate::fault::fail;
use crate::{Mode, Module};

macro_rules! pools {
    ($($(#[$doc:meta])* $layer:ident => $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $layer(PoolOptions);

        impl $layer {
            /// Windows of this size (one number, or one for each axis), side by side; or of these options.
            pub fn new(options: impl Into<PoolOptions>) -> $layer {
                $layer(options.into())
            }

            /// How far one window lies from the next; by default its size.
            pub fn stride(self, stride: impl Into<PerAxis>) -> $layer {
                $layer(self.0.stride(stride))
            }

            /// So many elements on both sides of each axis, at most half a window.
            pub fn padding(self, padding: impl Into<PerAxis>) -> $layer {
                $layer(self.0.padding(padding))
            }

            /// Whether a last window that ends outside of the padded input counts too.
            pub fn ceil_mode(self, yes: bool) -> $layer {
                $layer(self.0.ceil_mode(yes))
            }
        }

        impl Module for $layer {
            #[track_caller]
            fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
                x.$method(&self.0)
            }
        }
    )*};
}

pools! {
    /// [`Tensor::max_pool1d`] as a module: `[batch, channels, length]`.
    MaxPool1d => max_pool1d;
    /// [`Tensor::max_pool2d`] as a module: `[batch, channels, height, width]`.
    MaxPool2d => max_pool2d;
    /// [`Tensor::avg_pool1d`] as a module: `[batch, channels, length]`.
    AvgPool1d => avg_pool1d;
    /// [`Tensor::avg_pool2d`] as a module: `[batch, channels, height, width]`.
    AvgPool2d => avg_pool2d;
}

macro_rules! maxima {
    ($($layer:ident),*) => {$(
        impl $layer {
            /// How far the elements of a window lie apart.
            pub fn dilation(self, dilation: impl Into<PerAxis>) -> $layer {
                $layer(self.0.dilation(dilation))
            }
        }
    )*};
}
maxima!(MaxPool1d, MaxPool2d);

macro_rules! means {
    ($($layer:ident),*) => {$(
        impl $layer {
            /// Whether means count the padding; by default they do.
            pub fn count_include_pad(self, yes: bool) -> $layer {
                $layer(self.0.count_include_pad(yes))
            }
        }
    )*};
}
means!(AvgPool1d, AvgPool2d);

macro_rules! adaptive_pools {
    ($($(#[$doc:meta])* $layer:ident => $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $layer(PerAxis);

        impl $layer {
            /// As many windows as this says (one number, or one for each axis).
            pub fn new(size: impl Into<PerAxis>) -> $layer {
                $layer(size.into())
            }
        }

        impl Module for $layer {
            #[track_caller]
            fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
                x.$method(self.0.clone())
            }
        }
    )*};
}

adaptive_pools! {
    /// [`Tensor::adaptive_avg_pool1d`] as a module: `[batch, channels, length]` to `[batch, channels, size]`.
    AdaptiveAvgPool1d => adaptive_avg_pool1d;
    /// [`Tensor::adaptive_avg_pool2d`] as a module: `[batch, channels, height, width]` to `[batch, channels, size, size]`.
    AdaptiveAvgPool2d => adaptive_avg_pool2d;
    /// [`Tensor::adaptive_max_pool1d`] as a module: `[batch, channels, length]` to `[batch, channels, size]`.
    AdaptiveMaxPool1d => adaptive_max_pool1d;
    /// [`Tensor::adaptive_max_pool2d`] as a module: `[batch, channels, height, width]` to `[batch, channels, size, size]`.
    AdaptiveMaxPool2d => adaptive_max_pool2d;
}

macro_rules! global_pools {
    ($($(#[$doc:meta])* $layer:ident => $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $layer;

        impl Module for $layer {
            #[track_caller]
            fn forward(&self, x: &Tensor, _: &Mode) -> Tensor {
                if x.error().is_none() && (x.rank() < 3 || x.shape()[2..].contains(&0)) {
                    let message = format!("the input {} is not [batch, channels, d1, ..] with something to pool", x.shape());
                    return fail(stringify!($layer), message);
                }
                let axes: Vec<isize> = (2..x.rank() as isize).collect();
                x.$method(&axes)
            }
        }
    )*};
}

global_pools! {
    /// The mean of each channel: `[batch, channels, d1, ..]` of any rank from 3 to `[batch, channels]`. `AdaptiveAvgPool2d::new(1)`, then `Flatten`.
    ///
    /// Source: Lin, Chen and Yan, "Network in network", ICLR 2014.
    GlobalAvgPool => mean_axes;
    /// The largest element of each channel: `[batch, channels, d1, ..]` of any rank from 3 to `[batch, channels]`. Elements that tie share the gradient.
    GlobalMaxPool => max;
}

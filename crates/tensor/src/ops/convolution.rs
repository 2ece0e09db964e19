//! Convolutions and their transposes over one, two or any number of spatial axes.

use std::panic::Location as CallerLocation;

use crate::{Conv, Location, Op, Shape, Tensor};

/// One number for every spatial axis, or the same for all: made of a `usize`, or an array or slice of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PerAxis {
    /// The same for all axes.
    All(usize),
    /// One for each axis.
    Each(Vec<usize>),
}

impl PerAxis {
    /// The numbers of `rank` axes; an error when there are more or fewer of them.
    pub fn resolve(&self, rank: usize, what: &str) -> Result<Vec<usize>, String> {
        match self {
            PerAxis::All(n) => Ok(vec![*n; rank]),
            PerAxis::Each(all) if all.len() == rank => Ok(all.clone()),
            PerAxis::Each(all) => Err(format!("{what} {all:?} has {} numbers for {rank} spatial axes", all.len())),
        }
    }
}

impl From<usize> for PerAxis {
    fn from(n: usize) -> PerAxis {
        PerAxis::All(n)
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis {
    fn from(each: [usize; N]) -> PerAxis {
        PerAxis::Each(each.to_vec())
    }
}

impl From<&[usize]> for PerAxis {
    fn from(each: &[usize]) -> PerAxis {
        PerAxis::Each(each.to_vec())
    }
}

impl From<Vec<usize>> for PerAxis {
    fn from(each: Vec<usize>) -> PerAxis {
        PerAxis::Each(each)
    }
}

/// The zeros around a convolution's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many on both sides of each axis.
    Explicit(PerAxis),
    /// As many as make the result as large as the input, one more after than before where their number is odd. Needs stride 1.
    Same,
}

impl<T: Into<PerAxis>> From<T> for Padding {
    fn from(widths: T) -> Padding {
        Padding::Explicit(widths.into())
    }
}

/// What a convolution takes besides input and weight; PyTorch's names and defaults.
///
/// ```
/// use noyau_tensor::ConvOptions;
/// let options = ConvOptions::new().stride(2).padding([1, 0]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvOptions {
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: usize,
    output_padding: PerAxis,
}

impl Default for ConvOptions {
    fn default() -> ConvOptions {
        ConvOptions::new()
    }
}

impl ConvOptions {
    /// Stride 1, no padding, dilation 1, one group.
    pub fn new() -> ConvOptions {
        let (one, none) = (PerAxis::All(1), PerAxis::All(0));
        ConvOptions { stride: one.clone(), padding: none.clone().into(), dilation: one, groups: 1, output_padding: none }
    }

    /// How far the kernel moves from one result to the next.
    pub fn stride(mut self, stride: impl Into<PerAxis>) -> ConvOptions {
        self.stride = stride.into();
        self
    }

    /// Zeros on both sides of each spatial axis, or [`Padding::Same`].
    pub fn padding(mut self, padding: impl Into<Padding>) -> ConvOptions {
        self.padding = padding.into();
        self
    }

    /// How far the elements of the kernel lie apart.
    pub fn dilation(mut self, dilation: impl Into<PerAxis>) -> ConvOptions {
        self.dilation = dilation.into();
        self
    }

    /// How many parts the channels are divided into, each convolved by itself. As many as there are channels: a depthwise convolution.
    pub fn groups(mut self, groups: usize) -> ConvOptions {
        self.groups = groups;
        self
    }

    /// Transposed convolutions only: so many elements more at the end of each axis, to choose among the sizes that a strided convolution maps to one.
    pub fn output_padding(mut self, output_padding: impl Into<PerAxis>) -> ConvOptions {
        self.output_padding = output_padding.into();
        self
    }

    /// The numbers for kernels of these sizes.
    fn resolve(&self, kernel: &[usize]) -> Result<Conv, String> {
        let rank = kernel.len();
        let (stride, dilation) = (self.stride.resolve(rank, "stride")?, self.dilation.resolve(rank, "dilation")?);
        if stride.contains(&0) || dilation.contains(&0) || self.groups == 0 {
            return Err(format!("stride {stride:?}, dilation {dilation:?}, groups {}: none of these may be 0", self.groups));
        }
        if kernel.contains(&0) {
            return Err(format!("a kernel of sizes {kernel:?} has no elements"));
        }
        let padding = match &self.padding {
            Padding::Explicit(widths) => widths.resolve(rank, "padding")?.into_iter().map(|w| (w as isize, w as isize)).collect(),
            Padding::Same if stride.iter().any(|&s| s != 1) => {
                return Err(format!("padding \"same\" needs stride 1, not {stride:?}"));
            }
            Padding::Same => kernel.iter().zip(&dilation).map(|(&k, &d)| same((k - 1) * d)).collect(),
        };
        Ok(Conv { stride, padding, dilation, input_dilation: vec![1; rank], groups: self.groups })
    }
}

fn same(width: usize) -> (isize, isize) {
    ((width / 2) as isize, width.div_ceil(2) as isize)
}

impl Tensor {
    /// Convolution over one spatial axis: `[n, groups * ci, length]` with a weight of `[groups * co, ci, kernel]` gives `[n, groups * co, out]`,
    /// `out = (length + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1`. f32. The kernel is not reversed, as in PyTorch's `conv1d`.
    #[track_caller]
    pub fn conv1d(&self, weight: &Tensor, options: &ConvOptions) -> Tensor {
        self.convolve("conv1d", 1, weight, options, CallerLocation::caller())
    }

    /// Convolution over two spatial axes: `[n, groups * ci, height, width]` with a weight of `[groups * co, ci, kh, kw]` gives
    /// `[n, groups * co, out_h, out_w]`; see [`conv1d`](Tensor::conv1d).
    #[track_caller]
    pub fn conv2d(&self, weight: &Tensor, options: &ConvOptions) -> Tensor {
        self.convolve("conv2d", 2, weight, options, CallerLocation::caller())
    }

    /// The gradient of [`conv1d`](Tensor::conv1d) with respect to its input, as a function: `[n, groups * ci, length]` with a weight of
    /// `[groups * ci, co, kernel]` gives `[n, groups * co, out]`,
    /// `out = (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`. PyTorch's `conv_transpose1d`.
    #[track_caller]
    pub fn conv_transpose1d(&self, weight: &Tensor, options: &ConvOptions) -> Tensor {
        self.convolve_transposed("conv_transpose1d", 1, weight, options, CallerLocation::caller())
    }

    /// [`conv_transpose1d`](Tensor::conv_transpose1d) over two spatial axes: `[n, groups * ci, h, w]` with a weight of `[groups * ci, co, kh, kw]`.
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Tensor, options: &ConvOptions) -> Tensor {
        self.convolve_transposed("conv_transpose2d", 2, weight, options, CallerLocation::caller())
    }

    /// What both kinds check: types, ranks, groups. `channels` is the weight's axis that the input's channels meet.
    fn conv_operands(&self, op: &str, rank: usize, weight: &Tensor, options: &ConvOptions) -> Result<Conv, String> {
        if !self.dtype().is_float() || self.dtype() != weight.dtype() {
            return Err(format!("needs an input and a weight of one float type, got {} and {}", self.dtype(), weight.dtype()));
        }
        for (what, t) in [("input", self), ("weight", weight)] {
            if t.rank() != rank + 2 {
                let axes = if rank == 1 { "[n, channels, length]" } else { "[n, channels, height, width]" };
                let wanted = if what == "input" { axes } else { "[out channels, in channels, kernel..]" };
                return Err(format!("the {what} {} has rank {}; {op} takes {wanted}, rank {}", t.shape(), t.rank(), rank + 2));
            }
        }
        options.resolve(&weight.shape()[2..])
    }

    fn convolve(&self, op: &str, rank: usize, weight: &Tensor, options: &ConvOptions, location: Location) -> Tensor {
        if let Some(bad) = [self, weight].into_iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        let checked = self.conv_operands(op, rank, weight, options).and_then(|conv| {
            let (have, want, out) = (self.shape()[1], weight.shape()[1] * conv.groups, weight.shape()[0]);
            if have != want {
                let (takes, groups) = (weight.shape()[1], conv.groups);
                return Err(format!(
                    "the input {} has {have} channels, the weight {} with {groups} groups takes {takes} x {groups}",
                    self.shape(),
                    weight.shape()
                ));
            }
            if !out.is_multiple_of(conv.groups) {
                return Err(format!("{out} out channels do not divide into {} groups", conv.groups));
            }
            Ok(conv)
        });
        match checked {
            Ok(conv) => self.conv_at(op, weight, conv, location),
            Err(message) => Tensor::fail(op, message, location),
        }
    }

    fn convolve_transposed(&self, op: &str, rank: usize, weight: &Tensor, options: &ConvOptions, location: Location) -> Tensor {
        if let Some(bad) = [self, weight].into_iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        let checked = self.conv_operands(op, rank, weight, options).and_then(|conv| {
            let (have, want) = (self.shape()[1], weight.shape()[0]);
            if have != want || !want.is_multiple_of(conv.groups) {
                let (input, shape, groups) = (self.shape(), weight.shape(), conv.groups);
                return Err(format!("the input {input} has {have} channels, the weight {shape} takes {want}, in {groups} groups"));
            }
            let extra = options.output_padding.resolve(rank, "output_padding")?;
            if let Some(i) = (0..rank).find(|&i| extra[i] >= conv.stride[i].max(conv.dilation[i])) {
                let (stride, dilation) = (conv.stride[i], conv.dilation[i]);
                return Err(format!("output_padding {} must be smaller than stride {stride} or dilation {dilation}", extra[i]));
            }
            if options.padding == Padding::Same {
                return Err("padding \"same\" has no meaning for a transposed convolution".into());
            }
            let kernel = &weight.shape()[2..];
            let padding = (0..rank)
                .map(|i| {
                    let reach = ((kernel[i] - 1) * conv.dilation[i]) as isize;
                    (reach - conv.padding[i].0, reach - conv.padding[i].1 + extra[i] as isize)
                })
                .collect();
            Ok(Conv { stride: vec![1; rank], padding, input_dilation: conv.stride, ..conv })
        });
        match checked {
            Ok(conv) => self.conv_at(op, &weight.mirrored(conv.groups), conv, location),
            Err(message) => Tensor::fail(op, message, location),
        }
    }

    /// The primitive, for operands whose channels fit.
    fn conv_at(&self, op: &str, weight: &Tensor, conv: Conv, location: Location) -> Tensor {
        let (x, w) = (self.shape(), weight.shape());
        let sizes: Option<Vec<usize>> = (0..conv.stride.len()).map(|i| conv.out(i, x[i + 2], w[i + 2])).collect();
        match sizes {
            Some(sizes) => {
                let shape: Shape = [x[0], w[0]].into_iter().chain(sizes).collect();
                Tensor::apply(Op::Conv(conv), vec![self.clone(), weight.clone()], Ok((shape, self.dtype())), location)
            }
            None => {
                let padded: Vec<Option<usize>> = (0..conv.stride.len()).map(|i| conv.padded(i, x[i + 2])).collect();
                let sizes: Vec<usize> = padded.into_iter().map(|p| p.unwrap_or(0)).collect();
                let (kernel, dilation) = (&w[2..], &conv.dilation);
                let message = format!(
                    "a kernel of {kernel:?} with dilation {dilation:?} does not fit into {x}, padded to {sizes:?}; pad more or take a smaller kernel"
                );
                Tensor::fail(op, message, location)
            }
        }
    }

    /// A weight `[groups * co, ci, kernel..]` as the gradient by the input needs it: `[groups * ci, co, kernel..]`, each kernel reversed.
    fn mirrored(&self, groups: usize) -> Tensor {
        let shape = self.shape().clone();
        let kernel = &shape[2..];
        let (co, ci) = (shape[0] / groups, shape[1]);
        let split: Shape = [groups, co, ci].into_iter().chain(kernel.iter().copied()).collect();
        let merged: Shape = [groups * ci, co].into_iter().chain(kernel.iter().copied()).collect();
        let axes: Vec<isize> = (2..shape.rank() as isize).collect();
        self.reshape(split).transpose(1, 2).reshape(merged).flip(&axes)
    }

    /// `[n, groups * c, size..]` as `[c, groups * n, size..]`: batch and channels exchanged within each group.
    fn regrouped(&self, groups: usize) -> Tensor {
        let shape = self.shape();
        let (n, c) = (shape[0], shape[1] / groups);
        let with = |head: &[usize]| head.iter().chain(&shape[2..]).copied().collect::<Shape>();
        self.reshape(with(&[n, groups, c])).transpose(0, 2).reshape(with(&[c, groups * n]))
    }
}

/// The gradients of a convolution with respect to its input and its weight, given `g`, that with respect to its result.
///
/// Both are convolutions. With `y[o] = sum over k of x[o * stride + k * dilation - before] * w[k]`: the input's gradient walks `g`, spread out by the
/// stride, with the kernel reversed; the weight's gradient walks the input with `g` as the kernel, stride and dilation exchanged.
/// Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
pub(crate) fn conv_vjp(conv: &Conv, x: &Tensor, w: &Tensor, g: &Tensor, location: Location) -> [Tensor; 2] {
    let rank = conv.stride.len();
    let size = |t: &Tensor, i: usize| t.shape()[i + 2] as isize;
    let signed = |all: &[usize], i: usize| all[i] as isize;
    // What a kernel, the results and the input span, less one.
    let reach = |i: usize| (size(w, i) - 1) * signed(&conv.dilation, i);
    let walk = |i: usize| (size(g, i) - 1) * signed(&conv.stride, i);
    let spread = |i: usize| (size(x, i) - 1) * signed(&conv.input_dilation, i);
    let back = Conv {
        stride: conv.input_dilation.clone(),
        padding: (0..rank)
            .map(|i| {
                let before = reach(i) - conv.padding[i].0;
                (before, spread(i) + reach(i) - walk(i) - before)
            })
            .collect(),
        dilation: conv.dilation.clone(),
        input_dilation: conv.stride.clone(),
        groups: conv.groups,
    };
    let across = Conv {
        stride: conv.dilation.clone(),
        padding: (0..rank).map(|i| (conv.padding[i].0, reach(i) + walk(i) - spread(i) - conv.padding[i].0)).collect(),
        dilation: conv.stride.clone(),
        input_dilation: conv.input_dilation.clone(),
        groups: conv.groups,
    };
    let dx = g.conv_at("conv", &w.mirrored(conv.groups), back, location);
    // Channels take the part of the batch and the batch that of the channels that are summed.
    let dw = x.regrouped(conv.groups).conv_at("conv", &g.transpose(0, 1), across, location);
    [dx, dw.transpose(0, 1)]
}

//! Convolutions and their transposes.

use noyau_tensor::{ConvOptions, Error, Init, Padding, Param, PerAxis, Result, Shape, Tensor};

use super::{check_float, no_parameter, parameter};
use crate::fault::fail;
use crate::{Mode, Module, init};

/// What a convolution layer finds beyond the edges of its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The input mirrored at its outermost elements, which are not repeated: `c b | a b c | b a`.
    Reflect,
    /// The outermost elements: `a a | a b c | c c`.
    Replicate,
    /// The input once more, from its other end: `b c | a b c | a b`.
    Circular,
}

/// What the convolution layers share.
#[derive(Clone, Debug)]
struct Core {
    name: &'static str,
    /// The number of spatial axes.
    rank: usize,
    transposed: bool,
    inputs: usize,
    outputs: usize,
    kernel: PerAxis,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: usize,
    output_padding: PerAxis,
    mode: PaddingMode,
    problem: Option<Error>,
}

impl Core {
    #[track_caller]
    fn new(name: &'static str, rank: usize, transposed: bool, inputs: usize, outputs: usize, kernel: PerAxis) -> Core {
        let (one, none) = (PerAxis::All(1), PerAxis::All(0));
        Core {
            name,
            rank,
            transposed,
            inputs,
            outputs,
            kernel,
            stride: one.clone(),
            padding: none.clone().into(),
            dilation: one,
            groups: 1,
            output_padding: none,
            mode: PaddingMode::Zeros,
            problem: None,
        }
    }

    /// The weight and the bias. Uniform in `[-b, b]` with `b = 1 / sqrt(fan_in)`, PyTorch's, whose transposed layers count the fan on axis 1 too.
    #[track_caller]
    fn parameters(&self) -> Result<(Param, Param)> {
        let kernel = self.kernel.resolve(self.rank, "kernel").map_err(|message| Error::argument(self.name, message))?;
        let (inputs, outputs, groups) = (self.inputs, self.outputs, self.groups);
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let message = format!("{inputs} channels in and {outputs} out do not both divide into {groups} groups");
            return Err(Error::argument(self.name, message));
        }
        if kernel.contains(&0) {
            return Err(Error::argument(self.name, format!("a kernel of sizes {kernel:?} has no elements")));
        }
        let (first, second) = if self.transposed { (inputs, outputs / groups) } else { (outputs, inputs / groups) };
        let shape: Shape = [first, second].into_iter().chain(kernel.iter().copied()).collect();
        let fan: f64 = shape[1..].iter().map(|&n| n as f64).product();
        let bound = if fan == 0.0 { 0.0 } else { 1.0 / fan.sqrt() };
        let weight = parameter(self.name, "weight", shape, init::uniform(-bound, bound))?;
        Ok((weight, parameter(self.name, "bias", [outputs], init::uniform(-bound, bound))?))
    }

    fn options(&self) -> ConvOptions {
        ConvOptions::new().stride(self.stride.clone()).dilation(self.dilation.clone()).groups(self.groups)
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, weight: &Tensor, bias: Option<Tensor>) -> Tensor {
        if let Some(error) = &self.problem {
            return Tensor::invalid(error.clone());
        }
        if let Err(error) = check_float(self.name, x) {
            return error;
        }
        if x.rank() != self.rank + 2 {
            let axes = if self.rank == 1 { "[batch, channels, length]" } else { "[batch, channels, height, width]" };
            return fail(self.name, format!("the input {} has {} axes, not {}: {axes}", x.shape(), x.rank(), self.rank + 2));
        }
        if x.shape()[1] != self.inputs {
            let found = x.shape()[1];
            return fail(self.name, format!("the layer takes {} channels; the input {} has {found} on axis 1", self.inputs, x.shape()));
        }
        if weight.rank() != self.rank + 2 {
            return fail(self.name, format!("the weight has been replaced by one of shape {}", weight.shape()));
        }
        let y = match (self.transposed, self.rank) {
            (false, _) => self.convolved(x, weight),
            (true, rank) => {
                let options = self.options().padding(self.padding.clone()).output_padding(self.output_padding.clone());
                if rank == 1 { x.conv_transpose1d(weight, &options) } else { x.conv_transpose2d(weight, &options) }
            }
        };
        match bias {
            Some(bias) if y.error().is_none() => {
                let mut shape = vec![1; self.rank + 1];
                shape[0] = bias.numel();
                y + bias.reshape(shape)
            }
            _ => y,
        }
    }

    #[track_caller]
    fn convolved(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        let mut options = self.options();
        let mut x = x.clone();
        if self.mode == PaddingMode::Zeros {
            options = options.padding(self.padding.clone());
        } else {
            let widths = match self.widths(weight) {
                Ok(widths) => widths,
                Err(message) => return fail(self.name, message),
            };
            x = match self.mode {
                PaddingMode::Zeros => x.pad(&widths, 0.0),
                PaddingMode::Reflect => x.pad_reflect(&widths),
                PaddingMode::Replicate => x.pad_replicate(&widths),
                PaddingMode::Circular => x.pad_circular(&widths),
            };
        }
        if self.rank == 1 { x.conv1d(weight, &options) } else { x.conv2d(weight, &options) }
    }

    /// How much is added before and after each axis of the input.
    fn widths(&self, weight: &Tensor) -> Result<Vec<(usize, usize)>, String> {
        let mut widths = vec![(0, 0); 2];
        match &self.padding {
            Padding::Explicit(each) => widths.extend(each.resolve(self.rank, "padding")?.into_iter().map(|n| (n, n))),
            Padding::Same => {
                let stride = self.stride.resolve(self.rank, "stride")?;
                if stride.iter().any(|&n| n != 1) {
                    return Err(format!("padding \"same\" needs stride 1, not {stride:?}"));
                }
                let dilation = self.dilation.resolve(self.rank, "dilation")?;
                let around =
                    weight.shape()[2..].iter().zip(dilation).map(|(kernel, dilation)| kernel.saturating_sub(1).saturating_mul(dilation));
                widths.extend(around.map(|n| (n / 2, n.div_ceil(2))));
            }
        }
        Ok(widths)
    }
}

macro_rules! layers {
    ($($(#[$doc:meta])* $layer:ident($rank:literal, $transposed:literal, $shape:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $layer {
            #[doc = $shape]
            pub weight: Param,
            /// `[out]`.
            pub bias: Option<Param>,
            core: Core,
        }

        impl $layer {
            /// A layer from `inputs` to `outputs` channels with a kernel of this size (one number, or one for each axis), stride 1 and no padding.
            #[track_caller]
            pub fn new(inputs: usize, outputs: usize, kernel: impl Into<PerAxis>) -> $layer {
                $layer::made(Core::new(stringify!($layer), $rank, $transposed, inputs, outputs, kernel.into()))
            }

            #[track_caller]
            fn made(mut core: Core) -> $layer {
                match core.parameters() {
                    Ok((weight, bias)) => {
                        core.problem = None;
                        $layer { weight, bias: Some(bias), core }
                    }
                    Err(error) => {
                        core.problem = Some(error);
                        $layer { weight: no_parameter("weight"), bias: None, core }
                    }
                }
            }

            /// How far the kernel moves from one result to the next.
            pub fn stride(mut self, stride: impl Into<PerAxis>) -> $layer {
                self.core.stride = stride.into();
                self
            }

            /// How far the elements of the kernel lie apart.
            pub fn dilation(mut self, dilation: impl Into<PerAxis>) -> $layer {
                self.core.dilation = dilation.into();
                self
            }

            /// With the channels divided into so many parts, each convolved by itself; as many as there are channels make a depthwise convolution.
            /// Parameters are made anew.
            #[track_caller]
            pub fn groups(mut self, groups: usize) -> $layer {
                self.core.groups = groups;
                let bias = self.bias.is_some() || self.core.problem.is_some();
                let made = $layer::made(self.core);
                if bias { made } else { made.without_bias() }
            }

            /// The layer with another initialisation of its weight.
            #[track_caller]
            pub fn init(mut self, weight: Init) -> $layer {
                self.weight = Param::new("weight", self.weight.shape(), weight);
                self
            }

            /// The layer with another initialisation of its bias, if it has one.
            #[track_caller]
            pub fn bias_init(mut self, bias: Init) -> $layer {
                if let Some(old) = &self.bias {
                    self.bias = Some(Param::new("bias", old.shape(), bias));
                }
                self
            }

            /// The layer without a bias.
            pub fn without_bias(mut self) -> $layer {
                self.bias = None;
                self
            }
        }

        impl Module for $layer {
            #[track_caller]
            fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
                self.core.forward(&mode.cast(x), &mode.cast(&self.weight), self.bias.as_ref().map(|bias| mode.cast(bias)))
            }

            fn parameters(&self) -> Vec<(String, Param)> {
                let weight = [("weight".to_string(), self.weight.clone())];
                weight.into_iter().chain(self.bias.iter().map(|bias| ("bias".to_string(), bias.clone()))).collect()
            }
        }
    )*};
}

layers! {
    /// Convolution over one axis: `[batch, in, length] -> [batch, out, length']`, with
    /// `length' = (length + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1`.
    ///
    /// Weight, bias and their initialisation (uniform in `[-1/sqrt(n), 1/sqrt(n)]` for `n` inputs of an output) are PyTorch's.
    Conv1d(1, false, "`[out, in / groups, kernel]`.");
    /// Convolution over two axes: `[batch, in, height, width] -> [batch, out, height', width']`, each as in [`Conv1d`].
    ///
    /// Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    Conv2d(2, false, "`[out, in / groups, kernel height, kernel width]`.");
    /// The transpose of [`Conv1d`]: `[batch, in, length] -> [batch, out, length']`, with
    /// `length' = (length - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`.
    ///
    /// Source: Zeiler et al., "Deconvolutional networks", CVPR 2010.
    ConvTranspose1d(1, true, "`[in, out / groups, kernel]`.");
    /// The transpose of [`Conv2d`]: `[batch, in, height, width] -> [batch, out, height', width']`, each as in [`ConvTranspose1d`].
    ConvTranspose2d(2, true, "`[in, out / groups, kernel height, kernel width]`.");
}

macro_rules! padded {
    ($($layer:ident),*) => {$(
        impl $layer {
            /// Elements on both sides of each axis (one number, or one for each axis), or `Padding::Same`, which makes the result as large as the input
            /// (stride 1 only; an even kernel has one element more after than before).
            pub fn padding(mut self, padding: impl Into<Padding>) -> $layer {
                self.core.padding = padding.into();
                self
            }

            /// What the padding is made of; zeros by default.
            pub fn padding_mode(mut self, mode: PaddingMode) -> $layer {
                self.core.mode = mode;
                self
            }
        }
    )*};
}
padded!(Conv1d, Conv2d);

macro_rules! transposed {
    ($($layer:ident),*) => {$(
        impl $layer {
            /// So many elements fewer on both sides of each axis of the result: the padding of the convolution that this is the transpose of.
            pub fn padding(mut self, padding: impl Into<PerAxis>) -> $layer {
                self.core.padding = Padding::Explicit(padding.into());
                self
            }

            /// So many elements more at the end of each axis, to choose among the sizes that a strided convolution maps to one.
            pub fn output_padding(mut self, output_padding: impl Into<PerAxis>) -> $layer {
                self.core.output_padding = output_padding.into();
                self
            }
        }
    )*};
}
transposed!(ConvTranspose1d, ConvTranspose2d);

//! Convolutions and pooling of drawn sizes, strides, paddings, dilations and groups: fused = unfused = oracle, values and gradients.

mod cases;
mod support;

use noyau::nn::{AvgPool2d, MaxPool2d, Mode, Module};
use noyau::tensor::gradients;
use noyau::{Array, ConvOptions, Param, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::agree::{GRADIENTS, agree, agree_on, config};
use support::gpus;

/// A parameter of random numbers from -1 to 1.
fn random(shape: &[usize], seed: u64) -> Param {
    let mut rng = StdRng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Param::from_array(format!("p{seed}"), Array::new(shape, &values).expect("as many as the shape has"))
}

/// The value, and the gradients of a weighted sum of it.
fn with_gradients(value: &Tensor, params: &[&Param]) -> Result<Vec<Tensor>, TestCaseError> {
    let weights = random(value.shape(), 99);
    let wrt: Vec<&Tensor> = params.iter().map(|p| p.tensor()).collect();
    let found = gradients(&(value * weights.tensor()).sum(), &wrt).map_err(|e| TestCaseError::fail(e.to_string()))?;
    Ok(std::iter::once(value.clone()).chain(found.into_iter().flatten()).collect())
}

/// One spatial axis of a convolution.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

fn axis() -> impl Strategy<Value = Axis> {
    (0usize..6, 1usize..4, 1usize..4, 0usize..4, 1usize..4).prop_map(|(more, kernel, stride, padding, dilation)| {
        // At least one window fits.
        let reach = (kernel - 1) * dilation + 1;
        Axis { size: (reach + more).saturating_sub(2 * padding).max(1), kernel, stride, padding, dilation }
    })
}

#[derive(Clone, Debug)]
struct Convolution {
    images: usize,
    groups: usize,
    inputs: usize,
    outputs: usize,
    axes: [Axis; 2],
    /// Along one axis or both.
    flat: bool,
    transposed: bool,
}

fn convolutions() -> impl Strategy<Value = Convolution> {
    let counts = (0usize..4, 1usize..4, 1usize..4, 1usize..4);
    (counts, [axis(), axis()], any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |((images, groups, inputs, outputs), axes, flat, transposed)| Convolution {
            images,
            groups,
            inputs,
            outputs,
            axes,
            flat,
            transposed,
        },
    )
}

impl Convolution {
    fn tensors(&self) -> Result<Vec<Tensor>, TestCaseError> {
        let axes = &self.axes[..if self.flat { 1 } else { 2 }];
        let each = |f: fn(&Axis) -> usize| axes.iter().map(f).collect::<Vec<usize>>();
        let (ci, co) = (self.groups * self.inputs, self.groups * self.outputs);
        let x = random(&[vec![self.images, ci], each(|a| a.size)].concat(), 1);
        let options = ConvOptions::new().stride(each(|a| a.stride)).dilation(each(|a| a.dilation)).groups(self.groups);
        let (w, y);
        if self.transposed {
            w = random(&[vec![ci, self.outputs], each(|a| a.kernel)].concat(), 2);
            // No more padding than leaves an element.
            let padding = each(|a| a.padding.min(((a.size - 1) * a.stride + (a.kernel - 1) * a.dilation) / 2));
            let options = options.padding(padding).output_padding(each(|a| a.stride.max(a.dilation) / 2));
            y = if self.flat { x.conv_transpose1d(&w, &options) } else { x.conv_transpose2d(&w, &options) };
        } else {
            w = random(&[vec![co, self.inputs], each(|a| a.kernel)].concat(), 2);
            let options = options.padding(each(|a| a.padding));
            y = if self.flat { x.conv1d(&w, &options) } else { x.conv2d(&w, &options) };
        }
        with_gradients(&y, &[&x, &w])
    }
}

#[derive(Clone, Debug)]
struct Pooling {
    images: usize,
    axes: [Axis; 2],
    ceil: bool,
    /// Whether padding counts in a mean; `None` for the largest instead.
    mean: Option<bool>,
}

fn poolings() -> impl Strategy<Value = Pooling> {
    let mean = prop::option::of(any::<bool>());
    (0usize..3, [axis(), axis()], any::<bool>(), mean).prop_map(|(images, axes, ceil, mean)| Pooling { images, axes, ceil, mean })
}

impl Pooling {
    fn tensors(&self) -> Result<Vec<Tensor>, TestCaseError> {
        let each = |f: fn(&Axis) -> usize| self.axes.map(|a| f(&a));
        // As PyTorch has it, padding is half a window at most.
        let sizes = each(|a| a.size.max((a.kernel - 1) * a.dilation + 1));
        let padding = each(|a| a.padding.min(a.kernel / 2));
        let x = random(&[self.images, 2, sizes[0], sizes[1]], 3);
        let y = match self.mean {
            Some(counted) => AvgPool2d::new(each(|a| a.kernel))
                .stride(each(|a| a.stride))
                .padding(padding)
                .ceil_mode(self.ceil)
                .count_include_pad(counted)
                .forward(&x, &Mode::train()),
            None => MaxPool2d::new(each(|a| a.kernel))
                .stride(each(|a| a.stride))
                .padding(padding)
                .dilation(each(|a| a.dilation))
                .ceil_mode(self.ceil)
                .forward(&x, &Mode::train()),
        };
        with_gradients(&y, &[&x])
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn convolutions_agree(convolution in convolutions()) {
        agree(&convolution.tensors()?.iter().collect::<Vec<_>>(), GRADIENTS)?;
    }

    #[test]
    fn poolings_agree(pooling in poolings()) {
        agree(&pooling.tensors()?.iter().collect::<Vec<_>>(), GRADIENTS)?;
    }
}

#[test]
fn convolutions_and_poolings_agree_on_gpus() {
    gpus::every(|gpu| {
        let mut runner = TestRunner::new(config(12));
        let both = (convolutions(), poolings());
        let outcome = runner.run(&both, |(convolution, pooling)| {
            let tensors = [convolution.tensors()?, pooling.tensors()?].concat();
            agree_on(&gpu.device, &tensors.iter().collect::<Vec<_>>(), GRADIENTS)
        });
        outcome.unwrap_or_else(|e| panic!("{}: {e}", gpu.name));
    });
}

//! Convolutions as matrix products that read their input through windows.
//!
//! No product reads windows that were written out: they are views, which the kernels follow (implicit matrix multiplication; Chetlur et al., "cuDNN:
//! efficient primitives for deep learning", 2014). Which axes become rows and columns depends on what the convolution is for:
//!
//! - Many results an image (forward, input gradient): for each image `[co, ci * k] x [ci * k, out]`, whose result lies in memory as `[n, co, out..]`,
//!   so that bias and activation ride on it.
//! - Few (a weight's gradient, whose "images" are channels and whose "results" are the kernel's elements): the images are columns too.
//! - One channel a group (depthwise): nothing to multiply matrices for; products and sums.
//!
//! Where the input has zeros between its elements (the gradient of a strided convolution, a transposed one), neighbouring results see different taps of
//! the kernel, and the same elements: they are made together, as channels (Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
//! 2016), and no zero is multiplied that the kernel's size does not ask for.

use noyau_tensor::{Conv, Error, Op, Result, Shape, Tensor};

use crate::{Graph, Node, NodeId};

/// Results an image from which each image is a product of its own.
const IMAGE: usize = 32;
/// Parts of a weight's gradient that are enough side by side, the least length of a part's sum, and the most results of all parts.
const PARTS: usize = 16;
const PART_SUM: usize = 1 << 10;
const PART_RESULTS: usize = 1 << 18;

/// The graph with every convolution written as views and a product. Weights' gradients sum over at most `longest` elements at a time, where the number of
/// images divides so: there are few of their results, and long sums are what there is to do side by side.
pub fn convolve(graph: &Graph, longest: usize) -> Result<Graph> {
    graph.try_rewrite(|out, node| match &node.op {
        Op::Conv(conv) => {
            let operand = |i: usize| Tensor::input(i, out.node(node.inputs[i]).shape.clone(), node.dtype);
            let result = product(conv, &operand(0), &operand(1), &node.shape, longest);
            splice(out, &node, &result)
        }
        _ => Ok(out.push(node)),
    })
}

/// Adds the nodes of an expression over a node's operands; the last one stands for the node.
pub(crate) fn splice(graph: &mut Graph, node: &Node, result: &Tensor) -> Result<NodeId> {
    if let Some(error) = result.error() {
        return Err(Error::Internal(format!("{} could not be written as other tensors: {error}", node.op)));
    }
    let mut ids: std::collections::HashMap<u64, NodeId> = std::collections::HashMap::new();
    for tensor in Tensor::topological(&[result]) {
        let id = match tensor.op() {
            Op::Input(i) => node.inputs[*i],
            Op::Detach => ids[&tensor.inputs()[0].id()],
            op => {
                let operands = tensor.inputs().iter().map(|t| ids[&t.id()]).collect();
                graph.push(Node {
                    op: op.clone(),
                    inputs: operands,
                    shape: tensor.shape().clone(),
                    dtype: tensor.dtype(),
                    location: node.location,
                })
            }
        };
        ids.insert(tensor.id(), id);
    }
    Ok(ids[&result.id()])
}

/// `x` `[n, groups * ci, size..]` convolved with `w` `[groups * co, ci, kernel..]`.
fn product(conv: &Conv, x: &Tensor, w: &Tensor, shape: &Shape, longest: usize) -> Tensor {
    let rank = conv.stride.len();
    if shape.numel() == 0 || x.numel() == 0 {
        return x.full_like(0.0).sum().expand(shape.clone());
    }
    if let Some(phases) = Phases::new(conv, x.shape(), w.shape(), shape) {
        return phases.product(conv, x, w, shape, longest);
    }
    let (n, groups, ci) = (x.shape()[0], conv.groups, w.shape()[1]);
    let co = w.shape()[0] / groups;
    let (out, kernel) = (shape[2..].to_vec(), w.shape()[2..].to_vec());
    let (results, taps): (usize, usize) = (out.iter().product(), kernel.iter().product());
    let windows = windows(conv, x, &kernel);
    // The axes of `[n, groups, ci, out.., kernel..]`.
    let split: Shape = [n, groups, ci].into_iter().chain(out.iter().copied()).chain(kernel.iter().copied()).collect();
    let windows = windows.reshape(split);
    let outs = 3..3 + rank as isize;
    let ks = 3 + rank as isize..3 + 2 * rank as isize;
    if co == 1 && groups > 1 {
        let kernels: Shape = [1, groups, ci].into_iter().chain(vec![1; rank]).chain(kernel.iter().copied()).collect();
        let summed: Vec<isize> = [2].into_iter().chain(ks).collect();
        return (windows * w.reshape(kernels)).sum_axes(&summed).reshape(shape.clone());
    }
    if results >= IMAGE {
        let axes: Vec<isize> = [0, 1, 2].into_iter().chain(ks).chain(outs).collect();
        let columns = windows.permute(&axes).reshape([n, groups, ci * taps, results]);
        return w.reshape([1, groups, co, ci * taps]).matmul(&columns).reshape(shape.clone());
    }
    // The summed channels (a weight's gradient: images) in parts.
    let least = (ci * taps).div_ceil(longest.max(1));
    let worth = (ci * taps / PART_SUM).min(PART_RESULTS / (groups * co * n * results)).min(if taps > results { PARTS } else { 1 });
    let mut parts = (least..=worth.min(ci)).rev().chain(least..=ci).filter(|parts| ci.is_multiple_of(*parts));
    let parts = parts.next().unwrap_or(1);
    let sizes = windows.shape().to_vec();
    let windows = windows.reshape([&[n, groups, parts, ci / parts], &sizes[3..]].concat());
    let after = |axes: std::ops::Range<isize>| axes.start + 1..axes.end + 1;
    let axes: Vec<isize> = [1, 2, 3].into_iter().chain(after(ks)).chain([0]).chain(after(outs)).collect();
    let columns = windows.permute(&axes).reshape([groups, parts, ci / parts * taps, n * results]);
    let rows = w.reshape([groups, co, parts, ci / parts * taps]).transpose(1, 2);
    let product = rows.matmul(&columns).sum_axes(&[1]);
    product.reshape([groups, co, n, results]).permute(&[2, 0, 1, 3]).reshape(shape.clone())
}

/// `[n, channels, size..]` as `[n, channels, out.., kernel..]`.
fn windows(conv: &Conv, x: &Tensor, kernel: &[usize]) -> Tensor {
    let rank = conv.stride.len();
    let spread = (0..rank).fold(x.clone(), |x, i| x.spread(i + 2, conv.input_dilation[i]));
    let widths: Vec<(usize, usize)> = [(0, 0), (0, 0)]
        .into_iter()
        .chain(conv.padding.iter().map(|&(before, after)| (before.max(0) as usize, after.max(0) as usize)))
        .collect();
    let padded = spread.pad(&widths, 0.0);
    let cut = (0..rank).fold(padded, |x, i| {
        let (before, after) = conv.padding[i];
        let end = x.shape()[i + 2] - after.min(0).unsigned_abs();
        x.slice(i as isize + 2, before.min(0).unsigned_abs()..end)
    });
    (0..rank).fold(cut, |x, i| x.unfold_dilated(i as isize + 2, kernel[i], conv.stride[i], conv.dilation[i]))
}

/// How results are made along an axis where the input has zeros between its elements: `step` of them together, from the same `taps` elements.
///
/// With `y[o] = sum over k of x[(o + k - before) / step] * w[k]`, where that divides: for result `o = step * m + r` and element `m + j - shift` of the
/// input the tap is `k = step * (j - shift) + before - r`. With step 1 that is the convolution as it was.
struct Phase {
    step: usize,
    taps: usize,
    /// Zeros before and after the kernel's taps, with which it has `step` taps for each element.
    zeros: (usize, usize),
    /// How often `step` results are made.
    count: usize,
    /// What is around the input then.
    padding: (isize, isize),
}

impl Phase {
    fn new(conv: &Conv, axis: usize, input: usize, kernel: usize, out: usize) -> Phase {
        let (step, padding) = (conv.input_dilation[axis], conv.padding[axis]);
        let shift = padding.0.div_euclid(step as isize);
        let front = step - 1 - padding.0.rem_euclid(step as isize) as usize;
        let taps = (front + kernel).div_ceil(step);
        let count = out.div_ceil(step);
        let after = (count + taps) as isize - 1 - input as isize - shift;
        let padding = if step == 1 { padding } else { (shift, after) };
        Phase { step, taps, zeros: (front, taps * step - front - kernel), count, padding }
    }
}

struct Phases(Vec<Phase>);

impl Phases {
    /// `None` where no axis has zeros between its elements, or one that has them is also walked in strides or by a kernel with gaps.
    fn new(conv: &Conv, x: &Shape, w: &Shape, result: &Shape) -> Option<Phases> {
        let rank = conv.stride.len();
        let simple = |i: usize| conv.input_dilation[i] == 1 || (conv.stride[i] == 1 && conv.dilation[i] == 1);
        if conv.input_dilation.iter().all(|&step| step == 1) || !(0..rank).all(simple) {
            return None;
        }
        Some(Phases((0..rank).map(|i| Phase::new(conv, i, x[i + 2], w[i + 2], result[i + 2])).collect()))
    }

    /// Two sizes, then some for each axis.
    fn shape<const N: usize>(&self, first: [usize; 2], of_axis: impl Fn(&Phase) -> [usize; N]) -> Shape {
        first.into_iter().chain(self.0.iter().flat_map(of_axis)).collect()
    }

    fn product(&self, conv: &Conv, x: &Tensor, w: &Tensor, shape: &Shape, longest: usize) -> Tensor {
        let (n, channels, ci) = (shape[0], shape[1], w.shape()[1]);
        let axes = 0..self.0.len() as isize;
        let steps: usize = conv.input_dilation.iter().product();
        // The kernel: a channel for each of the results that are made together.
        let widths: Vec<(usize, usize)> = [(0, 0); 2].into_iter().chain(self.0.iter().map(|p| p.zeros)).collect();
        let phases: Vec<isize> = axes.clone().map(|i| 3 + 2 * i).collect();
        let order: Vec<isize> = [0].into_iter().chain(phases.iter().copied()).chain([1]).chain(phases.iter().map(|i| i - 1)).collect();
        let kernel = w.pad(&widths, 0.0).reshape(self.shape([channels, ci], |p| [p.taps, p.step])).flip(&phases).permute(&order);
        let kernel = kernel.reshape(self.shape([channels * steps, ci], |p| [p.taps]));
        // The convolution without zeros in its input.
        let inner = Conv { padding: self.0.iter().map(|p| p.padding).collect(), input_dilation: vec![1; self.0.len()], ..conv.clone() };
        let made = product(&inner, x, &kernel, &self.shape([n, channels * steps], |p| [p.count]), longest);
        // Each channel's results back to where they belong.
        let apart = [n, channels].into_iter().chain(conv.input_dilation.iter().copied()).chain(self.0.iter().map(|p| p.count));
        let order: Vec<isize> = [0, 1].into_iter().chain(axes.clone().flat_map(|i| [2 + axes.end + i, 2 + i])).collect();
        let whole = made.reshape(apart.collect::<Shape>()).permute(&order).reshape(self.shape([n, channels], |p| [p.count * p.step]));
        axes.fold(whole, |y, i| y.slice(i + 2, ..shape[i as usize + 2]))
    }
}

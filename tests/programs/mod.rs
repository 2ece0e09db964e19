//! Random short programs: a list of numbers, each of which makes one more tensor of those that are there.
//!
//! Every list is a program, whatever its numbers, so that a failing one can be shortened number by number. All values stay within -1..1 and no
//! function amplifies an error, so that a device's distance from the oracle is a few roundings an operation.

use noyau::tensor::{concat, stack};
use noyau::{Array, ConvOptions, DType, Param, Shape, Tensor};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The most elements of a tensor in a program.
const MOST: usize = 600;

/// A program as numbers: the parameters' shapes, and what to do.
#[derive(Clone, Debug)]
pub struct Program {
    pub shapes: Vec<Vec<usize>>,
    pub steps: Vec<[u8; 4]>,
    /// Without functions that have kinks.
    pub smooth: bool,
}

/// Programs of up to so many steps.
pub fn programs(steps: usize, smooth: bool) -> impl Strategy<Value = Program> {
    let shapes = prop::collection::vec(prop::collection::vec(1usize..5, 0..4), 1..4);
    (shapes, prop::collection::vec(any::<[u8; 4]>(), 1..=steps)).prop_map(move |(shapes, steps)| Program { shapes, steps, smooth })
}

/// A program's parameters and the tensors that it ends with: all that nothing else uses.
pub struct Written {
    pub params: Vec<Param>,
    pub results: Vec<Tensor>,
}

impl Program {
    /// The expressions.
    pub fn write(&self) -> Written {
        let mut rng = StdRng::seed_from_u64(self.steps.len() as u64);
        let mut params = Vec::new();
        for (i, shape) in self.shapes.iter().enumerate() {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
            params.push(Param::from_array(format!("p{i}"), Array::new(shape.clone(), &values).expect("as many as the shape has")));
        }
        let mut pool: Vec<Tensor> = params.iter().map(|p| p.tensor().clone()).collect();
        let mut used = vec![false; pool.len()];
        for step in &self.steps {
            let [op, a, b, detail] = step.map(usize::from);
            let (a, b) = (a % pool.len(), b % pool.len());
            let made = self.apply(op, &pool[a], &pool[b], detail);
            if made.numel() > MOST {
                continue;
            }
            used[a] = true;
            pool.push(made);
            used.push(false);
        }
        let results = pool.iter().zip(used).filter(|(_, used)| !used).map(|(t, _)| t.clone()).collect();
        Written { params, results }
    }

    fn apply(&self, op: usize, x: &Tensor, y: &Tensor, detail: usize) -> Tensor {
        let axis = if x.rank() == 0 { 0 } else { detail % x.rank() };
        let signed = axis as isize;
        let size = x.shape().get(axis).copied().unwrap_or(1);
        // With no axis to work on, one is made.
        let with_axis = || if x.rank() == 0 { x.unsqueeze(0) } else { x.clone() };
        match op % 30 {
            0 => x.tanh(),
            1 => x.sin(),
            2 => -x,
            3 => x * 0.5 + 0.25,
            4 => (x * x - 1.0) * 0.5,
            5 => meet(x, y, |x, y| (x + y) * 0.5),
            6 => meet(x, y, |x, y| x * y),
            7 => meet(x, y, |x, y| (x - y) * 0.5),
            8 => with_axis().mean_axes(&[signed]),
            9 => with_axis().sum_keep(&[signed]) * (1.0 / size as f32),
            10 => with_axis().softmax(signed),
            11 => {
                let axes: Vec<isize> = (0..x.rank()).map(|i| ((i + 1 + detail) % x.rank()) as isize).collect();
                x.permute(&axes)
            }
            12 => x.reshape(regrouped(x.shape(), detail)),
            13 => with_axis().flip(&[signed]),
            14 => with_axis().slice_step(
                signed,
                detail / 16 % size..,
                if detail % 32 < 16 { 1 + (detail % 3) as isize } else { -1 - (detail % 3) as isize },
            ),
            15 => {
                let widths: Vec<(usize, usize)> =
                    (0..x.rank()).map(|i| if i == axis { (detail / 4 % 3, detail / 16 % 3) } else { (0, 0) }).collect();
                x.pad(&widths, if detail.is_multiple_of(2) { 0.0 } else { -0.5 })
            }
            16 => x.unsqueeze(signed).expand({
                let mut shape = x.shape().to_vec();
                shape.insert(axis, 1 + detail / 8 % 3);
                shape
            }),
            17 => concat(&[&with_axis(), &with_axis().flip(&[signed])], signed),
            18 => stack(&[x, &(x * 0.5)], signed),
            19 => {
                let m = x.reshape([x.numel() / size, size]);
                m.matmul(&m.t()) * (1.0 / size as f32)
            }
            20 => {
                let index: Vec<u32> = (0..3).map(|i| ((detail >> i) % (size + 1)) as u32).collect();
                with_axis().index_select(signed, &Tensor::new(&index, [3]))
            }
            21 => {
                let x = with_axis();
                Tensor::iota(x.shape(), signed).lt((detail % 5) as u32).where_(&x, x.tanh())
            }
            24 => {
                // Each row of the last axis by itself, a filter made of the other tensor.
                let (x, y) = (
                    if x.rank() == 0 { x.reshape([1, 1, 1]) } else { x.reshape([1, x.numel() / last(x), last(x)]) },
                    y.reshape([y.numel()]),
                );
                let (rows, width) = (x.shape()[1], x.shape()[2]);
                let k = width.min(y.numel()).min(1 + detail % 3);
                let filter = y.slice(0, ..k).reshape([1, 1, k]).expand([rows, 1, k]);
                let options = ConvOptions::new().groups(rows).padding(detail / 3 % 3).stride(1 + detail / 9 % 3);
                x.conv1d(&filter, &options) * (1.0 / k as f32)
            }
            25 => {
                // All rows into each of two channels.
                let m = x.reshape([1, x.numel() / size, size]);
                let filter = stack(&[&m, &m.flip(&[1])], 0).reshape([2, x.numel() / size, size]);
                m.conv1d(&filter, &ConvOptions::new().padding(size / 2).dilation(1 + detail % 2)) * (1.0 / x.numel() as f32)
            }
            26 => {
                // Two thirds of the places get what others have, and one place beyond the end gets nothing.
                let x = with_axis();
                let index = Tensor::iota(x.shape(), signed) * 3u32 % (size as u32 + 1);
                (&x + Tensor::zeros(x.shape()).scatter_add(signed, &index, &x) * (1.0 / 3.0)) * 0.5
            }
            27 => with_axis().cumsum(signed) * (1.0 / size as f32),
            28 if !self.smooth => with_axis().sort(signed, detail.is_multiple_of(2)).0,
            29 => x.unsqueeze(-1).repeat_interleave(1 + detail % 2, -1).mean_axes(&[-1]),
            22 if !self.smooth => with_axis().max(&[signed]),
            23 if !self.smooth => meet(&x.relu(), &y.abs(), |x, y| x.minimum(y)),
            _ => x.cos() * 0.5,
        }
    }
}

/// The size of the last axis, 1 if there is none.
fn last(x: &Tensor) -> usize {
    x.shape().last().copied().unwrap_or(1)
}

/// Joins two tensors by a function of each element: as they are where they broadcast, else the first with the mean of the second.
fn meet(x: &Tensor, y: &Tensor, join: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    if x.shape().broadcast(y.shape()).is_some() { join(x, y) } else { join(x, &y.mean()) }
}

/// Another shape of as many elements: neighbouring axes merged, or one of them cut in two.
fn regrouped(shape: &Shape, detail: usize) -> Vec<usize> {
    let mut sizes = shape.to_vec();
    if sizes.len() >= 2 && detail.is_multiple_of(2) {
        let at = detail / 2 % (sizes.len() - 1);
        let second = sizes.remove(at + 1);
        sizes[at] *= second;
    } else if let Some(at) = sizes.iter().position(|&size| size > 1) {
        let size = sizes[at];
        let part = (2..=size).find(|&part| size.is_multiple_of(part)).unwrap_or(size);
        sizes[at] = size / part;
        sizes.insert(at + 1, part);
    }
    sizes
}

/// The sum of a program's results, each with weights from -1 to 1: what gradients are taken of.
pub fn loss_of(results: &[Tensor]) -> Tensor {
    let part = |t: &Tensor| {
        let weights = (Tensor::arange(t.numel()) % 7u32).to(DType::F32) * (1.0 / 3.0) - 1.0;
        (t * weights.reshape(t.shape())).mean()
    };
    results.iter().map(part).reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from(0.0f32))
}

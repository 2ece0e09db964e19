//! Every variant of the matrix product, with all transposes and awkward sizes, on every adapter.

mod support;

use noyau_compile::Index;
use noyau_compile::plan::{Bound, Digit, Instr, KernelKind, Level, Matmul, Matrix};
use noyau_gpu::{Gpu, Tile, Tuning, Variant};
use noyau_tensor::DType;
use support::{BodyBuilder, Builder, check, gpus, noise_array};

fn product(gpu: &Gpu, sizes: [usize; 4], ta: bool, tb: bool, variant: Option<Variant>) {
    let [batch, m, n, k] = sizes;
    let mut builder = Builder::default();
    let (shape_a, shape_b) =
        ([batch, if ta { k } else { m }, if ta { m } else { k }], [batch, if tb { n } else { k }, if tb { k } else { n }]);
    let a = builder.input(&shape_a, DType::F32);
    let b = builder.input(&shape_b, DType::F32);
    let out = builder.slot(&[batch, m, n], DType::F32);
    builder.matmul(out, (a, ta), (b, tb), sizes);
    builder.output(out);
    let tuning = Tuning { matmul: variant, merge: Some(false), ..Tuning::default() };
    // f32 sums of k products in [-1, 1] against f64's.
    check(gpu, &builder.finish(), &[noise_array(&shape_a, 1), noise_array(&shape_b, 2)], &tuning, 2e-6 * (k as f64).sqrt().max(1.0));
}

/// `[co, ci * 9] x [ci * 9, out]` over images of `[ci, 7, 9]` padded by 1, the windows read in place; and, with `turned`, windows as the left operand.
fn convolution(gpu: &Gpu, ci: usize, co: usize, stride: usize, turned: bool, variant: Option<Variant>) {
    let (n, h, w) = (2, 7, 9);
    let (oh, ow) = ((h - 1) / stride + 1, (w - 1) / stride + 1);
    let (k, out) = (ci * 9, oh * ow);
    let mut builder = Builder::default();
    let image = builder.input(&[n, ci, h, w], DType::F32);
    let weight = builder.input(&[co, k], DType::F32);
    let digit = |size: usize, stride: usize, y: isize, x: isize| Digit { size, stride: stride as isize, steps: vec![y, x] };
    let taps = vec![digit(ci, h * w, 0, 0), digit(3, w, 1, 0), digit(3, 1, 0, 1)];
    let places = vec![digit(oh, stride * w, stride as isize, 0), digit(ow, stride, 0, stride as isize)];
    let windows = |rows: &[Digit], columns: &[Digit]| Matrix {
        buffer: image,
        offset: -(w as isize) - 1,
        batch: vec![digit(n, ci * h * w, 0, 0)],
        rows: rows.to_vec(),
        columns: columns.to_vec(),
        bounds: vec![Bound { start: -1, size: h, stride: w as isize }, Bound { start: -1, size: w, stride: 1 }],
    };
    let (m, cols) = if turned { (out, co) } else { (co, out) };
    let target = builder.slot(&[n, m, cols], DType::F32);
    let weights = if turned {
        Matrix::strided(weight, 0, &[(n, 0)], (k, 1), (co, k))
    } else {
        Matrix::strided(weight, 0, &[(n, 0)], (co, k), (k, 1))
    };
    let (a, b) = if turned { (windows(&places, &taps), weights) } else { (weights, windows(&taps, &places)) };
    let mut body = BodyBuilder::default();
    let product = body.push(Instr::Product, DType::F32, Level::Outer);
    body.store(product, target, Index::identity(&[n, m, cols]));
    builder.kernel("conv", KernelKind::Matmul(Matmul { batch: vec![n], m, n: cols, k, a, b, body: body.body }));
    builder.output(target);
    let tuning = Tuning { matmul: variant, merge: Some(false), ..Tuning::default() };
    let inputs = [noise_array(&[n, ci, h, w], 3), noise_array(&[co, k], 4)];
    check(gpu, &builder.finish(), &inputs, &tuning, 2e-6 * (k as f64).sqrt());
}

/// Images read through windows, from either side, by every variant.
#[test]
fn every_variant_through_windows() {
    for gpu in gpus() {
        for variant in variants(&gpu).into_iter().map(Some).chain([None]) {
            for (ci, co, stride) in [(3, 5, 1), (8, 32, 1), (1, 70, 2)] {
                convolution(&gpu, ci, co, stride, false, variant);
                convolution(&gpu, ci, co, stride, true, variant);
            }
        }
    }
}

/// All that the device has, but for those that only f16 can use.
fn variants(gpu: &Gpu) -> Vec<Variant> {
    gpu.variants().into_iter().filter(|variant| !matches!(variant, Variant::Coop { .. })).collect()
}

#[test]
fn every_variant_transposed_and_odd() {
    for gpu in gpus() {
        for variant in variants(&gpu) {
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                for sizes in [[1, 33, 17, 7], [2, 65, 70, 36], [1, 64, 64, 32], [3, 1, 5, 2], [1, 4, 132, 20]] {
                    product(&gpu, sizes, ta, tb, Some(variant));
                }
            }
        }
    }
}

#[test]
fn large_and_long() {
    for gpu in gpus() {
        for variant in [None, Some(Variant::Tiled(Tile::new(128, 128))), Some(Variant::Registers { rows: 4, columns: 4 })] {
            product(&gpu, [1, 130, 140, 300], false, false, variant);
            product(&gpu, [1, 256, 128, 64], false, true, variant);
        }
        // Longer than one invocation may loop, if it went step by step.
        product(&gpu, [1, 3, 5, 20_000], false, false, None);
        product(&gpu, [1, 3, 5, 20_000], true, false, Some(Variant::Registers { rows: 2, columns: 2 }));
        product(&gpu, [1, 40, 40, 20_000], true, false, None);
    }
}

/// Buffers of their own, bound as vec4s where the variant reads so, with tiles that stick out of the product.
#[test]
fn four_at_a_time() {
    for gpu in gpus() {
        for variant in variants(&gpu) {
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                product(&gpu, [1, 132, 140, 260], ta, tb, Some(variant));
            }
        }
    }
}

#[test]
fn nothing_to_sum_and_nothing_to_make() {
    for gpu in gpus() {
        for variant in variants(&gpu).into_iter().map(Some).chain([None]) {
            product(&gpu, [1, 5, 6, 0], false, false, variant);
            product(&gpu, [1, 0, 6, 4], false, false, variant);
            product(&gpu, [1, 1, 1, 1], true, true, variant);
        }
    }
}

//! What composed operations are, against plain loops and known numbers: the case list checks that devices agree on a composition, this
//! checks that it is the right one.

mod cases;
mod support;

use noyau::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::values::{close, eval, f64s, param};

/// Floats with ties, zeros of both signs, infinities and NaN.
fn odd(rng: &mut StdRng, n: usize) -> Vec<f32> {
    let some = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0, -1.0, f32::MAX, f32::MIN];
    (0..n)
        .map(|_| if rng.random_bool(0.4) { some[rng.random_range(0..some.len())] } else { rng.random_range(-9.0f32..9.0).round() })
        .collect()
}

/// The stable order of a slice as PyTorch has it: NaN is larger than every number.
fn order(x: &[f32], descending: bool) -> Vec<usize> {
    let mut places: Vec<usize> = (0..x.len()).collect();
    let compare = |a: f32, b: f32| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    places.sort_by(|&i, &j| if descending { compare(x[j], x[i]) } else { compare(x[i], x[j]) });
    places
}

#[test]
fn sorting_is_stable_and_puts_nan_last() {
    let mut rng = StdRng::seed_from_u64(1);
    for n in [1, 2, 3, 31, 63, 64, 65, 66, 98, 127, 128, 129, 130, 250, 255, 256, 257, 300, 511, 700, 1025, 5000] {
        let values = odd(&mut rng, 2 * n);
        let x = param(&[2, n], &values);
        for descending in [false, true] {
            let (sorted, places) = x.sort(1, descending);
            let expected: Vec<usize> = values.chunks(n).flat_map(|row| order(row, descending)).collect();
            assert_eq!(f64s(&places), expected.iter().map(|&i| i as f64).collect::<Vec<_>>(), "{n} {descending}");
            let expected: Vec<f64> = expected.iter().enumerate().map(|(k, &i)| f64::from(values[k / n * n + i])).collect();
            close(&sorted, &expected, 0.0);
            // Runs of which little, some and everything is kept.
            for k in [1, 10.min(n), n.div_ceil(3), n] {
                let top = f64s(&x.topk(k, 1, descending).1);
                let expected: Vec<f64> = values.chunks(n).flat_map(|row| order(row, descending)[..k].to_vec()).map(|i| i as f64).collect();
                assert_eq!(top, expected, "top {k} of {n}");
            }
            let k = n.div_ceil(3);
            let expected: Vec<f64> = values.chunks(n).map(|row| order(row, false)[k - 1] as f64).collect();
            assert_eq!(f64s(&x.kthvalue(k, 1).1), expected, "number {k} of {n}");
        }
    }
    // Integers at the ends of their range, over several runs.
    let values: Vec<i32> = (0..1000).map(|i| [i32::MAX, i32::MIN, 5, -5][i % 4] ^ i32::from(i % 7 == 0)).collect();
    let mut expected = values.clone();
    expected.sort_unstable();
    let found = eval(&Tensor::new(&values, [1000]).sort(0, false).0).to_vec::<i32>().expect("i32");
    assert_eq!(found, expected);
    expected.reverse();
    assert_eq!(eval(&Tensor::new(&values, [1000]).sort(0, true).0).to_vec::<i32>().expect("i32"), expected);
}

#[test]
fn what_is_made_of_the_order() {
    let nan = f32::NAN;
    let x = param(&[2, 4], &[3.0, 1.0, 2.0, 2.0, 5.0, nan, 4.0, 9.0]);
    let (median, place) = x.median(1);
    close(&median, &[2.0, f64::NAN], 0.0);
    assert_eq!(f64s(&place), [2.0, 1.0]);
    let (second, place) = x.kthvalue(2, 1);
    close(&second, &[2.0, 5.0], 0.0);
    assert_eq!(f64s(&place), [2.0, 0.0]);
    close(&x.quantile(0.5, 1), &[2.0, f64::NAN], 0.0);
    close(&param(&[4], &[1.0, 2.0, 3.0, 4.0]).quantile(0.4, 0), &[2.2], 1e-6);
    let edges = Tensor::from([1.0f32, 3.0, 3.0, 5.0]);
    let values = Tensor::from([0.0f32, 1.0, 3.0, 4.0, 9.0]);
    assert_eq!(f64s(&edges.searchsorted(&values, false)), [0.0, 0.0, 1.0, 3.0, 4.0]);
    assert_eq!(f64s(&edges.searchsorted(&values, true)), [0.0, 1.0, 3.0, 3.0, 4.0]);
    let mut drawn = f64s(&Tensor::randperm(1000));
    assert_ne!(drawn[..5], [0.0, 1.0, 2.0, 3.0, 4.0]);
    drawn.sort_by(f64::total_cmp);
    assert!(drawn.iter().enumerate().all(|(i, &v)| v == i as f64));
}

#[test]
fn scans_are_running_totals() {
    let mut rng = StdRng::seed_from_u64(2);
    for n in [1, 15, 16, 17, 256, 257, 1000, 5000] {
        let values: Vec<f32> = (0..n).map(|_| rng.random_range(0.5f32..1.5)).collect();
        let x = param(&[n], &values);
        let scan = |mut f: Box<dyn FnMut(f64, f64) -> f64>, start: f64| -> Vec<f64> {
            values
                .iter()
                .scan(start, |sum, &v| {
                    *sum = f(*sum, f64::from(v));
                    Some(*sum)
                })
                .collect()
        };
        close(&x.cumsum(0), &scan(Box::new(|a, b| a + b), 0.0), 1e-6);
        close(&x.logcumsumexp(0), &scan(Box::new(|a, b| a + b.exp()), 0.0).iter().map(|s| s.ln()).collect::<Vec<_>>(), 2e-6);
        if n < 100 {
            close(&x.cumprod(0), &scan(Box::new(|a, b| a * b), 1.0), 1e-5);
        }
        close(&x.cummax(0).0, &scan(Box::new(f64::max), f64::NEG_INFINITY), 0.0);
        close(&x.cummin(0).0, &scan(Box::new(f64::min), f64::INFINITY), 0.0);
    }
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let x = param(&[7], &[-inf, 2.0, 2.0, 1.0, nan, 9.0, nan]);
    close(&x.cummax(0).0, &[f64::NEG_INFINITY, 2.0, 2.0, 2.0, f64::NAN, f64::NAN, f64::NAN], 0.0);
    assert_eq!(f64s(&x.cummax(0).1), [0.0, 1.0, 2.0, 2.0, 4.0, 4.0, 6.0]);
    close(&param(&[4], &[1.0, 2.0, nan, 3.0]).cumsum(0), &[1.0, 3.0, f64::NAN, f64::NAN], 0.0);
    close(&param(&[3], &[-inf, -inf, 0.0]).logcumsumexp(0), &[f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0], 0.0);
}

/// The docstring's bound, with numbers that a running f32 sum gets wrong by far more.
#[test]
fn a_million_are_added_within_the_bound() {
    let n = 1_000_000;
    let sums = f64s(&param(&[1], &[0.1]).expand([n]).cumsum(0));
    let worst = sums.iter().enumerate().map(|(i, &s)| (s / ((i + 1) as f64 * f64::from(0.1f32)) - 1.0).abs()).fold(0.0, f64::max);
    assert!(worst < 80.0 / f64::from(1 << 24), "{worst:e}");
    let mut running = 0.0f32;
    (0..n).for_each(|_| running += 0.1);
    assert!((f64::from(running) / (n as f64 * f64::from(0.1f32)) - 1.0).abs() > 100.0 * worst);
}

/// An equation without an ellipsis, by a loop over every value of every letter.
fn by_loops(equation: &str, operands: &[(Vec<usize>, Vec<f64>)]) -> Vec<f64> {
    let (left, right) = equation.split_once("->").expect("explicit");
    let parts: Vec<Vec<char>> = left.split(',').map(|p| p.chars().collect()).collect();
    let mut letters: Vec<char> = right.chars().collect();
    letters.extend(parts.iter().flatten().filter(|c| !right.contains(**c)));
    let mut unique: Vec<char> = Vec::new();
    letters.into_iter().for_each(|c| {
        if !unique.contains(&c) {
            unique.push(c)
        }
    });
    let size = |c: char| {
        let named = parts.iter().zip(operands).flat_map(|(p, (shape, _))| p.iter().zip(shape));
        named.filter(|(d, _)| **d == c).map(|(_, &size)| size).max().expect("named")
    };
    let sizes: Vec<usize> = unique.iter().map(|&c| size(c)).collect();
    let outer: usize = sizes[..right.len()].iter().product();
    let inner: usize = sizes[right.len()..].iter().product();
    let mut result = vec![0.0; outer];
    for place in 0..outer * inner {
        let mut rest = place;
        let mut at = vec![0; sizes.len()];
        for i in (0..sizes.len()).rev() {
            at[i] = rest % sizes[i];
            rest /= sizes[i];
        }
        let product: f64 = parts
            .iter()
            .zip(operands)
            .map(|(part, (shape, data))| {
                data[part.iter().zip(shape).fold(0, |index, (c, &d)| {
                    let i = at[unique.iter().position(|u| u == c).expect("known")];
                    index * d + if d == 1 { 0 } else { i }
                })]
            })
            .product();
        result[place / inner] += product;
    }
    result
}

#[test]
fn einsum_is_its_definition() {
    let mut rng = StdRng::seed_from_u64(3);
    let equations: [(&str, &[&[usize]]); 22] = [
        ("ij->ji", &[&[3, 4]]),
        ("ij->", &[&[3, 4]]),
        ("ii->i", &[&[4, 4]]),
        ("ii->", &[&[4, 4]]),
        ("iij->j", &[&[3, 3, 4]]),
        ("iijj->ji", &[&[2, 2, 3, 3]]),
        ("ijik->kj", &[&[3, 2, 3, 4]]),
        ("i,i->", &[&[5], &[5]]),
        ("i,j->ji", &[&[5], &[3]]),
        ("ij,jk->ik", &[&[3, 4], &[4, 2]]),
        ("ij,jk->ki", &[&[3, 4], &[4, 2]]),
        ("ij,jk->ijk", &[&[3, 4], &[4, 2]]),
        ("ij,ik->i", &[&[3, 4], &[3, 2]]),
        ("abc,cbd->dab", &[&[2, 3, 4], &[4, 3, 5]]),
        ("bqhd,bkhd->bhqk", &[&[2, 3, 2, 4], &[2, 5, 2, 4]]),
        ("bhqk,bkhd->bqhd", &[&[2, 2, 3, 5], &[2, 5, 2, 4]]),
        ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
        ("bn,anm,bm->ba", &[&[2, 3], &[4, 3, 2], &[2, 2]]),
        ("ijk,ilm,njm,nlk->", &[&[2, 3, 2], &[2, 2, 3], &[2, 3, 3], &[2, 2, 2]]),
        ("ij,jk->ik", &[&[3, 1], &[4, 2]]),
        ("ij,ij,ij->j", &[&[3, 4], &[3, 4], &[3, 4]]),
        ("ii,jj->ij", &[&[2, 2], &[3, 3]]),
    ];
    for (equation, shapes) in equations {
        let data: Vec<(Vec<usize>, Vec<f32>)> =
            shapes.iter().map(|s| (s.to_vec(), (0..s.iter().product()).map(|_| rng.random_range(0.5f32..2.0)).collect())).collect();
        let tensors: Vec<Tensor> = data.iter().map(|(shape, values)| param(shape, values)).collect();
        let expected =
            by_loops(equation, &data.iter().map(|(s, v)| (s.clone(), v.iter().map(|&x| x.into()).collect())).collect::<Vec<_>>());
        close(&einsum(equation, &tensors.iter().collect::<Vec<_>>()), &expected, 1e-6);
    }
    let (a, b) = (
        param(&[2, 1, 3, 4], &(0..24).map(|i| i as f32).collect::<Vec<_>>()),
        param(&[5, 4, 2], &(0..40).map(|i| i as f32).collect::<Vec<_>>()),
    );
    let product = einsum("...ij,...jk->...ik", &[&a, &b]);
    assert_eq!(product.shape()[..], [2, 5, 3, 2]);
    close(&product, &f64s(&a.matmul(&b)), 1e-6);
    close(&einsum("...ij,...jk", &[&a, &b]), &f64s(&a.matmul(&b)), 1e-6);
    assert_eq!(einsum("b...a", &[&a]).shape()[..], [1, 3, 4, 2]);
    assert_eq!(einsum("aB", &[&Tensor::zeros([2, 3])]).shape()[..], [3, 2]);
    close(&a.tensordot(&b, &[-1], &[1]), &by_loops("aijk,bkc->aijbc", &[(vec![2, 1, 3, 4], f64s(&a)), (vec![5, 4, 2], f64s(&b))]), 1e-6);
}

#[test]
fn pieces_lie_where_they_should() {
    let x = Tensor::arange(6).to(DType::F32);
    let m = x.reshape([2, 3]);
    let is = |t: &Tensor, expected: &[i32]| assert_eq!(f64s(t), expected.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    is(&m.repeat(&[1, 2]), &[0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
    is(&x.slice(0, ..3).repeat_interleave(2, 0), &[0, 0, 1, 1, 2, 2]);
    is(&x.roll(2, 0), &[4, 5, 0, 1, 2, 3]);
    is(&x.roll(-1, 0), &[1, 2, 3, 4, 5, 0]);
    is(&m.rot90(1, [0, 1]), &[2, 5, 1, 4, 0, 3]);
    is(&m.rot90(3, [0, 1]), &[3, 0, 4, 1, 5, 2]);
    is(&m.movedim(0, 1), &[0, 3, 1, 4, 2, 5]);
    is(&x.square().diff(0), &[1, 3, 5, 7, 9]);
    assert_eq!(Tensor::arange(7).chunk(3, 0).iter().map(Tensor::numel).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(Tensor::arange(6).chunk(4, 0).iter().map(Tensor::numel).collect::<Vec<_>>(), [2, 2, 2]);
    let four = x.slice(0, ..4);
    is(&four.pad_reflect(&[(3, 2)]), &[3, 2, 1, 0, 1, 2, 3, 2, 1]);
    is(&four.pad_replicate(&[(2, 1)]), &[0, 0, 0, 1, 2, 3, 3]);
    is(&four.pad_circular(&[(2, 3)]), &[2, 3, 0, 1, 2, 3, 0, 1, 2]);
    is(&m.pad_reflect(&[(1, 0), (0, 1)]), &[3, 4, 5, 4, 0, 1, 2, 1, 3, 4, 5, 4]);
    let s = Tensor::arange(9).to(DType::F32).reshape([3, 3]);
    is(&s.diagonal(0, 0, 1), &[0, 4, 8]);
    is(&s.diagonal(1, 0, 1), &[1, 5]);
    is(&s.diagonal(-1, 0, 1), &[3, 7]);
    is(&m.diagonal(1, 0, 1), &[1, 5]);
    is(&m.t().diagonal(-1, 0, 1), &[1, 5]);
    is(&s.tril(0), &[0, 0, 0, 3, 4, 0, 6, 7, 8]);
    is(&s.triu(1), &[0, 1, 2, 0, 0, 5, 0, 0, 0]);
    is(&s.trace(), &[12]);
    is(&Tensor::from([1.0f32, 2.0]).diag(0), &[1, 0, 0, 2]);
    is(&Tensor::from([1.0f32, 2.0]).diag(1), &[0, 1, 0, 0, 0, 2, 0, 0, 0]);
    is(&Tensor::from([1.0f32, 2.0]).diag(-1), &[0, 0, 0, 1, 0, 0, 0, 2, 0]);
    is(&Tensor::from([[1.0f32, 2.0]]).kron(&Tensor::from([[1.0f32, 3.0], [5.0, 7.0]])), &[1, 3, 2, 6, 5, 7, 10, 14]);
    is(&Tensor::from([1.0f32, 2.0, 3.0]).cross(&Tensor::from([4.0f32, 5.0, 6.0]), 0), &[-3, 6, -3]);
    is(&Tensor::from([2i32, 0, 2, 5]).bincount(4), &[1, 0, 2, 0]);
    // Several for one place: the last; outside: nobody.
    let index = Tensor::from([1i32, 3, 1, -1, 4]);
    is(&Tensor::zeros([4]).scatter(0, &index, &Tensor::from([1.0f32, 2.0, 3.0, 4.0, 5.0])), &[0, 3, 0, 2]);
    is(&Tensor::zeros([3, 2]).index_copy(0, &Tensor::from([2u32, 0]), &Tensor::from([[1.0f32, 2.0], [3.0, 4.0]])), &[3, 4, 0, 0, 1, 2]);
    is(&Tensor::ones([3, 2]).index_add(0, &Tensor::from([2u32, 2]), &Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]), 2.0), &[1, 1, 1, 1, 9, 13]);
    is(&Tensor::ones([3, 2]).index_fill(1, &Tensor::from([1u32, 9]), 5.0), &[1, 5, 1, 5, 1, 5]);
    is(&m.take(&Tensor::from([5u32, 0, 9])), &[5, 0, 0]);
}

#[test]
fn images_are_resized_as_pytorch_does() {
    let x = param(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    // torch.nn.functional.interpolate's documented behaviour, worked out by hand.
    let edges = [1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3.0, 3.25, 3.75, 4.0];
    close(&x.upsample_bilinear([4, 4], false), &edges, 0.0);
    let third = 1.0 / 3.0;
    let corners: Vec<f64> = (0..4).flat_map(|i| (0..4).map(move |j| 1.0 + f64::from(j) * third + 2.0 * f64::from(i) * third)).collect();
    close(&x.upsample_bilinear([4, 4], true), &corners, 1e-6);
    close(&x.upsample_nearest(&[4, 2]), &[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0], 0.0);
    let row = param(&[1, 1, 5], &[0.0, 1.0, 2.0, 3.0, 4.0]);
    close(&row.upsample_nearest(&[3]), &[0.0, 1.0, 3.0], 0.0);
    close(&row.upsample_nearest(&[8]), &[0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0], 0.0);
    close(&row.upsample_linear(1, true), &[0.0], 0.0);
    close(&row.upsample_linear(3, false), &[1.0 / 3.0, 2.0, 11.0 / 3.0], 1e-6);
    close(&row.upsample_linear(9, true), &[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0], 0.0);
}

#[test]
fn lengths_and_distances() {
    let x = param(&[2, 2], &[3.0, -4.0, 0.0, 0.0]);
    close(&x.norm(), &[5.0], 1e-6);
    for (p, expected) in
        [(1.0, 7.0), (2.0, 5.0), (3.0, 91f64.cbrt()), (f64::INFINITY, 4.0), (f64::NEG_INFINITY, 3.0), (0.0, 2.0), (-1.0, 12.0 / 7.0)]
    {
        close(&x.vector_norm(p, &[1]), &[expected, 0.0], 1e-6);
    }
    close(&x.normalize(2.0, 1, 1e-12), &[0.6, -0.8, 0.0, 0.0], 1e-6);
    close(&param(&[2], &[1.0, 0.0]).cosine_similarity(&Tensor::from([1.0f32, 1.0]), 0, 1e-8), &[0.5f64.sqrt()], 1e-6);
    let points = param(&[2, 2], &[0.0, 0.0, 3.0, 4.0]);
    close(&points.cdist(&points, 2.0), &[0.0, 5.0, 5.0, 0.0], 1e-6);
    close(&points.cdist(&points, 1.0), &[0.0, 7.0, 7.0, 0.0], 1e-6);
    close(&param(&[4], &[1.0, 2.0, 3.0, 4.0]).std(&[], 1), &[(5.0f64 / 3.0).sqrt()], 1e-6);
}

/// Where a composition has a kink of its own making, or PyTorch decides.
#[test]
fn gradients_where_care_is_needed() {
    type Function = fn(&Tensor) -> Tensor;
    let cases: [(&str, Function, &[f32], &[f64]); 22] = [
        ("norm at 0", |x| x.norm(), &[0.0, 0.0], &[0.0, 0.0]),
        ("3-norm with a zero", |x| x.vector_norm(3.0, &[]), &[0.0, 2.0], &[0.0, 1.0]),
        ("std of equals", |x| x.std(&[], 1), &[2.0, 2.0], &[0.0, 0.0]),
        ("cdist at 0", |x| x.unsqueeze(0).cdist(&x.unsqueeze(0).detach(), 2.0), &[1.0, 2.0], &[0.0, 0.0]),
        ("hypot at 0", |x| x.hypot(0.0f32), &[0.0, -2.0], &[0.0, -1.0]),
        ("tan at 0", Tensor::tan, &[0.0], &[1.0]),
        ("atan at 0", Tensor::atan, &[0.0, -0.0], &[1.0, 1.0]),
        ("asin at 0", Tensor::asin, &[0.0], &[1.0]),
        ("acos at 0", Tensor::acos, &[0.0], &[-1.0]),
        ("sinh at 0", Tensor::sinh, &[0.0], &[1.0]),
        ("cosh at 0", Tensor::cosh, &[0.0], &[0.0]),
        ("asinh at 0", Tensor::asinh, &[0.0], &[1.0]),
        ("atanh at 0", Tensor::atanh, &[0.0], &[1.0]),
        ("softsign at 0", Tensor::softsign, &[0.0], &[1.0]),
        ("logsigmoid at 0", Tensor::logsigmoid, &[0.0], &[0.5]),
        ("sinc at 0", Tensor::sinc, &[0.0], &[0.0]),
        ("cummax of equals goes to the last", |x| x.cummax(0).0, &[1.0, 1.0, 0.0], &[1.0, 2.0, 0.0]),
        ("cumprod with zeros", |x| x.cumprod(0), &[2.0, 0.0, 3.0, 0.0], &[1.0, 8.0, 0.0, 0.0]),
        ("sort of equals keeps them apart", |x| x.sort(0, false).0 * Tensor::from([1.0f32, 2.0, 3.0]), &[5.0, 4.0, 5.0], &[2.0, 1.0, 3.0]),
        ("relu6 at its bounds", Tensor::relu6, &[0.0, 3.0, 6.0], &[0.0, 1.0, 0.0]),
        ("clamp_min at its bound", |x| x.clamp_min(1.0), &[1.0, 0.5, 2.0], &[1.0, 0.0, 1.0]),
        ("lerp", |x| x.lerp(&Tensor::from([1.0f32]), 0.25), &[3.0], &[0.75]),
    ];
    for (name, function, at, expected) in cases {
        let x = Param::from_array("x", Array::new([at.len()], at).expect("as many as the shape has"));
        let found = f64s(&grad(&function(&x).sum(), &[&x])[0]);
        let near = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= 1e-6);
        assert!(near && found.len() == expected.len(), "{name}: {found:?}, not {expected:?}");
    }
}

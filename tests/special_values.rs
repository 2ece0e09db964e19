//! What functions composed from the primitives are, against the standard library's and known numbers.

mod cases;
mod support;

use noyau::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::gpus;
use support::values::{close, eval, f64s, param};

#[test]
fn special_functions_are_accurate() {
    type Ours = fn(&Tensor) -> Tensor;
    type Theirs = fn(f64) -> f64;
    // Name, least, most, relative error allowed, ours, the standard library's.
    let functions: [(&str, f32, f32, f64, Ours, Theirs); 16] = [
        ("tan", -1.57, 1.57, 3e-6, Tensor::tan, f64::tan),
        ("atan", -1e6, 1e6, 3e-7, Tensor::atan, f64::atan),
        ("atan", -2.0, 2.0, 3e-7, Tensor::atan, f64::atan),
        ("asin", -1.0, 1.0, 4e-7, Tensor::asin, f64::asin),
        ("acos", -1.0, 0.999, 4e-7, Tensor::acos, f64::acos),
        ("acos", 0.999, 1.0, 4e-7, Tensor::acos, f64::acos),
        ("sinh", -80.0, 80.0, 1e-5, Tensor::sinh, f64::sinh),
        ("sinh", -1.0, 1.0, 3e-7, Tensor::sinh, f64::sinh),
        ("cosh", -4.0, 4.0, 1e-6, Tensor::cosh, f64::cosh),
        ("asinh", -3.0, 3.0, 6e-7, Tensor::asinh, f64::asinh),
        ("asinh", -3e38, 3e38, 3e-7, Tensor::asinh, f64::asinh),
        ("acosh", 1.0, 3.0, 6e-7, Tensor::acosh, f64::acosh),
        ("atanh", -0.999, 0.999, 6e-7, Tensor::atanh, f64::atanh),
        ("exp2", -20.0, 20.0, 3e-6, Tensor::exp2, f64::exp2),
        ("log2", 2.0, 1e30, 3e-7, Tensor::log2, f64::log2),
        ("log10", 2.0, 1e30, 3e-7, Tensor::log10, f64::log10),
    ];
    let mut rng = StdRng::seed_from_u64(4);
    for (name, low, high, relative, ours, theirs) in functions {
        let mut values: Vec<f32> =
            (0..20_000).map(|_| low + (high - low) * rng.random_range(0.0f32..1.0)).map(|x| x.clamp(low, high)).collect();
        values.extend([low, high]);
        if low < 0.0 {
            // Near 0 an odd function is its argument.
            values.extend([0.0, 1e-3, -1e-5, 1e-10, 1e-30]);
        }
        let found = f64s(&ours(&param(&[values.len()], &values)));
        for (&x, found) in values.iter().zip(found) {
            let expected = theirs(x.into());
            assert!(
                (found - expected).abs() <= relative * expected.abs(),
                "{name}({x:e}) is {found:e}, not {expected:e}: off by {:.1e}",
                (found / expected - 1.0).abs()
            );
        }
    }
    // Values to 16 digits.
    let x = param(&[7], &[0.0, 0.25, 0.75, 2.0, 5.0, 9.0, -2.0]);
    let expected = [
        1.0,
        0.723_673_609_831_763,
        0.288_844_366_346_485,
        4.677_734_981_047_266e-3,
        1.537_459_794_428_035e-12,
        4.137_031_746_513_81e-37,
        1.995_322_265_018_953,
    ];
    close(&x.erfc(), &expected, 1e-6);
}

#[test]
fn angles_have_their_quadrant() {
    let points = [
        (1.0f32, 1.0f32),
        (1.0, -1.0),
        (-1.0, -1.0),
        (-1.0, 1.0),
        (0.0, 2.0),
        (0.0, -2.0),
        (2.0, 0.0),
        (-2.0, 0.0),
        (1e-20, 1.0),
        (3.0, 1e-30),
        (-0.3, 0.7),
    ];
    let (y, x): (Vec<f32>, Vec<f32>) = points.into_iter().unzip();
    let expected: Vec<f64> = y.iter().zip(&x).map(|(&y, &x)| f64::from(y).atan2(x.into())).collect();
    close(&param(&[11], &y).atan2(param(&[11], &x)), &expected, 3e-7);
    close(
        &param(&[3], &[3e38, 3e-38, 0.0]).hypot(Tensor::from([1e38f32, 4e-38, 0.0])),
        &[f64::from(3e38f32).hypot(f64::from(1e38f32)), 5e-38, 0.0],
        1e-6,
    );
    close(&param(&[1], &[f32::INFINITY]).hypot(1.0f32), &[f64::INFINITY], 0.0);
}

#[test]
fn remainders_have_the_divisors_sign() {
    let values = [7.0f32, -7.0, 0.5, -0.5, 6.0, -6.0, 1e6];
    for divisor in [3.0f32, -3.0, 0.7, f32::INFINITY] {
        let x = param(&[7], &values);
        // As CPython's float_divmod.
        let expected: Vec<(f64, f64)> = values
            .iter()
            .map(|&a| {
                let rest = a % divisor;
                let rest = if rest != 0.0 && (rest < 0.0) != (divisor < 0.0) { rest + divisor } else { rest };
                // An infinite divisor goes into a number of the other sign -1 times.
                let whole =
                    if divisor.is_infinite() { if a < 0.0 { -1.0 } else { 0.0 } } else { (f64::from(a) / f64::from(divisor)).floor() };
                (whole, rest.into())
            })
            .collect();
        close(&x.remainder(divisor), &expected.iter().map(|e| e.1).collect::<Vec<_>>(), 1e-6);
        close(&x.floor_divide(divisor), &expected.iter().map(|e| e.0).collect::<Vec<_>>(), 0.0);
    }
    let ints = [7i32, -7, 6, -6, 0];
    for divisor in [3i32, -3] {
        let x = Tensor::new(&ints, [5]);
        let floor: Vec<i32> = ints.iter().map(|&a| (f64::from(a) / f64::from(divisor)).floor() as i32).collect();
        assert_eq!(eval(&x.floor_divide(divisor)).to_vec::<i32>().expect("i32"), floor);
        let rest: Vec<i32> = ints.iter().zip(floor).map(|(&a, q)| a - q * divisor).collect();
        assert_eq!(eval(&x.remainder(divisor)).to_vec::<i32>().expect("i32"), rest);
    }
    close(&param(&[3], &[1.0, -1.0, 0.0]).floor_divide(0.0f32), &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN], 0.0);
    close(&param(&[4], &[1.7, -1.7, -0.2, 3.0]).trunc(), &[1.0, -1.0, 0.0, 3.0], 0.0);
    close(&param(&[3], &[1.25, -1.25, 4.0]).frac(), &[0.25, -0.25, 0.0], 0.0);
    close(&param(&[2], &[1.2345, 2.5]).round_decimals(2), &[1.23, 2.5], 1e-6);
    close(&param(&[2], &[1250.0, 1350.0]).round_decimals(-2), &[1200.0, 1400.0], 1e-6);
}

#[test]
fn numbers_that_are_none_are_told_apart() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let x = param(&[7], &[nan, inf, -inf, 0.0, f32::MAX, f32::MIN, 1e-40]);
    let truths = |t: Tensor| eval(&t).to_vec::<bool>().expect("bools");
    assert_eq!(truths(x.isnan()), [true, false, false, false, false, false, false]);
    assert_eq!(truths(x.isinf()), [false, true, true, false, false, false, false]);
    assert_eq!(truths(x.isfinite()), [false, false, false, true, true, true, true]);
    close(&x.nan_to_num(7.0).slice(0, ..4), &[7.0, f64::from(f32::MAX), f64::from(f32::MIN), 0.0], 0.0);
    assert_eq!(truths(x.isclose(&x, 1e-5, 1e-8)), [false, true, true, true, true, true, true]);
    close(&param(&[2, 2], &[nan, 2.0, nan, nan]).nanmean(&[1]), &[2.0, f64::NAN], 0.0);
    close(&param(&[2, 2], &[-inf, -inf, inf, 2.0]).logsumexp(&[1]), &[f64::NEG_INFINITY, f64::INFINITY], 0.0);
}

/// WGSL may assume that they do not occur: these questions look at the bits.
#[test]
fn numbers_that_are_none_are_told_apart_on_gpus() {
    gpus::every(|gpu| {
        let session = Session::new(gpu.device.clone());
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let x = param(&[6], &[nan, inf, -inf, 0.0, f32::MAX, f32::MIN]);
        // Of values that are loaded, and of values that are computed.
        for x in [x.clone(), x.reshape([2, 3]).t().reshape([6]) * 1.0, (&x * 0.5) + &x * 0.5] {
            let values = eval(&x).to_vec::<f32>().expect("f32");
            let truths = |t: Tensor| session.eval(&t).expect("it runs").to_vec::<bool>().expect("bools");
            assert_eq!(truths(x.isnan()), values.iter().map(|v| v.is_nan()).collect::<Vec<_>>(), "{}", gpu.name);
            assert_eq!(truths(x.isinf()), values.iter().map(|v| v.is_infinite()).collect::<Vec<_>>(), "{}", gpu.name);
            assert_eq!(truths(x.isfinite()), values.iter().map(|v| v.is_finite()).collect::<Vec<_>>(), "{}", gpu.name);
            let replaced = session.eval(&x.nan_to_num(7.0)).expect("it runs").to_f64();
            assert!(replaced.iter().all(|v| v.is_finite()), "{}: {replaced:?}", gpu.name);
        }
    });
}

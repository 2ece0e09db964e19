//! Functions composed from the primitives: inverse and hyperbolic functions, other bases, remainders, activations.

use noyau::{DType, Tensor};

use super::{Class::*, Data, List};

/// All pairs of some floats of both signs.
fn pairs(d: &mut Data) -> (Tensor, Tensor) {
    let x = d.given([7], &[5.5f32, -5.5, 3.0, -3.0, 0.25, 7.0, -0.1]);
    (x.unsqueeze(1), x)
}

pub fn cases(list: &mut List) {
    type Function = fn(&Tensor) -> Tensor;
    // Name, range, function.
    let smooth: [(&str, f32, f32, Function); 20] = [
        ("tan", -1.2, 1.2, Tensor::tan),
        ("atan", -3.0, 3.0, Tensor::atan),
        ("asin", -0.9, 0.9, Tensor::asin),
        ("acos", -0.9, 0.9, Tensor::acos),
        ("sinh", -3.0, 3.0, Tensor::sinh),
        ("cosh", -3.0, 3.0, Tensor::cosh),
        ("asinh", -3.0, 3.0, Tensor::asinh),
        ("acosh", 1.1, 5.0, Tensor::acosh),
        ("atanh", -0.9, 0.9, Tensor::atanh),
        ("exp2", -3.0, 3.0, Tensor::exp2),
        ("log2", 0.1, 5.0, Tensor::log2),
        ("logit", 0.1, 0.9, Tensor::logit),
        ("sinc", 0.1, 2.0, Tensor::sinc),
        ("erfc", -2.0, 3.0, Tensor::erfc),
        ("rad2deg", -3.0, 3.0, Tensor::rad2deg),
        ("deg2rad", -180.0, 180.0, Tensor::deg2rad),
        ("logsigmoid", -4.0, 4.0, Tensor::logsigmoid),
        ("mish", -3.0, 3.0, Tensor::mish),
        ("softsign", -3.0, 3.0, Tensor::softsign),
        ("tanhshrink", -3.0, 3.0, Tensor::tanhshrink),
    ];
    for (name, low, high, function) in smooth {
        list.smooth(format!("special {name}"), Chain, move |d| function(&d.range([3, 5], low, high)).square()).twice();
    }
    let odd: [(&str, Function); 6] = [
        ("tan", Tensor::tan),
        ("atan", Tensor::atan),
        ("asin", Tensor::asin),
        ("sinh", Tensor::sinh),
        ("asinh", Tensor::asinh),
        ("atanh", Tensor::atanh),
    ];
    for (name, function) in odd {
        list.smooth(format!("special {name} at and near 0"), Chain, move |d| function(&d.given([4], &[0.0f32, 1e-3, -1e-3, 0.02])));
        list.value(format!("special {name} of tiny numbers"), Polynomial, move |d| {
            function(&d.given([4], &[1e-20f32, -1e-7, 1e-6, -1e-12])) * 1e12
        });
    }
    list.value("special atan far out", Polynomial, |d| d.given([6], &[1e3f32, -1e10, 3e38, -3e38, 1.0, -1.0]).atan());
    list.value("special asin and acos at the ends", Polynomial, |d| {
        let x = d.given([5], &[-1.0f32, 1.0, 0.0, 0.999999, -0.999999]);
        x.asin() + x.acos() * 2.0
    });
    list.smooth("special atan2", Chain, |d| d.between([4, 5], 2.0).atan2(d.between([4, 5], 2.0))).twice();
    list.value("special atan2 on the axes", Polynomial, |d| {
        d.given([5], &[0.0f32, 0.0, 1.0, -1.0, 0.0]).atan2(d.given([5], &[1.0f32, -1.0, 0.0, 0.0, 0.0]))
    });
    list.wide("special atan2 at the origin", Polynomial, |d| d.given([2], &[0.0f32, 1.0]).atan2(d.given([2], &[0.0f32, 1.0])));
    list.value("special asinh and acosh far out", Chain, |d| {
        let x = d.given([4], &[3e38f32, 1e10, 1e9, 1e5]);
        x.asinh() + x.acosh() * 2.0
    });
    list.value("special erfc in its tail", Chain, |d| d.given([6], &[0.5f32, 0.500001, 2.0, 5.0, 9.0, 300.0]).erfc());
    list.value("special exp2 of whole numbers", Chain, |d| d.given([5], &[0.0f32, 1.0, 10.0, -20.0, 100.0]).exp2());
    list.smooth("special logaddexp", Chain, |d| d.floats([3, 4]).logaddexp(d.floats([3, 1]))).twice();
    list.wide("special logaddexp far out and of equals", Chain, |d| {
        d.given([4], &[1000.0f32, -1000.0, 2.0, -1e30]).logaddexp(d.given([4], &[999.0f32, -1000.0, 2.0, 1.0]))
    });
    list.smooth("special xlogy", Chain, |d| d.floats([6]).xlogy(d.positive([6])));
    list.smooth("special xlogy at 0", Chain, |d| d.given([3], &[0.0f32, -0.0, 2.0]).xlogy(d.given([3], &[2.0f32, 0.25, 3.0])));
    list.wide("special xlogy of zeros", Chain, |d| d.given([3], &[0.0f32, 0.0, 2.0]).xlogy(d.given([3], &[0.0f32, 2.0, 3.0])));
    list.smooth("special hypot", Chain, |d| d.floats([3, 4]).hypot(d.floats([4]))).twice();
    list.wide("special hypot of zeros and of large and small numbers", Chain, |d| {
        d.given([4], &[0.0f32, 3e38, 3e-30, 0.0]).hypot(d.given([4], &[0.0f32, 1e38, 4e-30, 2.0]))
    });
    list.smooth("special sinc at 0", Chain, |d| d.given([2], &[0.5f32, 1.5]).sinc() + Tensor::from([0.0f32, 1.0]).sinc());

    type Pair = fn(&Tensor, &Tensor) -> Tensor;
    for (name, pair) in
        [("remainder", (|a, b| a.remainder(b)) as Pair), ("floor_divide", |a, b| a.floor_divide(b)), ("fmod", |a, b| a.fmod(b))]
    {
        list.value(format!("special {name} of floats"), Rounded, move |d| {
            let (a, b) = pairs(d);
            pair(&a, &b)
        });
        list.value(format!("special {name} of i32"), Exact, move |d| {
            let x = d.given([7], &[0i32, 7, -7, 3, -3, i32::MAX, i32::MIN + 1]);
            pair(&x.unsqueeze(1), &x)
        });
        list.value(format!("special {name} of u32"), Exact, move |d| {
            let x = d.given([5], &[0u32, 7, 3, u32::MAX, 1 << 31]);
            pair(&x.unsqueeze(1), &x)
        });
    }
    list.smooth("special remainder's slope", Rounded, |d| d.between([6], 0.7).remainder(0.7f32));
    list.smooth("special trunc", Exact, |d| d.between([3, 5], 1.0).trunc());
    list.smooth("special frac", Rounded, |d| d.between([3, 5], 1.0).frac());
    list.value("special trunc and frac of large numbers", Exact, |d| {
        let x = d.given([5], &[-0.5f32, 16777216.0, -3e9, 1e20, -8388607.5]);
        x.trunc() + x.frac()
    });
    list.value("special round_decimals", Quotient, |d| {
        let x = d.given([4], &[1.2345f32, -2.5, 0.125, 1234.5]);
        x.round_decimals(2) + x.round_decimals(-2) * 10.0
    });
    list.value("special heaviside", Exact, |d| d.given([4], &[0.0f32, -0.0, 2.0, -3.0]).heaviside(0.5));
    list.smooth("special lerp", Rounded, |d| d.floats([3, 4]).lerp(&d.floats([3, 4]), d.floats([4]))).twice();
    list.smooth("special lerp by a number", Rounded, |d| d.floats([3, 4]).lerp(&d.floats([3, 4]), 0.25));
    list.smooth("special addcmul", Rounded, |d| d.floats([3, 4]).addcmul(&d.floats([3, 4]), &d.floats([4]), 0.5));
    list.smooth("special addcdiv", Quotient, |d| d.floats([3, 4]).addcdiv(&d.floats([3, 4]), &d.positive([4]), 0.5));
    list.smooth("special clamp_min and clamp_max", Exact, |d| d.between([3, 5], 0.5).clamp_min(-1.0).clamp_max(0.5));
    list.value("special clamp_min of integers", Exact, |d| d.ints([9], -9, 9).clamp_min(-2).clamp_max(3));

    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let values = move |d: &mut Data| d.given([8], &[nan, inf, -inf, 0.0, -0.0, 3.4028235e38, -3.4028235e38, 1e-45]);
    let questions: [(&str, Function); 4] =
        [("isnan", Tensor::isnan), ("isinf", Tensor::isinf), ("isfinite", Tensor::isfinite), ("nan_to_num", |x| x.nan_to_num(7.0))];
    for (name, function) in questions {
        list.value(format!("ieee: special {name}"), Exact, move |d| function(&values(d))).ieee();
        list.value(format!("special {name} of finite numbers"), Exact, move |d| {
            function(&d.given([6], &[0.0f32, 1.0, -1.0, 3.4028235e38, -3.4028235e38, 1e-38]))
        });
    }
    list.value("special isnan of integers", Exact, |d| d.ints([3], 0, 9).isnan().logical_or(d.ints([3], 0, 9).isfinite()));
    list.value("ieee: special isclose", Exact, move |d| values(d).unsqueeze(1).isclose(values(d), 1e-5, 1e-8)).ieee();
    list.value("special isclose", Exact, |d| {
        d.given([3], &[1.0f32, 1.0, 0.0]).isclose(d.given([3], &[1.000001f32, 1.1, 1e-9]), 1e-5, 1e-8)
    });
    let odd = move |d: &mut Data| d.given([6], &[nan, inf, -inf, 0.0, -1.0, 2.0]);
    let functions: [(&str, Function); 10] = [
        ("atan", Tensor::atan),
        ("asin", Tensor::asin),
        ("acos", Tensor::acos),
        ("sinh", Tensor::sinh),
        ("cosh", Tensor::cosh),
        ("asinh", Tensor::asinh),
        ("acosh", Tensor::acosh),
        ("atanh", Tensor::atanh),
        ("erfc", Tensor::erfc),
        ("trunc", Tensor::trunc),
    ];
    for (name, function) in functions {
        list.value(format!("ieee: special {name} of odd numbers"), Chain, move |d| function(&odd(d))).ieee();
    }

    let piecewise: [(&str, Function); 9] = [
        ("hardtanh", |x| x.hardtanh(-1.0, 1.0)),
        ("relu6", |x| (x * 4.0).relu6()),
        ("hardsigmoid", |x| (x * 2.0).hardsigmoid()),
        ("hardswish", |x| (x * 2.0).hardswish()),
        ("selu", Tensor::selu),
        ("celu", |x| x.celu(0.7)),
        ("softshrink", |x| x.softshrink(1.0)),
        ("hardshrink", |x| x.hardshrink(1.0)),
        ("threshold", |x| x.threshold(1.0, -3.0)),
    ];
    for (name, function) in piecewise {
        list.smooth(format!("activation {name}"), Chain, move |d| function(&d.between([4, 5], 1.0)));
    }
    list.smooth("activation glu", Chain, |d| d.floats([3, 4, 2]).glu(1));
    list.smooth("activation softplus_beta", Chain, |d| d.floats([3, 5]).softplus_beta(2.5)).twice();
    list.value("activation logsigmoid far out", Chain, |d| d.given([4], &[-300.0f32, 300.0, -20.0, 20.0]).logsigmoid());
    list.value("activation of a mask", Exact, |d| d.floats([5]).hardshrink(0.5).ne(0.0).to(DType::I32));
}

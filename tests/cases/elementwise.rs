//! Functions of one and two elements, broadcasting, choices.

use noyau::{DType, Tensor};

use super::{Class::*, Data, List};

pub fn cases(list: &mut List) {
    one_element(list);
    two_elements(list);
    broadcasting(list);
    choices(list);
}

fn one_element(list: &mut List) {
    list.smooth("neg", Exact, |d| -d.floats([3, 5]));
    list.smooth("abs", Exact, |d| d.between([3, 5], 2.0).abs());
    list.smooth("sign", Exact, |d| d.between([3, 5], 2.0).sign());
    list.value("sign of zero", Exact, |d| d.given([5], &[0.0f32, -0.0, 3.0, -4.0, 1e-30]).sign());
    list.smooth("floor", Exact, |d| d.between([3, 5], 1.0).floor());
    list.smooth("ceil", Exact, |d| d.between([3, 5], 1.0).ceil());
    list.smooth("round", Exact, |d| d.between([3, 5], 0.5).round());
    list.value("round halves to even", Exact, |d| d.given([8], &[0.5f32, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, 8388609.0]).round());
    list.value("floor and ceil of whole numbers", Exact, |d| {
        let x = d.given([6], &[0.0f32, -1.0, 2.0, 16777216.0, -3e9, 1e20]);
        x.floor() + x.ceil()
    });
    list.smooth("sqrt", Quotient, |d| d.positive([3, 5]).sqrt()).twice();
    list.value("sqrt of zero and of large and small numbers", Quotient, |d| d.given([5], &[0.0f32, 4.0, 1e30, 1e-30, 3e38]).sqrt());
    list.smooth("rsqrt", Quotient, |d| d.positive([3, 5]).rsqrt()).twice();
    list.smooth("reciprocal", Quotient, |d| d.between([3, 5], 2.0).reciprocal()).twice();
    list.smooth("exp", Exponential, |d| d.range([3, 5], -4.0, 4.0).exp()).twice();
    list.value("exp of large negative numbers", Exponential, |d| d.given([4], &[-80.0f32, -104.0, -1000.0, -3e38]).exp() + 1.0);
    list.smooth("expm1", Exponential, |d| d.range([3, 5], -3.0, 3.0).expm1());
    list.value("expm1 near zero", Polynomial, |d| d.given([6], &[1e-7f32, -1e-7, 1e-4, 1e-20, 0.01, -0.49]).expm1());
    list.smooth("log", Logarithm, |d| d.range([3, 5], 0.1, 5.0).log()).twice();
    list.value("log of large and small numbers", Logarithm, |d| d.given([4], &[1e30f32, 1e-30, 1.0, 3e38]).log());
    list.smooth("log1p", Logarithm, |d| d.range([3, 5], -0.8, 4.0).log1p());
    list.value("log1p near zero", Polynomial, |d| d.given([6], &[1e-7f32, -1e-7, 1e-4, 1e-20, 0.01, -0.2]).log1p());
    list.smooth("log10", Logarithm, |d| d.range([3, 5], 0.1, 5.0).log10());
    list.smooth("sin", Polynomial, |d| d.range([3, 5], -7.0, 7.0).sin()).twice();
    list.smooth("cos", Polynomial, |d| d.range([3, 5], -7.0, 7.0).cos()).twice();
    list.value("sin and cos of hundreds", Polynomial, |d| {
        let x = d.range([64], -600.0, 600.0);
        x.sin() * 2.0 + x.cos()
    });
    list.smooth("tanh", Polynomial, |d| d.range([3, 5], -3.0, 3.0).tanh()).twice();
    list.value("tanh far out", Exact, |d| d.given([6], &[20.0f32, -20.0, 100.0, -1e4, 3e38, -3e38]).tanh());
    list.value("tanh near zero", Polynomial, |d| d.given([6], &[1e-6f32, -1e-6, 1e-3, 1e-20, 0.1, -0.6]).tanh());
    list.smooth("erf", Polynomial, |d| d.range([3, 5], -3.0, 3.0).erf()).twice();
    list.value("erf far out and near zero", Polynomial, |d| d.given([6], &[6.0f32, -100.0, 3e38, 1e-6, -1e-20, 0.0]).erf());
    list.smooth("relu", Exact, |d| d.between([3, 5], 2.0).relu());
    list.wide("relu at zero", Exact, |d| d.given([3], &[0.0f32, 1.0, -1.0]).relu());
    list.smooth("square", Rounded, |d| d.floats([3, 5]).square()).twice();
    for n in [-3, -1, 0, 1, 2, 5, 8] {
        list.smooth(format!("powi {n}"), Quotient, move |d| {
            let x = d.between([2, 4], 2.0);
            x.powi(n) + &x * 0.0
        });
    }
    list.smooth("sigmoid", Polynomial, |d| d.range([3, 5], -6.0, 6.0).sigmoid()).twice();
    list.value("sigmoid far out", Polynomial, |d| d.given([4], &[-200.0f32, 200.0, -3e38, 3e38]).sigmoid());
    list.smooth("clamp", Exact, |d| d.between([3, 5], 0.5).clamp(-1.0, 0.5));
    list.smooth("detach", Rounded, |d| {
        let x = d.floats([4]);
        // Only to the second factor does a gradient flow: the slope of the whole is not asked for.
        let y = d.floats([4]);
        x.sign().detach() * y
    });
}

fn two_elements(list: &mut List) {
    list.smooth("add", Exact, |d| d.floats([3, 4]) + d.floats([3, 4]));
    list.smooth("sub", Exact, |d| d.floats([3, 4]) - d.floats([3, 4]));
    list.smooth("mul", Exact, |d| d.floats([3, 4]) * d.floats([3, 4])).twice();
    list.smooth("div", Quotient, |d| d.floats([3, 4]) / d.between([3, 4], 2.0)).twice();
    list.smooth("rem", Rounded, |d| {
        d.given([6], &[5.3f32, -5.3, 2.1, -7.7, 0.4, 9.9]) % d.given([6], &[2.0f32, 2.0, -1.5, -3.0, 3.0, 2.5])
    });
    list.value("rem of large quotients", Rounded, |d| {
        d.given([4], &[1e6f32, -1e6, 123456.7, 3e7]) % d.given([4], &[7.0f32, 7.0, 0.3, 11.0])
    });
    list.smooth("pow", Power, |d| d.positive([3, 4]).pow(d.floats([3, 4]))).twice();
    list.wide("pow of negative bases and whole exponents", Rounded, |d| {
        d.given([6], &[-2.0f32, -1.5, -3.0, -0.5, 2.0, -1.0]).pow(Tensor::from([3.0f32, 2.0, 4.0, -1.0, 0.0, 5.0]))
    });
    list.value("pow of zero", Exact, |d| d.given([4], &[0.0f32, 0.0, 0.0, 5.0]).pow(d.given([4], &[0.0f32, 1.0, 2.5, 0.0])));
    list.smooth("pow of a number", Power, |d| d.positive([3, 4]).pow(2.5f32));
    list.smooth("minimum", Exact, |d| {
        let x = d.distinct([24]);
        x.slice(0, ..12).minimum(x.slice(0, 12..))
    });
    list.smooth("maximum", Exact, |d| {
        let x = d.distinct([24]);
        x.slice(0, ..12).maximum(x.slice(0, 12..))
    });
    list.wide("maximum of equals", Rounded, |d| d.given([3], &[1.0f32, 2.0, 3.0]).maximum(d.given([3], &[1.0f32, 3.0, 3.0])));
    list.wide("minimum of equals", Rounded, |d| d.given([3], &[1.0f32, 2.0, 3.0]).minimum(d.given([3], &[1.0f32, 3.0, 3.0])));
    list.smooth("numbers on the right", Rounded, |d| (d.positive([5]) * 3.0 - 0.5) / 4.0 + 2);
    list.smooth("numbers on the left", Quotient, |d| 2.0 / (1.0 + 3.0 * (0.5 - d.range([5], -2.0, 0.4))));
    list.smooth("a tensor with itself", Quotient, |d| {
        let x = d.positive([5]);
        &x * &x + &x / (&x + &x) - &x
    });
    list.smooth("long chains", Chain, |d| {
        let x = d.range([6], -0.5, 0.5);
        (0..40).fold(x.clone(), |y, i| (y * 0.9 + &x * (0.01 * i as f32)).sin())
    });
}

fn broadcasting(list: &mut List) {
    let pairs: [(&[usize], &[usize]); 9] = [
        (&[3, 4], &[4]),
        (&[3, 1], &[1, 4]),
        (&[2, 1, 3], &[5, 1]),
        (&[], &[2, 3]),
        (&[2, 3], &[]),
        (&[1, 1, 1], &[2]),
        (&[4, 1, 1, 2], &[3, 1, 2]),
        (&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 2]),
        (&[1], &[]),
    ];
    for (a, b) in pairs {
        list.smooth(format!("broadcast {a:?} with {b:?}"), Rounded, move |d| {
            let (x, y) = (d.floats(a), d.floats(b));
            &x * &y + x - y
        });
    }
    for shape in [&[0][..], &[2, 0, 3]] {
        list.value(format!("nothing of shape {shape:?}"), Exact, move |d| d.floats(shape) * 2.0 + d.floats([1]));
    }
    for shape in [&[][..], &[1], &[1, 1, 1], &[7, 1, 3], &[2, 1, 2, 1, 2, 1, 2, 2]] {
        list.smooth(format!("a map of shape {shape:?}"), Polynomial, move |d| d.floats(shape).tanh() * 2.0);
    }
    list.smooth("expand", Exact, |d| d.floats([3, 1]).expand([2, 3, 4]));
    list.smooth("a scalar everywhere", Rounded, |d| d.floats([2, 3]) * d.floats([]).exp().detach() + d.floats([]));
}

/// Two float tensors of which some elements are equal.
fn near(d: &mut Data) -> (Tensor, Tensor) {
    (d.given([2, 3], &[1.0f32, 2.0, -3.0, 0.0, 5.5, -1.0]), d.given([2, 3], &[1.0f32, 3.0, -4.0, -0.0, 5.5, 1.0]))
}

fn choices(list: &mut List) {
    type Compare = fn(&Tensor, &Tensor) -> Tensor;
    let comparisons: [(&str, Compare); 6] = [
        ("lt", |a, b| a.lt(b)),
        ("le", |a, b| a.le(b)),
        ("gt", |a, b| a.gt(b)),
        ("ge", |a, b| a.ge(b)),
        ("eq", |a, b| a.eq(b)),
        ("ne", |a, b| a.ne(b)),
    ];
    for (name, compare) in comparisons {
        list.value(format!("{name} of floats"), Exact, move |d| {
            let (a, b) = near(d);
            compare(&a, &b)
        });
        list.value(format!("{name} of ints, broadcast"), Exact, move |d| compare(&d.ints([3, 1], -3, 3), &d.ints([1, 4], -3, 3)));
        list.value(format!("{name} of uints"), Exact, move |d| {
            compare(&d.given([4], &[0u32, 1 << 31, u32::MAX, 7]), &d.given([4], &[1u32, 7, u32::MAX, 1 << 31]))
        });
    }
    list.value("eq and ne of bools", Exact, |d| {
        let (a, b) = (d.bools([8]), d.bools([8]));
        a.eq(&b).logical_or(a.ne(b))
    });
    list.value("logic of bools", Exact, |d| {
        let (a, b, c) = (d.bools([16]), d.bools([16]), d.bools([16]));
        a.logical_and(&b).logical_xor(c.logical_not()).logical_or(b.logical_and(a.logical_not()))
    });
    list.smooth("where", Exact, |d| d.bools([3, 4]).where_(d.floats([3, 4]), d.floats([3, 4])));
    list.smooth("where, all three broadcast", Exact, |d| d.bools([3, 1, 1]).where_(d.floats([2, 1]), d.floats([4])));
    list.smooth("where of numbers", Exact, |d| d.floats([6]).gt(0.0).where_(d.floats([6]), 7.0));
    list.value("where of integers", Exact, |d| d.bools([6]).where_(d.ints([6], -9, 9), d.ints([6], -9, 9)));
    list.value("where of bools", Exact, |d| d.bools([6]).where_(d.bools([6]), d.bools([6])));
    list.value("comparison as a number", Exact, |d| d.floats([5]).lt(d.floats([5])).to(DType::F32) * 3.0);
}

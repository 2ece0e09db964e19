//! Conversions between all types, and what IEEE says of NaN and infinity, which holds on the CPU alone: WGSL lets a GPU assume that neither occurs.

use noyau::{DType, Tensor};

use super::{Class::*, Data, List};

const TYPES: [DType; 4] = [DType::F32, DType::I32, DType::U32, DType::Bool];

fn of_type(d: &mut Data, dtype: DType) -> Tensor {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 => d.given([10], &[0.0f32, 1.9, -1.9, 0.3, -0.3, 3e9, -3e9, 5e9, 2147483648.0, 16777217.0]),
        DType::I32 => d.given([6], &[0i32, 1, -1, i32::MAX, i32::MIN, 16777217]),
        DType::U32 => d.given([6], &[0u32, 1, u32::MAX, 1 << 31, 16777217, 77]),
        DType::Bool => d.given([2], &[false, true]),
    }
}

pub fn cases(list: &mut List) {
    for from in TYPES {
        for to in TYPES {
            list.value(format!("{from} to {to}"), Exact, move |d| of_type(d, from).to(to));
        }
    }
    list.smooth("there and back", Exact, |d| {
        let x = d.between([4], 1.0);
        &x * x.to(DType::I32).to(DType::F32).detach() + x.to(DType::F32)
    });
    list.value("full", Exact, |_| Tensor::full([2, 3], noyau::tensor::Scalar::Int(-7)));
    list.value("zeros and ones", Exact, |d| {
        let x = d.floats([2, 2]);
        concat_all(&[&Tensor::zeros([2, 2]), &Tensor::ones([2, 2]), &x.zeros_like(), &x.ones_like(), &x.full_like(0.1)])
    });
    list.value("data in the program", Rounded, |d| d.floats([2, 2]) * Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]) + Tensor::from(5.0f32));
    list.value("integers in the program", Exact, |_| Tensor::from([1i32, -2, 3]) * Tensor::from(-4i32));

    let nan = f32::NAN;
    let inf = f32::INFINITY;
    let odd = move |d: &mut Data| d.given([6], &[nan, inf, -inf, 0.0, -1.0, 2.0]);
    type Function = fn(&Tensor) -> Tensor;
    let functions: [(&str, Function); 17] = [
        ("sqrt", |x| x.sqrt()),
        ("log", |x| x.log()),
        ("log1p", |x| x.log1p()),
        ("exp", |x| x.exp()),
        ("expm1", |x| x.expm1()),
        ("reciprocal", |x| x.reciprocal()),
        ("rsqrt", |x| x.rsqrt()),
        ("tanh", |x| x.tanh()),
        ("erf", |x| x.erf()),
        ("sin", |x| x.sin()),
        ("relu", |x| x.relu()),
        ("abs", |x| x.abs()),
        ("floor", |x| x.floor()),
        ("sigmoid", |x| x.sigmoid()),
        ("x == x", |x| x.eq(x)),
        ("to i32", |x| x.to(DType::I32)),
        ("to bool", |x| x.to(DType::Bool)),
    ];
    for (name, function) in functions {
        list.value(format!("ieee: {name}"), Polynomial, move |d| function(&odd(d))).ieee();
    }
    type Pair = fn(&Tensor, &Tensor) -> Tensor;
    let pairs: [(&str, Pair); 9] = [
        ("add", |a, b| a + b),
        ("mul", |a, b| a * b),
        ("div", |a, b| a / b),
        ("minimum", |a, b| a.minimum(b)),
        ("maximum", |a, b| a.maximum(b)),
        ("lt", |a, b| a.lt(b)),
        ("le", |a, b| a.le(b)),
        ("ne", |a, b| a.ne(b)),
        ("pow", |a, b| a.pow(b)),
    ];
    for (name, pair) in pairs {
        list.value(format!("ieee: {name} of all pairs"), Rounded, move |d| {
            let (a, b) = (odd(d), odd(d));
            pair(&a.unsqueeze(1), &b)
        })
        .ieee();
    }
    list.value("ieee: sum", Exact, move |d| d.given([2, 3], &[1.0f32, inf, 2.0, inf, -inf, 0.0]).sum_axes(&[1])).ieee();
    list.value("ieee: max over infinities", Exact, move |d| d.given([2, 2], &[-inf, -inf, inf, 1.0]).max(&[1])).ieee();
    list.value("ieee: overflow", Exact, |d| d.given([3], &[3e38f32, -3e38, 1.0]) * 10.0).ieee();
    list.value("ieee: mean of nothing", Exact, |d| d.floats([2, 0]).mean_axes(&[1])).ieee();
    list.value("where hides what is not a number", Exact, |d| {
        let x = d.given([4], &[4.0f32, -1.0, 9.0, -4.0]);
        x.gt(0.0).where_(x.gt(0.0).where_(&x, 1.0).sqrt(), 0.0)
    });
    list.value("the largest and smallest normal numbers", Exact, |d| {
        d.given([4], &[3.4028235e38f32, 1.1754944e-38, -3.4028235e38, 0.0]).maximum(-3e38f32)
    });
}

fn concat_all(tensors: &[&Tensor]) -> Tensor {
    noyau::tensor::concat(tensors, 0)
}

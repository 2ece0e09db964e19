//! Halves: what is stored in 16 bits, computed in f32 and rounded. Parameters are f32 and converted, as in training, so that slopes can be taken in f64.
//!
//! How conversions round, to the bit, is in `tests/halves.rs`: the oracle does not round.

use noyau::{ConvOptions, DType, Tensor};

use super::{Class, Class::*, List};

/// How exact a result of so many roundings must be.
type Exactness = fn(usize) -> Class;

const TYPES: [(DType, Exactness); 2] = [(DType::F16, F16), (DType::BF16, BF16)];

/// A function of tensors of halves, given as many f32 parameters as it wants.
type Function = fn(&[Tensor]) -> Tensor;

pub fn cases(list: &mut List) {
    for (dtype, class) in TYPES {
        let unary: [(&str, usize, Function); 12] = [
            ("neg", 1, |x| -&x[0]),
            ("abs", 1, |x| x[0].abs()),
            ("relu", 1, |x| x[0].relu()),
            ("exp", 8, |x| x[0].exp()),
            ("log", 8, |x| x[0].log()),
            ("sqrt", 4, |x| x[0].sqrt()),
            ("reciprocal", 8, |x| x[0].reciprocal()),
            ("tanh", 4, |x| x[0].tanh()),
            ("sigmoid", 6, |x| x[0].sigmoid()),
            ("sin", 6, |x| x[0].sin()),
            ("a number on either side", 8, |x| 1.5f32 - &x[0] * 0.25 + 3),
            ("pow", 16, |x| x[0].pow(2.5f32)),
        ];
        for (name, roundings, function) in unary {
            list.smooth(format!("half {dtype} {name}"), class(roundings), move |d| {
                let x = d.positive([5, 7]).to(dtype);
                function(&[x]).to(DType::F32)
            });
        }
        let binary: [(&str, usize, Function); 7] = [
            ("add", 3, |x| &x[0] + &x[1]),
            ("sub", 3, |x| &x[0] - &x[1]),
            ("mul", 4, |x| &x[0] * &x[1]),
            ("div", 16, |x| &x[0] / &x[1]),
            ("where", 3, |x| x[2].gt(1.0).where_(&x[0], &x[1])),
            ("a row beside a matrix", 4, |x| &x[0] * x[1].slice(0, 0..1)),
            ("views", 2, |x| x[0].t().flip(&[0]).slice_step(0, 1..6, 2).pad(&[(1, 0), (0, 2)], 0.5)),
        ];
        for (name, roundings, function) in binary {
            list.smooth(format!("half {dtype} {name}"), class(roundings), move |d| {
                let x: Vec<Tensor> = [0, 1].map(|_| d.positive([5, 7]).to(dtype)).into();
                let choice = d.constant([5, 7], 0.0, 2.0);
                function(&[x[0].clone(), x[1].clone(), choice]).to(DType::F32)
            });
        }
        // Its gradient has a factor that a half only comes near.
        list.wide(format!("half {dtype} erf"), class(6), move |d| d.positive([5, 7]).to(dtype).erf().to(DType::F32));
        list.smooth(format!("half {dtype} minimum and maximum"), class(3), move |d| {
            let (x, y) = (d.distinct([60]).slice(0, ..30), d.constant([30], -0.001, 0.001));
            let (x, y) = (x.to(dtype), (y + 0.07).to(dtype));
            (x.minimum(&y) * 0.5 + x.maximum(&y)).to(DType::F32)
        });
        list.smooth(format!("half {dtype} sum and mean"), class(4), move |d| {
            let x = d.floats([6, 33]).to(dtype);
            (x.sum_axes(&[1]) + x.mean_axes(&[1])).to(DType::F32)
        });
        list.smooth(format!("half {dtype} product"), class(8), move |d| d.positive([4, 5]).to(dtype).prod(&[1]).to(DType::F32));
        list.smooth(format!("half {dtype} max"), class(2), move |d| d.distinct([3, 4]).to(dtype).max(&[1]).to(DType::F32));
        list.smooth(format!("half {dtype} softmax"), class(12), move |d| d.floats([4, 9]).to(dtype).softmax(-1).to(DType::F32));
        list.smooth(format!("half {dtype} matmul"), class(4), move |d| {
            d.floats([5, 8]).to(dtype).matmul(&d.floats([8, 6]).to(dtype)).to(DType::F32)
        });
        list.smooth(format!("half {dtype} matmul, batches, bias, activation"), class(6), move |d| {
            let (a, b) = (d.floats([2, 3, 4]).to(dtype), d.floats([2, 4, 5]).to(dtype));
            (a.matmul(&b) + d.floats([5]).to(dtype)).tanh().to(DType::F32)
        });
        for (m, k, n) in [(64, 96, 64), (130, 260, 70), (256, 128, 512)] {
            list.wide(format!("half {dtype} matmul [{m}, {k}] x [{k}, {n}]"), class(4), move |d| {
                d.floats([m, k]).to(dtype).matmul(&d.floats([n, k]).to(dtype).t()).to(DType::F32)
            });
        }
        // Beyond what arenas hold: two bytes an element where the device can.
        list.wide(format!("half {dtype} large, elementwise and by rows"), class(6), move |d| {
            let x = d.floats([200, 251]).to(dtype);
            let shifted = (&x - x.mean_keep(&[1])) * 2.0;
            (&shifted * shifted.square().mean_keep(&[0])).to(DType::F32)
        });
        list.value(format!("half {dtype} large, stored"), class(2), move |d| {
            // A step's result that is a half, of an odd length.
            d.floats([33, 1003]).to(dtype).slice(1, ..1001).relu()
        });
        list.smooth(format!("half {dtype} conv2d"), class(6), move |d| {
            let (x, w) = (d.floats([2, 3, 6, 6]).to(dtype), d.floats([4, 3, 3, 3]).to(dtype));
            x.conv2d(&w, &ConvOptions::default().padding(1)).to(DType::F32)
        });
        list.smooth(format!("half {dtype} conv2d, depthwise, strided"), class(6), move |d| {
            let (x, w) = (d.floats([2, 4, 7, 7]).to(dtype), d.floats([4, 1, 3, 3]).to(dtype));
            x.conv2d(&w, &ConvOptions::default().stride(2).groups(4)).to(DType::F32)
        });
        list.smooth(format!("half {dtype} gather"), class(4), move |d| {
            let x = d.floats([5, 6]).to(dtype);
            x.gather(0, &d.uints([4, 6], 5)).to(DType::F32)
        });
        list.smooth(format!("half {dtype} scatter"), class(4), move |d| {
            let source = d.floats([8, 3]).to(dtype);
            Tensor::full([5, 3], noyau::tensor::Scalar::new(0.5, dtype)).scatter_add(0, &d.uints([8, 3], 5), &source).to(DType::F32)
        });
        list.value(format!("half {dtype} comparisons"), Exact, move |d| {
            let (x, y) = (
                d.given([6], &[1.0f32, -2.0, 0.5, 0.25, 0.0, -0.0]).to(dtype),
                d.given([6], &[1.0f32, 2.0, 0.25, 0.5, -0.0, 1.0]).to(dtype),
            );
            x.lt(&y).to(DType::U32) + x.eq(&y).to(DType::U32) * 2 + x.ge(0.25).to(DType::U32) * 4
        });
        list.value(format!("half {dtype} integers"), Exact, move |d| {
            let n = d.ints([64], -100, 100);
            (n.to(dtype) * 0.5).floor().to(DType::I32) + n.to(dtype).to(DType::Bool).to(dtype).to(DType::I32)
        });
        // 4096 ones are 4096: in f16 a sum that was rounded at each step would stop at 2048, in bf16 at 256.
        list.value(format!("half {dtype} sum of ones"), Exact, move |d| {
            (d.given([3, 4096], &[0.5f32; 3 * 4096]).to(dtype) * 2.0).sum_axes(&[1])
        });
        list.value(format!("half {dtype} product of ones"), Exact, move |d| {
            d.given([2, 4096], &[1f32; 2 * 4096]).to(dtype).matmul(&d.given([4096, 3], &[1f32; 3 * 4096]).to(dtype))
        });
        list.smooth(format!("half {dtype} mixed-precision MLP"), class(16), move |d| {
            // Weights and loss in f32, what lies between in halves.
            let (x, w1, b1, w2) = (d.floats([6, 5]), d.floats([5, 8]), d.floats([8]), d.floats([8, 3]));
            let hidden = (x.to(dtype).matmul(&w1.to(dtype)) + b1.to(dtype)).tanh();
            let logits = hidden.matmul(&w2.to(dtype)).to(DType::F32);
            logits.log_softmax(-1).slice(1, 0..1)
        });
    }
    list.value("half bf16 of f16 and back", BF16(2), |d| d.floats([50]).to(DType::F16).to(DType::BF16).to(DType::F16));
    // Products of halves are exact in f32, and a sum of two is rounded once: bit for bit.
    list.value("half f16, exactly rounded", Exact, |d| {
        let x = d.given([4], &[1.5f32, 2048.0, -0.125, 30000.0]).to(DType::F16);
        (&x * 2.0 - &x) / 4.0
    });
}

//! Sizes beyond what one loop, one dimension of a grid, one kernel's bindings or one buffer takes, on the CPU and every GPU; the sign of zero.
//!
//! Small shapes are in the case list (`cases/edges.rs`), and so is what IEEE says of infinities and NaN.

mod cases;
mod support;

use noyau::prelude::*;
use support::gpus;

/// The CPU and every GPU, in turn.
fn everywhere(mut check: impl FnMut(&str, &Device)) {
    check("CPU", &Device::cpu());
    gpus::every(|gpu| check(&gpu.name, &gpu.device));
}

fn values(device: &Device, tensors: &[&Tensor]) -> Vec<Array> {
    support::by_device(device, true, tensors).unwrap_or_else(|e| panic!("{e}")).0
}

/// 2^24: more than the whole numbers that f32 can count one by one, and far more than any loop of one invocation.
const LONG: usize = 1 << 24;

/// Numbers from 0 to 2^24 - 1, each once, in no order: a multiplication by an odd number is a permutation of its residues.
fn shuffled() -> Tensor {
    (Tensor::arange(LONG) * 2_654_435_761_u32).shr(8u32)
}

#[test]
fn reductions_of_16_million_elements() {
    // A sum of one number expanded might be a product: the terms are computed, and the compiler cannot know that they are equal.
    let mask = Param::from_array("mask", Array::scalar(0u32));
    let of = |value: f32| Param::scalar("x", value).tensor() + Tensor::arange(LONG).logical_and(mask.tensor()).to(DType::F32);
    let whole = shuffled();
    let numbers = whole.to(DType::F32);
    let halves = (&whole % 1021u32).to(DType::F32) * 0.5;
    let tensors = [of(1.0).sum(), of(0.1).sum(), of(0.1).mean(), halves.sum(), numbers.max(&[]), numbers.min(&[]), numbers.argmax(0)];
    let at = (0..LONG as u32).find(|i| i.wrapping_mul(2_654_435_761) >> 8 == LONG as u32 - 1).expect("one of them is the largest");
    let sum: f64 = (0..LONG as u32).map(|i| f64::from((i.wrapping_mul(2_654_435_761) >> 8) % 1021) * 0.5).sum();
    everywhere(|name, device| {
        let found: Vec<f64> = values(device, &tensors.each_ref()).iter().map(|a| a.to_f64()[0]).collect();
        assert_eq!(found[0], LONG as f64, "{name}: a sum of ones is exact");
        assert_eq!((found[4], found[5]), ((LONG - 1) as f64, 0.0), "{name}: the extremes");
        assert_eq!(found[6], f64::from(at), "{name}: where the largest is");
        // Equal terms err the same way, so that k of them in a row may be off by k / 2 units of rounding. No invocation adds 1024 in a row; what
        // they give is then added by trees. Measured: 270 units on GPUs, 3 on the CPU.
        let bound = 512.0 / (1 << 24) as f64;
        for (what, found, expected) in [
            ("the sum of 0.1", found[1], f64::from(0.1f32) * LONG as f64),
            ("the mean of 0.1", found[2], f64::from(0.1f32)),
            ("the sum of halves", found[3], sum),
        ] {
            let off = (found / expected - 1.0).abs();
            assert!(off <= bound, "{name}: {what} is {found}, not {expected}: off by {off:.1e}, allowed {bound:.1e}");
        }
    });
}

#[test]
fn gradients_of_long_reductions() {
    // Half a million rows of 33 and 33 of half a million: whichever axis is long, the gradient of a row's sum of squares is twice the element.
    let x = Param::from_array("x", Array::new([33], &(0..33).map(|i| i as f32).collect::<Vec<_>>()).expect("33 values"));
    let rows = x.expand([500_000, 33]);
    let tensors = [rows.sum_axes(&[0]), grad(&rows.square().sum(), &[&x]).swap_remove(0)];
    everywhere(|name, device| {
        let found = values(device, &tensors.each_ref());
        for i in 0..33 {
            let expected = [500_000.0 * i as f64, 1_000_000.0 * i as f64];
            for (found, expected) in found.iter().zip(expected) {
                let off = (found.to_f64()[i] - expected).abs();
                assert!(off <= expected * 1e-6, "{name}: column {i} is {}, not {expected}", found.to_f64()[i]);
            }
        }
    });
}

/// 65,535 workgroups of 256 are all that one dimension of a grid has.
const GRID: usize = 65_535 * 256;

#[test]
fn maps_about_the_end_of_a_grids_dimension() {
    for n in [GRID - 1, GRID, GRID + 1, GRID + 257] {
        // Every element is another number: none may be left out or written by its neighbour.
        let x = Tensor::arange(n).logical_xor(Param::from_array("mask", Array::new([1], &[0x5555_5555u32]).expect("one value")).tensor());
        everywhere(|name, device| {
            let found = values(device, &[&x]).swap_remove(0).to_vec::<u32>().expect("u32");
            assert_eq!(found.len(), n, "{name}");
            let wrong = found.iter().enumerate().find(|&(i, &v)| v != i as u32 ^ 0x5555_5555);
            assert_eq!(wrong, None, "{name}: of {n} elements");
        });
    }
}

#[test]
fn a_tensor_beyond_the_largest_buffer_is_an_error_with_the_limit() {
    gpus::every(|gpu| {
        let most = gpu.device.limits().max_buffer_bytes;
        let n = most / 4 + 1;
        let session = Session::new(gpu.device.clone());
        let small = Param::scalar("small", 1.5);
        let state = Param::new("weight", [n], Init::Full(Scalar::Float(0.0)));
        for (what, tensor) in [("a state", state.tensor() + 1.0), ("a result", small.expand([n]) * 2.0)] {
            let error = session.eval(&tensor).expect_err(what).to_string();
            assert!(error.contains(&most.to_string()) && error.contains(&(4 * n).to_string()), "{}: {what}: {error}", gpu.name);
        }
        // What needs no buffer of that size is no mistake, and the session goes on.
        if n < 1 << 28 {
            assert_eq!(session.eval(&(small.expand([n]) * 2.0).max(&[])).expect("it runs").item(), 3.0, "{}", gpu.name);
        }
        assert_eq!(session.eval(&(small.tensor() * 2.0)).expect("it runs").item(), 3.0, "{}", gpu.name);
    });
}

/// Too large to share a binding with others of its size.
const LARGE: usize = 16_500;

#[test]
fn forty_parameters_in_one_expression_each_with_a_gradient_and_an_update() {
    for n in [LARGE, 7] {
        everywhere(|name, device| {
            let value = |i: usize, j: usize| ((i * 31 + j * 7) % 64) as f32 / 64.0 - 0.5;
            let array = |i: usize| Array::new([n], &(0..n).map(|j| value(i, j)).collect::<Vec<_>>()).expect("n values");
            let params: Vec<Param> = (0..40).map(|i| Param::from_array(format!("p{i}"), array(i))).collect();
            let sum = params.iter().enumerate().fold(Tensor::zeros([n]), |sum, (i, p)| sum + p.tensor() * (i as f32 + 1.0));
            let loss = sum.square().sum() * 0.5;
            let gradients = grad(&loss, &params.iter().map(Param::tensor).collect::<Vec<_>>());
            let updates: Vec<(Param, Tensor)> = params.iter().zip(&gradients).map(|(p, g)| (p.clone(), p.tensor() - g * 0.0625)).collect();
            let session = Session::new(device.clone());
            let step = gradients.iter().fold(Step::returns(&loss), |step, gradient| step.and_returns(gradient)).updates(updates);
            let found = session.compile([], |[]| step).expect("it compiles").run(&[]).expect("it runs");
            let sums: Vec<f64> = (0..n).map(|j| (0..40).map(|i| f64::from(value(i, j)) * (i as f64 + 1.0)).sum()).collect();
            // All numbers are multiples of 2^-6 below 2^18, and of 2^-10 below 2^14 after the update: exact.
            for (i, param) in params.iter().enumerate() {
                let after = session.get(param).expect("it can be read").to_f64();
                let gradient = found[i + 1].to_f64();
                for j in 0..n {
                    let slope = sums[j] * (i as f64 + 1.0);
                    assert_eq!(gradient[j], slope, "{name}: gradient of p{i}[{j}]");
                    assert_eq!(after[j], f64::from(value(i, j)) - slope * 0.0625, "{name}: p{i}[{j}] after the update");
                }
            }
            let loss: f64 = sums.iter().map(|s| s * s * 0.5).sum();
            assert!((found[0].to_f64()[0] / loss - 1.0).abs() < 1e-5, "{name}: the loss is {}, not {loss}", found[0].to_f64()[0]);
        });
    }
}

/// The bits of a tensor's elements.
fn bits(array: &Array) -> Vec<u32> {
    array.to_vec::<f32>().expect("f32").iter().map(|v| v.to_bits()).collect()
}

const MINUS: u32 = 1 << 31;

#[test]
fn zero_keeps_its_sign_where_it_is_moved() {
    let x = Param::from_array("x", Array::new([4], &[-0.0f32, 0.0, -0.0, 1.0]).expect("four values"));
    let places = Tensor::from([2u32, 1]);
    let yes = Param::from_array("yes", Array::new([1], &[true]).expect("one value"));
    let tensors = [
        x.flip(&[0]),
        concat(&[&x, &x], 0),
        x.reshape([2, 2]).t(),
        yes.where_(&x, 1.0),
        x.index_select(0, &places),
        x.pad(&[(1, 0)], 2.0),
        -x.tensor(),
    ];
    let one = 1.0f32.to_bits();
    let expected: [&[u32]; 7] = [
        &[one, MINUS, 0, MINUS],
        &[MINUS, 0, MINUS, one, MINUS, 0, MINUS, one],
        &[MINUS, MINUS, 0, one],
        &[MINUS, 0, MINUS, one],
        &[MINUS, 0],
        &[2.0f32.to_bits(), MINUS, 0, MINUS, one],
        &[0, MINUS, 0, one | MINUS],
    ];
    everywhere(|name, device| {
        for (i, (found, expected)) in values(device, &tensors.each_ref()).iter().zip(expected).enumerate() {
            assert_eq!(bits(found), expected, "{name}: expression {i}");
        }
    });
}

/// IEEE 754 says what these are; WGSL leaves the sign of zero to the device, so the CPU alone is asked.
#[test]
fn arithmetic_of_signed_zeros_on_the_cpu() {
    let minus = Param::scalar("minus", -0.0);
    let plus = Param::scalar("plus", 0.0);
    let (m, p) = (minus.tensor(), plus.tensor());
    let cases: [(&str, Tensor, f32); 19] = [
        ("-0 + -0", m + m, -0.0),
        ("-0 + 0", m + p, 0.0),
        ("-0 - 0", m - p, -0.0),
        ("-0 + the number 0", m + 0.0, 0.0),
        ("-0 - the number 0", m - 0.0, -0.0),
        ("0 * -1", p * -1.0, -0.0),
        ("-0 * the number 1", m * 1.0, -0.0),
        ("-0 / 2", m / 2.0, -0.0),
        ("1 / -0", m.reciprocal(), f32::NEG_INFINITY),
        ("1 / 0", p.reciprocal(), f32::INFINITY),
        ("|-0|", m.abs(), 0.0),
        ("sqrt(-0)", m.sqrt(), -0.0),
        ("floor(-0)", m.floor(), -0.0),
        ("ceil(-0.5)", (m - 0.5).ceil(), -0.0),
        ("round(-0.4)", (m - 0.4).round(), -0.0),
        ("trunc(-0.4)", (m - 0.4).trunc(), -0.0),
        ("sin(-0)", m.sin(), -0.0),
        ("tanh(-0)", m.tanh(), -0.0),
        ("erf(-0)", m.erf(), -0.0),
    ];
    let mut faults = Vec::new();
    for (what, tensor, expected) in &cases {
        for fuse in [true, false] {
            let (found, _) = support::by_device(&Device::cpu(), fuse, &[tensor]).expect("it runs");
            if bits(&found[0]) != [expected.to_bits()] {
                faults.push(format!("{what} is {:?}, not {expected:?} (fused {fuse})", found[0].to_vec::<f32>().expect("f32")));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(support::by_oracle(&[&m.eq(p)]).expect("it runs")[0].data == [1.0]);
}

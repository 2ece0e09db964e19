//! A network's loss, logits and every gradient against the numbers that PyTorch computed in float64 (`golden/make_mlp.py`).

mod cases;
mod support;

use std::collections::HashMap;

use noyau::cpu::Values;
use noyau::nn::activation::gelu;
use noyau::nn::cross_entropy;
use noyau::tensor::grad;
use noyau::{Array, DType, Device, Param, Tensor};
use serde::Deserialize;
use support::tolerance::Tolerance;
use support::{by_device, by_oracle, gpus};

#[derive(Deserialize)]
struct Golden {
    labels: Vec<u32>,
    loss: f64,
    logits: Vec<f64>,
    tensors: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    shape: Vec<usize>,
    value: Vec<f64>,
    gradient: Vec<f64>,
}

/// The network of `make_mlp.py`: what to compute, its name and PyTorch's numbers.
fn network() -> Vec<(String, Tensor, Values)> {
    let golden: Golden = serde_json::from_str(include_str!("golden/mlp.json")).expect("the golden file is JSON of this form");
    let param = |t: &Named| {
        let values: Vec<f32> = t.value.iter().map(|&v| v as f32).collect();
        assert!(values.iter().zip(&t.value).all(|(&a, &b)| f64::from(a) == b), "{} is not made of f32 numbers", t.name);
        Param::from_array(&*t.name, Array::new(t.shape.clone(), &values).expect("as many values as the shape has"))
    };
    let params: HashMap<&str, Param> = golden.tensors.iter().map(|t| (&*t.name, param(t))).collect();
    let linear = |name: &str, x: &Tensor| x.matmul(&params[&*format!("{name}.weight")].t()) + &params[&*format!("{name}.bias")];

    let hidden = gelu(&linear("second", &linear("first", &params["x"]).tanh()));
    let centred = &hidden - hidden.mean_keep(&[1]);
    let normal = &centred * (centred.square().mean_keep(&[1]) + Tensor::full([], noyau::tensor::Scalar::Float(1e-5))).rsqrt();
    let logits = linear("third", &(normal * &params["scale"]));
    let penalty = params["second.weight"].square().sum() + params["second.bias"].square().sum();
    let labels = Tensor::new(&golden.labels, [golden.labels.len()]);
    let loss = cross_entropy(&logits, &labels) + penalty * Tensor::full([], noyau::tensor::Scalar::Float(0.01));

    let wrt: Vec<&Tensor> = golden.tensors.iter().map(|t| params[&*t.name].tensor()).collect();
    let gradients = grad(&loss, &wrt);
    let values = |tensor: &Tensor, data: Vec<f64>| Values { shape: tensor.shape().clone(), dtype: DType::F32, data };
    let mut all = vec![
        ("loss".to_string(), loss.clone(), values(&loss, vec![golden.loss])),
        ("logits".to_string(), logits.clone(), values(&logits, golden.logits)),
    ];
    for (named, gradient) in golden.tensors.into_iter().zip(gradients) {
        let expected = values(&gradient, named.gradient);
        all.push((format!("gradient of {}", named.name), gradient, expected));
    }
    all
}

#[test]
fn the_oracle_has_pytorchs_numbers() {
    let network = network();
    let found = by_oracle(&network.iter().map(|(_, tensor, _)| tensor).collect::<Vec<_>>()).expect("the network is sound");
    for ((name, _, expected), found) in network.iter().zip(found) {
        assert_eq!(found.shape, expected.shape, "{name}");
        let scale = expected.data.iter().fold(0.0f64, |scale, v| scale.max(v.abs()));
        for (i, (f, e)) in found.data.iter().zip(&expected.data).enumerate() {
            // Both sides compute in f64: some hundred roundings of 1e-16.
            assert!((f - e).abs() <= 1e-13 * scale, "{name}[{i}] is {f}, PyTorch has {e}");
        }
    }
}

/// A dozen layers' worth of functions, forward and back, of which none loses more than the class of chains says, and they partly cancel: twice that.
const BOUND: Tolerance = Tolerance { relative: 64.0 / (1 << 24) as f64, absolute: 32.0 / (1 << 24) as f64 };

fn check(device: &Device, name: &str) {
    let network = network();
    let tensors: Vec<&Tensor> = network.iter().map(|(_, tensor, _)| tensor).collect();
    for fuse in [true, false] {
        let (found, _) = by_device(device, fuse, &tensors).unwrap_or_else(|e| panic!("{name}: {e}"));
        for ((what, _, expected), found) in network.iter().zip(&found) {
            if let Some(fault) = BOUND.fault(expected, found) {
                panic!("{name}, fused {fuse}: {what}: {fault}");
            }
        }
    }
}

#[test]
fn the_cpu_has_pytorchs_numbers() {
    check(&Device::cpu(), "CPU");
}

#[test]
fn gpus_have_pytorchs_numbers() {
    gpus::every(|gpu| check(&gpu.device, &gpu.name));
}

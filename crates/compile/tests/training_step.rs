//! The plan of an MLP's training step, reviewed: a change of fusion shows here.

use noyau_compile::{Graph, Limits, Options, Plan, compile};
use noyau_tensor::{DType, Init, Param, Scalar, Tensor, grad};

/// A training step of a small MLP with the shapes' proportions of the MNIST example: cross-entropy, SGD with momentum.
fn training_step() -> Graph {
    let (batch, sizes) = (6, [8, 5, 4, 3]);
    let x = Tensor::input(0, [batch, sizes[0]], DType::F32);
    let y = Tensor::input(1, [batch], DType::U32);
    let zeros = |name: String, shape: Vec<usize>| Param::new(name, shape, Init::Full(Scalar::Float(0.0)));
    let weights: Vec<Param> = (0..3).map(|i| zeros(format!("w{i}"), vec![sizes[i + 1], sizes[i]])).collect();
    let biases: Vec<Param> = (0..3).map(|i| zeros(format!("b{i}"), vec![sizes[i + 1]])).collect();
    let mut h = x;
    for i in 0..3 {
        h = h.matmul(&weights[i].t()) + &biases[i];
        if i < 2 {
            h = h.relu();
        }
    }
    let picked = y.one_hot(sizes[3]).eq(1.0).where_(&h, 0.0).sum_axes(&[1]);
    let loss = (h.logsumexp_keep(&[1]).squeeze(1) - picked).mean();
    let params: Vec<&Param> = weights.iter().chain(&biases).collect();
    let wrt: Vec<&Tensor> = params.iter().map(|p| p.tensor()).collect();
    let mut updates = Vec::new();
    for (param, g) in params.iter().zip(grad(&loss, &wrt)) {
        let moment = zeros(format!("m.{}", param.name()), param.shape().to_vec());
        let next = &moment * 0.9 + g;
        updates.push((param.state().clone(), param.tensor() - &next * 0.1));
        updates.push((moment.state().clone(), next));
    }
    Graph::trace(&[(vec![batch, sizes[0]].into(), DType::F32), (vec![batch].into(), DType::U32)], &[&loss], &updates).unwrap()
}

fn compiled(limits: Limits, fuse: bool) -> Plan {
    compile(&training_step(), Options { limits, fuse }).unwrap()
}

#[test]
fn plan_on_a_gpu() {
    insta::assert_snapshot!(compiled(Limits::GPU, true));
}

#[test]
fn fusion_leaves_few_kernels() {
    let fused = compiled(Limits::CPU, true).kernels.len();
    let unfused = compiled(Limits::CPU, false).kernels.len();
    assert!(fused <= 13, "{fused} kernels");
    assert!(unfused > 2 * fused, "{unfused} kernels without fusion");
}

//! The plan of an MLP's training step, reviewed: a change of fusion shows here.

use std::collections::HashMap;

use noyau_compile::plan::{BufferId, BufferKind};
use noyau_compile::{FuseOptions, Graph, Limits, Options, Plan, compile, fuse, prepare};
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
fn graph_as_traced() {
    insta::assert_snapshot!(training_step());
}

#[test]
fn graph_as_fused() {
    let graph = prepare(&training_step(), Options::new(Limits::GPU)).unwrap();
    let fusion = fuse(&graph, &FuseOptions::default());
    insta::assert_snapshot!(format!("{graph}\n{fusion}"));
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

/// Slots are shared, and never by two buffers that are alive at once.
#[test]
fn slots_are_shared_safely() {
    for fuse in [true, false] {
        let plan = compiled(Limits::CPU, fuse);
        let slot_of = |id: BufferId| match plan.buffers[id.0].kind {
            BufferKind::Slot(slot) => Some(slot),
            BufferKind::Input(_) | BufferKind::State(_) | BufferKind::Constant(_) => None,
        };
        let mut life: HashMap<BufferId, (usize, usize)> = HashMap::new();
        for (time, kernel) in plan.kernels.iter().enumerate() {
            for id in kernel.writes().into_iter().chain(kernel.reads()).filter(|&id| slot_of(id).is_some()) {
                life.entry(id).or_insert((time, time)).1 = time;
            }
        }
        plan.outputs.iter().filter_map(|id| life.get_mut(id).map(|l| l.1 = usize::MAX)).for_each(drop);
        for (a, (a_start, a_end)) in &life {
            for (b, (b_start, b_end)) in &life {
                let apart = a_end < b_start || b_end < a_start;
                assert!(a == b || slot_of(*a) != slot_of(*b) || apart, "{a:?} and {b:?} are alive at once in {:?}", slot_of(*a));
            }
        }
        assert!(plan.slots.len() < life.len(), "{} slots for {} buffers", plan.slots.len(), life.len());
    }
}

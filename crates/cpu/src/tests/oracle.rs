//! The oracle, and the executor on compiled graphs against it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use noyau_compile::{Graph, Options, compile};
use noyau_tensor::{Init, Param, Scalar, Shape, Tensor, grad};

use super::*;
use crate::{Memory, Values, evaluate, evaluate_with};

fn graph(inputs: &[&[usize]], f: impl Fn(&[Tensor]) -> Vec<Tensor>) -> Graph {
    let inputs: Vec<(Shape, DType)> = inputs.iter().map(|&s| (Shape::from(s), DType::F32)).collect();
    let tensors: Vec<Tensor> = inputs.iter().enumerate().map(|(i, (s, d))| Tensor::input(i, s, *d)).collect();
    let outputs = f(&tensors);
    Graph::trace(&inputs, &outputs.iter().collect::<Vec<_>>(), &[]).unwrap()
}

fn values(graph: &Graph) -> Vec<Values> {
    let mut random = Random(5);
    let mut data = |n| (0..n).map(|_| scalar::from_word(random.word(DType::F32), DType::F32)).collect();
    graph.inputs.iter().map(|(shape, dtype)| Values { shape: shape.clone(), dtype: *dtype, data: data(shape.numel()) }).collect()
}

#[test]
fn knows_arithmetic() {
    let graph =
        graph(&[&[2, 3], &[3, 2]], |x| vec![x[0].matmul(&x[1]), x[0].sum_axes(&[1]), x[0].t() * 2.0, x[1].pad(&[(1, 0), (0, 1)], 7.0)]);
    let given = |shape: [usize; 2], data: [f64; 6]| Values { shape: shape.into(), dtype: DType::F32, data: data.to_vec() };
    let inputs = [given([2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), given([3, 2], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0])];
    let run = evaluate(&graph, &inputs, &|_| unreachable!()).unwrap();
    assert_eq!(run.outputs[0].data, [4.0, 5.0, 10.0, 11.0]);
    assert_eq!(run.outputs[1].data, [6.0, 15.0]);
    assert_eq!(run.outputs[2].data, [2.0, 8.0, 4.0, 10.0, 6.0, 12.0]);
    assert_eq!(run.outputs[3].data, [7.0, 7.0, 7.0, 1.0, 0.0, 7.0, 0.0, 1.0, 7.0, 1.0, 1.0, 7.0]);
}

#[test]
fn shows_the_first_node_that_is_not_finite() {
    let graph = graph(&[&[3]], |x| vec![(&x[0] - &x[0]).log() + 1.0]);
    let mut found = None;
    let run = evaluate_with(&graph, &values(&graph), &|_| unreachable!(), &mut |id, values| {
        if values.data.iter().all(|x| x.is_finite()) {
            return ControlFlow::Continue(());
        }
        found = Some(graph.node(id).op.name());
        ControlFlow::Break(())
    });
    assert!(run.unwrap().is_none());
    assert_eq!(found, Some("log"));
}

#[test]
fn refuses_other_arguments() {
    let graph = graph(&[&[3]], |x| vec![x[0].exp()]);
    let other = Values { shape: Shape::from([4]), dtype: DType::F32, data: vec![0.0; 4] };
    assert!(evaluate(&graph, &[other], &|_| unreachable!()).is_err());
    assert!(evaluate(&graph, &[], &|_| unreachable!()).is_err());
}

#[test]
fn compiled_graphs_agree() {
    let graphs = [
        graph(&[&[40, 30], &[30, 20], &[20]], |x| vec![(x[0].matmul(&x[1]) + &x[2]).tanh(), x[0].matmul(&x[1]).softmax(-1)]),
        graph(&[&[6, 50, 20]], |x| {
            vec![x[0].log_softmax(1), x[0].var(&[0, 2], 0), x[0].permute(&[2, 0, 1]).max(&[0]), x[0].flip(&[1]).slice_step(1, 3.., 2)]
        }),
        graph(&[&[3000], &[3000]], |x| vec![(&x[0] * &x[1]).sum(), x[0].erf() + x[1].sin(), x[0].abs().pow(1.7), x[0].argmax(0)]),
    ];
    for graph in graphs {
        let inputs = values(&graph);
        let right = evaluate(&graph, &inputs, &|_| unreachable!()).unwrap();
        let cpu = Cpu::new();
        for fuse in [true, false] {
            let options = Options { fuse, ..Options::new(cpu.limits()) };
            let mut executable = cpu.load(Arc::new(compile(&graph, options).unwrap()), &mut |_| unreachable!()).unwrap();
            inputs.iter().enumerate().for_each(|(i, v)| executable.write(i, &v.to_array().unwrap()).unwrap());
            executable.run().unwrap();
            for (i, right) in right.outputs.iter().enumerate() {
                let got = executable.read(i).unwrap();
                assert_eq!((got.shape(), got.dtype()), (&right.shape, right.dtype));
                for (g, r) in got.to_f64().into_iter().zip(&right.data) {
                    assert!((g - r).abs() <= 1e-5 * (1.0 + r.abs()), "output {i}: got {g}, expected {r}\n{graph}");
                }
            }
        }
    }
}

/// A network trained with momentum, step by step beside the oracle: losses and weights stay together.
#[test]
fn training_keeps_to_the_oracle() {
    let data = |shape: [usize; 2], scale: f32| {
        let mut random = Random(shape[0] as u64 * 31 + shape[1] as u64);
        let values: Vec<f32> =
            (0..shape[0] * shape[1]).map(|_| scalar::from_word(random.word(DType::F32), DType::F32) as f32 * scale).collect();
        Array::new(shape, &values).unwrap()
    };
    let x = Tensor::input(0, [32, 70], DType::F32);
    let y = Tensor::input(1, [32], DType::U32);
    let params = [
        Param::from_array("w1", data([70, 40], 0.1)),
        Param::from_array("b1", data([1, 40], 0.1)),
        Param::from_array("w2", data([40, 10], 0.2)),
    ];
    let logits = (x.matmul(&params[0]) + params[1].tensor()).relu().matmul(&params[2]);
    let loss = -(logits.log_softmax(-1) * y.one_hot(10).to(DType::F32)).sum_axes(&[-1]).mean();
    let mut updates = Vec::new();
    for (p, g) in params.iter().zip(grad(&loss, &params.iter().map(|p| p.tensor()).collect::<Vec<_>>())) {
        let v = Param::new("v", p.shape(), Init::Full(Scalar::Float(0.0)));
        let next = v.tensor() * 0.9 + g;
        updates.push((Arc::clone(p.state()), p.tensor() - &next * 0.1));
        updates.push((Arc::clone(v.state()), next));
    }
    let graph = Graph::trace(&[(Shape::from([32, 70]), DType::F32), (Shape::from([32]), DType::U32)], &[&loss], &updates).unwrap();
    let labels = Array::new([32], &(0..32u32).map(|i| i * 7 % 10).collect::<Vec<_>>()).unwrap();
    let inputs = [data([32, 70], 1.0), labels];

    let cpu = Cpu::new();
    let memories: HashMap<u64, Memory> = updates.iter().map(|(s, _)| (s.id(), cpu.create(&s.initial_value(0).unwrap()).unwrap())).collect();
    let mut executable =
        cpu.load(Arc::new(compile(&graph, Options::new(cpu.limits())).unwrap()), &mut |s| Ok(memories[&s.id()].clone())).unwrap();
    inputs.iter().enumerate().for_each(|(i, v)| executable.write(i, v).unwrap());
    let mut states: HashMap<u64, Values> = updates.iter().map(|(s, _)| (s.id(), Values::from(&s.initial_value(0).unwrap()))).collect();
    let inputs: Vec<Values> = inputs.iter().map(Values::from).collect();
    let close = |g: f64, r: f64| (g - r).abs() <= 1e-4 * (1.0 + r.abs());
    let mut losses = Vec::new();
    for step in 0..20 {
        executable.run().unwrap();
        let right = evaluate(&graph, &inputs, &|s| states[&s.id()].clone()).unwrap();
        let (got, right_loss) = (f64::from(executable.read(0).unwrap().item()), right.outputs[0].data[0]);
        assert!(close(got, right_loss), "loss of step {step}: got {got}, expected {right_loss}");
        losses.push(got);
        for ((state, _), next) in updates.iter().zip(right.updates) {
            let got = cpu.read(&memories[&state.id()]).unwrap().to_f64();
            assert!(got.iter().zip(&next.data).all(|(&g, &r)| close(g, r)), "{} after step {step}", state.name());
            states.insert(state.id(), next);
        }
    }
    assert!(losses[19] < losses[0] / 2.0, "{losses:?}");
}

//! The oracle, and the executor on compiled graphs against it.

use std::ops::ControlFlow;

use noyau_compile::{Graph, Options, compile};
use noyau_tensor::{Shape, Tensor};

use super::*;
use crate::{Values, evaluate, evaluate_with};

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

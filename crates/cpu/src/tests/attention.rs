//! Attention's kernel on compiled graphs: against the oracle, against itself with other results wanted, and what it keeps in memory.

use noyau_compile::{Graph, Options, compile};
use noyau_tensor::{Shape, Tensor, grad};

use super::*;
use crate::{Values, evaluate};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sizes {
    batch: [usize; 2],
    n: usize,
    m: usize,
    d: usize,
    e: usize,
    causal: bool,
    masked: bool,
}

/// Queries, keys and values as heads side by side in memory, and a mask that closes all keys to the queries of one row.
fn graph(s: Sizes, gradients: &[usize]) -> Graph {
    let [b, h] = s.batch;
    let shapes = [[b, s.n, h, s.d], [b, s.m, h, s.d], [b, s.m, h, s.e]];
    let inputs: Vec<(Shape, DType)> = shapes.iter().map(|&s| (Shape::from(s), DType::F32)).collect();
    let given: Vec<Tensor> = inputs.iter().enumerate().map(|(i, (s, d))| Tensor::input(i, s, *d)).collect();
    let [q, k, v] = [0, 1, 2].map(|i| given[i].transpose(1, 2));
    let row = Tensor::iota([s.n, s.m], 0);
    let column = Tensor::iota([s.n, s.m], 1);
    let shut = row.eq(1u32).logical_or(((row + &column * 3u32) % 5u32).eq(0u32));
    let masks = [shut.where_(-1e30f32, column.to(DType::F32) * 0.01), Tensor::from([0.25f32])];
    let masks = if s.masked { &masks[..] } else { &[] };
    let y = q.attention(&k, &v, masks, s.causal, (s.d as f64).sqrt().recip());
    let weights = (Tensor::arange(y.numel()) % 7u32).to(DType::F32).reshape(y.shape()) * 0.25 - 0.5;
    let found = grad(&(&y * weights).sum(), &given.iter().collect::<Vec<_>>());
    let outputs: Vec<&Tensor> = std::iter::once(&y).chain(gradients.iter().map(|&i| &found[i])).collect();
    Graph::trace(&inputs, &outputs, &[]).unwrap()
}

fn values(graph: &Graph) -> Vec<Values> {
    let mut random = Random(11);
    let mut data = |n| (0..n).map(|_| scalar::from_word(random.word(DType::F32), DType::F32)).collect();
    graph.inputs.iter().map(|(shape, dtype)| Values { shape: shape.clone(), dtype: *dtype, data: data(shape.numel()) }).collect()
}

fn run(graph: &Graph, inputs: &[Values], cpu: &Cpu, fuse: bool) -> (Vec<Array>, Arc<Plan>) {
    run_with(graph, inputs, cpu, Options { fuse, ..Options::new(Limits { min_scores: 0, ..cpu.limits() }) })
}

fn run_with(graph: &Graph, inputs: &[Values], cpu: &Cpu, options: Options) -> (Vec<Array>, Arc<Plan>) {
    let plan = Arc::new(compile(graph, options).unwrap());
    let mut executable = cpu.load(Arc::clone(&plan), &mut |_| unreachable!()).unwrap();
    inputs.iter().enumerate().for_each(|(i, v)| executable.write(i, &v.to_array().unwrap()).unwrap());
    executable.run().unwrap();
    ((0..graph.outputs.len()).map(|i| executable.read(i).unwrap()).collect(), plan)
}

fn kernels(plan: &Plan) -> usize {
    plan.kernels.iter().filter(|k| matches!(k.kind, KernelKind::Attention(_))).count()
}

const SMALL: Sizes = Sizes { batch: [2, 3], n: 5, m: 7, d: 4, e: 3, causal: false, masked: false };

fn all() -> Vec<Sizes> {
    let mut all = vec![
        SMALL,
        Sizes { n: 1, m: 2, d: 1, e: 1, ..SMALL },
        Sizes { n: 130, m: 300, d: 16, e: 9, ..SMALL },
        Sizes { n: 300, m: 130, d: 33, e: 64, batch: [1, 1], ..SMALL },
        Sizes { n: 65, m: 257, d: 128, e: 128, batch: [1, 9], ..SMALL },
        Sizes { n: 64, m: 512, d: 8, e: 8, batch: [3, 3], ..SMALL },
    ];
    let plain = all.clone();
    for (causal, masked) in [(true, false), (false, true), (true, true)] {
        all.extend(plain.iter().map(|&s| Sizes { causal, masked, ..s }));
    }
    all
}

#[test]
fn agrees_with_the_oracle() {
    for s in all() {
        let graph = graph(s, &[0, 1, 2]);
        let inputs = values(&graph);
        let right = evaluate(&graph, &inputs, &|_| unreachable!()).unwrap();
        for level in Simd::available() {
            let (got, plan) = run(&graph, &inputs, &Cpu::with_level(level), true);
            assert_eq!(kernels(&plan), 2, "forward and backward:\n{plan}");
            for (i, (got, right)) in got.iter().zip(&right.outputs).enumerate() {
                let scale = right.data.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
                for (g, r) in got.to_f64().into_iter().zip(&right.data) {
                    assert!((g - r).abs() <= 4e-6 * scale, "{s:?} {level:?}, output {i}: got {g}, expected {r}");
                }
            }
        }
    }
}

/// Each part by itself, beside one other, and all in one kernel: the same bits.
#[test]
fn what_else_is_wanted_changes_no_bit() {
    for s in all().into_iter().filter(|s| s.n > 60) {
        let whole = graph(s, &[0, 1, 2]);
        let inputs = values(&whole);
        let cpu = Cpu::new();
        let (all, _) = run(&whole, &inputs, &cpu, true);
        let (apart, plan) = run(&whole, &inputs, &cpu, false);
        assert_eq!(kernels(&plan), 5, "{plan}");
        assert!(all.iter().zip(&apart).all(|(a, b)| a.words() == b.words()), "{s:?}: fused and unfused differ");
        for wanted in [&[0][..], &[1, 2], &[2]] {
            let (some, _) = run(&graph(s, wanted), &inputs, &cpu, true);
            assert!(wanted.iter().enumerate().all(|(i, &w)| some[i + 1].words() == all[w + 1].words()), "{s:?}: {wanted:?} alone differ");
        }
    }
}

#[test]
fn weights_are_never_in_memory() {
    let s = Sizes { n: 2048, m: 2048, d: 64, e: 64, batch: [1, 2], ..SMALL };
    let graph = graph(Sizes { causal: true, ..s }, &[0, 1, 2]);
    let plan = compile(&graph, Options::new(Cpu::new().limits())).unwrap();
    let longest = plan.buffers.iter().map(Buffer::len).max().unwrap();
    assert_eq!(longest, 2 * 2048 * 64, "{plan}");
    let limits = Limits { arena_bytes: 0, ..Limits::GPU };
    let plan = compile(&graph, Options::new(limits)).unwrap();
    assert!(plan.buffers.iter().all(|b| b.len() <= longest), "{plan}");
    let bound = |k: &Kernel| k.reads().len() + k.writes().len();
    assert!(plan.kernels.iter().all(|k| bound(k) <= limits.max_bindings), "{plan}");
    // Heads are read where they lie.
    assert!(!plan.kernels.iter().any(|k| k.name == "copy" && k.reads().iter().any(|b| plan.inputs.contains(b))), "{plan}");
}

/// Few places are products and softmax, forward and backward alike, and the same numbers; unfused they are kernels.
#[test]
fn few_places_are_written_out() {
    let cpu = Cpu::new();
    for (n, m, written_out) in [(5, 7, true), (35, 36, true), (36, 36, false), (1, 2000, false), (2000, 2, false)] {
        for (causal, masked) in [(false, false), (true, true)] {
            let s = Sizes { n, m, causal, masked, ..SMALL };
            let graph = graph(s, &[0, 1, 2]);
            let inputs = values(&graph);
            let right = evaluate(&graph, &inputs, &|_| unreachable!()).unwrap();
            let (got, plan) = run_with(&graph, &inputs, &cpu, Options::new(cpu.limits()));
            assert_eq!(kernels(&plan), if written_out { 0 } else { 2 }, "{s:?}:\n{plan}");
            for (got, right) in got.iter().zip(&right.outputs) {
                let scale = right.data.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
                assert!(got.to_f64().iter().zip(&right.data).all(|(g, r)| (g - r).abs() <= 4e-6 * scale), "{s:?}");
            }
            let (unfused, plan) = run_with(&graph, &inputs, &cpu, Options { fuse: false, ..Options::new(cpu.limits()) });
            assert_eq!(kernels(&plan) == 0, written_out, "{s:?}:\n{plan}");
            assert_eq!(got, unfused, "{s:?}");
        }
    }
}

/// What does not fit a kernel is products and softmax, and the same numbers.
#[test]
fn wide_heads_are_written_out() {
    for s in [Sizes { d: 129, n: 4, m: 6, ..SMALL }, Sizes { e: 200, causal: true, masked: true, n: 4, m: 6, ..SMALL }] {
        let graph = graph(s, &[0, 1, 2]);
        let inputs = values(&graph);
        let right = evaluate(&graph, &inputs, &|_| unreachable!()).unwrap();
        let (got, plan) = run(&graph, &inputs, &Cpu::new(), true);
        assert_eq!(kernels(&plan), 0, "{plan}");
        for (got, right) in got.iter().zip(&right.outputs) {
            let scale = right.data.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            assert!(got.to_f64().iter().zip(&right.data).all(|(g, r)| (g - r).abs() <= 4e-6 * scale), "{s:?}");
        }
    }
}

/// Greatest scores that come late, scores beyond what an exponential can hold, and NaN that stays.
#[test]
fn scores_of_any_size() {
    let s = Sizes { n: 3, m: 600, d: 1, e: 2, batch: [1, 1], ..SMALL };
    let graph = graph(s, &[0, 1, 2]);
    let mut inputs = values(&graph);
    inputs[0].data = vec![1e4, -1e4, 0.0];
    inputs[1].data = (0..600).map(|j| f64::from(j) / 600.0).collect();
    let right = evaluate(&graph, &inputs, &|_| unreachable!()).unwrap();
    let (got, _) = run(&graph, &inputs, &Cpu::new(), true);
    for (i, (got, right)) in got.iter().zip(&right.outputs).enumerate() {
        let scale = right.data.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
        // Scores of 1e4 are rounded to 5e-4, twice. A score's own gradient cancels to nothing where one weight is all, which queries of 1e4 multiply.
        let bound = if i == 1 || i == 2 { 4e-3 * scale + 1e4 * 1e-6 } else { 4e-3 * scale };
        assert!(got.to_f64().iter().zip(&right.data).all(|(g, r)| (g - r).abs() <= bound), "output {i}: off by more than {bound}");
    }
    inputs[1].data[599] = f64::NAN;
    let (got, _) = run(&graph, &inputs, &Cpu::new(), true);
    assert!(got[0].to_f64().iter().all(|x| x.is_nan()), "{:?}", got[0]);
}

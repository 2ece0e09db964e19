//! The time of attention on the CPU, its kernel beside the products and softmax that it stands for, forward and backward:
//! `cargo run --release -p noyau-cpu --example attention [-- batch heads places features [causal]]`.

use std::sync::Arc;
use std::time::Instant;

use noyau_compile::plan::Limits;
use noyau_compile::{Graph, Options, compile};
use noyau_cpu::{Cpu, Executable};
use noyau_tensor::{Array, Attention, AttentionPart, DType, Result, Shape, Tensor, grad};

fn load(cpu: &Cpu, shape: [usize; 4], f: &dyn Fn(&[Tensor]) -> Tensor, backward: bool, min_scores: usize) -> Result<Executable> {
    let inputs = vec![(Shape::from(shape), DType::F32); 4];
    let given: Vec<Tensor> = (0..4).map(|i| Tensor::input(i, shape, DType::F32)).collect();
    let y = f(&given);
    let mut results = vec![y.clone()];
    if backward {
        results.extend(grad(&(&y * &given[3]).sum(), &given.iter().take(3).collect::<Vec<_>>()));
    }
    let graph = Graph::trace(&inputs, &results.iter().collect::<Vec<_>>(), &[])?;
    let options = Options::new(Limits { min_scores, ..cpu.limits() });
    let mut executable = cpu.load(Arc::new(compile(&graph, options)?), &mut |_| unreachable!())?;
    let count: usize = shape.iter().product();
    for i in 0..4 {
        let values: Vec<f32> = (0..count).map(|j| ((j as f32 + 1.0) * (0.618_034 + i as f32 * 0.1)).fract() * 2.0 - 1.0).collect();
        executable.write(i, &Array::new(shape, &values)?)?;
    }
    Ok(executable)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sizes: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let shape = match sizes[..] {
        [b, h, n, d] => [b, h, n, d],
        _ => [4, 8, 1024, 64],
    };
    let causal = arguments.iter().any(|a| a == "causal");
    let scale = (shape[3] as f64).sqrt().recip();
    let cpu = Cpu::new();
    let kernel = |x: &[Tensor]| x[0].attention(&x[1], &x[2], &[], causal, scale);
    let whole = |x: &[Tensor]| Attention { part: AttentionPart::Output, causal, scale }.expand(&x[..3]);
    for backward in [false, true] {
        // A kernel at any size, the same parts written out, and a composition that never was attention.
        let mut all = [
            load(&cpu, shape, &kernel, backward, 0)?,
            load(&cpu, shape, &kernel, backward, usize::MAX)?,
            load(&cpu, shape, &whole, backward, 0)?,
        ];
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..7 {
            for (executable, times) in all.iter_mut().zip(&mut times) {
                let start = Instant::now();
                executable.run()?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [kernel, parts, whole] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        let what = if backward { "forward and backward" } else { "forward" };
        println!("{shape:?} {what}: {kernel:.1} ms, written out {parts:.1} ms ({:.2} times), composed {whole:.1} ms", parts / kernel);
    }
    Ok(())
}

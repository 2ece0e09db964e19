//! Times the variants of the matrix product: `cargo run --release -p noyau-gpu --example matmul_time [adapter] [m n k [transpose]]`,
//! transpose being `nn`, `nt`, `tn` or `tt`. Without sizes: the products of an MNIST step, 784-512-256-10 at batch 128.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use noyau_gpu::{Gpu, Tuning, Variant};
use noyau_tensor::DType;
use pollster::block_on;
use support::{Builder, load, noise_array};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for info in block_on(noyau_gpu::adapters()) {
        println!("gpu:{} {info} [{}] subgroup {:?} {:?}", info.index, info.driver, info.subgroup, info.limits);
    }
    let index = arguments.first().map_or(Ok(0), |a| a.parse())?;
    let gpu = block_on(Gpu::open(index))?;
    let step = [
        (128, 512, 784, "nn"),
        (128, 256, 512, "nn"),
        (128, 10, 256, "nn"),
        (784, 512, 128, "tn"),
        (512, 256, 128, "tn"),
        (256, 10, 128, "tn"),
        (128, 512, 256, "nt"),
        (128, 256, 10, "nt"),
    ];
    let sizes: Vec<(usize, usize, usize, String)> = match &arguments[..] {
        [_, m, n, k, rest @ ..] => vec![(m.parse()?, n.parse()?, k.parse()?, rest.first().map_or("nn".into(), Clone::clone))],
        _ => step.iter().map(|&(m, n, k, t)| (m, n, k, t.to_string())).collect(),
    };
    let only_chosen = std::env::var_os("ONLY_CHOSEN").is_some();
    let mut best_total = 0.0;
    let mut chosen_total = 0.0;
    for (m, n, k, transpose) in &sizes {
        let mut best = f64::INFINITY;
        for variant in variants(&gpu)?.into_iter().filter(|_| !only_chosen).map(Some).chain([None]) {
            let seconds = time(&gpu, [1, *m, *n, *k], transpose, variant)?;
            best = best.min(seconds);
            if variant.is_none() {
                chosen_total += seconds;
            }
            let flops = 2.0 * (m * n * k) as f64;
            println!(
                "{m:5} x {n:5} x {k:5} {transpose} {:9.1} us {:8.2} GFLOP/s  {}",
                seconds * 1e6,
                flops / seconds / 1e9,
                variant.map_or("(chosen)".into(), |v| format!("{v}"))
            );
        }
        best_total += best;
    }
    println!("best of each {:.2} ms, chosen {:.2} ms", best_total * 1e3, chosen_total * 1e3);
    Ok(())
}

/// Those whose names `VARIANTS` lists, separated by commas; without it, those that are worth a look.
fn variants(gpu: &Gpu) -> Result<Vec<Variant>, noyau_tensor::Error> {
    match std::env::var("VARIANTS") {
        Ok(names) => names.split(',').map(str::parse).collect(),
        Err(_) => Ok(gpu.variants().into_iter().filter(|v| !(gpu.info().software && matches!(v, Variant::Tiled(_)))).collect()),
    }
}

fn time(gpu: &Gpu, sizes: [usize; 4], transpose: &str, variant: Option<Variant>) -> Result<f64, Box<dyn std::error::Error>> {
    let [batch, m, n, k] = sizes;
    let (ta, tb) = (transpose.starts_with('t'), transpose.ends_with('t'));
    let mut builder = Builder::default();
    let a = builder.input(&[batch, if ta { k } else { m }, if ta { m } else { k }], DType::F32);
    let b = builder.input(&[batch, if tb { n } else { k }, if tb { k } else { n }], DType::F32);
    let out = builder.slot(&[batch, m, n], DType::F32);
    builder.matmul(out, (a, ta), (b, tb), sizes);
    builder.output(out);
    let plan = builder.finish();
    let start = Instant::now();
    let mut executable = load(gpu, &plan, &Tuning { matmul: variant, merge: Some(false), ..Tuning::default() })?.executable;
    for input in 0..2 {
        let shape = plan.buffers[input].shape.clone();
        executable.write(input, &noise_array(&shape, input as u32))?;
    }
    executable.run()?;
    block_on(gpu.wait())?;
    print!("loaded in {:6.1} ms ", start.elapsed().as_secs_f64() * 1e3);
    // The best of several: others use the machine too.
    let mut best = f64::INFINITY;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 0.4 {
        let window = Instant::now();
        for _ in 0..4 {
            executable.run()?;
        }
        block_on(gpu.wait())?;
        best = best.min(window.elapsed().as_secs_f64() / 4.0);
    }
    Ok(best)
}

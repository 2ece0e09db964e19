//! Every kernel family and the training steps, timed by criterion: `cargo bench`, or `cargo bench -- softmax` for some.
//!
//! On the CPU and on every GPU that is no software; software ones only where `NOYAU_DEVICE` names one (`NOYAU_DEVICE=gpu:0 cargo bench`), or all with
//! `NOYAU_BENCH_ALL=1`. Beside the wall time of a run among many stands, on GPUs that tell it, the time by the device's own clock (`device-time`). Results are
//! checked before they are timed. What is timed is what the roofline report times: `cargo run --release -p noyau-bench`.

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use noyau::prelude::*;
use noyau_bench::check::check;
use noyau_bench::devices::{Target, targets};
use noyau_bench::kernels::{self, Kernel, Loaded, Rate};
use noyau_bench::training::{Tiny, Training};
use noyau_bench::workloads::{self, RATES, TINY};

/// A measurement that cannot be made ends the run with its reason: criterion knows no other way.
fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}

fn group<'a>(criterion: &'a mut Criterion, target: &Target, family: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("{}/{family}", target.label));
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group
}

/// The sum of a step's launches by the device's clock, over so many runs.
fn device_time(step: &mut CompiledStep, runs: u64) -> Duration {
    let times = (0..runs).flat_map(|_| must(step.timings()).unwrap_or_default());
    Duration::from_nanos(times.map(|t| t.nanoseconds).sum())
}

fn kernel(criterion: &mut Criterion, target: &Target, kernel: &Kernel) {
    // Loaded by the first measurement that criterion's filter lets through.
    let mut loaded: Option<Loaded> = None;
    let mut get = move |run: &mut dyn FnMut(&mut Loaded) -> Duration| {
        let loaded = loaded.get_or_insert_with(|| {
            let mut loaded = must(kernel.load(&target.device));
            must(check(kernel, &mut loaded, &target.device));
            loaded
        });
        run(loaded)
    };
    let mut group = group(criterion, target, kernel.family);
    let cost = must(kernel.cost(&target.device));
    group.throughput(match kernel.rate {
        Rate::Flops => Throughput::ElementsAndBytes { elements: cost.flops as u64, bytes: cost.bytes as u64 },
        Rate::Bytes => Throughput::Bytes(cost.bytes as u64),
    });
    group.bench_function(&kernel.name, |b| {
        b.iter_custom(|runs| {
            get(&mut |loaded| {
                let start = Instant::now();
                must(loaded.run(runs as usize));
                start.elapsed()
            })
        });
    });
    if tells_time(target) {
        group.bench_function(format!("{}/device-time", kernel.name), |b| {
            b.iter_custom(|runs| get(&mut |loaded| device_time(&mut loaded.step, runs)));
        });
    }
    group.finish();
}

fn tells_time(target: &Target) -> bool {
    target.adapter.as_ref().is_some_and(|a| a.features.iter().any(|f| f == "timestamp_query"))
}

fn trainings(criterion: &mut Criterion, target: &Target) {
    let mut data: Option<Dataset> = None;
    for (name, network, batch) in RATES {
        let mut load = || {
            let data = data.get_or_insert_with(|| must(Mnist::open(workloads::DATA)).train);
            must(Training::new(&target.device, network, batch, data))
        };
        let mut group = group(criterion, target, "steps");
        group.throughput(Throughput::Elements(batch as u64));
        let mut kept: Option<Training> = None;
        group.bench_function(name, |b| {
            let training = kept.get_or_insert_with(&mut load);
            b.iter_custom(|runs| {
                let start = Instant::now();
                must(training.run(runs as usize));
                start.elapsed()
            });
        });
        if tells_time(target) {
            group.bench_function(format!("{name}/device-time"), |b| {
                let training = kept.get_or_insert_with(&mut load);
                b.iter_custom(|runs| device_time(&mut training.step, runs));
            });
        }
        group.finish();
    }
    for (i, name) in TINY.iter().enumerate() {
        let mut tiny: Option<Tiny> = None;
        let mut group = group(criterion, target, "steps");
        group.throughput(Throughput::Elements(1));
        group.bench_function(*name, |b| {
            let tiny = tiny.get_or_insert_with(|| must(Tiny::new(&target.device)));
            b.iter_custom(|runs| {
                let start = Instant::now();
                must(if i == 0 { tiny.run(runs as usize) } else { tiny.run_reading(runs as usize) });
                start.elapsed()
            });
        });
        group.finish();
    }
}

fn suite(criterion: &mut Criterion) {
    for target in must(targets(&[])) {
        eprintln!("{}", target.describe());
        trainings(criterion, &target);
        for measured in workloads::kernels().iter().chain(&kernels::all()) {
            if (!measured.large || target.is_hardware_gpu()) && (!measured.half || target.has_halves()) {
                kernel(criterion, &target, measured);
            }
        }
    }
}

criterion_group!(benches, suite);
criterion_main!(benches);

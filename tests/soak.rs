//! Many steps of a small model: memory stays as it is, and no GPU object is made.
//!
//! `NOYAU_SOAK=1` does 100,000 steps in each way; without it the slower ways do fewer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use noyau::prelude::*;

/// Bytes by which the process may grow after it has warmed up, over any number of steps: what allocators and drivers keep for themselves now and then. A leak of 64 bytes
/// a step would be 6 MB after 100,000.
const GROWTH: i64 = 4 << 20;

/// Memory is the whole process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn full() -> bool {
    std::env::var("NOYAU_SOAK").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Bytes of memory that this process has, where the system says so.
fn resident() -> Option<i64> {
    let pages: i64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(Device::list().iter().map(|a| Device::gpu(a.index).expect("it opens"))).collect()
}

/// A playground's network with a loss, ready to train.
fn tiny(device: &Device) -> CompiledStep {
    let session = Session::with_seed(device.clone(), 5);
    let model = Sequential::new().then(Linear::new(2, 8)).then(Tanh).then(Linear::new(8, 8)).then(Tanh).then(Linear::new(8, 1));
    let parameters = model.parameters();
    let mut step = session
        .compile([Spec::f32([32, 2]), Spec::f32([32, 1])], |[x, y]| {
            let loss = mse_loss(&model.forward(&x, &Mode::train()), &y);
            Step::returns(&loss).updates(Sgd::new(0.03).step(&loss, &parameters))
        })
        .expect("compiles");
    let wave = |n: usize| (0..n).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
    step.write(0, &Array::new([32, 2], &wave(64)).expect("64 values")).expect("written");
    step.write(1, &Array::new([32, 1], &wave(32)).expect("32 values")).expect("written");
    step
}

/// Runs `part` until `steps` are done, a tenth of them to warm up; checks memory and objects over the rest.
fn steady(device: &Device, what: &str, steps: usize, at_a_time: usize, mut part: impl FnMut()) {
    let warm = steps / 10 / at_a_time;
    (0..warm.max(1)).for_each(|_| part());
    device.wait().expect("done");
    let (objects, start) = (device.objects_created(), Instant::now());
    let parts = steps / at_a_time - warm;
    let mut seen = Vec::new();
    for i in 0..parts {
        // The first after warming up, nine in between, and the last.
        if i % (parts / 10).max(1) == 0 {
            seen.extend(resident());
        }
        part();
    }
    device.wait().expect("done");
    seen.extend(resident());
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(device.objects_created(), objects, "{what} on {device:?} made GPU objects");
    if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
        let name = device.adapter();
        let kib: Vec<i64> = seen.iter().map(|bytes| (bytes - first) / 1024).collect();
        println!("    {what}, {name}: {} steps in {seconds:.1} s, {} MiB, growth in KiB {kib:?}", parts * at_a_time, last >> 20);
        assert!(last - first <= GROWTH, "{what} on {name}: memory grew by {} bytes: {kib:?} KiB", last - first);
    }
}

#[test]
fn a_hundred_thousand_steps_many_at_a_time() {
    let _alone = alone();
    for device in devices() {
        // Software drivers that take their time do the full number when asked.
        let steps = if device.is_cpu() || full() { 100_000 } else { 20_000 };
        let mut step = tiny(&device);
        steady(&device, "many at a time", steps, 1000, || {
            step.launch_many(1000).expect("launched");
            let losses = step.history(0).expect("a loss a step").to_f64();
            assert!(losses.len() == 1000 && losses.iter().all(|loss| loss.is_finite()));
        });
    }
}

#[test]
fn single_steps_with_values_sent_and_read() {
    let _alone = alone();
    let x = Array::new([32, 2], &[0.25f32; 64]).expect("64 values");
    for device in devices() {
        let steps = if full() {
            100_000
        } else if device.is_cpu() {
            20_000
        } else {
            2_000
        };
        let mut step = tiny(&device);
        steady(&device, "one by one", steps, 100, || {
            for _ in 0..100 {
                step.write(0, &x).expect("written");
                step.launch().expect("launched");
            }
            assert!(step.read(0).expect("a loss").item().is_finite());
        });
    }
}

#[test]
fn epochs_of_a_trainer_with_dropout() {
    let _alone = alone();
    let values: Vec<f32> = (0..1600 * 2).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
    let labels: Vec<u32> = values.chunks(2).map(|xy| u32::from(xy[0] * xy[1] > 0.0)).collect();
    let data =
        Dataset::new(&Array::new([1600, 2], &values).expect("samples"), &Array::new([1600], &labels).expect("labels")).expect("a data set");
    for device in devices() {
        // 100 steps an epoch.
        let epochs = if full() {
            1000
        } else if device.is_cpu() {
            100
        } else {
            20
        };
        for resident_data in [false, true] {
            let model = Sequential::new().then(Linear::new(2, 16)).then(Tanh).then(Dropout(0.2)).then(Linear::new(16, 2));
            let mut trainer = Trainer::new(device.clone(), model).optimizer(Adam::new(0.001)).seed(1);
            let mut seen = Vec::with_capacity(epochs);
            let fit = Fit::epochs(epochs).batch_size(16).resident(resident_data).on_epoch(|_| seen.extend(resident()));
            let start = Instant::now();
            let history = trainer.fit(&data, fit).expect("it trains");
            assert_eq!(history.gpu_objects_after_warmup, 0, "{device:?}");
            let after = &seen[seen.len() / 10..];
            if let (Some(first), Some(last)) = (after.first(), after.last()) {
                let (name, seconds) = (device.adapter(), start.elapsed().as_secs_f64());
                println!(
                    "    trainer, data resident: {resident_data}, {name}: {} steps in {seconds:.1} s, growth {} KiB",
                    epochs * 100,
                    (last - first) / 1024
                );
                assert!(last - first <= GROWTH, "{name}: memory grew by {} bytes over {epochs} epochs", last - first);
            }
        }
    }
}

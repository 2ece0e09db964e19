//! Many runs at a time on every adapter: in one launch and in many, with variants set by hand.

mod support;

use std::sync::Arc;

use noyau_compile::plan::HISTORY;
use noyau_compile::{Graph, Options, Plan, compile};
use noyau_gpu::{Gpu, Tuning};
use noyau_tensor::{Array, DType, Error, Param, Shape, Tensor, grad};
use pollster::block_on;
use support::{Loaded, gpus, load, noise_array};

/// A training step of a network of two layers; it returns the loss, the number of the step, and the network's output.
fn training(gpu: &Gpu) -> Plan {
    let inputs = [(Shape::from([24, 3]), DType::F32), (Shape::from([24, 2]), DType::F32)];
    let (x, y) = (Tensor::input(0, [24, 3], DType::F32), Tensor::input(1, [24, 2], DType::F32));
    let weights = [Param::from_array("w1", noise_array(&[3, 9], 1)), Param::from_array("w2", noise_array(&[9, 2], 2))];
    let count = Param::from_array("count", Array::scalar(0u32));
    let out = x.matmul(&weights[0]).tanh().matmul(&weights[1]);
    let loss = (&out - &y).square().mean();
    let next = &count + 1u32;
    let gradients = grad(&loss, &weights.iter().map(Param::tensor).collect::<Vec<_>>());
    // The rate depends on the step.
    let rate = 2.0 / next.to(DType::F32);
    let mut updates: Vec<_> = weights.iter().zip(gradients).map(|(w, g)| (Arc::clone(w.state()), w.tensor() - g * &rate)).collect();
    updates.push((Arc::clone(count.state()), next.clone()));
    let graph = Graph::trace(&inputs, &[&loss, &next, &out], &updates).unwrap();
    compile(&graph, Options::new(gpu.limits())).unwrap()
}

fn begun(gpu: &Gpu, plan: &Plan, tuning: &Tuning) -> Loaded {
    let mut loaded = load(gpu, plan, tuning).unwrap();
    loaded.executable.write(0, &noise_array(&[24, 3], 100)).unwrap();
    loaded.executable.write(1, &noise_array(&[24, 2], 101)).unwrap();
    loaded
}

/// All states' words.
fn states(gpu: &Gpu, loaded: &Loaded) -> Vec<Vec<u32>> {
    loaded.memories.iter().map(|(_, memory)| block_on(gpu.read(memory)).unwrap().words().to_vec()).collect()
}

#[test]
fn many_runs_are_as_many_single_ones() {
    for gpu in gpus() {
        let plan = training(&gpu);
        for tuning in [Tuning::default(), Tuning { merge: Some(false), ..Tuning::default() }] {
            let (mut single, mut many) = (begun(&gpu, &plan, &tuning), begun(&gpu, &plan, &tuning));
            assert_eq!(many.executable.repeats(), tuning.merge.is_none(), "{}", many.executable.describe());
            block_on(many.executable.prepare_many()).unwrap();
            let mut losses = Vec::new();
            // The last is more than one launch does, in its loop.
            for count in [1, 0, 3, if tuning.merge.is_none() { 3000 } else { 50 }] {
                for _ in 0..count {
                    single.executable.run().unwrap();
                    losses.push(block_on(single.executable.read(0)).unwrap().words()[0]);
                }
                many.executable.run_many(count).unwrap();
            }
            assert_eq!(block_on(many.executable.history(0)).unwrap().words(), losses, "{} {tuning:?}", gpu.info());
            let numbers: Vec<u32> = (1..=losses.len() as u32).collect();
            assert_eq!(block_on(many.executable.history(1)).unwrap().words(), numbers);
            many.executable.run_unkept(2).unwrap();
            (0..2).for_each(|_| single.executable.run().unwrap());
            assert_eq!(block_on(many.executable.history(1)).unwrap().len(), 0);
            assert_eq!(states(&gpu, &many), states(&gpu, &single), "{} {tuning:?}", gpu.info());
            // Runs in parts and timed ones are single ones, also after many.
            let launches = many.executable.launches();
            many.executable.run_launches(0..launches).unwrap();
            block_on(many.executable.run_timed()).unwrap();
            block_on(many.executable.keep()).unwrap();
            assert_eq!(block_on(many.executable.history(1)).unwrap().words(), [losses.len() as u32 + 4]);
        }
    }
}

#[test]
fn a_loop_stops_well_before_drivers_do() {
    for gpu in gpus() {
        let plan = training(&gpu);
        let mut loaded = begun(&gpu, &plan, &Tuning::default());
        let before = loaded.executable.host_cost();
        loaded.executable.run_unkept(100_000).unwrap();
        let after = loaded.executable.host_cost();
        let (dispatches, submissions) = (after.dispatches - before.dispatches, after.submissions - before.submissions);
        // Each turn of the outer loop is one of the 65,535 that lavapipe allows, and has loops inside.
        assert!(dispatches > 100_000 / 50_000 && submissions < dispatches, "{dispatches} dispatches, {submissions} submissions");
        assert_eq!(block_on(loaded.executable.read(1)).unwrap().words(), [100_000], "{}", gpu.info());
    }
}

#[test]
fn histories_of_what_is_not_kept_are_errors() {
    for gpu in gpus() {
        let plan = training(&gpu);
        let mut loaded = begun(&gpu, &plan, &Tuning { merge: Some(false), ..Tuning::default() });
        let early = loaded.executable.run_many(1).unwrap_err();
        assert!(early.to_string().contains("prepare_many"), "{early}");
        let error = block_on(loaded.executable.history(2)).unwrap_err();
        assert!(matches!(&error, Error::Argument { message, .. } if message.contains("output 2 is [24, 2]")), "{error}");
        assert!(block_on(loaded.executable.history(3)).unwrap_err().to_string().contains("there is no output 3"));
        let mut looped = begun(&gpu, &plan, &Tuning::default());
        looped.executable.run_many(HISTORY + 1).unwrap();
        let error = block_on(looped.executable.history(1)).unwrap_err();
        assert!(error.to_string().contains("4097 runs were made"), "{error}");
        let last: Vec<u32> = (2..=HISTORY as u32 + 1).collect();
        assert_eq!(block_on(looped.executable.history(1)).unwrap().words(), last);
    }
}

//! What the page relies on: networks learn, whatever is chosen.

mod devices;
mod seen;
mod sharing;

use pollster::block_on;

use crate::{Activation, Cost, Engine, Penalty, Rule};

fn open(address: &str) -> Engine {
    let engine = block_on(Engine::open(address, "cpu")).unwrap();
    assert_eq!(engine.faults(), [] as [&str; 0], "{address}");
    engine
}

fn run(engine: &mut Engine, steps: u64) {
    assert!(block_on(engine.run(steps)).unwrap());
}

/// All weights and biases, as bits.
fn bits(engine: &mut Engine) -> Vec<u32> {
    block_on(engine.weights()).unwrap().iter().flat_map(|m| m.values.iter().map(|v| v.to_bits())).collect()
}

fn losses(engine: &mut Engine) -> [f32; 2] {
    let figures = block_on(engine.figures()).unwrap();
    [figures.train_loss, figures.test_loss]
}

/// An address whose spiral is learnt: also what the page's lesson shows.
const SPIRAL: &str = "data=spiral&features=x1,x2,sinx1,sinx2&layers=8tanh,8tanh&optimizer=adam&rate=0.01&seed=1";

#[test]
fn the_default_network_learns_the_circle() {
    let mut engine = open("seed=1");
    run(&mut engine, 20_000);
    let figures = block_on(engine.figures()).unwrap();
    assert!(figures.test_loss < 0.05, "{figures:?}");
    assert!(figures.accuracy.unwrap()[1] > 0.97, "{figures:?}");
    let counted: u32 = figures.confusion.iter().flatten().sum();
    assert_eq!(counted, 250);
    let right: u32 = (0..2).map(|i| figures.confusion[i][i]).sum();
    assert!((right as f32 / 250.0 - figures.accuracy.unwrap()[1]).abs() < 1e-6, "{figures:?}");
}

#[test]
fn a_good_network_learns_the_spiral() {
    let mut engine = open(SPIRAL);
    run(&mut engine, 20_000);
    let [_, test] = losses(&mut engine);
    assert!(test < 0.1, "{test}");
}

#[test]
fn three_classes_are_told_apart() {
    for (address, least) in [
        ("data=gaussians&classes=5&loss=cross-entropy&rate=0.1&seed=1", 0.95),
        ("data=spiral&classes=3&features=x1,x2,sinx1,sinx2&layers=8tanh,8tanh&optimizer=adam&rate=0.01&loss=cross-entropy", 0.95),
        ("data=gaussians&classes=4&rate=0.1", 0.95),
    ] {
        let mut engine = open(address);
        run(&mut engine, 10_000);
        let figures = block_on(engine.figures()).unwrap();
        assert!(figures.accuracy.unwrap()[1] > least, "{address}: {figures:?}");
    }
}

#[test]
fn every_choice_trains() {
    let mut addresses: Vec<String> = Vec::new();
    for activation in Activation::ALL {
        addresses.push(format!("data=gaussians&layers=6{0},4{0}", activation.name()));
    }
    for rule in Rule::ALL {
        let rate = if *rule == Rule::Sgd { 0.03 } else { 0.01 };
        addresses.push(format!("optimizer={}&rate={rate}", rule.name()));
    }
    for penalty in Penalty::ALL {
        addresses.push(format!("penalty={}", penalty.name()));
    }
    for cost in Cost::ALL {
        for data in ["xor", "gaussians&classes=4", "spiral&classes=3&features=x1,x2,sinx1,sinx2", "plane", "multi-gaussian"] {
            addresses.push(format!("loss={}&data={data}&rate=0.1", cost.name()));
        }
    }
    addresses.push("dropout=0.2&layers=8tanh,8tanh".into());
    addresses.push("layers=&data=gaussians".into());
    addresses.push("features=x1,x2,x1sq,x2sq,x1x2,sinx1,sinx2&layers=2sigmoid,2tanh,2relu,2leaky-relu,2gelu,2linear&optimizer=adam".into());
    for address in addresses {
        let mut engine = open(&address);
        let before = losses(&mut engine);
        run(&mut engine, 1500);
        let after = losses(&mut engine);
        assert!(after[0] < 0.98 * before[0], "{address}: {before:?} -> {after:?}");
        assert!(after.iter().all(|l| l.is_finite()), "{address}");
    }
}

#[test]
fn penalties_pull_weights_to_zero_and_rates_count_at_once() {
    let size = |engine: &mut Engine| -> f32 {
        block_on(engine.weights()).unwrap().iter().filter(|m| !m.bias).flat_map(|m| m.values.clone()).map(f32::abs).sum()
    };
    for penalty in ["l1", "l2"] {
        let mut engine = open(&format!("penalty={penalty}&penaltyRate=0"));
        run(&mut engine, 500);
        let mut free = open("seed=1");
        run(&mut free, 500);
        assert_eq!(bits(&mut engine), bits(&mut free), "a rate of 0 is no penalty");
        let before = size(&mut engine);
        block_on(engine.set("penaltyRate", "1")).unwrap();
        run(&mut engine, 500);
        assert!(size(&mut engine) < 0.2 * before, "{penalty}");
    }
    let mut engine = open("seed=1");
    block_on(engine.set("rate", "0")).unwrap();
    let before = bits(&mut engine);
    run(&mut engine, 50);
    assert_eq!(bits(&mut engine), before);
}

//! What an address brings back, and what leads away from it.

use pollster::block_on;

use super::{bits, losses, open, run};
use crate::Engine;

trait Faults {
    fn pipe_faults(self) -> String;
}

impl<F: Future<Output = noyau_tensor::Result<Engine>>> Faults for F {
    fn pipe_faults(self) -> String {
        block_on(self).unwrap().faults().join("\n")
    }
}

#[test]
fn the_same_seed_gives_the_same_curve_whatever_the_slices() {
    let address = "data=xor&noise=20&dropout=0.2&batch=7&optimizer=momentum&seed=5";
    let (mut whole, mut sliced) = (open(address), open(address));
    run(&mut whole, 3000);
    for slice in [1, 2, 34, 35, 36, 500, 1, 391].into_iter().chain([200; 10]) {
        run(&mut sliced, slice);
        // Looking changes nothing.
        losses(&mut sliced);
    }
    assert_eq!(sliced.step(), 3000);
    assert_eq!(bits(&mut whole), bits(&mut sliced));
    assert_eq!(whole.curve(), sliced.curve());
    assert!(whole.curve().len() > 50 && whole.curve()[0].step == 0);
    let mut other = open(&address.replace("seed=5", "seed=6"));
    run(&mut other, 3000);
    assert_ne!(whole.curve(), other.curve());
}

#[test]
fn an_address_restores_the_exact_state() {
    let mut engine = open("data=gaussians&classes=3&noise=30&optimizer=adam&penalty=l1&dropout=0.1&layers=3tanh,2relu&seed=9");
    run(&mut engine, 120);
    block_on(engine.edit(0, 1, 0.75)).unwrap();
    run(&mut engine, 33);
    assert!(!block_on(engine.set("rate", "0.1")).unwrap());
    assert!(!block_on(engine.set("penaltyRate", "0.01")).unwrap());
    block_on(engine.edit(1, 0, -0.5)).unwrap();
    block_on(engine.edit(1, 0, -0.25)).unwrap();
    run(&mut engine, 400);
    assert!(!block_on(engine.set("lang", "fr")).unwrap());
    let address = engine.address();
    let mut again = open(&address);
    assert_eq!((again.step(), again.target()), (0, 553));
    run(&mut again, 100);
    run(&mut again, 453);
    assert_eq!(bits(&mut again), bits(&mut engine));
    assert_eq!(again.curve(), engine.curve());
    assert_eq!(again.address(), address);
    assert_eq!((again.rate(), again.penalty_rate()), (0.1, 0.01));
    run(&mut engine, 100);
    run(&mut again, 100);
    assert_eq!(bits(&mut again), bits(&mut engine));
    // What begins anew keeps the rates, and forgets the past.
    block_on(again.reset()).unwrap();
    assert_eq!((again.step(), again.rate(), again.address().contains("edits")), (0, 0.1, false));
}

#[test]
fn a_visitor_who_interferes_takes_over() {
    let mut engine = open("seed=2&steps=100&edits=50.0.0.3f800000");
    run(&mut engine, 30);
    block_on(engine.edit(0, 1, 2.0)).unwrap();
    run(&mut engine, 70);
    let address = engine.address();
    assert!(!address.contains("50.0.0") && address.contains("edits=30.0.1.40000000"), "{address}");
    assert!(Engine::open("seed=2&edits=5.99.0.3f800000", "cpu").pipe_faults().contains("no value 0 of parameter 99"));
}

#[test]
fn training_stops_where_it_is_told_to() {
    let mut engine = open("seed=1&stop=0.2");
    assert!(!block_on(engine.run(1_000_000)).unwrap());
    assert!(engine.stopped() && engine.step().is_multiple_of(25));
    let curve = engine.curve().to_vec();
    let last = curve.last().unwrap();
    assert!(f64::from(last.test) < 0.2 && last.step == engine.step());
    assert!(curve[..curve.len() - 1].iter().all(|r| f64::from(r.test) >= 0.2));
    // In slices, and from an address that was made later.
    let mut sliced = open("seed=1&stop=0.2");
    while block_on(sliced.run(7)).unwrap() {}
    assert_eq!(sliced.step(), engine.step());
    let mut later = open(&format!("seed=1&stop=0.2&steps={}", engine.step() + 500));
    run(&mut later, engine.step() + 500);
}

#[test]
fn own_points_train_and_travel_in_the_address() {
    let text: String = (0..60).map(|i| format!("{},{},{}\n", i % 10, i / 10, if i % 10 > i / 10 { "above" } else { "below" })).collect();
    let mut engine = open("seed=1");
    assert!(block_on(engine.set("data", "own")).unwrap_err().to_string().contains("no points"));
    block_on(engine.set_own(crate::Own::from_csv(&text).unwrap())).unwrap();
    run(&mut engine, 2000);
    assert!(block_on(engine.figures()).unwrap().accuracy.unwrap()[0] > 0.9);
    let mut again = open(&engine.address());
    run(&mut again, 2000);
    assert_eq!(bits(&mut again), bits(&mut engine));
    assert_eq!(again.cloud().classes.as_deref().unwrap(), ["above", "below"]);
    // Other data in between loses nothing.
    assert!(block_on(again.set("data", "circle")).unwrap());
    assert!(block_on(again.set("data", "own")).unwrap());
}

#[test]
fn a_long_curve_is_thinned_by_its_steps_alone() {
    let (mut whole, mut sliced) = (open("batch=100&train=20"), open("batch=100&train=20"));
    run(&mut whole, 5000);
    for _ in 0..50 {
        run(&mut sliced, 100);
    }
    assert_eq!(whole.curve(), sliced.curve());
    assert!((512..=1024).contains(&whole.curve().len()), "{}", whole.curve().len());
    let steps: Vec<u64> = whole.curve().iter().map(|r| r.step).collect();
    let stride = steps[1] - steps[0];
    assert!(stride.is_power_of_two() && steps.windows(2).all(|s| s[1] - s[0] == stride), "{steps:?}");
    let (a, b) = (block_on(whole.trail()).unwrap(), block_on(sliced.trail()).unwrap());
    assert!(a == b && (32..=64).contains(&a.steps.len()));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut engine = open("seed=1");
    run(&mut engine, 10);
    for (key, value) in [("noise", "51"), ("data", "moon"), ("layers", "9tanh"), ("rate", "-1"), ("steps", "5"), ("edits", "")] {
        let message = block_on(engine.set(key, value)).unwrap_err().to_string();
        assert!(message.starts_with(key), "{message}");
    }
    assert_eq!(engine.step(), 10);
    assert!(!block_on(engine.set("noise", "0")).unwrap(), "the same again is no change");
    assert_eq!(engine.step(), 10);
    assert!(block_on(engine.set("noise", "10")).unwrap());
    assert_eq!(engine.step(), 0);
    assert!(block_on(Engine::open("", "tpu")).err().unwrap().to_string().contains("none of auto, cpu, gpu"));
}

//! What the integration tests share: the GPUs there are, the oracle, and how exact is exact enough.
#![allow(dead_code)] // Each file of tests uses a part of it.

pub mod agree;
pub mod checks;
pub mod gpus;
pub mod reference;
pub mod tolerance;
pub mod values;

use noyau::compile::Graph;
use noyau::cpu::{Values, evaluate};
use noyau::tensor::{State, rng_seed};
use noyau::{Array, Device, Result, Session, Step, Tensor};

/// The seed that sessions and the oracle share.
pub const SEED: u64 = 20_240;

/// Tensors' values by the oracle: f64, unfused, straight from the graph.
pub fn by_oracle(tensors: &[&Tensor]) -> Result<Vec<Values>> {
    let graph = Graph::trace(&[], tensors, &[])?;
    let states = |state: &State| {
        if state.id() == rng_seed().state().id() {
            return Values::full(state.shape(), noyau::tensor::Scalar::Uint(SEED as u32));
        }
        Values::from(&state.initial_value(0).expect("the tests' states begin with given values"))
    };
    Ok(evaluate(&graph, &[], &states)?.outputs)
}

/// Tensors' values by a device, all in one step, and the number of kernels that this took.
pub fn by_device(device: &Device, fuse: bool, tensors: &[&Tensor]) -> Result<(Vec<Array>, usize)> {
    let session = Session::with_options(device.clone(), SEED, fuse);
    let step = tensors.iter().fold(Step::default(), |step, tensor| step.and_returns(tensor));
    let mut step = session.compile([], |[]| step)?;
    Ok((step.run(&[])?, step.plan().kernels.len()))
}

/// Writes to the terminal even where the test harness keeps output to itself.
pub fn announce(text: &str) {
    use std::io::Write;
    // Nobody to tell: then there is nothing to do about it either.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Fails with all that went wrong, unless nothing did.
#[track_caller]
pub fn report(what: &str, tried: usize, faults: &[String]) {
    announce(&format!("    {what}: {tried} tried, {} failed", faults.len()));
    assert!(faults.is_empty(), "{what}: {} of {tried} failed\n  {}", faults.len(), faults.join("\n  "));
}

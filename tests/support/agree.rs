//! What holds for every expression: fused = unfused, to the bit, and both close to the oracle.

use noyau::cpu::Values;
use noyau::{Array, Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::tolerance::Tolerance;
use super::{by_device, by_oracle};

/// So many cases from a seed that never changes, unless the environment says otherwise.
pub fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var("PROPTEST_CASES").is_err() {
        config.cases = cases;
    }
    if std::env::var("PROPTEST_RNG_SEED").is_err() {
        config.rng_seed = RngSeed::Fixed(20_240);
    }
    config
}

/// Values lie in -1..1 and errors add up: a dozen operations of some roundings each (an exponential's are the most).
pub const VALUES: f64 = 64.0 / (1 << 24) as f64;

/// A gradient passes through each operation with two or three times its roundings, and adds up what comes from each use.
pub const GRADIENTS: f64 = 256.0 / (1 << 24) as f64;

/// The first element that is further than `bound` from the oracle's, in proportion to 1 or the tensor's largest value if that is more.
fn apart(expected: &[Values], found: &[Array], bound: f64) -> Option<String> {
    expected.iter().zip(found).enumerate().find_map(|(i, (expected, found))| {
        let scale = expected.data.iter().fold(1.0f64, |scale, x| scale.max(x.abs()));
        let tolerance = Tolerance { relative: 0.0, absolute: bound };
        tolerance.fault_at_scale(scale, expected, found).map(|fault| format!("result {i}: {fault}"))
    })
}

fn run(device: &Device, fuse: bool, tensors: &[&Tensor]) -> Result<Vec<Array>, TestCaseError> {
    by_device(device, fuse, tensors).map(|(values, _)| values).map_err(|e| TestCaseError::fail(e.to_string()))
}

/// Fused = unfused to the bit, and both close to the oracle.
pub fn agree(tensors: &[&Tensor], bound: f64) -> Result<(), TestCaseError> {
    let cpu = Device::cpu();
    let fused = run(&cpu, true, tensors)?;
    let unfused = run(&cpu, false, tensors)?;
    let expected = by_oracle(tensors).map_err(|e| TestCaseError::fail(e.to_string()))?;
    for (i, (a, b)) in fused.iter().zip(&unfused).enumerate() {
        if let Some(fault) = Tolerance::EXACT.fault(&Values::from(b), a) {
            return Err(TestCaseError::fail(format!("fused and unfused differ: result {i}: {fault}")));
        }
    }
    match apart(&expected, &fused, bound) {
        Some(fault) => Err(TestCaseError::fail(format!("CPU and oracle differ: {fault}"))),
        None => Ok(()),
    }
}

/// A device close to the oracle.
pub fn agree_on(device: &Device, tensors: &[&Tensor], bound: f64) -> Result<(), TestCaseError> {
    let expected = by_oracle(tensors).map_err(|e| TestCaseError::fail(e.to_string()))?;
    match apart(&expected, &run(device, true, tensors)?, bound) {
        Some(fault) => Err(TestCaseError::fail(fault)),
        None => Ok(()),
    }
}

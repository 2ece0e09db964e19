//! The checks of a case: what is compared with what, and a run over the whole list.

use std::panic::{AssertUnwindSafe, catch_unwind};

use noyau::cpu::Values;
use noyau::{Array, Tensor};

use super::tolerance::Tolerance;
use super::{by_oracle, report};
use crate::cases::{self, Built, Case};

/// What devices are compared on: the value, then the gradients.
pub fn results(built: &Built) -> Vec<&Tensor> {
    std::iter::once(&built.output).chain(built.gradients.iter().map(|(_, gradient)| gradient)).collect()
}

/// Fusion only regroups: the CPU computes each element by the same operations in the same order either way, so the bits are the same.
pub fn same(fused: &[Array], unfused: &[Array]) -> Result<(), String> {
    for (i, (fused, unfused)) in fused.iter().zip(unfused).enumerate() {
        if let Some(fault) = Tolerance::EXACT.fault(&Values::from(fused), unfused) {
            return Err(format!("result {i}: {fault}"));
        }
    }
    Ok(())
}

/// A device's results against the oracle's.
pub fn compare(case: &Case, built: &Built, got: noyau::Result<Vec<Array>>) -> Result<(), String> {
    let got = got.map_err(|e| e.to_string())?;
    let expected = by_oracle(&results(built)).map_err(|e| e.to_string())?;
    for (i, (expected, got)) in expected.iter().zip(&got).enumerate() {
        let (what, tolerance) = match i {
            0 => ("value".to_string(), Tolerance::of_values(case.class)),
            i => (format!("gradient of {}", built.gradients[i - 1].0.name()), Tolerance::of_gradients(case.class)),
        };
        if let Some(fault) = tolerance.fault(expected, got) {
            return Err(format!("{what}: {fault}"));
        }
    }
    Ok(())
}

/// Runs a check on every case and fails with all faults at once. `None` is a case that the check does not concern.
#[track_caller]
pub fn check(what: &str, mut check: impl FnMut(&Case) -> Option<Result<(), String>>) {
    let mut tried = 0;
    let mut faults = Vec::new();
    for case in cases::all() {
        // A panic in one case is that case's fault, and the others are still worth knowing about.
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&case))).unwrap_or_else(|_| Some(Err("panicked, see above".into())));
        let Some(outcome) = outcome else { continue };
        tried += 1;
        if let Err(fault) = outcome {
            faults.push(format!("{}: {fault}", case.name));
        }
    }
    report(what, tried, &faults);
}

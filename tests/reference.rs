//! The case list against PyTorch: values and gradients that it computed in f64 from expressions written apart from noyau's (`reference/*.py`).
//!
//! After a change of a case's data, or for a new one, from the root of the repository (PyTorch 2, safetensors):
//!
//!     cargo test --test reference -- --ignored write_inputs
//!     python tests/reference/make.py

mod cases;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cases::{Built, Case};
use noyau::cpu::Values;
use noyau::{Array, DType, Device};
use support::checks::{check, results};
use support::reference::{self, Stored};
use support::tolerance::Tolerance;
use support::{by_device, by_oracle};

/// Larger cases are compared with the oracle alone.
const MOST: usize = 8_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What PyTorch was given and what it made of it: `case/p0`.. the data, `case/w` the weights, `case/y` the value, `case/g0`.. the gradients.
fn stored() -> &'static BTreeMap<String, Stored> {
    static STORED: OnceLock<BTreeMap<String, Stored>> = OnceLock::new();
    STORED.get_or_init(|| reference::open(root().join("tests/reference/pytorch.safetensors")))
}

/// A case's data and the weights of its elements in the loss.
fn inputs(case: &Case, built: &Built) -> Vec<(String, Array)> {
    let mut all: Vec<(String, Array)> = Vec::new();
    for (i, param) in built.params.iter().enumerate() {
        all.push((format!("{}/p{i}", case.name), param.state().initial_value(0).expect("cases give their values")));
    }
    if let Some(weights) = &built.weights {
        let values = by_device(&Device::cpu(), true, &[weights]).expect("weights are sound").0;
        all.push((format!("{}/w", case.name), values[0].clone()));
    }
    all
}

#[test]
#[ignore = "writes what reference/make.py reads"]
fn write_inputs() {
    let mut all = Vec::new();
    // PyTorch rounds halves as devices do, the oracle does not.
    for case in cases::all().into_iter().filter(|case| !case.name.starts_with("half ")) {
        let built = case.build();
        let mut elements = built.output.numel();
        for param in &built.params {
            elements += param.shape().numel();
        }
        if elements <= MOST {
            all.extend(inputs(&case, &built));
        }
    }
    let path: PathBuf = root().join("target/reference-inputs.safetensors");
    noyau::formats::safetensors::save(&path, &all, &BTreeMap::new()).expect("the file can be written");
    println!("{}", path.display());
}

/// A case that PyTorch knows, and what it has for the results, after a look whether it began with the same data. Where no gradient flows, zeros.
fn known(case: &Case) -> Option<Result<(Built, Vec<&'static Stored>), String>> {
    let value = stored().get(&format!("{}/y", case.name))?;
    let built = case.build();
    for (name, array) in inputs(case, &built) {
        let same = stored().get(&name).is_some_and(|s| s.shape[..] == array.shape()[..] && same_bits(&s.data, &array.to_f64()));
        if !same {
            return Some(Err(format!("`{name}` is not what PyTorch was given: see the head of tests/reference.rs")));
        }
    }
    let mut all = vec![value];
    for (i, param) in built.params.iter().enumerate() {
        let gradient = stored().get(&format!("{}/g{i}", case.name));
        match (gradient, built.gradients.iter().any(|(p, _)| p.name() == param.name())) {
            (Some(gradient), true) => all.push(gradient),
            (None, true) => return Some(Err(format!("PyTorch has no gradient of {}", param.name()))),
            (Some(gradient), false) if gradient.data.iter().any(|&g| g != 0.0) => {
                return Some(Err(format!("there is no gradient of {}, PyTorch's is {:?}", param.name(), gradient.data)));
            }
            (_, false) => {}
        }
    }
    Some(Ok((built, all)))
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

fn what(built: &Built, i: usize) -> String {
    i.checked_sub(1).map_or("value".to_string(), |i| format!("gradient of {}", built.gradients[i].0.name()))
}

/// Both compute in f64, and what a program writes in f32 is so in both: some hundred roundings of 1e-16, and sums that cancel.
const CLOSE: f64 = 1e-9;

/// What noyau defines for f32: functions that are polynomials of its own, and weights that are stored in f32.
const IN_F32: f64 = 1e-7;

fn bound(case: &str) -> f64 {
    let ours = ["special atan", "special asin", "special acos", "special erfc", "upsample_linear", "upsample_bilinear"];
    if ours.iter().any(|name| case.starts_with(name)) { IN_F32 } else { CLOSE }
}

#[test]
fn the_oracle_agrees_with_pytorch() {
    let mut names = BTreeSet::new();
    check("oracle = PyTorch", |case| {
        let outcome = known(case)?.and_then(|(built, expected)| {
            let found = by_oracle(&results(&built)).map_err(|e| e.to_string())?;
            let fault = expected.iter().zip(&found).enumerate().find_map(|(i, (e, f))| Some((i, e.fault(f, bound(&case.name))?)));
            fault.map_or(Ok(()), |(i, fault)| Err(format!("{}: {fault}", what(&built, i))))
        });
        names.insert(case.name.clone());
        Some(outcome)
    });
    if std::env::var("NOYAU_CASE").is_err() {
        let stale: Vec<&String> = stored().keys().filter(|k| k.ends_with("/y") && !names.contains(&k[..k.len() - 2])).collect();
        assert!(stale.is_empty(), "PyTorch has cases that are not in the list: {stale:?}");
        assert!(names.len() >= 990, "PyTorch has {} cases only", names.len());
    }
}

#[test]
fn the_cpu_agrees_with_pytorch() {
    let cpu = Device::cpu();
    check("CPU = PyTorch", |case| {
        let outcome = known(case)?.and_then(|(built, expected)| {
            let results = results(&built);
            let (found, _) = by_device(&cpu, true, &results).map_err(|e| e.to_string())?;
            for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
                let tolerance = if i == 0 { Tolerance::of_values(case.class) } else { Tolerance::of_gradients(case.class) };
                if let Some(fault) = tolerance.fault(&expected.values(results[i].dtype()), found) {
                    return Err(format!("{}: {fault}", what(&built, i)));
                }
            }
            Ok(())
        });
        Some(outcome)
    });
}

/// A number that is off must be noticed: the checks above are worth nothing otherwise.
#[test]
fn a_wrong_number_is_noticed() {
    let stored = Stored { dtype: "F64".into(), shape: vec![2], data: vec![1.0, 3.0] };
    let values = |data: Vec<f64>| Values { shape: [data.len()].into(), dtype: DType::F32, data };
    assert!(stored.fault(&values(vec![1.0, 3.0 + 1e-12]), CLOSE).is_none());
    for wrong in [vec![1.0, 3.00001], vec![1.0, f64::NAN], vec![f64::INFINITY, 3.0], vec![1.0, 3.0, 0.0]] {
        assert!(stored.fault(&values(wrong.clone()), CLOSE).is_some(), "{wrong:?}");
    }
}

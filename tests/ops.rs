//! The case list on the CPU: gradients against slopes, the executor against the oracle, fused against unfused.

mod cases;
mod support;

use std::collections::HashSet;

use cases::{Class, Data, Grads, weighted};
use noyau::cpu::Values;
use noyau::tensor::{grad, gradients};
use noyau::{Array, DType, Device, Param, Tensor, gradcheck};
use support::checks::{check, compare, results, same};
use support::tolerance::Tolerance;
use support::{by_device, by_oracle};

#[test]
fn the_list_is_long_and_has_no_two_of_a_name() {
    let cases = cases::all();
    let names: HashSet<&str> = cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases share a name");
    assert!(cases.len() >= 1370 || std::env::var("NOYAU_CASE").is_ok(), "{} cases", cases.len());
}

/// Central differences of 1e-5 leave an error of about 1e-10 times the third derivative and the sum's rounding; a wrong gradient is off by far more than this.
const SLOPES: (f64, f64) = (1e-5, 1e-7);

#[test]
fn gradients_are_the_slopes() {
    check("gradients = finite differences", |case| {
        if !matches!(case.grads, Grads::Checked | Grads::Twice) {
            return None;
        }
        let built = case.build();
        let params: Vec<&Param> = built.gradients.iter().map(|(param, _)| param).collect();
        if params.is_empty() {
            return Some(Err("no gradient reaches any parameter".into()));
        }
        let loss = built.loss.as_ref()?;
        Some(gradcheck(loss, &params, SLOPES.0, SLOPES.1).map(drop).map_err(|e| e.to_string()))
    });
}

#[test]
fn gradients_of_gradients_are_the_slopes() {
    check("gradients of gradients = finite differences", |case| {
        if case.grads != Grads::Twice {
            return None;
        }
        let built = case.build();
        let mut data = Data::new(&format!("{} twice", case.name));
        let loss = built.gradients.iter().map(|(_, g)| weighted(g, &mut data)).reduce(|a, b| a + b)?;
        let wrt: Vec<&Tensor> = built.params.iter().filter(|p| p.dtype() == DType::F32).map(Param::tensor).collect();
        let found = match gradients(&loss, &wrt) {
            Ok(found) => found,
            Err(error) => return Some(Err(error.to_string())),
        };
        let floats = built.params.iter().filter(|p| p.dtype() == DType::F32);
        let params: Vec<&Param> = floats.zip(found).filter_map(|(p, g)| g.map(|_| p)).collect();
        if params.is_empty() {
            return Some(Err("no second gradient reaches any parameter".into()));
        }
        Some(gradcheck(&loss, &params, SLOPES.0, SLOPES.1).map(drop).map_err(|e| e.to_string()))
    });
}

/// Where there is no slope, the gradient is PyTorch's.
#[test]
fn gradients_at_kinks() {
    type Function = fn(&Tensor) -> Tensor;
    let cases: [(&str, Function, &[f32], &[f64]); 9] = [
        ("max shares among equals", |x| x.max(&[]), &[1.0, 3.0, 3.0, 2.0], &[0.0, 0.5, 0.5, 0.0]),
        ("min shares among equals", |x| x.min(&[]), &[1.0, 1.0, 1.0, 2.0], &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]),
        ("maximum of equals", |x| x.maximum(Tensor::from([1.0f32, 5.0, 0.0])), &[1.0, 2.0, 3.0], &[0.5, 0.0, 1.0]),
        ("minimum of equals", |x| x.minimum(Tensor::from([1.0f32, 5.0, 0.0])), &[1.0, 2.0, 3.0], &[0.5, 1.0, 0.0]),
        ("relu at 0", Tensor::relu, &[0.0, -1.0, 1.0], &[0.0, 0.0, 1.0]),
        ("abs at 0", Tensor::abs, &[0.0, -1.0, 1.0], &[0.0, -1.0, 1.0]),
        ("clamp at and beyond its bounds", |x| x.clamp(-1.0, 1.0), &[-1.0, -2.0, 0.5, 1.0, 2.0], &[1.0, 0.0, 1.0, 1.0, 0.0]),
        ("pow at 0", |x| x.pow(2.0f32), &[0.0, 3.0], &[0.0, 6.0]),
        ("floor", Tensor::floor, &[0.5, 1.0], &[0.0, 0.0]),
    ];
    for (name, function, at, expected) in cases {
        let x = Param::from_array("x", Array::new([at.len()], at).expect("as many as the shape has"));
        let gradient = &grad(&function(&x).sum(), &[&x])[0];
        let found = by_oracle(&[gradient]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found[0].data, expected, "{name}");
    }
}

#[test]
fn the_executor_agrees_with_the_oracle() {
    let cpu = Device::cpu();
    check("CPU = oracle", |case| {
        let built = case.build();
        Some(compare(case, &built, by_device(&cpu, true, &results(&built)).map(|(values, _)| values)))
    });
}

#[test]
fn unfused_agrees_with_fused() {
    let cpu = Device::cpu();
    let mut kernels = (0, 0);
    check("unfused = fused", |case| {
        let built = case.build();
        let run = |fuse| by_device(&cpu, fuse, &results(&built)).map_err(|e| e.to_string());
        Some(run(true).and_then(|(fused, few)| {
            let (unfused, many) = run(false)?;
            kernels = (kernels.0 + few, kernels.1 + many);
            same(&fused, &unfused)
        }))
    });
    // A part of the list may have nothing to fuse.
    let whole = std::env::var_os("NOYAU_CASE").is_none();
    assert!(!whole || kernels.1 > 2 * kernels.0, "{} kernels fused, {} unfused: was anything fused at all?", kernels.0, kernels.1);
}

#[test]
fn a_wrong_value_is_noticed() {
    let expected = Values { shape: [2].into(), dtype: DType::F32, data: vec![1.0, 3.0] };
    let off = |by: f32| Array::new([2], &[1.0f32, 3.0 + by]).expect("two values");
    for class in [
        Class::Exact,
        Class::Rounded,
        Class::Quotient,
        Class::Exponential,
        Class::Logarithm,
        Class::Polynomial,
        Class::Power,
        Class::Sum(100),
        Class::Chain,
    ] {
        let tolerance = Tolerance::of_values(class);
        assert!(tolerance.fault(&expected, &off(0.0)).is_none(), "{class:?}");
        assert!(tolerance.fault(&expected, &off(3e-5)).is_some(), "{class:?}");
        assert!(tolerance.fault(&expected, &off(f32::NAN)).is_some(), "{class:?}");
        assert!(tolerance.fault(&expected, &off(f32::INFINITY)).is_some(), "{class:?}");
    }
}

//! Values of single expressions, and how near they are to what they should be.

use noyau::prelude::*;

/// The value on the CPU.
pub fn eval(tensor: &Tensor) -> Array {
    Session::new(Device::cpu()).eval(tensor).expect("it runs")
}

/// The values on the CPU.
pub fn f64s(tensor: &Tensor) -> Vec<f64> {
    eval(tensor).to_f64()
}

/// A parameter that begins with these values.
pub fn param(shape: &[usize], values: &[f32]) -> Tensor {
    Param::from_array("x", Array::new(shape, values).expect("as many as the shape has")).tensor().clone()
}

/// Each value within `relative` of what is expected, or both NaN.
#[track_caller]
pub fn close(found: &Tensor, expected: &[f64], relative: f64) {
    let found = f64s(found);
    assert_eq!(found.len(), expected.len());
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let fits = found == expected || (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= relative * expected.abs();
        assert!(fits, "element {i} is {found:e}, not {expected:e}: off by {:.1e} of it", ((found - expected) / expected).abs());
    }
}

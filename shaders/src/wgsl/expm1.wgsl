// e^x - 1: its series near 0, where the subtraction would cancel.
fn noyau_expm1(x: f32) -> f32 {
    let z = clamp(x, -0.5, 0.5);
    var p = 1.0 / 40320.0;
    p = p * z + 1.0 / 5040.0;
    p = p * z + 1.0 / 720.0;
    p = p * z + 1.0 / 120.0;
    p = p * z + 1.0 / 24.0;
    p = p * z + 1.0 / 6.0;
    p = p * z + 0.5;
    let near = p * z * z + z;
    return select(exp(x) - 1.0, near, abs(x) < 0.5);
}

// tanh without overflow: a polynomial near 0, where 1 - 2 / (e^2x + 1) would cancel, and that form, clamped, elsewhere.
// Polynomial: Cephes tanhf.c (Moshier).
fn noyau_tanh(x: f32) -> f32 {
    let a = min(abs(x), 10.0);
    let z = x * x;
    let p = (((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z - 3.33332819422e-1;
    let near = x + x * z * p;
    let far = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    return select(select(far, -far, x < 0.0), near, a < 0.625);
}

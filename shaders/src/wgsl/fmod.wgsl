// C's fmod: the dividend's sign, smaller than the divisor. A round takes off some 20 bits of the quotient: large ones are taken a little too small, so
// that the rest does not change its sign; small ones are at most one too large.
fn noyau_fmod(x: f32, y: f32) -> f32 {
    let b = abs(y);
    var r = abs(x);
    for (var round = 0; round < 14 && r >= b; round++) {
        let q = trunc(min(r / b, 3.0e38));
        r = fma(-select(q, q * 0.999999, q >= 1048576.0), b, r);
        r = select(r, r + b, r < 0.0);
    }
    return select(r, -r, x < 0.0);
}

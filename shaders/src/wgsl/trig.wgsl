// Sine and cosine with the argument brought to [-pi/4, pi/4] first: WGSL's own are only specified on [-pi, pi], to 2^-11.
// Reduction in three parts of pi/2 and polynomials: Cephes sinf.c.
fn noyau_sincos(x: f32, quarter: i32) -> f32 {
    let a = abs(x);
    let n = floor(a * 0.63661977 + 0.5);
    let r = ((a - n * 1.5703125) - n * 4.837512969970703125e-4) - n * 7.54978995489188216e-8;
    let z = r * r;
    let s = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
    let c = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
    // Beyond the reach of the reduction the quadrant means nothing; the clamp keeps the conversion defined.
    let quadrant = (i32(min(n, 1048576.0)) + quarter) & 3;
    let value = select(s, c, (quadrant & 1) == 1);
    return select(value, -value, quadrant >= 2);
}

fn noyau_sin(x: f32) -> f32 {
    let s = noyau_sincos(x, 0);
    return select(s, -s, x < 0.0);
}

fn noyau_cos(x: f32) -> f32 {
    return noyau_sincos(x, 1);
}

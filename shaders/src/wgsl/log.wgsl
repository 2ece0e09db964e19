// Logarithms with C's ends. WGSL leaves open what they are at zero, below it and of NaN, and drivers differ: one has log(-1.5) = log(1.5). A training that
// goes wrong has to show it.
var<private> noyau_log_bits: u32 = 0u;

fn noyau_log(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    // Minus infinity for both zeros, NaN for what is beyond infinity: NaN and the negative numbers.
    let end = select(0x7fc00000u, 0xff800000u, (bits & 0x7fffffffu) == 0u);
    return select(log(x), bitcast<f32>(noyau_log_bits ^ end), (bits > 0x7f800000u) | (bits == 0u));
}

// log(1 + x): Cephes' polynomial of logf where 1 + x would lose x's digits.
fn noyau_log1p(x: f32) -> f32 {
    let z = clamp(x, -0.3, 0.42);
    var p = 7.0376836292e-2;
    p = p * z - 1.1514610310e-1;
    p = p * z + 1.1676998740e-1;
    p = p * z - 1.2420140846e-1;
    p = p * z + 1.4249322787e-1;
    p = p * z - 1.6668057665e-1;
    p = p * z + 2.0000714765e-1;
    p = p * z - 2.4999993993e-1;
    p = p * z + 3.3333331174e-1;
    let near = (p * z - 0.5) * z * z + z;
    return select(noyau_log(1.0 + x), near, (x > -0.29) & (x < 0.41));
}

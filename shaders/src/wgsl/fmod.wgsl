// C's fmod: the dividend's sign, smaller than the divisor. In integers, a long division of the mantissas eight bits at a time: exact for any quotient,
// where float arithmetic would need an fma that really is fused.
fn noyau_fmod(x: f32, y: f32) -> f32 {
    let a = bitcast<u32>(x) & 0x7fffffffu;
    let b = bitcast<u32>(y) & 0x7fffffffu;
    let sign = bitcast<u32>(x) & 0x80000000u;
    if (a < b) {
        return x;
    }
    if (b < 0x00800000u) {
        // Division by zero: NaN.
        return bitcast<f32>(a | 0x7fc00000u);
    }
    let divisor = (b & 0x007fffffu) | 0x00800000u;
    var rest = ((a & 0x007fffffu) | 0x00800000u) % divisor;
    var exponent = (a >> 23u) - (b >> 23u);
    while (exponent > 0u) {
        let bits = min(exponent, 8u);
        rest = (rest << bits) % divisor;
        exponent -= bits;
    }
    if (rest == 0u) {
        return bitcast<f32>(sign);
    }
    let shift = countLeadingZeros(rest) - 8u;
    let scale = b >> 23u;
    if (scale <= shift) {
        return bitcast<f32>(sign | (rest << (scale - 1u)));
    }
    return bitcast<f32>(sign | ((rest << shift) & 0x007fffffu) | ((scale - shift) << 23u));
}

// x^y as C's pow has it: any finite base with a whole exponent, 0^0 = 1. Small whole exponents by multiplication, which is exact to the last bits.
var<private> noyau_pow_bits: u32 = 0u;

fn noyau_pow(x: f32, y: f32) -> f32 {
    let a = abs(x);
    let whole = floor(y) == y;
    if (whole && abs(y) <= 16.0) {
        let n = u32(abs(y));
        let x2 = x * x;
        let x4 = x2 * x2;
        let x8 = x4 * x4;
        var r = select(1.0, x, (n & 1u) != 0u);
        r *= select(1.0, x2, (n & 2u) != 0u);
        r *= select(1.0, x4, (n & 4u) != 0u);
        r *= select(1.0, x8, (n & 8u) != 0u);
        r *= select(1.0, x8 * x8, (n & 16u) != 0u);
        return select(r, 1.0 / r, y < 0.0);
    }
    if (bitcast<u32>(a) > 0x7f800000u) {
        return x;
    }
    if (a == 0.0) {
        return select(0.0, 1.0 / a, y < 0.0);
    }
    let r = exp2(y * log2(a));
    // Floats from 2^24 on are even; a negative base with a broken exponent is NaN.
    let odd = whole & (a < 3.4028234663852886e38) & (abs(y) < 16777216.0) & ((i32(clamp(y, -16777216.0, 16777216.0)) & 1) != 0);
    if (x < 0.0) {
        return select(bitcast<f32>(noyau_pow_bits ^ 0x7fc00000u), select(r, -r, odd), whole);
    }
    return r;
}

// WGSL refuses constants that are not finite; a variable's value it does not look at.
var<private> noyau_bits: u32 = 0u;

fn noyau_f32(bits: u32) -> f32 {
    return bitcast<f32>(noyau_bits ^ bits);
}

// The nearest f16, as the f32 of the same value: ties to even, 65520 and more to infinity, a NaN stays one. By bits, because WGSL's own conversion may round
// either way and makes what it likes of numbers that f16 does not reach.
fn noyau_f16(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  let near = (magnitude + 0xfffu + ((magnitude >> 13u) & 1u)) & 0xffffe000u;
  let large = select(select(near, 0x7f800000u, near >= 0x47800000u), 0x7fc00000u, magnitude > 0x7f800000u);
  // Below 2^-14: a multiple of 2^-24. The mantissa, 24 bits, has its unit at 2^(exponent - 150).
  let shift = min(126u - min(magnitude >> 23u, 112u), 25u);
  let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  let units = (mantissa + (1u << (shift - 1u)) - 1u + ((mantissa >> shift) & 1u)) >> shift;
  let small = bitcast<u32>(f32(units) * 5.9604644775390625e-8f);
  return bitcast<f32>(select(large, small, magnitude < 0x38800000u) | (bits & 0x80000000u));
}

// The nearest bf16, as the f32 of the same value: ties to even, a NaN stays one.
fn noyau_bf16(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let near = (bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u;
  return bitcast<f32>(select(near, (bits & 0x80000000u) | 0x7fc00000u, (bits & 0x7fffffffu) > 0x7f800000u));
}

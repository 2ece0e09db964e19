// Floats to integers: toward zero, saturated, NaN to 0 (found by its bits: WGSL may take comparisons with NaN for settled).
fn noyau_is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn noyau_f32_to_i32(x: f32) -> i32 {
    let n = i32(clamp(x, -2147483648.0, 2147483520.0));
    return select(select(n, 2147483647, x >= 2147483648.0), 0, noyau_is_nan(x));
}

fn noyau_f32_to_u32(x: f32) -> u32 {
    let n = u32(clamp(x, 0.0, 4294967040.0));
    return select(select(n, 4294967295u, x >= 4294967296.0), 0u, noyau_is_nan(x));
}

//! The WGSL functions that generated code calls, and which of them a text needs.

/// A file of WGSL functions, taken into a module when one of `names` occurs in it.
struct Helper {
    names: &'static [&'static str],
    text: &'static str,
}

/// All files; none calls into another.
const HELPERS: &[Helper] = &[
    Helper { names: &["noyau_tanh("], text: include_str!("wgsl/tanh.wgsl") },
    Helper { names: &["noyau_erf("], text: include_str!("wgsl/erf.wgsl") },
    Helper { names: &["noyau_expm1("], text: include_str!("wgsl/expm1.wgsl") },
    Helper { names: &["noyau_log(", "noyau_log1p("], text: include_str!("wgsl/log.wgsl") },
    Helper { names: &["noyau_sin(", "noyau_cos("], text: include_str!("wgsl/trig.wgsl") },
    Helper { names: &["noyau_pow("], text: include_str!("wgsl/pow.wgsl") },
    Helper { names: &["noyau_fmod("], text: include_str!("wgsl/fmod.wgsl") },
    Helper { names: &["noyau_div_i32(", "noyau_rem_i32(", "noyau_div_u32(", "noyau_rem_u32("], text: include_str!("wgsl/integer.wgsl") },
    Helper { names: &["noyau_f32_to_i32(", "noyau_f32_to_u32("], text: include_str!("wgsl/cast.wgsl") },
    Helper { names: &["noyau_f16(", "noyau_bf16("], text: include_str!("wgsl/half.wgsl") },
    Helper { names: &["noyau_philox("], text: include_str!("wgsl/philox.wgsl") },
    Helper { names: &["noyau_f32("], text: include_str!("wgsl/special.wgsl") },
];

/// The helper files that a text calls.
pub(crate) fn needed(text: &str) -> impl Iterator<Item = &'static str> {
    HELPERS.iter().filter(move |h| h.names.iter().any(|name| text.contains(name))).map(|h| h.text)
}

/// Every helper file.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|h| h.text)
}

//! One source, several instruction sets: which one this machine has, and functions made for each.
//!
//! Default builds target the oldest machine of an architecture. A body marked `#[inline(always)]` and called from a function that enables more
//! instructions is vectorised with these; [`versions!`] writes such functions, and the one to call is picked when a plan is loaded.

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What the build targets: SSE2, NEON, or wasm with 128-bit vectors where its build has them.
    Base,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    V3,
    /// AVX-512 F, BW, DQ, VL, CD.
    #[cfg(target_arch = "x86_64")]
    V4,
}

impl Level {
    /// The best that this machine has.
    pub(crate) fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") && has!("bmi1") && has!("bmi2") {
                if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("avx512cd") {
                    return Level::V4;
                }
                return Level::V3;
            }
        }
        Level::Base
    }

    /// All that this machine has, for tests.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Level> {
        #[cfg(target_arch = "x86_64")]
        let all = vec![Level::Base, Level::V3, Level::V4];
        #[cfg(not(target_arch = "x86_64"))]
        let all = vec![Level::Base];
        all.into_iter().filter(|&level| level <= Level::detect()).collect()
    }
}

/// Brings a cache line to the first cache, or (if not `NEAR`) to the second; the place need not be one of ours.
#[inline(always)]
pub(crate) fn fetch<const NEAR: bool>(word: *const u32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that never fails.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        if NEAR { _mm_prefetch::<_MM_HINT_T0>(word.cast()) } else { _mm_prefetch::<_MM_HINT_T1>(word.cast()) }
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

/// Whether the baseline multiplies and adds in one instruction.
pub(crate) const BASE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// `versions!(pick<O: Trait>, body, (name: Type, ...))` makes `fn pick<O: Trait>(Level) -> unsafe fn(Type, ...)`, which gives `body::<O, FMA>` compiled
/// for the level. `body` is an `#[inline(always)]` function whose last parameter tells whether multiply-add is one instruction.
///
/// The functions are unsafe to call because of what `body` asks; that the machine has the instructions is ensured by taking the level from [`Level::detect`].
macro_rules! versions {
    ($pick:ident<$O:ident: $bound:path>, $body:ident, ($($arg:ident: $type:ty),*)) => {
        pub(crate) fn $pick<$O: $bound>(level: $crate::simd::Level) -> unsafe fn($($type),*) {
            unsafe fn base<$O: $bound>($($arg: $type),*) {
                // SAFETY: the caller keeps the body's contract.
                unsafe { $body::<$O, { $crate::simd::BASE_FMA }>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
            unsafe fn v3<$O: $bound>($($arg: $type),*) {
                // SAFETY: the caller keeps the body's contract.
                unsafe { $body::<$O, true>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
            unsafe fn v4<$O: $bound>($($arg: $type),*) {
                // SAFETY: the caller keeps the body's contract.
                unsafe { $body::<$O, true>($($arg),*) }
            }
            match level {
                $crate::simd::Level::Base => base::<$O>,
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::V3 => v3::<$O>,
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::V4 => v4::<$O>,
            }
        }
    };
}
pub(crate) use versions;

//! A processor's ceilings: all threads multiply and add, all threads copy.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use super::{FOOTPRINTS, Measured};
use crate::measure::{Effort, seconds};

/// Sums that do not depend on each other: enough to hide the latency of two units of 4 or 5 cycles.
const CHAINS: usize = 12;

/// The instructions that products are measured by.
pub fn instructions() -> &'static str {
    way().0
}

/// A kernel of fused multiplications and additions: turns to a sum; and how many operations a turn has.
type Way = (&'static str, fn(usize) -> f32, usize);

fn way() -> Way {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return ("AVX-512", x86::with_avx512, x86::WIDE);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return ("AVX2", x86::with_avx2, x86::NARROW);
        }
    }
    ("128 bits", plain, 2 * CHAINS * 4)
}

/// What compilers make vectors of 128 bits of: NEON's fused form on ARM, a product and a sum on x86.
fn plain(turns: usize) -> f32 {
    let (factor, summand) = (black_box(0.999_f32), black_box(0.001_f32));
    let mut sums = [[1.0f32; 4]; CHAINS];
    for _ in 0..turns {
        for sum in sums.iter_mut().flatten() {
            *sum = if cfg!(target_arch = "aarch64") { sum.mul_add(factor, summand) } else { *sum * factor + summand };
        }
    }
    sums.iter().flatten().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::CHAINS;

    pub const WIDE: usize = 2 * CHAINS * 16;
    pub const NARROW: usize = 2 * CHAINS * 8;

    #[target_feature(enable = "avx512f")]
    fn wide(turns: usize) -> f32 {
        let (factor, summand) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
        let mut sums = [_mm512_set1_ps(1.0); CHAINS];
        for _ in 0..turns {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, summand);
            }
        }
        sums.iter().map(|&sum| _mm512_reduce_add_ps(sum)).sum()
    }

    #[target_feature(enable = "avx2,fma")]
    fn narrow(turns: usize) -> f32 {
        let (factor, summand) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
        let mut sums = [_mm256_set1_ps(1.0); CHAINS];
        for _ in 0..turns {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, summand);
            }
        }
        sums.iter().map(|&sum| _mm256_cvtss_f32(sum)).sum()
    }

    pub fn with_avx512(turns: usize) -> f32 {
        // SAFETY: `way` names this function only on processors that have AVX-512F.
        unsafe { wide(turns) }
    }

    pub fn with_avx2(turns: usize) -> f32 {
        // SAFETY: `way` names this function only on processors that have AVX2 and FMA.
        unsafe { narrow(turns) }
    }
}

pub fn measure(effort: &Effort) -> Measured {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (_, kernel, operations) = way();
    const TURNS: usize = 10_000;
    let some = |count: usize| {
        for _ in 0..count {
            black_box(kernel(black_box(TURNS)));
        }
    };
    let all = |count: usize| {
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| some(count));
            }
            some(count);
        });
        Ok::<_, std::convert::Infallible>(())
    };
    let Ok(times) = seconds(effort, all);
    let copies = FOOTPRINTS.iter().map(|&bytes| (bytes, copying(effort, bytes, threads))).collect();
    Measured { fma: times.rates((threads * TURNS * operations) as f64), half_fma: None, copies, launching: None }
}

/// Bytes a second that all threads together read and write, each copying its part of `footprint` bytes.
fn copying(effort: &Effort, footprint: usize, threads: usize) -> crate::measure::Spread {
    let part = footprint / 2 / threads / size_of::<u64>();
    // Each thread's memory is its own from the start: written before it is timed.
    let mut parts: Vec<(Vec<u64>, Vec<u64>)> = (0..threads).map(|i| (vec![i as u64 + 1; part], vec![7; part])).collect();
    let copies = |count: usize| {
        let start = Barrier::new(threads);
        thread::scope(|scope| {
            for (source, target) in &mut parts {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..count {
                        target.copy_from_slice(black_box(source));
                        black_box(&target);
                    }
                });
            }
        });
        Ok::<_, std::convert::Infallible>(())
    };
    let Ok(times) = seconds(effort, copies);
    times.rates((part * threads * 2 * size_of::<u64>()) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_computes_the_same_chains() {
        // From 1, towards the fixed point 0.001 / (1 - 0.999) = 1: each chain stays there.
        let (_, kernel, operations) = way();
        let lanes = operations / 2 / CHAINS;
        let sum = kernel(1000);
        let whole = (CHAINS * lanes) as f32;
        // The narrow one adds up a lane of each chain only.
        assert!((sum - whole).abs() < 0.1 * whole || (sum - CHAINS as f32).abs() < 0.1 * CHAINS as f32, "{sum}");
        assert!((plain(1000) - 4.0 * CHAINS as f32).abs() < 1.0);
    }
}

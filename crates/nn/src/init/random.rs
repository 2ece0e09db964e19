//! Random numbers that are the same bits everywhere.

use std::f64::consts::{FRAC_PI_2, LN_2, SQRT_2};

/// A small generator (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
///
/// Its real numbers use only operations that IEEE 754 rounds exactly (no `ln` or `cos` of the platform's), so they do not differ between machines.
pub(crate) struct Random {
    state: u64,
    /// The second of a pair of normal numbers.
    spare: Option<f64>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed, spare: None }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal with mean 0 and variance 1, by the Box-Muller transform.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * ln(1.0 - self.unit())).sqrt();
        let (sin, cos) = sin_cos_turns(self.unit());
        self.spare = Some(radius * sin);
        radius * cos
    }
}

/// The natural logarithm of a positive normal number: `x = m 2^e` with `m` near 1, and `ln m = 2 artanh((m - 1) / (m + 1))` as a series.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut m = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    if m > SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    // |s| is at most 0.172: 13 terms reach 1e-20.
    let series = (0..13).rev().fold(0.0, |sum, k| sum * s * s + 1.0 / f64::from(2 * k + 1));
    f64::from(exponent) * LN_2 + 2.0 * s * series
}

/// The sine and cosine of `turns` (in `0..1`) times 2 pi, by Taylor series in the eighth of a turn around a multiple of a quarter.
fn sin_cos_turns(turns: f64) -> (f64, f64) {
    let quarters = (turns * 4.0 + 0.5) as u32;
    let x = (turns * 4.0 - f64::from(quarters)) * FRAC_PI_2;
    // |x| is at most pi / 4: 10 terms reach 1e-19.
    let series = |first: u32| (0..10).rev().fold(0.0, |sum, k| 1.0 - sum * x * x / f64::from((2 * k + first + 1) * (2 * k + first + 2)));
    let (sin, cos) = (x * series(1), series(0));
    match quarters % 4 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_angles_have_all_digits() {
        let mut random = Random::new(7);
        for i in 0..10_000 {
            let u = 1.0 - random.unit() * 0.1f64.powi(i % 16);
            assert!(
                (ln(u) - u.ln()).abs() <= 4e-16 * u.ln().abs().max(1e-300) + 1e-16 * u.ln().abs(),
                "ln({u}) = {} is not {}",
                ln(u),
                u.ln()
            );
            let small = random.unit() * 0.1f64.powi(i % 16) + 1e-17;
            assert!((ln(small) - small.ln()).abs() <= 1e-15 * small.ln().abs().max(1.0), "ln({small})");
            let (sin, cos) = sin_cos_turns(1.0 - u);
            let angle = (1.0 - u) * std::f64::consts::TAU;
            assert!((sin - angle.sin()).abs() < 1e-15 && (cos - angle.cos()).abs() < 1e-15, "{u}: {sin} {cos}");
        }
    }

    #[test]
    fn the_stream_never_changes() {
        // The first numbers of seed 1234567, as published with the reference implementation.
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }
}

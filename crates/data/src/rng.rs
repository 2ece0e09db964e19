//! Random numbers that are the same everywhere.

/// A small random number generator (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
///
/// Integer arithmetic only, so that a seed gives the same stream on every platform and in every version of noyau. Good enough to shuffle
/// and to make test data; not for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Rng {
        Rng { state: seed }
    }

    /// One of many unrelated streams of a seed, such as one for each epoch.
    pub fn stream(seed: u64, stream: u64) -> Rng {
        // Seed and stream are each scrambled before they meet: (seed + 1, 0) must not be (seed, 1) a step later.
        let scrambled = Rng::new(stream ^ 0x6a09_e667_f3bc_c909).next_u64();
        Rng::new(Rng::new(seed).next_u64() ^ scrambled.rotate_left(32))
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `0..bound`, every one equally likely; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // Lemire's method: the high half of a product is the number, the low half tells the draws that would favour some numbers.
        let bound = u64::from(bound);
        let rejected = if bound == 0 { 0 } else { (1u64 << 32) % bound };
        loop {
            let product = (self.next_u64() >> 32) * bound;
            if product & 0xffff_ffff >= rejected {
                return (product >> 32) as u32;
            }
        }
    }

    /// A real number in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        low + unit * (high - low)
    }

    /// A normally distributed number (Marsaglia's polar method).
    pub fn normal(&mut self, mean: f64, variance: f64) -> f64 {
        loop {
            let (u, v) = (self.uniform(-1.0, 1.0), self.uniform(-1.0, 1.0));
            let s = u * u + v * v;
            if s > 0.0 && s <= 1.0 {
                return mean + variance.sqrt() * u * (-2.0 * s.ln() / s).sqrt();
            }
        }
    }

    /// Puts the items in random order (Fisher-Yates), every order equally likely. At most 2^32 - 1 items are moved.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len().min(u32::MAX as usize)).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        // The published first outputs of SplitMix64 for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        assert_eq!([rng.next_u64(), rng.next_u64()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let mut items: Vec<u32> = (0..10).collect();
        Rng::stream(0, 0).shuffle(&mut items);
        assert_eq!(items, SHUFFLED);
    }

    /// Pinned: a change of this order breaks everybody's reproducibility.
    const SHUFFLED: [u32; 10] = [6, 3, 7, 4, 0, 8, 5, 1, 2, 9];

    #[test]
    fn below_is_even_and_in_range() {
        let mut rng = Rng::new(3);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (9_600..10_400).contains(&c)), "{counts:?}");
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn normal_has_its_mean_and_variance() {
        let mut rng = Rng::new(5);
        let values: Vec<f64> = (0..50_000).map(|_| rng.normal(2.0, 4.0)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((mean - 2.0).abs() < 0.05 && (variance - 4.0).abs() < 0.1, "{mean} {variance}");
    }

    #[test]
    fn streams_differ() {
        let first = |seed, stream| Rng::stream(seed, stream).next_u64();
        let all = [first(0, 0), first(0, 1), first(1, 0), first(1, 1), first(2, 0), first(0, 2)];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}

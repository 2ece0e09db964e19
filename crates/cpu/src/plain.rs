//! Attention by its definition, one matrix of a batch at a time, in f64: what the oracle and the reference do.

use noyau_tensor::Attention;

/// A number by row and column.
pub(crate) type At<'a> = &'a dyn Fn(usize, usize) -> f64;

/// One matrix each of queries `[n, d]`, keys `[m, d]` and values `[m, e]`.
pub(crate) struct Plain<'a> {
    pub sizes: [usize; 4],
    pub causal: bool,
    pub scale: f64,
    pub q: At<'a>,
    pub k: At<'a>,
    pub v: At<'a>,
    pub masks: Vec<At<'a>>,
}

/// The gradients by queries, keys and values.
pub(crate) struct Gradients {
    pub dq: Vec<f64>,
    pub dk: Vec<f64>,
    pub dv: Vec<f64>,
}

impl Plain<'_> {
    /// The score of a query and a key; `None` where the key is closed.
    fn score(&self, i: usize, j: usize) -> Option<f64> {
        let closed = f64::from(Attention::CLOSED);
        if (self.causal && j > i) || self.masks.iter().any(|mask| mask(i, j) <= closed) {
            return None;
        }
        let product: f64 = (0..self.sizes[2]).map(|l| (self.q)(i, l) * (self.k)(j, l)).sum();
        Some(product * self.scale + self.masks.iter().map(|mask| mask(i, j)).sum::<f64>())
    }

    /// The results `[n, e]`, and the logarithms of the rows' sums.
    pub fn forward(&self) -> (Vec<f64>, Vec<f64>) {
        let [n, m, _, e] = self.sizes;
        let (mut out, mut sums) = (vec![0.0; n * e], vec![0.0; n]);
        for i in 0..n {
            let scores: Vec<Option<f64>> = (0..m).map(|j| self.score(i, j)).collect();
            let most = scores.iter().flatten().fold(f64::NEG_INFINITY, |most, &s| most.max(s));
            let weights: Vec<f64> = scores.iter().map(|s| s.map_or(0.0, |s| (s - most).exp())).collect();
            let sum: f64 = weights.iter().sum();
            if sum == 0.0 {
                continue;
            }
            sums[i] = most + sum.ln();
            for (j, weight) in weights.iter().enumerate() {
                (0..e).for_each(|l| out[i * e + l] += weight / sum * (self.v)(j, l));
            }
        }
        (out, sums)
    }

    /// From the gradient by the results, the logarithms of the rows' sums and each row's sum of result times gradient.
    pub fn backward(&self, g: At, sums: &dyn Fn(usize) -> f64, delta: &dyn Fn(usize) -> f64) -> Gradients {
        let [n, m, d, e] = self.sizes;
        let mut found = Gradients { dq: vec![0.0; n * d], dk: vec![0.0; m * d], dv: vec![0.0; m * e] };
        for i in 0..n {
            for j in 0..m {
                let Some(score) = self.score(i, j) else { continue };
                let weight = (score - sums(i)).exp();
                let toward: f64 = (0..e).map(|l| g(i, l) * (self.v)(j, l)).sum();
                let slope = weight * (toward - delta(i)) * self.scale;
                for l in 0..d {
                    found.dq[i * d + l] += slope * (self.k)(j, l);
                    found.dk[j * d + l] += slope * (self.q)(i, l);
                }
                (0..e).for_each(|l| found.dv[j * e + l] += weight * g(i, l));
            }
        }
        found
    }
}

//! Attention done again on the host, with room for rounding.
//!
//! A weight is an exponential of a score below the row's greatest, or below the logarithm of its sum: off by what the score may be off by, the exponential's
//! own error, and one more error each time that a greater score rescales what was there before. What sums of weights times values may be off by follows from
//! the magnitudes of their terms (see `sums`). Everything is bounded number by number, from what the device had in memory.

use noyau_compile::plan::{Attention, AttentionWork, BufferId, Matrix};
use noyau_tensor::{DType, Error, Result};

use super::interval::{Interval, TINY, ULP};
use super::replay::Found;

/// A number, and how far the device's may be from it.
#[derive(Clone, Copy, Default)]
struct Near {
    value: f64,
    error: f64,
}

/// A sum, with its error so far, its terms' magnitudes, their number.
#[derive(Clone, Copy, Default)]
struct Total {
    value: f64,
    error: f64,
    magnitude: f64,
    terms: usize,
}

impl Total {
    /// One more product of two numbers, the second of them exact.
    fn add(&mut self, x: Near, y: f64) {
        self.value += x.value * y;
        self.error += x.error * y.abs();
        self.magnitude += (x.value.abs() + x.error) * y.abs();
        self.terms += 1;
    }

    /// The sum as a device may have it: each product and each addition rounded, in whichever order.
    fn result(self) -> Near {
        let rounding = (self.terms + 1) as f64 * (ULP * self.magnitude + TINY);
        Near { value: self.value, error: self.error + rounding }
    }
}

impl Near {
    fn interval(self) -> Interval {
        let Near { value, error } = self;
        if !value.is_finite() || !error.is_finite() || value.abs() + error > f64::from(f32::MAX) {
            return Interval::ANY;
        }
        Interval { low: value - error, high: value + error }.rounded()
    }
}

/// One kernel's memory.
struct Memory<'a> {
    a: &'a Attention,
    before: &'a [&'a [u32]],
}

impl Memory<'_> {
    fn word(&self, buffer: BufferId, place: usize) -> Result<f64> {
        let word = self.before[buffer.0].get(place).ok_or_else(|| Error::Internal("attention leaves its buffer".into()))?;
        Ok(f64::from(f32::from_bits(*word)))
    }

    /// All of a matrix, row by row.
    fn matrix(&self, matrix: &Matrix, z: usize, rows: usize, columns: usize) -> Result<Vec<f64>> {
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        places.map(|(i, j)| matrix.place(z, i, j).map_or(Ok(0.0), |place| self.word(matrix.buffer, place))).collect()
    }

    fn dot(x: &[f64], y: &[f64]) -> Near {
        let mut total = Total::default();
        x.iter().zip(y).for_each(|(&x, &y)| total.add(Near { value: x, error: 0.0 }, y));
        // Factors that are all but 0 may be taken for it.
        let slack = TINY * x.iter().chain(y).map(|x| x.abs()).sum::<f64>();
        let near = total.result();
        Near { error: near.error + slack, ..near }
    }

    /// A row's scores; `None` where a key is closed.
    fn scores(&self, i: usize, q: &[f64], keys: &[f64], masks: &[Vec<f64>]) -> Vec<Option<Near>> {
        let Attention { m, d, .. } = *self.a;
        let scale = f64::from(self.a.scale);
        let score = |j: usize| {
            let added = masks.iter().map(|mask| mask[i * m + j]);
            if (self.a.causal && j > i) || added.clone().any(|x| x <= f64::from(noyau_tensor::Attention::CLOSED)) {
                return None;
            }
            let product = Self::dot(q, &keys[j * d..(j + 1) * d]);
            let mut near = Near { value: product.value * scale, error: product.error * scale.abs() };
            near.error += ULP * near.value.abs() + TINY;
            for x in added {
                near.value += x;
                near.error += ULP * (near.value.abs() + near.error + x.abs());
            }
            Some(near)
        };
        (0..m).map(score).collect()
    }
}

/// An exponential of a number at most 0 or so, of which `extra` units in the last place more are not known.
fn exp(x: Near, extra: f64) -> Near {
    let value = x.value.exp();
    // WGSL asks 3 + 2 |x| units of exp; the argument is a difference, rounded once more.
    let units = 5.0 + 3.0 * x.value.abs().min(120.0) + extra;
    Near { value, error: value * ((x.error + units * ULP).exp_m1()) + TINY }
}

/// Compares what attention left in its results with what it has to make of its operands.
pub(super) fn compare(a: &Attention, before: &[&[u32]], after: &[&[u32]]) -> Vec<Result<Found>> {
    let memory = Memory { a, before };
    (0..a.batch)
        .map(|z| {
            let mut found = Found::default();
            matrix(&memory, z, after, &mut found).map(|()| found)
        })
        .collect()
}

/// One matrix of the batch.
fn matrix(memory: &Memory, z: usize, after: &[&[u32]], found: &mut Found) -> Result<()> {
    let Attention { n, m, d, e, .. } = *memory.a;
    let a = memory.a;
    let (q, k, v) = (memory.matrix(&a.q, z, n, d)?, memory.matrix(&a.k, z, m, d)?, memory.matrix(&a.v, z, m, e)?);
    let masks = a.masks.iter().map(|mask| memory.matrix(mask, z, n, m)).collect::<Result<Vec<_>>>()?;
    let mut check = |to: &Option<BufferId>, place: usize, near: Interval| match to {
        Some(to) => found.check(*to, place, near, DType::F32, after),
        None => Ok(()),
    };
    match &a.work {
        AttentionWork::Forward { out, lse } => {
            for i in 0..n {
                let scores = memory.scores(i, &q[i * d..(i + 1) * d], &k, &masks);
                let most = scores.iter().flatten().map(|s| s.value).fold(f64::NEG_INFINITY, f64::max);
                let wrong = scores.iter().flatten().fold(0.0f64, |wrong, s| wrong.max(s.error));
                let below = |s: &Near| {
                    let difference = s.value - most;
                    // Each of at most m rescalings rounds, and errs as an exponential does.
                    exp(Near { value: difference, error: s.error + wrong + ULP * difference.abs() }, 6.0 * m as f64)
                };
                let weights: Vec<Near> = scores.iter().map(|s| s.as_ref().map(below).unwrap_or_default()).collect();
                let mut sum = Total::default();
                weights.iter().for_each(|&w| sum.add(w, 1.0));
                let sum = sum.result();
                for l in 0..e {
                    let mut mean = Total::default();
                    weights.iter().enumerate().for_each(|(j, &w)| mean.add(w, v[j * e + l]));
                    let (mean, least) = (mean.result(), sum.value - sum.error);
                    let value = mean.value / sum.value;
                    let error = (mean.error + value.abs() * sum.error) / least + 4.0 * ULP * value.abs() + TINY;
                    let near = match most {
                        f64::NEG_INFINITY => Interval::point(0.0),
                        _ if least <= 0.0 => Interval::ANY,
                        _ => Near { value, error }.interval(),
                    };
                    check(out, (z * n + i) * e + l, near)?;
                }
                let logarithm = most + sum.value.ln();
                let error = wrong + 2.0 * sum.error / sum.value + 8.0 * ULP * (1.0 + logarithm.abs() + most.abs() + sum.value.ln().abs());
                let near = if most == f64::NEG_INFINITY { Interval::ANY } else { Near { value: logarithm, error }.interval() };
                check(lse, z * n + i, near)?;
            }
        }
        AttentionWork::Backward { g, lse, delta, dq, dk, dv } => {
            let g = memory.matrix(g, z, n, e)?;
            let scale = f64::from(a.scale);
            let (mut by_keys, mut by_values) = (vec![Total::default(); m * d], vec![Total::default(); m * e]);
            for i in 0..n {
                let (sum, mean) = (memory.word(*lse, z * n + i)?, memory.word(*delta, z * n + i)?);
                let gradient = &g[i * e..(i + 1) * e];
                let scores = memory.scores(i, &q[i * d..(i + 1) * d], &k, &masks);
                let mut by_query = vec![Total::default(); d];
                for (j, score) in scores.iter().enumerate() {
                    let Some(score) = score else { continue };
                    let difference = score.value - sum;
                    let weight = exp(Near { value: difference, error: score.error + ULP * difference.abs() }, 0.0);
                    let toward = Memory::dot(gradient, &v[j * e..(j + 1) * e]);
                    let above = toward.value - mean;
                    let above = Near { value: above, error: toward.error + ULP * (above.abs() + toward.error) };
                    let value = weight.value * above.value * scale;
                    let most = (above.value.abs() + above.error) * scale.abs();
                    let error = weight.error * most + weight.value * above.error * scale.abs();
                    let slope = Near { value, error: error + 3.0 * ULP * (weight.value + weight.error) * most + TINY };
                    for l in 0..d {
                        by_query[l].add(slope, k[j * d + l]);
                        by_keys[j * d + l].add(slope, q[i * d + l]);
                    }
                    (0..e).for_each(|l| by_values[j * e + l].add(weight, gradient[l]));
                }
                for (l, total) in by_query.iter().enumerate() {
                    check(dq, (z * n + i) * d + l, total.result().interval())?;
                }
            }
            for (to, totals) in [(dk, &by_keys), (dv, &by_values)] {
                for (place, total) in totals.iter().enumerate() {
                    check(to, z * totals.len() + place, total.result().interval())?;
                }
            }
        }
    }
    Ok(())
}

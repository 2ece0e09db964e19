//! Random matrices with orthonormal rows or columns.

use super::random::Random;

/// A matrix `[rows, columns]`, row-major, whose rows (or, where there are more rows than columns, columns) are orthonormal, evenly drawn from all
/// such: modified Gram-Schmidt on normal numbers, each vector made orthogonal twice, which is enough to reach the precision of f64 (Giraud et al., "The
/// loss of orthogonality in the Gram-Schmidt orthogonalization process", 2005). Gives the Q of the QR factorisation whose R has a positive diagonal.
pub(crate) fn matrix(rows: usize, columns: usize, random: &mut Random) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| random.normal()).collect();
        let before = dot(&vector, &vector).sqrt();
        for _ in 0..2 {
            for other in &basis {
                let along = dot(&vector, other);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        // A vector that lay in the others' span has only rounding left, of no direction: draw again.
        if norm > 1e-9 * before {
            vector.iter_mut().for_each(|v| *v /= norm);
            basis.push(vector);
        }
    }
    if rows <= columns {
        return basis.concat();
    }
    (0..rows).flat_map(|i| basis.iter().map(move |vector| vector[i])).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Several sums at once, in an order that does not depend on the machine.
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        (0..8).for_each(|i| sums[i] += x[i] * y[i]);
    }
    sums.iter().sum::<f64>() + rest
}

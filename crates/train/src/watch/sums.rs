//! Reductions with room for rounding.
//!
//! A sum of n terms may be off by n - 1 units in the last place of the sum of their magnitudes, which no order of additions exceeds (Higham, "Accuracy and
//! Stability of Numerical Algorithms", 2002, section 4.2). Where the terms are multiples of a power of two that leaves all partial sums exact, as counts are,
//! it may not be off at all.

use noyau_tensor::{BinaryOp, DType, ReduceOp};

use super::interval::{self, Interval, TINY, ULP};

/// A sum of f64 in which the rounding of f32 sums is kept account of.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub low: f64,
    pub high: f64,
    /// Of the terms' magnitudes.
    pub magnitude: f64,
    pub terms: usize,
    /// All terms are multiples of two to this power; `None` when they are not known that well.
    pub grid: Option<i32>,
    /// What else the sum may be off by.
    pub slack: f64,
}

impl Sum {
    pub const NOTHING: Sum = Sum { low: 0.0, high: 0.0, magnitude: 0.0, terms: 0, grid: Some(i32::MAX), slack: 0.0 };

    pub fn add(&mut self, x: Interval) {
        self.low += x.low;
        self.high += x.high;
        self.magnitude += x.magnitude();
        self.terms += 1;
        self.grid = self.grid.zip(x.exact()).map(|(grid, x)| grid.min(grid_of(x as f32)));
    }

    pub fn result(self) -> Interval {
        let Sum { low, high, magnitude, terms, grid, slack } = self;
        let sum = Interval { low, high };
        if sum.is_any() || magnitude > f64::from(f32::MAX) {
            // A part of the sum may be beyond the largest number where the whole is not.
            return Interval::ANY;
        }
        // Multiples of the least normal number are never so small that they may be taken for 0.
        let exact = grid.is_some_and(|grid| grid >= -126 && magnitude <= f64::powi(2.0, grid.min(200) + 24));
        if exact || terms <= 1 { sum } else { sum.widened((terms - 1) as f64 * (ULP * magnitude + TINY) + slack) }
    }
}

/// The exponent of the lowest bit of a number that is set; large for 0.
pub(super) fn grid_of(x: f32) -> i32 {
    let bits = x.to_bits();
    match ((bits >> 23 & 0xff) as i32, bits & 0x7f_ffff) {
        (0, 0) => i32::MAX,
        (0, mantissa) => -149 + mantissa.trailing_zeros() as i32,
        (exponent, mantissa) => exponent - 150 + (mantissa | 0x80_0000).trailing_zeros() as i32,
    }
}

/// A reduction under way.
pub(super) enum Total {
    Sum(Sum),
    Product { value: Interval, terms: usize },
    Other { op: BinaryOp, dtype: DType, value: Interval },
}

impl Total {
    pub fn new(op: ReduceOp, dtype: DType) -> Total {
        let identity = Interval::point(op.identity(dtype).to_f64());
        match (op, dtype) {
            (ReduceOp::Sum, DType::F32 | DType::F16 | DType::BF16) => Total::Sum(Sum::NOTHING),
            (ReduceOp::Prod, DType::F32 | DType::F16 | DType::BF16) => Total::Product { value: identity, terms: 0 },
            (ReduceOp::Sum | ReduceOp::Max, DType::Bool) => Total::Other { op: BinaryOp::Or, dtype, value: identity },
            (ReduceOp::Prod | ReduceOp::Min, DType::Bool) => Total::Other { op: BinaryOp::And, dtype, value: identity },
            _ => Total::Other { op: op.combine(), dtype, value: identity },
        }
    }

    pub fn add(&mut self, x: Interval) {
        match self {
            Total::Sum(sum) => sum.add(x),
            Total::Product { value, terms } => {
                // Rounded once a factor, whatever their order; a part of it may leave f32's range either way.
                *value = interval::binary(BinaryOp::Mul, DType::F32, *value, x);
                let in_range = value.magnitude() < f64::from(f32::MAX) && (x.exact() == Some(0.0) || value.magnitude() > TINY);
                if *terms > 0 && !in_range {
                    *value = Interval::ANY;
                }
                *terms += 1;
            }
            Total::Other { op, dtype, value } => *value = interval::binary(*op, *dtype, *value, x),
        }
    }

    pub fn result(self) -> Interval {
        match self {
            Total::Sum(sum) => sum.result(),
            Total::Product { value, terms } if terms > 2 => value.widened(terms as f64 * ULP * value.magnitude()),
            Total::Product { value, .. } | Total::Other { value, .. } => value,
        }
    }
}

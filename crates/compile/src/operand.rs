//! How a matrix product reads an operand: straight by strides, or through windows.
//!
//! An operand's batch, rows and columns are each a flat number that is taken apart into digits (a column of a convolution's operand is a place `(y, x)` of
//! the result, a row is a channel and an element `(i, j)` of the kernel). Each digit adds its stride to the place, and its steps to the coordinates
//! that have to stay inside of the image: elsewhere the element is 0.

use std::fmt;

use crate::plan::BufferId;
use crate::{Index, View};

/// A stack of matrices in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The buffer (not among the kernel's body's operands on its account).
    pub buffer: BufferId,
    /// The place of the first element. May be outside of the buffer where bounds exclude it.
    pub offset: isize,
    /// The digits of the batch's number, outermost first; none where nothing moves.
    pub batch: Vec<Digit>,
    /// The digits of the row's number.
    pub rows: Vec<Digit>,
    /// The digits of the column's number.
    pub columns: Vec<Digit>,
    /// What has to hold for an element to be read; where it does not, the element is 0.
    pub bounds: Vec<Bound>,
}

/// One digit of a flat coordinate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// How many values it has.
    pub size: usize,
    /// What one step adds to the place.
    pub stride: isize,
    /// What one step adds to the coordinate of each bound.
    pub steps: Vec<isize>,
}

/// `0 <= start + the digits' steps < size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The coordinate where all digits are 0.
    pub start: isize,
    /// How many coordinates are inside.
    pub size: usize,
    /// What one step of the coordinate adds to the place.
    pub stride: isize,
}

/// A matrix that is read straight from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strides {
    /// The place of the first element.
    pub offset: usize,
    /// What one row adds.
    pub row: usize,
    /// What one column adds.
    pub column: usize,
}

impl Matrix {
    /// Bounds at most: an operand that needs more is copied first.
    pub const MAX_BOUNDS: usize = 4;

    /// Matrices of plain strides: for each axis of the batch its size and stride, then the row's and the column's.
    pub fn strided(buffer: BufferId, offset: usize, batch: &[(usize, usize)], row: (usize, usize), column: (usize, usize)) -> Matrix {
        let digit = |&(size, stride): &(usize, usize)| Digit { size, stride: stride as isize, steps: Vec::new() };
        let digits = |all: &[(usize, usize)]| merged(all.iter().map(digit).collect());
        Matrix {
            buffer,
            offset: offset as isize,
            batch: digits(batch),
            rows: digits(&[row]),
            columns: digits(&[column]),
            bounds: Vec::new(),
        }
    }

    /// Reads a buffer at the places of an index over `batch ++ [rows, columns]`; `None` when that takes more than digits and bounds.
    pub(crate) fn new(buffer: BufferId, index: &Index) -> Option<Matrix> {
        let [first, rest @ ..] = index.views() else { return None };
        let rank = first.shape.len();
        let axes = first.shape.iter().zip(&first.strides).map(|(&size, &stride)| Digit { size, stride, steps: Vec::new() });
        let mut reading = Reading { offset: first.offset, digits: axes.enumerate().collect(), bounds: Vec::new() };
        reading.bound(first, &(0..rank).map(|i| reading_axis(rank, i)).collect::<Vec<_>>(), &vec![0; rank]);
        for view in rest {
            reading = reading.through(view)?;
        }
        if reading.bounds.len() > Matrix::MAX_BOUNDS {
            return None;
        }
        let part = |axes: std::ops::Range<usize>| {
            merged(reading.digits.iter().filter(|(axis, _)| axes.contains(axis)).map(|(_, digit)| digit.clone()).collect())
        };
        Some(Matrix {
            buffer,
            offset: reading.offset,
            batch: part(0..rank - 2),
            rows: part(rank - 2..rank - 1),
            columns: part(rank - 1..rank),
            bounds: reading.bounds,
        })
    }

    /// The strides, when rows and columns have one digit each, nothing is read backwards and nothing is left out.
    pub fn strides(&self) -> Option<Strides> {
        let one = |digits: &[Digit]| match digits {
            [] => Some(0),
            [digit] => usize::try_from(digit.stride).ok(),
            _ => None,
        };
        let forward = self.batch.iter().all(|digit| digit.stride >= 0);
        let offset = usize::try_from(self.offset).ok().filter(|_| self.bounds.is_empty() && forward)?;
        Some(Strides { offset, row: one(&self.rows)?, column: one(&self.columns)? })
    }

    /// The least and the greatest place that is read, if any is.
    pub fn reach(&self) -> Option<(i128, i128)> {
        let digits = || self.batch.iter().chain(&self.rows).chain(&self.columns);
        if digits().any(|digit| digit.size == 0) || self.bounds.iter().any(|bound| bound.size == 0) {
            return None;
        }
        // What the bounds' coordinates do not account for, then what these can be.
        let accounted = |steps: &[isize]| self.bounds.iter().zip(steps).map(|(b, &s)| b.stride as i128 * s as i128).sum::<i128>();
        let start: i128 = self.bounds.iter().map(|b| b.stride as i128 * b.start as i128).sum();
        let mut reach = (self.offset as i128 - start, self.offset as i128 - start);
        let spans = digits().map(|d| (d.stride as i128 - accounted(&d.steps)) * (d.size as i128 - 1));
        for span in spans.chain(self.bounds.iter().map(|b| b.stride as i128 * (b.size as i128 - 1))) {
            reach.0 += span.min(0);
            reach.1 += span.max(0);
        }
        Some(reach)
    }

    /// The place of an element by its flat coordinates; `None` where it is 0 by the bounds.
    pub fn place(&self, batch: usize, row: usize, column: usize) -> Option<usize> {
        let mut place = self.offset;
        let mut at: Vec<isize> = self.bounds.iter().map(|bound| bound.start).collect();
        for (digits, flat) in [(&self.batch, batch), (&self.rows, row), (&self.columns, column)] {
            let mut rest = flat;
            for digit in digits.iter().rev() {
                let value = (rest % digit.size) as isize;
                rest /= digit.size;
                place += value * digit.stride;
                at.iter_mut().zip(&digit.steps).for_each(|(at, step)| *at += value * step);
            }
        }
        let inside = self.bounds.iter().zip(&at).all(|(bound, &at)| (0..bound.size as isize).contains(&at));
        usize::try_from(place).ok().filter(|_| inside)
    }
}

fn reading_axis(rank: usize, axis: usize) -> Vec<isize> {
    (0..rank).map(|i| isize::from(i == axis)).collect()
}

/// Neighbours that continue each other as one; digits of one value left out.
fn merged(digits: Vec<Digit>) -> Vec<Digit> {
    let mut result: Vec<Digit> = Vec::new();
    for digit in digits.into_iter().filter(|digit| digit.size != 1) {
        let continues = |last: &Digit| {
            let size = digit.size as isize;
            last.stride == digit.stride * size && last.steps.iter().zip(&digit.steps).all(|(a, b)| *a == b * size)
        };
        match result.last_mut() {
            Some(last) if continues(last) => *last = Digit { size: last.size * digit.size, ..digit },
            _ => result.push(digit),
        }
    }
    result
}

/// An operand while its views are followed: the digits of all axes, each with the axis that it is of, outermost first within an axis.
struct Reading {
    offset: isize,
    digits: Vec<(usize, Digit)>,
    bounds: Vec<Bound>,
}

impl Reading {
    /// Adds the bounds of a view's mask. `steps[d][axis]`: what a step of digit `d` adds to the view's coordinate along the axis, `origin` where it begins.
    fn bound(&mut self, view: &View, steps: &[Vec<isize>], origin: &[isize]) {
        for (axis, &(low, high)) in view.mask.iter().enumerate() {
            if (low, high) == (0, view.shape[axis]) {
                continue;
            }
            self.bounds.push(Bound { start: origin[axis] - low as isize, size: high.saturating_sub(low), stride: view.strides[axis] });
            self.digits.iter_mut().zip(steps).for_each(|((_, digit), steps)| digit.steps.push(steps[axis]));
        }
    }

    /// The places so far are row-major in a view's shape: read on through it.
    fn through(mut self, view: &View) -> Option<Reading> {
        let rank = view.shape.len();
        // What one step along each axis of the view's shape is in row-major places.
        let mut weights = vec![1isize; rank];
        for i in (1..rank).rev() {
            weights[i - 1] = weights[i] * view.shape[i] as isize;
        }
        let in_digits = |value: isize| -> Option<Vec<isize>> {
            let mut rest = value;
            let found = weights.iter().map(|&w| {
                let digit = rest / w.max(1);
                rest -= digit * w;
                digit
            });
            let found: Vec<isize> = found.collect();
            (rest == 0).then_some(found)
        };
        let origin = in_digits(self.offset).filter(|_| self.offset >= 0)?;
        // A digit that would carry from one axis of the view to the next is taken apart where the axes meet.
        let mut split: Vec<(usize, Digit)> = Vec::new();
        for (axis, digit) in self.digits {
            let mut pieces = Vec::new();
            let mut rest = digit;
            loop {
                let steps = in_digits(rest.stride.abs())?;
                let moving: Vec<usize> = (0..rank).filter(|&i| steps[i] != 0).collect();
                let carries = moving.iter().any(|&i| steps[i] * (rest.size as isize - 1) >= view.shape[i] as isize);
                if !carries || rest.size <= 1 {
                    pieces.push(rest);
                    break;
                }
                // Only a step along one axis can be taken apart, where it divides the axis, and the axis the rest.
                let &[i] = &moving[..] else { return None };
                let inner = view.shape[i] / steps[i] as usize;
                if i == 0 || steps[i] as usize * inner != view.shape[i] || inner < 2 || !rest.size.is_multiple_of(inner) {
                    return None;
                }
                pieces.push(Digit { size: inner, ..rest.clone() });
                let n = inner as isize;
                rest = Digit { size: rest.size / inner, stride: rest.stride * n, steps: rest.steps.iter().map(|s| s * n).collect() };
            }
            split.extend(pieces.into_iter().rev().map(|piece| (axis, piece)));
        }
        let mut steps = Vec::with_capacity(split.len());
        let (mut low, mut high) = (origin.clone(), origin.clone());
        for (_, digit) in &split {
            let mut step = in_digits(digit.stride.abs())?;
            if digit.stride < 0 {
                step.iter_mut().for_each(|s| *s = -*s);
            }
            for (i, s) in step.iter().enumerate() {
                let reach = s * (digit.size as isize - 1).max(0);
                low[i] += reach.min(0);
                high[i] += reach.max(0);
            }
            steps.push(step);
        }
        if low.iter().any(|&l| l < 0) || high.iter().zip(&view.shape).any(|(&h, &size)| h >= size as isize) {
            return None;
        }
        let dot = |step: &[isize]| step.iter().zip(&view.strides).map(|(d, s)| d * s).sum::<isize>();
        self.offset = view.offset + dot(&origin);
        // Bounds of earlier views no longer say anything about places.
        self.bounds.iter_mut().for_each(|bound| bound.stride = 0);
        self.digits = split.into_iter().zip(&steps).map(|((axis, digit), step)| (axis, Digit { stride: dot(step), ..digit })).collect();
        self.bound(view, &steps, &origin);
        Some(self)
    }
}

impl fmt::Display for Matrix {
    /// `b3[784*z + 28*i.1 + i.0 + l] if 0<=..<28`: batch `z`, rows and columns by their digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{} + {} by", self.buffer.0, self.offset)?;
        for (name, digits) in [("batch", &self.batch), ("row", &self.rows), ("column", &self.columns)] {
            let terms: Vec<String> = digits.iter().map(|d| format!("{}x{}", d.size, d.stride)).collect();
            write!(f, " {name} [{}]", terms.join(", "))?;
        }
        for (i, bound) in self.bounds.iter().enumerate() {
            let steps = |digits: &[Digit]| digits.iter().map(|d| d.steps[i].to_string()).collect::<Vec<_>>().join(", ");
            let (start, size) = (bound.start, bound.size);
            let (z, r, c) = (steps(&self.batch), steps(&self.rows), steps(&self.columns));
            write!(f, " if 0 <= {start} + [{z}] [{r}] [{c}] < {size}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use noyau_tensor::{Op, Window};

    /// The matrix reads what its index reads, everywhere.
    fn same(index: &Index) -> Matrix {
        let matrix = Matrix::new(BufferId(0), index).expect("can be read by digits");
        let shape = index.shape().to_vec();
        let (batch, [rows, columns]) = shape.split_at(shape.len() - 2) else { unreachable!() };
        let batches: usize = batch.iter().product();
        let reach = matrix.reach();
        for z in 0..batches {
            for (i, j) in (0..*rows).flat_map(|i| (0..*columns).map(move |j| (i, j))) {
                let mut c = vec![i, j];
                let mut rest = z;
                for &size in batch.iter().rev() {
                    c.insert(0, rest % size);
                    rest /= size;
                }
                let place = matrix.place(z, i, j);
                assert_eq!(place, index.place(&c), "{index} at {c:?}: {matrix}");
                if let (Some(place), Some((least, most))) = (place, reach) {
                    assert!((least..=most).contains(&(place as i128)), "{place} is not in {least}..={most}");
                }
            }
        }
        matrix
    }

    fn chain(shape: &[usize], ops: &[(Op, Vec<usize>, Vec<usize>)]) -> Index {
        ops.iter().fold(Index::identity(shape), |index, (op, operand, result)| index.then(&View::of_op(op, operand, result).unwrap()))
    }

    #[test]
    fn a_convolutions_windows() {
        let window = |axis| Op::Unfold(Window { axis, size: 3, step: 2, dilation: 1 });
        let zero = noyau_tensor::Scalar::Float(0.0);
        // [2, 4, 9, 8] padded by 1 and 1 gives windows [2, 4, 5, 4, 3, 3], as [2 images, 4 * 9, 20].
        let index = chain(
            &[2, 36, 20],
            &[
                (Op::Reshape, vec![2, 4, 3, 3, 5, 4], vec![2, 36, 20]),
                (Op::Permute(vec![0, 1, 4, 5, 2, 3]), vec![2, 4, 5, 4, 3, 3], vec![2, 4, 3, 3, 5, 4]),
                (window(3), vec![2, 4, 5, 10, 3], vec![2, 4, 5, 4, 3, 3]),
                (window(2), vec![2, 4, 11, 10], vec![2, 4, 5, 10, 3]),
                (Op::Pad(vec![(0, 0), (0, 0), (1, 1), (1, 1)], zero), vec![2, 4, 9, 8], vec![2, 4, 11, 10]),
            ],
        );
        let matrix = same(&index);
        assert_eq!((matrix.rows.len(), matrix.columns.len(), matrix.bounds.len()), (3, 2, 2), "{matrix}");
        assert_eq!(matrix.reach(), Some((0, 2 * 4 * 72 - 1)));
        assert!(matrix.strides().is_none());
    }

    #[test]
    fn plain_matrices_have_strides() {
        let strides = |index: &Index| same(index).strides();
        let expected = |offset, row, column| Some(Strides { offset, row, column });
        assert_eq!(strides(&Index::identity(&[3, 4, 5])), expected(0, 5, 1));
        // Axes that were split and merged again on the way.
        let index = chain(&[6, 20], &[(Op::Reshape, vec![2, 3, 4, 5], vec![6, 20]), (Op::Reshape, vec![120], vec![2, 3, 4, 5])]);
        assert_eq!(strides(&index), expected(0, 20, 1));
        let turned = chain(&[3, 20], &[(Op::Permute(vec![1, 0]), vec![20, 3], vec![3, 20])]);
        assert_eq!(strides(&turned), expected(0, 1, 3));
    }

    #[test]
    fn batches_inside_of_the_sum_and_reversed_rows() {
        // [3 images, 4 channels, 5 places] as [4, 15]: two digits a column.
        let index =
            chain(&[4, 15], &[(Op::Reshape, vec![4, 3, 5], vec![4, 15]), (Op::Permute(vec![1, 0, 2]), vec![3, 4, 5], vec![4, 3, 5])]);
        let matrix = same(&index);
        assert_eq!((matrix.rows.len(), matrix.columns.len()), (1, 2));
        let reversed = chain(&[4, 6], &[(Op::Flip(vec![0, 1]), vec![4, 6], vec![4, 6])]);
        assert!(same(&reversed).strides().is_none());
    }

    #[test]
    fn what_takes_divisions_is_refused() {
        // Every other element of rows of 3: places that jump at the rows' ends.
        let spread = chain(
            &[2, 9],
            &[
                (Op::Reshape, vec![18], vec![2, 9]),
                (Op::Reshape, vec![6, 3], vec![18]),
                (Op::Pad(vec![(0, 0), (0, 1)], noyau_tensor::Scalar::Float(0.0)), vec![6, 2], vec![6, 3]),
                (Op::Slice(vec![(0, 1), (0, 1)]), vec![6, 2], vec![6, 2]),
            ],
        );
        let matrix = Matrix::new(BufferId(0), &spread);
        assert!(matrix.is_none_or(|m| m.place(0, 0, 2).is_none()));
        let carried = chain(
            &[2, 4],
            &[
                (Op::Reshape, vec![8], vec![2, 4]),
                (Op::Slice(vec![(3, 1)]), vec![12], vec![8]),
                (Op::Permute(vec![1, 0]), vec![3, 4], vec![4, 3]),
            ],
        );
        assert!(Matrix::new(BufferId(0), &carried).is_none(), "{carried}");
    }
}

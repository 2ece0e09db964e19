//! An operand in its own coordinates: `x` along the product's rows or columns, `l` along the sum.

use noyau_compile::plan::{Digit, Matmul, Matrix, Strides};

use crate::Layout;
use crate::text::{Sum, Text, all};

/// One operand.
pub(super) struct Slice<'a> {
    pub matrix: &'a Matrix,
    /// The size of the operand along `x`.
    pub size: usize,
    x: &'a [Digit],
    l: &'a [Digit],
    /// The strides along `x` and `l`, where each is one.
    strides: Option<(usize, usize)>,
    /// The variable with the place of the first element of the batch.
    base: &'a str,
    /// The variable with the tile's start along `x`.
    pub start: &'a str,
    /// The variable in workgroup memory, where there is one.
    pub shared: &'a str,
}

/// Both operands.
pub(super) fn slices(kernel: &Matmul) -> [Slice<'_>; 2] {
    let Matmul { a, b, m, n, .. } = kernel;
    let strides = |matrix: &Matrix| matrix.strides().map(|Strides { row, column, .. }| (row, column));
    [
        Slice { matrix: a, size: *m, x: &a.rows, l: &a.columns, strides: strides(a), base: "base_a", start: "i0", shared: "shared_a" },
        Slice {
            matrix: b,
            size: *n,
            x: &b.columns,
            l: &b.rows,
            strides: strides(b).map(|(row, column)| (column, row)),
            base: "base_b",
            start: "j0",
            shared: "shared_b",
        },
    ]
}

impl Slice<'_> {
    /// Whether the neighbours in memory are neighbours along the sum.
    pub fn along_l(&self) -> bool {
        let stride = |digits: &[Digit]| digits.last().map_or(0, |d| d.stride);
        stride(self.l) == 1 && stride(self.x) != 1
    }

    /// Whether every block lies in memory as four rows of four, each at a multiple of 4.
    pub fn reads_vec4(&self, k: usize) -> bool {
        let Some((x, l)) = self.strides else { return false };
        let (contiguous, size, other) = if self.along_l() { (true, k, x) } else { (x == 1, self.size, l) };
        let batch = self.matrix.batch.iter().all(|digit| digit.stride % 4 == 0);
        contiguous && size % 4 == 0 && other % 4 == 0 && self.matrix.offset % 4 == 0 && batch
    }

    /// Writes what the batch `z` adds to every place (and to the bounds' coordinates), under the name of the base.
    pub fn declare(&self, text: &mut Text) {
        self.write(text, self.base, &self.matrix.batch, "z", true);
    }

    /// Writes variables that begin with `name`: what a position along `x` (an expression) and the batch add.
    pub fn position(&self, text: &mut Text, name: &str, x: &str) {
        text.line(format!("let {name}x = {x};"));
        self.write(text, name, self.x, &format!("{name}x"), false);
    }

    /// Writes variables that begin with `name`: what `l` (an expression) adds.
    pub fn sum(&self, text: &mut Text, name: &str, l: &str) {
        text.line(format!("let {name}l = {l};"));
        self.write(text, name, self.l, &format!("{name}l"), false);
    }

    /// The element of a position and a place in the sum, both by name. In u32 arithmetic that wraps, what lies before a bound's start is far behind its end.
    pub fn at(&self, layout: &Layout, position: &str, sum: &str) -> String {
        let buffer = self.matrix.buffer;
        let place = format!("{} + {position} + {sum}", self.base);
        let inside: Vec<String> = (self.matrix.bounds.iter().enumerate())
            .map(|(i, bound)| format!("{}_{i} + {position}_{i} + {sum}_{i} < {}u", self.base, bound.size))
            .collect();
        if inside.is_empty() {
            return layout.load(buffer, &place);
        }
        let inside = all(&inside);
        format!("select(0f, {}, {inside})", layout.load(buffer, &format!("select(0u, {place}, {inside})")))
    }

    /// The four elements from a position and a place in the sum on, along whichever of the two lies side by side.
    pub fn at4(&self, layout: &Layout, position: &str, sum: &str) -> String {
        layout.load4(self.matrix.buffer, &format!("{} + {position} + {sum}", self.base))
    }

    /// Writes the digits of a flat coordinate, and what they add to the place and to each bound's coordinate.
    fn write(&self, text: &mut Text, name: &str, all: &[Digit], flat: &str, base: bool) {
        let bounds = &self.matrix.bounds;
        let mut place = Sum::new(if base { self.matrix.offset as i64 } else { 0 });
        let mut coordinates: Vec<Sum> = bounds.iter().map(|bound| Sum::new(if base { bound.start as i64 } else { 0 })).collect();
        for (i, (expression, digit)) in digits(all, flat).into_iter().zip(all).enumerate() {
            let digit_name = format!("{name}d{i}");
            text.line(format!("let {digit_name} = {expression};"));
            place.add(digit.stride as i64, &digit_name);
            coordinates.iter_mut().zip(&digit.steps).for_each(|(sum, &step)| sum.add(step as i64, &digit_name));
        }
        text.line(format!("let {name} = {};", place.print()));
        coordinates.iter().enumerate().for_each(|(i, sum)| text.line(format!("let {name}_{i} = {};", sum.print())));
    }
}

/// The expressions of a flat coordinate's digits.
fn digits(digits: &[Digit], flat: &str) -> Vec<String> {
    let mut after = 1usize;
    let mut result: Vec<String> = Vec::new();
    for (i, digit) in digits.iter().enumerate().rev() {
        let quotient = if after == 1 { flat.to_string() } else { format!("{flat} / {after}u") };
        // The outermost needs no remainder.
        result.push(if i == 0 { format!("({quotient})") } else { format!("(({quotient}) % {}u)", digit.size) });
        after *= digit.size;
    }
    result.reverse();
    result
}

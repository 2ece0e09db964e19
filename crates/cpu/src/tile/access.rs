//! How a tile's elements are found in a buffer: an [`Index`] split into the two directions of a tile.

use noyau_compile::{Index, View};
use noyau_tensor::{Error, Result};

use super::Tile;
use super::chain::Chain;

/// More axes than any kernel has.
pub(crate) const MAX_AXES: usize = 32;

/// Runs shorter than this are better looked up element by element.
const SHORT: usize = 16;
/// The most elements of a pattern.
const PATTERN: usize = 1 << 12;
/// No place, in a pattern.
pub(crate) const NOWHERE: i32 = i32::MIN;

/// In which directions of a tile a value varies; it is held in memory once for each place in these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) line: bool,
    pub(crate) col: bool,
}

impl Form {
    /// One value for the whole kernel.
    pub(crate) const UNIFORM: Form = Form { line: false, col: false };
    /// One value a line.
    pub(crate) const LINE: Form = Form { line: true, col: false };
    /// One value a column.
    pub(crate) const COL: Form = Form { line: false, col: true };
    /// One value an element.
    pub(crate) const FULL: Form = Form { line: true, col: true };

    pub(crate) fn join(self, other: Form) -> Form {
        Form { line: self.line || other.line, col: self.col || other.col }
    }
}

/// One axis of one direction: a coordinate's stride, and the window in which it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    size: usize,
    stride: isize,
    low: usize,
    high: usize,
}

const NO_AXIS: Axis = Axis { size: 1, stride: 0, low: 0, high: 1 };

/// Places in a buffer for the elements of a tile.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    offset: isize,
    lines: Vec<Axis>,
    cols: Vec<Axis>,
    /// Views that read the place that the first gave (usually none), and how runs along lines and along columns go through them.
    chain: Vec<View>,
    along: [Chain; 2],
    /// The buffer's length.
    pub(crate) limit: usize,
}

impl Access {
    /// The index's axes named in `lines` and `cols` become the tile's directions. Fails when a place may be outside of a buffer of `limit` elements.
    pub(crate) fn new(index: &Index, lines: &[usize], cols: &[usize], limit: usize) -> Result<Access> {
        let [view, chain @ ..] = index.views() else { return Err(Error::Internal("an index without views".into())) };
        let rank = view.shape.len();
        if view.strides.len() != rank || !(view.mask.is_empty() || view.mask.len() == rank) || lines.len() + cols.len() != rank {
            return Err(Error::Internal(format!("the index {index} is not of its kernel's rank")));
        }
        let empty = view.shape.contains(&0);
        let (lines, cols) = (axes(view, lines), axes(view, cols));
        let mut access = Access { offset: view.offset, lines, cols, chain: chain.to_vec(), along: Default::default(), limit };
        if access.lines.len().max(access.cols.len()) > MAX_AXES || access.chain.iter().any(|v| v.shape.len() > MAX_AXES) {
            return Err(Error::argument("tensor", format!("more than {MAX_AXES} axes")));
        }
        if access.chain.is_empty() && !empty {
            access.check(limit)?;
        }
        access.chained();
        Ok(access)
    }

    /// Row-major places of lines of `width` elements each.
    pub(crate) fn rows(lines: usize, cols: usize, width: usize) -> Access {
        let axis = |size: usize, stride: usize| Axis { size, stride: stride as isize, low: 0, high: size };
        let lines = if lines == 1 { vec![] } else { vec![axis(lines, width)] };
        let cols = if cols == 1 { vec![] } else { vec![axis(cols, 1)] };
        Access { offset: 0, lines, cols, chain: Vec::new(), along: Default::default(), limit: usize::MAX }
    }

    /// The first place of a buffer, for all elements.
    pub(crate) fn everywhere(limit: usize) -> Access {
        Access { offset: 0, lines: Vec::new(), cols: Vec::new(), chain: Vec::new(), along: Default::default(), limit }
    }

    /// Forgets axes along which nothing changes in one direction: those of a row, for a value that there is once a row. (Of an axis of no coordinates that
    /// cannot be told otherwise.)
    pub(crate) fn once(&mut self, line: bool, col: bool) {
        let moves = |a: &Axis| a.stride != 0 || a.low != 0 || a.high != a.size;
        if line {
            self.lines.retain(moves);
        }
        if col {
            self.cols.retain(moves);
        }
        self.chained();
    }

    /// Works out how runs go through the chain.
    fn chained(&mut self) {
        if self.is_chain() {
            self.along = [&self.lines, &self.cols].map(|axes| Chain::new(&self.chain, axes.last().map_or(0, |a| a.stride)));
        }
    }

    /// Every valid coordinate's place must be inside of the buffer.
    fn check(&self, limit: usize) -> Result<()> {
        let (mut least, mut most) = (self.offset as i128, self.offset as i128);
        for axis in self.lines.iter().chain(&self.cols) {
            if axis.low >= axis.high {
                return Ok(());
            }
            let (a, b) = (axis.low as i128 * axis.stride as i128, (axis.high as i128 - 1) * axis.stride as i128);
            least += a.min(b);
            most += a.max(b);
        }
        if least < 0 || most >= limit as i128 {
            return Err(Error::Internal(format!("an index reaches {least}..={most} of a buffer of {limit}")));
        }
        Ok(())
    }

    /// The directions in which the place, or whether there is one, varies.
    pub(crate) fn form(&self) -> Form {
        // Along an axis of no coordinates there is nothing that could be the same everywhere.
        let varies = |axes: &[Axis]| axes.iter().any(|a| a.stride != 0 || a.low != 0 || a.high != a.size || a.size == 0);
        Form { line: varies(&self.lines), col: varies(&self.cols) }
    }

    /// Steps along lines and columns, when the place is affine in the two and always valid.
    pub(crate) fn affine(&self) -> Option<(isize, isize)> {
        let step = |axes: &[Axis]| match axes {
            [] => Some(0),
            [a] if a.low == 0 && a.high == a.size => Some(a.stride),
            _ => None,
        };
        if self.chain.is_empty() { Some((step(&self.lines)?, step(&self.cols)?)) } else { None }
    }

    /// The step from line to line, when elements of the given form lie side by side, so that loops can work on them where they are.
    pub(crate) fn in_place(&self, form: Form) -> Option<isize> {
        let (line, col) = self.affine()?;
        let fits = match (form.line, form.col) {
            (true, true) | (false, true) => col == 1,
            (true, false) => line == 1,
            (false, false) => true,
        };
        fits.then_some(line)
    }

    /// The place of the tile's first element; only for affine accesses.
    #[inline(always)]
    pub(crate) fn first(&self, line: isize, col: isize, tile: &Tile) -> isize {
        self.offset + tile.l0 as isize * line + tile.c0 as isize * col
    }

    /// Calls `f(line, position in the line, count, place or None where masked, step)` for runs that cover the tile's elements of the given form.
    /// A form without columns has its lines as the positions of one line.
    #[inline(always)]
    pub(crate) fn walk(&self, form: Form, tile: &Tile, mut f: impl FnMut(usize, usize, usize, Option<isize>, isize)) {
        if self.is_chain() {
            self.walk_on(form, tile, &mut f);
        } else {
            self.walk_first(form, tile, f);
        }
    }

    /// [`Access::walk`] through all views.
    #[inline(never)]
    fn walk_on(&self, form: Form, tile: &Tile, f: &mut impl FnMut(usize, usize, usize, Option<isize>, isize)) {
        let along = &self.along[usize::from(form.col)];
        self.walk_first(form, tile, |line, position, n, place, _| match place {
            Some(place) => along.follow(place, n, self.limit, &mut |at, n, place, step| f(line, position + at, n, place, step)),
            None => f(line, position, n, None, 0),
        });
    }

    /// [`Access::walk`] through the first view.
    #[inline(always)]
    fn walk_first(&self, form: Form, tile: &Tile, mut f: impl FnMut(usize, usize, usize, Option<isize>, isize)) {
        const NONE: &[Axis] = &[];
        let (outer, o0, on, run, r0, rn) = match (form.line, form.col) {
            (true, true) => (&self.lines[..], tile.l0, tile.lines, &self.cols[..], tile.c0, tile.cols),
            (true, false) => (NONE, 0, 1, &self.lines[..], tile.l0, tile.lines),
            (false, true) => (NONE, 0, 1, &self.cols[..], tile.c0, tile.cols),
            (false, false) => (NONE, 0, 1, NONE, 0, 1),
        };
        if on == 0 || rn == 0 {
            return;
        }
        // An access without an axis in a direction does not move along it.
        let (last, rest) = match run {
            [] => (Axis { size: usize::MAX, low: 0, high: usize::MAX, ..NO_AXIS }, NONE),
            [rest @ .., last] => (*last, rest),
        };
        let mut lines = Odometer::new(outer, o0);
        for line in 0..on {
            if !lines.valid() {
                f(line, 0, rn, None, 0);
            } else if rest.is_empty() {
                segment(&last, self.offset + lines.place, r0, rn, 0, line, &mut f);
            } else {
                let mut runs = Odometer::new(rest, r0 / last.size);
                let mut digit = r0 % last.size;
                let mut position = 0;
                while position < rn {
                    let n = (last.size - digit).min(rn - position);
                    if runs.valid() {
                        segment(&last, self.offset + lines.place + runs.place, digit, n, position, line, &mut f);
                    } else {
                        f(line, position, n, None, 0);
                    }
                    runs.advance();
                    position += n;
                    digit = 0;
                }
            }
            lines.advance();
        }
    }

    /// For an access that would walk in short runs: one whose innermost axes are a single one that does not move, and what each coordinate of that one adds to
    /// the place, [`NOWHERE`] where there is none.
    pub(crate) fn pattern(&self, form: Form) -> Option<(Access, Vec<i32>)> {
        let axes = if form.col { &self.cols } else { &self.lines };
        if self.is_chain() || self.limit > i32::MAX as usize || axes.last().is_none_or(|last| last.size >= SHORT) {
            return None;
        }
        let mut period = 1;
        let mut first = axes.len();
        while first > 0 && period < 8 * SHORT && period * axes[first - 1].size <= PATTERN {
            first -= 1;
            period *= axes[first].size;
        }
        if period == 0 {
            return None;
        }
        // Of the next axis, as much as makes a pattern of some length.
        let mut inner = axes[first..].to_vec();
        let mut outer = axes[..first].to_vec();
        if let Some(next) = outer.last_mut().filter(|next| period < 8 * SHORT && next.low == 0 && next.high == next.size) {
            let most = (16 * SHORT).div_ceil(period).min(next.size);
            if let Some(part) = (2..=most).rev().find(|part| next.size.is_multiple_of(*part)) {
                inner.insert(0, Axis { size: part, high: part, ..*next });
                let size = next.size / part;
                *next = Axis { size, stride: next.stride * part as isize, low: 0, high: size };
                period *= part;
            }
        }
        if inner.len() < 2 {
            return None;
        }
        let mut odometer = Odometer::new(&inner, 0);
        let mut offsets = Vec::with_capacity(period);
        for _ in 0..period {
            offsets.push(if odometer.valid() { i32::try_from(odometer.place).ok()? } else { NOWHERE });
            odometer.advance();
        }
        let mut cut = outer;
        cut.push(Axis { size: period, stride: 0, low: 0, high: period });
        let mut access = self.clone();
        if form.col {
            access.cols = cut;
        } else {
            access.lines = cut;
        }
        Some((access, offsets))
    }

    /// Whether places go through several views.
    #[inline(always)]
    pub(crate) fn is_chain(&self) -> bool {
        !self.chain.is_empty()
    }

    /// The places of all elements of a space of the given form, `u32::MAX` where there is none.
    pub(crate) fn table(&self, form: Form, lines: usize, cols: usize) -> Vec<u32> {
        let size = (if form.line { lines } else { 1 }) * if form.col { cols } else { 1 };
        let width = if form.col { cols } else { size };
        let mut table = vec![u32::MAX; size];
        self.walk(form, &Tile { l0: 0, lines, c0: 0, cols }, |line, position, n, place, stride| {
            for (i, to) in table[line * width + position..][..n].iter_mut().enumerate() {
                *to = place.and_then(|p| u32::try_from(p + i as isize * stride).ok()).unwrap_or(u32::MAX);
            }
        });
        table
    }

    /// For all elements of a space of the given form, whether there is a place.
    pub(crate) fn validity(&self, form: Form, lines: usize, cols: usize) -> Vec<u32> {
        let size = (if form.line { lines } else { 1 }) * if form.col { cols } else { 1 };
        let width = if form.col { cols } else { size };
        let mut valid = vec![0; size];
        self.walk(form, &Tile { l0: 0, lines, c0: 0, cols }, |line, position, n, place, _| {
            valid[line * width + position..][..n].fill(place.is_some().into());
        });
        valid
    }
}

/// The part of one axis' coordinates `digit..digit + n`, cut where its window begins and ends.
#[inline(always)]
fn segment(
    axis: &Axis,
    base: isize,
    digit: usize,
    n: usize,
    position: usize,
    line: usize,
    f: &mut impl FnMut(usize, usize, usize, Option<isize>, isize),
) {
    let low = axis.low.clamp(digit, digit + n);
    let high = axis.high.clamp(low, digit + n);
    if low > digit {
        f(line, position, low - digit, None, 0);
    }
    if high > low {
        f(line, position + low - digit, high - low, Some(base + low as isize * axis.stride), axis.stride);
    }
    if digit + n > high {
        f(line, position + high - digit, digit + n - high, None, 0);
    }
}

/// The named axes of a view, neighbours that continue each other made one.
fn axes(view: &View, which: &[usize]) -> Vec<Axis> {
    let mut result: Vec<Axis> = Vec::new();
    for &i in which {
        let size = view.shape[i];
        let (low, high) = view.mask.get(i).copied().unwrap_or((0, size));
        let axis = Axis { size, stride: view.strides[i], low, high: high.min(size) };
        let whole = |a: &Axis| a.low == 0 && a.high == a.size;
        if size == 1 && whole(&axis) {
            continue;
        }
        match result.last_mut() {
            Some(last) if whole(last) && whole(&axis) && last.stride == axis.stride * size as isize => {
                let size = last.size * size;
                *last = Axis { size, stride: axis.stride, low: 0, high: size };
            }
            _ => result.push(axis),
        }
    }
    result
}

/// Coordinates that count upwards, with their place.
struct Odometer<'a> {
    axes: &'a [Axis],
    digits: [usize; MAX_AXES],
    place: isize,
}

impl<'a> Odometer<'a> {
    #[inline(always)]
    fn new(axes: &'a [Axis], start: usize) -> Odometer<'a> {
        let mut odometer = Odometer { axes, digits: [0; MAX_AXES], place: 0 };
        let mut rest = start;
        for i in (0..axes.len()).rev() {
            // The outermost axis has no one to carry to, and one axis is the usual case.
            let digit = if i == 0 { rest } else { rest % axes[i].size };
            if i > 0 {
                rest /= axes[i].size;
            }
            odometer.digits[i] = digit;
            odometer.place += digit as isize * axes[i].stride;
        }
        odometer
    }

    #[inline(always)]
    fn valid(&self) -> bool {
        self.axes.iter().zip(&self.digits).all(|(axis, &digit)| axis.low <= digit && digit < axis.high)
    }

    #[inline(always)]
    fn advance(&mut self) {
        for i in (0..self.axes.len()).rev() {
            let axis = &self.axes[i];
            self.digits[i] += 1;
            self.place += axis.stride;
            if self.digits[i] < axis.size || i == 0 {
                return;
            }
            self.digits[i] = 0;
            self.place -= axis.stride * axis.size as isize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every split of every rank walks to the places that the index itself gives.
    #[test]
    fn walks_where_the_index_says() {
        let view = |shape: &[usize], strides: &[isize], offset: isize, mask: &[(usize, usize)]| View {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset,
            mask: mask.to_vec(),
        };
        let indices = [
            Index::identity(&[3, 4, 5]),
            Index::from_view(view(&[3, 4, 5], &[1, 3, 12], 0, &[])),
            Index::from_view(view(&[3, 4, 5], &[0, 1, -4], 16, &[])),
            Index::from_view(view(&[3, 4, 5], &[20, 5, 1], -6, &[(0, 3), (1, 3), (1, 4)])),
            Index::from_view(view(&[3, 4, 5], &[20, 5, 1], 0, &[(1, 1), (0, 4), (0, 5)])),
            Index::identity(&[3, 4, 5]).then(&view(&[12, 5], &[1, 12], 0, &[])).then(&view(&[60], &[1], -7, &[(7, 50)])),
        ];
        for index in &indices {
            for split in 0..=3 {
                let access = Access::new(index, &(0..split).collect::<Vec<_>>(), &(split..3).collect::<Vec<_>>(), 60).unwrap();
                let lines: usize = [3, 4, 5][..split].iter().product();
                let cols: usize = [3, 4, 5][split..].iter().product();
                for (l0, c0) in [(0, 0), (lines / 2, cols / 3)] {
                    let tile = Tile { l0, lines: lines - l0, c0, cols: cols - c0 };
                    let mut seen = vec![None; tile.lines * tile.cols];
                    access.walk(Form::FULL, &tile, |line, position, n, place, step| {
                        for i in 0..n {
                            let place = place.map(|p| p + i as isize * step);
                            seen[line * tile.cols + position + i] = place.map(|p| p as usize);
                        }
                    });
                    for (i, &place) in seen.iter().enumerate() {
                        let flat = (l0 + i / tile.cols) * cols + c0 + i % tile.cols;
                        assert_eq!(place, index.place(&[flat / 20, flat / 5 % 4, flat % 5]), "{index} at {flat}, split {split}");
                    }
                }
            }
        }
    }

    /// Chains of views as they come, with flips, windows, axes of one coordinate and of none, and strides that leave the next view: runs lead where places do.
    #[test]
    fn runs_through_chains_lead_where_places_do() {
        let mut seed = 1u64;
        let mut random = move |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % n
        };
        let limit = 200;
        let (mut found, mut missed) = (0, 0);
        for _ in 0..2000 {
            let mut view = |rank: usize, wild: bool| {
                let shape: Vec<usize> = (0..rank).map(|_| [1, 2, 3, 4, 5, 7][random(6)] * usize::from(random(200) > 0)).collect();
                let natural = (0..rank).map(|i| shape[i + 1..].iter().product::<usize>() as isize);
                let strides: Vec<isize> = natural.map(|s| if wild && random(2) == 0 { random(9) as isize - 3 } else { s }).collect();
                let window = |&size: &usize| {
                    let low = if random(8) == 0 { random(size + 1) } else { 0 };
                    (low, if random(8) == 0 { low + random(size - low + 1) } else { size })
                };
                let mask = if wild { shape.iter().map(window).collect() } else { Vec::new() };
                View { shape, strides, offset: if wild { random(12) as isize - 2 } else { 0 }, mask }
            };
            let first = view(4, true);
            let sizes = first.shape.clone();
            let mut index = Index::from_view(first);
            for rank in [3, 4, 2] {
                let wild = rank != 4;
                index = index.then(&view(rank, wild));
            }
            for split in 0..=4 {
                let (lines, cols): (Vec<usize>, Vec<usize>) = ((0..split).collect(), (split..4).collect());
                let access = match Access::new(&index, &lines, &cols, limit) {
                    Ok(access) => access,
                    // One view that leaves the buffer.
                    Err(_) => continue,
                };
                let (lines, cols): (usize, usize) = (sizes[..split].iter().product(), sizes[split..].iter().product());
                let mut next = 0;
                access.walk(Form::FULL, &Tile { l0: 0, lines, c0: 0, cols }, |line, position, n, place, step| {
                    assert_eq!(line * cols + position, next, "{index}: runs without gaps");
                    next += n;
                    for i in 0..n {
                        let mut flat = line * cols + position + i;
                        let mut at = [0; 4];
                        for axis in (0..4).rev() {
                            at[axis] = flat % sizes[axis];
                            flat /= sizes[axis];
                        }
                        let place = place.map(|p| (p + i as isize * step) as usize);
                        let right = index.place(&at).filter(|&p| p < limit);
                        assert_eq!(place, right, "{index} at {at:?}, split {split}");
                        *(if place.is_some() { &mut found } else { &mut missed }) += 1;
                    }
                });
                assert_eq!(next, lines * cols, "{index}: all of it");
            }
        }
        assert!(found > 10_000 && missed > 10_000, "{found} and {missed}");
    }

    /// A pattern leads to the same places as the walk that it stands for.
    #[test]
    fn patterns_lead_where_walks_lead() {
        let view = |strides: &[isize], offset: isize, mask: &[(usize, usize)]| {
            Index::from_view(View { shape: vec![5, 7, 2, 3, 2], strides: strides.to_vec(), offset, mask: mask.to_vec() })
        };
        let whole = [(0, 5), (0, 7), (0, 2), (1, 3), (0, 1)];
        for index in [view(&[21, 3, 0, 1, 0], 0, &[]), view(&[84, 12, 6, 2, 1], 0, &whole), view(&[0, -3, 1, 0, 40], 18, &[])] {
            for split in 0..3 {
                let access = Access::new(&index, &(0..split).collect::<Vec<_>>(), &(split..5).collect::<Vec<_>>(), 1000).unwrap();
                let (lines, cols) = ([1, 5, 35][split], [420, 84, 12][split]);
                let places = access.table(Form::FULL, lines, cols);
                let (cut, offsets) = access.pattern(Form::FULL).expect("its runs are short");
                cut.walk(Form::FULL, &Tile { l0: 0, lines, c0: 0, cols }, |line, position, n, place, _| {
                    for i in position..position + n {
                        let offset = offsets[i % offsets.len()];
                        let found = place.filter(|_| offset != NOWHERE).map_or(u32::MAX, |p| (p + offset as isize) as u32);
                        assert_eq!(found, places[line * cols + i], "{index} at {line}, {i}");
                    }
                });
            }
        }
    }

    #[test]
    fn refuses_what_leaves_the_buffer() {
        assert!(Access::new(&Index::identity(&[4, 4]), &[0], &[1], 15).is_err());
        assert!(Access::new(&Index::identity(&[4, 0]), &[0], &[1], 0).is_ok());
    }
}

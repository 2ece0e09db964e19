//! Places through several views: a run of places through one view is cut into runs through the next, so that what a place takes to work out is paid once a run
//! instead of once an element.

use noyau_compile::View;

/// One axis of a view that is read by flat places.
#[derive(Clone, Debug)]
struct Axis {
    size: usize,
    stride: isize,
    low: usize,
    high: usize,
    /// What the run's step adds to the coordinate (or takes away from it, where the step is negative) while nothing is carried.
    step: usize,
}

/// A view, and how a run moves through it.
#[derive(Clone, Debug)]
struct Hop {
    offset: isize,
    axes: Vec<Axis>,
    /// The step from place to place before this view, and behind it while nothing is carried.
    from: isize,
    to: isize,
    /// Whether one step is more than the view has places, so that a run is of one place.
    leaps: bool,
}

/// Views one after the other, for runs of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    hops: Vec<Hop>,
    /// The step from place to place after all views.
    to: isize,
}

impl Chain {
    /// The views that places go through which are `step` apart.
    pub(crate) fn new(views: &[View], step: isize) -> Chain {
        let mut to = step;
        let mut hops = Vec::with_capacity(views.len());
        for view in views {
            let (from, mut rest) = (to, to.unsigned_abs());
            let mut axes = Vec::with_capacity(view.shape.len());
            to = 0;
            for (i, &size) in view.shape.iter().enumerate().rev() {
                let (low, high) = view.mask.get(i).copied().unwrap_or((0, size));
                // A view without places has no coordinates to step to.
                let step = rest.checked_rem(size).unwrap_or(0);
                rest = rest.checked_div(size).unwrap_or(0);
                to += step as isize * from.signum() * view.strides[i];
                if size != 1 || (low, high) != (0, 1) {
                    axes.push(Axis { size, stride: view.strides[i], low, high: high.min(size), step });
                }
            }
            hops.push(Hop { offset: view.offset, axes, from, to, leaps: rest != 0 });
        }
        Chain { hops, to }
    }

    /// Cuts a run of `n` places that begins at `place` of the first view, and calls `f(position, count, place or None where there is none, step)` for the places in
    /// a buffer of `limit` elements, in order and without gaps.
    pub(crate) fn follow(&self, place: isize, n: usize, limit: usize, f: &mut impl FnMut(usize, usize, Option<isize>, isize)) {
        self.through(&self.hops, place, n, 0, limit, f);
    }

    fn through(
        &self,
        hops: &[Hop],
        place: isize,
        n: usize,
        position: usize,
        limit: usize,
        f: &mut impl FnMut(usize, usize, Option<isize>, isize),
    ) {
        let Some((hop, rest)) = hops.split_first() else {
            let last = place + (n as isize - 1) * self.to;
            if place.min(last) >= 0 && place.max(last) < isize::try_from(limit).unwrap_or(isize::MAX) {
                return f(position, n, Some(place), self.to);
            }
            for i in 0..n {
                let place = place + i as isize * self.to;
                f(position + i, 1, Some(place).filter(|&p| usize::try_from(p).is_ok_and(|p| p < limit)), self.to);
            }
            return;
        };
        let mut done = 0;
        while done < n {
            let (count, window, next) = hop.run(place + done as isize * hop.from, n - done);
            let (low, high) = (position + done + window.0, position + done + window.1);
            if window.0 > 0 {
                f(position + done, window.0, None, 0);
            }
            if window.1 > window.0 {
                self.through(rest, next + window.0 as isize * hop.to, window.1 - window.0, low, limit, f);
            }
            if count > window.1 {
                f(high, count - window.1, None, 0);
            }
            done += count;
        }
    }
}

impl Hop {
    /// How many of `n` places from `place` on lead on in even steps; which of them lead anywhere; where the first one leads.
    fn run(&self, place: isize, n: usize) -> (usize, (usize, usize), isize) {
        let Ok(mut rest) = usize::try_from(place) else { return (1, (0, 0), 0) };
        let (mut count, mut low, mut high) = (if self.leaps { 1 } else { n }, 0, n);
        let mut next = self.offset;
        for axis in &self.axes {
            let &Axis { size, stride, low: first, high: end, step: by } = axis;
            if size == 0 {
                return (n, (0, 0), 0);
            }
            let digit = rest % size;
            rest /= size;
            next += digit as isize * stride;
            if by == 0 {
                if digit < first || digit >= end {
                    high = 0;
                }
            } else if self.from > 0 {
                count = count.min((size - 1 - digit) / by + 1);
                low = low.max(first.saturating_sub(digit).div_ceil(by));
                high = high.min(end.saturating_sub(digit).div_ceil(by));
            } else {
                count = count.min(digit / by + 1);
                low = low.max((digit + 1).saturating_sub(end).div_ceil(by));
                high = high.min((digit + 1).saturating_sub(first).div_ceil(by));
            }
        }
        if rest != 0 {
            return (1, (0, 0), 0);
        }
        let low = low.min(count);
        (count, (low, high.clamp(low, count)), next)
    }
}

//! Sorting and what follows from it.
//!
//! An axis is cut into chunks. Within a chunk an element's rank is the number of elements that go before it: every pair is compared, in one
//! fused kernel. Sorted runs are then merged two by two: each place of the result finds by bisection how many of the elements before it
//! come from the first run (merge path: Green, McColl and Bader, "GPU merge path", ICS 2012). All of it is stable, and NaN goes after every
//! number, as in PyTorch. The order is that of the values at the time; the gradient flows to the places that the values came from.

use std::panic::Location as CallerLocation;

use crate::{DType, ReduceOp, Scalar, Shape, Tensor};

/// The longest run that is sorted by comparing all pairs (twice as long where that needs no filling).
const RUN: usize = 64;

/// A sorted order in the making: in runs (the last two axes: which run, which place) of which there are a power of two, the elements and
/// their places before.
struct Runs {
    value: Tensor,
    place: Tensor,
    descending: bool,
    /// How many of all that are in order are wanted, and how many of the filling come before them: what comes after these in a run is let go.
    wanted: usize,
    before: usize,
}

impl Tensor {
    /// The elements in order along an axis (negative counts from the end), and their places before, u32. Stable; NaN counts as larger than
    /// every number (on a GPU whose compiler takes comparisons with NaN for settled, where NaN goes is open). It takes 3 kernels for up to 64
    /// elements, 13 for a thousand, 43 for a million. On a GPU the gradient looks through the whole axis for each element.
    #[track_caller]
    pub fn sort(&self, axis: isize, descending: bool) -> (Tensor, Tensor) {
        let order = self.order("sort", axis, descending);
        match order.error() {
            Some(_) => (order.clone(), order),
            None => (self.gather(axis, &order), order),
        }
    }

    /// The places that put the elements of an axis (negative counts from the end) in order, u32: the second result of [`Tensor::sort`].
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Tensor {
        self.order("argsort", axis, descending)
    }

    /// The `k` largest (or smallest) elements of an axis (negative counts from the end), in order, and their places, u32. Of equals the
    /// first come first.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize, largest: bool) -> (Tensor, Tensor) {
        let location = CallerLocation::caller();
        let places = match self.axis("topk", axis) {
            Err(mistake) => mistake,
            Ok(index) if k > self.shape()[index] => Tensor::fail(
                "topk",
                format!("{k} elements of axis {index} of {}, which has {}", self.shape(), self.shape()[index]),
                location,
            ),
            Ok(_) => self.first("topk", axis, largest, k),
        };
        match places.error() {
            Some(_) => (places.clone(), places),
            None => (self.gather(axis, &places), places),
        }
    }

    /// The `k`-th smallest element (from 1) of an axis (negative counts from the end), which is removed, and its place, u32.
    #[track_caller]
    pub fn kthvalue(&self, k: usize, axis: isize) -> (Tensor, Tensor) {
        let location = CallerLocation::caller();
        let place = match self.axis("kthvalue", axis) {
            Err(mistake) => mistake,
            Ok(index) if k == 0 || k > self.shape()[index] => {
                let message = format!("there is no smallest element number {k} of axis {index} of {} (they count from 1)", self.shape());
                Tensor::fail("kthvalue", message, location)
            }
            Ok(_) => self.first("kthvalue", axis, false, k).slice(axis, k - 1..k),
        };
        match place.error() {
            Some(_) => (place.clone(), place),
            None => (self.gather(axis, &place).squeeze(axis), place.squeeze(axis)),
        }
    }

    /// The median of an axis (negative counts from the end), which is removed, and its place, u32: of an even number of elements the lower
    /// one of the two in the middle, as in PyTorch. With a NaN among the elements it is NaN.
    #[track_caller]
    pub fn median(&self, axis: isize) -> (Tensor, Tensor) {
        let location = CallerLocation::caller();
        let index = match self.axis("median", axis) {
            Ok(index) => index,
            Err(mistake) => return (mistake.clone(), mistake),
        };
        let n = self.shape()[index];
        if n == 0 {
            let mistake = Tensor::fail(
                "median",
                format!("no element to choose from: axis {index} of {} is empty; reduce axes that have elements", self.shape()),
                location,
            );
            return (mistake.clone(), mistake);
        }
        let order = self.order("median", axis, false);
        if order.error().is_some() {
            return (order.clone(), order);
        }
        let middle = order.slice(axis, (n - 1) / 2..(n - 1) / 2 + 1);
        let place = if self.dtype().is_float() {
            let last = order.slice(axis, n - 1..);
            self.detach().gather(axis, &last).isnan().where_(last, middle)
        } else {
            middle
        };
        (self.gather(axis, &place).squeeze(axis), place.squeeze(axis))
    }

    /// The `q`-quantile of an axis (negative counts from the end), which is removed, interpolated linearly between the elements on both
    /// sides. With a NaN among the elements it is NaN. An error unless `0 <= q <= 1`.
    #[track_caller]
    pub fn quantile(&self, q: f64, axis: isize) -> Tensor {
        let location = CallerLocation::caller();
        if let Some(mistake) = self.not_float("quantile") {
            return mistake;
        }
        let index = match self.axis("quantile", axis) {
            Ok(index) => index,
            Err(mistake) => return mistake,
        };
        let n = self.shape()[index];
        if !(0.0..=1.0).contains(&q) || n == 0 {
            return Tensor::fail(
                "quantile",
                format!("the {q}-quantile of axis {index} of {}: needs 0 <= q <= 1 and an element", self.shape()),
                location,
            );
        }
        let place = q * (n - 1) as f64;
        let low = (place as usize).min(n - 1);
        let (sorted, _) = self.sort(axis, false);
        let (below, above, last) = (sorted.select(axis, low), sorted.select(axis, (low + 1).min(n - 1)), sorted.select(axis, n - 1));
        let mixed = below.lerp(&above, below.number(place - low as f64));
        last.isnan().where_(last.detach(), mixed)
    }

    /// For each element of `values` its place in this tensor, whose last axis is in ascending order: the number of elements below it, or
    /// with `right` of those not above it, u32. This tensor has rank 1, or the axes of `values` but for the last. Every pair is compared:
    /// `n` operations a value.
    #[track_caller]
    pub fn searchsorted(&self, values: &Tensor, right: bool) -> Tensor {
        let location = CallerLocation::caller();
        for t in [self, values] {
            if t.error().is_some() {
                return t.clone();
            }
        }
        let fits = self.rank() == 1
            || (self.rank() > 1 && self.rank() == values.rank() && self.shape()[..self.rank() - 1] == values.shape()[..self.rank() - 1]);
        if !fits || self.dtype() != values.dtype() {
            let message = format!("places of {}{} in {}{}", values.dtype(), values.shape(), self.dtype(), self.shape());
            return Tensor::fail("searchsorted", message + ": needs one type, and axes that are equal but for the last", location);
        }
        let (edges, values) = (if self.rank() == 1 { self.clone() } else { self.unsqueeze(-2) }, values.unsqueeze(-1));
        let before = if right { edges.le(values) } else { edges.lt(values) };
        before.to(DType::U32).sum_axes(&[-1])
    }

    /// The numbers 0..n in random order, u32: the order of as many random bits.
    #[track_caller]
    pub fn randperm(n: usize) -> Tensor {
        Tensor::random_bits([n]).argsort(0, false)
    }

    /// The permutation that sorts an axis.
    #[track_caller]
    fn order(&self, op: &str, axis: isize, descending: bool) -> Tensor {
        match self.axis(op, axis) {
            Ok(index) => self.first(op, axis, descending, self.shape()[index]),
            Err(mistake) => mistake,
        }
    }

    /// The first `k` places of the permutation that sorts an axis, of which there are as many or more.
    #[track_caller]
    fn first(&self, op: &str, axis: isize, descending: bool, k: usize) -> Tensor {
        let location = CallerLocation::caller();
        let index = match self.axis(op, axis) {
            Ok(index) => index,
            Err(mistake) => return mistake,
        };
        let n = self.shape()[index];
        if n > 1 << 30 {
            return Tensor::fail(op, format!("axis {index} of {} has more than 2^30 elements", self.shape()), location);
        }
        if self.numel() == 0 || k == 0 {
            let sizes = self.shape().iter().enumerate().map(|(i, &size)| if i == index { k } else { size });
            return Tensor::full(sizes.collect::<Shape>(), Scalar::Uint(0));
        }
        let last = self.detach().movedim(axis, -1);
        let last = if self.dtype() == DType::Bool { last.to(DType::U32) } else { last };
        Runs::new(&last, descending, k).sorted().movedim(-1, index as isize)
    }
}

impl Runs {
    /// The elements of the last axis, not yet sorted.
    #[track_caller]
    fn new(x: &Tensor, descending: bool, wanted: usize) -> Runs {
        let n = x.shape()[x.rank() - 1];
        // Half as many runs if that needs no filling: filled up runs take longer to read.
        let count = n.div_ceil(RUN).next_power_of_two();
        let count = if !n.is_multiple_of(count) && n.is_multiple_of(count.div_ceil(2)) { count.div_ceil(2) } else { count };
        let length = n.div_ceil(count);
        let missing = count * length - n;
        // The least value fills up: in front if it is to come first, else at the end, so that of equals too the filling stays outermost,
        // and NaN beyond it.
        let mut widths = vec![(0, 0); x.rank()];
        widths[x.rank() - 1] = if descending { (0, missing) } else { (missing, 0) };
        let least = ReduceOp::Max.identity(x.dtype()).to_f64();
        let (value, place) = (x.pad(&widths, least as f32), Tensor::iota(x.shape(), -1).pad(&widths, 0.0));
        let before = if descending { 0 } else { missing };
        Runs { value: value.unflatten(-1, &[count, length]), place: place.unflatten(-1, &[count, length]), descending, wanted, before }
    }

    /// The places before of the elements that are wanted, in order.
    #[track_caller]
    fn sorted(self) -> Tensor {
        let mut runs = self.sort_each();
        while runs.value.shape()[runs.value.rank() - 2] > 1 {
            runs = runs.merged();
        }
        runs.place.squeeze(-2).slice(-1, runs.before..runs.before + runs.wanted)
    }

    /// How many elements of runs of `n` can be among those that are wanted.
    fn kept(&self, n: usize) -> usize {
        n.min(self.before + self.wanted)
    }

    /// Whether `a`, which comes first, stays before `b`: where it is in order, and among equals. NaN is larger than every number: it lets
    /// any pass, or none.
    #[track_caller]
    fn stays(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let (low, high) = if self.descending { (b, a) } else { (a, b) };
        if a.dtype().is_float() { low.le(high).logical_or(high.ne(high)) } else { low.le(high) }
    }

    /// Each run sorted by comparing all pairs.
    #[track_caller]
    fn sort_each(self) -> Runs {
        let n = self.value.shape()[self.value.rank() - 1];
        let (this, other) = (self.value.unsqueeze(-1), self.value.unsqueeze(-2));
        let before = Tensor::iota([n, n], 1).lt(Tensor::iota([n, n], 0));
        let ahead = before.where_(self.stays(&other, &this), self.stays(&this, &other).logical_not());
        let rank = ahead.to(DType::U32).sum_axes(&[-1]);
        // The inverse of the ranks. They are below 2^24, so f32 holds them.
        let places = Tensor::iota([n], 0).to(DType::F32).expand(rank.shape());
        let order = Tensor::zeros(rank.shape()).scatter_add(-1, &rank, &places).to(DType::U32).slice(-1, ..self.kept(n));
        Runs { value: self.value.gather(-1, &order), place: self.place.gather(-1, &order), ..self }
    }

    /// Runs merged two by two.
    #[track_caller]
    fn merged(self) -> Runs {
        let rank = self.value.rank();
        let (count, n) = (self.value.shape()[rank - 2], self.value.shape()[rank - 1]);
        // Both runs of a pair lie one after the other.
        let pairs: Shape = self.value.shape()[..rank - 2].iter().copied().chain([count / 2, 2 * n]).collect();
        let value = self.value.reshape(&pairs);
        let at = Tensor::iota(&pairs, -1).slice(-1, ..self.kept(2 * n));
        let length = n as u32;
        // How many of the elements before `at` come from the first run: at least `low`, at most `high`.
        let mut low = at.maximum(length) - length;
        let mut high = at.minimum(length);
        for _ in 0..usize::BITS - n.leading_zeros() {
            let middle = (&low + &high).shr(1);
            let opposite = &at - &middle + (length - 1);
            let stays = self.stays(&value.gather(-1, &middle), &value.gather(-1, &opposite));
            let further = low.lt(&high).logical_and(stays);
            low = further.where_(&middle + 1, &low);
            high = further.where_(high, middle);
        }
        let second = &at - &low + length;
        let stays = self.stays(&value.gather(-1, &low), &value.gather(-1, &second));
        let from = low.lt(length).logical_and(second.ge(2 * length).logical_or(stays)).where_(low, second);
        Runs { value: value.gather(-1, &from), place: self.place.reshape(pairs).gather(-1, &from), ..self }
    }
}

//! Sorting and what follows from it.
//!
//! An axis is cut into chunks. Within a chunk an element's rank is the number of elements that go before it: every pair is compared, in one fused kernel. Sorted runs are
//! then merged two by two: each place of the result finds by bisection how many of the elements before it come from the first run (merge path: Green, McColl and
//! Bader, "GPU merge path", ICS 2012). All of it is stable, and NaN goes after every number, as in PyTorch. The order is that of the values at the time; the
//! gradient flows to the places that the values came from.

use std::panic::Location as CallerLocation;

use crate::{DType, ReduceOp, Scalar, Shape, Tensor};

/// The longest run that is sorted by comparing all pairs.
const RUN: usize = 128;

/// A sorted order in the making: for each element what it is sorted by, then a number that no other element has, the original place among it.
struct Keys {
    value: Tensor,
    tie: Tensor,
    descending: bool,
    /// Whether equal values must look at `tie`; otherwise those that came first stay first.
    tied: bool,
}

impl Tensor {
    /// The elements in order along an axis (negative counts from the end), and their places before, u32. Stable; NaN counts as larger than every number. Along an axis of
    /// `n` elements it takes about `log2(n / 128)^2` kernels beyond the first three. On a GPU the gradient looks through all `n` for each element.
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

    /// The `k` largest (or smallest) elements of an axis (negative counts from the end), in order, and their places, u32. Of equals the first come first.
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
            Ok(_) => self.order("topk", axis, largest).slice(axis, ..k),
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
            Ok(_) => self.order("kthvalue", axis, false).slice(axis, k - 1..k),
        };
        match place.error() {
            Some(_) => (place.clone(), place),
            None => (self.gather(axis, &place).squeeze(axis), place.squeeze(axis)),
        }
    }

    /// The median of an axis (negative counts from the end), which is removed, and its place, u32: of an even number of elements the lower one of the two in the middle,
    /// as in PyTorch. With a NaN among the elements it is NaN.
    #[track_caller]
    pub fn median(&self, axis: isize) -> (Tensor, Tensor) {
        let location = CallerLocation::caller();
        let index = match self.axis("median", axis) {
            Ok(index) => index,
            Err(mistake) => return (mistake.clone(), mistake),
        };
        let n = self.shape()[index];
        if n == 0 {
            let mistake = Tensor::fail("median", format!("no element to choose from: axis {index} of {} is empty", self.shape()), location);
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

    /// The `q`-quantile of an axis (negative counts from the end), which is removed, interpolated linearly between the elements on both sides. With a NaN among the
    /// elements it is NaN. An error unless `0 <= q <= 1`.
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

    /// For each element of `values` its place in this tensor, whose last axis is in ascending order: the number of elements below it, or with `right` of those not above
    /// it, u32. This tensor has rank 1, or the axes of `values` but for the last. Every pair is compared: `n` operations a value.
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
        let location = CallerLocation::caller();
        let index = match self.axis(op, axis) {
            Ok(index) => index,
            Err(mistake) => return mistake,
        };
        let n = self.shape()[index];
        if n > 1 << 30 {
            return Tensor::fail(op, format!("axis {index} of {} has more than 2^30 elements", self.shape()), location);
        }
        if self.numel() == 0 {
            return Tensor::full(self.shape(), Scalar::Uint(0));
        }
        let last = self.detach().movedim(axis, -1);
        let last = if self.dtype() == DType::Bool { last.to(DType::U32) } else { last };
        let tie = Keys::new(&last, descending).sorted().tie.slice(-1, ..n);
        let places = if self.dtype().is_float() { tie % n as u32 } else { tie };
        places.movedim(-1, index as isize)
    }
}

impl Keys {
    /// The keys of the last axis, in runs (the last two axes: which run, which place) of which there are a power of two.
    #[track_caller]
    fn new(x: &Tensor, descending: bool) -> Keys {
        let n = x.shape()[x.rank() - 1];
        // Runs as short as the filling allows.
        let runs = n.div_ceil(RUN).next_power_of_two();
        let length = n.div_ceil(runs);
        let missing = runs * length - n;
        let place = Tensor::iota(x.shape(), -1);
        let tied = x.dtype().is_float();
        let (value, tie) = if tied {
            // A NaN is sorted as infinity, and after (descending: before) the infinities by its number.
            let nan = x.isnan();
            let behind = if descending { nan.logical_not() } else { nan.clone() };
            let tie = behind.where_(&place + n as u32, place);
            (nan.where_(f32::INFINITY, x), tie)
        } else {
            (x.clone(), place)
        };
        let mut widths = vec![(0, 0); x.rank()];
        widths[x.rank() - 1].1 = missing;
        let (value, tie) = if missing == 0 {
            (value, tie)
        } else {
            // What fills up goes last.
            let least = if descending { ReduceOp::Max } else { ReduceOp::Min }.identity(x.dtype());
            let whole: Shape = x.shape()[..x.rank() - 1].iter().copied().chain([n + missing]).collect();
            let inside = Tensor::iota([n + missing], 0).lt(n as u32);
            let value = inside.where_(value.pad(&widths, 0.0), Tensor::full(Shape::scalar(), least));
            (value, inside.where_(tie.pad(&widths, 0.0), Tensor::iota(whole, -1) + 2 * n as u32))
        };
        Keys { value: value.unflatten(-1, &[runs, length]), tie: tie.unflatten(-1, &[runs, length]), descending, tied }
    }

    /// Whether `a` must go before `b`, when it comes after it.
    #[track_caller]
    fn overtakes(&self, a: (&Tensor, &Tensor), b: (&Tensor, &Tensor)) -> Tensor {
        let ahead = if self.descending { b.0.lt(a.0) } else { a.0.lt(b.0) };
        if self.tied { ahead.logical_or(a.0.eq(b.0).logical_and(a.1.lt(b.1))) } else { ahead }
    }

    /// All keys in order, in one run.
    #[track_caller]
    fn sorted(self) -> Keys {
        let mut keys = self.sort_runs();
        while keys.value.shape()[keys.value.rank() - 2] > 1 {
            keys = keys.merged();
        }
        Keys { value: keys.value.squeeze(-2), tie: keys.tie.squeeze(-2), ..keys }
    }

    /// Each run sorted by comparing all pairs.
    #[track_caller]
    fn sort_runs(self) -> Keys {
        let Keys { value, tie, descending, .. } = &self;
        let n = value.shape()[value.rank() - 1];
        let (this, other) = (value.unsqueeze(-1), value.unsqueeze(-2));
        let ahead = if *descending { this.lt(&other) } else { other.lt(&this) };
        let earlier = tie.unsqueeze(-2).lt(tie.unsqueeze(-1));
        let rank = ahead.logical_or(this.eq(&other).logical_and(earlier)).to(DType::U32).sum_axes(&[-1]);
        // The inverse of the ranks. They are below 2^24, so f32 holds them.
        let places = Tensor::iota([n], 0).to(DType::F32).expand(value.shape());
        let order = Tensor::zeros(value.shape()).scatter_add(-1, &rank, &places).to(DType::U32);
        Keys { value: value.gather(-1, &order), tie: tie.gather(-1, &order), ..self }
    }

    /// Runs merged two by two.
    #[track_caller]
    fn merged(self) -> Keys {
        let rank = self.value.rank();
        let (runs, n) = (self.value.shape()[rank - 2], self.value.shape()[rank - 1]);
        let pairs: Shape = self.value.shape()[..rank - 2].iter().copied().chain([runs / 2, 2 * n]).collect();
        // Both runs of a pair lie one after the other.
        let (value, tie) = (self.value.reshape(&pairs), self.tie.reshape(&pairs));
        let place = Tensor::iota(&pairs, -1);
        let length = n as u32;
        // How many of the elements before `place` come from the first run: at least `low`, at most `high`.
        let mut low = place.maximum(length) - length;
        let mut high = place.minimum(length);
        for _ in 0..usize::BITS - n.leading_zeros() {
            let middle = (&low + &high).shr(1);
            let opposite = &place - &middle + (length - 1);
            let stays = self.stays(&value, &tie, &middle, &opposite);
            let further = low.lt(&high).logical_and(stays);
            low = further.where_(&middle + 1, &low);
            high = further.where_(high, middle);
        }
        let second = &place - &low + length;
        let first = low.lt(length).logical_and(second.ge(2 * length).logical_or(self.stays(&value, &tie, &low, &second)));
        let from = first.where_(low, second);
        Keys { value: value.gather(-1, &from), tie: tie.gather(-1, &from), ..self }
    }

    /// Whether the element at `a`, which comes first, stays before that at `b`.
    #[track_caller]
    fn stays(&self, value: &Tensor, tie: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
        let (first, second) = (value.gather(-1, a), value.gather(-1, b));
        if !self.tied {
            return self.overtakes((&second, b), (&first, a)).logical_not();
        }
        self.overtakes((&second, &tie.gather(-1, b)), (&first, &tie.gather(-1, a))).logical_not()
    }
}

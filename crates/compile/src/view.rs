//! How a coordinate of one space is read as a place in a buffer.
//!
//! A [`View`] is affine: offset plus coordinate times stride, with an optional window in which it is valid. Movement ops (permute, expand,
//! slice, flip, pad, reshape) are views, and chains of them usually fold into one; where they do not (a reshape across padding, say) an
//! [`Index`] keeps several, each reading the row-major place that the one before computed. The idea is tinygrad's ShapeTracker.

use std::fmt;

use noyau_tensor::Op;

/// An affine map from coordinates to a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The sizes of the space that the coordinates run over.
    pub shape: Vec<usize>,
    /// What one step along each axis adds to the place.
    pub strides: Vec<isize>,
    /// The place of the origin. May be negative or out of range where `mask` excludes the origin.
    pub offset: isize,
    /// For each axis the half-open range of valid coordinates; empty when all are.
    pub mask: Vec<(usize, usize)>,
}

impl View {
    /// Row-major places of `shape`.
    pub fn contiguous(shape: &[usize]) -> View {
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for (i, &size) in shape.iter().enumerate().rev() {
            // An axis of size 1 has no steps: stride 0 makes equal views equal.
            strides[i] = if size == 1 { 0 } else { stride };
            stride *= size as isize;
        }
        View { shape: shape.to_vec(), strides, offset: 0, mask: Vec::new() }
    }

    /// Whether places are row-major from 0 without gaps or masks.
    pub fn is_contiguous(&self) -> bool {
        *self == View::contiguous(&self.shape)
    }

    /// Whether every coordinate is valid.
    pub fn is_unmasked(&self) -> bool {
        self.mask.is_empty()
    }

    /// The place at `coordinates`, or `None` outside of the mask.
    pub fn place(&self, coordinates: &[usize]) -> Option<isize> {
        let valid = self.mask.iter().zip(coordinates).all(|(&(low, high), &c)| (low..high).contains(&c));
        valid.then(|| self.offset + coordinates.iter().zip(&self.strides).map(|(&c, &s)| c as isize * s).sum::<isize>())
    }

    /// The view by which the result of a movement op (of shape `result`) reads its operand (of shape `operand`, row-major).
    /// `None` for ops that are no views.
    pub fn of_op(op: &Op, operand: &[usize], result: &[usize]) -> Option<View> {
        let strides: Vec<isize> = View::contiguous(operand).strides;
        let mut view = View { shape: result.to_vec(), strides: Vec::new(), offset: 0, mask: Vec::new() };
        match op {
            Op::Reshape => view.strides = View::contiguous(result).strides,
            Op::Permute(axes) => view.strides = axes.iter().map(|&a| strides[a]).collect(),
            Op::Expand => view.strides = (0..result.len()).map(|i| if operand[i] == 1 { 0 } else { strides[i] }).collect(),
            Op::Slice(ranges) => {
                view.offset = ranges.iter().zip(&strides).map(|(&(start, _), &s)| start as isize * s).sum();
                view.strides = ranges.iter().zip(&strides).map(|(&(_, step), &s)| step as isize * s).collect();
            }
            Op::Flip(axes) => {
                view.strides = strides;
                for &axis in axes {
                    view.offset += view.strides[axis] * (operand[axis] as isize - 1);
                    view.strides[axis] = -view.strides[axis];
                }
            }
            Op::Pad(widths, _) => {
                view.offset = -widths.iter().zip(&strides).map(|(&(before, _), &s)| before as isize * s).sum::<isize>();
                view.mask = widths.iter().zip(operand).map(|(&(before, _), &size)| (before, before + size)).collect();
                view.strides = strides;
            }
            Op::Unfold(w) => {
                view.strides = strides.clone();
                view.strides[w.axis] *= w.step as isize;
                view.strides.push(strides[w.axis] * w.dilation as isize);
            }
            _ => return None,
        }
        view.normalise();
        Some(view)
    }

    /// Drops strides and masks that change nothing.
    fn normalise(&mut self) {
        for (stride, &size) in self.strides.iter_mut().zip(&self.shape) {
            if size <= 1 {
                *stride = 0;
            }
        }
        if self.mask.iter().zip(&self.shape).all(|(&(low, high), &size)| low == 0 && high >= size) {
            self.mask.clear();
        }
    }

    /// This view followed by `next`, which reads the row-major places of `next.shape` that this view computes, as one view; `None` when it takes two.
    pub fn then(&self, next: &View) -> Option<View> {
        if next.is_contiguous() {
            return Some(self.clone());
        }
        if self.is_contiguous() && self.shape == next.shape {
            return Some(next.clone());
        }
        if self.is_contiguous()
            && let Some(view) = next.reshaped(&self.shape)
        {
            return Some(view);
        }
        if !self.is_unmasked() {
            // The coordinates outside of the mask must not be looked at, and those inside begin elsewhere: left to a chain.
            return None;
        }
        // Each step of this view is a step in next's coordinates: written out as digits of next's shape. The two fold when no combination of steps carries.
        let origin = digits(self.offset, &next.shape)?;
        let mut steps = Vec::with_capacity(self.shape.len());
        let mut low: Vec<isize> = origin.clone();
        let mut high: Vec<isize> = origin.clone();
        for (&stride, &size) in self.strides.iter().zip(&self.shape) {
            let mut step = digits(stride.abs(), &next.shape)?;
            if stride < 0 {
                step.iter_mut().for_each(|d| *d = -*d);
            }
            for (axis, &d) in step.iter().enumerate() {
                let reach = d * (size as isize - 1).max(0);
                low[axis] += reach.min(0);
                high[axis] += reach.max(0);
            }
            steps.push(step);
        }
        if low.iter().any(|&l| l < 0) || high.iter().zip(&next.shape).any(|(&h, &size)| h >= size as isize) {
            return None;
        }
        let dot = |step: &[isize]| step.iter().zip(&next.strides).map(|(&d, &s)| d * s).sum::<isize>();
        let mut view = View {
            shape: self.shape.clone(),
            strides: steps.iter().map(|s| dot(s)).collect(),
            offset: next.offset + dot(&origin),
            mask: Vec::new(),
        };
        if !next.is_unmasked() {
            let mut mask: Vec<(usize, usize)> = self.shape.iter().map(|&size| (0, size)).collect();
            for (axis, &(from, to)) in next.mask.iter().enumerate() {
                if low[axis] >= from as isize && high[axis] < to as isize {
                    continue;
                }
                // A window of next's axis is a window of ours only when one of our axes alone walks it, a place at a time.
                let walkers: Vec<usize> = (0..steps.len()).filter(|&i| steps[i][axis] != 0 && self.shape[i] > 1).collect();
                let at = origin[axis];
                match walkers[..] {
                    // A scalar has no axis whose window could be empty.
                    [] if mask.is_empty() && (at < from as isize || at >= to as isize) => return None,
                    [] => {
                        if at < from as isize || at >= to as isize {
                            mask.iter_mut().for_each(|m| *m = (0, 0));
                        }
                    }
                    [i] => {
                        let step = steps[i][axis];
                        let inside = |c: &usize| (from as isize..to as isize).contains(&(at + *c as isize * step));
                        let first = (0..self.shape[i]).find(inside);
                        let last = (0..self.shape[i]).rev().find(inside);
                        match (first, last) {
                            (Some(first), Some(last)) => mask[i] = (mask[i].0.max(first), mask[i].1.min(last + 1)),
                            _ => mask[i] = (0, 0),
                        }
                    }
                    _ => return None,
                }
            }
            view.mask = mask;
        }
        view.normalise();
        Some(view)
    }

    /// The axes with neighbours that continue each other merged and those of size 1 left out; `None` when one of those is masked away.
    fn runs(&self) -> Option<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        for (i, (&size, &stride)) in self.shape.iter().zip(&self.strides).enumerate() {
            let window = self.mask.get(i).copied().filter(|&m| m != (0, size));
            match runs.last_mut() {
                _ if size == 1 && window.is_some() => return None,
                _ if size == 1 => {}
                Some(last) if last.window.is_none() && window.is_none() && last.stride == stride * size as isize => {
                    *last = Run { size: last.size * size, stride, window: None };
                }
                _ => runs.push(Run { size, stride, window }),
            }
        }
        Some(runs)
    }

    /// The same places in row-major order over another shape of as many elements, where that is still affine.
    pub fn reshaped(&self, shape: &[usize]) -> Option<View> {
        if shape == self.shape {
            return Some(self.clone());
        }
        if shape.iter().product::<usize>() != self.shape.iter().product::<usize>() || shape.contains(&0) {
            return None;
        }
        let mut runs = self.runs()?.into_iter().rev();
        let mut strides = vec![0; shape.len()];
        let mut mask: Vec<(usize, usize)> = shape.iter().map(|&size| (0, size)).collect();
        let mut rest: Option<Run> = None;
        for i in (0..shape.len()).rev().filter(|&i| shape[i] != 1) {
            let run = match rest.take() {
                Some(run) => run,
                None => runs.next()?,
            };
            strides[i] = run.stride;
            match run.window {
                _ if run.size == shape[i] => mask[i] = run.window.unwrap_or(mask[i]),
                None if run.size % shape[i] == 0 => {
                    rest = Some(Run { size: run.size / shape[i], stride: run.stride * shape[i] as isize, window: None })
                }
                _ => return None,
            }
        }
        let mut view = View { shape: shape.to_vec(), strides, offset: self.offset, mask };
        view.normalise();
        Some(view)
    }
}

/// Axes that continue each other, as one.
struct Run {
    size: usize,
    stride: isize,
    /// The valid coordinates, unless all are.
    window: Option<(usize, usize)>,
}

/// `value` written in the mixed radix of a shape; `None` when it is negative or too large.
fn digits(value: isize, shape: &[usize]) -> Option<Vec<isize>> {
    let mut rest = value;
    if rest < 0 {
        return None;
    }
    let mut result = vec![0; shape.len()];
    for (digit, &size) in result.iter_mut().zip(shape).rev() {
        if size == 0 {
            return None;
        }
        *digit = rest % size as isize;
        rest /= size as isize;
    }
    (rest == 0).then_some(result)
}

/// A chain of views: coordinates of a kernel's space to a place in a buffer. Never empty; the first view's shape is the kernel's space, and each
/// further view reads the row-major place (in its own shape) that the one before computed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Index {
    views: Vec<View>,
}

impl Index {
    /// Row-major places.
    pub fn identity(shape: &[usize]) -> Index {
        Index { views: vec![View::contiguous(shape)] }
    }

    /// The index made of one view.
    pub fn from_view(view: View) -> Index {
        Index { views: vec![view] }
    }

    /// The views, first to last.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The view, when there is only one.
    pub fn single(&self) -> Option<&View> {
        match &self.views[..] {
            [view] => Some(view),
            _ => None,
        }
    }

    /// The kernel's space.
    pub fn shape(&self) -> &[usize] {
        &self.views[0].shape
    }

    /// This index followed by `view`.
    pub fn then(&self, view: &View) -> Index {
        let mut views = self.views.clone();
        views.push(view.clone());
        // Folding the last two may make the result fold with the one before.
        while let [.., a, b] = &views[..] {
            let Some(folded) = a.then(b) else { break };
            views.truncate(views.len() - 2);
            views.push(folded);
        }
        Index { views }
    }

    /// Whether each coordinate reads its own row-major place.
    pub fn is_identity(&self) -> bool {
        self.single().is_some_and(View::is_contiguous)
    }

    /// Whether every coordinate is valid.
    pub fn is_unmasked(&self) -> bool {
        self.views.iter().all(View::is_unmasked)
    }

    /// The place at `coordinates`, or `None` where a mask excludes them.
    pub fn place(&self, coordinates: &[usize]) -> Option<usize> {
        let mut coordinates = coordinates.to_vec();
        let mut place = 0;
        for (i, view) in self.views.iter().enumerate() {
            if i > 0 {
                coordinates = digits(place, &view.shape)?.into_iter().map(|d| d as usize).collect();
            }
            place = view.place(&coordinates)?;
        }
        usize::try_from(place).ok()
    }
}

impl fmt::Display for View {
    /// `784*c0 + c1`, with `+ offset` and `if 1<=c0<5` where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms: Vec<String> = Vec::new();
        for (i, &stride) in self.strides.iter().enumerate().filter(|(_, s)| **s != 0) {
            terms.push(if stride == 1 { format!("c{i}") } else { format!("{stride}*c{i}") });
        }
        if self.offset != 0 || terms.is_empty() {
            terms.push(self.offset.to_string());
        }
        f.write_str(&terms.join(" + "))?;
        let windows = self.mask.iter().zip(&self.shape).enumerate().filter(|(_, (m, size))| **m != (0, **size));
        for (n, (i, ((low, high), _))) in windows.enumerate() {
            write!(f, "{}{low}<=c{i}<{high}", if n == 0 { " if " } else { " and " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, view) in self.views.iter().enumerate() {
            if i > 0 {
                write!(f, " -> {:?}: ", view.shape)?;
            }
            write!(f, "{view}")?;
        }
        Ok(())
    }
}

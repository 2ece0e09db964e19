//! Coordinates of a kernel's space, and the places that an [`Index`] makes of them, as WGSL.

use std::ops::Range;

use noyau_compile::{Index, View};
use noyau_tensor::{Error, Result};

use crate::text::{Sum, Text, all};

/// A kernel's space with neighbouring axes merged where every view walks them as one, so that fewer divisions find the coordinates.
#[derive(Clone)]
pub(crate) struct Axes {
    groups: Vec<Group>,
    rank: usize,
}

/// Merged axes under one coordinate.
#[derive(Clone)]
struct Group {
    /// Which axes.
    axes: Range<usize>,
    /// Which segment they belong to.
    segment: usize,
    /// The product of their sizes.
    size: usize,
    /// The coordinate's expression.
    name: String,
}

impl Axes {
    /// Merges what can be merged within each segment of the space's axes.
    pub fn new(shape: &[usize], segments: &[Range<usize>], views: &[&View]) -> Result<Axes> {
        let mut groups: Vec<Group> = Vec::new();
        for (segment, range) in segments.iter().enumerate() {
            let start = groups.len();
            for axis in range.clone().filter(|&a| shape[a] != 1) {
                match groups[start..].last_mut() {
                    Some(last) if views.iter().all(|v| continues(v, last.axes.end - 1, axis)) => {
                        last.size *= shape[axis];
                        last.axes.end = axis + 1;
                    }
                    _ => groups.push(Group { axes: axis..axis + 1, segment, size: shape[axis], name: String::new() }),
                }
            }
            let size = shape[range.clone()].iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            if size.is_none_or(|n| n > u32::MAX as usize) {
                return Err(Error::argument(
                    "kernel",
                    format!("a space of {shape:?} has more than 2^32 - 1 elements, which the GPU's 32-bit indices cannot count"),
                ));
            }
        }
        Ok(Axes { groups, rank: shape.len() })
    }

    /// Writes the coordinates of a segment whose row-major place is `linear`.
    pub fn declare(&mut self, text: &mut Text, segment: usize, linear: &str, prefix: &str) {
        let mut stride = 1u64;
        let total: u64 = self.groups.iter().filter(|g| g.segment == segment).map(|g| g.size as u64).product();
        let mut lines = Vec::new();
        for (i, group) in self.groups.iter_mut().enumerate().filter(|(_, g)| g.segment == segment).rev() {
            let size = group.size as u64;
            let divided = if stride == 1 { linear.to_string() } else { format!("{linear} / {stride}u") };
            if size == total {
                group.name = linear.into();
            } else {
                group.name = format!("{prefix}{i}");
                // The outermost needs no remainder, its quotient is below its size already.
                let line = if stride * size == total { divided } else { format!("({divided}) % {size}u") };
                lines.push(format!("let {} = {line};", group.name));
            }
            stride *= size.max(1);
        }
        lines.iter().rev().for_each(|line| text.line(line));
    }

    /// Names the coordinate of a segment of one axis.
    pub fn name(&mut self, segment: usize, name: &str) {
        self.groups.iter_mut().filter(|g| g.segment == segment).for_each(|g| g.name = name.into());
    }

    /// The number of a segment's last coordinate, where its size is a multiple of 4: the one whose values can be taken four at a time.
    pub fn fours(&self, segment: usize) -> Option<usize> {
        let last = self.groups.iter().rposition(|g| g.segment == segment)?;
        (self.groups[last].size > 0 && self.groups[last].size.is_multiple_of(4)).then_some(last)
    }

    /// How an index goes through four neighbouring values of a coordinate, the first of which is a multiple of 4.
    pub fn reach(&self, index: &Index, number: usize) -> Reach {
        let view = &index.views()[0];
        let group = &self.groups[number];
        if index.views().iter().any(|v| v.shape.contains(&0)) {
            return Reach::Same;
        }
        let stride = view.strides[group.axes.end - 1];
        // Masked axes are not merged with others.
        let mask = view.mask.get(group.axes.start).filter(|m| group.axes.len() == 1 && **m != (0, group.size));
        if stride == 0 && mask.is_none() {
            return Reach::Same;
        }
        if index.views().len() > 1 {
            return Reach::Apart(None);
        }
        let others = self.groups.iter().enumerate().filter(|(i, _)| *i != number).map(|(_, g)| view.strides[g.axes.end - 1]);
        let aligned = view.offset % 4 == 0 && others.into_iter().all(|s| s % 4 == 0);
        if stride == 1 && aligned && mask.is_none_or(|m| m.0 % 4 == 0 && m.1 % 4 == 0) {
            return Reach::Whole;
        }
        Reach::Apart(mask.is_none().then_some(stride as i64))
    }

    /// The same coordinates with `by` added to one.
    pub fn shifted(&self, number: usize, by: usize) -> Axes {
        let mut axes = self.clone();
        if by > 0 {
            let name = &mut axes.groups[number].name;
            *name = format!("({name} + {by}u)");
        }
        axes
    }

    /// The place that a view gives, and the conditions of its mask; `None` when the mask excludes everything.
    fn view(&self, view: &View) -> Option<(Sum, Vec<String>)> {
        debug_assert_eq!(view.shape.len(), self.rank);
        let mut sum = Sum::new(view.offset as i64);
        let mut conditions = Vec::new();
        for (axis, &(low, high)) in view.mask.iter().enumerate() {
            if low >= high || (view.shape[axis] == 1 && low > 0) {
                return None;
            }
            let Some(group) = self.groups.iter().find(|g| g.axes.contains(&axis)).filter(|_| view.shape[axis] > 1) else { continue };
            if low > 0 {
                conditions.push(format!("{} >= {low}u", group.name));
            }
            if high < view.shape[axis] {
                conditions.push(format!("{} < {high}u", group.name));
            }
        }
        for group in &self.groups {
            sum.add(view.strides[group.axes.end - 1] as i64, &group.name);
        }
        Some((sum, conditions))
    }
}

/// Whether a view walks from the end of `axis` on to the next value of `before`, unmasked.
fn continues(view: &View, before: usize, axis: usize) -> bool {
    let free = |a: usize| view.mask.get(a).is_none_or(|&m| m == (0, view.shape[a]));
    // `before` may itself be merged: its last axis' stride is what counts, and no axis in it is masked.
    view.strides[before] == view.strides[axis] * view.shape[axis] as isize && free(before) && free(axis)
}

/// How an index goes through four neighbouring coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All four are at one place.
    Same,
    /// They are neighbours in memory, the first at a multiple of 4, and all or none of them are valid.
    Whole,
    /// They are anywhere; with a number: always so far apart, and valid together.
    Apart(Option<i64>),
}

/// An index printed: the place, and the condition under which it is valid.
#[derive(Clone)]
pub(crate) struct Printed {
    /// A u32 expression.
    pub place: String,
    /// A bool expression, or `None` when always valid.
    pub valid: Option<String>,
}

/// Prints an index, writing what it needs into variables that begin with `prefix`.
pub(crate) fn print(text: &mut Text, axes: &Axes, index: &Index, prefix: &str) -> Result<Printed> {
    let never = Printed { place: "0u".into(), valid: Some("false".into()) };
    if index.views().iter().any(|v| v.shape.contains(&0)) {
        return Ok(never);
    }
    for view in index.views() {
        let reach =
            view.strides.iter().zip(&view.shape).map(|(&s, &n)| (s as i64).abs() * n as i64).sum::<i64>() + (view.offset as i64).abs();
        if reach > u32::MAX as i64 {
            return Err(Error::argument("kernel", format!("the index {index} reaches further than the GPU's 32-bit indices")));
        }
    }
    let Some((sum, mut conditions)) = axes.view(&index.views()[0]) else { return Ok(never) };
    let mut place = sum.print();
    for (step, view) in index.views().iter().enumerate().skip(1) {
        let linear = format!("{prefix}s{step}");
        text.line(format!("let {linear} = {place};"));
        let mut axes = Axes::new(&view.shape, std::slice::from_ref(&(0..view.shape.len())), &[view])?;
        axes.declare(text, 0, &linear, &format!("{linear}c"));
        let Some((sum, more)) = axes.view(view) else { return Ok(never) };
        conditions.extend(more);
        place = sum.print();
    }
    if place.contains(' ') {
        text.line(format!("let {prefix} = {place};"));
        place = prefix.into();
    }
    let valid = (!conditions.is_empty()).then(|| all(&conditions));
    Ok(Printed { place, valid })
}

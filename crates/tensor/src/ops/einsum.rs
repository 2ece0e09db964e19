//! Einstein's summation: products and sums over axes that have names.

use std::collections::BTreeMap;
use std::panic::Location as CallerLocation;

use crate::{Shape, Tensor};

/// An axis' name: the place from the end among those that an ellipsis stands for, or a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// Counted down to 0 at the end, so that the outermost comes first in order.
    Rest(std::cmp::Reverse<usize>),
    Letter(char),
}

/// A tensor whose axes are named, each name once.
struct Named {
    tensor: Tensor,
    labels: Vec<Label>,
}

/// Products of tensors, summed over axes, as an equation says: PyTorch's `einsum`. `"ij,jk->ik"` is a matrix product.
///
/// Each operand has a letter for each axis, operands are separated by commas. Axes of one letter have one size (or 1, which stretches) and
/// are multiplied at equal places; a letter that an operand has twice is its diagonal. Letters that are missing after `->` are summed over;
/// without `->` the result has the letters that occur once, in alphabetical order with capitals first, after those of the ellipsis. `...`
/// stands for any number of axes, which broadcast. Spaces do not count.
///
/// Operands are contracted in pairs, of the pairs left that with the smallest result first, each by one matrix product where both are f32
/// and something is summed over, else by a product of elements. Integers are taken too.
#[track_caller]
pub fn einsum(equation: &str, operands: &[&Tensor]) -> Tensor {
    let location = CallerLocation::caller();
    if let Some(bad) = operands.iter().find(|t| t.error().is_some()) {
        return (*bad).clone();
    }
    let parsed = match parse(equation, operands) {
        Ok(parsed) => parsed,
        Err(message) => return Tensor::fail("einsum", format!("\"{equation}\": {message}"), location),
    };
    let (inputs, output) = parsed;
    let mut terms = Vec::with_capacity(inputs.len());
    for (tensor, labels) in operands.iter().zip(inputs) {
        terms.push(Named { tensor: (*tensor).clone(), labels }.with_diagonals());
    }
    // An axis of size 1 beside a longer one of its name is not there: it stretches.
    let sizes = sizes(&terms);
    for term in &mut terms {
        for i in (0..term.labels.len()).rev() {
            if term.tensor.shape()[i] == 1 && sizes.get(&term.labels[i]) != Some(&1) {
                term.tensor = term.tensor.squeeze(i as isize);
                term.labels.remove(i);
            }
        }
    }
    while terms.len() > 1 {
        let (i, j) = cheapest(&terms, &output, &sizes);
        let b = terms.remove(j);
        let a = terms.remove(i);
        let kept: Vec<Label> = sizes.keys().copied().filter(|l| output.contains(l) || terms.iter().any(|t| t.labels.contains(l))).collect();
        let product = a.times(&b, &kept);
        terms.insert(i, product);
    }
    match terms.pop() {
        Some(term) => term.as_result(&output),
        None => Tensor::fail("einsum", "needs at least one tensor", location),
    }
}

/// The labels of each operand's axes, and of the result's.
fn parse(equation: &str, operands: &[&Tensor]) -> Result<(Vec<Vec<Label>>, Vec<Label>), String> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match text.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&*text, None),
    };
    let parts: Vec<&str> = left.split(',').collect();
    if parts.len() != operands.len() {
        return Err(format!("{} operands are named, {} are given; give one for each part before the arrow", parts.len(), operands.len()));
    }
    let mut inputs = Vec::new();
    let mut sizes: BTreeMap<Label, usize> = BTreeMap::new();
    for (i, (part, tensor)) in parts.iter().zip(operands).enumerate() {
        let letters = part.chars().filter(char::is_ascii_alphabetic).count();
        let labels = match labels_of(part, tensor.rank().checked_sub(letters)) {
            Ok(labels) => labels,
            Err(message) => return Err(format!("operand {i}: {message}")),
        };
        if labels.len() != tensor.rank() {
            return Err(format!("operand {i}: \"{part}\" names {letters} axes, {} has {}", tensor.shape(), tensor.rank()));
        }
        for (&label, &size) in labels.iter().zip(tensor.shape().iter()) {
            let known = sizes.entry(label).or_insert(size);
            if *known == 1 {
                *known = size;
            } else if size != 1 && size != *known {
                let name = match label {
                    Label::Letter(c) => format!("axis {c}"),
                    Label::Rest(_) => "an axis of the ellipsis".into(),
                };
                return Err(format!("{name} has sizes {} and {size}; one name stands for one size", *known));
            }
        }
        inputs.push(labels);
    }
    if let Some(other) = operands.iter().find(|t| t.dtype() != operands[0].dtype()) {
        return Err(format!("the operands' types {} and {} differ; convert one with .to(DType)", operands[0].dtype(), other.dtype()));
    }
    if operands[0].dtype() == crate::DType::Bool {
        return Err("not defined for bool; convert with .to(DType)".into());
    }
    let rest: Vec<Label> = sizes.keys().copied().filter(|l| matches!(l, Label::Rest(_))).collect();
    let output = match right {
        None => {
            let once = |l: &Label| inputs.iter().flatten().filter(|&m| m == l).count() == 1;
            sizes.keys().copied().filter(|l| matches!(l, Label::Rest(_)) || once(l)).collect()
        }
        Some(right) => {
            let output = labels_of(right, Some(rest.len())).map_err(|message| format!("the result: {message}"))?;
            if let Some(Label::Letter(c)) = output.iter().find(|&l| !sizes.contains_key(l)) {
                return Err(format!("the result has axis {c}, no operand does"));
            }
            if let Some(i) = (1..output.len()).find(|&i| output[..i].contains(&output[i]))
                && let Label::Letter(c) = output[i]
            {
                return Err(format!("the result has axis {c} twice"));
            }
            output
        }
    };
    Ok((inputs, output))
}

/// The labels of one operand, or of the result, whose ellipsis stands for `rest` axes.
fn labels_of(part: &str, rest: Option<usize>) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    let mut ellipses = 0;
    let mut left = part;
    while let Some(c) = left.chars().next() {
        if let Some(after) = left.strip_prefix("...") {
            let Some(rest) = rest else { return Err(format!("\"{part}\" names more axes than there are")) };
            labels.extend((0..rest).rev().map(|i| Label::Rest(std::cmp::Reverse(i))));
            ellipses += 1;
            left = after;
        } else if c.is_ascii_alphabetic() {
            labels.push(Label::Letter(c));
            left = &left[1..];
        } else {
            return Err(format!("'{c}' is neither a letter nor part of \"...\", \",\" or \"->\""));
        }
    }
    if ellipses > 1 { Err(format!("\"{part}\" has more than one ellipsis")) } else { Ok(labels) }
}

/// The size of each named axis.
fn sizes(terms: &[Named]) -> BTreeMap<Label, usize> {
    let mut sizes = BTreeMap::new();
    for (&label, &size) in terms.iter().flat_map(|t| t.labels.iter().zip(t.tensor.shape().iter())) {
        let known = sizes.entry(label).or_insert(size);
        if *known == 1 {
            *known = size;
        }
    }
    sizes
}

/// The pair of terms whose product is smallest; the first of equals.
fn cheapest(terms: &[Named], output: &[Label], sizes: &BTreeMap<Label, usize>) -> (usize, usize) {
    let mut best = (usize::MAX, (0, 1));
    for j in 1..terms.len() {
        for i in 0..j {
            let elsewhere =
                |l: Label| output.contains(&l) || terms.iter().enumerate().any(|(k, t)| k != i && k != j && t.labels.contains(&l));
            let size = sizes
                .iter()
                .filter(|&(&l, _)| (terms[i].labels.contains(&l) || terms[j].labels.contains(&l)) && elsewhere(l))
                .fold(1usize, |n, (_, &d)| n.saturating_mul(d));
            if size < best.0 {
                best = (size, (i, j));
            }
        }
    }
    best.1
}

impl Named {
    /// Axes of one name replaced by their diagonal.
    #[track_caller]
    fn with_diagonals(mut self) -> Named {
        while let Some((i, j)) = (1..self.labels.len()).find_map(|j| (0..j).find(|&i| self.labels[i] == self.labels[j]).map(|i| (i, j))) {
            // A size of 1 beside a longer one stretches here too.
            let n = self.tensor.shape()[i].max(self.tensor.shape()[j]);
            let mut sizes = self.tensor.shape().to_vec();
            (sizes[i], sizes[j]) = (n, n);
            self.tensor = self.tensor.expand(sizes).diagonal(0, i as isize, j as isize);
            let label = self.labels.remove(j);
            self.labels.remove(i);
            self.labels.push(label);
        }
        self
    }

    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    /// Summed over the axes that are not kept.
    #[track_caller]
    fn summed(&self, kept: impl Fn(Label) -> bool) -> Named {
        let axes: Vec<isize> = (0..self.labels.len()).filter(|&i| !kept(self.labels[i])).map(|i| i as isize).collect();
        let labels = self.labels.iter().copied().filter(|&l| kept(l)).collect();
        let tensor = if axes.is_empty() { self.tensor.clone() } else { self.tensor.sum_axes(&axes) };
        Named { tensor, labels }
    }

    /// The axes in the order of `labels`, with size 1 where there is no such axis.
    #[track_caller]
    fn arranged(&self, labels: &[Label]) -> Tensor {
        let order: Vec<isize> = labels.iter().filter_map(|l| self.labels.iter().position(|m| m == l)).map(|i| i as isize).collect();
        let ordered = if order.is_empty() { self.tensor.clone() } else { self.tensor.permute(&order) };
        let mut sizes = ordered.shape().iter();
        ordered.reshape(labels.iter().map(|&l| if self.has(l) { sizes.next().copied().unwrap_or(1) } else { 1 }).collect::<Shape>())
    }

    /// The product with another term, summed over what is not kept.
    #[track_caller]
    fn times(&self, other: &Named, kept: &[Label]) -> Named {
        let keep = |l: Label| kept.contains(&l);
        let (a, b) = (self.summed(|l| keep(l) || other.has(l)), other.summed(|l| keep(l) || self.has(l)));
        let of = |t: &Named, pick: &dyn Fn(Label) -> bool| -> Vec<Label> { t.labels.iter().copied().filter(|&l| pick(l)).collect() };
        let batch = of(&a, &|l| b.has(l) && keep(l));
        let inner = of(&a, &|l| b.has(l) && !keep(l));
        let (left, right) = (of(&a, &|l| !b.has(l)), of(&b, &|l| !a.has(l)));
        let size = |t: &Named, labels: &[Label]| -> Vec<usize> {
            labels.iter().filter_map(|l| t.labels.iter().position(|m| m == l)).map(|i| t.tensor.shape()[i]).collect()
        };
        let (batches, ks, ms, ns) = (size(&a, &batch), size(&a, &inner), size(&a, &left), size(&b, &right));
        let (m, n): (usize, usize) = (ms.iter().product(), ns.iter().product());
        let labels: Vec<Label> = batch.iter().chain(&left).chain(&right).copied().collect();
        // A matrix product pays where something is summed over for more than one element a batch.
        if a.tensor.dtype().is_float() && !inner.is_empty() && m * n > 1 {
            let k: usize = ks.iter().product();
            let rows: Vec<Label> = batch.iter().chain(&left).chain(&inner).copied().collect();
            let columns: Vec<Label> = batch.iter().chain(&inner).chain(&right).copied().collect();
            let with = |tail: [usize; 2]| batches.iter().copied().chain(tail).collect::<Shape>();
            let product = a.arranged(&rows).reshape(with([m, k])).matmul(&b.arranged(&columns).reshape(with([k, n])));
            let shape: Shape = batches.iter().chain(&ms).chain(&ns).copied().collect();
            return Named { tensor: product.reshape(shape), labels };
        }
        let all: Vec<Label> = labels.iter().chain(&inner).copied().collect();
        Named { tensor: a.arranged(&all) * b.arranged(&all), labels: all }.summed(keep)
    }

    /// Summed and ordered as the result.
    #[track_caller]
    fn as_result(&self, output: &[Label]) -> Tensor {
        self.summed(|l| output.contains(&l)).arranged(output)
    }
}

impl Tensor {
    /// The product summed over axes of this tensor and as many of `other`, pair by pair (negative counts from the end); the result has the
    /// axes that are left, this tensor's first. PyTorch's `tensordot` with two lists. f32.
    #[track_caller]
    pub fn tensordot(&self, other: &Tensor, axes: &[isize], other_axes: &[isize]) -> Tensor {
        let location = CallerLocation::caller();
        let mut places = [Vec::new(), Vec::new()];
        for (places, (t, axes)) in places.iter_mut().zip([(self, axes), (other, other_axes)]) {
            for &axis in axes {
                match t.axis("tensordot", axis) {
                    Ok(i) if places.contains(&i) => {
                        return Tensor::fail("tensordot", format!("axis {i} is named twice in {axes:?}; name each axis once"), location);
                    }
                    Ok(i) => places.push(i),
                    Err(mistake) => return mistake,
                }
            }
            if t.error().is_some() {
                return t.clone();
            }
        }
        let [a, b] = places;
        let size = |t: &Tensor, places: &[usize]| -> Vec<usize> { places.iter().map(|&i| t.shape()[i]).collect() };
        let (inner, inner2) = (size(self, &a), size(other, &b));
        if inner != inner2 {
            let message =
                format!("axes {axes:?} of {} and {other_axes:?} of {}: sizes {inner:?} and {inner2:?} differ", self.shape(), other.shape());
            return Tensor::fail("tensordot", message, location);
        }
        let left: Vec<usize> = (0..self.rank()).filter(|i| !a.contains(i)).collect();
        let right: Vec<usize> = (0..other.rank()).filter(|i| !b.contains(i)).collect();
        let signed = |first: &[usize], second: &[usize]| -> Vec<isize> { first.iter().chain(second).map(|&i| i as isize).collect() };
        let (ms, ns) = (size(self, &left), size(other, &right));
        let (m, k, n): (usize, usize, usize) = (ms.iter().product(), inner.iter().product(), ns.iter().product());
        let rows = self.permute(&signed(&left, &a)).reshape([m, k]);
        let columns = other.permute(&signed(&b, &right)).reshape([k, n]);
        rows.matmul(&columns).reshape(ms.into_iter().chain(ns).collect::<Shape>())
    }
}

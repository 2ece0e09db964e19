//! The cross entropy of logits against classes.

use std::sync::Arc;

use noyau_tensor::{DType, Tensor};

use super::Loss;
use super::weights::check_weights;
use crate::fault::{fail, number};
use crate::mixed::wide;

/// The mean cross entropy of `softmax(logits)` against targets, in nats; [`CrossEntropy`] without options.
///
/// Logits `[batch, classes]` or `[batch, classes, d1, ...]`. Targets are either class indices (u32 or i32) `[batch]` or `[batch, d1, ...]`, or
/// probabilities of the logits' shape. Logits `[classes]` go with a scalar target. A target that names no class makes the loss infinite: nothing
/// can be raised from inside a step. A target probability of exactly 0 adds nothing, even beside a logit of minus infinity.
#[track_caller]
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    CrossEntropy::new().loss(logits, targets)
}

/// [`cross_entropy`] with options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    smoothing: f64,
    weight: Option<Arc<[f32]>>,
}

impl CrossEntropy {
    /// Without options.
    pub fn new() -> CrossEntropy {
        CrossEntropy::default()
    }

    /// Moves a share `0..=1` of each target's probability evenly to all classes.
    ///
    /// Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.
    pub fn label_smoothing(mut self, share: f64) -> CrossEntropy {
        self.smoothing = share;
        self
    }

    /// Counts each class so many times, one weight a class, at least 0: more for classes that are rare, for one
    /// ([`class_weights`](super::class_weights) makes such weights).
    ///
    /// With class indices the mean is PyTorch's: the sum over the samples, each times its class's weight, divided by the sum of those weights. With
    /// probabilities each class's term is multiplied, and the mean is over the samples. Where all samples of a batch have weight 0, the loss is NaN.
    pub fn weight(mut self, weight: &[f32]) -> CrossEntropy {
        self.weight = Some(weight.into());
        self
    }
}

impl Loss for CrossEntropy {
    #[track_caller]
    fn loss(&self, logits: &Tensor, targets: &Tensor) -> Tensor {
        if !(0.0..=1.0).contains(&self.smoothing) {
            return fail("cross_entropy", format!("label smoothing {} does not lie in 0..=1", self.smoothing));
        }
        let logits = &wide(logits);
        let indices = targets.error().is_none() && targets.dtype().is_int();
        let found = match &self.weight {
            Some(weight) if indices => self.weighted(logits, targets, weight),
            _ if indices => self.by_index(logits, targets).map(|rows| rows.mean()),
            _ => self.by_probability(logits, targets).map(|rows| rows.mean()),
        };
        found.unwrap_or_else(|error| error)
    }
}

impl CrossEntropy {
    /// `log(sum(e^s)) - s[target]` for each row, where `s` is the row less its largest logit. The gradient of that is `softmax - one_hot`, in which
    /// the exponentials are those of the forward pass; forward and gradient are sums along the class axis and maps between them.
    #[track_caller]
    fn by_index(&self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, Tensor> {
        let rows = class_rows("cross_entropy", logits, targets)?;
        let (shifted, log_sum) = normalised(logits, rows.axis);
        let expected = if self.smoothing == 0.0 {
            pick(&rows, &shifted)
        } else {
            let everywhere = self.smoothing / rows.classes as f64;
            (rows.hit.where_(number(1.0 - self.smoothing + everywhere), number(everywhere)) * &shifted).sum_axes(&[rows.axis])
        };
        Ok(log_sum - expected - rows.known_log())
    }

    /// As [`CrossEntropy::by_index`] with a weight a class: the rows' sum over the sum of the targets' weights.
    #[track_caller]
    fn weighted(&self, logits: &Tensor, targets: &Tensor, weight: &[f32]) -> Result<Tensor, Tensor> {
        let rows = class_rows("cross_entropy", logits, targets)?;
        let weights = along(weight, logits, rows.axis, rows.classes)?;
        let (shifted, log_sum) = normalised(logits, rows.axis);
        let own = rows.hit.where_(&weights, 0.0);
        let wanted = if self.smoothing == 0.0 {
            own.clone()
        } else {
            let everywhere = self.smoothing / rows.classes as f64;
            &own * number(1.0 - self.smoothing) + &weights * number(everywhere)
        };
        let log_probabilities = shifted - log_sum.unsqueeze(rows.axis);
        // A class of weight 0 adds nothing, even beside a logit of minus infinity.
        let counted = wanted.eq(0.0).where_(0.0, log_probabilities);
        let losses = -(wanted * counted).sum_axes(&[rows.axis]) - rows.known_log();
        Ok(losses.sum() / own.sum())
    }

    /// `-sum(q * log_softmax)` for each row.
    #[track_caller]
    fn by_probability(&self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, Tensor> {
        let (axis, classes) = class_axis("cross_entropy", logits, targets)?;
        if targets.dtype() != DType::F32 || targets.shape() != logits.shape() {
            let message = format!(
                "targets {}{} beside logits {} are neither class indices (u32 or i32, {} without axis {axis}) nor probabilities (f32, of the same shape)",
                targets.dtype(),
                targets.shape(),
                logits.shape(),
                logits.shape()
            );
            return Err(fail("cross_entropy", message));
        }
        let wanted = if self.smoothing == 0.0 {
            targets.clone()
        } else {
            targets * number(1.0 - self.smoothing) + number(self.smoothing / classes as f64)
        };
        let wanted = match &self.weight {
            Some(weight) => wanted * along(weight, logits, axis, classes)?,
            None => wanted,
        };
        let log_probabilities = logits.log_softmax(axis);
        // 0 times minus infinity is NaN, and so would be its gradient.
        let counted = wanted.eq(0.0).where_(0.0, log_probabilities);
        Ok(-(wanted * counted).sum_axes(&[axis]))
    }
}

/// Weights of classes laid along the logits' class axis, of the logits' shape.
#[track_caller]
fn along(weight: &[f32], logits: &Tensor, axis: isize, classes: usize) -> Result<Tensor, Tensor> {
    check_weights(weight, classes).map_err(Tensor::invalid)?;
    let shape: Vec<usize> = (0..logits.rank()).map(|i| if i as isize == axis { classes } else { 1 }).collect();
    Ok(Tensor::new(weight, shape).expand(logits.shape()))
}

/// The logits less the row's largest, and the logarithm of the sum of their exponentials without the class axis.
#[track_caller]
fn normalised(logits: &Tensor, axis: isize) -> (Tensor, Tensor) {
    // The loss does not depend on the shift, so no gradient needs to flow through it.
    let shifted = logits - logits.detach().max_keep(&[axis]);
    let log_sum = shifted.exp().sum_axes(&[axis]).log();
    (shifted, log_sum)
}

/// Where the classes are, and which one each target names.
pub(crate) struct ClassRows {
    axis: isize,
    classes: usize,
    /// Whether a place along the class axis is the target's, a bool of the logits' shape.
    hit: Tensor,
    /// Whether the target names a class at all, a bool of the targets' shape.
    known: Tensor,
}

impl ClassRows {
    /// The class axis.
    pub(crate) fn axis(&self) -> isize {
        self.axis
    }

    /// The number of classes.
    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    /// Whether a target names a class at all, a bool of the targets' shape.
    pub(crate) fn known(&self) -> &Tensor {
        &self.known
    }

    /// 0 for targets that name a class, minus infinity for others, f32.
    #[track_caller]
    pub(crate) fn known_log(&self) -> Tensor {
        self.known.to(DType::F32).log()
    }
}

/// The class axis and its size, for logits that have one; the tensor that carries the mistake for others.
#[track_caller]
pub(crate) fn class_axis(op: &str, logits: &Tensor, targets: &Tensor) -> Result<(isize, usize), Tensor> {
    for t in [logits, targets] {
        if t.error().is_some() {
            return Err(t.clone());
        }
    }
    if !logits.dtype().is_float() {
        return Err(fail(op, format!("the logits are {}{}, not f32", logits.dtype(), logits.shape())));
    }
    let axis = usize::from(logits.rank() > 1);
    match logits.shape().get(axis) {
        Some(0) => Err(fail(op, format!("the logits {} have no classes", logits.shape()))),
        Some(&classes) => Ok((axis as isize, classes)),
        None => Err(fail(op, "the logits are a scalar, without a class axis")),
    }
}

/// Class indices laid out against logits.
#[track_caller]
pub(crate) fn class_rows(op: &str, logits: &Tensor, targets: &Tensor) -> Result<ClassRows, Tensor> {
    let (axis, classes) = class_axis(op, logits, targets)?;
    let rows: Vec<usize> = logits.shape().iter().enumerate().filter(|&(i, _)| i as isize != axis).map(|(_, &d)| d).collect();
    if !targets.dtype().is_int() || targets.shape()[..] != rows[..] {
        let message = format!(
            "targets {}{} beside logits {} are not class indices (u32 or i32, {rows:?})",
            targets.dtype(),
            targets.shape(),
            logits.shape()
        );
        return Err(fail(op, message));
    }
    // A negative index becomes a large one.
    let targets = targets.to(DType::U32);
    let hit = Tensor::iota(logits.shape(), axis).eq(targets.unsqueeze(axis));
    Ok(ClassRows { axis, classes, hit, known: targets.lt(classes.min(u32::MAX as usize) as u32) })
}

/// Each row's element at its target; 0 where the target names no class.
#[track_caller]
pub(crate) fn pick(rows: &ClassRows, values: &Tensor) -> Tensor {
    rows.hit.where_(values, 0.0).sum_axes(&[rows.axis])
}

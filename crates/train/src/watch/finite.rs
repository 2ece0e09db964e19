//! The first NaN or infinity of a step: which kernel stored it, and which operation made it.

use std::ops::ControlFlow;

use noyau_compile::Graph;
use noyau_compile::plan::{BufferId, Plan};
use noyau_cpu::Values;
use noyau_cpu::oracle::evaluate_with;
use noyau_tensor::{Array, At, DType, Op, Result, State};

use super::describe;

/// The elements of an array that are no numbers: how many, the first one's place and its value. Told by their bits, as a device stores them.
fn not_finite(array: &Array) -> Option<(usize, usize, f32)> {
    if !array.dtype().is_float() {
        return None;
    }
    let mut bad = array.words().iter().enumerate().filter(|(_, word)| *word & 0x7f80_0000 == 0x7f80_0000);
    let (place, word) = bad.next()?;
    Some((bad.count() + 1, place, f32::from_bits(*word)))
}

/// What is wrong with a buffer that a kernel stored to, in words; `None` if all is finite.
pub(super) fn fault(plan: &Plan, kernel: usize, id: BufferId, array: &Array) -> Option<String> {
    let (count, place, value) = not_finite(array)?;
    let kind = if value.is_nan() { "NaN" } else { "infinity" };
    Some(format!(
        "{} stored {kind} in {}: {count} of {} elements are no numbers, the first at {:?}",
        describe::kernel(plan, kernel),
        describe::buffer(plan, id),
        array.len(),
        describe::coordinate(plan, id, place)
    ))
}

/// The first operation of a step whose result f32 cannot hold: the step is computed once more in f64, operation by operation.
pub(super) fn first_operation(graph: &Graph, inputs: &[Values], states: &dyn Fn(&State) -> Values) -> Result<String> {
    let mut fault = None;
    evaluate_with(graph, inputs, states, &mut |id, values| {
        let node = graph.node(id);
        let bad = |x: &f64| x.is_nan() || x.abs() > node.dtype.max_finite();
        if !node.dtype.is_float() || matches!(node.op, Op::Full(_)) || !values.data.iter().any(bad) {
            return ControlFlow::Continue(());
        }
        let found = values.data.iter().copied().find(bad).unwrap_or(f64::NAN);
        let kind = match found {
            x if x.is_nan() => "NaN",
            x if x.is_infinite() => "infinity",
            _ => match node.dtype {
                DType::F16 => "a number too large for f16",
                DType::BF16 => "a number too large for bf16",
                DType::F32 | DType::I32 | DType::U32 | DType::Bool => "a number too large for f32",
            },
        };
        fault = Some(match &node.op {
            Op::Input(position) => format!("argument {position} was given with {kind} in it"),
            Op::State(state) => format!("`{}` had {kind} in it before the step", state.name()),
            op => format!("{op} of {}{} was the first operation to give {kind} ({})", node.dtype, node.shape, At(&node.location)),
        });
        ControlFlow::Break(())
    })?;
    Ok(fault.unwrap_or_else(|| "no single operation is at fault in exact arithmetic: rounding or a sum too large for f32".into()))
}

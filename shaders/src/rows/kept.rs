//! What each pass over a row computes, and what it takes over from passes before it.
//!
//! A pass needs what its reductions and stores are made of. An earlier pass may have computed that already: an invocation then keeps it in
//! variables instead of loading and computing it again, so that a row is read once. The rule knows nothing of softmax or norms: whatever is
//! needed again is kept, the latest value that has been there before rather than what it was made of.

use noyau_compile::plan::{Body, Instr, Level, ValueId};

/// One pass over a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// The inner values that it computes, in order.
    pub computed: Vec<usize>,
    /// Those that it takes from earlier passes.
    pub taken: Vec<usize>,
    /// Those that it computes and later ones take.
    pub kept: Vec<usize>,
}

/// What passes compute whose results are `roots`, the first pass' first. With `keep` values are taken over from pass to pass.
pub(super) fn passes(body: &Body, roots: &[Vec<ValueId>], keep: bool) -> Vec<Pass> {
    let inner = |i: usize| body.values[i].level == Level::Inner;
    let memory = from_memory(body);
    // In which pass a value was first computed.
    let mut made: Vec<Option<usize>> = vec![None; body.values.len()];
    let mut passes: Vec<Pass> = Vec::new();
    for (number, roots) in roots.iter().enumerate() {
        let mut needed = vec![false; body.values.len()];
        roots.iter().for_each(|root| needed[root.0] = true);
        let mut pass = Pass::default();
        for i in (0..needed.len()).rev().filter(|&i| inner(i)) {
            if !needed[i] {
                continue;
            }
            if let Some(earlier) = made[i].filter(|_| keep && memory[i]) {
                pass.taken.push(i);
                if !passes[earlier].kept.contains(&i) {
                    passes[earlier].kept.push(i);
                }
            } else {
                pass.computed.push(i);
                body.values[i].instr.operands().iter().for_each(|v| needed[v.0] = true);
            }
        }
        pass.computed.reverse();
        pass.taken.reverse();
        for &i in &pass.computed {
            made[i].get_or_insert(number);
        }
        passes.push(pass);
    }
    passes
}

/// Which values are made of what lies in memory, or of random numbers; the others are cheaper to make again than to keep.
fn from_memory(body: &Body) -> Vec<bool> {
    let mut memory: Vec<bool> = Vec::with_capacity(body.values.len());
    for value in &body.values {
        let own = matches!(value.instr, Instr::Load { .. } | Instr::Gather { .. } | Instr::Philox { .. });
        // A row's value is there for every pass anyhow.
        let made = value.instr.operands().iter().any(|v| memory[v.0] && body.values[v.0].level == Level::Inner);
        memory.push(own || made);
    }
    memory
}

/// The most values that are kept at a time.
pub(super) fn live(passes: &[Pass]) -> usize {
    let last = |value: &usize| passes.iter().rposition(|p| p.taken.contains(value)).unwrap_or(0);
    (0..passes.len()).map(|pass| passes[..=pass].iter().flat_map(|p| &p.kept).filter(|v| last(v) > pass).count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use noyau_compile::Index;
    use noyau_compile::plan::Value;
    use noyau_tensor::{BinaryOp, DType, ReduceOp, UnaryOp};

    use super::*;

    /// Softmax: x | max | x - max | exp | sum | quotient; what the last pass takes is the power, not x.
    #[test]
    fn a_softmax_reads_its_row_once() {
        let value = |instr, level| Value { instr, dtype: DType::F32, level };
        let (inner, outer) = (Level::Inner, Level::Outer);
        let body = Body {
            operands: Vec::new(),
            values: vec![
                value(Instr::Load { operand: 0, index: Index::identity(&[2, 8]) }, inner),
                value(Instr::Reduce(ReduceOp::Max, ValueId(0)), outer),
                value(Instr::Binary(BinaryOp::Sub, ValueId(0), ValueId(1)), inner),
                value(Instr::Unary(UnaryOp::Exp, ValueId(2)), inner),
                value(Instr::Reduce(ReduceOp::Sum, ValueId(3)), outer),
                value(Instr::Place(Index::identity(&[2, 8])), inner),
                value(Instr::Binary(BinaryOp::Div, ValueId(3), ValueId(4)), inner),
                value(Instr::Binary(BinaryOp::Mul, ValueId(6), ValueId(5)), inner),
            ],
            stores: Vec::new(),
        };
        let roots = [vec![ValueId(0)], vec![ValueId(3)], vec![ValueId(7)]];
        let kept = passes(&body, &roots, true);
        assert_eq!(kept[0], Pass { computed: vec![0], taken: vec![], kept: vec![0] });
        assert_eq!(kept[1], Pass { computed: vec![2, 3], taken: vec![0], kept: vec![3] });
        assert_eq!(kept[2], Pass { computed: vec![5, 6, 7], taken: vec![3], kept: vec![] });
        assert_eq!(live(&kept), 1);
        let again = passes(&body, &roots, false);
        assert_eq!(again[2].computed, [0, 2, 3, 5, 6, 7]);
        assert_eq!(live(&again), 0);
    }
}

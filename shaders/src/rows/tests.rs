//! Which buffers are asked for as vectors of four, and what is done with them.

use noyau_compile::plan::{Body, BufferId, Instr, Level, Loop, Store, Value, ValueId};
use noyau_compile::{Index, View};
use noyau_tensor::{BinaryOp, DType};

use super::{Rows, rows};
use crate::{Binding, Form, Layout};

const FOUR: Rows = Rows { vec4: true, ..Rows::ALONE };

/// `w += g` in place over `[6, 8]`, with the sum written once more through `other`.
fn update(other: Index) -> Loop {
    let value = |instr| Value { instr, dtype: DType::F32, level: Level::Outer };
    let index = Index::identity(&[6, 8]);
    let load = |operand| value(Instr::Load { operand, index: index.clone() });
    Loop {
        outer: vec![6, 8],
        inner: vec![],
        body: Body {
            operands: vec![BufferId(0), BufferId(1), BufferId(2)],
            values: vec![load(0), load(1), value(Instr::Binary(BinaryOp::Add, ValueId(0), ValueId(1)))],
            stores: vec![
                Store { value: ValueId(2), operand: 0, index: index.clone() },
                Store { value: ValueId(2), operand: 2, index: other },
            ],
        },
    }
}

#[test]
fn updates_in_place_are_whole_vectors() {
    let kernel = update(Index::identity(&[6, 8]));
    let mut buffers = FOUR.vec4_buffers(&kernel).expect("fits");
    buffers.sort();
    buffers.dedup();
    assert_eq!(buffers, [BufferId(0), BufferId(1), BufferId(2)]);
    let mut layout = Layout::default();
    for i in 0..3 {
        let binding = layout.bind(Binding { form: Form::Vec4, write: i != 1 });
        layout.place(BufferId(i), DType::F32, binding, 0);
    }
    let phase = rows(0, "update", &kernel, &layout, FOUR).expect("prints");
    assert!(phase.code.contains("let v1: vec4<f32> = b1[") && phase.code.contains("b0[("), "{}", phase.code);
    assert!(!phase.code.contains("& 3u"), "an element was taken out of a vector: {}", phase.code);
    assert_eq!(phase.work, crate::Work::Items(12));
}

/// Elements of one vector must not be written by different invocations: that buffer stays an array of numbers.
#[test]
fn what_is_stored_in_parts_is_no_array_of_vectors() {
    let turned = Index::from_view(View { shape: vec![6, 8], strides: vec![1, 6], offset: 0, mask: vec![] });
    let buffers = FOUR.vec4_buffers(&update(turned)).expect("fits");
    assert!(buffers.contains(&BufferId(0)) && buffers.contains(&BufferId(1)) && !buffers.contains(&BufferId(2)), "{buffers:?}");
}

/// Sizes and places that are no multiples of 4 are done one by one.
#[test]
fn what_does_not_lie_in_fours_is_left() {
    let value = |instr| Value { instr, dtype: DType::F32, level: Level::Outer };
    for (size, stride, offset) in [(10, 1, 0), (8, 1, 2), (8, -1, 7), (8, 3, 0)] {
        let index = Index::from_view(View { shape: vec![size], strides: vec![stride], offset, mask: vec![] });
        let body = Body {
            operands: vec![BufferId(0), BufferId(1)],
            values: vec![value(Instr::Load { operand: 0, index: index.clone() })],
            stores: vec![Store { value: ValueId(0), operand: 1, index }],
        };
        let kernel = Loop { outer: vec![size], inner: vec![], body };
        assert!(FOUR.vec4_buffers(&kernel).expect("fits").is_empty(), "{size} by {stride} from {offset}");
    }
}

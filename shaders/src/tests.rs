//! Every helper file and a broad sample of kernels, parsed and validated by naga: no GPU needed.

use std::panic::Location;
use std::sync::Arc;

use noyau_compile::plan::{Body, BufferId, Instr, Level, Loop, Scatter, Store, Value, ValueId};
use noyau_compile::{Index, View};
use noyau_tensor::{BinaryOp, DType, ReduceOp, Scalar, UnaryOp};

use crate::matmul::tests::product;
use crate::{
    Binding, Form, Layout, MERGED_GROUP, Means, Phase, Rows, Tile, Variant, Work, beside, helpers, in_turn, matmul, rows, scatter, turns,
};

#[track_caller]
pub(crate) fn validate(text: &str) {
    let caller = Location::caller();
    let module = naga::front::wgsl::parse_str(text).unwrap_or_else(|e| panic!("{caller}: {}\n{text}", e.emit_to_string(text)));
    let capabilities = naga::valid::Capabilities::default()
        | naga::valid::Capabilities::SUBGROUP
        | naga::valid::Capabilities::SHADER_FLOAT16
        | naga::valid::Capabilities::COOPERATIVE_MATRIX;
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE).subgroup_operations(naga::valid::SubgroupOperationSet::all());
    validator.validate(&module).unwrap_or_else(|e| panic!("{caller}: {}\n{text}", e.emit_to_string(text)));
}

pub(crate) const FORMS: [Form; 2] = [Form::Words, Form::Typed(DType::F32)];

/// Buffers 0.. of the given types, in one arena or each in a binding of its own.
pub(crate) fn layout(types: &[DType], arena: bool) -> Layout {
    let mut layout = Layout::default();
    if arena {
        let binding = layout.bind(Binding { form: Form::Words, write: true });
        types.iter().enumerate().for_each(|(i, &dtype)| layout.place(BufferId(i), dtype, binding, i * 64));
    } else {
        for (i, &dtype) in types.iter().enumerate() {
            let form = if dtype == DType::F16 { Form::Half } else { Form::Typed(dtype) };
            let binding = layout.bind(Binding { form, write: true });
            layout.place(BufferId(i), dtype, binding, 0);
        }
    }
    layout
}

pub(crate) fn value(instr: Instr, dtype: DType, level: Level) -> Value {
    Value { instr, dtype, level }
}

pub(crate) fn launch(phases: &[Phase], layout: &Layout) {
    for phase in phases {
        for group in [64, 256] {
            let group = if let Work::Groups { size, .. } = phase.work { size } else { group };
            validate(&beside(std::slice::from_ref(phase), layout, group).expect("fits").text);
        }
    }
    if phases.iter().all(|p| turns(p, MERGED_GROUP).is_some()) {
        validate(&in_turn(phases, layout, MERGED_GROUP, None).text);
    }
}

#[test]
fn helpers_stand_alone() {
    helpers::all().for_each(validate);
}

#[test]
fn every_op_of_every_type() {
    let unary = [
        UnaryOp::Neg,
        UnaryOp::Abs,
        UnaryOp::Sign,
        UnaryOp::Floor,
        UnaryOp::Ceil,
        UnaryOp::Round,
        UnaryOp::Sqrt,
        UnaryOp::Rsqrt,
        UnaryOp::Recip,
        UnaryOp::Exp,
        UnaryOp::Expm1,
        UnaryOp::Log,
        UnaryOp::Log1p,
        UnaryOp::Sin,
        UnaryOp::Cos,
        UnaryOp::Tanh,
        UnaryOp::Erf,
        UnaryOp::Relu,
        UnaryOp::Not,
    ];
    let binary = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Rem,
        BinaryOp::Pow,
        BinaryOp::Min,
        BinaryOp::Max,
        BinaryOp::Lt,
        BinaryOp::Le,
        BinaryOp::Eq,
        BinaryOp::Ne,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
        BinaryOp::Shl,
        BinaryOp::Shr,
    ];
    let types = [DType::F32, DType::F16, DType::BF16, DType::I32, DType::U32, DType::Bool];
    for (size, dtype, how) in types.iter().flat_map(|&dtype| [(10, dtype, Rows::ALONE), (12, dtype, Rows { vec4: true, ..Rows::ALONE })]) {
        let index = Index::identity(&[size]);
        let load = |operand| value(Instr::Load { operand, index: index.clone() }, dtype, Level::Outer);
        let made = unary.into_iter().filter(|op| op.accepts(dtype)).map(|op| (Instr::Unary(op, ValueId(0)), dtype));
        let made = made.chain(
            binary
                .into_iter()
                .filter(|op| op.accepts(dtype))
                .map(|op| (Instr::Binary(op, ValueId(0), ValueId(1)), if op.is_comparison() { DType::Bool } else { dtype })),
        );
        let made = made.chain(types.map(|to| (Instr::Cast(ValueId(0)), to)));
        for (instr, result) in made {
            let body = Body {
                operands: vec![BufferId(0), BufferId(1), BufferId(2)],
                values: vec![load(0), load(1), value(instr, result, Level::Outer)],
                stores: vec![Store { value: ValueId(2), operand: 2, index: index.clone() }],
            };
            for arena in [false, true] {
                let layout = layout(&[dtype, dtype, result], arena);
                let phase = rows(0, "op", &Loop { outer: vec![size], inner: vec![], body: body.clone() }, &layout, how).expect("prints");
                assert_eq!(phase.name.contains("vec4"), how.vec4, "{}", phase.name);
                launch(&[phase], &layout);
            }
        }
    }
}

#[test]
fn constants_views_and_the_rest() {
    let scalars = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, 1e-42, 0.1, 3.4028234663852886e38, -1.0, 1e20].map(Scalar::Float);
    let scalars = scalars.into_iter().chain([Scalar::Int(i32::MIN), Scalar::Int(-1), Scalar::Uint(u32::MAX), Scalar::Bool(true)]);
    let space = [4, 6];
    let masked = View { shape: vec![4, 6], strides: vec![-6, 1], offset: 18, mask: vec![(1, 4), (0, 5)] };
    let chain =
        Index::from_view(masked.clone()).then(&View { shape: vec![3, 8], strides: vec![1, 3], offset: -2, mask: vec![(1, 3), (0, 8)] });
    assert_eq!(chain.views().len(), 2);
    for scalar in scalars {
        let dtype = scalar.dtype();
        let body = Body {
            operands: vec![BufferId(0), BufferId(1)],
            values: vec![
                value(Instr::Const(scalar), dtype, Level::Outer),
                value(Instr::Valid(chain.clone()), DType::Bool, Level::Inner),
                value(Instr::Load { operand: 0, index: chain.clone() }, dtype, Level::Inner),
                value(Instr::Where(ValueId(1), ValueId(2), ValueId(0)), dtype, Level::Inner),
                value(Instr::Place(Index::from_view(masked.clone())), DType::U32, Level::Inner),
                value(Instr::Gather { operand: 0, index: chain.clone(), at: ValueId(4), stride: 2, len: 5 }, dtype, Level::Inner),
                value(Instr::Philox { stream: 7, index: ValueId(4), step: ValueId(4), seed: ValueId(4) }, DType::U32, Level::Inner),
                value(Instr::Binary(BinaryOp::Eq, ValueId(5), ValueId(3)), DType::Bool, Level::Inner),
                value(Instr::Reduce(ReduceOp::Max, ValueId(7)), DType::Bool, Level::Outer),
                value(Instr::Reduce(ReduceOp::Max, ValueId(6)), DType::U32, Level::Outer),
                value(Instr::Cast(ValueId(8)), DType::U32, Level::Outer),
                value(Instr::Binary(BinaryOp::Add, ValueId(9), ValueId(10)), DType::U32, Level::Outer),
            ],
            stores: vec![Store {
                value: ValueId(11),
                operand: 1,
                index: Index::from_view(View { shape: space.to_vec(), strides: vec![1, 0], offset: 0, mask: vec![] }),
            }],
        };
        let kernel = Loop { outer: vec![4], inner: vec![6], body };
        for arena in [false, true] {
            for how in ["alone", "alone-vec4-keep", "lanes-4", "lanes-64x64-vec4-keep", "across-64x64-vec4"]
                .map(|name| name.parse().expect("is a way"))
            {
                let layout = layout(&[dtype, DType::U32], arena);
                launch(&[rows(3, "rows", &kernel, &layout, how).expect("prints")], &layout);
            }
        }
    }
}

#[test]
fn scatters_in_parts_and_merged_with_others() {
    let kernel = Scatter { source: BufferId(0), index: BufferId(4), target: BufferId(2), before: 2, count: 20_001, size: 3, after: 5 };
    let layout = layout(&[DType::F32, DType::F32, DType::F32, DType::F32, DType::U32], true);
    let mut phases = scatter(0, "scatter", &kernel, &layout, u64::MAX).expect("prints");
    assert_eq!(phases.len(), 3);
    let owned = scatter(2, "scatter", &Scatter { size: 1000, ..kernel }, &layout, 64).expect("prints");
    assert!(owned.len() == 1 && owned[0].name.contains("8 owners"), "{}", owned[0].name);
    phases.extend(owned);
    phases.push(
        matmul(1, "product", &product(&[], [5, 6, 7], false, true), &layout, Variant::Registers { rows: 1, columns: 1 }, Means::default())
            .expect("prints")
            .remove(0),
    );
    launch(&phases, &layout);
}

#[test]
fn what_goes_beyond_32_bits_is_refused() {
    let layout = layout(&[DType::F32; 4], false);
    let kernel = product(&[], [1 << 17, 1 << 17, 4], false, false);
    let error = matmul(0, "product", &kernel, &layout, Variant::Tiled(Tile::new(64, 64)), Means::default()).expect_err("is too large");
    assert!(error.to_string().contains("32-bit"), "{error}");
    let far = Arc::new(View { shape: vec![1 << 20], strides: vec![1 << 20], offset: 0, mask: vec![] });
    let body = Body {
        operands: vec![BufferId(0), BufferId(1)],
        values: vec![value(Instr::Load { operand: 0, index: Index::from_view(View::clone(&far)) }, DType::F32, Level::Outer)],
        stores: vec![Store { value: ValueId(0), operand: 1, index: Index::identity(&[1 << 20]) }],
    };
    let error = rows(0, "far", &Loop { outer: vec![1 << 20], inner: vec![], body }, &layout, Rows::ALONE).expect_err("is too far");
    assert!(error.to_string().contains("32-bit"), "{error}");
}

/// Naga rounds a decimal to the nearest f32; browsers refuse one that is above the greatest f32, as its shortest decimal is.
#[test]
fn no_number_is_above_the_greatest_f32() {
    for value in [f32::MAX, f32::MIN, f32::MAX.next_down(), 1.5, f32::MIN_POSITIVE] {
        let text = crate::ops::literal(Scalar::Float(value.into()));
        let number: f64 = text.trim_end_matches('f').parse().expect("a number");
        assert!(number.abs() <= f64::from(f32::MAX) && number as f32 == value, "{value}: {text}");
    }
    assert!(!include_str!("wgsl/pow.wgsl").contains("3.4028235e38"));
}

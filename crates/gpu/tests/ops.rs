//! Every elementwise op at its edges, conversions, constants and random numbers, on every adapter.

mod support;

use noyau_compile::plan::{Instr, Level};
use noyau_compile::{Index, Plan};
use noyau_gpu::{Gpu, Tuning};
use noyau_tensor::{Array, BinaryOp, DType, Scalar, UnaryOp};
use support::{BodyBuilder, Builder, check, gpus};

const UNARY: [UnaryOp; 19] = [
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

const BINARY: [BinaryOp; 17] = [
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

/// Arguments where the function is finite, its edges among them.
fn arguments(op: UnaryOp) -> Vec<f32> {
    let all = [
        0.0, 0.25, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1e-3, -1e-3, 1e-6, 0.624, 0.626, -0.9, 3.0, -3.9, 7.5, -20.0, 42.0, 80.0, -80.0,
        1000.0, -1000.25,
    ];
    let positive = [1e-30, 1e-6, 0.1, 0.3, 0.5, 1.0, 1.0000001, 2.0, 9.0, 100.0, 1e10, 1e30];
    match op {
        UnaryOp::Neg
        | UnaryOp::Abs
        | UnaryOp::Sign
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Relu
        | UnaryOp::Not
        | UnaryOp::Sin
        | UnaryOp::Cos => all.to_vec(),
        UnaryOp::Tanh | UnaryOp::Erf => all.into_iter().chain([100.0, -100.0, 1e30, -1e30, 4.1, 9.9]).collect(),
        UnaryOp::Exp | UnaryOp::Expm1 => {
            vec![0.0, 1e-6, -1e-6, 1e-3, 0.49, 0.51, -0.49, -0.51, 1.0, -1.0, 10.0, -10.0, 80.0, -80.0, -200.0, -1e30]
        }
        UnaryOp::Sqrt => positive.into_iter().chain([0.0]).collect(),
        UnaryOp::Rsqrt | UnaryOp::Log => positive.to_vec(),
        UnaryOp::Recip => positive.into_iter().chain([-0.5, -1e6]).collect(),
        UnaryOp::Log1p => positive.into_iter().chain([0.0, 1e-8, -1e-8, -1e-3, -0.28, -0.3, -0.9, -0.999, 0.4, 0.42]).collect(),
    }
}

/// `out = f(in..)` over vectors.
fn elementwise(
    arrays: &[Array],
    result: DType,
    make: impl Fn(&mut BodyBuilder, &[noyau_compile::plan::ValueId]) -> noyau_compile::plan::ValueId,
) -> Plan {
    let mut builder = Builder::default();
    let shape = [arrays[0].len()];
    let inputs: Vec<_> = arrays.iter().map(|a| builder.input(&shape, a.dtype())).collect();
    let out = builder.slot(&shape, result);
    let mut body = BodyBuilder::default();
    let loaded: Vec<_> = inputs.iter().zip(arrays).map(|(&i, a)| body.load(i, Index::identity(&shape), a.dtype(), Level::Outer)).collect();
    let value = make(&mut body, &loaded);
    body.store(value, out, Index::identity(&shape));
    builder.looped("op", &shape, &[], body.body);
    builder.output(out);
    builder.finish()
}

fn test_unary(gpu: &Gpu, op: UnaryOp, array: Array, tolerance: f64) {
    let dtype = array.dtype();
    let plan = elementwise(std::slice::from_ref(&array), dtype, |body, v| body.push(Instr::Unary(op, v[0]), dtype, Level::Outer));
    eprintln!("{} {dtype}", op.name());
    check(gpu, &plan, &[array], &Tuning::default(), tolerance);
}

fn test_binary(gpu: &Gpu, op: BinaryOp, a: Array, b: Array, tolerance: f64) {
    let result = if op.is_comparison() { DType::Bool } else { a.dtype() };
    let arrays = [a, b];
    let plan = elementwise(&arrays, result, |body, v| body.push(Instr::Binary(op, v[0], v[1]), result, Level::Outer));
    eprintln!("{} {}", op.name(), arrays[0].dtype());
    check(gpu, &plan, &arrays, &Tuning::default(), tolerance);
}

fn vector<T: noyau_tensor::Element>(values: &[T]) -> Array {
    Array::new([values.len()], values).expect("one axis")
}

const INTS: [i32; 10] = [0, 1, -1, 2, -7, 100, i32::MAX, i32::MIN, i32::MIN + 1, 12345];
const UINTS: [u32; 8] = [0, 1, 2, 7, 100, u32::MAX, 1 << 31, 12345];

/// All pairs.
fn pairs<T: Copy>(values: &[T]) -> (Vec<T>, Vec<T>) {
    values.iter().flat_map(|&a| values.iter().map(move |&b| (a, b))).unzip()
}

#[test]
fn unary_ops() {
    for gpu in gpus() {
        for op in UNARY {
            if op.accepts(DType::F32) {
                test_unary(&gpu, op, vector(&arguments(op)), if matches!(op, UnaryOp::Exp | UnaryOp::Expm1) { 3e-5 } else { 1e-6 });
            }
            if op.accepts(DType::I32) {
                test_unary(&gpu, op, vector(&INTS), 0.0);
            }
            if op.accepts(DType::U32) {
                test_unary(&gpu, op, vector(&UINTS), 0.0);
            }
            if op.accepts(DType::Bool) {
                test_unary(&gpu, op, vector(&[false, true]), 0.0);
            }
        }
    }
}

/// Where a function is small, only its relative error says something.
#[test]
fn small_values_keep_their_digits() {
    for gpu in gpus() {
        for op in [UnaryOp::Expm1, UnaryOp::Log1p, UnaryOp::Tanh, UnaryOp::Erf, UnaryOp::Sin] {
            let array = vector(&[1e-7f32, -1e-7, 3e-5, -3e-5, 1e-3, -1e-3]);
            let plan = elementwise(std::slice::from_ref(&array), DType::F32, |body, v| {
                let y = body.push(Instr::Unary(op, v[0]), DType::F32, Level::Outer);
                body.push(Instr::Binary(BinaryOp::Div, y, v[0]), DType::F32, Level::Outer)
            });
            check(&gpu, &plan, &[array], &Tuning::default(), 1e-6);
        }
    }
}

#[test]
fn binary_ops() {
    let floats = [0.0f32, 1.0, -1.0, 0.5, -2.0, 3.0, 7.25, -100.5, 1e-3];
    for gpu in gpus() {
        for op in BINARY {
            let (mut a, mut b) = pairs(&floats);
            if matches!(op, BinaryOp::Div | BinaryOp::Rem) {
                (a, b) = a.into_iter().zip(b).filter(|p| p.1 != 0.0).unzip();
            }
            if op == BinaryOp::Rem {
                a.extend([1e6, 1e10, -1e10, 5.0, -5.0, 1e30]);
                b.extend([7.0, 3.0, 0.7, 5.0, 2.5, 1e-3]);
            }
            if op == BinaryOp::Pow {
                // A negative base takes whole exponents only; 0 to a negative power is infinite.
                (a, b) = a
                    .into_iter()
                    .zip(b)
                    .filter(|&(a, b)| (a > 0.0 || b == b.floor()) && (a != 0.0 || b >= 0.0))
                    .filter(|&(a, b)| (f64::from(b) * f64::from(a.abs()).ln()).abs() < 80.0)
                    .unzip();
                a.extend([2.0, 10.0, -3.0, -3.0, 0.9, 1.0, -1.0, -1.0]);
                b.extend([100.0, -30.0, 17.0, 18.0, 200.5, 1e30, 21.0, 22.0]);
            }
            if op.accepts(DType::F32) {
                test_binary(&gpu, op, vector(&a), vector(&b), if op == BinaryOp::Pow { 3e-5 } else { 1e-6 });
            }
            if op.accepts(DType::I32) {
                let (a, b) = pairs(&INTS);
                test_binary(&gpu, op, vector(&a), vector(&b), 0.0);
            }
            if op.accepts(DType::U32) {
                let (a, b) = pairs(&UINTS);
                test_binary(&gpu, op, vector(&a), vector(&b), 0.0);
            }
            if op.accepts(DType::Bool) {
                let (a, b) = pairs(&[false, true]);
                test_binary(&gpu, op, vector(&a), vector(&b), 0.0);
            }
        }
    }
}

#[test]
fn conversions() {
    let floats =
        [0.0f32, 0.9, -0.9, 1.5, -1.5, 2147483520.0, 2147483648.0, 4294967040.0, 4294967296.0, -2147483648.0, -1e20, 1e20, f32::NAN];
    for gpu in gpus() {
        for array in [vector(&floats), vector(&INTS), vector(&UINTS), vector(&[true, false])] {
            for to in [DType::F32, DType::I32, DType::U32, DType::Bool] {
                if array.dtype() == DType::F32 && !to.is_int() {
                    continue;
                }
                let plan = elementwise(std::slice::from_ref(&array), to, |body, v| body.push(Instr::Cast(v[0]), to, Level::Outer));
                check(&gpu, &plan, std::slice::from_ref(&array), &Tuning::default(), 1e-7);
            }
        }
    }
}

#[test]
fn constants_are_exact() {
    let values = [
        0.1,
        -0.0,
        1e-40,
        f64::from(f32::MAX),
        f64::from(f32::MIN_POSITIVE),
        1.0 / 3.0,
        -123456.789,
        16777216.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    for gpu in gpus() {
        let mut builder = Builder::default();
        let scalars: Vec<Scalar> = values
            .iter()
            .map(|&v| Scalar::Float(v))
            .chain([Scalar::Int(i32::MIN), Scalar::Int(-5), Scalar::Uint(u32::MAX), Scalar::Bool(true)])
            .collect();
        for &scalar in &scalars {
            let out = builder.slot(&[1], scalar.dtype());
            let mut body = BodyBuilder::default();
            let value = body.constant(scalar);
            body.store(value, out, Index::identity(&[1]));
            builder.looped("constant", &[1], &[], body.body);
            builder.output(out);
        }
        let mut loaded = support::load(&gpu, &builder.finish(), &Tuning::default()).expect("loads");
        loaded.executable.run().expect("runs");
        for (i, scalar) in scalars.iter().enumerate() {
            let got = pollster::block_on(loaded.executable.read(i)).expect("reads");
            let flushed = scalar.to_f64() != 0.0 && scalar.to_f64().abs() < f64::from(f32::MIN_POSITIVE) && got.words() == [0];
            assert!(flushed || got.words() == [scalar.to_word()], "{scalar} on {}: {:x?}", gpu.info(), got.words());
        }
    }
}

#[test]
fn random_numbers() {
    for gpu in gpus() {
        let arrays = [
            vector(&(0..300).map(|i: u32| i * 77_777).collect::<Vec<u32>>()),
            vector(&(0..300).collect::<Vec<u32>>()),
            vector(&[0xdead_beefu32; 300]),
        ];
        let plan = elementwise(&arrays, DType::U32, |body, v| {
            body.push(Instr::Philox { stream: 3, index: v[0], step: v[1], seed: v[2] }, DType::U32, Level::Outer)
        });
        check(&gpu, &plan, &arrays, &Tuning::default(), 0.0);
    }
}

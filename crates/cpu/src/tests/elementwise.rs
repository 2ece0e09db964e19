//! Every elementwise op and type, against the f64 definition.

use noyau_tensor::{BinaryOp, Scalar, UnaryOp};

use super::*;

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

const DTYPES: [DType; 4] = [DType::F32, DType::I32, DType::U32, DType::Bool];
const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

/// Values at which something may go wrong, and some ordinary ones.
fn words(dtype: DType) -> Vec<u32> {
    match dtype {
        DType::F16 | DType::BF16 => words(DType::F32).into_iter().map(|w| Scalar::new(f32::from_bits(w).into(), dtype).to_word()).collect(),
        DType::F32 => {
            let edges = [
                0.0,
                1e-45,
                1e-40,
                f32::MIN_POSITIVE,
                2e-8,
                6.1e-5,
                0.1,
                0.5,
                1.0,
                1.5,
                2.0,
                2.5,
                3.7,
                10.0,
                88.0,
                89.0,
                2049.0,
                65519.0,
                65520.0,
                1e9,
                1e30,
                f32::MAX,
                f32::INFINITY,
            ];
            edges.iter().flat_map(|&x| [x, -x]).chain([f32::NAN]).map(f32::to_bits).collect()
        }
        DType::I32 | DType::U32 => {
            vec![0, 1, 2, 3, 7, 31, 32, 33, 100, 12345, 1 << 30, i32::MAX as u32, i32::MIN as u32, u32::MAX, u32::MAX - 6]
        }
        DType::Bool => vec![0, 1],
    }
}

/// Which of an op's operands is one value for all.
const SCALARS: [(bool, bool); 3] = [(false, false), (false, true), (true, false)];

#[test]
fn unary_ops() {
    for op in UNARY {
        for dtype in DTYPES.into_iter().filter(|&d| op.accepts(d)) {
            // Lengths with and without a tail.
            for n in [1, 15, 16, 37, 64, 1500] {
                let mut b = Builder::default();
                let x = b.load(&[n], dtype, Index::identity(&[n]), Level::Outer);
                let y = b.value(Instr::Unary(op, x), dtype, Level::Outer);
                b.store(y, &[n], Index::identity(&[n]));
                let data: Vec<u32> = words(dtype).into_iter().cycle().take(n).collect();
                check_on(b.loop_plan(&[n], &[]), &[data, vec![0; n]], 3e-7, &format!("{op:?} {dtype} {n}"));
            }
        }
    }
}

#[test]
fn binary_ops() {
    for op in BINARY {
        for dtype in DTYPES.into_iter().filter(|&d| op.accepts(d)) {
            let all = words(dtype);
            let n = all.len() * all.len();
            let left: Vec<u32> = (0..n).map(|i| all[i / all.len()]).collect();
            let right: Vec<u32> = (0..n).map(|i| all[i % all.len()]).collect();
            let to = if op.is_comparison() { DType::Bool } else { dtype };
            let mut b = Builder::default();
            let x = b.load(&[n], dtype, Index::identity(&[n]), Level::Outer);
            let y = b.load(&[n], dtype, Index::identity(&[n]), Level::Outer);
            let z = b.value(Instr::Binary(op, x, y), to, Level::Outer);
            b.store(z, &[n], Index::identity(&[n]));
            check_on(b.loop_plan(&[n], &[]), &[left, right.clone(), vec![0; n]], 3e-7, &format!("{op:?} {dtype}"));
            for &word in &all {
                for (left, right_scalar) in SCALARS.into_iter().skip(1) {
                    let constant = match dtype {
                        DType::F32 | DType::F16 | DType::BF16 => Scalar::new(f32::from_bits(word).into(), dtype),
                        DType::I32 => Scalar::Int(word as i32),
                        DType::U32 => Scalar::Uint(word),
                        DType::Bool => Scalar::Bool(word != 0),
                    };
                    let mut b = Builder::default();
                    let x = b.load(&[n], dtype, Index::identity(&[n]), Level::Outer);
                    let y = b.value(Instr::Const(constant), dtype, Level::Outer);
                    let z =
                        b.value(if left && !right_scalar { Instr::Binary(op, y, x) } else { Instr::Binary(op, x, y) }, to, Level::Outer);
                    b.store(z, &[n], Index::identity(&[n]));
                    check_on(b.loop_plan(&[n], &[]), &[right.clone(), vec![0; n]], 3e-7, &format!("{op:?} {dtype} with {constant}"));
                }
            }
        }
    }
}

#[test]
fn casts() {
    let all = || DTYPES.into_iter().chain(FLOATS.into_iter().skip(1));
    for from in all() {
        for to in all() {
            let data = words(from);
            let n = data.len();
            let mut b = Builder::default();
            let x = b.load(&[n], from, Index::identity(&[n]), Level::Outer);
            let y = b.value(Instr::Cast(x), to, Level::Outer);
            b.store(y, &[n], Index::identity(&[n]));
            check_on(b.loop_plan(&[n], &[]), &[data, vec![0; n]], 0.0, &format!("{from} to {to}"));
        }
    }
}

/// Which operands of a choice vary along which directions changes the loop.
#[test]
fn choices_of_all_forms() {
    let (m, n) = (5, 40);
    let forms: [&[isize]; 4] = [&[40, 1], &[1, 0], &[0, 1], &[0, 0]];
    for c in forms {
        for x in forms {
            for y in forms {
                let mut b = Builder::default();
                let ids: Vec<ValueId> = [(c, DType::Bool), (x, DType::F32), (y, DType::F32)]
                    .into_iter()
                    .map(|(strides, dtype)| b.load(&[m * n], dtype, view(&[m, n], strides), Level::Outer))
                    .collect();
                let z = b.value(Instr::Where(ids[0], ids[1], ids[2]), DType::F32, Level::Outer);
                b.store(z, &[m, n], Index::identity(&[m, n]));
                check(b.loop_plan(&[m, n], &[]), 5, 0.0, &format!("where {c:?} {x:?} {y:?}"));
            }
        }
    }
}

#[test]
fn gathers() {
    // Rows by number, some out of range; one element of each row; through two views.
    for n in [1, 3, 40] {
        let mut b = Builder::default();
        let at = b.load(&[50], DType::U32, view(&[50, n], &[1, 0]), Level::Outer);
        let operand = b.operand(&[12 * n], DType::F32);
        let index = view(&[50, n], &[0, 1]);
        let rows = b.value(Instr::Gather { operand, index, at, stride: n, len: 12 }, DType::F32, Level::Outer);
        b.store(rows, &[50, n], Index::identity(&[50, n]));
        check(b.loop_plan(&[50, n], &[]), 11, 0.0, &format!("rows of {n}"));
    }
    let mut b = Builder::default();
    let at = b.load(&[50], DType::U32, Index::identity(&[50]), Level::Outer);
    let operand = b.operand(&[500], DType::F32);
    let one = b.value(Instr::Gather { operand, index: view(&[50], &[10]), at, stride: 1, len: 10 }, DType::F32, Level::Outer);
    b.store(one, &[50], Index::identity(&[50]));
    check(b.loop_plan(&[50], &[]), 12, 0.0, "one of each row");
    let mut b = Builder::default();
    let at = b.load(&[50], DType::U32, Index::identity(&[50]), Level::Outer);
    let operand = b.operand(&[100], DType::F32);
    let index = Index::identity(&[50]).then(&View { shape: vec![5, 10], strides: vec![1, 5], offset: -3, mask: vec![(1, 5), (0, 9)] });
    let index = index.then(&View { shape: vec![10, 5], strides: vec![1, 10], offset: 0, mask: vec![] });
    let chain = b.value(Instr::Gather { operand, index, at, stride: 50, len: 2 }, DType::F32, Level::Outer);
    b.store(chain, &[50], Index::identity(&[50]));
    check(b.loop_plan(&[50], &[]), 13, 0.0, "through two views");
}

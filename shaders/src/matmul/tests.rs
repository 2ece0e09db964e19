//! Every variant's text, parsed and validated; and every variant's name.

use noyau_compile::plan::{Body, BufferId, Instr, Level, Matmul, Matrix, Store, ValueId};
use noyau_compile::{Index, View};
use noyau_tensor::{BinaryOp, DType};

use crate::tests::{FORMS, launch, layout, value};
use crate::{Binding, Form, Layout, Means, Scratch, Tile, Variant, matmul};

/// `[m, k] x [k, n]` of buffers 0 and 1 into 2, with a bias added.
pub(crate) fn product(batch: &[usize], [m, n, k]: [usize; 3], ta: bool, tb: bool) -> Matmul {
    let space: Vec<usize> = batch.iter().copied().chain([m, n]).collect();
    let mut across = vec![0; space.len()];
    across[space.len() - 1] = 1;
    let bias = Index::from_view(View { shape: space.clone(), strides: across, offset: 0, mask: vec![] });
    let matrix = |buffer, rows: usize, columns: usize, transposed| {
        let (row_stride, column_stride) = if transposed { (1, rows) } else { (columns, 1) };
        let batch: Vec<(usize, usize)> =
            batch.iter().enumerate().map(|(i, &size)| (size, if i == 0 { 0 } else { rows * columns })).collect();
        Matrix::strided(BufferId(buffer), 0, &batch, (rows, row_stride), (columns, column_stride))
    };
    let body = Body {
        operands: vec![BufferId(3), BufferId(2)],
        values: vec![
            value(Instr::Product, DType::F32, Level::Outer),
            value(Instr::Load { operand: 0, index: bias }, DType::F32, Level::Outer),
            value(Instr::Binary(BinaryOp::Add, ValueId(0), ValueId(1)), DType::F32, Level::Outer),
        ],
        stores: vec![Store { value: ValueId(2), operand: 1, index: Index::identity(&space) }],
    };
    Matmul { batch: batch.to_vec(), m, n, k, a: matrix(0, m, k, ta), b: matrix(1, k, n, tb), body }
}

/// Variants of every kind, each number at its ends.
fn variants() -> Vec<Variant> {
    let mut variants = vec![
        Variant::Registers { rows: 1, columns: 1 },
        Variant::Registers { rows: 4, columns: 8 },
        Variant::Split { rows: 2, columns: 2, lanes: 32 },
        Variant::Split { rows: 1, columns: 1, lanes: 256 },
        Variant::Subgroup { rows: 8, columns: 2 },
        Variant::Subgroup { rows: 16, columns: 4 },
        Variant::Vector { count: 1 },
        Variant::Vector { count: 8 },
    ];
    let tiles = [(32, 32), (64, 32), (64, 128), (128, 64), (128, 128)];
    let ways = [(8, false, 1), (16, false, 1), (16, true, 1), (32, false, 3), (8, true, 64)];
    let tiles = tiles.into_iter().zip(ways).chain(ways.map(|way| ((64, 64), way)));
    for ((rows, columns), (depth, double, parts)) in tiles {
        let tile = Tile { rows, columns, depth, double, parts };
        variants.push(Variant::Tiled(tile));
        for size in [8, 16].into_iter().filter(|size| depth % size == 0 && depth < 32) {
            variants.push(Variant::Coop { size, tile: Tile { double: false, ..tile } });
        }
    }
    variants
}

const SCRATCH: BufferId = BufferId(9);

#[test]
fn every_variant_of_the_product() {
    for variant in variants() {
        for (t, (ta, tb)) in [(false, false), (false, true), (true, false), (true, true)].into_iter().enumerate() {
            let all = [(&[][..], [64, 128, 32]), (&[2, 3], [13, 7, 5]), (&[1], [4, 4, 0]), (&[], [1, 1, 1]), (&[2], [600, 1204, 36])];
            for (batch, sizes) in [all[t], all[(t + 1) % 4], all[4]] {
                let kernel = product(batch, sizes, ta, tb);
                let scratch = variant.parts() > 1;
                let means = |subgroup| Means { subgroup, scratch: scratch.then_some(Scratch(SCRATCH)), singles: t == 1 };
                let means = means(Some(if matches!(variant, Variant::Coop { .. }) { 32 } else { 8 }));
                let half = matches!(variant, Variant::Coop { .. });
                if !half {
                    for form in FORMS {
                        let mut layout = layout(&[DType::F32; 4], form == Form::Words);
                        if scratch {
                            let binding = layout.bind(Binding { form, write: true });
                            layout.place(SCRATCH, DType::F32, binding, 0);
                        }
                        launch(&matmul(1, "product", &kernel, &layout, variant, means).expect("prints"), &layout);
                    }
                }
                let fours = variant.vec4(&kernel, means);
                for dtype in [DType::F32, DType::F16] {
                    let mut four = Layout::default();
                    for i in 0..5 {
                        let id = if i == 4 { SCRATCH } else { BufferId(i) };
                        let dtype = if i < 2 { dtype } else { DType::F32 };
                        let form = match (dtype, fours.contains(&id)) {
                            (DType::F16, true) => Form::HalfVec4,
                            (DType::F16, false) => Form::Half,
                            (_, true) => Form::Vec4,
                            _ => Form::Typed(DType::F32),
                        };
                        let binding = four.bind(Binding { form, write: i == 2 || i == 4 });
                        four.place(id, dtype, binding, 0);
                    }
                    launch(&matmul(1, "product", &kernel, &four, variant, means).expect("prints"), &four);
                }
            }
        }
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for variant in variants() {
        let name = variant.to_string();
        assert_eq!(name.parse::<Variant>().unwrap_or_else(|e| panic!("{name}: {e}")), variant);
    }
    let tile = Tile { rows: 64, columns: 32, depth: 8, double: true, parts: 4 };
    assert_eq!(Variant::Tiled(tile).to_string(), "tiled-64x32x8-double-k4");
    assert_eq!(Variant::Coop { size: 16, tile: Tile::new(64, 64) }.to_string(), "coop-16-64x64");
    for wrong in [
        "",
        "tiled",
        "tiled-",
        "tiled-64",
        "tiled-64x",
        "tiled-64x65",
        "tiled-+64x64",
        "tiled-64x64x7",
        "tiled-64x64-k1",
        "tiled-64x64-k65",
        "tiled-64x64-double-double",
        "tiled-64x64x8x8",
        "vector-0",
        "vector-9",
        "registers-9x1",
        "registers-0x1",
        "split-2x2",
        "split-2x2-48",
        "split-2x2-512",
        "coop-16-64x64x8",
        "coop-4-64x64",
        "coop-16-64x64-double",
        "subgroup-0x1",
        "Tiled-64x64",
        "tiled-064x64",
        " vector-1",
    ] {
        let error = wrong.parse::<Variant>().expect_err(wrong).to_string();
        assert!(error.contains(&format!("{wrong:?}")) && error.contains("registers-RxC") && error.contains("vector-N"), "{error}");
    }
}

#[test]
fn parts_of_sums_need_memory() {
    let kernel = product(&[], [64, 64, 640], false, false);
    let variant: Variant = "tiled-64x64-k4".parse().expect("is one");
    assert_eq!(variant.scratch_words(&kernel), 64 * 64 * 4);
    let error = matmul(0, "product", &kernel, &layout(&[DType::F32; 4], false), variant, Means::default()).expect_err("there is none");
    assert!(error.to_string().contains("memory for its parts"), "{error}");
}

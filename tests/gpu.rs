//! The case list on every GPU there is: each result against the oracle's.

mod cases;
mod support;

use cases::Grads;
use noyau::{Array, Param, Session};
use support::by_device;
use support::checks::{check, compare, results};
use support::gpus::{self, Gpu, Kind};

#[test]
fn census() {
    gpus::census();
}

#[test]
fn lavapipe_agrees_with_the_oracle() {
    gpus::each(Kind::Lavapipe, fused);
}

#[test]
fn swiftshader_agrees_with_the_oracle() {
    gpus::each(Kind::SwiftShader, fused);
}

#[test]
fn mesa_gl_agrees_with_the_oracle() {
    gpus::each(Kind::MesaGl, fused);
}

#[test]
fn other_gpus_agree_with_the_oracle() {
    gpus::each(Kind::Other, fused);
}

#[test]
fn unfused_agrees_with_the_oracle() {
    // One kernel an operation makes many pipelines: every seventh case, another seventh on each GPU.
    gpus::every(|gpu| {
        let mut count = gpu.kind as usize;
        check(&format!("{} unfused = oracle", gpu.name), |case| {
            count += 1;
            if case.ieee || !count.is_multiple_of(7) {
                return None;
            }
            let built = case.build();
            Some(compare(case, &built, by_device(&gpu.device, false, &results(&built)).map(|(values, _)| values)))
        });
    });
}

/// Ways in which the rows of a loop can be shared out, as `NOYAU_ROWS` takes them. What a device lacks is done without.
const WAYS: [&str; 7] = [
    "alone",
    "alone-vec4-keep",
    "lanes-8x64-keep",
    "lanes-32-vec4-keep-subgroup",
    "lanes-256-vec4-keep-subgroup",
    "across-8-vec4-keep",
    "across-32",
];

/// This program again, with a way of computing asked for by name, on some tests: the environment belongs to the whole process.
fn in_a_way(variable: &str, way: &str, cases: &str, tests: &[&str]) -> (bool, String) {
    let program = std::env::current_exe().expect("the program that runs");
    let mut command = std::process::Command::new(program);
    command.args(tests).args(["--exact", "--test-threads=1", "--nocapture"]).env(variable, way).env("NOYAU_CASE", cases);
    let output = command.output().expect("runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), text.concat())
}

/// Fails where a run on every GPU did not pass, or tried fewer than `least` cases on each.
fn passed(way: &str, (passed, text): (bool, String), least: usize) {
    let before = |line: &str| line.split(" tried").next()?.rsplit(' ').next()?.parse::<usize>().ok();
    let tried: usize = text.lines().filter(|line| line.contains(" tried")).filter_map(before).sum();
    // A part of the list that no case belongs to would pass as well.
    let enough = tried >= least * gpus::all().len();
    assert!(passed && enough && text.contains("4 passed"), "{way}, {tried} cases: {text}");
}

const ON_EVERY_GPU: [&str; 4] = [
    "lavapipe_agrees_with_the_oracle",
    "swiftshader_agrees_with_the_oracle",
    "mesa_gl_agrees_with_the_oracle",
    "other_gpus_agree_with_the_oracle",
];

#[test]
fn rows_done_in_every_way_agree_with_the_oracle() {
    let _turn = gpus::turn();
    for way in WAYS {
        passed(way, in_a_way("NOYAU_ROWS", way, "softmax|layer norm|batch norm|group norm|pooling|sum over", &ON_EVERY_GPU), 50);
    }
}

/// Variants of matrix products, as `NOYAU_MATMUL` takes them: every kind, every shape of tile, sums in parts. Where a device or a product cannot have one, it is
/// done without.
const VARIANTS: [&str; 24] = [
    "registers-1x1",
    "registers-4x4",
    "registers-2x8",
    "split-1x1-256",
    "split-2x2-64",
    "subgroup-8x1",
    "subgroup-16x4",
    "vector-1",
    "vector-2",
    "vector-8",
    "tiled-128x128",
    "tiled-128x128x8-double",
    "tiled-128x64",
    "tiled-64x128-double",
    "tiled-64x64",
    "tiled-64x64x8-double",
    "tiled-64x32",
    "tiled-32x64",
    "tiled-32x128-double",
    "tiled-32x32",
    "tiled-32x32-k4",
    "tiled-64x64x8-double-k16",
    "coop-8-32x32",
    "coop-16-64x64x32",
];

#[test]
fn products_in_every_variant_agree_with_the_oracle() {
    let _turn = gpus::turn();
    // Compiling is what takes the time: each variant has one of these, in turn.
    let cases = [
        "matmul of 130 x 260 x 70|conv2d, two groups, strided",
        "conv2d, bias and relu|half f16 matmul,",
        "layer: attention, causal|matmul of 33 x 1000 x 7|half f16 matmul [",
    ];
    for (v, variant) in VARIANTS.into_iter().enumerate() {
        passed(variant, in_a_way("NOYAU_MATMUL", variant, cases[v % cases.len()], &ON_EVERY_GPU), 1);
    }
}

/// A name that does not exist, asked for by the environment, is an error that lists names that do.
fn told(variable: &str, wrong: &str, right: &str) {
    if gpus::all().is_empty() {
        return;
    }
    let _turn = gpus::turn();
    let (passed, text) = in_a_way(variable, wrong, "no case", &["census"]);
    assert!(!passed && text.contains(wrong) && text.contains(right) && text.contains(variable), "{text}");
}

#[test]
fn a_variant_that_does_not_exist_is_told_which_do() {
    told("NOYAU_MATMUL", "tiled-7x7", "tiled-64x64");
}

#[test]
fn a_way_that_does_not_exist_is_told_which_do() {
    told("NOYAU_ROWS", "lanes-7", "alone-vec4-keep");
}

/// WGSL says nothing of NaN and infinity; noyau's functions do where a training that goes wrong must show it.
#[test]
fn what_has_no_value_is_not_a_number_on_any_gpu() {
    gpus::every(|gpu| {
        let session = Session::new(gpu.device.clone());
        let x = Param::from_array("x", Array::new([4], &[-1.5f32, -3e38, f32::NEG_INFINITY, f32::NAN]).expect("four values"));
        let half = Param::scalar("half", 0.5);
        let nans = [
            ("log", x.log()),
            ("log1p", x.log1p()),
            ("sqrt", x.sqrt()),
            ("pow", x.pow(&half)),
            ("mul", &x * 0.0 + x.sqrt()),
            ("log_softmax", x.log().log_softmax(0)),
        ];
        for (name, tensor) in nans {
            let found = session.eval(&tensor).expect("it runs").to_f64();
            assert!(found.iter().all(|v| v.is_nan()), "{}: {name}: {found:?}", gpu.name);
        }
        let zeros = Param::from_array("zeros", Array::new([2], &[0.0f32, -0.0]).expect("two values"));
        assert_eq!(session.eval(&zeros.log()).expect("it runs").to_f64(), [f64::NEG_INFINITY; 2], "{}", gpu.name);
        assert!(session.eval(&x.sum()).expect("it runs").item().is_nan(), "{}", gpu.name);
    });
}

fn fused(gpu: &Gpu) {
    check(&format!("{} = oracle", gpu.name), |case| {
        // Where NaN or infinity occurs, WGSL says nothing.
        if case.ieee {
            return None;
        }
        let built = case.build();
        assert!(case.grads == Grads::None || !built.gradients.is_empty(), "{} asks for gradients and has none", case.name);
        Some(compare(case, &built, by_device(&gpu.device, true, &results(&built)).map(|(values, _)| values)))
    });
}

//! The report as a program: what it prints, and how it ends.

use std::path::Path;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_noyau-bench")).args(arguments).env_remove("NOYAU_DEVICE").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A figure's fields, from a line of `--json`.
fn field(line: &str, name: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(line).unwrap()[name].clone()
}

#[test]
fn a_quick_run_gives_lines_a_picture_and_a_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("roofline.svg");
    let arguments =
        ["--quick", "--device", "cpu", "--json", "--svg", svg.to_str().unwrap(), "w4-steps", "softmax-16384x64", "matmul-64x64x64"];
    let output = bench(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let found: Vec<&str> = lines.lines().filter(|line| field(line, "workload") == "w4-steps").collect();
    let [line] = found[..] else { panic!("{lines}") };
    for name in ["median", "min", "max", "of_ceiling"] {
        assert!(field(line, name).as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!((field(line, "unit"), field(line, "device")), ("steps/s".into(), "cpu".into()));
    for name in
        ["w4-steps-loss-read", "softmax-16384x64", "log-softmax-16384x64", "matmul-64x64x64-nn", "ceiling-fma", "ceiling-copy-256MiB"]
    {
        assert!(lines.lines().any(|line| field(line, "workload") == name), "{name}: {lines}");
    }
    // People's lines go elsewhere.
    assert!(text(&output.stderr).contains("launches a step, of 12 kernels"), "{}", text(&output.stderr));
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.contains("w4-steps-loss-read") && picture.contains("softmax-16384x64"));

    // Beside a past that was a thousand times as fast, everything got slower, and beside one that was a thousand times as slow, faster.
    for (factor, code, word) in [(1e3, 1, "slower w4-steps on cpu"), (1e-3, 0, "faster w4-steps on cpu")] {
        let old = folder.path().join("old.json");
        let scaled = |name: &str| field(line, name).as_f64().unwrap() * factor;
        let (median, min, max) = (scaled("median"), scaled("min"), scaled("max"));
        let past = format!(
            r#"{{"workload":"w4-steps","device":"cpu","median":{median},"min":{min},"max":{max},"unit":"steps/s","of_ceiling":0.1}}"#
        );
        std::fs::write(&old, past).unwrap();
        let output = bench(&["--quick", "--device", "cpu", "w4-steps", "--compare", old.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stdout));
        assert!(text(&output.stdout).contains(word), "{}", text(&output.stdout));
    }
}

#[test]
fn mistakes_end_with_two_and_say_what_would_do() {
    for (arguments, words) in [
        (&["--quick", "w7"][..], "`w7` is no part of the name of a workload or kernel; --list says what there is"),
        (&["--device", "gpu:77", "w4"], "--device gpu:77: there is no such GPU"),
        (&["--compare", "/nowhere.json", "w4"], "/nowhere.json: cannot be read"),
        (&["--device", "abacus"], "write auto, cpu, gpu or gpu:N"),
    ] {
        let output = bench(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn the_list_has_workloads_and_kernels() {
    let list = text(&bench(&["--list"]).stdout);
    for name in ["w2-b128-first-step", "w6-layernorm", "attention-grad-8x512x64", "update-adam-100x10000"] {
        assert!(list.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn a_first_step_is_that_of_a_fresh_process() {
    assert!(Path::new(noyau_bench::workloads::DATA).exists());
    let output = bench(&["--quick", "--device", "cpu", "w2-b128-first-step", "w2-peak-memory", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let of = |name: &str| {
        lines.lines().find(|line| field(line, "workload") == name).map(|line| (field(line, "unit"), field(line, "of_ceiling")))
    };
    assert_eq!(of("w2-b128-first-step"), Some(("ms".into(), serde_json::Value::Null)));
    assert!(!cfg!(target_os = "linux") || of("w2-peak-memory") == Some(("MiB".into(), serde_json::Value::Null)));
}

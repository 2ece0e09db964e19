//! The list of operations in `docs/ONNX.md` is that of the code. `NOYAU_BLESS=1` writes it anew.
//!
//! `operations.txt` has a line for each of ONNX's own operations: its versions, and how many of ONNX's cases of single nodes pass on the CPU, of how many
//! (`scripts/onnx_cases --table`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- begin of operations -->\n";
const END: &str = "<!-- end of operations -->";

fn table() -> String {
    let known: BTreeMap<&str, Vec<&str>> = include_str!("operations.txt")
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            (words.next().expect("a name"), words.collect())
        })
        .collect();
    let mut lines = vec!["| Operation | Versions | Cases passed | Limits |".to_string(), "|---|---|---:|---|".to_string()];
    let mut sum = [0, 0];
    for op in noyau_onnx::supported() {
        let [versions, passed, all] = known[op][..] else { panic!("{op}: {:?}", known[op]) };
        let cases = if all == "0" { "none".into() } else { format!("{passed} of {all}") };
        sum[0] += passed.parse::<usize>().expect("a number");
        sum[1] += all.parse::<usize>().expect("a number");
        lines.push(format!("| {op} | {} | {cases} | {} |", versions.replace(',', ", "), noyau_onnx::limits(op).unwrap_or("")));
    }
    lines.push(format!("| {} operations | | {} of {} | |", noyau_onnx::supported().len(), sum[0], sum[1]));
    lines.join("\n") + "\n"
}

#[test]
fn the_page_has_the_operations_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ONNX.md");
    let page = fs::read_to_string(&path).expect("docs/ONNX.md");
    let (before, rest) = page.split_once(BEGIN).expect("the begin of the operations");
    let (kept, after) = rest.split_once(END).expect("the end of the operations");
    let table = table();
    if std::env::var_os("NOYAU_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("docs/ONNX.md can be written");
        return;
    }
    let lines = table.lines().zip(kept.lines().chain(std::iter::repeat("")));
    for (new, old) in lines {
        assert_eq!(new, old, "NOYAU_BLESS=1 writes the list anew");
    }
    assert_eq!(table.len(), kept.len());
}

/// A limit is one of an operation that is there.
#[test]
fn limits_are_of_operations_that_are_supported() {
    let limited = noyau_onnx::supported().into_iter().filter(|op| noyau_onnx::limits(op).is_some()).count();
    assert!(limited > 20, "{limited}");
    assert_eq!(noyau_onnx::limits("Frobnicate"), None);
    let mut sorted = noyau_onnx::supported();
    sorted.dedup();
    assert_eq!(sorted, noyau_onnx::supported(), "an operation is there twice");
}

//! The page: every case's code and message.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use noyau::prelude::Device;

use crate::case::{Case, Section};

const HEAD: &str = "# What noyau says to bad input

This page is made by `tests/bad_inputs.rs`, which runs every piece of code below and compares; `NOYAU_BLESS=1 cargo test --all-features --test bad_inputs` writes it anew.

An error says **what** was asked and what was found, **where** (the line of your program, the file and the place in it, the name of the option), and
**what to do** or what would be right. Building tensors never panics: a mistake becomes a tensor that carries its error, and whoever evaluates or
compiles it is told. In the messages below `main.rs:2` is the second line of the code above it. To react to a kind of error, match on `noyau::Error`.
";

/// The page; `faults` are the cases whose message does not say what it should.
pub fn write(sections: &[Section], root: &Path, faults: &mut Vec<String>) -> String {
    let mut page = String::from(HEAD);
    let mut number = 0;
    for section in sections {
        write!(page, "\n## {}\n\n{}\n", section.title, section.words).unwrap();
        for case in &section.cases {
            number += 1;
            let (code, first) = code(case, root);
            let message = match case.message() {
                // The number of threads is this machine's.
                Ok(message) => as_in_main(&message, case, first).replace(&Device::cpu().adapter(), "CPU, 8 threads"),
                Err(instead) => {
                    faults.push(format!("{}: {instead}\n{code}\n", case.title));
                    continue;
                }
            };
            let [what, place, remedy] = case.parts;
            for (name, part) in [("what is wrong", what), ("where", place), ("what to do", remedy)] {
                if part.is_empty() || !message.contains(part) {
                    faults.push(format!("{}: {name}: {part:?} is not in\n{message}\n", case.title));
                }
            }
            let shown = match case.cut.and_then(|cut| message.find(cut).map(|at| at + cut.len())) {
                Some(end) => format!("{}...", &message[..end]),
                None => message,
            };
            write!(page, "\n### {number}. {}\n\n```rust\n{code}\n```\n```text\n{shown}\n```\n", case.title).unwrap();
        }
    }
    page
}

/// The case's code as it stands in its file, and the number of its first line.
fn code(case: &Case, root: &Path) -> (String, u32) {
    let file = fs::read_to_string(root.join(case.file)).unwrap();
    let mut lines = (1..).zip(file.lines()).skip(case.line as usize - 1).skip_while(|(_, line)| line.trim() != "code: {");
    let (opening, line) = lines.next().expect("`code: {` stands on a line of its own");
    let indent = line.len() - line.trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    let body: Vec<&str> =
        lines.map(|(_, line)| line).take_while(|line| *line != end).map(|line| line.get(indent + 4..).unwrap_or("")).collect();
    (body.join("\n"), opening + 1)
}

/// The message with the program's lines counted from the first one of the code.
fn as_in_main(message: &str, case: &Case, first: u32) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(case.file) {
        let behind = rest[at + case.file.len()..].trim_start_matches(':');
        let digits = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let line: u32 = behind[..digits].parse().unwrap_or(0);
        // What a case's helper writes is not on the page; 0 is none of its lines, so no case can ask for it.
        write!(out, "{}main.rs:{}", &rest[..at], (line + 1).saturating_sub(first)).unwrap();
        rest = &behind[digits..];
    }
    out + rest
}

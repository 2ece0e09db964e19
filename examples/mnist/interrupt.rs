//! Ctrl-C, and how to go on after it.

use std::io::{Write, stderr};

use anyhow::Context;
use noyau::prelude::*;

/// The exit code of a program that an interrupt has ended: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// A flag that the first Ctrl-C raises; once it is raised, the next ends the program at once.
pub fn flag() -> anyhow::Result<StopFlag> {
    let flag = StopFlag::new();
    let raised = flag.clone();
    let handler = move || {
        if raised.is_raised() {
            std::process::exit(INTERRUPTED);
        }
        raised.raise();
        let _ = writeln!(stderr(), "stopping after this step; Ctrl-C once more ends at once");
    };
    ctrlc::set_handler(handler).context("cannot listen for Ctrl-C")?;
    Ok(flag)
}

/// The command that goes on where this one was stopped, as a shell takes it.
pub fn command() -> String {
    let mut words: Vec<String> = std::env::args_os().map(|word| quoted(&word.to_string_lossy())).collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".into());
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c) || (cfg!(windows) && c == '\\');
    match word {
        _ if !word.is_empty() && word.chars().all(plain) => word.into(),
        _ if cfg!(windows) => format!("\"{word}\""),
        _ => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

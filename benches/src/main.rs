//! The roofline report: `cargo run --release -p noyau-bench -- --help`.

use std::io::{ErrorKind, Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use noyau_bench::options::Options;
use noyau_bench::report;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(message) => {
            // --help comes this way too.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match report::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        // Something got slower.
        Ok(false) => ExitCode::FAILURE,
        // Whoever read the output has seen enough.
        Err(error) if error.chain().any(|e| e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

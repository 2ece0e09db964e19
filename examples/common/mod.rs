//! What all examples share: options in, lines and errors out.

use std::io::{ErrorKind, Write, stderr};
use std::process::ExitCode;

use clap::Parser;

/// `println!` that gives an error where that panics: in `mnist | head -3`, for one. Needs a function that returns a `Result`.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($text)*)?
    }};
}

/// Parses the options and runs the program: an error becomes one line on stderr and exit code 1.
pub fn start<O: Parser>(run: impl FnOnce(O) -> anyhow::Result<()>) -> ExitCode {
    let options = match O::try_parse() {
        Ok(options) => options,
        Err(message) => {
            // --help comes this way too.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(error) if error.chain().any(is_closed_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

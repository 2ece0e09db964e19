//! `cargo xtask ..`: what the project does beside cargo.
//!
//! In this order: [`wasm`] builds for browsers, [`playground`] makes the playground's folder of it, [`serve`] shows that to a browser of this machine.

#![forbid(unsafe_code)]

mod playground;
mod serve;
mod wasm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What the project does beside cargo")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds the playground and serves it on this machine
    Playground {
        /// The port on 127.0.0.1; 0 takes a free one
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Where the page's files go: a folder that any web server can show
        #[arg(long, default_value = "target/playground")]
        out: PathBuf,
        /// Builds only
        #[arg(long)]
        no_serve: bool,
        /// Serves what was built before; the page's own files are the present ones
        #[arg(long, conflicts_with = "no_serve")]
        no_build: bool,
    },
    /// Builds the library for browsers (wasm32), to see that it does
    Library,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository");
    match task {
        Task::Library => wasm::build(root, "noyau").map(drop),
        Task::Playground { port, out, no_serve, no_build } => {
            let (web, out) = (root.join("crates/playground/web"), root.join(out));
            if !no_build {
                playground::build(root, &web, &out)?;
            }
            if no_serve { Ok(()) } else { serve::serve(&[web, out], port) }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder that goes when the test ends.
    pub struct Folder(pub PathBuf);

    impl Folder {
        /// A folder of this test with these files in it.
        pub fn with(test: &str, files: &[(&str, &str)]) -> Folder {
            let folder = Folder(std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id())));
            for (name, text) in files {
                let path = folder.0.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            folder
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn arguments_are_as_the_help_says() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let Task::Playground { port, no_serve, .. } = Arguments::parse_from(["xtask", "playground"]).task else { unreachable!() };
        assert_eq!((port, no_serve), (8080, false));
        assert!(Arguments::try_parse_from(["xtask", "playground", "--no-serve", "--no-build"]).is_err());
    }
}

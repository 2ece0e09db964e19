//! The examples as programs, for tests that run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Runs the example `mnist` in the current folder and waits for it.
pub fn mnist(arguments: &[&str]) -> Output {
    let mut command = Command::new(program("mnist"));
    command.args(arguments).env_remove("NOYAU_DEVICE").output().expect("the program starts")
}

/// The file of an example. `cargo test` has built it; `cargo test --test NAME` has not, or not since its sources changed.
fn program(name: &'static str) -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // This test lies in target/PROFILE/deps.
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.parent().and_then(Path::parent).expect("two folders above it").join("examples");
        let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = ["crates", "shaders", "examples"].iter().map(|part| newest(&root.join(part))).max().expect("three folders");
        if changed(&path) <= sources {
            let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
            let mut build = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
            let status =
                build.args(["build", "--quiet", "--example", name]).args(profile).current_dir(root).status().expect("cargo starts");
            assert!(status.success() && path.exists(), "cargo build made no {name}");
        }
        path
    })
}

/// When a file was last written; long ago if it is not there.
fn changed(path: &Path) -> SystemTime {
    path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// When the newest source in a folder was last written.
fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let of = |path: PathBuf| match path.extension().and_then(|e| e.to_str()) {
        _ if path.is_dir() => newest(&path),
        Some("rs" | "wgsl" | "toml") => changed(&path),
        _ => SystemTime::UNIX_EPOCH,
    };
    entries.map(of).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

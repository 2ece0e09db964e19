//! The examples as programs, for tests that run them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The examples that tests run.
const NAMES: [&str; 4] = ["mnist", "resnet", "transformer", "autoencoder"];

/// An example, to be run with the device that its arguments say.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(file(name)));
    command.env_remove("NOYAU_DEVICE");
    command
}

/// The folder of the examples. `cargo test` has built them; `cargo test --test NAME` has not, or not since their sources changed.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        // This test lies in target/PROFILE/deps.
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.parent().and_then(Path::parent).expect("two folders above it").join("examples");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = ["crates", "shaders", "examples"].iter().map(|part| newest(&root.join(part))).max().expect("three folders");
        if NAMES.iter().any(|name| changed(&folder.join(file(name))) <= sources) {
            let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
            let mut build = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
            build.args(["build", "--quiet"]).args(NAMES.iter().flat_map(|name| ["--example", name])).args(profile).current_dir(root);
            let status = build.status().expect("cargo starts");
            assert!(status.success() && NAMES.iter().all(|name| folder.join(file(name)).exists()), "cargo build made no {NAMES:?}");
        }
        folder
    })
}

fn file(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
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

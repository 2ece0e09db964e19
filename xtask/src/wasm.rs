//! Building for browsers: with rustup's target wasm32-unknown-unknown where there is one, else with Debian's Rust, which comes with the sources of std.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "wasm";

/// Which Rust builds.
enum Toolchain {
    /// The one that runs this program.
    Own,
    /// Debian's, beside its std's sources.
    Debian,
}

/// Debian's packages for it.
const DEBIAN: &str = "rustc-web cargo-web rust-web-src lld-19";

/// Builds the library of a package for browsers, as the page has it: by `[profile.wasm]` of Cargo.toml, with 128-bit vectors, which browsers with WebGPU have, and others since
/// 2021 to 2023. Returns the folder of its results.
pub fn build(root: &Path, package: &str) -> Result<PathBuf> {
    // A folder of its own, so that builds for this machine and for browsers do not wait for each other.
    let target_dir = root.join("target/wasm");
    let toolchain = toolchain()?;
    let mut command = match toolchain {
        Toolchain::Own => Command::new(own("CARGO", "cargo")),
        Toolchain::Debian => {
            let mut command = Command::new("/usr/bin/cargo");
            command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", debian_linker());
            command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTDOC");
            command
        }
    };
    command.current_dir(root).args(["build", "--lib", "--package", package, "--profile", PROFILE, "--target", TARGET, "--target-dir"]);
    command.arg(&target_dir).env("CARGO_ENCODED_RUSTFLAGS", flags());
    let status = command.status().with_context(|| format!("cargo could not be started: {command:?}"))?;
    if !status.success() {
        bail!("building {package} for {TARGET} failed ({status}); what went wrong stands above");
    }
    Ok(target_dir.join(TARGET).join(PROFILE))
}

/// What the compiler is told for the page, in cargo's encoding. Panic messages name files, and those should not tell of this machine's folders.
fn flags() -> OsString {
    let mut flags = OsString::from("-Ctarget-feature=+simd128");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    if let Some(home) = home {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(home.join("registry/src"));
        flags.push("=crates");
    }
    flags
}

/// A program as the environment names it, which is how cargo tells those that it runs.
fn own(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| otherwise.into())
}

/// Finds a Rust that can build for browsers, and adds what rustup can add.
fn toolchain() -> Result<Toolchain> {
    if has_std(&own("RUSTC", "rustc")) {
        return Ok(Toolchain::Own);
    }
    let rustup = Command::new("rustup").args(["target", "add", TARGET]).stderr(Stdio::null()).status();
    if rustup.is_ok_and(|status| status.success()) {
        return Ok(Toolchain::Own);
    }
    if Path::new("/usr/bin/cargo").exists() && Path::new("/usr/lib/rustlib/src/rust/library/std").exists() {
        return Ok(Toolchain::Debian);
    }
    bail!(
        "there is no Rust for {TARGET} here, and `rustup target add {TARGET}` does not bring one. On Debian its packages do: apt-get install {DEBIAN}"
    )
}

/// Whether this compiler has a std for browsers.
fn has_std(rustc: &OsString) -> bool {
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    asked.is_ok_and(|answer| answer.status.success() && Path::new(String::from_utf8_lossy(&answer.stdout).trim()).exists())
}

/// LLVM's linker by the name that Debian gives it: the newest.
fn debian_linker() -> String {
    let newest = (15..40).rev().map(|version| format!("wasm-ld-{version}")).find(|name| Path::new("/usr/bin").join(name).exists());
    newest.unwrap_or_else(|| "wasm-ld".into())
}

//! What only a fresh process can tell: the first step with nothing cached, and the most memory that a training takes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use noyau::prelude::*;

use crate::devices::Target;
use crate::measure::peak_memory;
use crate::training::Training;
use crate::workloads::{FIRST_STEPS, PEAK_MEMORY};

/// Starts this program again to measure `name` on a device. Milliseconds of a first step, or bytes.
pub fn ask(name: &str, target: &Target, data: &Path) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("the path of this program")?;
    // Caches in an empty folder: those of drivers and noyau's own.
    let folder = std::env::temp_dir().join(format!("noyau-bench-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let output = Command::new(program)
        .args(["--fresh", name, "--device", &target.label, "--data"])
        .arg(data)
        .envs([("MESA_SHADER_CACHE_DISABLE", "true"), ("__GL_SHADER_DISK_CACHE", "0"), ("RADV_THREAD_TRACE_CACHE", "0")])
        .envs(["XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "NOYAU_CACHE"].map(|key| (key, &folder)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    // What is left of it hurts nobody.
    let _ = std::fs::remove_dir_all(&folder);
    let output = output.context("a fresh process cannot be started")?;
    ensure!(output.status.success(), "the fresh process ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let value: f64 = text.trim().parse().with_context(|| format!("the fresh process said `{}`", text.trim()))?;
    ensure!(value > 0.0, "the fresh process said {value}");
    Ok(value)
}

/// The fresh process' part: measures `name` and prints the value.
pub fn answer(name: &str, target: &Target, data: &Path) -> anyhow::Result<f64> {
    let mnist = Mnist::open(data)?;
    if name == PEAK_MEMORY {
        let (_, network, batch) = FIRST_STEPS[0];
        let mut training = Training::new(&target.device, network, batch, &mnist.train)?;
        // Some batches of two epochs; a software adapter has settled long before.
        training.run(if target.adapter.as_ref().is_some_and(|a| a.software) { 100 } else { 600 })?;
        ensure!(training.loss()?.is_finite(), "the loss is {}", training.loss()?);
        return peak_memory().context("this system does not say how much memory a process has had");
    }
    let Some((_, network, batch)) = FIRST_STEPS.into_iter().find(|(n, ..)| *n == name) else {
        bail!("--fresh {name}: there is no such measurement")
    };
    let start = Instant::now();
    let mut training = Training::new(&target.device, network, batch, &mnist.train)?;
    training.run(1)?;
    let seconds = start.elapsed().as_secs_f64();
    let loss = training.loss()?;
    ensure!((loss - 10f32.ln()).abs() < 1.0, "the first loss is {loss}, it should be near ln 10");
    Ok(seconds * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_error() {
        let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/mnist"));
        let message = format!("{:#}", answer("w9", &Target::cpu(), data).unwrap_err());
        assert!(message.contains("--fresh w9: there is no such measurement"), "{message}");
        assert!(answer("w2-b128-first-step", &Target::cpu(), Path::new("/nowhere")).is_err());
    }
}

//! Files to write.

use std::fs::OpenOptions;
use std::path::Path;

use anyhow::{Context, ensure};

/// Fails if no file could be written there: better told before the training than after it.
pub fn check_target(path: &Path) -> anyhow::Result<()> {
    let name = path.display();
    ensure!(!path.is_dir(), "{name}: this is a folder; give the name of a file to write");
    ensure!(path.is_file() || !path.exists(), "{name}: this is no ordinary file; give the name of one to write");
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "{name}: there is no folder {} to write it to", folder.display());
    let is_new = !path.exists();
    OpenOptions::new().append(true).create(true).open(path).with_context(|| format!("{name}: cannot write here; give another file"))?;
    if is_new {
        std::fs::remove_file(path).with_context(|| format!("{name}: cannot write"))?;
    }
    Ok(())
}

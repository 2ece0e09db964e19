//! The playground's folder: its wasm with the glue for JavaScript, and the page's own files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

use crate::wasm;

/// Builds the playground into `out`, and prints what it weighs.
pub fn build(root: &Path, web: &Path, out: &Path) -> Result<()> {
    let built = wasm::build(root, "noyau-playground")?;
    let package = out.join("pkg");
    fs::create_dir_all(&package).with_context(|| format!("{} could not be made", package.display()))?;
    let mut glue = Bindgen::new();
    glue.input_path(built.join("noyau_playground.wasm"))
        .typescript(false)
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true);
    glue.web(true)?.generate(&package).context("wasm-bindgen could not make the glue between wasm and JavaScript")?;
    shrink(&package.join("noyau_playground_bg.wasm"))?;
    for (name, path) in files(web)? {
        let to = out.join(name);
        fs::create_dir_all(to.parent().unwrap_or(out))?;
        fs::copy(&path, &to).with_context(|| format!("{} could not be copied to {}", path.display(), to.display()))?;
    }
    weigh(out)
}

/// Binaryen's optimizer, where it is installed. The page works without, and does with one that is too old for what rustc writes.
fn shrink(wasm: &Path) -> Result<()> {
    let small = wasm.with_extension("small");
    let mut command = Command::new("wasm-opt");
    for feature in ["simd", "bulk-memory", "sign-ext", "nontrapping-float-to-int", "mutable-globals", "reference-types", "multivalue"] {
        command.arg(format!("--enable-{feature}"));
    }
    match command.arg("-O3").arg(wasm).arg("-o").arg(&small).status() {
        Ok(status) if status.success() => fs::rename(&small, wasm).context("what wasm-opt made could not be put in its place"),
        Ok(status) => {
            eprintln!("wasm-opt failed ({status}); the page goes without it");
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// All files of a folder and the folders in it, by name, but those for who reads the sources.
fn files(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).with_context(|| format!("{} could not be read", at.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_none_or(|end| end != "md") {
                found.push((path.strip_prefix(folder)?.to_path_buf(), path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Prints the size of each file, as it is and as a web server sends it.
fn weigh(out: &Path) -> Result<()> {
    let (mut raw, mut sent) = (0, 0);
    for (name, path) in files(out)? {
        let bytes = fs::read(&path)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        let gzip = gzip.finish()?.len();
        println!("{:>10} bytes {:>10} gzipped  {}", bytes.len(), gzip, name.display());
        raw += bytes.len();
        sent += gzip;
    }
    println!("{raw:>10} bytes {sent:>10} gzipped  in all, in {}", out.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    #[test]
    fn files_are_those_of_folders_too_and_no_notes() {
        let folder = Folder::with("files", &[("c.js", ""), ("b/a.css", ""), ("README.md", "")]);
        let names: Vec<_> = files(&folder.0).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [Path::new("b/a.css"), Path::new("c.js")]);
        assert!(files(&folder.0.join("none")).unwrap_err().to_string().contains("could not be read"));
    }
}

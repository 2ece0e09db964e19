//! Writing a file whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use noyau_tensor::{Error, Result};

/// How many leftovers of killed programs we step over before giving up on a name for the temporary file.
const ATTEMPTS: usize = 1000;

/// Writes a file so that `path` holds either all of the new content or what it held before, whatever happens in between.
///
/// `content` writes to a buffered temporary file in the same folder (`.NAME.0.tmp`), which is then synced to the disk and renamed to `path`.
/// When anything fails, the temporary file is removed.
///
/// # Errors
///
/// [`Error::Io`] when the operating system refuses (no such folder, no permission, disk full) or `content` fails;
/// [`Error::Argument`] when `path` has no file name, or names something that is no ordinary file (a folder, a device).
pub fn write_atomically(path: impl AsRef<Path>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return Err(Error::argument("path", format!("{} is there and is no ordinary file: it would be replaced", path.display())));
    }
    let (temporary, file) = create_beside(path)?;
    let written = write_and_sync(file, content)
        .map_err(|e| Error::io(path, "write", &e))
        .and_then(|()| fs::rename(&temporary, path).map_err(|e| Error::io(path, "replace", &e)));
    if written.is_err() {
        // The first error is the one to report; a leftover is harmless.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_folder(path);
    Ok(())
}

fn write_and_sync(file: File, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    content(&mut writer)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A new file in the folder of `path`: only inside one folder is a rename atomic.
fn create_beside(path: &Path) -> Result<(PathBuf, File)> {
    let Some(name) = path.file_name() else {
        return Err(Error::argument("path", format!("{:?} does not end in a file name", path.display().to_string())));
    };
    let mut attempt = 0;
    loop {
        // Numbered, not named after the process: browsers have no process number, and `create_new` settles races.
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{attempt}.tmp"));
        let temporary = path.with_file_name(temporary);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
            Err(e) => return Err(Error::io(path, "write", &e)),
        }
    }
}

/// Makes the rename itself survive a power cut. The content is safe either way, so a file system that cannot do this is no error.
fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        for content in ["first", "second"] {
            write_atomically(&path, |w| w.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn failure_keeps_the_old_file_and_removes_the_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let failed = write_atomically(&path, |w| {
            w.write_all(&[7; 1 << 20])?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.unwrap_err().to_string().contains("disk full"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn steps_over_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(folder.path().join(".a.bin.0.tmp"), "left by a killed program").unwrap();
        write_atomically(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_missing_folder_or_name_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomically(folder.path().join("no/a.bin"), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(matches!(write_atomically("..", |_| Ok(())), Err(Error::Argument { .. })));
        // A folder cannot be replaced by a file, and the temporary file must not stay.
        fs::create_dir(folder.path().join("taken")).unwrap();
        assert!(write_atomically(folder.path().join("taken"), |_| Ok(())).is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }
}

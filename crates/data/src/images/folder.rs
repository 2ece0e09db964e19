//! What lies in a folder of classes, in an order that does not depend on the file system.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use noyau_tensor::{Error, Result};

/// Folders inside of folders inside of a class; a link to a folder above it would go on for ever.
const DEPTH: usize = 16;

/// A folder's entries: files, and folders, each in the order of their names.
#[derive(Default)]
struct Entries {
    files: Vec<PathBuf>,
    folders: Vec<(String, PathBuf)>,
}

/// Images, each with the number of its class.
type Found = Vec<(PathBuf, u32)>;

/// The names of the classes, and all files with the number of their class. Where the classes are given there must be no other.
pub(super) fn list(root: &Path, given: Option<&[String]>) -> Result<(Vec<String>, Found)> {
    let Entries { files, folders } = entries(root)?;
    if folders.is_empty() {
        let there = match &files[..] {
            [] => "it is empty".to_string(),
            [first, ..] => format!("it holds {} files, {} the first", files.len(), first.display()),
        };
        return Err(Error::data(root, format!("no folder in it: a folder for each class was expected, with that class' images; {there}")));
    }
    let classes = match given {
        Some(given) => given.to_vec(),
        None => folders.iter().map(|(name, _)| name.clone()).collect(),
    };
    let mut found = Vec::new();
    for (name, folder) in folders {
        let Some(class) = classes.iter().position(|class| *class == name) else {
            return Err(Error::data(
                folder,
                format!("class {name:?} is none of {}: rename the folder, or take it away", classes.join(", ")),
            ));
        };
        let before = found.len();
        images(&folder, 0, &mut |path| found.push((path, class as u32)))?;
        if found.len() == before {
            return Err(Error::data(folder, "the folder of a class is empty: put its PNG or JPEG images there, or take the folder away"));
        }
    }
    Ok((classes, found))
}

fn images(folder: &Path, depth: usize, each: &mut impl FnMut(PathBuf)) -> Result<()> {
    if depth > DEPTH {
        let message = format!("more than {DEPTH} folders one inside of the other: does a link lead back to a folder above it?");
        return Err(Error::data(folder, message));
    }
    let Entries { files, folders } = entries(folder)?;
    files.into_iter().for_each(&mut *each);
    folders.iter().try_for_each(|(_, inner)| images(inner, depth + 1, each))
}

fn entries(folder: &Path) -> Result<Entries> {
    let io = |e: &std::io::Error| Error::io(folder, "read", e);
    let mut found = Entries::default();
    for entry in fs::read_dir(folder).map_err(|e| io(&e))? {
        let entry = entry.map_err(|e| io(&e))?;
        let path = entry.path();
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| Error::data(folder, format!("the name {:?} is not Unicode text; rename it", name.to_string_lossy())))?;
        if name.starts_with('.') {
            continue;
        }
        // What a link leads to counts.
        if path.is_dir() {
            found.folders.push((name, path));
        } else {
            found.files.push(path);
        }
    }
    found.files.sort();
    found.folders.sort();
    Ok(found)
}

/// A file's bytes, if there are at most so many.
pub(super) fn content(path: &Path, most: u64) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::io(path, "read", &e);
    let about = fs::metadata(path).map_err(io)?;
    if !about.is_file() {
        return Err(Error::data(path, "it is no ordinary file; images are read from files only"));
    }
    let mut bytes = Vec::new();
    if about.len() <= most {
        // It may be growing.
        File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(io)?;
    }
    if about.len() > most || bytes.len() as u64 > most {
        let len = about.len().max(bytes.len() as u64);
        return Err(Error::data(path, format!("{len} bytes are too many for an image; raise max_pixels if it is to be read")));
    }
    Ok(bytes)
}

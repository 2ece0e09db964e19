//! NPZ: several arrays by name, as `numpy.savez` and `numpy.savez_compressed` write them: a ZIP archive of [NPY](crate::npy) files.
//!
//! Read: entries stored or deflated, with the sizes of 64 bits that NumPy writes. Written: stored, as `numpy.savez` does. The archive is read by
//! our own code (`zip`): the two hundred lines that this takes need no crate beside flate2, which is here already, and check every size
//! against the file before memory is asked for.

use std::path::{Path, PathBuf};

use noyau_tensor::{Array, Error, Result, Shape};

use crate::npy;
use crate::write_atomically;

mod zip;

use zip::{Archive, Writer};

/// An NPZ file, its arrays still packed.
#[derive(Debug)]
pub struct Npz {
    archive: Archive,
}

impl Npz {
    /// Reads a file and the list of what it holds.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] when it is no ZIP archive, is cut short, or its list is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Npz> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
        Npz::from_bytes(path, bytes)
    }

    /// The same from memory; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] as for [`Npz::open`].
    pub fn from_bytes(name: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Result<Npz> {
        Ok(Npz { archive: Archive::new(name.as_ref(), bytes.into())? })
    }

    /// The names of the arrays, in the file's order, without their `.npy`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.archive.names().map(|name| name.strip_suffix(".npy").unwrap_or(name))
    }

    /// An array, its elements converted as the [crate's documentation](crate) says.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] when there is none of this name (the message lists those that there are), its checksum is wrong, it is packed in
    /// another way than deflate, or it is no array that [`npy::from_bytes`] reads.
    pub fn array(&self, name: &str) -> Result<Array> {
        npy::from_bytes(self.place(name), &self.content(name)?)
    }

    /// Shape and values of an array of bytes (`uint8`), row-major, one byte each as images are kept; none if its elements are of another type.
    ///
    /// # Errors
    ///
    /// As for [`Npz::array`].
    pub fn bytes(&self, name: &str) -> Result<Option<(Shape, Vec<u8>)>> {
        npy::bytes_of(&self.place(name), self.content(name)?)
    }

    /// What stands for an array in messages. Names are anything, also what would lead out of the archive were it a path.
    fn place(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.archive.path().display()))
    }

    fn content(&self, name: &str) -> Result<Vec<u8>> {
        // An array that is called `a.npy` is the entry `a.npy.npy`, and must not be taken for the array `a`.
        let full = format!("{name}.npy");
        let found = |wanted: &str| self.archive.names().find(|entry| *entry == wanted).map(str::to_string);
        let Some(found) = found(&full).or_else(|| found(name)) else {
            let there: Vec<&str> = self.names().take(20).collect();
            return Err(Error::data(self.archive.path(), format!("there is no array {name:?}; it has {}", there.join(", "))));
        };
        self.archive.read(&found)
    }
}

/// Reads all arrays of a file, with their names.
///
/// # Errors
///
/// As [`Npz::open`] and [`Npz::array`].
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, Array)>> {
    all(&Npz::open(path)?)
}

/// Reads all arrays of a file that is already in memory; `name` stands for it in messages.
///
/// # Errors
///
/// [`Error::Data`] as for [`read`].
pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Vec<(String, Array)>> {
    all(&Npz::from_bytes(name, bytes)?)
}

fn all(npz: &Npz) -> Result<Vec<(String, Array)>> {
    npz.names().map(|name| Ok((name.to_string(), npz.array(name)?))).collect()
}

/// Writes arrays to a file, which appears whole or not at all (see [`write_atomically`]).
///
/// # Errors
///
/// [`Error::Argument`] when a name comes twice, is empty or longer than 65,000 bytes, or the arrays take 4 GiB or more;
/// [`Error::Io`] when the file cannot be written.
pub fn write(path: impl AsRef<Path>, arrays: &[(String, Array)]) -> Result<()> {
    let bytes = to_bytes(arrays)?;
    write_atomically(path, |writer| writer.write_all(&bytes))
}

/// The bytes that [`write()`] would write.
///
/// # Errors
///
/// [`Error::Argument`] as for [`write()`].
pub fn to_bytes(arrays: &[(String, Array)]) -> Result<Vec<u8>> {
    let mut writer = Writer::default();
    for (name, array) in arrays {
        writer.add(&format!("{name}.npy"), &npy::to_bytes(array)?).map_err(|message| Error::argument("npz::write", message))?;
    }
    Ok(writer.finish())
}

#[cfg(test)]
mod tests;

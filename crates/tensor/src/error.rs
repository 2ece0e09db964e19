//! The one error type of noyau.

use std::fmt;
use std::path::{Path, PathBuf};

/// A line of the user's program.
pub type Location = &'static std::panic::Location<'static>;

/// What went wrong, where, and what to do about it.
///
/// Every variant's message is complete in itself; match on the variant to react to a kind of fault.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor expression that makes no sense: shapes or types that do not fit, an axis out of range.
    #[error("{op}: {message} ({})", At(location))]
    Expression {
        /// The operation that refused.
        op: String,
        /// What was asked and what was found.
        message: String,
        /// The line of the user's program that wrote it.
        location: Location,
    },
    /// A gradient that does not exist or was asked of the wrong thing.
    #[error("grad: {message} ({})", At(location))]
    Gradient {
        /// What has no gradient, and why.
        message: String,
        /// The line that built the operation in question.
        location: Location,
    },
    /// An argument that is out of its range.
    #[error("{what}: {message}")]
    Argument {
        /// The argument or option.
        what: String,
        /// What was given and what is allowed.
        message: String,
    },
    /// A file's content is not what it should be.
    #[error("{}: {message}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What was expected, what was found, at which place.
        message: String,
    },
    /// The operating system refused a file.
    #[error("{}: cannot {action}: {message}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "read", "write", ...
        action: &'static str,
        /// The operating system's words.
        message: String,
    },
    /// No such device, or it cannot do what the program needs.
    #[error("device {device}: {message}")]
    Device {
        /// The device asked for.
        device: String,
        /// What it lacks, what there is instead.
        message: String,
    },
    /// The device has less memory than the program needs.
    #[error("device {device}: out of memory: {message}")]
    OutOfMemory {
        /// The device.
        device: String,
        /// How much was asked for, and the limit where it is known.
        message: String,
    },
    /// The device went away (driver reset, unplugged, timed out).
    #[error("device {device} was lost: {message}; states on it are gone, continue from the last saved file")]
    DeviceLost {
        /// The device.
        device: String,
        /// The driver's words.
        message: String,
    },
    /// The device did not come to an end in the time that a wait may take.
    #[error("device {device} is too slow or hangs: {message}")]
    Timeout {
        /// The device.
        device: String,
        /// What was waited for, how long, and what allows more.
        message: String,
    },
    /// A kernel computed something else than it should have: found by a session that validates.
    #[error("device {device} computes wrong: {message}")]
    WrongResult {
        /// The device.
        device: String,
        /// Which kernel, what it stored and what it should have.
        message: String,
    },
    /// Training produced a NaN or an infinity.
    #[error("{message}")]
    NotFinite {
        /// Which value, at which step, and the first operation that made it.
        message: String,
    },
    /// A defect of noyau itself: please report it.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

/// `Result` with noyau's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Argument`].
    pub fn argument(what: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Argument { what: what.into(), message: message.into() }
    }

    /// An [`Error::Data`].
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Error {
        Error::Data { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// An [`Error::Io`] from what the operating system said.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: &std::io::Error) -> Error {
        let hint = match source.kind() {
            std::io::ErrorKind::NotFound if action == "read" => "; check the path, which counts from the folder that the program runs in",
            std::io::ErrorKind::NotFound => "; the folder has to be there first",
            _ => "",
        };
        Error::Io { path: path.as_ref().to_path_buf(), action, message: format!("{source}{hint}") }
    }
}

/// Prints a location as `file:line`.
pub struct At<'a>(pub &'a Location);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

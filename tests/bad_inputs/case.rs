//! One bad input, and how its message is had.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Output;

use noyau::prelude::*;

/// Some lines of a program that noyau refuses.
pub struct Case {
    pub title: &'static str,
    /// What the message has to say: what is wrong, where, and what to do about it.
    pub parts: [&'static str; 3],
    /// Behind this the message depends on the machine; the page leaves the rest out.
    pub cut: Option<&'static str>,
    /// Where the case stands: its code is cut out of the file.
    pub file: &'static str,
    pub line: u32,
    pub run: fn() -> Option<String>,
}

/// Cases that belong together.
pub struct Section {
    pub title: &'static str,
    pub words: &'static str,
    pub cases: Vec<Case>,
}

/// A [`Case`]. `code` begins on a line of its own and ends with a brace that stands below it; what it gives is refused.
macro_rules! bad {
    ($title:literal, what: $what:literal, place: $place:literal, remedy: $remedy:literal, $(cut: $cut:literal,)? code: $code:block) => {
        $crate::case::Case {
            title: $title,
            parts: [$what, $place, $remedy],
            cut: [$(Some($cut),)? None][0],
            file: file!(),
            line: line!(),
            run: || $crate::case::Refused::message($code),
        }
    };
}

impl Case {
    /// The message; an error of the case's own where there is none.
    pub fn message(&self) -> Result<String, String> {
        match catch_unwind(AssertUnwindSafe(self.run)) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err("is taken without an error".into()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
                Err(format!("panics: {}", text.unwrap_or_default()))
            }
        }
    }
}

/// What can be refused: the message, or `None` where it was taken.
pub trait Refused {
    fn message(self) -> Option<String>;
}

impl Refused for Tensor {
    fn message(self) -> Option<String> {
        Session::new(Device::cpu()).eval(&self).message()
    }
}

impl Refused for Vec<Tensor> {
    fn message(self) -> Option<String> {
        self.into_iter().find_map(Refused::message)
    }
}

impl<T> Refused for Result<T> {
    fn message(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// A program refuses by one line on stderr and exit code 1, or 2 where the command line makes no sense.
impl Refused for Output {
    fn message(self) -> Option<String> {
        let refused = matches!(self.status.code(), Some(1 | 2));
        refused.then(|| String::from_utf8_lossy(&self.stderr).trim_end().to_string())
    }
}

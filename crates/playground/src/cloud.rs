//! Points to learn from.

use noyau_tensor::{Error, Result};

/// The visitor's own points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    points: Vec<[f32; 2]>,
}

impl Own {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The points of an address.
    pub fn from_address(_: &str) -> Result<Own> {
        Err(Error::argument("own", "not written yet"))
    }

    /// As an address has them.
    pub fn address(&self) -> String {
        String::new()
    }
}

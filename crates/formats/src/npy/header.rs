//! The header of an NPY file: the text of a Python dictionary with the keys `descr`, `fortran_order` and `shape`.

use std::fmt;

use noyau_tensor::{Result, Shape};

use crate::stored::Stored;

/// What the header tells.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub stored: Stored,
    pub fortran_order: bool,
    pub shape: Shape,
}

/// NumPy's names of the element types that we know; `|` where byte order does not matter.
const CODES: [(&str, Stored); 12] = [
    ("<f2", Stored::F16),
    ("<f4", Stored::F32),
    ("<f8", Stored::F64),
    ("|i1", Stored::I8),
    ("<i2", Stored::I16),
    ("<i4", Stored::I32),
    ("<i8", Stored::I64),
    ("|u1", Stored::U8),
    ("<u2", Stored::U16),
    ("<u4", Stored::U32),
    ("<u8", Stored::U64),
    ("|b1", Stored::Bool),
];

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = CODES.iter().find(|(_, s)| *s == self.stored).map_or("<f4", |(c, _)| c);
        let order = if self.fortran_order { "True" } else { "False" };
        write!(f, "{{'descr': '{code}', 'fortran_order': {order}, 'shape': (")?;
        for (axis, size) in self.shape.iter().enumerate() {
            write!(f, "{}{size}", if axis == 0 { "" } else { ", " })?;
        }
        // Python's tuple of one has a comma.
        write!(f, "{}), }}", if self.shape.rank() == 1 { "," } else { "" })
    }
}

impl Header {
    /// Reads the dictionary; the error is a phrase.
    pub(super) fn parse(bytes: &[u8]) -> Result<Header, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| format!("not text: {e}"))?;
        let mut rest = Cursor(text.trim_end_matches(['\n', ' ', '\0']));
        let (mut stored, mut fortran_order, mut shape) = (None, None, None);
        rest.expect('{')?;
        while !rest.take('}') {
            let key = rest.string()?;
            rest.expect(':')?;
            match key {
                "descr" => stored = Some(element_type(&mut rest)?),
                "fortran_order" => fortran_order = Some(rest.boolean()?),
                "shape" => shape = Some(rest.sizes()?),
                other => return Err(format!("key {other:?} is not known")),
            }
            if !rest.take(',') {
                rest.expect('}')?;
                break;
            }
        }
        if !rest.0.trim_start().is_empty() {
            return Err(format!("{:?} behind the dictionary", rest.near()));
        }
        Ok(Header {
            stored: stored.ok_or("no 'descr'")?,
            fortran_order: fortran_order.ok_or("no 'fortran_order'")?,
            shape: shape.ok_or("no 'shape'")?,
        })
    }
}

fn element_type(rest: &mut Cursor) -> Result<Stored, String> {
    if rest.peek() == Some('[') {
        return Err("arrays of records are not supported; save each field as its own array".into());
    }
    let code = rest.string()?;
    CODES.iter().find(|(c, _)| *c == code).map(|&(_, s)| s).ok_or_else(|| {
        if code.starts_with('>') {
            format!("big-endian element type {code:?} is not supported; convert with array.astype({:?})", code.replace('>', "<"))
        } else {
            let known: Vec<_> = CODES.iter().map(|(c, _)| *c).collect();
            format!("element type {code:?} is not supported, only {} are", known.join(", "))
        }
    })
}

/// The part of the text that is still to be read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start();
        self.0.chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.0 = &self.0[wanted.len_utf8()..];
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("{wanted:?} expected, found {:?}", self.near())) }
    }

    /// The next few characters, for messages.
    fn near(&self) -> String {
        self.0.chars().take(20).collect()
    }

    /// Text in single or double quotes; no name in a header has an escape.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = self.peek().filter(|c| matches!(c, '\'' | '"')).ok_or_else(|| format!("text expected, found {:?}", self.near()))?;
        let (text, rest) = self.0[1..].split_once(quote).ok_or("text without an end")?;
        self.0 = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(format!("True or False expected, found {:?}", self.near()))
    }

    fn sizes(&mut self) -> Result<Shape, String> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            self.peek();
            let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = self.0.split_at(digits);
            sizes.push(number.parse().map_err(|_| format!("a size expected, found {:?}", self.near()))?);
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(Shape::from(sizes))
    }
}

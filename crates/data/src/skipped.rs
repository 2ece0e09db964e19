//! Bad records: an error each, or passed over and counted.

use std::fmt;

use noyau_tensor::{Error, Result};

/// How many reasons are kept: enough to see what is wrong with a file, few enough for any file.
const REASONS: usize = 10;

/// What a reader that was told to skip bad records (`skip_bad(true)`) has passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many records were bad.
    pub count: usize,
    /// What was wrong with the first ones, with file and place: what the error would have said. At most ten.
    pub reasons: Vec<String>,
}

impl Skipped {
    /// Whether every record was good.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What another file of the same set had.
    pub(crate) fn add(&mut self, other: Skipped) {
        self.count += other.count;
        self.reasons.extend(other.reasons);
        self.reasons.truncate(REASONS);
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => return f.write_str("no record was skipped"),
            1 => f.write_str("1 bad record was skipped:")?,
            n => write!(f, "{n} bad records were skipped:")?,
        }
        for reason in &self.reasons {
            write!(f, "\n  {reason}")?;
        }
        match self.count - self.reasons.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// The bad records met so far.
pub(crate) struct Bad {
    skip: bool,
    skipped: Skipped,
}

impl Bad {
    pub(crate) fn new(skip: bool) -> Bad {
        Bad { skip, skipped: Skipped::default() }
    }

    /// A record is bad: the error itself, or one more to count.
    ///
    /// What is no fault of the record (a disk that cannot be read) stays an error.
    pub(crate) fn meet(&mut self, error: Error) -> Result<()> {
        if !self.skip || !matches!(error, Error::Data { .. }) {
            return Err(error);
        }
        self.skipped.count += 1;
        if self.skipped.reasons.len() < REASONS {
            self.skipped.reasons.push(error.to_string());
        }
        Ok(())
    }

    /// What was skipped beside `kept` good records. Where all were bad, the error that `fault` makes of a message.
    pub(crate) fn finish(self, kept: usize, what: &str, fault: impl FnOnce(String) -> Error) -> Result<Skipped> {
        if kept > 0 || self.skipped.count == 0 {
            return Ok(self.skipped);
        }
        let first = self.skipped.reasons.first().map_or("", String::as_str);
        Err(fault(format!("all {} {what} are bad, nothing is left; the first: {first}", self.skipped.count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(i: usize) -> Error {
        Error::data("f", format!("record {i}"))
    }

    #[test]
    fn counts_all_and_keeps_the_first_reasons() {
        let mut met = Bad::new(true);
        (0..13).for_each(|i| met.meet(bad(i)).unwrap());
        let skipped = met.finish(1, "records", |_| bad(0)).unwrap();
        assert_eq!((skipped.count, skipped.reasons.len(), &*skipped.reasons[9]), (13, 10, "f: record 9"));
        let text = skipped.to_string();
        assert!(text.starts_with("13 bad records were skipped:\n  f: record 0\n") && text.ends_with("\n  and 3 more"), "{text}");
        assert_eq!(Skipped::default().to_string(), "no record was skipped");
        let mut both = Skipped { count: 1, reasons: vec!["g: 0".into()] };
        both.add(skipped);
        assert_eq!((both.count, both.reasons.len(), &*both.reasons[0], &*both.reasons[9]), (14, 10, "g: 0", "f: record 8"));
    }

    #[test]
    fn what_is_not_skipped() {
        assert_eq!(Bad::new(false).meet(bad(3)).unwrap_err().to_string(), "f: record 3");
        // A disk that fails is no bad record.
        let io = Error::io("f", "read", &std::io::Error::other("gone"));
        assert!(matches!(Bad::new(true).meet(io), Err(Error::Io { .. })));
        let mut met = Bad::new(true);
        met.meet(bad(0)).unwrap();
        met.meet(bad(1)).unwrap();
        let error = met.finish(0, "records", |message| Error::data("f", message)).unwrap_err();
        assert_eq!(error.to_string(), "f: all 2 records are bad, nothing is left; the first: f: record 0");
    }
}

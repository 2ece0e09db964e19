//! Which line a record starts on.
//!
//! The parser's own count is off where a file has empty lines or Windows' ends of lines: it places a record directly behind the end of the
//! one before, and skips what lies between. So the bytes are watched on their way to the parser.

use std::collections::VecDeque;
use std::io::{self, Read};

/// Passes bytes on, and remembers where lines with something on them start.
pub(super) struct Lines<R> {
    input: R,
    /// Offset of the first byte, and number, of each line that is not empty and that nobody has asked beyond yet.
    starts: VecDeque<(u64, u64)>,
    offset: u64,
    line: u64,
    in_line: bool,
    after_return: bool,
}

impl<R> Lines<R> {
    pub(super) fn new(input: R) -> Lines<R> {
        Lines { input, starts: VecDeque::new(), offset: 0, line: 1, in_line: false, after_return: false }
    }

    /// The number of the first line with something on it at or behind `offset`; offsets asked for never go back.
    pub(super) fn line_from(&mut self, offset: u64) -> u64 {
        while self.starts.front().is_some_and(|&(start, _)| start < offset) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |&(_, line)| line)
    }

    fn see(&mut self, byte: u8) {
        let ends = byte == b'\r' || byte == b'\n';
        // "\r\n" ends one line.
        if ends && !(byte == b'\n' && self.after_return) {
            self.line += 1;
            self.in_line = false;
        } else if !ends && !self.in_line {
            self.starts.push_back((self.offset, self.line));
            self.in_line = true;
        }
        self.after_return = byte == b'\r';
        self.offset += 1;
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        buffer[..n].iter().for_each(|&byte| self.see(byte));
        Ok(n)
    }
}

//! Text for language models: tokens, and windows of them whose targets are the tokens that come next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use noyau_tensor::{Array, Error, Result};

use crate::skipped::Bad;
use crate::{Dataset, Skipped};

/// A text, as tokens.
///
/// ```text
/// let text = Text::characters().open("shakespeare.txt")?;
/// let data = text.windows(128, 128)?;                       // x: [128] tokens, y: the [128] that come next
/// let prompt = text.encode("ROMEO:")?;
/// ```
#[derive(Clone, Debug)]
pub struct Text {
    path: PathBuf,
    tokens: Vec<u32>,
    vocabulary: Vocabulary,
    /// Lines that were passed over (see [`TextOptions::skip_bad`]).
    pub skipped: Skipped,
}

/// How to read a text.
#[derive(Clone, Debug)]
pub struct TextOptions {
    vocabulary: Option<Vocabulary>,
    skip_bad: bool,
}

/// What each token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// One of the 256 bytes; the token is its value.
    Bytes,
    /// The characters that occur, in Unicode's order; the token is the place.
    Characters(Vec<char>),
}

impl Text {
    /// To be read as characters (Unicode's scalar values); those that occur are the vocabulary.
    pub fn characters() -> TextOptions {
        TextOptions { vocabulary: None, skip_bad: false }
    }

    /// To be read as bytes, whatever they mean: 256 tokens.
    pub fn bytes() -> TextOptions {
        TextOptions { vocabulary: Some(Vocabulary::Bytes), skip_bad: false }
    }

    /// To be read with the vocabulary of another text, such as that of the text to train on: a line with any other character is bad.
    pub fn like(other: &Text) -> TextOptions {
        TextOptions { vocabulary: Some(other.vocabulary.clone()), skip_bad: false }
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// What each token stands for.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The tokens of another text.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a character is not in the vocabulary: the message names it and its place.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let numbers = self.vocabulary.numbers();
        self.vocabulary.encode(text, &numbers).map_err(|message| Error::argument("Text::encode", message))
    }

    /// The text of tokens; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a token is not in the vocabulary.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        let size = self.vocabulary.size();
        if let Some(at) = tokens.iter().position(|&token| token as usize >= size) {
            let message = format!("token {} at place {at} is not in the vocabulary of {size}", tokens[at]);
            return Err(Error::argument("Text::decode", message));
        }
        Ok(match &self.vocabulary {
            Vocabulary::Bytes => String::from_utf8_lossy(&tokens.iter().map(|&token| token as u8).collect::<Vec<u8>>()).into_owned(),
            Vocabulary::Characters(all) => tokens.iter().filter_map(|&token| all.get(token as usize)).collect(),
        })
    }

    /// Windows of `length` tokens that start `step` apart, as samples `[length]` of `U32`, each with the tokens that come one place later as
    /// its targets `[length]`. What is left at the end, too short for a window, is not used.
    ///
    /// The samples are copies: with `step` below `length`, `length / step` times the text, 8 bytes a token.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `length` or `step` is 0, the windows do not fit in memory; [`Error::Data`] when the text is too short for one
    /// window.
    pub fn windows(&self, length: usize, step: usize) -> Result<Dataset> {
        const WHAT: &str = "Text::windows";
        if length == 0 || step == 0 {
            return Err(Error::argument(WHAT, format!("windows of {length} tokens, {step} apart: both must be at least 1")));
        }
        // The last target is one token behind the window.
        let Some(last) = self.tokens.len().checked_sub(length).filter(|&rest| rest > 0) else {
            let message = format!("{} tokens are too few for a window of {length} and the token behind it", self.tokens.len());
            return Err(Error::data(&self.path, message));
        };
        let starts = (0..last).step_by(step);
        let n = starts.len();
        let mut samples = Vec::new();
        let mut targets = Vec::new();
        let total = n.checked_mul(length).filter(|&t| samples.try_reserve_exact(t).is_ok() && targets.try_reserve_exact(t).is_ok());
        if total.is_none() {
            return Err(Error::argument(
                WHAT,
                format!("{n} windows of {length} tokens do not fit in memory; let them start farther apart"),
            ));
        }
        for start in starts {
            samples.extend_from_slice(&self.tokens[start..start + length]);
            targets.extend_from_slice(&self.tokens[start + 1..start + 1 + length]);
        }
        Dataset::new(&Array::new([n, length], &samples)?, &Array::new([n, length], &targets)?)?.with_classes(self.vocabulary.size())
    }
}

impl TextOptions {
    /// Passes over lines that are bad (not UTF-8, or with a character that the vocabulary lacks), counting them in [`Text::skipped`], where
    /// without it the first one is an error. A text of nothing but bad lines is an error still.
    pub fn skip_bad(mut self, skip: bool) -> TextOptions {
        self.skip_bad = skip;
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read; [`Error::Data`] when it is empty, is no UTF-8 (characters only: the message names line and
    /// byte offset), or has a character that a given vocabulary lacks.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Text> {
        let path = path.as_ref();
        self.parse(path, &std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?)
    }

    /// Reads a text from memory; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] as for [`TextOptions::open`].
    pub fn parse(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<Text> {
        let path = name.as_ref();
        if bytes.is_empty() {
            return Err(Error::data(path, "the file is empty; text was expected"));
        }
        let made = |tokens, vocabulary, skipped| Text { path: path.to_path_buf(), tokens, vocabulary, skipped };
        if self.vocabulary == Some(Vocabulary::Bytes) {
            return Ok(made(bytes.iter().map(|&byte| byte.into()).collect(), Vocabulary::Bytes, Skipped::default()));
        }
        let given = self.vocabulary.as_ref().map(|vocabulary| (vocabulary, vocabulary.numbers()));
        let mut bad = Bad::new(self.skip_bad);
        let mut good = String::new();
        let mut tokens = Vec::new();
        let mut offset = 0;
        for (line, number) in bytes.split_inclusive(|&byte| byte == b'\n').zip(1..) {
            let fault = |message: String| Error::data(path, format!("line {number}: {message}"));
            let looked = std::str::from_utf8(line).map_err(|e| {
                let at = e.valid_up_to();
                fault(format!("byte {:#04x} at offset {} is not UTF-8 text", line[at], offset + at))
            });
            let looked = looked.and_then(|text| match &given {
                Some((vocabulary, numbers)) => Ok((text, vocabulary.encode(text, numbers).map_err(fault)?)),
                None => Ok((text, Vec::new())),
            });
            match looked {
                Ok((text, encoded)) => {
                    good.push_str(text);
                    tokens.extend(encoded);
                }
                Err(error) => bad.meet(error)?,
            }
            offset += line.len();
        }
        let skipped = bad.finish(good.len(), "lines", |message| Error::data(path, message))?;
        if let Some((vocabulary, _)) = given {
            return Ok(made(tokens, vocabulary.clone(), skipped));
        }
        let all: BTreeSet<char> = good.chars().collect();
        let vocabulary = Vocabulary::Characters(all.into_iter().collect());
        let numbers = vocabulary.numbers();
        let tokens = vocabulary.encode(&good, &numbers).map_err(|message| Error::data(path, message))?;
        Ok(made(tokens, vocabulary, skipped))
    }
}

impl Vocabulary {
    /// How many tokens there are.
    pub fn size(&self) -> usize {
        match self {
            Vocabulary::Bytes => 256,
            Vocabulary::Characters(all) => all.len(),
        }
    }

    fn numbers(&self) -> BTreeMap<char, u32> {
        match self {
            Vocabulary::Bytes => BTreeMap::new(),
            Vocabulary::Characters(all) => all.iter().copied().zip(0..).collect(),
        }
    }

    fn encode(&self, text: &str, numbers: &BTreeMap<char, u32>) -> Result<Vec<u32>, String> {
        if *self == Vocabulary::Bytes {
            return Ok(text.bytes().map(u32::from).collect());
        }
        let missing = |(at, c): (usize, char)| format!("character {c:?} at place {at} is none of the {} of the vocabulary", self.size());
        text.chars().enumerate().map(|(at, c)| numbers.get(&c).copied().ok_or_else(|| missing((at, c)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_what_comes_next() {
        let text = Text::characters().parse("t.txt", "abcab\nα".as_bytes()).unwrap();
        assert_eq!(text.tokens(), [1, 2, 3, 1, 2, 0, 4]);
        assert_eq!((text.decode(text.tokens()).unwrap(), text.vocabulary().size()), ("abcab\nα".into(), 5));
        assert_eq!(text.encode("cα").unwrap(), [3, 4]);
        let data = text.windows(3, 2).unwrap();
        assert_eq!((data.len(), data.classes()), (2, Some(5)));
        let batch = data.batch(&[0, 1]).unwrap();
        assert_eq!(batch.x, Array::new([2, 3], &[1u32, 2, 3, 3, 1, 2]).unwrap());
        assert_eq!(batch.y, Array::new([2, 3], &[2u32, 3, 1, 1, 2, 0]).unwrap());
        // The longest window, whose last target is the last token.
        assert_eq!(text.windows(6, 1).unwrap().len(), 1);
        assert!(text.windows(7, 1).unwrap_err().to_string().contains("t.txt: 7 tokens are too few for a window of 7"));
        assert!(text.windows(0, 1).is_err() && text.windows(1, 0).is_err());
    }

    #[test]
    fn bytes_are_256_tokens() {
        let text = Text::bytes().parse("b", &[0xff, b'a']).unwrap();
        assert_eq!((text.tokens(), text.vocabulary().size()), (&[255, 97][..], 256));
        assert_eq!(text.decode(&[0xce, 0xb1]).unwrap(), "α");
        assert!(text.decode(&[256]).unwrap_err().to_string().contains("token 256 at place 0"));
    }

    #[test]
    fn bad_lines_are_named_or_skipped() {
        let bytes = b"ab\nb\xffa\nba\n";
        let error = Text::characters().parse("t.txt", bytes).unwrap_err().to_string();
        assert!(error.contains("t.txt: line 2: byte 0xff at offset 4 is not UTF-8"), "{error}");
        let text = Text::characters().skip_bad(true).parse("t.txt", bytes).unwrap();
        assert_eq!((text.decode(text.tokens()).unwrap(), text.skipped.count), ("ab\nba\n".into(), 1));
        let like = Text::like(&text).parse("u.txt", b"ab\nabc\n").unwrap_err().to_string();
        assert!(like.contains("u.txt: line 2: character 'c' at place 2 is none of the 3"), "{like}");
        let skipped = Text::like(&text).skip_bad(true).parse("u.txt", b"abc\nb").unwrap();
        assert_eq!((skipped.tokens(), skipped.skipped.count), (&[2][..], 1));
        let all = Text::characters().skip_bad(true).parse("t", b"\xff\n\xfe").unwrap_err().to_string();
        assert!(all.contains("all 2 lines are bad"), "{all}");
        assert!(Text::characters().parse("t", b"").unwrap_err().to_string().contains("empty"));
        assert!(matches!(Text::bytes().open("no/such"), Err(Error::Io { .. })));
        assert!(text.encode("x").unwrap_err().to_string().contains("'x' at place 0"));
    }
}

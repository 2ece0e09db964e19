//! Writing code: lines with indentation, and sums of terms.

use std::fmt::Write;

/// Lines of code at their depth.
#[derive(Default)]
pub(crate) struct Text {
    text: String,
    depth: usize,
}

impl Text {
    /// Text at the depth of a function's body.
    pub fn body() -> Text {
        Text { text: String::new(), depth: 1 }
    }

    /// One line.
    pub fn line(&mut self, line: impl AsRef<str>) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// A line that opens a block.
    pub fn open(&mut self, line: impl AsRef<str>) {
        self.line(line);
        self.depth += 1;
    }

    /// The end of a block.
    pub fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    /// The lines of another text, as they are.
    pub fn append(&mut self, other: Text) {
        self.text.push_str(&other.text);
    }

    /// Everything written.
    pub fn finish(self) -> String {
        self.text
    }
}

/// `constant + sum of factor * name`, in u32 arithmetic that wraps (so negative factors are subtractions).
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    constant: i64,
    terms: Vec<(i64, String)>,
}

impl Sum {
    /// A constant.
    pub fn new(constant: i64) -> Sum {
        Sum { constant, terms: Vec::new() }
    }

    /// One more term.
    pub fn add(&mut self, factor: i64, name: impl Into<String>) {
        if factor != 0 {
            self.terms.push((factor, name.into()));
        }
    }

    /// The expression, in parentheses where it has several parts.
    pub fn print(&self) -> String {
        let mut text = String::new();
        let product = |factor: i64, name: &str| if factor.abs() == 1 { name.to_string() } else { format!("{name} * {}u", factor.abs()) };
        // Additions first: an expression must not begin with a minus.
        for (factor, name) in self.terms.iter().filter(|t| t.0 > 0) {
            let plus = if text.is_empty() { "" } else { " + " };
            let _ = write!(text, "{plus}{}", product(*factor, name));
        }
        if self.constant > 0 || text.is_empty() {
            let plus = if text.is_empty() { "" } else { " + " };
            let _ = write!(text, "{plus}{}u", self.constant.max(0));
        }
        if self.constant < 0 {
            let _ = write!(text, " - {}u", -self.constant);
        }
        for (factor, name) in self.terms.iter().filter(|t| t.0 < 0) {
            let _ = write!(text, " - {}", product(*factor, name));
        }
        if text.contains(' ') { format!("({text})") } else { text }
    }
}

/// Conditions that all have to hold. Not `&&`, which promises not to look at the second where the first fails: a branch for every element that is loaded,
/// which some drivers cannot cope with.
pub(crate) fn all(conditions: &[String]) -> String {
    match conditions {
        [only] => only.clone(),
        _ => conditions.iter().map(|c| format!("({c})")).collect::<Vec<_>>().join(" & "),
    }
}

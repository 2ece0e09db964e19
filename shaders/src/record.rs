//! Keeping a step's scalars, run by run, in rings on the device; and the words by which the host rules a launch that does many runs.

use noyau_compile::plan::{BufferId, HISTORY};

use crate::text::Text;
use crate::{Layout, Phase, Work};

/// Words that the host writes and launches read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// How many runs a launch does that can do many.
    Runs,
    /// Whether those runs are kept: 0 or 1.
    Kept,
    /// How many runs have been kept since the beginning; the device counts on.
    Count,
}

impl Control {
    /// How many words there are.
    pub const WORDS: usize = 3;

    pub(crate) fn place(self) -> &'static str {
        match self {
            Control::Runs => "0u",
            Control::Kept => "1u",
            Control::Count => "2u",
        }
    }
}

/// Writes scalars to the next place of their rings, of [`HISTORY`] places each, and counts the run. `rings` are pairs of a scalar and its
/// ring. With `asked` it does so only where [`Control::Kept`] says so.
pub fn record(layout: &Layout, control: BufferId, rings: &[(BufferId, BufferId)], asked: bool) -> Phase {
    let mut text = Text::body();
    if asked {
        text.open(format!("if ({} != 0u) {{", layout.load(control, Control::Kept.place())));
    }
    text.line(format!("let count = {};", layout.load(control, Control::Count.place())));
    text.line(format!("let place = count & {}u;", HISTORY - 1));
    for &(scalar, ring) in rings {
        text.line(layout.store(ring, "place", &layout.load(scalar, "0u")));
    }
    text.line(layout.store(control, Control::Count.place(), "count + 1u"));
    if asked {
        text.close();
    }
    Phase {
        name: "history".into(),
        code: format!("fn record(item: u32) {{\n{}}}\n", text.finish()),
        function: "record".into(),
        work: Work::Items(1),
        iterations: 0,
        shared: Vec::new(),
    }
}

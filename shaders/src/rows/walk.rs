//! One pass over a row.

use noyau_compile::plan::ValueId;
use noyau_tensor::Result;

use super::combine::{self, Reduction};
use super::kept::Pass;
use crate::body::Printer;
use crate::four::type4;
use crate::ops::{combine, identity, type_name};
use crate::text::Text;

/// How many times, at most, a loop's body is written out.
const UNROLL: usize = 4;
/// Bodies with more values than this are not written out several times; a value of four counts as often.
const UNROLL_VALUES: usize = 48;

/// One pass over a row.
pub(super) struct Walk<'a> {
    /// How many steps a row has: its elements, or fours of them.
    pub length: usize,
    /// How many elements a step has: 1 or 4.
    pub width: usize,
    pub lanes: usize,
    pub pass: &'a Pass,
    pub reductions: &'a [Reduction],
    pub stores: &'a [usize],
    /// Whether values are taken over from pass to pass, so that each step has variables of its own.
    pub keep: bool,
}

impl Walk<'_> {
    /// Writes it; results are in `a<id>`, each invocation's own. Returns how often the loop runs.
    pub fn print(&self, printer: &mut Printer<'_>, text: &mut Text) -> Result<u64> {
        let turns = self.length / self.lanes;
        let size: usize = self.pass.computed.len() * self.width;
        let copies = if self.keep {
            turns.min(UNROLL)
        } else if size > UNROLL_VALUES {
            1
        } else {
            turns.min(UNROLL)
        }
        .max(1);
        for &(i, op, _) in self.reductions {
            let dtype = printer.body.values[i].dtype;
            let four = self.width > 1 || printer.wide(ValueId(i));
            let start = if four { combine::splat(dtype, &identity(op, dtype)) } else { identity(op, dtype) };
            let kind = if four { type4(dtype) } else { type_name(dtype).into() };
            for copy in 0..copies {
                text.line(format!("var a{i}_{copy}: {kind} = {start};"));
            }
        }
        let rest = turns % copies;
        let (whole, step) = (turns - rest, self.lanes * copies);
        let scaled = |place: String| match (self.width, place.contains(' ')) {
            (1, _) => place,
            (width, true) => format!("({place}) * {width}u"),
            (width, false) => format!("{place} * {width}u"),
        };
        let place = |turn: usize| {
            scaled(match (self.lanes, turn) {
                (1, _) => format!("{turn}u"),
                (_, 0) => "lane".into(),
                _ => format!("lane + {}u", turn * self.lanes),
            })
        };
        let mut iterations = 0;
        let mut turn = 0;
        if whole > copies && !self.keep {
            text.open(format!("for (var t = 0u; t < {}u; t += {step}u) {{", whole * self.lanes));
            for copy in 0..copies {
                let lane = if self.lanes == 1 { "t".to_string() } else { "t + lane".to_string() };
                let at = if copy == 0 { lane } else { format!("{lane} + {}u", copy * self.lanes) };
                self.block(printer, text, &scaled(at), copy, copy, "")?;
            }
            text.close();
            iterations = (whole / copies) as u64;
            turn = whole;
        }
        while turn < turns {
            self.block(printer, text, &place(turn), turn, turn % copies, "")?;
            turn += 1;
        }
        if !self.length.is_multiple_of(self.lanes) {
            self.block(printer, text, &place(turns), turns, 0, &format!("if (lane < {}u) ", self.length % self.lanes))?;
        }
        for &(i, op, _) in self.reductions {
            let dtype = printer.body.values[i].dtype;
            let sum = (1..copies).fold(format!("a{i}_0"), |sum, copy| combine(op, dtype, &sum, &format!("a{i}_{copy}")));
            if self.four(printer, i) {
                text.line(format!("let a{i}_all = {sum};"));
                text.line(format!("let a{i} = {};", combine::four(op, dtype, &format!("a{i}_all"))));
            } else {
                text.line(format!("let a{i} = {sum};"));
            }
        }
        Ok(iterations)
    }

    /// Whether a reduction of a row is done four elements at a time.
    fn four(&self, printer: &Printer<'_>, i: usize) -> bool {
        self.width > 1 && !printer.wide(ValueId(i))
    }

    /// The body at one place of the row.
    fn block(&self, printer: &mut Printer<'_>, text: &mut Text, at: &str, turn: usize, copy: usize, guard: &str) -> Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        printer.new_block();
        text.open(format!("{guard}{{"));
        text.line(format!("let at = {at};"));
        printer.axes.declare(text, 1, "at", "n");
        for &i in &self.pass.taken {
            text.line(format!("let v{i} = k{i}_{turn};"));
        }
        for &i in &self.pass.computed {
            printer.value(text, ValueId(i))?;
        }
        for i in &self.pass.kept {
            text.line(format!("k{i}_{turn} = v{i};"));
        }
        for &(i, op, a) in self.reductions {
            let value = if self.four(printer, i) { printer.splat(a) } else { format!("v{}", a.0) };
            text.line(format!("a{i}_{copy} = {};", combine(op, printer.body.values[i].dtype, &format!("a{i}_{copy}"), &value)));
        }
        if !self.stores.is_empty() {
            if self.lanes > 1 {
                text.open("if (writes) {");
            }
            for &store in self.stores {
                printer.store(text, store)?;
            }
            if self.lanes > 1 {
                text.close();
            }
        }
        text.close();
        Ok(())
    }
}

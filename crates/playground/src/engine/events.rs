//! What a visitor does to a training: choices, edits of weights, changed rates. The address keeps them with their steps.

use noyau_tensor::{Error, Result};

use super::Engine;
use crate::setup::{Change, Edit, Running};
use crate::{Data, Setup};

impl Engine {
    /// The step at which the next edit or change of the setup is to be made.
    pub(super) fn next_due(&self) -> u64 {
        let edit = self.setup.edits.get(self.edited).map_or(u64::MAX, |edit| edit.step);
        edit.min(self.setup.changes.get(self.changed).map_or(u64::MAX, |change| change.step))
    }

    pub(super) async fn apply_due(&mut self) -> Result<()> {
        while let Some(&edit) = self.setup.edits.get(self.edited).filter(|edit| edit.step <= self.step) {
            self.write(edit).await?;
            self.edited += 1;
        }
        while let Some(&change) = self.setup.changes.get(self.changed).filter(|change| change.step <= self.step) {
            self.steps.set_rate(&self.session, change.what, change.value).await?;
            self.changed += 1;
        }
        Ok(())
    }

    async fn write(&mut self, edit: Edit) -> Result<()> {
        let params = self.network.params();
        let Some(param) = params.get(edit.parameter) else { return Ok(()) };
        let mut value = self.session.get_async(param).await?;
        if let Some(word) = value.words_mut().get_mut(edit.index) {
            *word = edit.value.to_bits();
        }
        self.view.forget();
        self.session.set_async(param, &value).await
    }

    /// What an address still had in store is dropped: from here on the visitor leads.
    fn take_over(&mut self) {
        self.setup.edits.truncate(self.edited);
        self.setup.changes.truncate(self.changed);
        self.target = self.target.min(self.step);
    }

    /// Gives a weight or a bias another value: by its parameter's place (twice the layer's, plus one for biases) and its own there. Fails when there is none.
    pub async fn edit(&mut self, parameter: usize, index: usize, value: f32) -> Result<()> {
        self.check_place(parameter, index)?;
        if !value.is_finite() {
            return Err(Error::argument("edit", format!("{value} is no number that a weight can have")));
        }
        self.take_over();
        let edit = Edit { step: self.step, parameter, index, value };
        self.write(edit).await?;
        let same = |e: &Edit| (e.step, e.parameter, e.index) == (edit.step, parameter, index);
        self.setup.edits.retain(|e| !same(e));
        self.setup.edits.push(edit);
        self.edited = self.setup.edits.len();
        Ok(())
    }

    /// Fails when a parameter has no such place.
    pub(crate) fn check_place(&self, parameter: usize, index: usize) -> Result<()> {
        let params = self.network.params();
        match params.get(parameter) {
            Some(param) if index < param.numel() => Ok(()),
            Some(param) => {
                Err(Error::argument("index", format!("parameter {parameter} has {} values, there is no number {index}", param.numel())))
            }
            None => Err(Error::argument("parameter", format!("there are {} parameters, there is no number {parameter}", params.len()))),
        }
    }

    /// Sets one choice as the address writes it. True when training has begun again because of it. Rates, the stop condition and what the page keeps for itself go on.
    /// Fails when the value makes no sense; all is as before then.
    pub async fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        let mut next = self.setup.clone();
        next.set(key, value)?;
        match key {
            "steps" | "edits" | "changes" => Err(Error::argument(key, "it is a part of the training's past: open an address that has it")),
            "rate" => self.change(Running::Rate, next.rate).await.map(|()| false),
            "penaltyRate" => self.change(Running::PenaltyRate, next.penalty_rate).await.map(|()| false),
            _ => {
                let same = Setup { stop_below: None, view: Vec::new(), ..next.clone() }
                    == Setup { stop_below: None, view: Vec::new(), ..self.setup.clone() };
                if same {
                    self.setup = next;
                    return Ok(false);
                }
                if next.data == Data::Own && next.own.is_empty() {
                    return Err(Error::argument("data", "there are no points of your own yet: draw some, or give a table"));
                }
                self.begin_anew(next).await.map(|()| true)
            }
        }
    }

    async fn change(&mut self, what: Running, value: f64) -> Result<()> {
        self.take_over();
        self.steps.set_rate(&self.session, what, value).await?;
        if self.step == 0 {
            match what {
                Running::Rate => self.setup.rate = value,
                Running::PenaltyRate => self.setup.penalty_rate = value,
            }
            return Ok(());
        }
        self.setup.changes.retain(|c| (c.step, c.what) != (self.step, what));
        self.setup.changes.push(Change { step: self.step, what, value });
        self.changed = self.setup.changes.len();
        Ok(())
    }
}

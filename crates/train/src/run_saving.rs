//! A training's checkpoints and callbacks: what happens between its steps.

use noyau_gpu::Clock;
use noyau_tensor::{Array, Param, Result, Scalar, rng_step};

use crate::callbacks::{Beginning, Control};
use crate::checkpoint::{self, CallbackState, Checkpoint, Header, Setup, TRAINING, VERSION};
use crate::history::{EpochRecord, Stopped};
use crate::run::{Run, Watch};

impl Run<'_, '_> {
    /// Fails where a callback needs a figure that there will not be.
    pub fn check_metrics(&self, tests: bool) -> Result<()> {
        for callback in &self.fit.callbacks {
            for name in callback.metrics() {
                EpochRecord::check(callback.name(), &name, tests, self.classes.is_some())?;
            }
        }
        match self.fit.checkpoints.as_ref().and_then(|checkpoints| checkpoints.best.as_ref()) {
            Some(name) => EpochRecord::check("Checkpoints::keep_best", name, tests, self.classes.is_some()),
            None => Ok(()),
        }
    }

    /// The checkpoint to go on from, if there is one, which is of this training; makes the folder of those to come.
    pub fn find_checkpoint(&mut self) -> Result<Option<Checkpoint>> {
        if self.fit.checkpoints.is_none() && self.fit.resume_from.is_none() {
            return Ok(None);
        }
        let data = self.feed.loader.dataset();
        let setup = Setup {
            seed: self.trainer.seed,
            batch_size: self.feed.loader.batch_size(),
            samples: self.feed.loader.samples(),
            data: checkpoint::fingerprint_of(data)?,
            precision: format!("{}", self.trainer.precision),
            configuration: self.fit.checkpoints.as_ref().and_then(|checkpoints| checkpoints.configuration.clone()),
        };
        let found = match (&self.fit.resume_from, &self.fit.checkpoints) {
            (Some(file), _) => Some((Checkpoint::open(file)?, Vec::new())),
            (None, Some(checkpoints)) => {
                checkpoints.open()?;
                if self.fit.resume { checkpoint::newest(checkpoints)? } else { None }
            }
            (None, None) => None,
        };
        if let Some((found, _)) = &found {
            found.check(&setup)?;
            // Before anything is compiled; the optimizer's states are not known yet.
            found.values(&self.trainer.model_states())?;
        }
        if let Some(checkpoints) = &self.fit.checkpoints {
            checkpoints.open()?;
            // Resuming the newest, later ones are damaged, and will be written over.
            if !self.fit.resume {
                checkpoints.refuse_later(found.as_ref().map_or(0, |(found, _)| found.step()))?;
            }
        }
        self.setup = Some(setup);
        Ok(found.map(|(found, faults)| {
            self.history.resumed = Some(found.resumed(faults));
            found
        }))
    }

    /// Takes up a checkpoint, once the step has been traced and all its states are known.
    pub async fn restore(&mut self, found: &Checkpoint) -> Result<()> {
        let states = self.trainer.named_states();
        found.check_nothing_else(&states)?;
        let mut values = found.values(&states)?;
        let run: Vec<(String, Param)> = self.own_states().collect();
        values.extend(found.values(&run)?);
        let draws = format!("{TRAINING}rng.step");
        if found.tensors.contains_key(&draws) {
            values.extend(found.values(&[(draws, rng_step().clone())])?);
        }
        self.session.set_all(&values).await?;
        let header = &found.header;
        (self.epoch, self.number) = (header.epoch, header.batch);
        self.watch = Watch::at(self.samples(), header.timed_samples.min(self.samples()), header.seconds);
        self.best = header.best;
        self.history.epochs = header.history.clone();
        self.history.stopped = header.stopped.clone();
        self.history.checkpoint = Some(found.path.clone());
        let mut remembered = header.callbacks.clone();
        let model = self.trainer.evaluated_states();
        for (callback, kept) in self.fit.callbacks.iter_mut().zip(&mut self.kept) {
            let Some(at) = remembered.iter().position(|state| state.name == callback.name()) else { continue };
            let state = remembered.remove(at);
            callback.restore(&state.state)?;
            if let Some(place) = state.weights {
                let names: Vec<(String, Param)> = model.iter().map(|(name, param)| (kept_name(place, name), param.clone())).collect();
                let values = found.values(&names)?;
                *kept = model.iter().zip(values).map(|((name, _), (_, value))| (name.clone(), value)).collect();
            }
        }
        Ok(())
    }

    /// What the epoch's figures come from.
    fn own_states(&self) -> impl Iterator<Item = (String, Param)> {
        [&self.sums.loss, &self.sums.correct].map(|param| (format!("{TRAINING}{}", param.name()), param.clone())).into_iter()
    }

    /// Tells everyone that the first step is next.
    pub fn begin(&mut self) -> Result<()> {
        let beginning = Beginning { epochs: self.fit.epochs, steps: self.feed.loader.len(), history: &self.history };
        for callback in &mut self.fit.callbacks {
            callback.on_begin(&beginning)?;
        }
        if let Some(report) = &mut self.fit.on_begin {
            report(&beginning);
        }
        Ok(())
    }

    /// Callbacks and checkpoints after an epoch, which is the last of the history.
    pub async fn after_epoch(&mut self, rate: f64) -> Result<()> {
        let Some(record) = self.history.epochs.last().cloned() else { return Ok(()) };
        let mut rate = rate;
        for at in 0..self.fit.callbacks.len() {
            let mut control = Control::new(rate);
            self.fit.callbacks[at].on_epoch(&record, &mut control)?;
            self.obey(at, &control).await?;
            rate = control.learning_rate();
        }
        if self.history.stopped.is_none() && self.fit.stop.is_raised() && self.epoch < self.fit.epochs {
            self.history.stopped = Some(Stopped::ByFlag);
        }
        let Some(checkpoints) = &self.fit.checkpoints else { return Ok(()) };
        let value = checkpoints.best.as_ref().and_then(|name| Some((record.metric(name)?, EpochRecord::rises(name))));
        let improved = value
            .filter(|&(value, rises)| value.is_finite() && self.best.is_none_or(|best| if rises { value > best } else { value < best }));
        if let Some((value, _)) = improved {
            self.best = Some(value);
            self.write(checkpoints.best_file()).await?;
        }
        match &self.fit.checkpoints {
            Some(checkpoints) if checkpoints.is_due_after_epochs(self.epoch, self.step()) || self.interval_is_over() => self.save().await,
            _ => Ok(()),
        }
    }

    /// Does what a callback asked for.
    async fn obey(&mut self, at: usize, control: &Control) -> Result<()> {
        if let (Some(reason), None) = (&control.stop, &self.history.stopped) {
            self.history.stopped = Some(Stopped::ByCallback(reason.clone()));
        }
        if control.scale != 1.0 {
            let factor = self.trainer.optimizer.settings().rate_factor();
            let next = self.value(&factor).await? * control.scale;
            self.session.set_async(&factor, &Array::full(factor.shape(), Scalar::Float(next))).await?;
        }
        if control.keep {
            self.kept[at] = self.session.values(self.trainer.evaluated_states()).await?;
        }
        if control.put_back {
            for (name, param) in self.trainer.evaluated_states() {
                if let Some((_, value)) = self.kept[at].iter().find(|(kept, _)| *kept == name) {
                    self.session.set_async(&param, value).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells callbacks that it is over.
    pub async fn end(&mut self) -> Result<()> {
        for at in 0..self.fit.callbacks.len() {
            let mut control = Control::new(0.0);
            self.fit.callbacks[at].on_end(&self.history, &mut control)?;
            control.stop = None;
            control.scale = 1.0;
            self.obey(at, &control).await?;
        }
        Ok(())
    }

    fn interval_is_over(&self) -> bool {
        let interval = self.fit.checkpoints.as_ref().and_then(|checkpoints| checkpoints.interval);
        interval.is_some_and(|interval| self.saved.seconds() >= interval.as_secs_f64())
    }

    /// Within an epoch.
    pub async fn save_if_due(&mut self) -> Result<()> {
        match &self.fit.checkpoints {
            Some(checkpoints) if checkpoints.is_due_after(self.step()) || self.interval_is_over() => self.save().await,
            _ => Ok(()),
        }
    }

    /// At the end, unless what there is to save is on the disk.
    pub async fn save_last(&mut self) -> Result<()> {
        let Some(checkpoints) = &self.fit.checkpoints else { return Ok(()) };
        let file = checkpoints.file(self.step());
        if self.history.checkpoint.as_ref() == Some(&file) { Ok(()) } else { self.save().await }
    }

    async fn save(&mut self) -> Result<()> {
        let Some(checkpoints) = &self.fit.checkpoints else { return Ok(()) };
        let began = self.watch.seconds();
        let step = self.step();
        let file = checkpoints.file(step);
        self.write(file.clone()).await?;
        if let Some(checkpoints) = &self.fit.checkpoints {
            checkpoints.prune(step)?;
        }
        self.history.checkpoint = Some(file);
        self.watch.without(began);
        self.saved = Clock::start();
        Ok(())
    }

    async fn write(&self, file: std::path::PathBuf) -> Result<()> {
        let Some(setup) = self.setup.clone() else { return Ok(()) };
        let mut states = self.trainer.named_states();
        states.extend(self.own_states());
        // A training that draws nothing has no such state, and gets none by being saved.
        if self.session.known_states().iter().any(|known| known.state().id() == rng_step().state().id()) {
            states.push((format!("{TRAINING}rng.step"), rng_step().clone()));
        }
        let mut tensors = self.session.values(states).await?;
        let mut callbacks = Vec::new();
        for (at, (callback, kept)) in self.fit.callbacks.iter().zip(&self.kept).enumerate() {
            let weights = (!kept.is_empty()).then_some(at);
            tensors.extend(kept.iter().map(|(name, value)| (kept_name(at, name), value.clone())));
            callbacks.push(CallbackState { name: callback.name().into(), state: callback.state(), weights });
        }
        let header = Header {
            version: VERSION,
            step: self.step(),
            epoch: self.epoch,
            batch: self.number,
            setup,
            seconds: if self.number == 0 { 0.0 } else { self.watch.seconds().max(0.0) },
            timed_samples: self.watch.timed(self.samples()),
            best: self.best,
            history: self.history.epochs.clone(),
            callbacks,
            stopped: self.history.stopped.clone().filter(|stopped| *stopped != Stopped::ByFlag),
            device: self.session.device().adapter(),
            checksum: String::new(),
        };
        checkpoint::write(&file, header, &mut tensors)
    }
}

/// Under which name a checkpoint has a value that a callback keeps.
fn kept_name(callback: usize, name: &str) -> String {
    format!("{TRAINING}callback.{callback}.{name}")
}

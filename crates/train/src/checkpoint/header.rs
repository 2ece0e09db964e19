//! What a checkpoint says about its training, beside the values: one JSON text in the file's metadata.

use serde::{Deserialize, Serialize};

use crate::history::{EpochRecord, Stopped};

/// The only version there is. Files of later ones are refused.
pub(crate) const VERSION: u32 = 1;

/// A training's place and figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub version: u32,
    /// Steps done, over all epochs.
    pub step: u64,
    /// Epochs done.
    pub epoch: usize,
    /// Batches of the next one that are done.
    pub batch: usize,
    /// What must be the same for the training to go on from here.
    pub setup: Setup,
    /// The running epoch's time so far, in seconds, and the samples of that time.
    pub seconds: f64,
    pub timed_samples: usize,
    /// The best figure so far, where the best checkpoint is kept.
    pub best: Option<f64>,
    pub history: Vec<EpochRecord>,
    pub callbacks: Vec<CallbackState>,
    pub stopped: Option<Stopped>,
    /// Where it ran, for people.
    pub device: String,
    /// Of all values, as hexadecimal digits.
    pub checksum: String,
}

/// What has to be the same in the training that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub seed: u64,
    pub batch_size: usize,
    pub samples: usize,
    /// A fingerprint of some of the samples, as hexadecimal digits.
    pub data: String,
    pub precision: String,
    /// What the program wants to be the same besides.
    pub configuration: Option<String>,
}

/// What a callback remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallbackState {
    pub name: String,
    pub state: String,
    /// Under which number the file has the weights that it keeps.
    pub weights: Option<usize>,
}

impl Header {
    /// A header from its text, if it makes sense in itself: what else is wrong with it.
    pub fn parse(text: &str) -> Result<Header, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let version = serde_json::from_str::<Version>(text).map_err(|e| format!("its description is damaged: {e}"))?.version;
        if version != VERSION {
            return Err(format!(
                "it is of version {version}, this library reads version {VERSION}: use the library that wrote it, or a newer one"
            ));
        }
        let header: Header = serde_json::from_str(text).map_err(|e| format!("its description is damaged: {e}"))?;
        header.check().map_err(|fault| format!("its description contradicts itself: {fault}"))?;
        Ok(header)
    }

    fn check(&self) -> Result<(), String> {
        let Setup { batch_size, samples, .. } = self.setup;
        if batch_size == 0 || samples == 0 {
            return Err(format!("{samples} samples in batches of {batch_size}"));
        }
        let steps = samples.div_ceil(batch_size);
        if self.batch >= steps {
            return Err(format!("{} batches of an epoch are done, which has {steps}", self.batch));
        }
        if self.history.len() != self.epoch {
            return Err(format!("{} epochs are done, there are figures of {}", self.epoch, self.history.len()));
        }
        let expected = (self.epoch as u64).checked_mul(steps as u64).and_then(|done| done.checked_add(self.batch as u64));
        if expected != Some(self.step) {
            return Err(format!("{} epochs of {steps} steps and {} more are not {} steps", self.epoch, self.batch, self.step));
        }
        if !(self.seconds >= 0.0 && self.seconds.is_finite()) || self.timed_samples > samples {
            return Err(format!("{} samples of an epoch of {samples} in {} seconds", self.timed_samples, self.seconds));
        }
        Ok(())
    }
}

impl Setup {
    /// Where another setup differs from this one, which is the file's, in words.
    pub fn differences(&self, other: &Setup) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, file: String, here: String| {
            if file != here {
                found.push(format!("{what} {file} in the file, {here} here"));
            }
        };
        compare("seed", self.seed.to_string(), other.seed.to_string());
        compare("batch size", self.batch_size.to_string(), other.batch_size.to_string());
        compare("training samples", self.samples.to_string(), other.samples.to_string());
        compare("precision", self.precision.clone(), other.precision.clone());
        // A program that says nothing of its configuration asks for nothing.
        if let (Some(file), Some(here)) = (&self.configuration, &other.configuration) {
            compare("configuration", format!("`{file}`"), format!("`{here}`"));
        }
        if self.samples == other.samples && self.data != other.data {
            found.push("the training samples themselves: as many, but with other values".into());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let setup =
            Setup { seed: 7, batch_size: 16, samples: 90, data: "1".into(), precision: "f32".into(), configuration: Some("a".into()) };
        Header {
            version: VERSION,
            step: 3,
            epoch: 0,
            batch: 3,
            setup,
            seconds: 0.1,
            timed_samples: 48,
            best: Some(0.1 + 0.2),
            history: Vec::new(),
            callbacks: vec![CallbackState { name: "x".into(), state: "{\"y\":1}".into(), weights: None }],
            stopped: None,
            device: "cpu".into(),
            checksum: "0".into(),
        }
    }

    fn text(header: &Header) -> String {
        serde_json::to_string(header).unwrap()
    }

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        let mut header = header();
        for best in [0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, 2.225073858507201e-308, 8.7e-17] {
            header.best = Some(best);
            let back = Header::parse(&text(&header)).unwrap();
            assert_eq!(back.best.unwrap().to_bits(), best.to_bits());
        }
        assert_eq!((back_of(&header).callbacks, back_of(&header).setup), (header.callbacks.clone(), header.setup.clone()));
    }

    fn back_of(header: &Header) -> Header {
        Header::parse(&text(header)).unwrap()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |change: fn(&mut Header), part: &str| {
            let mut header = header();
            change(&mut header);
            let fault = Header::parse(&text(&header)).unwrap_err();
            assert!(fault.contains(part), "`{part}` is not in: {fault}");
        };
        refused(|h| h.version = 2, "version 2");
        refused(|h| h.setup.batch_size = 0, "batches of 0");
        refused(|h| h.setup.samples = 0, "0 samples");
        refused(|h| h.batch = 6, "6 batches of an epoch are done, which has 6");
        refused(|h| h.epoch = 1, "figures of 0");
        refused(|h| h.step = 4, "are not 4 steps");
        refused(|h| h.seconds = -1.0, "-1 seconds");
        refused(|h| h.timed_samples = 91, "91 samples");
        for damaged in ["", "{", "[]", "{\"version\":1}", "{\"version\":\"1\"}", "null"] {
            assert!(Header::parse(damaged).unwrap_err().contains("damaged"), "{damaged}");
        }
        let huge = text(&header()).replace("\"epoch\":0", "\"epoch\":18446744073709551615");
        assert!(Header::parse(&huge).is_err());
    }

    #[test]
    fn differences_are_named() {
        let file = header().setup;
        assert!(file.differences(&file).is_empty());
        let other =
            Setup { seed: 8, batch_size: 32, samples: 90, data: "2".into(), precision: "f16".into(), configuration: Some("b".into()) };
        let words = file.differences(&other).join("; ");
        for part in ["seed 7 in the file, 8 here", "batch size 16", "precision f32", "configuration `a`", "with other values"] {
            assert!(words.contains(part), "`{part}` is not in: {words}");
        }
        assert_eq!(
            file.differences(&Setup { samples: 91, data: "2".into(), ..file.clone() }),
            ["training samples 90 in the file, 91 here"]
        );
        assert!(file.differences(&Setup { configuration: None, ..file.clone() }).is_empty());
    }
}

//! The address of a setup: its keys and values.

use std::fmt::Write;
use std::str::FromStr;

use noyau_tensor::{Error, Result};

use super::{Activation, Change, Data, Edit, Feature, Layer, Setup};
use crate::cloud::Own;

impl Setup {
    /// The setup that an address holds (what follows its `#`), and what in it made no sense, a line each: that part is as by default.
    pub fn from_address(text: &str) -> (Setup, Vec<String>) {
        let mut setup = Setup::default();
        let mut faults = Vec::new();
        for part in text.trim_start_matches(['#', '?']).split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value);
            if let Err(error) = setup.set(key, &value) {
                faults.push(error.to_string());
            }
        }
        if setup.data == Data::Own && setup.own.is_empty() {
            faults.push("data: \"own\" was asked for, but the address holds no points".into());
            setup.data = Data::Circle;
        }
        setup.edits.sort_by_key(|edit| edit.step);
        setup.changes.sort_by_key(|change| change.step);
        (setup, faults)
    }

    /// Sets one choice from text, as addresses and the page write it. An unknown key is kept for the page.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "data" => self.data = value.parse()?,
            "own" => self.own = Own::from_address(value)?,
            "classes" => self.classes = number(key, value, 2..=Setup::MOST_CLASSES)?,
            "noise" => self.noise = number(key, value, 0..=50)?,
            "train" => self.train_share = number(key, value, 10..=90)?,
            "batch" => self.batch = number(key, value, 1..=Setup::MOST_BATCH)?,
            "seed" => self.seed = number(key, value, 0..=u64::from(u32::MAX))?,
            "features" => {
                let chosen = value.split(',').map(str::parse).collect::<Result<Vec<Feature>>>()?;
                self.features = Feature::ALL.iter().copied().filter(|f| chosen.contains(f)).collect();
            }
            "layers" => self.layers = layers(value)?,
            "rate" => self.rate = real(key, value, 0.0..=Setup::MOST_RATE)?,
            "optimizer" => self.rule = value.parse()?,
            "loss" => self.cost = value.parse()?,
            "penalty" => self.penalty = value.parse()?,
            "penaltyRate" => self.penalty_rate = real(key, value, 0.0..=Setup::MOST_RATE)?,
            "dropout" => self.dropout = real(key, value, 0.0..=0.9)?,
            "stop" => self.stop_below = if value.is_empty() { None } else { Some(real(key, value, 0.0..=1e6)?) },
            "steps" => self.steps = number(key, value, 0..=Setup::MOST_STEPS)?,
            "edits" => self.edits = value.split('_').filter(|e| !e.is_empty()).map(edit).collect::<Result<_>>()?,
            "changes" => self.changes = value.split('_').filter(|c| !c.is_empty()).map(change).collect::<Result<_>>()?,
            _ => {
                self.view.retain(|(k, _)| k != key);
                self.view.push((key.into(), value.into()));
            }
        }
        Ok(())
    }

    /// What an address holds after its `#` for this setup: what differs from the default, and always the seed.
    pub fn address(&self) -> String {
        let (own, default) = (self, Setup::default());
        let mut parts: Vec<(&str, String)> = Vec::new();
        let mut put = |key, differs: bool, value: &dyn std::fmt::Display| {
            if differs {
                parts.push((key, value.to_string()));
            }
        };
        put("data", own.data != default.data, &own.data.name());
        put("own", own.data == Data::Own, &own.own.address());
        put("classes", own.classes != default.classes, &own.classes);
        put("noise", own.noise != default.noise, &own.noise);
        put("train", own.train_share != default.train_share, &own.train_share);
        put("batch", own.batch != default.batch, &own.batch);
        put("seed", true, &own.seed);
        let features: Vec<&str> = own.features.iter().map(|f| f.name()).collect();
        put("features", own.features != default.features, &features.join(","));
        let layers: Vec<String> = own.layers.iter().map(|l| format!("{}{}", l.neurons, l.activation.name())).collect();
        put("layers", own.layers != default.layers, &layers.join(","));
        put("rate", own.rate != default.rate, &own.rate);
        put("optimizer", own.rule != default.rule, &own.rule.name());
        put("loss", own.cost != default.cost, &own.cost.name());
        put("penalty", own.penalty != default.penalty, &own.penalty.name());
        put("penaltyRate", own.penalty_rate != default.penalty_rate, &own.penalty_rate);
        put("dropout", own.dropout != default.dropout, &own.dropout);
        put("stop", own.stop_below.is_some(), &own.stop_below.unwrap_or_default());
        put("steps", own.steps > 0, &own.steps);
        let edits: Vec<String> =
            own.edits.iter().map(|e| format!("{}.{}.{}.{:08x}", e.step, e.parameter, e.index, e.value.to_bits())).collect();
        put("edits", !edits.is_empty(), &edits.join("_"));
        let changes: Vec<String> = own.changes.iter().map(|c| format!("{}.{}.{:016x}", c.step, c.what.name(), c.value.to_bits())).collect();
        put("changes", !changes.is_empty(), &changes.join("_"));
        for (key, value) in &own.view {
            parts.push((key, value.clone()));
        }
        parts.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(key: &str, value: &str, range: std::ops::RangeInclusive<T>) -> Result<T> {
    match value.parse() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(Error::argument(key, format!("{value:?} is no whole number from {} to {}", range.start(), range.end()))),
    }
}

fn real(key: &str, value: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64> {
    match value.parse() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(Error::argument(key, format!("{value:?} is no number from {} to {}", range.start(), range.end()))),
    }
}

/// `4tanh,2relu`; nothing for no hidden layer.
fn layers(value: &str) -> Result<Vec<Layer>> {
    let parts: Vec<&str> = value.split(',').filter(|part| !part.is_empty()).collect();
    if parts.len() > Setup::MOST_LAYERS {
        return Err(Error::argument(
            "layers",
            format!("{} hidden layers were asked for, there can be {}", parts.len(), Setup::MOST_LAYERS),
        ));
    }
    let layer = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let neurons = number("layers", &part[..digits], 1..=Setup::MOST_NEURONS)?;
        Ok(Layer { neurons, activation: if digits == part.len() { Activation::Tanh } else { part[digits..].parse()? } })
    };
    parts.into_iter().map(layer).collect()
}

/// `step.parameter.index.bits`
fn edit(text: &str) -> Result<Edit> {
    let fault = || Error::argument("edits", format!("{text:?} is not written as step.parameter.index.value"));
    let parts: Vec<&str> = text.split('.').collect();
    let [step, parameter, index, bits] = parts[..] else { return Err(fault()) };
    let value = f32::from_bits(u32::from_str_radix(bits, 16).map_err(|_| fault())?);
    if !value.is_finite() {
        return Err(fault());
    }
    let place = |text: &str| text.parse().map_err(|_| fault());
    Ok(Edit { step: step.parse().map_err(|_| fault())?, parameter: place(parameter)?, index: place(index)?, value })
}

/// `step.which.bits`
fn change(text: &str) -> Result<Change> {
    let fault = || Error::argument("changes", format!("{text:?} is not written as step.rate.value"));
    let parts: Vec<&str> = text.split('.').collect();
    let [step, what, bits] = parts[..] else { return Err(fault()) };
    let value = f64::from_bits(u64::from_str_radix(bits, 16).map_err(|_| fault())?);
    if !(0.0..=Setup::MOST_RATE).contains(&value) {
        return Err(fault());
    }
    Ok(Change { step: step.parse().map_err(|_| fault())?, what: what.parse()?, value })
}

/// Text for an address: all but letters, digits and a few marks as `%XX`.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b',' | b'~' => out.push(byte.into()),
            // Writing to a String does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Cost, Penalty, Rule, Running};
    use super::*;

    #[test]
    fn an_address_holds_everything() {
        let setup = Setup {
            data: Data::Spiral,
            classes: 3,
            noise: 15,
            train_share: 70,
            batch: 30,
            seed: 4_000_000_000,
            features: vec![Feature::X2, Feature::SinX1],
            layers: vec![Layer { neurons: 8, activation: Activation::LeakyRelu }, Layer { neurons: 1, activation: Activation::Sign }],
            rate: 0.1,
            rule: Rule::Nesterov,
            cost: Cost::CrossEntropy,
            penalty: Penalty::L2,
            penalty_rate: 0.003,
            dropout: 0.25,
            stop_below: Some(0.01),
            steps: 12_345,
            edits: vec![Edit { step: 3, parameter: 1, index: 2, value: -0.1 }, Edit { step: 90, parameter: 4, index: 0, value: 1e-30 }],
            changes: vec![Change { step: 5, what: Running::PenaltyRate, value: 0.1 }],
            view: vec![("lang".into(), "fr".into()), ("hide".into(), "a b&c=é".into())],
            ..Setup::default()
        };
        assert_eq!(Setup::from_address(&setup.address()), (setup, Vec::new()));
        assert_eq!(Setup::from_address(&format!("#{}", Setup::default().address())), (Setup::default(), Vec::new()));
    }

    #[test]
    fn no_hidden_layer_is_not_the_default() {
        let setup = Setup { layers: Vec::new(), ..Setup::default() };
        assert_eq!(Setup::from_address(&setup.address()).0.layers, []);
    }

    #[test]
    fn nonsense_is_told_and_the_rest_is_kept() {
        let (setup, faults) =
            Setup::from_address("noise=99&data=moon&batch=7&layers=9tanh&rate=NaN&own=zzz&edits=1.2&changes=3.r.z&%&features=");
        assert_eq!(setup, Setup { batch: 7, view: vec![("%".into(), String::new())], ..Setup::default() });
        for (fault, part) in faults.iter().zip([
            "noise: \"99\"",
            "data: \"moon\" is none of circle, xor",
            "layers: \"9\"",
            "rate: \"NaN\"",
            "own:",
            "edits:",
            "changes:",
            "features:",
        ]) {
            assert!(fault.starts_with(part), "{fault}");
        }
        assert_eq!(faults.len(), 8, "{faults:?}");
        assert!(Setup::from_address("data=own").1[0].contains("no points"));
    }
}

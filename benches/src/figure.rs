//! A line of results.

use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::measure::Spread;

/// One figure, as `--json` writes it and `--compare` reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured: a name of the table of workloads, of a kernel, or of a ceiling.
    pub workload: String,
    /// Where: `cpu` or `gpu:N`.
    pub device: String,
    /// The median of all windows.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// `GFLOP/s`, `GB/s`, `samples/s`, `steps/s`: the more the better; `ms`, `us`, `MiB`: the less the better.
    pub unit: String,
    /// The share of the device's ceiling; none where a figure has no ceiling.
    pub of_ceiling: Option<f64>,
    /// The engine, when it is not noyau.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

impl Figure {
    /// A figure of noyau without a ceiling.
    pub fn new(workload: impl Into<String>, device: impl Into<String>, spread: Spread, unit: &str) -> Figure {
        let Spread { median, min, max } = spread;
        let (workload, device) = (workload.into(), device.into());
        Figure { workload, device, median, min, max, unit: unit.into(), of_ceiling: None, peer: None }
    }

    /// Whether more of it is better.
    pub fn more_is_better(&self) -> bool {
        self.unit.ends_with("/s")
    }
}

/// Reads lines as `--json` wrote them. Fails at the first that is none, with its number.
pub fn read(path: &Path) -> anyhow::Result<Vec<Figure>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let mut figures = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let figure: Figure =
            serde_json::from_str(line).with_context(|| format!("{}:{number}: not a figure as --json writes it", path.display()))?;
        if !(figure.median > 0.0 && figure.min > 0.0 && figure.max >= figure.min) {
            bail!(
                "{}:{number}: `{}` has a median of {}, from {} to {}",
                path.display(),
                figure.workload,
                figure.median,
                figure.min,
                figure.max
            );
        }
        figures.push(figure);
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        let spread = Spread { median: 150.5, min: 140.0, max: 160.25 };
        Figure { of_ceiling: Some(0.71), ..Figure::new("w1-matmul-1024", "cpu", spread, "GFLOP/s") }
    }

    #[test]
    fn a_line_has_the_fields_of_the_table_in_their_order() {
        let line = serde_json::to_string(&figure()).unwrap();
        assert_eq!(
            line,
            r#"{"workload":"w1-matmul-1024","device":"cpu","median":150.5,"min":140.0,"max":160.25,"unit":"GFLOP/s","of_ceiling":0.71}"#
        );
        assert_eq!(serde_json::from_str::<Figure>(&line).unwrap(), figure());
    }

    #[test]
    fn peers_and_lines_without_a_ceiling_are_read_too() {
        let line = r#"{"workload":"w4-steps","peer":"JAX 0.10.2","device":"cpu","median":4e4,"min":3e4,"max":5e4,"unit":"steps/s"}"#;
        let figure: Figure = serde_json::from_str(line).unwrap();
        assert_eq!((figure.peer.as_deref(), figure.of_ceiling), (Some("JAX 0.10.2"), None));
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.json");
        let good = serde_json::to_string(&figure()).unwrap();
        std::fs::write(&path, format!("{good}\n\n{{\"workload\":3}}\n")).unwrap();
        let message = format!("{:#}", read(&path).unwrap_err());
        assert!(message.contains("old.json:3: not a figure"), "{message}");
        std::fs::write(&path, good.replace("150.5", "-1.0")).unwrap();
        let message = format!("{:#}", read(&path).unwrap_err());
        assert!(message.contains("old.json:1: `w1-matmul-1024` has a median of -1"), "{message}");
        let message = format!("{:#}", read(&folder.path().join("none.json")).unwrap_err());
        assert!(message.contains("none.json: cannot be read"), "{message}");
        std::fs::write(&path, format!("{good}\n")).unwrap();
        assert_eq!(read(&path).unwrap(), [figure()]);
    }

    #[test]
    fn rates_are_the_better_the_more() {
        assert!(figure().more_is_better());
        assert!(!Figure { unit: "ms".into(), ..figure() }.more_is_better());
    }
}

//! What can be asked for.

use std::path::PathBuf;

use clap::Parser;
use noyau::prelude::DeviceChoice;

use crate::measure::Effort;

/// Measures what the device can do at most, then workloads and kernels as a share of that: the roofline report.
#[derive(Clone, Debug, Parser)]
#[command(name = "noyau-bench")]
pub struct Options {
    /// What to measure: any part of a workload's or a kernel's name, as w2, softmax, w1-matmul-512 [default: everything]
    pub names: Vec<String>,
    /// Where: cpu, gpu (the best one) or gpu:N, several times if wanted [default: the CPU and every GPU that is no software, or that NOYAU_DEVICE names;
    /// with NOYAU_BENCH_ALL=1 all GPUs]
    #[arg(long)]
    pub device: Vec<DeviceChoice>,
    /// Write one JSON object a figure to stdout, and nothing else; everything else goes to stderr
    #[arg(long)]
    pub json: bool,
    /// A file of figures that --json wrote: say what got slower or faster since, and exit with 1 if something got slower
    #[arg(long, value_name = "OLD.json")]
    pub compare: Option<PathBuf>,
    /// What counts as slower or faster: so many times, with windows that do not overlap
    #[arg(long, default_value_t = 1.25, value_parser = factor)]
    pub factor: f64,
    /// Where to draw the roofline plot
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// Shorter windows: for a look, not for figures
    #[arg(long)]
    pub quick: bool,
    /// Measure no ceilings: rates only, for a comparison with another program
    #[arg(long, conflicts_with = "svg")]
    pub no_ceilings: bool,
    /// Say what there is to measure, and end
    #[arg(long)]
    pub list: bool,
    /// Print each training step's launches: which kernels share one, how they are run, and how long each takes
    #[arg(long)]
    pub launches: bool,
    /// A folder with the four files of MNIST
    #[arg(long, value_name = "DIR", default_value = crate::workloads::DATA, hide_default_value = true)]
    pub data: PathBuf,
    /// Measures what only a fresh process can tell (the report starts these itself): a workload's first step, or its peak memory
    #[arg(long, hide = true, value_name = "NAME")]
    pub fresh: Option<String>,
}

impl Options {
    /// How long to measure.
    pub fn effort(&self) -> Effort {
        if self.quick { Effort::QUICK } else { Effort::FULL }
    }

    /// Whether something of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(&part.to_lowercase()))
    }
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 1.0 && factor.is_finite() => Ok(factor),
        _ => Err("write a number above 1, as 1.25".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::try_parse_from(["noyau-bench"].iter().chain(words)).map_err(|e| e.to_string())
    }

    #[test]
    fn names_and_devices_in_any_number() {
        let options = parse(&["--device", "cpu", "w2", "w4", "--device", "gpu:1", "--json"]).unwrap();
        assert_eq!(options.device, [DeviceChoice::Cpu, DeviceChoice::GpuIndex(1)]);
        assert!(options.json && options.wants("w2-b128-rate") && options.wants("w4-steps") && !options.wants("w1-matmul-512"));
        assert_eq!(options.effort(), Effort::FULL);
        assert!(parse(&[]).unwrap().wants("anything"));
        assert!(parse(&["SoftMax"]).unwrap().wants("softmax-4096x1024"));
        assert_eq!(parse(&["--quick"]).unwrap().effort(), Effort::QUICK);
    }

    #[test]
    fn mistakes_say_what_would_do() {
        assert!(parse(&["--device", "tpu"]).unwrap_err().contains("write auto, cpu, gpu or gpu:N"));
        assert!(parse(&["--factor", "0.5"]).unwrap_err().contains("a number above 1"));
        assert!(parse(&["--factor", "NaN"]).unwrap_err().contains("a number above 1"));
        assert!(parse(&["--speed"]).unwrap_err().contains("--speed"));
        assert!(parse(&["--no-ceilings", "--svg", "x.svg"]).unwrap_err().contains("cannot be used with"));
        assert!(parse(&["--compare"]).unwrap_err().contains("OLD.json"));
    }
}

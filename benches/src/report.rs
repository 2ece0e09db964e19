//! The report: ceilings first, then everything that was asked for, device by device.

use std::io::{Write, stderr, stdout};

use anyhow::{Context, bail, ensure};
use noyau::prelude::*;
use noyau::train::HostCost;

use crate::ceiling;
use crate::compare;
use crate::cost::Cost;
use crate::devices::{Target, targets};
use crate::figure::{self, Figure};
use crate::fresh;
use crate::kernels::{self, Kernel, device_seconds};
use crate::measure::{self, Effort, Spread};
use crate::options::Options;
use crate::plot::{self, Panel, Point};
use crate::roofline::Ceilings;
use crate::table;
use crate::training::{Network, Tiny, Training};
use crate::workloads::{self, FIRST_STEPS, PEAK_MEMORY, RATES, TINY};

/// Measures what was asked for. Whether nothing got slower than before.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if options.list {
        let mut out = stdout().lock();
        for name in workloads::names() {
            writeln!(out, "{name}")?;
        }
        return Ok(true);
    }
    let known = workloads::names();
    for part in &options.names {
        ensure!(
            known.iter().any(|name| name.contains(&part.to_lowercase())),
            "`{part}` is no part of the name of a workload or kernel; --list says what there is"
        );
    }
    // Before anything is measured for minutes.
    let old = options.compare.as_deref().map(figure::read).transpose()?;
    let targets = targets(&options.device)?;
    if let Some(name) = &options.fresh {
        let target = targets.first().context("--fresh needs a device")?;
        writeln!(stdout(), "{}", fresh::answer(name, target, &options.data)?)?;
        return Ok(true);
    }
    let mut report = Report { options, effort: options.effort(), figures: Vec::new(), failures: Vec::new(), data: None };
    let mut panels = Vec::new();
    for target in &targets {
        panels.push(report.device(target)?);
    }
    if let Some(path) = &options.svg {
        plot::save(path, &panels)?;
        report.say(&format!("\nthe roofline plot is in {}", path.display()))?;
    }
    let mut well = true;
    if let Some(old) = old {
        let changes = compare::compare(&old, &report.figures, options.factor);
        well = changes.iter().all(|change| change.verdict != compare::Verdict::Slower);
        report.say(&format!("\n{}", compare::describe(&changes, options.factor).trim_end()))?;
    }
    if !report.failures.is_empty() {
        bail!("{} of the measurements failed: {}", report.failures.len(), report.failures.join(", "));
    }
    Ok(well)
}

/// Steps of one call over which the host's time is taken, and how many such calls: each waited for, so that none waits for the device.
const HOST_STEPS: usize = 4;
const HOST_CALLS: usize = 16;

struct Report<'a> {
    options: &'a Options,
    effort: Effort,
    figures: Vec<Figure>,
    failures: Vec<String>,
    /// Read when first needed.
    data: Option<Dataset>,
}

/// A device under measurement.
struct Bench<'a> {
    target: &'a Target,
    ceilings: Ceilings,
    points: Vec<Point>,
}

impl Report<'_> {
    /// A line for people: on stdout, or where figures go there, on stderr.
    fn say(&self, text: &str) -> std::io::Result<()> {
        if self.options.json { writeln!(stderr(), "{text}") } else { writeln!(stdout(), "{text}") }
    }

    fn keep(&mut self, figure: Figure) -> anyhow::Result<()> {
        if self.options.json {
            writeln!(stdout(), "{}", serde_json::to_string(&figure)?)?;
        }
        self.figures.push(figure);
        Ok(())
    }

    fn device(&mut self, target: &Target) -> anyhow::Result<Panel> {
        let (ceilings, figures) = match self.options.no_ceilings {
            true => (Ceilings::NONE, Vec::new()),
            false => ceiling::measure(target, &self.effort).with_context(|| format!("ceilings of {}", target.label))?,
        };
        self.say(&if self.options.no_ceilings { target.describe() } else { table::ceilings(target, &ceilings) })?;
        self.say(&table::header())?;
        for figure in figures {
            self.keep(figure)?;
        }
        let mut bench = Bench { target, ceilings, points: Vec::new() };
        let suite = |kernels: Vec<Kernel>| -> Vec<Kernel> {
            let runs = |k: &Kernel| (!k.large || target.is_hardware_gpu()) && (!k.half || target.has_halves());
            kernels.into_iter().filter(|k| runs(k) && self.options.wants(&k.name)).collect()
        };
        let (named, others) = (suite(workloads::kernels()), suite(kernels::all()));
        let of = |i: char| move |name: &str| name.as_bytes().get(1) == Some(&(i as u8));
        for i in '1'..='6' {
            for kernel in named.iter().filter(|k| of(i)(&k.name)) {
                let result = self.kernel(&mut bench, kernel);
                self.settle(&kernel.name, result)?;
            }
            for (name, network, batch) in RATES.into_iter().filter(|(name, ..)| of(i)(name) && self.options.wants(name)) {
                let result = self.training(&mut bench, name, network, batch);
                self.settle(name, result)?;
            }
            let only_fresh =
                FIRST_STEPS.iter().map(|(name, ..)| (*name, "ms", 1.0)).chain([(PEAK_MEMORY, "MiB", 1.0 / f64::from(1 << 20))]);
            for (name, unit, factor) in only_fresh.filter(|(name, ..)| of(i)(name) && self.options.wants(name)) {
                let result = self.fresh(target, name, unit, factor);
                self.settle(name, result)?;
            }
            if TINY.iter().any(|name| of(i)(name) && self.options.wants(name)) {
                let result = self.tiny(&mut bench);
                self.settle(TINY[0], result)?;
            }
        }
        for kernel in &others {
            let result = self.kernel(&mut bench, kernel);
            self.settle(&kernel.name, result)?;
        }
        Ok(Panel { title: target.describe(), ceilings: bench.ceilings, points: bench.points })
    }

    /// A measurement that fails does not end the report.
    fn settle(&mut self, name: &str, result: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = result else { return Ok(()) };
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
            return Err(error);
        }
        self.failures.push(name.to_string());
        self.say(&format!("  {name}: FAILED: {error:#}"))?;
        Ok(())
    }

    /// Puts a figure under its ceiling, shows and keeps it. `amount` of the unit is one run's.
    fn figure(
        &mut self,
        bench: &mut Bench,
        name: &str,
        times: Spread,
        (unit, amount): (&str, f64),
        cost: &Cost,
        (half, device): (bool, Option<f64>),
    ) -> anyhow::Result<()> {
        let bound = bench.ceilings.bound(cost, half);
        let mut figure = Figure::new(name, &bench.target.label, times.rates(amount), unit);
        figure.of_ceiling = bound.map(|b| b.seconds / times.median);
        self.say(&table::row(&figure, bound, device))?;
        bench.points.push(Point { name: name.into(), intensity: cost.flops / cost.bytes, rate: cost.flops / times.median });
        self.keep(figure)
    }

    fn kernel(&mut self, bench: &mut Bench, kernel: &Kernel) -> anyhow::Result<()> {
        let device = &bench.target.device;
        let mut loaded = kernel.load(device)?;
        crate::check::check(kernel, &mut loaded, device)?;
        let times = measure::seconds(&self.effort, |count| loaded.run(count))?;
        let by_device = loaded.device_seconds(5)?;
        let cost = loaded.cost;
        self.figure(bench, &kernel.name, times, kernel.amount(&cost), &cost, (kernel.half, by_device))
    }

    fn training(&mut self, bench: &mut Bench, name: &str, network: Network, batch: usize) -> anyhow::Result<()> {
        if self.data.is_none() {
            self.data = Some(Mnist::open(&self.options.data)?.train);
        }
        let Some(data) = &self.data else { bail!("there is no data") };
        let device = &bench.target.device;
        let mut training = Training::new(device, network, batch, data)?;
        if !device.is_cpu() {
            let mut reference = Training::new(&Device::cpu(), network, batch, data)?;
            for i in 0..3 {
                training.run(1)?;
                reference.run(1)?;
                let (ours, cpus) = (training.loss()?, reference.loss()?);
                ensure!((ours - cpus).abs() < 1e-3, "the loss of step {i} is {ours}, on the CPU it is {cpus}");
            }
        }
        let times = measure::seconds(&self.effort, |count| training.run(count))?;
        let loss = training.loss()?;
        ensure!(loss.is_finite() && loss < 2.4, "after the measurement the loss is {loss}");
        let by_device = device_seconds(&mut training.step, device, 5)?;
        let cost = training.cost;
        self.figure(bench, name, times, ("samples/s", batch as f64), &cost, (false, by_device))?;
        let before = training.step.host_cost();
        (0..HOST_CALLS).try_for_each(|_| training.run(HOST_STEPS))?;
        self.launches(bench, &mut training.step, before)
    }

    fn tiny(&mut self, bench: &mut Bench) -> anyhow::Result<()> {
        let device = &bench.target.device;
        let mut tiny = Tiny::new(device)?;
        let mut reference = Tiny::new(&Device::cpu())?;
        tiny.run(100)?;
        reference.run(100)?;
        let (ours, cpus) = (tiny.loss()?, reference.loss()?);
        ensure!((ours - cpus).abs() < 1e-4, "after 100 steps the loss is {ours}, on the CPU it is {cpus}");
        let cost = tiny.cost;
        if self.options.wants(TINY[0]) {
            let times = measure::seconds(&self.effort, |count| tiny.run(count))?;
            // At the end of training it may rise again by a rounding.
            ensure!(tiny.loss()? < ours * 1.01, "the loss does not fall: {}", tiny.loss()?);
            let by_device = device_seconds(&mut tiny.step, device, 5)?;
            self.figure(bench, TINY[0], times, ("steps/s", 1.0), &cost, (false, by_device))?;
        }
        if self.options.wants(TINY[1]) {
            let times = measure::seconds(&self.effort, |count| tiny.run_reading(count))?;
            self.figure(bench, TINY[1], times, ("steps/s", 1.0), &cost, (false, None))?;
        }
        let before = tiny.step.host_cost();
        (0..HOST_CALLS).try_for_each(|_| tiny.run(HOST_STEPS))?;
        self.launches(bench, &mut tiny.step, before)
    }

    /// What a step's launches are, and what they cost the host: [`HOST_CALLS`] times [`HOST_STEPS`] steps were run since it had cost `before`.
    fn launches(&self, bench: &Bench, step: &mut CompiledStep, before: HostCost) -> anyhow::Result<()> {
        let (count, kernels) = (step.launches(), step.plan().kernels.len());
        let mut text = format!("    {count} launches a step, of {kernels} kernels");
        let after = step.host_cost();
        let (dispatches, submissions) = (after.dispatches - before.dispatches, after.submissions - before.submissions);
        if dispatches > 0 {
            let host = after.seconds - before.seconds;
            let (a_step, a_dispatch) = (host / (HOST_CALLS * HOST_STEPS) as f64, host / dispatches as f64);
            text += &format!(
                "; {HOST_STEPS} steps at a time take {} dispatches in {} submissions and the host {} a step, {} a dispatch",
                table::number(dispatches as f64 / HOST_CALLS as f64),
                table::number(submissions as f64 / HOST_CALLS as f64),
                table::seconds(a_step),
                table::seconds(a_dispatch)
            );
        }
        if let Some(launching) = &bench.ceilings.launching {
            text += &format!("; as many empty dependent dispatches take {}", table::seconds(launching.dispatch * count as f64));
        }
        self.say(&text)?;
        if self.options.launches {
            let times = step.timings()?.unwrap_or_default();
            for (i, line) in step.describe().lines().enumerate() {
                let time = times.get(i).map_or(String::new(), |t| table::seconds(t.nanoseconds as f64 * 1e-9));
                self.say(&format!("      {time:>10}  {line}"))?;
            }
        }
        Ok(())
    }

    fn fresh(&mut self, target: &Target, name: &str, unit: &str, factor: f64) -> anyhow::Result<()> {
        let count = if unit == "MiB" { 1 } else { self.effort.processes };
        let values = (0..count).map(|_| fresh::ask(name, target, &self.options.data)).collect::<anyhow::Result<Vec<f64>>>()?;
        let figure = Figure::new(name, &target.label, Spread::of(&values).times(factor), unit);
        self.say(&table::row(&figure, None, None))?;
        self.keep(figure)
    }
}

//! How long launches take by the device's own clock, and runs in parts: for measurements, and for looking at what a run does.
//!
//! Ordinary runs have nothing to do with this: their one pass is as short as it can be.

use std::ops::Range;

use noyau_tensor::{Error, Result};

use crate::context::Device;
use crate::fault::Point;
use crate::memory::Storage;
use crate::{Clock, Executable};

/// The most queries of one set, by WebGPU.
const MOST: usize = 4096;

/// What a device can say about its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// Nothing.
    None,
    /// When a pass begins and ends.
    Passes,
    /// Between the launches of a pass too.
    Launches,
}

impl Stamps {
    /// What an adapter offers.
    pub fn of(features: wgpu::Features) -> Stamps {
        if features.contains(wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES) {
            Stamps::Launches
        } else if features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            Stamps::Passes
        } else {
            Stamps::None
        }
    }

    /// What to ask the adapter for.
    pub fn features(self) -> wgpu::Features {
        match self {
            Stamps::None => wgpu::Features::empty(),
            Stamps::Passes => wgpu::Features::TIMESTAMP_QUERY,
            Stamps::Launches => wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES,
        }
    }
}

/// A run with its times.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedRun {
    /// Host seconds until the submission was on its way.
    pub submit_seconds: f64,
    /// Host seconds from there until the device was done.
    pub wait_seconds: f64,
    /// Host seconds that reading the times back took.
    pub read_seconds: f64,
    /// For each launch when it began and ended, in nanoseconds of the device's clock since the first began; none where the device has no such clock.
    pub launches: Option<Vec<Range<u64>>>,
}

/// What a timed run needs besides an ordinary one.
pub(crate) struct Stopwatch {
    sets: Vec<wgpu::QuerySet>,
    buffer: Storage,
    /// Nanoseconds of a tick.
    period: f64,
}

impl Stopwatch {
    /// For so many launches.
    async fn new(device: &Device, launches: usize) -> Result<Stopwatch> {
        let queries = launches * 2;
        let make = || {
            let counts = (0..queries).step_by(MOST).map(|start| (queries - start).min(MOST) as u32);
            let descriptor = |count| wgpu::QuerySetDescriptor { label: Some("times"), ty: wgpu::QueryType::Timestamp, count };
            counts.map(|count| device.device.create_query_set(&descriptor(count))).collect::<Vec<_>>()
        };
        let sets = device.scoped(make).await?;
        sets.iter().for_each(|_| device.count());
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let buffer = device.buffer(queries as u64 * 8, usage, "times").await?;
        Ok(Stopwatch { sets, buffer, period: f64::from(device.queue.get_timestamp_period()) })
    }

    /// A query's set and number in it.
    fn place(&self, query: usize) -> (&wgpu::QuerySet, u32) {
        (&self.sets[query / MOST], (query % MOST) as u32)
    }

    fn resolve(&self, encoder: &mut wgpu::CommandEncoder, queries: usize) {
        for (i, set) in self.sets.iter().enumerate() {
            let count = (queries - i * MOST).min(MOST) as u32;
            encoder.resolve_query_set(set, 0..count, &self.buffer.buffer, (i * MOST * 8) as u64);
        }
    }

    async fn read(&self, device: &Device, launches: usize) -> Result<Vec<Range<u64>>> {
        let words = device.read(&self.buffer, 0, launches * 4, false).await?;
        let ticks: Vec<u64> = words.chunks_exact(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32).collect();
        let first = ticks.first().copied().unwrap_or(0);
        // A clock that a driver sets back in between would give a time before the first: taken for none.
        let since = |tick: u64| (tick.saturating_sub(first) as f64 * self.period) as u64;
        let mut last = 0;
        let span = |pair: &[u64]| {
            let start = since(pair[0]).max(last);
            last = since(pair[1]).max(start);
            start..last
        };
        Ok(ticks.chunks_exact(2).map(span).collect())
    }
}

impl Executable {
    /// The plan's kernels that a launch does, in order. Neighbouring launches may do parts of one kernel.
    pub fn kernels_of(&self, launch: usize) -> &[usize] {
        self.launches.get(launch).map_or(&[], |launch| &launch.kernels)
    }

    /// A launch in words: its kernels and their variants.
    pub fn name_of(&self, launch: usize) -> String {
        self.launches.get(launch).map(|launch| launch.names.join("; ")).unwrap_or_default()
    }

    /// Runs a part of the plan's launches, in one pass: for going through a step launch by launch.
    pub fn run_launches(&mut self, launches: Range<usize>) -> Result<()> {
        let count = self.launches.len();
        if launches.end > count {
            return Err(Error::argument("launches", format!("{launches:?} were asked for, the step has {count}")));
        }
        self.rule(1, false)?;
        let gpu = self.gpu.clone();
        let device = &*gpu.0;
        device.check()?;
        device.pass(Point::Submit)?;
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("part of a step") });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: None });
            launches.for_each(|launch| self.dispatch(&mut pass, launch));
        }
        device.queue.submit([encoder.finish()]);
        self.sending(0);
        device.check()
    }

    /// Makes a launch's pipeline and bindings those of the dispatches that follow.
    pub(crate) fn set(&self, pass: &mut wgpu::ComputePass<'_>, launch: usize) {
        let (pipeline, group) = &self.bound[launch];
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, group, &[]);
    }

    pub(crate) fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, launch: usize) {
        let [x, y] = self.launches[launch].module.grid;
        self.set(pass, launch);
        pass.dispatch_workgroups(x, y, 1);
    }

    /// Runs the plan once, waits for it, and says how long each launch took. Where the device tells the time between launches it is one pass as
    /// ever, else a pass a launch, whose beginnings and ends count in. The first call makes what it needs.
    pub async fn run_timed(&mut self) -> Result<TimedRun> {
        let gpu = self.gpu.clone();
        let device = &*gpu.0;
        device.check()?;
        let count = self.launches.len();
        if device.stamps != Stamps::None && count > 0 && self.stopwatch.is_none() {
            self.stopwatch = Some(Stopwatch::new(device, count).await?);
        }
        self.rule(1, false)?;
        // What was submitted before is not this run's.
        gpu.wait().await?;
        device.pass(Point::Submit)?;
        let clock = Clock::start();
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("timed step") });
        match (&self.stopwatch, device.stamps) {
            (Some(watch), Stamps::Launches) => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: None });
                for launch in 0..count {
                    for (query, dispatch) in [(launch * 2, true), (launch * 2 + 1, false)] {
                        let (set, number) = watch.place(query);
                        pass.write_timestamp(set, number);
                        if dispatch {
                            self.dispatch(&mut pass, launch);
                        }
                    }
                }
            }
            (Some(watch), Stamps::Passes) => {
                for launch in 0..count {
                    // Both of a launch's queries are in one set: sets hold an even number.
                    let (query_set, number) = watch.place(launch * 2);
                    let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                        query_set,
                        beginning_of_pass_write_index: Some(number),
                        end_of_pass_write_index: Some(number + 1),
                    });
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
                    self.dispatch(&mut pass, launch);
                }
            }
            (None, _) | (_, Stamps::None) => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: None });
                (0..count).for_each(|launch| self.dispatch(&mut pass, launch));
            }
        }
        if let Some(watch) = &self.stopwatch {
            watch.resolve(&mut encoder, count * 2);
        }
        device.queue.submit([encoder.finish()]);
        self.sending(1);
        let submitted = clock.seconds();
        gpu.wait().await?;
        let done = clock.seconds();
        let launches = match &self.stopwatch {
            Some(watch) => Some(watch.read(device, count).await?),
            None if count == 0 => Some(Vec::new()),
            None => None,
        };
        let read_seconds = clock.seconds() - done;
        Ok(TimedRun { submit_seconds: submitted, wait_seconds: done - submitted, read_seconds, launches })
    }
}

//! A loaded plan, whichever device it is on.

use std::ops::Range;

use noyau_compile::plan::BufferId;
use noyau_gpu::{Clock, HostCost, Stage, TimedRun};
use noyau_tensor::{Array, Result};

/// A plan loaded on a device.
pub(crate) enum Executable {
    Cpu(Box<noyau_cpu::Executable>),
    Gpu(Box<noyau_gpu::Executable>),
}

impl Executable {
    pub fn write(&mut self, input: usize, value: &Array) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.write(input, value),
            Executable::Gpu(e) => e.write(input, value),
        }
    }

    pub fn run(&mut self) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.run(),
            Executable::Gpu(e) => e.run(),
        }
    }

    /// Whether [`Executable::run_many`] can begin at once.
    pub fn is_prepared(&self) -> bool {
        match self {
            Executable::Cpu(_) => true,
            Executable::Gpu(e) => e.is_prepared(),
        }
    }

    pub async fn prepare_many(&mut self) -> Result<()> {
        match self {
            Executable::Cpu(_) => Ok(()),
            Executable::Gpu(e) => e.prepare_many().await,
        }
    }

    pub fn run_many(&mut self, runs: usize) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.run_many(runs),
            Executable::Gpu(e) => e.run_many(runs),
        }
    }

    pub fn run_unkept(&mut self, runs: usize) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.run_unkept(runs),
            Executable::Gpu(e) => e.run_unkept(runs),
        }
    }

    /// Keeps the scalars of a run that was not one of many.
    pub async fn keep(&mut self) -> Result<()> {
        match self {
            Executable::Cpu(e) => e.keep(),
            Executable::Gpu(e) => e.keep().await,
        }
    }

    pub async fn history(&mut self, output: usize) -> Result<Array> {
        match self {
            Executable::Cpu(e) => e.history(output),
            Executable::Gpu(e) => e.history(output).await,
        }
    }

    /// What handing runs to a GPU has cost the host; nothing on the CPU, which does them itself.
    pub fn host_cost(&self) -> HostCost {
        match self {
            Executable::Cpu(_) => HostCost::default(),
            Executable::Gpu(e) => e.host_cost(),
        }
    }

    /// Each launch in words.
    pub fn describe(&self) -> String {
        match self {
            Executable::Cpu(e) => {
                let kernels = e.plan().kernels.iter().enumerate();
                kernels.map(|(i, kernel)| format!("{i}: {}\n", kernel.name)).collect()
            }
            Executable::Gpu(e) => e.describe(),
        }
    }

    pub async fn read(&self, output: usize) -> Result<Array> {
        match self {
            Executable::Cpu(e) => e.read(output),
            Executable::Gpu(e) => e.read(output).await,
        }
    }

    pub fn launches(&self) -> usize {
        match self {
            Executable::Cpu(e) => e.launches(),
            Executable::Gpu(e) => e.launches(),
        }
    }

    /// The plan's kernels that a launch does, in order.
    pub fn kernels_of(&self, launch: usize) -> Vec<usize> {
        match self {
            Executable::Cpu(_) => vec![launch],
            Executable::Gpu(e) => e.kernels_of(launch).to_vec(),
        }
    }

    /// How a launch does its kernels.
    pub fn name_of(&self, launch: usize) -> String {
        match self {
            Executable::Cpu(_) => "on the CPU".into(),
            Executable::Gpu(e) => e.name_of(launch),
        }
    }

    /// Runs a part of the step.
    pub fn run_launches(&mut self, launches: Range<usize>) -> Result<()> {
        match self {
            Executable::Cpu(e) => launches.into_iter().try_for_each(|kernel| e.run_kernel(kernel)),
            Executable::Gpu(e) => e.run_launches(launches),
        }
    }

    /// What is in a buffer of the plan now.
    pub async fn read_buffer(&self, id: BufferId) -> Result<Array> {
        match self {
            Executable::Cpu(e) => e.read_buffer(id),
            Executable::Gpu(e) => e.read_buffer(id).await,
        }
    }

    /// What loading the plan took, where that is more than moments.
    pub fn stages(&self) -> &[Stage] {
        match self {
            Executable::Cpu(_) => &[],
            Executable::Gpu(e) => e.stages(),
        }
    }

    /// Runs the step and says how long each launch took.
    pub async fn run_timed(&mut self) -> Result<TimedRun> {
        match self {
            Executable::Cpu(e) => {
                let clock = Clock::start();
                let nanoseconds = || (clock.seconds() * 1e9) as u64;
                let mut launches = Vec::with_capacity(e.launches());
                for kernel in 0..e.launches() {
                    let start = nanoseconds();
                    e.run_kernel(kernel)?;
                    launches.push(start..nanoseconds());
                }
                Ok(TimedRun { submit_seconds: 0.0, wait_seconds: clock.seconds(), read_seconds: 0.0, launches: Some(launches) })
            }
            Executable::Gpu(e) => e.run_timed().await,
        }
    }
}

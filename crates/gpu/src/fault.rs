//! What goes wrong outside of any call: a device that is lost, has no memory left, or does not come to an end. And how tests make it happen.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use noyau_tensor::{Error, Result};

use crate::Gpu;
use crate::context::{Device, lock};

/// The variable that says how many seconds a wait may take.
const VARIABLE: &str = "NOYAU_TIMEOUT";
/// How long a wait may take where nobody says: what no step takes, not even on a software driver.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What a test makes go wrong.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device goes away, for good.
    Lost,
    /// One allocation fails.
    OutOfMemory,
    /// What was submitted never comes to an end.
    Stuck,
}

/// Where it goes wrong.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// When a buffer is made.
    Create,
    /// When a value is sent.
    Write,
    /// When work is submitted.
    Submit,
    /// When a value is asked for.
    Read,
    /// When a kernel is compiled.
    Compile,
}

/// A device's faults; the driver's callbacks share them.
pub(crate) struct Faults {
    device: String,
    /// The first thing that went wrong outside of any call.
    first: Mutex<Option<Error>>,
    /// In milliseconds.
    timeout: AtomicU64,
    /// What was last submitted.
    last: Mutex<Option<Sent>>,
    /// Whether a wait took too long.
    pub late: AtomicBool,
    /// What a test has asked for, and after how many passages of its point.
    planned: Mutex<Option<(Fault, Point, u64)>>,
    armed: AtomicBool,
    pub stuck: AtomicBool,
}

/// Runs that were submitted, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub step: Arc<str>,
    pub runs: Range<u64>,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runs.end - self.runs.start {
            0 => write!(f, "a part of {}", self.step),
            1 => write!(f, "run {} of {}", self.runs.end, self.step),
            _ => write!(f, "runs {} to {} of {}", self.runs.start + 1, self.runs.end, self.step),
        }
    }
}

impl Faults {
    /// Fails when the environment asks for a timeout that is none.
    pub fn new(device: String) -> Result<Faults> {
        let faults = Faults {
            device,
            first: Mutex::default(),
            timeout: AtomicU64::default(),
            last: Mutex::default(),
            late: AtomicBool::default(),
            planned: Mutex::default(),
            armed: AtomicBool::default(),
            stuck: AtomicBool::default(),
        };
        let timeout = match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => {
                seconds(&text).ok_or_else(|| Error::argument(VARIABLE, format!("`{text}` is no number of seconds above 0, such as 600")))?
            }
            _ => TIMEOUT,
        };
        faults.set_timeout(timeout);
        Ok(faults)
    }

    /// The first fault that the driver reported, if any.
    pub fn check(&self) -> Result<()> {
        lock(&self.first).clone().map_or(Ok(()), Err)
    }

    /// The driver complains, and nobody is there who asked.
    pub fn complained(&self, error: wgpu::Error) {
        lock(&self.first).get_or_insert_with(|| of_wgpu(&self.device, error));
    }

    /// The device is gone. A loss explains whatever else was reported: it goes first.
    pub fn lost(&self, message: String) {
        let message = match message.trim() {
            "" => "the driver gave no reason".to_string(),
            words => words.to_string(),
        };
        *lock(&self.first) = Some(Error::DeviceLost { device: self.device.clone(), message });
    }

    /// How long a wait may take.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))] // Browsers wait by themselves.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.load(Ordering::Relaxed))
    }

    pub fn set_timeout(&self, timeout: Duration) {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(milliseconds.max(1), Ordering::Relaxed);
    }

    /// Notes what was submitted.
    pub fn sent(&self, sent: Sent) {
        *lock(&self.last) = Some(sent);
    }

    /// What was submitted last, in words.
    pub fn last_sent(&self) -> String {
        lock(&self.last).as_ref().map_or_else(|| "what was submitted".into(), Sent::to_string)
    }

    /// The error of a wait that took too long, for `what`.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))]
    pub fn timed_out(&self, what: &str) -> Error {
        self.late.store(true, Ordering::Relaxed);
        let seconds = self.timeout().as_secs_f64();
        Error::Timeout {
            device: self.device.clone(),
            message: format!(
                "not done after {seconds} s: {what}; the driver hangs or the step is that long: {VARIABLE}=SECONDS or `Device::set_timeout` \
                 allows more, a smaller batch makes it shorter"
            ),
        }
    }

    /// The fault that is due at a point now.
    fn due(&self, at: Point) -> Option<Fault> {
        if !self.armed.load(Ordering::Relaxed) {
            return None;
        }
        let mut planned = lock(&self.planned);
        match &mut *planned {
            Some((_, point, left)) if *point == at && *left > 0 => {
                *left -= 1;
                None
            }
            Some((fault, point, _)) if *point == at => {
                let fault = *fault;
                *planned = None;
                self.armed.store(false, Ordering::Relaxed);
                Some(fault)
            }
            _ => None,
        }
    }
}

/// A number of seconds, above 0.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    if seconds > 0.0 { Duration::try_from_secs_f64(seconds).ok() } else { None }
}

impl Device {
    /// Passes a point where a test may have something go wrong. Costs nothing else.
    pub fn pass(&self, at: Point) -> Result<()> {
        match self.faults.due(at) {
            None => {}
            Some(Fault::Lost) => {
                self.device.destroy();
                // The driver tells of it once what is under way has ended.
                let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
            }
            Some(Fault::Stuck) => self.faults.stuck.store(true, Ordering::Relaxed),
            Some(Fault::OutOfMemory) => {
                return Err(Error::OutOfMemory { device: self.info.to_string(), message: "the driver has no memory left".into() });
            }
        }
        Ok(())
    }
}

impl Gpu {
    /// How long a wait for this device may take before it fails with [`Error::Timeout`]; 10 minutes, or the seconds that `NOYAU_TIMEOUT` says, unless set.
    pub fn set_timeout(&self, timeout: Duration) {
        self.0.faults.set_timeout(timeout);
    }

    /// Has something go wrong, for tests: at a point, after it has been passed so many times.
    #[doc(hidden)]
    pub fn inject(&self, fault: Fault, at: Point, after: u64) {
        *lock(&self.0.faults.planned) = Some((fault, at, after));
        self.0.faults.armed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Letting go of a queue waits for what it has been given, without end. What has kept us waiting for too long before is left to the driver.
        if self.faults.late.load(Ordering::Relaxed) && !self.is_idle() {
            std::mem::forget(self.queue.clone());
        }
    }
}

/// A driver's complaint as noyau's error.
pub(crate) fn of_wgpu(device: &str, error: wgpu::Error) -> Error {
    let device = device.to_string();
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { device, message: "the driver has no memory left".into() },
        wgpu::Error::Validation { description, .. } => Error::Internal(format!("device {device}: {description}")),
        wgpu::Error::Internal { description, .. } => Error::Device { device, message: description },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_of_seconds() {
        assert_eq!(seconds("1.5"), Some(Duration::from_millis(1500)));
        for text in ["0", "-1", "soon", "", "NaN", "inf", "1e300"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_loss_goes_before_what_it_caused_and_waits_name_what_they_wait_for() {
        let faults = Faults::new("GPU".into()).expect("no variable is set");
        assert!(faults.check().is_ok());
        faults.complained(wgpu::Error::OutOfMemory { source: "no more".into() });
        assert!(matches!(faults.check(), Err(Error::OutOfMemory { .. })));
        faults.lost(String::new());
        let lost = faults.check().expect_err("it is lost").to_string();
        assert!(lost.contains("GPU") && lost.contains("gave no reason") && lost.contains("last saved file"), "{lost}");

        faults.set_timeout(Duration::from_millis(250));
        faults.sent(Sent { step: "a step of 3 kernels".into(), runs: 4..8 });
        let late = faults.timed_out(&faults.last_sent()).to_string();
        assert!(late.contains("0.25 s") && late.contains("runs 5 to 8 of a step of 3 kernels") && late.contains(VARIABLE), "{late}");
        assert_eq!(Sent { step: "x".into(), runs: 6..7 }.to_string(), "run 7 of x");
    }

    #[test]
    fn a_fault_is_due_once() {
        let faults = Faults::new("GPU".into()).expect("no variable is set");
        *lock(&faults.planned) = Some((Fault::OutOfMemory, Point::Write, 2));
        faults.armed.store(true, Ordering::Relaxed);
        let met: Vec<Option<Fault>> =
            [Point::Write, Point::Submit, Point::Write, Point::Write, Point::Write].map(|at| faults.due(at)).into();
        assert_eq!(met, [None, None, None, Some(Fault::OutOfMemory), None]);
    }
}

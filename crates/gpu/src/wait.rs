//! Waiting for a device, never without end, and for callbacks: a value that arrives once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

#[cfg(not(target_arch = "wasm32"))]
use noyau_tensor::Error;
use noyau_tensor::Result;

use crate::context::Device;

/// The slot that a callback fills.
struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// A future of the value that the paired function receives.
pub(crate) struct Signal<T>(Arc<Mutex<Slot<T>>>);

/// A function to give a value to, and the future of it.
pub(crate) fn signal<T: Send + 'static>() -> (impl FnOnce(T) + Send + 'static, Signal<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None }));
    let theirs = Arc::clone(&slot);
    let give = move |value| {
        let mut slot = theirs.lock().unwrap_or_else(PoisonError::into_inner);
        slot.value = Some(value);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    };
    (give, Signal(slot))
}

impl<T> Future for Signal<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The output of a future that is ready at once, as wgpu's error scopes are outside of browsers.
#[cfg_attr(target_arch = "wasm32", allow(dead_code))]
pub(crate) fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

impl Device {
    /// Waits until a submission is done, or all of them; fails when that takes longer than the device's timeout. Browsers wait by themselves.
    #[cfg_attr(target_arch = "wasm32", allow(unused_variables))]
    pub fn wait_for(&self, submission: Option<wgpu::SubmissionIndex>, what: &dyn Fn() -> String) -> Result<()> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            use std::sync::atomic::Ordering;
            use std::time::{Duration, Instant};
            /// OpenGL drivers wait for at most 4 seconds at a time, whatever they are asked for.
            const AT_A_TIME: Duration = Duration::from_secs(2);
            let start = Instant::now();
            loop {
                let left = self.faults.timeout().saturating_sub(start.elapsed());
                let timeout = Some(left.min(AT_A_TIME));
                if self.faults.stuck.load(Ordering::Relaxed) {
                    std::thread::sleep(left.min(Duration::from_millis(10)));
                } else {
                    match self.poll(wgpu::PollType::Wait { submission_index: submission.clone(), timeout }) {
                        Err(wgpu::PollError::Timeout) => self.check()?,
                        result => return self.check().and_then(|()| result.map(drop).map_err(|e| self.wait_failed(&e))),
                    }
                }
                if left.is_zero() {
                    return Err(self.faults.timed_out(&what()));
                }
            }
        }
        #[cfg(target_arch = "wasm32")]
        self.check()
    }

    /// Waits for everything submitted, and for the callback that follows on it.
    pub async fn wait_for_signal<T>(&self, signal: Signal<T>, what: &dyn Fn() -> String) -> Result<T> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            use std::time::{Duration, Instant};
            let mut signal = signal;
            self.wait_for(None, what)?;
            let start = Instant::now();
            loop {
                // Another thread that waits may be about to call it.
                if let Some(value) = ready(&mut signal) {
                    return self.check().map(|()| value);
                }
                self.check()?;
                if start.elapsed() > self.faults.timeout() {
                    return Err(self.faults.timed_out(&what()));
                }
                std::thread::sleep(Duration::from_micros(50));
                let _ = self.poll(wgpu::PollType::Poll);
            }
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = what;
            let value = signal.await;
            self.check().map(|()| value)
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        let stuck = self.faults.stuck.load(std::sync::atomic::Ordering::Relaxed);
        let now = wgpu::PollType::Wait { submission_index: None, timeout: Some(std::time::Duration::ZERO) };
        !stuck && self.poll(now).is_ok()
    }

    /// wgpu's `poll`, which panics where a driver says in the middle of it that the device is gone.
    fn poll(&self, until: wgpu::PollType) -> Result<wgpu::PollStatus, wgpu::PollError> {
        let poll = std::panic::AssertUnwindSafe(|| self.device.poll(until));
        std::panic::catch_unwind(poll).unwrap_or_else(|panic| {
            if self.check().is_ok() {
                self.faults.lost(panicked(&*panic));
            }
            Ok(wgpu::PollStatus::QueueEmpty)
        })
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn wait_failed(&self, error: &wgpu::PollError) -> Error {
        Error::Device { device: self.info.to_string(), message: format!("waiting for it failed: {error}") }
    }
}

/// A panic's words.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    words.unwrap_or("a panic without words").trim().to_string()
}

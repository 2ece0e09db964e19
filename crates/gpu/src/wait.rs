//! Waiting for callbacks: a value that arrives once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

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

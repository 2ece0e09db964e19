//! Time that has passed.

/// A stopwatch. In a browser, where the standard library has no clock, it is the browser's, which tells tenths of a millisecond or less.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    #[cfg(not(target_arch = "wasm32"))]
    start: std::time::Instant,
    #[cfg(target_arch = "wasm32")]
    start: f64,
}

impl Clock {
    /// Starts it.
    pub fn start() -> Clock {
        #[cfg(not(target_arch = "wasm32"))]
        let start = std::time::Instant::now();
        #[cfg(target_arch = "wasm32")]
        let start = browser::milliseconds();
        Clock { start }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        #[cfg(not(target_arch = "wasm32"))]
        return self.start.elapsed().as_secs_f64();
        // The date, which is all that some have, may be set back.
        #[cfg(target_arch = "wasm32")]
        return ((browser::milliseconds() - self.start) / 1000.0).max(0.0);
    }
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use js_sys::{Function, Reflect};
    use wasm_bindgen::{JsCast, JsValue};

    thread_local! {
        /// `performance` and its `now`, which pages and workers have.
        static NOW: Option<(JsValue, Function)> = {
            let performance = Reflect::get(&js_sys::global(), &"performance".into()).ok();
            performance.and_then(|p| Reflect::get(&p, &"now".into()).ok()?.dyn_into().ok().map(|now| (p, now)))
        };
    }

    /// Milliseconds since some moment.
    pub fn milliseconds() -> f64 {
        let precise = NOW.with(|now| now.as_ref().and_then(|(performance, now)| now.call0(performance).ok()?.as_f64()));
        precise.unwrap_or_else(js_sys::Date::now)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::Clock;

    #[test]
    fn it_runs_in_seconds() {
        let clock = Clock::start();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let seconds = clock.seconds();
        assert!((0.02..20.0).contains(&seconds) && clock.seconds() >= seconds, "{seconds}");
    }
}

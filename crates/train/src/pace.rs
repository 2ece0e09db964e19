//! How many steps go to the device at once.

/// What a device has done in how long, and so how many steps keep it busy for a moment.
#[derive(Default)]
pub(crate) struct Pace {
    steps_per_second: Option<f64>,
    /// The step of the epoch, and the epoch's time, when the device was last waited for.
    last: (usize, f64),
}

impl Pace {
    /// Steps for so long at once, in seconds: there is something to report some times a second, and little to wait for.
    const WINDOW: f64 = 0.05;
    /// Steps after which the device is waited for to see how quick it is.
    const FIRST: usize = 4;

    /// The epoch's clock begins, or goes on, at a step.
    pub fn begin(&mut self, number: usize, seconds: f64) {
        self.last = (number, seconds);
    }

    /// At most so many steps next.
    pub fn window(&self) -> usize {
        self.steps_per_second.map_or(1, |rate| (rate * Pace::WINDOW) as usize).max(1)
    }

    /// Whether the device is to be waited for after a step, to see how quick it is.
    pub fn is_due(&self, number: usize) -> bool {
        self.steps_per_second.is_none() && number >= self.last.0 + Pace::FIRST
    }

    /// The device has done all steps up to a number.
    pub fn measure(&mut self, number: usize, seconds: f64) {
        let (steps, time) = (number - self.last.0, seconds - self.last.1);
        if steps > 0 && time > 0.0 {
            self.steps_per_second = Some(steps as f64 / time);
        }
        self.last = (number, seconds);
    }
}

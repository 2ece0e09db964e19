//! Many runs at a time, and what is kept of each: as GPUs do it, so that a program sees the same on both.

use noyau_compile::plan::{BufferId, HISTORY};
use noyau_tensor::{Array, Error, Result};

use crate::Executable;

/// Runs between which other threads get their turn.
const TURN: usize = 64;

/// The results of one element, run by run.
#[derive(Default)]
pub(crate) struct Kept {
    rings: Vec<Ring>,
    /// How many runs were kept.
    count: u64,
    /// For each result how many of those were asked for.
    read: Vec<u64>,
}

struct Ring {
    scalar: BufferId,
    pointer: *const u32,
    words: Vec<u32>,
}

// SAFETY: the pointer is to memory that the executable keeps alive, read only by who holds the device's turn.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Kept {
    /// For a plan's outputs, which are at these places.
    pub fn new(outputs: &[BufferId], places: &[(*mut u32, usize)]) -> Kept {
        let mut kept = Kept { read: vec![0; outputs.len()], ..Kept::default() };
        for &scalar in outputs {
            if let (pointer, 1) = places[scalar.0]
                && kept.ring(scalar).is_none()
            {
                kept.rings.push(Ring { scalar, pointer, words: Vec::new() });
            }
        }
        kept
    }

    fn ring(&self, scalar: BufferId) -> Option<&Ring> {
        self.rings.iter().find(|ring| ring.scalar == scalar)
    }

    /// Keeps a run.
    ///
    /// # Safety
    ///
    /// The executable is alive, and the device's turn is held.
    unsafe fn keep(&mut self) {
        let place = (self.count % HISTORY as u64) as usize;
        for ring in &mut self.rings {
            // SAFETY: a buffer of one word, by the caller's promise alive and nobody else's.
            let word = unsafe { *ring.pointer };
            match ring.words.get_mut(place) {
                Some(old) => *old = word,
                None => ring.words.push(word),
            }
        }
        self.count += 1;
    }
}

impl Executable {
    /// Runs the step so many times and keeps the results of one element of each run: see [`Executable::history`].
    pub fn run_many(&mut self, runs: usize) -> Result<()> {
        let mut left = runs;
        while left > 0 {
            let now = left.min(TURN);
            // Apart, so that a run borrows only what it does not change.
            let mut kept = std::mem::take(&mut self.kept);
            // SAFETY: called while the turn is held, by the executable itself.
            let result = self.run_each(now, || unsafe { kept.keep() });
            self.kept = kept;
            result?;
            left -= now;
        }
        Ok(())
    }

    /// As [`Executable::run_many`], keeping nothing.
    pub fn run_unkept(&mut self, runs: usize) -> Result<()> {
        let mut left = runs;
        while left > 0 {
            let now = left.min(TURN);
            self.run_each(now, || ())?;
            left -= now;
        }
        Ok(())
    }

    /// Keeps the results of one element of the run before, which was not done by [`Executable::run_many`].
    pub fn keep(&mut self) -> Result<()> {
        let _turn = self.turn.take()?;
        // SAFETY: the turn is held.
        unsafe { self.kept.keep() };
        Ok(())
    }

    /// A result of one element after each run that was kept since this was last asked for that result, in order, as one axis.
    ///
    /// Fails where the result has more or fewer elements, and where more than [`HISTORY`] runs were kept since; the oldest are then lost,
    /// and asked again it gives the last [`HISTORY`].
    pub fn history(&mut self, output: usize) -> Result<Array> {
        let Some(&id) = self.plan().outputs.get(output) else {
            let count = self.plan().outputs.len();
            return Err(Error::argument("output", format!("the step has {count} results, there is no number {output}")));
        };
        let buffer = &self.plan().buffers[id.0];
        let (shape, dtype) = (noyau_tensor::Shape::from(&buffer.shape[..]), buffer.dtype);
        let Some(ring) = self.kept.ring(id) else {
            return Err(Error::argument("output", format!("result {output} is {shape}, only results of one element are kept")));
        };
        let (end, start, kept) = (self.kept.count, self.kept.read[output], HISTORY as u64);
        if end - start > kept {
            self.kept.read[output] = end - kept;
            let message = format!(
                "{} runs were made since it was last read, the last {HISTORY} are kept: read it more often; reading it again gives those",
                end - start
            );
            return Err(Error::argument("history", message));
        }
        let words: Vec<u32> = (start..end).map(|run| ring.words[(run % kept) as usize]).collect();
        self.kept.read[output] = end;
        Array::from_words([words.len()], dtype, words)
    }
}

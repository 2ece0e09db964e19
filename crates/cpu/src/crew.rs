//! Threads that do a step's kernels together: whoever runs the step leads and works, helpers on rayon's threads join in.
//!
//! Waking a thread takes as long as many a kernel does. So a helper that has nothing left to do looks for the next kernel for a while before it goes, and a step of short
//! kernels finds it awake. Nobody waits for a helper that has not come: the leader then does all by itself, so a step may be run from anywhere, rayon's own threads
//! included.
//!
//! A panic of a piece ends its thread's part of the job, never the program: the job is an error then.
//!
//! Each has its own share of the pieces, neighbours one after the other as memory likes it, and when that is done takes pieces from the far end of the largest share left.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

/// Does a piece, by number, at a seat: no two threads have the same seat at a time.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// How often a helper looks for the next job before it goes: about a tenth of a millisecond.
const PATIENCE: usize = 200;
/// How often of these it stays on its processor.
const EAGER: usize = 20;

/// A thread's place, and the pieces of its share that nobody has taken. Apart from others in memory, as each is written all the time.
#[repr(align(128))]
#[derive(Default)]
struct Seat {
    taken: AtomicBool,
    /// The first piece in the lower half, the end in the upper.
    left: AtomicU64,
}

fn range(start: u64, end: u64) -> u64 {
    start | end << 32
}

fn bounds(range: u64) -> (u64, u64) {
    (range & u64::from(u32::MAX), range >> 32)
}

impl Seat {
    /// Takes a piece of the share: its owner the first, others the last.
    fn take(&self, owner: bool) -> Option<usize> {
        let next = |left| {
            let (start, end) = bounds(left);
            (start < end).then(|| if owner { range(start + 1, end) } else { range(start, end - 1) })
        };
        let (start, end) = bounds(self.left.fetch_update(AcqRel, Acquire, next).ok()?);
        Some(if owner { start } else { end - 1 } as usize)
    }

    fn count(&self) -> u64 {
        let (start, end) = bounds(self.left.load(Relaxed));
        end.saturating_sub(start)
    }
}

/// Some threads, and what they do now.
pub(crate) struct Crew {
    /// The leader has the first.
    seats: Vec<Seat>,
    /// How many times a job began or ended: odd while there is one.
    shift: AtomicUsize,
    /// Only looked at by the leader, and while there is a job by helpers that were counted in `busy` before.
    job: UnsafeCell<Option<*const Work<'static>>>,
    /// Helpers that may be at the job.
    busy: AtomicUsize,
    /// Helpers that are there or on their way.
    present: AtomicUsize,
    led: AtomicBool,
    /// What a helper said that panicked.
    failed: Mutex<Option<String>>,
}

// SAFETY: the job is written by the leader only, of whom there is one (`led`), and only while no helper is counted in `busy`: see `Crew::each`.
unsafe impl Sync for Crew {}
// SAFETY: the job is anybody's to do, as `Work` is `Sync`.
unsafe impl Send for Crew {}

/// Calls a function when it goes, also when that is by a panic.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Crew {
    /// As many seats as rayon has threads here.
    pub(crate) fn new() -> Arc<Crew> {
        let seats = (0..rayon::current_num_threads().max(1)).map(|_| Seat::default()).collect();
        let zero = AtomicUsize::default;
        let job = UnsafeCell::new(None);
        Arc::new(Crew { seats, shift: zero(), job, busy: zero(), present: zero(), led: AtomicBool::default(), failed: Mutex::default() })
    }

    /// How many threads there are at most.
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// Does pieces 0 to `count`, each once, on several threads, and returns when all are done; or, when one panicked, with what that said.
    pub(crate) fn each(self: &Arc<Crew>, count: usize, work: &Work<'_>) -> Result<(), String> {
        let alone = self.len() < 2 || count < 2 || u32::try_from(count).is_err();
        if alone || self.led.swap(true, Acquire) {
            return caught(|| (0..count).for_each(|piece| work(piece, 0)));
        }
        let _led = Finally(|| self.led.store(false, Release));
        let share = |seat: usize| (count * seat / self.len()) as u64;
        for (i, seat) in self.seats.iter().enumerate() {
            seat.left.store(range(share(i), share(i + 1)), Relaxed);
        }
        // SAFETY: only the lifetime is another; helpers look at the job only before `_done` below has gone.
        let job = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: no helper looks at it: the last job is over, and with `busy` at 0 then whoever came since has found no job.
        unsafe { *self.job.get() = Some(job) };
        self.shift.fetch_add(1, SeqCst);
        let _done = Finally(|| {
            // Whoever is not counted in `busy` after this finds no job: both are in the one order of all such operations.
            self.shift.fetch_add(1, SeqCst);
            let mut turns = 0;
            while self.busy.load(SeqCst) > 0 {
                pause(turns);
                turns += 1;
            }
        });
        let wanted = (self.len() - 1).min(count - 1);
        while self.present.load(Relaxed) < wanted {
            self.present.fetch_add(1, Relaxed);
            let crew = Arc::clone(self);
            rayon::spawn(move || crew.help());
        }
        let own = caught(|| self.work(0, work));
        drop(_done);
        let helped = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.and(helped.map_or(Ok(()), Err))
    }

    /// Takes pieces and does them until there are none.
    fn work(&self, seat: usize, work: &Work<'_>) {
        while let Some(piece) = self.seats[seat].take(true) {
            work(piece, seat);
        }
        loop {
            let most = self.seats.iter().max_by_key(|seat| seat.count());
            let Some(most) = most.filter(|seat| seat.count() > 0) else { return };
            if let Some(piece) = most.take(false) {
                work(piece, seat);
            }
        }
    }

    /// What a helper does: one job after the other, until none has come for a while.
    fn help(&self) {
        let _here = Finally(|| {
            self.present.fetch_sub(1, Relaxed);
        });
        let Some(seat) = (1..self.len()).find(|&seat| !self.seats[seat].taken.swap(true, Acquire)) else { return };
        let _taken = Finally(|| self.seats[seat].taken.store(false, Release));
        let (mut seen, mut turns) = (0, 0);
        while turns < PATIENCE {
            let shift = self.shift.load(Acquire);
            if shift % 2 == 1 && shift != seen {
                self.join(seat);
                (seen, turns) = (shift, 0);
            } else {
                pause(turns);
                turns += 1;
            }
        }
    }

    /// Works at the job, if there still is one.
    fn join(&self, seat: usize) {
        self.busy.fetch_add(1, SeqCst);
        let _busy = Finally(|| {
            self.busy.fetch_sub(1, SeqCst);
        });
        if self.shift.load(SeqCst) % 2 == 1 {
            // SAFETY: there is a job, and its leader waits for this thread before the job ends.
            if let Some(job) = unsafe { *self.job.get() } {
                // SAFETY: as above.
                let work = unsafe { &*job };
                if let Err(words) = caught(|| self.work(seat, work)) {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
                }
            }
        }
    }
}

/// Does some work; a panic in it is an error with its words.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    // What it leaves half done are numbers in buffers, which the error says are not to be used.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic: Box<dyn Any + Send>| {
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.into())).unwrap_or_else(|| "without words".into())
    })
}

/// Waits for half a microsecond or so, and from some turns on lets others have the processor.
fn pause(turns: usize) {
    (0..32).for_each(|_| std::hint::spin_loop());
    if turns >= EAGER {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pool<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
    }

    /// How often each piece was done, over so many jobs of so many pieces.
    fn done(crew: &Arc<Crew>, jobs: usize, pieces: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
        let seats: Vec<AtomicBool> = (0..crew.len()).map(|_| AtomicBool::new(false)).collect();
        for job in 0..jobs {
            crew.each(pieces, &|piece, seat| {
                assert!(!seats[seat].swap(true, SeqCst), "two threads at one seat");
                (0..(piece * 7 + job) % 200).for_each(|_| std::hint::spin_loop());
                counts[piece].fetch_add(1, SeqCst);
                seats[seat].store(false, SeqCst);
            })
            .unwrap();
            // All are done when it returns.
            assert!(counts.iter().all(|count| count.load(SeqCst) == job + 1), "job {job} of {pieces} pieces");
        }
        counts.iter().map(|count| count.load(SeqCst)).collect()
    }

    #[test]
    fn each_piece_is_done_once() {
        for threads in [1, 2, 3, 8] {
            in_pool(threads, || {
                let crew = Crew::new();
                assert_eq!(crew.len(), threads);
                for pieces in [0, 1, 2, 3, 7, 64, 1000] {
                    assert!(done(&crew, 30, pieces).iter().all(|&count| count == 30), "{threads} threads, {pieces} pieces");
                }
            });
        }
    }

    /// A number that threads write without further ado, each its own.
    struct Plain(UnsafeCell<usize>);

    // SAFETY: the pieces of a job are done once each, and between jobs only the leader looks.
    unsafe impl Sync for Plain {}

    /// What orders jobs orders all memory: nothing here is atomic, which is for ThreadSanitizer to look at.
    #[test]
    fn what_pieces_write_is_there_when_all_are_done() {
        in_pool(4, || {
            let crew = Crew::new();
            let numbers: Vec<Plain> = (0..64).map(|_| Plain(UnsafeCell::new(0))).collect();
            let rounds = 300;
            for round in 0..rounds {
                // SAFETY: see `Plain`; a piece of the second job reads what another thread wrote in the first.
                crew.each(64, &|piece, _| unsafe { *numbers[piece].0.get() += piece + round }).unwrap();
                // SAFETY: as above.
                crew.each(32, &|piece, _| unsafe { *numbers[piece].0.get() += *numbers[63 - piece].0.get() }).unwrap();
                // SAFETY: as above.
                crew.each(32, &|piece, _| unsafe { *numbers[piece].0.get() -= *numbers[63 - piece].0.get() }).unwrap();
            }
            for (piece, number) in numbers.iter().enumerate() {
                // SAFETY: as above.
                assert_eq!(unsafe { *number.0.get() }, rounds * piece + rounds * (rounds - 1) / 2, "piece {piece}");
            }
        });
    }

    #[test]
    fn helpers_come_and_go_between_jobs() {
        in_pool(3, || {
            let crew = Crew::new();
            for _ in 0..20 {
                done(&crew, 2, 16);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            while crew.present.load(SeqCst) > 0 {
                std::thread::yield_now();
            }
            assert!(crew.seats.iter().all(|seat| !seat.taken.load(SeqCst)));
            done(&crew, 2, 16);
        });
    }

    #[test]
    fn a_leader_does_without_helpers_and_inside_of_its_own_job() {
        let crew = in_pool(4, Crew::new);
        // All of this pool's threads are busy leading: nobody comes.
        in_pool(1, || done(&crew, 5, 50));
        let inner = AtomicUsize::new(0);
        crew.each(3, &|_, _| {
            crew.each(5, &|_, _| {
                inner.fetch_add(1, SeqCst);
            })
            .unwrap();
        })
        .unwrap();
        assert_eq!(inner.load(SeqCst), 15);
    }

    #[test]
    fn others_who_lead_meanwhile_do_their_own() {
        in_pool(4, || {
            let crew = Crew::new();
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        for jobs in 0..200 {
                            let sum = AtomicUsize::new(0);
                            crew.each(10, &|piece, _| {
                                sum.fetch_add(piece, SeqCst);
                            })
                            .unwrap();
                            assert_eq!(sum.load(SeqCst), 45, "job {jobs}");
                        }
                    });
                }
            });
        });
    }

    #[test]
    fn a_panic_of_any_thread_is_an_error_with_its_words() {
        in_pool(2, || {
            let crew = Crew::new();
            for at in [0, 9] {
                // Long enough for the helper to come, who takes the later half.
                let piece = |piece: usize, _| {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    assert!(piece != at, "piece {at} is bad");
                };
                let words = crew.each(10, &piece).unwrap_err();
                assert_eq!(words, format!("piece {at} is bad"));
                // And the next job is done.
                done(&crew, 3, 10);
            }
        });
    }
}

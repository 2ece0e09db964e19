//! The executor: a [`Plan`] loaded once, run many times.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use noyau_compile::Limits;
use noyau_compile::plan::{Body, BufferId, BufferKind, Kernel, KernelKind, Loop, Matmul, Plan};
use noyau_tensor::{Array, DType, Error, Result, State};

use crate::attention::Attend;
use crate::crew::{Crew, caught};
use crate::many::Kept;
use crate::matmul::Product;
use crate::memory::{Memory, Turn, Words, check, copied};
use crate::scatter::ScatterAdd;
use crate::simd::Level;
use crate::tile::{Program, Request, Scratch, lower};

/// Nanoseconds of work below which a second thread does not pay.
const ALONE: f64 = 50_000.0;
/// Nanoseconds of work for one piece.
const PIECE: f64 = 25_000.0;

/// The CPU as a device: it makes states' storage and loads plans. Clones are the same device.
///
/// Threads that share a device take turns: one step runs at a time, on as many threads as rayon has where its kernels are large enough.
#[derive(Clone)]
pub struct Cpu {
    turn: Turn,
    crew: Arc<Crew>,
    level: Level,
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu::new()
    }
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cpu({:?})", self.level)
    }
}

impl Cpu {
    /// A device of its own.
    pub fn new() -> Cpu {
        Cpu { turn: Turn::default(), crew: Crew::new(), level: Level::detect() }
    }

    #[cfg(test)]
    pub(crate) fn with_level(level: Level) -> Cpu {
        Cpu { level, ..Cpu::new() }
    }

    /// What the planner has to know.
    pub fn limits(&self) -> Limits {
        Limits::CPU
    }

    /// A state's storage, holding `value`.
    pub fn create(&self, value: &Array) -> Result<Memory> {
        Memory::new(value, &self.turn)
    }

    /// A state's value.
    pub fn read(&self, memory: &Memory) -> Result<Array> {
        memory.read()
    }

    /// Replaces a state's value, by one of the same shape and type.
    pub fn write(&self, memory: &Memory, value: &Array) -> Result<()> {
        memory.write(value)
    }

    /// Prepares a plan. `states` gives the storage of each state that the plan names, made by this device.
    pub fn load(&self, plan: Arc<Plan>, states: &mut dyn FnMut(&Arc<State>) -> Result<Memory>) -> Result<Executable> {
        let slots = plan.slots.iter().map(|&len| Words::new(len)).collect::<Result<Vec<_>>>()?;
        let mut owned = Vec::new();
        let mut memories: Vec<Memory> = Vec::new();
        let mut places = Vec::with_capacity(plan.buffers.len());
        for buffer in &plan.buffers {
            let pointer = match &buffer.kind {
                BufferKind::Input(_) => {
                    owned.push(Words::new(buffer.len())?);
                    owned[owned.len() - 1].pointer()
                }
                BufferKind::Constant(array) => {
                    check("constant", array, &buffer.shape, buffer.dtype)?;
                    let words = Words::new(array.len())?;
                    // SAFETY: a new allocation of as many words.
                    unsafe { std::ptr::copy_nonoverlapping(array.words().as_ptr(), words.pointer(), array.len()) };
                    owned.push(words);
                    owned[owned.len() - 1].pointer()
                }
                BufferKind::State(state) => {
                    let memory = states(state)?;
                    if !memory.belongs_to(&self.turn) {
                        return Err(Error::argument(state.name(), "the state's storage is another device's"));
                    }
                    if memory.shape()[..] != *buffer.shape || memory.dtype() != buffer.dtype {
                        let message =
                            format!("the plan has {}{:?}, the storage is {}{}", buffer.dtype, buffer.shape, memory.dtype(), memory.shape());
                        return Err(Error::argument(state.name(), message));
                    }
                    let pointer = memory.pointer();
                    memories.push(memory);
                    pointer
                }
                BufferKind::Slot(slot) => match slots.get(*slot) {
                    Some(words) if words.len() >= buffer.len() => words.pointer(),
                    _ => return Err(Error::Internal(format!("slot {slot} does not hold a buffer of {}", buffer.len()))),
                },
            };
            places.push((pointer, buffer.len()));
        }
        let ids = plan.inputs.iter().chain(&plan.outputs);
        if ids.clone().any(|id| id.0 >= places.len()) {
            return Err(Error::Internal("a plan names a buffer that it does not have".into()));
        }
        let kernels = plan.kernels.iter().map(|kernel| self.prepare(kernel, &places)).collect::<Result<Vec<_>>>()?;
        let mut needs = (0, 0, 0);
        let mut shared = 0;
        for kernel in &kernels {
            if let Work::Product(product) = &kernel.work {
                shared = shared.max(product.shared());
            }
            let (words, values, product) = match &kernel.work {
                Work::Loop { program, .. } => (program.scratch, program.places, 0),
                Work::Product(product) => product.needs(),
                Work::Scatter(_) => (0, 0, 0),
                Work::Attention(attend) => (0, 0, attend.room()),
            };
            needs = (needs.0.max(words), needs.1.max(values), needs.2.max(product));
        }
        let parallel = kernels.iter().any(|k| k.parallel);
        let threads = if parallel { self.crew.len() } else { 1 };
        let desk = || Ok(Desk(UnsafeCell::new(Tools { scratch: Scratch::new(needs.0, needs.1)?, product: Words::new(needs.2)? })));
        let desks = (0..threads).map(|_| desk()).collect::<Result<Vec<_>>>()?;
        let kept = Kept::new(&plan.outputs, &places);
        Ok(Executable {
            kept,
            plan,
            places,
            kernels,
            desks,
            at: AtomicUsize::new(0),
            shared: Words::new(shared)?,
            turn: self.turn.clone(),
            crew: Arc::clone(&self.crew),
            _slots: slots,
            _owned: owned,
            _memories: memories,
        })
    }

    fn prepare(&self, kernel: &Kernel, places: &[(*mut u32, usize)]) -> Result<Prepared> {
        let place = |id: BufferId| places.get(id.0).copied().ok_or_else(|| Error::Internal(format!("{}: no buffer {}", kernel.name, id.0)));
        let operands = |body: &Body| -> Result<(Vec<*mut u32>, Vec<usize>)> {
            Ok(body.operands.iter().map(|&id| place(id)).collect::<Result<Vec<_>>>()?.into_iter().unzip())
        };
        // What a kernel writes lies apart from everything else that it uses.
        let writes = kernel.writes();
        for &written in &writes {
            for other in kernel.reads().into_iter().chain(writes.iter().copied()).filter(|&other| other != written) {
                let ((a, n), (b, m)) = (place(written)?, place(other)?);
                if a == b && n > 0 && m > 0 {
                    return Err(Error::Internal(format!("{}: buffers {} and {} share memory", kernel.name, written.0, other.0)));
                }
            }
        }
        // And by one number, so that a body knows what it changes.
        let twice = |body: &Body| writes.iter().any(|written| body.operands.iter().filter(|id| *id == written).count() > 1);
        if matches!(&kernel.kind, KernelKind::Loop(Loop { body, .. }) | KernelKind::Matmul(Matmul { body, .. }) if twice(body)) {
            return Err(Error::Internal(format!("{}: a result has two numbers among the operands", kernel.name)));
        }
        let work = match &kernel.kind {
            KernelKind::Loop(l) => {
                let (pointers, limits) = operands(&l.body)?;
                let program =
                    lower(&Request { body: &l.body, limits: &limits, outer: &l.outer, inner: &l.inner, product: None, level: self.level })?;
                let pieces = pieces(&program);
                Work::Loop { program: Box::new(program), operands: pointers, pieces }
            }
            KernelKind::Matmul(m) => {
                let (pointers, limits) = operands(&m.body)?;
                Work::Product(Box::new(Product::new(m, pointers, &limits, place(m.a.buffer)?, place(m.b.buffer)?, self.level)?))
            }
            KernelKind::Attention(a) => Work::Attention(Box::new(Attend::new(a, &place, self.level)?)),
            KernelKind::Scatter(s) => Work::Scatter(ScatterAdd::new(s, place(s.source)?, place(s.index)?, place(s.target)?)?),
        };
        let (count, cost) = match &work {
            Work::Loop { pieces, program, .. } => (pieces.len(), program.cost),
            Work::Product(product) => (product.pieces.len(), product.cost()),
            Work::Scatter(scatter) => (scatter.pieces.len(), scatter.cost()),
            Work::Attention(attend) => (attend.pieces.len(), attend.cost()),
        };
        let parallel = count > 1 && cost > ALONE && self.crew.len() > 1;
        Ok(Prepared { work, parallel })
    }
}

/// Cuts a program's work into pieces; they depend on shapes only, and no sum crosses them.
fn pieces(program: &Program) -> Vec<(Range<usize>, Range<usize>)> {
    let (by_lines, size, grain) = program.divisible();
    let parts = if program.cost > ALONE { (program.cost / PIECE) as usize } else { 1 };
    let step = size.div_ceil(parts.max(1)).max(1).next_multiple_of(grain);
    let ranges = (0..size.max(1)).step_by(step).map(|start| start..(start + step).min(size));
    ranges.map(|range| if by_lines { (range, 0..program.cols) } else { (0..program.lines, range) }).collect()
}

enum Work {
    Loop { program: Box<Program>, operands: Vec<*mut u32>, pieces: Vec<(Range<usize>, Range<usize>)> },
    Product(Box<Product>),
    Scatter(ScatterAdd),
    Attention(Box<Attend>),
}

struct Prepared {
    work: Work,
    parallel: bool,
}

// SAFETY: the pointers are to memory that the executable keeps alive, and kernels of a device run one at a time: see `Executable::run`.
unsafe impl Send for Prepared {}
// SAFETY: as above.
unsafe impl Sync for Prepared {}

/// What one thread works with.
struct Tools {
    scratch: Scratch,
    product: Words,
}

/// The tools of one seat of the crew.
struct Desk(UnsafeCell<Tools>);

// SAFETY: only used by the thread that has the seat, see `Executable::each`.
unsafe impl Sync for Desk {}

/// A loaded plan.
pub struct Executable {
    plan: Arc<Plan>,
    /// The first word of each buffer, and the number of words.
    places: Vec<(*mut u32, usize)>,
    kernels: Vec<Prepared>,
    /// One for each seat of the crew, or one if all kernels are done by one thread.
    desks: Vec<Desk>,
    /// The kernel that is being done.
    at: AtomicUsize,
    /// What the pieces of a kernel share.
    shared: Words,
    pub(crate) turn: Turn,
    crew: Arc<Crew>,
    pub(crate) kept: Kept,
    // What the pointers point to.
    _slots: Vec<Words>,
    _owned: Vec<Words>,
    _memories: Vec<Memory>,
}

// SAFETY: the pointers are to memory that the executable owns or, the states, whose users take turns.
unsafe impl Send for Executable {}
// SAFETY: through a shared reference memory is only read, and written only by who holds the turn or a unique reference.
unsafe impl Sync for Executable {}

impl std::fmt::Debug for Executable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Executable({} kernels)", self.kernels.len())
    }
}

impl Executable {
    /// The plan that was loaded.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Sets an argument of the step, by position.
    pub fn write(&mut self, input: usize, value: &Array) -> Result<()> {
        let count = self.plan.inputs.len();
        let id = *self
            .plan
            .inputs
            .get(input)
            .ok_or_else(|| Error::argument("input", format!("the step takes {count} arguments, there is no number {input}")))?;
        self.write_buffer(id, value).map_err(|error| match error {
            Error::Argument { message, .. } => Error::argument(format!("argument {input}"), message),
            other => other,
        })
    }

    /// Runs the step.
    pub fn run(&mut self) -> Result<()> {
        self.run_each(1, || ())
    }

    /// Runs the step so many times, calling `after` after each, all in one turn.
    pub(crate) fn run_each(&mut self, runs: usize, mut after: impl FnMut()) -> Result<()> {
        let _turn = self.turn.take()?;
        self.guarded(|| {
            for _ in 0..runs {
                (0..self.kernels.len()).try_for_each(|i| self.launch(i))?;
                after();
            }
            Ok(())
        })
    }

    /// Launches kernels; what panics, in whichever thread, is an error that names the kernel.
    fn guarded(&self, launches: impl FnOnce() -> Result<(), String>) -> Result<()> {
        caught(launches).and_then(|done| done).map_err(|words| {
            let name = &self.plan.kernels[self.at.load(Relaxed)].name;
            Error::Internal(format!("the kernel {name} panicked: {words}; results and states of this step are not to be used"))
        })
    }

    /// Runs one kernel of the plan, by position: for going through a step kernel by kernel.
    pub fn run_kernel(&mut self, kernel: usize) -> Result<()> {
        if kernel >= self.kernels.len() {
            return Err(Error::argument("kernel", format!("the plan has {} kernels, there is no number {kernel}", self.kernels.len())));
        }
        let _turn = self.turn.take()?;
        self.guarded(|| self.launch(kernel))
    }

    /// A result of the last run, by position.
    pub fn read(&self, output: usize) -> Result<Array> {
        let count = self.plan.outputs.len();
        let id = *self
            .plan
            .outputs
            .get(output)
            .ok_or_else(|| Error::argument("output", format!("the step has {count} results, there is no number {output}")))?;
        self.read_buffer(id)
    }

    /// What is in a buffer of the plan now.
    pub fn read_buffer(&self, id: BufferId) -> Result<Array> {
        let (pointer, len, shape, dtype) = self.buffer(id)?;
        let _turn = self.turn.take()?;
        // SAFETY: the buffer has so many words, and the turn keeps writers out.
        let words = unsafe { std::slice::from_raw_parts(pointer, len) };
        Array::from_words(shape, dtype, copied(words)?)
    }

    /// Replaces what is in a buffer of the plan. A constant stays replaced.
    pub fn write_buffer(&mut self, id: BufferId, value: &Array) -> Result<()> {
        let (pointer, len, shape, dtype) = self.buffer(id)?;
        check("buffer", value, shape, dtype)?;
        let _turn = self.turn.take()?;
        // SAFETY: as many words on both sides, and the turn keeps other users out.
        unsafe { std::ptr::copy_nonoverlapping(value.words().as_ptr(), pointer, len) };
        Ok(())
    }

    /// How many kernels a run executes.
    pub fn launches(&self) -> usize {
        self.kernels.len()
    }

    fn buffer(&self, id: BufferId) -> Result<(*mut u32, usize, &[usize], DType)> {
        match (self.places.get(id.0), self.plan.buffers.get(id.0)) {
            (Some(&(pointer, len)), Some(buffer)) => Ok((pointer, len, &buffer.shape, buffer.dtype)),
            _ => Err(Error::argument("buffer", format!("the plan has {} buffers, there is no number {}", self.places.len(), id.0))),
        }
    }

    /// Does a kernel, by position. Only to be called with the turn taken and through a unique reference, so that there is one at a time.
    fn launch(&self, kernel: usize) -> Result<(), String> {
        let Prepared { work, parallel } = &self.kernels[kernel];
        self.at.store(kernel, Relaxed);
        match work {
            // SAFETY: prepared for these operands, which are alive; the turn and the unique reference keep others out, pieces write apart.
            Work::Loop { program, operands, pieces } => {
                let operands = Pointers(operands);
                // SAFETY: as above.
                self.each(pieces, *parallel, |(lines, cols), desk| unsafe {
                    program.run(operands.get(), std::ptr::null_mut(), &mut desk.scratch, lines.clone(), cols.clone())
                })
            }
            Work::Product(product) => {
                let product = Shared(product);
                // SAFETY: as above; parts write apart, and are done before the pieces begin.
                let laid = self.each(product.get().parts(), *parallel, |part, desk| unsafe {
                    product.get().lay(part, desk.product.pointer().cast(), self.shared.pointer().cast())
                });
                let run = || {
                    // SAFETY: as above.
                    self.each(&product.get().pieces, *parallel, |piece, desk| unsafe {
                        product.get().run(piece, &mut desk.scratch, desk.product.pointer().cast(), self.shared.pointer().cast())
                    })
                };
                laid.and_then(|()| run())
            }
            Work::Attention(attend) => {
                let attend = Shared(attend);
                // SAFETY: as above.
                self.each(&attend.get().pieces, *parallel, |piece, desk| unsafe { attend.get().run(piece, desk.product.pointer().cast()) })
            }
            Work::Scatter(scatter) => {
                let scatter = Shared(scatter);
                // SAFETY: as above.
                self.each(&scatter.get().pieces, *parallel, |piece, _| unsafe { scatter.get().run(piece) })
            }
        }
    }

    /// Does all pieces, on several threads where that pays. Which thread does which piece changes nothing. A panic is an error where there are
    /// several threads, and goes through where there is one.
    fn each<P: Sync>(&self, pieces: &[P], parallel: bool, work: impl Fn(&P, &mut Tools) + Sync) -> Result<(), String> {
        let one = |piece: usize, seat: usize| {
            debug_assert!(seat < self.desks.len());
            // SAFETY: kernels are launched one at a time, and no two threads of the crew have the same seat; one alone has the first. No
            // piece launches kernels. So the desk is this thread's until the piece is done.
            let tools = unsafe { &mut *self.desks[seat].0.get() };
            work(&pieces[piece], tools);
        };
        if parallel {
            self.crew.each(pieces.len(), &one)
        } else {
            (0..pieces.len()).for_each(|piece| one(piece, 0));
            Ok(())
        }
    }
}

/// Operands that threads share.
struct Pointers<'a>(&'a [*mut u32]);

// SAFETY: what they point to is shared by the rules of `Program::run`.
unsafe impl Sync for Pointers<'_> {}

impl Pointers<'_> {
    fn get(&self) -> &[*mut u32] {
        self.0
    }
}

/// Prepared work that threads share.
struct Shared<'a, T>(&'a T);

// SAFETY: its pointers are to memory that is shared by the rules of its `run`.
unsafe impl<T> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    fn get(&self) -> &'a T {
        self.0
    }
}

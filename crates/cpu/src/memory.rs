//! Where words live: aligned allocations, and the handle by which executables share a state's.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use noyau_tensor::{Array, DType, Error, Result, Shape};

/// A cache line, and the widest vector.
const ALIGN: usize = 64;

/// Bytes from which on an allocation is asked to be in large pages, and what these are aligned to. Reading 64 MiB from end to end is a fifth faster so: the
/// processor fetches ahead across more of it, and looks fewer pages up.
const LARGE: usize = 4 << 20;
const PAGE: usize = 2 << 20;

/// Asks for large pages; a system that has none leaves everything as it is.
fn advise(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::{c_int, c_void};
        unsafe extern "C" {
            fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
        }
        const MADV_HUGEPAGE: c_int = 14;
        // SAFETY: a hint about pages of an allocation that is ours whole; it changes nothing that a program can see, and a failure is no harm.
        unsafe { madvise(start.cast(), bytes, MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Words of memory, 64-byte aligned, zero at first.
pub(crate) struct Words {
    start: NonNull<u32>,
    len: usize,
}

// SAFETY: the allocation is owned, and words are plain data; who reads and writes them, and when, is for the owner to order.
unsafe impl Send for Words {}
// SAFETY: as above; the type itself offers no access through a shared reference but the raw pointer.
unsafe impl Sync for Words {}

impl Words {
    pub(crate) fn new(len: usize) -> Result<Words> {
        if len == 0 {
            return Ok(Words { start: NonNull::dangling(), len });
        }
        let layout = Words::layout(len)?;
        // SAFETY: the layout's size is not 0; what is not zero yet is made so before anyone sees it.
        let start = unsafe {
            if layout.align() == PAGE {
                let start = alloc(layout);
                if !start.is_null() {
                    // Only whole pages: the rest may share one with others.
                    advise(start, layout.size() / PAGE * PAGE);
                    start.write_bytes(0, layout.size());
                }
                start
            } else {
                alloc_zeroed(layout)
            }
        };
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Words { start, len }),
            None => Err(Error::OutOfMemory { device: "cpu".into(), message: format!("{} bytes were asked for", layout.size()) }),
        }
    }

    fn layout(len: usize) -> Result<Layout> {
        // A vector more, so that one may be read that begins at the last word: see `sliding`.
        let bytes = len.checked_mul(4).and_then(|bytes| bytes.checked_next_multiple_of(ALIGN)?.checked_add(ALIGN));
        let align = |bytes| if cfg!(target_os = "linux") && bytes >= LARGE { PAGE } else { ALIGN };
        let layout = bytes.and_then(|bytes| Layout::from_size_align(bytes, align(bytes)).ok());
        layout.ok_or_else(|| Error::OutOfMemory {
            device: "cpu".into(),
            message: format!("{len} elements of 4 bytes exceed the address space"),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn pointer(&self) -> *mut u32 {
        self.start.as_ptr()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if self.len > 0 {
            match Words::layout(self.len) {
                // SAFETY: allocated in `new` with the same layout.
                Ok(layout) => unsafe { dealloc(self.start.as_ptr().cast(), layout) },
                Err(_) => handle_alloc_error(Layout::new::<u32>()),
            }
        }
    }
}

/// Orders all use of the memories that one [`Cpu`](crate::Cpu) made.
#[derive(Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Waits until no other thread uses this device's memories. Whoever has the turn waits for no thread that may wait here: see [`crate::crew`].
    pub(crate) fn take(&self) -> Result<MutexGuard<'_, ()>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is(&self, other: &Turn) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

struct Inner {
    words: Words,
    shape: Shape,
    dtype: DType,
    turn: Turn,
}

/// The storage of a state. Clones are the same storage: two executables of one session share states through it.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

impl Memory {
    pub(crate) fn new(value: &Array, turn: &Turn) -> Result<Memory> {
        let words = Words::new(value.len())?;
        let memory = Memory(Arc::new(Inner { words, shape: value.shape().clone(), dtype: value.dtype(), turn: turn.clone() }));
        memory.write(value)?;
        Ok(memory)
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    pub(crate) fn belongs_to(&self, turn: &Turn) -> bool {
        self.0.turn.is(turn)
    }

    /// Only to be followed while the device's turn is held.
    pub(crate) fn pointer(&self) -> *mut u32 {
        self.0.words.pointer()
    }

    pub(crate) fn read(&self) -> Result<Array> {
        let _turn = self.0.turn.take()?;
        // SAFETY: the allocation has this many words, and the turn keeps writers out.
        let words = unsafe { std::slice::from_raw_parts(self.pointer(), self.0.words.len()) };
        Array::from_words(self.shape(), self.dtype(), copied(words)?)
    }

    pub(crate) fn write(&self, value: &Array) -> Result<()> {
        check("state", value, self.shape(), self.dtype())?;
        let _turn = self.0.turn.take()?;
        // SAFETY: as many words on both sides (the shapes are equal), and the turn keeps other users out.
        unsafe { std::ptr::copy_nonoverlapping(value.words().as_ptr(), self.pointer(), value.len()) };
        Ok(())
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({}{})", self.dtype(), self.shape())
    }
}

/// A copy, if there is memory for it: an allocation that fails would end the program.
pub(crate) fn copied(words: &[u32]) -> Result<Vec<u32>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(words.len()).map_err(|_| Error::OutOfMemory {
        device: "cpu".into(),
        message: format!("reading a value of {} bytes back takes as many again", words.len() * 4),
    })?;
    copy.extend_from_slice(words);
    Ok(copy)
}

/// Fails when a value is not of the shape and type that its place has.
pub(crate) fn check(what: &str, value: &Array, shape: &[usize], dtype: DType) -> Result<()> {
    if value.shape()[..] == *shape && value.dtype() == dtype {
        return Ok(());
    }
    Err(Error::argument(what, format!("expected {dtype}{shape:?}, got {}{}", value.dtype(), value.shape())))
}

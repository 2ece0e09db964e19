//! Where values live: whole buffers for large ones, shared arenas for small ones.
//!
//! A kernel binds each buffer once; small values that share an arena share its binding, which keeps kernels under the device's limit of bindings and
//! lets whole chains of them run as one launch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use noyau_tensor::{Array, DType, Error, Result, Shape};

use crate::context::{Device, lock};

/// Values of at most this many bytes live in arenas.
pub(crate) const ARENA_BYTES: usize = 64 << 10;
/// Where values in arenas begin: multiples of this.
pub const ALIGNMENT: u64 = 256;
/// The size of an arena of states.
pub const STATE_ARENA_BYTES: u64 = 4 << 20;

/// A buffer, with a number that no other has.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub buffer: wgpu::Buffer,
    pub id: u64,
}

impl Storage {
    pub fn new(buffer: wgpu::Buffer) -> Storage {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Storage { buffer, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }
}

/// A state's memory on a device; clones are the same memory.
#[derive(Clone)]
pub struct Memory(Arc<Block>);

struct Block {
    storage: Storage,
    offset: u64,
    shape: Shape,
    dtype: DType,
    half: bool,
    chunk: Option<Arc<Chunk>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} {})", self.0.dtype, self.0.shape)
    }
}

impl Memory {
    /// Memory for a value: a part of an arena, or a buffer of its own.
    pub(crate) async fn allocate(device: &Device, shape: &Shape, dtype: DType) -> Result<Memory> {
        let Some(count) = shape.checked_numel() else {
            return Err(Error::OutOfMemory {
                device: device.info.to_string(),
                message: format!("a state of shape {shape} has more elements than any memory"),
            });
        };
        let half = device.is_half(count, dtype);
        let bytes = if half { count.div_ceil(2) } else { count } as u64 * 4;
        let what = format!("a state of shape {shape}");
        let (storage, offset, chunk) = if bytes <= ARENA_BYTES as u64 {
            let (chunk, offset) = device.states.take(device, bytes.max(4).next_multiple_of(ALIGNMENT)).await?;
            (chunk.storage.clone(), offset, Some(chunk))
        } else {
            (device.storage(bytes, &what).await?, 0, None)
        };
        Ok(Memory(Arc::new(Block { storage, offset, shape: shape.clone(), dtype, half, chunk })))
    }

    /// The value's shape.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The value's element type.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// The value's size.
    pub fn bytes(&self) -> u64 {
        let count = self.0.shape.numel() as u64;
        if self.0.half { count * 2 } else { count * 4 }
    }

    /// Whether elements take two bytes.
    pub(crate) fn is_half(&self) -> bool {
        self.0.half
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.0.storage
    }

    pub(crate) fn offset(&self) -> u64 {
        self.0.offset
    }

    pub(crate) fn in_arena(&self) -> bool {
        self.0.chunk.is_some()
    }

    /// Refuses a value of another shape or type.
    pub(crate) fn accepts(&self, value: &Array) -> Result<()> {
        if value.shape() == self.shape() && value.dtype() == self.dtype() {
            return Ok(());
        }
        Err(Error::argument(
            "write",
            format!("the state is {} {}, the value {} {}", self.dtype(), self.shape(), value.dtype(), value.shape()),
        ))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(chunk) = &self.chunk {
            let bytes = self.shape.numel() as u64 * self.dtype.size() as u64;
            chunk.give_back(self.offset, bytes.max(4).next_multiple_of(ALIGNMENT));
        }
    }
}

/// The arenas of a device's states.
#[derive(Default)]
pub(crate) struct States(Mutex<Vec<Arc<Chunk>>>);

/// One arena and its free ranges, start to length.
struct Chunk {
    storage: Storage,
    free: Mutex<BTreeMap<u64, u64>>,
}

impl States {
    /// So many bytes (a multiple of the alignment) of some arena.
    async fn take(&self, device: &Device, bytes: u64) -> Result<(Arc<Chunk>, u64)> {
        if let Some(found) = self.find(bytes) {
            return Ok(found);
        }
        let storage = device.storage(STATE_ARENA_BYTES.min(device.info.limits.max_binding_bytes), "an arena of states").await?;
        let size = storage.buffer.size();
        let chunk = Arc::new(Chunk { storage, free: Mutex::new(BTreeMap::from([(0, size)])) });
        lock(&self.0).push(chunk);
        // Another thread may have taken the new arena's place meanwhile, but not all of it.
        self.find(bytes).ok_or_else(|| Error::Internal(format!("no room for {bytes} bytes in a new arena of states")))
    }

    fn find(&self, bytes: u64) -> Option<(Arc<Chunk>, u64)> {
        lock(&self.0).iter().find_map(|chunk| chunk.take(bytes).map(|offset| (Arc::clone(chunk), offset)))
    }
}

impl Chunk {
    /// The first free range that is long enough.
    fn take(&self, bytes: u64) -> Option<u64> {
        let mut free = lock(&self.free);
        let (start, length) = free.iter().find(|&(_, &length)| length >= bytes).map(|(&s, &l)| (s, l))?;
        free.remove(&start);
        if length > bytes {
            free.insert(start + bytes, length - bytes);
        }
        Some(start)
    }

    /// A range becomes free, and one with its free neighbours.
    fn give_back(&self, mut start: u64, mut bytes: u64) {
        let mut free = lock(&self.free);
        if let Some(next) = free.remove(&(start + bytes)) {
            bytes += next;
        }
        if let Some((&before, &length)) = free.range(..start).next_back()
            && before + length == start
        {
            start = before;
            bytes += length;
        }
        free.insert(start, bytes);
    }
}

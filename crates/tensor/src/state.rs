//! Values that outlive a step.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::{Array, DType, Error, Op, Scalar, Shape, Tensor};

/// Makes a state's first value from a seed that is its own, or says why there is none for this shape.
pub type Initializer = Arc<dyn Fn(&Shape, u64) -> crate::Result<Vec<f32>> + Send + Sync>;

/// How a state begins.
#[derive(Clone)]
pub enum Init {
    /// The same value everywhere.
    Full(Scalar),
    /// Given values.
    Data(Arc<Array>),
    /// Drawn, when a session first meets the state, from the session's seed and the state's place in it; float types only.
    Random(Initializer),
}

impl std::fmt::Debug for Init {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Init::Full(value) => write!(f, "Full({value})"),
            Init::Data(array) => write!(f, "Data({})", array.shape()),
            Init::Random(_) => f.write_str("Random"),
        }
    }
}

/// A named value that a session keeps on its device from step to step: a parameter, an optimizer's moment, a counter.
///
/// The value itself lives in the session; this is its description. Two states are the same when their `id` is.
#[derive(Debug)]
pub struct State {
    id: u64,
    name: String,
    shape: Shape,
    dtype: DType,
    init: Init,
}

impl State {
    /// A new state, different from all others.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, dtype: DType, init: Init) -> Arc<State> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(State { id, name: name.into(), shape: shape.into(), dtype, init })
    }

    /// A number that no other state of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name given by the program; need not be unique.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// How the state begins.
    pub fn init(&self) -> &Init {
        &self.init
    }

    /// The first value, for a state to which the session has given `seed`.
    pub fn initial_value(&self, seed: u64) -> crate::Result<Array> {
        match &self.init {
            Init::Full(value) => {
                // A shape may be anything; an allocation that fails would end the program.
                let mut words: Vec<u32> = Vec::new();
                match self.shape.checked_numel() {
                    Some(n) if words.try_reserve_exact(n).is_ok() => words.resize(n, value.to_word()),
                    _ => {
                        let message = format!("there is no room for the first value of `{}`, {}{}", self.name, self.dtype, self.shape);
                        return Err(Error::OutOfMemory { device: "cpu".into(), message });
                    }
                }
                Array::from_words(&self.shape, value.dtype(), words)
            }
            Init::Data(array) => Ok(Array::clone(array)),
            Init::Random(draw) => Ok(Array::new(&self.shape, &draw(&self.shape, seed)?)?.to(self.dtype)),
        }
    }
}

/// A state as a tensor: use it in expressions like any other, name it in an update to change it.
///
/// Parameters of a model, an optimizer's moments and counters are all `Param`s. Clones are the same parameter.
#[derive(Clone, Debug)]
pub struct Param {
    tensor: Tensor,
    state: Arc<State>,
}

impl Param {
    /// A parameter of the given shape, f32.
    #[track_caller]
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, init: Init) -> Param {
        Param::from_state(State::new(name, shape, DType::F32, init))
    }

    /// A parameter with one value, shape `[]`.
    #[track_caller]
    pub fn scalar(name: impl Into<String>, value: f32) -> Param {
        Param::new(name, Shape::scalar(), Init::Full(Scalar::Float(value.into())))
    }

    /// A parameter that begins with the given values, of their shape and type.
    #[track_caller]
    pub fn from_array(name: impl Into<String>, value: Array) -> Param {
        let (shape, dtype) = (value.shape().clone(), value.dtype());
        Param::from_state(State::new(name, shape, dtype, Init::Data(Arc::new(value))))
    }

    /// The parameter that stands for a state.
    #[track_caller]
    pub fn from_state(state: Arc<State>) -> Param {
        let tensor = Tensor::leaf(Op::State(Arc::clone(&state)), state.shape.clone(), state.dtype);
        Param { tensor, state }
    }

    /// The state behind it.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The name given by the program.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The value as a tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

impl Deref for Param {
    type Target = Tensor;
    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

/// The state that holds a session's random seed (u32, scalar): the key of every Philox draw.
pub fn rng_seed() -> &'static Param {
    static SEED: OnceLock<Param> = OnceLock::new();
    SEED.get_or_init(|| Param::from_state(State::new("rng.seed", Shape::scalar(), DType::U32, Init::Full(Scalar::Uint(0)))))
}

/// The state that counts the runs of steps that draw random numbers (u32, scalar); compiling such a step adds its increment.
pub fn rng_step() -> &'static Param {
    static STEP: OnceLock<Param> = OnceLock::new();
    STEP.get_or_init(|| Param::from_state(State::new("rng.step", Shape::scalar(), DType::U32, Init::Full(Scalar::Uint(0)))))
}

//! The data that cases are tried on: drawn from the case's name, so that a case keeps its data when others come and go.

use noyau::tensor::Element;
use noyau::{Array, Param, Shape, Tensor};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// Makes parameters and remembers them.
pub struct Data {
    rng: StdRng,
    params: Vec<Param>,
}

impl Data {
    /// Data for a name.
    pub fn new(name: &str) -> Data {
        // FNV-1a: any mixing of the name will do, as long as it never changes.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Data { rng: StdRng::seed_from_u64(seed), params: Vec::new() }
    }

    /// The parameters made so far.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// A parameter with given values.
    pub fn given<T: Element>(&mut self, shape: impl Into<Shape>, values: &[T]) -> Tensor {
        let array = Array::new(shape, values).expect("the case gives as many values as its shape has");
        let param = Param::from_array(format!("p{}", self.params.len()), array);
        self.params.push(param.clone());
        param.tensor().clone()
    }

    fn drawn<T: Element>(&mut self, shape: impl Into<Shape>, mut draw: impl FnMut(&mut StdRng) -> T) -> Tensor {
        let shape = shape.into();
        let values: Vec<T> = (0..shape.numel()).map(|_| draw(&mut self.rng)).collect();
        self.given(shape, &values)
    }

    /// Uniform floats.
    pub fn range(&mut self, shape: impl Into<Shape>, low: f32, high: f32) -> Tensor {
        self.drawn(shape, |rng| rng.random_range(low..high))
    }

    /// Uniform floats in -2..2.
    pub fn floats(&mut self, shape: impl Into<Shape>) -> Tensor {
        self.range(shape, -2.0, 2.0)
    }

    /// Uniform floats in 0.25..2.
    pub fn positive(&mut self, shape: impl Into<Shape>) -> Tensor {
        self.range(shape, 0.25, 2.0)
    }

    /// Floats in -2..2 that are at least 0.1 away from every multiple of `step`: from the kinks of functions that have them there.
    pub fn between(&mut self, shape: impl Into<Shape>, step: f32) -> Tensor {
        self.drawn(shape, |rng| {
            let cell = rng.random_range((-2.0 / step).floor() as i32..(2.0 / step).ceil() as i32);
            (cell as f32 + rng.random_range(0.1 / step..1.0 - 0.1 / step)) * step
        })
    }

    /// Floats in -2..2 none of which is nearer than 0.5 / n to another, in no order: no ties for max, min and their kin.
    pub fn distinct(&mut self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let n = shape.numel();
        let mut values: Vec<f32> = (0..n).map(|i| (i as f32 + self.rng.random_range(0.3..0.7)) * 4.0 / n as f32 - 2.0).collect();
        values.shuffle(&mut self.rng);
        self.given(shape, &values)
    }

    /// Uniform i32, `low <= x < high`.
    pub fn ints(&mut self, shape: impl Into<Shape>, low: i32, high: i32) -> Tensor {
        self.drawn(shape, |rng| rng.random_range(low..high))
    }

    /// Uniform u32 below `high`.
    pub fn uints(&mut self, shape: impl Into<Shape>, high: u32) -> Tensor {
        self.drawn(shape, |rng| rng.random_range(0..high))
    }

    /// Bools.
    pub fn bools(&mut self, shape: impl Into<Shape>) -> Tensor {
        self.drawn(shape, |rng| rng.random_bool(0.5))
    }

    /// Uniform floats that are part of the expression, no parameter.
    pub fn constant(&mut self, shape: impl Into<Shape>, low: f32, high: f32) -> Tensor {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.numel()).map(|_| self.rng.random_range(low..high)).collect();
        Tensor::new(&values, shape)
    }
}

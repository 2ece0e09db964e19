//! A kernel's body as statements: each value a `let`, each store an assignment.

use std::collections::HashMap;

use noyau_compile::Index;
use noyau_compile::plan::{Body, Instr, Level, ValueId};
use noyau_tensor::{DType, Error, Result, Scalar};

use crate::Layout;
use crate::four::{self, Four, parts, type4};
use crate::ops::{self, literal, type_name};
use crate::place::{Axes, Printed, Reach, print};
use crate::text::{Sum, Text};

/// A kernel's body while it is being printed. Values are named `v3`; an index used twice at one level is computed once.
pub(crate) struct Printer<'a> {
    pub body: &'a Body,
    pub layout: &'a Layout,
    pub axes: Axes,
    /// The expression of [`Instr::Product`].
    pub product: Option<&'a str>,
    /// Which values have four elements, where four coordinates are done at a time.
    pub four: Option<Four>,
    places: HashMap<(Level, &'a Index), Printed>,
    /// Of indexes whose four elements are not neighbours.
    apart: HashMap<(Level, &'a Index), [Printed; 4]>,
    /// How many variables for places there are so far: names must differ.
    variables: usize,
}

impl<'a> Printer<'a> {
    pub fn new(body: &'a Body, layout: &'a Layout, axes: Axes) -> Printer<'a> {
        Printer { body, layout, axes, product: None, four: None, places: HashMap::new(), apart: HashMap::new(), variables: 0 }
    }

    /// Forgets the inner level's variables: a new block begins.
    pub fn new_block(&mut self) {
        self.places.retain(|(level, _), _| *level == Level::Outer);
        self.apart.retain(|(level, _), _| *level == Level::Outer);
    }

    /// Whether a value has four elements.
    pub fn wide(&self, id: ValueId) -> bool {
        self.four.as_ref().is_some_and(|f| f.wide[id.0])
    }

    /// The type of a value as it is printed.
    pub fn value_type(&self, id: ValueId) -> String {
        let dtype = self.body.values[id.0].dtype;
        if self.wide(id) { type4(dtype) } else { type_name(dtype).into() }
    }

    fn place(&mut self, text: &mut Text, level: Level, index: &'a Index) -> Result<Printed> {
        if let Some(printed) = self.places.get(&(level, index)).or_else(|| self.places.get(&(Level::Outer, index))) {
            return Ok(printed.clone());
        }
        let prefix = format!("p{}", self.variables);
        self.variables += 1;
        let printed = print(text, &self.axes, index, &prefix)?;
        self.places.insert((level, index), printed.clone());
        Ok(printed)
    }

    /// The places of an index for four coordinates, one by one.
    fn places4(&mut self, text: &mut Text, level: Level, index: &'a Index) -> Result<[Printed; 4]> {
        let Some(coordinate) = self.four.as_ref().map(|f| f.coordinate) else {
            return Err(Error::Internal("four places where one was to be printed".into()));
        };
        if let Some(printed) = self.apart.get(&(level, index)).or_else(|| self.apart.get(&(Level::Outer, index))) {
            return Ok(printed.clone());
        }
        let reach = self.axes.reach(index, coordinate);
        let known = match reach {
            Reach::Same => Some(0),
            Reach::Whole => Some(1),
            Reach::Apart(stride) => stride,
        };
        let printed = if let Some(stride) = known {
            let Printed { place, valid } = self.place(text, level, index)?;
            [0, 1, 2, 3i64].map(|i| {
                let mut sum = Sum::new(stride * i);
                sum.add(1, place.clone());
                Printed { place: sum.print(), valid: valid.clone() }
            })
        } else {
            let mut one = |by: usize| {
                let prefix = format!("p{}", self.variables);
                self.variables += 1;
                print(text, &self.axes.shifted(coordinate, by), index, &prefix)
            };
            [one(0)?, one(1)?, one(2)?, one(3)?]
        };
        self.apart.insert((level, index), printed.clone());
        Ok(printed)
    }

    /// How four elements of an index lie.
    fn reach(&self, index: &Index) -> Reach {
        self.four.as_ref().map_or(Reach::Same, |f| self.axes.reach(index, f.coordinate))
    }

    /// The expression of a value of four elements.
    fn expression4(&mut self, text: &mut Text, id: ValueId) -> Result<String> {
        let body = self.body;
        let value = &body.values[id.0];
        let name = |v: ValueId| format!("v{}", v.0);
        let dtype = |v: ValueId| body.values[v.0].dtype;
        let one = literal(Scalar::new(0.0, value.dtype));
        let zero = format!("{}({one})", type4(value.dtype));
        let letters = ["x", "y", "z", "w"];
        let vector = |parts: [String; 4], dtype: DType| format!("{}({})", type4(dtype), parts.join(", "));
        Ok(match &value.instr {
            Instr::Load { operand, index } => {
                let buffer = body.operands[*operand];
                if self.reach(index) == Reach::Whole {
                    let Printed { place, valid } = self.place(text, value.level, index)?;
                    self.guarded4(buffer, &place, valid.as_deref(), &zero)
                } else {
                    let places = self.places4(text, value.level, index)?;
                    vector(places.map(|p| self.guarded(buffer, &p.place, p.valid.as_deref(), &one)), value.dtype)
                }
            }
            Instr::Gather { operand, index, at, stride, len } => {
                let buffer = body.operands[*operand];
                let inside = |at: &str, valid: Option<String>| {
                    let inside = format!("{at} < {len}u");
                    valid.map_or(inside.clone(), |v| format!("({v}) & ({inside})"))
                };
                if !self.wide(*at) && stride % 4 == 0 && self.reach(index) == Reach::Whole {
                    let Printed { place, valid } = self.place(text, value.level, index)?;
                    let valid = inside(&name(*at), valid);
                    self.guarded4(buffer, &format!("{place} + {} * {stride}u", name(*at)), Some(&valid), &zero)
                } else {
                    let places = self.places4(text, value.level, index)?;
                    let wide = self.wide(*at);
                    let mut part = 0;
                    let parts = places.map(|Printed { place, valid }| {
                        let at = if wide { format!("{}.{}", name(*at), letters[part]) } else { name(*at) };
                        part += 1;
                        self.guarded(buffer, &format!("{place} + {at} * {stride}u"), Some(&inside(&at, valid)), &one)
                    });
                    vector(parts, value.dtype)
                }
            }
            Instr::Place(index) => {
                let places = self.places4(text, value.level, index)?;
                vector(
                    places.map(|Printed { place, valid }| valid.map_or(place.clone(), |v| format!("select(0u, {place}, {v})"))),
                    DType::U32,
                )
            }
            Instr::Valid(index) => {
                let places = self.places4(text, value.level, index)?;
                vector(places.map(|p| p.valid.unwrap_or_else(|| "true".into())), DType::Bool)
            }
            Instr::Unary(op, a) => four::unary(*op, dtype(*a), &name(*a)),
            Instr::Binary(op, a, b) => four::binary(*op, dtype(*a), (&name(*a), self.wide(*a)), (&name(*b), self.wide(*b))),
            Instr::Where(c, a, b) => format!("select({}, {}, {})", self.splat(*b), self.splat(*a), name(*c)),
            Instr::Cast(a) => four::cast(dtype(*a), value.dtype, &name(*a)),
            Instr::Philox { stream, index, step, seed } => {
                let part = |v: ValueId, p: &str| if self.wide(v) { format!("{}.{p}", name(v)) } else { name(v) };
                parts(DType::U32, |p| format!("noyau_philox({}, {}, {stream}u, {})", part(*index, p), part(*step, p), part(*seed, p)))
            }
            Instr::Const(_) | Instr::Reduce(..) | Instr::Product => {
                return Err(Error::Internal(format!("value {} cannot have four elements", id.0)));
            }
        })
    }

    /// A value as four elements.
    pub fn splat(&self, id: ValueId) -> String {
        if self.wide(id) { format!("v{}", id.0) } else { format!("{}(v{})", type4(self.body.values[id.0].dtype), id.0) }
    }

    /// As [`Printer::guarded`], for four neighbours that are valid together.
    fn guarded4(&self, buffer: noyau_compile::plan::BufferId, place: &str, valid: Option<&str>, zero: &str) -> String {
        match valid {
            None => self.layout.load4(buffer, place),
            Some(valid) => format!("select({zero}, {}, {valid})", self.layout.load4(buffer, &format!("select(0u, {place}, {valid})"))),
        }
    }

    /// Writes `let v<id> = ..` (but for reductions, which the loop makes).
    pub fn value(&mut self, text: &mut Text, id: ValueId) -> Result<()> {
        if self.wide(id) {
            let expression = self.expression4(text, id)?;
            text.line(format!("let v{}: {} = {expression};", id.0, self.value_type(id)));
            return Ok(());
        }
        let body = self.body;
        let value = &body.values[id.0];
        let name = |v: ValueId| format!("v{}", v.0);
        let dtype = |v: ValueId| body.values[v.0].dtype;
        let zero = literal(Scalar::new(0.0, value.dtype));
        let expression = match &value.instr {
            Instr::Const(scalar) => literal(*scalar),
            Instr::Load { operand, index } => {
                let Printed { place, valid } = self.place(text, value.level, index)?;
                self.guarded(body.operands[*operand], &place, valid.as_deref(), &zero)
            }
            Instr::Gather { operand, index, at, stride, len } => {
                let Printed { place, valid } = self.place(text, value.level, index)?;
                let inside = format!("{} < {len}u", name(*at));
                let valid = valid.map_or(inside.clone(), |v| format!("({v}) & ({inside})"));
                let place = format!("{place} + {} * {stride}u", name(*at));
                self.guarded(body.operands[*operand], &place, Some(&valid), &zero)
            }
            Instr::Place(index) => {
                let Printed { place, valid } = self.place(text, value.level, index)?;
                valid.map_or(place.clone(), |v| format!("select(0u, {place}, {v})"))
            }
            Instr::Valid(index) => self.place(text, value.level, index)?.valid.unwrap_or_else(|| "true".into()),
            Instr::Unary(op, a) => ops::unary(*op, dtype(*a), &name(*a)),
            Instr::Binary(op, a, b) => ops::binary(*op, dtype(*a), &name(*a), &name(*b)),
            Instr::Where(c, a, b) => format!("select({}, {}, {})", name(*b), name(*a), name(*c)),
            Instr::Cast(a) => ops::cast(dtype(*a), value.dtype, &name(*a)),
            Instr::Philox { stream, index, step, seed } => {
                format!("noyau_philox({}, {}, {stream}u, {})", name(*index), name(*step), name(*seed))
            }
            Instr::Reduce(..) => return Err(Error::Internal(format!("value {} is a reduction where there is nothing to reduce", id.0))),
            Instr::Product => match self.product {
                Some(product) => product.into(),
                None => return Err(Error::Internal("a product outside of a matmul".into())),
            },
        };
        text.line(format!("let v{}: {} = {expression};", id.0, type_name(value.dtype)));
        Ok(())
    }

    /// A load that happens at place 0 where it is not valid, so that no access is ever out of range.
    fn guarded(&self, buffer: noyau_compile::plan::BufferId, place: &str, valid: Option<&str>, zero: &str) -> String {
        match valid {
            None => self.layout.load(buffer, place),
            Some(valid) => format!("select({zero}, {}, {valid})", self.layout.load(buffer, &format!("select(0u, {place}, {valid})"))),
        }
    }

    /// Writes a store.
    pub fn store(&mut self, text: &mut Text, store: usize) -> Result<()> {
        let body = self.body;
        let store = &body.stores[store];
        let level = body.values[store.value.0].level;
        let buffer = body.operands[store.operand];
        match self.reach(&store.index) {
            Reach::Same => {}
            Reach::Whole => {
                let Printed { place, .. } = self.place(text, level, &store.index)?;
                let value = if self.wide(store.value) {
                    format!("v{}", store.value.0)
                } else {
                    let name = format!("w{}", self.variables);
                    self.variables += 1;
                    text.line(format!("let {name} = {};", self.splat(store.value)));
                    name
                };
                text.line(self.layout.store4(buffer, &place, &value));
                return Ok(());
            }
            Reach::Apart(_) => {
                let places = self.places4(text, level, &store.index)?;
                for (Printed { place, .. }, part) in places.iter().zip(["x", "y", "z", "w"]) {
                    let value = format!("v{}{}", store.value.0, if self.wide(store.value) { format!(".{part}") } else { String::new() });
                    text.line(self.layout.store(buffer, place, &value));
                }
                return Ok(());
            }
        }
        let Printed { place, .. } = self.place(text, level, &store.index)?;
        text.line(self.layout.store(buffer, &place, &format!("v{}", store.value.0)));
        Ok(())
    }

    /// Which values the given ones need, themselves included, in order.
    pub fn needed(&self, roots: impl IntoIterator<Item = ValueId>) -> Vec<bool> {
        let mut needed = vec![false; self.body.values.len()];
        for root in roots {
            needed[root.0] = true;
        }
        for i in (0..needed.len()).rev() {
            if needed[i] {
                self.body.values[i].instr.operands().iter().for_each(|v| needed[v.0] = true);
            }
        }
        needed
    }
}

/// The views that kernels' coordinates meet first.
pub(crate) fn views(body: &Body) -> Vec<&noyau_compile::View> {
    fn of(instr: &Instr) -> Option<&Index> {
        match instr {
            Instr::Load { index, .. } | Instr::Gather { index, .. } | Instr::Place(index) | Instr::Valid(index) => Some(index),
            Instr::Const(_)
            | Instr::Unary(..)
            | Instr::Binary(..)
            | Instr::Where(..)
            | Instr::Cast(_)
            | Instr::Philox { .. }
            | Instr::Reduce(..)
            | Instr::Product => None,
        }
    }
    let loads = body.values.iter().filter_map(|v| of(&v.instr));
    loads.chain(body.stores.iter().map(|s| &s.index)).map(|index| &index.views()[0]).collect()
}

/// Whether the body stores to a buffer that it also loads.
pub(crate) fn in_place(body: &Body) -> bool {
    let loaded = body.loaded();
    body.stored().iter().any(|b| loaded.contains(b))
}

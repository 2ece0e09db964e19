//! A kernel's body as statements: each value a `let`, each store an assignment.

use std::collections::HashMap;

use noyau_compile::Index;
use noyau_compile::plan::{Body, Instr, Level, ValueId};
use noyau_tensor::{DType, Error, Result, Scalar};

use crate::Layout;
use crate::ops::{self, literal, type_name};
use crate::place::{Axes, Printed, print};
use crate::text::Text;

/// A kernel's body while it is being printed. Values are named `v3`; an index used twice at one level is computed once.
pub(crate) struct Printer<'a> {
    pub body: &'a Body,
    pub layout: &'a Layout,
    pub axes: Axes,
    /// The expression of [`Instr::Product`].
    pub product: Option<&'a str>,
    places: HashMap<(Level, &'a Index), Printed>,
    /// How many variables for places there are so far: names must differ.
    variables: usize,
}

impl<'a> Printer<'a> {
    pub fn new(body: &'a Body, layout: &'a Layout, axes: Axes) -> Printer<'a> {
        Printer { body, layout, axes, product: None, places: HashMap::new(), variables: 0 }
    }

    /// Forgets the inner level's variables: a new block begins.
    pub fn new_block(&mut self) {
        self.places.retain(|(level, _), _| *level == Level::Outer);
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

    /// Writes `let v<id> = ..` (but for reductions, which the loop makes).
    pub fn value(&mut self, text: &mut Text, id: ValueId) -> Result<()> {
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
        let Printed { place, .. } = self.place(text, level, &store.index)?;
        text.line(self.layout.store(body.operands[store.operand], &place, &format!("v{}", store.value.0)));
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

    /// Which inner values the given ones need, in order; outer values are there already.
    pub fn needed_inner(&self, roots: impl IntoIterator<Item = ValueId>) -> Vec<usize> {
        let mut needed = vec![false; self.body.values.len()];
        for root in roots {
            needed[root.0] = true;
        }
        let inner = |i: usize| self.body.values[i].level == Level::Inner;
        for i in (0..needed.len()).rev() {
            if needed[i] && inner(i) {
                self.body.values[i].instr.operands().iter().for_each(|v| needed[v.0] = true);
            }
        }
        (0..needed.len()).filter(|&i| needed[i] && inner(i)).collect()
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

/// The WGSL type of a value.
pub(crate) fn value_type(dtype: DType) -> &'static str {
    type_name(dtype)
}

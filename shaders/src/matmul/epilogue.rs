//! What happens to a product's elements: the kernel's body as functions, of one element and of four neighbours in a row.

use noyau_compile::plan::{BufferId, Instr, Matmul, ValueId};
use noyau_compile::{Index, View};
use noyau_tensor::Result;

use super::guard;
use crate::Layout;
use crate::body::{Printer, views};
use crate::place::{Axes, print};
use crate::text::Text;

/// `fn e<id>(z: u32, i: u32, j: u32, product: f32)`: the body at one element.
pub(super) fn epilogue(id: usize, kernel: &Matmul, layout: &Layout) -> Result<String> {
    let mut text = Text::body();
    let mut printer = Printer::new(&kernel.body, layout, axes(kernel, &mut text, "j")?);
    printer.product = Some("product");
    let needed = printer.needed(kernel.body.stores.iter().map(|s| s.value));
    for v in (0..needed.len()).filter(|&v| needed[v]) {
        printer.value(&mut text, ValueId(v))?;
    }
    for store in 0..kernel.body.stores.len() {
        printer.store(&mut text, store)?;
    }
    Ok(format!("fn e{id}(z: u32, i: u32, j: u32, product: f32) {{\n{}}}\n", text.finish()))
}

/// The coordinates of the product's space, written from `z`; the row is named `i`, the column as given.
fn axes(kernel: &Matmul, text: &mut Text, column: &str) -> Result<Axes> {
    let batch = kernel.batch.len();
    let mut axes = Axes::new(&kernel.space(), &[0..batch, batch..batch + 1, batch + 1..batch + 2], &views(&kernel.body))?;
    axes.declare(text, 0, "z", "c");
    axes.name(1, "i");
    axes.name(2, column);
    Ok(axes)
}

/// `fn q<id>(z: u32, i: u32, j: u32, products: vec4<f32>)`: the body at four neighbours in a row, the first of them at a column that is a multiple of 4.
/// What lies side by side is loaded and stored at once.
pub(super) fn epilogue4(id: usize, kernel: &Matmul, layout: &Layout) -> Result<String> {
    let body = &kernel.body;
    let mut text = Text::body();
    let all = Printer::new(body, layout, axes(kernel, &mut text, "j")?);
    let needed = all.needed(body.stores.iter().map(|s| s.value));
    // All loads of four come before all stores: each invocation overwrites only what it has read itself.
    let mut fours = vec![false; body.values.len()];
    for (v, value) in body.values.iter().enumerate().filter(|&(v, _)| needed[v]) {
        if let Instr::Load { operand, index } = &value.instr
            && value.dtype.is_float()
            && side_by_side(kernel, index)
        {
            let place = print(&mut text, &all.axes, index, &format!("f{v}_"))?.place;
            text.line(format!("let q{v} = {};", layout.load4(body.operands[*operand], &place)));
            fours[v] = true;
        }
    }
    let whole: Vec<bool> = body.stores.iter().map(|s| body.values[s.value.0].dtype.is_float() && side_by_side(kernel, &s.index)).collect();
    for (store, _) in whole.iter().enumerate().filter(|w| *w.1) {
        text.line(format!("var o{store}: vec4<f32>;"));
    }
    for c in 0..4 {
        text.open("{");
        text.line(format!("let product = products[{c}];"));
        text.line(format!("let j{c} = j + {c}u;"));
        let mut printer = Printer::new(body, layout, axes(kernel, &mut text, &format!("j{c}"))?);
        printer.product = Some("product");
        for v in (0..needed.len()).filter(|&v| needed[v]) {
            if fours[v] {
                text.line(format!("let v{v} = q{v}[{c}];"));
            } else {
                printer.value(&mut text, ValueId(v))?;
            }
        }
        for (store, &whole) in whole.iter().enumerate() {
            if whole {
                text.line(format!("o{store}[{c}] = v{};", body.stores[store].value.0));
            } else {
                printer.store(&mut text, store)?;
            }
        }
        text.close();
    }
    for (store, _) in whole.iter().enumerate().filter(|w| *w.1) {
        let target = &body.stores[store];
        let place = print(&mut text, &all.axes, &target.index, &format!("o{store}_"))?.place;
        text.line(layout.store4(body.operands[target.operand], &place, &format!("o{store}")));
    }
    Ok(format!("fn q{id}(z: u32, i: u32, j: u32, products: vec4<f32>) {{\n{}}}\n", text.finish()))
}

/// The operands that [`epilogue4`] reads or writes by fours. One that it writes is among them only where all of it is written so.
pub(super) fn vec4(kernel: &Matmul) -> Vec<BufferId> {
    let body = &kernel.body;
    let loads = body.values.iter().filter_map(|value| match &value.instr {
        Instr::Load { operand, index } if value.dtype.is_float() && side_by_side(kernel, index) => Some(body.operands[*operand]),
        _ => None,
    });
    let stores = body.stores.iter().filter(|s| body.values[s.value.0].dtype.is_float() && side_by_side(kernel, &s.index));
    let found: Vec<BufferId> = loads.chain(stores.map(|s| body.operands[s.operand])).collect();
    let single = |buffer: &BufferId| {
        let mut own = body.stores.iter().filter(|s| body.operands[s.operand] == *buffer);
        own.all(|s| body.values[s.value.0].dtype.is_float() && side_by_side(kernel, &s.index))
    };
    found.into_iter().filter(single).collect()
}

/// Whether four neighbours in a row of the product, from a multiple of 4 on, lie side by side at a multiple of 4.
fn side_by_side(kernel: &Matmul, index: &Index) -> bool {
    let [View { shape, strides, offset, mask }] = index.views() else { return false };
    let [others @ .., last] = &strides[..] else { return false };
    let free = mask.iter().zip(shape).all(|(&(low, high), &size)| low == 0 && high >= size);
    let aligned = |(stride, &size): (&isize, &usize)| size == 1 || stride % 4 == 0;
    kernel.n.is_multiple_of(4) && *last == 1 && offset % 4 == 0 && free && others.iter().zip(shape).all(aligned)
}

/// Writes the body at every element of an invocation's part of a tile: a loop over rows, so that it is compiled once a column and not once an element,
/// over sums that were put into an array, so that until then they are variables that a compiler can keep in registers.
///
/// `sums[row][column]` names the sums; `row` and `columns` are the places that row `t` (a variable) and each column have in the product.
pub(super) fn results(text: &mut Text, id: usize, kernel: &Matmul, tile: [usize; 2], sums: &[Vec<String>], row: &str, columns: &[String]) {
    let call = |text: &mut Text, row: &str, column: &str, sum: &str| {
        let guard = guard(kernel, tile[0], tile[1], row, column);
        text.line(format!("{guard}{{ e{id}(z, {row}, {column}, {sum}); }}"));
    };
    if let [only] = sums {
        text.line("let t = 0u;");
        text.line(format!("let i = {row};"));
        only.iter().zip(columns).for_each(|(sum, column)| call(text, "i", column, sum));
        return;
    }
    // One array for all columns: compilers take an array that is as long as a loop as a wish to unroll the loop.
    let width = columns.len();
    text.line(format!("var sums: array<f32, {}>;", sums.len() * width));
    for (e, sum) in sums.iter().flatten().enumerate() {
        text.line(format!("sums[{e}] = {sum};"));
    }
    for (j, column) in columns.iter().enumerate() {
        text.line(format!("let column{j} = {column};"));
    }
    text.open(format!("for (var t = 0u; t < {}u; t++) {{", sums.len()));
    text.line(format!("let i = {row};"));
    for j in 0..width {
        call(text, "i", &format!("column{j}"), &format!("sums[t * {width}u + {j}u]"));
    }
    text.close();
}

/// Where four sums of a tile go: through the body, or to memory for parts of sums.
pub(super) struct Sink<'a> {
    pub id: usize,
    pub kernel: &'a Matmul,
    pub layout: &'a Layout,
    /// The tile's rows and columns.
    pub tile: [usize; 2],
    /// The memory for parts, where the sum is shared: the part's number is the variable `part`.
    pub scratch: Option<BufferId>,
}

impl Sink<'_> {
    /// The functions that [`Sink::put`] calls.
    pub fn functions(&self) -> Result<String> {
        match self.scratch {
            Some(_) => Ok(String::new()),
            None => body_functions(self.id, self.kernel, self.layout),
        }
    }

    /// Writes four sums in a row, a variable, to a row and a column (expressions; the column is a multiple of 4).
    pub fn put(&self, text: &mut Text, row: &str, column: &str, sums: &str) {
        let Sink { id, kernel, layout, tile: [rows, columns], scratch } = *self;
        let whole = kernel.n.is_multiple_of(4);
        let total = kernel.space().iter().product::<usize>();
        let place = |column: &str| format!("part * {total}u + (z * {}u + {row}) * {}u + {column}", kernel.m, kernel.n);
        if whole {
            let guard = guard(kernel, rows, columns, row, column);
            let statement = match scratch {
                Some(scratch) => layout.store4(scratch, &place(column), sums),
                None => format!("q{id}(z, {row}, {column}, {sums});"),
            };
            text.line(format!("{guard}{{ {statement} }}"));
            return;
        }
        for c in 0..4 {
            let column = format!("({column} + {c}u)");
            let guard = guard(kernel, rows, columns, row, &column);
            let statement = match scratch {
                Some(scratch) => layout.store(scratch, &place(&column), &format!("{sums}[{c}]")),
                None => format!("e{id}(z, {row}, {column}, {sums}[{c}]);"),
            };
            text.line(format!("{guard}{{ {statement} }}"));
        }
    }

    /// Whether the body is so long that it should be compiled once for all elements of an invocation, in a loop, and not once for each.
    pub fn is_long(&self) -> bool {
        self.scratch.is_none() && self.kernel.body.values.len() > LONG
    }
}

/// How many values a body may have that is repeated for every element.
const LONG: usize = 6;

/// The body for fours where rows are whole fours, else for one element.
pub(super) fn body_functions(id: usize, kernel: &Matmul, layout: &Layout) -> Result<String> {
    if kernel.n.is_multiple_of(4) { epilogue4(id, kernel, layout) } else { epilogue(id, kernel, layout) }
}

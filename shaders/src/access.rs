//! How a launch's code reaches its buffers: which binding, at which offset, under which element type.

use std::collections::HashMap;

use noyau_compile::plan::BufferId;
use noyau_tensor::DType;

use crate::ops::type_name;

/// The element type under which a binding is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `array<u32>`; values are bit patterns. For arenas, where types mix.
    Words,
    /// An array of the buffer's own type; booleans are words.
    Typed(DType),
    /// `array<vec4<f32>>`.
    Vec4,
    /// `array<f16>`: halves in two bytes an element, for devices that compute with f16.
    Half,
    /// `array<vec4<f16>>`.
    HalfVec4,
}

impl Form {
    fn element(self) -> &'static str {
        match self {
            Form::Words | Form::Typed(DType::Bool) => "u32",
            Form::Typed(dtype) => type_name(dtype),
            Form::Vec4 => "vec4<f32>",
            Form::Half => "f16",
            Form::HalfVec4 => "vec4<f16>",
        }
    }
}

/// One binding of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// Its declared element type.
    pub form: Form,
    /// Whether the launch writes it.
    pub write: bool,
}

/// A launch's bindings, and each buffer's place in them.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    bindings: Vec<Binding>,
    places: HashMap<BufferId, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    binding: usize,
    offset: usize,
    dtype: DType,
}

impl Layout {
    /// A further binding; its number.
    pub fn bind(&mut self, binding: Binding) -> usize {
        self.bindings.push(binding);
        self.bindings.len() - 1
    }

    /// Says where a buffer is: in a binding, `offset` words from its start.
    pub fn place(&mut self, buffer: BufferId, dtype: DType, binding: usize, offset: usize) {
        self.places.insert(buffer, Place { binding, offset, dtype });
    }

    /// The bindings by number.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The declarations of all bindings.
    pub(crate) fn declarations(&self) -> String {
        let line = |(i, b): (usize, &Binding)| {
            let access = if b.write { "read_write" } else { "read" };
            format!("@group(0) @binding({i}) var<storage, {access}> b{i}: array<{}>;\n", b.form.element())
        };
        let half = |b: &Binding| matches!(b.form, Form::Half | Form::HalfVec4);
        let enable = if self.bindings.iter().any(half) { "enable f16;\n" } else { "" };
        std::iter::once(enable.to_string()).chain(self.bindings.iter().enumerate().map(line)).collect()
    }

    fn find(&self, buffer: BufferId) -> (Place, Form) {
        // A launch's layout is made from the same kernels as its code: a buffer that is missing shows up as a binding that does not exist, which
        // validation names.
        let place = self.places.get(&buffer).copied().unwrap_or(Place { binding: usize::MAX, offset: 0, dtype: DType::F32 });
        (place, self.bindings.get(place.binding).map_or(Form::Words, |b| b.form))
    }

    /// The expression that reads a buffer's element; `place` is a u32 expression.
    pub(crate) fn load(&self, buffer: BufferId, place: &str) -> String {
        let (Place { binding, offset, dtype }, form) = self.find(buffer);
        let at = shifted(place, offset);
        match (form, dtype) {
            (Form::Words | Form::Typed(_), DType::Bool) => format!("(b{binding}[{at}] != 0u)"),
            (Form::Words, DType::U32) | (Form::Typed(_), _) => format!("b{binding}[{at}]"),
            (Form::Words, _) => format!("bitcast<{}>(b{binding}[{at}])", type_name(dtype)),
            (Form::Vec4, _) => format!("b{binding}[({at}) >> 2u][({at}) & 3u]"),
            (Form::Half, _) => format!("f32(b{binding}[{at}])"),
            (Form::HalfVec4, _) => format!("f32(b{binding}[({at}) >> 2u][({at}) & 3u])"),
        }
    }

    /// The expression that reads four neighbouring elements, halves as f32; `place` is a multiple of 4.
    pub(crate) fn load4(&self, buffer: BufferId, place: &str) -> String {
        let (Place { binding, offset, dtype }, form) = self.find(buffer);
        match form {
            Form::Vec4 => return format!("b{binding}[({}) >> 2u]", shifted(place, offset)),
            Form::HalfVec4 => return format!("vec4<f32>(b{binding}[({}) >> 2u])", shifted(place, offset)),
            Form::Words | Form::Typed(_) | Form::Half => {}
        }
        let part = |i: usize| self.load(buffer, &shifted(place, i));
        format!("vec4<{}>({}, {}, {}, {})", type_name(dtype), part(0), part(1), part(2), part(3))
    }

    /// The statements that write four neighbouring elements; `place` is a multiple of 4, `value` a variable of four.
    pub(crate) fn store4(&self, buffer: BufferId, place: &str, value: &str) -> String {
        let (Place { binding, offset, .. }, form) = self.find(buffer);
        match form {
            Form::Vec4 => format!("b{binding}[({}) >> 2u] = {value};", shifted(place, offset)),
            Form::HalfVec4 => format!("b{binding}[({}) >> 2u] = vec4<f16>({value});", shifted(place, offset)),
            Form::Words | Form::Typed(_) | Form::Half => {
                let part = |i: usize| self.store(buffer, &shifted(place, i), &format!("{value}[{i}]"));
                [part(0), part(1), part(2), part(3)].join(" ")
            }
        }
    }

    /// The statement that writes a buffer's element.
    pub(crate) fn store(&self, buffer: BufferId, place: &str, value: &str) -> String {
        let (Place { binding, offset, dtype }, form) = self.find(buffer);
        let at = shifted(place, offset);
        match (form, dtype) {
            (Form::Words | Form::Typed(_), DType::Bool) => format!("b{binding}[{at}] = u32({value});"),
            (Form::Words, DType::U32) | (Form::Typed(_), _) => format!("b{binding}[{at}] = {value};"),
            (Form::Words, _) => format!("b{binding}[{at}] = bitcast<u32>({value});"),
            (Form::Vec4, _) => format!("b{binding}[({at}) >> 2u][({at}) & 3u] = {value};"),
            // The value is one that f16 has: nothing is rounded here.
            (Form::Half, _) => format!("b{binding}[{at}] = f16({value});"),
            (Form::HalfVec4, _) => format!("b{binding}[({at}) >> 2u][({at}) & 3u] = f16({value});"),
        }
    }
}

/// `place + offset`, without the addition of nothing.
fn shifted(place: &str, offset: usize) -> String {
    if offset == 0 { place.into() } else { format!("{place} + {offset}u") }
}

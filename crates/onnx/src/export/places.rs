//! Convolutions, reading and writing at places, and what the patterns stand for.

use noyau_compile::NodeId;
use noyau_tensor::{Conv, DType, Op};

use super::emit::Emitter;
use super::file::{Attr, File};
use super::patterns::Pattern;
use super::trace::Dim;

impl Emitter<'_> {
    /// Whether an index is the model's input, perhaps under another shape: a table's user then answers for it.
    pub(super) fn is_of_input(&self, mut id: NodeId) -> bool {
        loop {
            let node = self.traced.node(id);
            match node.op {
                Op::Input(_) => return true,
                Op::Cast(_) | Op::Reshape | Op::Expand | Op::Permute(_) | Op::Slice(_) => id = node.inputs[0],
                _ => return false,
            }
        }
    }

    pub(super) fn gather(&mut self, id: NodeId, axis: usize) -> String {
        let node = self.traced.node(id);
        let (data, index) = (self.full(node.inputs[0]), self.full(node.inputs[1]));
        let take = |file: &mut File, index: &str| file.node("GatherElements", &[&data, index], &[("axis", Attr::Int(axis as i64))]);
        if self.is_of_input(node.inputs[1]) {
            return take(self.file, &index);
        }
        let size = self.traced.shape(node.inputs[0])[axis];
        let (size, last) = (self.file.sizes(&[size]), self.file.sizes(&[size.plus(Dim::fixed(-1))]));
        let inside = self.file.node("Less", &[&index, &size], &[]);
        let safe = self.file.node("Min", &[&index, &last], &[]);
        let found = take(self.file, &safe);
        let zero = self.number(0.0, node.dtype);
        if node.dtype == DType::Bool {
            return self.file.node("And", &[&inside, &found], &[]);
        }
        self.file.node("Where", &[&inside, &found, &zero], &[])
    }

    pub(super) fn scatter(&mut self, id: NodeId, axis: usize) -> String {
        let node = self.traced.node(id);
        let (source, index) = (self.full(node.inputs[0]), self.full(node.inputs[1]));
        // One place more than there are takes what falls outside.
        let shape = self.traced.shape(id);
        let mut longer = shape.clone();
        longer[axis] = longer[axis].plus(Dim::fixed(1));
        let (zero, sizes, last) = (self.number(0.0, node.dtype), self.file.sizes(&longer), self.file.sizes(&[shape[axis]]));
        let target = self.file.node("Expand", &[&zero, &sizes], &[]);
        let safe = self.file.node("Min", &[&index, &last], &[]);
        let attributes = [("axis", Attr::Int(axis as i64)), ("reduction", Attr::Text("add"))];
        let added = self.file.node("ScatterElements", &[&target, &safe, &source], &attributes);
        let (start, axes) = (self.file.longs(&[0]), self.file.longs(&[axis as i64]));
        self.file.node("Slice", &[&added, &start, &last, &axes], &[])
    }

    pub(super) fn convolve(&mut self, conv: &Conv, input: NodeId, x: &str, w: &str, bias: Option<&str>) -> String {
        let mut x = x.to_string();
        let mut shape = self.traced.shape(input);
        let rank = conv.stride.len();
        for axis in (0..rank).filter(|&axis| conv.input_dilation[axis] > 1) {
            // Zeros between the elements: each followed by as many, the last ones cut off.
            let (place, step) = (axis + 2, conv.input_dilation[axis] as i64);
            let mut apart = shape.clone();
            apart.insert(place + 1, Dim::fixed(1));
            x = self.reshaped(&x, &apart);
            let mut pads = vec![0; 2 * apart.len()];
            pads[apart.len() + place + 1] = step - 1;
            let (pads, zero) = (self.file.longs(&pads), self.number(0.0, DType::F32));
            x = self.file.node("Pad", &[&x, &pads, &zero], &[("mode", Attr::Text("constant"))]);
            let spread = shape[place].times(step);
            shape[place] = spread;
            x = self.reshaped(&x, &shape);
            shape[place] = spread.plus(Dim::fixed(1 - step));
            let (start, end, axes) = (self.file.longs(&[0]), self.file.sizes(&[shape[place]]), self.file.longs(&[place as i64]));
            x = self.file.node("Slice", &[&x, &start, &end, &axes], &[]);
        }
        for axis in (0..rank).filter(|&axis| conv.padding[axis].0 < 0 || conv.padding[axis].1 < 0) {
            let place = axis + 2;
            let (before, after) = (conv.padding[axis].0.min(0) as i64, conv.padding[axis].1.min(0) as i64);
            let (start, end) = (self.file.longs(&[-before]), self.file.sizes(&[shape[place].plus(Dim::fixed(after))]));
            let axes = self.file.longs(&[place as i64]);
            x = self.file.node("Slice", &[&x, &start, &end, &axes], &[]);
            shape[place] = shape[place].plus(Dim::fixed(before + after));
        }
        let longs = |all: &[usize]| Attr::Ints(all.iter().map(|&n| n as i64).collect());
        let pads = conv.padding.iter().map(|p| p.0.max(0) as i64).chain(conv.padding.iter().map(|p| p.1.max(0) as i64)).collect();
        let attributes = [
            ("strides", longs(&conv.stride)),
            ("dilations", longs(&conv.dilation)),
            ("pads", Attr::Ints(pads)),
            ("group", Attr::Int(conv.groups as i64)),
        ];
        let inputs: Vec<&str> = [x.as_str(), w].into_iter().chain(bias).collect();
        self.file.node("Conv", &inputs, &attributes)
    }

    pub(super) fn pattern(&mut self, id: NodeId, pattern: &Pattern) -> String {
        let ints = |all: &[usize]| Attr::Ints(all.iter().map(|&n| n as i64).collect());
        match pattern {
            Pattern::Gemm { a, b, transposed, bias } => {
                let (a, b) = (self.full(*a), self.full(*b));
                let bias = bias.map(|bias| self.value(bias).name);
                let inputs: Vec<&str> = [a.as_str(), &b].into_iter().chain(bias.as_deref()).collect();
                self.file.node("Gemm", &inputs, &[("transB", Attr::Int(i64::from(*transposed)))])
            }
            Pattern::Conv { conv, x, w, bias } => {
                let (name, w, bias) = (self.full(*x), self.full(*w), self.full(*bias));
                self.convolve(conv, *x, &name, &w, Some(&bias))
            }
            Pattern::Rows { data, index } => {
                let (data, index) = (self.full(*data), self.full(*index));
                self.file.node("Gather", &[&data, &index], &[("axis", Attr::Int(0))])
            }
            Pattern::Mean { x, axes } => {
                let x = self.full(*x);
                let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
                let axes = self.file.longs(&axes);
                self.file.node("ReduceMean", &[&x, &axes], &[("keepdims", Attr::Int(0))])
            }
            Pattern::Pool { x, largest, pool, scaled } => {
                let x = self.full(*x);
                let pads: Vec<usize> = pool.before.iter().chain(&pool.after).copied().collect();
                let mut attributes = vec![("kernel_shape", ints(&pool.kernel)), ("strides", ints(&pool.stride)), ("pads", ints(&pads))];
                if *largest {
                    attributes.push(("dilations", ints(&pool.dilation)));
                    return self.file.node("MaxPool", &[&x], &attributes);
                }
                attributes.push(("count_include_pad", Attr::Int(1)));
                let mean = self.file.node("AveragePool", &[&x], &attributes);
                if *scaled {
                    return mean;
                }
                let area = self.number(pool.kernel.iter().product::<usize>() as f64, DType::F32);
                self.file.node("Mul", &[&mean, &area], &[])
            }
            Pattern::Function { op, x, attributes } => {
                let names: Vec<String> = x.iter().map(|&x| self.full(x)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let name = self.file.node(op, &names, attributes);
                debug_assert!(id.0 < self.traced.graph().nodes.len());
                name
            }
        }
    }
}

//! From a body's nodes to steps: sizes of tiles, passes over long rows, scratch memory.

use noyau_tensor::Result;

use super::access::Form;
use super::body::{Code, Kind, Node, Nodes, Of, Request, Sink};
use super::program::{Ahead, BUSY, Pass, Program};
use super::reduce::{Part, reduce_run};
use super::shuffle::Shuffle;
use super::step::{Extra, NO_OPERAND, Operand, Operands, Run, Step, Target};
use super::transfer;

/// Elements of a tile: a few values of so many fit the first cache.
const BLOCK: usize = 2048;
/// Elements of a tile whose lines are reduced.
const HIGH: usize = 1024;
/// Results of at least so many elements are gone from the caches before anyone reads them: they are written past these.
const STREAMED: usize = if cfg!(test) { 300 } else { 1 << 22 };
/// Operands of at least so many elements are not in the first caches.
const DISTANT: usize = if cfg!(test) { 100 } else { 1 << 15 };
/// Operands of at least so many elements are not in the second cache.
const FAR: usize = if cfg!(test) { 100 } else { 1 << 18 };
/// Rows of at most so many elements are kept in cache whole where they are gone through more than once.
const WHOLE: usize = 8192;
/// Columns of at most so many elements are in cache whole, and many of them side by side.
const FEW: usize = 32;
/// The sides of a tile that is read along one direction and written along the other.
const SQUARE: usize = 32;
/// Lines shorter than this are not worth a loop of their own.
const SHORT: usize = 32;

/// Prepares a body.
pub(crate) fn lower(request: &Request) -> Result<Program> {
    let (split, mut nodes) = request.split()?;
    let (lines, cols) = (request.size(&split.lines), request.size(&split.cols));
    let width = if split.kind == Kind::Map && !split.lines.is_empty() { request.product.unwrap_or(cols).min(cols) } else { cols };
    let passes = passes(&nodes);
    let (staged, mut block) = blocks(split.kind, lines, width, passes);
    if split.kind == Kind::Map && nodes.transposes() {
        block = (SQUARE.clamp(1, lines.max(1)), SQUARE.clamp(1, width.max(1)));
    }
    if block.1 < SHORT && block.0 > 1 {
        nodes.spread_all(request.level, split.kind != Kind::Map);
    }
    nodes.pair_up(split.kind, request.level);
    let mut emit = Emit::new(&nodes, request, split.kind, (lines, cols), block);
    let program = if staged { emit.staged(passes) } else { emit.single() };
    let elements = |form: Form| (if form.line { lines as f64 } else { 1.0 }) * if form.col { cols as f64 } else { 1.0 };
    let work: f64 = nodes.nodes.iter().map(|n| n.cost * elements(n.form)).sum();
    let stores: f64 = nodes.sinks.iter().map(|s| 0.05 * elements(s.domain)).sum();
    let streams = (0..nodes.sinks.len()).any(|i| emit.streams(i));
    let (scratch, places) = (emit.memory.top, emit.places);
    let ahead = if small(block) { ahead(&program, request, split.kind, (lines, cols), width) } else { Vec::new() };
    Ok(Program { kind: split.kind, lines, cols, block, scratch, places, cost: work + stores, streams, ahead, ..program })
}

/// The loads that are from far away: what the next tile needs of them is fetched meanwhile.
fn ahead(program: &Program, request: &Request, kind: Kind, (lines, cols): (usize, usize), width: usize) -> Vec<Ahead> {
    let bodies = program.passes.iter().map(|pass| &pass.body).chain([&program.body]);
    let mut found: Vec<Ahead> = Vec::new();
    for step in bodies.flatten() {
        let Extra::Pointer { operand, offset, line, col: 1 } = step.extra else { continue };
        let far = request.limits.get(operand).is_some_and(|&len| len >= DISTANT);
        let dense = lines == 1 || (line == cols as isize && width == cols);
        let full = step.form.col && (step.form.line || lines == 1);
        if far && full && kind != Kind::Lines && !found.iter().any(|a| a.operand == operand) {
            found.push(Ahead { operand, offset, line, dense });
        }
    }
    found
}

/// The pass of each node: reductions make a value for the pass after the one in which their operand is known.
fn stages(nodes: &Nodes) -> Vec<usize> {
    let mut stages: Vec<usize> = Vec::with_capacity(nodes.nodes.len());
    for node in &nodes.nodes {
        let after = node.args.iter().map(|&a| stages[a]).max().unwrap_or(0);
        stages.push(if matches!(node.code, Code::Reduce(..)) { after + 1 } else { after });
    }
    stages
}

/// The pass in which all operands of a reduction are known.
fn known(node: &Node, stages: &[usize]) -> usize {
    node.args.iter().map(|&a| stages[a]).max().unwrap_or(0)
}

/// Whether a tile leaves the first cache room for more: for the next one's operands, or for a result that is not written to its place at
/// once. (Softmax of rows of 4,096 is a sixth slower with either.)
fn small(block: (usize, usize)) -> bool {
    block.0 * block.1 <= BLOCK
}

/// How often a row has to be gone through when nothing of it is kept.
fn passes(nodes: &Nodes) -> usize {
    let stages = stages(nodes);
    let reduced = nodes.nodes.iter().filter(|n| matches!(n.code, Code::Reduce(..))).map(|n| known(n, &stages));
    let stored = nodes.sinks.iter().filter(|s| s.inner).map(|s| stages[s.node]);
    reduced.chain(stored).max().unwrap_or(0) + 1
}

/// Whether rows are gone through in several passes, and a tile's lines and columns.
fn blocks(kind: Kind, lines: usize, cols: usize, passes: usize) -> (bool, (usize, usize)) {
    let beside = |n: usize| (BLOCK / n.max(1)).max(1);
    match kind {
        Kind::Map if cols >= BLOCK => (false, (1, BLOCK)),
        Kind::Map => (false, (beside(cols).min(lines.max(1)), cols.max(1))),
        Kind::Cols if cols <= BLOCK => (false, (beside(cols).min(lines.max(1)), cols)),
        Kind::Cols if passes > 1 && cols <= WHOLE => (false, (1, cols)),
        Kind::Cols => (true, (1, BLOCK)),
        Kind::Lines if lines <= (HIGH / cols.clamp(1, HIGH)).max(1) => (false, (lines, cols.min(HIGH))),
        // Windows of a pooling.
        Kind::Lines if lines <= FEW => (false, (lines, cols.min(4 * HIGH / lines / 16 * 16))),
        Kind::Lines if passes > 1 && lines <= WHOLE / 64 => (false, (lines, cols.min(WHOLE / lines / 16 * 16))),
        Kind::Lines => {
            let block = cols.clamp(1, HIGH / 8);
            (true, ((4 * HIGH / block).min(lines), block))
        }
    }
}

/// Loads of at most so many elements through several views have their places worked out beforehand.
const TABLE: usize = 1 << 22;

/// Scratch memory in units of cache lines, given back and given out again.
#[derive(Default)]
struct Memory {
    top: usize,
    free: Vec<(usize, usize)>,
}

impl Memory {
    fn take(&mut self, words: usize) -> usize {
        let words = words.next_multiple_of(16);
        // The last one given back is the likeliest to be in cache.
        if let Some(i) = self.free.iter().rposition(|&(_, size)| size == words) {
            return self.free.remove(i).0;
        }
        self.top += words;
        self.top - words
    }

    fn give(&mut self, at: usize, words: usize) {
        self.free.push((at, words.next_multiple_of(16)));
    }
}

struct Emit<'a> {
    nodes: &'a Nodes,
    request: &'a Request<'a>,
    kind: Kind,
    /// All lines and columns.
    size: (usize, usize),
    block: (usize, usize),
    stages: Vec<usize>,
    memory: Memory,
    /// Values, and what reductions collect.
    places: usize,
    /// The scratch memory of each node that has some.
    at: Vec<Option<usize>>,
    /// Uses still to come.
    uses: Vec<usize>,
    /// The sink that a node is computed straight into.
    direct: Vec<Option<usize>>,
}

impl<'a> Emit<'a> {
    fn new(nodes: &'a Nodes, request: &'a Request<'a>, kind: Kind, size: (usize, usize), block: (usize, usize)) -> Emit<'a> {
        let n = nodes.nodes.len();
        let mut emit = Emit {
            nodes,
            request,
            kind,
            size,
            block,
            stages: stages(nodes),
            memory: Memory::default(),
            places: n,
            at: vec![None; n],
            uses: vec![0; n],
            direct: vec![None; n],
        };
        for (i, sink) in nodes.sinks.iter().enumerate() {
            let node = &nodes.nodes[sink.node];
            let made = !matches!(node.code, Code::Const(_)) && !emit.points(sink.node) && node.form != Form::UNIFORM;
            if made
                && node.form == sink.domain
                && sink.access.in_place(node.form).is_some()
                && !emit.loaded(sink.operand)
                && emit.direct[sink.node].is_none()
                && (!emit.streams(i) || emit.straight(sink.node))
            {
                emit.direct[sink.node] = Some(i);
            }
        }
        emit
    }

    fn loaded(&self, operand: usize) -> bool {
        self.nodes.nodes.iter().any(|n| matches!(n.code, Code::Load { operand: o, .. } | Code::Gather { operand: o, .. } if o == operand))
    }

    /// Whether the sink is written past the caches.
    fn streams(&self, sink: usize) -> bool {
        let sink = &self.nodes.sinks[sink];
        let far = self.request.limits.get(sink.operand).is_some_and(|&len| len >= STREAMED) && small(self.block);
        let runs = sink.domain.col && sink.inner == (self.kind != Kind::Map) && sink.access.in_place(sink.domain).is_some();
        far && runs
            && self.nodes.nodes[sink.node].form == sink.domain
            && !self.loaded(sink.operand)
            && transfer::streams(self.request.level)
    }

    /// Whether the node's step can write past the caches itself, and nobody reads what it wrote.
    fn straight(&self, node: usize) -> bool {
        let norm = matches!(self.nodes.nodes[node].code, Code::Run(_, Extra::Norm { .. }));
        norm && !self.nodes.nodes.iter().any(|n| n.args.contains(&node)) && self.nodes.sinks.iter().filter(|s| s.node == node).count() == 1
    }

    /// Whether the node is a load that needs no copy.
    fn points(&self, node: usize) -> bool {
        match &self.nodes.nodes[node].code {
            Code::Load { operand, access } => {
                // A value that is stored as it was loaded must not change by a store to where it was loaded from.
                let changes = self.nodes.sinks.iter().any(|s| s.operand == *operand) && self.nodes.sinks.iter().any(|s| s.node == node);
                access.in_place(self.nodes.nodes[node].form).is_some() && !changes
            }
            _ => false,
        }
    }

    /// Whether the node is read where it lies in memory that is far, by a program that does little more: a longer one has it fetched by tiles.
    fn far(&self, node: usize) -> bool {
        let Code::Load { operand, .. } = self.nodes.nodes[node].code else { return false };
        let far = self.request.limits.get(operand).is_some_and(|&len| len >= FAR);
        far && self.points(node) && self.nodes.nodes.len() < BUSY
    }

    fn words(&self, form: Form) -> usize {
        let (lines, cols) = self.block;
        match (form.line, form.col) {
            (true, true) => lines * cols,
            (true, false) => lines,
            (false, true) => cols,
            (false, false) => 1,
        }
    }

    fn elements(&self, form: Form) -> usize {
        let (lines, cols) = self.size;
        (if form.line { lines } else { 1 }) * if form.col { cols } else { 1 }
    }

    fn operand(&self, node: usize) -> Operand {
        Operand { value: node as u32, form: self.nodes.nodes[node].form }
    }

    fn operands(&self, node: usize) -> Operands {
        let mut operands = [NO_OPERAND; 5];
        for (operand, &a) in operands.iter_mut().zip(&self.nodes.nodes[node].args) {
            *operand = self.operand(a);
        }
        operands
    }

    /// Where the node's result goes; takes memory when it has none yet.
    fn target(&mut self, node: usize) -> Target {
        if let Some(sink) = self.direct[node].map(|i| &self.nodes.sinks[i])
            && let Some((line, col)) = sink.access.affine()
        {
            return Target::Buffer {
                operand: sink.operand,
                line,
                col,
                offset: sink.access.first(line, col, &super::Tile { l0: 0, lines: 0, c0: 0, cols: 0 }),
            };
        }
        let words = self.words(self.nodes.nodes[node].form);
        let at = self.memory.take(words);
        self.at[node] = Some(at);
        Target::Scratch(at)
    }

    /// The step of a node that is no reduction.
    fn step(&mut self, node: usize) -> Step {
        let n = &self.nodes.nodes[node];
        let result = node;
        if let Code::Load { operand, access } = &n.code
            && self.points(node)
            && let Some((line, col)) = access.affine()
        {
            let offset = access.first(line, col, &super::Tile { l0: 0, lines: 0, c0: 0, cols: 0 });
            let extra = Extra::Pointer { operand: *operand, offset, line, col };
            return Step { run: transfer::point, result, form: n.form, target: Target::Scratch(0), operands: [NO_OPERAND; 5], extra };
        }
        let target = self.target(node);
        let boxed = |access: &super::access::Access| Box::new(access.clone());
        let (run, extra): (Run, Extra) = match &n.code {
            Code::Const(word) => (transfer::constant, Extra::Word(*word)),
            Code::Load { operand, access } if access.is_chain() && self.elements(n.form) <= TABLE && access.limit < i32::MAX as usize => {
                let (lines, cols) = self.size;
                let places = access.table(n.form, lines, cols);
                let offsets: Vec<i32> = places.iter().map(|&place| i32::try_from(place).unwrap_or(super::access::NOWHERE)).collect();
                match Shuffle::new(&offsets, self.request.level) {
                    Some(shuffle) => {
                        // Offsets for all that there is, from the buffer's beginning.
                        let width = if n.form == Form::FULL { cols } else { 0 };
                        let access = Box::new(super::access::Access::everywhere(access.limit));
                        let run = Shuffle::run(self.request.level);
                        (run, Extra::Shuffle { operand: *operand, access, offsets: offsets.into(), shuffle, width })
                    }
                    None => (transfer::look_up, Extra::Table { operand: *operand, places: places.into(), width: cols }),
                }
            }
            Code::Load { operand, access } => match access.pattern(n.form) {
                Some((access, offsets)) => {
                    let (operand, access, offsets): (_, _, std::sync::Arc<[i32]>) = (*operand, Box::new(access), offsets.into());
                    match Shuffle::new(&offsets, self.request.level) {
                        Some(shuffle) => (Shuffle::run(self.request.level), Extra::Shuffle { operand, access, offsets, shuffle, width: 0 }),
                        None => {
                            let masked = offsets.contains(&super::access::NOWHERE);
                            (transfer::patterned, Extra::Pattern { operand, access, offsets, masked })
                        }
                    }
                }
                None => (transfer::fill, Extra::At { operand: *operand, access: boxed(access) }),
            },
            Code::Gather { operand, access, stride, len } => (
                transfer::gather(self.request.level),
                Extra::Gather { operand: *operand, access: boxed(access), stride: *stride, len: *len },
            ),
            Code::Place(access) => (transfer::places, Extra::At { operand: 0, access: boxed(access) }),
            Code::Valid(access) if access.is_chain() && self.elements(n.form) <= TABLE => {
                let (lines, cols) = self.size;
                (transfer::known, Extra::Table { operand: 0, places: access.validity(n.form, lines, cols).into(), width: cols })
            }
            Code::Valid(access) => (transfer::valid, Extra::At { operand: 0, access: boxed(access) }),
            Code::Run(run, Extra::Norm { .. }) => (*run, Extra::Norm { past: self.direct[node].is_some_and(|sink| self.streams(sink)) }),
            Code::Run(run, extra) => (*run, extra.clone()),
            Code::Reduce(op, dtype, of) => {
                let part = match (self.kind, of) {
                    (Kind::Lines, _) => Part::Lines,
                    (_, Of::Values) if self.far(n.args[0]) => Part::FarCols,
                    (_, Of::Values) => Part::Cols,
                    (_, Of::Products) => Part::ColsOfProducts,
                    (_, Of::Squares) => Part::ColsOfSquares,
                };
                (reduce_run(*op, *dtype, &part, self.request.level), Extra::None)
            }
        };
        Step { run, result, form: n.form, target, operands: self.operands(node), extra }
    }

    /// The steps of nodes in order; memory goes back after the last use, but for the `kept`.
    fn steps(&mut self, which: &[usize], kept: &dyn Fn(usize) -> bool) -> Vec<Step> {
        let mut steps = Vec::with_capacity(which.len());
        for &node in which {
            steps.push(self.step(node));
            for a in self.nodes.nodes[node].args.clone() {
                self.used(a, kept);
            }
        }
        steps
    }

    fn used(&mut self, node: usize, kept: &dyn Fn(usize) -> bool) {
        self.uses[node] = self.uses[node].saturating_sub(1);
        if self.uses[node] == 0
            && !kept(node)
            && let Some(at) = self.at[node].take()
        {
            self.memory.give(at, self.words(self.nodes.nodes[node].form));
        }
    }

    fn store(&self, sink: &Sink, streams: bool) -> Step {
        let run = if streams { transfer::stream(self.request.level) } else { transfer::store };
        let mut operands = [NO_OPERAND; 5];
        operands[0] = self.operand(sink.node);
        let extra = Extra::At { operand: sink.operand, access: Box::new(sink.access.clone()) };
        Step { run, result: 0, form: sink.domain, target: Target::Scratch(0), operands, extra }
    }

    fn stores(&self, inner: Option<bool>) -> Vec<Step> {
        let sinks = self.nodes.sinks.iter().enumerate();
        let wanted = sinks.filter(|(i, s)| inner.is_none_or(|inner| inner == s.inner) && self.direct[s.node] != Some(*i));
        wanted.map(|(i, s)| self.store(s, self.streams(i))).collect()
    }

    fn is_uniform(&self, node: usize) -> bool {
        self.nodes.nodes[node].form == Form::UNIFORM
    }

    /// Values that are computed once for the kernel.
    fn uniform(&mut self) -> Vec<Step> {
        let which: Vec<usize> = (0..self.nodes.nodes.len()).filter(|&i| self.is_uniform(i)).collect();
        self.steps(&which, &|_| true)
    }

    /// All of a row is in the tile: every node once.
    fn single(&mut self) -> Program {
        let uniform = self.uniform();
        let which: Vec<usize> = (0..self.nodes.nodes.len()).filter(|&i| !self.is_uniform(i)).collect();
        for node in &self.nodes.nodes {
            node.args.iter().for_each(|&a| self.uses[a] += 1);
        }
        // Stores come last.
        self.nodes.sinks.iter().for_each(|s| self.uses[s.node] += 1);
        let nodes = self.nodes;
        let mut body = self.steps(&which, &|i| nodes.nodes[i].form == Form::UNIFORM);
        body.extend(self.stores(None));
        Program { uniform, body, ..Program::default() }
    }

    /// Long rows: gone through once for each stage of reductions, inner values computed anew each time.
    fn staged(&mut self, passes: usize) -> Program {
        let nodes = self.nodes;
        let uniform = self.uniform();
        let kept = |i: usize| !nodes.nodes[i].inner || nodes.nodes[i].form == Form::UNIFORM;
        let of_row = |emit: &Self, stage: usize| -> Vec<usize> {
            let wanted = |&i: &usize| {
                !nodes.nodes[i].inner && !emit.is_uniform(i) && emit.stages[i] == stage && !matches!(nodes.nodes[i].code, Code::Reduce(..))
            };
            (0..nodes.nodes.len()).filter(wanted).collect()
        };
        let before = of_row(self, 0);
        let before = self.steps(&before, &kept);
        let mut result = Vec::new();
        for stage in 0..passes {
            let reduces: Vec<usize> = (0..nodes.nodes.len())
                .filter(|&i| matches!(nodes.nodes[i].code, Code::Reduce(..)) && known(&nodes.nodes[i], &self.stages) == stage)
                .collect();
            let mut needed = vec![false; nodes.nodes.len()];
            let reduced = || reduces.iter().flat_map(|&r| &nodes.nodes[r].args);
            reduced().for_each(|&a| needed[a] = true);
            let last = stage + 1 == passes;
            if last {
                nodes.sinks.iter().filter(|s| s.inner).for_each(|s| needed[s.node] = true);
            }
            for i in (0..nodes.nodes.len()).rev() {
                if needed[i] && nodes.nodes[i].inner {
                    nodes.nodes[i].args.iter().for_each(|&a| needed[a] = true);
                }
            }
            let which: Vec<usize> = (0..nodes.nodes.len()).filter(|&i| needed[i] && nodes.nodes[i].inner && !self.is_uniform(i)).collect();
            self.uses.fill(0);
            which.iter().flat_map(|&i| &nodes.nodes[i].args).for_each(|&a| self.uses[a] += 1);
            // What is collected from or stored lives until the tile ends.
            reduced().for_each(|&a| self.uses[a] += 1);
            if last {
                nodes.sinks.iter().filter(|s| s.inner).for_each(|s| self.uses[s.node] += 1);
            }
            // What is collected outlives the tiles: it takes its memory first.
            let (mut start, mut end, mut collect) = (Vec::new(), Vec::new(), Vec::new());
            for &r in &reduces {
                let Code::Reduce(op, dtype, of) = nodes.nodes[r].code else { continue };
                let form = nodes.nodes[r].form;
                let total = self.places;
                self.places += 1;
                let at = self.memory.take(2 * self.words(form));
                let (run, add) = (
                    |part: Part| reduce_run(op, dtype, &part, self.request.level),
                    match (self.kind, of) {
                        (Kind::Lines, _) => Part::AddLines,
                        (_, Of::Values) if self.far(nodes.nodes[r].args[0]) => Part::FarAddCols,
                        (_, Of::Values) => Part::AddCols,
                        (_, Of::Products) => Part::AddColsOfProducts,
                        (_, Of::Squares) => Part::AddColsOfSquares,
                    },
                );
                let from = self.operands(r);
                start.push(Step {
                    run: run(Part::Start),
                    result: total,
                    form,
                    target: Target::Scratch(at),
                    operands: [NO_OPERAND; 5],
                    extra: Extra::None,
                });
                collect.push(Step { run: run(add), result: total, form, target: Target::Scratch(at), operands: from, extra: Extra::None });
                let (run, total) = (run(Part::Finish), Operand { value: total as u32, form });
                end.push(Step {
                    run,
                    result: r,
                    form,
                    target: self.target(r),
                    operands: [total, NO_OPERAND, NO_OPERAND, NO_OPERAND, NO_OPERAND],
                    extra: Extra::None,
                });
            }
            let mut body = self.steps(&which, &kept);
            body.extend(collect);
            if last {
                body.extend(self.stores(Some(true)));
            }
            // The pass is over, so is the life of its inner values.
            for i in 0..nodes.nodes.len() {
                if !kept(i)
                    && let Some(at) = self.at[i].take()
                {
                    self.memory.give(at, self.words(nodes.nodes[i].form));
                }
            }
            let row = of_row(self, stage + 1);
            end.extend(self.steps(&row, &kept));
            result.push(Pass { start, body, end });
        }
        let after = self.stores(Some(false));
        Program { uniform, before, passes: result, after, ..Program::default() }
    }
}

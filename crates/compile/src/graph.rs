//! The traced step as an arena of nodes, operands before users.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use noyau_tensor::{DType, Error, Location, Op, Result, Shape, State, Tensor};

/// A node of a graph: `graph.nodes[id.0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One primitive applied to earlier nodes.
#[derive(Clone, Debug)]
pub struct Node {
    /// The primitive. Never `Op::Error` or `Op::Detach`.
    pub op: Op,
    /// Its operands.
    pub inputs: Vec<NodeId>,
    /// The result's sizes.
    pub shape: Shape,
    /// The result's element type.
    pub dtype: DType,
    /// The line of the user's program.
    pub location: Location,
}

/// A step: what goes in, what comes out, which states change.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// All nodes; operands come before their users.
    pub nodes: Vec<Node>,
    /// Shape and type of each argument.
    pub inputs: Vec<(Shape, DType)>,
    /// The results.
    pub outputs: Vec<NodeId>,
    /// States and their next values. All read the values from before the step.
    pub updates: Vec<(Arc<State>, NodeId)>,
}

impl Graph {
    /// The graph with every node written anew, operands first: `write` is given each node with its operands already in the new graph, and says what stands
    /// for it there. Fails with the first node that it cannot write.
    pub(crate) fn try_rewrite<E>(
        &self,
        mut write: impl FnMut(&mut Graph, Node) -> std::result::Result<NodeId, E>,
    ) -> std::result::Result<Graph, E> {
        let mut out = Graph { inputs: self.inputs.clone(), ..Graph::default() };
        let mut map: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs = node.inputs.iter().map(|id| map[id.0]).collect();
            map.push(write(&mut out, Node { inputs, ..node.clone() })?);
        }
        out.outputs = self.outputs.iter().map(|id| map[id.0]).collect();
        out.updates = self.updates.iter().map(|(state, id)| (state.clone(), map[id.0])).collect();
        Ok(out)
    }

    /// As [`Graph::try_rewrite`], where every node can be written.
    pub(crate) fn rewrite(&self, mut write: impl FnMut(&mut Graph, Node) -> NodeId) -> Graph {
        let Ok(graph) = self.try_rewrite(|out, node| Ok::<_, std::convert::Infallible>(write(out, node)));
        graph
    }

    /// Writes tensors down as a graph. Fails with the first mistake that an expression carries, with an update whose shape or type is not its
    /// state's, and with an argument that is used as another shape or type than declared.
    pub fn trace(inputs: &[(Shape, DType)], outputs: &[&Tensor], updates: &[(Arc<State>, Tensor)]) -> Result<Graph> {
        let roots: Vec<&Tensor> = outputs.iter().copied().chain(updates.iter().map(|(_, t)| t)).collect();
        let mut graph = Graph { inputs: inputs.to_vec(), ..Graph::default() };
        let mut ids: HashMap<u64, NodeId> = HashMap::new();
        let mut draws = 0;
        for tensor in Tensor::topological(&roots) {
            if let Some(error) = tensor.error() {
                return Err(error.clone());
            }
            let operands: Vec<NodeId> = tensor.inputs().iter().map(|t| ids[&t.id()]).collect();
            let op = match tensor.op() {
                Op::Detach => {
                    ids.insert(tensor.id(), operands[0]);
                    continue;
                }
                Op::Philox(_) => {
                    draws += 1;
                    Op::Philox(draws - 1)
                }
                Op::Input(position) => {
                    let declared = inputs.get(*position);
                    if declared != Some(&(tensor.shape().clone(), tensor.dtype())) {
                        return Err(Error::argument(
                            format!("argument {position}"),
                            match declared {
                                Some((shape, dtype)) => format!("used as {}{}, declared as {dtype}{shape}", tensor.dtype(), tensor.shape()),
                                None => format!(
                                    "used as {}{}, but {} arguments are declared; arguments are what Session::compile gives to its closure",
                                    tensor.dtype(),
                                    tensor.shape(),
                                    inputs.len()
                                ),
                            },
                        ));
                    }
                    Op::Input(*position)
                }
                op => op.clone(),
            };
            let node = Node { op, inputs: operands, shape: tensor.shape().clone(), dtype: tensor.dtype(), location: tensor.location() };
            ids.insert(tensor.id(), graph.push(node));
        }
        graph.outputs = outputs.iter().map(|t| ids[&t.id()]).collect();
        for (state, next) in updates {
            if next.shape() != state.shape() || next.dtype() != state.dtype() {
                let message = format!(
                    "the new value of `{}` is {}{}, the state is {}{}",
                    state.name(),
                    next.dtype(),
                    next.shape(),
                    state.dtype(),
                    state.shape()
                );
                return Err(Error::Expression { op: "update".into(), message, location: next.location() });
            }
            if graph.updates.iter().any(|(other, _)| other.id() == state.id()) {
                return Err(Error::argument(
                    "updates",
                    format!("`{}` is updated twice in one step; put both changes into one new value", state.name()),
                ));
            }
            graph.updates.push((Arc::clone(state), ids[&next.id()]));
        }
        Ok(graph)
    }

    /// Adds a node whose operands are there already.
    pub fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// The node of an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Results and next values: what must be computed.
    pub fn roots(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.outputs.iter().copied().chain(self.updates.iter().map(|(_, id)| *id))
    }

    /// Whether any node draws random numbers, so that each run has to advance the counter.
    pub fn draws(&self) -> bool {
        self.nodes.iter().any(|n| matches!(n.op, Op::Philox(_)))
    }
}

impl fmt::Display for Graph {
    /// One line a node: `%3 = matmul(%0, %2) f32[128, 512]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            let operands: Vec<String> = node.inputs.iter().map(|id| format!("%{}", id.0)).collect();
            let operands = if operands.is_empty() { String::new() } else { format!("({})", operands.join(", ")) };
            writeln!(f, "%{i} = {}{operands} {}{}", node.op, node.dtype, node.shape)?;
        }
        for (i, id) in self.outputs.iter().enumerate() {
            writeln!(f, "output {i} = %{}", id.0)?;
        }
        for (state, id) in &self.updates {
            writeln!(f, "{} <- %{}", state.name(), id.0)?;
        }
        Ok(())
    }
}

//! Phases put together as one WGSL module with one entry point, `main`.

use std::fmt::Write;

use noyau_compile::plan::BufferId;
use noyau_tensor::{Error, Result};

use crate::{Control, Layout, Phase, Shared, Work, helpers};

/// The workgroup's size of a merged launch.
pub const MERGED_GROUP: u32 = 256;

/// The most workgroups along one dimension of a grid.
const MAX_GRID: u64 = 65_535;

/// A module and its grid: what one dispatch needs besides its buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The WGSL text.
    pub text: String,
    /// How many workgroups, in two dimensions.
    pub grid: [u32; 2],
    /// Invocations of a workgroup.
    pub group: u32,
    /// Bytes of workgroup memory.
    pub shared_bytes: u32,
}

/// Phases that do not depend on each other as one launch, side by side: each has its own range of workgroups. Items go to workgroups of
/// `group`, which is also the size that groups must have.
pub fn beside(phases: &[Phase], layout: &Layout, group: u32) -> Result<Module> {
    let names = || phases.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join("; ");
    let mut ends = Vec::with_capacity(phases.len());
    let mut groups = 0u64;
    for phase in phases {
        groups += match phase.work {
            Work::Items(count) => count.div_ceil(u64::from(group)),
            Work::Groups { count, size } if size == group => count,
            Work::Groups { size, .. } => {
                return Err(Error::Internal(format!("{} has workgroups of {size}, the launch of {group}", phase.name)));
            }
        };
        ends.push(groups);
    }
    let rows = groups.div_ceil(MAX_GRID);
    let columns = groups.div_ceil(rows.max(1));
    if rows > MAX_GRID {
        return Err(Error::argument(
            "kernel",
            format!("{} needs {groups} workgroups, more than a grid of {MAX_GRID} x {MAX_GRID} has", names()),
        ));
    }
    let number = if rows <= 1 { "wid.x".to_string() } else { format!("wid.y * {columns}u + wid.x") };
    let mut body = format!("  let number = {number};\n");
    let mut start = 0;
    for (i, (phase, &end)) in phases.iter().zip(&ends).enumerate() {
        let function = &phase.function;
        let own = if start == 0 { "number".to_string() } else { format!("(number - {start}u)") };
        // Conditions on the workgroup's number are the same for all of it, as barriers demand.
        let last = i + 1 == phases.len();
        if last && groups == rows * columns {
            body.push_str("  {");
        } else {
            // The grid's last row may be longer than needed.
            let _ = write!(body, "  if (number < {end}u) {{");
        }
        let _ = match phase.work {
            Work::Items(count) if count == (end - start) * u64::from(group) => write!(body, " {function}({own} * {group}u + lid); }}"),
            Work::Items(count) => {
                write!(body, " let item = {own} * {group}u + lid; if (item < {count}u) {{ {function}(item); }} }}")
            }
            Work::Groups { .. } => write!(body, " {function}({own}, lid); }}"),
        };
        body.push_str(if last { "\n" } else { " else\n" });
        start = end;
    }
    Ok(assemble(phases, layout, [columns as u32, rows as u32], group, &body))
}

/// Several phases, one after the other, as a launch of one workgroup of so many invocations; with `repeat`, buffer of control words, as often as
/// [`Control::Runs`] says. Phases of groups need [`MERGED_GROUP`] invocations.
pub fn in_turn(phases: &[Phase], layout: &Layout, group: u32, repeat: Option<BufferId>) -> Module {
    let calls = calls(phases, group);
    let Some(control) = repeat else { return assemble(phases, layout, [1, 1], group, &calls) };
    // Read by one and handed to all: that way a compiler can see that all go through the loop, with its barriers, equally often.
    let runs = layout.load(control, Control::Runs.place());
    let body = format!(
        "  if (lid == 0u) {{ runs = {runs}; }}\n  let count = workgroupUniformLoad(&runs);\n\
        \x20 for (var turn = 0u; turn < count; turn++) {{\n{calls}  storageBarrier();\n  }}\n"
    );
    let mut module = assemble(phases, layout, [1, 1], group, &body);
    module.text.push_str("var<workgroup> runs: u32;\n");
    module.shared_bytes += 4;
    module
}

/// Calls of phases with barriers between them, for one workgroup.
fn calls(phases: &[Phase], group: u32) -> String {
    let mut body = String::new();
    for (i, phase) in phases.iter().enumerate() {
        if i > 0 {
            body.push_str("  storageBarrier();\n");
        }
        let function = &phase.function;
        let _ = match phase.work {
            Work::Items(count) if count == u64::from(group) => writeln!(body, "  {function}(lid);"),
            Work::Items(count) if count < u64::from(group) => writeln!(body, "  if (lid < {count}u) {{ {function}(lid); }}"),
            Work::Items(count) => {
                writeln!(body, "  for (var item = lid; item < {count}u; item += {group}u) {{ {function}(item); }}")
            }
            Work::Groups { count: 1, .. } => writeln!(body, "  {function}(0u, lid);"),
            Work::Groups { count, .. } => writeln!(body, "  for (var group = 0u; group < {count}u; group++) {{ {function}(group, lid); }}"),
        };
    }
    body
}

/// How many loop turns an invocation of a merged launch of so many spends on a phase, or `None` where the phase cannot be part of one.
pub fn turns(phase: &Phase, group: u32) -> Option<u64> {
    match phase.work {
        Work::Items(count) => Some(count.div_ceil(u64::from(group)) * (phase.iterations + 1)),
        Work::Groups { count, size } if size == group => Some(count * (phase.iterations + 1)),
        Work::Groups { .. } => None,
    }
}

fn assemble(phases: &[Phase], layout: &Layout, grid: [u32; 2], group: u32, body: &str) -> Module {
    let mut shared: Vec<Shared> = Vec::new();
    for variable in phases.iter().flat_map(|p| &p.shared) {
        match shared.iter_mut().find(|s| s.name == variable.name) {
            Some(known) => known.len = known.len.max(variable.len),
            None => shared.push(variable.clone()),
        }
    }
    let size = |element: &str| match element {
        "vec4<f32>" | "vec4<i32>" | "vec4<u32>" => 16,
        "vec4<f16>" => 8,
        "f16" => 2,
        _ => 4,
    };
    let shared_bytes = shared.iter().map(|s| s.len * size(s.element)).sum();
    let code: String = phases.iter().map(|p| p.code.as_str()).collect();
    let coop = code.contains("coop_mat");
    let mut text = if coop { "enable f16;\nenable wgpu_cooperative_matrix;\n".to_string() } else { String::new() };
    text.push_str(&layout.declarations());
    for Shared { name, element, len } in &shared {
        let _ = writeln!(text, "var<workgroup> {name}: array<{element}, {len}>;");
    }
    helpers::needed(&code).for_each(|helper| text.push_str(helper));
    text.push_str(&code);
    let _ = write!(
        text,
        "@compute @workgroup_size({group})\nfn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {{\n{body}}}\n"
    );
    Module { text, grid, group, shared_bytes }
}

//! Shows the GPUs that drivers offer, and which device `auto` takes.
//!
//!     cargo run --release --example devices

#[path = "common/mod.rs"]
mod common;

use std::process::ExitCode;

use clap::Parser;
use noyau::prelude::*;
use noyau::train::{AdapterInfo, DeviceKind};

/// Lists the devices that a network can be trained on, and says which one `auto` takes.
#[derive(Parser)]
#[command(name = "devices")]
struct Options {}

fn main() -> ExitCode {
    common::start(run)
}

fn run(_: Options) -> anyhow::Result<()> {
    let adapters = Device::list();
    let mut rows = vec![["device", "name", "API", "type", "driver"].map(String::from)];
    rows.push(["cpu".into(), Device::cpu().adapter(), "-".into(), "CPU".into(), "-".into()]);
    for a in &adapters {
        rows.push([format!("gpu:{}", a.index), a.name.clone(), a.backend.clone(), kind(a.device_type).into(), a.driver.clone()]);
    }
    table(&rows)?;

    if !adapters.is_empty() {
        say!("\nWhat a kernel may use:\n");
        let header = ["device", "buffer", "binding", "storage buffers", "workgroup memory", "invocations", "subgroup"];
        let mut rows = vec![header.map(String::from)];
        for AdapterInfo { index, limits, subgroup, .. } in &adapters {
            rows.push([
                format!("gpu:{index}"),
                bytes(limits.max_buffer_bytes),
                bytes(limits.max_binding_bytes),
                limits.max_bindings.to_string(),
                bytes(limits.max_shared_bytes.into()),
                limits.max_group.to_string(),
                subgroup.map_or("varies".into(), |size| size.to_string()),
            ]);
        }
        table(&rows)?;
        say!("\nbuffer: the largest that can be made; binding: the largest that a kernel sees of one; invocations: of one workgroup.");
        say!("\nOptional features, as far as they are for computing:\n");
        for a in &adapters {
            let marks = ["shader_", "subgroup", "cooperative", "timestamp", "mappable", "immediates", "pipeline_cache"];
            let features: Vec<&str> = a.features.iter().map(String::as_str).filter(|f| marks.iter().any(|mark| f.contains(mark))).collect();
            say!("gpu:{}  {}", a.index, if features.is_empty() { "none".into() } else { wrapped(&features, 7) });
        }
    }

    let choice = Device::auto()?;
    say!("\nauto takes: {} ({}), because {}", choice.name(), choice.adapter(), reason(&choice, &adapters));
    say!("Take another with the option --device of the examples, or with NOYAU_DEVICE=cpu, gpu or gpu:N.");
    Ok(())
}

/// Why `auto` takes what it takes: the rule is `Device::auto`'s.
fn reason(choice: &Device, adapters: &[AdapterInfo]) -> String {
    match std::env::var("NOYAU_DEVICE") {
        Ok(name) if !name.is_empty() && name != "auto" => return format!("the environment variable NOYAU_DEVICE says {name}"),
        _ => {}
    }
    let hardware = adapters.iter().filter(|a| !a.software).count();
    match (choice.is_cpu(), adapters.len(), hardware) {
        (false, _, 1) => "it is the only GPU that is no software".into(),
        (false, _, _) => "it is the best GPU that opens: discrete before integrated before virtual, no software".into(),
        (true, 0, _) => "no driver shows a GPU".into(),
        (true, _, 0) => "the GPUs here are software, and noyau's CPU executor is quicker than shaders run on a CPU".into(),
        (true, _, _) => "the driver refuses to open the GPU that it shows".into(),
    }
}

fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Discrete => "discrete GPU",
        DeviceKind::Integrated => "integrated GPU",
        DeviceKind::Virtual => "virtual GPU",
        DeviceKind::Software => "software",
        DeviceKind::Other => "not said",
    }
}

/// Bytes in the largest unit that leaves at least 1.
fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (n.max(1).ilog2() / 10) as usize;
    let value = n as f64 / (1u64 << (10 * unit)) as f64;
    if value.fract() == 0.0 { format!("{value} {}", units[unit]) } else { format!("{value:.1} {}", units[unit]) }
}

/// Rows of cells, each column as wide as its widest.
fn table<const N: usize>(rows: &[[String; N]]) -> anyhow::Result<()> {
    let widths: [usize; N] = std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        say!("{}", cells.join("  ").trim_end());
    }
    Ok(())
}

/// Words in lines of at most 120 characters, the second and later ones indented.
fn wrapped(words: &[&str], indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in words {
        match lines.last_mut() {
            Some(line) if indent + line.len() + word.len() <= 120 => *line += &format!("{}{word}", if line.is_empty() { "" } else { ", " }),
            _ => lines.push(word.to_string()),
        }
    }
    lines.join(&format!(",\n{}", " ".repeat(indent)))
}

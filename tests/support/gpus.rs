//! The GPUs there are: real ones, and the three software drivers that the tests know how to ask for.
//!
//! `scripts/test` installs the drivers and makes all three visible to one process. Without it, tests use what they find and say what they miss.
//! `NOYAU_REQUIRE_GPUS=3` makes fewer than three a failure.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use noyau::train::AdapterInfo;
use noyau::{Device, Error};

use super::announce;

/// A driver, as tests tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mesa's Vulkan driver on the CPU.
    Lavapipe,
    /// Google's, which Chromium ships: 4 lanes a subgroup, near WebGPU's floor.
    SwiftShader,
    /// Mesa's OpenGL driver on the CPU: no subgroups.
    MesaGl,
    /// Anything else: a real GPU.
    Other,
}

/// The software drivers, which every Linux machine can have.
pub const SOFTWARE: [Kind; 3] = [Kind::Lavapipe, Kind::SwiftShader, Kind::MesaGl];

impl Kind {
    fn of(info: &AdapterInfo) -> Kind {
        let name = info.name.to_lowercase();
        match &*info.backend {
            "vulkan" if name.contains("llvmpipe") => Kind::Lavapipe,
            "vulkan" if name.contains("swiftshader") => Kind::SwiftShader,
            "gl" if name.contains("llvmpipe") => Kind::MesaGl,
            _ => Kind::Other,
        }
    }
}

/// An open GPU.
pub struct Gpu {
    /// Which driver.
    pub kind: Kind,
    /// Its name and API.
    pub name: String,
    /// It.
    pub device: Device,
}

struct Found {
    gpus: Vec<Gpu>,
    /// Adapters that are listed and do not open.
    refused: Vec<Error>,
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = Found { gpus: Vec::new(), refused: Vec::new() };
        for info in Device::list() {
            match Device::gpu(info.index) {
                Ok(device) => found.gpus.push(Gpu { kind: Kind::of(&info), name: info.to_string(), device }),
                Err(error) => found.refused.push(error),
            }
        }
        found
    })
}

/// All GPUs, opened once a process.
pub fn all() -> &'static [Gpu] {
    &found().gpus
}

/// GPU tests take turns: software GPUs use all cores anyway, and counts of a device's objects must not mix.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed while it had its turn leaves nothing behind that matters to the next.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says which GPUs take part and which are missing. Fails when there are fewer than `NOYAU_REQUIRE_GPUS` says.
pub fn census() {
    let Found { gpus, refused } = found();
    for gpu in gpus {
        announce(&format!("    GPU under test: {} ({:?})", gpu.name, gpu.kind));
    }
    let missing: Vec<String> =
        SOFTWARE.iter().filter(|kind| !gpus.iter().any(|gpu| gpu.kind == **kind)).map(|kind| format!("{kind:?}")).collect();
    if !missing.is_empty() {
        announce(&format!(
            "\n    ######################################################################\n    \
             ## NOT TESTED, because no driver was found: {}\n    \
             ## scripts/test installs them and shows all of them to the tests.\n    \
             ######################################################################\n",
            missing.join(", ")
        ));
    }
    assert!(refused.is_empty(), "adapters that are listed but do not open: {refused:?}");
    let required: usize = match std::env::var("NOYAU_REQUIRE_GPUS") {
        Ok(text) if !text.is_empty() => text.parse().unwrap_or_else(|_| panic!("NOYAU_REQUIRE_GPUS={text} is not a number")),
        _ => 0,
    };
    assert!(gpus.len() >= required, "NOYAU_REQUIRE_GPUS={required}, but there are {}; missing: {}", gpus.len(), missing.join(", "));
}

/// Runs `check` on every GPU of a kind, in turn. Whether there is one at all is [`census`]'s to say.
pub fn each(kind: Kind, mut check: impl FnMut(&Gpu)) {
    let _turn = turn();
    all().iter().filter(|gpu| gpu.kind == kind).for_each(&mut check);
}

/// Runs `check` on every GPU, in turn.
pub fn every(mut check: impl FnMut(&Gpu)) {
    let _turn = turn();
    all().iter().for_each(&mut check);
}

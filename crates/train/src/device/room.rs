//! How much memory is free, so that what cannot fit is refused before it is begun. Linux hands out memory that it does not have, and kills who uses it.

use crate::memory_use::{MemoryUse, bytes_in_words};

/// What takes less is not asked about: asking takes longer than a small step.
const SMALL: u64 = 64 << 20;

/// What a device can give.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    /// In all, if every other program left.
    pub whole: Option<u64>,
    /// Now.
    pub free: Option<u64>,
}

impl Room {
    /// Why a plan cannot fit of which `present` bytes are there already; nothing when it can, or nobody knows.
    pub fn refuse(of: impl FnOnce() -> Room, memory: &MemoryUse, present: u64) -> Option<String> {
        let (total, more) = (memory.total(), memory.total().saturating_sub(present));
        if more <= SMALL {
            return None;
        }
        let room = of();
        let lacking = match (room.whole, room.free) {
            (Some(whole), _) if total > whole => format!("the device has {} in all", bytes_in_words(whole)),
            (_, Some(free)) if more > free => {
                format!("{} are free and {} of it are not there yet", bytes_in_words(free), bytes_in_words(more))
            }
            _ => return None,
        };
        Some(format!("{}; {lacking}. {ADVICE}", memory.in_words()))
    }

    /// Why a single value cannot be made.
    pub fn refuse_value(of: impl FnOnce() -> Room, what: &str, bytes: u64) -> Option<String> {
        let room = if bytes > SMALL { of() } else { return None };
        let free = [room.whole, room.free].into_iter().flatten().min()?;
        (bytes > free).then(|| format!("{what} takes {bytes} bytes ({}), {} are free", bytes_in_words(bytes), bytes_in_words(free)))
    }
}

/// What to do about it.
pub(crate) const ADVICE: &str = "A smaller batch takes less for activations; f16 (`Trainer::precision`) halves large ones on GPUs that have it; \
                                 the CPU (`Device::cpu()`) has what the machine has";

/// Bytes of the machine's memory that this program can still take: what the system has free or can free, and what is left of this program's
/// share of it, where it runs in a container. Known on Linux only.
pub(crate) fn free_memory() -> Option<u64> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let available = meminfo(&read("/proc/meminfo")?, "MemAvailable")?;
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let shares = groups.lines().filter_map(|line| share(line, &read));
    Some(shares.fold(available, u64::min))
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// What a control group and those above it leave, of a line of /proc/self/cgroup (`man 7 cgroups`): `0::/path`, or `N:memory:/path` of the first version.
fn share(line: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, most, used) = if controllers.is_empty() {
        ("/sys/fs/cgroup", "memory.max", "memory.current")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
    } else {
        return None;
    };
    let mut least: Option<u64> = None;
    let mut path = path.trim_end_matches('/');
    loop {
        let number = |name: &str| read(&format!("{root}{path}/{name}")).and_then(|text| text.trim().parse::<u64>().ok());
        // A group without a limit says `max`, which is no number.
        if let (Some(most), Some(used)) = (number(most), number(used)) {
            // Files that were read count as used, and give way.
            let files = read(&format!("{root}{path}/memory.stat")).and_then(|text| stat(&text, "inactive_file")).unwrap_or(0);
            let left = most.saturating_sub(used.saturating_sub(files));
            least = Some(least.map_or(left, |least| least.min(left)));
        }
        match path.rfind('/') {
            Some(end) => path = &path[..end],
            None => return least,
        }
    }
}

/// A line of memory.stat.
fn stat(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_the_least_that_anyone_leaves() {
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "700\n"),
            ("/sys/fs/cgroup/a/memory.max", "1000\n"),
            ("/sys/fs/cgroup/a/memory.current", "800\n"),
            ("/sys/fs/cgroup/a/memory.stat", "anon 300\nfile 500\ninactive_file 100\n"),
            ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "500\n"),
            ("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "600\n"),
        ];
        let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| text.to_string());
        assert_eq!(share("0::/a/b", &read), Some(300), "the group above has 1000 and uses 700 that do not give way");
        assert_eq!(share("4:cpu,memory:/x", &read), Some(0), "more is used than allowed");
        assert_eq!((share("0::/", &read), share("3:cpuset:/x", &read), share("", &read)), (None, None, None));
        assert_eq!(meminfo("MemTotal:  9 kB\nMemAvailable:    3 kB\n", "MemAvailable"), Some(3072));
        assert_eq!(meminfo("MemAvailableX: 3 kB\nMemAvailable: many\n", "MemAvailable"), None);
        #[cfg(target_os = "linux")]
        assert!(free_memory().is_some_and(|bytes| bytes > 1 << 20), "this machine has memory");
    }

    #[test]
    fn what_cannot_fit_is_refused_with_figures() {
        let memory = MemoryUse { states: 3 << 30, activations: 2 << 30, ..MemoryUse::default() };
        let room = |whole: Option<u64>, free: Option<u64>| move || Room { whole, free };
        let refused = Room::refuse(room(Some(4 << 30), None), &memory, 5 << 30);
        assert_eq!(refused, None, "all of it is there");
        let refused = Room::refuse(room(Some(4 << 30), None), &memory, 3 << 30).expect("too large for the device");
        for part in ["5.0 GiB", "3.0 GiB of states", "2.0 GiB of activations", "4.0 GiB in all", "smaller batch", "Device::cpu()"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert_eq!(Room::refuse(room(None, Some(2 << 30)), &memory, 3 << 30), None);
        let refused = Room::refuse(room(None, Some((2 << 30) - 1)), &memory, 3 << 30).expect("too large now");
        assert!(refused.contains("2.0 GiB are free and 2.0 GiB of it are not there yet"), "{refused}");
        assert_eq!(Room::refuse(room(None, None), &memory, 0), None, "nobody knows");
        let value = Room::refuse_value(room(None, Some(1 << 20)), "`w` of f32[100]", 1 << 30).expect("too large");
        assert!(value.contains("`w` of f32[100] takes 1073741824 bytes (1.0 GiB), 1.0 MiB are free"), "{value}");
    }
}

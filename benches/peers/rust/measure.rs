//! What the Rust peers share: arguments, windows, lines of results, MNIST. Windows are those of noyau's report: sized to last a quarter of a second, seven of
//! them, synchronised at their ends only.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The arguments: `[--device NAME] [--quick] [NAME]..`; a workload runs whose name contains one of the names.
pub struct Peer {
    pub engine: String,
    pub device: String,
    label: String,
    quick: bool,
    names: Vec<String>,
}

impl Peer {
    pub fn from_args(engine: &str) -> Outcome<Peer> {
        let mut peer = Peer { engine: engine.into(), device: "cpu".into(), label: String::new(), quick: false, names: Vec::new() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--device" => peer.device = args.next().ok_or("--device: which?")?,
                "--label" => peer.label = args.next().ok_or("--label: which?")?,
                "--quick" => peer.quick = true,
                other if other.starts_with('-') => {
                    return Err(format!("{other}: no such option; there are --device, --label, --quick").into());
                }
                name => peer.names.push(name.into()),
            }
        }
        if peer.label.is_empty() {
            peer.label = peer.device.clone();
        }
        Ok(peer)
    }

    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|part| name.contains(part.as_str()))
    }

    /// Whether anything is wanted that needs MNIST.
    pub fn trains(&self) -> bool {
        ["w2-b128-rate", "w2-b1024-rate", "w2-b128-first-step", "w2-peak-memory", "w3-b128-rate", "w3-b128-first-step"]
            .iter()
            .any(|name| self.wants(name))
    }

    /// Times `runs`, which does so many runs and waits for the last; `amount` of the unit is one run's.
    pub fn rate(&self, name: &str, unit: &str, amount: f64, mut runs: impl FnMut(usize) -> Outcome<()>) -> Outcome<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let (windows, window, warm_up) = if self.quick { (5, 0.02, 0.02) } else { (7, 0.25, 0.3) };
        let mut timed = |count: usize| -> Outcome<f64> {
            let start = Instant::now();
            runs(count)?;
            Ok(start.elapsed().as_secs_f64())
        };
        timed(1)?;
        let begun = Instant::now();
        let mut count = 1;
        let one = loop {
            let time = timed(count)?;
            if time > window / 8.0 && begun.elapsed().as_secs_f64() > warm_up || time > window * 2.0 {
                break time / count as f64;
            }
            if time < window / 4.0 {
                count *= 2;
            }
        };
        let count = ((window / one).ceil() as usize).max(1);
        let rates = (0..windows).map(|_| Ok(amount * count as f64 / timed(count)?)).collect::<Outcome<Vec<f64>>>()?;
        self.line(name, unit, rates);
        Ok(())
    }

    /// Prints a figure.
    pub fn line(&self, name: &str, unit: &str, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let (median, min, max) = (values[values.len() / 2], values[0], values[values.len() - 1]);
        println!(
            r#"{{"workload":"{name}","peer":"{}","device":"{}","median":{median},"min":{min},"max":{max},"unit":"{unit}"}}"#,
            self.engine, self.label
        );
    }
}

/// The most memory that this process has had, in MiB.
pub fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// MNIST's training images, as f32 from 0 to 1, and labels.
pub struct Mnist {
    pub images: Vec<f32>,
    pub labels: Vec<u32>,
}

impl Mnist {
    pub fn read() -> Outcome<Mnist> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../examples/data/mnist");
        let read = |name: &str, header: usize| -> Outcome<Vec<u8>> {
            // By gzip itself: a crate for it would change what the engine's own dependencies are built with.
            let mut output = Command::new("gzip").arg("-dc").arg(format!("{folder}/{name}")).output()?;
            if !output.status.success() || output.stdout.len() < header {
                return Err(format!("{folder}/{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
            }
            Ok(output.stdout.split_off(header))
        };
        let images = read("train-images-idx3-ubyte.gz", 16)?.into_iter().map(|b| f32::from(b) / 255.0).collect();
        let labels = read("train-labels-idx1-ubyte.gz", 8)?.into_iter().map(u32::from).collect();
        Ok(Mnist { images, labels })
    }
}

/// Batches as places in the data, in a new order each epoch, without an end.
pub struct Batches {
    order: Vec<u32>,
    batch: usize,
    next: usize,
    state: u64,
}

impl Batches {
    pub fn new(samples: usize, batch: usize) -> Batches {
        Batches { order: (0..samples as u32).collect(), batch, next: samples, state: 1 }
    }

    pub fn take(&mut self) -> &[u32] {
        if self.next + self.batch > self.order.len() {
            for i in (1..self.order.len()).rev() {
                // SplitMix64.
                self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = self.state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                self.order.swap(i, ((z ^ (z >> 31)) % (i as u64 + 1)) as usize);
            }
            self.next = 0;
        }
        let batch = &self.order[self.next..self.next + self.batch];
        self.next += self.batch;
        batch
    }

    /// The images and labels of the next batch, gathered.
    pub fn gather(&mut self, data: &Mnist) -> (Vec<f32>, Vec<u32>) {
        let batch = self.batch;
        let (mut images, mut labels) = (Vec::with_capacity(batch * 784), Vec::with_capacity(batch));
        for &i in self.take() {
            let i = i as usize;
            images.extend_from_slice(&data.images[i * 784..][..784]);
            labels.push(data.labels[i]);
        }
        (images, labels)
    }
}

/// Numbers from -1 to 1 without a pattern.
pub fn noise(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i as u32).wrapping_mul(0x9e37_79b9) >> 8) as f32 / (1u32 << 23) as f32 - 1.0).collect()
}

/// The batch of W4.
pub fn tiny() -> (Vec<f32>, Vec<f32>) {
    let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
    let y = x.chunks(2).map(|p| (p[0] * p[1]).signum()).collect();
    (x, y)
}

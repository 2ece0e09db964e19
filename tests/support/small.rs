//! A small data set, and all devices: what tests of trainings share.

use noyau::prelude::*;

/// 90 samples of 2 x 3 bytes in 3 classes that can be told apart. In batches of 16, the last step of an epoch takes 10.
pub fn three_classes() -> Dataset {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..90u32 {
        let class = i % 3;
        labels.push(class);
        pixels.extend((0..6u32).map(|p| if p % 3 == class { 200 + (i * 7 + p) % 55 } else { (i * 5 + p * 11) % 60 } as u8));
    }
    Dataset::from_bytes([2, 3], pixels, &Array::new([90], &labels).expect("90 labels")).expect("90 samples")
}

/// The CPU and every adapter.
pub fn devices() -> Vec<Device> {
    std::iter::once(Device::cpu()).chain(Device::list().iter().map(|a| Device::gpu(a.index).expect("it opens"))).collect()
}

//! Images changed at random: the draws are the same on every device, so the images are.

use noyau::nn::*;
use noyau::{DType, Tensor};

use super::{Class, Class::*, Data, List};

pub fn cases(list: &mut List) {
    let mut add = |name: &str, class: Class, shape: [usize; 4], layer: Box<dyn Module + Send + Sync>| {
        // Pixels from 0.25 to 0.75: no slope is looked for at 0 or 1, where values are clamped.
        let x = move |d: &mut Data| d.range(shape, 0.25, 0.75);
        list.smooth(format!("augment: {name}"), class, move |d| layer.forward(&x(d), &Mode::train()));
    };
    add("horizontal flip", Exact, [6, 2, 3, 4], Box::new(RandomHorizontalFlip(0.5)));
    add("vertical flip", Exact, [6, 1, 3, 4], Box::new(RandomVerticalFlip(0.5)));
    add("crop", Exact, [5, 2, 6, 7], Box::new(RandomCrop::new([3, 4])));
    add("crop with padding", Exact, [5, 2, 4, 4], Box::new(RandomCrop::new([4, 4]).padding(2).fill(0.5)));
    add("crop of the whole", Exact, [2, 1, 3, 3], Box::new(RandomCrop::new([3, 3])));
    add("resized crop", Chain, [4, 2, 5, 6], Box::new(RandomResizedCrop::new([4, 3])));
    add("resized crop, enlarged", Chain, [3, 1, 3, 3], Box::new(RandomResizedCrop::new([7, 5]).scale(0.5, 1.0)));
    add("erasing", Exact, [8, 2, 6, 5], Box::new(RandomErasing::new(0.7).value(0.5)));
    add("erasing large parts", Exact, [4, 1, 5, 5], Box::new(RandomErasing::new(1.0).scale(0.5, 1.0).ratio(0.1, 10.0)));
    add("colour jitter", Chain, [4, 3, 3, 3], Box::new(ColorJitter::new(0.2, 0.3)));
    add("colour jitter of grey images", Chain, [4, 1, 3, 3], Box::new(ColorJitter::new(0.0, 0.4)));
    add("noise", Chain, [2, 1, 3, 4], Box::new(GaussianNoise::new(0.0, 0.02)));
    list.value("augment: everything", Chain, |d| {
        let all = Sequential::new()
            .then(RandomCrop::new([12, 12]).padding(2))
            .then(RandomHorizontalFlip(0.5))
            .then(ColorJitter::new(0.5, 0.5))
            .then(GaussianNoise::new(0.1, 0.2))
            .then(RandomErasing::new(0.5));
        all.forward(&d.range([16, 3, 12, 12], 0.0, 1.0), &Mode::train())
    });
    list.value("augment: a flip of halves", F16(1), |d| {
        RandomHorizontalFlip(0.5).forward(&d.range([4, 1, 2, 3], 0.0, 1.0).to(DType::F16), &Mode::train()).to(DType::F32)
    });
    list.value("augment: noise beyond 0 and 1", Chain, |_| {
        GaussianNoise::new(0.5, 1.0).forward(&Tensor::zeros([4, 1, 5, 5]), &Mode::train())
    });
}

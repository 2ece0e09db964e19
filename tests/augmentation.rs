//! Augmented images come from the session's seed: the same ones for the same seed, others for another seed and at each step.

use noyau::prelude::*;

/// What two steps of a session with a seed make of the same images.
fn augmented(layer: &dyn Module, seed: u64) -> [Vec<f32>; 2] {
    let shape = [16, 1, 8, 8];
    let values: Vec<f32> = (0..16 * 64).map(|i| (i % 64) as f32 / 64.0).collect();
    let images = Array::new(shape, &values).unwrap();
    let session = Session::with_seed(Device::cpu(), seed);
    let mut step = session.compile([Spec::f32(shape)], |[x]| Step::returns(&layer.forward(&x, &Mode::train()))).unwrap();
    [(); 2].map(|()| step.run(&[&images]).unwrap()[0].to_vec().unwrap())
}

#[test]
fn the_same_seed_gives_the_same_images() {
    let layers: [(&str, Box<dyn Module>); 8] = [
        ("RandomHorizontalFlip", Box::new(RandomHorizontalFlip(0.5))),
        ("RandomVerticalFlip", Box::new(RandomVerticalFlip(0.5))),
        ("RandomCrop", Box::new(RandomCrop::new([8, 8]).padding(2))),
        ("RandomResizedCrop", Box::new(RandomResizedCrop::new([8, 8]))),
        ("RandomErasing", Box::new(RandomErasing::new(0.5))),
        ("ColorJitter", Box::new(ColorJitter::new(0.5, 0.5))),
        ("GaussianNoise", Box::new(GaussianNoise::new(0.0, 0.1))),
        ("RandomAffine", Box::new(RandomAffine::new(10.0).translate(0.1, 0.1))),
    ];
    for (name, layer) in &layers {
        let [first, second] = augmented(&**layer, 7);
        assert!(augmented(&**layer, 7) == [first.clone(), second.clone()], "{name}: seed 7 twice");
        assert!(first != second, "{name}: two steps of seed 7");
        assert!(augmented(&**layer, 8)[0] != first, "{name}: seeds 7 and 8");
    }
}

//! A folder of images, from files to a network that tells its classes apart.

#[path = "support/png.rs"]
#[allow(dead_code)] // Each file of tests uses a part of it.
mod png;

use std::fs;
use std::path::Path;

use noyau::prelude::*;
use png::png;

/// Stripes that lie or stand, of two pixels each and of random place, colour and size of image, a file each.
fn stripes(folder: &Path, count: usize, seed: u64) {
    let mut rng = noyau::data::Rng::new(seed);
    let mut below = |n: u32| rng.below(n);
    for class in ["lying", "standing"] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..count {
            let (height, width, first) = (12 + below(6), 12 + below(6), below(4));
            let colour = [below(256), below(256), 255];
            let image = png(height, width, |row, column| {
                let along = if class == "lying" { row } else { column };
                colour.map(|c| if (along + first) % 4 < 2 { c as u8 } else { 0 })
            });
            fs::write(folder.join(format!("{class}/{i}.png")), image).unwrap();
        }
    }
}

fn network(seed: u64) -> Trainer {
    let model =
        Sequential::new().then(Conv2d::new(3, 6, 3)).then(Relu).then(MaxPool2d::new(2)).then(Flatten).then(Linear::new(6 * 5 * 5, 2));
    Trainer::new(Device::cpu(), model).optimizer(Adam::new(0.01)).seed(seed)
}

#[test]
fn a_network_learns_from_a_folder() {
    let root = tempfile::tempdir().unwrap();
    stripes(&root.path().join("train"), 40, 1);
    stripes(&root.path().join("test"), 20, 2);
    // What a person leaves in such folders.
    fs::write(root.path().join("train/lying/notes.txt"), "the best ones").unwrap();
    fs::write(root.path().join("train/standing/.DS_Store"), "\0\0").unwrap();

    let train = ImageFolder::rgb().resize(12, 12).skip_bad(true).open(root.path().join("train")).unwrap();
    assert_eq!((train.classes.join(" "), train.dataset.len(), train.skipped.count), ("lying standing".into(), 80, 1));
    assert_eq!((train.dataset.sample_shape().to_vec(), train.dataset.class_counts().unwrap()), (vec![3, 12, 12], vec![40, 40]));
    let test = ImageFolder::like(&train).open(root.path().join("test")).unwrap();

    let mut trainer = network(3);
    let before = trainer.evaluate(&test.dataset).unwrap().accuracy.unwrap();
    trainer.fit(&train.dataset, Fit::epochs(15).batch_size(16)).unwrap();
    let after = trainer.evaluate(&test.dataset).unwrap().accuracy.unwrap();
    assert!(before < 0.8 && after > 0.95, "{before} of the images to test on were right before, {after} after");

    // One image that comes from elsewhere, as the network was trained on them.
    let file = fs::read(root.path().join("test/standing/0.png")).unwrap();
    let image = ImageFolder::like(&train).decode("a visitor's image", &file).unwrap();
    assert_eq!(image, test.dataset.get(20).unwrap().0, "{}", test.files[20].display());
}

/// The same folder is the same data set: the same weights to the last bit.
#[test]
fn the_same_folder_gives_the_same_weights() {
    let root = tempfile::tempdir().unwrap();
    stripes(root.path(), 10, 5);
    let file = root.path().join("weights");
    let weights = || {
        let data = ImageFolder::rgb().resize(12, 12).open(root.path()).unwrap().dataset;
        let mut trainer = network(7);
        trainer.fit(&data, Fit::epochs(2).batch_size(8)).unwrap();
        trainer.save(&file).unwrap();
        fs::read(&file).unwrap()
    };
    assert_eq!(weights(), weights());
}

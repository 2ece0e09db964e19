//! Summaries of models, scores of evaluations, and the learning-rate finder.

use noyau::prelude::*;

#[test]
fn a_convolutional_network_in_numbers() {
    let model = Sequential::new()
        .then(Unflatten::new(1, [1, 28]))
        .then(Conv2d::new(1, 32, 3))
        .then(BatchNorm2d::new(32))
        .then(Relu)
        .then(Sequential::new().then(MaxPool2d::new(2)).then(Flatten).then(Dropout(0.5)))
        .then(Linear::new(32 * 13 * 13, 10));
    let found = summary(&model, [8, 28, 28]).unwrap();
    let lines: Vec<(&str, &str, String, usize)> = found
        .layers
        .iter()
        .map(|l| (l.path.as_str(), l.kind.as_str(), l.output.as_ref().map(|s| s.to_string()).unwrap_or_default(), l.parameters))
        .collect();
    let line = |path, kind, output: &str, parameters| (path, kind, output.to_string(), parameters);
    assert_eq!(
        lines,
        [
            line("0", "Unflatten", "[8, 1, 28, 28]", 0),
            line("1", "Conv2d", "[8, 32, 26, 26]", 32 * 9 + 32),
            line("2", "BatchNorm", "[8, 32, 26, 26]", 64),
            line("3", "Relu", "[8, 32, 26, 26]", 0),
            line("4.0", "MaxPool2d", "[8, 32, 13, 13]", 0),
            line("4.1", "Flatten", "[8, 5408]", 0),
            line("4.2", "Dropout", "[8, 5408]", 0),
            line("5", "Linear", "[8, 10]", 54090),
        ]
    );
    assert_eq!(found.parameters, 320 + 64 + 54090);
    assert_eq!(found.buffers, 64, "running mean and variance");
    assert_eq!(found.output.to_string(), "[8, 10]");
    // Two a multiplication with its addition, and some an element for the rest.
    let products = 8 * 2 * (32 * 26 * 26 * 9 + 5408 * 10);
    let elements = 8 * 32 * 26 * 26;
    assert!(found.forward_flops > products && found.forward_flops < products + 20 * elements, "{}", found.forward_flops);
    assert!(found.training_flops > 2 * products + elements);
    // Weights and Adam's two moments; the input.
    assert!(found.memory.states >= 3 * 4 * (320 + 64 + 54090) && found.memory.inputs == 8 * 28 * 28 * 4);
    let text = found.to_string();
    assert!(text.contains("Conv2d") && text.contains("54,474 parameters") && text.contains("memory of that step"), "{text}");
}

#[test]
fn operations_of_a_product_are_exact() {
    let found = summary(&Linear::new(30, 20).without_bias(), [7, 30]).unwrap();
    assert_eq!(found.forward_flops, 2 * 7 * 30 * 20);
    let found = summary(&Linear::new(30, 20), [7, 30]).unwrap();
    assert_eq!(found.forward_flops, 2 * 7 * 30 * 20 + 7 * 20);
}

struct Net {
    fc1: Linear,
    fc2: Linear,
}

impl Module for Net {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Tensor {
        let hidden = mode.layer("fc1", "Linear", || self.fc1.forward(x, mode));
        self.fc2.forward(&hidden.relu(), mode)
    }
    fn parameters(&self) -> Vec<(String, Param)> {
        [named("fc1", &self.fc1), named("fc2", &self.fc2)].concat()
    }
}

#[test]
fn a_model_of_ones_own_has_the_lines_of_its_parameters() {
    let found = summary(&Net { fc1: Linear::new(4, 5), fc2: Linear::new(5, 2) }, [1, 4]).unwrap();
    let lines: Vec<(&str, &str, bool, usize)> =
        found.layers.iter().map(|l| (&*l.path, &*l.kind, l.output.is_some(), l.parameters)).collect();
    assert_eq!(lines, [("fc1", "Linear", true, 25), ("fc2", "", false, 12)]);
    let closure = |x: &Tensor| x.relu();
    let found = summary(&closure, [2, 3]).unwrap();
    assert_eq!((found.parameters, found.layers.len(), found.forward_flops), (0, 0, 6));
}

#[test]
fn mistakes_in_a_model_are_returned() {
    let model = Sequential::new().then(Linear::new(4, 5)).then(Linear::new(6, 2));
    let message = summary(&model, [3, 4]).unwrap_err().to_string();
    assert!(message.contains("layer 1") && message.contains("takes 6 features") && message.contains("summary.rs"), "{message}");
    let tokens = Sequential::new().then(Embedding::new(10, 4));
    assert!(summary(&tokens, [2, 3]).is_err());
    assert_eq!(summary_of(&tokens, &Spec::u32([2, 3])).unwrap().output.to_string(), "[2, 3, 4]");
}

/// Points about two centres, three of four in class 0.
fn points() -> Dataset {
    let features: Vec<f32> = (0..400).map(|i| if i / 2 % 4 == 3 { 1.0 } else { -1.0 } + ((i * 37) % 100) as f32 / 80.0).collect();
    let classes: Vec<u32> = (0..200).map(|i| u32::from(i % 4 == 3)).collect();
    Dataset::new(&Array::new([200, 2], &features).unwrap(), &Array::new([200], &classes).unwrap()).unwrap()
}

#[test]
fn classes_are_counted_and_weighted() {
    let data = points();
    assert_eq!(data.class_counts().unwrap(), [150, 50]);
    assert_eq!(data.subset(0..5).unwrap().class_counts().unwrap(), [4, 1]);
    let weights = class_weights(&data.class_counts().unwrap());
    let model = Sequential::new().then(Linear::new(2, 2));
    let mut trainer = Trainer::new(Device::cpu(), model).loss(CrossEntropy::new().weight(&weights));
    trainer.fit(&data, Fit::epochs(5)).unwrap();
    let evaluation = trainer.evaluate(&data).unwrap();
    let scores = evaluation.scores().unwrap();
    assert_eq!(scores.support, [150, 50]);
    assert!((scores.accuracy() - evaluation.accuracy.unwrap()).abs() < 1e-6);
    assert!(scores.macro_average().f1 > 0.8, "{scores}");
    let reals = Dataset::new(&Array::new([2, 1], &[0.0f32; 2]).unwrap(), &Array::new([2], &[0.0f32; 2]).unwrap()).unwrap();
    assert!(reals.class_counts().unwrap_err().to_string().contains("real numbers, not classes"));
}

#[test]
fn a_learning_rate_is_found_and_nothing_is_changed() {
    let data = points();
    let model = Sequential::new().then(Linear::new(2, 16)).then(Relu).then(Linear::new(16, 2));
    let mut trainer = Trainer::new(Device::cpu(), model).seed(4);
    let weights = |trainer: &mut Trainer| -> Vec<Array> {
        let session = trainer.session().unwrap();
        trainer.model().parameters().iter().map(|(_, p)| session.get(p).unwrap()).collect()
    };
    let before = weights(&mut trainer);
    let finder = LrFinder::new(1e-5, 1e3).steps(80).batch_size(50);
    let curve = finder.run(&mut trainer, &data, |rate| Box::new(Sgd::new(rate))).unwrap();
    assert_eq!(weights(&mut trainer), before);
    assert!(curve.rates.len() == curve.losses.len() && curve.losses.len() == curve.smoothed.len());
    assert!((curve.rates[0] - 1e-5).abs() < 1e-12);
    let steepest = curve.steepest.unwrap();
    assert!((1e-3..=100.0).contains(&steepest), "{steepest}");
    let least = (0..curve.rates.len()).min_by(|&a, &b| curve.smoothed[a].total_cmp(&curve.smoothed[b])).unwrap();
    assert!((curve.minimum_tenth * 10.0 / curve.rates[least] - 1.0).abs() < 1e-9);
    // The smoothed loss of one step is the loss; of two, nearly their mean.
    assert!((curve.smoothed[0] - curve.losses[0]).abs() < 1e-9);
    let second = (0.98 * curve.losses[0] + curve.losses[1]) / 1.98;
    assert!((curve.smoothed[1] - second).abs() < 1e-9);
    // At the steepest place a model learns.
    let mut trainer = trainer.optimizer(Sgd::new(steepest.min(1.0)));
    let history = trainer.fit(&data, Fit::epochs(5)).unwrap();
    assert!(history.last().unwrap().train_loss < curve.losses[0]);

    let refusal = |finder: LrFinder| finder.run(&mut trainer, &data, |rate| Box::new(Sgd::new(rate))).unwrap_err().to_string();
    let mut refusal = refusal;
    assert!(refusal(LrFinder::new(1.0, 0.1)).contains("1 to 0.1 is no range of rates"));
    assert!(refusal(LrFinder::new(f64::NAN, 0.1)).contains("NaN to 0.1"));
    assert!(refusal(LrFinder::new(0.1, 1.0).steps(3)).contains("3 are too few"));
}

//! The examples that train on MNIST as programs: what they print, and that every mistake is one line on stderr and exit code 1.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

#[path = "support/programs.rs"]
mod programs;

use programs::program;

/// A data set in IDX files: 40 images of 8 x 8 to train on and 20 to test on, ten classes that a glance tells apart.
struct Files {
    folder: TempDir,
}

fn idx(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(bytes);
    file
}

fn images(count: usize, side: usize) -> Vec<u8> {
    // Class c is a bright row at c modulo the side, and a bright first column from class 8 on.
    let pixel = |label: usize, y: usize, x: usize| if y == label % side || (x == 0 && label >= 8) { 255 } else { (y * 7 + x * 3) as u8 };
    let pixels: Vec<u8> = (0..count).flat_map(|i| (0..side * side).map(move |p| pixel(i % 10, p / side, p % side))).collect();
    idx(&[count as u32, side as u32, side as u32], &pixels)
}

fn labels(count: usize) -> Vec<u8> {
    idx(&[count as u32], &(0..count).map(|i| (i % 10) as u8).collect::<Vec<_>>())
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

impl Files {
    fn new(side: usize) -> Files {
        Files::with(40, side)
    }

    /// So many images to train on.
    fn with(count: usize, side: usize) -> Files {
        let files = Files { folder: tempfile::tempdir().expect("a temporary folder") };
        files.write(TRAIN_IMAGES, &images(count, side));
        files.write(TRAIN_LABELS, &labels(count));
        files.write(TEST_IMAGES, &images(20, side));
        files.write(TEST_LABELS, &labels(20));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("a temporary file");
    }

    /// Runs `mnist` on these files, on the CPU unless `arguments` say otherwise.
    fn run(&self, arguments: &[&str]) -> Output {
        self.run_program("mnist", arguments)
    }

    fn run_program(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name, arguments).output().expect("the program starts")
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = program(name);
        command.current_dir(self.folder.path());
        if !arguments.contains(&"--data") {
            command.arg("--data").arg(self.folder.path());
        }
        if !arguments.contains(&"--device") {
            command.args(["--device", "cpu"]);
        }
        command.args(arguments);
        command
    }

    /// What the program says when it refuses: one line on stderr, nothing on stdout, exit code 1.
    #[track_caller]
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        // clap says how options are meant, in several lines.
        let lines = stderr.lines().filter(|line| !line.contains("XDG_RUNTIME_DIR")).collect::<Vec<_>>();
        assert!(lines.first().is_some_and(|line| line.starts_with("error: ")), "{stderr}");
        assert!(lines.len() == 1 || stderr.contains("--help"), "more than one line: {stderr}");
        assert!(!self.path("mnist.safetensors").exists() && !self.path("mnist.svg").exists(), "{arguments:?} left files behind");
        lines.join("\n")
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], parts: &[&str]) {
        let found = self.refusal(arguments);
        for part in parts {
            assert!(found.contains(part), "{arguments:?}: `{part}` is not in: {found}");
        }
    }
}

#[test]
fn options_out_of_range() {
    let files = Files::new(8);
    files.refuses(&["--batch-size", "0"], &["batch", "0"]);
    files.refuses(&["--learning-rate", "NaN"], &["learning rate", "NaN"]);
    files.refuses(&["--learning-rate", "-1"], &["learning rate", "-1"]);
    files.refuses(&["--learning-rate", "fast"], &["--learning-rate", "fast"]);
    files.refuses(&["--momentum", "1.5"], &["momentum", "1.5"]);
    files.refuses(&["--optimizer", "newton"], &["newton", "sgd", "adam"]);
    files.refuses(&["--epochs", "-3"], &["--epochs", "-3"]);
    files.refuses(&["--every", "0", "--checkpoints", "c"], &["--every", "0"]);
    files.refuses(&["--every", "5"], &["--checkpoints"]);
    files.refuses(&["--resume"], &["--checkpoints"]);
    files.refuses(&["--no-such-option"], &["--no-such-option"]);
    files.refuses(&["--model", "rnn"], &["rnn", "mlp", "cnn"]);
    files.refuses(&["--recipe", "worst"], &["worst", "plain", "best"]);
    files.refuses(&["--recipe", "best"], &["--recipe best", "--model cnn"]);
    files.refuses(&["--model", "cnn", "--momentum", "0.9"], &["--momentum", "sgd"]);
    // Nothing is left of such images after the second pooling.
    files.refuses(&["--model", "cnn"], &["layer 6", "[1, 64, 1, 1]"]);
}

#[test]
fn devices_that_are_not_there() {
    let files = Files::new(8);
    files.refuses(&["--device", "gpu:77"], &["gpu:77", "not found"]);
    files.refuses(&["--device", "cuda"], &["cuda", "gpu:N"]);
    let output = program("mnist").env("NOYAU_DEVICE", "cuda").arg("--data").arg(files.folder.path()).output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("cuda") && stderr.contains("gpu:N"), "{stderr}");
}

#[test]
fn missing_and_damaged_files() {
    let files = Files::new(8);
    files.refuses(&["--data", "/no/such/folder"], &["/no/such/folder", "cannot read"]);

    let files = Files::new(8);
    std::fs::remove_file(files.path(TRAIN_LABELS)).expect("it is there");
    files.refuses(&[], &["train-labels"]);

    for (name, whole) in
        [(TRAIN_IMAGES, images(40, 8)), (TRAIN_LABELS, labels(40)), (TEST_IMAGES, images(20, 8)), (TEST_LABELS, labels(20))]
    {
        let files = Files::new(8);
        for cut in [0, 3, 7, 8, whole.len() / 2, whole.len() - 1] {
            files.write(name, &whole[..cut]);
            files.refuses(&[], &[name]);
        }
        files.write(name, &[whole.clone(), vec![0]].concat());
        files.refuses(&[], &[name]);
        let mut promises = whole;
        promises[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        files.write(name, &promises);
        files.refuses(&[], &[name]);
    }

    // A compressed file cut short.
    let files = Files::new(8);
    std::fs::remove_file(files.path(TRAIN_LABELS)).expect("it is there");
    files.write(&format!("{TRAIN_LABELS}.gz"), &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x63]);
    files.refuses(&[], &[&format!("{TRAIN_LABELS}.gz")]);
}

#[test]
fn labels_and_counts_that_contradict() {
    let files = Files::new(8);
    let mut odd = labels(20);
    odd[8 + 7] = 200;
    files.write(TEST_LABELS, &odd);
    files.refuses(&[], &[TEST_LABELS, "record 7", "200", "10 classes"]);

    let files = Files::new(8);
    let mut odd = labels(40);
    odd[8 + 3] = 99;
    files.write(TRAIN_LABELS, &odd);
    files.refuses(&[], &[TRAIN_LABELS, "record 3", "99"]);

    let files = Files::new(8);
    files.write(TRAIN_LABELS, &labels(39));
    files.refuses(&[], &[TRAIN_IMAGES, "40 images", "39 labels"]);

    let files = Files::new(8);
    files.write(TEST_IMAGES, &images(20, 9));
    files.refuses(&[], &[TEST_IMAGES, "9 x 9", "8 x 8"]);
}

fn lines(output: Output) -> Vec<Value> {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[track_caller]
fn has(line: &Value, event: &str, numbers: &[&str], texts: &[&str]) {
    assert_eq!(line["event"], event, "{line}");
    for field in numbers {
        assert!(line[field].is_number(), "{field} is no number in {line}");
    }
    for field in texts {
        assert!(line[field].is_string(), "{field} is no text in {line}");
    }
}

#[test]
fn json_lines() {
    let files = Files::new(8);
    let lines = lines(files.run(&["--json", "--epochs", "30", "--batch-size", "16", "--learning-rate", "0.05", "--seed", "3"]));
    assert_eq!(lines.len(), 32);
    has(&lines[0], "start", &["parameters"], &["device", "adapter"]);
    assert_eq!(lines[0]["device"], "cpu");
    assert_eq!(lines[0]["parameters"], 64 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10);
    for (i, line) in lines[1..31].iter().enumerate() {
        has(
            line,
            "epoch",
            &["epoch", "train_loss", "test_loss", "test_accuracy", "learning_rate", "seconds", "samples_per_second", "first_step_ms"],
            &[],
        );
        assert_eq!(line["epoch"], i + 1);
    }
    has(&lines[31], "end", &["test_accuracy", "gpu_objects_after_warmup"], &[]);
    assert_eq!(lines[31]["gpu_objects_after_warmup"], 0);
    assert_eq!(lines[31]["test_accuracy"], lines[30]["test_accuracy"]);
    assert!(lines[31]["test_accuracy"].as_f64() > Some(0.9), "it does not learn: {}", lines[31]);
    assert!(
        files.path("mnist.safetensors").exists() && files.path("mnist.svg").exists(),
        "weights and picture are written without being asked for"
    );
}

#[test]
fn weights_saved_are_weights_loaded() {
    let files = Files::new(8);
    let trained = lines(files.run(&["--json", "--epochs", "2", "--save", "w.safetensors", "--picture", "p.svg"]));
    let evaluated = lines(files.run(&["--json", "--epochs", "0", "--load", "w.safetensors"]));
    let end = |lines: &[Value]| lines.last().cloned().expect("a last line");
    assert_eq!(end(&evaluated)["test_loss"], end(&trained)["test_loss"]);
    assert_eq!(end(&evaluated)["confusion"], end(&trained)["confusion"]);
    let picture = std::fs::read_to_string(files.path("p.svg")).expect("the picture");
    assert!(picture.contains("<svg"));

    // The same seed gives the same file, to the last byte.
    lines(files.run(&["--json", "--epochs", "2", "--save", "again.safetensors", "--picture", "p.svg"]));
    assert_eq!(
        std::fs::read(files.path("w.safetensors")).expect("a file"),
        std::fs::read(files.path("again.safetensors")).expect("a file")
    );

    // Another size of image is another model.
    let larger = Files::new(10);
    let weights = files.path("w.safetensors");
    larger.refuses(&["--load", &weights.display().to_string()], &["w.safetensors", "weight", "[512, 64]", "[512, 100]"]);
    let whole = std::fs::read(&weights).expect("a file");
    files.write("cut.safetensors", &whole[..whole.len() - 1000]);
    files.refuses(&["--load", "cut.safetensors"], &["cut.safetensors"]);
    files.refuses(&["--load", "none.safetensors"], &["none.safetensors", "cannot read"]);
}

/// The convolutional networks go all the way too, and the running statistics of batch normalisation are in the file.
#[test]
fn convolutional_networks() {
    let files = Files::new(12);
    for (recipe, parameters, defaults) in [
        ("plain", 320 + 18_496 + 64 * 10 + 10, ["adam, learning rate 0.003 falling", "cross-entropy"]),
        ("best", 70_330, ["adamw, learning rate rising to 0.01", "labels smoothed by 0.1"]),
    ] {
        let network = ["--json", "--model", "cnn", "--recipe", recipe, "--batch-size", "16"];
        let trained = lines(files.run(&[&network[..], &["--epochs", "3", "--save", "w.safetensors", "--picture", "p.svg"]].concat()));
        assert_eq!((trained.len(), &trained[0]["parameters"]), (5, &parameters.into()), "{recipe}");
        for (field, part) in ["optimizer", "loss"].iter().zip(defaults) {
            assert!(trained[0][field].as_str().is_some_and(|text| text.contains(part)), "{part} is not in {}", trained[0]);
        }
        assert!(trained[3]["train_loss"].as_f64() < trained[1]["train_loss"].as_f64(), "{recipe} does not learn: {trained:?}");
        assert_eq!(trained[4]["gpu_objects_after_warmup"], 0);
        assert!(std::fs::read_to_string(files.path("p.svg")).is_ok_and(|picture| picture.contains("<svg")));
        std::fs::remove_file(files.path("p.svg")).expect("it is there");
        let evaluated = lines(files.run(&[&network[..], &["--epochs", "0", "--load", "w.safetensors"]].concat()));
        assert_eq!(evaluated[1]["test_loss"], trained[4]["test_loss"], "{recipe}");
        assert_eq!(evaluated[1]["confusion"], trained[4]["confusion"], "{recipe}");
    }
    // The weights of one network are not those of another.
    files.refuses(&["--load", &files.path("w.safetensors").display().to_string()], &["w.safetensors", "weight"]);
    let epochs = |arguments: &[&str]| lines(files.run(&[&["--json"], arguments].concat()))[0]["epochs"].clone();
    assert_eq!([epochs(&["--model", "mlp"]), epochs(&["--model", "cnn"])], [5, 15]);
}

#[test]
fn networks_of_their_own() {
    let files = Files::new(12);
    for name in ["resnet", "transformer"] {
        let network = |arguments: &[&str]| files.run_program(name, &[&["--epochs", "2", "--batch-size", "16"], arguments].concat());
        let output = network(&["--images", "32", "--save", "w.safetensors"]);
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        for part in ["parameters, 4 steps of 16 images on CPU", "epoch 2  train: loss", "\ntest accuracy"] {
            assert!(text.contains(part), "{name}: `{part}` is not in:\n{text}");
        }
        std::fs::remove_file(files.path("w.safetensors")).expect("weights were saved");
        for (arguments, part) in [
            (&["--learning-rate", "-1"], "learning rate"),
            (&["--save", "no/such/folder/w.safetensors"], "no/such/folder"),
            (&["--images", "0"], "--images"),
        ] {
            let output = network(arguments);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code() == Some(1) && stderr.contains("error: ") && stderr.contains(part),
                "{name} {arguments:?}: {stderr}"
            );
            assert!(
                !stderr.contains("panicked") && !String::from_utf8_lossy(&output.stdout).contains("epoch 1"),
                "{name} {arguments:?}: {stderr}"
            );
        }
    }
}

#[test]
fn lines_for_people() {
    let files = Files::new(8);
    let output = files.run(&["--epochs", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    for part in ["40 images", "epoch 1/1", "test accuracy", "mnist.safetensors", "mnist.svg"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let help = files.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("--batch-size"));
}

#[test]
fn digits_are_drawn_from_their_codes() {
    let files = Files::new(8);
    let output = files.run_program("autoencoder", &["--epochs", "2", "--code", "4", "--picture", "codes.svg"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    for part in
        ["64 pixels - 256 - 4 - 256 - 64 pixels", "40 images to learn from, 20 to test with", "Of 64 numbers 4 are left", "codes.svg shows"]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let picture = std::fs::read_to_string(files.path("codes.svg")).expect("the picture");
    assert!(picture.contains("Drawn from their codes") && picture.contains("4 numbers in place of 64"));
    let refused = files.run_program("autoencoder", &["--code", "0"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && stderr.contains("--code") && stderr.contains("a whole number from 1 on"), "{stderr}");
}

#[test]
fn what_is_confused_is_told() {
    let files = Files::new(8);
    let text = |arguments: &[&str]| {
        let output = files.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    // Untrained, nearly everything is confused.
    let told = text(&["--epochs", "0", "--confusion"]);
    for part in ["is, taken for", "\nprecision ", "recall\n", "most often confused\n    2 times a ", " was taken for a ", "(100.00 %)"] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    assert!(!text(&["--epochs", "0"]).contains("taken for a "));
}

#[test]
fn a_learning_rate_is_found_and_drawn() {
    let files = Files::new(8);
    let output = files.run(&["--find-lr", "--batch-size", "20"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    for part in
        ["sgd with learning rates from 0.0001 to ", "it is least at ", "train with: --optimizer sgd --learning-rate ", "picture in lr.svg"]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!files.path("mnist.safetensors").exists() && !files.path("mnist.svg").exists(), "nothing was trained");
    let found = lines(files.run(&["--json", "--find-lr", "rates.svg", "--optimizer", "adam"]));
    has(&found[0], "learning_rates", &["suggestion", "minimum_tenth", "batch_size"], &["optimizer", "picture"]);
    assert_eq!((found.len(), found[0]["losses"].as_array().map(Vec::len)), (1, found[0]["rates"].as_array().map(Vec::len)));
    for file in ["lr.svg", "rates.svg"] {
        let picture = std::fs::read_to_string(files.path(file)).expect("the picture");
        assert!(picture.contains("falls fastest") || picture.contains("a tenth of the least"), "{picture}");
    }
}

/// Checks change nothing, and the trace is a file that tools read.
#[test]
fn a_training_that_is_watched() {
    let files = Files::new(8);
    let accuracy = |arguments: &[&str]| {
        let output = files.run(&[&["--epochs", "1", "--batch-size", "8", "--json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        let end: Value = serde_json::from_str(text.lines().last().expect("a last line")).expect("JSON");
        end["test_loss"].as_f64().expect("a number")
    };
    let plain = accuracy(&[]);
    assert_eq!(accuracy(&["--validate"]), plain);
    assert_eq!(accuracy(&["--check-finite"]), plain);
    assert_eq!(accuracy(&["--trace", "trace.json"]), plain);
    let trace: Value = serde_json::from_slice(&std::fs::read(files.path("trace.json")).expect("the trace")).expect("JSON");
    assert!(trace["traceEvents"].as_array().is_some_and(|events| events.iter().any(|event| event["name"] == "step")), "{trace}");
    let nowhere = Files::new(8);
    nowhere.refuses(&["--trace", "no/such/folder/trace.json"], &["no/such/folder"]);
}

/// Ctrl-C: the program is sent the signal that a terminal sends.
#[cfg(unix)]
mod interrupts {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// The program while it runs.
    struct Running {
        child: Child,
        stdout: Box<dyn BufRead>,
        stderr: Box<dyn BufRead>,
    }

    impl Running {
        fn start(files: &Files, arguments: &[&str]) -> Running {
            let mut command = files.command("mnist", arguments);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
            let stdout = Box::new(BufReader::new(child.stdout.take().expect("a pipe")));
            let stderr = Box::new(BufReader::new(child.stderr.take().expect("a pipe")));
            Running { child, stdout, stderr }
        }

        fn interrupt(&self) {
            let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill");
            assert!(status.success(), "the program has ended before the signal");
        }

        /// The exit code, and the rest of what it says.
        fn end(mut self) -> (Option<i32>, String) {
            let mut text = String::new();
            self.stdout.read_to_string(&mut text).expect("text");
            (self.child.wait().expect("it ends").code(), text)
        }
    }

    /// Reads up to a line with these words.
    #[track_caller]
    fn wait_for(words: &str, stream: &mut dyn BufRead) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(stream.read_line(&mut line).expect("text") > 0, "there is no `{words}`");
        }
    }

    /// Runs the command that goes on, as a user does.
    fn shell(files: &Files, command: &str) -> String {
        let output = Command::new("sh").args(["-c", command]).current_dir(files.folder.path()).output().expect("a shell");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    fn stopped_twice_and_resumed() {
        let files = Files::with(4000, 8);
        let network = ["--epochs", "2", "--batch-size", "1", "--learning-rate", "0.001", "--picture", "p.svg", "--save"];
        files.run(&[&network[..], &["whole.safetensors"]].concat());

        let checkpoints = ["w.safetensors", "--checkpoints", "runs of today", "--every", "300"];
        let first = Running::start(&files, &[&network[..], &checkpoints, &["--json"]].concat());
        let started = Instant::now();
        while !files.path("runs of today/checkpoint-000000300.safetensors").exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "there is no checkpoint");
            std::thread::sleep(Duration::from_millis(1));
        }
        first.interrupt();
        let (code, text) = first.end();
        let stopped: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!(code, Some(0), "{text}");
        has(&stopped, "stopped", &["step", "epoch"], &["checkpoint", "resume"]);
        let step = stopped["step"].as_u64().expect("a number");
        assert!((300..8000).contains(&step) && stopped["saved"].is_null(), "{stopped}");
        assert!(files.path(stopped["checkpoint"].as_str().expect("a file")).exists());
        assert!(!files.path("w.safetensors").exists() && stopped["resume"].as_str().is_some_and(|c| c.ends_with("--resume")), "{stopped}");

        // What would not be the same training is none: another rate, another length for a rate that falls, or no --resume.
        for (arguments, part) in [
            (&["--learning-rate", "0.5", "--resume"][..], "learning rate 0.5"),
            (&["--learning-rate", "0.001", "--epochs", "3", "--resume"], "3 epochs"),
            (&["--learning-rate", "0.001", "--seed", "5", "--resume"], "seed"),
            (&["--learning-rate", "0.001"], "resume it"),
        ] {
            let network = ["--batch-size", "1", "--checkpoints", "runs of today"];
            let network = if arguments.contains(&"--epochs") { network.to_vec() } else { [&network[..], &["--epochs", "2"]].concat() };
            files.refuses(&[&network[..], arguments].concat(), &["runs of today", part]);
        }

        // Stopped again as soon as it has gone on.
        let mut second = Running::start(&files, &[&network[..], &checkpoints, &["--resume"]].concat());
        wait_for(&format!("after step {step}"), &mut second.stdout);
        second.interrupt();
        let (code, text) = second.end();
        let line = text.lines().last().unwrap_or_default();
        assert!(code == Some(0) && line.starts_with("stopped after step "), "{text}");
        let command = line.split_once("go on with: ").expect("a command").1;
        let text = shell(&files, command);
        assert!(
            text.contains("resumed runs of today/checkpoint-") && text.contains("epoch 2/2") && text.contains("w.safetensors"),
            "{text}"
        );
        let bytes = |name: &str| std::fs::read(files.path(name)).expect("weights");
        assert!(bytes("w.safetensors") == bytes("whole.safetensors"), "not the weights of a training that was never stopped");
    }

    /// Without checkpoints there is no going on, but the weights are there.
    #[test]
    fn stopped_without_checkpoints() {
        let files = Files::with(4000, 8);
        let mut program = Running::start(&files, &["--epochs", "50", "--batch-size", "1"]);
        wait_for("device", &mut program.stdout);
        program.interrupt();
        let (code, text) = program.end();
        assert_eq!(code, Some(0), "{text}");
        let line = text.lines().last().unwrap_or_default();
        for part in ["stopped after step ", " of 50", "weights so far in mnist.safetensors", "--checkpoints"] {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
        assert!(!files.path("mnist.svg").exists());
        lines(files.run(&["--json", "--epochs", "0", "--load", "mnist.safetensors"]));
    }

    /// The second one does not wait for the step, which is a long one here.
    #[test]
    fn the_second_ends_at_once() {
        let files = Files::with(2000, 16);
        let mut program = Running::start(&files, &["--model", "cnn", "--validate", "--batch-size", "2000"]);
        wait_for("device", &mut program.stdout);
        program.interrupt();
        wait_for("Ctrl-C once more", &mut program.stderr);
        program.interrupt();
        let (code, text) = program.end();
        assert_eq!(code, Some(130), "{text}");
        assert!(!text.contains("stopped") && !files.path("mnist.safetensors").exists(), "{text}");
    }
}

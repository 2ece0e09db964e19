//! GPUs, where `NOYAU_REQUIRE_GPUS` says that there are some.

use pollster::block_on;

use super::{SPIRAL, bits, open, run};
use crate::Engine;

#[test]
fn a_gpu_does_what_the_cpu_does() {
    if std::env::var("NOYAU_REQUIRE_GPUS").is_err() {
        return;
    }
    for address in ["seed=1", "data=spiral&classes=3&features=x1,x2,sinx1,sinx2&optimizer=adam&rate=0.01&loss=cross-entropy&penalty=l2"] {
        let mut cpu = open(address);
        let mut gpu = block_on(Engine::open(address, "gpu")).unwrap();
        assert_eq!((gpu.device().name(), gpu.take_notice()), ("gpu", None));
        for engine in [&mut cpu, &mut gpu] {
            run(engine, 40);
            run(engine, 60);
            block_on(engine.edit(0, 0, 0.5)).unwrap();
            run(engine, 100);
        }
        let (a, b) = (block_on(cpu.figures()).unwrap(), block_on(gpu.figures()).unwrap());
        assert!((a.train_loss - b.train_loss).abs() < 1e-3 && (a.test_loss - b.test_loss).abs() < 1e-3, "{a:?} {b:?}");
        assert_eq!(cpu.curve().len(), gpu.curve().len());
        for (a, b) in cpu.curve().iter().zip(gpu.curve()) {
            assert!(a.step == b.step && (a.train - b.train).abs() < 1e-3, "{a:?} {b:?}");
        }
        let (a, b) = (block_on(cpu.maps(16)).unwrap(), block_on(gpu.maps(16)).unwrap());
        assert!(a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-2));
        let (a, b) = (block_on(cpu.slope(0, 1)).unwrap(), block_on(gpu.slope(0, 1)).unwrap());
        assert!((a.backpropagated - b.backpropagated).abs() < 1e-3);
        assert_eq!(block_on(gpu.surface(5, 1.0)).unwrap().losses.len(), 25);
        // The same device gives the same bits.
        let mut again = block_on(Engine::open(&gpu.address(), "gpu")).unwrap();
        run(&mut again, 200);
        assert_eq!(bits(&mut again), bits(&mut gpu));
    }
}

#[test]
fn a_lost_gpu_is_no_end() {
    use noyau_train::{Fault, Point};
    if std::env::var("NOYAU_REQUIRE_GPUS").is_err() {
        return;
    }
    let mut cpu = open("seed=4");
    let mut gpu = block_on(Engine::open("seed=4", "gpu")).unwrap();
    for engine in [&mut cpu, &mut gpu] {
        run(engine, 60);
        block_on(engine.edit(0, 0, 0.5)).unwrap();
    }
    gpu.device().inject(Fault::Lost, Point::Submit, 1);
    while gpu.device().name() == "gpu" {
        run(&mut gpu, 10);
        block_on(gpu.figures()).unwrap();
    }
    assert!(gpu.take_notice().unwrap().contains("Training goes on on the CPU"));
    assert!(gpu.step() == 0 && gpu.target() >= 60, "{} {}", gpu.step(), gpu.target());
    let target = gpu.target();
    run(&mut gpu, target);
    run(&mut cpu, target - 60);
    assert_eq!(bits(&mut gpu), bits(&mut cpu));
    assert_eq!(gpu.curve(), cpu.curve());
}

#[test]
#[ignore = "a measurement: of the device NOYAU_DEVICE"]
fn how_fast() {
    let device = std::env::var("NOYAU_DEVICE").unwrap_or("cpu".into());
    for address in ["seed=1", SPIRAL, "data=spiral&layers=8tanh,8tanh&features=x1,x2&batch=32"] {
        let mut engine = block_on(Engine::open(address, &device)).unwrap();
        run(&mut engine, 2000);
        block_on(engine.maps(50)).unwrap();
        let start = std::time::Instant::now();
        run(&mut engine, 20_000);
        block_on(engine.figures()).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let start = std::time::Instant::now();
        for _ in 0..100 {
            run(&mut engine, 1);
            block_on(engine.maps(50)).unwrap();
        }
        let frame = start.elapsed().as_secs_f64() * 10.0;
        println!(
            "{}, {address}: {:.0} steps/s, {frame:.2} ms a frame\n{}",
            engine.device().adapter(),
            20_000.0 / seconds,
            engine.launches()
        );
    }
    println!("{}", block_on(crate::speed::speed(&device, 1.0)).unwrap());
}

//! States, errors, and what goes in and out.

use noyau_tensor::{Init, Scalar, State};

use super::*;

/// One state that a step counts up by an argument.
fn counter(state: &Arc<State>) -> Plan {
    let location = std::panic::Location::caller();
    let buffer = |kind| Buffer { kind, shape: vec![2], dtype: DType::F32 };
    let mut b = Builder { buffers: vec![buffer(BufferKind::State(Arc::clone(state))), buffer(BufferKind::Input(0))], ..Builder::default() };
    b.body.operands = vec![BufferId(0), BufferId(1)];
    let load = |b: &mut Builder, operand| b.value(Instr::Load { operand, index: Index::identity(&[2]) }, DType::F32, Level::Outer);
    let (x, y) = (load(&mut b, 0), load(&mut b, 1));
    let sum = b.value(Instr::Binary(noyau_tensor::BinaryOp::Add, x, y), DType::F32, Level::Outer);
    b.body.stores.push(Store { value: sum, operand: 0, index: Index::identity(&[2]) });
    let kind = KernelKind::Loop(Loop { outer: vec![2], inner: vec![], body: b.body });
    let kernels = vec![Kernel { name: "count".into(), location, kind }];
    Plan { buffers: b.buffers, slots: vec![], kernels, inputs: vec![BufferId(1)], outputs: vec![BufferId(0), BufferId(1)] }
}

fn state() -> Arc<State> {
    State::new("count", [2], DType::F32, Init::Full(Scalar::Float(1.0)))
}

#[test]
fn executables_share_states() {
    let (cpu, state) = (Cpu::new(), state());
    let memory = cpu.create(&state.initial_value(0).unwrap()).unwrap();
    let plan = Arc::new(counter(&state));
    let load = || cpu.clone().load(Arc::clone(&plan), &mut |_| Ok(memory.clone())).unwrap();
    let (mut first, mut second) = (load(), load());
    first.write(0, &Array::new([2], &[1f32, 2.0]).unwrap()).unwrap();
    second.write(0, &Array::new([2], &[10f32, 20.0]).unwrap()).unwrap();
    first.run().unwrap();
    second.run().unwrap();
    first.run_kernel(0).unwrap();
    assert_eq!(cpu.read(&memory).unwrap().to_vec::<f32>().unwrap(), [13.0, 25.0]);
    assert_eq!(second.read(0).unwrap().to_vec::<f32>().unwrap(), [13.0, 25.0]);
    assert_eq!(first.read(1).unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0]);
    cpu.write(&memory, &Array::new([2], &[0f32, 0.0]).unwrap()).unwrap();
    second.run().unwrap();
    assert_eq!(first.read(0).unwrap().to_vec::<f32>().unwrap(), [10.0, 20.0]);
    assert_eq!(first.launches(), 1);
}

#[test]
fn threads_take_turns() {
    let (cpu, state) = (Cpu::new(), state());
    let memory = cpu.create(&state.initial_value(0).unwrap()).unwrap();
    let plan = Arc::new(counter(&state));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut executable = cpu.load(Arc::clone(&plan), &mut |_| Ok(memory.clone())).unwrap();
            scope.spawn(move || {
                executable.write(0, &Array::new([2], &[1f32, 1.0]).unwrap()).unwrap();
                (0..1000).for_each(|_| executable.run().unwrap());
            });
        }
    });
    assert_eq!(cpu.read(&memory).unwrap().to_vec::<f32>().unwrap(), [4001.0, 4001.0]);
}

/// A step may be run from rayon's own threads, which its helpers are too.
#[test]
fn tasks_of_rayon_take_turns() {
    let (cpu, state) = (Cpu::new(), state());
    let memory = cpu.create(&state.initial_value(0).unwrap()).unwrap();
    let plan = Arc::new(counter(&state));
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().scope(|scope| {
        for _ in 0..4 {
            let mut executable = cpu.load(Arc::clone(&plan), &mut |_| Ok(memory.clone())).unwrap();
            scope.spawn(move |_| {
                executable.write(0, &Array::new([2], &[1f32, 1.0]).unwrap()).unwrap();
                (0..1000).for_each(|_| executable.run().unwrap());
            });
        }
    });
    assert_eq!(cpu.read(&memory).unwrap().to_vec::<f32>().unwrap(), [4001.0, 4001.0]);
}

#[test]
fn mistakes_are_named() {
    let (cpu, state) = (Cpu::new(), state());
    let memory = cpu.create(&state.initial_value(0).unwrap()).unwrap();
    let plan = Arc::new(counter(&state));
    let mut executable = cpu.load(Arc::clone(&plan), &mut |_| Ok(memory.clone())).unwrap();
    let message = executable.write(0, &Array::new([3], &[1f32, 2.0, 3.0]).unwrap()).unwrap_err().to_string();
    assert_eq!(message, "argument 0: expected f32[2], got f32[3]");
    assert!(executable.write(0, &Array::new([2], &[1u32, 2]).unwrap()).unwrap_err().to_string().contains("got u32"));
    assert!(executable.write(1, &Array::scalar(1f32)).unwrap_err().to_string().contains("takes 1 arguments"));
    assert!(executable.read(2).unwrap_err().to_string().contains("2 results"));
    assert!(executable.run_kernel(1).is_err());
    assert!(cpu.write(&memory, &Array::scalar(1f32)).is_err());
    // Another device's memory, and memory of another shape.
    assert!(Cpu::new().load(Arc::clone(&plan), &mut |_| Ok(memory.clone())).is_err());
    assert!(cpu.load(plan, &mut |_| cpu.create(&Array::scalar(1f32))).is_err());
}

#[test]
fn plans_that_leave_their_buffers_are_refused() {
    let mut b = Builder::default();
    let x = b.load(&[5], DType::F32, Index::identity(&[6]), Level::Outer);
    b.store(x, &[6], Index::identity(&[6]));
    assert!(Cpu::new().load(Arc::new(b.loop_plan(&[6], &[])), &mut |_| unreachable!()).is_err());
    // What is written must not be read by another name.
    let mut b = Builder::default();
    let x = b.load(&[6], DType::F32, Index::identity(&[6]), Level::Outer);
    b.store(x, &[6], Index::identity(&[6]));
    let mut plan = b.loop_plan(&[6], &[]);
    plan.buffers[1].kind = BufferKind::Slot(0);
    assert!(Cpu::new().load(Arc::new(plan), &mut |_| unreachable!()).is_err());
    // Nor by another number.
    let mut b = Builder::default();
    let x = b.load(&[6], DType::F32, Index::identity(&[6]), Level::Outer);
    let to = b.store(x, &[6], Index::identity(&[6]));
    b.body.operands[to] = b.body.operands[0];
    let refused = Cpu::new().load(Arc::new(b.loop_plan(&[6], &[])), &mut |_| unreachable!()).map(|_| ());
    assert!(refused.unwrap_err().to_string().contains("two numbers among the operands"));
}

/// The loops of a product go by its sizes, so its matrices have to be of these, however small a part of their buffers they are.
#[test]
fn products_of_other_sizes_than_their_matrices_are_refused() {
    let load = |rows: usize, columns: usize| {
        let mut b = Builder::default();
        let (x, y) = (b.buffer(&[100], DType::F32), b.buffer(&[100], DType::F32));
        let p = b.value(Instr::Product, DType::F32, Level::Outer);
        b.store(p, &[4, 4], Index::identity(&[4, 4]));
        let a = Matrix::strided(x, 0, &[], (rows, columns), (columns, 1));
        let c = Matrix::strided(y, 0, &[], (5, 4), (4, 1));
        let matmul = Matmul { batch: Vec::new(), m: 4, n: 4, k: 5, a, b: c, body: b.body };
        Cpu::new().load(Arc::new(plan(b.buffers, vec![KernelKind::Matmul(matmul)])), &mut |_| unreachable!()).map(|_| ())
    };
    assert!(load(4, 5).is_ok());
    for (rows, columns) in [(3, 5), (4, 7), (5, 4), (2, 10)] {
        assert!(load(rows, columns).unwrap_err().to_string().contains("is not a matrix of 4 by 5"), "{rows} by {columns}");
    }
}

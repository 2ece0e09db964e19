//! Sessions and steps that are used for what they were not made for, and devices that are not there.

use noyau::prelude::*;

use crate::case::Section;

/// Sums rows of three, and adds one label to each.
fn step() -> CompiledStep {
    let session = Session::new(Device::cpu());
    session.compile([Spec::f32([2, 3]), Spec::u32([2])], |[x, y]| Step::returns(&(x.sum_axes(&[1]) + y.to(DType::F32)))).unwrap()
}

pub fn section() -> Section {
    let cases = vec![
        bad! { "Too few arguments",
            what: "got 1", place: "arguments", remedy: "the step takes 2",
            code: {
                let x = Array::full([2, 3], Scalar::Float(1.0));
                step().run(&[&x])
            }
        },
        bad! { "An argument of another shape",
            what: "got f32[2, 4]", place: "argument 0", remedy: "the step takes f32[2, 3]",
            code: {
                let (x, y) = (Array::full([2, 4], Scalar::Float(1.0)), Array::full([2], Scalar::Uint(1)));
                step().run(&[&x, &y])
            }
        },
        bad! { "An argument of another type",
            what: "got f32[2]", place: "argument 1", remedy: "the step takes u32[2]",
            code: {
                let (x, y) = (Array::full([2, 3], Scalar::Float(1.0)), Array::full([2], Scalar::Float(1.0)));
                step().run(&[&x, &y])
            }
        },
        bad! { "A result that is not there",
            what: "the step returns 1 values", place: "result 1", remedy: "counted from 0",
            code: {
                step().read(1)
            }
        },
        bad! { "An update of another shape",
            what: "the new value of `w` is f32[3], the state is f32[2]", place: "main.rs:2", remedy: "update",
            code: {
                let w = Param::new("w", [2], Init::Full(Scalar::Float(0.0)));
                let next = Tensor::ones([3]);
                Session::new(Device::cpu()).compile([], |[]| Step::default().updates([(w, next)]))
            }
        },
        bad! { "Two updates of one state",
            what: "`w` is updated twice in one step", place: "updates", remedy: "put both changes into one new value",
            code: {
                let w = Param::scalar("w", 2.0);
                let updates = [(w.clone(), &w + 1.0), (w.clone(), &w * 2.0)];
                Session::new(Device::cpu()).compile([], |[]| Step::default().updates(updates))
            }
        },
        bad! { "A value for a state of another shape",
            what: "the value given is f32[]", place: "value of `w`", remedy: "the state is f32[2]",
            code: {
                let w = Param::new("w", [2], Init::Full(Scalar::Float(0.0)));
                Session::new(Device::cpu()).set(&w, &Array::scalar(1.0f32))
            }
        },
        bad! { "An argument of a step outside of a step",
            what: "used as f32[2]", place: "argument 0", remedy: "arguments are what Session::compile gives to its closure",
            code: {
                Tensor::input(0, [2], DType::F32)
            }
        },
        bad! { "Values read as another type",
            what: "the array holds f32, not u32", place: "Array::to_vec", remedy: "convert it with .to(DType)",
            code: {
                Array::full([2], Scalar::Float(1.0)).to_vec::<u32>()
            }
        },
        bad! { "One value read from many",
            what: "has 2 values, not one", place: "Array::item", remedy: "read them with .to_vec()",
            code: {
                Array::full([2], Scalar::Float(1.0)).try_item()
            }
        },
    ];
    Section {
        title: "Sessions and steps",
        words: "`step()` is a compiled step that takes an `f32[2, 3]` and a `u32[2]` and returns one value.",
        cases,
    }
}

pub fn devices() -> Section {
    let cases = vec![
        bad! { "A device by a name that nothing has",
            what: "no such device", place: "device cuda", remedy: "write auto, cpu, gpu or gpu:N",
            code: {
                "cuda".parse::<DeviceChoice>()
            }
        },
        bad! { "A GPU that is not there",
            what: "not found", place: "device gpu:77", remedy: "cpu", cut: "not found; ",
            code: {
                Device::choose("gpu:77".parse().unwrap())
            }
        },
        bad! { "A state larger than the memory",
            what: "out of memory", place: "the largest are `huge`", remedy: "A smaller batch", cut: "64.0 TiB of states",
            code: {
                let huge = Param::new("huge", [1 << 44], Init::Full(Scalar::Float(0.0)));
                huge.sum()
            }
        },
    ];
    Section { title: "Devices", words: "", cases }
}

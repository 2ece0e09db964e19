//! Tensor expressions that make no sense.

use noyau::prelude::*;

use crate::case::Section;

pub fn shapes() -> Section {
    let cases = vec![
        bad! { "A product of matrices whose inner sizes differ",
            what: "inner sizes 784 and 512 differ", place: "main.rs:2", remedy: "transpose one with .t() or reshape it",
            code: {
                let (images, weight) = (Tensor::zeros([128, 784]), Tensor::zeros([512, 10]));
                images.matmul(&weight)
            }
        },
        bad! { "A sum of two shapes that do not broadcast",
            what: "shapes [3] and [4] do not broadcast", place: "main.rs:1", remedy: "sizes must be equal or 1",
            code: {
                Tensor::zeros([3]) + Tensor::zeros([4])
            }
        },
        bad! { "A reshape to another number of elements",
            what: "[2, 3] of 6 elements cannot become [4, 2]", place: "main.rs:1", remedy: "the sizes must multiply to 6",
            code: {
                Tensor::zeros([2, 3]).reshape([4, 2])
            }
        },
        bad! { "An axis that is not there",
            what: "axis 2 is out of range for shape [2, 3]", place: "main.rs:1", remedy: "axes go from -2 to 1",
            code: {
                Tensor::zeros([2, 3]).sum_axes(&[2])
            }
        },
        bad! { "An axis named twice",
            what: "axis 1 is named twice", place: "main.rs:1", remedy: "name each axis once",
            code: {
                Tensor::zeros([2, 3]).mean_axes(&[1, -1])
            }
        },
        bad! { "A slice beyond the end",
            what: "3..7 by 1 does not lie in axis 0 of [5]", place: "main.rs:1", remedy: "within 0..5",
            code: {
                Tensor::zeros([5]).slice(0, 3..7)
            }
        },
        bad! { "An expansion of a size that is not 1",
            what: "[2, 3] cannot be expanded to [2, 4]", place: "main.rs:1", remedy: "only sizes of 1",
            code: {
                Tensor::zeros([2, 3]).expand([2, 4])
            }
        },
        bad! { "Tensors joined that differ beside the axis",
            what: "f32[2, 3] and f32[2, 4] differ", place: "main.rs:1", remedy: "in more than axis 0",
            code: {
                concat(&[&Tensor::zeros([2, 3]), &Tensor::zeros([2, 4])], 0)
            }
        },
        bad! { "A list of no tensors joined",
            what: "concat", place: "main.rs:1", remedy: "needs at least one tensor",
            code: {
                concat(&[], 0)
            }
        },
        bad! { "An einsum whose axes have two sizes",
            what: "axis j has sizes 3 and 4", place: "main.rs:2", remedy: "one name stands for one size",
            code: {
                let (a, b) = (Tensor::zeros([2, 3]), Tensor::zeros([4, 5]));
                einsum("ij,jk->ik", &[&a, &b])
            }
        },
        bad! { "An einsum that names more operands than it gets",
            what: "2 operands are named, 1 are given", place: "\"ij,jk->ik\"", remedy: "give one for each part before the arrow",
            code: {
                einsum("ij,jk->ik", &[&Tensor::zeros([2, 3])])
            }
        },
        bad! { "The greatest of nothing",
            what: "no element to choose from", place: "main.rs:1", remedy: "reduce axes that have elements",
            code: {
                Tensor::zeros([0, 3]).max(&[0])
            }
        },
        bad! { "More of the greatest than there are",
            what: "4 elements of axis 1 of [2, 3]", place: "main.rs:1", remedy: "which has 3",
            code: {
                Tensor::zeros([2, 3]).topk(4, 1, true).0
            }
        },
        bad! { "Values that do not fill their shape",
            what: "got 2", place: "main.rs:1", remedy: "a shape of [3] needs 3 values",
            code: {
                Tensor::new(&[1.0f32, 2.0], [3])
            }
        },
        bad! { "A convolution of an image with other channels",
            what: "3 channels", place: "main.rs:2", remedy: "with 1 groups takes 4 x 1",
            code: {
                let (image, weight) = (Tensor::zeros([1, 3, 28, 28]), Tensor::zeros([8, 4, 3, 3]));
                image.conv2d(&weight, &ConvOptions::default())
            }
        },
        bad! { "A shape of more elements than can be addressed",
            what: "more elements than can be addressed", place: "main.rs:1", remedy: "[1099511627776, 1099511627776]",
            code: {
                Tensor::zeros([1 << 40, 1]).expand([1 << 40, 1 << 40])
            }
        },
    ];
    Section { title: "Shapes and axes", words: "Each of these tensors carries its error until it is evaluated.", cases }
}

pub fn types() -> Section {
    let cases = vec![
        bad! { "Two element types in one sum",
            what: "the operands' types f32 and i32 differ", place: "main.rs:2", remedy: "convert one with .to(DType)",
            code: {
                let counts = Tensor::full([2], Scalar::Int(1));
                Tensor::zeros([2]) + counts
            }
        },
        bad! { "A real function of integers",
            what: "exp: not defined for i32", place: "main.rs:1", remedy: "convert with .to(DType)",
            code: {
                Tensor::full([2], Scalar::Int(1)).exp()
            }
        },
        bad! { "A number with a fraction beside integers",
            what: "1.5 beside a tensor of i32 is not of that type", place: "main.rs:1", remedy: "convert the tensor with .to(DType)",
            code: {
                Tensor::full([2], Scalar::Int(3)) * 1.5
            }
        },
        bad! { "A condition that is no truth value",
            what: "the condition is of type f32, not bool", place: "main.rs:1", remedy: "compare it first",
            code: {
                Tensor::zeros([2]).where_(1.0, 0.0)
            }
        },
        bad! { "Places that are no integers",
            what: "the index is of type f32, not an integer", place: "main.rs:1", remedy: "convert it with .to(DType::I32)",
            code: {
                Tensor::zeros([2]).gather(0, &Tensor::zeros([2]))
            }
        },
        bad! { "Bounds the wrong way round",
            what: "the lower bound 1 is above the upper bound -1", place: "main.rs:1", remedy: "clamp",
            code: {
                Tensor::zeros([2]).clamp(1.0, -1.0)
            }
        },
        bad! { "A probability above 1",
            what: "the probability 1.5", place: "main.rs:1", remedy: "does not lie in 0..=1",
            code: {
                Tensor::bernoulli([2], 1.5)
            }
        },
        bad! { "A range without a whole number in it",
            what: "there is no whole number in 3..3", place: "main.rs:1", remedy: "the end must be above the start",
            code: {
                Tensor::randint([2], 3, 3)
            }
        },
    ];
    Section {
        title: "Element types and numbers",
        words: "Nothing is promoted behind your back: types are converted where the program says so.",
        cases,
    }
}

pub fn gradients() -> Section {
    let cases = vec![
        bad! { "The gradient of a loss that is no scalar",
            what: "the loss must be a scalar of f32, not f32[3]", place: "main.rs:2", remedy: "reduce it with .sum() or .mean()",
            code: {
                let w = Param::scalar("w", 2.0);
                grad(&(&w * Tensor::ones([3])), &[&w])
            }
        },
        bad! { "The gradient of a parameter that takes no part",
            what: "no gradient flows from the loss to `unused`", place: "main.rs:2", remedy: "it takes no part in the loss",
            code: {
                let (w, unused) = (Param::scalar("w", 2.0), Param::scalar("unused", 1.0));
                grad(&w.square(), &[&unused])
            }
        },
        bad! { "A gradient through what has no derivative",
            what: "no gradient flows from the loss to `w`", place: "main.rs:3", remedy: "operations without a derivative (comparisons",
            code: {
                let w = Param::scalar("w", 2.0);
                let loss = w.gt(1.0).to(DType::F32);
                grad(&loss, &[&w])
            }
        },
    ];
    Section { title: "Gradients", words: "A gradient that does not exist is an error, not a zero.", cases }
}

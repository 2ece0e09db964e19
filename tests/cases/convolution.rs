//! Windows, convolutions and their transposes, with every option, and their gradients of gradients.

use noyau::{ConvOptions, Padding};

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    windows(list);
    one_axis(list);
    two_axes(list);
    groups(list);
    transposed(list);
    awkward(list);
}

fn options() -> ConvOptions {
    ConvOptions::new()
}

fn windows(list: &mut List) {
    for (size, step, dilation) in [(1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 2, 1), (2, 3, 1), (3, 1, 2), (2, 2, 3), (4, 3, 1)] {
        let name = format!("unfold {size} by {step}, dilation {dilation}");
        list.smooth(format!("{name}, last axis"), Exact, move |d| d.floats([2, 8]).unfold_dilated(-1, size, step, dilation));
        list.smooth(format!("{name}, first axis, squared"), Rounded, move |d| {
            d.floats([9, 3]).unfold_dilated(0, size, step, dilation).square()
        })
        .twice();
    }
    list.smooth("unfold of an unfold", Sum(9), |d| d.floats([5, 6]).unfold(0, 3, 1).unfold(1, 3, 2).square().sum_axes(&[-1]));
    list.smooth("unfold of a padded tensor", Sum(3), |d| d.floats([2, 5]).pad(&[(0, 0), (2, 1)], 0.5).unfold(1, 3, 1).sum_axes(&[-1]));
    list.smooth("unfold of a flipped, strided tensor", Exact, |d| d.floats([9, 4]).flip(&[0]).slice_step(0, 1.., 2).unfold(0, 2, 1));
    list.smooth("max over windows", Exact, |d| d.distinct([2, 7]).unfold(1, 3, 2).max(&[-1]));
    list.smooth("mean over windows that overlap", Sum(4), |d| d.floats([3, 10]).unfold(1, 4, 3).mean_axes(&[-1]));
    list.smooth("a reshape of windows", Exact, |d| d.floats([6]).unfold(0, 3, 1).reshape([6, 2]));
}

fn one_axis(list: &mut List) {
    for (stride, padding, dilation, kernel) in
        [(1, 0, 1, 3), (2, 0, 1, 3), (1, 2, 1, 3), (2, 1, 2, 3), (3, 2, 1, 2), (1, 0, 1, 1), (2, 0, 1, 1)]
    {
        let o = options().stride(stride).padding(padding).dilation(dilation);
        let name = format!("conv1d, kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}");
        list.smooth(name, Sum(9), move |d| d.floats([2, 3, 9]).conv1d(&d.floats([4, 3, kernel]), &o));
    }
    list.smooth("conv1d, twice", Sum(6), |d| d.floats([2, 2, 6]).conv1d(&d.floats([2, 2, 3]), &options().padding(1))).twice();
    list.smooth("conv1d, strided, twice", Sum(6), |d| d.floats([1, 2, 7]).conv1d(&d.floats([2, 2, 2]), &options().stride(2))).twice();
    list.smooth("conv1d of many images", Sum(6), |d| d.floats([40, 2, 5]).conv1d(&d.floats([3, 2, 3]), &options()));
    list.smooth("conv1d of a long signal", Sum(10), |d| {
        d.floats([1, 2, 70]).conv1d(&d.floats([3, 2, 5]), &options().padding(Padding::Same))
    });
}

fn two_axes(list: &mut List) {
    for (stride, padding, dilation, kernel) in [
        ([1, 1], [0, 0], [1, 1], [3, 3]),
        ([1, 1], [1, 1], [1, 1], [3, 3]),
        ([2, 2], [1, 1], [1, 1], [3, 3]),
        ([2, 1], [0, 2], [1, 2], [2, 3]),
        ([1, 3], [2, 0], [2, 1], [3, 1]),
        ([3, 2], [1, 2], [1, 1], [1, 4]),
        ([1, 1], [0, 0], [1, 1], [1, 1]),
        ([2, 2], [0, 0], [1, 1], [1, 1]),
        ([1, 1], [3, 3], [1, 1], [2, 2]),
    ] {
        let o = options().stride(stride).padding(padding).dilation(dilation);
        let name = format!("conv2d, kernel {kernel:?}, stride {stride:?}, padding {padding:?}, dilation {dilation:?}");
        list.smooth(name, Sum(27), move |d| d.floats([2, 3, 6, 7]).conv2d(&d.floats([4, 3, kernel[0], kernel[1]]), &o));
    }
    let square = |d: &mut super::Data, o: &ConvOptions| d.floats([1, 2, 4, 4]).conv2d(&d.floats([2, 2, 3, 3]), o);
    list.smooth("conv2d, twice", Sum(18), move |d| square(d, &options().padding(1))).twice();
    list.smooth("conv2d, strided and dilated, twice", Sum(18), move |d| square(d, &options().stride(2).padding(2).dilation(2))).twice();
    list.smooth("conv2d, same, even kernel", Sum(12), |d| {
        d.floats([2, 3, 5, 6]).conv2d(&d.floats([2, 3, 2, 2]), &options().padding(Padding::Same))
    });
    list.smooth("conv2d, bias and relu", Sum(27), |d| {
        let (x, w) = (d.floats([2, 3, 7, 8]), d.floats([4, 3, 3, 3]));
        (x.conv2d(&w, &options().padding(1)) + d.floats([4, 1, 1])).relu()
    });
    list.smooth("conv2d of what is computed", Chain, |d| {
        (d.floats([2, 1, 6, 6]) * 2.0).tanh().conv2d(&(d.floats([2, 1, 3, 3]) + 0.5), &options()).exp()
    });
    list.smooth("two conv2d", Chain, |d| {
        let x = d.floats([2, 1, 8, 8]).conv2d(&d.floats([3, 1, 3, 3]), &options()).tanh();
        x.conv2d(&d.floats([2, 3, 3, 3]), &options().stride(2))
    });
    list.smooth("conv2d, the input twice", Sum(36), |d| {
        let x = d.floats([1, 2, 5, 5]);
        x.conv2d(&d.floats([2, 2, 3, 3]), &options().padding(1)) * &x + x.conv2d(&d.floats([2, 2, 1, 1]), &options())
    });
    list.wide("conv2d, images of 28 x 28", Sum(25), |d| d.floats([3, 1, 28, 28]).conv2d(&d.floats([16, 1, 5, 5]), &options().padding(2)));
    list.wide("conv2d, many channels", Sum(288), |d| d.floats([2, 32, 12, 12]).conv2d(&d.floats([64, 32, 3, 3]), &options()));
    list.wide("conv2d, many small images", Sum(144), |d| d.floats([50, 16, 5, 5]).conv2d(&d.floats([32, 16, 3, 3]), &options().stride(2)));
}

fn groups(list: &mut List) {
    list.smooth("conv1d, two groups", Sum(6), |d| d.floats([2, 4, 6]).conv1d(&d.floats([6, 2, 3]), &options().groups(2).padding(1)))
        .twice();
    list.smooth("conv1d, depthwise", Sum(3), |d| d.floats([2, 3, 6]).conv1d(&d.floats([3, 1, 3]), &options().groups(3))).twice();
    list.smooth("conv1d, depthwise with a multiplier", Sum(3), |d| d.floats([2, 3, 6]).conv1d(&d.floats([6, 1, 3]), &options().groups(3)));
    list.smooth("conv2d, two groups, strided", Sum(18), |d| {
        d.floats([2, 4, 6, 5]).conv2d(&d.floats([4, 2, 3, 3]), &options().groups(2).stride(2).padding(1))
    });
    list.smooth("conv2d, depthwise", Sum(9), |d| d.floats([2, 4, 6, 5]).conv2d(&d.floats([4, 1, 3, 3]), &options().groups(4).padding(1)));
    list.smooth("conv2d, depthwise, dilated, strided", Sum(9), |d| {
        d.floats([2, 2, 9, 8]).conv2d(&d.floats([2, 1, 3, 3]), &options().groups(2).padding(2).dilation(2).stride([2, 1]))
    });
    list.smooth("conv2d, several channels to one a group", Sum(18), |d| {
        d.floats([2, 4, 5, 5]).conv2d(&d.floats([2, 2, 3, 3]), &options().groups(2))
    });
    list.wide("conv2d, depthwise, 28 x 28", Sum(9), |d| {
        d.floats([4, 8, 28, 28]).conv2d(&d.floats([8, 1, 3, 3]), &options().groups(8).padding(1))
    });
}

fn transposed(list: &mut List) {
    for (stride, padding, extra, dilation) in [(1, 0, 0, 1), (2, 0, 0, 1), (2, 1, 1, 1), (3, 2, 2, 1), (2, 1, 1, 2), (1, 2, 0, 2)] {
        let o = options().stride(stride).padding(padding).output_padding(extra).dilation(dilation);
        let name = format!("stride {stride}, padding {padding}, output padding {extra}, dilation {dilation}");
        let o1 = o.clone();
        list.smooth(format!("conv_transpose1d, {name}"), Sum(9), move |d| d.floats([2, 3, 5]).conv_transpose1d(&d.floats([3, 2, 3]), &o1));
        list.smooth(format!("conv_transpose2d, {name}"), Sum(27), move |d| {
            d.floats([1, 3, 4, 3]).conv_transpose2d(&d.floats([3, 2, 3, 3]), &o)
        });
    }
    // Results that are made together: more of them than taps, some without a tap, sizes that they do not divide, borders cut off, one axis alone, many channels.
    list.smooth("conv_transpose2d, steps beyond the kernel", Sum(8), |d| {
        d.floats([2, 2, 3, 2]).conv_transpose2d(&d.floats([2, 2, 2, 1]), &options().stride([5, 3]).output_padding([3, 1]))
    });
    list.smooth("conv_transpose2d, much cut off", Sum(50), |d| {
        d.floats([1, 2, 5, 4]).conv_transpose2d(&d.floats([2, 1, 5, 5]), &options().stride([3, 2]).padding([4, 3]).output_padding([2, 0]))
    });
    list.smooth("conv_transpose2d, steps along one axis, gaps along the other", Sum(12), |d| {
        d.floats([1, 2, 4, 5]).conv_transpose2d(&d.floats([2, 2, 3, 2]), &options().stride([2, 1]).dilation([1, 3]))
    });
    list.wide("conv_transpose2d, many channels", Sum(288), |d| {
        d.floats([3, 32, 7, 7]).conv_transpose2d(&d.floats([32, 24, 3, 3]), &options().stride(2).padding(1).output_padding(1))
    });
    list.smooth("conv2d, strides beyond the kernel", Sum(8), |d| {
        d.floats([2, 2, 8, 9]).conv2d(&d.floats([3, 2, 2, 2]), &options().stride([3, 4]).padding(1))
    });
    list.smooth("conv2d, strided, a channel a group", Sum(9), |d| {
        d.floats([2, 3, 7, 6]).conv2d(&d.floats([6, 1, 3, 3]), &options().groups(3).stride(2).padding(1))
    });
    list.smooth("conv_transpose1d, twice", Sum(6), |d| d.floats([1, 2, 4]).conv_transpose1d(&d.floats([2, 2, 3]), &options().stride(2)))
        .twice();
    list.smooth("conv_transpose2d, two groups", Sum(18), |d| {
        d.floats([2, 4, 3, 4]).conv_transpose2d(&d.floats([4, 3, 2, 2]), &options().groups(2).stride(2))
    });
}

fn awkward(list: &mut List) {
    list.smooth("conv2d, one pixel", Sum(3), |d| d.floats([2, 3, 1, 1]).conv2d(&d.floats([2, 3, 1, 1]), &options()));
    list.smooth("conv2d, the kernel is the image", Sum(36), |d| d.floats([2, 3, 3, 4]).conv2d(&d.floats([2, 3, 3, 4]), &options()));
    list.value("conv2d of no image", Exact, |d| d.floats([0, 3, 4, 4]).conv2d(&d.floats([2, 3, 3, 3]), &options()));
    list.value("conv2d to no channel", Exact, |d| d.floats([2, 3, 4, 4]).conv2d(&d.floats([0, 3, 3, 3]), &options()));
    list.value("conv2d of no channel", Exact, |d| d.floats([2, 0, 4, 4]).conv2d(&d.floats([2, 0, 3, 3]), &options()));
    list.smooth("conv2d of an expanded image", Sum(27), |d| {
        d.floats([1, 3, 5, 5]).expand([3, 3, 5, 5]).conv2d(&d.floats([2, 3, 3, 3]), &options())
    });
    list.smooth("conv2d of channels that come last", Sum(27), |d| {
        d.floats([2, 6, 5, 3]).permute(&[0, 3, 1, 2]).conv2d(&d.floats([2, 3, 3, 3]), &options().padding(1)).permute(&[0, 2, 3, 1])
    });
    list.smooth("conv2d of a constant image", Sum(9), |d| {
        noyau::Tensor::full([1, 1, 4, 4], noyau::tensor::Scalar::Float(0.5)).conv2d(&d.floats([2, 1, 3, 3]), &options().padding(1))
    });
}

//! Images and signals made larger or smaller.

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    for size in [1, 2, 3, 4, 6, 7, 12] {
        list.smooth(format!("upsample_nearest from 4 to {size}"), Exact, move |d| d.floats([1, 2, 4]).upsample_nearest(&[size]));
        for align in [false, true] {
            list.smooth(format!("upsample_linear from 4 to {size}, align {align}"), Rounded, move |d| {
                d.floats([1, 2, 4]).upsample_linear(size, align)
            });
        }
    }
    for (h, w) in [(6, 8), (3, 5), (5, 2), (1, 1)] {
        list.smooth(format!("upsample_nearest of an image to {h} x {w}"), Exact, move |d| d.floats([2, 1, 3, 4]).upsample_nearest(&[h, w]));
        for align in [false, true] {
            list.smooth(format!("upsample_bilinear to {h} x {w}, align {align}"), Rounded, move |d| {
                d.floats([2, 1, 3, 4]).upsample_bilinear([h, w], align)
            });
        }
    }
    list.smooth("upsample_nearest of a volume", Exact, |d| d.floats([1, 1, 2, 3, 2]).upsample_nearest(&[4, 3, 1]));
    list.smooth("upsample_bilinear of one pixel", Rounded, |d| d.floats([1, 2, 1, 1]).upsample_bilinear([3, 2], false));
    list.wide("upsample_bilinear of a larger image", Rounded, |d| d.floats([2, 3, 17, 23]).upsample_bilinear([34, 40], false));
    list.value("upsample_nearest of integers", Exact, |d| d.ints([1, 1, 3], -9, 9).upsample_nearest(&[5]));
}

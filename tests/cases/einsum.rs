//! Products and sums over named axes.

use noyau::Tensor;
use noyau::tensor::einsum;

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    // Any number of operands, repeated letters, letters to sum over, ellipses, sizes of 1.
    let equations: [(&str, &[&[usize]]); 34] = [
        ("ij->ji", &[&[3, 4]]),
        ("ij", &[&[3, 4]]),
        ("ba", &[&[3, 4]]),
        ("ij->", &[&[3, 4]]),
        ("ij->j", &[&[3, 4]]),
        ("ii->i", &[&[4, 4]]),
        ("ii", &[&[4, 4]]),
        ("iij->j", &[&[3, 3, 4]]),
        ("iijj->ij", &[&[2, 2, 3, 3]]),
        ("iii->i", &[&[3, 3, 3]]),
        ("...ij->...ji", &[&[2, 3, 4]]),
        ("i...->...", &[&[2, 3, 4]]),
        ("...", &[&[2, 3]]),
        ("->", &[&[]]),
        ("i,i->", &[&[5], &[5]]),
        ("i,i->i", &[&[5], &[5]]),
        ("i,j->ij", &[&[5], &[3]]),
        ("i,j", &[&[5], &[3]]),
        ("ij,j->i", &[&[3, 4], &[4]]),
        ("ij,jk->ik", &[&[3, 4], &[4, 2]]),
        ("ij,jk", &[&[3, 4], &[4, 2]]),
        ("ij,kj->ki", &[&[3, 4], &[2, 4]]),
        ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 2]]),
        ("bhqd,bhkd->bhqk", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]),
        ("bqhd,bkhd->bhqk", &[&[2, 3, 2, 4], &[2, 5, 2, 4]]),
        ("...ij,...jk->...ik", &[&[2, 1, 3, 4], &[5, 4, 2]]),
        ("i...,i...", &[&[3, 2], &[3, 2]]),
        ("ijk,ilm,njm,nlk->", &[&[2, 3, 2], &[2, 2, 3], &[2, 3, 3], &[2, 2, 2]]),
        ("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
        ("bn,anm,bm->ba", &[&[2, 3], &[4, 3, 2], &[2, 2]]),
        ("ij,ij,ij->j", &[&[3, 4], &[3, 4], &[3, 4]]),
        ("ik,jk->i", &[&[3, 4], &[5, 4]]),
        ("ij,jk->ik", &[&[3, 1], &[4, 2]]),
        (" i j , j -> i ", &[&[3, 4], &[4]]),
    ];
    for (equation, shapes) in equations {
        list.smooth(format!("einsum {equation} of {shapes:?}"), Sum(24), move |d| {
            let operands: Vec<Tensor> = shapes.iter().map(|&shape| d.positive(shape)).collect();
            einsum(equation, &operands.iter().collect::<Vec<_>>())
        });
    }
    list.smooth("einsum of capitals before small letters", Exact, |d| einsum("aB", &[&d.floats([2, 3])]));
    list.smooth("einsum, twice", Chain, |d| einsum("ij,jk->ki", &[&d.floats([2, 3]), &d.floats([3, 2])]).tanh()).twice();
    list.value("einsum of integers", Exact, |d| einsum("ij,kj->ik", &[&d.ints([3, 4], -9, 9), &d.ints([2, 4], -9, 9)]));
    list.value("einsum of unsigned integers with a diagonal", Exact, |d| einsum("ii,i->", &[&d.uints([3, 3], 9), &d.uints([3], 9)]));
    list.value("einsum over an axis of size 0", Exact, |d| einsum("ij,jk->ik", &[&d.floats([2, 0]), &d.floats([0, 3])]));
    list.value("einsum to an axis of size 0", Exact, |d| einsum("ij,jk->ik", &[&d.floats([0, 2]), &d.floats([2, 3])]));
    list.smooth("einsum of a tensor with itself", Sum(4), |d| {
        let x = d.positive([3, 4]);
        einsum("ij,kj->ik", &[&x, &x])
    });
    list.smooth("tensordot", Sum(12), |d| d.positive([2, 3, 4]).tensordot(&d.positive([4, 5, 3]), &[1, 2], &[2, 0]));
    list.smooth("tensordot over no axes", Rounded, |d| d.floats([2, 3]).tensordot(&d.floats([2]), &[], &[]));
    list.smooth("tensordot over all axes", Sum(6), |d| d.positive([2, 3]).tensordot(&d.positive([3, 2]), &[-2, -1], &[1, 0]));
}

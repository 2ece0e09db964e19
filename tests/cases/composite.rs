//! What networks are made of: layers, activations, losses, each written with many primitives.

use noyau::nn::activation::{elu, gelu, gelu_tanh, leaky_relu, silu, softplus};
use noyau::nn::{bce_with_logits, cross_entropy, hinge_loss, huber_loss, l1_loss, mse_loss, nll_loss};
use noyau::{DType, Tensor};

use super::{Class::*, List};

pub fn cases(list: &mut List) {
    list.smooth("gelu", Chain, |d| gelu(&d.floats([3, 5]))).twice();
    list.smooth("gelu by tanh", Chain, |d| gelu_tanh(&d.floats([3, 5]))).twice();
    list.smooth("silu", Chain, |d| silu(&d.floats([3, 5]))).twice();
    list.smooth("softplus", Chain, |d| softplus(&d.floats([3, 5])));
    list.wide("softplus far out", Chain, |d| softplus(&d.given([4], &[-300.0f32, 300.0, -20.0, 20.0])));
    list.smooth("elu", Chain, |d| elu(&d.between([3, 5], 2.0), 1.5));
    list.smooth("leaky relu", Rounded, |d| leaky_relu(&d.between([3, 5], 2.0), 0.1));
    list.smooth("mse", Chain, |d| mse_loss(&d.floats([3, 4]), &d.floats([3, 4]))).twice();
    list.smooth("l1", Chain, |d| {
        let x = d.distinct([24]);
        l1_loss(&x.slice(0, ..12), &x.slice(0, 12..))
    });
    list.smooth("huber", Chain, |d| huber_loss(&d.range([3, 4], 2.0, 4.0), &d.range([3, 4], 0.0, 0.8), 1.0));
    list.smooth("bce with logits", Chain, |d| {
        let targets = d.bools([3, 4]).to(DType::F32);
        bce_with_logits(&d.floats([3, 4]), &targets)
    })
    .twice();
    list.wide("bce with logits far out", Chain, |d| {
        let targets = Tensor::from([0.0f32, 1.0, 0.0, 1.0]);
        bce_with_logits(&d.given([4], &[-200.0f32, 200.0, 3.0, -3.0]), &targets)
    });
    list.smooth("cross entropy of classes", Chain, |d| {
        let labels = d.uints([5], 4);
        cross_entropy(&d.floats([5, 4]), &labels)
    })
    .twice();
    list.smooth("cross entropy of probabilities", Chain, |d| {
        let targets = d.constant([5, 4], -1.0, 1.0).softmax(1);
        cross_entropy(&d.floats([5, 4]), &targets)
    });
    list.wide("cross entropy of large logits", Chain, |d| {
        let labels = d.uints([3], 2);
        cross_entropy(&d.given([3, 2], &[1000.0f32, -1000.0, 50.0, 60.0, -2000.0, -2001.0]), &labels)
    });
    list.smooth("nll", Chain, |d| {
        let labels = d.uints([5], 4);
        nll_loss(&d.floats([5, 4]).log_softmax(1), &labels)
    });
    list.smooth("hinge", Chain, |d| {
        let sides = d.bools([3, 4]).where_(1.0, Tensor::full([3, 4], noyau::tensor::Scalar::Float(-1.0)));
        hinge_loss(&d.between([3, 4], 1.0), &sides)
    });
    list.smooth("a network of two layers", Chain, |d| {
        let labels = d.uints([6], 3);
        let hidden = (d.floats([6, 4]).matmul(&(d.floats([5, 4]) * 0.3).t()) + d.floats([5])).tanh();
        cross_entropy(&(hidden.matmul(&d.floats([3, 5]).t()) + d.floats([3])), &labels)
    });
    list.smooth("layer norm", Chain, |d| {
        let x = d.floats([4, 6]);
        let centred = &x - x.mean_keep(&[-1]);
        let scale = (centred.square().mean_keep(&[-1]) + 1e-5).rsqrt();
        centred * scale * d.floats([6]) + d.floats([6])
    });
    list.smooth("batch norm", Chain, |d| {
        let x = d.floats([5, 3, 2, 2]);
        let axes = [0, 2, 3];
        let centred = &x - x.mean_keep(&axes);
        let scale = (centred.square().mean_keep(&axes) + 1e-5).rsqrt();
        centred * scale * d.floats([3, 1, 1]) + d.floats([3, 1, 1])
    });
    list.smooth("attention", Chain, |d| {
        let heads = |x: Tensor| x.reshape([4, 2, 3]).permute(&[1, 0, 2]);
        let (q, k, v) = (heads(d.floats([4, 6])), heads(d.floats([4, 6])), heads(d.floats([4, 6])));
        let later = Tensor::iota([4, 4], 0).lt(Tensor::iota([4, 4], 1));
        let scores = later.where_(-1e9, q.matmul(&k.t()) / 3.0f32.sqrt());
        scores.softmax(-1).matmul(&v).permute(&[1, 0, 2]).reshape([4, 6])
    });
    list.smooth("mean pooling", Chain, |d| d.floats([2, 4, 6]).reshape([2, 2, 2, 3, 2]).mean_axes(&[2, 4]));
    list.smooth("max pooling", Exact, |d| d.distinct([2, 4, 6]).reshape([2, 2, 2, 3, 2]).max(&[2, 4]));
    list.smooth("a recurrence", Chain, |d| {
        let (w, u) = (d.floats([3, 3]) * 0.5, d.floats([2, 3]));
        (0..5).fold(Tensor::zeros([4, 3]), |h, t| (h.matmul(&w) + d.floats([4, 2]).matmul(&u) * (t as f32 * 0.1)).tanh())
    });
    list.smooth("gradient norm clipping", Chain, |d| {
        let g = d.floats([3, 4]);
        &g * (1.0 / (g.square().sum().sqrt() + 1e-6)).minimum(1.0)
    });
    list.smooth("an Adam update", Chain, |d| {
        let (p, g, m, v) = (d.floats([6]), d.floats([6]), d.floats([6]), d.positive([6]));
        let (m, v) = (m * 0.9 + &g * 0.1, v * 0.999 + g.square() * 0.001);
        p - m * 0.01 / (v.sqrt() + 1e-8)
    });
}

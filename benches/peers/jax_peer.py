"""The workloads W1 to W6 in JAX.

    python benches/peers/jax_peer.py [--device cpu|cuda] [--quick] [NAME]..

All steps are compiled (jax.jit), with the data on the device and batches gathered there.
"""

import os
import time

from measure import TRAININGS, Peer, mnist, noise, peak_memory, tiny

peer = Peer("JAX", ["cpu", "cuda"])
os.environ["JAX_PLATFORMS"] = peer.device

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

peer.engine = f"JAX {jax.__version__}"


def repeated(f, *operands):
    def runs(count):
        for _ in range(count):
            result = f(*operands)
        result.block_until_ready()

    return runs


def linear(key, inputs, outputs):
    bound = inputs**-0.5
    return jax.random.uniform(key, (inputs, outputs), minval=-bound, maxval=bound), jnp.zeros(outputs)


def mlp_parameters(sizes):
    keys = jax.random.split(jax.random.PRNGKey(0), len(sizes))
    return [linear(key, i, o) for key, i, o in zip(keys, sizes, sizes[1:])]


def mlp(parameters, x, activation=jax.nn.relu):
    for w, b in parameters[:-1]:
        x = activation(x @ w + b)
    w, b = parameters[-1]
    return x @ w + b


def cnn_parameters():
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    kernel = lambda key, o, i: (jax.random.uniform(key, (o, i, 3, 3), minval=-1, maxval=1) * (9 * i) ** -0.5, jnp.zeros(o))
    return [kernel(keys[0], 16, 1), kernel(keys[1], 32, 16), linear(keys[2], 1568, 128), linear(keys[3], 128, 10)]


def cnn(parameters, x):
    x = x.reshape(-1, 1, 28, 28)
    for w, b in parameters[:2]:
        x = jax.nn.relu(jax.lax.conv(x, w, (1, 1), "SAME") + b[:, None, None])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return mlp(parameters[2:], x.reshape(len(x), -1))


class Training:
    """A network in training on MNIST."""

    def __init__(self, parameters, forward, batch, x, y):
        self.x, self.y, self.batch, self.key = x, y, batch, jax.random.PRNGKey(1)
        self.parameters = parameters
        self.moments = jax.tree.map(jnp.zeros_like, parameters)
        self.source = self.batches()

        def loss(parameters, x, y):
            return -jnp.take_along_axis(jax.nn.log_softmax(forward(parameters, x)), y[:, None], 1).mean()

        @jax.jit
        def step(parameters, moments, x, y, order, start):
            index = jax.lax.dynamic_slice(order, (start,), (batch,))
            value, gradients = jax.value_and_grad(loss)(parameters, x[index], y[index])
            moments = jax.tree.map(lambda m, g: 0.9 * m + g, moments, gradients)
            return value, jax.tree.map(lambda p, m: p - 0.05 * m, parameters, moments), moments

        self.step = step

    def batches(self):
        while True:
            self.key, key = jax.random.split(self.key)
            order = jax.random.permutation(key, len(self.x))
            for start in range(0, len(self.x) - self.batch + 1, self.batch):
                yield order, start

    def steps(self, count):
        for _ in range(count):
            order, start = next(self.source)
            value, self.parameters, self.moments = self.step(self.parameters, self.moments, self.x, self.y, order, start)
        self.loss = float(value)


def trainings():
    if not any(map(peer.wants, TRAININGS)):
        return
    images, labels = mnist()
    x, y = jnp.array(images), jnp.array(labels.astype("int32"))
    new_mlp = lambda batch: Training(mlp_parameters([784, 512, 256, 10]), mlp, batch, x, y)
    new_cnn = lambda batch: Training(cnn_parameters(), cnn, batch, x, y)
    # First of all: nothing has been compiled yet in this process.
    for name, new in [("w2-b128-first-step", new_mlp), ("w3-b128-first-step", new_cnn)]:
        if peer.wants(name):
            start = time.perf_counter()
            new(128).steps(1)
            peer.line(name, "ms", [1e3 * (time.perf_counter() - start)])
            break
    for name, new, batch in [("w2-b128-rate", new_mlp, 128), ("w2-b1024-rate", new_mlp, 1024), ("w3-b128-rate", new_cnn, 128)]:
        if peer.wants(name):
            training = new(batch)
            peer.rate(name, "samples/s", batch, training.steps)
            assert training.loss < 2.4, (name, training.loss)
    if peer.wants("w2-peak-memory"):
        new_mlp(128).steps(600)
        peer.line("w2-peak-memory", "MiB", [peak_memory()])


def small():
    x, y = map(jnp.array, tiny())

    def loss(parameters):
        return jnp.mean((mlp(parameters, x, jnp.tanh) - y) ** 2)

    @jax.jit
    def step(parameters):
        value, gradients = jax.value_and_grad(loss)(parameters)
        return value, jax.tree.map(lambda p, g: p - 0.03 * g, parameters, gradients)

    for name, read in [("w4-steps", False), ("w4-steps-loss-read", True)]:
        state = [mlp_parameters([2, 8, 8, 1])]

        def steps(count):
            for _ in range(count):
                value, state[0] = step(state[0])
                if read:
                    float(value)
            value.block_until_ready()

        peer.rate(name, "steps/s", 1, steps)


def expressions():
    kinds = [("", jnp.float32)] + ([("-f16", jnp.float16)] if peer.device == "cuda" else [])
    for n in [256, 512, 1024, 2048] + ([4096, 8192] if peer.device == "cuda" else []):
        for suffix, dtype in kinds:
            if peer.wants(f"w1-matmul-{n}{suffix}"):
                a, b = (jnp.array(noise(n, n), dtype) for _ in range(2))
                product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
                peer.rate(f"w1-matmul-{n}{suffix}", "GFLOP/s", 2e-9 * n**3, repeated(product, a, b))
    n = 1 << 24
    if peer.wants("w5-gelu"):
        gelu = jax.jit(lambda x: jax.nn.gelu(1.5 * x + 0.5, approximate=False))
        peer.rate("w5-gelu", "GB/s", 8e-9 * n, repeated(gelu, jnp.array(noise(n))))
    if peer.wants("w5-sum"):
        ones, add = jnp.ones(n), jax.jit(jnp.sum)
        assert float(add(ones)) == n
        peer.rate("w5-sum", "GB/s", 4e-9 * n, repeated(add, ones))
    if peer.wants("w6-softmax"):
        peer.rate("w6-softmax", "GB/s", 8e-9 * 4096 * 4096, repeated(jax.jit(jax.nn.softmax), jnp.array(noise(4096, 4096))))
    if peer.wants("w6-layernorm"):

        @jax.jit
        def norm(x, w, b):
            centred = x - x.mean(-1, keepdims=True)
            return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w + b

        operands = (jnp.array(noise(*shape)) for shape in [(4096, 1024), (1024,), (1024,)])
        peer.rate("w6-layernorm", "GB/s", 8e-9 * 4096 * 1024, repeated(norm, *operands))


trainings()
small()
expressions()

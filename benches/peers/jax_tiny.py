"""W4: the MLP 2-8-8-1 (tanh, squared loss, SGD lr 0.03, batch 32) in JAX on the CPU, inputs on the device: steps a second, the loss not read and read.

    python benches/peers/jax_tiny.py [WINDOWS]
"""
import json, statistics, sys, time

import jax
import jax.numpy as jnp

windows = int(sys.argv[1]) if len(sys.argv) > 1 else 7
sizes = [2, 8, 8, 1]
keys = jax.random.split(jax.random.PRNGKey(0), 8)
params = [(jax.random.uniform(keys[i], (a, b), minval=-0.5, maxval=0.5), jnp.zeros(b)) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))]
x = jax.random.uniform(keys[6], (32, 2), minval=-1, maxval=1)
y = jnp.sign(x[:, :1] * x[:, 1:])


def loss(params, x, y):
    h = x
    for w, b in params[:-1]:
        h = jnp.tanh(h @ w + b)
    w, b = params[-1]
    return jnp.mean((h @ w + b - y) ** 2)


@jax.jit
def step(params, x, y):
    value, grads = jax.value_and_grad(loss)(params, x, y)
    return value, jax.tree.map(lambda p, g: p - 0.03 * g, params, grads)


for name, read in [("w4-steps", False), ("w4-steps-loss-read", True)]:
    rates = []
    for window in range(windows + 1):
        start = time.perf_counter()
        for _ in range(20000):
            value, params = step(params, x, y)
            if read:
                float(value)
        value.block_until_ready()
        if window:
            rates.append(20000 / (time.perf_counter() - start))
    print(json.dumps({"workload": name, "peer": f"JAX {jax.__version__}", "median": statistics.median(rates), "min": min(rates), "max": max(rates), "unit": "steps/s"}))

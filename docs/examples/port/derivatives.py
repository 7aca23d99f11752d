"""The loss, and its derivatives, which JAX finds: to be added to the port of the guide."""

import jax


def loss(weights, video, labels, config):
    """The mean over the clips of minus the logarithm of the right class's probability."""
    scores = jax.nn.log_softmax(forward(video, weights, config))
    return -scores[np.arange(len(labels)), labels].mean()


def gradients(video, labels, weights, config):
    """The loss, and its derivative by every weight."""
    return jax.value_and_grad(loss)(weights, video, labels, config)

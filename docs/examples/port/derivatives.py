"""What is added to the guide's port so that it learns."""

import jax


def loss(weights, video, labels, config):
    """The mean of minus the logarithm of the right class's probability."""
    scores = jax.nn.log_softmax(forward(video, weights, config))
    return -scores[np.arange(len(labels)), labels].mean()


def gradients(video, labels, weights, config):
    """The loss, and its derivative with respect to every weight."""
    return jax.value_and_grad(loss)(weights, video, labels, config)

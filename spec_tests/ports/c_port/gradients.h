/* The gradient of the loss, block by block in reverse: what autograd does for PyTorch. */
#ifndef GRADIENTS_H
#define GRADIENTS_H

#include "model.h"

/* The mean cross-entropy of a batch. `grads` has a weight's gradient in that weight's place. */
real gradients(const Model *model, const Video *video, const int64_t *labels, Model *grads);

#endif

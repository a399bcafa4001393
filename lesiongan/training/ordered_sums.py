"""Sums whose parts are added in one order, so that a training on a processor repeats bit for bit.

Where a step takes more than 205 MB (four fifths of the 256 MB that TensorFlow gives every CPU device, however large
the memory is), Grappler's memory optimizer replaces each sum of three or more tensors, such as the gradient of an image
that several networks look at, by additions to one variable in the order in which the parts are ready. With several
threads that is not always the same order. `tf.config.experimental.enable_op_determinism` does not reach it, and no
public option switches this optimizer off alone: hence TensorFlow's own context.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context


def keep_order_of_sums() -> None:
    """Switches the memory optimizer off in this process, for every function that is called from now on.

    Where there is a GPU nothing is changed: the optimizer acts there only when its memory is nearly full, and then lets
    a step fit.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    context.context()._config = config
    tf.config.optimizer.set_experimental_options({})  # lets go of what was made of the configuration before

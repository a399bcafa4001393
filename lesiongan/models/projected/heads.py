"""The trained part of a projected discriminator: a small network on each map of features, which sees images in pairs.

Sauer et al. 2021, section 3, with what made it hold on few images of eight classes (ours): every map is concatenated
with that of another image of the same class in the batch, so that a generator that paints one image per class is seen
at once (PacGAN: Lin et al. 2018, with both images of one class).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from lesiongan.models.batch_norms import BatchNorms
from lesiongan.models.bilinear import doubled
from lesiongan.models.convolution import convolution
from lesiongan.models.network import Network
from lesiongan.models.resize_convolution import along_both_axes

#: Filters of a trunk's convolution by the side of the map that it makes; larger maps have as many as 16 x 16.
WIDTHS = {4: 256, 8: 128, 16: 64}
_EMBEDDED = 64  # numbers of a class's embedding


class Heads(Network):
    """Maps `[batch, side, side, channels]` of images and of their partners -> logits and trunks.

    A map of half the side that `shapes` says is seen doubled: bilinear, zero beyond the border. On each map a trunk:
    spectrally normalised 4 x 4 convolutions of stride 2, batch norm, LeakyReLU 0.2, down to 4 x 4 (one of stride 1
    where the map has no more; to 3 x 3 where its side is three times a power of 2); then a 4 x 4 convolution to 3 x 3
    (2 x 2) logits. With classes each logit also has the product of 64 more such outputs with an embedding of the class
    (projection: Miyato and Koyama 2018).

    Args:
        shapes: side and channels of each map.
        num_classes: k; 0: nothing is known of classes.
        width: factor on the filters.
        seed: of the initial weights, N(0, 0.02); embeddings are N(0, 1).
        precision: a dtype policy of Keras.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        num_classes: int = 0,
        *,
        width: float = 1.0,
        seed: int = 0,
        precision: str = "float32",
        name: str = "heads",
    ):
        settings = {"shapes": [list(shape) for shape in shapes], "num_classes": num_classes, "width": width}
        super().__init__({**settings, "seed": seed, "precision": precision, "spectral_norm": True}, name)
        self.num_classes, self.blocks, norms, biases = num_classes, [], {}, {}
        outputs = 1 + (_EMBEDDED if num_classes else 0)
        for index, (side, channels) in enumerate(shapes):
            before, blocks = 2 * channels, max(1, round(math.log2(side / 4)))
            for block in range(blocks):
                key = f"map{index}_conv{block}"
                after = max(1, round(WIDTHS.get(max(4, side >> (block + 1)), WIDTHS[16]) * width))
                self.add_kernel(key, (4, 4, before, after))
                norms[key], before = after, after
            self.add_kernel(f"map{index}_logits", (4, 4, before, outputs))
            biases[f"map{index}_logits"] = outputs
            if num_classes:
                self.add_kernel(f"map{index}_classes", (num_classes, _EMBEDDED), 1.0, spectral_norm=False)
            self.blocks.append(blocks)
        self.features = len(shapes) * before
        self.add_biases(biases)
        self.norms = BatchNorms(norms)
        self.built = True

    def call(self, maps, partners, labels=None, training=False, update=True):
        """Logits and trunks.

        Args:
            maps: of each image, as `shapes` says.
            partners: int32 `[batch]`, see `partners_of`.
            labels: int32 `[batch]`, where there are classes.
            training: the batch's statistics, or the moving averages.
            update: a pass in training moves the moving averages and the vectors of the spectral norm.

        Returns:
            Logits float32 `[batch, n]`, of all maps, and the means of the trunks' last maps, `[batch, features]`.
        """
        update = training and update
        norms = self.norms.begin(training, update=update)
        logits, trunks = [], []
        for index, (x, (side, _), blocks) in enumerate(zip(maps, self.settings["shapes"], self.blocks, strict=True)):
            if x.shape[1] < side <= 4:
                x = doubled(x)
            x = tf.concat([x, tf.gather(x, partners)], -1)
            for block in range(blocks):
                key = f"map{index}_conv{block}"
                kernel = self.kernel(key, update)
                if block == 0 and x.shape[1] < side:
                    x = tf.nn.conv2d(x, on_doubled(kernel), 1, "SAME")
                else:
                    x = tf.nn.conv2d(x, kernel, 1 if x.shape[1] <= 4 else 2, "SAME")
                x = tf.nn.leaky_relu(norms(x, key), 0.2)
            trunks.append(tf.reduce_mean(x, [1, 2]))
            key = f"map{index}_logits"
            x = self.biased(convolution(x, self.kernel(key, update), 1, 1), key)
            y = x[..., 0]
            if self.num_classes:
                embedding = tf.gather(self.kernel(f"map{index}_classes"), labels)[:, None, None]
                y += tf.reduce_sum(x[..., 1:] * embedding, -1) / math.sqrt(_EMBEDDED)
            logits.append(tf.reshape(y, [-1, y.shape[1] * y.shape[2]]))
        norms.finish()
        return tf.cast(tf.concat(logits, 1), tf.float32), tf.concat(trunks, 1)


def on_doubled(kernel: tf.Tensor) -> tf.Tensor:
    """A 4 x 4 convolution of stride 2 of a map that is doubled first, as one 3 x 3 convolution of the map itself: 9
    products in place of 16, and no map of four times the size. Beyond the border the map is zero.

    Args:
        kernel: `[4, 4, before, after]`.

    Returns:
        `[3, 3, before, after]`.
    """
    # Of the doubled map a tap sees pixels -1 to 2; each is 3/4 of the nearer pixel of the map and 1/4 of the other.
    return along_both_axes([[0.75, 0.25, 0, 0], [0.25, 0.75, 0.75, 0.25], [0, 0, 0.25, 0.75]], kernel)


def partners_of(labels: tf.Tensor) -> tf.Tensor:
    """For each image of a batch the next one with the same label, round the batch; itself where there is no other.

    Args:
        labels: int32 `[batch]`.

    Returns:
        Places in the batch, int32 `[batch]`.
    """
    count = tf.size(labels)
    places = tf.range(count)
    distances = (places[None] - places[:, None] - 1) % count  # 0 for the next one, count - 1 for itself
    distances = tf.where(labels[None] == labels[:, None], distances, count)
    return tf.argmin(distances, 1, tf.int32)

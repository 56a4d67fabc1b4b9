"""Megapixel digits, the peers' own benchmark: python -m benchmarks.peers.

The protocol, written before the runs that are kept:

- The task is to name the digit that an image has three times. Training and test images are made of
  different digits; all methods see the same images, in the same order, equally often. Three are
  trained five times as long as well, in rows of their own, added after the first figures: the
  peers' methods had not begun to learn, and ours with guided windows stands beside them.
- A peer's method has its published layers, optimizer, learning rate and constants. What is smaller
  is so for all: image, digits, patches, channels, steps. Batches are of 16, patch selection's; with
  attention sampling's 128 there would be an eighth of the steps.
- Ours and the plain networks have patch selection's blocks, optimizer and schedule, as they are:
  nothing of theirs is tuned. Ours look at as many windows, as large, as attention sampling does,
  but for the paper's layer, whose windows are as wide as the small image, one per kernel.
- Every method is trained once for each seed and tested once, after the last step, with one draw.
  No epoch is chosen. Intervals are Wilson's 95% over the test images, of the mean over seeds.
- MFLOPs are XLA's count for one image, memory is XLA's plan of a training step with its batch.
"""

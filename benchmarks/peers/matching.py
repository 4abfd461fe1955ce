"""Match two label images with cellpose or StarDist, for a comparison of results and times.

Run by `benchmarks/matching.py` with the interpreter of an environment that has the peer:
`python benchmarks/peers/matching.py cellpose|stardist TRUTH.npy PRED.npy REPEATS THRESHOLD…`
Prints one line of JSON: the seconds of each repetition and, per threshold, tp, fp, fn and (for
StarDist) the mean IoU of the matched objects.
"""

import json
import sys
import time

import numpy as np


def run_cellpose(truth, pred, thresholds):
    from cellpose.metrics import average_precision

    _, tp, fp, fn = average_precision([truth], [pred], threshold=thresholds)
    return [[int(n) for n in row] for row in zip(tp[0], fp[0], fn[0], strict=True)]


def run_stardist(truth, pred, thresholds):
    from stardist.matching import matching

    found = matching(truth, pred, thresh=thresholds)
    return [[int(m.tp), int(m.fp), int(m.fn), float(m.mean_matched_score)] for m in found]


peer, truth_file, pred_file, repeats, *thresholds = sys.argv[1:]
truth, pred = np.load(truth_file), np.load(pred_file)
function = {"cellpose": run_cellpose, "stardist": run_stardist}[peer]
levels = [float(t) for t in thresholds]
function(truth[:64, :64], pred[:64, :64], levels)  # compile what it compiles
seconds, result = [], []
for _ in range(int(repeats)):
    start = time.perf_counter()
    result = function(truth, pred, levels)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "result": result}))

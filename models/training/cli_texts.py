"""What the help of `dwpose-train` teaches beyond its options."""

from __future__ import annotations

from typing import Final

EPILOG: Final = """\
  dwpose-train --recipe NAME ...     is short for   dwpose-train run --recipe NAME ...
  dwpose-train COMMAND --help        explains a command

examples:
  dwpose-train recipes
  dwpose-train --recipe s1-l-t-256 --print                      # the settings, complete
  dwpose-train --recipe s1-l-t-256 --device cuda                # runs/s1-l-t-256/
  dwpose-train --recipe s1-l-t-256 --device cuda --resume       # go on after a stop or a crash
  torchrun --nproc-per-node 8 -m dwpose_infer.models.training.cli --recipe s1-l-t-256 --device cuda
  dwpose-train transfer runs/s1-l-t-256 --stage 1 --out runs/s1-l-t-256/model.pth
  dwpose-train distill --teacher l.pth --size t --out dw-t --device cuda --processes 8

Needs pip install "dwpose-infer[train]".

exit status:
  0 done       1 failed     2 wrong usage     3 device or optional package unavailable
  4 weights not available   130, 143 stopped by Ctrl-C, by SIGTERM; --resume goes on
"""

RUN_EPILOG: Final = """\
settings:
  A recipe is a complete set. --set takes any key of `--print keys`: numbers and text as they are,
  null for none, lists and groups as JSON:
    --set epochs=30 --set precision=bf16 --set optimizer.learning_rate=1e-3
    --set 'augment.scale_range=[0.6, 1.4]' --set initial=null

data:
  Annotation files have the layout of COCO-WholeBody; UBody's and your own can, too. The recipes
  expect the official sets in data/, see docs/training.md; --data takes others.

what is written to --out:
  settings.json           the settings           log.csv, validation.csv, curves.png   how it goes
  best.pth                the weights of the best validation
  checkpoints/step_*.pth  to go on from; all of them are read by dwpose-export

Ctrl-C and SIGTERM end a run after the step under way, with a checkpoint. A run that goes on gives
exactly the losses of one that was never stopped.

examples:
  dwpose-train --recipe base-t-256 --data train.json images/ --validation val.json images/ \\
      --set initial=null --set batch_size=64 --set epochs=30 --out runs/mine
  dwpose-train --out runs/mine --resume
  dwpose-train --recipe s1-l-t-256 --device cuda --max-steps 200 --report speed.json
"""

TRANSFER_EPILOG: Final = """\
Stage 1 hands on the student, stage 2 the teacher's backbone with the student's head. Checkpoints of
the official code are read too; nothing in them is run. The result is a plain checkpoint under the
official names, for the next stage, for dwpose-export and for other programs.

examples:
  dwpose-train transfer runs/s1-l-t-256 --stage 1 --out runs/s1-l-t-256/model.pth
  dwpose-train transfer official_s2_epoch_60.pth --stage 2 --out dw-t.pth
"""

DISTILL_EPILOG: Final = """\
what is written to --out:
  stage1/, stage2/             the runs, as `dwpose-train run` writes them
  stage1/model.pth             the student after stage 1
  stage2/model.pth             the trained network
  model.onnx, parity.json      for dwpose-infer --pose; how it compares with the network
  check.json, check.jpg        what it finds on a picture
  distill.json                 the finished steps

The student's settings are those of its recipes (`dwpose-train recipes`), 270 and 60 epochs long,
on the official data unless --data is given.

Stopped at any point, the same command goes on; within a stage from its newest checkpoint. With
another teacher, data or settings it says what differs: give another --out, or remove the folder.

examples:
  dwpose-train distill --teacher l.pth --size t --out dw-t --device cuda --processes 8
  dwpose-train distill --teacher l.pth --size t --data train.json images/ \\
      --validation val.json images/ --initial none --stage1-set epochs=30 --stage2-set epochs=10 \\
      --out mine
  dwpose-infer photo.jpg --pose mine/model.onnx
"""

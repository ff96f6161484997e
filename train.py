"""Trains a Transformer composed of parts: `python train.py --help`.

Hydra's shell completion looks for the text `@hydra.main` in this file; the launcher applies it.
"""

import sys

from framework.cli.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

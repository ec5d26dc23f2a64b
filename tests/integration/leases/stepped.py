"""A module run (``python stepped.py MODULE``) on a machine whose wall clock somebody sets.

``CLOCK_OFFSET`` names a file with the seconds by which it is off from then on.  Only this process sees them; what
counts from the boot goes on as it does when a real clock is set.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

offset, real = Path(os.environ["CLOCK_OFFSET"]), time.time


def stepped() -> float:
    return real() + float(offset.read_text())


time.time = stepped
module = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
runpy.run_module(module, run_name="__main__", alter_sys=True)

# What halbench/__init__.py imports with its first use.
from halbench.api import Comparison as Comparison
from halbench.api import GateResult as GateResult
from halbench.api import Run as Run
from halbench.api import compare as compare
from halbench.api import gate as gate
from halbench.api import load as load
from halbench.api import report as report
from halbench.api import run as run
from halbench.api import run_suites as run_suites
from halbench.api import score as score
from halbench.errors import InputError as InputError
from halbench.reasoning import Reasoning as Reasoning

__version__: str

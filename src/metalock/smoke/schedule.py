"""The order in which groups of capabilities run, one after another or two at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

from metalock.errors import MetalockError
from metalock.evidence.contract import Capability
from metalock.evidence.model import Observation, Observed
from metalock.smoke.bytecode import compile_ahead
from metalock.smoke.process import ProcessSetup, try_together
from metalock.smoke.setup import SecondInstalls, SmokeRequest, equipped

Waiting = deque[tuple[int, list[Capability]]]
"""Groups that are not started yet, with their numbers."""


class Runs:
    """One run of the suite: what has been reported, and whether it is interrupted."""

    def __init__(
        self, request: SmokeRequest, setup: ProcessSetup, report: Callable[[Observation], None]
    ) -> None:
        self._request = request
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._mutex = threading.Lock()
        self._report_to = report
        self._setup = replace(setup, interrupted=self._interrupted)
        self._second_installs = SecondInstalls(request, setup.scratch)
        self._gpus: list[str] = []
        self.faults: list[str] = []
        """Why something could not be tried, other than that there is no such device."""

    def run(self, groups: Sequence[list[Capability]]) -> list[str]:
        """Try all groups, and return the names of the GPUs that TensorFlow saw.

        The first group is the largest. The others run at the same time, once TensorFlow's bytecode is
        compiled, which the end of the first capability shows; until then, a second process compiles half of
        it, and the prefixes of second installs are made. The process that is free takes the next group.
        """
        scenarios = dict.fromkeys(group[0].scenario for group in groups if group[0].scenario)
        waiting = deque(enumerate(groups))
        with ThreadPoolExecutor(max_workers=1) as pool:
            try:
                if self._request.side_by_side:
                    first = waiting.popleft()
                    others = pool.submit(self._run_others, waiting, scenarios)
                    self._group(*first)
                    self._begun.set()
                    self._rest(waiting)
                    others.result()
                else:
                    self._rest(waiting)
            except BaseException:
                self._stop.set()
                self._begun.set()
                raise
        return self._gpus

    def _interrupted(self) -> bool:
        return self._stop.is_set() or self._request.interrupted()

    def _run_others(self, waiting: Waiting, scenarios: Iterable[str]) -> None:
        compile_ahead(self._setup, self._begun.is_set)
        for scenario in scenarios:
            if not self._interrupted():
                with suppress(MetalockError):  # tried again, and reported, when its turn comes
                    self._second_installs.make(scenario)
        self._begun.wait()
        self._rest(waiting)

    def _rest(self, waiting: Waiting) -> None:
        while True:
            try:
                number, group = waiting.popleft()
            except IndexError:
                return
            self._group(number, group)

    def _group(self, number: int, group: list[Capability]) -> None:
        """Try a group; what is not available on this machine makes its capabilities unverified."""
        with ExitStack() as stack:
            try:
                setup = stack.enter_context(equipped(group[0], self._setup, self._second_installs))
            except MetalockError as error:
                self.faults.append(str(error))
                for capability in group:
                    self._report(
                        Observation(name=capability.key, observed=Observed.SKIPPED, error=str(error))
                    )
                return
            scratch = self._setup.scratch / f"group-{number}"
            scratch.mkdir()
            found = try_together(group, replace(setup, scratch=scratch), self._report)
        self._gpus = found or self._gpus

    def _report(self, observation: Observation) -> None:
        with self._mutex:
            self._report_to(observation)
        self._begun.set()

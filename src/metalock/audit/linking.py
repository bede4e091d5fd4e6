"""Would the loader take this file, and bind all that it asks for? Decided from the files alone.

Mach-O follows dyld: a library is found by its path, or because an image with that install name is
loaded already; a two-level import is looked up in its library and what that re-exports, a flat one
in everything loaded that is not hidden. ELF follows ld.so: DT_NEEDED by SONAME or run path, symbols and
their versions in global scope and in what the opened file links.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from metalock.audit.search import Files, Found, Process, is_optional
from metalock.audit.systems import System
from metalock.binaries import Binary, FileType, Format, Import, LinkKind, Lookup
from metalock.binaries.elf_exports import ElfExports

ENTRY = "tensorflow/python/_pywrap_tensorflow_internal.so"
"""What `import tensorflow` loads (tensorflow/python/pywrap_tensorflow.py)."""
GLOBAL_FLAGS = "tensorflow/python/pywrap_dlopen_global_flags.py"
"""Where a wheel has this, the entry is opened with RTLD_GLOBAL, else with RTLD_LOCAL (same place)."""
_LIBRARY_NAME = re.compile(r"\.(?:so|dylib)(?:\.\d+)*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What the loader would refuse a file for, each list sorted."""

    libraries: tuple[str, ...] = ()
    """Names that lead nowhere."""
    refused: tuple[str, ...] = ()
    """Files that are found and are no libraries."""
    versions: tuple[str, ...] = ()
    """Symbol versions that a library which is found does not define."""
    symbols: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    """What could not be compared: the loader may take the file or not."""

    def __bool__(self) -> bool:
        return bool(self.libraries or self.refused or self.versions or self.symbols)

    def __or__(self, other: Missing) -> Missing:
        """Return all that either of the two misses."""
        return Missing(
            libraries=_merged(self.libraries, other.libraries),
            refused=_merged(self.refused, other.refused),
            versions=_merged(self.versions, other.versions),
            symbols=_merged(self.symbols, other.symbols),
            unjudged=_merged(self.unjudged, other.unjudged),
        )


def _merged(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for part in parts for name in part}))


def _defines(image: Binary, version: str) -> bool:
    """Return whether ld.so continues with that version of the library.

    It does not ask a library that defines none, but aborts if that has no version table either.
    """
    if image.defined_versions:
        return version in image.defined_versions
    return not isinstance(image.exports, ElfExports) or len(image.exports.indices) > 0


def is_library_name(path: str) -> bool:
    """Return whether a file of that name is one that Python or a loader opens.

    >>> is_library_name("a/b.so.2"), is_library_name("a/b.cpython-311-darwin.so"), is_library_name("a/so.py")
    (True, True, False)
    """
    return _LIBRARY_NAME.search(path) is not None


class Images:
    """The binaries of an environment by their path in site-packages, and which TensorFlow has loaded."""

    def __init__(
        self,
        binaries: Mapping[str, Binary],
        paths: Container[str] = (),
        *,
        system: System | None = None,
        foreign: Container[str] = (),
        unread: Container[str] = (),
    ) -> None:
        system = system or System(format=Format.MACH_O)
        self._binaries = binaries
        self._files = Files(system=system, binaries=binaries, paths=paths, foreign=foreign, unread=unread)
        self._system = system
        self._is_global = GLOBAL_FLAGS in paths
        self._known: dict[str, dict[str, Missing]] = {}
        self._lookups: dict[tuple[str, str, str | None], bool] = {}
        self._tensorflow = self._files.load(ENTRY) if ENTRY in binaries else Process()
        self.loaded: dict[str, Binary] = {path: binaries[path] for path in self._tensorflow.images}
        """What TensorFlow loads."""
        self.unread = {
            found.path
            for found in self._tensorflow.bound.values()
            if found is not None and found.path is not None and found.path not in binaries
        }
        """What TensorFlow loads and could not be read: while there is any, plugins are not judged."""
        if ENTRY not in binaries:
            self.unread.add(ENTRY)

    def roots(self) -> tuple[str, ...]:
        """Return the files that are opened by name: those that no other file of the environment links."""
        linked: dict[str, set[str]] = {}
        for path in self._binaries:
            process = self._process(path)
            linked[path] = process.images.keys() - {path}
        below = set[str]().union(*linked.values())
        roots = [path for path in self._binaries if path not in below]
        reached = set(roots).union(*(linked[path] for path in roots))
        for path in self._binaries:  # a circle of libraries has no first one
            if path not in reached:
                roots.append(path)
                reached |= {path} | linked[path]
        return tuple(sorted(path for path in roots if path == ENTRY or path not in self.loaded))

    def _process(self, root: str) -> Process:
        inside = root == ENTRY or self._binaries[root].file_type is FileType.EXECUTABLE
        return self._files.load(root, None if inside else self._tensorflow)

    def missing(self, root: str) -> Missing:
        """Return what `dlopen` of the file would not find, once TensorFlow is loaded."""
        result = Missing()
        for missing in self.opened(root).values():
            result |= missing
        return result

    def opened(self, root: str) -> Mapping[str, Missing]:
        """Return what each image misses that `dlopen` of `root` loads."""
        if root not in self._known:
            process = self._process(root)
            scope = self._scope(root, process)
            names = process.system() | self._tensorflow.system()
            self._known[root] = {path: self._missing(path, process, scope, names) for path in process.images}
        return self._known[root]

    def _missing(self, user: str, process: Process, scope: list[str], system: set[str]) -> Missing:
        binary = self._binaries[user]
        bound = {library.name: process.bound[user, library.name] for library in binary.libraries}
        optional = {library.name for library in binary.libraries if is_optional(library.kind)}
        absent = {name for name, found in bound.items() if found is None and name not in optional}
        refused = [
            f"{found.path}: {found.refused}"
            for name, found in bound.items()
            if found is not None and found.refused and name not in optional
        ]
        symbols = [
            wanted.name
            for wanted in binary.imports or ()
            if not wanted.weak and not self._binds(wanted, user, bound, scope, system)
        ]
        unjudged = [
            f"whether the system has {found.unsure}"
            for name, found in bound.items()
            if found is not None and found.unsure and name not in optional
        ]
        unjudged += ["its imports were not read"] if binary.imports is None else []
        unjudged += [
            f"{found.path} was not read"
            for found in bound.values()
            if found is not None
            and found.path is not None
            and not found.refused
            and found.path not in self._binaries
        ]
        return Missing(
            libraries=tuple(sorted(absent)),
            refused=tuple(sorted(refused)),
            versions=_merged(self._versions(binary, bound)),
            symbols=_merged(symbols),
            unjudged=_merged(unjudged),
        )

    def _versions(self, binary: Binary, bound: Mapping[str, Found | None]) -> Iterator[str]:
        """Give the versions that are not defined (glibc's `_dl_check_map_versions`)."""
        for needed in binary.needed_versions:
            found = bound.get(needed.library)
            if needed.weak or found is None:
                continue
            image = self._binaries.get(found.path or "")
            if found.path is None:
                missing = not self._system.defines(needed.library, needed.version)
            else:
                missing = image is not None and not _defines(image, needed.version)
            if missing:
                yield f"{needed.version} of {needed.library}"

    def _binds(
        self,
        wanted: Import,
        user: str,
        bound: Mapping[str, Found | None],
        scope: list[str],
        system: set[str],
    ) -> bool:
        """Return whether the loader would find the symbol."""
        found = bound.get(wanted.library or "")
        if wanted.lookup is Lookup.LIBRARY:
            if found is None or found.refused or found.path is None:
                return True  # is reported as a library, may be missing, or is the system's
            return found.path not in self._binaries or self._provides(found.path, wanted, set())
        if wanted.version is not None and found is not None and found.path is None:
            return True  # the system's library defines the version, or that is reported
        if self._exports(user, wanted) or wanted.lookup is Lookup.SELF:
            return self._exports(user, wanted)
        return self._system.exports(wanted.name, system) or any(self._exports(path, wanted) for path in scope)

    def _exports(self, path: str, wanted: Import) -> bool:
        key = path, wanted.name, wanted.version
        if key not in self._lookups:
            self._lookups[key] = self._binaries[path].exports.provides(wanted)
        return self._lookups[key]

    def _provides(self, path: str, wanted: Import, seen: set[str]) -> bool:
        """Return whether the image exports the symbol, itself or by a library that it re-exports."""
        if self._exports(path, wanted):
            return True
        seen.add(path)
        for library in self._binaries[path].libraries:
            if library.kind is LinkKind.REEXPORT:
                onwards = self._bound_of(path, library.name)
                if onwards and onwards.path is None and not is_tensorflow_symbol(wanted.name):
                    return True
                next_path = onwards.path if onwards is not None else None
                if next_path is None or next_path in seen or next_path not in self._binaries:
                    continue
                if self._provides(next_path, wanted, seen):
                    return True
        return False

    def _bound_of(self, path: str, name: str) -> Found | None:
        process = self._tensorflow if path in self.loaded else self._process(path)
        return process.bound.get((path, name))

    def _scope(self, root: str, process: Process) -> list[str]:
        """Return where flat lookups search: what is loaded for all to see, then what `root` loads and links.

        RTLD_LOCAL hides what was opened: for dyld that image alone (`depOptions.rtldLocal = false` in
        `dlopen_from`), for ld.so with all that it links.
        """
        is_macho = self._binaries[root].format is Format.MACH_O
        scope = dict.fromkeys(self.loaded) if self._is_global or is_macho else {}
        queue = [root]
        while queue:
            path = queue.pop(0)
            scope[path] = None
            bound = process.bound if path in process.images else self._tensorflow.bound
            for library in self._binaries[path].libraries:
                found = bound.get((path, library.name))
                onwards = found.path if found is not None else None
                if onwards is not None and onwards in self._binaries and onwards not in scope:
                    queue.append(onwards)
        if is_macho and not self._is_global and root != ENTRY:
            scope.pop(ENTRY, None)
        return list(scope)


_C_NAME = re.compile(r"_?(?:TFE?|TFNPD|TSL|SE|SP|TP)_[A-Z]")
_MANGLED = re.compile(r"_{1,4}Z")
_NAMESPACE = re.compile(
    r"N[rVK]*[RO]?(?:10tensorflow|3tsl|3xla|15stream_executor|4absl|6google8protobuf|4mlir)"
)


@lru_cache(1 << 16)
def is_tensorflow_symbol(name: str) -> bool:
    """Return whether only TensorFlow, a library that it carries, or a plugin itself can have the symbol.

    Of C++ names, those that name one of their namespaces anywhere (Itanium ABI, nested names): the system
    has no `std::vector<tensorflow::Tensor>` either.

    >>> is_tensorflow_symbol("_TF_NewStatus"), is_tensorflow_symbol("_malloc")
    (True, False)
    """
    if _MANGLED.match(name):
        return _NAMESPACE.search(name) is not None
    return _C_NAME.match(name) is not None

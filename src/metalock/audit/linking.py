"""Would the loader bind this plugin to that TensorFlow? Decided from the two files alone.

Mach-O follows dyld: a library is found by its path, or because an image with that install name is
loaded already; a two-level import is looked up in its library and what that re-exports, a flat one
in everything loaded that isn't hidden. ELF follows ld.so: DT_NEEDED by SONAME or run path, symbols in
global scope and in what the plugin itself links.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from metalock.binaries import Binary, Format, Import, Library, LinkKind, Lookup

ENTRY = "tensorflow/python/_pywrap_tensorflow_internal.so"
"""What `import tensorflow` loads (tensorflow/python/pywrap_tensorflow.py)."""
GLOBAL_FLAGS = "tensorflow/python/pywrap_dlopen_global_flags.py"
"""Where a wheel has this, the entry is opened with RTLD_GLOBAL, else with RTLD_LOCAL (same place)."""
_C_NAME = re.compile(r"_?(?:TFE?|TFNPD|TSL|SE|SP|TP)_[A-Z]")
_MANGLED = re.compile(r"_{1,4}Z")
_NAMESPACE = re.compile(
    r"N[rVK]*[RO]?(?:10tensorflow|3tsl|3xla|15stream_executor|4absl|6google8protobuf|4mlir)"
)
_MACOS_SYSTEM = ("/usr/lib/", "/System/")
_ELF_SYSTEM = re.compile(
    r"(?:ld-linux-x86-64|lib(?:c|m|dl|rt|pthread|util|nsl|resolv|gcc_s|stdc\+\+|z|expat|atomic"
    r"|X11|Xext|Xrender|ICE|SM|GL|glib-2\.0|gobject-2\.0|gthread-2\.0))\.so(?:\.\d+)*"
)
"""What a manylinux wheel may expect of the system (PEP 600 leaves the list to auditwheel's policies)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What the loader would complain about, each list sorted."""

    libraries: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.libraries or self.symbols)


class Images:
    """The binaries of an environment by their path in site-packages, and which TensorFlow has loaded."""

    def __init__(
        self, binaries: Mapping[str, Binary], paths: Container[str] = (), entry: str = ENTRY
    ) -> None:
        self._binaries = binaries
        self._paths = paths
        self._users: dict[str, set[str]] | None = None
        self._entry = entry
        self._is_global = GLOBAL_FLAGS in paths
        self.loaded: dict[str, Binary] = {}
        self.unread: set[str] = set()
        """What TensorFlow loads and could not be looked at: while there is any, plugins are not judged."""
        if entry in binaries:
            self._load(entry)
        else:
            self.unread.add(entry)

    def _load(self, path: str) -> None:
        binary = self._binaries[path]
        self.loaded[path] = binary
        for library in binary.libraries:
            found = self.locate(library.name, path)
            if found is not None and found not in self._binaries:
                self.unread.add(found)
            elif found is not None and found not in self.loaded:
                self._load(found)

    def locate(self, name: str, user: str) -> str | None:
        """The path in site-packages that a library's name leads to from `user`, if any does."""
        return (
            self._by_own_path(name, user)
            or self._by_path_of_users(name, user)
            or next((path for path, image in self.loaded.items() if image.name == name), None)
        )

    def _by_own_path(self, name: str, user: str) -> str | None:
        candidates = _candidates(name, posixpath.dirname(user), self._binaries[user])
        return next((path for path in candidates if path in self._binaries or path in self._paths), None)

    def _by_path_of_users(self, name: str, user: str) -> str | None:
        """ELF's DT_RPATH serves what is loaded below it too, up to a DT_RUNPATH (ld.so(8)).

        That is how the libraries in a wheel's `.libs` folder find each other.
        """
        binary = self._binaries[user]
        if binary.format is not Format.ELF or binary.runpaths or "/" in name or is_elf_system(name):
            return None
        seen, queue = {user}, sorted(self._linked_by().get(user, ()))
        while queue:
            above = queue.pop(0)
            if above in seen:
                continue
            seen.add(above)
            if not self._binaries[above].runpaths and (found := self._by_own_path(name, above)):
                return found
            queue += sorted(self._linked_by().get(above, ()))
        return None

    def _linked_by(self) -> dict[str, set[str]]:
        """Library to the binaries that link it, as far as paths lead; grown until nothing is added."""
        if self._users is None:
            self._users = {}
            open_ends = [
                (library.name, path)
                for path, binary in self._binaries.items()
                for library in binary.libraries
                if binary.format is Format.ELF and not is_elf_system(library.name)
            ]
            while True:
                ends = [(n, p, self._by_own_path(n, p) or self._by_path_of_users(n, p)) for n, p in open_ends]
                for _, path, found in ends:
                    if found is not None:
                        self._users.setdefault(found, set()).add(path)
                left = [(name, path) for name, path, found in ends if found is None]
                if len(left) == len(open_ends):
                    break
                open_ends = left
        return self._users

    def missing(self, user: str) -> Missing:
        """What the binary at `user` needs and wouldn't find, once TensorFlow is loaded."""
        binary = self._binaries[user]
        found = {library.name: self.locate(library.name, user) for library in binary.libraries}
        absent = [
            library.name
            for library in binary.libraries
            if library.kind is not LinkKind.WEAK
            and found[library.name] is None
            and not is_system(library, binary)
        ]
        scope = self._scope(user)
        symbols = [
            wanted.name
            for wanted in binary.imports or ()
            if not wanted.weak
            and not self._bound(wanted, found, absent, [binary] if wanted.lookup is Lookup.SELF else scope)
        ]
        return Missing(libraries=tuple(sorted(absent)), symbols=tuple(sorted(set(symbols))))

    def _bound(
        self, wanted: Import, found: Mapping[str, str | None], absent: list[str], scope: Iterable[Binary]
    ) -> bool:
        if wanted.lookup is Lookup.LIBRARY and wanted.library is not None:
            if wanted.library in absent:
                return True
            path = found.get(wanted.library)
            image = self._binaries.get(path) if path is not None else None
            return image is None or self._provides(image, path or "", wanted, set())
        if wanted.lookup is Lookup.EXECUTABLE or not is_tensorflow_symbol(wanted.name):
            return True
        return any(image.exports.provides(wanted) for image in scope)

    def _provides(self, image: Binary, path: str, wanted: Import, seen: set[str]) -> bool:
        """Whether the image exports the symbol, itself or by a library that it re-exports."""
        if image.exports.provides(wanted):
            return True
        seen.add(path)
        for library in image.libraries:
            if library.kind is LinkKind.REEXPORT:
                onwards = self.locate(library.name, path)
                if onwards is None and is_system(library, image) and not is_tensorflow_symbol(wanted.name):
                    return True
                if onwards is None or onwards in seen or onwards not in self._binaries:
                    continue
                if self._provides(self._binaries[onwards], onwards, wanted, seen):
                    return True
        return False

    def _scope(self, user: str) -> list[Binary]:
        """Where flat lookups search: what TensorFlow loaded for all to see, the binary, and what it loads.

        RTLD_LOCAL hides what was opened: for dyld that image alone (`depOptions.rtldLocal = false` in
        `dlopen_from`), for ld.so with all that it links.
        """
        is_macho = self._binaries[user].format is Format.MACH_O
        scope = dict(self.loaded) if self._is_global or is_macho else {}
        queue = [user]
        while queue:
            path = queue.pop()
            scope[path] = self._binaries[path]
            for library in self._binaries[path].libraries:
                found = self.locate(library.name, path)
                if found is not None and found in self._binaries and found not in scope:
                    queue.append(found)
        if is_macho and not self._is_global and user != self._entry:
            scope.pop(self._entry, None)
        return list(scope.values())


@lru_cache(1 << 16)
def is_tensorflow_symbol(name: str) -> bool:
    """Whether the symbol can only come from TensorFlow, a library that it carries, or a plugin itself.

    Of C++ names, those that name one of their namespaces anywhere (Itanium ABI, nested names): the system
    has no `std::vector<tensorflow::Tensor>` either.

    >>> is_tensorflow_symbol("_TF_NewStatus"), is_tensorflow_symbol("_malloc")
    (True, False)
    """
    if _MANGLED.match(name):
        return _NAMESPACE.search(name) is not None
    return _C_NAME.match(name) is not None


def is_elf_system(name: str) -> bool:
    """Whether a manylinux wheel may expect the library of the system."""
    return _ELF_SYSTEM.fullmatch(name) is not None


def is_system(library: Library, binary: Binary) -> bool:
    """Whether the operating system brings the library, as far as its name tells."""
    if binary.format is Format.MACH_O:
        return library.name.startswith(_MACOS_SYSTEM)
    return is_elf_system(library.name)


def _candidates(name: str, folder: str, binary: Binary) -> Iterator[str]:
    """Paths in site-packages that the loader would try, in its order."""
    if binary.format is Format.MACH_O:
        origins: tuple[str, ...] = ("@loader_path",)
        rest = name.removeprefix("@rpath/")
        places = [f"{rpath}/{rest}" for rpath in binary.rpaths] if rest != name else [name]
    else:
        origins = ("$ORIGIN", "${ORIGIN}")
        places = [name] if "/" in name else [f"{path}/{name}" for path in binary.runpaths or binary.rpaths]
    for place in places:
        for origin in origins:
            if place.startswith(origin):
                path = posixpath.normpath(posixpath.join(folder, place.removeprefix(origin).lstrip("/")))
                if not path.startswith("../"):
                    yield path

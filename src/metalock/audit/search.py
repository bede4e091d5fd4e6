"""Where the loader finds a library: by its path, by its run paths, or because it is loaded already."""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field

from metalock.audit.systems import System
from metalock.binaries import Binary, FileType, Format, LinkKind

_ORIGINS = {Format.MACH_O: ("@loader_path",), Format.ELF: ("$ORIGIN", "${ORIGIN}")}


@dataclass(frozen=True, slots=True)
class Found:
    """What a library's name leads to: a path in site-packages, or the system (without a path)."""

    path: str | None = None
    refused: str = ""
    """Why the loader does not take the file at `path`."""
    unsure: str = ""
    """The place in the system where no list says whether there is a library."""


@dataclass(slots=True)
class Process:
    """The images that one call of `dlopen` loads, in the loader's order, on top of what is loaded."""

    images: dict[str, str | None] = field(default_factory=dict)
    """Path to the path of the image that it was loaded for, of new images only."""
    names: dict[str, Found] = field(default_factory=dict)
    """On ELF, every name by which something loaded is known: SONAMEs, and names that were asked for."""
    bound: dict[tuple[str, str], Found | None] = field(default_factory=dict)
    """Image and the name of a library that it links, to what that is; None if it is found nowhere."""

    def system(self) -> set[str]:
        """Return the names of the system's libraries that the images link."""
        return {name for (_, name), found in self.bound.items() if found is not None and found.path is None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of an environment by path in site-packages, on one system."""

    system: System
    binaries: Mapping[str, Binary]
    paths: Container[str] = ()
    foreign: Container[str] = ()
    """Binaries for other machines: ld.so passes over them while it searches."""
    unread: Container[str] = ()
    """Files that begin like a binary and could not be read."""

    def load(self, root: str, loaded: Process | None = None) -> Process:
        """Load an image and all that it links, breadth first, next to what is loaded already."""
        process = Process(names=dict(loaded.names) if loaded else {})
        known: Collection[str] = loaded.images.keys() if loaded else ()
        process.images[root] = None
        self._name(process, root)
        queue = deque([root])
        while queue:
            user = queue.popleft()
            for library in self.binaries[user].libraries:
                found = self._find(library.name, user, process, known)
                process.bound[user, library.name] = found
                if found is None or (found.refused and found.path in known):
                    continue
                if self.binaries[user].format is Format.ELF:
                    process.names.setdefault(library.name, found)
                path = found.path or ""
                if path in self.binaries and path not in process.images and path not in known:
                    process.images[path] = user
                    self._name(process, path)
                    queue.append(path)
        return process

    def _name(self, process: Process, path: str) -> None:
        name = self.binaries[path].name
        if name and self.binaries[path].format is Format.ELF:
            process.names.setdefault(name, Found(path))

    def _find(self, name: str, user: str, process: Process, loaded: Collection[str]) -> Found | None:
        """Return what the name leads to, in the order of `_dl_map_object` (glibc) or `getLoader` (dyld)."""
        if self.binaries[user].format is Format.ELF and name in process.names:
            return process.names[name]
        for place in self._candidates(name, user, process):
            found = self._at(place)
            if found is not None:
                return found
        if self.binaries[user].format is Format.ELF:
            return self._in_system(name)
        return self._by_install_name(name, process, loaded)

    def _by_install_name(self, name: str, process: Process, loaded: Collection[str]) -> Found | None:
        """Return the loaded image with that install name: dyld asks for it where no path leads to a file."""
        found = self._in_system(name)
        if found is not None:
            return found
        images = (*loaded, *process.images)
        return next((Found(path) for path in images if self.binaries[path].name == name), None)

    def _in_system(self, name: str) -> Found | None:
        known = self.system.has(name)
        return None if known is False else Found(unsure="" if known else name)

    def _at(self, place: str) -> Found | None:
        if place.startswith("/"):
            return self._in_system(place)
        if place in self.binaries:
            kind = self.binaries[place].file_type
            linkable = kind is FileType.LIBRARY
            return Found(place, "" if linkable else f"it is not a library but of the kind {kind}")
        if place in self.foreign:
            return None
        if place in self.unread:
            return Found(place)
        return Found(place, "it is not a library") if place in self.paths else None

    def _candidates(self, name: str, user: str, process: Process) -> Iterator[str]:
        """Give the paths that the loader would try, in its order; those outside of site-packages absolute."""
        binary = self.binaries[user]
        if binary.format is Format.MACH_O:
            yield from _macho_candidates(name, user, self._users(user, process))
        elif "/" in name:
            yield from _placed(name, user, Format.ELF)
        elif binary.runpaths:
            for path in binary.runpaths:
                yield from _placed(f"{path}/{name}", user, Format.ELF)
        else:
            for above, image in self._users(user, process):
                for path in () if image.runpaths else image.rpaths:
                    yield from _placed(f"{path}/{name}", above, Format.ELF)

    def _users(self, user: str, process: Process) -> Iterator[tuple[str, Binary]]:
        """Give the image and those that it was loaded for: DT_RPATH and LC_RPATH serve all that is below."""
        above: str | None = user
        while above is not None:
            yield above, self.binaries[above]
            above = process.images.get(above)


def _macho_candidates(name: str, user: str, users: Iterator[tuple[str, Binary]]) -> Iterator[str]:
    rest = name.removeprefix("@rpath/")
    if rest == name:
        yield from _placed(name, user, Format.MACH_O)
        return
    for above, image in users:
        for path in image.rpaths:
            yield from _placed(f"{path}/{rest}", above, Format.MACH_O)


def _placed(place: str, user: str, form: Format) -> Iterator[str]:
    if place.startswith("/"):
        yield posixpath.normpath(place)
    for origin in _ORIGINS[form]:
        rest = place.removeprefix(origin)
        if rest != place and rest[:1] in ("", "/"):
            inside = rest.lstrip("/")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(user), inside))
            if not path.startswith("../"):
                yield path


def is_optional(kind: LinkKind) -> bool:
    """Return whether the loader continues without a library that is linked this way."""
    return kind is LinkKind.WEAK

"""Where a file of a package registry lies: the archive's address and hash, and the file's path inside it.

usage: registry.py resolve pypi:PACKAGE==VERSION/PATH | npm:PACKAGE@VERSION/PATH

Prints one line of JSON: {"url", "sha256" or null, "integrity" or null, "archive": "wheel" | "sdist" | "tgz", "member"}.
Ends with 1 and a line on stderr when there is no such thing. Registries are those that pip and npm are configured for,
their own defaults included. Needs nothing but the standard library, and pip or npm for their configuration.
"""

import ast
import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

TIMEOUT = 30  # seconds an answer may take
MOST_BYTES = 256 << 20  # of an answer


class NotFound(Exception):
    """Why there is nothing, in one line."""


def without_credentials(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def fetch(url: str, opener, accept: str) -> tuple:
    """The final address, the content type and the bytes. A folder (file:) is its index.html."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        path = Path(urllib.request.url2pathname(parts.path))
        path = path / "index.html" if path.is_dir() else path
        return path.as_uri(), "text/html", path.read_bytes()
    if parts.scheme not in ("http", "https"):
        raise NotFound(f"{without_credentials(url)}: only http, https and file are supported")
    headers = {"Accept": accept, "User-Agent": "image-engine"}
    if parts.username:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
    with opener.open(urllib.request.Request(without_credentials(url), headers=headers), timeout=TIMEOUT) as answer:
        data = answer.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise NotFound(f"{without_credentials(url)}: the answer is too long")
        # Relative links go on with the credentials of the address asked, unless it led elsewhere.
        final = url if answer.geturl() == without_credentials(url) else answer.geturl()
        return final, answer.headers.get_content_type(), data


# pip


def pip_settings() -> dict:
    """pip's settings by name, the environment's before those of `pip install` before the global ones."""
    listed = subprocess.run([sys.executable, "-I", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise NotFound(f"pip's configuration cannot be read: {(listed.stderr.strip().splitlines() or ['no pip'])[-1]}")
    values = {}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        rank = {":env:": 0, "install": 1, "global": 2}.get(section)
        if rank is not None and (name not in values or rank < values[name][0]):
            values[name] = (rank, ast.literal_eval(value))
    return {name: value for name, (_, value) in values.items()}


def pip_default_index() -> str:
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


def platform_tags() -> set:
    try:
        from pip._vendor.packaging.tags import sys_tags
    except ImportError:
        return set()
    return {str(tag) for tag in sys_tags()}


class Links(HTMLParser):
    """The addresses of a page's links."""

    def __init__(self, base: str):
        super().__init__()
        self.base, self.found = base, []

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag == "base" and href:
            self.base = urllib.parse.urljoin(self.base, href)
        elif tag == "a" and href:
            self.found.append(urllib.parse.urljoin(self.base, href))


SIMPLE_API = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


def files_of_page(url: str, opener) -> list:
    """(file name, address, sha256 or None) of each file that a page of the simple API, or any page, links to."""
    final, kind, data = fetch(url, opener, SIMPLE_API)
    if kind.endswith("+json"):
        entries = json.loads(data)["files"]
        return [(entry["filename"], urllib.parse.urljoin(final, entry["url"]), entry.get("hashes", {}).get("sha256")) for entry in entries]
    page = Links(final)
    page.feed(data.decode("utf-8", "replace"))
    files = []
    for link in page.found:
        address, fragment = urllib.parse.urldefrag(link)
        name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
        files.append((name, address, urllib.parse.parse_qs(fragment).get("sha256", [None])[0]))
    return files


def files_of_place(place: str, opener) -> list:
    """The same of one of pip's `find-links`: a folder, a page or an archive."""
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path)) if place.startswith("file:") else Path(place).expanduser()
    if path.is_dir():
        return [(item.name, item.absolute().as_uri(), None) for item in sorted(path.iterdir()) if item.is_file()]
    if path.is_file() and path.suffix not in (".html", ".htm"):
        return [(path.name, path.absolute().as_uri(), None)]
    return files_of_page(path.absolute().as_uri() if path.is_file() else place, opener)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def rank_of(file: str, package: str, version: str, tags: set):
    """How well an archive serves, 0 best; None: it is something else."""
    if file.endswith(".whl"):
        parts = file[:-4].split("-")
        if len(parts) not in (5, 6) or normal(parts[0]) != package or normal(parts[1]) != normal(version):
            return None
        if parts[-3:] == ["py3", "none", "any"]:
            return 0
        fits = {f"{p}-{a}-{t}" for p in parts[-3].split(".") for a in parts[-2].split(".") for t in parts[-1].split(".")} & tags
        return 1 if fits else 2
    for ending in (".tar.gz", ".zip"):
        name, _, found = file.removesuffix(ending).rpartition("-") if file.endswith(ending) else ("", "", "")
        if normal(name) == package and normal(found) == normal(version):
            return 3
    return None


def resolve_pypi(package: str, version: str, path: str) -> dict:
    settings = pip_settings()
    proxy = settings.get("proxy")
    proxies = {"http": proxy, "https": proxy} if proxy else None
    opener = opener_for(settings.get("cert"), proxies)
    indexes = [settings.get("index-url") or pip_default_index(), *settings.get("extra-index-url", "").split()]
    if str(settings.get("no-index", "")).lower() in ("1", "true", "yes", "on"):
        indexes = []
    places = [(files_of_page, f"{index.rstrip('/')}/{normal(package)}/") for index in indexes]
    places += [(files_of_place, place) for place in settings.get("find-links", "").split()]
    tags, candidates, reasons = platform_tags(), [], []
    for look, address in places:
        try:
            for file, url, sha256 in look(address, opener):
                rank = rank_of(file, normal(package), version, tags)
                if rank is not None:
                    candidates.append((rank, len(candidates), file, url, sha256))
        except (NotFound, OSError, KeyError, TypeError, ValueError) as error:
            reasons.append(reason(address, error))
    if not candidates:
        raise NotFound("; ".join([f"{package} {version} is in none of pip's indexes", *reasons]))
    rank, _, file, url, sha256 = min(candidates)
    sdist = re.sub(r"\.(tar\.gz|zip)$", "", file)
    member = path if rank < 3 else f"{sdist}/{path}"
    return {"url": url, "sha256": sha256, "integrity": None, "archive": "wheel" if rank < 3 else "sdist", "member": member}


# npm


def npm_settings() -> dict:
    """The settings of npm's user file. ${NAME} is the environment's."""
    path = Path(os.environ.get("npm_config_userconfig") or os.environ.get("NPM_CONFIG_USERCONFIG") or Path.home() / ".npmrc")
    values = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.lstrip().startswith(("#", ";")):
                value = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), value.strip().strip("\"'"))
                values[key.strip()] = value
    return values


def npm_registry(package: str, settings: dict) -> str:
    scope = package.partition("/")[0] if package.startswith("@") else ""
    of_scope = scope and settings.get(f"{scope}:registry")
    configured = of_scope or os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY") or settings.get("registry")
    if configured:
        return configured
    npm = shutil.which("npm")
    if not npm:
        raise NotFound("npm names no registry: npm is not installed and npm_config_registry is not set")
    asked = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, check=False)
    if not asked.stdout.strip().startswith(("http:", "https:")):
        raise NotFound(f"npm names no registry: {(asked.stderr.strip().splitlines() or ['no answer'])[-1]}")
    return asked.stdout.strip()


def resolve_npm(package: str, version: str, path: str) -> dict:
    settings = npm_settings()
    registry = npm_registry(package, settings).rstrip("/")
    proxy = settings.get("https-proxy") or settings.get("proxy")
    opener = opener_for(settings.get("cafile"), {"http": proxy, "https": proxy} if proxy else None)
    # The slash of a scoped name is part of the name.
    name = urllib.parse.quote(package, safe="@")
    try:
        try:
            final, _, data = fetch(f"{registry}/{name}/{version}", opener, "application/json")
            document = json.loads(data)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 405):
                raise
            # Not every registry answers for one version.
            final, _, data = fetch(f"{registry}/{name}", opener, "application/vnd.npm.install-v1+json, application/json;q=0.5")
            document = json.loads(data)["versions"].get(version)
            if document is None:
                raise NotFound(f"{package} {version} is not in {without_credentials(registry)}") from error
        distribution = document["dist"]
        url, integrity = urllib.parse.urljoin(final, distribution["tarball"]), distribution.get("integrity")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotFound(f"{package} {version}: {reason(registry, error)}") from error
    return {"url": url, "sha256": None, "integrity": integrity, "archive": "tgz", "member": f"package/{path}"}


# Both


def opener_for(certificates, proxies) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context(cafile=certificates) if certificates else ssl.create_default_context()
    handlers = [urllib.request.HTTPSHandler(context=context)]
    return urllib.request.build_opener(*handlers, *([urllib.request.ProxyHandler(proxies)] if proxies else []))


def reason(address: str, error: Exception) -> str:
    if isinstance(error, NotFound):
        return str(error)
    if isinstance(error, (urllib.error.HTTPError, urllib.error.URLError)):
        text = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error.reason)
    elif isinstance(error, OSError):
        text = error.strerror or type(error).__name__
    else:
        text = f"not understood ({type(error).__name__})"
    return f"{without_credentials(address)}: {text}"


SOURCES = [
    (re.compile(r"pypi:([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)/(.+)"), resolve_pypi),
    (re.compile(r"npm:((?:@[a-z0-9~._-]+/)?[A-Za-z0-9~_-][A-Za-z0-9~._-]*)@([A-Za-z0-9][A-Za-z0-9.+-]*)/(.+)"), resolve_npm),
]


def resolve(source: str) -> dict:
    for pattern, resolver in SOURCES:
        match = pattern.fullmatch(source)
        if match:
            if any(part in ("", ".", "..") for part in match[3].split("/")) or "\\" in match[3]:
                raise NotFound(f"'{match[3]}' is not a path inside a package")
            return resolver(*match.groups())
    raise NotFound(f"'{source}' is neither pypi:PACKAGE==VERSION/PATH nor npm:PACKAGE@VERSION/PATH")


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] != "resolve":
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        print(json.dumps(resolve(sys.argv[2])))
    except (NotFound, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

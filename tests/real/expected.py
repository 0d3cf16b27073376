"""What the tree must show of QEMU's introspection and object model, worked out from what the second monitor says."""

import errno
import functools
import json
import os
import re

from mount import escaped
from reference import QmpError


@functools.cache
def object_files():
    """{(collection, name): mode} of the files that objects have beside their members; None: of a link. From docs/tree.md,
    whose tables test_tree compares with fs/tree."""
    with open(os.path.join(os.path.dirname(__file__), "../../docs/tree.md")) as page:
        rows = re.findall(r"^\| `(\w+)/[A-Z]+/([a-z-]+)` \| (\w+) \|", page.read(), re.MULTILINE)
    return {(collection, name): None if mode == "link" else int(mode, 8) for collection, name, mode in rows}


def canonical(value):
    """A JSON value as text that tells 1 from true and from 1.0, whatever order the members have."""
    return json.dumps(value, sort_keys=True)


def shown(text, value):
    """Whether a file with this text shows this value: a string bare, anything else as JSON; and a newline."""
    if isinstance(value, str):
        return text == value + "\n"
    try:
        return text.endswith("\n") and canonical(json.loads(text)) == canonical(value)
    except json.JSONDecodeError:
        return False


def ask(qmp, command, arguments=None):
    """What QEMU returns, or its error."""
    try:
        return qmp(command, arguments)
    except QmpError as error:
        return error


def errno_name(error):
    """docs/tree.md, "Errors", for what the VMs of these tests refuse to tell."""
    for words, name in (("is not readable", "EACCES"), ("not found", "ENODEV"), ("is not supported", "EOPNOTSUPP"),
                        ("not currently supported", "EOPNOTSUPP"), ("not available", "EOPNOTSUPP"),
                        ("not enabled", "EOPNOTSUPP"), ("not compiled", "EOPNOTSUPP")):
        if words in error.desc:
            return name
    return "EIO"


def errno_of(error):
    return getattr(errno, errno_name(error))


def error_line(path, error):
    """The line of `errors` for a read that QEMU refused, without time and process."""
    return f"/{path} {errno_name(error)} {error.kind} {error.desc}"


class Schema:
    def __init__(self, qmp):
        self.entities = qmp("query-qmp-schema")
        self.commands = self._by_name("command")
        self.events = self._by_name("event")
        self.types = self._by_name("object", "enum", "array", "alternate", "builtin")

    def _by_name(self, *kinds):
        return {entity["name"]: entity for entity in self.entities if entity["meta-type"] in kinds}

    def members(self, entity):
        """The arguments of a command, the data of an event."""
        return self.types[entity["arg-type"]].get("members", [])

    def queries(self, unstable):
        """Each file that query/ or query/unstable/ must have, and its command."""
        files = {}
        for name, command in self.commands.items():
            experimental = name.startswith("x-query-")
            if not experimental and not name.startswith("query-"):
                continue
            if any("default" not in member for member in self.members(command)):
                continue
            if unstable == (experimental or "unstable" in command.get("features", [])):
                files[name.removeprefix("x-").removeprefix("query-")] = name
        return files


def harmless():
    """The commands that a plain read may send, by the table in docs/security.md."""
    with open(f"{os.environ['QMPFS_SOURCE']}/docs/security.md", encoding="utf-8") as file:
        return set(re.findall(r"^\| `([a-z-]+)` \| yes \| ", file.read(), re.M))


def queries(qmp):
    """The path of each query's file, and its command."""
    schema = Schema(qmp)
    return {f"{directory}/{name}": command
            for directory, unstable in (("query", False), ("query/unstable", True))
            for name, command in schema.queries(unstable).items()}


def answers(qmp):
    """The path of each query's file, and QEMU's answer or error."""
    return {path: ask(qmp, command) for path, command in queries(qmp).items()}


def objects(qmp, path="/"):
    """The path of each object in QEMU's model, and its properties: {path: {name: type}}."""
    properties = {item["name"]: item["type"] for item in qmp("qom-list", path=path)}
    found = {path: properties}
    for name, kind in properties.items():
        if kind.startswith("child<"):
            found.update(objects(qmp, f"{path.rstrip('/')}/{name}"))
    return found


def qom_path(path):
    """An object's place in the tree."""
    return "/".join(["qom", *(escaped(name) for name in path.split("/") if name)])


def properties(qmp, tree=None):
    """The path of each property's file or link below qom/, its type, and its value or error."""
    return {f"{qom_path(path)}/{escaped(name)}":
            (kind, ask(qmp, "qom-get", {"path": path, "property": name}))
            for path, names in (tree or objects(qmp)).items()
            for name, kind in names.items() if not kind.startswith("child<")}


def refused(qmp):
    """The path of each file in the whole tree that QEMU refuses to read, and its error."""
    readable = {path: ask(qmp, command) for path, command in queries(qmp).items() if command in harmless()}
    values = {**readable, **{path: value for path, (_, value) in properties(qmp).items()}}
    return {path: value for path, value in values.items() if isinstance(value, QmpError)}


def state(qmp):
    """What no reader may change, down to the objects that QEMU has made."""
    queries = ("query-status", "query-block", "query-jobs", "query-named-block-nodes", "query-block-jobs",
               "query-cpus-fast", "query-memory-devices", "query-chardev", "query-iothreads", "query-migrate",
               "query-current-machine")
    containers = "/machine/peripheral", "/machine/peripheral-anon", "/objects"
    return {**{query: ask(qmp, query) for query in queries},
            **{path: qmp("qom-list", path=path) for path in containers},
            "tree": objects(qmp)}

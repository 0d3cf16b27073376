"""query/, schema/, types/ and the names in cmd/ are what this QEMU's introspection says, on two architectures."""

import json
import os
import re

import expected
import real
from reference import QmpError
from vm import ARM, X86


# QEMU 7.2 aborts if it is asked for one of these and the module with its other half isn't installed.
MAY_ABORT = re.compile("-gl(-|$)|qxl|rutabaga|spice|usb-redir|ccid-card|u2f|smartcard")


class Introspection:
    platform = None

    def setUp(self):
        self.machine = self.ordinary_vm(self.platform)
        self.files = self.mount(self.machine)

    def print(self, text):
        print(f"{self.platform.machine}: {text}")

    def check_listing(self, directory, names):
        self.assertGreater(len(names), 0, directory)
        self.assertEqual(self.files.list(directory), sorted(names), directory)

    def check_sizes(self, found):
        """Once a file has been read, stat(2) knows its size."""
        for path, entry in found.items():
            if entry.kind == "file" and not hasattr(entry, "errno"):
                self.assertEqual(entry.size_after, len(entry.text.encode(errors="surrogateescape")), path)

    def test_names(self):
        schema = expected.Schema(self.machine.qmp)
        stable, unstable = schema.queries(False), schema.queries(True)
        self.check_listing("query", [*stable, "unstable"])
        self.check_listing("query/unstable", unstable)
        self.check_listing("cmd", schema.commands)
        self.check_listing("schema", ["commands", "events", "types"])
        self.check_listing("schema/commands", schema.commands)
        self.check_listing("schema/events", schema.events)
        self.check_listing("schema/types", schema.types)
        self.print(f"{len(stable)} queries, {len(unstable)} unstable ones, {len(schema.commands)} commands, "
                   f"{len(schema.events)} events, {len(schema.types)} types")
        self.assertEqual(self.ok(self.files, "stat -c '%a %n' query query/status query/unstable query/unstable/jit cmd "
                                             "cmd/stop schema schema/events schema/events/STOP types types/nvme"),
                         "755 query\n444 query/status\n755 query/unstable\n444 query/unstable/jit\n700 cmd\n"
                         "600 cmd/stop\n755 schema\n755 schema/events\n444 schema/events/STOP\n755 types\n"
                         "644 types/nvme\n")
        for path in ("query/nvme", "query/block-", "query/query-status", "query/jit", "query/unstable/status",
                     "query/cpu-model-expansion", "cmd/STOP", "cmd/stop ", "schema/commands/STOP", "schema/events/stop",
                     "schema/nothing", "types/.device"):
            self.fails(self.files, f"stat '{path}'", "No such file or directory")

    def ask(self, path, entry):
        """Write to the file, and note what it reads as then, or the error."""
        try:
            with open(f"{self.files.dir}/{path}", "r+b", buffering=0) as file:
                file.write(b"\n")
                file.seek(0)
                entry.text = file.read().decode()
                entry.size_after = os.fstat(file.fileno()).st_size
        except OSError as error:
            del entry.text
            entry.errno = error.errno

    def test_queries(self):
        """As nothing runs in this VM, no answer changes by itself; a second look at the reference makes sure of it."""
        answers = expected.answers(self.machine.qmp)
        found = self.files.look("query")
        self.assertEqual(set(found), {"query/unstable", *answers})
        harmless = expected.harmless()
        for path, command in expected.queries(self.machine.qmp).items():
            self.assertEqual(found[path].mode, 0o444 if command in harmless else 0o644, path)
            if command not in harmless:
                self.assertTrue(found[path].text.startswith(f"not queried yet: {command} "), found[path].text)
                self.ask(path, found[path])
        again = expected.answers(self.machine.qmp)
        refusals = []
        for path, answer in answers.items():
            with self.subTest(path):
                if isinstance(answer, QmpError):
                    self.assertEqual(getattr(found[path], "errno", 0), expected.errno_of(answer), answer.desc)
                    refusals.append(expected.error_line(path, answer))
                else:
                    self.assertEqual(expected.canonical(again[path]), expected.canonical(answer), "the test's fault")
                    self.assertTrue(hasattr(found[path], "text"), found[path])
                    self.assertTrue(found[path].text.endswith("\n"))
                    self.assertEqual(expected.canonical(json.loads(found[path].text)), expected.canonical(answer))
        self.check_sizes(found)
        # Each refusal is there in QEMU's words, and nothing else is.
        lines = [line.split(" ", 3)[3] for line in self.ok(self.files, "cat errors").splitlines()]
        self.assertEqual(sorted(lines), sorted(refusals))
        self.assertGreater(len(refusals), 3)
        self.print(f"{len(answers)} answers, {len(refusals)} of them refusals")

    def test_queries_are_live(self):
        self.files.unmount()
        # Otherwise what takes a slow machine a millisecond could be used again.
        self.files = self.mount(self.machine, "max_load=100")
        for n in range(10):
            self.machine.qmp("migrate-set-parameters", {"max-bandwidth": 1000 + n})
            self.assertEqual(self.json(self.files, "query/migrate-parameters")["max-bandwidth"], 1000 + n)
            self.machine.qmp("object-add", {"qom-type": "iothread", "id": f"more{n}", "poll-max-ns": n})
            self.assertIn([f"more{n}", n], [[thread["id"], thread["poll-max-ns"]]
                                            for thread in self.json(self.files, "query/iothreads")])

    def check_type(self, path, text, properties):
        """A line each, by name: name, type, default, description. A bus that a type makes for itself has the next
        number whenever QEMU is asked (i2c-bus.0, i2c-bus.1)."""
        properties.sort(key=lambda item: item["name"].encode())
        lines = text.splitlines()
        self.assertEqual(len(lines), len(properties), path)
        for line, item in zip(lines, properties):
            name = re.sub(r"\\\.\d+$", r"\.\\d+", re.escape(item["name"]))
            match = re.match(rf"({name}) +({re.escape(item['type'])}) +(.*)", line + " ")
            self.assertTrue(match, f"{path}: {line!r} isn't {item}")
            rest = match[3]
            if "default-value" in item:
                default, end = json.JSONDecoder().raw_decode(rest)
                self.assertEqual(expected.canonical(default), expected.canonical(item["default-value"]), line)
            else:
                self.assertTrue(rest.startswith("- "), line)
                end = 1
            self.assertEqual(rest[end:].strip(), item.get("description", "").strip(), line)

    def test_types(self):
        self.check_listing("types", ["list"])
        self.ok(self.files, "echo > types/list")
        before = expected.state(self.machine.qmp)
        found = self.files.look("types")
        names = [item["name"] for item in self.machine.qmp("qom-list-types", implements="device", abstract=False)]
        self.check_listing("types", ["list", *names])
        self.assertEqual(found.pop("types/list").text.splitlines(), sorted(names))
        self.assertEqual(sorted(found), sorted(f"types/{name}" for name in names))
        self.fails(self.files, "stat types/device", "No such file or directory")
        names = [name for name in names if not MAY_ABORT.search(name)]
        refusals = []
        lines = 0
        for name in names:
            entry = found[f"types/{name}"]
            self.assertTrue(entry.text.startswith("not queried yet: "), entry.text)
            self.ask(f"types/{name}", entry)
            properties = expected.ask(self.machine.qmp, "device-list-properties", {"typename": name})
            if isinstance(properties, QmpError):
                self.assertEqual(getattr(entry, "errno", 0), expected.errno_of(properties), f"{name}: {properties}")
                refusals.append(name)
            else:
                # What a type makes for itself is nobody's to set.
                properties = [item for item in properties if not item["type"].startswith("child<")]
                self.assertTrue(hasattr(entry, "text"), name)
                self.check_type(name, entry.text, properties)
                lines += len(properties)
        self.assertEqual(expected.state(self.machine.qmp), before)
        self.assertEqual(self.machine.qmp.events, [])
        self.check_sizes({f"types/{name}": found[f"types/{name}"] for name in names})
        self.print(f"{len(names)} device types with {lines} properties, {len(refusals)} that QEMU doesn't tell of")

    # -- schema/

    def check_text(self, path, entry, first):
        """What goes for each of them: QEMU need not be asked, so the size is exact even before it is read."""
        self.assertTrue(hasattr(entry, "text"), path)
        self.assertEqual((entry.size, entry.text[-1:]), (len(entry.text.encode()), "\n"), path)
        self.assertRegex(entry.text, rf"\A{re.escape(first)}[\n ]", path)

    def check_members(self, schema, path, text, members, indent=4):
        """Each member has a line that says whether it is optional; and each value of an enum is there."""
        for member in members:
            line = re.search(rf"^ {{{indent}}}{re.escape(member['name'])} +(.*)", text, re.M)
            self.assertTrue(line, f"{path} without {member['name']}")
            self.assertEqual(line[1].startswith("[optional] "), "default" in member, f"{path}: {line[0]}")
            for feature in member.get("features", []):
                self.assertIn(f"[{feature}]", line[0], path)
            kind = schema.types[member["type"]]
            if kind["meta-type"] == "array":
                self.assertIn("list of ", line[1], path)
                kind = schema.types[kind["element-type"]]
            self.check_enum(path, text, kind)

    def check_enum(self, path, text, kind):
        for value in kind["values"] if kind["meta-type"] == "enum" else ():
            self.assertRegex(text, rf"(?<![\w-]){re.escape(value)}(?![\w-])", path)

    def check_variants(self, path, text, kind):
        for variant in kind.get("variants", []):
            # Those who add nothing are passed over.
            if self.schema.types[variant["type"]]["members"]:
                self.assertRegex(text, rf"when {kind['tag']} is[^:]*[\s,]{re.escape(variant['case'])}[,:]", path)

    def test_schema(self):
        schema = self.schema = expected.Schema(self.machine.qmp)
        found = self.files.look("schema")
        self.assertEqual(len(found), 3 + len(schema.commands) + len(schema.events) + len(schema.types))
        for name, command in schema.commands.items():
            path, entry = f"schema/commands/{name}", found[f"schema/commands/{name}"]
            self.check_text(path, entry, f"command {name}")
            arguments, separator, returns = entry.text.partition("\nreturns: ")
            self.assertTrue(separator, path)
            arguments = arguments.partition("\narguments:")[2]
            self.check_members(schema, path, arguments, schema.members(command))
            self.check_variants(path, arguments, schema.types[command["arg-type"]])
            self.assertEqual(arguments == " none\n", not schema.members(command), path)
            for feature in command.get("features", []):
                self.assertRegex(entry.text, rf"\nfeatures: .*{feature}", path)
            self.assertEqual("\ncan run out of band\n" in entry.text, command.get("allow-oob", False), path)
            self.check_enum(path, returns, schema.types[command["ret-type"]])
        for name, event in schema.events.items():
            path, entry = f"schema/events/{name}", found[f"schema/events/{name}"]
            self.check_text(path, entry, f"event {name}")
            self.check_members(schema, path, entry.text, schema.members(event))
        users = {}
        for entity in (*schema.commands.values(), *schema.events.values()):
            for kind in (entity["arg-type"], entity.get("ret-type")):
                users.setdefault(kind, []).append(entity["name"])
        for name, kind in schema.types.items():
            path, entry = f"schema/types/{name}", found[f"schema/types/{name}"]
            self.check_text(path, entry, f"type {name}:")
            if kind["meta-type"] == "object":
                self.check_members(schema, path, entry.text, kind["members"])
                self.check_variants(path, entry.text, kind)
            self.check_enum(path, entry.text, kind)
            for user in users.get(name, []):
                self.assertRegex(entry.text, rf"\nused as\n(?s:.*)\s{re.escape(user)}[,\n]", path)


class IntrospectionOnX86(Introspection, real.RealTest):
    platform = X86


class IntrospectionOnArm(Introspection, real.RealTest):
    platform = ARM


if __name__ == "__main__":
    real.main(X86, ARM)

"""What the checkout itself promises: its documents, its locks, its checks."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vaguemestre.cli.main import FAMILIES
from vaguemestre.environment import read_environment

ROOT = Path(__file__).resolve().parents[2]
MISSION = [
    "13.38.96.228",
    "13.39.17.106",
    "52.47.109.251",
    "15.236.148.180",
    "35.180.87.240",
    "13.38.244.164",
    "35.181.213.114",
]


def text(name):
    return (ROOT / name).read_text()


def test_the_reference_carries_exactly_the_addresses_of_the_mission():
    found = re.search(r"^VAGUEMESTRE_SOURCE_ADDRESSES=(.*)$", text("deploy/reference.env"), re.MULTILINE)
    assert found[1].split(",") == MISSION


def test_the_reference_names_only_variables_that_are_known():
    names = set(re.findall(r"^([A-Z_]+)=", text("deploy/reference.env"), re.MULTILINE))
    assert names <= variables_read()


def variables_read():
    """Every variable that the product reads, by its source."""
    source = text("src/vaguemestre/environment.py")
    names = set(re.findall(r'f"\{PREFIX\}([A-Z_]+)"', source))
    names |= set(re.findall(r'_(?:bind|optional_bind|path|egress)\(read, "([A-Z_]+)"', source))
    return {f"VAGUEMESTRE_{name}" for name in names} | {"DATABASE_URL"}


def test_every_variable_is_documented_and_none_besides():
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", text("docs/reference/environment.md"), re.MULTILINE))
    assert documented == variables_read()


def test_every_command_is_documented():
    page = text("docs/reference/commands.md")
    for family in FAMILIES:
        assert re.search(rf"`{family}[ `]", page), family


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("admin", ["create", "password", "link"]),
        ("setting", ["list", "set"]),
        ("key", ["create", "list", "revoke"]),
        (
            "connection",
            [
                "list",
                "show",
                "add",
                "edit",
                "verify",
                "activate",
                "deactivate",
                "default",
                "pause",
                "resume",
                "delete",
            ],
        ),
        ("stream", ["list", "show", "edit"]),
        ("source-address", ["list", "set"]),
        ("message", ["list", "show", "release", "cancel", "resolve"]),
        ("route", ["explain"]),
        ("vault", ["rotate"]),
    ],
)
def test_every_action_is_documented(family, words):
    page = text("docs/reference/commands.md")
    for word in words:
        assert re.search(rf"`{family} {word}[ `]", page), word


def test_links_between_documents_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_locks_pin_everything_with_hashes_and_name_no_host():
    for name in ("requirements.lock", "requirements-dev.lock", "tools/build.lock", "tools/bootstrap.lock"):
        lock = text(name)
        assert "://" not in lock
        pinned = re.findall(
            r"^[a-z0-9-]+(?:\[[a-z0-9,-]+\])?==\S+(?: ; [^\\]+)? \\\n    --hash", lock, re.MULTILINE
        )
        assert len(pinned) == len(re.findall(r"^[a-z]", lock, re.MULTILINE)) > 0


def test_the_locks_hold_every_direct_dependency():
    project = text("pyproject.toml")
    listed = project[project.index("dependencies = [") : project.index("[project.scripts]")]
    names = re.findall(r'^  "([a-z-]+)', listed, re.MULTILINE)
    assert len(names) >= 10
    assert set(names) <= set(re.findall(r"^([a-z0-9-]+)", text("requirements.lock"), re.MULTILINE))


@pytest.fixture
def checkout(tmp_path):
    """A repository of its own with nothing but the check."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/check_repository.py", tmp_path / "tools")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    def check():
        return subprocess.run(
            [sys.executable, "tools/check_repository.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return check, tmp_path


def test_the_check_of_the_repository_finds_each_fault(checkout):
    check, root = checkout
    assert (check().returncode, check().stdout.strip()) == (0, "")
    package = root / "src/thing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    (package / "long.py").write_text("x = 1\n" * 401)
    (package / "marks.py").write_text("# TO" + "DO: later\n# TO" + "DO(#12): later\n")
    (root / "notes.md").write_text("see /wo" + "rk/main, from files.python" + "hosted.org\n")
    found = check()
    assert found.returncode == 1
    assert [line.split(": ")[0] for line in found.stdout.splitlines()] == [
        "notes.md:1",
        "notes.md:1",
        "src/thing/__init__.py",
        "src/thing/long.py",
        "src/thing/marks.py:1",
    ]


def test_what_the_demonstration_dials_every_command_on_its_data_may_dial(tmp_path):
    spec = importlib.util.spec_from_file_location("demo", ROOT / "tools/demo.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    demo.let_dial(tmp_path)
    found = read_environment({"VAGUEMESTRE_DATA_DIR": str(tmp_path)})
    assert (found.problems, found.egress_allow, found.egress_ports) == ((), "127.0.0.0/8", demo.PORT)

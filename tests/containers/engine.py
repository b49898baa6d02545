"""The compose file brought up under a name of its own, on free ports, and asked about what runs."""

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testcontainers.compose import DockerCompose

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND_TIMEOUT_S = 60.0

# What compose.yaml defaults to, and what a machine without an image registry has instead.
IMAGES = {
    "PYTHON_IMAGE": ("python:3.13-slim", "python:3.11-slim"),
    "REDIS_IMAGE": ("redis:8.2", "redis:7.0"),
}


class Stack:
    """Everything of compose.yaml, running."""

    def __init__(self, compose: DockerCompose, project: str) -> None:
        self.compose = compose
        self.project = project

    def url(self, service: str, port: int) -> str:
        """The published address of a server."""
        return f"redis://127.0.0.1:{self.compose.get_service_port(service, port)}/0"

    def inspect(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each container, by service, ended ones too."""
        ids = [container.ID for container in self.compose.get_containers(include_all=True)]
        found = json.loads(run("docker", "inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def python(self, service: str, source: str) -> str:
        """What this source prints inside a container."""
        output, _, _ = self.compose.exec_in_container(["python", "-c", source], service)
        return str(output)

    def shell(self, service: str, command: str) -> str:
        """What this command prints inside a container."""
        output, _, _ = self.compose.exec_in_container(["sh", "-c", command], service)
        return str(output)

    def stop(self) -> None:
        """`docker compose stop`."""
        run(*self.compose.compose_command_property, "stop")

    def kill(self, *services: str) -> None:
        """End these services as a machine's end does."""
        run(*self.compose.compose_command_property, "kill", *services)

    def start(self, *services: str) -> None:
        """`docker compose start`: what they need has to run already."""
        run(*self.compose.compose_command_property, "start", *services)

    def beside(self, service: str, *arguments: str) -> str:
        """What a command prints in a container of its own, like that of a service; nothing is started."""
        command = self.compose.compose_command_property
        return run(*command, "run", "--rm", "--no-deps", "--no-TTY", service, *arguments)


def run(*command: str | None, environment: dict[str, str] | None = None) -> str:
    """What a command prints; fails with what it says on stderr."""
    done = subprocess.run(
        [part for part in command if part is not None],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
    return done.stdout


def require_engine() -> None:
    """Skip, saying why, where no engine with compose answers."""
    if shutil.which("docker") is None:
        pytest.skip("no container engine: docker is not installed")
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"no container engine answers: {' '.join(command)} hangs")
        if done.returncode != 0:
            pytest.skip(f"no container engine answers: {' '.join(command)}: {done.stderr.strip()[-200:]}")


@contextlib.contextmanager
def stack(halted: str) -> Iterator[Stack]:
    """Build the image, bring everything up and wait until all is healthy; afterwards leave nothing behind.

    Before anything runs, it is halted for this reason.
    """
    project = f"backbone-test-{uuid.uuid4().hex[:10]}"
    settings = {
        "COMPOSE_PROJECT_NAME": project,
        "ALPACA_BACKBONE_IMAGE": project,
        "MD_PORT": "0",
        "ORDERS_PORT": "0",
        "SIM_PORT": "0",
        "HEALTH_INTERVAL": "2s",
    } | {name: _image(name) for name in IMAGES}
    compose = DockerCompose(ROOT, compose_file_name="compose.yaml")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield from _up(compose, project, settings["REDIS_IMAGE"], halted)


def _up(compose: DockerCompose, project: str, server_image: str, halted: str) -> Iterator[Stack]:
    try:
        command = compose.compose_command_property
        subprocess.run([*command, "build"], cwd=ROOT, timeout=400, check=True)
        run(*command, "create")
        for volume in ("md-data", "orders-data"):
            _give_to_server(f"{project}_{volume}", server_image)
        running = Stack(compose, project)
        told = running.beside("oms", "ops", "halt", "--reason", halted)
        assert "Written to /halts/halts.json: everything is halted" in told
        try:
            compose.start()
        except subprocess.CalledProcessError as error:
            logs = run(*command, "logs", "--no-color", "--tail", "20")
            pytest.fail(f"it does not come up: {error.stderr.decode()[-1000:]}\n{logs}")
        yield running
    finally:
        compose.stop()
        subprocess.run(["docker", "image", "rm", project], capture_output=True, timeout=60, check=False)


def _image(variable: str) -> str:
    """The image that the environment names, else the default, else a stand-in that is already here."""
    given = os.environ.get(variable)
    if given:
        return given
    for image in IMAGES[variable]:
        looked = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False)
        if looked.returncode == 0:
            return image
    return IMAGES[variable][0]


def _give_to_server(volume: str, image: str) -> None:
    """Let the server's user write: the official image sees to that itself, a stand-in may not."""
    mount = ("--volume", f"{volume}:/data")
    run("docker", "run", "--rm", "--user", "0", *mount, image, "chown", "999:999", "/data")

"""TLS that is wrong: the command against servers whose certificates a real CA store vouches for, or not."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from support.command import Command
from support.raw_server import Arrived, Wire, page, said
from support.runs import ACME, features, names, write_jobs

CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = anything
[anything]
commonName = supplied
[for_whom]
subjectAltName = {whom}
"""


def certificate(folder: Path, whom: str, start: str, end: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl here to make a certificate with")
    config, key, request, made = (folder / name for name in ("openssl.cnf", "key.pem", "request.pem", "made.pem"))
    config.write_text(CONFIG.format(folder=folder, whom=whom))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    of = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=aha"]
    asked = [openssl, "req", "-new", *of, "-keyout", key, "-out", request]
    signed = [openssl, "ca", "-batch", "-selfsign", "-config", config, "-extensions", "for_whom", "-keyfile", key]
    signed += ["-in", request, "-out", made, "-startdate", start, "-enddate", end]
    for command in (asked, signed):
        subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd=folder)
    return made, key


LINKED = b'{"feature":{"reference_num":"PRJ1-1","custom_object_links":[{"key":"customers","record_ids":[%s]}]}}' % (
    ACME.encode()
)
"""The answer about a feature that holds what the job asks for."""

LONG = ("20200101000000Z", "20990101000000Z")


@pytest.mark.parametrize(
    ("whom", "valid", "trusted", "said"),
    [
        ("IP:127.0.0.1", LONG, True, None),
        ("IP:127.0.0.1", LONG, False, "self-signed certificate"),
        ("IP:127.0.0.1", ("20200101000000Z", "20200102000000Z"), True, "certificate has expired"),
        ("DNS:elsewhere.example", LONG, True, "IP address mismatch"),
    ],
    ids=["right", "self_signed", "expired", "wrong_host"],
)
async def test_a_certificate_is_looked_at(
    command: Command,
    tmp_path_factory: pytest.TempPathFactory,
    whom: str,
    valid: tuple[str, str],
    trusted: bool,
    said: str | None,
) -> None:
    """Otherwise the run stops at once with TLS's own word, before the server gets the token: exit 2, and no results."""
    made, key = certificate(tmp_path_factory.mktemp("tls"), whom, *valid)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)

    async def answer(request: Arrived, writer: asyncio.StreamWriter) -> None:
        is_feature = request.path.startswith("/api/v1/features/PRJ1-1?")
        writer.write(page("200 OK", LINKED) if is_feature else page("404 Not Found", b'{"error":"no"}'))

    write_jobs(command.folder / "links.jsonl", features(1))
    async with Wire(answer, ssl=context) as wire:
        command.environment["AHA_URL"] = wire.url
        if trusted:
            command.environment["SSL_CERT_FILE"] = str(made)
        finished = await command("run", "links.jsonl", "--no-preflight")
    if said is None:
        assert finished.code == 0, finished.stderr
        assert "1 already in place" in finished.stdout
        return
    assert (finished.code, finished.stdout) == (2, "")
    assert (wire.requests, wire.connections) == ([], 0)
    assert names(command.folder, "*.results*") == []
    assert said in finished.stderr
    assert "the certificate of 127.0.0.1 is not trusted" in finished.stderr
    assert f"; check --url {wire.url} (or AHA_URL)" in finished.stderr
    assert "SSL_CERT_FILE" in finished.stderr


async def test_a_bundle_that_linker_does_not_read_is_named(
    command: Command, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the command that makes linker read it; a bundle that cannot be read is named, too."""
    made, key = certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1", *LONG)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    write_jobs(command.folder / "links.jsonl", features(1))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        command.environment.pop(name, None)
    async with Wire(said(page("200 OK", b"{}")), ssl=context) as wire:
        command.environment |= {"AHA_URL": wire.url, "REQUESTS_CA_BUNDLE": str(made)}
        for verb in ("run", "check"):
            shown = await command(verb, "links.jsonl")
            told = (
                'REQUESTS_CA_BUNDLE is set, but linker reads SSL_CERT_FILE: export SSL_CERT_FILE="$REQUESTS_CA_BUNDLE"'
            )
            assert told in shown.stdout + shown.stderr
        command.environment["SSL_CERT_FILE"] = f"{made}.gone"
        missing = await command("run", "links.jsonl")
        assert (missing.code, f"cannot be read: {made}.gone" in missing.stderr) == (2, True)


@pytest.mark.parametrize(
    ("version", "said_no"),
    [("-tls1_3", "requires a client certificate, which linker"), ("-tls1_2", "it may require a client certificate")],
)
async def test_a_client_certificate_that_is_wanted_is_said(
    command: Command, tmp_path_factory: pytest.TempPathFactory, version: str, said_no: str
) -> None:
    """In words, at once, before the token is sent or after TLS 1.3's late refusal: exit 2, with whom to ask."""
    made, key = certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1", *LONG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wanting = ["-Verify", "1", "-verify_return_error", "-accept", f"127.0.0.1:{port}", "-www", version]
    server = await asyncio.create_subprocess_exec(
        "openssl", "s_server", *wanting, "-cert", made, "-key", key, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    try:
        while b"ACCEPT" not in await server.stdout.readline():
            pass
        write_jobs(command.folder / "links.jsonl", features(1))
        command.environment |= {"AHA_URL": f"https://127.0.0.1:{port}", "SSL_CERT_FILE": str(made)}
        finished = await command("run", "links.jsonl")
    finally:
        server.kill()
        await server.communicate()
    assert (finished.code, finished.stdout) == (2, "")
    assert said_no in finished.stderr
    assert "ask the administrator of that server or proxy" in finished.stderr

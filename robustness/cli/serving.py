"""Commands of the service: serve, worker, token. Torch-free."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from robustness.cli.options import DEFAULT_STORE, Checkpoints, DataRoot, StoreUrl, open_

__all__ = ["serve", "token", "worker"]

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", help="Else ~/.config/robustness/tokens; made on the first start, mode 0600."
    ),
]


def serve(
    store: StoreUrl = DEFAULT_STORE,
    host: Annotated[
        str, typer.Option(help="To listen on; beyond this machine only with a token of yours.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8_000,
    public_url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="As browsers know it behind a proxy: https://lab.example; repeatable."
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Speak TLS with this certificate chain (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).")] = None,
    token_file: TokenFile = None,
    data: DataRoot = None,
    checkpoints: Checkpoints = None,
    with_worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Run queued studies on this machine too.")
    ] = True,
    max_cells: Annotated[
        int | None, typer.Option(min=1, help="Refuse larger studies; 100,000 by default.")
    ] = None,
    max_queued: Annotated[int, typer.Option(min=1, help="Studies that one token may have waiting.")] = 20,
) -> None:
    """Serve studies over HTTP, and run those that are submitted."""
    from contextlib import nullcontext

    from robustness.catalog import data_root
    from robustness.checkpoint_files import keeping
    from robustness.dashboards import READING_POSTS, add_pages
    from robustness.service import Access, Settings, Sites, Tokens, create_app, serving
    from robustness.service.sites import LOOPBACK
    from robustness.service.tokens import default_token_file, read_tokens

    serving.check_certificate(certificate, key)
    path = token_file or default_token_file()
    root = data_root(data)
    options = ["--data", str(root)]
    if with_worker:
        keeping(checkpoints)  # a folder that cannot be written is refused here, not by every study
        options += [] if checkpoints is None else ["--checkpoints", str(checkpoints)]
    with serving.bound(host, port) as listener:
        at = listener.getsockname()[1]
        sites = Sites.of(host, at, tls=certificate is not None, public_urls=public_url or ())
        # Who opens it to a network must know the token, so it cannot be one that is made now.
        tokens, made = read_tokens(path, make=host in LOOPBACK)
        access = Access(tokens=Tokens(tokens), sites=sites, reading_posts=READING_POSTS)
        with open_(store, create=True) as opened:
            app = create_app(opened, access, Settings(data=root, max_cells=max_cells, max_queued=max_queued))
            add_pages(app)
            beside = serving.with_worker(options, store) if with_worker else nullcontext()
            where = f"[{host}]" if ":" in host else host
            print(f"{'https' if certificate else 'http'}://{where}:{at}/", flush=True)
            if made or any(t.name not in ("ROBUSTNESS_TOKEN", "ROBUSTNESS_READ_TOKEN") for t in tokens):
                print(f"{'A token was made' if made else 'Tokens are'} in {path}", flush=True)
            with beside:
                serving.serve(app, listener, certificate=certificate, key=key)


def worker(
    store: StoreUrl = DEFAULT_STORE,
    data: DataRoot = None,
    checkpoints: Checkpoints = None,
    claim: Annotated[
        float, typer.Option(min=1, max=3_600, help="Seconds after which a worker that is silent is replaced.")
    ] = 15.0,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the studies that were submitted to a store, one after the other, on the cluster of RAY_ADDRESS or here."""
    from robustness.catalog import data_root
    from robustness.checkpoint_files import keeping
    from robustness.worker import Worker, end_with_parent

    if with_parent:
        end_with_parent()
    keeping(checkpoints)  # refused here, not by every study
    with open_(store, create=True) as opened:
        found = Worker(opened, store, data_root(data), seconds=claim, checkpoints=checkpoints)
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, lambda *_: found.stopping.set())
        if not with_parent:  # a service says itself which store it serves
            print(f"worker: waiting for studies in {opened.url}", file=sys.stderr, flush=True)
        found.run()


def token(
    name: Annotated[str, typer.Option(help="Of whoever gets it.")] = "token",
    read_only: Annotated[bool, typer.Option("--read-only", help="It may look, and change nothing.")] = False,
    token_file: TokenFile = None,
) -> None:
    """Make another token and print it; `robustness serve` knows it from its next start on."""
    from robustness.service.tokens import Role, add_token, default_token_file

    made = add_token(token_file or default_token_file(), Role.READ if read_only else Role.WRITE, name)
    print(made.secret)

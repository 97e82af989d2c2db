"""`airshed certs` and `airshed token`: who may talk to the controller, and who may change it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, cast

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", "hosts", multiple=True, default=("localhost", "127.0.0.1"), show_default=True,
              help="Names and addresses of the controller.")  # fmt: skip
@click.option("--gateway", "gateways", multiple=True, help="A gateway that needs a certificate; may be repeated.")
@click.option("--operator", "operators", multiple=True, help="An operator who needs one; may be repeated.")
def certs(folder: Path, hosts: tuple[str, ...], gateways: tuple[str, ...], operators: tuple[str, ...]) -> None:
    """Make a development authority in FOLDER and certificates signed by it.

    Run again with other names, it adds to the same authority. In the site file of the controller:

    \b
    [tls]
    ca = "FOLDER/ca.pem"
    certificate = "FOLDER/controller.pem"     # gateway-NAME.pem in the gateway's copy
    key = "FOLDER/controller.key"
    """
    import datetime as dt

    from controller.certificates import make_certificates

    for path in make_certificates(folder, hosts, gateways, operators, dt.datetime.now(dt.UTC)):
        click.echo(path)


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator"]), default="viewer", show_default=True)
@click.option("--users", type=click.Path(dir_okay=False, path_type=Path), default=Path("users.toml"), show_default=True,
              help="The file that `http.users` or `console.users` of the site names.")  # fmt: skip
@click.option("--password", is_flag=True, help="Ask for a password for the console's login instead of making a token.")
def token(name: str, role: str, users: Path, password: bool) -> None:
    """Give NAME a token for the operators' API and the console. It is printed once and kept only as a hash.

    With --password: a password to log in to the console with. It is asked for, twice, or read from standard input when
    that is no terminal, and kept only as a hash. A user may have both.
    """
    from controller.users import add_user, set_password

    its_role = cast(Literal["operator", "viewer"], role)
    if not password:
        click.echo(add_user(users, name, its_role))
        return
    from controller.passwords import LONGEST, SHORTEST, hash_password
    from spectrum.errors import BadInput

    if sys.stdin.isatty():
        chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        chosen = sys.stdin.readline().rstrip("\n")
    if not SHORTEST <= len(chosen) <= LONGEST:
        raise BadInput(f"a password has {SHORTEST} to {LONGEST} characters, got {len(chosen)}")
    set_password(users, name, its_role, hash_password(chosen))
    click.echo(f"{name} may log in with this password ({role})")

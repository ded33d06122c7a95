"""The verb that prints the completion for a shell."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from reco_platform.cli.verbs import verb


class BashCompleteWithKeys(BashComplete):
    """As click's, but no space follows a completed KEY=."""

    source_template = BashComplete.source_template.replace(
        "    return 0\n", "    [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace\n\n    return 0\n", 1
    )


SHELLS: dict[str, type[ShellComplete]] = {"bash": BashCompleteWithKeys, "zsh": ZshComplete, "fish": FishComplete}


@verb("completion", "completion bash", "completion fish > ~/.config/fish/completions/reco.fish")
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
def completion(shell: str) -> None:
    """For bash, put into ~/.bashrc: source <(reco completion bash). For zsh, into ~/.zshrc after compinit:
    eval "$(reco completion zsh)"."""
    from reco_platform.cli.main import PROGRAM, reco

    print(SHELLS[shell](reco, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())

"""`check key=value ...`: checks a config, and prints its parts, parameters and memory, and the plan of a run on several devices."""

from collections.abc import Sequence

from framework.cli.train import parsed


def check(arguments: Sequence[str]) -> None:
    """Prints the summary, and the plan where the config asks for several processes or its options are given. UserError: a mistake."""
    from framework.planning.options import split_options
    from framework.workflows.start import compose_run

    _, words, folders = parsed(arguments)
    options, words = split_options(words)
    composed = compose_run(words, folders)
    config = composed.config
    from framework.runs.summary import model_card
    from framework.workflows.devices import planned_processes
    from framework.workflows.preflight import check_options

    check_options(config, planned=True, short="debug" in composed.chosen)
    processes, nodes = planned_processes(config["trainer"]), config["trainer"].get("num_nodes", 1)
    planned = bool(options) or processes * nodes > 1
    print(model_card(config, memory=not planned))
    if planned:
        from framework.planning.estimate import Machines, plan

        print(plan(config, Machines(processes, nodes, **options)))

"""The operator's own commands on the worker, run through prefect-shell."""

import shlex

from prefect_shell import ShellOperation

from wavemend.operations import Operation, OperationEnd, as_program, read_end


def operate(operation: Operation) -> OperationEnd:
    """Run one command with closed stdin, a deadline, and bounded output.

    Its words are quoted one by one, and what it is about travels in its environment. Whatever goes
    wrong, in prefect-shell too, is how it ended: one host's trouble never ends the run of all.
    """
    command = f"exec {shlex.join(as_program(operation))}"
    environment = dict(operation.environment)
    try:
        with ShellOperation(commands=[command], env=environment, stream_output=False) as shell:
            process = shell.trigger()
            process.wait_for_completion()
            return read_end("".join(process.fetch_result()))
    except (RuntimeError, OSError, ValueError) as error:
        # A status other than 0 is that of the program around the command, never the command's.
        return OperationEnd(exit_status=None, output=f"{operation.title}: {error}")

"""``community run replay:RUN``: a run is played again from its record.

With recorded verdicts nothing is asked, trained, scored or paid, and the ledger comes out the same;
with live ones everything but the models' answers is done for real.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from community.cli.launching import Launch


def replay_recorded(name: str, *, run_dir: Path | None, write: Callable[[str], None]) -> None:
    """Play a record again with its own verdicts, and say what came of it.

    Raises:
        RecordError: it cannot be played, or differs; the message says where.
        RunFolderError: there is no such run, or the new folder cannot be made.
    """
    from community.cli.launching import next_folder
    from community.cli.progress import LineProgress
    from community.recorded.opening import changed_lock, must_be_playable
    from community.recorded.places import find_record
    from community.recorded.run import play_again
    from community.run_folder import RUNS, RunFolder

    record = find_record(name)
    played = must_be_playable(record)
    path = next_folder(f"replay-{record.name}") if run_dir is None else run_dir.absolute()
    folder = RunFolder.create(path.parent, path.name)
    write(f"run folder: {folder.path}")
    if played.run.time == "real" and (lock := changed_lock(record, played)):
        write(f"what scores rest on has changed since ({'; '.join(lock[:3])}): verdicts are old")
    done = play_again(record, folder, LineProgress(write).on_row)
    if folder.path.parent.resolve() == RUNS.resolve():
        folder.make_latest()
    if done.is_whole:
        write(f"all {done.rows} rows were made again as they were; ledger hash {done.ledger_hash}")
    else:
        write(
            f"the first {done.rows} of {len(record.rows)} rows were made again as they were; there "
            "the run was interrupted, and what follows from that is not played"
        )
    write("no model was asked, nothing was trained or paid")
    write(f"next:  community show {folder.path}")
    write(f"       community replay {folder.path}    (the screens, at any speed)")


def launch_with_answers(name: str, *, run_dir: Path | None) -> Launch:
    """Return a new run of a record's scenario, with its models' answers and all else live.

    It scores on the record's held-out text where its secret is known: a run reveals it at its end.

    Raises:
        RecordError: there is no such record, or no model answered in it.
        CommunityError, TrainerError: as `community.cli.launching.launch_new`.
    """
    from community.cli.launching import launch_loaded, next_folder
    from community.loading import LoadedScenario
    from community.recorded.live import with_answers_of
    from community.recorded.places import find_record, shipped_records

    record = find_record(name)
    found = name if name in shipped_records() else str(Path(record.place).absolute())
    scenario, text = with_answers_of(record, found)
    loaded = LoadedScenario(scenario, text, Path(f"replay-{record.name}.toml"), ())
    path = next_folder(f"live-{record.name}") if run_dir is None else run_dir.absolute()
    return launch_loaded(loaded, path, record.secret or None)

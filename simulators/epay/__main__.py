"""The simulated provider's command line."""

import argparse
import logging
import math
import signal
import sys
from pathlib import Path

from simulators.epay.server import EpayServer


def _merchant(text: str) -> tuple[str, str]:
    pid, colon, key = text.partition(":")
    if not (pid.isascii() and pid.isdigit() and colon and key):
        # argparse would quote the argument, key and all, in what it says about a ValueError.
        raise argparse.ArgumentTypeError("a merchant is PID:KEY, the PID a number")
    return pid, key


def _scale(text: str) -> float:
    scale = float(text)
    if not (math.isfinite(scale) and scale > 0):
        raise argparse.ArgumentTypeError("must be above zero")
    return scale


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simulators.epay", description="A simulated epay provider.")
    parser.add_argument("--port", type=int, required=True, help="local port, 0 for any free one")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where payments are kept")
    parser.add_argument("--merchant", type=_merchant, action="append", required=True, metavar="PID:KEY")
    parser.add_argument("--time-scale", type=_scale, default=60.0, help="how much faster retries come (60)")
    options = parser.parse_args()

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    log = logging.getLogger("epay")
    # Set both: a shell that starts this in the background may have SIGINT ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        server = EpayServer(options.port, options.state, dict(options.merchant), options.time_scale)
        try:
            log.info("started, merchants: %s", ", ".join(pid for pid, _ in options.merchant))
            print(f"listening on {server.url}", flush=True)
            server.serve_forever()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            server.server_close()
    except KeyboardInterrupt:
        log.info("stopped")


if __name__ == "__main__":
    main()

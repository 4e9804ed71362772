"""Payments, pending notice chains and notice attempts in one SQLite file."""

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import NamedTuple

from simulators.epay.protocol import PAID, REFUNDED, UNPAID, beijing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    trade_no TEXT PRIMARY KEY,
    pid TEXT NOT NULL,
    out_trade_no TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    money INTEGER NOT NULL,
    notify_url TEXT NOT NULL,
    return_url TEXT NOT NULL,
    param TEXT NOT NULL,
    token TEXT NOT NULL,
    status INTEGER NOT NULL,
    addtime REAL NOT NULL,
    endtime REAL,
    api_trade_no TEXT,
    UNIQUE (pid, out_trade_no)
);
CREATE TABLE IF NOT EXISTS chains (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trade_no TEXT NOT NULL REFERENCES payments,
    due REAL NOT NULL,
    tries INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trade_no TEXT NOT NULL REFERENCES payments,
    at REAL NOT NULL,
    answer TEXT NOT NULL,
    delivered INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_of_payment ON attempts (trade_no);
CREATE INDEX IF NOT EXISTS payments_by_order ON payments (out_trade_no);
"""


@dataclass(frozen=True)
class Order:
    """What a merchant asks to be paid, in the order of the columns; money is in fen."""

    pid: str
    out_trade_no: str
    type: str
    name: str
    money: int
    notify_url: str
    return_url: str
    param: str


@dataclass(frozen=True)
class Payment:
    """One row of ``payments``, in the order of its columns."""

    trade_no: str
    pid: str
    out_trade_no: str
    type: str
    name: str
    money: int
    notify_url: str
    return_url: str
    param: str
    token: str
    status: int
    addtime: float
    endtime: float | None
    api_trade_no: str | None


class Chain(NamedTuple):
    """A notice still to be sent; chains sort by their due time."""

    due: float
    id: int
    trade_no: str
    tries: int


class Attempt(NamedTuple):
    """One try to deliver a notice."""

    at: float
    answer: str
    delivered: bool


class Store:
    """All of the provider's lasting state; every method is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def open(self, order: Order) -> tuple[Payment, bool]:
        """The payment for this order and whether it is new. Its money may differ: that is for the caller.

        While it is unpaid, the merchant's latest request decides everything but the money.
        """
        find = "SELECT * FROM payments WHERE pid = ? AND out_trade_no = ?"
        numbers = (order.pid, order.out_trade_no)
        with self._transaction() as db:
            known = db.execute(find, numbers).fetchone()
            if known:
                db.execute(
                    "UPDATE payments SET type = :type, name = :name, notify_url = :notify_url,"
                    " return_url = :return_url, param = :param WHERE pid = :pid"
                    " AND out_trade_no = :out_trade_no AND money = :money AND status = :unpaid",
                    {**asdict(order), "unpaid": UNPAID},
                )
            else:
                _insert(db, order)
            return Payment(*db.execute(find, numbers).fetchone()), not known

    def find(self, *, trade_no: str = "", pid: str = "", out_trade_no: str = "") -> Payment | None:
        """The newest payment that has every number given, if at least one order number is."""
        if not (trade_no or out_trade_no):
            return None
        given = {"trade_no": trade_no, "pid": pid, "out_trade_no": out_trade_no}
        given = {column: value for column, value in given.items() if value}
        where = " AND ".join(f"{column} = ?" for column in given)
        with self._lock:
            row = self._db.execute(
                f"SELECT * FROM payments WHERE {where} ORDER BY addtime DESC LIMIT 1", tuple(given.values())
            ).fetchone()
        return Payment(*row) if row else None

    def pay(self, trade_no: str, notify: bool) -> tuple[bool, Chain | None]:
        """Mark paid, once: whether this call did it, and the notice it queued."""
        now = time.time()
        with self._transaction() as db:
            paid = db.execute(
                "UPDATE payments SET status = ?, endtime = ?, api_trade_no = ? WHERE trade_no = ? AND status = ?",
                (PAID, now, _api_trade_no(now), trade_no, UNPAID),
            ).rowcount
            return paid == 1, _queue(db, trade_no, now) if paid and notify else None

    def refund(self, trade_no: str) -> bool:
        """Turn a paid payment into a refunded one, once."""
        with self._transaction() as db:
            sql = "UPDATE payments SET status = ? WHERE trade_no = ? AND status = ?"
            return db.execute(sql, (REFUNDED, trade_no, PAID)).rowcount == 1

    def amend(self, trade_no: str, status: int, money: int) -> None:
        """Overwrite what the provider believes (test control)."""
        now = time.time()
        with self._transaction() as db:
            db.execute("UPDATE payments SET status = ?, money = ? WHERE trade_no = ?", (status, money, trade_no))
            if status == UNPAID:
                sql = "UPDATE payments SET endtime = NULL, api_trade_no = NULL WHERE trade_no = ?"
                db.execute(sql, (trade_no,))
            else:
                db.execute(
                    "UPDATE payments SET endtime = ?, api_trade_no = ? WHERE trade_no = ? AND endtime IS NULL",
                    (now, _api_trade_no(now), trade_no),
                )

    def queue_notice(self, trade_no: str) -> Chain:
        """Start a chain of notices that is due now."""
        with self._transaction() as db:
            return _queue(db, trade_no, time.time())

    def pending(self) -> list[Chain]:
        """Every chain that neither reached the shop nor ran out of tries."""
        with self._lock:
            return [Chain(*row) for row in self._db.execute("SELECT due, id, trade_no, tries FROM chains")]

    def record(self, chain: Chain, attempt: Attempt, next_due: float | None) -> Chain | None:
        """Log an attempt and put its chain off until ``next_due``, or end it."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO attempts (trade_no, at, answer, delivered) VALUES (?, ?, ?, ?)",
                (chain.trade_no, *attempt),
            )
            if next_due is None:
                db.execute("DELETE FROM chains WHERE id = ?", (chain.id,))
                return None
            db.execute("UPDATE chains SET due = ?, tries = tries + 1 WHERE id = ?", (next_due, chain.id))
            return chain._replace(due=next_due, tries=chain.tries + 1)

    def attempts(self, trade_no: str) -> list[Attempt]:
        """What happened to the payment's notices, oldest first."""
        sql = "SELECT at, answer, delivered FROM attempts WHERE trade_no = ? ORDER BY id"
        with self._lock:
            rows = self._db.execute(sql, (trade_no,)).fetchall()
        return [Attempt(at, answer, bool(delivered)) for at, answer, delivered in rows]


def _insert(db: sqlite3.Connection, order: Order) -> None:
    now, token = time.time(), secrets.token_urlsafe(24)
    sql = (
        "INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL) ON CONFLICT (trade_no) DO NOTHING"
    )
    # The number is the time and five digits, like the real ones, so two may clash: then draw again.
    created = 0
    while not created:
        trade_no = beijing(now, "%Y%m%d%H%M%S") + str(10000 + secrets.randbelow(90000))
        created = db.execute(sql, (trade_no, *astuple(order), token, UNPAID, now)).rowcount


def _queue(db: sqlite3.Connection, trade_no: str, due: float) -> Chain:
    cursor = db.execute("INSERT INTO chains (trade_no, due, tries) VALUES (?, ?, 0)", (trade_no, due))
    return Chain(due, cursor.lastrowid or 0, trade_no, 0)


def _api_trade_no(at: float) -> str:
    """A number as the wallet behind the provider would give."""
    return beijing(at, "%Y%m%d") + "".join(secrets.choice("0123456789") for _ in range(20))

"""A simulated 易支付 (epay v1) payment provider.

A separate local program that speaks the real protocol over HTTP from the
provider's side: ``submit.php`` opens a payment and shows its pay page,
``api.php`` answers order queries and refunds, and a paid payment is announced
to the shop's ``notify_url`` with the provider's usual retries. No money moves.

    python -m simulators.epay --port 8800 --state DIR --merchant 1001:KEY

It listens on 127.0.0.1 only and keeps payments and pending notices in DIR.

Test controls
-------------
These paths are NOT part of the protocol and no shop may use them. They speak
JSON; an unknown order answers 404, a malformed request 400. Order numbers are
the shop's ``out_trade_no``; if two merchants share one, the newest is meant.

``POST /_control/payments/{out_trade_no}`` ``{"status"?: 0..3, "money"?: "0.01"}``
    Sets what the provider believes (0 unpaid, 1 paid, 2 refunded, 3 frozen).
    Sends no notice by itself. Answers the payment.
``POST /_control/outage`` ``{"query"?: bool, "submit"?: bool}``
    Makes ``api.php`` / ``submit.php`` answer 503 until switched off again; a
    switch that is left out stays as it is. Forgotten on restart. Answers both.
``GET /_control/notices/{out_trade_no}``
    The attempts so far, oldest first: ``[{"at", "answer", "delivered"}]``, with
    ``at`` in Unix seconds and ``answer`` the start of the body or the error.
``POST /_control/notices/{out_trade_no}``
    Starts a fresh chain of notices now, whatever the payment's status is.
``GET /_control/queries``
    ``{"count": n}``: the order queries received since the program started,
    refused ones included.
"""

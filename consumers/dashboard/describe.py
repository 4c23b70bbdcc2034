"""What OpenAPI says of the routes, in Indonesian and English: what a platform such as SPLP registers, and what a stranger reads first."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypedDict

from consumers.dashboard import board_models, models
from consumers.dashboard.query import DEFAULT_LIMIT, MAX_LIMIT, WINDOW_FORMS

TITLE = "Simpul: indikator"


class Route(TypedDict, total=False):
    """What is said of one route."""

    summary: str
    description: str
    tags: list[str | Enum]
    status_code: int
    responses: dict[int | str, dict[str, object]]
    openapi_extra: dict[str, object]


def both(indonesian: str, english: str) -> str:
    """A text in both languages."""
    return f"{indonesian}\n\n{english}"


DESCRIPTION = both(
    "Setiap angka eksak dan membawa posisi log yang menjadi buktinya. Peran `public` melihat yang telah dirilis, `internal` sel dengan "
    "sedikitnya lima kejadian atau subjek, `restricted` semuanya; yang tidak boleh dilihat tidak ada. Hanya baca. Aliran yang sama juga "
    'tersedia lewat WebSocket di `/v1/ws`: kirim `{"type": "subscribe", "id": "a", "indicator": ["dlh.pm10_mean"], "where": '
    '{"under": "33.09"}}`, `{"type": "unsubscribe", "id": "a"}` atau `{"type": "ping"}`.',
    "Every number is exact and carries the log positions that it was made of. The role `public` sees what was released, `internal` cells of "
    "at least five events or subjects, `restricted` all; what a role may not see does not exist. Read-only. The same stream is there over "
    "WebSocket at `/v1/ws`: send the messages above; `snapshot`, `change` and `status` come back with the subscription's `id`, their `data`, "
    "and a `token` with which a later `subscribe` resumes. Close codes: 1012 come back, 1008 not reading, 1003 not text, 4401 key withdrawn.",
)


def _parameter(
    name: str, indonesian: str, english: str, *, where: str = "query", schema: Mapping[str, object] | None = None, example: object = None
) -> dict[str, object]:
    said: dict[str, object] = {"name": name, "in": where, "required": False, "description": both(indonesian, english)}
    said["schema"] = dict(schema or {"type": "string"})
    return said if example is None else said | {"example": example}


def problems(*codes: int) -> dict[int | str, dict[str, object]]:
    """Answers that are no answer."""
    words = {
        400: both("Parameter tidak dipahami.", "A parameter that is not understood."),
        401: both("Kunci atau tiket tidak dikenal.", "A key or ticket that is not known."),
        404: both("Tidak ada; `near` memuat id yang mirip.", "There is no such thing; `near` has similar ids."),
        429: both("Terlalu sering; lihat Retry-After.", "Too often; see Retry-After."),
        503: both("Belum siap; lihat Retry-After.", "Not ready; see Retry-After."),
    }
    schema = {"schema": {"$ref": "#/components/schemas/ProblemModel"}}
    return {code: {"description": words[code], "content": {"application/problem+json": schema}} for code in codes}


_NONE_MATCH = _parameter(
    "If-None-Match",
    "ETag jawaban sebelumnya: 304 bila masih sama.",
    "ETag of an earlier answer: 304 when it is still the same.",
    where="header",
)
_UNCHANGED: dict[str, object] = {"description": both("Tidak berubah.", "Unchanged.")}
_WINDOW = _parameter(
    "window",
    f"Jendela di dalam suatu periode, atau yang mulai saat itu: {WINDOW_FORMS}; Asia/Jakarta.",
    f"Windows within a period, or the one that starts then: {WINDOW_FORMS}; in Asia/Jakarta.",
    example="2021-01",
)
_WHERE = [
    _parameter("station", "Contoh dimensi: sel dengan nilai ini.", "An example of a dimension: the cells with this value.", example="DKI1"),
    _parameter(
        "under",
        "Kode wilayah, dipisah koma: wilayah itu dan semua di bawahnya.",
        "Codes of regions, separated by commas: the region and all below it.",
        example="33.09.05",
    ),
    _parameter(
        "region_depth",
        "Paling banyak sekian tingkat di bawah `under` (atau `region`); 0: wilayah itu sendiri.",
        "At most so many levels below `under` (or `region`); 0: the region itself.",
        schema={"type": "integer", "minimum": 0, "maximum": 5},
    ),
]
_LIMIT_SCHEMA = {"type": "integer", "default": DEFAULT_LIMIT, "minimum": 1, "maximum": MAX_LIMIT}


def _ok(model: type, example: object = None) -> dict[str, object]:
    said: dict[str, object] = {"model": model, "description": both("Jawaban.", "The answer.")}
    return said if example is None else said | {"content": {"application/json": {"example": example}}}


ROUTES: Mapping[str, Route] = {
    "list": Route(
        summary="Semua indikator / All indicators",
        description=both(
            "Id, judul, satuan, jendela, jenis, bagian, dimensi, peristiwa, kelas publikasi, jumlah sel dan pembaruan terakhir. Daftar subjek "
            "tunggal tidak termasuk.",
            "Id, titles, unit, window, kind, parts, dimensions, event, publish class, number of cells and last update of each. Registers, which "
            "are about single subjects, are not among them.",
        ),
        tags=["indicators"],
        responses={200: _ok(models.ListModel), 304: _UNCHANGED, **problems(400, 503)},
        openapi_extra={"parameters": [_NONE_MATCH]},
    ),
    "values": Route(
        summary="Nilai sebuah indikator / An indicator's values",
        description=both(
            "Setiap nilai dengan bukti, revisi, status, kelengkapan (`heard` dari `expected`) dan watermark. Setiap dimensi juga parameter: dua "
            "kali berarti salah satu nilai, kosong berarti sel tanpa nilai. Untuk publik, sel yang ditahan hanya memuat jendela dan dimensi.",
            "Every value with its evidence, revision, status, completeness (`heard` of `expected`) and watermarks. Each dimension of the "
            "indicator is a parameter too; given twice it means either value, given empty it means the cells without one. To the public, a "
            "suppressed cell is its window and dimensions.",
        ),
        tags=["indicators"],
        responses={200: _ok(models.ValuesModel), 304: _UNCHANGED, **problems(400, 404, 503)},
        openapi_extra={
            "parameters": [
                _WINDOW,
                _parameter("limit", "Sel dalam satu jawaban.", "Cells in one answer.", schema=_LIMIT_SCHEMA),
                _parameter("cursor", "`next_cursor` jawaban sebelumnya.", "`next_cursor` of the answer before."),
                *_WHERE,
                _NONE_MATCH,
            ]
        },
    ),
    "definition": Route(
        summary="Arti sebuah indikator / What an indicator means",
        description=both(
            "Konsep, definisi, rumus dan satuan (Satu Data), kelas publikasi dan dasarnya, serta semua instansi di baliknya.",
            "Concept, definition, formula and unit (Satu Data), class of publication and its basis, and all agencies behind it.",
        ),
        tags=["indicators"],
        responses={200: _ok(models.DefinitionModel), 304: _UNCHANGED, **problems(400, 404, 503)},
        openapi_extra={"parameters": [_NONE_MATCH]},
    ),
    "board": Route(
        summary="Papan utama / The board",
        description=both(
            "Indikator utama per sektor dan peta kotak wilayah menurut `schemas/board.toml`; yang tidak boleh dilihat peran itu tidak ada di "
            "dalamnya.",
            "Headline indicators by sector and the regency's tile map, as `schemas/board.toml` says; what the role may not see is not in it.",
        ),
        tags=["indicators"],
        responses={200: _ok(board_models.BoardModel), 304: _UNCHANGED, **problems(400, 503)},
        openapi_extra={"parameters": [_NONE_MATCH]},
    ),
    "alerts": Route(
        summary="Peringatan / Alerts",
        description=both(
            "Peringatan yang terbuka dan yang baru berakhir, serta merta lebih dulu; hanya tentang yang boleh dilihat peran itu. 404 bila tidak "
            "ada layanan peringatan.",
            "Open alerts and those that ended lately, serta merta first; only about what the role may see. 404 where there is no such service.",
        ),
        tags=["live"],
        responses={200: _ok(board_models.AlertsModel), 304: _UNCHANGED, **problems(400, 404, 503)},
        openapi_extra={"parameters": [_NONE_MATCH]},
    ),
    "alerts_stream": Route(
        summary="Peringatan langsung / Live alerts",
        description=both(
            "Server-sent events: `alerts` memuat dokumen yang sama setiap kali berubah.",
            "Server-sent events: `alerts` has the same document whenever it has changed.",
        ),
        tags=["live"],
        responses={
            200: {"description": both("Aliran.", "The stream."), "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **problems(400, 404, 503),
        },
        openapi_extra={"parameters": [_parameter("ticket", "Tiket dari `POST /v1/tickets`.", "A ticket of `POST /v1/tickets`.")]},
    ),
    "series": Route(
        summary="Deret waktu / Values over time",
        description=both(
            "Jendela berurutan dengan nilai terbarunya; satu deret untuk setiap himpunan nilai dimensi.",
            "Windows in order with the newest value of each; one series for each set of dimension values.",
        ),
        tags=["indicators"],
        responses={200: _ok(models.SeriesModel), 304: _UNCHANGED, **problems(400, 404, 503)},
        openapi_extra={
            "parameters": [
                _parameter("from", "Jendela yang mulai saat itu atau sesudahnya.", "Windows that begin then or later.", example="2021-01"),
                _parameter("to", "Jendela yang mulai sebelum saat itu.", "Windows that begin before then.", example="2022"),
                _parameter("limit", "Jendela terbaru dari tiap deret.", "Newest windows of each series.", schema=_LIMIT_SCHEMA),
                *_WHERE,
                _NONE_MATCH,
            ]
        },
    ),
    "revisions": Route(
        summary="Riwayat sebuah angka / What was published of a number, and when",
        description=both(
            "`window` dan dimensi menunjuk satu sel. Setiap revisi dengan waktu dan sebabnya; bagi publik, yang pernah dirilis.",
            "`window` and dimensions name one cell. Every revision with its time and reasons; to the public, what was released.",
        ),
        tags=["indicators"],
        responses={200: _ok(models.RevisionsModel), 304: _UNCHANGED, **problems(400, 404, 503)},
        openapi_extra={"parameters": [_WINDOW, *_WHERE, _NONE_MATCH]},
    ),
    "verify": Route(
        summary="Hitung ulang sekarang / Recompute now",
        description=both(
            "Menghitung ulang satu sel dari peristiwa buktinya, dengan kode `bus verify`, satu per satu. Tidak ada untuk peran `public`.",
            "Recomputes one cell from the events that are its evidence, by the code of `bus verify`, one at a time. Not there for `public`.",
        ),
        tags=["indicators"],
        responses={200: _ok(models.ProofModel), **problems(400, 404, 503)},
        openapi_extra={"parameters": [_WINDOW, *_WHERE]},
    ),
    "stream": Route(
        summary="Nilai langsung / Live values",
        description=both(
            "Server-sent events: `snapshot` (bagian berisi paling banyak 500 sel, yang terakhir `complete: true`), lalu `change` dan `status`. "
            "`id` pesan melanjutkan tanpa celah, juga di gateway lain. Dimensi, `under` dan `region_depth` menyaring sel.",
            "Server-sent events. `snapshot` (in parts of at most 500 cells, the last one has `complete: true`; replaces all a client has), then "
            "`change` (newest state of changed cells; `removed: true` takes one away), and `status`. A client keeps the cell with the highest "
            "(version, revision) and drops an indicator's cells of a lower version. The `id` of a message resumes without a gap, also at another "
            "gateway. Comments come at least every 15 s. Dimensions, `under` and `region_depth` choose cells.",
        ),
        tags=["live"],
        responses={
            200: {
                "description": both("Aliran.", "The stream."),
                "content": {
                    "text/event-stream": {
                        "schema": {"type": "string"},
                        "example": 'event: status\ndata: {"caught_up":true,"live":true}\n\n',
                    }
                },
            },
            **problems(400, 404, 503),
        },
        openapi_extra={
            "parameters": [
                _parameter("indicator", "Hanya indikator ini, dipisah koma.", "Only these indicators, separated by commas."),
                _parameter(
                    "detail",
                    "`brief`: tanpa bukti, watermark dan pecahan eksak.",
                    "`brief` leaves out evidence, watermarks and the exact fraction.",
                    schema={"type": "string", "enum": ["full", "brief"]},
                ),
                _parameter("last_event_id", "Sama dengan header.", "The same as the header, for clients that cannot set one."),
                _parameter("ticket", "Tiket dari `POST /v1/tickets`.", "A ticket of `POST /v1/tickets`."),
                *_WHERE,
                _parameter("Last-Event-ID", "Id pesan terakhir.", "Id of the last message received.", where="header"),
            ]
        },
    ),
    "tickets": Route(
        summary="Tiket untuk aliran / A ticket for a stream",
        description=both(
            "Peramban tidak dapat memberi header pada EventSource dan WebSocket: tiket membuka aliran selama satu menit atas nama pemegang kunci.",
            "Browsers cannot set headers of EventSource and WebSocket: a ticket opens streams for a minute in the name of the key's holder. "
            "Without a key there is none (404).",
        ),
        tags=["live"],
        status_code=201,
        responses={201: {"model": models.TicketModel, "description": both("Tiket.", "The ticket.")}, **problems(400, 404)},
    ),
    "health": Route(
        summary="Kesiapan / Readiness",
        description=both(
            "503 dengan alasannya selama ujung log belum diketahui atau belum tercapai.",
            "503 with the reason while the log's end is not known or not reached.",
        ),
        tags=["operation"],
        responses={200: _ok(models.HealthModel), 503: {"model": models.HealthModel, "description": both("Belum siap.", "Not ready.")}},
    ),
    "metrics": Route(
        summary="Metrik Prometheus / Prometheus metrics",
        description=both("Hanya untuk peran `restricted`.", "For the role `restricted` only."),
        tags=["operation"],
        responses={
            200: {"description": both("Teks.", "Text."), "content": {"text/plain": {"schema": {"type": "string"}}}},
            **problems(404),
        },
    ),
}

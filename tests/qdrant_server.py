"""A vector store in a process of its own: the part of Qdrant's REST API that Cairn uses, over Qdrant Edge.

It stands in for a Qdrant server, of which there is no package to install. Each collection is an Edge shard
in a folder, so that it is still there when the process was ended and started again.

    python tests/qdrant_server.py PORT FOLDER
"""

import json
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import qdrant_edge as edge

from tests.threaded_server import SilentRequests

Json = dict[str, Any]

SCHEMAS: Final = {
    "uuid": edge.UuidIndexParams,
    "keyword": edge.KeywordIndexParams,
    "float": edge.FloatIndexParams,
}


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Collection:
    """One Edge shard and the configuration of the collection."""

    def __init__(self, folder: Path, created: Json, shard: edge.EdgeShard) -> None:
        self.folder = folder
        self.created = created
        self._shard = shard
        self._writing = threading.Lock()

    @classmethod
    def create(cls, folder: Path, wanted: Json) -> "Collection":
        folder.mkdir(parents=True)
        shard = edge.EdgeShard.create(str(folder), _config(wanted))
        shard.flush()
        cls._description(folder).write_text(json.dumps(wanted))
        return cls(folder, wanted, shard)

    @classmethod
    def open(cls, folder: Path) -> "Collection":
        created = json.loads(cls._description(folder).read_text())
        return cls(folder, created, edge.EdgeShard.load(str(folder), _config(created)))

    @staticmethod
    def _description(folder: Path) -> Path:
        return folder.with_suffix(".json")

    def write(self, operation: edge.UpdateOperation) -> Json:
        with self._writing:
            self._shard.update(operation)
        return {"operation_id": 0, "status": "completed"}

    def query(self, requests: list[Json]) -> list[Json]:
        batch = edge.QueryBatchRequest([_query(request) for request in requests])
        found = self._shard.query_batch(batch)
        return [{"points": [_scored(point) for point in points]} for points in found]

    def retrieve(self, body: Json) -> list[Json]:
        found = self._shard.retrieve([UUID(each) for each in body["ids"]], True, True)
        return [_record(point, body) for point in found]

    def scroll(self, body: Json) -> Json:
        start = body.get("offset")
        wanted = edge.ScrollRequest(
            offset=UUID(start) if start else None, limit=body["limit"], with_payload=True, with_vector=True
        )
        found, following = self._shard.scroll(wanted)
        return {
            "points": [_record(point, body) for point in found],
            "next_page_offset": str(following) if following else None,
        }

    def count(self, body: Json) -> Json:
        wanted = _filter(body.get("filter") or {})
        return {"count": self._shard.count(edge.CountRequest(exact=True, filter=wanted))}

    def close(self) -> None:
        with self._writing, suppress(Exception):
            self._shard.flush()
            self._shard.close()

    def drop(self) -> None:
        self.close()
        self._description(self.folder).unlink()
        shutil.rmtree(self.folder)


class Store:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._open = {path.stem: Collection.open(path.with_suffix("")) for path in folder.glob("*.json")}

    def names(self) -> Json:
        return {"collections": [{"name": name} for name in self._open]}

    def exists(self, name: str) -> Json:
        return {"exists": name in self._open}

    def find(self, name: str) -> Collection:
        try:
            return self._open[name]
        except KeyError:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!") from None

    def create(self, name: str, wanted: Json) -> bool:
        with self._lock:
            if name in self._open:
                raise Refused(409, f"Collection `{name}` already exists!")
            self._open[name] = Collection.create(self._folder / name, wanted)
        return True

    def drop(self, name: str) -> bool:
        with self._lock:
            found = self._open.pop(name, None)
        if found is not None:
            found.drop()
        return found is not None

    def close(self) -> None:
        for collection in self._open.values():
            collection.close()


Answer = Callable[[Store, str, Json], Any]


def _on(act: Callable[[Collection, Json], Any]) -> Answer:
    return lambda store, name, body: act(store.find(name), body)


ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", r"/collections()", lambda store, _name, _body: store.names()),
    ("GET", r"/collections/([^/]+)/exists", lambda store, name, _body: store.exists(name)),
    ("GET", r"/collections/([^/]+)", _on(lambda found, _body: _described(found.created))),
    ("PUT", r"/collections/([^/]+)", lambda store, name, body: store.create(name, body)),
    ("DELETE", r"/collections/([^/]+)", lambda store, name, _body: store.drop(name)),
    ("PUT", r"/collections/([^/]+)/index", _on(lambda found, body: found.write(_field_index(body)))),
    ("PUT", r"/collections/([^/]+)/points", _on(lambda found, body: found.write(_upsert(body)))),
    ("POST", r"/collections/([^/]+)/points", _on(lambda found, body: found.retrieve(body))),
    ("POST", r"/collections/([^/]+)/points/scroll", _on(lambda found, body: found.scroll(body))),
    ("POST", r"/collections/([^/]+)/points/delete", _on(lambda found, body: found.write(_delete(body)))),
    ("POST", r"/collections/([^/]+)/points/payload", _on(lambda found, body: found.write(_payload(body)))),
    (
        "POST",
        r"/collections/([^/]+)/points/query/batch",
        _on(lambda found, body: found.query(body["searches"])),
    ),
    ("POST", r"/collections/([^/]+)/points/count", _on(lambda found, body: found.count(body))),
)


class Handler(SilentRequests, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms until the header before it is acknowledged
    store: Store

    def _serve(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = self.path.partition("?")[0]
        for method, pattern, answer in ROUTES:
            if method == self.command and (matched := re.fullmatch(pattern, path)):
                self._answer(answer, matched[1], body)
                return
        self._send(404, {"status": {"error": f"{self.command} {path} is not served here"}})

    def _answer(self, answer: Answer, name: str, body: Json) -> None:
        try:
            self._send(200, {"result": answer(self.store, name, body), "status": "ok", "time": 0.0})
        except Refused as refused:
            self._send(refused.status, {"status": {"error": str(refused)}})
        except Exception as error:  # noqa: BLE001 - as a server does: the request fails, but the server continues
            self._send(500, {"status": {"error": f"{type(error).__name__}: {error}"}})

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names http.server calls

    def _send(self, status: int, content: Json) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _config(wanted: Json) -> edge.EdgeConfig:
    dense = {
        name: edge.EdgeVectorParams(size=given["size"], distance=edge.Distance.Cosine)
        for name, given in wanted["vectors"].items()
    }
    sparse = {
        name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf) for name in wanted["sparse_vectors"]
    }
    return edge.EdgeConfig(vectors=dense, sparse_vectors=sparse)


def _described(created: Json) -> Json:
    names = ("vectors", "sparse_vectors")
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "payload_schema": {},
        "config": {
            "params": {name: created[name] for name in names},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {"default_segment_number": 0, "flush_interval_sec": 5},
        },
    }


def _field_index(body: Json) -> edge.UpdateOperation:
    schema = body["field_schema"]
    told = schema if isinstance(schema, dict) else {"type": schema}
    given = {"is_tenant": True} if told.get("is_tenant") else {}
    return edge.UpdateOperation.create_field_index(body["field_name"], SCHEMAS[told["type"]](**given))


def _upsert(body: Json) -> edge.UpdateOperation:
    return edge.UpdateOperation.upsert_points(
        [
            edge.Point(
                UUID(point["id"]),
                {name: _vector(vector) for name, vector in point["vector"].items()},
                point["payload"],
            )
            for point in body["points"]
        ]
    )


def _delete(body: Json) -> edge.UpdateOperation:
    if "points" in body:
        return edge.UpdateOperation.delete_points([UUID(each) for each in body["points"]])
    return edge.UpdateOperation.delete_points_by_filter(_filter(body["filter"]))


def _payload(body: Json) -> edge.UpdateOperation:
    return edge.UpdateOperation.set_payload_by_filter(_filter(body["filter"]), body["payload"])


def _vector(given: list[float] | Json) -> Any:
    if isinstance(given, dict):
        return edge.SparseVector(given["indices"], given["values"])
    return given


def _query(request: Json) -> edge.QueryRequest:
    idf = (request.get("params") or {}).get("idf")
    params = edge.SearchParams(idf=edge.IdfParams(corpus=_filter(idf["corpus"]))) if idf else None
    return edge.QueryRequest(
        limit=request["limit"],
        query=edge.Query.Nearest(_vector(request["query"]["nearest"]), using=request["using"]),
        filter=_filter(request["filter"]),
        params=params,
    )


def _record(point: Any, wanted: Json) -> Json:
    named = wanted.get("with_vector", True)
    vectors = {
        name: vector if name == "dense" else {"indices": vector.indices, "values": vector.values}
        for name, vector in point.vector.items()
        if named is True or name in named
    }
    payload = point.payload if wanted.get("with_payload") else None
    return {"id": str(point.id), "vector": vectors, "payload": payload}


def _scored(point: edge.ScoredPoint) -> Json:
    return {"id": str(point.id), "version": point.version, "score": point.score}


def _filter(given: Json) -> edge.Filter:
    parts = {
        name: [_condition(each) for each in given[name]] for name in ("must", "should") if given.get(name)
    }
    return edge.Filter(**parts)


def _condition(given: Json) -> Any:
    if "has_id" in given:
        return edge.HasIdCondition({UUID(each) for each in given["has_id"]})
    if "key" not in given:
        return _filter(given)
    if given.get("match"):
        return edge.FieldCondition(given["key"], match=edge.MatchAny(given["match"]["any"]))
    between = given["range"]
    return edge.FieldCondition(
        given["key"], range=edge.RangeFloat(gte=between.get("gte"), lt=between.get("lt"))
    )


def main(port: int, folder: Path) -> None:
    Handler.store = Store(folder)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - its parent waits for this
    server.serve_forever(0.05)
    server.server_close()
    Handler.store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

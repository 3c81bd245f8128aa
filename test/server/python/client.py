"""Calls one node through stubs made from proto/, as a program in another language does.

Usage: client.py STUBS HOST:PORT PREFIX. Uses keys that begin with PREFIX. Prints OK, or fails with what was not as expected.
"""

import sys

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
from holdfast.v1 import holdfast_pb2 as pb  # noqa: E402
from holdfast.v1 import holdfast_pb2_grpc as rpc  # noqa: E402

DEADLINE_S = 30
PREFIX = sys.argv[3].encode()


def key(name):
    return PREFIX + b"/" + name


def expect(found, expected):
    if found != expected:
        raise SystemExit(f"expected {expected!r}, found {found!r}")


def refusal(call):
    """The gRPC status and the trailing metadata of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), dict(error.trailing_metadata()), error.details()
    raise SystemExit("expected a refusal")


def values(store):
    put = store.Put(pb.PutCall(key=key(b"1"), value=b'{"n": 1}', codec=pb.CODEC_JSON), timeout=DEADLINE_S)
    found = store.Get(pb.GetCall(key=key(b"1")), timeout=DEADLINE_S)
    expect((found.entry.value, found.entry.codec, found.entry.version), (b'{"n": 1}', pb.CODEC_JSON, put.version))
    expect(store.Get(pb.GetCall(key=key(b"none")), timeout=DEADLINE_S).HasField("entry"), False)
    many = store.GetMany(pb.GetManyCall(keys=[key(b"none"), key(b"1")]), timeout=DEADLINE_S)
    expect([each.HasField("entry") for each in many.results], [False, True])
    return put.version


def conditions(store, version):
    absent = getattr(pb, "If")(absent=True)
    code, metadata, _ = refusal(lambda: store.Put(conditional(key(b"1"), absent), timeout=DEADLINE_S))
    expect(code, grpc.StatusCode.FAILED_PRECONDITION)
    expect(metadata["holdfast-code"], "CONDITION_FAILED")
    expect(metadata["holdfast-may-have-been-applied"], "false")
    same = getattr(pb, "If")(version=version)
    later = store.Put(conditional(key(b"1"), same), timeout=DEADLINE_S).version
    expect(later > version, True)


def conditional(where, condition):
    call = pb.PutCall(key=where, value=b"new")
    getattr(call, "if").CopyFrom(condition)
    return call


def batches(store):
    operations = [pb.Operation(put=pb.Operation.Put(key=key(b"%d" % i), value=b"x")) for i in range(2, 6)]
    store.Batch(pb.BatchCall(operations=operations), timeout=DEADLINE_S)
    expect(store.Delete(pb.DeleteCall(key=key(b"5")), timeout=DEADLINE_S).deleted, True)
    expect(list(keys(store)), [key(b"1"), key(b"2"), key(b"3"), key(b"4")])


def keys(store):
    start, more = key(b""), True
    while more:
        page = store.Scan(pb.ScanCall(start=start, end=PREFIX + b"0", limit=3), timeout=DEADLINE_S)
        yield from (entry.key for entry in page.entries)
        start, more = page.next, page.HasField("next")


def bad_input(store):
    code, metadata, details = refusal(lambda: store.Get(pb.GetCall(key=b""), timeout=DEADLINE_S))
    expect((code, metadata["holdfast-code"]), (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"))
    expect("the key is empty" in details, True)
    large = pb.PutCall(key=b"k", value=bytes(1024 * 1024 + 1))
    code, metadata, details = refusal(lambda: store.Put(large, timeout=DEADLINE_S))
    expect((code, metadata["holdfast-code"]), (grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE"))
    expect("1048577" in details and "1048576" in details, True)


def administration(channel):
    admin = rpc.AdminStub(channel)
    child = admin.Split(pb.SplitCall(key=key(b"3")), timeout=DEADLINE_S).range
    status = admin.Status(pb.StatusCall(), timeout=DEADLINE_S).status
    expect(len(status.nodes), 3)
    expect(child > 2, True)


def main():
    with grpc.insecure_channel(sys.argv[2]) as channel:
        store = rpc.KeyValueStub(channel)
        conditions(store, values(store))
        batches(store)
        bad_input(store)
        administration(channel)
        expect(list(keys(store)), [key(b"1"), key(b"2"), key(b"3"), key(b"4")])
    print("OK")


main()

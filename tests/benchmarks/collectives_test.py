"""How compiled programs are read: what is sent between devices, and how often."""

from benchmarks.speed import collectives

PROGRAM = """HloModule jit_chunk

%inner (p: (s32[], f32[2])) -> (s32[], f32[2]) {
  %all-reduce.1 = (f32[2,3]{1,0}, f32[]) all-reduce(%a, %b), to_apply=%add
}

%outer (p: (s32[])) -> (s32[]) {
  %while.2 = (s32[], f32[2]{0}) while(%t), condition=%c, body=%inner, \
backend_config={"known_trip_count":{"n":"4"}}
  %all-gather.3 = bf16[8]{0} all-gather(%d), dimensions={0}
}

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %add.4 = f32[] add(%x, %y)
}

ENTRY %main (p: f32[2]) -> f32[2] {
  %while.5 = (s32[]) while(%t), condition=%c, body=%outer, \
backend_config={"known_trip_count":{"n":"3"}}
  %while.6 = (s32[]) while(%t), condition=%c, body=%inner
  %conditional.8 = f32[] conditional(%i, %x, %y), branch_computations={%inner, %outer}
  ROOT %call.7 = f32[2]{0} call(%p), to_apply=%outer
}
"""


def test_operations_are_counted_as_often_as_they_are_done():
    """Four inner rounds in each of three outer ones, in the call and in a branch, one in the other
    branch, and one of unknown length.
    """
    reduced, gathered = 4 * (3 + 1 + 1) + 1 + 1, 3 + 1 + 1
    assert collectives.traffic(PROGRAM) == {
        "all-reduce": (reduced, reduced * 28.0),
        "all-gather": (gathered, gathered * 16.0),
    }

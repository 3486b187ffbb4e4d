using System.Buffers;
using Quench.Snapshots.Tracking;
using Xunit;

namespace Quench.Tests.Snapshots.Tracking;

/// <summary>What an attachment believes: each doubt, one by one.</summary>
public sealed class TrackingRecoveryTests
{
    private const long Length = 64L << 20; // sixteen regions
    private static readonly Guid s_state = new("5b9d3f1e-0000-4000-8000-000000000001");
    private static readonly Guid s_session = new("5b9d3f1e-0000-4000-8000-000000000002");
    private static readonly Guid s_vault = new("5b9d3f1e-0000-4000-8000-000000000003");
    private static readonly OriginFacts s_same = new(Length, "file a", "stamp 1", "boot 1", false);

    [Fact]
    public void After_a_detach_in_order_the_mark_is_exact()
    {
        TrackingRecovery recovery = Recover(Slot(7, CheckpointCondition.Clean), s_same, Intents(7, 3));

        VolumeMark mark = Assert.Single(recovery.Marks);
        Assert.Null(mark.Doubtful);
        Assert.Equal([(5L, 1L), (9L, 2L)], mark.Changed.Runs()); // the mark's own and what came since
        Assert.Equal(("", 7, s_state), (recovery.Lost, recovery.Sequence, recovery.State));
    }

    [Fact]
    public void After_a_power_cut_the_set_intents_are_doubtful()
    {
        TrackingRecovery recovery = Recover(Slot(7, CheckpointCondition.InUse), s_same with { BootId = "boot 2", IsUntouchedSinceBoot = true }, Intents(7, 3));

        Assert.Equal(1UL << 3, Assert.Single(recovery.Marks).Doubtful![0]);
    }

    [Fact]
    public void A_damaged_sector_of_the_intents_makes_its_regions_doubtful()
    {
        byte[] intents = Intents(7, 3);
        intents[100] ^= 1;

        TrackingRecovery recovery = Recover(Slot(7, CheckpointCondition.InUse), s_same with { BootId = "boot 2", IsUntouchedSinceBoot = true }, intents);

        Assert.Equal(0xFFFFUL, Assert.Single(recovery.Marks).Doubtful![0]);
    }

    [Fact]
    public void The_older_checkpoint_serves_when_the_newer_one_is_torn_but_not_when_intents_were_let_go_of_since()
    {
        byte[] torn = Slot(8, CheckpointCondition.InUse);
        torn[^1] ^= 1;
        OriginFacts rebooted = s_same with { BootId = "boot 2", IsUntouchedSinceBoot = true };

        Assert.Equal(7, TrackingRecovery.From([torn, Slot(7, CheckpointCondition.InUse)], Intents(7, 3), null, rebooted).Sequence);
        Assert.NotEmpty(TrackingRecovery.From([torn, Slot(7, CheckpointCondition.InUse)], Intents(7, 3), null, rebooted).Marks);
        Assert.Contains("damaged", Doubt(TrackingRecovery.From([torn, Slot(7, CheckpointCondition.InUse)], Intents(8, 3), null, rebooted)), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_single_flipped_bit_of_a_slot_is_noticed()
    {
        byte[] sound = Slot(7, CheckpointCondition.Clean);
        for (int at = 0; at < sound.Length; at = at is >= 512 and < Checkpoint.HeaderSize ? Checkpoint.HeaderSize : at + 1)
        {
            byte[] flipped = [.. sound];
            flipped[at] ^= 4;
            Assert.True(at is >= 512 and < Checkpoint.HeaderSize || Checkpoint.TryDecode(flipped) is null, $"byte {at}");
        }
    }

    [Fact]
    public void Every_doubt_ends_in_no_marks_and_says_why()
    {
        byte[] clean = Slot(7, CheckpointCondition.Clean);
        byte[] inUse = Slot(7, CheckpointCondition.InUse);
        OriginSeal seal = new(s_session, "stamp 1", null);
        (TrackingRecovery Recovery, string Reason)[] cases =
        [
            (Recover(clean, s_same with { Length = Length + 4096 }), "size changed"),
            (Recover(clean, s_same with { Identity = "file b" }), "another origin"),
            (Recover(clean, s_same with { Identity = null }), "can't be recognised"),
            (Recover(clean, s_same with { Stamp = "stamp 2" }), "written while it was detached"),
            (Recover(clean, s_same with { Stamp = null }), "can't tell"),
            (Recover(inUse, s_same), "`quench detach`"),
            (Recover(inUse, s_same with { BootId = "boot 2" }), "written since it started"),
            (Recover(inUse, s_same, seal: seal with { Stamp = "stamp 2" }), "written while it was detached"),
            (Recover(inUse, s_same, seal: seal with { Session = Guid.Empty }), "`quench detach`"),
            (Recover(inUse, s_same, seal: seal with { Lost = "the disk was slow" }), "the disk was slow"),
            (Recover(Slot(7, CheckpointCondition.Revoked, lost: "the disk was slow"), s_same), "the disk was slow"),
            (Recover([1, 2, 3], s_same), "damaged"),
            (Recover(clean, s_same, Intents(9, 3)), "damaged"),
        ];
        foreach ((TrackingRecovery recovery, string reason) in cases)
        {
            Assert.Contains(reason, Doubt(recovery), StringComparison.Ordinal);
        }

        Assert.Equal("", TrackingRecovery.From([[], []], [], null, s_same).Lost); // a volume that is new is no loss
        Assert.NotEmpty(Recover(inUse, s_same, seal: seal).Marks);
    }

    private static string Doubt(TrackingRecovery recovery)
    {
        Assert.Empty(recovery.Marks);
        return recovery.Lost;
    }

    private static TrackingRecovery Recover(byte[] slot, OriginFacts now, byte[]? intents = null, OriginSeal? seal = null) =>
        TrackingRecovery.From([[], slot], intents ?? Intents(7), seal, now);

    private static byte[] Intents(long basis, params int[] regions)
    {
        byte[] sector = new byte[IntentSector.Size];
        IntentSector.Encode(sector, 0, s_state, basis, [regions.Aggregate(0UL, (bits, region) => bits | (1UL << region))]);
        return sector;
    }

    private static byte[] Slot(long sequence, CheckpointCondition condition, string lost = "")
    {
        ChangeMap marked = new(Length);
        marked.AddRun(5, 1);
        ChangeMap since = new(Length);
        since.AddRun(9, 2);
        ArrayBufferWriter<byte> bytes = new();
        new Checkpoint
        {
            State = s_state,
            Sequence = sequence,
            VolumeLength = Length,
            Condition = condition,
            Identity = "file a",
            Stamp = condition == CheckpointCondition.Clean ? "stamp 1" : "",
            Session = s_session,
            BootId = "boot 1",
            Lost = lost,
            Marks = [new VolumeMark { Vault = s_vault, Point = Guid.NewGuid(), Used = [1, 2], Changed = marked }],
            Changed = since,
        }.Encode(bytes);
        return bytes.WrittenSpan.ToArray();
    }
}

using System.Buffers.Binary;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class VolumeCaptureTests
{
    private const int Mebibyte = 1 << 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_the_vault_gives_back_is_what_was_in_use_and_zeros_elsewhere()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await TestVault.NewAsync(Token);
        for (int round = 0; round < 20; round++)
        {
            Volume volume = Volume.Random(random, random.Next(1, 5 * Mebibyte));
            CaptureResult result = await CaptureAsync(vault, volume, prove: random.Next(2) == 0, lanes: random.Next(1, 6));
            Assert.Equal(volume.Expected, await ReadImageAsync(vault, result.Volume));
            Assert.Equal(volume.Used.TotalLength, result.Volume.UsedBytes);
        }

        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task Every_planned_chunk_is_read_once_and_released_and_nothing_else()
    {
        Volume volume = Volume.Random(TestSeed.NewRandom(), 9 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        await CaptureAsync(vault, volume, snapshot: snapshot);
        CapturePlan plan = new(volume.Used, TestVault.ChunkSize);
        Assert.Equal(plan.ReadBytes, snapshot.Reads.Sum(read => read.Length));
        Assert.Equal(plan.ReadBytes, new ExtentSet(snapshot.Reads).TotalLength);
        Assert.Equal(snapshot.Reads.Order(), snapshot.Released.Order());
        Assert.Same(volume.Used, snapshot.Kept);
    }

    [Fact]
    public async Task The_point_says_how_the_instant_was_held()
    {
        Volume volume = Volume.Random(TestSeed.NewRandom(), Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        snapshot.Status = () => new DiffAreaStatus(10, 1000, 777, false, null);
        CaptureResult result = await CaptureAsync(vault, volume, snapshot: snapshot, doubt: "its map contradicts itself");
        VolumeRecord record = Assert.Single((await vault.ListPointsAsync(Token))[0].Volumes);
        Assert.Equal(("scripted", "file-system", 12.5, 777L), (record.Provider, record.Grade, record.FreezeMilliseconds!.Value, record.DiffAreaPeakBytes));
        Assert.Equal(("vol", "/dev/scripted", snapshot.Instant, "its map contradicts itself"), (record.Name, record.Source, record.Instant, record.MapDoubt));
        Assert.Equal(result.Point.Id, (await vault.FindPointAsync("latest", Token))!.Id);
    }

    [Fact]
    public async Task The_second_capture_of_the_same_content_stores_next_to_nothing()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 32 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        CaptureResult first = await CaptureAsync(vault, volume);
        CaptureResult second = await CaptureAsync(vault, volume);
        Assert.Equal(32 * Mebibyte, first.Totals.NewChunkBytes);
        Assert.InRange(first.Volume.StoredBytes, 32 * Mebibyte, first.Totals.StoredBytes);
        Assert.Equal((0L, 0L), (second.Totals.NewChunks, second.Totals.NewPages));
        Assert.InRange(second.Totals.StoredBytes, 0, 16 * 1024);
        Assert.Equal(first.Volume.Root, second.Volume.Root);
    }

    [Fact]
    public async Task The_image_does_not_depend_on_the_lanes_nor_on_the_order_of_reading()
    {
        Volume volume = Volume.Random(TestSeed.NewRandom(), 24 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        CaptureResult one = await CaptureAsync(vault, volume, lanes: 1);
        CaptureResult many = await CaptureAsync(vault, volume, lanes: 8);
        ScriptedSnapshot urgent = volume.Snapshot();
        urgent.Status = () => new DiffAreaStatus(9, 10, 9, IsNearlyFull: true, null);
        urgent.Saved = [new Extent(20 * Mebibyte, Mebibyte), new Extent(3 * Mebibyte, 5)];
        CaptureResult reordered = await CaptureAsync(vault, volume, snapshot: urgent);
        Assert.Equal(one.Volume.Root, many.Volume.Root);
        Assert.Equal(one.Volume.Root, reordered.Volume.Root);
    }

    [Fact]
    public async Task A_nearly_full_diff_area_is_served_first()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 16 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        Extent saved = new(10 * Mebibyte, 4 * TestVault.ChunkSize);
        snapshot.Saved = [saved];
        snapshot.Status = () => new DiffAreaStatus(9, 10, 9, IsNearlyFull: true, null);
        await CaptureAsync(vault, volume, snapshot: snapshot, lanes: 1);
        Assert.Equal(saved, snapshot.Released[0]);
    }

    [Fact]
    public async Task A_snapshot_that_breaks_fails_the_backup_with_20_and_commits_nothing()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 16 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        string? broken = null;
        snapshot.Status = () => new DiffAreaStatus(4L << 30, 4L << 30, 4L << 30, false, broken);
        snapshot.BeforeRead = (number, _, _) =>
        {
            if (number < 7)
            {
                return ValueTask.CompletedTask;
            }

            broken = "the diff area is full"; // for good: reads of several lanes come at once, the sixth perhaps after the seventh
            throw new IOException("the snapshot is gone");
        };
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, snapshot: snapshot));
        Assert.Equal(("SNAP-104", 20), (failure.Code, failure.ExitCode));
        Assert.Equal("snapshot of /dev/scripted stopped: the diff area is full (4.00 GiB of 4.00 GiB in the diff area)", failure.Message);
        Assert.Contains("the volume itself is unaffected", failure.Effect, StringComparison.Ordinal);
        await DemandEmptyAndUsableAsync(vault, volume);
    }

    [Fact]
    public async Task A_snapshot_that_breaks_after_the_last_read_still_commits_nothing()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        snapshot.Status = () => new DiffAreaStatus(0, 0, 0, false, snapshot.Released.Count > 0 ? "its worker died" : null);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, snapshot: snapshot));
        Assert.Equal(20, failure.ExitCode);
        await DemandEmptyAndUsableAsync(vault, volume);
    }

    [Fact]
    public async Task A_medium_that_can_not_be_read_is_named_with_the_place()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 4 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        snapshot.BeforeRead = (_, extent, _) => extent.Offset == 2 * Mebibyte ? throw new IOException("bad sector") : ValueTask.CompletedTask;
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, snapshot: snapshot));
        Assert.Equal(("IMG-110", 1), (failure.Code, failure.ExitCode));
        Assert.Contains("0x200000: bad sector", failure.Message, StringComparison.Ordinal);
        await DemandEmptyAndUsableAsync(vault, volume);
    }

    [Fact]
    public async Task Cancelling_at_any_read_leaves_a_valid_vault_without_a_new_point()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 8 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        for (int stopAt = 1; stopAt <= 8; stopAt++)
        {
            using CancellationTokenSource stop = new();
            ScriptedSnapshot snapshot = volume.Snapshot();
            int at = stopAt;
            snapshot.BeforeRead = async (number, _, token) =>
            {
                if (number == at)
                {
                    await stop.CancelAsync();
                    token.ThrowIfCancellationRequested();
                }
            };
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CaptureAsync(vault, volume, snapshot: snapshot, token: stop.Token));
        }

        await DemandEmptyAndUsableAsync(vault, volume);
    }

    [Fact]
    public async Task A_proof_is_the_hash_that_its_definition_gives()
    {
        Volume volume = Volume.Random(TestSeed.NewRandom(), (3 * Mebibyte) + 1000);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        CaptureResult result = await CaptureAsync(vault, volume, prove: true);
        using IncrementalHash whole = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] index = new byte[8];
        for (int at = 0; at < volume.Expected.Length; at += TestVault.ChunkSize)
        {
            ReadOnlySpan<byte> chunk = volume.Expected.AsSpan(at, Math.Min(TestVault.ChunkSize, volume.Expected.Length - at));
            if (chunk.ContainsAnyExcept((byte)0))
            {
                BinaryPrimitives.WriteInt64LittleEndian(index, at / TestVault.ChunkSize);
                whole.AppendData(index);
                whole.AppendData(SHA256.HashData(chunk));
            }
        }

        Assert.Equal(Convert.ToHexStringLower(whole.GetHashAndReset()), result.Volume.Proof!.Hash);
        Assert.Equal("sha256", result.Volume.Proof.Algorithm);
        VolumeRecord recorded = (await vault.FindPointAsync("latest", Token))!.Volumes[0];
        Assert.Equal(result.Volume.Proof.Hash, recorded.Proof!.Hash);
    }

    [Fact]
    public async Task While_a_proof_is_to_come_nothing_is_released()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 2 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        await CaptureAsync(vault, volume, snapshot: snapshot, prove: true);
        Assert.Empty(snapshot.Released);
    }

    [Fact]
    public async Task A_proved_backup_whose_session_a_collection_revoked_begins_again_and_makes_its_point()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 4 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = await CollectedAtReadAsync(vault, volume, number: 3);
        CaptureResult result = await CaptureAsync(vault, volume, snapshot: snapshot, prove: true, lanes: 1);
        Assert.Empty(snapshot.Released);
        Assert.Equal(result.Point.Id, Assert.Single(await vault.ListPointsAsync(Token)).Id);
        Assert.NotNull(result.Volume.Proof);
        Assert.Equal(volume.Expected, await ReadImageAsync(vault, result.Volume));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task Without_a_proof_what_was_read_is_gone_from_the_snapshot_so_a_revoked_backup_says_so_and_ends()
    {
        Volume volume = Volume.Full(TestSeed.NewRandom(), 4 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = await CollectedAtReadAsync(vault, volume, number: 3);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, snapshot: snapshot, lanes: 1));
        Assert.Equal(("VAULT-031", true), (failure.Code, failure.CanRetry));
        await DemandEmptyAndUsableAsync(vault, volume);
    }

    /// <summary>A snapshot during whose read of a number a point is forgotten and collected: one that held the same content, so the backup relies on what goes.</summary>
    private static async Task<ScriptedSnapshot> CollectedAtReadAsync(BackupVault vault, Volume volume, int number)
    {
        CaptureResult old = await CaptureAsync(vault, volume);
        ScriptedSnapshot snapshot = volume.Snapshot();
        bool collected = false;
        snapshot.BeforeRead = async (at, _, _) =>
        {
            if (at == number && !collected)
            {
                collected = true;
                ForgetPlan plan = await vault.PlanForgetAsync(new ForgetRequest { Points = [old.Point.Id.ToString("N")] }, Token);
                await vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), "test", Token);
                PruneReport report = await vault.PruneAsync(await vault.PlanPruneAsync(new PruneSettings(), null, Token), null, Token);
                Assert.Equal(1, report.RevokedSessions);
                Assert.NotEqual(0, report.DeletedPacks);
            }
        };
        return snapshot;
    }

    [Fact]
    public async Task A_proof_catches_a_reader_that_answers_one_byte_differently_and_commits_nothing()
    {
        Random random = TestSeed.NewRandom();
        Volume volume = Volume.Full(random, 4 * Mebibyte);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = volume.Snapshot();
        int place = random.Next(volume.Expected.Length);
        Lazy<bool> flipped = new(() => // once, and before any read of the proof: its lanes begin together
        {
            volume.Flip(place);
            return true;
        });
        snapshot.BeforeRead = (number, _, _) =>
        {
            Assert.True(number <= 4 || flipped.Value); // the four segments have been read; from now on another story is told
            return ValueTask.CompletedTask;
        };
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, snapshot: snapshot, prove: true, lanes: 1));
        Assert.Equal(("IMG-122", 22), (failure.Code, failure.ExitCode));
        Assert.Contains($"at offset 0x{place:x} the vault", failure.Message, StringComparison.Ordinal);
        await DemandEmptyAndUsableAsync(vault, volume);
    }

    private static async Task DemandEmptyAndUsableAsync(BackupVault vault, Volume volume)
    {
        Assert.Empty(await vault.ListPointsAsync(Token));
        CaptureResult result = await CaptureAsync(vault, volume);
        Assert.Equal(volume.Expected, await ReadImageAsync(vault, result.Volume));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    private static async Task<CaptureResult> CaptureAsync(
        BackupVault vault, Volume volume, ScriptedSnapshot? snapshot = null, bool prove = false, int lanes = 4, string? doubt = null, CancellationToken? token = null)
    {
        CaptureRequest request = new()
        {
            Snapshot = snapshot ?? volume.Snapshot(),
            Analysis = new VolumeAnalysis(null, volume.Used, doubt),
            Name = "vol",
            Host = "testhost",
            Prove = prove,
            Settings = new CaptureSettings { ReadLanes = lanes, WorkLanes = lanes },
        };
        return await VolumeCapture.RunAsync(request, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, token ?? Token);
    }

    private static async Task<byte[]> ReadImageAsync(BackupVault vault, VolumeRecord record)
    {
        await using IBlockReader image = vault.OpenImage(record);
        byte[] all = new byte[image.Geometry.Length];
        await image.ReadAsync(0, all, Token);
        return all;
    }

    /// <summary>Content, which of it is in use, and so what an image of it must hold.</summary>
    private sealed class Volume
    {
        private readonly MemoryDevice _device;

        private Volume(MemoryDevice device, UsedBlocks used, byte[] expected)
        {
            _device = device;
            Used = used;
            Expected = expected;
        }

        public UsedBlocks Used { get; }

        public byte[] Expected { get; private set; }

        public ScriptedSnapshot Snapshot() => new(_device);

        public void Flip(int place)
        {
            Expected[place] ^= 1;
            _device.Write(place, Expected.AsSpan(place, 1));
        }

        public static Volume Full(Random random, int length) => Make(random.NextBytes(length), UsedBlocks.All(length));

        public static Volume Random(Random random, int length)
        {
            byte[] content = new byte[length];
            UsedBlocks used = new(length, 1 << random.Next(9, 17));
            for (int extents = random.Next(12); extents > 0; extents--)
            {
                int start = random.Next(length);
                int count = random.Next(Math.Min(length - start, Mebibyte)) + 1;
                random.NextBytes(content.AsSpan(start, count));
                if (random.Next(3) > 0)
                {
                    used.Add(new Extent(random.Next(2) == 0 ? start : random.Next(length - count + 1), count));
                }
            }

            return Make(content, used);
        }

        private static Volume Make(byte[] content, UsedBlocks used)
        {
            MemoryDevice device = new(content.Length, sectorSize: 1);
            device.Write(0, content);
            byte[] expected = new byte[content.Length];
            foreach (Extent run in used.Runs())
            {
                content.AsSpan((int)run.Offset, (int)run.Length).CopyTo(expected.AsSpan((int)run.Offset));
            }

            return new Volume(device, used, expected);
        }
    }
}
